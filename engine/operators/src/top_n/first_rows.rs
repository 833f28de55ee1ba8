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
use crate::batches::{check_stored, event_times, with_schema};
use crate::chunked::Chunked;
use crate::row_blocks::{Blocks, Slot};
use crate::time_to_live::{Generations, TimeToLive};

/// What is known of a row beside its place.
#[derive(Default)]
struct Known {
    partitions: Vec<u32>,
    flags: Vec<u8>,
    // What a capture needs, and shares.
    arrivals: Chunked<i64>,
    /// The number of the capture that stores the row: 0 of one that was loaded, [`NONE_STORES`] of one that has left since.
    captures: Chunked<u32>,
}

/// No capture stores the row.
const NONE_STORES: u32 = u32::MAX;

/// The row is among the first ones.
const PRESENT: u8 = 1;
/// It was among the first ones at the last marker.
const SHOWN: u8 = 2;
/// A checkpoint holds it without its stamp; its slot is in the list of those that are stored again.
const AGAIN: u8 = 4;

/// Rows that are gone and that a checkpoint holds.
#[derive(Default)]
struct Gone {
    partitions: Vec<u32>,
    arrivals: Vec<i64>,
}

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
    // Since the last capture, which had the number before this one.
    capture: u32,
    /// Rows that a checkpoint holds without their stamp.
    again: Vec<Slot>,
    gone: Gone,
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
            rows: Blocks::new(input).noting_recent(),
            known: Known::default(),
            generations: Generations::default(),
            left: Vec::new(),
            capture: 1,
            again: Vec::new(),
            gone: Gone::default(),
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

    /// A slot for a row that is about to come. `capture`: the number of the one that stores it.
    fn slot(&mut self, partition: u32, arrival: i64, (flags, capture): (u8, u32)) -> Result<Slot> {
        let known = &mut self.known;
        if let Some(slot) = self.vacant.pop() {
            let index = slot as usize;
            known.partitions[index] = partition;
            known.flags[index] = known.flags[index] & AGAIN | flags;
            *known.arrivals.get_mut(slot) = arrival;
            *known.captures.get_mut(slot) = capture;
            return Ok(slot);
        }
        let slot = u32::try_from(known.flags.len()).ok().filter(|slot| *slot < u32::MAX / 2).ok_or_else(|| {
            Error::environment("a Top-N keeps more than two thousand million rows in one subtask")
                .with_help("raise the parallelism")
        })?;
        known.partitions.push(partition);
        known.arrivals.push(arrival);
        known.flags.push(flags);
        known.captures.push(capture);
        Ok(slot)
    }

    /// A row is no longer among the first ones of its partition.
    fn leave(&mut self, slot: Slot, dropped: &mut Vec<Slot>) {
        let index = slot as usize;
        let flags = self.known.flags[index];
        self.known.flags[index] &= !PRESENT;
        match self.is_stored(slot) {
            true => self.goes(slot),
            false => *self.known.captures.get_mut(slot) = NONE_STORES,
        }
        self.generations.leave(slot);
        // What was shown is still to be taken back.
        if flags & SHOWN != 0 { self.left.push(slot) } else { dropped.push(slot) }
    }

    /// Whether a checkpoint holds a row.
    fn is_stored(&self, slot: Slot) -> bool {
        let capture = *self.known.captures.get(slot);
        capture != self.capture && capture != NONE_STORES
    }

    /// A row goes that a checkpoint holds.
    fn goes(&mut self, slot: Slot) {
        self.gone.partitions.push(self.known.partitions[slot as usize]);
        self.gone.arrivals.push(*self.known.arrivals.get(slot));
    }

    /// A row that a checkpoint holds is stored again.
    fn store_again(&mut self, slot: Slot) {
        let flags = &mut self.known.flags[slot as usize];
        if *flags & AGAIN == 0 {
            *flags |= AGAIN;
            self.again.push(slot);
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
        check_stored(self.rows.schema().fields(), records.columns())?;
        let records = with_schema(self.rows.schema(), records.columns().to_vec(), rows.num_rows())?;
        let partitions = self.intern(&records)?;
        let order = self.order.encode(&records)?;
        let deletions = self.deletions(&records);
        let mut slots = Vec::with_capacity(partitions.len());
        for (row, partition) in partitions.iter().enumerate() {
            let arrival = arrivals.value(row);
            let slot = self.slot(*partition, arrival, (PRESENT | SHOWN, 0))?;
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
        self.rows.load(&records, slots)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let leaving = self.keys.leaving(self.partition_columns.len(), leaves)?;
        let mut slots = Vec::new();
        for partition in &leaving {
            let rows = self.partitions.clear(*partition)?;
            slots.extend(rows.iter().map(|entry| entry.slot));
        }
        if slots.iter().any(|slot| !self.is_stored(*slot)) {
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
            (self.again, self.vacant) = (Vec::new(), Vec::new());
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
            let slot = self.slot(*partition, arrival, (PRESENT, self.capture))?;
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
        let mut again = std::mem::take(&mut self.again);
        again.iter().for_each(|slot| self.known.flags[*slot as usize] &= !AGAIN);
        // A slot may have lost its row since, and may have got a new one.
        again.retain(|slot| self.known.flags[*slot as usize] & PRESENT != 0 && self.is_stored(*slot));
        let (recent, number) = (self.rows.take_recent(), self.capture);
        self.capture = self.capture.checked_add(1).filter(|next| *next != NONE_STORES).unwrap_or(1);
        let (captures, arrivals) = (self.known.captures.share(), self.known.arrivals.share());
        let stamps = self.life.is_limited().then(|| self.generations.share());
        self.generations.captured();
        let again_rows = self.rows.pick(&again);
        let gone = std::mem::take(&mut self.gone);
        let gone_from = Picked::Slots(gone.partitions.into());
        let gone_keys = self.keys.capture(&gone_from);
        self.remove_emptied();
        let (schema, keys) = (self.state.schema.clone(), self.partition_columns.clone());
        let rows = move || {
            let mut captured = Vec::new();
            for piece in gone_from.pieces() {
                captured.push(deleted(&schema, gone_keys.columns(piece.clone())?, gone.arrivals[piece].to_vec())?);
            }
            let mut put = recent.rows(|slot| *captures.get(slot) == number)?;
            let mut again = &again[..];
            for batch in again_rows.batches() {
                let (values, rows) = batch?;
                let (slots, rest) = again.split_at(rows);
                again = rest;
                put.push((values, slots.to_vec()));
            }
            for (values, slots) in put {
                let mut columns: Vec<ArrayRef> = keys.iter().map(|key| values[*key].clone()).collect();
                let hashes = hashes(&columns, slots.len())?;
                columns.push(Arc::new(Int64Array::from_iter_values(slots.iter().map(|slot| *arrivals.get(*slot)))));
                columns.extend(values);
                columns.push(Arc::new(match &stamps {
                    Some(stamps) => slots.iter().map(|slot| stamps.of(*slot)).collect::<TimestampMillisecondArray>(),
                    None => TimestampMillisecondArray::new_null(slots.len()),
                }));
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
            + rows * (size_of::<Entry<K>>() + 17)
    }
}
