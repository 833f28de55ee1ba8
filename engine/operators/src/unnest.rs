//! One row per element of a list column. Several list columns are unnested in parallel, the shorter ones filled up
//! with nulls.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, UInt32Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, SchemaRef};
use weir_core::{Batch, ChangelogKind, Collector, Error, Operator, Result, UnnestSpec};

/// Unnests lists. Keeps nothing.
pub(crate) struct Unnest {
    /// In ascending order.
    columns: Vec<usize>,
    keep_empty: bool,
    schema: SchemaRef,
}

/// A list column, whatever its kind: where each row's elements lie in one array of elements.
struct Lists {
    elements: ArrayRef,
    /// Start and length per row; null lists have none.
    extents: Vec<(u64, u64)>,
}

impl Unnest {
    pub(crate) fn new(spec: &UnnestSpec, schema: &SchemaRef) -> Result<Self> {
        if spec.columns.is_empty() {
            return Err(Error::internal("an unnest names no column"));
        }
        let mut columns = spec.columns.clone();
        columns.sort_unstable();
        Ok(Self { columns, keep_empty: spec.keep_empty, schema: schema.clone() })
    }
}

impl Operator for Unnest {
    /// The elements of a row share its key, and would replace each other.
    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        matches!(stream, ChangelogKind::Append | ChangelogKind::Retract)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.records();
        let lists = self.columns.iter().map(|column| Lists::of(records.column(*column))).collect::<Result<Vec<_>>>()?;
        let mut rows: Vec<u32> = Vec::new();
        let mut elements: Vec<Vec<Option<u64>>> = vec![Vec::new(); lists.len()];
        for row in 0..records.num_rows() {
            let longest = lists.iter().map(|list| list.extents[row].1).max().unwrap_or(0);
            let repeat = if self.keep_empty { longest.max(1) } else { longest };
            rows.extend(std::iter::repeat_n(row as u32, repeat as usize));
            for (list, elements) in lists.iter().zip(&mut elements) {
                let (start, length) = list.extents[row];
                elements.extend((0..repeat).map(|place| (place < length).then_some(start + place)));
            }
        }
        let rows = UInt32Array::from(rows);
        let others: Vec<usize> = (0..records.num_columns()).filter(|column| !self.columns.contains(column)).collect();
        let repeated = batch.project(&others)?.take(&rows)?;
        let mut columns = repeated.records().columns().to_vec();
        for (column, (list, elements)) in self.columns.iter().zip(lists.iter().zip(elements)) {
            columns.insert(*column, take(&list.elements, &UInt64Array::from(elements), None)?);
        }
        out.emit(repeated.with_columns(&self.schema, columns)?);
        Ok(())
    }
}

impl Lists {
    fn of(column: &ArrayRef) -> Result<Self> {
        match column.data_type() {
            DataType::List(_) => Ok(Self::of_offsets::<i32>(column)),
            DataType::LargeList(_) => Ok(Self::of_offsets::<i64>(column)),
            DataType::FixedSizeList(field, _) | DataType::ListView(field) | DataType::LargeListView(field) => {
                let list = cast(column, &DataType::LargeList(Arc::clone(field)))?;
                Ok(Self::of_offsets::<i64>(&list))
            }
            other => Err(Error::internal(format!("a column of type {other} cannot be unnested"))),
        }
    }

    fn of_offsets<O: OffsetSizeTrait>(column: &ArrayRef) -> Self {
        let list = column.as_list::<O>();
        let valid = |row: usize, nulls: Option<&NullBuffer>| nulls.is_none_or(|nulls| nulls.is_valid(row));
        let extents = list
            .value_offsets()
            .windows(2)
            .enumerate()
            .map(|(row, ends)| {
                let (start, end) = (ends[0].as_usize() as u64, ends[1].as_usize() as u64);
                if valid(row, list.nulls()) { (start, end - start) } else { (start, 0) }
            })
            .collect();
        Self { elements: list.values().clone(), extents }
    }
}

#[cfg(test)]
mod tests;
