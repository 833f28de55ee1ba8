//! From rows and their frames to the columns of results.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use weir_core::{
    AggregateCall, AggregateFunction, Error, FramedCall, FramedFunction, OverBound, OverCall, OverFrame, OverFunction,
    OverRows, Result,
};
use weir_functions::Functions;

use super::super::call::{Call, Values};
use super::super::tally::{Outcome, Value};
use super::folds::{grouped, running, tallied};
use super::frame::{Bounds, of_call};
use crate::aggregate::{Accumulator, accumulator};
use crate::batches::with_schema;

/// The calls, fixed by the plan.
pub(super) struct Calls {
    calls: Vec<Planned>,
    /// Columns of the input that they read.
    pub(super) reads: Vec<usize>,
    read_schema: SchemaRef,
    has_default: bool,
    /// Whether one asks how many rows are equal.
    pub(super) asks_peers: bool,
    /// Whether one asks how many different values there are in front.
    pub(super) asks_distinct: bool,
}

struct Planned {
    frame: OverRows,
    function: Function,
    data_type: DataType,
}

enum Function {
    /// What follows from the place of the row alone.
    Position(Position),
    /// The value of the so many-th row of the frame, from 0.
    Nth(Call, usize),
    /// The so many-th value of the frame that is not null, from 1; whether from the last one.
    NthPresent(Call, usize, bool),
    Tally(Call),
    Aggregate(Box<dyn Accumulator>),
    /// An aggregate that comes to the same however its rows are told, of frames that begin with the partition.
    Running(Box<dyn Accumulator>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile(u64),
}

/// Rows of a partition that get a result. Their frames lie within rows that stand together: the context.
pub(super) struct Segment {
    /// Where the context begins among all rows that were gathered.
    pub(super) base: usize,
    /// The first row of the context, as a position in the partition.
    pub(super) first: usize,
    /// The rows, as positions in the partition.
    pub(super) rows: Range<usize>,
    /// How many rows the partition has.
    pub(super) total: usize,
    /// Which rows are equal to each, if it is asked.
    pub(super) peers: Vec<Bounds>,
    /// How many different values are in front of the first row, if it is asked.
    pub(super) distinct: usize,
    /// For each call the frame of each row.
    pub(super) bounds: Vec<Vec<Bounds>>,
}

impl Segment {
    /// Where a row of the partition is among those that were gathered.
    pub(super) fn in_context(&self, row: usize) -> usize {
        self.base + row - self.first
    }
}

impl Calls {
    pub(super) fn new(calls: &[FramedCall], input: &SchemaRef, functions: &Functions) -> Result<Self> {
        let mut reads: Vec<usize> = Vec::new();
        for call in calls {
            reads.extend(call.argument.iter().chain(&call.default));
            if let FramedFunction::Aggregate(call) = &call.function {
                reads.extend(call.arguments.iter().chain(&call.filter));
                reads.extend(call.order_by.iter().map(|(column, ..)| column));
            }
        }
        reads.sort_unstable();
        reads.dedup();
        let read_schema = Arc::new(input.project(&reads)?);
        let planned =
            calls.iter().map(|call| planned(call, &reads, &read_schema, functions)).collect::<Result<Vec<_>>>()?;
        let asks = |wanted: &[Position]| {
            planned
                .iter()
                .any(|call| matches!(call.function, Function::Position(position) if wanted.contains(&position)))
        };
        Ok(Self {
            has_default: calls.iter().any(|call| call.default.is_some()),
            asks_peers: asks(&[Position::Rank, Position::DenseRank, Position::PercentRank, Position::CumeDist]),
            asks_distinct: asks(&[Position::DenseRank]),
            calls: planned,
            reads,
            read_schema,
        })
    }

    /// The frames, by call, and whether the call reads the rows in them.
    pub(super) fn frames(&self) -> impl Iterator<Item = (OverRows, bool)> {
        self.calls.iter().map(|call| (call.frame, !matches!(call.function, Function::Position(_))))
    }

    /// A column for each call, with a result for each row of the segments. `columns` are those that are read, of all contexts; `computed`
    /// says which rows of them get a result.
    pub(super) fn results(
        &self,
        segments: &[Segment],
        columns: Vec<ArrayRef>,
        rows: usize,
        computed: &[u32],
    ) -> Result<Vec<ArrayRef>> {
        let records = with_schema(&self.read_schema, columns, rows)?;
        // Beside each result, where defaults are looked up.
        let beside = match self.has_default {
            true => take_record_batch(&records, &UInt32Array::from(computed.to_vec()))?,
            false => RecordBatch::new_empty(self.read_schema.clone()),
        };
        let result = |(index, call): (usize, &Planned)| {
            let column = match &call.function {
                Function::Position(position) => positions(*position, segments),
                Function::Nth(call, number) => {
                    call.column(nth(&call.values(&records)?, *number, index, segments), &beside)?
                }
                Function::NthPresent(call, number, from_last) => {
                    let values = call.values(&records)?;
                    call.column(nth_present(&values, rows, (*number, *from_last), (index, segments)), &beside)?
                }
                Function::Tally(call) => call.column(tallied(call, index, segments, &records)?, &beside)?,
                Function::Aggregate(aggregate) => grouped(&**aggregate, index, segments, &records)?,
                Function::Running(aggregate) => running(&**aggregate, index, segments, &records)?,
            };
            if *column.data_type() == call.data_type { Ok(column) } else { Ok(cast(&column, &call.data_type)?) }
        };
        self.calls.iter().enumerate().map(result).collect()
    }
}

fn planned(call: &FramedCall, reads: &[usize], schema: &Schema, functions: &Functions) -> Result<Planned> {
    let place = |column: usize| {
        reads
            .binary_search(&column)
            .map_err(|_| Error::internal("a function with OVER reads a column that nobody gathers"))
    };
    let frame = of_call(call);
    let over = |function: OverFunction| -> Result<Call> {
        // Where the frame begins with the partition, rows never leave a tally.
        let rows = if frame.start == OverBound::Unbounded { None } else { Some(0) };
        let call = OverCall {
            function,
            frame: OverFrame::Rows(rows),
            argument: call.argument.map(place).transpose()?,
            default: call.default.map(place).transpose()?,
            name: call.name.clone(),
            data_type: call.data_type.clone(),
        };
        Call::new(&call, schema)
    };
    let nth = |number: usize| -> Result<Function> {
        Ok(Function::Nth(over(OverFunction::FirstValue { respect_nulls: true })?, number))
    };
    let nth_present = |number: usize, from_last: bool| -> Result<Function> {
        Ok(Function::NthPresent(over(OverFunction::FirstValue { respect_nulls: false })?, number, from_last))
    };
    let function = match &call.function {
        FramedFunction::Over(OverFunction::RowNumber) => Function::Position(Position::RowNumber),
        FramedFunction::Over(OverFunction::Rank) => Function::Position(Position::Rank),
        FramedFunction::Over(OverFunction::DenseRank) => Function::Position(Position::DenseRank),
        FramedFunction::PercentRank => Function::Position(Position::PercentRank),
        FramedFunction::CumeDist => Function::Position(Position::CumeDist),
        FramedFunction::Ntile(parts) => Function::Position(Position::Ntile((*parts).max(1))),
        FramedFunction::Over(OverFunction::Lag(_) | OverFunction::Lead(_)) => nth(0)?,
        FramedFunction::NthValue(number) => nth(usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX))?,
        FramedFunction::Over(OverFunction::LastBefore) => nth_present(1, true)?,
        FramedFunction::NthPresent { number, from_last } => {
            nth_present(usize::try_from((*number).max(1)).unwrap_or(usize::MAX), *from_last)?
        }
        FramedFunction::Over(function) => Function::Tally(over(*function)?),
        FramedFunction::Aggregate(call) => {
            let call = AggregateCall {
                arguments: call.arguments.iter().map(|column| place(*column)).collect::<Result<_>>()?,
                filter: call.filter.map(place).transpose()?,
                order_by: call
                    .order_by
                    .iter()
                    .map(|(column, descending, nulls_first)| Ok((place(*column)?, *descending, *nulls_first)))
                    .collect::<Result<_>>()?,
                ..call.clone()
            };
            let aggregate = accumulator(&call, schema, None, functions)?;
            // Others may round, or round otherwise when they are asked in between.
            match frame.start == OverBound::Unbounded && call.function == AggregateFunction::Count {
                true => Function::Running(aggregate),
                false => Function::Aggregate(aggregate),
            }
        }
    };
    Ok(Planned { frame, function, data_type: call.data_type.clone() })
}

fn nth(values: &Values, number: usize, index: usize, segments: &[Segment]) -> Vec<Outcome> {
    let bounds = segments.iter().flat_map(|segment| segment.bounds[index].iter().map(move |bounds| (segment, bounds)));
    let outcome = |(segment, bounds): (&Segment, &Bounds)| {
        let row = bounds.start.checked_add(number).filter(|row| *row < bounds.end);
        match row.map(|row| values.value(segment.in_context(row))) {
            Some(Value::Bytes(value)) => Outcome::Bytes(value),
            _ => Outcome::Null,
        }
    };
    bounds.map(outcome).collect()
}

fn nth_present(
    values: &Values,
    rows: usize,
    (number, from_last): (usize, bool),
    (index, segments): (usize, &[Segment]),
) -> Vec<Outcome> {
    let present: Vec<usize> = (0..rows).filter(|row| !matches!(values.value(*row), Value::Null)).collect();
    let outcome = |segment: &Segment, bounds: &Bounds| {
        // An empty frame may begin behind all rows that were gathered.
        if bounds.is_empty() {
            return Outcome::Null;
        }
        let place = |row: usize| present.partition_point(|present| *present < segment.in_context(row));
        let within = place(bounds.start)..place(bounds.end);
        let place = match from_last {
            true => within.end.checked_sub(number),
            false => within.start.checked_add(number - 1),
        };
        match place.filter(|place| within.contains(place)).map(|place| values.value(present[place])) {
            Some(Value::Bytes(value)) => Outcome::Bytes(value),
            _ => Outcome::Null,
        }
    };
    let of =
        |segment: &Segment| segment.bounds[index].iter().map(|bounds| outcome(segment, bounds)).collect::<Vec<_>>();
    segments.iter().flat_map(of).collect()
}

fn positions(position: Position, segments: &[Segment]) -> ArrayRef {
    let whole = |number: fn(usize, &Segment, u64) -> usize, parts: u64| -> ArrayRef {
        let numbers =
            segments.iter().flat_map(|segment| segment.rows.clone().map(move |row| number(row, segment, parts) as i64));
        Arc::new(numbers.collect::<Int64Array>())
    };
    let share = |share: fn(&Bounds, usize) -> f64| -> ArrayRef {
        let shares =
            segments.iter().flat_map(|segment| segment.peers.iter().map(move |peers| share(peers, segment.total)));
        Arc::new(shares.collect::<Float64Array>())
    };
    match position {
        Position::RowNumber => whole(|row, _, _| row + 1, 0),
        Position::Rank => whole(|row, segment, _| segment.peers[row - segment.rows.start].start + 1, 0),
        Position::DenseRank => dense_ranks(segments),
        Position::PercentRank => share(|peers, total| match total {
            0 | 1 => 0.0,
            _ => peers.start as f64 / (total - 1) as f64,
        }),
        Position::CumeDist => share(|peers, total| peers.end as f64 / total as f64),
        Position::Ntile(parts) => whole(|row, segment, parts| part(row, segment.total, parts), parts),
    }
}

/// Of so many parts that are as equal as can be, the larger ones in front, the one that a row is in, from 1.
fn part(row: usize, total: usize, parts: u64) -> usize {
    let parts = usize::try_from(parts).unwrap_or(usize::MAX);
    let (size, larger) = (total / parts, total % parts);
    let in_larger = larger * (size + 1);
    if row < in_larger { row / (size + 1) + 1 } else { larger + (row - in_larger) / size.max(1) + 1 }
}

fn dense_ranks(segments: &[Segment]) -> ArrayRef {
    let mut ranks: Vec<i64> = Vec::new();
    for segment in segments {
        let mut rank = segment.distinct as i64;
        let mut last = None;
        for peers in &segment.peers {
            if last != Some(peers.start) {
                last = Some(peers.start);
                rank += 1;
            }
            ranks.push(rank);
        }
    }
    Arc::new(Int64Array::from(ranks))
}
