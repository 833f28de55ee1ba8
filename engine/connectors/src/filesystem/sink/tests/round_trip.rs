//! What the sink writes, the source of the same table reads as the same values.
use arrow::array::*;
use arrow::buffer::NullBuffer;
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{Fields, Int32Type, TimeUnit};
use weir_core::connector::SourceContext;
use weir_core::{Connector, SourceEvent};

use super::*;
use crate::bench::{Checkpoint, Reader};
use crate::filesystem::Filesystem;

/// Three rows of every flat type: the awkward, null, and the greatest.
fn flat() -> RecordBatch {
    let decimals = Decimal128Array::from(vec![Some(-1), None, Some(10i128.pow(38) - 1)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("tiny", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("small", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("plain", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("real", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::MAX)]))),
        ("number", Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None, Some(5e-324)]))),
        ("price", Arc::new(decimals.with_precision_and_scale(38, 10).unwrap())),
        ("text", Arc::new(StringViewArray::from(vec![Some(" a,\"b\"\\ ; ä\t'"), None, Some("")]))),
        ("raw", Arc::new(BinaryViewArray::from(vec![Some(b"\xff\x00\n".as_slice()), None, Some(b"")]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)]))),
        (
            "at",
            Arc::new(TimestampMillisecondArray::from(vec![Some(-62_135_596_800_000), None, Some(253_402_300_799_999)])),
        ),
        ("moment", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(0)]).with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn nested() -> RecordBatch {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let fields = Fields::from(vec![
        Field::new("x", DataType::Float64, true),
        Field::new("when", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, Some(-0.0)])),
        Arc::new(TimestampMillisecondArray::from(vec![Some(1), None, None])),
    ];
    let rows = StructArray::new(fields, columns, Some(NullBuffer::from(vec![true, false, true])));
    let mut maps = MapBuilder::new(None, StringViewBuilder::new(), Int64Builder::new());
    maps.keys().append_value("a \"key\"");
    maps.values().append_value(1);
    maps.keys().append_value("b");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    maps.append(true).unwrap();
    let mut columns: Vec<(String, ArrayRef, bool)> = vec![
        ("list".to_owned(), Arc::new(lists), true),
        ("row".to_owned(), Arc::new(rows), true),
        ("map".to_owned(), Arc::new(maps.finish()), true),
    ];
    let flat = flat();
    for (field, column) in flat.schema().fields().iter().zip(flat.columns()) {
        columns.push((field.name().clone(), column.clone(), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

async fn written_and_read(rows: &RecordBatch, options: &[(&str, &str)], partitioned_by: &[&str]) -> RecordBatch {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), options);
    table.schema = rows.schema();
    table.partitioned_by = partitioned_by.iter().map(|column| (*column).to_owned()).collect();
    Filesystem::default().validate(&table, weir_core::connector::Role::Sink).unwrap();
    Filesystem::default().validate(&table, weir_core::connector::Role::Source).unwrap();
    let mut sink = Filesystem::default().open_sink(&table, context(1, 0)).await.unwrap();
    sink.write(Batch::append(rows.clone())).await.unwrap();
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    // What is not committed is not read, though its file is there.
    sink.write(Batch::append(rows.clone())).await.unwrap();
    commit(&table, vec![committable]).await.unwrap();

    let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: 100 };
    let mut reader = Reader::open(&Filesystem::default(), &table, context, &Checkpoint::default()).await.unwrap();
    let mut batches = Vec::new();
    while let Some(event) = reader.next().await.unwrap() {
        if let SourceEvent::Rows { records, rejected, .. } = event {
            assert!(rejected.is_empty());
            batches.push(records);
        }
    }
    let read = concat_batches(&table.schema, &batches).unwrap();
    let order = sort_to_indices(read.column_by_name("id").unwrap(), None, None).unwrap();
    take_record_batch(&read, &order).unwrap()
}

#[tokio::test]
async fn flat_columns() {
    for options in [
        &[("format", "json")] as &[_],
        &[("format", "json"), ("json.timestamp-format.standard", "ISO-8601"), ("compression", "gzip")],
        &[("format", "json"), ("json.encode.ignore-null-fields", "true"), ("compression", "zstd")],
        &[("format", "csv"), ("csv.null-literal", "\\N")],
        &[
            ("format", "csv"),
            ("csv.null-literal", "\\N"),
            ("csv.header", "true"),
            ("csv.field-delimiter", ";"),
            ("csv.quote-character", "'"),
        ],
        &[("format", "parquet"), ("parquet.compression", "zstd")],
        &[("format", "arrow")],
    ] {
        // The source refuses line breaks in quotes unless it is told of them; bytes are base64 and have none.
        let (rows, read) = (flat(), written_and_read(&flat(), options, &[]).await);
        for (index, field) in rows.schema().fields().iter().enumerate() {
            assert_eq!(read.column(index), rows.column(index), "{} in {options:?}", field.name());
        }
    }
}

#[tokio::test]
async fn nested_columns() {
    for options in [[("format", "json")], [("format", "parquet")], [("format", "arrow")]] {
        let (rows, read) = (nested(), written_and_read(&nested(), &options, &[]).await);
        for (index, field) in rows.schema().fields().iter().enumerate() {
            assert_eq!(read.column(index), rows.column(index), "{} in {options:?}", field.name());
        }
    }
}

#[tokio::test]
async fn partition_columns() {
    for options in [
        &[("format", "json")] as &[_],
        &[("format", "csv"), ("csv.null-literal", "\\N")],
        &[("format", "parquet")],
        &[("format", "arrow")],
    ] {
        let columns = ["text", "day", "plain", "flag"];
        let (rows, read) = (flat(), written_and_read(&flat(), options, &columns).await);
        for (index, field) in rows.schema().fields().iter().enumerate() {
            assert_eq!(read.column(index), rows.column(index), "{} in {options:?}", field.name());
        }
    }
}

#[tokio::test]
async fn partitions_come_back_as_what_they_were() {
    let texts =
        [None, Some(""), Some("__DEFAULT_PARTITION__"), Some("%5F_DEFAULT_PARTITION__"), Some("a=b"), Some(".")];
    let columns: [ArrayRef; 2] =
        [Arc::new(Int64Array::from_iter_values(0..texts.len() as i64)), Arc::new(StringViewArray::from_iter(texts))];
    let rows = RecordBatch::try_from_iter_with_nullable(
        ["id", "text"].into_iter().zip(columns).map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    for null in ["__DEFAULT_PARTITION__", "a=b", "."] {
        let options = [("format", "json"), ("partition.default-name", null)];
        let read = written_and_read(&rows, &options, &["text"]).await;
        assert_eq!(read.column(1), rows.column(1), "with null called {null}");
    }
    // Readers pass over folders that begin so.
    for column in ["_text", ".text"] {
        let columns = [rows.column(0).clone(), rows.column(1).clone()];
        let named = ["id", column].into_iter().zip(columns).map(|(name, column)| (name, column, true));
        let rows = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let read = written_and_read(&rows, &[("format", "json")], &[column]).await;
        assert_eq!(read.column(1), rows.column(1), "{column}");
    }
    let table = table(Path::new("/tmp"), &[("partition.default-name", "")]);
    assert_eq!(validate(&table).unwrap_err().kind(), ErrorKind::User);
}
