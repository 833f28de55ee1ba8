use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{Field, Int64Type};
use weir_core::Error;

use super::*;
use crate::aggregate::CapturedStates;

const ROWS: usize = 2000;

/// How many rows an aggregate was given, and how many of them it had at once at most.
#[derive(Default)]
struct Taken {
    all: AtomicUsize,
    most: AtomicUsize,
}

/// Counts the rows of each group.
struct Counted {
    groups: Vec<i64>,
    taken: Arc<Taken>,
}

fn unused<R>() -> Result<R> {
    Err(Error::internal("frames have no states"))
}

impl Accumulator for Counted {
    fn fresh(&self) -> Box<dyn Accumulator> {
        Box::new(Self { groups: Vec::new(), taken: self.taken.clone() })
    }

    fn state_fields(&self) -> Vec<Field> {
        Vec::new()
    }

    fn grow(&mut self, groups: usize) -> Result<()> {
        self.groups.resize(groups, 0);
        Ok(())
    }

    fn clear(&mut self, _slots: &[u32]) -> Result<()> {
        unused()
    }

    fn update(&mut self, slots: &[u32], rows: AggregatedRows<'_>) -> Result<()> {
        slots.iter().for_each(|slot| self.groups[*slot as usize] += 1);
        self.taken.all.fetch_add(rows.len, Ordering::Relaxed);
        self.taken.most.fetch_max(self.groups.iter().sum::<i64>() as usize, Ordering::Relaxed);
        Ok(())
    }

    fn merge(&mut self, _slots: &[u32], _states: &[ArrayRef]) -> Result<()> {
        unused()
    }

    fn states(&mut self, _picked: &Picked, _piece: std::ops::Range<usize>) -> Result<Vec<ArrayRef>> {
        unused()
    }

    fn capture(&mut self, _picked: &Picked) -> Result<Box<dyn CapturedStates>> {
        unused()
    }

    fn results(&mut self, picked: &Picked, piece: std::ops::Range<usize>) -> Result<ArrayRef> {
        Ok(Arc::new(piece.map(|position| self.groups[picked.slot(position)]).collect::<Int64Array>()))
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// Two partitions; frames up to each row, the first two of which are equal in the order.
fn partitions() -> (Vec<Segment>, RecordBatch) {
    let segment = |base| Segment {
        base,
        first: 0,
        rows: 0..ROWS,
        total: ROWS,
        peers: Vec::new(),
        distinct: 0,
        bounds: vec![(0..ROWS).map(|row| 0..(row + 1).max(2)).collect()],
    };
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2 * ROWS as i64));
    (vec![segment(0), segment(ROWS)], RecordBatch::try_from_iter([("n", column)]).unwrap())
}

fn expected() -> Vec<i64> {
    (0..2).flat_map(|_| (0..ROWS as i64).map(|row| (row + 1).max(2))).collect()
}

#[test]
fn a_piece_of_the_frames_is_held_at_a_time() {
    let (segments, records) = partitions();
    let taken = Arc::new(Taken::default());
    let counted = Counted { groups: Vec::new(), taken: taken.clone() };
    let results = grouped(&counted, 0, &segments, &records).unwrap();
    assert_eq!(results.as_primitive::<Int64Type>().values().to_vec(), expected());
    let most = taken.most.load(Ordering::Relaxed);
    assert!(most <= PIECE + ROWS, "{most} rows at once");
}

#[test]
fn where_frames_begin_with_the_partition_each_row_is_taken_in_once() {
    let (segments, records) = partitions();
    let taken = Arc::new(Taken::default());
    let counted = Counted { groups: Vec::new(), taken: taken.clone() };
    let results = running(&counted, 0, &segments, &records).unwrap();
    assert_eq!(results.as_primitive::<Int64Type>().values().to_vec(), expected());
    assert_eq!(taken.all.load(Ordering::Relaxed), 2 * ROWS);
}
