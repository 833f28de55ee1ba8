//! Rows of a `SELECT`, for whoever reads them: what a folder holds is told in [`weir_proto::client::results`].

use weir_core::{Epoch, Result};
use weir_proto::client::results::{FILES, PIECE, READERS, number_of_reader, reader};
use weir_proto::client::{FilePosition, ResultPiece};
use weir_state::Storage;

/// Says that somebody reads.
///
/// # Errors
/// If the storage does not take it.
pub(super) fn expect(storage: &dyn Storage) -> Result<()> {
    let before = storage.list(READERS)?;
    let last = before.iter().filter_map(|name| number_of_reader(name)).max();
    storage.put(&reader(last.map_or(0, |last| last + 1)), b"")?;
    before.iter().try_for_each(|name| storage.delete(name))
}

/// Deletes all, and the folder. First what says that somebody reads: then no worker commits anything more.
///
/// # Errors
/// If something could not be deleted, or a worker has put something there meanwhile.
pub(super) fn forget(storage: &dyn Storage) -> Result<()> {
    for prefix in [READERS, ""] {
        storage.list(prefix)?.iter().try_for_each(|name| storage.delete(name))?;
    }
    storage.vacate()
}

/// The next piece behind `offset` bytes of the first file behind `after`; `None`: there is no such file of an epoch up to `committed`. The
/// files up to `after` are deleted: they have arrived. One of them may be there again, made by a worker that had been taken for dead.
///
/// # Errors
/// If the file cannot be read, or those before cannot be deleted.
pub(super) fn read(
    storage: &dyn Storage,
    committed: Epoch,
    after: Option<FilePosition>,
    offset: u64,
) -> Result<Option<ResultPiece>> {
    let files: Vec<FilePosition> = storage.list(FILES)?.iter().filter_map(|name| FilePosition::of(name)).collect();
    let (arrived, waiting): (Vec<_>, Vec<_>) = files.into_iter().partition(|position| Some(*position) <= after);
    arrived.into_iter().try_for_each(|position| storage.delete(&position.name()))?;
    let Some(position) = waiting.into_iter().filter(|position| position.epoch <= committed).min() else {
        return Ok(None);
    };
    let rest = storage.length(&position.name())?.saturating_sub(offset);
    let length = rest.min(PIECE as u64);
    let bytes = storage.get_range(&position.name(), offset, length)?.into();
    Ok(Some(ResultPiece { position, bytes, is_last: length == rest }))
}
