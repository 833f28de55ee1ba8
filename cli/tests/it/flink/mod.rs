//! Expressions as people paste them from Flink: where a name is Flink's, its value and type are Flink's too (README.md here).

mod expressions;
mod figures;
mod lists;
mod run;
mod values;

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_core::{Error, ErrorKind};

use expressions::{Expression, folder};
use figures::Figures;
use lists::{List, reasons};
use run::Answer;

/// Set to `write`, the lists of what differs are written anew.
const WRITE: &str = "WEIR_FLINK_LISTS";

/// Stack that planning takes without optimisation.
const STACK: usize = 64 << 20;

const COLUMNS: &str = "id INT, g STRING, bo BOOLEAN, ti TINYINT, si SMALLINT, i INT, bi BIGINT, f FLOAT, d DOUBLE, \
    de DECIMAL(10, 2), s2 STRING, s STRING, bs BYTES, da DATE, tm TIME(0), ts3 TIMESTAMP(3), ts6 TIMESTAMP(6), \
    tl TIMESTAMP_LTZ(3), ar ARRAY<INT>, ars ARRAY<STRING>, mp MAP<STRING, INT>, ro ROW<a INT, b STRING>, sn STRING, sd STRING, \
    st STRING, sj STRING, su STRING, sb STRING, rt TIMESTAMP(3), WATERMARK FOR rt AS rt";

/// How an answer differs from Flink's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    Refused,
    Fails,
    Value,
    Type,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Fails => "fails",
            Self::Value => "value",
            Self::Type => "type",
        })
    }
}

/// A difference, and the two answers.
struct Found {
    difference: Difference,
    said: String,
}

#[test]
#[allow(clippy::disallowed_methods, reason = "set by hand, by who works on the lists")]
fn expressions_mean_what_they_mean_in_flink() {
    let all = expressions::read();
    assert!(all.len() > 1000, "{}", all.len());
    let chosen = std::env::var("WEIR_FLINK_CATEGORY").ok();
    let mut categories: BTreeMap<&str, Vec<&Expression>> = BTreeMap::new();
    for expression in
        all.iter().filter(|expression| chosen.as_ref().is_none_or(|chosen| expression.category == *chosen))
    {
        categories.entry(&expression.category).or_default().push(expression);
    }
    let write = std::env::var(WRITE).is_ok_and(|value| value == "write");
    let reasons = reasons();
    let mut wrong = Vec::new();
    let mut figures = Figures::default();
    for (category, expressions) in categories {
        let (mut list, found) = (List::read(category), compare(&expressions));
        if write {
            list.write(&expressions, &found);
        } else {
            wrong.extend(list.not_as(&expressions, &found));
        }
        wrong.extend(list.unknown_reasons(&reasons));
        figures.add(category, expressions.len(), list.differ(), list.meant());
    }
    println!("{figures}");
    if chosen.is_none() && write {
        figures.write();
    } else if chosen.is_none() {
        wrong.extend(figures.not_as_written());
    }
    assert!(wrong.is_empty(), "{} are not as listed:\n{}", wrong.len(), wrong.join("\n"));
}

/// What differs, by id. Half of the expressions in each of two threads.
fn compare(expressions: &[&Expression]) -> BTreeMap<String, Found> {
    let compare = |part: &[&Expression]| -> Vec<(String, Found)> {
        part.iter().filter_map(|expression| Some((expression.id.clone(), difference(expression)?))).collect()
    };
    std::thread::scope(|scope| {
        let start =
            |part| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || compare(part)).unwrap();
        let (one, other) = expressions.split_at(expressions.len() / 2);
        let threads = [start(one), start(other)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn difference(expression: &Expression) -> Option<Found> {
    let found = |difference, said| Some(Found { difference, said });
    match answer(expression, None) {
        Answer::Rows(schema, batches) => judge(expression, &schema, &batches),
        Answer::Refused(error) => found(Difference::Refused, line(&error)),
        // Not the fault of the rows that are compared, perhaps.
        Answer::Failed(error) if error.kind() == ErrorKind::Data && !expression.aggregate => {
            expression.values.keys().find_map(|row| match answer(expression, Some(row)) {
                Answer::Rows(schema, batches) => {
                    let value = expression.values[row].clone();
                    let one = Expression { values: BTreeMap::from([(row.clone(), value)]), ..expression.clone() };
                    judge(&one, &schema, &batches)
                }
                Answer::Refused(error) | Answer::Failed(error) => {
                    found(Difference::Fails, format!("row {row}: {}", line(&error)))
                }
            })
        }
        Answer::Failed(error) => found(Difference::Fails, line(&error)),
    }
}

/// The first difference of what came out.
fn judge(expression: &Expression, schema: &SchemaRef, batches: &[RecordBatch]) -> Option<Found> {
    let kind = values::type_of(schema.field(1).data_type());
    let mut answered = BTreeMap::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let key = values::value(batch.column(0), row);
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            answered.insert(key, values::value(batch.column(1), row));
        }
    }
    for (row, flink) in &expression.values {
        let Some(weir) = answered.get(row) else {
            return Some(Found { difference: Difference::Value, said: format!("row {row} is missing") });
        };
        if !values::equal(&expression.kind, weir, flink) {
            let said = format!("row {row}: {weir} ({kind}), Flink: {flink} ({})", expression.kind);
            return Some(Found { difference: Difference::Value, said });
        }
    }
    let said = || format!("{kind}, Flink: {}", expression.kind);
    (kind != expression.kind).then(|| Found { difference: Difference::Type, said: said() })
}

fn line(error: &Error) -> String {
    error.report().replace('\n', " ")
}

fn answer(expression: &Expression, row: Option<&str>) -> Answer {
    let text = &expression.text;
    let query = match row {
        _ if expression.aggregate => format!(
            "SELECT g, {text} AS v FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(rt), INTERVAL '1' DAY)) GROUP BY g, window_start, window_end"
        ),
        Some(row) => format!("SELECT id, {text} AS v FROM t WHERE id = {row}"),
        None => format!("SELECT id, {text} AS v FROM t"),
    };
    let rows = folder().join("rows.json");
    let rows = rows.display();
    run::run(&format!(
        "CREATE TABLE t ({COLUMNS}) WITH ('connector' = 'filesystem', 'path' = '{rows}', 'format' = 'json');\n{query}"
    ))
}
