//! Files as a table that rows are looked up in, [held as a whole](crate::whole_table): every so often they are listed, and read again if they
//! are others than before.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use weir_core::connector::{AssignedSplit, OptionInfo, Source, SourceContext, SourceEvent, Split};
use weir_core::lookup::{LookupContext, LookupTable};
use weir_core::{Attempt, Error, Result, TableSpec};

use super::discovery::look;
use super::known::Modified;
use super::options::{SourceOptions, option};
use super::store::FileStore;
use super::{joined, source};
use crate::blocking::begin;
use crate::options::Options;
use crate::whole_table::{Loaded, RELOAD, RETRIES, WholeOptions, WholeTable};

const CACHE: &str = "lookup.cache";

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

fn options(table: &TableSpec) -> Result<WholeOptions> {
    let options = Options::of(table);
    options.choice(CACHE, &[("full", ())])?;
    WholeOptions::read(&options, Duration::from_secs(10))
}

/// Checks what a table needs beyond what a source does.
///
/// # Errors
/// A user error if rows cannot be looked up in it, or not so.
pub(super) fn validate(table: &TableSpec) -> Result<()> {
    options(table)?;
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
pub(super) async fn open(
    table: &TableSpec,
    context: LookupContext,
    files: Arc<dyn FileStore>,
) -> Result<Box<dyn LookupTable>> {
    validate(table)?;
    let (name, options, table) = (&table.name, options(table)?, table.clone());
    let load = move |before| {
        let (table, context, files) = (table.clone(), context.clone(), files.clone());
        Box::pin(async move { load(table, before, &context, files).await }) as _
    };
    Ok(Box::new(WholeTable::open(name, options, Box::new(load)).await?))
}

/// Reads all files, if they are others than `before`.
async fn load(
    table: TableSpec,
    before: Option<Vec<Split>>,
    context: &LookupContext,
    files: Arc<dyn FileStore>,
) -> Loaded<Vec<Split>> {
    let options = SourceOptions::read(&table)?;
    let path = options.path.clone();
    let was_there = before.is_some() || context.attempt > Attempt(1);
    let store = files.clone();
    let listing = joined(begin(move || look(&options, &*store, &Modified::default())).await)?;
    let splits = listing.files(&path, false, was_there)?.splits();
    if before.as_ref() == Some(&splits) {
        return Ok(None);
    }
    let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: context.batch_rows };
    let mut reader = source::open(&table, &context, files)?;
    reader.assign(splits.iter().cloned().map(|split| AssignedSplit { split, position: None }).collect())?;
    let rows = rows_of(&mut *reader, splits.len()).await?;
    Ok(Some((splits, rows)))
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
