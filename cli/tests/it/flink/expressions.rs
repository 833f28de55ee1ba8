//! The expressions, as Flink answered them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::Value;

/// One of them.
#[derive(Clone)]
pub struct Expression {
    pub id: String,
    pub category: String,
    /// Whether it is over all rows of a `g`, instead of over one row.
    pub aggregate: bool,
    pub text: String,
    /// Its SQL type in Flink, without lengths of text and without NOT NULL.
    pub kind: String,
    /// Flink's values, by row or by `g`; without those of which it says that they need not be compared.
    pub values: BTreeMap<String, Value>,
}

/// Where the files are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/flink")
}

/// Those that Flink has answered, where something is left to compare.
pub fn read() -> Vec<Expression> {
    let columns = [
        "id",
        "category",
        "kind",
        "expression",
        "flink_status",
        "flink_type",
        "flink_values",
        "flink_errors",
        "note",
        "note_rows",
        "note_text",
    ];
    let schema = Schema::new(columns.map(|name| Field::new(name, DataType::Utf8, true)).to_vec());
    let file = std::fs::File::open(folder().join("expressions.csv")).unwrap();
    let reader = ReaderBuilder::new(schema.into()).with_header(true).build(file).unwrap();
    reader.flat_map(|batch| rows(&batch.unwrap())).collect()
}

fn rows(batch: &RecordBatch) -> Vec<Expression> {
    let text = |column: &str, row: usize| batch[column].as_string::<i32>().value(row).to_owned();
    let one = |row: usize| {
        let (note, rows) = (text("note", row), text("note_rows", row));
        if text("flink_status", row) != "ok" || (!note.is_empty() && rows.is_empty()) {
            return None;
        }
        let mut values: BTreeMap<String, Value> = serde_json::from_str(&text("flink_values", row)).unwrap();
        if !rows.is_empty() {
            let noted: Vec<String> = serde_json::from_str(&rows).unwrap();
            values.retain(|key, _| !noted.contains(key));
        }
        (!values.is_empty()).then(|| Expression {
            id: text("id", row),
            category: text("category", row),
            aggregate: text("kind", row) == "agg",
            text: text("expression", row),
            kind: plain(&text("flink_type", row)),
            values,
        })
    };
    (0..batch.num_rows()).filter_map(one).collect()
}

/// A type as columns are declared: a `STRING` for any text, `BYTES` for any bytes, `TIME` of any precision, a map for a multiset.
fn plain(kind: &str) -> String {
    let kind = kind.replace(" NOT NULL", "").replace(" *ROWTIME*", "");
    let kind = ["TIME(0)", "TIME(3)"].iter().fold(kind, |kind, time| kind.replace(time, "TIME"));
    let mut plain = String::new();
    let mut rest = kind.as_str();
    while let Some(at) = rest.find("CHAR(").or_else(|| rest.find("BINARY(")) {
        let (before, behind) = rest.split_at(at);
        let name = if behind.starts_with("CHAR(") { "STRING" } else { "BYTES" };
        plain.push_str(before.strip_suffix("VAR").unwrap_or(before));
        plain.push_str(name);
        rest = behind.split_once(')').unwrap().1;
    }
    plain.push_str(rest);
    match plain.strip_prefix("MULTISET<").and_then(|rest| rest.strip_suffix('>')) {
        Some(element) => format!("MAP<{element}, INT>"),
        None => plain,
    }
}
