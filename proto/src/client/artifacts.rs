//! Where files of plugins are kept: beside the checkpoints, in one folder for the cluster, each under its hash. Clients send them to the
//! coordinators in pieces.

use bytes::Bytes;
use weir_core::plugin::ArtifactHash;

/// Bytes of a file that are sent at once, at most: so few that a slow connection takes them before an answer is waited for elsewhere.
pub const PIECE: usize = 1 << 19;
/// Bytes that a file may have.
pub const LARGEST: u64 = 1 << 30;

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPiece {
    /// The hash of the whole file.
    pub hash: ArtifactHash,
    /// Bytes of the whole file.
    pub size: u64,
    /// Where the piece begins in it.
    pub offset: u64,
    /// The piece; an empty one only asks how much of the file is there.
    pub bytes: Bytes,
}

impl ArtifactPiece {
    /// Whether the file ends with it.
    pub fn is_last(&self) -> bool {
        !self.bytes.is_empty() && self.offset.saturating_add(self.bytes.len() as u64) >= self.size
    }
}

/// The folder, as a URL.
pub fn folder(storage: &str, cluster: &str) -> String {
    format!("{storage}/{cluster}/artifacts")
}
