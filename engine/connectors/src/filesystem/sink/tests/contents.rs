//! What is in the files, and how they are cut.
use super::*;

#[tokio::test]
async fn partitions_are_folders() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    table.partitioned_by = vec!["word".to_owned()];
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let words = StringViewArray::from(vec![Some("a/b=c %"), None, Some("ä b"), Some("a/b=c %"), Some("")]);
    let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from_iter_values(0..5)), Arc::new(words)];
    let rows = RecordBatch::try_from_iter(["id", "word"].into_iter().zip(columns)).unwrap();
    sink.write(Batch::append(rows)).await.unwrap();
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    commit(&table, vec![committable.clone()]).await.unwrap();
    commit(&table, vec![committable]).await.unwrap();
    let text = |bytes: &str| bytes.as_bytes().to_vec();
    let files: Vec<(String, Vec<u8>)> = visible(folder.path()).into_iter().collect();
    let folder_of = |name: &str| name.split_once("/part-").unwrap().0.to_owned();
    let found: Vec<_> = files.iter().map(|(name, bytes)| (folder_of(name), bytes.clone())).collect();
    assert_eq!(
        found,
        [
            ("word=".to_owned(), text("{\"id\":4}\n")),
            ("word=__DEFAULT_PARTITION__".to_owned(), text("{\"id\":1}\n")),
            ("word=a%2Fb%3Dc %25".to_owned(), text("{\"id\":0}\n{\"id\":3}\n")),
            ("word=ä b".to_owned(), text("{\"id\":2}\n")),
        ]
    );
}

#[tokio::test]
async fn more_partitions_than_files_can_be_open_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    table.schema =
        Arc::new(Schema::new(vec![Field::new("day", DataType::Date32, true), Field::new("id", DataType::Int64, true)]));
    table.partitioned_by = vec!["day".to_owned()];
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    for start in (0..1000).step_by(250) {
        let days = arrow::array::Date32Array::from_iter_values((start..start + 250).map(|id| id % 100));
        let rows = Int64Array::from_iter_values((start..start + 250).map(i64::from));
        let columns: [ArrayRef; 2] = [Arc::new(days), Arc::new(rows)];
        let rows = RecordBatch::try_from_iter(["day", "id"].into_iter().zip(columns)).unwrap();
        sink.write(Batch::append(rows)).await.unwrap();
    }
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), (0..1000).collect::<Vec<_>>());
    for (name, bytes) in visible(folder.path()) {
        let day: i64 =
            match name.split('/').next().unwrap().strip_prefix("day=1970-0").unwrap().split_once('-').unwrap() {
                ("1", day) => day.parse::<i64>().unwrap() - 1,
                ("2", day) => day.parse::<i64>().unwrap() + 30,
                ("3", day) => day.parse::<i64>().unwrap() + 58,
                ("4", day) => day.parse::<i64>().unwrap() + 89,
                other => panic!("{other:?}"),
            };
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            let id = serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_i64().unwrap();
            assert_eq!(id % 100, day, "{name}");
        }
    }
}

#[tokio::test]
async fn files_are_rolled_by_rows_and_by_size() {
    let folder = TempDir::new().unwrap();
    // A hundred rows are about 3.2 kB, and the size is looked at behind each batch.
    for options in [[("sink.rolling-policy.rows", "400")], [("sink.rolling-policy.file-size", "10kb")]] {
        let path = folder.path().join(options[0].0);
        let table = table(&path, &options);
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        for start in (0..1000).step_by(100) {
            sink.write(batch(start..start + 100)).await.unwrap();
        }
        let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
        commit(&table, vec![committable]).await.unwrap();
        assert_eq!(visible(&path).len(), 3, "{options:?}");
        assert_eq!(ids(&path), (0..1000).collect::<Vec<_>>());
    }
}

/// Reads a file back with Arrow's own readers.
fn read_back(name: &str, bytes: Vec<u8>, schema: &Arc<Schema>) -> Vec<RecordBatch> {
    let bytes = match name.rsplit('.').next().unwrap() {
        "gz" => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text).unwrap();
            text
        }
        "zst" => zstd::decode_all(bytes.as_slice()).unwrap(),
        _ => bytes,
    };
    match name.split('.').nth(1).unwrap() {
        "json" => {
            let reader = arrow::json::ReaderBuilder::new(schema.clone()).build(bytes.as_slice()).unwrap();
            reader.map(Result::unwrap).collect()
        }
        "csv" => {
            let reader = arrow::csv::ReaderBuilder::new(schema.clone()).with_header(true).build(bytes.as_slice());
            reader.unwrap().map(Result::unwrap).collect()
        }
        "parquet" => {
            let bytes = bytes::Bytes::from(bytes);
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            reader.build().unwrap().map(Result::unwrap).collect()
        }
        "arrow" => {
            let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
            reader.map(Result::unwrap).collect()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_format_can_be_read_back() {
    let folder = TempDir::new().unwrap();
    for (options, extension) in [
        (vec![("format", "json"), ("compression", "zstd")], "json.zst"),
        (vec![("format", "csv"), ("csv.header", "true"), ("compression", "gzip")], "csv.gz"),
        (vec![("format", "csv"), ("csv.header", "true")], "csv"),
        (vec![("format", "parquet")], "parquet"),
        (vec![("format", "parquet"), ("parquet.compression", "zstd")], "parquet"),
        (vec![("format", "arrow")], "arrow"),
    ] {
        let path = folder.path().join(options.len().to_string() + extension);
        let table = table(&path, &options);
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        sink.write(batch(0..700)).await.unwrap();
        sink.write(batch(700..1000)).await.unwrap();
        let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
        commit(&table, vec![committable]).await.unwrap();
        let files = visible(&path);
        let (name, bytes) = files.first_key_value().unwrap();
        assert!(name.ends_with(&format!(".{extension}")), "{name}");
        let read = read_back(name, bytes.clone(), &table.schema);
        let read = arrow::compute::concat_batches(&table.schema, &read).unwrap();
        let expected = batch(0..1000);
        assert_eq!(
            read.column(0).as_primitive::<Int64Type>(),
            expected.records().column(0).as_primitive::<Int64Type>()
        );
        assert_eq!(read.column(1).as_string_view(), expected.records().column(1).as_string_view(), "{options:?}");
    }
}

/// Columns of views may share large buffers with other batches; only what is referred to is written.
#[tokio::test]
async fn arrow_files_hold_no_foreign_text() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[("format", "arrow")]);
    let large = StringViewArray::from_iter_values((0..10_000).map(|row| format!("a long word of number {row}")));
    let few = [Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef, Arc::new(large.slice(5000, 2))];
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let rows = RecordBatch::try_from_iter(["id", "word"].into_iter().zip(few)).unwrap();
    sink.write(Batch::append(rows)).await.unwrap();
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    commit(&table, vec![committable]).await.unwrap();
    assert!(visible(folder.path()).values().all(|bytes| bytes.len() < 4000));
}

#[test]
fn wrong_tables_are_refused_before_anything_runs() {
    let folder = Path::new("/somewhere");
    validate(&table(folder, &[("sink.delivery-guarantee", "exactly-once")])).unwrap();
    validate(&table(folder, &[("path", "file:///somewhere")])).unwrap();
    for (option, value) in [
        ("sink.delivery-guarantee", "at-least-once"),
        ("format", "jsonl"),
        ("compression", "lzma"),
        ("path", "/somewhere/*.json"),
        ("path", ""),
        ("sink.rolling-policy.file-size", "big"),
        ("sink.rolling-policy.rows", "0"),
    ] {
        let error = validate(&table(folder, &[(option, value)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.to_string().contains(option), "{error}");
    }
    let partitioned = |columns: &[&str]| {
        let mut table = table(folder, &[]);
        table.partitioned_by = columns.iter().map(|column| (*column).to_owned()).collect();
        validate(&table).map_err(|error| error.to_string())
    };
    partitioned(&["word"]).unwrap();
    assert!(partitioned(&["words"]).unwrap_err().contains("'words'"));
    assert!(partitioned(&["id", "id"]).unwrap_err().contains("twice"));
    assert!(partitioned(&["id", "word"]).unwrap_err().contains("no column would be left"));
}

#[tokio::test]
async fn null_in_a_not_null_column_is_a_data_error() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    table.schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("word", DataType::Utf8View, false),
    ]));
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    sink.write(batch(1..3)).await.unwrap();
    let error = sink.write(batch(0..3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("'word'"));
    assert_eq!(sink.prepare(Epoch(1)).await.unwrap_err().kind(), ErrorKind::Internal, "it is not used again");
}
