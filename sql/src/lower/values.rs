//! Rows that are written in the query: `VALUES`, and `SELECT` without `FROM`. They are made of the one row of a table that is made up.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::DFSchema;
use datafusion_expr::{EmptyRelation, Values};
use weir_core::{Exchange, ExpandSpec, Expr, Literal, LiteralValue, OperatorSpec, Result, SourceSpec, TableSpec};

use super::Lowering;
use super::expr::expr;
use super::limited::without_rows;
use super::shape::{add, edges, exact};
use super::stream::{Base, Stream, StreamColumn};

impl Lowering<'_> {
    /// One row without columns, or none.
    pub(super) fn constant(&mut self, empty: &EmptyRelation) -> Result<Stream> {
        let mut stream = one_row();
        let fields = empty.schema.fields();
        let null =
            |data_type: &DataType| Expr::Literal(Literal { data_type: data_type.clone(), value: LiteralValue::Null });
        stream.projection = fields.iter().map(|field| null(field.data_type())).collect();
        stream.names = fields.iter().map(|field| field.name().clone()).collect();
        stream.types = fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(if empty.produce_one_row { stream } else { without_rows(stream) })
    }

    /// These rows.
    pub(super) fn values(&mut self, values: &Values) -> Result<Stream> {
        let nothing = DFSchema::empty();
        let fields = values.schema.fields();
        let columns: Vec<StreamColumn> =
            fields.iter().map(|field| StreamColumn::plain(field.name(), field.data_type().clone())).collect();
        let cell = |(value, field): (&datafusion_expr::Expr, &Arc<Field>)| {
            let operand = Box::new(expr(value, &nothing)?);
            Ok(Expr::Cast { operand, data_type: field.data_type().clone(), safe: false })
        };
        let projections = values
            .values
            .iter()
            .map(|row| row.iter().zip(fields).map(cell).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        let (nodes, _) = exact(&mut self.graph, one_row())?;
        let operator = OperatorSpec::Expand(ExpandSpec { projections });
        let node = add(&mut self.graph, "Values", operator, edges(&nodes, 0, Exchange::Forward), &columns)?;
        Ok(Stream::of_nodes(vec![node], columns))
    }
}

/// A table of one row.
fn one_row() -> Stream {
    let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, true)]));
    let options = [("number-of-rows", "1"), ("realtime", "false")];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let table = TableSpec::new("values", "datagen", options, schema);
    let spec = SourceSpec { table, projection: None, filter: None, watermark: None, rows_per_second: None };
    let columns = vec![StreamColumn::plain("number", DataType::Int64)];
    Stream::new(Base::Scan { spec: Box::new(spec), clock: false, shared: true }, columns)
}
