//! A partition as a split: its name, and where it begins and ends.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use weir_core::{Error, Result, Split};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl TopicPartition {
    /// For messages.
    pub(crate) fn described(&self) -> String {
        format!("topic '{}', partition {}", self.topic, self.partition)
    }
}

impl FromStr for TopicPartition {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (topic, partition) = name.rsplit_once('-').ok_or(())?;
        Ok(Self { topic: topic.into(), partition: partition.parse().map_err(|_| ())? })
    }
}

/// The offsets of a partition that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first.
    pub(crate) start: i64,
    /// Where reading ends; `None`: never.
    pub(crate) stop: Option<Stop>,
}

/// Where reading a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Behind the last offset that is read.
    pub(crate) offset: i64,
    /// The partition had come that far when it was announced. So who is at its end is behind the last record, though the last offsets
    /// may hold none: markers of transactions, records of aborted ones, records that were compacted away.
    pub(crate) is_there: bool,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stop {
            None => write!(f, "{}", self.start),
            Some(Stop { offset, is_there: true }) => write!(f, "{}-{offset}", self.start),
            Some(Stop { offset, is_there: false }) => write!(f, "{}-{offset}+", self.start),
        }
    }
}

impl FromStr for Range {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let offset = |text: &str| text.parse().ok().filter(|offset: &i64| *offset >= 0).ok_or(());
        let Some((start, stop)) = text.split_once('-') else { return Ok(Self { start: offset(text)?, stop: None }) };
        let (stop, is_there) = stop.strip_suffix('+').map_or((stop, true), |stop| (stop, false));
        Ok(Self { start: offset(start)?, stop: Some(Stop { offset: offset(stop)?, is_there }) })
    }
}

/// The split of a partition.
pub(crate) fn split(partition: &TopicPartition, range: Range) -> Split {
    let name: Arc<str> = partition.to_string().into();
    Split { sequence: name.clone(), name, description: range.to_string() }
}

/// Reads a split back.
///
/// # Errors
/// If it is none of ours.
pub(crate) fn parse(split: &Split) -> Result<(TopicPartition, Range)> {
    let unknown = |text: &str| Error::data(format!("'{text}' does not belong to a partition of a topic"));
    let partition = split.name.parse().map_err(|()| unknown(&split.name))?;
    let range = split.description.parse().map_err(|()| unknown(&split.description))?;
    Ok((partition, range))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_split_says_all() {
        let partition = TopicPartition { topic: "a-1.b_c".into(), partition: 12 };
        for stop in [None, Some(Stop { offset: 9, is_there: true }), Some(Stop { offset: 9, is_there: false })] {
            let range = Range { start: 7, stop };
            assert_eq!(parse(&split(&partition, range)).unwrap(), (partition.clone(), range));
        }
        for (name, description) in [("a", "1"), ("a-x", "1"), ("a-1", ""), ("a-1", "-1"), ("a-1", "1-"), ("a-1", "1-x")]
        {
            let split = Split { name: name.into(), sequence: name.into(), description: description.into() };
            assert!(parse(&split).is_err(), "{name} {description}");
        }
    }
}
