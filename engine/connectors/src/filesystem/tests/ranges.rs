//! However a file is cut, each record is read once, by some subtask, and reading can stop and go on anywhere.

use super::*;

/// Line breaks of both kinds, blank lines, text of several bytes a character, no line break at the end.
const TRICKY: &str = "1,a\r\n22,\"b,b\"\n\n333,ü\n4,\"say \"\"hi\"\"\"\n\r\n55,\n6,\"\"\n7777777777,x€y\n8,ende";
const TRICKY_ROWS: [&str; 8] = ["1 a", "22 b,b", "333 ü", "4 say \"hi\"", "55 ∅", "6 ", "7777777777 x€y", "8 ende"];

fn tricky() -> Table {
    Table::new(&[("format", "csv")], &["n BIGINT", "s STRING"]).file("f.csv", TRICKY)
}

#[tokio::test]
async fn ranges_of_any_size_give_each_record_once() {
    let mut table = tricky();
    for size in 0..=TRICKY.len() + 1 {
        table.set("source.split-size", &size.to_string());
        for parallelism in 1..=4 {
            let rows = table.read_all(parallelism, &[]).await.unwrap().rows;
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
    let mut source = table.open(0, 1, &[]).await.unwrap();
    let mut answer = Answer::default();
    while answer.rows.len() < 4 {
        answer.take(source.next().await.unwrap());
    }
    table.set("source.split-size", "5");
    answer.rows.extend(table.read_all(2, &source.positions()).await.unwrap().rows);
    assert_eq!(sorted(answer.rows), sorted(TRICKY_ROWS.map(str::to_owned).to_vec()));
}

/// A checkpoint can hold positions of a file from some subtasks only, if the others had not seen it yet.
#[tokio::test]
async fn ranges_that_a_checkpoint_does_not_know_are_found_again() {
    let table = tricky().with("source.split-size", "9");
    let all = table.open(0, 1, &[]).await.unwrap().positions();
    assert!(all.len() > 5);
    for known in &all {
        let rows = table.read_all(2, std::slice::from_ref(known)).await.unwrap().rows;
        assert_eq!(sorted(rows), sorted(TRICKY_ROWS.map(str::to_owned).to_vec()), "{known:?}");
    }
}

#[tokio::test]
async fn the_first_range_of_each_file_holds_the_watermark_and_none_ends_before_the_next_has_begun() {
    let content = "1,a\n2,b\n3,c\n4,d\n";
    let table = Table::new(&[("format", "csv"), ("source.split-size", "8")], &["n BIGINT", "s STRING"])
        .file("a.csv", content)
        .file("b.csv", content);
    let mut source = table.open(0, 1, &[]).await.unwrap();
    let mut events = Vec::new();
    loop {
        let mut answer = Answer::default();
        let event = source.next().await.unwrap();
        match event {
            SourceEvent::End => break,
            SourceEvent::Rows { split, records, .. } => {
                events.push(format!("{} {}", split.rsplit('/').next().unwrap(), lines(&records).join("; ")));
            }
            event => {
                answer.take(event);
                events.extend(answer.splits);
            }
        }
    }
    assert_eq!(
        events,
        [
            "+a.csv#0:0-8@16 holds",
            "+a.csv#1:8-@16",
            "+b.csv#0:0-8@16 holds",
            "+b.csv#1:8-@16",
            "a.csv#0:0-8@16 1 a; 2 b",
            "a.csv#1:8-@16 3 c; 4 d",
            "-a.csv#0:0-8@16",
            "-a.csv#1:8-@16",
            "b.csv#0:0-8@16 1 a; 2 b",
            "b.csv#1:8-@16 3 c; 4 d",
            "-b.csv#0:0-8@16",
            "-b.csv#1:8-@16",
        ]
    );
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
    let answer = table.read_all(1, &[]).await.unwrap();
    assert_eq!(answer.rows, [TRICKY_ROWS, TRICKY_ROWS].concat());
    assert_eq!(answer.splits.iter().filter(|line| line.starts_with('+')).count(), 2);
    check_resume(&table, 2, 1).await;
}

#[tokio::test]
async fn a_large_file_is_read_in_blocks() {
    let rows: Vec<String> = (0..200_000).map(|n| format!("{n},{}", "x".repeat(n % 20))).collect();
    let table = Table::new(&[("format", "csv"), ("source.split-size", "700kb")], &["n BIGINT", "s STRING"])
        .file("f.csv", rows.join("\n"));
    let mut seen = BTreeSet::new();
    for subtask in 0..2 {
        let context = SourceContext { subtask, parallelism: 2, restored: Vec::new(), batch_rows: 8192 };
        let mut source = Filesystem.open_source(&table.spec, context).await.unwrap();
        loop {
            match source.next().await.unwrap() {
                SourceEvent::Rows { records, .. } => {
                    assert!(records.num_rows() <= 8192);
                    for row in lines(&records) {
                        assert!(seen.insert(row.replace(" ∅", " ").replace(' ', ",")));
                    }
                }
                SourceEvent::End => break,
                _ => {}
            }
        }
    }
    assert_eq!(seen, rows.into_iter().collect());
}

#[tokio::test]
async fn what_is_appended_later_is_not_read_and_what_is_changed_is_refused() {
    let table =
        Table::new(&[("format", "csv"), ("source.split-size", "8")], &["n INT"]).file("f.csv", "1\n2\n3\n4\n5\n");
    let mut source = table.open(0, 1, &[]).await.unwrap();
    let mut answer = Answer::default();
    while answer.rows.is_empty() {
        answer.take(source.next().await.unwrap());
    }
    let positions = source.positions();
    table.write("f.csv", "1\n2\n3\n4\n5\n6\n7\n");
    let rest = table.read_all(1, &positions).await.unwrap().rows;
    assert_eq!([answer.rows, rest].concat(), ["1", "2", "3", "4", "5"]);

    table.write("f.csv", "1\n2\n3\n");
    let error = table.read_all(1, &positions).await.err().unwrap();
    contains(&error, &["f.csv", "changed", "10 bytes"]);
    table.write("f.csv", "9\n8\n7\n6\n5\n");
    std::fs::File::open(table.path("f.csv")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    contains(&table.read_all(1, &positions).await.err().unwrap(), &["f.csv", "changed"]);
    std::fs::remove_file(table.path("f.csv")).unwrap();
    contains(&table.read_all(1, &positions).await.err().unwrap(), &["f.csv"]);
}

#[tokio::test]
async fn what_has_been_read_may_go() {
    let table = tricky();
    let done = table.read_all(2, &[]).await.unwrap().positions;
    assert!(done.iter().all(|position| position.finished));
    std::fs::remove_file(table.path("f.csv")).unwrap();
    let again = table.read_all(3, &done).await.unwrap();
    assert_eq!(again.rows, [""; 0]);
    assert_eq!(again.positions.len(), done.len(), "finished splits stay known");
}
