//! The rows that frames hold, as positions in the order of a partition.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use weir_core::{Error, FramedCall, FramedFunction, OverBound, OverFunction, OverRows, Result, SortKey};

use super::partition::Entry;
use super::rows::Rows;

/// The rows from one position to another.
pub(super) type Bounds = Range<usize>;

/// Where a row is in the value that rows are ordered by. It grows along the order, whatever its direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Distance {
    /// No number, and in front of all numbers.
    Before,
    Whole(i128),
    Double(f64),
    /// No number, and behind all numbers.
    After,
}

impl Distance {
    fn order(self, other: Self) -> Ordering {
        let rank = |distance| match distance {
            Self::Before => 0,
            Self::Whole(_) | Self::Double(_) => 1,
            Self::After => 2,
        };
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// So far behind it; `None` if it is no number.
    fn moved(self, by: OverBound) -> Option<Self> {
        match (self, by) {
            (Self::Whole(value), OverBound::Whole(by)) => Some(Self::Whole(value.saturating_add(i128::from(by)))),
            (Self::Double(value), OverBound::Double(by)) => Some(Self::Double(value + f64::from_bits(by))),
            _ => None,
        }
    }
}

/// How distances are read of rows.
pub(super) struct Distances(SortKey);

impl Distances {
    /// If a frame is bounded by one.
    pub(super) fn of(calls: &[FramedCall], order: &[SortKey]) -> Option<Self> {
        let is_distance = |bound| matches!(bound, OverBound::Whole(_) | OverBound::Double(_));
        let needs = |call: &FramedCall| {
            let OverRows { by_range, start, end } = call.frame;
            by_range && (is_distance(start) || is_distance(end))
        };
        calls.iter().any(needs).then(|| order.first().map(|key| Self(key.clone()))).flatten()
    }

    pub(super) fn of_rows(&self, records: &RecordBatch) -> Result<Vec<Distance>> {
        let SortKey { column, descending, nulls_first } = self.0;
        let column = records.column(column);
        let null = if nulls_first { Distance::Before } else { Distance::After };
        let not_a_number = if descending { Distance::Before } else { Distance::After };
        let double = |value: f64| match value.is_nan() {
            true => not_a_number,
            false => Distance::Double(if descending { -value } else { value }),
        };
        let mut distances: Vec<Distance> = match column.data_type() {
            data_type if data_type.is_floating() => {
                let doubles = cast(column, &DataType::Float64)?;
                doubles.as_primitive::<Float64Type>().values().iter().map(|value| double(*value)).collect()
            }
            _ => {
                let values = whole(column)?.into_iter();
                values.map(|value| Distance::Whole(if descending { value.saturating_neg() } else { value })).collect()
            }
        };
        if let Some(nulls) = column.logical_nulls() {
            for row in (0..column.len()).filter(|row| nulls.is_null(*row)) {
                distances[row] = null;
            }
        }
        Ok(distances)
    }
}

/// Whole numbers, decimals without their point, times in their unit.
fn whole(column: &ArrayRef) -> Result<Vec<i128>> {
    let from = |numbers: &[i64]| numbers.iter().map(|number| i128::from(*number)).collect();
    Ok(match column.data_type() {
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().values().to_vec(),
        DataType::UInt64 => {
            column.as_primitive::<UInt64Type>().values().iter().map(|number| i128::from(*number)).collect()
        }
        // Of 32 bits, and cast to 64 by way of them.
        DataType::Date32 | DataType::Time32(_) => {
            from(cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?.as_primitive::<Int64Type>().values())
        }
        data_type if data_type.is_integer() || data_type.is_temporal() => {
            from(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().values())
        }
        other => return Err(Error::internal(format!("there is no distance between values of {other}"))),
    })
}

/// The rows of a partition at one time.
pub(super) struct List<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) index: &'a [u32],
    pub(super) rows: &'a Rows,
}

impl List<'_> {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn entry(&self, row: usize) -> &Entry {
        &self.entries[self.index[row] as usize]
    }

    /// Whether the row is equal in the order to the one before it.
    pub(super) fn is_peer(&self, row: usize) -> bool {
        row > 0 && self.entry(row - 1).order() == self.entry(row).order()
    }

    /// The first row that is not `before`.
    fn first(&self, before: impl Fn(&Entry) -> bool) -> usize {
        self.index.partition_point(|index| before(&self.entries[*index as usize]))
    }

    fn distance(&self, row: usize) -> Distance {
        self.rows.distance(self.entry(row).slot)
    }

    fn first_by_distance(&self, before: impl Fn(Distance) -> bool) -> usize {
        self.first(|entry| before(self.rows.distance(entry.slot)))
    }

    /// Rows that are equal to this one in the order.
    fn peers(&self, row: usize) -> Bounds {
        let order = self.entry(row).order();
        self.first(|entry| entry.order() < order)..self.first(|entry| entry.order() <= order)
    }
}

/// The rows that are equal to a row.
pub(super) const PEERS: OverRows = OverRows { by_range: true, start: OverBound::Current, end: OverBound::Current };

/// What a frame means for a function: some have one of their own.
pub(super) fn of_call(call: &FramedCall) -> OverRows {
    let rows = |start, end| OverRows { by_range: false, start, end };
    let at = |distance| rows(OverBound::Whole(distance), OverBound::Whole(distance));
    let distance = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    match &call.function {
        FramedFunction::PercentRank | FramedFunction::CumeDist | FramedFunction::Ntile(_) => OverRows::ALL,
        FramedFunction::Over(function) => match function {
            OverFunction::RowNumber => rows(OverBound::Unbounded, OverBound::Current),
            OverFunction::Rank | OverFunction::DenseRank => {
                OverRows { by_range: true, start: OverBound::Unbounded, end: OverBound::Current }
            }
            OverFunction::Lag(rows) => at(-distance(*rows)),
            OverFunction::Lead(rows) => at(distance(*rows)),
            OverFunction::LastBefore => rows(OverBound::Unbounded, OverBound::Whole(-1)),
            _ => call.frame,
        },
        FramedFunction::NthValue(_) | FramedFunction::NthPresent { .. } | FramedFunction::Aggregate(_) => call.frame,
    }
}

/// So many positions further, within `0..=len`.
fn moved(row: usize, by: i64, len: usize) -> usize {
    let place = (row as i64).saturating_add(by).max(0);
    usize::try_from(place).map_or(len, |place| place.min(len))
}

/// The first row of the frame of a row. It never goes back from a row to the next.
pub(super) fn start(frame: OverRows, list: &List<'_>, row: usize) -> usize {
    match frame.start {
        OverBound::Unbounded => 0,
        OverBound::Current if !frame.by_range => row,
        OverBound::Whole(by) if !frame.by_range => moved(row, by, list.len()),
        OverBound::Current => list.peers(row).start,
        by => match list.distance(row).moved(by) {
            Some(least) => list.first_by_distance(|distance| distance.order(least) == Ordering::Less),
            None => list.peers(row).start,
        },
    }
}

/// Behind the last row of the frame of a row. It never goes back either.
pub(super) fn end(frame: OverRows, list: &List<'_>, row: usize) -> usize {
    match frame.end {
        OverBound::Unbounded => list.len(),
        OverBound::Current if !frame.by_range => row + 1,
        OverBound::Whole(by) if !frame.by_range => moved(row + 1, by, list.len()),
        OverBound::Current => list.peers(row).end,
        by => match list.distance(row).moved(by) {
            Some(greatest) => list.first_by_distance(|distance| distance.order(greatest) != Ordering::Greater),
            None => list.peers(row).end,
        },
    }
}

/// The frames of some rows, one after the other. Equal rows have equal ones where the frame goes by them.
pub(super) fn bounds(frame: OverRows, list: &List<'_>, rows: Range<usize>) -> Vec<Bounds> {
    let mut bounds: Vec<Bounds> = Vec::with_capacity(rows.len());
    let first = rows.start;
    for row in rows {
        let same = if frame.by_range && row > first && list.is_peer(row) { bounds.last().cloned() } else { None };
        bounds.push(same.unwrap_or_else(|| {
            let start = start(frame, list, row);
            start..end(frame, list, row).max(start)
        }));
    }
    bounds
}

/// Which rows have a changed row in a frame, or are one themselves: of a list that is the same as another one up to `front`, and
/// again in the last `back` rows. Returns the first one, and how many of the last ones.
pub(super) fn affected(frame: OverRows, list: &List<'_>, front: usize, back: usize) -> (usize, usize) {
    let rest = list.len() - back;
    let first = partition_point(0..front, |row| end(frame, list, row) <= front);
    let last = partition_point(rest..list.len(), |row| start(frame, list, row) < rest);
    (first, last - rest)
}

/// The first row for which `holds` no longer does.
fn partition_point(rows: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
