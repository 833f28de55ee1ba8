#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use weir_core::{
    BinaryOperator, ErrorKind, EventTime, Expr, Literal, LiteralValue, NullTimes, SourceSpec, TableSpec, TimeColumn,
    WatermarkSpec,
};
use weir_functions::Functions;

use super::{Scan, Scanned};
use crate::testing::{rows, schema, text};

fn source(projection: Option<Vec<Expr>>, filter: Option<Expr>, watermark: Option<Expr>) -> SourceSpec {
    let table = TableSpec {
        projection: Some(vec![0, 1]),
        ..TableSpec::new("t", "test", BTreeMap::new(), schema("id BIGINT, at TIMESTAMP, unread STRING"))
    };
    let watermark =
        watermark.map(|expression| WatermarkSpec { expression, time: None, idle_timeout_ms: None, max_drift_ms: None });
    SourceSpec { table, projection, filter, watermark, rows_per_second: None }
}

fn binary(operator: BinaryOperator, left: Expr, right: Expr) -> Expr {
    Expr::Binary { operator, left: Box::new(left), right: Box::new(right) }
}

fn number(value: i64) -> Expr {
    Expr::Literal(Literal { data_type: DataType::Int64, value: LiteralValue::Int(value) })
}

#[test]
fn the_watermark_sees_rows_that_the_filter_drops() {
    let lag = LiteralValue::Interval { months: 0, days: 0, nanoseconds: 5_000_000_000 };
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    let lag = Expr::Literal(Literal { data_type: interval, value: lag });
    let watermark = binary(BinaryOperator::Minus, Expr::Column(1), lag);
    let filter = binary(BinaryOperator::Lt, Expr::Column(0), number(3));
    let twice = binary(BinaryOperator::Multiply, Expr::Column(0), number(2));
    let projection = vec![Expr::Column(0), Expr::Column(1), twice];
    let output = schema("id BIGINT, at TIMESTAMP, twice BIGINT");
    let mut scan =
        Scan::new(&source(Some(projection), Some(filter), Some(watermark)), output, &Functions::built_in()).unwrap();
    let read = schema("id BIGINT, at TIMESTAMP");
    let Scanned { rows: batch, time, .. } =
        scan.rows(rows(&read, &["1 | 12:00:01", "2 | NULL", "3 | 12:00:09"])).unwrap();
    assert_eq!(text(batch.records()), ["1 | 12:00:01 | 2", "2 | NULL | 4"]);
    assert_eq!(time, Some(EventTime((12 * 3600 + 4) * 1000)));
    let Scanned { rows: batch, time, .. } = scan.rows(rows(&read, &["7 | NULL"])).unwrap();
    assert_eq!((batch.num_rows(), time), (0, None));
}

#[test]
fn a_source_without_extras_passes_rows_on() {
    let read = schema("id BIGINT, at TIMESTAMP");
    let mut scan = Scan::new(&source(None, None, None), read.clone(), &Functions::built_in()).unwrap();
    let Scanned { rows: batch, time, .. } = scan.rows(rows(&read, &["1 | 12:00:01"])).unwrap();
    assert_eq!(text(batch.records()), ["1 | 12:00:01"]);
    assert_eq!(time, None);
}

#[test]
fn the_watermark_is_the_greatest_over_rows_in_any_order() {
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    let lag = |months, days, nanoseconds| {
        let value = LiteralValue::Interval { months, days, nanoseconds };
        Expr::Literal(Literal { data_type: interval.clone(), value })
    };
    let read = schema("id BIGINT, at TIMESTAMP");
    // The second is not that of a fixed length, so it is computed for each row.
    for (lag, expected) in [(lag(0, 1, 1_000_000), -86_400_001), (lag(1, 0, 1_000_000), -31 * 86_400_000 - 1)] {
        let watermark = binary(BinaryOperator::Minus, Expr::Column(1), lag);
        let mut scan = Scan::new(&source(None, None, Some(watermark)), read.clone(), &Functions::built_in()).unwrap();
        let Scanned { time, .. } =
            scan.rows(rows(&read, &["1 | 12:00:07", "2 | NULL", "3 | 12:00:09", "4 | 12:00:01"])).unwrap();
        assert_eq!(time, Some(EventTime((12 * 3600 + 9) * 1000 + expected)));
        let Scanned { time, .. } = scan.rows(rows(&read, &["1 | NULL"])).unwrap();
        assert_eq!(time, None);
        let Scanned { time, .. } = scan.rows(rows(&read, &[])).unwrap();
        assert_eq!(time, None);
    }
}

#[test]
fn rows_without_a_time_fail_or_are_set_apart_before_the_filter() {
    let read = schema("id BIGINT, at TIMESTAMP");
    let scan = |nulls| {
        let filter = binary(BinaryOperator::Lt, Expr::Column(0), number(3));
        let mut spec = source(None, Some(filter), Some(Expr::Column(1)));
        let time = Some(TimeColumn { column: 1, nulls });
        spec.watermark.iter_mut().for_each(|watermark| watermark.time = time);
        Scan::new(&spec, read.clone(), &Functions::built_in()).unwrap()
    };
    let given = || rows(&read, &["1 | 12:00:01", "2 | NULL", "9 | NULL", "4 | 12:00:02"]);
    let error = scan(NullTimes::Fail).rows(given()).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Data, "a row of table t has no event time: at is null".into())
    );
    for nulls in [NullTimes::Skip, NullTimes::DeadLetter] {
        let scanned = scan(nulls).rows(given()).unwrap();
        assert_eq!(text(scanned.rows.records()), ["1 | 12:00:01"]);
        assert_eq!(scanned.time, Some(EventTime((12 * 3600 + 2) * 1000)));
        assert_eq!(text(&scanned.without_time.unwrap()), ["2 | NULL", "9 | NULL"]);
        let scanned = scan(nulls).rows(rows(&read, &["1 | 12:00:01"])).unwrap();
        assert!(scanned.without_time.is_none());
    }
}
