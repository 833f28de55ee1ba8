//! The log in a file, by redb: a copy-on-write B-tree whose commit is a real sync of the disk.
//!
//! | table | key | value |
//! |---|---|---|
//! | `about` | `format`, `cluster`, `coordinator`, `log` | whose log this is, how it is written, and which one it is |
//! | `state` | `hard`, `before`, `snapshot` | term, vote, commit; index and term before the log; the snapshot |
//! | `log` | index | the entry |
//!
//! Every value begins with a CRC-32 over the table's name, the key and the rest of the value, so that a value in a wrong
//! place is noticed as well as one that has changed. Numbers are little-endian; entries and snapshots are the protobuf
//! messages of `weir.peer.v1`.

use std::fmt;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use prost::Message;
use redb::{Builder, Database, ReadTransaction, ReadableDatabase, StorageBackend, TableDefinition};
use redb::{Table, WriteTransaction};
use weir_core::{CoordinatorId, Error, Result};

use super::{Batch, HardState, LogStore, Stored};
use crate::raft::LogId;

const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// Counts up when the tables or their values change.
const FORMAT: u64 = 2;

/// Pages that redb keeps in memory. The log is read once, so this is for the upper levels of its tree.
const CACHE_BYTES: usize = 8 << 20;

/// Whose log it is. A file that was copied from another coordinator would let one vote for two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the cluster.
    pub cluster: String,
    /// Who this is.
    pub coordinator: CoordinatorId,
    /// Which log it is, if there is none yet: drawn for this start. One that is there keeps the number that it has.
    pub fresh: LogId,
}

/// Keeps the log in one file.
pub struct RedbStore {
    database: Database,
    log: LogId,
    failed: bool,
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Opens the file, or makes an empty store of it when there is none.
    ///
    /// # Errors
    /// A data error that names the damage; a user error when the file belongs to another coordinator; an environment
    /// error when another process has it open, or the disk fails.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self> {
        let framed = |error: Error| error.context(format!("the log {} cannot be opened", path.display()));
        if !path.exists() {
            create(path, identity).map_err(framed)?;
        }
        let database = guarded(|| builder().open(path).map_err(unusable)).map_err(framed)?;
        Self::with(database, identity).map_err(framed)
    }

    /// The same on any disk, such as a simulated one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(disk: impl StorageBackend, identity: &Identity) -> Result<Self> {
        let database = guarded(|| builder().create_with_backend(disk).map_err(unusable))?;
        Self::with(database, identity)
    }

    fn with(database: Database, identity: &Identity) -> Result<Self> {
        let log = guarded(|| {
            if is_new(&database)? {
                begin(&database, identity)?;
            }
            verify(&database, identity)
        })?;
        Ok(Self { database, log, failed: false })
    }

    /// Which log this is.
    pub fn log(&self) -> LogId {
        self.log
    }
}

impl LogStore for RedbStore {
    fn load(&self) -> Result<Stored> {
        guarded(|| {
            let read = self.database.begin_read().map_err(unusable)?;
            let mut stored = Stored::default();
            if let Some(value) = state_value(&read, "hard")? {
                let [term, vote, commit] = numbers(&value, "term and vote")?;
                let vote = Some(CoordinatorId(vote)).filter(|id| id.0 != 0);
                stored.hard_state = HardState { term, vote, commit };
            }
            if let Some(value) = state_value(&read, "before")? {
                let [index, term] = numbers(&value, "beginning of the log")?;
                stored.before = (index, term);
            }
            if let Some(value) = state_value(&read, "snapshot")? {
                stored.snapshot = Some(decode(&value, || "snapshot".into())?);
            }
            let log = read.open_table(LOG).map_err(unusable)?;
            for item in log.range::<u64>(..).map_err(unusable)? {
                let (key, value) = item.map_err(unusable)?;
                let index = key.value();
                let entry: weir_proto::peer::Entry = {
                    let what = || format!("entry {index} of the log");
                    decode(&open(value.value(), "log", &index.to_le_bytes()).ok_or_else(|| damaged(what()))?, what)?
                };
                if entry.index != index {
                    return Err(damaged(format!("entry {index} of the log, which says that it is {}", entry.index)));
                }
                stored.entries.push(entry);
            }
            Ok(stored)
        })
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        if self.failed {
            return Err(Error::environment("an earlier write of the log has failed"));
        }
        self.failed = true;
        guarded(|| {
            let write = transaction(&self.database)?;
            put(&write, batch)?;
            write.commit().map_err(unusable)
        })?;
        self.failed = false;
        Ok(())
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Reads all pages and compares their checksums, instead of trusting what was not changed by a crash.
    builder.set_check_integrity_on_open(true);
    builder
}

/// A transaction whose commit syncs twice: the pages first, then the header that makes them count. With a single sync a
/// header that points to garbled pages looks like one that a loss of power has cut short, and redb goes back to the
/// commit before it: damage would silently take back what was acknowledged (found by the torture test).
fn transaction(database: &Database) -> Result<WriteTransaction> {
    let mut write = database.begin_write().map_err(unusable)?;
    write.set_two_phase_commit(true);
    Ok(write)
}

/// Makes the file under another name first: one of this name is there as a whole or not at all.
fn create(path: &Path, identity: &Identity) -> Result<()> {
    let failed =
        |error: std::io::Error| Error::environment(format!("cannot create {}", path.display())).with_source(error);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    weir_state::create_folder(folder)?;
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let database = builder().create(&unfinished).map_err(unusable)?;
    begin(&database, identity)?;
    drop(database);
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    // The name itself has to survive, or a vote would be forgotten with the whole file.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn is_new(database: &Database) -> Result<bool> {
    let read = database.begin_read().map_err(unusable)?;
    match read.open_table(ABOUT) {
        Ok(_) => Ok(false),
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let tables = read.list_tables().map_err(unusable)?.count();
            if tables > 0 { Err(damaged("the table that says whose log it is".into())) } else { Ok(true) }
        }
        Err(error) => Err(unusable(error)),
    }
}

/// Writes whose log it will be.
fn begin(database: &Database, identity: &Identity) -> Result<()> {
    let write = transaction(database)?;
    {
        let mut about = write.open_table(ABOUT).map_err(unusable)?;
        for (key, value) in [
            ("format", FORMAT.to_le_bytes().to_vec()),
            ("cluster", identity.cluster.clone().into_bytes()),
            ("coordinator", identity.coordinator.0.to_le_bytes().to_vec()),
            ("log", identity.fresh.0.to_le_bytes().to_vec()),
        ] {
            about.insert(key, &*seal(&value, "about", key.as_bytes())).map_err(unusable)?;
        }
        write.open_table(STATE).map_err(unusable)?;
        write.open_table(LOG).map_err(unusable)?;
    }
    write.commit().map_err(unusable)
}

/// Checks whose log it is; returns which one it is.
fn verify(database: &Database, identity: &Identity) -> Result<LogId> {
    let read = database.begin_read().map_err(unusable)?;
    let about = read.open_table(ABOUT).map_err(unusable)?;
    let value = |key: &str| -> Result<Vec<u8>> {
        let value = about.get(key).map_err(unusable)?.ok_or_else(|| damaged(format!("its {key} is missing")))?;
        open(value.value(), "about", key.as_bytes()).ok_or_else(|| damaged(format!("its {key}")))
    };
    let [format] = numbers(&value("format")?, "format")?;
    if format != FORMAT {
        return Err(Error::user(format!("the log is written in format {format}, this version of Weir reads {FORMAT}"))
            .with_help("start the version of Weir that wrote it"));
    }
    let [coordinator] = numbers(&value("coordinator")?, "coordinator")?;
    let cluster = String::from_utf8(value("cluster")?).map_err(|_| damaged("its cluster".into()))?;
    let [log] = numbers(&value("log")?, "number")?;
    let found = Identity { cluster, coordinator: CoordinatorId(coordinator), fresh: identity.fresh };
    if found != *identity {
        return Err(Error::user(format!(
            "the log belongs to coordinator {} of cluster {:?}, and this is coordinator {} of cluster {:?}",
            found.coordinator, found.cluster, identity.coordinator, identity.cluster
        ))
        .with_help("give each coordinator its own folder, and never a copy of another's"));
    }
    Ok(LogId(log))
}

fn put(write: &WriteTransaction, batch: &Batch) -> Result<()> {
    let mut state = write.open_table(STATE).map_err(unusable)?;
    let mut log = write.open_table(LOG).map_err(unusable)?;
    if let Some(HardState { term, vote, commit }) = batch.hard_state {
        put_numbers(&mut state, "hard", &[term, vote.map_or(0, |id| id.0), commit])?;
    }
    if let Some(snapshot) = &batch.installed {
        put_state(&mut state, "snapshot", &snapshot.encode_to_vec())?;
        put_numbers(&mut state, "before", &[snapshot.index, snapshot.term])?;
        log.retain(|_, _| false).map_err(unusable)?;
    }
    if let Some(first) = batch.entries.first() {
        log.retain_in(first.index.., |_, _| false).map_err(unusable)?;
        for entry in &batch.entries {
            let value = seal(&entry.encode_to_vec(), "log", &entry.index.to_le_bytes());
            log.insert(entry.index, &*value).map_err(unusable)?;
        }
    }
    if let Some(compaction) = &batch.compaction {
        put_state(&mut state, "snapshot", &compaction.snapshot.encode_to_vec())?;
        put_numbers(&mut state, "before", &[compaction.before.0, compaction.before.1])?;
        log.retain_in(..=compaction.before.0, |_, _| false).map_err(unusable)?;
    }
    Ok(())
}

fn put_numbers(table: &mut Table<'_, &str, &[u8]>, key: &str, numbers: &[u64]) -> Result<()> {
    put_state(table, key, &numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())
}

fn put_state(table: &mut Table<'_, &str, &[u8]>, key: &str, value: &[u8]) -> Result<()> {
    table.insert(key, &*seal(value, "state", key.as_bytes())).map_err(unusable)?;
    Ok(())
}

fn state_value(read: &ReadTransaction, key: &str) -> Result<Option<Vec<u8>>> {
    let state = read.open_table(STATE).map_err(unusable)?;
    let Some(value) = state.get(key).map_err(unusable)? else { return Ok(None) };
    open(value.value(), "state", key.as_bytes()).ok_or_else(|| damaged(format!("the {key} record"))).map(Some)
}

fn checksum(table: &str, key: &[u8], value: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    [table.as_bytes(), key, value].iter().for_each(|part| crc.update(part));
    crc.finalize().to_le_bytes()
}

fn seal(value: &[u8], table: &str, key: &[u8]) -> Vec<u8> {
    [&checksum(table, key, value), value].concat()
}

fn open(sealed: &[u8], table: &str, key: &[u8]) -> Option<Vec<u8>> {
    let (crc, value) = sealed.split_at_checked(4)?;
    (crc == checksum(table, key, value)).then(|| value.to_vec())
}

fn numbers<const N: usize>(value: &[u8], what: &str) -> Result<[u64; N]> {
    let (chunks, rest) = value.as_chunks::<8>();
    let numbers: Vec<u64> = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    numbers.try_into().ok().filter(|_| rest.is_empty()).ok_or_else(|| damaged(format!("its {what}")))
}

fn decode<M: Message + Default>(value: &[u8], what: impl Fn() -> String) -> Result<M> {
    M::decode(value).map_err(|error| damaged(what()).with_source(error))
}

fn damaged(what: String) -> Error {
    Error::data(format!("the log is damaged: {what}"))
        .with_help("remove this coordinator from the cluster and add it again under another id, with an empty folder")
}

/// Tells damage from a failing disk, and both from a file that somebody else has open.
fn unusable(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => Error::environment("another process has the log open"),
        redb::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::InvalidData => damaged("the file is no log".into()).with_source(error),
            std::io::ErrorKind::UnexpectedEof => damaged("the file is cut short".into()).with_source(error),
            _ => Error::environment("the disk with the log fails").with_source(error),
        },
        error @ (redb::Error::PreviousIo | redb::Error::LockPoisoned(_)) => {
            Error::environment("the disk with the log fails").with_source(error)
        }
        error => damaged(error.to_string()),
    }
}

/// redb trusts the pages that it reads, and panics on some that no redb has written.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(damaged(what.unwrap_or("it cannot be read").to_string()))
    })
}
