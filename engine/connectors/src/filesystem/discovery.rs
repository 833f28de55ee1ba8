//! Which splits there are: files are listed once, or watched for, and cut into ranges.
//!
//! Files that are moved into a watched folder together should be known together, for what the watermark does depends on which
//! files are known. A listing that falls between two of these moves sees a part of them. So when something new was seen, the
//! folder is listed again after a moment, until nothing more has come, though not for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use weir_core::connector::{DiscoveryContext, Split, SplitDiscovery};
use weir_core::{ErrorKind, Result, TableSpec};

use super::joined;
use super::listing::{self, FileInfo};
use super::options::{Format, SourceOptions};
use super::split::{FileRange, cut};
use crate::blocking::begin;
use crate::formats::decode::columnar::Columnar;

/// After this pause without a new file, those that were seen before are announced.
const SETTLED: Duration = Duration::from_millis(100);

/// Listings after which files are announced though more of them are still coming.
const LISTINGS: u32 = 10;

/// Opens the discovery of a table, and looks for files.
///
/// # Errors
/// If the options are wrong, or the path cannot be read.
pub(super) async fn open(table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
    let options = Arc::new(SourceOptions::read(table)?);
    let is_restored = !context.known.is_empty();
    let paths = context.known.iter().map(|split| split.sequence.clone()).collect();
    // A table whose files have all been read may have lost them since.
    let may_be_empty = options.monitor_interval.is_some() || is_restored;
    let mut discovery = FileDiscovery { options, known: Arc::new(paths), found: Vec::new(), stage: Stage::Done };
    let listed = joined(discovery.list(may_be_empty).await);
    let files = match listed {
        Err(error) if is_restored && error.kind() == ErrorKind::User => Vec::new(),
        listed => listed?,
    };
    discovery.stage = discovery.listed(files, 1);
    Ok(Box::new(discovery))
}

struct FileDiscovery {
    options: Arc<SourceOptions>,
    /// Files that have been announced.
    known: Arc<BTreeSet<Arc<str>>>,
    /// Splits that are to be announced.
    found: Vec<Split>,
    stage: Stage,
}

enum Stage {
    /// Nothing is looked for before this moment.
    Waiting { until: Instant, listings: u32 },
    /// The path is listed, so many times in a row including this one.
    Listing { thread: JoinHandle<Result<Vec<NewFile>>>, listings: u32 },
    /// What was found can be announced.
    Settled,
    /// Nothing more is looked for.
    Done,
}

/// A file that was not known, and its ranges.
struct NewFile {
    file: FileInfo,
    ranges: Vec<FileRange>,
}

impl FileDiscovery {
    fn list(&self, may_be_empty: bool) -> JoinHandle<Result<Vec<NewFile>>> {
        let (options, known) = (self.options.clone(), self.known.clone());
        begin(move || new_files(&options, &known, may_be_empty))
    }

    /// Takes over what a listing has found, the `listings`th in a row. Returns what is done next.
    fn listed(&mut self, files: Vec<NewFile>, listings: u32) -> Stage {
        let is_new = !files.is_empty();
        let known = Arc::make_mut(&mut self.known);
        for NewFile { file, ranges } in files {
            for range in ranges {
                known.insert(range.path.clone());
                self.found.push(Split {
                    name: range.name(),
                    sequence: range.path.clone(),
                    description: file.modified.to_string(),
                });
            }
        }
        match self.options.monitor_interval {
            None => Stage::Settled,
            Some(interval) if is_new && listings < LISTINGS => {
                Stage::Waiting { until: Instant::now() + interval.min(SETTLED), listings }
            }
            Some(_) if !self.found.is_empty() => Stage::Settled,
            Some(interval) => Stage::Waiting { until: Instant::now() + interval, listings: 0 },
        }
    }
}

#[async_trait]
impl SplitDiscovery for FileDiscovery {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        // All that is known is in `self`, so that a dropped wait loses nothing.
        loop {
            self.stage = match &mut self.stage {
                Stage::Waiting { until, listings } => {
                    sleep_until(*until).await;
                    let listings = *listings + 1;
                    Stage::Listing { thread: self.list(true), listings }
                }
                Stage::Listing { thread, listings } => {
                    let (files, listings) = (joined(thread.await)?, *listings);
                    self.listed(files, listings)
                }
                Stage::Settled => {
                    self.stage = match self.options.monitor_interval {
                        None => Stage::Done,
                        Some(interval) => Stage::Waiting { until: Instant::now() + interval, listings: 0 },
                    };
                    // In order of their paths, however they were seen.
                    self.found.sort_by(|left, right| left.sequence.cmp(&right.sequence));
                    return Ok(Some(std::mem::take(&mut self.found)));
                }
                Stage::Done => return Ok(None),
            }
        }
    }
}

/// The files that are not among `known`. Empty ones are passed over, and seen again once they are not.
///
/// # Errors
/// If the path is wrong or cannot be read, or a file is not what its format says.
fn new_files(options: &SourceOptions, known: &BTreeSet<Arc<str>>, may_be_empty: bool) -> Result<Vec<NewFile>> {
    let mut found = Vec::new();
    for file in listing::list(&options.path, may_be_empty)? {
        if file.size == 0 || known.contains(file.path.as_str()) {
            continue;
        }
        let (units, length) = first_cut(options, &file)?;
        found.push(NewFile { ranges: cut(&file.path, file.size, units, length), file });
    }
    Ok(found)
}

/// How many units the file has, and how many of them make a range.
fn first_cut(options: &SourceOptions, file: &FileInfo) -> Result<(u64, Option<u64>)> {
    let whole = options.split_size == 0 || file.size <= options.split_size || !options.can_be_cut(file.name());
    match units(options, file)? {
        _ if whole => Ok((1, None)),
        None => Ok((file.size, Some(options.split_size))),
        Some(units) => {
            let length = u128::from(options.split_size) * u128::from(units) / u128::from(file.size);
            Ok((units, Some(u64::try_from(length).unwrap_or(u64::MAX).max(1))))
        }
    }
}

/// Row groups or record batches in the file; `None` if it is counted in bytes.
fn units(options: &SourceOptions, file: &FileInfo) -> Result<Option<u64>> {
    match options.format {
        Format::Json { .. } | Format::Csv(_) => Ok(None),
        Format::Parquet => Columnar::Parquet.units(&file.path).map(Some),
        Format::Arrow => Columnar::Arrow.units(&file.path).map(Some),
    }
}
