//! Where reading begins and ends, as the table's options say.

use std::collections::BTreeMap;

use weir_connectors::options::Options;
use weir_core::Result;

pub(crate) const STARTUP_MODE: &str = "scan.startup.mode";
pub(crate) const STARTUP_TIMESTAMP: &str = "scan.startup.timestamp-millis";
pub(crate) const STARTUP_OFFSETS: &str = "scan.startup.specific-offsets";
pub(crate) const BOUNDED_MODE: &str = "scan.bounded.mode";
pub(crate) const BOUNDED_TIMESTAMP: &str = "scan.bounded.timestamp-millis";
pub(crate) const BOUNDED_OFFSETS: &str = "scan.bounded.specific-offsets";

/// A place in every partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first record that is there.
    Earliest,
    /// Behind the last one.
    Latest,
    /// What the consumer group has committed.
    Group,
    /// The first record that is not earlier, in milliseconds since 1970.
    Timestamp(i64),
    /// An offset of each partition.
    Specific(BTreeMap<i32, i64>),
}

/// What becomes of an offset that is not there: it was never committed, or its records were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    /// The job fails.
    Fail,
    /// It goes on with the first record that is there.
    Earliest,
    /// It goes on behind the last one.
    Latest,
}

/// Where a table begins.
///
/// # Errors
/// A user error that names the wrong option.
pub(crate) fn startup(options: &Options<'_>) -> Result<Place> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mode {
        Earliest,
        Latest,
        Group,
        Timestamp,
        Specific,
    }
    let modes = [
        ("earliest-offset", Mode::Earliest),
        ("latest-offset", Mode::Latest),
        ("group-offsets", Mode::Group),
        ("timestamp", Mode::Timestamp),
        ("specific-offsets", Mode::Specific),
    ];
    let mode = options.choice(STARTUP_MODE, &modes)?.unwrap_or(Mode::Group);
    only_with(options, STARTUP_TIMESTAMP, STARTUP_MODE, "timestamp", mode == Mode::Timestamp)?;
    only_with(options, STARTUP_OFFSETS, STARTUP_MODE, "specific-offsets", mode == Mode::Specific)?;
    Ok(match mode {
        Mode::Earliest => Place::Earliest,
        Mode::Latest => Place::Latest,
        Mode::Group => Place::Group,
        Mode::Timestamp => Place::Timestamp(timestamp(options, STARTUP_TIMESTAMP)?),
        Mode::Specific => Place::Specific(specific(options, STARTUP_OFFSETS)?),
    })
}

/// Where a table ends; `None`: nowhere.
///
/// # Errors
/// A user error that names the wrong option.
pub(crate) fn bounded(options: &Options<'_>) -> Result<Option<Place>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mode {
        Unbounded,
        Latest,
        Group,
        Timestamp,
        Specific,
    }
    let modes = [
        ("unbounded", Mode::Unbounded),
        ("latest-offset", Mode::Latest),
        ("group-offsets", Mode::Group),
        ("timestamp", Mode::Timestamp),
        ("specific-offsets", Mode::Specific),
    ];
    let mode = options.choice(BOUNDED_MODE, &modes)?.unwrap_or(Mode::Unbounded);
    only_with(options, BOUNDED_TIMESTAMP, BOUNDED_MODE, "timestamp", mode == Mode::Timestamp)?;
    only_with(options, BOUNDED_OFFSETS, BOUNDED_MODE, "specific-offsets", mode == Mode::Specific)?;
    Ok(match mode {
        Mode::Unbounded => None,
        Mode::Latest => Some(Place::Latest),
        Mode::Group => Some(Place::Group),
        Mode::Timestamp => Some(Place::Timestamp(timestamp(options, BOUNDED_TIMESTAMP)?)),
        Mode::Specific => Some(Place::Specific(specific(options, BOUNDED_OFFSETS)?)),
    })
}

/// An option that means nothing in another mode is likely a slip.
fn only_with(options: &Options<'_>, name: &str, mode: &str, value: &str, is_it: bool) -> Result<()> {
    match options.text(name) {
        Some(_) if !is_it => Err(options.error(name, format!("read only with '{mode}' = '{value}'"))),
        _ => Ok(()),
    }
}

fn timestamp(options: &Options<'_>, name: &str) -> Result<i64> {
    options.required(name)?;
    Ok(options.number(name, 0, i64::MAX)?.unwrap_or_default())
}

fn specific(options: &Options<'_>, name: &str) -> Result<BTreeMap<i32, i64>> {
    options.required(name)?;
    let wrong = "not a list like 'partition:0,offset:42;partition:1,offset:300'";
    Ok(options.parse(name, wrong, parse_specific)?.unwrap_or_default())
}

/// `partition:0,offset:42;partition:1,offset:300`.
fn parse_specific(text: &str) -> Option<BTreeMap<i32, i64>> {
    let mut offsets = BTreeMap::new();
    for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (partition, offset) = entry.split_once(',')?;
        let partition =
            partition.trim().strip_prefix("partition:")?.trim().parse().ok().filter(|number| *number >= 0)?;
        let offset = offset.trim().strip_prefix("offset:")?.trim().parse().ok().filter(|number| *number >= 0)?;
        if offsets.insert(partition, offset).is_some() {
            return None;
        }
    }
    (!offsets.is_empty()).then_some(offsets)
}
