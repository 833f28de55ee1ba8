//! Files that change although they must not: cut off, overwritten, replaced, while they are read, wait, or a job is down.

use std::fs::File;
use std::time::SystemTime;

use super::*;

const ROWS: usize = 400;

/// Rows of one width, so that two texts of as many rows have one size.
fn text(first: usize, rows: usize) -> String {
    (first..first + rows).map(|row| format!("{row:07}\n")).collect()
}

/// A moment that no file that is written now has.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A file of the past.
fn numbers(split_size: &str) -> Table {
    let table =
        Table::new(&[("format", "csv"), ("source.split-size", split_size)], &["n INT"]).file("f.csv", text(0, ROWS));
    set_time(&table.path("f.csv"), long_ago());
    table
}

fn cut_off(table: &Table) {
    File::options().write(true).open(table.path("f.csv")).unwrap().set_len(800).unwrap();
}

/// In one step, for who reads meanwhile: without cutting it off first.
fn write_over(table: &Table, text: &str) {
    let mut file = File::options().write(true).open(table.path("f.csv")).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

fn overwrite(table: &Table) {
    write_over(table, &text(1000, ROWS));
}

fn overwrite_by_more(table: &Table) {
    write_over(table, &text(1000, 2 * ROWS));
}

fn replace(table: &Table) {
    table.write(".g", text(1000, ROWS));
    std::fs::rename(table.path(".g"), table.path("f.csv")).unwrap();
}

fn replace_by_more(table: &Table) {
    table.write(".g", text(1000, 2 * ROWS));
    std::fs::rename(table.path(".g"), table.path("f.csv")).unwrap();
}

type Change = fn(&Table);

const CHANGES: [(Change, &str); 5] = [
    (cut_off, "it was cut off, and has 800 bytes"),
    (overwrite, "it was written to"),
    (overwrite_by_more, "it was written to"),
    (replace, "another file was put in its place"),
    (replace_by_more, "another file was put in its place"),
];

/// Reads on to the end or an error; all rows have to be those of the first content.
async fn drain(reader: &mut Reader) -> Result<Vec<String>> {
    let mut answer = Answer::default();
    answer.drain(reader).await.map(|()| answer.rows)
}

fn is_told(error: &Error, words: &str) {
    assert_eq!(error.kind(), ErrorKind::Data, "{}", error.report());
    contains(error, &["f.csv", "was changed", words]);
    assert!(error.help().is_some());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error() {
    for (change, words) in CHANGES {
        let table = numbers("500b");
        let mut reader = table.open(0, 1, &Checkpoint::default()).await.unwrap();
        let Some(SourceEvent::Rows { records, .. }) = reader.next().await.unwrap() else { panic!("no rows") };
        assert_eq!(lines(&records)[0], "0");
        change(&table);
        is_told(&drain(&mut reader).await.unwrap_err(), words);
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_waits_is_an_error() {
    for split_size in ["0", "500b"] {
        for (change, words) in CHANGES {
            let table = numbers(split_size);
            let mut reader = table.open(0, 1, &Checkpoint::default()).await.unwrap();
            change(&table);
            is_told(&drain(&mut reader).await.unwrap_err(), words);
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_while_the_job_is_down_is_an_error() {
    for (change, words) in CHANGES {
        let table = numbers("0");
        let mut reader = table.open(0, 1, &Checkpoint::default()).await.unwrap();
        reader.next().await.unwrap();
        let checkpoint = reader.checkpoint();
        drop(reader);
        change(&table);
        let mut reader = table.open(0, 1, &checkpoint).await.unwrap();
        is_told(&drain(&mut reader).await.unwrap_err(), words);
    }
}

#[tokio::test]
async fn other_bytes_where_reading_stopped_are_noticed_whatever_else_is_as_it_was() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut gzip, text(0, 5000).as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    for (name, content, place) in [("f.csv", text(0, 5000).into_bytes(), 20_000), ("f.csv.gz", packed, 20_030)] {
        let table = Table::new(&[("format", "csv")], &["n INT"]).file(name, &content);
        set_time(&table.path(name), long_ago());
        let mut reader = table.open(0, 1, &Checkpoint::default()).await.unwrap();
        let mut checkpoint = reader.checkpoint();
        for _ in 0..2500 / 3 + 1 {
            reader.next().await.unwrap();
            checkpoint = reader.checkpoint();
        }
        drop(reader);
        let mut changed = content.clone();
        // In the middle of the file; of a packed one its own checksum would be wrong too, behind the place where it is noticed.
        changed[place - 300..place - 298].copy_from_slice(b"99");
        table.write(name, &changed);
        set_time(&table.path(name), long_ago());
        let mut reader = table.open(0, 1, &checkpoint).await.unwrap();
        is_told(&drain(&mut reader).await.unwrap_err(), "what was read last of it");
    }
}

#[tokio::test]
async fn a_file_that_was_put_back_from_a_copy_with_its_time_is_the_same() {
    let table = numbers("500b");
    let mut reader = table.open(0, 1, &Checkpoint::default()).await.unwrap();
    let mut rows = Answer::default();
    rows.take(reader.next().await.unwrap().unwrap());
    let checkpoint = reader.checkpoint();
    drop(reader);
    table.write(".copy", text(0, ROWS));
    std::fs::remove_file(table.path("f.csv")).unwrap();
    std::fs::rename(table.path(".copy"), table.path("f.csv")).unwrap();
    set_time(&table.path("f.csv"), long_ago());
    let rest = table.read_all(2, &checkpoint).await.unwrap().rows;
    assert_eq!(sorted([rows.rows, rest].concat()).len(), ROWS);
}

#[tokio::test]
async fn a_columnar_file_that_changes_is_an_error() {
    use arrow::array::Int32Array;
    let write = |table: &Table, name: &str, first: i32, rows: i32| {
        let column: ArrayRef = Arc::new(Int32Array::from_iter_values(first..first + rows));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(File::create(table.path(name)).unwrap(), batch.schema(), None)
                .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    let table = Table::new(&[("format", "parquet")], &["n INT NOT NULL"]);
    for is_read in [false, true] {
        write(&table, "f.csv", 0, 400);
        set_time(&table.path("f.csv"), long_ago());
        let mut reader = table.open(0, 1, &Checkpoint::default()).await.unwrap();
        if is_read {
            reader.next().await.unwrap();
        }
        write(&table, ".g", 1000, 400);
        std::fs::rename(table.path(".g"), table.path("f.csv")).unwrap();
        let outcome = drain(&mut reader).await;
        match is_read {
            // It was open: what was read of it is all of the old one.
            true => assert_eq!(outcome.unwrap().len(), 397),
            false => is_told(&outcome.unwrap_err(), "another file was put in its place"),
        }
    }
}
