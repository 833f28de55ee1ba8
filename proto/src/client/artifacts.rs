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
    /// Whether the file begins with it. Nobody brings a file without it, whatever size is said.
    pub fn is_first(&self) -> bool {
        !self.bytes.is_empty() && self.offset == 0
    }

    /// Whether the file ends with it.
    pub fn is_last(&self) -> bool {
        !self.bytes.is_empty() && self.offset.saturating_add(self.bytes.len() as u64) >= self.size
    }
}

/// The folder, as a URL.
pub fn folder(storage: &str, cluster: &str) -> String {
    format!("{storage}/{cluster}/artifacts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientRequest;

    #[test]
    fn nobody_brings_a_file_unnoted() {
        let is_noted = |size, offset, bytes: &'static [u8]| {
            let hash = ArtifactHash::from_bytes([1; 32]);
            let bytes = Bytes::from_static(bytes);
            ClientRequest::PutArtifact(ArtifactPiece { hash, size, offset, bytes }).is_noted()
        };
        assert!(is_noted(6, 0, b"ab") && !is_noted(6, 2, b"cd") && is_noted(6, 4, b"ef"));
        assert!(is_noted(2, 0, b"ab"), "a short one");
        // Who says another size sends no end, and a question puts together what is there.
        assert!(is_noted(7, 0, b"abcdef") && !is_noted(6, 0, b""));
        assert!(!ClientRequest::ListWorkers.is_noted());
        assert!(ClientRequest::RevokeToken { name: "ci".into() }.is_noted());
    }
}
