//! Where a marker passes: which rows may have other results than before, and what has changed of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};
use weir_core::{Batch, Collector, Result};

use super::UpdatingOver;
use super::compute::{Calls, Segment};
use super::frame::{List, PEERS, affected, bounds, end, start};
use super::partition::Versions;
use super::rows::Rows;
use crate::batches::with_schema;
use crate::row_blocks::{Slot, equal_rows};

/// So many rows are gathered at a time, give or take a partition, and so many changes make a batch.
const BATCH: usize = 8192;

/// Results that are to be computed and compared.
#[derive(Default)]
struct Work {
    /// Rows of all contexts.
    gathered: Vec<Slot>,
    segments: Vec<Segment>,
    /// How many rows get a result.
    computed: usize,
    steps: Vec<Step>,
}

/// A row whose result may have changed. Results are numbered as they are computed.
enum Step {
    Gone(u32),
    Come(u32),
    Stays { before: u32, after: u32 },
}

impl UpdatingOver {
    /// Emits what has changed of the partitions that have.
    pub(super) fn emit(&mut self, out: &mut Collector) -> Result<()> {
        let changed = std::mem::take(&mut self.changed);
        if changed.is_empty() {
            return Ok(());
        }
        let (mut work, mut gone) = (Work::default(), Vec::new());
        for key in changed {
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            if let Some(versions) = partition.versions(&self.rows) {
                work.add(&versions, &self.calls, &self.rows);
            }
            let bytes = partition.settle(&self.rows, &mut gone);
            self.place_bytes = self.place_bytes.saturating_sub(bytes);
            if partition.is_empty() {
                self.partitions.remove(&key);
            }
            if work.gathered.len() >= BATCH {
                self.emit_changes(std::mem::take(&mut work), out)?;
            }
        }
        self.emit_changes(work, out)?;
        self.rows.settle(&gone)
    }

    fn emit_changes(&self, work: Work, out: &mut Collector) -> Result<()> {
        if work.steps.is_empty() {
            return Ok(());
        }
        let computed = work.positions();
        let columns = self.rows.gather_columns(&work.gathered, &self.calls.reads)?;
        let results = self.calls.results(&work.segments, columns, work.gathered.len(), &computed)?;
        let changes = changes(&work.steps, &results)?;
        for piece in changes.chunks(BATCH) {
            let slots: Vec<Slot> =
                piece.iter().map(|(result, _)| work.gathered[computed[*result as usize] as usize]).collect();
            let taken = UInt32Array::from_iter_values(piece.iter().map(|(result, _)| *result));
            let mut columns = self.rows.gather(&slots)?.columns().to_vec();
            for result in &results {
                columns.push(take(result, &taken, None)?);
            }
            let records = with_schema(&self.output, columns, piece.len())?;
            let weights: Int8Array = piece.iter().map(|(_, weight)| Some(*weight)).collect();
            out.emit(Batch::weighted(records, weights)?);
        }
        Ok(())
    }
}

/// The results that are taken back and added, each with its weight.
fn changes(steps: &[Step], results: &[ArrayRef]) -> Result<Vec<(u32, i8)>> {
    let pairs = steps.iter().filter_map(|step| match step {
        Step::Stays { before, after } => Some((*before, *after)),
        _ => None,
    });
    let (before, after): (Vec<u32>, Vec<u32>) = pairs.unzip();
    let of = |rows: Vec<u32>| -> Result<RecordBatch> {
        let (count, rows) = (rows.len(), UInt32Array::from(rows));
        let columns = results.iter().map(|result| take(result, &rows, None)).collect::<Result<Vec<_>, _>>()?;
        let fields = columns.iter().enumerate();
        let fields = fields.map(|(index, column)| Field::new(index.to_string(), column.data_type().clone(), true));
        with_schema(&Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns, count)
    };
    let same = equal_rows(&of(before)?, &of(after)?)?;
    let mut pair = 0;
    let mut changes = Vec::new();
    for step in steps {
        match step {
            Step::Gone(result) => changes.push((*result, -1)),
            Step::Come(result) => changes.push((*result, 1)),
            Step::Stays { before, after } => {
                if !same.value(pair) {
                    changes.extend([(*before, -1), (*after, 1)]);
                }
                pair += 1;
            }
        }
    }
    Ok(changes)
}

impl Work {
    /// Adds the rows of a partition that may have another result.
    fn add(&mut self, versions: &Versions<'_>, calls: &Calls, rows: &Rows) {
        let Versions { entries, before, after, front, back } = versions;
        let lists = [before, after].map(|index| List { entries, index, rows });
        let (mut first, mut last) = (*front, 0);
        for (frame, _) in calls.frames() {
            for list in &lists {
                let (from, of_last) = affected(frame, list, *front, *back);
                (first, last) = (first.min(from), last.max(of_last));
            }
        }
        let [before, after] = lists.map(|list| {
            let rows = first..list.len() - back + last;
            let base = self.computed;
            self.computed += rows.len();
            let slots: Vec<Slot> = rows.clone().map(|row| list.entry(row).slot).collect();
            if !rows.is_empty() {
                self.segment(&list, rows, calls);
            }
            (base as u32, slots)
        });
        self.compare(before, after, rows);
    }

    fn segment(&mut self, list: &List<'_>, rows: Range<usize>, calls: &Calls) {
        let mut context = rows.clone();
        for (frame, _) in calls.frames().filter(|(_, reads)| *reads) {
            context.start = context.start.min(start(frame, list, rows.start));
            context.end = context.end.max(end(frame, list, rows.end - 1));
        }
        let bounds_of = |(frame, reads)| match reads {
            true => bounds(frame, list, rows.clone()),
            false => Vec::new(),
        };
        let peers = match calls.asks_peers {
            true => bounds(PEERS, list, rows.clone()),
            false => Vec::new(),
        };
        let in_front = peers.first().filter(|_| calls.asks_distinct).map_or(0, |peers| peers.start);
        self.segments.push(Segment {
            base: self.gathered.len(),
            first: context.start,
            total: list.len(),
            peers,
            distinct: (0..in_front).filter(|row| !list.is_peer(*row)).count(),
            bounds: calls.frames().map(bounds_of).collect(),
            rows,
        });
        self.gathered.extend(context.map(|row| list.entry(row).slot));
    }

    /// Notes what becomes of each row, in their order.
    fn compare(&mut self, before: (u32, Vec<Slot>), after: (u32, Vec<Slot>), rows: &Rows) {
        let (mut was, mut is) = ((before.0..).zip(before.1).peekable(), (after.0..).zip(after.1).peekable());
        loop {
            let gone = was.next_if(|(_, slot)| rows.is_gone(*slot));
            let come = is.next_if(|(_, slot)| rows.is_fresh(*slot));
            match (gone, come) {
                (None, None) => match (was.next(), is.next()) {
                    (Some((before, _)), Some((after, _))) => self.steps.push(Step::Stays { before, after }),
                    _ => return,
                },
                (gone, come) => {
                    self.steps.extend(gone.map(|(result, _)| Step::Gone(result)));
                    self.steps.extend(come.map(|(result, _)| Step::Come(result)));
                }
            }
        }
    }

    /// Which of the gathered rows each result is of.
    fn positions(&self) -> Vec<u32> {
        let of_segment = |segment: &Segment| {
            let first = segment.in_context(segment.rows.start) as u32;
            first..first + segment.rows.len() as u32
        };
        self.segments.iter().flat_map(of_segment).collect()
    }
}
