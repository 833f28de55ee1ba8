//! Joins rows whose times lie within bounds of each other: `right.time + lower <= left.time <= right.time + upper`.
//!
//! A left row can meet right rows up to the time `left.time - lower`, a right row left rows up to `right.time + upper`:
//! its *deadline*. Once the watermark is there, no partner can come any more.
//!
//! - batch: each row is joined with the rows that wait on the other side, then waits itself if its deadline is still
//!   ahead. A row that is behind the watermark with its time and its deadline is late.
//! - watermark: rows past their deadline leave; an outer join emits those that nothing matched. Downstream time lags
//!   behind by what the earlier row of a pair can be older than the later one.
//! - marker: the batches that came since the last one, as they are. An outer join gives each row a number and adds the
//!   names (key hash and number) of the rows that were matched. Numbers go on above the greatest one that is loaded, so a
//!   name is unique at whatever parallelism: all rows of a hash are there before one of them gets a number.
//! - end: the last watermark is past every deadline.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt64Array,
};
use arrow::compute::{filter, filter_record_batch, min};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use weir_core::bugs::{self, Bug};
use weir_core::{
    Batch, Capture, Collector, Error, EventTime, HashRange, IntervalJoinSpec, JoinSpread, JoinType, OpenContext,
    Operator, Result, StateRows, TableSchema, state_column,
};
use weir_functions::Functions;

use crate::batches::{bounded_times, check_stored, event_times, stored_fields, with_schema};
use crate::join::{Block, Buffer, JoinShape, Keys, LEFT, Looks, Probe, RIGHT, flags, join_batch};
use crate::late::LateRows;

/// Of so many rows at most it is found out which blocks they look into: of more it would cost what it saves.
const MOST_LOOKS: usize = 1024;

/// Name of a row in the state, and its time: key hash, number, time.
type RowName = (u64, i64, i64);

/// The interval join.
pub(crate) struct IntervalJoin {
    shape: JoinShape,
    time: [usize; 2],
    /// Least and greatest `left.time - right.time`.
    bounds: (i64, i64),
    late: LateRows,

    /// Rows whose deadline is ahead. Checkpointed.
    waiting: [Buffer; 2],
    /// Rows that were matched since the last capture. Checkpointed.
    matched: [Vec<RowName>; 2],

    watermark: EventTime,
    range: HashRange,
    next_number: i64,
}

/// Rows of a batch that can take part in the join.
struct Ready {
    records: RecordBatch,
    keys: Keys,
    /// Which of them wait for partners to come; `None`: all.
    waits: Option<BooleanArray>,
}

impl IntervalJoin {
    pub(crate) fn new(
        spec: &IntervalJoinSpec,
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        if !matches!(spec.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) {
            return Err(Error::internal(format!("an interval join cannot be {:?}", spec.join_type)));
        }
        match spec.spread {
            JoinSpread::Keys => {}
            // A row that may be matched is named by its key and a number, and those of a key have to be in one place for that.
            JoinSpread::Broadcast(_) if spec.join_type == JoinType::Inner => {}
            _ => {
                return Err(Error::internal(format!(
                    "the rows of an interval join cannot be spread like {:?}",
                    spec.spread
                )));
            }
        }
        // Far beyond all times that rows can have, and safe to add to them.
        const LIMIT: i64 = i64::MAX / 2;
        let bounds = (spec.lower.clamp(-LIMIT, LIMIT), spec.upper.clamp(-LIMIT, LIMIT));
        Ok(Self {
            shape: JoinShape::new(spec.join_type, (&spec.on, spec.residual.as_ref()), inputs, output, functions)?
                .spread(&spec.spread)?,
            time: [spec.time.0, spec.time.1],
            bounds,
            late: LateRows::new(name),
            waiting: [Buffer::new(spec.time.0), Buffer::new(spec.time.1)],
            matched: Default::default(),
            watermark: EventTime::MIN,
            range: HashRange::ALL,
            next_number: 0,
        })
    }

    /// Distance from a row's time to its deadline.
    fn wait(&self, side: usize) -> i64 {
        if side == LEFT { -self.bounds.0 } else { self.bounds.1 }
    }

    /// Rows of `side` with a time up to this one are past their deadline.
    fn past_deadline(&self, side: usize, watermark: EventTime) -> i64 {
        let wait = self.wait(side) - i64::from(bugs::is_on(Bug::PartnerMissed));
        if watermark == EventTime::MAX { i64::MAX } else { watermark.0.saturating_sub(wait) }
    }

    /// Sorts out the rows that are late, and those that can match nothing because their key or time is null.
    fn sift(&self, side: usize, records: RecordBatch, out: &mut Collector) -> Result<Ready> {
        let keys = self.shape.keys(side, &records)?;
        let expired = self.past_deadline(side, self.watermark);
        let times = bounded_times(records.column(self.time[side]))?;
        if keys.valid.is_none() && times.null_count() == 0 && min(times).is_some_and(|least| least > expired) {
            return Ok(Ready { records, keys, waits: None });
        }
        let behind = |time: i64| time <= expired && time <= self.watermark.0;
        let late: BooleanArray = times.iter().map(|time| Some(time.is_some_and(behind))).collect();
        // One that comes to every subtask is late once.
        if late.true_count() > 0 && self.shape.answers_for(side, self.range) {
            let refused = filter_record_batch(&records, &late)?;
            self.late.emit(&refused, Some(refused.column(self.time[side])), self.watermark, out)?;
        }
        let rows = 0..records.num_rows();
        let has_key = |row: usize| keys.valid.as_ref().is_none_or(|valid| valid.is_valid(row));
        let joins: BooleanArray =
            rows.clone().map(|row| Some(!late.value(row) && times.is_valid(row) && has_key(row))).collect();
        if self.shape.keeps_unmatched(side) {
            let lonely: BooleanArray = rows.map(|row| Some(!late.value(row) && !joins.value(row))).collect();
            self.shape.emit_alone(side, &filter_record_batch(&records, &lonely)?, out)?;
        }
        let records = filter_record_batch(&records, &joins)?;
        let keys = self.shape.keys(side, &records)?;
        let waits = event_times(records.column(self.time[side]))?
            .iter()
            .map(|time| Some(time.is_some_and(|time| time > expired)));
        let waits: BooleanArray = waits.collect();
        let waits = (waits.true_count() < waits.len()).then_some(waits);
        Ok(Ready { records, keys, waits })
    }

    /// Emits what `rows` of `side` match on the other side.
    fn join(&mut self, side: usize, rows: &Ready, found: &[Cell<bool>], out: &mut Collector) -> Result<()> {
        let other = 1 - side;
        let times = event_times(rows.records.column(self.time[side]))?.values();
        let (lower, upper) = self.bounds;
        let alive = self.past_deadline(other, self.watermark).saturating_add(1);
        let partner_times = |row: usize| {
            let time = times[row];
            let (first, last) = if side == LEFT { (time - upper, time - lower) } else { (time + lower, time + upper) };
            (first.max(alive), last)
        };
        self.waiting[other].prepare(&match times.len() {
            few if few <= MOST_LOOKS => Looks::within(few, partner_times),
            many => Looks::All(many),
        });
        let probe = Probe {
            side,
            records: &rows.records,
            hashes: rows.keys.hashes.values(),
            valid: None,
            times: partner_times,
            matched: found,
        };
        let (waiting, matched) = (&self.waiting[other], &mut self.matched[other]);
        let mut first_match = |row| {
            matched.push(waiting.identity(row)?);
            Ok(())
        };
        join_batch(&self.shape, &probe, waiting, &mut first_match, out)
    }

    /// Keeps rows until their deadline.
    fn wait_for_partners(
        &mut self,
        side: usize,
        rows: Ready,
        found: Vec<Cell<bool>>,
        out: &mut Collector,
    ) -> Result<()> {
        let Ready { mut records, mut keys, waits } = rows;
        let mut found = found;
        if let Some(waits) = waits {
            if self.shape.keeps_unmatched(side) {
                let unmatched: BooleanArray =
                    waits.iter().zip(&found).map(|(waits, found)| Some(waits == Some(false) && !found.get())).collect();
                self.shape.emit_alone(side, &filter_record_batch(&records, &unmatched)?, out)?;
                found =
                    found.into_iter().zip(&waits).filter(|(_, waits)| *waits == Some(true)).map(|(f, _)| f).collect();
            }
            records = filter_record_batch(&records, &waits)?;
            keys.hashes = filter(&keys.hashes, &waits)?.as_primitive().clone();
        }
        let mut block = Block::new(records, keys, self.time[side])?;
        if self.shape.tracks(side) {
            let numbers = self.next_number..self.next_number + block.records.num_rows() as i64;
            self.next_number = numbers.end;
            let times = event_times(block.records.column(self.time[side]))?;
            for (row, number) in numbers.clone().enumerate().filter(|(row, _)| found[*row].get()) {
                self.matched[side].push((block.hashes.value(row), number, times.value(row)));
            }
            block.sequences = Some(Int64Array::from_iter_values(numbers));
            block.matched = found;
        }
        self.waiting[side].push(block)
    }

    /// Emits the rows whose deadline lies after `before` and not after `now`, if nothing has matched them.
    fn emit_unmatched(&self, side: usize, before: EventTime, now: EventTime, out: &mut Collector) -> Result<()> {
        let (first, last) = (self.past_deadline(side, before), self.past_deadline(side, now));
        let leaving = |block: &&Block| block.least_time <= last && block.greatest_time > first;
        for block in self.waiting[side].blocks().filter(leaving) {
            let times = event_times(block.records.column(self.time[side]))?.values();
            let unmatched: BooleanArray = times
                .iter()
                .zip(&block.matched)
                .map(|(time, matched)| Some(*time > first && *time <= last && !matched.get()))
                .collect();
            self.shape.emit_alone(side, &filter_record_batch(&block.records, &unmatched)?, out)?;
        }
        Ok(())
    }

    /// Notes that these rows, which were loaded before, have been matched.
    fn load_matched(&mut self, side: usize, hashes: &UInt64Array, numbers: &Int64Array) -> Result<()> {
        let waiting = &mut self.waiting[side];
        waiting.prepare(&Looks::All(hashes.len()));
        for (hash, number) in hashes.values().iter().zip(numbers.values()) {
            waiting.candidates(*hash, (i64::MIN, i64::MAX), &mut |row| {
                if waiting.identity(row)?.1 == *number {
                    waiting.mark(row);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Sides whose matches are state, in the order of their tables.
    fn tracked(&self) -> Vec<usize> {
        [LEFT, RIGHT].into_iter().filter(|side| self.shape.tracks(*side)).collect()
    }

    /// The side that a table is about.
    fn side_of(&self, table: usize) -> usize {
        if table <= RIGHT { table } else { self.tracked()[table - 2] }
    }

    /// Schema of a side's rows in the state.
    fn rows_schema(&self, side: usize) -> SchemaRef {
        let schema = self.shape.schema(side);
        let number = self.shape.tracks(side).then(|| Field::new("row$number", DataType::Int64, false));
        Arc::new(Schema::new(stored_fields(schema.fields()).chain(number).collect::<Vec<_>>()))
    }

    fn matched_schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("row$number", DataType::Int64, false),
            Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        ]))
    }

    fn capture_rows(&mut self, side: usize, expired: Option<EventTime>) -> Capture {
        let mut fresh = self.waiting[side].capture();
        fresh.retain(|_| self.shape.answers_for(side, self.range));
        let schema = self.rows_schema(side);
        let rows = move || {
            let stored = |(records, hashes, numbers): (RecordBatch, UInt64Array, Option<Int64Array>)| {
                let numbers = numbers.map(|numbers| Arc::new(numbers) as ArrayRef);
                let columns = records.columns().iter().cloned().chain(numbers).collect();
                Ok(StateRows { rows: with_schema(&schema, columns, records.num_rows())?, hashes, deleted: None })
            };
            fresh.into_iter().map(stored).collect()
        };
        Capture { rows: Box::new(rows), expired }
    }

    fn capture_matched(&mut self, side: usize, expired: Option<EventTime>) -> Capture {
        let mut names = std::mem::take(&mut self.matched[side]);
        names.retain(|_| !bugs::is_on(Bug::MatchForgotten));
        let rows = move || {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(names.iter().map(|name| name.1)));
            let times = TimestampMillisecondArray::from_iter_values(names.iter().map(|name| name.2));
            let rows = with_schema(&Self::matched_schema(), vec![numbers, Arc::new(times)], names.len())?;
            let hashes = UInt64Array::from_iter_values(names.iter().map(|name| name.0));
            Ok(vec![StateRows { rows, hashes, deleted: None }])
        };
        Capture { rows: Box::new(rows), expired }
    }
}

impl Operator for IntervalJoin {
    fn tables(&self) -> Vec<TableSchema> {
        let table = |name: &str, schema: SchemaRef, time: usize, side: usize| TableSchema {
            name: name.to_owned(),
            version: 1,
            schema: state_column::numbered_schema(&schema),
            key_columns: 0,
            time_column: Some(time),
            distribution: self.shape.distribution(side),
        };
        let mut tables = vec![
            table("left", self.rows_schema(LEFT), self.time[LEFT], LEFT),
            table("right", self.rows_schema(RIGHT), self.time[RIGHT], RIGHT),
        ];
        for side in self.tracked() {
            tables.push(table(["left-matched", "right-matched"][side], Self::matched_schema(), 1, side));
        }
        tables
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        self.range = context.range;
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        if table > RIGHT {
            return self.load_matched(self.side_of(table), hashes, rows.column(0).as_primitive());
        }
        let columns = self.shape.schema(table).fields().len();
        check_stored(self.shape.schema(table).fields(), rows.columns())?;
        let records = with_schema(self.shape.schema(table), rows.columns()[..columns].to_vec(), rows.num_rows())?;
        let keys = self.shape.keys(table, &records)?;
        let mut block = Block::new(records, keys, self.time[table])?.stored();
        if self.shape.tracks(table) {
            let numbers = rows.column(columns).as_primitive::<Int64Type>().clone();
            let greatest = numbers.values().iter().max().map_or(0, |number| number + 1);
            self.next_number = self.next_number.max(greatest);
            block.matched = flags(rows.num_rows());
            block.sequences = Some(numbers);
        }
        self.waiting[table].push(block)
    }

    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        let side = self.side_of(table);
        (watermark > EventTime::MIN).then(|| EventTime(self.past_deadline(side, watermark)))
    }

    /// Rows that leave are emitted only where it matters that nothing has matched them.
    fn due(&self, table: usize, time: EventTime) -> Option<EventTime> {
        let side = self.side_of(table);
        self.shape.keeps_unmatched(side).then(|| EventTime(self.past_deadline(side, time)))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let mut least = Vec::new();
        for side in [LEFT, RIGHT] {
            let shape = &self.shape;
            let leaving = |block: &Block| shape.leaving(side, (&block.records, &block.hashes), leaves);
            least.push(EventTime(self.waiting[side].evict(&leaving)?));
        }
        // The names of rows that were matched leave with the rows.
        least.extend(self.tracked().into_iter().map(|side| least[side]).collect::<Vec<_>>());
        Ok(least)
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        self.shape.spread_columns(ordinal)
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let ready = self.sift(ordinal, batch.into_appended()?, out)?;
        let rows = ready.records.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let found = if self.shape.tracks(ordinal) { flags(rows) } else { Vec::new() };
        self.join(ordinal, &ready, &found, out)?;
        self.wait_for_partners(ordinal, ready, found, out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        let before = std::mem::replace(&mut self.watermark, time);
        for side in [LEFT, RIGHT] {
            if self.shape.keeps_unmatched(side) {
                self.emit_unmatched(side, before, time, out)?;
            }
            let expired = self.past_deadline(side, time);
            self.waiting[side].expire(expired);
        }
        if time == EventTime::MAX {
            return Ok(Some(time));
        }
        let lag = self.wait(LEFT).max(self.wait(RIGHT)).max(0);
        Ok(time.0.checked_sub(lag).map(EventTime))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = [LEFT, RIGHT].map(|side| self.expired(side, self.watermark));
        let mut captures: Vec<Capture> =
            [LEFT, RIGHT].map(|side| self.capture_rows(side, expired[side])).into_iter().collect();
        captures.extend(self.tracked().into_iter().map(|side| self.capture_matched(side, expired[side])));
        Ok(captures)
    }

    fn state_bytes(&self) -> usize {
        let names: usize = self.matched.iter().map(|names| names.len() * size_of::<RowName>()).sum();
        names + self.waiting.iter().map(Buffer::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
