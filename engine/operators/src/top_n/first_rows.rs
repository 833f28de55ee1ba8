//! A few first rows of each partition, of rows that are only added: those behind the limit are dropped, for they cannot come back.
//!
//! Rows lie in columns ([`Blocks`]), and of each a partition knows what it is ordered by and its slot. A row that is not among the first
//! ones is seen to be none by one comparison, and of a batch only those are kept that are left at its end.
//!
//! - batch: rows go to their partition.
//! - watermark: nothing, but at the end of time: what is owed comes out in front of it.
//! - marker: partitions that have changed are compared with what they showed before; then rows added and gone are captured.
//! - eviction: whole partitions leave.
//!
//! Rows may have a time to live, from when they came. Then they are forgotten at a marker, and nothing is said of it: what is shown of them
//! stays, and rows that come later take a place that is free. With numbers on the rows there is none, but where one row is shown: the others
//! would get other numbers. If rows say by a column that they stand for none, those alone are forgotten.

mod changes;
mod expiry;
mod order_key;
mod partitions;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Error, EventTime, OpenContext, Operator, Result, StateRows, TableSchema,
    TopNSpec,
};

use self::changes::Changes;
pub(super) use self::order_key::OrderKey;
use self::order_key::is_short;
use self::partitions::{Entry, Partitions};
use super::{Columns, deleted, hashes};
use crate::aggregate::{KeyLayout, KeyTable, Picked};
use crate::batches::event_times;
use crate::row_blocks::{Blocks, Slot};
use crate::time_to_live::{Generations, TimeToLive};

/// What is known of a row beside its place.
#[derive(Default)]
struct Known {
    partitions: Vec<u32>,
    arrivals: Vec<i64>,
    flags: Vec<u8>,
}

/// The row is among the first ones.
const PRESENT: u8 = 1;
/// A checkpoint holds it.
const STORED: u8 = 2;
/// It was among the first ones at the last marker.
const SHOWN: u8 = 4;
/// Its slot is in the list of those that the next capture looks at.
const FRESH: u8 = 8;

/// A checkpoint holds it without its stamp.
const AGAIN: u8 = 16;

/// The operator.
pub(super) struct FirstRows<K> {
    // Fixed by the plan.
    partition_columns: Vec<usize>,
    order: Columns,
    limit: usize,
    with_rank: bool,
    last_first: bool,
    life: TimeToLive,
    /// The column by which a row says that it stands for none.
    deletions: Option<usize>,
    output: SchemaRef,
    state: TableSchema,
    key_layout: KeyLayout,
    // Kept in checkpoints.
    keys: KeyTable,
    partitions: Partitions<K>,
    rows: Blocks,
    known: Known,
    generations: Generations,
    // Since the last marker: slots of rows that were shown and are so no more.
    left: Vec<Slot>,
    // Since the last capture.
    fresh: Vec<Slot>,
    gone: Vec<(u32, i64)>,
    /// Partitions that had nothing any more when their last row was forgotten.
    emptied: Vec<u32>,
    /// Slots without a row, to be used again.
    vacant: Vec<Slot>,
    // Scratch.
    interned: Vec<u32>,
}

/// The operator for rows of `input`, which are ordered by `order`.
pub(super) fn create(
    spec: &TopNSpec,
    (order, last_first): (Columns, bool),
    (input, output, state): (&SchemaRef, &SchemaRef, TableSchema),
) -> Result<Box<dyn Operator>> {
    if is_short(spec.order.iter().map(|key| input.field(key.column).data_type())) {
        return Ok(Box::new(FirstRows::<[u64; 2]>::new(spec, (order, last_first), (input, output, state))?));
    }
    Ok(Box::new(FirstRows::<Box<[u8]>>::new(spec, (order, last_first), (input, output, state))?))
}

impl<K: OrderKey> FirstRows<K> {
    fn new(
        spec: &TopNSpec,
        (order, last_first): (Columns, bool),
        (input, output, state): (&SchemaRef, &SchemaRef, TableSchema),
    ) -> Result<Self> {
        let types: Vec<DataType> =
            spec.partition.iter().map(|column| input.field(*column).data_type().clone()).collect();
        let key_layout = KeyLayout::new(types)?;
        let limit = usize::try_from(spec.limit).unwrap_or(usize::MAX);
        Ok(Self {
            partition_columns: spec.partition.clone(),
            order,
            limit,
            with_rank: spec.with_rank,
            last_first,
            life: TimeToLive::new(spec.time_to_live),
            deletions: spec.deletions,
            output: output.clone(),
            state,
            keys: KeyTable::new(&key_layout, 0),
            key_layout,
            partitions: Partitions::new(limit),
            rows: Blocks::new(input),
            known: Known::default(),
            generations: Generations::default(),
            left: Vec::new(),
            fresh: Vec::new(),
            gone: Vec::new(),
            emptied: Vec::new(),
            vacant: Vec::new(),
            interned: Vec::new(),
        })
    }

    /// Finds the partition of each row.
    fn intern(&mut self, records: &RecordBatch) -> Result<Vec<u32>> {
        let keys: Vec<ArrayRef> = self.partition_columns.iter().map(|column| records.column(*column).clone()).collect();
        let mut interned = std::mem::take(&mut self.interned);
        self.keys.intern(&keys, records.num_rows(), &mut interned)?;
        self.partitions.grow(self.keys.slots());
        Ok(interned)
    }

    /// A slot for a row that is about to come.
    fn slot(&mut self, partition: u32, arrival: i64, flags: u8) -> Result<Slot> {
        let known = &mut self.known;
        if let Some(slot) = self.vacant.pop() {
            let index = slot as usize;
            (known.partitions[index], known.arrivals[index]) = (partition, arrival);
            known.flags[index] = known.flags[index] & FRESH | flags;
            return Ok(slot);
        }
        let slot = u32::try_from(known.flags.len()).ok().filter(|slot| *slot < u32::MAX / 2).ok_or_else(|| {
            Error::environment("a Top-N keeps more than two thousand million rows in one subtask")
                .with_help("raise the parallelism")
        })?;
        known.partitions.push(partition);
        known.arrivals.push(arrival);
        known.flags.push(flags);
        Ok(slot)
    }

    /// A row is no longer among the first ones of its partition.
    fn leave(&mut self, slot: Slot, dropped: &mut Vec<Slot>) {
        let index = slot as usize;
        let flags = self.known.flags[index];
        self.known.flags[index] &= !PRESENT;
        if flags & STORED != 0 {
            self.gone.push((self.known.partitions[index], self.known.arrivals[index]));
        }
        self.generations.leave(slot);
        // What was shown is still to be taken back.
        if flags & SHOWN != 0 { self.left.push(slot) } else { dropped.push(slot) }
    }

    /// The next capture looks at a slot.
    fn capture_later(&mut self, slot: Slot) {
        let flags = &mut self.known.flags[slot as usize];
        if *flags & FRESH == 0 {
            *flags |= FRESH;
            self.fresh.push(slot);
        }
    }

    fn free(&mut self, slots: Vec<Slot>) -> Result<()> {
        self.rows.remove(&slots)?;
        self.vacant.extend(slots);
        Ok(())
    }

    /// Emits what has changed of the partitions that have.
    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        let mut changes = Changes::default();
        for changed in self.partitions.take_changed() {
            let after = self.partitions.rows(changed.partition);
            after.iter().for_each(|entry| self.known.flags[entry.slot as usize] |= SHOWN);
            changes.add(&changed.before, after, self.with_rank);
            if changes.is_full() {
                changes.emit(&self.rows, &self.output, self.with_rank, out)?;
            }
        }
        changes.emit(&self.rows, &self.output, self.with_rank, out)?;
        let left = std::mem::take(&mut self.left);
        self.free(left)
    }
}

impl<K: OrderKey> Operator for FirstRows<K> {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.state.clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.life.open(context);
        Ok(())
    }

    fn expired(&self, _table: usize, _watermark: EventTime) -> Option<EventTime> {
        self.life.expired()
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        let (keys, last) = (self.state.key_columns, rows.num_columns() - 1);
        let arrivals = rows.column(keys - 1).as_primitive::<Int64Type>();
        let stamps = event_times(rows.column(last))?;
        let records = rows.project(&(keys..last).collect::<Vec<_>>())?;
        let records = crate::batches::with_schema(self.rows.schema(), records.columns().to_vec(), rows.num_rows())?;
        let partitions = self.intern(&records)?;
        let order = self.order.encode(&records)?;
        let deletions = self.deletions(&records);
        let mut slots = Vec::with_capacity(partitions.len());
        for (row, partition) in partitions.iter().enumerate() {
            let arrival = arrivals.value(row);
            let slot = self.slot(*partition, arrival, PRESENT | STORED | SHOWN)?;
            self.partitions.load(
                *partition,
                Entry::new(K::of(order.row(row)), arrival, self.last_first, slot),
                arrival,
            );
            if self.life.is_limited() && expiry::ages(deletions, row) {
                match stamps.is_valid(row).then(|| stamps.value(row)) {
                    Some(stamp) => self.generations.set(slot, stamp),
                    // It has been kept for ever so far; it is stored again with its stamp.
                    None => self.generations.touch_unstamped(slot),
                }
            }
            slots.push(slot);
        }
        self.interned = partitions;
        self.rows.push(&records, slots)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let leaving = self.keys.leaving(self.partition_columns.len(), leaves)?;
        let mut slots = Vec::new();
        for partition in &leaving {
            let rows = self.partitions.clear(*partition)?;
            slots.extend(rows.iter().map(|entry| entry.slot));
        }
        if slots.iter().any(|slot| self.known.flags[*slot as usize] & STORED == 0) {
            return Err(Error::internal("a row of a Top-N was to leave before it is stored"));
        }
        for slot in &slots {
            self.known.flags[*slot as usize] &= !PRESENT;
            self.generations.leave(*slot);
        }
        self.free(slots)?;
        self.emptied.retain(|partition| !leaving.contains(partition));
        self.keys.remove(&leaving);
        if self.keys.len() == 0 {
            // Nothing is left that a slot could be the number of.
            self.keys = KeyTable::new(&self.key_layout, 0);
            self.partitions = Partitions::new(self.limit);
            self.rows.clear();
            self.known = Known::default();
            self.generations = Generations::default();
            self.emptied.clear();
            (self.fresh, self.vacant) = (Vec::new(), Vec::new());
        }
        Ok(vec![EventTime::MAX])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.partition_columns)
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        matches!(stream, ChangelogKind::Append)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        let partitions = self.intern(&records)?;
        let order = self.order.encode(&records)?;
        let (mut taken, mut dropped) = (Vec::new(), Vec::new());
        for (row, partition) in (0_u32..).zip(&partitions) {
            let key = order.row(row as usize);
            if !self.partitions.would_keep(*partition, key, self.last_first) {
                continue;
            }
            let arrival = self.partitions.touch(*partition);
            let slot = self.slot(*partition, arrival, PRESENT)?;
            taken.push((slot, row));
            if let Some(last) = self.partitions.add(*partition, Entry::new(K::of(key), arrival, self.last_first, slot))
            {
                self.leave(last, &mut dropped);
            }
        }
        self.interned = partitions;
        // Rows that came and went in this batch are in no block yet.
        let (before, within): (Vec<Slot>, Vec<Slot>) = dropped.into_iter().partition(|slot| self.rows.is_there(*slot));
        self.free(before)?;
        let staying = taken.iter().filter(|(slot, _)| self.known.flags[*slot as usize] & PRESENT != 0);
        let (slots, rows): (Vec<Slot>, Vec<u32>) = staying.copied().unzip();
        self.vacant.extend(within);
        let deletions = self.deletions(&records);
        for (slot, row) in slots.iter().zip(&rows) {
            if self.life.is_limited() && expiry::ages(deletions, *row as usize) {
                self.generations.touch(*slot);
            }
            self.capture_later(*slot);
        }
        if rows.len() == records.num_rows() {
            return self.rows.push(&records, slots);
        }
        self.rows.push(&take_record_batch(&records, &UInt32Array::from(rows))?, slots)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.life.watermark(time);
        if time == EventTime::MAX {
            self.emit(out)?;
        }
        Ok(Some(time))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        self.emit(out)?;
        self.expire()
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let mut fresh = std::mem::take(&mut self.fresh);
        let flags = &mut self.known.flags;
        fresh.retain(|slot| {
            let flags = &mut flags[*slot as usize];
            let is_put = *flags & PRESENT != 0 && *flags & (STORED | AGAIN) != STORED;
            *flags &= !(FRESH | AGAIN);
            *flags |= if is_put { STORED } else { 0 };
            is_put
        });
        let put = self.rows.pick(&fresh);
        let stamps: Option<Vec<Option<i64>>> =
            self.life.is_limited().then(|| fresh.iter().map(|slot| self.generations.of(*slot)).collect());
        self.generations.captured();
        let arrivals: Vec<i64> = fresh.iter().map(|slot| self.known.arrivals[*slot as usize]).collect();
        let (gone_from, gone): (Vec<u32>, Vec<i64>) = std::mem::take(&mut self.gone).into_iter().unzip();
        let gone_from = Picked::Slots(gone_from.into());
        let gone_keys = gone_from.pieces().map(|piece| Ok((piece.clone(), self.keys.columns(&gone_from, piece)?)));
        let gone_keys: Vec<_> = gone_keys.collect::<Result<_>>()?;
        self.remove_emptied();
        let (schema, keys) = (self.state.schema.clone(), self.partition_columns.clone());
        let rows = move || {
            let mut captured = Vec::new();
            for (piece, keys) in gone_keys {
                captured.push(deleted(&schema, keys, gone[piece].to_vec())?);
            }
            let (mut arrivals, mut first) = (&arrivals[..], 0);
            for batch in put.batches() {
                let (values, rows) = batch?;
                let mut columns: Vec<ArrayRef> = keys.iter().map(|key| values[*key].clone()).collect();
                let hashes = hashes(&columns, rows)?;
                let (of_batch, rest) = arrivals.split_at(rows);
                arrivals = rest;
                columns.push(Arc::new(Int64Array::from(of_batch.to_vec())));
                columns.extend(values);
                columns.push(Arc::new(match &stamps {
                    Some(stamps) => TimestampMillisecondArray::from(stamps[first..first + rows].to_vec()),
                    None => TimestampMillisecondArray::new_null(rows),
                }));
                first += rows;
                let rows = RecordBatch::try_new(schema.clone(), columns)?;
                captured.push(StateRows { rows, hashes, deleted: None });
            }
            Ok(captured)
        };
        Ok(vec![Capture { rows: Box::new(rows), expired: self.life.expired() }])
    }

    fn state_bytes(&self) -> usize {
        let rows = self.known.flags.len() - self.vacant.len();
        self.generations.bytes()
            + self.rows.bytes()
            + self.keys.bytes()
            + self.partitions.bytes()
            + rows * (size_of::<Entry<K>>() + 13)
    }
}
