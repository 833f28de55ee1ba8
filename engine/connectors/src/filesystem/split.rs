//! Splits: ranges of files, named so that a checkpoint's names are enough to go on.
//!
//! A split is called `path#index:start-end@size`. `size` is the file's size when it was first seen, in bytes. The range
//! counts bytes in text files, row groups in Parquet, record batches in Arrow IPC; without `end` it goes to the end of
//! the file as it was seen. The ranges of a file are one sequence, named after the file. A split is described by what else was seen of
//! the file ([`Seen`](super::seen::Seen)).

use std::sync::Arc;

/// A range of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileRange {
    /// The file.
    pub(super) path: Arc<str>,
    /// Number of the range in its file, from 0.
    pub(super) index: u64,
    /// First unit of the range.
    pub(super) start: u64,
    /// First unit behind the range; `None`: it goes to the file's end.
    pub(super) end: Option<u64>,
    /// The file's size in bytes when it was first seen.
    pub(super) size: u64,
}

impl FileRange {
    /// Its name.
    pub(super) fn name(&self) -> Arc<str> {
        let end = self.end.map(|end| end.to_string()).unwrap_or_default();
        format!("{}#{}:{}-{end}@{}", self.path, self.index, self.start, self.size).into()
    }

    /// The range of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (path, rest) = name.rsplit_once('#')?;
        let (index, rest) = rest.split_once(':')?;
        let (start, rest) = rest.split_once('-')?;
        let (end, size) = rest.split_once('@')?;
        Some(Self {
            path: path.into(),
            index: index.parse().ok()?,
            start: start.parse().ok()?,
            end: if end.is_empty() { None } else { Some(end.parse().ok()?) },
            size: size.parse().ok()?,
        })
    }
}

/// Cuts a file of `size` bytes and `units` units into ranges of `length` units; `None`: into one.
pub(super) fn cut(path: &str, size: u64, units: u64, length: Option<u64>) -> Vec<FileRange> {
    let path: Arc<str> = path.into();
    let length = length.unwrap_or(units).max(1);
    let ranges = units.div_ceil(length).max(1);
    (0..ranges)
        .map(|index| FileRange {
            path: path.clone(),
            index,
            start: index * length,
            end: (index + 1 < ranges).then_some((index + 1) * length),
            size,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_all() {
        for split in cut("/data/odd#name:1-2@3.csv", 100, 100, Some(30)) {
            assert_eq!(FileRange::parse(&split.name()), Some(split.clone()));
        }
        assert_eq!(FileRange::parse("x"), None);
        assert_eq!(FileRange::parse("x#0:a-@5"), None);
    }

    #[test]
    fn ranges_cover_a_file_once() {
        for units in 1..50 {
            for length in 1..60 {
                let splits = cut("f", units, units, Some(length));
                assert_eq!(splits[0].start, 0);
                assert_eq!(splits[splits.len() - 1].end, None);
                assert!(splits.iter().all(|split| split.start < units));
                for pair in splits.windows(2) {
                    assert_eq!(pair[0].end, Some(pair[1].start));
                }
            }
        }
    }
}
