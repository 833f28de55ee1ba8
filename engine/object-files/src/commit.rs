//! Pieces into objects.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use arrow::array::AsArray;
use tokio::sync::mpsc::{Receiver, channel};
use weir_connectors::blocking::begin;
use weir_connectors::filesystem::sink::SinkNames;
use weir_core::audit::{Audit, AuditedEpoch, AuditedSink, Found};
use weir_core::connector::{Commit, StagedRows};
use weir_core::{Batch, Epoch, Error, Result};
use weir_state::{ObjectWriter, Storage};

/// Pieces between those who read and upload them.
const READ_AHEAD: usize = 2;

/// The folder of the objects that say up to which epoch all files are there.
pub(crate) fn markers(sink: &SinkNames) -> String {
    sink.hidden() + "/"
}

/// Up to which epoch all files are there. Blocks.
pub(crate) fn committed(storage: &dyn Storage, sink: &SinkNames) -> Result<Option<Epoch>> {
    Ok(marked(storage, sink)?.last().copied())
}

/// Epochs that objects stand for, in their order. Blocks.
fn marked(storage: &dyn Storage, sink: &SinkNames) -> Result<Vec<Epoch>> {
    let folder = markers(sink);
    let paths = storage.list(&folder)?;
    let mut epochs: Vec<Epoch> =
        paths.iter().filter_map(|path| path.strip_prefix(&folder)?.parse().ok()).map(Epoch).collect();
    epochs.sort();
    Ok(epochs)
}

/// Which epochs are there: the object that says so is written behind their files. Blocks.
pub(crate) fn audit(storage: &dyn Storage, url: &str, audit: &Audit) -> Result<AuditedSink> {
    let sink = SinkNames::new(audit.job, &audit.uid);
    let last = committed(storage, &sink)?;
    let found = |epoch| if last >= Some(epoch) { Found::Written } else { Found::Missing };
    let audited = |epoch| AuditedEpoch { epoch, found: found(epoch), rows: None, files: None };
    Ok(AuditedSink {
        target: url.to_owned(),
        marker: storage.locate(&markers(&sink)),
        last,
        // The first epoch that has rows makes it.
        absent: false,
        epochs: audit.epochs.iter().map(|prepared| audited(prepared.epoch)).collect(),
    })
}

/// A job goes on behind `epoch`: what it writes next must not be there already.
///
/// # Errors
/// A user error if it is.
pub(crate) fn check_not_behind(url: &str, table: &str, committed: Option<Epoch>, epoch: Epoch) -> Result<()> {
    match committed.filter(|committed| *committed > epoch) {
        None => Ok(()),
        Some(committed) => Err(Error::user(format!(
            "{url} already has the rows of table '{table}' up to epoch {committed}, and the job goes on behind epoch {epoch}"
        ))
        .with_help("a job that goes back to an older checkpoint would write rows twice: run it as a new job")),
    }
}

/// Makes the files of an epoch visible. Can be repeated, by anybody.
pub(crate) async fn commit(storage: Arc<dyn Storage>, commit: Commit) -> Result<()> {
    let Commit { job, uid, epoch, mut staged, .. } = commit;
    // An epoch without rows leaves no trace.
    let Some(first) = next(&mut *staged).await? else { return Ok(()) };
    let (sender, receiver) = channel(READ_AHEAD);
    let uploading = begin(move || upload(&*storage, &SinkNames::new(job, &uid), epoch, receiver));
    let mut piece = Ok(Some(first));
    // A receiver that is gone has failed, or has found out that there is nothing to do.
    let read = loop {
        let step = match piece {
            Ok(Some(piece)) => Step::Piece(piece),
            Ok(None) => break sender.send(Step::End).await.or(Ok(())),
            Err(error) => break Err(error),
        };
        if sender.send(step).await.is_err() {
            break Ok(());
        }
        piece = next(&mut *staged).await;
    };
    drop(sender);
    let uploaded = uploading.await.map_err(|panic| Error::internal("an upload panicked").with_source(panic))?;
    read.and(uploaded)
}

/// What is handed from the thread that reads to the one that uploads.
enum Step {
    Piece(Piece),
    /// All pieces have been read.
    End,
}

struct Piece {
    file: String,
    bytes: Vec<u8>,
    is_last: bool,
}

/// Uploads what comes, and says in the end that all is there. Blocks.
fn upload(storage: &dyn Storage, sink: &SinkNames, epoch: Epoch, mut steps: Receiver<Step>) -> Result<()> {
    // Another process may be at the same epoch. What it has finished is its readers' already, and must not come back.
    let is_done = || -> Result<bool> { Ok(committed(storage, sink)? >= Some(epoch)) };
    if is_done()? {
        return Ok(());
    }
    // Of each subtask there is one whose end is further behind.
    let mut open: BTreeMap<String, Box<dyn ObjectWriter + '_>> = BTreeMap::new();
    loop {
        match steps.blocking_recv() {
            Some(Step::Piece(Piece { file, bytes, is_last })) => {
                let mut object = match open.remove(&file) {
                    Some(object) => object,
                    None => storage.create(&file)?,
                };
                object.write_all(&bytes).map_err(|error| failed(storage, &file, error))?;
                if !is_last {
                    open.insert(file, object);
                } else if is_done()? {
                    return Ok(());
                } else {
                    // One that is there was written by an earlier commit of the same pieces: its name is of one file alone.
                    object.finish()?;
                }
            }
            Some(Step::End) => break,
            None => return Err(Error::internal("an upload was given up")),
        }
    }
    if let Some((file, _)) = open.first_key_value() {
        return Err(Error::data(format!("what was staged of {} is not whole", storage.locate(file))));
    }
    // Whoever has done this epoch meanwhile may have done later ones too, which are not to be forgotten.
    let (marked, folder) = (marked(storage, sink)?, markers(sink));
    if marked.last() >= Some(&epoch) {
        return Ok(());
    }
    storage.put(&format!("{folder}{epoch}"), b"")?;
    marked.iter().try_for_each(|earlier| storage.delete(&format!("{folder}{earlier}")))
}

fn failed(storage: &dyn Storage, path: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::environment(format!("cannot write {}", storage.locate(path))).with_source(error),
    }
}

/// The next piece, as a sink has staged it.
async fn next(staged: &mut dyn StagedRows) -> Result<Option<Piece>> {
    let Some(records) = staged.next().await?.map(Batch::into_appended).transpose()? else { return Ok(None) };
    let wrong = || Error::data("what was staged is no piece of a file");
    let [file, bytes, is_last] = records.columns() else { return Err(wrong()) };
    let columns = (file.as_string_opt::<i32>(), bytes.as_binary_opt::<i32>(), is_last.as_boolean_opt());
    match columns {
        (Some(file), Some(bytes), Some(is_last)) if records.num_rows() == 1 => Ok(Some(Piece {
            file: file.value(0).to_owned(),
            bytes: bytes.value(0).to_vec(),
            is_last: is_last.value(0),
        })),
        _ => Err(wrong()),
    }
}
