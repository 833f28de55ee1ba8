//! First rows of each partition in a given order, of all rows that have come. Where a marker passes, rows that are no longer among
//! them are taken back, and those that are now are added.
//!
//! - batch: rows go to their partition, or leave it. Where rows are only added, those behind the limit are dropped: they cannot
//!   come back. Of rows that are equal in the order the one that came first is ahead; the one that came last where just the newest
//!   row by one timestamp is kept. Without an order they stay once they are shown. Where ranks are limited, such rows are shown or dropped together.
//! - watermark: nothing, but at the end of time: what is owed comes out in front of it.
//! - marker: partitions that have changed are compared with what they showed before; then those are forgotten that have not for some time,
//!   if they have a time to live: nothing is said of it, and rows that come later begin anew. Then rows added and gone are captured.
//! - eviction: whole partitions leave.

mod first_rows;
mod ordered;
mod partition;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int8Array, Int64Array, RecordBatch, TimestampMillisecondArray, UInt64Array,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_core::hash::{canonical_keys, hash_rows};
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Distribution, Error, EventTime, OpenContext, Operator, Ranking, Result,
    SortKey, StateRows, TableSchema, TopNSpec, state_column,
};

use self::partition::{Change, Limit, Partition, RowBytes};
use crate::batches::{check_stored, event_times, with_schema};
use crate::time_to_live::{Partitions, TimeToLive, with_stamps};

/// Id of the state's column that says when a row came.
const STAMP: u32 = 100_001;

/// Rows of a batch that is emitted or captured, give or take a partition.
const BATCH: usize = 8192;

/// The Top-N.
pub(crate) struct TopN {
    // Fixed by the plan.
    partition: Columns,
    order: Columns,
    all: Arc<Columns>,
    limit: Limit,
    with_rank: bool,
    retracts: bool,
    /// The rows that come first are the first ones for good.
    only_adds: bool,
    last_first: bool,
    output: SchemaRef,
    state: TableSchema,
    life: TimeToLive,
    // Kept in checkpoints.
    partitions: HashMap<RowBytes, Partition, FixedState>,
    ages: Partitions<RowBytes>,
    bytes: usize,
    // Since the last marker, and since the last capture.
    changed: Vec<RowBytes>,
    uncaptured: Vec<RowBytes>,
    /// Rows of partitions that were forgotten.
    forgotten: Vec<(RowBytes, i64)>,
    hashes: Vec<u64>,
}

/// Columns as bytes in their order, and back.
pub(crate) struct Columns {
    pub(crate) columns: Vec<usize>,
    converter: RowConverter,
    /// Whether values that SQL calls equal are one: -0.0 and 0.0.
    canonical: bool,
}

/// Rows as bytes; those of no columns are empty.
pub(crate) struct Encoded(Option<Rows>);

impl Encoded {
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        self.0.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}

impl Columns {
    pub(crate) fn new(columns: Vec<usize>, options: Vec<SortOptions>, input: &Schema, canonical: bool) -> Result<Self> {
        let typed = columns.iter().zip(options);
        let fields = typed
            .map(|(column, options)| SortField::new_with_options(input.field(*column).data_type().clone(), options));
        let converter = RowConverter::new(fields.collect())
            .map_err(|error| Error::user("rows cannot be ranked by such columns").with_source(error))?;
        Ok(Self { columns, converter, canonical })
    }

    /// The rows as bytes.
    pub(crate) fn encode(&self, records: &RecordBatch) -> Result<Encoded> {
        // The converter would lose the number of rows without columns.
        if self.columns.is_empty() {
            return Ok(Encoded(None));
        }
        let columns: Vec<ArrayRef> = self.columns.iter().map(|column| records.column(*column).clone()).collect();
        self.encode_columns(&columns)
    }

    /// The values of these columns, of which there is at least one, as bytes.
    pub(crate) fn encode_columns(&self, columns: &[ArrayRef]) -> Result<Encoded> {
        let canonical: Vec<ArrayRef> = match self.canonical {
            true => columns.iter().map(canonical_keys).collect(),
            false => columns.to_vec(),
        };
        Ok(Encoded(Some(self.converter.convert_columns(&canonical)?)))
    }

    pub(crate) fn decode<R: AsRef<[u8]>>(&self, rows: impl Iterator<Item = R>) -> Result<Vec<ArrayRef>> {
        if self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let parser = self.converter.parser();
        let rows: Vec<R> = rows.collect();
        Ok(self.converter.convert_rows(rows.iter().map(|row| parser.parse(row.as_ref())))?)
    }
}

/// The operator for a Top-N. Where rows are only added and a few of each partition are shown, no others are kept.
pub(crate) fn create(spec: &TopNSpec, input: &SchemaRef, output: &SchemaRef) -> Result<Box<dyn Operator>> {
    let all = TopN::new(spec, input, output)?;
    let is_ordered = !spec.order.is_empty();
    if spec.deletions.is_some() && !(spec.forgets_rows() && spec.limit == 1) {
        return Err(Error::internal("a Top-N knows of deletions, and more is kept than the newest rows"));
    }
    if spec.retracts || !is_ordered || spec.ranking != Ranking::RowNumber || spec.limit >= ordered::MANY as u64 {
        return Ok(Box::new(all));
    }
    // Where a row that is forgotten would change the numbers of others, whole partitions are.
    if spec.time_to_live.is_some() && !spec.forgets_rows() {
        return Ok(Box::new(all));
    }
    first_rows::create(spec, (all.order, all.last_first), (input, output, all.state))
}

impl TopN {
    fn new(spec: &TopNSpec, input: &SchemaRef, output: &SchemaRef) -> Result<Self> {
        let TopNSpec { partition, order, limit, with_rank, retracts, time_to_live, ranking, deletions: _ } = spec;
        let options = |key: &SortKey| SortOptions { descending: key.descending, nulls_first: key.nulls_first };
        let is_time = |key: &SortKey| matches!(input.field(key.column).data_type(), DataType::Timestamp(..));
        let by_default = |columns: usize| vec![SortOptions::default(); columns];
        let width = input.fields().len();
        Ok(Self {
            partition: Columns::new(partition.clone(), by_default(partition.len()), input, true)?,
            order: Columns::new(
                order.iter().map(|key| key.column).collect(),
                order.iter().map(options).collect(),
                input,
                true,
            )?,
            all: Arc::new(Columns::new((0..width).collect(), by_default(width), input, false)?),
            limit: Limit { most: usize::try_from(*limit).unwrap_or(usize::MAX), ranking: *ranking },
            with_rank: *with_rank,
            retracts: *retracts,
            only_adds: order.is_empty() && !*retracts,
            last_first: *limit == 1
                && *ranking == Ranking::RowNumber
                && matches!(order.as_slice(), [key] if key.descending && is_time(key)),
            output: output.clone(),
            state: state(partition, input),
            life: TimeToLive::new(*time_to_live),
            partitions: HashMap::default(),
            ages: Partitions::default(),
            bytes: 0,
            changed: Vec::new(),
            uncaptured: Vec::new(),
            forgotten: Vec::new(),
            hashes: Vec::new(),
        })
    }

    /// Emits what has changed of the partitions that have.
    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        let mut changes: Vec<Change> = Vec::new();
        for key in std::mem::take(&mut self.changed) {
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            partition.changes(self.limit, self.with_rank, &mut changes);
            if changes.len() >= BATCH {
                self.emit_batch(&mut changes, out)?;
            }
        }
        self.emit_batch(&mut changes, out)
    }

    fn emit_batch(&self, changes: &mut Vec<Change>, out: &mut Collector) -> Result<()> {
        let changes = std::mem::take(changes);
        if changes.is_empty() {
            return Ok(());
        }
        let mut columns = self.all.decode(changes.iter().map(|change| &change.row))?;
        if self.with_rank {
            columns.push(Arc::new(changes.iter().map(|change| change.rank).collect::<Int64Array>()));
        }
        let records = with_schema(&self.output, columns, changes.len())?;
        let weights: Int8Array = changes.iter().map(|change| Some(change.weight)).collect();
        out.emit(if self.only_adds { records.into() } else { Batch::weighted(records, weights)? });
        Ok(())
    }
}

/// The rows are found by their partition and their number in it.
fn state(partition: &[usize], input: &Schema) -> TableSchema {
    let keys = partition.iter().map(|column| input.field(*column).clone().with_nullable(true));
    let keys: Vec<_> = keys.chain([Field::new("arrival", DataType::Int64, false)]).map(Arc::new).collect();
    // Of rows that are gone nothing is kept.
    let values: Vec<_> =
        input.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    let mut fields = state_column::numbered(&keys, 1);
    fields.extend(state_column::numbered(&values, 1001));
    TableSchema {
        name: "rows".to_owned(),
        version: 1,
        key_columns: keys.len(),
        time_column: Some(fields.len()),
        schema: with_stamps(&Schema::new(fields), STAMP),
        distribution: Distribution::Keyed,
    }
}

impl TopN {
    /// Behind [`emit`](Self::emit) at a marker: what has changed is stamped, and partitions go that have not for long enough.
    fn expire(&mut self, changed: Vec<RowBytes>) {
        if !self.life.is_limited() {
            return;
        }
        self.life.marker();
        let Self { ages, partitions, uncaptured, .. } = self;
        ages.changed(changed, self.life.stamp(), |key, stamp| {
            let Some(partition) = partitions.get_mut(key) else { return false };
            let (is_new, is_first) = partition.restamp(stamp);
            uncaptured.extend(is_first.then(|| key.clone()));
            is_new
        });
        for (key, stamp) in self.ages.due(self.life.expired()) {
            if self.partitions.get(&key).is_some_and(|partition| partition.stamp() == Some(stamp))
                && let Some(partition) = self.partitions.remove(&key)
            {
                self.bytes = self.bytes.saturating_sub(partition.bytes());
                self.forgotten.extend(partition.forget().into_iter().map(|arrival| (key.clone(), arrival)));
            }
        }
    }
}

impl Operator for TopN {
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

    fn load(&mut self, _table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let keys = self.state.key_columns;
        let arrivals = rows.column(keys - 1).as_primitive::<Int64Type>();
        let records = rows.project(&(keys..rows.num_columns() - 1).collect::<Vec<_>>())?;
        check_stored(self.output.fields(), records.columns())?;
        let stamps = event_times(rows.column(rows.num_columns() - 1))?;
        let partitions = self.partition.encode(&records)?;
        let (order, values) = (self.order.encode(&records)?, self.all.encode(&records)?);
        for row in 0..rows.num_rows() {
            let (partition, key) = found(&mut self.partitions, partitions.row(row), (hashes.value(row), self.retracts));
            if self.life.is_limited() && partition.is_empty() {
                let stamp = stamps.is_valid(row).then(|| stamps.value(row));
                partition.load_stamp(stamp);
                self.ages.loaded(key, stamp);
            }
            let value = values.row(row).into();
            self.bytes += partition.load(order.row(row), self.last_first, arrivals.value(row), value);
        }
        Ok(())
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let bytes = &mut self.bytes;
        self.partitions.retain(|_, partition| {
            let stays = !leaves(partition.hash());
            if !stays {
                *bytes = bytes.saturating_sub(partition.bytes());
            }
            stays
        });
        Ok(vec![EventTime::MAX])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.partition.columns)
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => self.retracts,
            ChangelogKind::Upsert(_) => false,
        }
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        let (records, weights) = batch.into_parts();
        let keys: Vec<ArrayRef> = self.partition.columns.iter().map(|column| records.column(*column).clone()).collect();
        hash_rows(&keys, records.num_rows(), &mut self.hashes)?;
        let (partitions, order) = (self.partition.encode(&records)?, self.order.encode(&records)?);
        let values = self.all.encode(&records)?;
        let most = if self.retracts { None } else { Some(self.limit) };
        for row in 0..records.num_rows() {
            let (partition, key) = found(&mut self.partitions, partitions.row(row), (self.hashes[row], self.retracts));
            let order = order.row(row);
            if weights.as_ref().is_none_or(|weights| weights.value(row) > 0) {
                if !partition.would_keep(order, self.last_first, most) {
                    continue;
                }
                note(partition, self.limit, key, (&mut self.changed, &mut self.uncaptured));
                let value = values.row(row).into();
                self.bytes = self.bytes.saturating_add_signed(partition.add(order, self.last_first, value, most));
            } else {
                note(partition, self.limit, key, (&mut self.changed, &mut self.uncaptured));
                self.bytes -= match partition.take_back(order, self.last_first, values.row(row)) {
                    Some(bytes) => bytes,
                    // Its partition was forgotten.
                    None if self.life.forgets() => 0,
                    None => {
                        return Err(Error::internal("a row was to be taken back of a Top-N that had not come before"));
                    }
                };
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
        self.expire(changed);
        Ok(())
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let (mut put, mut stamps, mut gone) = (Vec::new(), Vec::new(), std::mem::take(&mut self.forgotten));
        for key in std::mem::take(&mut self.uncaptured) {
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            partition.capture(&mut put, |arrival| gone.push((key.clone(), arrival)));
            stamps.resize(put.len(), partition.stamp());
            if partition.is_empty() {
                self.partitions.remove(&key);
            }
        }
        let gone_keys = self.partition.decode(gone.iter().map(|(key, _)| key))?;
        let (all, schema, keys) = (self.all.clone(), self.state.schema.clone(), self.partition.columns.clone());
        let rows = move || {
            let mut captured = Vec::new();
            if !gone.is_empty() {
                captured.push(deleted(&schema, gone_keys, gone.iter().map(|(_, arrival)| *arrival).collect())?);
            }
            for (put, stamps) in put.chunks(BATCH).zip(stamps.chunks(BATCH)) {
                let values = all.decode(put.iter().map(|(_, value)| value))?;
                let mut columns: Vec<ArrayRef> = keys.iter().map(|key| values[*key].clone()).collect();
                let hashes = hashes(&columns, put.len())?;
                columns.push(Arc::new(put.iter().map(|(arrival, _)| *arrival).collect::<Int64Array>()));
                columns.extend(values);
                columns.push(Arc::new(TimestampMillisecondArray::from(stamps.to_vec())));
                captured.push(StateRows {
                    rows: RecordBatch::try_new(schema.clone(), columns)?,
                    hashes,
                    deleted: None,
                });
            }
            Ok(captured)
        };
        Ok(vec![Capture { rows: Box::new(rows), expired: self.life.expired() }])
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}

/// The partition of that key, and the key.
fn found<'a>(
    partitions: &'a mut HashMap<RowBytes, Partition, FixedState>,
    key: &[u8],
    (hash, retracts): (u64, bool),
) -> (&'a mut Partition, &'a RowBytes) {
    let (key, partition) = partitions
        .raw_entry_mut()
        .from_key(key)
        .or_insert_with(|| (RowBytes::from(key), Partition::new(hash, retracts)));
    (partition, key)
}

/// Notes that a partition is about to change.
fn note(
    partition: &mut Partition,
    limit: Limit,
    key: &RowBytes,
    (changed, uncaptured): (&mut Vec<RowBytes>, &mut Vec<RowBytes>),
) {
    let (first_since_marker, first_since_capture) = partition.touch(limit);
    if first_since_marker {
        changed.push(key.clone());
    }
    if first_since_capture {
        uncaptured.push(key.clone());
    }
}

fn hashes(keys: &[ArrayRef], rows: usize) -> Result<UInt64Array> {
    let mut hashes = Vec::new();
    hash_rows(keys, rows, &mut hashes)?;
    Ok(UInt64Array::from(hashes))
}

/// State rows that say of numbers in their partitions that they are gone.
fn deleted(schema: &SchemaRef, keys: Vec<ArrayRef>, arrivals: Vec<i64>) -> Result<StateRows> {
    let rows = arrivals.len();
    let hashes = hashes(&keys, rows)?;
    let mut columns = keys;
    columns.push(Arc::new(Int64Array::from(arrivals)));
    for field in &schema.fields()[columns.len()..] {
        columns.push(arrow::array::new_null_array(field.data_type(), rows));
    }
    let deleted = Some(BooleanArray::from(vec![true; rows]));
    Ok(StateRows { rows: RecordBatch::try_new(schema.clone(), columns)?, hashes, deleted })
}

#[cfg(test)]
mod tests;
