//! Rows that are looked up.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::array_value_to_string;
use weir_core::lookup::{Found, LookupContext, LookupTable};
use weir_core::{Attempt, Connector, TableSpec};
use weir_postgres::Postgres;

use super::database::Database;

async fn open(table: &TableSpec, keys: &[Option<usize>]) -> Box<dyn LookupTable> {
    let context = LookupContext { keys: keys.to_vec(), batch_rows: 10, attempt: Attempt(1) };
    Postgres.open_lookup(table, context).await.unwrap()
}

/// What is found at a time, sorted.
async fn found(lookup: &mut Box<dyn LookupTable>, now: i64, keys: Vec<ArrayRef>) -> Vec<String> {
    let keys = RecordBatch::try_from_iter(keys.into_iter().enumerate().map(|(place, key)| (format!("{place}"), key)));
    let Found::OfKeys(found) = lookup.look_up(now, Some(&keys.unwrap())).await.unwrap() else { panic!("not of keys") };
    let mut lines = Vec::new();
    for rows in found {
        for row in 0..rows.num_rows() {
            let values = rows.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            lines.push(values.collect::<Vec<_>>().join(" | "));
        }
    }
    lines.sort();
    lines
}

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringViewArray::from(values.to_vec()))
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn all_rows_of_a_key_are_found_by_one_or_several_columns() {
    let database = Database::with(
        "CREATE TABLE t (id integer, place varchar(9), price numeric(9, 2));
         INSERT INTO t VALUES (1, 'a', 1.5), (1, 'b', 2), (2, 'a', NULL), (3, NULL, 4)",
    )
    .await;
    let columns = [("id", DataType::Int64), ("place", DataType::Utf8View), ("price", DataType::Decimal128(9, 2))];
    let mut table = database.table(&columns, &[]);
    let mut by_id = open(&table, &[Some(0)]).await;
    assert!(by_id.wants_keys());
    assert_eq!(
        found(&mut by_id, 0, vec![numbers(&[1, 3, 1 << 40])]).await,
        ["1 | a | 1.50", "1 | b | 2.00", "3 |  | 4.00"]
    );
    assert_eq!(found(&mut by_id, 0, vec![numbers(&[])]).await, [""; 0]);
    let mut by_both = open(&table, &[Some(1), Some(0)]).await;
    let keys = || vec![texts(&["a", "b", "a\0"]), numbers(&[1, 2, 1])];
    assert_eq!(found(&mut by_both, 0, keys()).await, ["1 | a | 1.50"]);
    // What is computed of several columns is compared by the join.
    let mut by_some = open(&table, &[None, Some(0)]).await;
    assert_eq!(found(&mut by_some, 0, vec![texts(&["x", "y"]), numbers(&[1, 1])]).await.len(), 2);
    // Columns that are not read are not asked for; those that are may stand in any order.
    table.projection = Some(vec![2, 0]);
    let mut projected = open(&table, &[Some(1)]).await;
    assert_eq!(found(&mut projected, 0, vec![numbers(&[2])]).await, [" | 2"]);
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn answers_are_used_again_as_the_options_say() {
    let database =
        Database::with("CREATE TABLE t (k double precision, v bigint); INSERT INTO t VALUES (0, 1), (7, 2)").await;
    let columns = [("k", DataType::Float64), ("v", DataType::Int64)];
    let key = |value: f64| -> Vec<ArrayRef> { vec![Arc::new(Float64Array::from(vec![value]))] };
    let cached = [("lookup.cache", "PARTIAL"), ("lookup.partial-cache.expire-after-write", "1s")];
    let mut lookup = open(&database.table(&columns, &cached), &[Some(0)]).await;
    let mut direct = open(&database.table(&columns, &[]), &[Some(0)]).await;
    assert_eq!(found(&mut lookup, 0, key(-0.0)).await, ["0.0 | 1"]);
    assert_eq!(found(&mut lookup, 0, key(8.0)).await, [""; 0]);
    database.run("UPDATE t SET v = 10; INSERT INTO t VALUES (8, 3)").await;
    assert_eq!(found(&mut lookup, 999, key(0.0)).await, ["0.0 | 1"], "zeros are equal, and it is not old yet");
    assert_eq!(found(&mut lookup, 999, key(8.0)).await, [""; 0], "that there was nothing counts, too");
    assert_eq!(found(&mut direct, 999, key(8.0)).await, ["8.0 | 3"]);
    assert_eq!(found(&mut lookup, 1000, key(0.0)).await, ["0.0 | 10"]);
    assert_eq!(found(&mut lookup, 1000, key(8.0)).await, ["8.0 | 3"]);
}

/// All rows, sorted; none if those from before still hold.
async fn all(lookup: &mut Box<dyn LookupTable>, now: i64) -> Vec<String> {
    let rows = match lookup.look_up(now, None).await.unwrap() {
        Found::Table { rows, .. } => rows,
        Found::AsBefore => return Vec::new(),
        Found::OfKeys(_) => panic!("of keys"),
    };
    let line = |rows: &RecordBatch, row| {
        let values = rows.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        values.collect::<Vec<_>>().join(" | ")
    };
    let mut lines: Vec<String> =
        rows.iter().flat_map(|rows| (0..rows.num_rows()).map(|row| line(rows, row)).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_table_that_is_held_as_a_whole_is_read_again_as_the_options_say() {
    let database = Database::with(
        "CREATE TABLE t (k bigint, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 25) AS n",
    )
    .await;
    let columns = [("k", DataType::Int64), ("v", DataType::Utf8View)];
    let whole = |interval| [("lookup.cache", "FULL"), ("lookup.full-cache.periodic-reload.interval", interval)];
    let mut table = database.table(&columns, &whole("10s"));
    table.options.insert("lookup.max-retries".into(), "0".into());
    let mut lookup = open(&table, &[Some(0)]).await;
    let mut once = open(&database.table(&columns, &whole("0s")), &[Some(0)]).await;
    assert!(!lookup.wants_keys());
    let first = all(&mut lookup, 0).await;
    assert_eq!((first.len(), first[0].as_str()), (25, "1 | v1"));
    assert_eq!(all(&mut once, 0).await, first);
    database.run("DELETE FROM t WHERE k > 1; UPDATE t SET v = 'new'").await;
    for now in [2_000, 4_000, 8_000] {
        assert_eq!(all(&mut lookup, now).await, [""; 0], "it is not old yet");
    }
    // Behind a pause of half the interval rows wait for it.
    assert_eq!(all(&mut lookup, 14_000).await, ["1 | new"]);
    assert_eq!(all(&mut once, 14_000).await, [""; 0]);
    database.run("DROP TABLE t").await;
    let report = lookup.look_up(30_000, None).await.unwrap_err().report();
    assert!(report.contains("while reading table 't' again") && report.contains("any more"), "{report}");
    let missing = Postgres.validate(&database.table(&columns, &whole("0s")[..1]), weir_core::connector::Role::Lookup);
    assert!(missing.unwrap_err().report().contains("has no option 'lookup.full-cache.periodic-reload.interval'"));
    let partial = [("lookup.cache", "PARTIAL"), ("lookup.full-cache.periodic-reload.interval", "1s")];
    let refused = Postgres.validate(&database.table(&columns, &partial), weir_core::connector::Role::Lookup);
    assert!(refused.unwrap_err().report().contains("read only with 'lookup.cache' = 'FULL'"));
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_connection_that_is_cut_is_made_again_and_what_has_changed_is_noticed() {
    let database = Database::with("CREATE TABLE t (k bigint, v bigint); INSERT INTO t VALUES (1, 1)").await;
    let table = database.table(&[("k", DataType::Int64), ("v", DataType::Int64)], &[("lookup.max-retries", "1")]);
    let mut lookup = open(&table, &[Some(0)]).await;
    assert_eq!(found(&mut lookup, 0, vec![numbers(&[1])]).await, ["1 | 1"]);
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir' AND query LIKE '%\"{}\"%'",
        database.schema
    );
    database.run(&cut).await;
    assert_eq!(found(&mut lookup, 0, vec![numbers(&[1])]).await, ["1 | 1"]);
    database.run("ALTER TABLE t ALTER v TYPE text").await;
    database.run(&cut).await;
    let keys = RecordBatch::try_from_iter([("k", numbers(&[1]))]).unwrap();
    let report = lookup.look_up(0, Some(&keys)).await.unwrap_err().report();
    assert!(report.contains("column 'v': BIGINT cannot be read from text of table"), "{report}");
    database.run("DROP TABLE t").await;
    let mut gone = lookup.look_up(0, Some(&keys)).await.unwrap_err().report();
    gone.truncate(400);
    assert!(gone.contains(".t is not in PostgreSQL at 127.0.0.1:"), "{gone}");
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_row_is_found_once_also_by_a_cached_key_that_comes_with_several_others() {
    let database = Database::with(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE t (k bigint, v text COLLATE loose); INSERT INTO t VALUES (1, 'a'), (1, 'b'), (2, 'c')",
    )
    .await;
    let columns = [("k", DataType::Int64), ("v", DataType::Utf8View)];
    let table = database.table(&columns, &[("lookup.cache", "PARTIAL")]);
    let mut lookup = open(&table, &[None, Some(0)]).await;
    for time in 0..3 {
        let keys = vec![texts(&["x", "y", "x"]), numbers(&[1, 1, 2])];
        assert_eq!(found(&mut lookup, time, keys).await, ["1 | a", "1 | b", "2 | c"], "time {time}");
    }
    // Where the database takes more for equal than Weir does, too.
    let mut loose = open(&table, &[Some(1)]).await;
    assert_eq!(found(&mut loose, 0, vec![texts(&["a"])]).await, ["1 | a"]);
    assert_eq!(found(&mut loose, 0, vec![texts(&["a", "A", "b"])]).await, ["1 | a", "1 | b"]);
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn times_are_looked_for_with_more_digits_than_the_column_has() {
    let database = Database::with(
        "CREATE TABLE t (k bigint, coarse timestamp(3), fine timestamp, zoned timestamptz(0), day time(3));
         INSERT INTO t VALUES (1, '1970-01-01 00:00:00.001', '1970-01-01 00:00:00.000002', '1970-01-01 00:00:01Z', '00:00:00.003')",
    )
    .await;
    let zone = Some("UTC".into());
    let columns = [
        ("coarse", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("fine", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("zoned", DataType::Timestamp(TimeUnit::Nanosecond, zone)),
        ("day", DataType::Time64(TimeUnit::Microsecond)),
        ("k", DataType::Int64),
    ];
    let table = database.table(&columns, &[]);
    let nanos = |values: &[i64]| TimestampNanosecondArray::from(values.to_vec());
    let cases: Vec<(usize, ArrayRef)> = vec![
        (0, Arc::new(TimestampMicrosecondArray::from(vec![1000, 1001]))),
        (1, Arc::new(nanos(&[2000, 2001]))),
        (2, Arc::new(nanos(&[1_000_000_000, 1_000_001_000]).with_timezone("UTC"))),
        (3, Arc::new(Time64MicrosecondArray::from(vec![3000, 3001]))),
    ];
    for (column, keys) in cases {
        let mut lookup = open(&table, &[Some(column)]).await;
        for (keys, rows) in [(keys.clone(), 1), (keys.slice(1, 1), 0)] {
            let keys = RecordBatch::try_from_iter([("k", keys)]).unwrap();
            let Found::OfKeys(found) = lookup.look_up(0, Some(&keys)).await.unwrap() else { panic!("not of keys") };
            assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), rows, "column {column}");
        }
    }
}
