//! Files as a table that rows are looked up in.
//!
//! The table is held as a whole. It is read when it is opened. From then on the files are listed every so often, and read
//! again if they are others than before: beside the rows, which find what was there until all has been read. Nothing is done while no rows
//! come; so the first ones, and those behind a pause, wait until the files have been looked at. What fails is tried again; the rows go on with
//! what they have until it has failed too often.

use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::Instant;
use weir_core::connector::{AssignedSplit, OptionInfo, Source, SourceContext, SourceEvent, Split};
use weir_core::lookup::{Found, LookupContext, LookupTable};
use weir_core::{Attempt, Error, ErrorKind, Result, TableSpec};

use super::discovery::look;
use super::known::Modified;
use super::options::{SourceOptions, option};
use super::{joined, source};
use crate::blocking::begin;
use crate::options::Options;

const CACHE: &str = "lookup.cache";
const RELOAD: &str = "lookup.full-cache.periodic-reload.interval";
const RETRIES: &str = "lookup.max-retries";

/// Options of a table that rows are looked up in.
pub(super) const OPTIONS: &[OptionInfo] = &[
    option(
        CACHE,
        "How looked-up rows are kept. 'full' (default): the whole table is in memory; there is no other way.",
    ),
    option(
        RELOAD,
        "How often it is looked whether the files have changed, so that they are read again. Default '10s'; '0s': never.",
    ),
    option(RETRIES, "How often reading the files for lookups is tried again when it fails. Default 3."),
];

/// Those of the options that say nothing about which rows there are.
pub(super) const SETTINGS: [&str; 3] = [CACHE, RELOAD, RETRIES];

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

struct LookupOptions {
    /// `None`: the files are read once.
    reload: Option<Duration>,
    retries: u32,
}

impl LookupOptions {
    fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        options.choice(CACHE, &[("full", ())])?;
        let reload = options.duration(RELOAD)?.unwrap_or(Duration::from_secs(10));
        let retries = options.number(RETRIES, 0, 1_000_000)?.unwrap_or(3);
        Ok(Self { reload: (!reload.is_zero()).then_some(reload), retries })
    }
}

/// Checks what a table needs beyond what a source does.
///
/// # Errors
/// A user error if rows cannot be looked up in it, or not so.
pub(super) fn validate(table: &TableSpec) -> Result<()> {
    LookupOptions::read(table)?;
    for (name, why) in [
        ("source.monitor-interval", "it makes a stream of the files, which does not end"),
        ("source.max-file-age", "it is for files that are watched"),
    ] {
        if table.options.contains_key(name) {
            return Err(Error::user(format!(
                "rows cannot be looked up in table '{}' with '{name}': {why}",
                table.name
            ))
            .with_help(format!("leave it out; changes of the files are noticed every '{RELOAD}'")));
        }
    }
    if table.options.get("error-policy").is_some_and(|policy| policy == "dead-letter") {
        let message =
            format!("records of table '{}', in which rows are looked up, cannot go to another table", table.name);
        return Err(Error::user(message).with_help("'error-policy' = 'skip' leaves them out"));
    }
    Ok(())
}

/// Reads the table for the first time.
///
/// # Errors
/// If the options are wrong, or the files cannot be read.
pub(super) async fn open(table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
    validate(table)?;
    let options = LookupOptions::read(table)?;
    let mut failures = 0;
    let Loaded { splits, rows } = loop {
        match load(table.clone(), None, &context).await {
            Err(error) if error.kind() != ErrorKind::User && failures < options.retries => {
                failures += 1;
                tracing::warn!(table = table.name, error = error.report(), "a table for lookups could not be read");
                tokio::time::sleep_until(Instant::now() + PAUSE).await;
            }
            loaded => break loaded?.unwrap_or_default(),
        }
    };
    Ok(Box::new(FileLookup {
        table: table.clone(),
        context,
        options,
        splits,
        rows: Some(rows),
        asked: None,
        looks_at: i64::MIN,
        began: 0,
        failures: 0,
        loading: JoinSet::new(),
    }))
}

struct FileLookup {
    table: TableSpec,
    context: LookupContext,
    options: LookupOptions,
    /// The files as they were read.
    splits: Vec<Split>,
    /// All rows, until they are asked for.
    rows: Option<Vec<RecordBatch>>,
    // In milliseconds since 1970.
    /// When rows have come last.
    asked: Option<i64>,
    /// When the files are listed again.
    looks_at: i64,
    /// When they were listed last.
    began: i64,
    /// How often it has failed since it last went well.
    failures: u32,
    /// One task at most.
    loading: JoinSet<Result<Option<Loaded>>>,
}

/// Files, and all their rows.
#[derive(Default)]
struct Loaded {
    splits: Vec<Split>,
    rows: Vec<RecordBatch>,
}

impl FileLookup {
    /// Takes over what has been read.
    fn loaded(&mut self, now: i64, loaded: Result<Option<Loaded>>) -> Result<()> {
        self.looks_at = match loaded {
            Ok(loaded) => {
                self.failures = 0;
                if let Some(Loaded { splits, rows }) = loaded {
                    (self.splits, self.rows) = (splits, Some(rows));
                }
                later(self.began, self.options.reload.unwrap_or(PAUSE))
            }
            Err(error) if self.failures < self.options.retries => {
                self.failures += 1;
                tracing::warn!(table = self.table.name, error = error.report(), "rows are looked up in an old table");
                later(now, PAUSE)
            }
            Err(error) => return Err(error.context(format!("while reading table '{}' again", self.table.name))),
        };
        Ok(())
    }

    fn found(&mut self, at_once: bool) -> Found {
        self.rows.take().map_or(Found::AsBefore, |rows| Found::Table { rows, at_once })
    }

    /// Takes over what is being read, if anything is; `waits`: also if it has not been read yet.
    async fn take_over(&mut self, now: i64, waits: bool) -> Result<()> {
        let loaded = if waits { self.loading.join_next().await } else { self.loading.try_join_next() };
        loaded.map_or(Ok(()), |loaded| self.loaded(now, joined(loaded)))
    }
}

fn later(now: i64, pause: Duration) -> i64 {
    now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl LookupTable for FileLookup {
    async fn look_up(&mut self, now: i64, _keys: Option<&RecordBatch>) -> Result<Found> {
        let Some(reload) = self.options.reload else { return Ok(self.found(true)) };
        // What was read while no rows came may be as old as the pause was long.
        let waits = self.asked.replace(now).is_none_or(|asked| now >= later(asked, reload / 2));
        self.take_over(now, waits).await?;
        if now >= self.looks_at && self.loading.is_empty() {
            self.began = now;
            let (table, splits, context) = (self.table.clone(), self.splits.clone(), self.context.clone());
            self.loading.spawn(async move { load(table, Some(splits), &context).await });
            if waits {
                self.take_over(now, true).await?;
            }
        }
        Ok(self.found(waits))
    }
}

/// Reads all files, if they are others than `before`.
async fn load(table: TableSpec, before: Option<Vec<Split>>, context: &LookupContext) -> Result<Option<Loaded>> {
    let options = SourceOptions::read(&table)?;
    let path = options.path.clone();
    let was_there = before.is_some() || context.attempt > Attempt(1);
    let listing = joined(begin(move || look(&options, &Modified::default())).await)?;
    let splits = listing.files(&path, false, was_there)?.splits();
    if before.as_ref() == Some(&splits) {
        return Ok(None);
    }
    let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: context.batch_rows };
    let mut reader = source::open(&table, &context)?;
    reader.assign(splits.iter().cloned().map(|split| AssignedSplit { split, position: None }).collect())?;
    let rows = rows_of(&mut *reader, splits.len()).await?;
    Ok(Some(Loaded { splits, rows }))
}

/// All rows of so many splits.
async fn rows_of(reader: &mut dyn Source, splits: usize) -> Result<Vec<RecordBatch>> {
    let (mut open, mut rows) = (splits, Vec::new());
    while open > 0 {
        match reader.next().await? {
            SourceEvent::Rows { records, .. } => rows.push(records),
            SourceEvent::SplitFinished { .. } => open -= 1,
            SourceEvent::Time { .. } => {}
        }
    }
    Ok(rows)
}
