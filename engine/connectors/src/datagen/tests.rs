#![allow(clippy::unwrap_used)]
use arrow::array::{Array, AsArray};
use arrow::datatypes::*;
use weir_core::{ErrorKind, SourceEvent};

use super::*;
use crate::bench::{Checkpoint, Reader};

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

fn table(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableSpec {
    let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
    TableSpec::new(
        "made",
        "datagen",
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        Arc::new(Schema::new(fields)),
    )
}

/// All rows of a bounded table, in one batch, as one of `parallelism` subtasks after the other reads them.
async fn all(table: &TableSpec, parallelism: usize) -> RecordBatch {
    let mut batches = Vec::new();
    for subtask in 0..parallelism {
        let context = SourceContext { subtask, parallelism, batch_rows: 333 };
        let mut reader = Reader::open(&Datagen, table, context, &Checkpoint::default()).await.unwrap();
        while let Some(event) = reader.next().await.unwrap() {
            if let SourceEvent::Rows { records, .. } = event {
                batches.push(records);
            }
        }
    }
    arrow::compute::concat_batches(&table.output_schema(), &batches).unwrap()
}

#[tokio::test]
async fn sequences_count_and_the_shortest_ends_the_table() {
    let options = [
        ("realtime", "false"),
        ("fields.a.kind", "sequence"),
        ("fields.a.start", "-5"),
        ("fields.a.end", "3000"),
        ("fields.b.kind", "sequence"),
        ("fields.b.start", "1"),
        ("fields.b.end", "2500"),
        ("number-of-rows", "2700"),
    ];
    let table = table(&[("a", DataType::Int16), ("b", DataType::Utf8View), ("c", DataType::Int64)], &options);
    assert_eq!(Datagen.boundedness(&table), Boundedness::Bounded);
    let rows = all(&table, 1).await;
    assert_eq!(rows.num_rows(), 2500);
    assert!(rows.column(0).as_primitive::<Int16Type>().values().iter().copied().eq(-5..2495));
    assert!(rows.column(1).as_string_view().iter().zip(1..).all(|(text, n)| text == Some(n.to_string().as_str())));
}

#[tokio::test]
async fn values_follow_from_seed_column_and_row() {
    let columns = [("x", DataType::Int64), ("y", DataType::Int64), ("t", DataType::Utf8View)];
    let options = [("realtime", "false"), ("number-of-rows", "5000"), ("seed", "9")];
    let table = table(&columns, &options);
    let (one, three) = (all(&table, 1).await, all(&table, 3).await);
    let sorted = |rows: &RecordBatch| {
        let mut values = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        values.sort_unstable();
        values
    };
    assert_eq!(sorted(&one), sorted(&three));
    assert_ne!(one.column(0).to_data(), one.column(1).to_data(), "columns differ");
    let mut alone = table.clone();
    alone.projection = Some(vec![2]);
    assert_eq!(all(&alone, 1).await.column(0).to_data(), one.column(2).to_data(), "a column is the same alone");
    let mut other = table;
    other.options.insert("seed".to_owned(), "10".to_owned());
    assert_ne!(sorted(&all(&other, 1).await), sorted(&one));
}

#[tokio::test]
async fn ranges_are_kept_and_reached() {
    let columns = [
        ("small", DataType::Int8),
        ("wide", DataType::Int64),
        ("d", DataType::Decimal128(5, 2)),
        ("huge", DataType::Decimal128(38, 0)),
        ("f", DataType::Float64),
        ("any", DataType::Float64),
        ("b", DataType::Boolean),
        ("s", DataType::Utf8View),
        ("v", DataType::Utf8View),
        ("raw", DataType::BinaryView),
        ("n", DataType::Int32),
    ];
    let options = [
        ("realtime", "false"),
        ("number-of-rows", "20000"),
        ("fields.small.min", "-3"),
        ("fields.small.max", "3"),
        ("fields.d.min", "-1.5"),
        ("fields.d.max", "1.5"),
        ("fields.f.min", "2"),
        ("fields.f.max", "3"),
        ("fields.s.length", "7"),
        ("fields.v.length", "4"),
        ("fields.v.var-len", "true"),
        ("fields.raw.length", "3"),
        ("fields.n.null-rate", "0.25"),
    ];
    let rows = all(&table(&columns, &options), 1).await;
    let small = rows.column(0).as_primitive::<Int8Type>();
    for value in -3..=3 {
        let count = small.values().iter().filter(|small| **small == value).count();
        assert!((2600..3120).contains(&count), "{value}: {count} of 20000, a seventh expected");
    }
    let wide = rows.column(1).as_primitive::<Int64Type>().values();
    assert!(wide.iter().any(|wide| *wide > i64::MAX / 10 * 9) && wide.iter().any(|wide| *wide < i64::MIN / 10 * 9));
    let decimal = rows.column(2).as_primitive::<Decimal128Type>().values();
    assert_eq!((decimal.iter().min(), decimal.iter().max()), (Some(&-150), Some(&150)));
    let huge = rows.column(3).as_primitive::<Decimal128Type>().values();
    assert!(huge.iter().all(|huge| huge.unsigned_abs() < 10u128.pow(38)) && huge.iter().any(|huge| *huge < 0));
    let float = rows.column(4).as_primitive::<Float64Type>().values();
    assert!(float.iter().all(|float| (2.0..=3.0).contains(float)) && float.iter().any(|float| *float > 2.99));
    assert!(rows.column(5).as_primitive::<Float64Type>().values().iter().all(|any| any.is_finite()));
    assert!((9600..10400).contains(&rows.column(6).as_boolean().true_count()));
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(rows.column(7).as_string_view().iter().flatten().all(|text| text.len() == 7 && is_hex(text)));
    let mut lengths: Vec<usize> = rows.column(8).as_string_view().iter().flatten().map(str::len).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [1, 2, 3, 4]);
    assert!(rows.column(9).as_binary_view().iter().flatten().all(|bytes| bytes.len() == 3));
    assert!((4700..5300).contains(&rows.column(10).null_count()));
}

#[tokio::test]
async fn event_time_advances_with_the_rows() {
    let columns = [("at", time()), ("late", time()), ("day", DataType::Date32)];
    let options = [
        ("realtime", "false"),
        ("number-of-rows", "3000"),
        ("rows-per-second", "1000"),
        ("start-time", "1970-01-02 00:00:00"),
        ("fields.late.max-past", "1s"),
    ];
    let rows = all(&table(&columns, &options), 1).await;
    let at = rows.column(0).as_primitive::<TimestampMillisecondType>().values();
    assert!(at.iter().copied().eq(86_400_000..86_403_000));
    let late = rows.column(1).as_primitive::<TimestampMillisecondType>().values();
    let delays: Vec<i64> = at.iter().zip(late).map(|(at, late)| at - late).collect();
    assert!(delays.iter().all(|delay| (0..=1000).contains(delay)) && delays.iter().any(|delay| *delay > 950));
    assert!(rows.column(2).as_primitive::<Date32Type>().values().iter().all(|day| *day == 1));
}

#[test]
fn wrong_options_name_themselves_and_what_was_meant() {
    let columns = [("id", DataType::Int32), ("name", DataType::Utf8View)];
    let refused = |option: &str, value: &str| {
        let error = Datagen.validate(&table(&columns, &[(option, value)]), Role::Source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.to_string().contains(option), "{error}");
        error.help().unwrap_or_default().to_owned()
    };
    assert_eq!(refused("fields.nme.length", "3"), "did you mean 'fields.name.length'?");
    assert_eq!(refused("fields.name.lenght", "3"), "did you mean 'fields.name.length'?");
    refused("fields.id", "3");
    refused("fields.id.length", "3");
    refused("fields.name.min", "3");
    refused("fields.id.max", "3000000000");
    refused("fields.id.null-rate", "2");
    refused("fields.id.kind", "counting");
    refused("rows-per-second", "0");
    let both = |first: (&str, &str), second: (&str, &str)| {
        Datagen.validate(&table(&columns, &[first, second]), Role::Source).unwrap_err().to_string()
    };
    assert!(both(("fields.id.min", "5"), ("fields.id.max", "4")).contains("above the maximum"));
    assert!(both(("fields.id.kind", "sequence"), ("fields.id.start", "4")).contains("'fields.id.end'"));
    let list = table(&[("tags", DataType::new_list(DataType::Int32, true))], &[]);
    assert!(Datagen.validate(&list, Role::Source).unwrap_err().to_string().contains("tags"));
}
