//! The batch answer, and how two answers are compared.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::{ReaderBuilder, WriterBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

/// A row as canonical text.
pub type Row = Vec<String>;

/// DataFusion over the same data.
pub struct Oracle {
    context: SessionContext,
    runtime: tokio::runtime::Runtime,
}

impl Oracle {
    /// Reads the flights at `path` as the table `flights`.
    pub fn new(path: &Path) -> Self {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let names = [
            ("year", DataType::Int32),
            ("month", DataType::Int32),
            ("day", DataType::Int32),
            ("dep_time", DataType::Int32),
            ("sched_dep_time", DataType::Int32),
            ("dep_delay", DataType::Float64),
            ("arr_time", DataType::Int32),
            ("sched_arr_time", DataType::Int32),
            ("arr_delay", DataType::Float64),
            ("carrier", DataType::Utf8),
            ("flight", DataType::Int32),
            ("tailnum", DataType::Utf8),
            ("origin", DataType::Utf8),
            ("dest", DataType::Utf8),
            ("air_time", DataType::Float64),
            ("distance", DataType::Int32),
            ("hour", DataType::Int32),
            ("minute", DataType::Int32),
            ("time_hour", time),
        ];
        let schema = Arc::new(Schema::new(
            names.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect::<Vec<_>>(),
        ));
        let missing = regex::Regex::new("^NA$").unwrap();
        let reader = ReaderBuilder::new(schema.clone())
            .with_header(true)
            .with_null_regex(missing)
            .build(File::open(path).unwrap())
            .unwrap();
        let batches = reader.collect::<Result<Vec<_>, _>>().unwrap();
        let mut oracle = Self::empty();
        oracle.add("flights", schema, batches);
        oracle
    }

    /// Without tables.
    pub fn empty() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { context: SessionContext::new(), runtime }
    }

    /// Adds a table.
    pub fn add(&mut self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) {
        let table = MemTable::try_new(schema, vec![batches]).unwrap();
        self.context.register_table(name, Arc::new(table)).unwrap();
    }

    /// All rows of the answer, sorted.
    pub fn answer(&self, query: &str) -> Vec<Row> {
        let batches: Vec<RecordBatch> = self
            .runtime
            .block_on(async { self.context.sql(query).await?.collect().await })
            .unwrap_or_else(|error: DataFusionError| panic!("the oracle cannot answer {query}: {error}"));
        let mut csv = Vec::new();
        let mut writer = WriterBuilder::new().with_header(true).build(&mut csv);
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        drop(writer);
        rows_of_csv(&String::from_utf8(csv).unwrap())
    }
}

/// The rows of a CSV text with a header, each cell in canonical form, sorted.
pub fn rows_of_csv(csv: &str) -> Vec<Row> {
    let mut rows: Vec<Row> =
        csv.lines().skip(1).map(|line| cells(line).iter().map(|cell| canonical(cell)).collect()).collect();
    rows.sort();
    rows
}

/// Splits a line; quotes may surround a cell, and no cell of these tests holds a line break.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells.last_mut().unwrap().push(other),
        }
    }
    cells
}

/// Numbers to nine digits, because sums of floats depend on their order; timestamps without what means nothing.
fn canonical(cell: &str) -> String {
    if let Ok(number) = cell.parse::<f64>() {
        return format!("{:.8e}", if number == 0.0 { 0.0 } else { number });
    }
    let is_time = cell.len() >= 19 && cell.as_bytes()[4] == b'-' && cell.as_bytes()[13] == b':';
    if is_time {
        return cell.replace('T', " ").trim_end_matches('Z').trim_end_matches(".000").to_owned();
    }
    cell.to_owned()
}

/// What is missing and what is too much, a few rows of each.
pub fn difference(expected: &[Row], found: &[Row]) -> String {
    let only = |rows: &[Row], others: &[Row]| -> Vec<String> {
        let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
        rows.iter().for_each(|row| *counts.entry(row).or_default() += 1);
        others.iter().for_each(|row| *counts.entry(row).or_default() -= 1);
        let extra = counts.into_iter().filter(|(_, count)| *count > 0);
        extra.take(3).map(|(row, _)| row.join(",")).collect()
    };
    format!(
        "{} rows expected, {} found; missing: {:?}; too much: {:?}",
        expected.len(),
        found.len(),
        only(expected, found),
        only(found, expected)
    )
}
