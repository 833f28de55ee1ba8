//! Functions with `OVER` in any order, over rows that come and go.
//!
//! ```text
//!   batch ──▶ rows, and what has changed of their partitions
//!   marker ──▶ partition before and after ──frame──▶ rows that may have another result ──compute──▶ results before and after, as far as they differ
//! ```
//!
//! - batch: rows are put aside for their partition, or marked as gone.
//! - watermark: nothing, but at the end of time: what is owed comes out in front of it.
//! - marker: of each partition that has changed the results of some rows are computed twice: as they were at the last marker, and as they
//!   are now. These are the rows from the first to the last whose frames hold a row that came or went. A result that is the same stays.
//!   Then rows added and gone are captured.
//! - eviction: whole partitions leave.
//!
//! Partitions may have a time to live: one that nothing has changed in is forgotten at a marker, and nothing is said of it. Rows that come
//! later begin anew, and one that is taken back and is not there any more is passed over.
//!
//! No result is kept: it follows from the rows of its frame and their order alone, and comes out the same, to the last digit, whenever it is computed.

mod compute;
mod emission;
mod folds;
mod frame;
mod partition;
mod rows;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMillisecondArray, UInt64Array};
use arrow::compute::{SortOptions, filter};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, CapturedRows, ChangelogKind, Collector, Distribution, EventTime, OpenContext, Operator, Result,
    TableSchema, UpdatingOverSpec, state_column,
};
use weir_functions::Functions;

use self::compute::Calls;
use self::frame::Distances;
use self::partition::Partition;
use self::rows::Rows;
use crate::batches::{check_stored, event_times, stored_fields, with_schema};
use crate::time_to_live::{Partitions, TimeToLive, with_stamps};
use crate::top_n::Columns;

/// Id of the state's column that says when its partition has changed last.
const STAMP: u32 = 100_001;

/// Key of a partition.
type Key = Arc<[u8]>;

/// Functions with `OVER` whose results change.
pub(crate) struct UpdatingOver {
    // Fixed by the plan.
    partition: Columns,
    order: Columns,
    calls: Calls,
    /// Where a frame is bounded by a distance in the order.
    distances: Option<Distances>,
    output: SchemaRef,
    state: TableSchema,
    life: TimeToLive,
    // Checkpointed.
    rows: Rows,
    ages: Partitions<Key>,
    // What follows from it.
    partitions: HashMap<Key, Partition, FixedState>,
    /// Bytes of places in the order.
    place_bytes: usize,
    // Since the last marker.
    changed: Vec<Key>,
    hashes: Vec<u64>,
}

impl UpdatingOver {
    pub(crate) fn new(
        spec: &UpdatingOverSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        let UpdatingOverSpec { partition, order, calls, retracts, time_to_live } = spec;
        let stored = state_column::numbered_schema(&stored(input));
        let options = order.iter().map(|key| SortOptions { descending: key.descending, nulls_first: key.nulls_first });
        let columns = order.iter().map(|key| key.column).collect();
        Ok(Self {
            partition: Columns::new(partition.clone(), vec![SortOptions::default(); partition.len()], input, true)?,
            order: Columns::new(columns, options.collect(), input, true)?,
            calls: Calls::new(calls, input, functions)?,
            distances: Distances::of(calls, order),
            output: output.clone(),
            state: TableSchema {
                name: "rows".to_owned(),
                version: 1,
                time_column: Some(stored.fields().len()),
                schema: with_stamps(&stored, STAMP),
                key_columns: 1,
                distribution: Distribution::Keyed,
            },
            life: TimeToLive::new(*time_to_live),
            rows: Rows::new(input, *retracts),
            ages: Partitions::default(),
            partitions: HashMap::default(),
            place_bytes: 0,
            changed: Vec::new(),
            hashes: Vec::new(),
        })
    }

    /// Puts rows into their partitions: those that have come, or as a checkpoint holds them, with numbers and stamps.
    fn place(
        &mut self,
        records: &RecordBatch,
        hashes: &[u64],
        stored: Option<(&[i64], &TimestampMillisecondArray)>,
    ) -> Result<()> {
        let distances = self.distances.as_ref().map(|distances| distances.of_rows(records)).transpose()?;
        let slots = self.rows.add(records, hashes, stored.map(|(numbers, _)| numbers), distances)?;
        let (partitions, order) = (self.partition.encode(records)?, self.order.encode(records)?);
        for (row, slot) in slots.iter().enumerate() {
            let (key, partition) = found(&mut self.partitions, partitions.row(row), hashes[row]);
            if let Some((_, stamps)) = stored.filter(|_| self.life.is_limited()) {
                let stamp = stamps.is_valid(row).then(|| stamps.value(row));
                self.rows.load_stamp(*slot, stamp);
                if partition.is_empty() {
                    partition.stamp = stamp;
                    self.ages.loaded(key, stamp);
                }
            }
            let number = self.rows.number(*slot);
            self.place_bytes += match stored {
                None => partition.add(order.row(row), number, *slot),
                Some(_) => partition.load(order.row(row), number, *slot),
            };
            if stored.is_none() && partition.note() {
                self.changed.push(key.clone());
            }
        }
        self.rows.push(records, slots)
    }

    /// Marks rows as gone.
    fn take_back(&mut self, records: &RecordBatch, hashes: &[u64]) -> Result<()> {
        let partitions = self.partition.encode(records)?;
        let known = match self.life.forgets() {
            true => Some(self.rows.take_back_known(records)?),
            false => {
                self.rows.take_back(records)?;
                None
            }
        };
        let is_known = |row: usize| known.as_ref().is_none_or(|known| known.value(row));
        for (row, hash) in hashes.iter().enumerate().filter(|(row, _)| is_known(*row)) {
            let (key, partition) = found(&mut self.partitions, partitions.row(row), *hash);
            if partition.note() {
                self.changed.push(key.clone());
            }
        }
        Ok(())
    }
}

impl UpdatingOver {
    /// Behind [`emit`](Self::emit) at a marker: what has changed is stamped, and partitions go that have not for long enough.
    fn expire(&mut self, changed: Vec<Key>) -> Result<()> {
        if !self.life.is_limited() {
            return Ok(());
        }
        self.life.marker();
        let Self { ages, partitions, rows, .. } = self;
        ages.changed(changed, self.life.stamp(), |key, stamp| {
            let Some(partition) = partitions.get_mut(key) else { return false };
            partition.slots().for_each(|slot| rows.stamp(slot, stamp));
            partition.stamp.replace(stamp) != Some(stamp)
        });
        let mut gone = Vec::new();
        for (key, stamp) in self.ages.due(self.life.expired()) {
            if self.partitions.get(&key).is_some_and(|partition| partition.stamp == Some(stamp))
                && let Some(partition) = self.partitions.remove(&key)
            {
                self.place_bytes = self.place_bytes.saturating_sub(partition.leave(&mut gone));
            }
        }
        self.rows.forget(&gone)
    }
}

/// The partition of that key, and the key.
fn found<'a>(
    partitions: &'a mut HashMap<Key, Partition, FixedState>,
    key: &[u8],
    hash: u64,
) -> (&'a Key, &'a mut Partition) {
    let (key, partition) =
        partitions.raw_entry_mut().from_key(key).or_insert_with(|| (Key::from(key), Partition::new(hash)));
    (key, partition)
}

/// A row in the state: what names it beside its key hash comes first.
fn stored(input: &Schema) -> SchemaRef {
    let number = Field::new("row$number", DataType::Int64, false);
    let columns = stored_fields(input.fields());
    Arc::new(Schema::new(std::iter::once(number).chain(columns).collect::<Vec<_>>()))
}

impl Operator for UpdatingOver {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.state.clone()]
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let last = rows.num_columns() - 1;
        check_stored(self.rows.schema().fields(), &rows.columns()[1..last])?;
        let records = with_schema(self.rows.schema(), rows.columns()[1..last].to_vec(), rows.num_rows())?;
        let numbers = rows.column(0).as_primitive::<Int64Type>().values();
        self.place(&records, hashes.values(), Some((numbers, event_times(rows.column(last))?)))
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.life.open(context);
        Ok(())
    }

    fn expired(&self, _table: usize, _watermark: EventTime) -> Option<EventTime> {
        self.life.expired()
    }

    /// All rows stay.
    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let (mut leaving, places) = (Vec::new(), &mut self.place_bytes);
        self.partitions.retain(|_, partition| {
            let stays = !leaves(partition.hash());
            if !stays {
                *places = places.saturating_sub(partition.leave(&mut leaving));
            }
            stays
        });
        self.rows.evict(&leaving)?;
        Ok(vec![EventTime::MAX])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.partition.columns)
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => self.rows.can_take_back(),
            ChangelogKind::Upsert(_) => false,
        }
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        let keys: Vec<ArrayRef> =
            self.partition.columns.iter().map(|column| batch.records().column(*column).clone()).collect();
        let mut hashes = std::mem::take(&mut self.hashes);
        hash_rows(&keys, batch.num_rows(), &mut hashes)?;
        let Some(weights) = batch.weights() else {
            self.place(batch.records(), &hashes, None)?;
            self.hashes = hashes;
            return Ok(());
        };
        // Added first: a row that comes and goes has to be there before it is taken back.
        let hashes = UInt64Array::from(hashes);
        let of = |sign: bool| -> BooleanArray {
            weights.values().iter().map(|weight| Some((*weight > 0) == sign)).collect()
        };
        for (is_added, rows) in [(true, of(true)), (false, of(false))] {
            let records = batch.clone().filter(&rows)?.into_parts().0;
            let own = filter(&hashes, &rows)?;
            let own = own.as_primitive::<UInt64Type>().values();
            match is_added {
                true => self.place(&records, own, None)?,
                false => self.take_back(&records, own)?,
            }
        }
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.life.watermark(time);
        if time == EventTime::MAX {
            self.flush(out)?;
        }
        Ok(Some(time))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        let changed = if self.life.is_limited() { self.changed.clone() } else { Vec::new() };
        self.emit(out)?;
        self.expire(changed)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let (captured, schema) = (self.rows.capture(), self.state.schema.clone());
        let rows: CapturedRows = Box::new(move || captured.rows(&schema));
        Ok(vec![Capture { rows, expired: self.life.expired() }])
    }

    fn state_bytes(&self) -> usize {
        self.rows.bytes() + self.place_bytes
    }
}

#[cfg(test)]
mod tests;
