//! Which rows of a batch belong to which pane.
//!
//! Streams are nearly in order, so a batch mostly lies in one pane or in a few stretches of it: those are sliced. Only
//! where panes alternate from row to row are rows picked one by one. Where a batch has only few rows of each of many panes it is
//! not split at all ([`small_panes`](super::small_panes)).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMillisecondArray, UInt32Array,
    types::TimestampMillisecondType,
};
use arrow::compute::{filter_record_batch, take};
use weir_core::bugs::{self, Bug};
use weir_core::{Error, Pane, Result, WindowKind};

/// Rows in a stretch, on average, below which picking beats slicing.
const SHORT: usize = 32;

/// A batch is of small panes if it has rows of at least so many …
const MANY: usize = 4;
/// … and fewer than so many of each, on average.
const FEW_ROWS: usize = 256;

/// Times further than this from 1970 (some 29 million years) are refused, so that no sum of times overflows.
const FURTHEST: i64 = 1 << 60;

/// How a row's pane is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PaneOf {
    /// The pane of `window` that this column's time falls into.
    Time { window: WindowKind, time: usize },
    /// The pane of `window` that starts at this column.
    Start { window: WindowKind, start: usize },
    /// Start and end are these columns.
    Columns { start: usize, end: usize },
}

/// Rows of one pane.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) pane: Pane,
    rows: Selection,
}

#[derive(Debug)]
enum Selection {
    Slice(Range<usize>),
    Picked(UInt32Array),
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        match &self.rows {
            Selection::Slice(rows) => rows.len(),
            Selection::Picked(rows) => rows.len(),
        }
    }

    /// The piece's rows of the batch it was made from. Of columns that are not `used` the length may be another.
    pub(crate) fn columns(&self, batch: &RecordBatch, used: &[usize]) -> Result<Vec<ArrayRef>> {
        let mut columns = batch.columns().to_vec();
        match &self.rows {
            Selection::Slice(rows) if rows.len() == batch.num_rows() => {}
            Selection::Slice(rows) => {
                used.iter().for_each(|column| columns[*column] = columns[*column].slice(rows.start, rows.len()));
            }
            Selection::Picked(rows) => {
                for column in used {
                    columns[*column] = take(&columns[*column], rows, None)?;
                }
            }
        }
        Ok(columns)
    }

    /// The piece's rows, whole.
    pub(crate) fn records(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let all: Vec<usize> = (0..batch.num_columns()).collect();
        Ok(RecordBatch::try_new(batch.schema(), self.columns(batch, &all)?)?)
    }
}

fn times(batch: &RecordBatch, column: usize) -> Result<&[i64]> {
    let array = batch.column(column).as_primitive_opt::<TimestampMillisecondType>();
    array.map(|array| &**array.values()).ok_or_else(|| {
        Error::internal(format!("column {column} is {}, not a TIMESTAMP(3)", batch.column(column).data_type()))
    })
}

/// Refuses times that sums would overflow with.
pub(crate) fn check(times: &[i64]) -> Result<()> {
    // Without a branch a row, so that the loop becomes vector instructions.
    let far = times.iter().fold(false, |far, time| far | !(-FURTHEST..=FURTHEST).contains(time));
    if far {
        return Err(Error::data("a row's event time lies millions of years away from now")
            .with_help("check the unit of the time column, or filter such rows out"));
    }
    Ok(())
}

impl PaneOf {
    /// How many columns say which pane a partial result is of.
    pub(crate) fn width(&self) -> usize {
        match self {
            PaneOf::Time { .. } | PaneOf::Start { .. } => 1,
            PaneOf::Columns { .. } => 2,
        }
    }

    /// Those columns, for so many rows in a row of each pane.
    pub(crate) fn columns_of(&self, panes: impl Iterator<Item = (Pane, usize)> + Clone) -> Vec<ArrayRef> {
        let times: [fn(&Pane) -> i64; 2] = [|pane| pane.start, |pane| pane.end];
        let column = |time: &fn(&Pane) -> i64| {
            let mut values = Vec::new();
            panes.clone().for_each(|(pane, rows)| values.resize(values.len() + rows, time(&pane)));
            Arc::new(TimestampMillisecondArray::from(values)) as ArrayRef
        };
        times[..self.width()].iter().map(column).collect()
    }

    fn columns(&self) -> Vec<usize> {
        match *self {
            PaneOf::Time { time: column, .. } | PaneOf::Start { start: column, .. } => vec![column],
            PaneOf::Columns { start, end } => vec![start, end],
        }
    }

    /// The batch without rows that have no time; those are in no window.
    pub(crate) fn with_time(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut batch = batch.clone();
        for column in self.columns() {
            if let Some(nulls) = batch.column(column).nulls().filter(|nulls| nulls.null_count() > 0) {
                let valid = BooleanArray::new(nulls.inner().clone(), None);
                batch = filter_record_batch(&batch, &valid)?;
            }
        }
        Ok(batch)
    }

    /// The panes of a batch, in the order of its rows. Every row has a time.
    pub(crate) fn stretches(&self, batch: &RecordBatch) -> Result<Stretches> {
        match *self {
            PaneOf::Time { window, time } => {
                let times = times(batch, time)?;
                check(times)?;
                let pane = |row: usize| window.pane(times[row]).unwrap_or(Pane { start: 0, end: 0 });
                Ok(Stretches::new(times.len(), pane, |pane, row| (pane.start..pane.end).contains(&times[row])))
            }
            PaneOf::Start { window, start } => {
                let starts = times(batch, start)?;
                let size = window.pane_size().unwrap_or_default();
                let pane = |row: usize| Pane { start: starts[row], end: starts[row] + size };
                Ok(Stretches::new(starts.len(), pane, |pane, row| pane.start == starts[row]))
            }
            PaneOf::Columns { start, end } => {
                let (starts, ends) = (times(batch, start)?, times(batch, end)?);
                check(starts)?;
                check(ends)?;
                let pane = |row: usize| Pane { start: starts[row], end: ends[row] };
                Ok(Stretches::new(starts.len(), pane, |other, row| *other == pane(row)))
            }
        }
    }
}

/// Which rows of a batch, one behind the other, lie in which pane.
#[derive(Debug)]
pub(crate) struct Stretches {
    stretches: Vec<(Pane, Range<usize>)>,
    rows: usize,
}

impl Stretches {
    fn new(rows: usize, pane: impl Fn(usize) -> Pane, is_in: impl Fn(&Pane, usize) -> bool) -> Self {
        let mut stretches: Vec<(Pane, Range<usize>)> = Vec::new();
        let rows = if bugs::is_on(Bug::OddRowLost) && rows > 1 { rows & !1 } else { rows };
        let mut start = 0;
        while start < rows {
            let current = pane(start);
            let end = (start + 1..rows).find(|row| !is_in(&current, *row)).unwrap_or(rows);
            stretches.push((current, start..end));
            start = end;
        }
        Self { stretches, rows }
    }

    /// The stretches, each a pane and how many rows in a row it has.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Pane, usize)> + Clone + '_ {
        self.stretches.iter().map(|(pane, rows)| (*pane, rows.len()))
    }

    /// How many rows they are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there are only few rows of each of many panes.
    pub(crate) fn are_small(&self) -> bool {
        let few = |panes: usize| panes >= MANY && self.rows < FEW_ROWS * panes;
        if !few(self.stretches.len()) {
            return false;
        }
        // The same pane may come again and again.
        let mut panes: Vec<Pane> = self.stretches.iter().map(|(pane, _)| *pane).collect();
        panes.sort_unstable();
        panes.dedup();
        few(panes.len())
    }

    /// The rows of the batch by pane.
    pub(crate) fn into_pieces(self) -> Vec<Piece> {
        let Self { stretches, rows } = self;
        if stretches.len() <= 2 || rows / stretches.len() >= SHORT {
            return stretches.into_iter().map(|(pane, rows)| Piece { pane, rows: Selection::Slice(rows) }).collect();
        }
        let mut picked: BTreeMap<Pane, Vec<u32>> = BTreeMap::new();
        for (pane, rows) in stretches {
            picked.entry(pane).or_default().extend(rows.start as u32..rows.end as u32);
        }
        picked.into_iter().map(|(pane, rows)| Piece { pane, rows: Selection::Picked(rows.into()) }).collect()
    }
}
