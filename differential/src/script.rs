//! A case as a shell script that anyone can run: files of JSON, and `weir run` over them.

use std::fmt::Write as _;

use crate::calendar::{date_text, time_text, timestamp_text};
use crate::engine::{Setting, script};
use crate::generate::Case;
use crate::table::Table;
use crate::types::Type;
use crate::value::{Row, Value};

/// The script. Numbers that JSON does not know are null there, which a comment says.
pub fn shell(case: &Case, setting: &Setting) -> String {
    let mut text = String::from("folder=$(mktemp -d) && cd \"$folder\"\n");
    for table in &case.tables {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "mkdir {}", table.name);
        for (split, rows) in table.splits.iter().enumerate() {
            let _ = writeln!(text, "cat > {}/{split}.json <<'END'", table.name);
            for row in rows {
                let _ = writeln!(text, "{}", json_line(row, table));
            }
            text.push_str("END\n");
        }
        let odd = table.rows().flatten().any(|value| matches!(value.as_double(), Some(number) if !number.is_finite()));
        if odd {
            let _ = writeln!(text, "# {} has numbers that are not finite; here they are null", table.name);
        }
    }
    let options = |name: &str| format!("'connector' = 'filesystem', 'path' = '{name}', 'format' = 'json'");
    let _ = write!(text, "cat > query.sql <<'END'\n{}END\n", script(case, options));
    let Setting { parallelism, batch_rows, two_phase, restart, .. } = setting;
    let phases = if *two_phase { "" } else { " -D table.optimizer.agg-phase-strategy=ONE_PHASE" };
    let _ = writeln!(
        text,
        "weir run query.sql --output json -p {parallelism} -D execution.batch-rows={batch_rows}{phases}"
    );
    if let Some((rows, parallelism)) = restart {
        let _ = writeln!(text, "# stopped behind {rows} rows, and resumed at parallelism {parallelism}");
    }
    text
}

/// A row as an object on a line.
pub fn json_line(row: &Row, table: &Table) -> String {
    let cells = row
        .iter()
        .zip(&table.columns)
        .map(|(value, column)| format!("\"{}\": {}", column.name, json(value, &column.data_type)));
    format!("{{{}}}", cells.collect::<Vec<_>>().join(", "))
}

fn json(value: &Value, data_type: &Type) -> String {
    match (value, data_type) {
        (Value::Boolean(_) | Value::Integer(_) | Value::Decimal(..), _) => value.text(data_type),
        (Value::Float(value), _) => number(f64::from(*value)),
        (Value::Double(value), _) => number(*value),
        (Value::String(text), _) => quoted(text),
        (Value::Bytes(bytes), _) => quoted(&base64(bytes)),
        (Value::Date(days), _) => quoted(&date_text(*days)),
        (Value::Time(nanos), _) => quoted(&time_text(i128::from(*nanos), 9)),
        (Value::Timestamp(instant), Type::Timestamp { digits, .. }) => quoted(&timestamp_text(*instant, *digits)),
        (Value::Array(values), Type::Array(element)) => {
            format!("[{}]", values.iter().map(|value| json(value, element)).collect::<Vec<_>>().join(", "))
        }
        (Value::Row(values), Type::Row(fields)) => {
            let fields = values.iter().zip(fields).enumerate();
            let fields: Vec<String> =
                fields.map(|(place, (value, field))| format!("\"f{place}\": {}", json(value, field))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        (Value::Map(entries), Type::Map(key, of)) => {
            let entries = entries.iter().map(|(own, value)| format!("{}: {}", json(own, key), json(value, of)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        _ => "null".to_owned(),
    }
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { "null".to_owned() }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
