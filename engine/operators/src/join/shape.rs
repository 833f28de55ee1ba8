//! The part of a join that the plan fixes: keys, condition, and which rows come out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and_kleene, prep_null_mask_filter};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use weir_core::hash::{canonical_keys, hash_rows};
use weir_core::{Collector, Distribution, Error, Expr, HashRange, JoinSpread, JoinType, Result};
use weir_functions::Functions;

use crate::batches::{keep, with_schema};
use crate::expr::CompiledExpr;

/// Ordinal of the left input, and index of whatever there is one of per side.
pub(crate) const LEFT: usize = 0;
/// Ordinal of the right input.
pub(crate) const RIGHT: usize = 1;

/// Keys, condition and output of a join.
pub(crate) struct JoinShape {
    join_type: JoinType,
    keys: [Vec<usize>; 2],
    /// Columns whose hash says which subtask a row belongs to; `None`: the keys.
    spread: Option<[Vec<usize>; 2]>,
    broadcast: Option<usize>,
    schemas: [SchemaRef; 2],
    /// Left columns, then right ones.
    combined: SchemaRef,
    /// The columns of each side that the condition reads.
    condition: [Vec<usize>; 2],
    /// Those of both sides: what the residual is compiled for.
    narrow: SchemaRef,
    residual: Option<CompiledExpr>,
    output: SchemaRef,
}

/// Where two columns have the same value. Nulls within what is nested are values; beyond that a null is equal to nothing.
fn equal_keys(left: &ArrayRef, right: &ArrayRef) -> Result<BooleanArray> {
    if !left.data_type().is_nested() {
        return Ok(eq(left, right)?);
    }
    // Fields may have other names, or be nullable, on one side: only the values count.
    let rows = |column: &ArrayRef| {
        let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
        converter.convert_columns(std::slice::from_ref(column))
    };
    let (left_rows, right_rows) = (rows(left)?, rows(right)?);
    let is_known = |row: usize| left.is_valid(row) && right.is_valid(row);
    let is_equal = |row: usize| left_rows.row(row).data() == right_rows.row(row).data();
    Ok((0..left.len()).map(|row| is_known(row).then(|| is_equal(row))).collect())
}

/// The keys of a batch.
pub(crate) struct Keys {
    /// One hash per row.
    pub(crate) hashes: UInt64Array,
    /// Rows without a null in their key; `None`: all.
    pub(crate) valid: Option<NullBuffer>,
}

impl Keys {
    /// Whether the key of a row has no null.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid.is_valid(row))
    }
}

impl JoinShape {
    /// Keys are pairs of equal columns, left and right; the residual is the rest of the condition.
    pub(crate) fn new(
        join_type: JoinType,
        (on, residual): (&[(usize, usize)], Option<&Expr>),
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        for (left, right) in on {
            let types = [inputs[LEFT].field(*left).data_type(), inputs[RIGHT].field(*right).data_type()];
            if types[LEFT] != types[RIGHT] {
                return Err(Error::internal(format!("a join compares {} with {}", types[LEFT], types[RIGHT])));
            }
        }
        let fields = inputs.iter().flat_map(|schema| schema.fields().iter());
        let fields: Vec<_> = fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let combined = Arc::new(Schema::new(fields));
        let keys: [Vec<usize>; 2] = [on.iter().map(|pair| pair.0).collect(), on.iter().map(|pair| pair.1).collect()];
        let lefts = inputs[LEFT].fields().len();
        let mut read: Vec<usize> =
            keys[LEFT].iter().copied().chain(keys[RIGHT].iter().map(|key| lefts + key)).collect();
        if let Some(residual) = residual {
            residual.visit_columns(&mut |column| read.push(column));
        }
        read.sort_unstable();
        read.dedup();
        let narrow = Arc::new(combined.project(&read)?);
        let residual =
            residual.map(|residual| residual.map_columns(&|column| read.binary_search(&column).unwrap_or(usize::MAX)));
        let residual = residual.map(|residual| CompiledExpr::condition(&residual, &narrow, functions)).transpose()?;
        let (left, right): (Vec<usize>, Vec<usize>) = read.into_iter().partition(|column| *column < lefts);
        Ok(Self {
            join_type,
            keys,
            spread: None,
            broadcast: None,
            condition: [left, right.into_iter().map(|column| column - lefts).collect()],
            narrow,
            schemas: inputs.map(Clone::clone),
            combined,
            residual,
            output: output.clone(),
        })
    }

    /// The same, for rows that are spread so.
    pub(crate) fn spread(mut self, spread: &JoinSpread) -> Result<Self> {
        match spread {
            JoinSpread::Keys => {}
            JoinSpread::SomeKeys(some) if some.iter().all(|key| *key < self.keys[LEFT].len()) => {
                let columns = |side: usize| some.iter().map(|key| self.keys[side][*key]).collect();
                self.spread = Some([columns(LEFT), columns(RIGHT)]);
            }
            JoinSpread::Broadcast(side) if *side <= RIGHT && !self.tracks(*side) => self.broadcast = Some(*side),
            other => return Err(Error::internal(format!("the rows of a join cannot be spread like {other:?}"))),
        }
        Ok(self)
    }

    /// The side whose rows are in every subtask, if there is one.
    pub(crate) fn broadcast(&self) -> Option<usize> {
        self.broadcast
    }

    pub(crate) fn key_columns(&self, side: usize) -> &[usize] {
        &self.keys[side]
    }

    /// Columns by which rows of a side were sent here; `None`: they may come to any subtask.
    pub(crate) fn spread_columns(&self, side: usize) -> Option<&[usize]> {
        match (&self.spread, self.broadcast) {
            (_, Some(_)) => None,
            (Some(spread), None) => Some(&spread[side]),
            (None, None) => Some(&self.keys[side]),
        }
    }

    /// Hashes of rows that say which subtask they belong to, if those of their keys do not.
    pub(crate) fn spread_hashes(&self, side: usize, records: &RecordBatch) -> Result<Option<UInt64Array>> {
        let Some(spread) = &self.spread else { return Ok(None) };
        let columns: Vec<ArrayRef> = spread[side].iter().map(|column| records.column(*column).clone()).collect();
        let mut hashes = Vec::new();
        hash_rows(&columns, records.num_rows(), &mut hashes)?;
        Ok(Some(UInt64Array::from(hashes)))
    }

    /// Which rows of a side belong to a subtask by a hash that `leaves`; `hashes` are those of their keys.
    pub(crate) fn leaving(
        &self,
        side: usize,
        (records, hashes): (&RecordBatch, &UInt64Array),
        leaves: &dyn Fn(u64) -> bool,
    ) -> Result<BooleanArray> {
        let spread = self.spread_hashes(side, records)?;
        let hashes = spread.as_ref().unwrap_or(hashes).values();
        Ok(hashes.iter().map(|hash| Some(leaves(*hash))).collect())
    }

    /// Who gets which rows of a side on restore. Where one side is in every subtask, those of the other may be anywhere, and the owner
    /// of their key is as good as any.
    pub(crate) fn distribution(&self, side: usize) -> Distribution {
        if self.broadcast == Some(side) { Distribution::Broadcast } else { Distribution::Keyed }
    }

    /// Whether a subtask that owns these keys answers for the rows of a side, stores them and says which were late: for those that are in
    /// every subtask one does.
    pub(crate) fn answers_for(&self, side: usize, range: HashRange) -> bool {
        self.broadcast != Some(side) || range.first == HashRange::ALL.first
    }

    pub(crate) fn schema(&self, side: usize) -> &SchemaRef {
        &self.schemas[side]
    }

    /// Whether rows of `side` come out although nothing matched them.
    pub(crate) fn keeps_unmatched(&self, side: usize) -> bool {
        use JoinType::{Full, Left, LeftAnti, Right, RightAnti};
        match side {
            LEFT => matches!(self.join_type, Left | Full | LeftAnti),
            _ => matches!(self.join_type, Right | Full | RightAnti),
        }
    }

    /// Whether rows of `side` come out, alone and once, if something matched them.
    pub(crate) fn keeps_matched(&self, side: usize) -> bool {
        self.join_type == if side == LEFT { JoinType::LeftSemi } else { JoinType::RightSemi }
    }

    /// Whether it has to be known which rows of `side` were matched.
    pub(crate) fn tracks(&self, side: usize) -> bool {
        self.join_type.tracks(side)
    }

    /// Whether matching rows come out side by side.
    pub(crate) fn emits_pairs(&self) -> bool {
        matches!(self.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full)
    }

    pub(crate) fn keys(&self, side: usize, records: &RecordBatch) -> Result<Keys> {
        let columns: Vec<ArrayRef> = self.keys[side].iter().map(|key| records.column(*key).clone()).collect();
        let mut hashes = Vec::new();
        hash_rows(&columns, records.num_rows(), &mut hashes)?;
        let valid = columns
            .iter()
            .fold(None, |valid, column| NullBuffer::union(valid.as_ref(), column.logical_nulls().as_ref()))
            .filter(|valid| valid.null_count() > 0);
        Ok(Keys { hashes: UInt64Array::from(hashes), valid })
    }

    /// Which of the pairs `left[i], right[i]` match; `None`: all.
    pub(crate) fn matching(&self, left: &RecordBatch, right: &RecordBatch) -> Result<Option<BooleanArray>> {
        self.matching_pairs(left.num_rows(), |side, columns| {
            let records = if side == LEFT { left } else { right };
            Ok(columns.iter().map(|column| records.column(*column).clone()).collect())
        })
    }

    /// Which of so many pairs match; `None`: all. `columns` makes columns of the rows of a side: only what the condition reads is
    /// asked for, because most pairs may not match.
    pub(crate) fn matching_pairs(
        &self,
        pairs: usize,
        columns: impl Fn(usize, &[usize]) -> Result<Vec<ArrayRef>>,
    ) -> Result<Option<BooleanArray>> {
        let sides = [columns(LEFT, &self.condition[LEFT])?, columns(RIGHT, &self.condition[RIGHT])?];
        let column = |side: usize, column: usize| {
            let place = self.condition[side].binary_search(&column);
            place.map(|place| &sides[side][place]).map_err(|_| Error::internal("a join does not read its key"))
        };
        let mut mask: Option<BooleanArray> = None;
        let mut narrow = |more: BooleanArray| -> Result<()> {
            mask = Some(match mask.take() {
                None => more,
                Some(mask) => and_kleene(&mask, &more)?,
            });
            Ok(())
        };
        for (left, right) in self.keys[LEFT].iter().zip(&self.keys[RIGHT]) {
            narrow(equal_keys(&canonical_keys(column(LEFT, *left)?), &canonical_keys(column(RIGHT, *right)?))?)?;
        }
        if let Some(residual) = &self.residual {
            let [left, right] = &sides;
            let columns = left.iter().chain(right).cloned().collect();
            narrow(residual.evaluate_condition(&with_schema(&self.narrow, columns, pairs)?)?)?;
        }
        let mask = mask.map(|mask| if mask.null_count() > 0 { prep_null_mask_filter(&mask) } else { mask });
        Ok(mask.filter(|mask| mask.true_count() < mask.len()))
    }

    /// Matching pairs as they come out, from all columns of both sides.
    pub(crate) fn paired(&self, left: Vec<ArrayRef>, right: Vec<ArrayRef>, pairs: usize) -> Result<RecordBatch> {
        with_schema(&self.output, left.into_iter().chain(right).collect(), pairs)
    }

    /// All columns of a side.
    pub(crate) fn all_columns(&self, side: usize) -> Vec<usize> {
        (0..self.schemas[side].fields().len()).collect()
    }

    pub(crate) fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// The pairs `left[i], right[i]` that `mask` lets through, as they come out.
    pub(crate) fn pairs(
        &self,
        left: &RecordBatch,
        right: &RecordBatch,
        mask: Option<&BooleanArray>,
    ) -> Result<RecordBatch> {
        let columns = left.columns().iter().chain(right.columns()).cloned().collect();
        match mask {
            None => with_schema(&self.output, columns, left.num_rows()),
            // Pairs that do not match may hold what the output's schema excludes, so they go first.
            Some(mask) => {
                let rows = keep(with_schema(&self.combined, columns, left.num_rows())?, mask)?;
                with_schema(&self.output, rows.columns().to_vec(), rows.num_rows())
            }
        }
    }

    /// Emits rows of one side [alone](Self::alone).
    pub(crate) fn emit_alone(&self, side: usize, rows: &RecordBatch, out: &mut Collector) -> Result<()> {
        if rows.num_rows() > 0 {
            out.emit(self.alone(side, rows)?.into());
        }
        Ok(())
    }

    /// Rows of one side as they come out alone: padded with nulls by an outer join, as they are by a semi or anti join.
    pub(crate) fn alone(&self, side: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        let count = rows.num_rows();
        let mut columns = rows.columns().to_vec();
        if self.emits_pairs() {
            let other = self.schemas[1 - side].fields().iter();
            let nulls = other.map(|field| new_null_array(field.data_type(), count));
            if side == LEFT {
                columns.extend(nulls);
            } else {
                columns = nulls.chain(columns).collect();
            }
        }
        with_schema(&self.output, columns, count)
    }
}
