//! Aggregation over sessions: windows that end when a key has had no row for a gap.
//!
//! Two rows exactly one gap apart are in one session, so a session that ends at `end` can still be joined by a row at
//! `end`, and is complete only when the watermark is there (a tumbling window is one millisecond earlier). That makes
//! results a function of the rows alone. For the operators behind, this one's watermark is a millisecond late.
//!
//! A row is late if it joins no open session and the session that it would open has ended.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::array::{UInt64Array, new_null_array, types::TimestampMillisecondType};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use weir_core::bugs::{self, Bug};
use weir_core::{
    Batch, Capture, Collector, Distribution, Error, EventTime, OpenContext, Operator, Result, StateRows, TableSchema,
    WindowAggregateSpec, WindowKind, WindowSource, hash,
};
use weir_functions::Functions;

use super::accumulator::CapturedStates;
use super::key_table::CapturedKeys;
use super::layout::{Layout, used_columns};
use super::session_table::{Gone, Session, SessionTable};
use super::split::{PaneOf, check};
use crate::LateRows;
use crate::batches::{timestamps_of_type, with_schema};
use crate::chunked::{Captured, Picked};

/// The operator.
pub(crate) struct SessionAggregate {
    // Fixed by the plan.
    layout: Layout,
    used: Vec<usize>,
    time: usize,
    gap: i64,
    output: SchemaRef,
    state: TableSchema,
    late: LateRows,
    // Kept in checkpoints.
    sessions: SessionTable,
    watermark: EventTime,
}

impl SessionAggregate {
    pub(crate) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        operator_name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        let WindowSource::Assign { window: WindowKind::Session { gap }, time } = spec.window else {
            return Err(Error::internal("an aggregation of sessions has other windows"));
        };
        if spec.partial_input || spec.spread.is_some() {
            return Err(Error::internal("sessions are aggregated in one phase, and spread by all their keys"));
        }
        let layout = Layout::new(spec, input, false, functions)?;
        let keys = layout.key_columns.len();
        let state = TableSchema {
            name: "sessions".into(),
            version: 1,
            schema: layout.state_schema(&["session_start", "session_end"]),
            key_columns: keys + 1,
            time_column: Some(keys + 1),
            distribution: Distribution::Keyed,
        };
        Ok(Self {
            used: used_columns(spec, input)?,
            sessions: SessionTable::new(&layout, gap),
            layout,
            time,
            gap,
            output: output.clone(),
            state,
            late: LateRows::new(operator_name),
            watermark: EventTime::MIN,
        })
    }

    fn emit(&mut self, ids: &[u32], out: &mut Collector) -> Result<()> {
        let keys = self.sessions.keys_of(ids);
        let picked = Picked::Slots(ids.into());
        let fields = self.output.fields().clone();
        for piece in picked.pieces() {
            let mut columns = self.sessions.keys.columns(&keys, piece.clone())?;
            for accumulator in &mut self.sessions.accumulators {
                accumulator.all_results(&picked, piece.clone(), &mut columns)?;
            }
            let sessions = self.sessions.sessions.read(&picked, piece.clone());
            let ends: Vec<i64> = sessions.iter().map(|session| session.last + self.gap).collect();
            let starts = sessions.iter().map(|session| session.start).collect();
            let times = ends.iter().map(|end| end - 1).collect();
            let window = [starts, ends, times].into_iter().zip(&fields[columns.len()..]);
            let window = window.map(|(times, field)| timestamps_of_type(times, field.data_type()));
            columns.extend(window.collect::<Result<Vec<_>>>()?);
            out.emit(Batch::append(with_schema(&self.output, columns, piece.len())?));
        }
        Ok(())
    }
}

impl Operator for SessionAggregate {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.state.clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        let (keys, rest) = rows.columns().split_at(self.layout.key_columns.len());
        let times = |column: usize| &**rest[column].as_primitive::<TimestampMillisecondType>().values();
        self.sessions.load(&self.layout, keys, times(0), times(1), &rest[2..])
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark > EventTime::MIN).then_some(watermark)
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(time)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        Ok(vec![EventTime(self.sessions.evict(&self.layout, leaves)?)])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.layout.key_columns)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
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
        let late = self.sessions.update(&keys, times, self.watermark.0, |rows| pick(rows, &self.used), slice)?;
        if late.is_empty() {
            return Ok(());
        }
        let all: Vec<usize> = (0..records.num_columns()).collect();
        let late = RecordBatch::try_new(records.schema(), pick(&late, &all)?)?;
        self.late.emit(&late, Some(late.column(self.time)), self.watermark, out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        let ended = self.sessions.close(time.0);
        if !ended.is_empty() {
            self.emit(&ended, out)?;
            self.sessions.pack_if_mostly_closed(&self.layout)?;
        }
        Ok(Some(if time == EventTime::MAX { time } else { EventTime(time.0.saturating_sub(1)) }))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(0, self.watermark);
        let (changed, mut gone) = self.sessions.changes();
        gone.retain(|_| !bugs::is_on(Bug::JoinedSessionKept));
        let keys = self.sessions.keys_of(&changed);
        let picked = Picked::Slots(changed.into());
        let states = self.sessions.accumulators.iter_mut().map(|accumulator| accumulator.capture(&picked));
        let captured = CapturedSessions {
            schema: self.state.schema.clone(),
            gap: self.gap,
            states: states.collect::<Result<_>>()?,
            sessions: self.sessions.sessions.capture(&picked),
            picked,
            keys: self.sessions.keys.capture(&keys),
            gone_keys: self.sessions.keys.capture(&Picked::Slots(gone.iter().map(|gone| gone.key).collect())),
            gone,
        };
        Ok(vec![Capture { rows: Box::new(move || captured.rows()), expired }])
    }

    fn state_bytes(&self) -> usize {
        self.sessions.bytes()
    }
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
