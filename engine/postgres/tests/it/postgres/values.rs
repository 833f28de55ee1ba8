//! Every type, written and read again, and as PostgreSQL itself prints it.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use weir_core::lookup::{Found, LookupContext};
use weir_core::{Attempt, Batch, Connector};
use weir_postgres::Postgres;

use super::database::Database;
use super::sink::Job;

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn each_type_is_written_and_read_exactly() {
    let database = Database::with(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN cents AS bigint;
         CREATE TABLE t (k integer, flag boolean, tiny smallint, small smallint, big cents, wide numeric(19), f real, d double precision,
           dec numeric(38, 10), free numeric, name text, short varchar(5), m mood, doc jsonb, raw json, id uuid, bytes bytea, day date,
           clock time, s timestamp(0), ms timestamp(3), us timestamp, ltz timestamptz(3), ints bigint[], texts text[], decs numeric[])",
    )
    .await;
    let time = |unit, zone: bool| DataType::Timestamp(unit, zone.then(|| "UTC".into()));
    let columns = [
        ("k", DataType::Int32),
        ("flag", DataType::Boolean),
        ("tiny", DataType::Int8),
        ("small", DataType::Int16),
        ("big", DataType::Int64),
        ("wide", DataType::Int64),
        ("f", DataType::Float32),
        ("d", DataType::Float64),
        ("dec", DataType::Decimal128(38, 10)),
        ("free", DataType::Decimal128(7, 3)),
        ("name", DataType::Utf8View),
        ("short", DataType::Utf8View),
        ("m", DataType::Utf8View),
        ("doc", DataType::Utf8View),
        ("raw", DataType::Utf8View),
        ("id", DataType::Utf8View),
        ("bytes", DataType::BinaryView),
        ("day", DataType::Date32),
        ("clock", DataType::Time64(TimeUnit::Nanosecond)),
        ("s", time(TimeUnit::Second, false)),
        ("ms", time(TimeUnit::Millisecond, false)),
        ("us", time(TimeUnit::Microsecond, false)),
        ("ltz", time(TimeUnit::Millisecond, true)),
        ("ints", list(DataType::Int64)),
        ("texts", list(DataType::Utf8View)),
        ("decs", list(DataType::Decimal128(5, 1))),
    ];
    let table = database.table(&columns, &[]);
    // The last value of each is null, and the row of all of them too.
    let texts = |a: &str, b: &str| -> ArrayRef { Arc::new(StringViewArray::from(vec![Some(a), Some(b), None])) };
    let ints = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None, Some(i64::MIN)]),
        Some(vec![]),
        None,
    ]);
    let mut words = ListBuilder::new(StringViewBuilder::new());
    words.append_value([Some("a"), None, Some("")]);
    words.append_value([Some("Größe"); 0]);
    words.append_null();
    let mut decs = ListBuilder::new(Decimal128Builder::new().with_data_type(DataType::Decimal128(5, 1)));
    decs.append_value([Some(-15), None]);
    decs.append_value([Some(99_999)]);
    decs.append_null();
    let longest = 10_i128.pow(38) - 1;
    let batch = RecordBatch::try_new(
        table.schema.clone(),
        vec![
            Arc::new(Int32Array::from(vec![1, 2, 3])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(i8::MAX), None])),
            Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
            Arc::new(Float32Array::from(vec![Some(f32::MIN_POSITIVE), Some(f32::NEG_INFINITY), None])),
            Arc::new(Float64Array::from(vec![Some(-0.1), Some(f64::INFINITY), None])),
            Arc::new(
                Decimal128Array::from(vec![Some(-longest), Some(5), None]).with_precision_and_scale(38, 10).unwrap(),
            ),
            Arc::new(
                Decimal128Array::from(vec![Some(-1), Some(9_999_999), None]).with_precision_and_scale(7, 3).unwrap(),
            ),
            texts("it's \"quoted\"\t\n", ""),
            texts("Größe", "12345"),
            texts("glad", "sad"),
            texts("{\"a\": [1, null]}", "\"x\""),
            texts("{\"b\":   1}", "[]"),
            texts("00000000-0000-0000-0000-00000000000a", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            Arc::new(BinaryViewArray::from(vec![Some(b"\0\xff".as_ref()), Some(b""), None])),
            Arc::new(Date32Array::from(vec![Some(-719_528), Some(2_932_896), None])),
            Arc::new(Time64NanosecondArray::from(vec![Some(0), Some(86_399_999_999_000), None])),
            Arc::new(TimestampSecondArray::from(vec![Some(-1), Some(253_402_300_799), None])),
            Arc::new(TimestampMillisecondArray::from(vec![Some(-1), Some(253_402_300_799_999), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(253_402_300_799_999_999), None])),
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(1_600_000_000_123), Some(0), None]).with_timezone("UTC"),
            ),
            Arc::new(ints),
            Arc::new(words.finish()),
            Arc::new(decs.finish()),
        ],
    )
    .unwrap();
    let job = Job::new(table.clone());
    job.open(0).await.write(Batch::append(batch.clone())).await.unwrap();
    job.commit(1, vec![Batch::append(batch.clone())]).await;

    // What is read one by one is what was written.
    let context = LookupContext { keys: vec![Some(0)], batch_rows: 10, attempt: Attempt(1) };
    let mut lookup = Postgres.open_lookup(&table, context).await.unwrap();
    let keys = batch.project(&[0]).unwrap();
    let Found::OfKeys(found) = lookup.look_up(0, Some(&keys)).await.unwrap() else { panic!("not of keys") };
    let found = concat_batches(&table.schema, &found).unwrap();
    let order = arrow::compute::sort_to_indices(found.column(0), None, None).unwrap();
    let found = arrow::compute::take_record_batch(&found, &order).unwrap();
    for (column, field) in table.schema.fields().iter().enumerate() {
        assert_eq!(found.column(column), batch.column(column), "{}", field.name());
    }

    // And as PostgreSQL prints it.
    database.run("SET timezone = 'UTC'").await;
    let printed = database.rows("SELECT * FROM t ORDER BY k").await;
    assert_eq!(
        printed,
        [
            "1 | t | -128 | -32768 | -9223372036854775808 | -9223372036854775808 | 1.1754944e-38 | -0.1 | \
             -9999999999999999999999999999.9999999999 | -0.001 | it's \"quoted\"\t\n | Größe | glad | {\"a\": [1, null]} | {\"b\":   1} | \
             00000000-0000-0000-0000-00000000000a | \\x00ff | 0001-01-01 BC | 00:00:00 | 1969-12-31 23:59:59 | \
             1969-12-31 23:59:59.999 | 1969-12-31 23:59:59.999999 | 2020-09-13 12:26:40.123+00 | {1,NULL,-9223372036854775808} | \
             {a,NULL,\"\"} | {-1.5,NULL}",
            "2 | f | 127 | 32767 | 9223372036854775807 | 9223372036854775807 | -Infinity | Infinity | 0.0000000005 | 9999.999 |  | 12345 | \
             sad | \"x\" | [] | ffffffff-ffff-ffff-ffff-ffffffffffff | \\x | 9999-12-31 | 23:59:59.999999 | 9999-12-31 23:59:59 | \
             9999-12-31 23:59:59.999 | 9999-12-31 23:59:59.999999 | 1970-01-01 00:00:00+00 | {} | {} | {9999.9}",
            "3 | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | \
             NULL | NULL | NULL | NULL | NULL | NULL | NULL",
        ]
    );
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_value_that_the_declared_type_has_no_room_for_is_named() {
    let database = Database::with("CREATE TABLE t (k integer, v numeric, w time, x date, y bigint[])").await;
    let cases = [
        ("v", DataType::Decimal128(4, 1), "1.25", "a numeric with more than 1 digits behind the point"),
        ("v", DataType::Decimal128(4, 1), "1000", "a numeric that DECIMAL(4, 1) has no room for"),
        ("v", DataType::Decimal128(4, 1), "'NaN'", "a numeric that is no number"),
        ("w", DataType::Time64(TimeUnit::Nanosecond), "'24:00'", "the time of day 24:00"),
        ("x", DataType::Date32, "'infinity'", "an infinite date"),
        ("y", list(DataType::Int64), "'{{1},{2}}'", "an array of 2 dimensions"),
        ("y!", list(DataType::Int64), "NULL", "a null, and is declared NOT NULL"),
    ];
    for (column, data_type, value, says) in cases {
        let name = column.trim_end_matches('!');
        database.run(&format!("TRUNCATE t; INSERT INTO t (k, {name}) VALUES (1, {value})")).await;
        let table = database.table(&[("k", DataType::Int32), (column, data_type)], &[]);
        let context = LookupContext { keys: vec![Some(0)], batch_rows: 10, attempt: Attempt(1) };
        let mut lookup = Postgres.open_lookup(&table, context).await.unwrap();
        let key: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let keys = RecordBatch::try_from_iter([("k", key)]).unwrap();
        let report = lookup.look_up(0, Some(&keys)).await.unwrap_err().report();
        assert!(report.contains(&format!("column '{name}' of table")) && report.contains(says), "{report}");
    }
}
