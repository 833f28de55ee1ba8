//! The state of OVER: rows that wait or are within the reach of later ones, and for frames without a beginning what they count.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray,
    UInt64Array,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use weir_core::hash::canonical_keys;
use weir_core::{Capture, Distribution, Error, EventTime, OverSpec, Result, StateRows, TableSchema, state_column};

use super::call::Call;
use super::partition::Partition;
use super::tally::Stored;
use super::{BATCH, Over};
use crate::batches::{check_stored, event_times, stored_fields};
use crate::kept_row::Row;
use crate::top_n::Columns;

/// The table of rows.
pub(super) const ROWS: usize = 0;

/// Column of a table of totals that makes a key where there is no `PARTITION BY`.
const PART: i64 = 0;

/// The tables.
pub(super) struct Tables {
    rows: TableSchema,
    totals: Option<Totals>,
    partition: Vec<usize>,
}

struct Totals {
    schema: TableSchema,
    /// The keys, as they stand in front.
    keys: Columns,
}

impl Tables {
    pub(super) fn new(spec: &OverSpec, calls: &[Call], one_by_one: bool, input: &SchemaRef) -> Result<Self> {
        let columns: Vec<Field> = stored_fields(input.fields()).collect();
        let keys: Vec<Field> = spec.partition.iter().map(|column| columns[*column].clone()).collect();
        let mut fields = keys.clone();
        fields.push(Field::new("arrival", DataType::Int64, false));
        fields.extend(columns);
        let rows = TableSchema {
            key_columns: if one_by_one { keys.len() + 1 } else { 0 },
            ..table("rows", fields, keys.len() + 1 + spec.time)
        };
        let unbounded: Vec<(usize, &Call)> = calls.iter().enumerate().filter(|(_, call)| call.is_unbounded()).collect();
        let totals = match unbounded.is_empty() {
            true => None,
            false => {
                let options = vec![SortOptions::default(); keys.len()];
                let columns = Columns::new((0..keys.len()).collect(), options, &Schema::new(keys.clone()), true)?;
                let mut fields = keys.clone();
                fields.push(Field::new("part", DataType::Int64, false));
                fields.push(Field::new("up-to", DataType::Timestamp(TimeUnit::Millisecond, None), false));
                for (index, call) in unbounded {
                    fields.push(Field::new(format!("count-{index}"), DataType::Int64, false));
                    let value = call.stored_type(input);
                    fields.extend(value.map(|value| Field::new(format!("value-{index}"), value, true)));
                }
                let schema = table("totals", fields, keys.len() + 1);
                Some(Totals { schema: TableSchema { key_columns: keys.len() + 1, ..schema }, keys: columns })
            }
        };
        Ok(Self { rows, totals, partition: spec.partition.clone() })
    }

    pub(super) fn schemas(&self) -> Vec<TableSchema> {
        let totals = self.totals.as_ref().map(|totals| totals.schema.clone());
        [self.rows.clone()].into_iter().chain(totals).collect()
    }

    pub(super) fn has_totals(&self) -> bool {
        self.totals.is_some()
    }
}

fn table(name: &str, fields: Vec<Field>, time: usize) -> TableSchema {
    TableSchema {
        name: name.to_owned(),
        version: 1,
        schema: state_column::numbered_schema(&Schema::new(fields)),
        key_columns: 0,
        time_column: Some(time),
        distribution: Distribution::Keyed,
    }
}

impl Over {
    pub(super) fn load_rows(&mut self, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let keys = self.partition.columns.len();
        let arrivals = rows.column(keys).as_primitive::<Int64Type>();
        let records = rows.project(&(keys + 1..rows.num_columns()).collect::<Vec<_>>())?;
        check_stored(self.input.fields(), records.columns())?;
        let (partitions, values) = (self.partition.encode(&records)?, self.all.encode(&records)?);
        let times = event_times(records.column(self.time))?.values();
        for row in 0..rows.num_rows() {
            let (hash, arrival) = (hashes.value(row), arrivals.value(row));
            let slot = self.slot(partitions.row(row), hash);
            let row = Row::new(slot, hash, (times[row], arrival), values.row(row), true);
            self.next = self.next.max(arrival + 1);
            if row.time > self.watermark.0 {
                self.wait(row);
                continue;
            }
            self.bytes += row.bytes();
            self.note_loaded(slot);
            self.partitions[slot as usize].loaded.push(row);
        }
        Ok(())
    }

    fn note_loaded(&mut self, slot: u32) {
        if self.partitions[slot as usize].loaded.is_empty() {
            self.loaded.push(slot);
        }
    }

    pub(super) fn load_totals(&mut self, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let Some(totals) = &self.tables.totals else { return Err(Error::internal("totals are loaded of no call")) };
        let keys = totals.keys.encode(rows)?;
        let width = self.partition.columns.len();
        let folded = event_times(rows.column(width + 1))?.values().clone();
        let mut slots = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let slot = self.slot(keys.row(row), hashes.value(row));
            self.partitions[slot as usize].folded = folded[row];
            slots.push(slot as usize);
        }
        let mut columns = rows.columns()[width + 2..].iter();
        let mut next = || columns.next().ok_or_else(|| Error::internal("totals lack a column"));
        for (index, call) in self.calls.iter().enumerate().filter(|(_, call)| call.is_unbounded()) {
            let counts = next()?.as_primitive::<Int64Type>();
            let values = match call.stored_type(&self.input) {
                Some(_) => stored_values(call, next()?)?,
                None => vec![None; rows.num_rows()],
            };
            for ((slot, count), value) in slots.iter().zip(counts.values()).zip(values) {
                let stored = Stored { count: *count, value };
                let restored = self.partitions[*slot].tallies[index].restore(stored);
                restored.ok_or_else(|| Error::internal("totals are of another call"))?;
            }
        }
        Ok(())
    }

    pub(super) fn evict_partitions(&mut self, leaves: &dyn Fn(u64) -> bool) -> Vec<EventTime> {
        let slots = self.places.values().copied();
        let slots: HashSet<u32> = slots.filter(|slot| leaves(self.partitions[*slot as usize].hash)).collect();
        let mut least = EventTime::MAX;
        let (bytes, waiting) = (&mut self.bytes, &mut self.waiting);
        waiting.retain(|time, rows| {
            rows.retain(|row| {
                let stays = !slots.contains(&row.slot);
                if !stays {
                    *bytes = bytes.saturating_sub(row.bytes());
                    least = least.min(EventTime(*time));
                }
                stays
            });
            !rows.is_empty()
        });
        for slot in slots {
            let partition = &mut self.partitions[slot as usize];
            for row in partition.held.iter().chain(&partition.passed) {
                self.bytes = self.bytes.saturating_sub(row.bytes());
            }
            least = partition.held.iter().map(|row| EventTime(row.time)).fold(least, EventTime::min);
            self.places.remove(&partition.key);
            // What is noted of its place must find nothing there.
            *partition = Partition::new(partition.key.clone(), partition.hash, &[]);
            self.free.push(slot);
        }
        [least, EventTime::MAX].into_iter().take(self.tables.schemas().len()).collect()
    }

    pub(super) fn capture_changes(&mut self) -> Result<Vec<Capture>> {
        // Of rows that are needed no more nothing has been stored, and this is the last that is known of them.
        let fresh: Vec<Arc<Row>> =
            std::mem::take(&mut self.fresh).into_iter().filter(|row| Arc::strong_count(row) > 1).collect();
        fresh.iter().for_each(|row| row.set_stored());
        let (mut gone, mut totals) = (Vec::new(), Vec::new());
        for slot in std::mem::take(&mut self.changed) {
            let partition = &mut self.partitions[slot as usize];
            if !std::mem::replace(&mut partition.is_changed, false) {
                continue;
            }
            gone.append(&mut partition.gone);
            if self.tables.has_totals() {
                totals.push(slot);
            }
            self.forget_if_empty(slot);
        }
        let mut captures = vec![self.captured_rows(fresh, gone)];
        if self.tables.has_totals() {
            captures.push(self.captured_totals(&totals)?);
        }
        Ok(captures)
    }

    fn captured_rows(&self, fresh: Vec<Arc<Row>>, gone: Vec<Arc<Row>>) -> Capture {
        let (all, schema, partition) =
            (self.all.clone(), self.tables.rows.schema.clone(), self.tables.partition.clone());
        let rows = move || {
            let mut captured = Vec::new();
            for (rows, are_gone) in [(gone, true), (fresh, false)] {
                for rows in rows.chunks(BATCH) {
                    let values = all.decode(rows.iter().map(|row| &row.value))?;
                    let mut columns: Vec<ArrayRef> =
                        partition.iter().map(|column| canonical_keys(&values[*column])).collect();
                    columns.push(Arc::new(rows.iter().map(|row| row.arrival).collect::<Int64Array>()));
                    columns.extend(values);
                    captured.push(StateRows {
                        rows: RecordBatch::try_new(schema.clone(), columns)?,
                        hashes: rows.iter().map(|row| row.hash).collect::<Vec<_>>().into(),
                        deleted: are_gone.then(|| BooleanArray::from(vec![true; rows.len()])),
                    });
                }
            }
            Ok(captured)
        };
        Capture { rows: Box::new(rows), expired: self.expired_rows() }
    }

    fn captured_totals(&mut self, slots: &[u32]) -> Result<Capture> {
        let Some(totals) = self.tables.totals.as_ref().filter(|_| !slots.is_empty()) else {
            return Ok(Capture::unchanged(None));
        };
        let of = |slot: &u32| &self.partitions[*slot as usize];
        let mut columns = totals.keys.decode(slots.iter().map(|slot| &of(slot).key))?;
        columns.push(Arc::new(Int64Array::from_value(PART, slots.len())));
        let folded = slots.iter().map(|slot| of(slot).folded);
        columns.push(Arc::new(TimestampMillisecondArray::from_iter_values(folded)));
        let hashes: UInt64Array = slots.iter().map(|slot| of(slot).hash).collect::<Vec<_>>().into();
        for (index, call) in self.calls.iter().enumerate().filter(|(_, call)| call.is_unbounded()) {
            let (mut counts, mut values) = (Vec::new(), Vec::new());
            for slot in slots {
                let stored = self.partitions[*slot as usize].tallies[index].stored();
                counts.push(stored.count);
                values.push(stored.value);
            }
            columns.push(Arc::new(Int64Array::from(counts)));
            if call.stored_type(&self.input).is_some() {
                columns.push(stored_column(call, values)?);
            }
        }
        let rows = RecordBatch::try_new(totals.schema.schema.clone(), columns)?;
        let rows = move || Ok(vec![StateRows { rows, hashes, deleted: None }]);
        Ok(Capture { rows: Box::new(rows), expired: None })
    }
}

/// Values of calls as a column.
fn stored_column(call: &Call, values: Vec<Option<Vec<u8>>>) -> Result<ArrayRef> {
    let Some((converter, null)) = call.converter() else {
        return Ok(Arc::new(values.into_iter().collect::<BinaryArray>()));
    };
    let values = values.into_iter().map(|value| value.map_or_else(|| null.clone(), Into::into));
    let column = converter.decode(values)?.pop();
    column.ok_or_else(|| Error::internal("totals are lost on their way through bytes"))
}

/// A column as values of calls.
fn stored_values(call: &Call, column: &ArrayRef) -> Result<Vec<Option<Vec<u8>>>> {
    match call.converter() {
        None => {
            let bytes =
                column.as_binary_opt::<i32>().ok_or_else(|| Error::internal("a sum is stored as something else"))?;
            Ok(bytes.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect())
        }
        Some((converter, _)) => {
            let encoded = converter.encode_columns(std::slice::from_ref(column))?;
            Ok((0..column.len()).map(|row| Some(encoded.row(row).to_vec())).collect())
        }
    }
}
