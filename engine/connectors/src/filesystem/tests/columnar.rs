//! Parquet and Arrow IPC.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::filesystem::store::LocalFiles;
use crate::filesystem::{FileInfo, FileStore, Listing};
use crate::stored_file::{Identity, StoredFile};

/// 20 rows, with types other than those of the table.
fn batch() -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("s", DataType::Utf8, true),
        Field::new("extra", DataType::Int64, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into())), false),
        Field::new("n", DataType::Int32, true),
    ]));
    RecordBatch::try_new(
        schema,
        vec![
            Arc::new(StringArray::from_iter((0..20).map(|n| (n != 4).then(|| format!("row {n} with a long text"))))),
            Arc::new(Int64Array::from_iter_values(0..20)),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values((0..20).map(|n| n * 1_000_000 + 999))
                    .with_timezone("Europe/Berlin"),
            ),
            Arc::new(Int32Array::from_iter_values(0..20)),
        ],
    )
    .unwrap()
}

fn parquet(rows_per_group: usize) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch().schema(), Some(properties)).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    bytes
}

fn arrow(rows_per_batch: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, &batch().schema()).unwrap();
    for start in (0..20).step_by(rows_per_batch) {
        writer.write(&batch().slice(start, rows_per_batch.min(20 - start))).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn table(format: &str) -> Table {
    Table::new(&[("format", format)], &["n BIGINT", "s STRING", "ts TIMESTAMP NOT NULL"])
}

fn expected() -> Vec<String> {
    (0..20)
        .map(|n| {
            let text = if n == 4 { "∅".to_owned() } else { format!("row {n} with a long text") };
            format!("{n} {text} 1970-01-01T00:00:{n:02}")
        })
        .collect()
}

fn encoded(format: &str, rows: usize) -> Vec<u8> {
    if format == "parquet" { parquet(rows) } else { arrow(rows) }
}

#[tokio::test]
async fn columns_are_found_by_name_and_brought_to_their_types() {
    for format in ["parquet", "arrow"] {
        for rows in [1, 3, 7, 20] {
            let bytes = encoded(format, rows);
            let table = table(format).file("f", &bytes);
            assert_eq!(table.read().await.unwrap(), expected());
            for split_size in [1, 100, bytes.len() / 2, bytes.len()] {
                let table = table_with_split_size(format, &bytes, split_size);
                assert_eq!(table.read().await.unwrap(), expected());
                for parallelism in 2..=3 {
                    let rows = table.read_all(parallelism, &Checkpoint::default()).await.unwrap().rows;
                    assert_eq!(sorted(rows), sorted(expected()));
                }
            }
        }
    }
}

fn table_with_split_size(format: &str, bytes: &[u8], split_size: usize) -> Table {
    table(format).file("f", bytes).with("source.split-size", &split_size.to_string())
}

#[tokio::test]
async fn only_wanted_columns_are_read() {
    for format in ["parquet", "arrow"] {
        let mut table = table(format).file("f", encoded(format, 20));
        table.spec.projection = Some(vec![0]);
        assert_eq!(table.read().await.unwrap(), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
        table.spec.projection = Some(vec![]);
        assert_eq!(table.read().await.unwrap(), vec![""; 20], "{format}");
    }
}

#[tokio::test]
async fn reading_goes_on_where_it_stopped() {
    for format in ["parquet", "arrow"] {
        for split_size in ["0", "1"] {
            check_resume(&table(format).file("f", encoded(format, 7)).with("source.split-size", split_size), 2, 3)
                .await;
        }
    }
}

#[tokio::test]
async fn wrong_and_missing_columns_are_named() {
    for format in ["parquet", "arrow"] {
        let other = Table::new(&[("format", format)], &["nn INT"]).file("f", encoded(format, 20));
        contains(&other.fails().await, &["/f", "no column 'nn'", "s, extra, ts, n"]);
        let other = Table::new(&[("format", format)], &["s INT"]).file("f", encoded(format, 20));
        contains(&other.fails().await, &["/f", "'s' is STRING in the file, but INT in the table"]);
        let other = Table::new(&[("format", format)], &["s STRING NOT NULL"]).file("f", encoded(format, 20));
        contains(&other.fails().await, &["/f", "'s' is NOT NULL"]);
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_is_refused() {
    for format in ["parquet", "arrow"] {
        let bytes = encoded(format, 7);
        let table = table(format);
        for length in (1..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            table.write("f", &bytes[..length]);
            let error = table.fails().await;
            assert_eq!(error.kind(), weir_core::ErrorKind::Data, "{length}: {}", error.report());
            contains(&error, &["/f"]);
        }
    }
}

#[tokio::test]
async fn a_flipped_byte_never_panics() {
    for format in ["parquet", "arrow"] {
        let bytes = encoded(format, 7);
        let table = table(format);
        for place in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0xff;
            table.write("f", &damaged);
            if let Err(error) = table.read_all(1, &Checkpoint::default()).await {
                assert_eq!(error.kind(), weir_core::ErrorKind::Data, "{place}: {}", error.report());
            }
        }
    }
}

#[tokio::test]
async fn a_file_of_another_format_is_refused() {
    contains(&table("parquet").file("f", arrow(20)).fails().await, &["cannot be read as Parquet"]);
    contains(&table("arrow").file("f", parquet(20)).fails().await, &["cannot be read as Arrow IPC"]);
    contains(&table("csv").file("f", parquet(20)).fails().await, &["/f"]);
}

/// Local files, of which so many reads succeed.
#[derive(Debug, Clone)]
struct Failing(Arc<AtomicI64>);

#[derive(Debug)]
struct FailingFile(Failing, Arc<dyn StoredFile>);

impl FileStore for Failing {
    fn check(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Listing<Vec<FileInfo>>> {
        LocalFiles.list(path)
    }

    fn open(&self, path: &str) -> Result<Option<Arc<dyn StoredFile>>> {
        Ok(LocalFiles.open(path)?.map(|file| Arc::new(FailingFile(self.clone(), file)) as Arc<dyn StoredFile>))
    }
}

impl StoredFile for FailingFile {
    fn identity(&self) -> io::Result<Identity> {
        self.1.identity()
    }

    fn checksum(&self, size: u64) -> io::Result<u32> {
        self.1.checksum(size)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.0.0.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(io::Error::other("the store is away"));
        }
        self.1.read_at(bytes, offset)
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_for_now_is_not_damaged() {
    for format in ["parquet", "arrow", "csv"] {
        let content = if format == "csv" { b"1,x,2013-01-01 00:00:00\n".repeat(20) } else { encoded(format, 7) };
        let table = table(format).file("f", content);
        let mut failures = 0;
        for reads in 0.. {
            let files = Filesystem::reading(Arc::new(Failing(Arc::new(AtomicI64::new(reads)))));
            let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: 3 };
            let read = async {
                let mut reader = Reader::open(&files, &table.spec, context, &Checkpoint::default()).await?;
                Answer::default().drain(&mut reader).await
            };
            match read.await {
                Ok(()) => break,
                Err(error) => {
                    assert_eq!(error.kind(), weir_core::ErrorKind::Environment, "{reads}: {}", error.report());
                    contains(&error, &["/f", "the store is away"]);
                    failures += 1;
                }
            }
        }
        assert!(failures > 1, "{format}: {failures}");
    }
}
