//! Aggregation without windows: `GROUP BY` over all that has come so far. Where a marker passes, results that have changed
//! take the place of those before.
//!
//! Without keys there is one row from the start, that of no rows. Whether it has been emitted does not stand in the state: it has
//! been if there was a checkpoint, because a marker comes before one.
//!
//! Groups may be forgotten when nothing has come for them for some time; the one row without keys is not.

use arrow::array::{Int8Array, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, EventTime, GroupAggregateSpec, OpenContext, Operator, Result, TableSchema,
};
use weir_functions::Functions;

use super::groups::{Constant, Groups};
use super::layout::Layout;
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
}

impl GroupAggregate {
    pub(crate) fn new(
        spec: &GroupAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        let has_keys = !spec.keys.is_empty();
        let groups = |forgets: bool| -> Result<Groups> {
            Ok(Groups::new(
                Layout::of_groups(spec, input, functions, forgets)?,
                (!has_keys).then_some(ONE_GROUP),
                spec.retracts && has_keys,
                has_keys.then(|| TimeToLive::new(spec.time_to_live)),
            ))
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
        })
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

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        self.groups.process(&batch, self.is_shown)
    }

    /// The end of time is behind all rows: what they come to is owed now, in front of it.
    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
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
