//! Aggregation without windows: `GROUP BY` over all that has come so far. Where a marker passes, results that have changed
//! take the place of those before.
//!
//! Without keys there is one row from the start, that of no rows. Whether it has been emitted does not stand in the state: it has
//! been if there was a checkpoint, because a marker comes before one.
//!
//! Groups may be forgotten when nothing has come for them for some time; the one row without keys is not. Groups of
//! [windows](super::groups) are forgotten when no row can count any more that comes for them; later ones are late.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int8Array, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMillisecondType};
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Error, EventTime, GroupAggregateSpec, OpenContext, Operator, Result,
    TableSchema, UpdatedWindow,
};
use weir_functions::Functions;

use super::groups::{Constant, Groups, UpdatedWindows};
use super::layout::Layout;
use crate::batches::event_times;
use crate::late::LateRows;
use crate::time_to_live::TimeToLive;

/// What a row of state is found by where there are no keys.
const ONE_GROUP: Constant = Constant { name: "group", value: 0, is_time: false };

/// The operator.
pub(crate) struct GroupAggregate {
    groups: Groups,
    /// The same for a job that goes on without a time to live where groups have been forgotten before: rows may be taken back that are not
    /// known.
    tolerant: Option<Box<Groups>>,
    retracts: bool,
    /// Whether groups change at all once they are there.
    updates: bool,
    output: SchemaRef,
    /// Without keys: whether the row of no rows has to be emitted, or that which took its place.
    first: bool,
    /// Without keys: whether there is a row downstream.
    is_shown: bool,
    /// The windows that groups are of, if they are of such that are updated.
    window: Option<UpdatedWindow>,
    late: LateRows,
    watermark: EventTime,
}

impl GroupAggregate {
    pub(crate) fn new(
        spec: &GroupAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        operator_name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        let has_keys = !spec.keys.is_empty();
        let groups = |forgets: bool| -> Result<Groups> {
            let life = spec.window.map(|window| window.lateness).or(spec.time_to_live);
            let groups = Groups::new(
                Layout::of_groups(spec, input, functions, forgets)?,
                (!has_keys).then_some(ONE_GROUP),
                spec.retracts && has_keys,
                has_keys.then(|| TimeToLive::new(life)),
            );
            let Some(window) = spec.window else { return Ok(groups) };
            let end = spec.keys.iter().position(|key| *key == window.end).filter(|_| !spec.retracts);
            let end = end.ok_or_else(|| Error::internal("windows that are updated have no end, or lose rows"))?;
            Ok(groups.of_windows(UpdatedWindows::new(end, window.early)))
        };
        let is_limited = spec.time_to_live.is_some();
        let may_have_been = spec.retracts && has_keys && !is_limited;
        let tolerant = may_have_been.then(|| groups(true)).transpose()?.map(Box::new);
        Ok(Self {
            groups: groups(is_limited)?,
            tolerant,
            retracts: spec.retracts,
            updates: spec.retracts || !spec.aggregates.is_empty(),
            output: output.clone(),
            first: false,
            is_shown: false,
            window: spec.window,
            late: LateRows::new(operator_name),
            watermark: EventTime::MIN,
        })
    }

    /// The rows whose windows still take some. Those of no window leave, the others are late.
    fn on_time(&self, window: UpdatedWindow, batch: Batch, out: &mut Collector) -> Result<Batch> {
        let ends = event_times(batch.records().column(window.end))?;
        let lateness = i64::try_from(window.lateness).unwrap_or(i64::MAX);
        let takes = |end: i64| end.saturating_sub(1).saturating_add(lateness) > self.watermark.0;
        if ends.null_count() == 0 && ends.values().iter().all(|end| takes(*end)) {
            return Ok(batch);
        }
        let last: ArrayRef = Arc::new(ends.unary::<_, TimestampMillisecondType>(|end| end.saturating_sub(1)));
        let taken: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(takes))).collect();
        let refused: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(|end| !takes(end)))).collect();
        let late = filter_record_batch(batch.records(), &refused)?;
        let times = arrow::compute::filter(&last, &refused)?;
        self.late.emit(&late, Some(&times), self.watermark, out)?;
        batch.filter(&taken)
    }
}

impl Operator for GroupAggregate {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.groups.table().clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        if let Some(tolerant) = self.tolerant.take().filter(|_| context.has_expired) {
            self.groups = *tolerant;
        }
        self.groups.open(context);
        self.watermark = context.watermark;
        if self.groups.key_columns().is_empty() {
            let mut hashes = Vec::new();
            hash_rows(&[], 1, &mut hashes)?;
            self.is_shown = context.restored;
            self.first = !context.restored && hashes.iter().all(|hash| context.range.contains(*hash));
        }
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        self.groups.load(rows)
    }

    fn expired(&self, _table: usize, _watermark: EventTime) -> Option<EventTime> {
        self.groups.expired()
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        self.window.filter(|window| !window.early).map(|_| time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.due(table, watermark).max(self.expired(table, watermark))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.groups.evict(leaves)
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(self.groups.key_columns())
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => self.retracts,
            ChangelogKind::Upsert(_) => false,
        }
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let batch = match self.window {
            None => batch,
            Some(window) => self.on_time(window, batch, out)?,
        };
        match batch.num_rows() {
            0 => Ok(()),
            _ => self.groups.process(&batch, self.is_shown),
        }
    }

    /// Windows close here. The end of time is behind all rows: what they come to is owed now, in front of it.
    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if self.window.is_some() {
            self.groups.close(time, &self.output, self.updates)?.into_iter().for_each(|batch| out.emit(batch));
        }
        self.watermark = time;
        self.groups.watermark(time);
        if time == EventTime::MAX {
            self.flush(out)?;
        }
        Ok(Some(time))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        if std::mem::take(&mut self.first) {
            self.is_shown = true;
            if self.groups.is_empty() {
                let row = self.groups.nothing(&self.output)?;
                out.emit(if self.updates {
                    Batch::weighted(row, Int8Array::from(vec![1]))?
                } else {
                    Batch::append(row)
                });
            }
        }
        self.groups.changes(&self.output, self.updates)?.into_iter().for_each(|batch| out.emit(batch));
        self.groups.expire()
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.groups.capture(self.groups.expired())
    }

    fn state_bytes(&self) -> usize {
        self.groups.bytes()
    }
}
