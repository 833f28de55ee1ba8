//! Functions with `OVER`: something is computed for each row over those of its partition that come before it in time.
//!
//! ```text
//!   batch ──▶ waiting, by time ──watermark──▶ tallies of the row's partition ──▶ the row with its results
//!                                                    passed: rows that frames of later ones reach
//! ```
//!
//! - batch: rows wait for the watermark; those that it has passed are late.
//! - watermark: rows that it passes are emitted in the order of their time, those of the same time in that of their arrival. `LEAD`
//!   has a row wait further, for those that follow it. Rows go that no frame of a later row reaches.
//! - marker: rows that came; totals of frames without a beginning; rows that went, unless they go by their time alone.
//! - end: the last watermark passes all rows.
//! - eviction: whole partitions leave.
//!
//! What a watermark changes follows from the rows and from where event time stands. So a partition that is loaded has not to be as it
//! was when it left: rows that have been emitted since it was stored are passed once more, without a result ([`Over::settle`]).

mod call;
mod emission;
mod exact_sum;
mod partition;
mod state;
mod tally;
mod updating;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{SortOptions, filter_record_batch};
use arrow::datatypes::SchemaRef;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_core::hash::hash_rows;
use weir_core::{Batch, Capture, Collector, Error, EventTime, OpenContext, Operator, OverSpec, Result, TableSchema};

use self::call::Call;
use self::partition::{Partition, Reach};
use self::state::Tables;
use self::tally::Tally;
pub(crate) use self::updating::UpdatingOver;
use crate::batches::{bounded_times, keep};
use crate::kept_row::Row;
use crate::late::LateRows;
use crate::top_n::Columns;

/// Rows that are passed at a time, give or take those of one time.
const BATCH: usize = 8192;

/// Functions with `OVER`.
pub(crate) struct Over {
    // Fixed by the plan.
    time: usize,
    calls: Vec<Call>,
    reach: Reach,
    partition: Columns,
    all: Arc<Columns>,
    input: SchemaRef,
    output: SchemaRef,
    tables: Tables,
    late: LateRows,
    // Checkpointed.
    /// Rows that the watermark has not passed.
    waiting: BTreeMap<i64, Vec<Arc<Row>>>,
    partitions: Vec<Partition>,
    places: HashMap<Arc<[u8]>, u32, FixedState>,
    // What follows from it.
    free: Vec<u32>,
    /// Partitions whose first row is to go, by when.
    leaving: BTreeMap<i64, Vec<u32>>,
    bytes: usize,
    // Since the last capture, and since something was loaded.
    fresh: Vec<Arc<Row>>,
    changed: Vec<u32>,
    loaded: Vec<u32>,
    next: i64,
    watermark: EventTime,
    hashes: Vec<u64>,
}

/// Bytes of a partition's key and its place in a table, roughly.
const PLACE: usize = 64;

impl Over {
    pub(crate) fn new(spec: &OverSpec, input: &SchemaRef, output: &SchemaRef, name: &str) -> Result<Self> {
        let calls = spec.calls.iter().map(|call| Call::new(call, input)).collect::<Result<Vec<_>>>()?;
        let reach = Reach::of(&calls);
        let by_default = |columns: usize| vec![SortOptions::default(); columns];
        let width = input.fields().len();
        let partition = Columns::new(spec.partition.clone(), by_default(spec.partition.len()), input, true)?;
        Ok(Self {
            time: spec.time,
            tables: Tables::new(spec, &calls, reach.one_by_one, input)?,
            calls,
            reach,
            partition,
            all: Arc::new(Columns::new((0..width).collect(), by_default(width), input, false)?),
            input: input.clone(),
            output: output.clone(),
            late: LateRows::new(name),
            waiting: BTreeMap::new(),
            partitions: Vec::new(),
            places: HashMap::default(),
            free: Vec::new(),
            leaving: BTreeMap::new(),
            bytes: 0,
            fresh: Vec::new(),
            changed: Vec::new(),
            loaded: Vec::new(),
            next: 0,
            watermark: EventTime::MIN,
            hashes: Vec::new(),
        })
    }

    /// Where the partition of that key is.
    fn slot(&mut self, key: &[u8], hash: u64) -> u32 {
        let Self { partitions, places, free, calls, .. } = self;
        let place = places.raw_entry_mut().from_key(key).or_insert_with(|| {
            let key: Arc<[u8]> = key.into();
            let partition = Partition::new(key.clone(), hash, calls);
            let slot = match free.pop() {
                Some(slot) => {
                    partitions[slot as usize] = partition;
                    slot
                }
                None => {
                    partitions.push(partition);
                    partitions.len() as u32 - 1
                }
            };
            (key, slot)
        });
        *place.1
    }

    fn wait(&mut self, row: Arc<Row>) {
        self.bytes += row.bytes();
        self.partitions[row.slot as usize].waiting += 1;
        self.waiting.entry(row.time).or_default().push(row);
    }

    /// Forgets a partition of which there is nothing left.
    fn forget_if_empty(&mut self, slot: u32) {
        let partition = &self.partitions[slot as usize];
        if partition.is_empty() && self.places.get(&partition.key) == Some(&slot) {
            self.places.remove(&partition.key);
            self.free.push(slot);
        }
    }

    /// Rows without those that are late.
    fn sift(&self, records: RecordBatch, out: &mut Collector) -> Result<RecordBatch> {
        let times = bounded_times(records.column(self.time))?;
        if times.null_count() > 0 {
            return Err(Error::data("a row without a time has no place in the order of OVER")
                .with_help("filter such rows out: `WHERE ts IS NOT NULL`"));
        }
        let late: BooleanArray = times.values().iter().map(|time| Some(*time <= self.watermark.0)).collect();
        if late.true_count() == 0 {
            return Ok(records);
        }
        let refused = filter_record_batch(&records, &late)?;
        self.late.emit(&refused, Some(refused.column(self.time)), self.watermark, out)?;
        let punctual: BooleanArray = late.values().iter().map(|late| Some(!late)).collect();
        keep(records, &punctual)
    }

    /// Passes the rows up to `time`, which the watermark has reached.
    fn pass(&mut self, time: i64, out: &mut Collector) -> Result<()> {
        let mut rows: Vec<Arc<Row>> = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > time {
                break;
            }
            let mut same_time = first.remove();
            same_time.sort_by_key(|row| row.arrival);
            rows.append(&mut same_time);
            if rows.len() >= BATCH {
                self.pass_rows(std::mem::take(&mut rows), out)?;
            }
        }
        self.pass_rows(rows, out)?;
        if time == EventTime::MAX.0 && self.reach.ahead > 0 {
            let all: Vec<u32> = self.places.values().copied().collect();
            self.release(all, true, out)?;
        }
        Ok(())
    }

    /// Passes rows in the order of their time.
    fn pass_rows(&mut self, rows: Vec<Arc<Row>>, out: &mut Collector) -> Result<()> {
        for row in &rows {
            self.partitions[row.slot as usize].waiting -= 1;
        }
        if self.reach.ahead == 0 {
            return self.step(rows, Vec::new(), Some(out));
        }
        let mut slots = Vec::with_capacity(rows.len());
        for row in rows {
            slots.push(row.slot);
            self.partitions[row.slot as usize].held.push_back(row);
        }
        self.release(slots, false, out)
    }

    /// Emits rows that have as many behind them as are needed, or all.
    fn release(&mut self, mut slots: Vec<u32>, all: bool, out: &mut Collector) -> Result<()> {
        slots.sort_unstable();
        slots.dedup();
        let (mut rows, mut ahead) = (Vec::new(), Vec::new());
        for slot in slots {
            let held = &mut self.partitions[slot as usize].held;
            let emitted = if all { held.len() } else { self.reach.emitted(held) };
            if emitted > 0 {
                rows.extend(held.drain(..emitted));
                ahead.extend(held.iter().take(self.reach.ahead).cloned());
            }
        }
        rows.sort_by_key(|row: &Arc<Row>| row.order());
        self.step(rows, ahead, Some(out))
    }

    /// Passes what was loaded and has been emitted before. The rest waits for the rows behind it.
    fn settle(&mut self) -> Result<()> {
        let mut emitted: Vec<Arc<Row>> = Vec::new();
        for slot in std::mem::take(&mut self.loaded) {
            let partition = &mut self.partitions[slot as usize];
            let mut rows = std::mem::take(&mut partition.loaded);
            rows.sort_by_key(|row| row.order());
            let mut rows = rows.into();
            let all = self.watermark == EventTime::MAX;
            let count = if all { usize::MAX } else { self.reach.emitted(&rows) };
            emitted.extend(rows.drain(..count.min(rows.len())));
            partition.held = rows;
        }
        emitted.sort_by_key(|row| row.order());
        let mut rows = emitted.into_iter().peekable();
        let mut piece: Vec<Arc<Row>> = Vec::new();
        while let Some(row) = rows.next() {
            let ends = piece.len() >= BATCH && rows.peek().is_none_or(|next| next.time > row.time);
            piece.push(row);
            if ends {
                self.step(std::mem::take(&mut piece), Vec::new(), None)?;
            }
        }
        self.step(piece, Vec::new(), None)?;
        self.trim_due();
        Ok(())
    }

    /// Lets go of rows that the watermark has made useless.
    fn trim_due(&mut self) {
        while let Some(first) = self.leaving.first_entry().filter(|first| *first.key() <= self.watermark.0) {
            for slot in first.remove() {
                let partition = &mut self.partitions[slot as usize];
                partition.is_noted = false;
                self.bytes = self.bytes.saturating_sub(partition.trim(&self.reach, self.watermark.0));
                self.note(slot, self.watermark.0);
                self.forget_if_empty(slot);
            }
        }
    }

    /// Rows up to this time have gone by their time alone.
    fn expired_rows(&self) -> Option<EventTime> {
        self.expired(state::ROWS, self.watermark)
    }

    /// Notes when the first row of a partition is to go, and that there is something to capture.
    fn note(&mut self, slot: u32, time: i64) {
        let partition = &mut self.partitions[slot as usize];
        if let Some(leaves_at) = partition.leaves_at(&self.reach).filter(|at| *at > time && !partition.is_noted) {
            partition.is_noted = true;
            self.leaving.entry(leaves_at).or_default().push(slot);
        }
        if !partition.gone.is_empty() && !std::mem::replace(&mut partition.is_changed, true) {
            self.changed.push(slot);
        }
    }
}

impl Operator for Over {
    fn tables(&self) -> Vec<TableSchema> {
        self.tables.schemas()
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        if table == state::ROWS { self.load_rows(rows, hashes) } else { self.load_totals(rows, hashes) }
    }

    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        if table != state::ROWS || self.reach.one_by_one || watermark == EventTime::MIN {
            return None;
        }
        if watermark == EventTime::MAX {
            return Some(watermark);
        }
        Some(EventTime(watermark.0.saturating_sub(self.reach.time.unwrap_or(0))))
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        match table {
            state::ROWS if self.reach.ahead > 0 => None,
            state::ROWS => Some(watermark),
            _ => Some(EventTime::MAX),
        }
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.settle()?;
        Ok(self.evict_partitions(leaves))
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.partition.columns)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        self.settle()?;
        let records = self.sift(batch.into_appended()?, out)?;
        let keys: Vec<_> = self.partition.columns.iter().map(|column| records.column(*column).clone()).collect();
        let mut hashes = std::mem::take(&mut self.hashes);
        hash_rows(&keys, records.num_rows(), &mut hashes)?;
        let (partitions, values) = (self.partition.encode(&records)?, self.all.encode(&records)?);
        let times = bounded_times(records.column(self.time))?.values();
        for (row, hash) in hashes.iter().enumerate() {
            let slot = self.slot(partitions.row(row), *hash);
            let row = Row::new(slot, *hash, (times[row], self.next), values.row(row), false);
            self.next += 1;
            self.fresh.push(row.clone());
            self.wait(row);
        }
        self.hashes = hashes;
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.settle()?;
        self.pass(time.0, out)?;
        self.watermark = time;
        self.trim_due();
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.settle()?;
        self.capture_changes()
    }

    /// Rows, and what is known of partitions beside them.
    fn state_bytes(&self) -> usize {
        let each = size_of::<Partition>() + self.calls.len() * size_of::<Tally>() + PLACE;
        self.bytes + self.places.len() * each
    }
}

#[cfg(test)]
mod tests;
