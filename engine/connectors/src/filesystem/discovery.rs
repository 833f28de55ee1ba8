//! Which splits there are: files are listed once, or watched for, and cut into ranges.
//!
//! Files that are moved into a watched folder together should be known together, for what the watermark does depends on which
//! files are known. A listing that falls between two of these moves sees a part of them. So when something new was seen, the
//! folder is listed again after a moment, until nothing more has come, though not for ever.
//!
//! A watched folder may be away for a while, as when a network file system is: it is looked for again and again, and only when it
//! stays away for long is that an error, of the environment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use weir_core::connector::{DiscoveryContext, Split, SplitDiscovery};
use weir_core::{Attempt, Error, ErrorKind, Result, TableSpec};

use super::joined;
use super::known::{KnownFiles, Modified, oldest};
use super::listing::{self, FileInfo, Listing};
use super::options::{Format, SourceOptions, file_error};
use super::seen::{Seen, Stamp};
use super::split::{FileRange, cut};
use super::store::FileStore;
use crate::blocking::begin;
use crate::formats::decode::columnar::Columnar;
use crate::stored_file::StoredFile;

/// After this pause without a new file, those that were seen before are announced.
const SETTLED: Duration = Duration::from_millis(100);

/// Listings after which files are announced though more of them are still coming.
const LISTINGS: u32 = 10;

/// A watched folder that cannot be listed for longer than this is an error.
const AWAY: Duration = Duration::from_secs(30);

/// Opens the discovery of a table, and looks for files.
///
/// # Errors
/// If the options are wrong, or the path cannot be read.
pub(super) async fn open(
    table: &TableSpec,
    context: DiscoveryContext,
    files: Arc<dyn FileStore>,
) -> Result<Box<dyn SplitDiscovery>> {
    let options = Arc::new(SourceOptions::read(table)?);
    let is_restored = !context.known.is_empty();
    let was_there = is_restored || context.attempt > Attempt(1);
    let modified =
        |split: &Split| (split.sequence.clone(), Seen::parse(&split.description).map_or(0, |seen| seen.modified));
    let known = context.known.iter().map(modified).collect();
    let mut discovery = FileDiscovery {
        options: options.clone(),
        files,
        known: KnownFiles::new(known, options.forget_after, options.max_file_age),
        found: Vec::new(),
        away_since: None,
        is_awaited: is_restored,
        stage: Stage::Done,
    };
    let listing = joined(discovery.list().await)?;
    discovery.stage = match (listing, options.monitor_interval) {
        (Listing::Missing, Some(interval)) if was_there => discovery.away(interval, None)?,
        // A table whose files have all been read may have lost them since.
        (Listing::Missing | Listing::NoMatch, None) if is_restored => discovery.listed(Found::default(), 1),
        (listing, interval) => discovery.listed(listing.files(&options.path, interval.is_some(), was_there)?, 1),
    };
    Ok(Box::new(discovery))
}

struct FileDiscovery {
    options: Arc<SourceOptions>,
    files: Arc<dyn FileStore>,
    /// Files that have been announced.
    known: KnownFiles,
    /// Splits that are to be announced.
    found: Vec<Split>,
    /// Splits that are known wait for the first answer, whether there is anything new or not.
    is_awaited: bool,
    /// Since when the watched folder cannot be listed.
    away_since: Option<Instant>,
    stage: Stage,
}

enum Stage {
    /// Nothing is looked for before this moment.
    Waiting { until: Instant, listings: u32 },
    /// The path is listed, so many times in a row including this one.
    Listing { thread: JoinHandle<Result<Listing<Found>>>, listings: u32 },
    /// What was found can be announced.
    Settled,
    /// Nothing more is looked for.
    Done,
}

/// What a listing has found.
#[derive(Default)]
pub(super) struct Found {
    /// Files that were not known, and their ranges.
    new: Vec<(Seen, Vec<FileRange>)>,
    /// Files that are known and are not there.
    missing: BTreeSet<Arc<str>>,
    /// There are files, whether they are known or not.
    has_files: bool,
}

impl Found {
    /// The ranges of files that were not known, as splits.
    pub(super) fn splits(&self) -> Vec<Split> {
        let of_file = |(seen, ranges): &(Seen, Vec<FileRange>)| {
            let description = seen.description();
            let split = |range: &FileRange| Split {
                name: range.name(),
                sequence: range.path.clone(),
                description: description.clone(),
            };
            ranges.iter().map(split).collect::<Vec<_>>()
        };
        self.new.iter().flat_map(of_file).collect()
    }
}

impl FileDiscovery {
    fn list(&self) -> JoinHandle<Result<Listing<Found>>> {
        let (options, files, known) = (self.options.clone(), self.files.clone(), self.known.modified());
        begin(move || look(&options, &*files, &known))
    }

    /// The watched folder could not be listed, because of `error`, or because there is none. Returns what is done next.
    fn away(&mut self, interval: Duration, error: Option<Error>) -> Result<Stage> {
        let error = error.unwrap_or_else(|| listing::gone(&self.options.path));
        let since = self.away_since.get_or_insert_with(|| {
            tracing::warn!(path = self.options.path, error = error.report(), "a watched folder is away");
            Instant::now()
        });
        if since.elapsed() > AWAY {
            return Err(error);
        }
        // What has come together before it went away is still announced together.
        Ok(Stage::Waiting { until: Instant::now() + interval, listings: 0 })
    }

    /// Takes over what a listing has found, the `listings`th in a row. Returns what is done next.
    fn listed(&mut self, found: Found, listings: u32) -> Stage {
        let is_new = !found.new.is_empty();
        for (seen, ranges) in &found.new {
            ranges.iter().for_each(|range| self.known.add(range.path.clone(), seen.modified));
        }
        self.found.extend(found.splits());
        if found.has_files && self.options.monitor_interval.is_some() {
            self.known.listed(&found.missing);
        }
        match self.options.monitor_interval {
            None => Stage::Settled,
            Some(interval) if is_new && listings < LISTINGS => {
                Stage::Waiting { until: Instant::now() + interval.min(SETTLED), listings }
            }
            Some(_) if !self.found.is_empty() || self.is_awaited => Stage::Settled,
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
                    Stage::Listing { thread: self.list(), listings }
                }
                Stage::Listing { thread, listings } => {
                    let (listing, listings) = (joined(thread.await), *listings);
                    let interval = self.options.monitor_interval.unwrap_or(SETTLED);
                    match listing {
                        Ok(Listing::Missing) => self.away(interval, None)?,
                        Err(error) if error.kind() == ErrorKind::Environment => self.away(interval, Some(error))?,
                        listing => {
                            let found = listing?.files(&self.options.path, true, true)?;
                            self.away_since = None;
                            self.listed(found, listings)
                        }
                    }
                }
                Stage::Settled => {
                    self.stage = match self.options.monitor_interval {
                        None => Stage::Done,
                        Some(interval) => Stage::Waiting { until: Instant::now() + interval, listings: 0 },
                    };
                    self.is_awaited = false;
                    // In order of their paths, however they were seen.
                    self.found.sort_by(|left, right| left.sequence.cmp(&right.sequence));
                    return Ok(Some(std::mem::take(&mut self.found)));
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    fn finished(&mut self, sequence: &Arc<str>) {
        self.known.finish(sequence);
    }

    fn forgotten(&mut self) -> Vec<Arc<str>> {
        self.known.take_forgotten()
    }
}

/// What files there are, and which of them are not among `known`. Empty ones are passed over, and seen again once they are not.
///
/// # Errors
/// If the path is wrong or cannot be read, or a file is not what its format says.
pub(super) fn look(options: &SourceOptions, store: &dyn FileStore, known: &Modified) -> Result<Listing<Found>> {
    let files = match store.list(&options.path)? {
        Listing::Files(files) => files,
        Listing::NoMatch => return Ok(Listing::NoMatch),
        Listing::Missing => return Ok(Listing::Missing),
    };
    let oldest = oldest(known, options.max_file_age);
    let has_files = !files.is_empty();
    let mut missing: BTreeSet<Arc<str>> = known.keys().cloned().collect();
    let mut new = Vec::new();
    for file in files {
        if missing.remove(file.path.as_str()) || file.size == 0 || Some(file.modified) < oldest {
            continue;
        }
        let needs_opening = !file.identity.is_content || columnar(options).is_some();
        let opened = if needs_opening { store.open(&file.path)? } else { None };
        let file = match &opened {
            // It may be another one than was listed.
            Some(opened) => {
                let identity = opened.identity();
                let identity = identity.map_err(|error| file_error(&file.path, "cannot look at this file", error))?;
                FileInfo::new(file.path, identity)
            }
            // It has gone since it was listed.
            None if needs_opening => continue,
            None => file,
        };
        if file.size == 0 {
            continue;
        }
        let seen = Seen { modified: file.modified, stamp: Some(Stamp::take(&file, opened.as_deref())?) };
        let (units, length) = first_cut(options, &file, opened.as_ref())?;
        new.push((seen, cut(&file.path, file.size, units, length)));
    }
    Ok(Listing::Files(Found { new, missing, has_files }))
}

/// How many units the file has, and how many of them make a range.
fn first_cut(
    options: &SourceOptions,
    file: &FileInfo,
    opened: Option<&Arc<dyn StoredFile>>,
) -> Result<(u64, Option<u64>)> {
    let whole = options.split_size == 0 || file.size <= options.split_size || !options.can_be_cut(file.name());
    // Row groups or record batches; text is counted in bytes.
    let units = match (columnar(options), opened) {
        (Some(format), Some(opened)) => Some(format.units(&file.path, opened)?),
        _ => None,
    };
    match units {
        _ if whole => Ok((1, None)),
        None => Ok((file.size, Some(options.split_size))),
        Some(units) => {
            let length = u128::from(options.split_size) * u128::from(units) / u128::from(file.size);
            Ok((units, Some(u64::try_from(length).unwrap_or(u64::MAX).max(1))))
        }
    }
}

/// The format, if it has units of its own.
fn columnar(options: &SourceOptions) -> Option<Columnar> {
    match options.format {
        Format::Json { .. } | Format::Csv(_) => None,
        Format::Parquet => Some(Columnar::Parquet),
        Format::Arrow => Some(Columnar::Arrow),
    }
}
