//! Files of plugins, which come in pieces: each is an object beside the files until all are there. Then they are put together, and are the file if
//! its hash is the one that it was sent under.
//!
//! ```text
//!   <hash>.<offset>-<length>     a piece, both numbers as hexadecimal digits
//!   <hash>                       the file
//! ```

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use weir_core::plugin::ArtifactHash;
use weir_core::{Error, ErrorKind, Result};
use weir_proto::client::ArtifactPiece;
use weir_proto::client::artifacts::LARGEST;
use weir_state::Storage;

/// The file that an object is, or is a piece of.
pub(super) fn hash_of(path: &str) -> Option<ArtifactHash> {
    path.split_once('.').map_or(path, |(hash, _)| hash).parse().ok()
}

/// Takes a piece; how many bytes of the file are here then, from its beginning. A piece that does not follow these is not taken.
///
/// # Errors
/// A user error if the file is too large, or is another one than its hash says; if the storage cannot be read or written.
pub(super) fn put(storage: &dyn Storage, piece: &ArtifactPiece, assembled: &Assembled) -> Result<u64> {
    let ArtifactPiece { hash, size, offset, bytes } = piece;
    if *size > LARGEST {
        return Err(Error::user(format!("a plugin of {size} bytes is too large: {LARGEST} are taken")));
    }
    let names = storage.list(hash.as_str())?;
    if names.iter().any(|name| name == hash.as_str()) {
        return Ok(*size);
    }
    let mut known: Vec<Piece> = names.iter().filter_map(|name| Piece::of(hash, name)).collect();
    let here = end(&consecutive(&known));
    if *offset == here && !bytes.is_empty() && here + bytes.len() as u64 <= *size {
        let next = Piece { offset: here, length: bytes.len() as u64 };
        storage.put(&next.name(hash), bytes)?;
        known.push(next);
    }
    let pieces = consecutive(&known);
    if pieces.is_empty() || end(&pieces) < *size {
        return Ok(end(&pieces));
    }
    // Who asks again while this goes on would do the same, and delete the pieces below it.
    let Some(_alone) = assembled.begin(hash) else {
        return Err(Error::environment("the plugin is being put together"));
    };
    let made = put_together(storage, hash, &pieces);
    // Where storage has failed, the pieces are as good as before.
    if made.as_ref().is_ok() || made.as_ref().is_err_and(|error| error.kind() == ErrorKind::User) {
        for piece in known {
            if let Err(error) = storage.delete(&piece.name(hash)) {
                tracing::debug!(error = error.report(), "a piece of a plugin is left in the storage");
            }
        }
    }
    made.map(|()| *size)
}

/// Files that are being put together by this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Assembled(Arc<Mutex<BTreeSet<ArtifactHash>>>);

impl Assembled {
    /// Begins, unless it has begun; it is over when the value is dropped.
    pub(super) fn begin(&self, hash: &ArtifactHash) -> Option<Assembly<'_>> {
        self.hashes().insert(hash.clone()).then(|| Assembly { all: self, hash: hash.clone() })
    }

    fn hashes(&self) -> MutexGuard<'_, BTreeSet<ArtifactHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it is there, nobody else puts the file together.
pub(super) struct Assembly<'a> {
    all: &'a Assembled,
    hash: ArtifactHash,
}

impl Drop for Assembly<'_> {
    fn drop(&mut self) {
        self.all.hashes().remove(&self.hash);
    }
}

/// A piece that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    offset: u64,
    length: u64,
}

impl Piece {
    fn of(hash: &ArtifactHash, name: &str) -> Option<Self> {
        let (offset, length) = name.strip_prefix(hash.as_str())?.strip_prefix('.')?.split_once('-')?;
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
        Some(Self { offset: number(offset)?, length: number(length)? })
    }

    fn name(self, hash: &ArtifactHash) -> String {
        format!("{}.{:x}-{:x}", hash.as_str(), self.offset, self.length)
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// Where the last of them ends.
fn end(pieces: &[Piece]) -> u64 {
    pieces.last().map_or(0, Piece::end)
}

/// Those that follow each other from the beginning on.
fn consecutive(pieces: &[Piece]) -> Vec<Piece> {
    let mut pieces = pieces.to_vec();
    pieces.sort_unstable();
    let mut end = 0;
    pieces.retain(|piece| {
        let follows = piece.offset == end && piece.length > 0;
        end = if follows { piece.end() } else { end };
        follows
    });
    pieces
}

fn put_together(storage: &dyn Storage, hash: &ArtifactHash, pieces: &[Piece]) -> Result<()> {
    let mut file = storage.create(hash.as_str())?;
    let mut digest = Sha256::new();
    for piece in pieces {
        let bytes = storage.get(&piece.name(hash))?;
        digest.update(&bytes);
        file.write_all(&bytes).map_err(|error| Error::environment("a plugin cannot be stored").with_source(error))?;
    }
    if ArtifactHash::from_bytes(digest.finalize().into()) != *hash {
        return Err(Error::user(format!("what was sent as plugin {} is another file", hash.short()))
            .with_help("was it built anew meanwhile? submit it again"));
    }
    file.finish()
}
