//! The answers of DataFusion to the queries of a test file over the rows of its inputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use weir_cli::test_file::difference::difference;
use weir_cli::test_file::row::{Value, operation, split};
use weir_cli::test_file::{Answer, Input, Record, RecordKind, Rows, Sql, StepKind, parse, values};
use weir_sql::{ColumnKind, Statement};

/// What a file has said so far.
pub struct Oracle {
    tables: BTreeMap<String, (SchemaRef, Vec<Vec<Value>>)>,
    views: Vec<(String, String)>,
    runtime: tokio::runtime::Runtime,
}

impl Oracle {
    /// Nothing yet.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { tables: BTreeMap::new(), views: Vec::new(), runtime }
    }

    /// Compares all answers of a file that are for this engine. Returns how many there are.
    pub fn check(&mut self, path: &Path, wrong: &mut Vec<String>) -> usize {
        let text = std::fs::read_to_string(path).unwrap();
        let file = parse(&text).unwrap_or_else(|mistake| panic!("{}: {mistake:?}", path.display()));
        let mut compared = 0;
        for Record { line, kind, .. } in file.records.iter().filter(|record| record.is_for("datafusion")) {
            match kind {
                RecordKind::Statement { sql, error: None } => self.statement(sql),
                RecordKind::Statement { .. } => {}
                RecordKind::Input(input) => self.input(input),
                RecordKind::Stream { steps, .. } => {
                    for step in steps {
                        if let StepKind::Input(input) = &step.kind {
                            self.input(input);
                        }
                    }
                }
                RecordKind::Query { sql, expected: Answer::Rows(rows), .. } => {
                    compared += 1;
                    if let Err(difference) = self.compare(sql, rows) {
                        wrong.push(format!("{}:{line}: {difference}", path.display()));
                    }
                }
                RecordKind::Query { .. } => {}
            }
        }
        compared
    }

    fn statement(&mut self, sql: &Sql) {
        for statement in weir_sql::parse(&sql.text).unwrap().statements {
            match statement.value {
                Statement::CreateTable(table) => {
                    let fields = table.columns.iter().filter_map(|column| match &column.kind {
                        ColumnKind::Physical(data_type) => {
                            Some(Field::new(&column.name.value, data_type.clone(), column.nullable))
                        }
                        _ => None,
                    });
                    let base = table.like.as_ref().and_then(|like| self.tables.get(&like.base.value.to_lowercase()));
                    let of_base = base.map(|(schema, _)| schema.fields().iter().map(|field| field.as_ref().clone()));
                    let schema = Arc::new(Schema::new(of_base.into_iter().flatten().chain(fields).collect::<Vec<_>>()));
                    self.tables.insert(table.name.value.to_lowercase(), (schema, Vec::new()));
                }
                Statement::Drop { name, .. } => {
                    let name = name.value.to_lowercase();
                    self.tables.remove(&name);
                    self.views.retain(|(view, _)| *view != name);
                }
                Statement::CreateView { name, .. } => {
                    self.views.push((name.value.to_lowercase(), sql.text.clone()));
                }
                _ => {}
            }
        }
    }

    /// The rows that are there behind this input.
    fn input(&mut self, input: &Input) {
        // One that is declared for Weir alone.
        let Some((schema, rows)) = self.tables.get_mut(&input.table.to_lowercase()) else { return };
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let is_changelog = input.rows.lines.iter().any(|(_, line)| operation(line).0.is_some());
        for (_, line) in &input.rows.lines {
            let (operation, line) = if is_changelog { operation(line) } else { (None, line.as_str()) };
            let row = split(line, &types).unwrap();
            if operation.is_some_and(|operation| operation.weight() < 0) {
                let place = rows.iter().rposition(|other| *other == row).unwrap();
                rows.remove(place);
            } else {
                rows.push(row);
            }
        }
    }

    fn compare(&self, sql: &Sql, rows: &Rows) -> Result<(), String> {
        let found = self.answer(&sql.text)?;
        let schema = found.schema();
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let lines = rows.lines.iter().map(|(_, line)| split(line, &types)).collect::<Result<Vec<_>, _>>()?;
        let expected = values::expected(&lines, &schema).map_err(|(row, message)| format!("row {row}: {message}"))?;
        let found = values::rows(&found).map_err(|error| error.report())?;
        let plain = |rows: Vec<Vec<Value>>| rows.into_iter().map(|row| (None, row)).collect::<Vec<_>>();
        difference(&plain(expected), &plain(found), &types, 20).map_or(Ok(()), Err)
    }

    fn answer(&self, query: &str) -> Result<RecordBatch, String> {
        let context = SessionContext::new();
        for (name, (schema, rows)) in &self.tables {
            let batch =
                values::batch(rows, schema).map_err(|(row, message)| format!("{name}, row {row}: {message}"))?;
            let table = MemTable::try_new(schema.clone(), vec![vec![batch]]).map_err(|error| error.to_string())?;
            context.register_table(name.as_str(), Arc::new(table)).map_err(|error| error.to_string())?;
        }
        let answered = self.runtime.block_on(async {
            for (_, view) in &self.views {
                context.sql(view).await?.collect().await?;
            }
            let frame = context.sql(query).await?;
            let schema = Arc::new(frame.schema().as_arrow().clone());
            Ok::<_, datafusion::error::DataFusionError>((schema, frame.collect().await?))
        });
        let (schema, batches) = answered.map_err(|error| error.to_string())?;
        let schema = batches.first().map_or(schema, |batch| batch.schema());
        plain(&concat_batches(&schema, &batches).map_err(|error| error.to_string())?)
    }
}

/// Columns of types that only this engine has as those of Weir.
fn plain(batch: &RecordBatch) -> Result<RecordBatch, String> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let data_type = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
            other => other.clone(),
        };
        columns.push(cast(column, &data_type).map_err(|error| error.to_string())?);
        fields.push(Field::new(field.name(), data_type, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| error.to_string())
}
