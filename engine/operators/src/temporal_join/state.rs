//! The state of a temporal join: left rows that wait, and versions.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use weir_core::hash::canonical_keys;
use weir_core::{
    Capture, Distribution, EventTime, Operator, Result, StateRows, TableSchema, TemporalJoinSpec, state_column,
};

use super::{BATCH, TemporalJoin, Versions};
use crate::batches::{check_stored, event_times, stored_fields};
use crate::join::{LEFT, RIGHT};
use crate::kept_row::Row;

/// Left rows leave by their time. Versions are found by their key and number.
pub(super) fn tables(spec: &TemporalJoinSpec, inputs: [&SchemaRef; 2]) -> [TableSchema; 2] {
    let table = |name: &str, fields: Vec<Field>, key_columns: usize, time: usize| TableSchema {
        name: name.to_owned(),
        version: 1,
        schema: state_column::numbered_schema(&Schema::new(fields)),
        key_columns,
        time_column: Some(time),
        distribution: Distribution::Keyed,
    };
    let columns = |side: usize| -> Vec<Field> { stored_fields(inputs[side].fields()).collect() };
    let right = columns(RIGHT);
    let mut versions: Vec<Field> = spec.on.iter().map(|(_, key)| right[*key].clone()).collect();
    versions.push(Field::new("arrival", DataType::Int64, false));
    let keys = versions.len();
    versions.extend(right);
    [table("left", columns(LEFT), 0, spec.time.0), table("versions", versions, keys, keys + spec.time.1)]
}

impl TemporalJoin {
    pub(super) fn load_rows(&mut self, side: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let keys = self.tables[side].key_columns;
        let records = rows.project(&(keys..rows.num_columns()).collect::<Vec<_>>())?;
        check_stored(self.shape.schema(side).fields(), records.columns())?;
        let arrivals = keys.checked_sub(1).map(|arrival| rows.column(arrival).as_primitive::<Int64Type>());
        let (bytes, values) = (self.keys[side].encode(&records)?, self.all[side].encode(&records)?);
        let times = event_times(records.column(self.time[side]))?.values();
        for row in 0..rows.num_rows() {
            let hash = hashes.value(row);
            let slot = self.slot(bytes.row(row), hash);
            let arrival = arrivals.map_or(0, |arrivals| arrivals.value(row));
            self.next = self.next.max(arrival + 1);
            let row = Row::new(slot, hash, (times[row], arrival), values.row(row), true);
            if side == LEFT {
                self.wait(row);
            } else {
                self.add_version(row);
                self.loaded.push(slot);
            }
        }
        Ok(())
    }

    pub(super) fn evict_keys(&mut self, leaves: &dyn Fn(u64) -> bool) -> Vec<EventTime> {
        let slots = self.places.values().copied();
        let slots: HashSet<u32> = slots.filter(|slot| leaves(self.keyed[*slot as usize].hash)).collect();
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
        self.loaded.retain(|slot| !slots.contains(slot));
        for slot in slots {
            // What is noted of its place must find nothing there.
            let versions = std::mem::take(&mut self.keyed[slot as usize]);
            let gone: usize = versions.rows.iter().map(|row| row.bytes()).sum();
            self.bytes = self.bytes.saturating_sub(gone);
            self.places.remove(&versions.key);
            self.free.push(slot);
        }
        vec![least, EventTime::MAX]
    }

    pub(super) fn capture_changes(&mut self) -> Vec<Capture> {
        let mut gone = Vec::new();
        for slot in std::mem::take(&mut self.changed) {
            let Versions { gone: of_key, is_changed, .. } = &mut self.keyed[slot as usize];
            if std::mem::take(is_changed) {
                gone.append(of_key);
                self.forget_if_empty(slot);
            }
        }
        let [left, right] = &mut self.fresh;
        let left = new_rows(left);
        let right = new_rows(right);
        let expired = self.expired(LEFT, self.watermark);
        vec![self.captured(LEFT, left, Vec::new(), expired), self.captured(RIGHT, right, gone, None)]
    }

    fn captured(&self, side: usize, fresh: Vec<Arc<Row>>, gone: Vec<Arc<Row>>, expired: Option<EventTime>) -> Capture {
        let (all, table) = (self.all[side].clone(), self.tables[side].clone());
        let keys = if side == RIGHT { self.shape.key_columns(side).to_vec() } else { Vec::new() };
        let rows = move || {
            let mut captured = Vec::new();
            for (rows, are_gone) in [(gone, true), (fresh, false)] {
                for rows in rows.chunks(BATCH) {
                    let values = all.decode(rows.iter().map(|row| &row.value))?;
                    let mut columns: Vec<ArrayRef> = keys.iter().map(|key| canonical_keys(&values[*key])).collect();
                    if table.key_columns > 0 {
                        columns.push(Arc::new(rows.iter().map(|row| row.arrival).collect::<Int64Array>()));
                    }
                    columns.extend(values);
                    captured.push(StateRows {
                        rows: RecordBatch::try_new(table.schema.clone(), columns)?,
                        hashes: rows.iter().map(|row| row.hash).collect::<Vec<_>>().into(),
                        deleted: are_gone.then(|| BooleanArray::from(vec![true; rows.len()])),
                    });
                }
            }
            Ok(captured)
        };
        Capture { rows: Box::new(rows), expired }
    }
}

/// Those that have not gone already: nothing has been stored of them, and nothing has to be. All are stored from here on.
fn new_rows(fresh: &mut Vec<Arc<Row>>) -> Vec<Arc<Row>> {
    let rows: Vec<Arc<Row>> = std::mem::take(fresh).into_iter().filter(|row| Arc::strong_count(row) > 1).collect();
    rows.iter().for_each(|row| row.set_stored());
    rows
}
