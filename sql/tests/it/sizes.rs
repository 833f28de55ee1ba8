//! Estimates of the size of state, beside what operators say of themselves.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use weir_core::{Batch, Collector, EventTime, HashRange, OpenContext};
use weir_functions::Functions;

use super::plan;

const ROWS: usize = 40_000;

/// Rows in which every value is another one, texts of 16 bytes. Of auctions there are eight rows each.
fn rows(schema: &Schema, first: usize, count: usize) -> RecordBatch {
    let numbers = || (first..first + count).map(|number| number as i64);
    let column = |field: &FieldRef| -> ArrayRef {
        match field.data_type() {
            DataType::Int64 if field.name() == "auction" => {
                Arc::new(numbers().map(|number| number % (ROWS as i64 / 8)).collect::<Int64Array>())
            }
            DataType::Int64 => Arc::new(numbers().collect::<Int64Array>()),
            DataType::Utf8View => {
                Arc::new(numbers().map(|number| Some(format!("{number:016}"))).collect::<StringViewArray>())
            }
            DataType::Timestamp(TimeUnit::Millisecond, None) => {
                Arc::new(TimestampMillisecondArray::from_iter_values(numbers()))
            }
            other => panic!("no column of {other}"),
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::new(schema.clone()), columns, &options).unwrap()
}

/// The estimate of the operator of that kind in the query, and the bytes that it says of a million rows.
fn sizes(sql: &str, kind: &str) -> (f64, f64) {
    let answer = plan(&format!("EXPLAIN JSON {sql}")).unwrap_or_else(|error| panic!("{}", error.report()));
    let [weir_sql::Answer::Text(text)] = answer.answers.as_slice() else { panic!("one answer") };
    let graph: serde_json::Value = serde_json::from_str(text).unwrap();
    let nodes = graph["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["operator"] == kind).unwrap_or_else(|| panic!("no {kind} in {text}"));
    let estimate = node["state"]["bytes_per_million"].as_f64().unwrap();
    let graph = plan(sql).unwrap().graph.unwrap();
    let (id, node) = graph.iter().find(|(_, node)| node.spec.operator.tag() == kind).unwrap();
    let inputs = graph.inputs_of(id).unwrap();
    let mut operator = weir_operators::build(&node.spec, &inputs, &Functions::built_in()).unwrap();
    operator.tables();
    let context = OpenContext {
        range: HashRange::of_subtask(0, 1),
        watermark: EventTime(-1),
        restored: false,
        has_expired: false,
    };
    operator.open(&context).unwrap();
    let mut out = Collector::new(0);
    for (ordinal, input) in inputs.iter().enumerate() {
        for first in (0..ROWS).step_by(4000) {
            operator.process(ordinal, Batch::append(rows(&input.schema, first, 4000)), &mut out).unwrap();
        }
    }
    operator.release(&mut out).unwrap();
    operator.flush(&mut out).unwrap();
    operator.capture().unwrap();
    let kept = ROWS * inputs.len();
    (estimate, operator.state_bytes() as f64 / kept as f64 * 1e6)
}

#[test]
fn estimates_are_near_what_operators_say() {
    let queries = [
        ("SELECT a.price, b.channel FROM bid AS a JOIN bid AS b ON a.bidder = b.auction", "join"),
        ("SELECT bidder, channel, SUM(price), COUNT(*) FROM bid GROUP BY bidder, channel", "group-aggregate"),
        ("SELECT bidder, channel, MAX(price), AVG(price) FROM bid GROUP BY bidder, channel", "group-aggregate"),
        (
            "SELECT bidder, channel, SUM(price), COUNT(*) FROM SESSION(TABLE bid PARTITION BY bidder, channel, DESCRIPTOR(dateTime), INTERVAL '1' HOUR)
             GROUP BY bidder, channel, window_end EMIT ON UPDATE",
            "updating-sessions",
        ),
        (
            "SELECT bidder, price, channel, SUM(price) OVER (PARTITION BY bidder ORDER BY price DESC) FROM bid",
            "updating-over",
        ),
        ("SELECT COUNT(channel) OVER () FROM bid", "updating-over"),
        (
            "SELECT auction, channel FROM bid QUALIFY ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price) <= 10",
            "top-n",
        ),
        ("SELECT auction, channel FROM bid QUALIFY RANK() OVER (PARTITION BY auction ORDER BY price) <= 10", "top-n"),
        (
            "SELECT auction, SUM(price) OVER (PARTITION BY auction ORDER BY dateTime RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) FROM bid",
            "over",
        ),
    ];
    let mut wrong = Vec::new();
    for (sql, kind) in queries {
        let (estimate, real) = sizes(sql, kind);
        if !(0.5..2.0).contains(&(estimate / real)) {
            wrong.push(format!("{sql}: {estimate}, really {real}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
