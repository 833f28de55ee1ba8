//! Joins each row with those of a table outside that have its key when it comes.
//!
//! - batch: its rows are looked up among the rows that were handed over last ([`Operator::look_up_in`]), and come out beside them in the
//!   order in which they came; a left join shows those that find nothing beside nulls. Where rows may be taken back, what was found
//!   for each is kept, and a row that is taken back takes back just that.
//! - watermark: nothing; it goes on.
//! - marker: rows kept and rows gone since the last one.
//! - eviction: whole keys leave.
//!
//! A row with a null in its key finds nothing, and is not kept.

mod kept;
mod side;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::SchemaRef;
use hashbrown::HashSet;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Error, EventTime, JoinType, LookupJoinSpec, LookupRows, Operator, Result,
    TableSchema,
};
use weir_functions::Functions;

use self::kept::{Kept, Taken};
pub use self::side::LookupSide;
use crate::batches::with_schema;
use crate::join::{JoinShape, Keys, LEFT, RIGHT};
use crate::top_n::Columns;

/// Rows of a batch are joined together until they have so many candidates.
const CANDIDATES: usize = 16_384;
/// So many rows come out at a time.
const PIECE: usize = 8192;

/// The lookup join.
pub(crate) struct LookupJoin {
    // Fixed by the plan.
    shape: JoinShape,
    keys: Columns,
    /// What rows are looked up among.
    table: Option<Arc<LookupRows>>,
    /// Of rows that may be taken back. Checkpointed.
    kept: Option<Kept>,
}

/// Rows of a batch beside rows of the table, in the order of the batch.
#[derive(Default)]
struct Pairs {
    own: Vec<u32>,
    found: Vec<u32>,
}

impl LookupJoin {
    pub(crate) fn new(
        spec: &LookupJoinSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        let LookupJoinSpec { join_type, on, residual, retracts, .. } = spec;
        let table = spec.table_schema()?;
        if !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return Err(Error::internal(format!("a lookup join cannot be {join_type:?}")));
        }
        let keys: Vec<usize> = on.iter().map(|pair| pair.0).collect();
        Ok(Self {
            shape: JoinShape::new(*join_type, (on, residual.as_ref()), [input, table], output, functions)?,
            keys: Columns::new(keys.clone(), vec![Default::default(); keys.len()], input, true)?,
            table: None,
            kept: retracts.then(|| Kept::new(input, table)).transpose()?,
        })
    }

    fn table(&self) -> Result<&LookupRows> {
        let table = self.table.as_deref();
        table.ok_or_else(|| Error::internal("rows came before there was anything to look them up in"))
    }

    /// The matches of those rows from `first` on that are `wanted`, and the row that it goes on with: when there are many, with a later
    /// one of the batch.
    fn pairs(
        &self,
        records: &RecordBatch,
        keys: &Keys,
        first: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<(Pairs, usize)> {
        let table = self.table()?;
        let mut pairs = Pairs::default();
        let mut row = first;
        while row < records.num_rows() && pairs.own.len() < CANDIDATES {
            if keys.has(row) && wanted(row) {
                for place in table.with_hash(keys.hashes.value(row)) {
                    pairs.own.push(row as u32);
                    pairs.found.push(place);
                }
            }
            row += 1;
        }
        let mask = self.shape.matching_pairs(pairs.own.len(), |side, columns| match side {
            LEFT => picked(records, &pairs.own, columns),
            _ => picked(table.records(), &pairs.found, columns),
        })?;
        if let Some(mask) = mask {
            for side in [&mut pairs.own, &mut pairs.found] {
                let mut matching = mask.values().iter();
                side.retain(|_| matching.next().unwrap_or_default());
            }
        }
        Ok((pairs, row))
    }

    /// Emits rows that are added.
    fn join(&self, records: &RecordBatch, out: &mut Collector) -> Result<()> {
        let keys = self.shape.keys(LEFT, records)?;
        let mut first = 0;
        while first < records.num_rows() {
            let (pairs, end) = self.pairs(records, &keys, first, |_| true)?;
            let Pairs { own, found } = pairs;
            if self.shape.keeps_unmatched(LEFT) {
                let (own, found) = with_unmatched(first..end, &own, &found);
                self.emit(records, &own, &UInt32Array::from(found), out)?;
            } else {
                self.emit(records, &own, &UInt32Array::from(found), out)?;
            }
            first = end;
        }
        Ok(())
    }

    /// Emits rows of the batch beside rows of the table, or nulls.
    fn emit(&self, records: &RecordBatch, own: &[u32], found: &UInt32Array, out: &mut Collector) -> Result<()> {
        let table = self.table()?.records();
        for first in (0..own.len()).step_by(PIECE) {
            let rows = PIECE.min(own.len() - first);
            let mut columns = picked(records, &own[first..first + rows], &self.shape.all_columns(LEFT))?;
            let found = found.slice(first, rows);
            for column in table.columns() {
                columns.push(take(column, &found, None)?);
            }
            out.emit(with_schema(self.shape.output(), columns, rows)?.into());
        }
        Ok(())
    }

    /// Emits rows that are added or taken back, and keeps what was found.
    fn change(&mut self, batch: &Batch, out: &mut Collector) -> Result<()> {
        let records = batch.records();
        let keys = self.shape.keys(LEFT, records)?;
        let weight = |row: usize| batch.weights().map_or(1, |weights| weights.value(row));
        let padded = self.shape.keeps_unmatched(LEFT);
        let mut kept = self.kept.take().ok_or_else(|| Error::internal("rows are taken back that nobody kept"))?;
        let rows = kept.encode(LEFT, records)?;
        let mut first = 0;
        while first < records.num_rows() {
            let (pairs, end) = self.pairs(records, &keys, first, |row| weight(row) > 0)?;
            let found = take_record_batch(self.table()?.records(), &UInt32Array::from(pairs.found))?;
            let found = kept.encode(RIGHT, &found)?;
            let mut changes = Changes::default();
            let mut next = 0;
            for row in first..end {
                let (hash, weight) = (keys.hashes.value(row), weight(row));
                let begin = next;
                while pairs.own.get(next) == Some(&(row as u32)) {
                    next += 1;
                }
                let shown: Arc<[Taken]> = match (keys.has(row), weight > 0) {
                    (false, _) => Arc::new([]),
                    (true, true) => {
                        let found = (begin..next).map(|pair| Taken::from(found.row(pair))).collect();
                        kept.add(rows.row(row), hash, found)
                    }
                    (true, false) => kept.take_back(rows.row(row))?,
                };
                if shown.is_empty() && padded {
                    changes.add(row, kept.nulls(), weight);
                }
                shown.iter().for_each(|found| changes.add(row, found.clone(), weight));
            }
            changes.emit(&self.shape, records, &kept, out)?;
            first = end;
        }
        self.kept = Some(kept);
        Ok(())
    }
}

/// What comes out: a row of the batch, the row of the table beside it, and whether it is added or taken back.
#[derive(Default)]
struct Changes {
    own: Vec<u32>,
    found: Vec<Taken>,
    weights: Vec<i8>,
}

impl Changes {
    fn add(&mut self, own: usize, found: Taken, weight: i8) {
        self.own.push(own as u32);
        self.found.push(found);
        self.weights.push(weight);
    }

    fn emit(&self, shape: &JoinShape, records: &RecordBatch, kept: &Kept, out: &mut Collector) -> Result<()> {
        for first in (0..self.own.len()).step_by(PIECE) {
            let piece = first..self.own.len().min(first + PIECE);
            let left = picked(records, &self.own[piece.clone()], &shape.all_columns(LEFT))?;
            let right = kept.decode(RIGHT, self.found[piece.clone()].iter())?;
            let records = shape.paired(left, right, piece.len())?;
            let weights = Int8Array::from(self.weights[piece].to_vec());
            out.emit(Batch::weighted(records, weights)?);
        }
        Ok(())
    }
}

/// These columns of the rows.
fn picked(records: &RecordBatch, rows: &[u32], columns: &[usize]) -> Result<Vec<ArrayRef>> {
    let all = rows.len() == records.num_rows() && rows.iter().enumerate().all(|(place, row)| place == *row as usize);
    if all {
        return Ok(columns.iter().map(|column| records.column(*column).clone()).collect());
    }
    let rows = UInt32Array::from(rows.to_vec());
    columns.iter().map(|column| Ok(take(records.column(*column), &rows, None)?)).collect()
}

/// The pairs of these rows, and between them the rows that have none.
fn with_unmatched(rows: std::ops::Range<usize>, own: &[u32], found: &[u32]) -> (Vec<u32>, Vec<Option<u32>>) {
    let (mut all, mut beside) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let mut next = 0;
    for row in rows.start as u32..rows.end as u32 {
        let first = next;
        while own.get(next) == Some(&row) {
            all.push(row);
            beside.push(Some(found[next]));
            next += 1;
        }
        if next == first {
            all.push(row);
            beside.push(None);
        }
    }
    (all, beside)
}

impl Operator for LookupJoin {
    fn tables(&self) -> Vec<TableSchema> {
        self.kept.iter().map(Kept::table).collect()
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let kept =
            self.kept.as_mut().ok_or_else(|| Error::internal("a lookup join that keeps nothing was given rows"))?;
        kept.load(rows, hashes)
    }

    /// All rows stay.
    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.kept.iter_mut().for_each(|kept| kept.evict(leaves));
        Ok(self.kept.iter().map(|_| EventTime::MAX).collect())
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        self.kept.as_ref().map(|_| self.shape.key_columns(LEFT))
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => self.kept.is_some(),
            ChangelogKind::Upsert(_) => false,
        }
    }

    fn lookup_keys(&self, batch: &Batch) -> Result<RecordBatch> {
        let records = batch.records();
        let keys = self.shape.keys(LEFT, records)?;
        let encoded = self.keys.encode(records)?;
        let mut seen: HashSet<&[u8], foldhash::fast::FixedState> = HashSet::default();
        let rows = (0..records.num_rows()).filter(|row| keys.has(*row) && seen.insert(encoded.row(*row)));
        let rows = UInt32Array::from_iter_values(rows.map(|row| row as u32));
        Ok(take_record_batch(&records.project(&self.keys.columns)?, &rows)?)
    }

    fn look_up_in(&mut self, rows: Arc<LookupRows>) -> Result<()> {
        self.table = Some(rows);
        Ok(())
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        match self.kept {
            Some(_) => self.change(&batch, out),
            None => self.join(&batch.into_appended()?, out),
        }
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.kept.iter_mut().map(Kept::capture).collect()
    }

    fn state_bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, Kept::bytes)
    }
}
