//! Pieces into objects.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::AsArray;
use weir_connectors::blocking::blocking;
use weir_connectors::filesystem::sink::SinkNames;
use weir_core::connector::{Commit, StagedRows};
use weir_core::{Batch, Epoch, Error, Result};
use weir_state::Storage;

/// What the names of the objects begin with that say up to which epoch all files are there.
pub(super) fn marker(sink: &SinkNames) -> String {
    sink.hidden() + "-"
}

/// Makes the files of an epoch visible. Can be repeated, by anybody.
pub(super) async fn commit(storage: Arc<dyn Storage>, commit: Commit) -> Result<()> {
    let Commit { job, uid, epoch, staged, .. } = commit;
    let mut pieces = Pieces { staged };
    // An epoch without rows leaves no trace.
    let Some(first) = pieces.next().await? else { return Ok(()) };
    let marker = marker(&SinkNames::new(job, &uid));
    let markers = {
        let (storage, marker) = (storage.clone(), marker.clone());
        blocking(move || storage.list(&marker)).await?
    };
    let epoch_of = |path: &String| path.strip_prefix(&marker).and_then(|epoch| epoch.parse().ok()).map(Epoch);
    if markers.iter().filter_map(epoch_of).any(|committed| committed >= epoch) {
        return Ok(());
    }
    // Pieces of the files that one subtask has open come between each other.
    let mut open: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let mut next = Some(first);
    while let Some(Piece { file, bytes, is_last }) = next {
        open.entry(file.clone()).or_default().push(bytes);
        if is_last && let Some(pieces) = open.remove(&file) {
            let storage = storage.clone();
            blocking(move || upload(&*storage, &file, &pieces)).await?;
        }
        next = pieces.next().await?;
    }
    if let Some((file, _)) = open.first_key_value() {
        return Err(Error::data(format!("what was staged of {} is not whole", storage.locate(file))));
    }
    blocking(move || {
        storage.put(&format!("{marker}{epoch}"), b"")?;
        markers.iter().try_for_each(|earlier| storage.delete(earlier))
    })
    .await
}

/// An object that is there has been written by an earlier commit of the same pieces: its name is of one file alone.
fn upload(storage: &dyn Storage, path: &str, pieces: &[Vec<u8>]) -> Result<()> {
    let mut object = storage.create(path)?;
    let written = pieces.iter().try_for_each(|piece| object.write_all(piece));
    written.map_err(|error| failed(storage, path, error))?;
    object.finish()
}

fn failed(storage: &dyn Storage, path: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::environment(format!("cannot write {}", storage.locate(path))).with_source(error),
    }
}

struct Piece {
    file: String,
    bytes: Vec<u8>,
    is_last: bool,
}

/// Staged rows, as the sinks have staged them: one piece each.
struct Pieces {
    staged: Box<dyn StagedRows>,
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Piece>> {
        let Some(records) = self.staged.next().await?.map(Batch::into_appended).transpose()? else { return Ok(None) };
        let [file, bytes, is_last] = records.columns() else {
            return Err(Error::data("what was staged is no piece of a file"));
        };
        let piece = (file.as_string_opt::<i32>(), bytes.as_binary_opt::<i32>(), is_last.as_boolean_opt());
        let (Some(file), Some(bytes), Some(is_last)) = piece else {
            return Err(Error::data("what was staged is no piece of a file"));
        };
        if records.num_rows() != 1 {
            return Err(Error::data("pieces of files are staged one by one"));
        }
        Ok(Some(Piece { file: file.value(0).to_owned(), bytes: bytes.value(0).to_vec(), is_last: is_last.value(0) }))
    }
}
