//! Which splits there are: those of files that have just been seen, and those that a checkpoint names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_core::connector::SplitPosition;
use weir_core::{Error, Result};

use super::listing::{self, FileInfo};
use super::options::{Format, SourceOptions};
use super::reader::{Assigned, changed};
use super::split::{Split, cut};
use crate::formats::decode::columnar::Columnar;

/// A position as it is stored: `place;modified`, where `place` is empty at the beginning of a split and `modified` is
/// the file's time of modification.
pub(super) fn write_position(place: Option<u64>, modified: i64) -> String {
    format!("{};{modified}", place.map(|place| place.to_string()).unwrap_or_default())
}

fn read_position(text: &str) -> Option<(Option<u64>, i64)> {
    let (place, modified) = text.split_once(';')?;
    let place = if place.is_empty() { None } else { Some(place.parse().ok()?) };
    Some((place, modified.parse().ok()?))
}

/// Splits of one subtask.
#[derive(Default)]
pub(super) struct Found {
    /// What is to be read, in order of files and places.
    pub(super) open: Vec<Assigned>,
    /// What has been read.
    pub(super) finished: Vec<SplitPosition>,
    /// All files that were seen, also those that others read.
    pub(super) paths: BTreeSet<Arc<str>>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subtask {
    pub(super) index: usize,
    pub(super) parallelism: usize,
}

impl Subtask {
    fn reads(self, split: &Split) -> bool {
        split.subtask(self.parallelism) == self.index
    }
}

/// The splits of files that are not among `known`. Empty files are passed over, and seen again once they are not.
///
/// # Errors
/// If the path is wrong or cannot be read, or a file is not what its format says.
pub(super) fn discover(
    options: &SourceOptions,
    known: &BTreeSet<Arc<str>>,
    subtask: Subtask,
    may_be_empty: bool,
) -> Result<Found> {
    let mut found = Found::default();
    for file in listing::list(&options.path, may_be_empty)? {
        if file.size == 0 || known.contains(file.path.as_str()) {
            continue;
        }
        let (units, length) = first_cut(options, &file)?;
        let splits = cut(&file.path, file.size, units, length);
        found.paths.insert(file.path.as_str().into());
        found.open.extend(splits.into_iter().filter(|split| subtask.reads(split)).map(|split| Assigned {
            name: split.name(),
            split,
            file: file.clone(),
            place: None,
        }));
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

/// The splits that a checkpoint names, and those that are missing between them: a subtask that had not seen a file yet
/// has no positions in it.
///
/// # Errors
/// A data error for a file that is to be read on and was changed, and one of the environment if it is gone.
pub(super) fn restore(options: &SourceOptions, restored: &[SplitPosition], subtask: Subtask) -> Result<Found> {
    let mut files: BTreeMap<Arc<str>, BTreeMap<u64, (Split, &SplitPosition)>> = BTreeMap::new();
    for position in restored {
        let split = Split::parse(&position.split)
            .ok_or_else(|| Error::internal(format!("'{}' is not the name of a split", position.split)))?;
        files.entry(split.path.clone()).or_default().insert(split.index, (split, position));
    }
    let mut found = Found::default();
    for (path, named) in files {
        found.paths.insert(path.clone());
        let is_complete = named.keys().copied().eq(0..named.len() as u64)
            && named.last_key_value().is_some_and(|(_, (split, _))| split.end.is_none());
        let all = if is_complete {
            named.values().map(|(split, _)| split.clone()).collect()
        } else {
            recut(options, &path, named.values().map(|(split, _)| split))?
        };
        for split in all.into_iter().filter(|split| subtask.reads(split)) {
            let position = named.get(&split.index).map(|(_, position)| *position);
            match position {
                Some(position) if position.finished => found.finished.push(position.clone()),
                position => found.open.push(resume(split, position)?),
            }
        }
    }
    Ok(found)
}

fn recut<'a>(options: &SourceOptions, path: &str, named: impl Iterator<Item = &'a Split>) -> Result<Vec<Split>> {
    let mut size = 0;
    let mut length = None;
    for split in named {
        size = split.size;
        length = length.or(split.siblings());
    }
    let file = FileInfo { path: path.to_owned(), size, modified: 0 };
    let units = match length {
        None => 1,
        Some(_) => units(options, &file)?.unwrap_or(size),
    };
    Ok(cut(path, size, units, length))
}

fn resume(split: Split, position: Option<&SplitPosition>) -> Result<Assigned> {
    let file = FileInfo::look(&split.path)?;
    let place = match position {
        None => None,
        Some(position) => {
            let (place, modified) = read_position(&position.position)
                .ok_or_else(|| Error::internal(format!("'{}' is not a position", position.position)))?;
            if file.size == split.size && file.modified != modified {
                return Err(changed(&split.path, split.size));
            }
            place
        }
    };
    // What was appended since is not read.
    if file.size < split.size {
        return Err(changed(&split.path, split.size));
    }
    Ok(Assigned { name: split.name(), split, file, place })
}
