//! What the operators of sessions have in common: rows go into sessions, and sessions into checkpoints.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::array::{UInt64Array, new_null_array, types::TimestampMillisecondType};
use arrow::compute::take;
use arrow::datatypes::{FieldRef, SchemaRef};
use weir_core::bugs::{self, Bug};
use weir_core::{
    Batch, Capture, Collector, Distribution, Error, EventTime, Result, StateRows, TableSchema, WindowAggregateSpec,
    WindowKind, WindowSource, hash,
};

use super::accumulator::CapturedStates;
use super::key_table::CapturedKeys;
use super::layout::{Layout, used_columns};
use super::session_table::{Gone, Session, SessionTable};
use super::split::{PaneOf, check};
use crate::LateRows;
use crate::batches::timestamps_of_type;
use crate::chunked::{Captured, Picked};

/// The sessions of a subtask, and what the plan says of them.
pub(super) struct Sessions {
    // Fixed by the plan.
    pub(super) layout: Layout,
    used: Vec<usize>,
    time: usize,
    gap: i64,
    state: TableSchema,
    late: LateRows,
    // Kept in checkpoints.
    pub(super) table: SessionTable,
}

impl Sessions {
    /// No sessions yet of rows of `input`. `operator_name` is what late rows are filed under.
    pub(super) fn new(
        spec: &WindowAggregateSpec,
        layout: Layout,
        input: &SchemaRef,
        operator_name: &str,
    ) -> Result<Self> {
        let WindowSource::Assign { window: WindowKind::Session { gap }, time } = spec.window else {
            return Err(Error::internal("an aggregation of sessions has other windows"));
        };
        if spec.partial_input || spec.spread.is_some() {
            return Err(Error::internal("sessions are aggregated in one phase, and spread by all their keys"));
        }
        let keys = layout.key_columns.len();
        let state = TableSchema {
            name: "sessions".into(),
            version: 1,
            schema: layout.state_schema(&["session_start", "session_end"]),
            key_columns: keys + 1,
            time_column: Some(keys + 1),
            distribution: Distribution::Keyed,
        };
        let table = SessionTable::new(&layout, gap);
        Ok(Self {
            used: used_columns(spec, input)?,
            layout,
            time,
            gap,
            state,
            late: LateRows::new(operator_name),
            table,
        })
    }

    /// The table of their state. Rows expire by the end of their session.
    pub(super) fn state(&self) -> &TableSchema {
        &self.state
    }

    /// Takes stored sessions in.
    pub(super) fn load(&mut self, rows: &RecordBatch) -> Result<()> {
        let (keys, rest) = rows.columns().split_at(self.layout.key_columns.len());
        let times = |column: usize| &**rest[column].as_primitive::<TimestampMillisecondType>().values();
        self.table.load(&self.layout, keys, times(0), times(1), &rest[2..])
    }

    /// Lets go of the sessions of the keys whose hash `leaves`.
    pub(super) fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        Ok(vec![EventTime(self.table.evict(&self.layout, leaves)?)])
    }

    /// Takes rows in. Sessions that end at `gone` or before take none any more, and rows that would be in such are late; event time
    /// stands at `watermark`.
    pub(super) fn process(
        &mut self,
        batch: Batch,
        gone: EventTime,
        watermark: EventTime,
        out: &mut Collector,
    ) -> Result<()> {
        let start = self.time;
        let records = PaneOf::Columns { start, end: start }.with_time(&batch.into_appended()?)?;
        let times = records.column(self.time).as_primitive::<TimestampMillisecondType>().values();
        check(times)?;
        let pick = |rows: &[u32], columns: &[usize]| {
            let rows = UInt32Array::from(rows.to_vec());
            let mut picked = records.columns().to_vec();
            for column in columns {
                picked[*column] = take(&picked[*column], &rows, None)?;
            }
            Ok::<_, Error>(picked)
        };
        let slice = |rows: std::ops::Range<usize>| {
            let mut columns = records.columns().to_vec();
            if rows.len() < records.num_rows() {
                self.used.iter().for_each(|column| columns[*column] = columns[*column].slice(rows.start, rows.len()));
            }
            columns
        };
        let keys = self.layout.key_arrays(records.columns());
        let late = self.table.update(&keys, times, gone.0, |rows| pick(rows, &self.used), slice)?;
        if late.is_empty() {
            return Ok(());
        }
        let all: Vec<usize> = (0..records.num_columns()).collect();
        let late = RecordBatch::try_new(records.schema(), pick(&late, &all)?)?;
        self.late.emit(&late, Some(late.column(self.time)), watermark, out)
    }

    /// What changed since the last capture.
    pub(super) fn capture(&mut self, expired: Option<EventTime>) -> Result<Vec<Capture>> {
        let (changed, mut gone) = self.table.changes();
        gone.retain(|_| !bugs::is_on(Bug::JoinedSessionKept));
        let keys = self.table.keys_of(&changed);
        let picked = Picked::Slots(changed.into());
        let states = self.table.accumulators.iter_mut().map(|accumulator| accumulator.capture(&picked));
        let captured = CapturedSessions {
            schema: self.state.schema.clone(),
            gap: self.gap,
            states: states.collect::<Result<_>>()?,
            sessions: self.table.sessions.capture(&picked),
            picked,
            keys: self.table.keys.capture(&keys),
            gone_keys: self.table.keys.capture(&Picked::Slots(gone.iter().map(|gone| gone.key).collect())),
            gone,
        };
        Ok(vec![Capture { rows: Box::new(move || captured.rows()), expired }])
    }
}

/// The columns of windows with these bounds, which are the last ones of `fields`: start, end, and the last moment.
pub(super) fn window_columns(bounds: &[(i64, i64)], fields: &[FieldRef]) -> Result<Vec<ArrayRef>> {
    let starts = bounds.iter().map(|(start, _)| *start).collect();
    let ends = bounds.iter().map(|(_, end)| *end).collect();
    let times = bounds.iter().map(|(_, end)| end - 1).collect();
    let columns = [starts, ends, times].into_iter().zip(&fields[fields.len().saturating_sub(3)..]);
    columns.map(|(times, field)| timestamps_of_type(times, field.data_type())).collect()
}

/// What changed, as it was at a capture.
struct CapturedSessions {
    schema: SchemaRef,
    gap: i64,
    picked: Picked,
    keys: CapturedKeys,
    sessions: Captured<Session>,
    states: Vec<Box<dyn CapturedStates>>,
    gone_keys: CapturedKeys,
    gone: Vec<Gone>,
}

impl CapturedSessions {
    /// Deleted rows come first: another session of the key may have taken the place since.
    fn rows(&self) -> Result<Vec<StateRows>> {
        let mut rows = Vec::new();
        for piece in Picked::First(self.gone.len()).pieces() {
            let mut columns = self.gone_keys.columns(piece.clone())?;
            let hashes = hashes(&columns, piece.len())?;
            let gone = self.gone[piece.clone()].iter();
            columns.push(Arc::new(TimestampMillisecondArray::from_iter_values(gone.clone().map(|gone| gone.start))));
            columns.push(Arc::new(TimestampMillisecondArray::from_iter_values(gone.map(|gone| gone.end))));
            let missing = self.schema.fields()[columns.len()..].iter();
            columns.extend(missing.map(|field| new_null_array(field.data_type(), piece.len())));
            rows.push(StateRows {
                rows: RecordBatch::try_new(self.schema.clone(), columns)?,
                hashes,
                deleted: Some(BooleanArray::from(vec![true; piece.len()])),
            });
        }
        for piece in self.picked.pieces() {
            let mut columns = self.keys.columns(piece.clone())?;
            let hashes = hashes(&columns, piece.len())?;
            let sessions = self.sessions.read(piece.clone());
            let starts = sessions.iter().map(|session| session.start);
            let ends = sessions.iter().map(|session| session.last + self.gap);
            columns.push(Arc::new(TimestampMillisecondArray::from_iter_values(starts)));
            columns.push(Arc::new(TimestampMillisecondArray::from_iter_values(ends)));
            for states in &self.states {
                columns.extend(states.columns(piece.clone())?);
            }
            rows.push(StateRows { rows: RecordBatch::try_new(self.schema.clone(), columns)?, hashes, deleted: None });
        }
        Ok(rows)
    }
}

fn hashes(keys: &[ArrayRef], rows: usize) -> Result<UInt64Array> {
    let mut hashes = Vec::new();
    hash::hash_rows(keys, rows, &mut hashes)?;
    Ok(UInt64Array::from(hashes))
}
