//! The rows that are left of a changelog when its input has ended: a query that updates its results has one answer over input
//! that ends, and what can only add rows can take it.
//!
//! A row is kept once, with how many there are of it. All rows of the state expire with the end of time, where they are emitted, in
//! an order if one is asked for.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{SortOptions, concat, take};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use weir_core::hash::canonical_keys;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Error, EventTime, OpenContext, Operator, Result, SortKey, TableSchema,
};

use super::groups::{Constant, Groups};
use super::layout::Layout;
use crate::batches::with_schema;

const END: Constant = Constant { name: "end", value: EventTime::MAX.0, is_time: true };

/// Rows of a batch.
const BATCH: usize = 8192;

/// The operator.
pub(crate) struct FinalRows {
    groups: Groups,
    output: SchemaRef,
    order: Option<Order>,
    has_ended: bool,
}

/// `ORDER BY`.
struct Order {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl Order {
    fn new(keys: &[SortKey], input: &Schema) -> Result<Self> {
        let field = |key: &SortKey| {
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            SortField::new_with_options(input.field(key.column).data_type().clone(), options)
        };
        let converter = RowConverter::new(keys.iter().map(field).collect())
            .map_err(|error| Error::user("rows cannot be ordered by such columns").with_source(error))?;
        Ok(Self { columns: keys.iter().map(|key| key.column).collect(), converter })
    }

    /// The rows of all pieces as one, in order.
    fn sorted(&self, pieces: &[Piece]) -> Result<Vec<Piece>> {
        let Some((first, _)) = pieces.first() else { return Ok(Vec::new()) };
        let whole = |column: usize| {
            let parts: Vec<_> = pieces.iter().map(|(columns, _)| &*columns[column]).collect();
            concat(&parts)
        };
        let columns = (0..first.len()).map(whole).collect::<Result<Vec<_>, _>>()?;
        let counts: Int64Array = pieces.iter().flat_map(|(_, counts)| counts.values().iter().copied()).collect();
        let keys: Vec<ArrayRef> = self.columns.iter().map(|column| canonical_keys(&columns[*column])).collect();
        let rows = self.converter.convert_columns(&keys)?;
        let mut sorted: Vec<u32> = (0..counts.len() as u32).collect();
        sorted.sort_by(|one, other| rows.row(*one as usize).cmp(&rows.row(*other as usize)));
        let sorted = UInt32Array::from(sorted);
        let columns = columns.iter().map(|column| take(column, &sorted, None)).collect::<Result<_, _>>()?;
        let counts = sorted.values().iter().map(|row| Some(counts.value(*row as usize))).collect();
        Ok(vec![(columns, counts)])
    }
}

/// Rows, and how many there are of each.
type Piece = (Vec<ArrayRef>, Int64Array);

impl FinalRows {
    /// Without keys of an order rows come out in any.
    pub(crate) fn new(input: &SchemaRef, output: &SchemaRef, order: &[SortKey]) -> Result<Self> {
        let order = if order.is_empty() { None } else { Some(Order::new(order, input)?) };
        let groups = Groups::new(Layout::of_rows(input)?, Some(END), true, None);
        Ok(Self { groups, output: output.clone(), order, has_ended: false })
    }

    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        let pieces = self.groups.rows()?;
        let pieces = match &self.order {
            Some(order) => order.sorted(&pieces)?,
            None => pieces,
        };
        for (columns, counts) in pieces {
            let mut rows: Vec<u32> = Vec::with_capacity(counts.len());
            let mut emit = |rows: &mut Vec<u32>| {
                let picked = UInt32Array::from(std::mem::take(rows));
                let columns =
                    columns.iter().map(|column| take(column, &picked, None)).collect::<Result<Vec<_>, _>>()?;
                out.emit(Batch::append(with_schema(&self.output, columns, picked.len())?));
                Ok::<_, Error>(())
            };
            for (row, count) in counts.values().iter().enumerate() {
                for _ in 0..*count {
                    rows.push(row as u32);
                    if rows.len() == BATCH {
                        emit(&mut rows)?;
                    }
                }
            }
            emit(&mut rows)?;
        }
        Ok(())
    }
}

impl Operator for FinalRows {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.groups.table().clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.has_ended = context.watermark == EventTime::MAX;
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        self.groups.load(rows)
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark == EventTime::MAX).then_some(watermark)
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        (time == EventTime::MAX && !self.has_ended).then_some(time)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.groups.evict(leaves)
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(self.groups.key_columns())
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        !matches!(stream, ChangelogKind::Upsert(_))
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        if self.has_ended && batch.num_rows() > 0 {
            return Err(Error::internal("rows came behind the end of their input"));
        }
        self.groups.process(&batch, false)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if time == EventTime::MAX && !std::mem::replace(&mut self.has_ended, true) {
            self.groups.settle()?;
            self.emit(out)?;
        }
        Ok(Some(time))
    }

    /// Rows that were added and taken back are not kept.
    fn flush(&mut self, _out: &mut Collector) -> Result<()> {
        self.groups.settle()
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.groups.capture(self.has_ended.then_some(EventTime::MAX))
    }

    fn state_bytes(&self) -> usize {
        self.groups.bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::testing::{rows, schema, text};

    use super::*;

    #[test]
    fn rows_come_out_in_the_order_that_is_asked_for() {
        let schema = schema("who STRING, amount BIGINT");
        let key = |column, descending| SortKey { column, descending, nulls_first: !descending };
        let mut operator = FinalRows::new(&schema, &schema, &[key(1, true), key(0, false)]).unwrap();
        let mut out = Collector::new(0);
        for lines in [["b | 1", "a | NULL", "b | 2"], ["b | 1", "NULL | 2", "a | 2"]] {
            operator.process(0, Batch::append(rows(&schema, &lines)), &mut out).unwrap();
        }
        operator.watermark(EventTime::MAX, &mut out).unwrap();
        let lines: Vec<String> = out.take().iter().flat_map(|(_, batch)| text(batch.records())).collect();
        assert_eq!(lines, ["NULL | 2", "a | 2", "b | 2", "b | 1", "b | 1", "a | NULL"]);
    }
}
