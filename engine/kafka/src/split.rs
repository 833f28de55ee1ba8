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

/// How far a partition has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The next offset.
    pub(crate) offset: i64,
    /// The last place in the sequence of records, where they replace each other.
    pub(crate) sequence: Option<Sequence>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.offset)?;
        self.sequence.map_or(Ok(()), |Sequence(last)| write!(f, "@{last}"))
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0).ok_or(());
        let Some((offset, last)) = text.split_once('@') else {
            return Ok(Self { offset: number(text)?, sequence: None });
        };
        Ok(Self { offset: number(offset)?, sequence: Some(Sequence(number(last)?)) })
    }
}

/// Places of a partition's records in an order that goes by their offsets, and of records of several partitions by when they were written,
/// as far as that goes along with it. A place is a number of milliseconds, and in its last [bits](Self::BITS) a count of records that were not
/// written later than those before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sequence(i64);

impl Sequence {
    const BITS: u32 = 20;
    /// In the year 2109.
    const LAST: i64 = (1 << (62 - Self::BITS)) - 1;

    /// The place of the next row, of a record that was written so many milliseconds behind 1970.
    pub(crate) fn next(&mut self, written: Option<i64>) -> i64 {
        let by_time = written.unwrap_or(0).clamp(0, Self::LAST) << Self::BITS;
        self.0 = by_time.max(self.0.saturating_add(1));
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_position_says_all() {
        for (text, sequence) in [("7", None), ("7@0", Some(Sequence(0))), ("7@12", Some(Sequence(12)))] {
            assert_eq!(text.parse(), Ok(Position { offset: 7, sequence }));
            assert_eq!(Position { offset: 7, sequence }.to_string(), text);
        }
        for text in ["", "-1", "x", "7@", "7@-1", "7@x", "@7"] {
            assert_eq!(text.parse::<Position>(), Err(()), "{text}");
        }
    }

    #[test]
    fn places_go_by_offset_and_between_partitions_by_time() {
        let (mut one, mut other) = (Sequence::default(), Sequence::default());
        let ones = [Some(5), Some(5), Some(3), None, Some(9), Some(i64::MIN)].map(|time| one.next(time));
        assert!(ones.is_sorted_by(|left, right| left < right), "{ones:?}");
        let others = [4, 6, 10].map(|time| other.next(Some(time)));
        assert!(others[0] < ones[0] && ones[3] < others[1] && others[1] < ones[4] && ones[5] < others[2]);
        // A clock that is wrong costs the comparison with other partitions and nothing else.
        let far = [i64::MAX, 5, 6].map(|time| one.next(Some(time)));
        assert!(far.is_sorted_by(|left, right| left < right), "{far:?}");
    }

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
