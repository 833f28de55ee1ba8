//! First rows of each window and partition in a given order.
//!
//! Rows wait in their window. Once a window holds twice as many as were worth keeping, all of them are sorted and those
//! behind the limit are dropped, so a window keeps about as many rows as it will emit. Of rows that are equal in the order the one that
//! came first is ahead, as in Flink; the one that came last where just the newest row by one timestamp is kept. So rows are numbered as
//! they come, beyond all that are known of their partition.
//!
//! - batch: rows go to their window; those of a closed one are late.
//! - watermark: each window that it closes is sorted and emitted.
//! - marker: windows are cut down, then what is new in them is captured. Rows that were captured and have been dropped
//!   since stay in the state until their window closes; they lose again after a restore.
//! - end: the last watermark closes every window.
//! - eviction: what a checkpoint holds of a partition leaves all windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{SortOptions, concat_batches, max, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use weir_core::bugs::{self, Bug};
use weir_core::hash::{canonical_keys, hash_rows};
use weir_core::{
    Batch, Capture, Collector, Distribution, Error, EventTime, OpenContext, Operator, Ranking, Result, SortKey,
    StateRows, TableSchema, WindowTopNSpec, state_column,
};

use crate::batches::{approximate_bytes, check_stored, compact, keep, stored_fields, with_schema};
use crate::late::LateRows;
use crate::windows::{by_window, closed_at};

/// Windows with fewer rows than this are not cut down before they close.
const LEAST_CUT: usize = 4096;

/// The windowed Top-N.
pub(crate) struct WindowTopN {
    window_end: usize,
    partition: Vec<usize>,
    limit: usize,
    with_rank: bool,
    /// Columns of the rows that wait: those of the input, and the number by arrival.
    stored: SchemaRef,
    schema: SchemaRef,
    order: Order,
    late: LateRows,

    /// Open windows by their end. Checkpointed.
    windows: BTreeMap<i64, Window>,

    /// Number of the next row.
    next: i64,

    watermark: EventTime,
}

/// The order of rows within a window: partitions, then `ORDER BY`, then arrival.
struct Order {
    partition: Encoder,
    rank: Encoder,
    ranking: Ranking,
    /// Of rows that are equal otherwise the one that came last is the first.
    last_first: bool,
}

/// Columns as bytes in their order, by the value: -0.0 is 0.0.
struct Encoder {
    columns: Vec<usize>,
    converter: RowConverter,
}

/// Rows of an open window.
#[derive(Default)]
struct Window {
    /// Rows that a checkpoint holds.
    captured: Vec<RecordBatch>,
    /// Rows that none does.
    fresh: Vec<RecordBatch>,
    rows: usize,
    /// Rows that were left when the window was last cut down.
    kept: usize,
    bytes: usize,
}

impl Order {
    fn new(spec: &WindowTopNSpec, input: &Schema) -> Result<Self> {
        let WindowTopNSpec { partition, order, .. } = spec;
        let columns: Vec<usize> = order.iter().map(|key| key.column).collect();
        let options: Vec<SortOptions> =
            order.iter().map(|key| SortOptions { descending: key.descending, nulls_first: key.nulls_first }).collect();
        let is_time = |key: &SortKey| matches!(input.field(key.column).data_type(), DataType::Timestamp(..));
        let last_first = spec.limit == 1
            && spec.ranking == Ranking::RowNumber
            && matches!(order.as_slice(), [key] if key.descending && is_time(key));
        let converter = |columns: &[usize], options: &[SortOptions]| {
            let typed = columns.iter().zip(options);
            let fields =
                typed.map(|(c, o)| SortField::new_with_options(input.field(*c).data_type().clone(), *o)).collect();
            RowConverter::new(fields)
                .map_err(|error| Error::user("rows cannot be ranked by such columns").with_source(error))
        };
        let by_default = vec![SortOptions::default(); partition.len()];
        Ok(Self {
            partition: Encoder { columns: partition.clone(), converter: converter(partition, &by_default)? },
            rank: Encoder { converter: converter(&columns, &options)?, columns },
            ranking: spec.ranking,
            last_first,
        })
    }

    /// The rows within the limit of their partition, in order, each with its rank from 1.
    fn first(&self, records: &RecordBatch, limit: usize) -> Result<(Vec<u32>, Vec<i64>)> {
        let partitions = self.partition.encode(records)?;
        let ranks = self.rank.encode(records)?;
        let partition = |row: u32| partitions.as_ref().map(|rows| rows.row(row as usize));
        let rank = |row: u32| ranks.as_ref().map(|rows| rows.row(row as usize));
        let numbers = arrivals(records)?;
        let arrival = |row: u32| {
            let number = numbers.value(row as usize);
            if self.last_first { -number } else { number }
        };
        let mut sorted: Vec<u32> = (0..records.num_rows() as u32).collect();
        sorted.sort_by(|a, b| {
            let by_key = partition(*a).cmp(&partition(*b)).then_with(|| rank(*a).cmp(&rank(*b)));
            by_key.then_with(|| arrival(*a).cmp(&arrival(*b)))
        });
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (mut count, mut number) = (0, 0);
        for (index, row) in sorted.iter().enumerate() {
            let before = index.checked_sub(1).map(|index| sorted[index]);
            let before = before.filter(|before| partition(*before) == partition(*row));
            (count, number) = match before {
                None => (1, 1),
                Some(before) => {
                    let is_peer = self.ranking != Ranking::RowNumber && rank(before) == rank(*row);
                    (count + 1, next_number(self.ranking, is_peer, count, number))
                }
            };
            if number <= limit {
                rows.push(*row);
                numbers.push(number);
            }
        }
        Ok((rows, numbers))
    }
}

/// The number of a row behind `count` others of its partition, the last of which has `number`.
pub(crate) fn next_number(ranking: Ranking, is_peer: bool, count: i64, number: i64) -> i64 {
    match ranking {
        Ranking::RowNumber => count + 1,
        Ranking::Rank | Ranking::DenseRank if is_peer => number,
        Ranking::Rank => count + 1,
        Ranking::DenseRank => number + 1,
    }
}

impl Encoder {
    fn encode(&self, records: &RecordBatch) -> Result<Option<Rows>> {
        // Without columns all rows are equal; the converter would lose their number.
        if self.columns.is_empty() {
            return Ok(None);
        }
        let arrays: Vec<ArrayRef> = self.columns.iter().map(|column| canonical_keys(records.column(*column))).collect();
        Ok(Some(self.converter.convert_columns(&arrays)?))
    }
}

impl Window {
    fn push(&mut self, records: RecordBatch, captured: bool) -> Result<()> {
        let records = compact(&records)?;
        self.rows += records.num_rows();
        self.bytes += approximate_bytes(&records);
        if captured {
            self.captured.push(records)
        } else {
            self.fresh.push(records)
        }
        Ok(())
    }

    /// Lets go of the captured rows whose partition's hash `leaves`; says whether there were any.
    fn evict(&mut self, partition: &[usize], leaves: &dyn Fn(u64) -> bool) -> Result<bool> {
        let captured = std::mem::take(&mut self.captured);
        let (mut rows, kept) = (self.rows, self.kept);
        let mut window = Window { fresh: std::mem::take(&mut self.fresh), ..Window::default() };
        window.rows = window.fresh.iter().map(RecordBatch::num_rows).sum();
        window.bytes = window.fresh.iter().map(approximate_bytes).sum();
        for records in captured {
            let hashes = hashes(partition, &records)?;
            let stays: BooleanArray = hashes.values().iter().map(|hash| Some(!leaves(*hash))).collect();
            window.push(keep(records, &stays)?, true)?;
        }
        window.captured.retain(|records| records.num_rows() > 0);
        window.kept = kept.min(window.rows);
        rows -= window.rows;
        *self = window;
        Ok(rows > 0)
    }

    fn all(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let captured = self.captured.iter().filter(|_| !bugs::is_on(Bug::CapturedRowsLost));
        Ok(concat_batches(schema, captured.chain(&self.fresh))?)
    }

    /// Drops rows beyond the limit.
    fn cut(&mut self, order: &Order, limit: usize, schema: &SchemaRef) -> Result<()> {
        let all = self.all(schema)?;
        let captured_rows: usize = self.captured.iter().map(RecordBatch::num_rows).sum();
        let (mut rows, _) = order.first(&all, limit)?;
        rows.sort_unstable();
        let (captured, fresh): (Vec<u32>, Vec<u32>) = rows.into_iter().partition(|row| (*row as usize) < captured_rows);
        *self = Window::default();
        for (rows, is_captured) in [(captured, true), (fresh, false)] {
            if !rows.is_empty() {
                self.push(take_record_batch(&all, &UInt32Array::from(rows))?, is_captured)?;
            }
        }
        self.kept = self.rows;
        Ok(())
    }
}

impl WindowTopN {
    pub(crate) fn new(spec: &WindowTopNSpec, input: &SchemaRef, output: &SchemaRef, name: &str) -> Result<Self> {
        Ok(Self {
            window_end: spec.window_end,
            partition: spec.partition.clone(),
            limit: usize::try_from(spec.limit).unwrap_or(usize::MAX),
            with_rank: spec.with_rank,
            stored: stored(input),
            schema: output.clone(),
            order: Order::new(spec, input)?,
            late: LateRows::new(name),
            windows: BTreeMap::new(),
            next: 0,
            watermark: EventTime::MIN,
        })
    }

    /// The rows with their numbers.
    fn numbered(&mut self, records: &RecordBatch) -> Result<RecordBatch> {
        let first = self.next;
        self.next += records.num_rows() as i64;
        let mut columns = records.columns().to_vec();
        columns.push(Arc::new(Int64Array::from_iter_values(first..self.next)));
        with_schema(&self.stored, columns, records.num_rows())
    }

    fn close(&self, window: &Window, out: &mut Collector) -> Result<()> {
        let all = window.all(&self.stored)?;
        let (rows, ranks) = self.order.first(&all, self.limit)?;
        let first = take_record_batch(&all, &UInt32Array::from(rows))?;
        let mut columns = first.columns().to_vec();
        columns.pop();
        if self.with_rank {
            columns.push(Arc::new(Int64Array::from(ranks)));
        }
        out.emit(with_schema(&self.schema, columns, first.num_rows())?.into());
        Ok(())
    }
}

/// The columns of the rows that wait. Rows from before they were numbered are in the order that they were stored in.
fn stored(input: &Schema) -> SchemaRef {
    let arrival = Field::new("$arrival", DataType::Int64, false);
    Arc::new(Schema::new(stored_fields(input.fields()).chain([arrival]).collect::<Vec<_>>()))
}

fn state_schema(stored: &Schema) -> SchemaRef {
    let mut fields = state_column::numbered(stored.fields(), 1);
    if let Some(arrival) = fields.pop() {
        let id = fields.len() as u32 + 1;
        fields.push(Arc::new(state_column::with_default(arrival.as_ref().clone(), id, "0")));
    }
    Arc::new(Schema::new(fields))
}

/// The numbers of waiting rows.
fn arrivals(records: &RecordBatch) -> Result<&Int64Array> {
    let last = records.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    last.ok_or_else(|| Error::internal("rows of a Top-N are not numbered"))
}

/// Hashes of the rows' partitions.
fn hashes(partition: &[usize], rows: &RecordBatch) -> Result<UInt64Array> {
    let keys: Vec<ArrayRef> = partition.iter().map(|column| rows.column(*column).clone()).collect();
    let mut hashes = Vec::new();
    hash_rows(&keys, rows.num_rows(), &mut hashes)?;
    Ok(UInt64Array::from(hashes))
}

impl Operator for WindowTopN {
    fn tables(&self) -> Vec<TableSchema> {
        vec![TableSchema {
            name: "rows".to_owned(),
            version: 1,
            schema: state_schema(&self.stored),
            key_columns: 0,
            time_column: Some(self.window_end),
            distribution: Distribution::Keyed,
        }]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        check_stored(self.schema.fields(), &rows.columns()[..rows.num_columns() - 1])?;
        // Nothing is late here: what the watermark had closed is gone from the state.
        let mut nowhere = Collector::new(0);
        let split = by_window(rows.clone(), self.window_end, EventTime::MIN, &self.late, &mut nowhere)?;
        for (end, records) in split.open {
            self.next = self.next.max(max(arrivals(&records)?).unwrap_or(0) + 1);
            self.windows.entry(end).or_default().push(records, true)?;
        }
        Ok(())
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark > EventTime::MIN).then(|| closed_at(watermark))
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(closed_at(time))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let mut least = EventTime::MAX;
        for (end, window) in &mut self.windows {
            if window.evict(&self.partition, leaves)? {
                least = least.min(EventTime(*end));
            }
        }
        self.windows.retain(|_, window| window.rows > 0);
        Ok(vec![least])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.partition)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let split = by_window(batch.into_appended()?, self.window_end, self.watermark, &self.late, out)?;
        for (end, records) in split.open {
            let records = self.numbered(&records)?;
            let window = self.windows.entry(end).or_default();
            window.push(records, false)?;
            if window.rows >= LEAST_CUT.max(2 * window.kept) {
                window.cut(&self.order, self.limit, &self.stored)?;
            }
        }
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        while let Some(entry) = self.windows.first_entry() {
            if *entry.key() - 1 > time.0 {
                break;
            }
            let window = entry.remove();
            self.close(&window, out)?;
        }
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let mut fresh = Vec::new();
        for window in self.windows.values_mut().filter(|window| !window.fresh.is_empty()) {
            window.cut(&self.order, self.limit, &self.stored)?;
            fresh.extend(window.fresh.iter().cloned());
            let newly_captured = std::mem::take(&mut window.fresh);
            window.captured.extend(newly_captured);
        }
        let partition = self.partition.clone();
        let rows = move || {
            let state_rows =
                |rows: RecordBatch| Ok(StateRows { hashes: hashes(&partition, &rows)?, rows, deleted: None });
            fresh.into_iter().map(state_rows).collect()
        };
        Ok(vec![Capture { rows: Box::new(rows), expired: self.expired(0, self.watermark) }])
    }

    fn state_bytes(&self) -> usize {
        self.windows.values().map(|window| window.bytes).sum()
    }
}

#[cfg(test)]
mod tests;
