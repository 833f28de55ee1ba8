//! Joins each row with the version of its key at its time: of the right rows with that key the last one that is not later.
//!
//! - left batch: rows wait for the watermark; those that it has passed are late. A row whose key is null meets nothing.
//! - right batch: versions of keys. One that the watermark has passed counts for rows to come, unless a later one has been passed too:
//!   then it is late.
//! - watermark: left rows that it passes meet their version, all of which have come by then. A version goes when the watermark has
//!   passed the next one of its key.
//! - marker: rows that came, and versions that went.
//! - end: the last watermark passes all rows.
//! - eviction: whole keys leave. Which versions have gone follows from those that there are and from where event time stands, so it does
//!   not matter whether that was stored.

mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{SortOptions, filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_core::{
    Batch, Capture, Collector, Error, EventTime, JoinType, OpenContext, Operator, Result, TableSchema, TemporalJoinSpec,
};
use weir_functions::Functions;

use crate::batches::{bounded_times, with_schema};
use crate::join::{JoinShape, LEFT, RIGHT};
use crate::kept_row::Row;
use crate::late::LateRows;
use crate::top_n::Columns;

/// Rows that are joined at a time, give or take those of one time.
const BATCH: usize = 8192;

/// The temporal join.
pub(crate) struct TemporalJoin {
    // Fixed by the plan.
    shape: JoinShape,
    time: [usize; 2],
    keys: [Columns; 2],
    all: [Arc<Columns>; 2],
    tables: [TableSchema; 2],
    late: LateRows,
    // Checkpointed.
    /// Left rows that the watermark has not passed.
    waiting: BTreeMap<i64, Vec<Arc<Row>>>,
    keyed: Vec<Versions>,
    places: HashMap<Arc<[u8]>, u32, FixedState>,
    // What follows from it.
    free: Vec<u32>,
    /// Keys that have a version of that time, which the watermark has not passed.
    coming: BTreeMap<i64, Vec<u32>>,
    bytes: usize,
    // Since the last capture, and since something was loaded.
    fresh: [Vec<Arc<Row>>; 2],
    changed: Vec<u32>,
    loaded: Vec<u32>,
    next: i64,
    watermark: EventTime,
}

/// The versions of one key, and the rows that wait for one.
#[derive(Default)]
struct Versions {
    key: Arc<[u8]>,
    hash: u64,
    waiting: usize,
    /// In the order of their time and arrival.
    rows: Vec<Arc<Row>>,
    /// Stored versions that have gone since the last capture.
    gone: Vec<Arc<Row>>,
    is_changed: bool,
}

impl Versions {
    /// The one at that time.
    fn at(&self, time: i64) -> Option<&Arc<Row>> {
        self.rows[..self.up_to(time)].last()
    }

    /// How many there are up to that time.
    fn up_to(&self, time: i64) -> usize {
        self.rows.partition_point(|row| row.time <= time)
    }

    fn insert(&mut self, row: Arc<Row>) {
        let place = self.rows.partition_point(|other| other.order() <= row.order());
        self.rows.insert(place, row);
    }

    fn is_empty(&self) -> bool {
        self.waiting == 0 && self.rows.is_empty() && self.gone.is_empty()
    }
}

impl TemporalJoin {
    pub(crate) fn new(
        spec: &TemporalJoinSpec,
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        let TemporalJoinSpec { join_type, on, time, residual } = spec;
        if !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return Err(Error::internal(format!("a temporal join cannot be {join_type:?}")));
        }
        let keys = |side: usize| on.iter().map(|pair| if side == LEFT { pair.0 } else { pair.1 }).collect::<Vec<_>>();
        let columns = |side: usize, columns: Vec<usize>, canonical: bool| {
            let options = vec![SortOptions::default(); columns.len()];
            Columns::new(columns, options, inputs[side], canonical)
        };
        let all = |side: usize| columns(side, (0..inputs[side].fields().len()).collect(), false).map(Arc::new);
        Ok(Self {
            shape: JoinShape::new(*join_type, (on, residual.as_ref()), inputs, output, functions)?,
            time: [time.0, time.1],
            tables: state::tables(spec, inputs),
            keys: [columns(LEFT, keys(LEFT), true)?, columns(RIGHT, keys(RIGHT), true)?],
            all: [all(LEFT)?, all(RIGHT)?],
            late: LateRows::new(name),
            waiting: BTreeMap::new(),
            keyed: Vec::new(),
            places: HashMap::default(),
            free: Vec::new(),
            coming: BTreeMap::new(),
            bytes: 0,
            fresh: Default::default(),
            changed: Vec::new(),
            loaded: Vec::new(),
            next: 0,
            watermark: EventTime::MIN,
        })
    }

    /// Where what is known of that key is.
    fn slot(&mut self, key: &[u8], hash: u64) -> u32 {
        let Self { keyed, places, free, .. } = self;
        let place = places.raw_entry_mut().from_key(key).or_insert_with(|| {
            let key: Arc<[u8]> = key.into();
            let slot = free.pop().unwrap_or(keyed.len() as u32);
            if slot as usize == keyed.len() {
                keyed.push(Versions::default());
            }
            keyed[slot as usize] = Versions { key: key.clone(), hash, ..Versions::default() };
            (key, slot)
        });
        *place.1
    }

    fn forget_if_empty(&mut self, slot: u32) {
        let versions = &self.keyed[slot as usize];
        if versions.is_empty() && self.places.get(&versions.key) == Some(&slot) {
            self.places.remove(&versions.key);
            self.free.push(slot);
        }
    }

    fn wait(&mut self, row: Arc<Row>) {
        self.bytes += row.bytes();
        self.keyed[row.slot as usize].waiting += 1;
        self.waiting.entry(row.time).or_default().push(row);
    }

    fn add_version(&mut self, row: Arc<Row>) {
        self.bytes += row.bytes();
        if row.time > self.watermark.0 {
            self.coming.entry(row.time).or_default().push(row.slot);
        }
        self.keyed[row.slot as usize].insert(row);
    }

    /// Lets go of versions that have a later one which the watermark has passed.
    fn trim(&mut self, slot: u32) {
        let versions = &mut self.keyed[slot as usize];
        let last = versions.up_to(self.watermark.0).saturating_sub(1);
        for row in versions.rows.drain(..last) {
            self.bytes = self.bytes.saturating_sub(row.bytes());
            if row.is_stored() {
                versions.gone.push(row);
            }
        }
        if !versions.gone.is_empty() && !std::mem::replace(&mut versions.is_changed, true) {
            self.changed.push(slot);
        }
    }

    /// Lets go of versions that were useless already when they were loaded.
    fn settle(&mut self) {
        for slot in std::mem::take(&mut self.loaded) {
            self.trim(slot);
        }
    }

    fn add(&mut self, side: usize, records: &RecordBatch, out: &mut Collector) -> Result<()> {
        let times = bounded_times(records.column(self.time[side]))?;
        if times.null_count() > 0 {
            return Err(Error::data("a row without a time has no version to meet, and is none")
                .with_help("filter such rows out: `WHERE ts IS NOT NULL`"));
        }
        let keys = self.shape.keys(side, records)?;
        let (bytes, values) = (self.keys[side].encode(records)?, self.all[side].encode(records)?);
        let (mut late, mut alone) = (Vec::new(), Vec::new());
        for row in 0..records.num_rows() {
            let (time, hash) = (times.value(row), keys.hashes.value(row));
            let passed = time <= self.watermark.0;
            if side == LEFT && passed {
                late.push(row as u32);
                continue;
            }
            if keys.valid.as_ref().is_some_and(|valid| valid.is_null(row)) {
                alone.push(row as u32);
                continue;
            }
            let slot = self.slot(bytes.row(row), hash);
            let current = self.keyed[slot as usize].at(self.watermark.0);
            if passed && current.is_some_and(|current| current.time > time) {
                late.push(row as u32);
                continue;
            }
            let row = Row::new(slot, hash, (time, self.next), values.row(row), false);
            self.next += 1;
            self.fresh[side].push(row.clone());
            if side == LEFT {
                self.wait(row);
            } else {
                self.add_version(row);
                if passed {
                    self.trim(slot);
                }
            }
        }
        if !late.is_empty() {
            let late = take_record_batch(records, &UInt32Array::from(late))?;
            self.late.emit(&late, Some(late.column(self.time[side])), self.watermark, out)?;
        }
        if self.shape.keeps_unmatched(side) && !alone.is_empty() {
            self.shape.emit_alone(side, &take_record_batch(records, &UInt32Array::from(alone))?, out)?;
        }
        Ok(())
    }

    /// Emits left rows with their versions.
    fn join(&mut self, rows: Vec<Arc<Row>>, out: &mut Collector) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let decode = |side: usize, rows: &mut dyn Iterator<Item = &Row>, count: usize| {
            let columns = self.all[side].decode(rows.map(|row| &row.value))?;
            with_schema(self.shape.schema(side), columns, count)
        };
        let left = decode(LEFT, &mut rows.iter().map(|row| &**row), rows.len())?;
        let versions: Vec<Option<&Arc<Row>>> =
            rows.iter().map(|row| self.keyed[row.slot as usize].at(row.time)).collect();
        let mut met = vec![false; rows.len()];
        let found: Vec<u32> = (0..rows.len() as u32).filter(|row| versions[*row as usize].is_some()).collect();
        if !found.is_empty() {
            let right = decode(RIGHT, &mut versions.iter().flatten().map(|row| &***row), found.len())?;
            let left = take_record_batch(&left, &UInt32Array::from(found.clone()))?;
            let mask = self.shape.matching(&left, &right)?;
            for (index, row) in found.iter().enumerate() {
                met[*row as usize] = mask.as_ref().is_none_or(|mask| mask.value(index));
            }
            out.emit(self.shape.pairs(&left, &right, mask.as_ref())?.into());
        }
        if self.shape.keeps_unmatched(LEFT) {
            let alone: BooleanArray = met.iter().map(|met| Some(!met)).collect();
            self.shape.emit_alone(LEFT, &filter_record_batch(&left, &alone)?, out)?;
        }
        for row in rows {
            self.bytes = self.bytes.saturating_sub(row.bytes());
            self.keyed[row.slot as usize].waiting -= 1;
            self.forget_if_empty(row.slot);
        }
        Ok(())
    }
}

impl Operator for TemporalJoin {
    fn tables(&self) -> Vec<TableSchema> {
        self.tables.to_vec()
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        self.load_rows(table, rows, hashes)
    }

    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        (table == LEFT && watermark > EventTime::MIN).then_some(watermark)
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        Some(if table == LEFT { watermark } else { EventTime::MAX })
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        Ok(self.evict_keys(leaves))
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        Some(self.shape.key_columns(ordinal))
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        self.settle();
        self.add(ordinal, &batch.into_appended()?, out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.settle();
        let mut rows: Vec<Arc<Row>> = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= time.0) {
            rows.append(&mut first.remove());
            if rows.len() >= BATCH {
                self.join(std::mem::take(&mut rows), out)?;
            }
        }
        self.join(rows, out)?;
        self.watermark = time;
        while let Some(first) = self.coming.first_entry().filter(|first| *first.key() <= time.0) {
            for slot in first.remove() {
                self.trim(slot);
            }
        }
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.settle();
        Ok(self.capture_changes())
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}
