//! What is said when a table does not fit.

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, TimeUnit};
use std::sync::Arc;
use weir_core::connector::Role;
use weir_core::lookup::LookupContext;
use weir_core::{Attempt, Batch, Connector, Error, ErrorKind, Result};
use weir_postgres::Postgres;

use super::database::{Database, unique, url};
use super::sink::Job;

fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_table_that_does_not_fit_is_named_with_its_column_and_types() {
    let database = Database::with(
        "CREATE TABLE t (id integer NOT NULL, price numeric(8, 2), at timestamp(3), name text, code char(4),
           twice integer GENERATED ALWAYS AS (id * 2) STORED, must integer NOT NULL, key integer UNIQUE)",
    )
    .await;
    let cases: &[(&[(&str, DataType)], &str)] = &[
        (&[("id", DataType::Int64)], "column 'id': BIGINT cannot be written into integer of table"),
        (
            &[("price", DataType::Decimal128(10, 2))],
            "column 'price': DECIMAL(10, 2) cannot be written into numeric(8,2) of table",
        ),
        (
            &[("at", DataType::Timestamp(TimeUnit::Microsecond, None))],
            "column 'at': TIMESTAMP(6) cannot be written into timestamp(3) without time zone of table",
        ),
        (&[("code", DataType::Utf8View)], "column 'code': STRING cannot be written into character(4) of table"),
        (&[("nmae", DataType::Utf8View)], "has no column 'nmae'\n  help: did you mean 'name'?"),
        (&[("twice", DataType::Int32)], "column 'twice' of table"),
        (&[("id", DataType::Int32)], "column 'must' of table"),
    ];
    for (columns, says) in cases {
        let error = refused(Job::new(database.table(columns, &[])).try_open(0).await);
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.report().contains(says), "{}", error.report());
    }
    let columns = [("id!", DataType::Int32), ("must!", DataType::Int32), ("key!", DataType::Int32)];
    let mut table = database.table(&columns, &[]);
    table.primary_key = vec![0];
    let report = refused(Job::new(table.clone()).try_open(0).await).report();
    assert!(report.contains("has no unique index over (\"id\"), by which rows of 't' replace each other"), "{report}");
    table.primary_key = vec![2];
    Job::new(table).open(0).await;
    let nowhere = database.table(&columns, &[("table-name", "nowhere")]);
    let report = refused(Job::new(nowhere).try_open(0).await).report();
    assert!(report.contains("there is no table nowhere in PostgreSQL at 127.0.0.1:"), "{report}");
    let nanos = database.table(&[("at", DataType::Timestamp(TimeUnit::Nanosecond, None))], &[]);
    let report = refused(Postgres.validate(&nanos, Role::Sink)).report();
    assert!(report.contains("PostgreSQL has no type for TIMESTAMP(9)"), "{report}");
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn what_a_column_cannot_read_is_refused() {
    let database = Database::with("CREATE TABLE t (id bigint, at timestamp, price numeric(10, 3), mood json)").await;
    let context = |keys| LookupContext { keys, batch_rows: 10, attempt: Attempt(1) };
    let cases: &[(&[(&str, DataType)], &str)] = &[
        (&[("id", DataType::Int32)], "column 'id': INT cannot be read from bigint of table"),
        (
            &[("at", DataType::Timestamp(TimeUnit::Millisecond, None))],
            "help: declare it with 6 digits of a second, or more",
        ),
        (&[("price", DataType::Decimal128(10, 2))], "help: declare it DECIMAL(10, 3)"),
        (&[("mood", DataType::Utf8View)], "column 'mood': it cannot be looked for by a json of the database"),
    ];
    for (columns, says) in cases {
        let table = database.table(columns, &[]);
        let report = refused(Postgres.open_lookup(&table, context(vec![Some(0)])).await).report();
        assert!(report.contains(says), "{report}");
    }
    let table = database.table(&[("id", DataType::Int64)], &[]);
    let report = refused(Postgres.open_lookup(&table, context(vec![None])).await).report();
    assert!(report.contains("no column of table 't' is equal to something"), "{report}");
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_value_that_has_no_room_is_found_out_before_it_is_decided() {
    let database = Database::with(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN present AS text NOT NULL;
         CREATE TABLE t (k bigint, short varchar(3), id uuid, doc jsonb NOT NULL, mood mood, name present)",
    )
    .await;
    let columns = [
        ("k", DataType::Int64),
        ("short", DataType::Utf8View),
        ("id", DataType::Utf8View),
        ("doc", DataType::Utf8View),
        ("mood", DataType::Utf8View),
        ("name", DataType::Utf8View),
    ];
    let job = Job::new(database.table(&columns, &[]));
    let mut sink = job.open(0).await;
    let id = Some("00000000-0000-0000-0000-00000000000A");
    let good = [Some("abc"), id, Some("{\"a\": [1]}"), Some("sad"), Some("Ada")];
    let batch = |values: [Option<&str>; 5]| {
        let mut all: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1]))];
        all.extend(values.map(|value| Arc::new(StringViewArray::from(vec![value])) as ArrayRef));
        Batch::append(RecordBatch::try_new(job.table.schema.clone(), all).unwrap())
    };
    sink.write(batch(good)).await.unwrap();
    assert_eq!(sink.take_staged()[0].records().column(0).len(), 1);
    let cases = [
        (0, Some("abcd"), "column 'short': text of more than 3 characters"),
        (0, Some("a\0"), "column 'short': text with a character of code 0"),
        (1, Some("0000"), "column 'id': '0000' is no uuid"),
        (2, Some("{a}"), "column 'doc': text that is no JSON"),
        (2, None, "column 'doc': null, and the column of the database is NOT NULL"),
        (2, Some(r#"["\u0000"]"#), "column 'doc': JSON with '\\u0000'"),
        (2, Some(r#""\ud800""#), "column 'doc': JSON with half of a character"),
        (2, Some("1e999999"), "column 'doc': JSON with a number that has more digits"),
        (3, Some("cheerful"), "column 'mood': 'cheerful', which is no label of its enumeration"),
        (4, None, "column 'name': null, and the column of the database is NOT NULL"),
    ];
    for (column, value, says) in cases {
        let mut values = good;
        values[column] = value;
        let error = refused(sink.write(batch(values)).await);
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.report().contains(says), "{}", error.report());
        assert!(sink.take_staged().is_empty());
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_database_that_may_refuse_what_is_decided_is_not_written() {
    let database = Database::with("CREATE TABLE t (k bigint, v text); ALTER TABLE t ENABLE ROW LEVEL SECURITY").await;
    let grants = format!("GRANT ALL ON SCHEMA {0} TO guest; GRANT ALL ON t TO guest", database.schema);
    database.run(&grants).await;
    let columns = [("k", DataType::Int64), ("v", DataType::Utf8View)];
    let guest = database.table(&columns, &[("username", "guest"), ("password", "secret")]);
    let report = refused(Job::new(guest).try_open(0).await).report();
    assert!(report.contains("has row-level security"), "{report}");
    // It does not apply to whoever made the table.
    Job::new(database.table(&columns, &[])).open(0).await;

    let latin = unique("latin");
    database
        .run(&format!("CREATE DATABASE {latin} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"))
        .await;
    let (server, _) = url().rsplit_once('/').map(|(server, name)| (server.to_owned(), name.to_owned())).unwrap();
    let there = format!("{server}/{latin}");
    let (client, connection) = tokio_postgres::connect(&there, tokio_postgres::NoTls).await.unwrap();
    let mut moving = tokio::task::JoinSet::new();
    moving.spawn(connection);
    client.batch_execute("CREATE TABLE t (k bigint, v text)").await.unwrap();
    let with = [("url", &*there), ("table-name", "t"), ("sink.commits-table", "commits")];
    let report = refused(Job::new(database.table(&columns, &with)).try_open(0).await).report();
    assert!(report.contains("column 'v': the database keeps texts in LATIN1"), "{report}");
    // Numbers are the same everywhere.
    Job::new(database.table(&columns[..1], &with)).open(0).await;
    drop(client);
    moving.join_next().await.unwrap().unwrap().unwrap();
    database.run(&format!("DROP DATABASE {latin} WITH (FORCE)")).await;
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_key_is_one_in_the_database_too() {
    let database = Database::with("CREATE TABLE t (id uuid, n bigint, UNIQUE (id, n))").await;
    let columns = [("id", DataType::Utf8View), ("n", DataType::Int64)];
    let mut table = database.table(&columns, &[]);
    table.primary_key = vec![0, 1];
    let job = Job::new(table);
    let mut sink = job.open(0).await;
    let batch = |id: Option<&str>, n: Option<i64>| {
        let all: [ArrayRef; 2] = [Arc::new(StringViewArray::from(vec![id])), Arc::new(Int64Array::from(vec![n]))];
        Batch::append(RecordBatch::try_new(job.table.schema.clone(), all.into()).unwrap())
    };
    let good = "00000000-0000-0000-0000-00000000000a";
    sink.write(batch(Some(good), Some(1))).await.unwrap();
    for (id, n, says) in [
        (None, Some(1), "column 'id': null, and rows replace each other by this column"),
        (Some(good), None, "column 'n': null, and rows replace each other by this column"),
        (Some("00000000-0000-0000-0000-00000000000A"), Some(1), "is written with dashes and in lower case"),
        (Some("0000000000000000000000000000000a"), Some(1), "is written with dashes and in lower case"),
    ] {
        let error = refused(sink.write(batch(id, n)).await);
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.report().contains(says), "{}", error.report());
    }
    // Of which two that differ are one.
    for (definition, says) in [
        ("jsonb", "jsonb takes some texts that differ for equal"),
        ("text COLLATE loose", "its collation takes some texts that differ for equal"),
    ] {
        let database = Database::with(&format!(
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE t (id {definition} PRIMARY KEY)"
        ))
        .await;
        let mut table = database.table(&columns[..1], &[]);
        table.primary_key = vec![0];
        let report = refused(Job::new(table).try_open(0).await).report();
        assert!(report.contains(says), "{report}");
    }
}

#[test]
fn no_part_of_a_password_is_shown() {
    let options = |url: &str| [("url", url), ("table-name", "t")].map(|(name, value)| (name.into(), value.into()));
    for url in [
        "postgresql://u:secret@h/db?sslmode=require",
        "postgresql://u:secret@h",
        "postgresql://u:secret@h/db?secret=1",
        "postgresql://u:p@secret@h/db",
        "postgresql://u:p@h/secret@h/db",
        "postgresql://u:secret/db",
        "postgresql://h/db?user=u&password=p&secret=1",
        "postgresql://h/db?user=u&password=p@secret/x",
        "mysql://u:secret@h/db",
    ] {
        for url in [url.to_owned(), format!("jdbc:{url}")] {
            let schema = Arc::new(arrow::datatypes::Schema::empty());
            let table = weir_core::TableSpec::new("t", "postgres", options(&url).into(), schema);
            // Of one that is right, the place is in messages.
            let report = Postgres.validate(&table, Role::Sink).err().map_or_else(String::new, |error| error.report());
            assert!(!report.is_empty() && !report.contains("secret"), "{url}: {report}");
        }
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn who_may_not_and_what_is_not_there_is_said() {
    let database = Database::with("CREATE TABLE t (k bigint)").await;
    let columns = [("k", DataType::Int64)];
    let guest = |with: &[(&str, &str)]| Job::new(database.table(&columns, with));
    let report = refused(guest(&[("username", "guest"), ("password", "wrong")]).try_open(0).await).report();
    assert!(report.contains("password authentication failed for user \"guest\""), "{report}");
    let right = [("username", "guest"), ("password", "secret")];
    let report = refused(guest(&right).try_open(0).await).report();
    assert!(report.contains("permission denied for schema") && report.contains("grant it to the user"), "{report}");
    database.run(&format!("GRANT USAGE ON SCHEMA {} TO guest", database.schema)).await;
    let error = refused(guest(&right).try_open(0).await);
    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::User);
    for part in
        ["commits, which says what is committed, cannot be made", "CREATE TABLE IF NOT EXISTS", "GRANT SELECT, INSERT"]
    {
        assert!(report.contains(part), "{report}");
    }
    let away = guest(&[("url", "jdbc:postgresql://127.0.0.1:9/weir?user=weir")]);
    let error = refused(away.try_open(0).await);
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.report().contains("PostgreSQL at 127.0.0.1:9/weir does not answer"), "{}", error.report());
    let report = refused(guest(&[("url", "mysql://localhost/x")]).try_open(0).await).report();
    assert!(report.contains("not the address of a database of PostgreSQL"), "{report}");
}
