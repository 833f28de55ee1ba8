//! However a file is cut, each record is read once, by some subtask, and reading can stop and go on anywhere.

use super::*;

/// Line breaks of both kinds, blank lines, text of several bytes a character, no line break at the end.
const TRICKY: &str = "1,a\r\n22,\"b,b\"\n\n333,ü\n4,\"say \"\"hi\"\"\"\n\r\n55,\n6,\"\"\n7777777777,x€y\n8,ende";
const TRICKY_ROWS: [&str; 8] = ["1 a", "22 b,b", "333 ü", "4 say \"hi\"", "55 ", "6 ", "7777777777 x€y", "8 ende"];

fn tricky() -> Table {
    Table::new(&[("format", "csv")], &["n BIGINT", "s STRING"]).file("f.csv", TRICKY)
}

#[tokio::test]
async fn ranges_of_any_size_give_each_record_once() {
    let mut table = tricky();
    for size in 0..=TRICKY.len() + 1 {
        table.set("source.split-size", &size.to_string());
        for parallelism in 1..=4 {
            let rows = table.read_all(parallelism, &Checkpoint::default()).await.unwrap().rows;
            if parallelism == 1 {
                assert_eq!(rows, TRICKY_ROWS, "cut into ranges of {size}");
            } else {
                assert_eq!(sorted(rows), sorted(TRICKY_ROWS.map(str::to_owned).to_vec()));
            }
        }
    }
}

#[tokio::test]
async fn ranges_of_a_file_with_header_and_byte_order_mark() {
    let content = format!("\u{feff}n,\"s\"\r\n{TRICKY}\n");
    let mut table = tricky().file("f.csv", &content).with("csv.header", "true");
    for size in 1..=content.len() {
        table.set("source.split-size", &size.to_string());
        assert_eq!(table.read().await.unwrap(), TRICKY_ROWS, "cut into ranges of {size}");
    }
}

#[tokio::test]
async fn ranges_of_json_lines() {
    let content = "{\"n\":1}\n{\"n\":22,\"x\":[1,{\"n\":3}]}\r\n\n  {\"n\": 333 }\n{}\n{\"n\":5}";
    let mut table = Table::new(&[("format", "json")], &["n BIGINT"]).file("f.json", content);
    for size in 1..=content.len() {
        table.set("source.split-size", &size.to_string());
        assert_eq!(table.read().await.unwrap(), ["1", "22", "333", "∅", "5"], "cut into ranges of {size}");
    }
}

#[tokio::test]
async fn reading_goes_on_where_it_stopped() {
    for (size, before, after) in [("0", 1, 1), ("0", 2, 1), ("20", 1, 2), ("11", 2, 3), ("11", 3, 1)] {
        check_resume(&tricky().file("g.csv", TRICKY).with("source.split-size", size), before, after).await;
    }
    check_resume(&tricky().with("source.split-size", "3"), 1, 1).await;
}

#[tokio::test]
async fn another_split_size_after_a_restart_changes_nothing() {
    let mut table = tricky().with("source.split-size", "9");
    let mut source = table.open(0, 1, &Checkpoint::default()).await.unwrap();
    let mut answer = Answer::default();
    while answer.rows.len() < 4 {
        answer.take(source.next().await.unwrap().unwrap());
    }
    table.set("source.split-size", "5");
    answer.rows.extend(table.read_all(2, &source.checkpoint()).await.unwrap().rows);
    assert_eq!(sorted(answer.rows), sorted(TRICKY_ROWS.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn the_ranges_of_a_file_are_one_sequence_in_order() {
    let content = "1,a\n2,b\n3,c\n4,d\n";
    let table = Table::new(&[("format", "csv"), ("source.split-size", "8")], &["n BIGINT", "s STRING"])
        .file("b.csv", content)
        .file("a.csv", content);
    let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let splits = discover(&Filesystem::default(), &table.spec, &Checkpoint::default()).await.unwrap();
    let named: Vec<_> = splits.iter().map(|split| (last(&split.name), last(&split.sequence))).collect();
    let expected =
        ["a.csv#0:0-8@16", "a.csv#1:8-@16", "b.csv#0:0-8@16", "b.csv#1:8-@16"].map(|name| (name, &name[..5]));
    assert_eq!(named, expected.map(|(name, file)| (name.to_owned(), file.to_owned())));
    let answer = table.read_all(1, &Checkpoint::default()).await.unwrap();
    assert_eq!(answer.rows, ["1 a", "2 b", "3 c", "4 d", "1 a", "2 b", "3 c", "4 d"]);
    assert_eq!(answer.finished, expected.map(|(name, _)| name));
}

#[tokio::test]
async fn compressed_files_are_one_range_and_can_be_resumed() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(TRICKY.as_bytes()).unwrap();
    let table = tricky()
        .file("f.csv.gz", gzip.finish().unwrap())
        .file("g.csv.zst", zstd::encode_all(TRICKY.as_bytes(), 1).unwrap())
        .with("source.split-size", "5");
    std::fs::remove_file(table.path("f.csv")).unwrap();
    let answer = table.read_all(1, &Checkpoint::default()).await.unwrap();
    assert_eq!(answer.rows, [TRICKY_ROWS, TRICKY_ROWS].concat());
    assert_eq!(answer.finished.len(), 2);
    check_resume(&table, 2, 1).await;
}

#[tokio::test]
async fn a_large_file_is_read_in_blocks() {
    let rows: Vec<String> = (0..200_000).map(|n| format!("{n},{}", "x".repeat(n % 20))).collect();
    let table = Table::new(&[("format", "csv"), ("source.split-size", "700kb")], &["n BIGINT", "s STRING"])
        .file("f.csv", rows.join("\n"));
    let mut seen = BTreeSet::new();
    for subtask in 0..2 {
        let context = SourceContext { subtask, parallelism: 2, batch_rows: 8192 };
        let mut reader =
            Reader::open(&Filesystem::default(), &table.spec, context, &Checkpoint::default()).await.unwrap();
        while let Some(event) = reader.next().await.unwrap() {
            if let SourceEvent::Rows { records, .. } = event {
                assert!(records.num_rows() <= 8192);
                for row in lines(&records) {
                    assert!(seen.insert(row.replace(" ∅", " ").replace(' ', ",")));
                }
            }
        }
    }
    assert_eq!(seen, rows.into_iter().collect());
}

#[tokio::test]
async fn what_is_appended_later_is_not_read_and_what_is_changed_is_refused() {
    let table =
        Table::new(&[("format", "csv"), ("source.split-size", "8")], &["n INT"]).file("f.csv", "1\n2\n3\n4\n5\n");
    let mut source = table.open(0, 1, &Checkpoint::default()).await.unwrap();
    let mut answer = Answer::default();
    while answer.rows.is_empty() {
        answer.take(source.next().await.unwrap().unwrap());
    }
    let reached = source.checkpoint();
    table.write("f.csv", "1\n2\n3\n4\n5\n6\n7\n");
    let rest = table.read_all(1, &reached).await.unwrap().rows;
    assert_eq!([answer.rows, rest].concat(), ["1", "2", "3", "4", "5"]);

    table.write("f.csv", "1\n2\n3\n");
    let error = table.read_all(1, &reached).await.err().unwrap();
    contains(&error, &["f.csv", "changed", "10 bytes"]);
    table.write("f.csv", "9\n8\n7\n6\n5\n");
    std::fs::File::open(table.path("f.csv")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    contains(&table.read_all(1, &reached).await.err().unwrap(), &["f.csv", "changed"]);
    std::fs::remove_file(table.path("f.csv")).unwrap();
    contains(&table.read_all(1, &reached).await.err().unwrap(), &["f.csv"]);
}

#[tokio::test]
async fn what_has_been_read_may_go() {
    let table = tricky();
    let done = table.read_all(2, &Checkpoint::default()).await.unwrap().checkpoint;
    assert_eq!(done.finished.len(), done.announced.len());
    std::fs::remove_file(table.path("f.csv")).unwrap();
    let again = table.read_all(3, &done).await.unwrap();
    assert_eq!(again.rows, [""; 0]);
    assert_eq!(again.checkpoint, done, "finished splits stay known");
}
