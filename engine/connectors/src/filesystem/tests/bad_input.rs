//! Each kind of bad input gives an error that names file and place.

use weir_core::ErrorKind;

use super::*;

fn csv(content: impl AsRef<[u8]>) -> Table {
    Table::new(&[("format", "csv")], &["n INT", "s STRING"]).file("f.csv", content)
}

#[tokio::test]
async fn a_value_of_the_wrong_type() {
    let error = csv("1,a\n2,b\nx3,c\n").fails().await;
    assert_eq!(error.kind(), ErrorKind::Data);
    contains(&error, &["f.csv, line 3, byte 8", "column 'n'", "'x3' is not a valid INT", "error-policy"]);
    contains(&csv("n,s\n1,a\n").fails().await, &["line 1,", "csv.header"]);
    contains(&csv("NA,a\n").fails().await, &["csv.null-literal"]);
    contains(&csv("2147483648,a\n").fails().await, &["'2147483648'"]);
    contains(&csv("1.5,a\n").fails().await, &["'1.5'"]);
    let json = Table::new(&[("format", "json")], &["n INT"]).file("f.json", "{\"n\":1}\n{\"n\":{}}\n");
    contains(&json.fails().await, &["f.json, line 2, byte 8", "column 'n'", "'{}' is not a valid INT"]);
    let table = json.file("f.json", "{\n  \"n\": 1\n}\n");
    contains(&table.fails().await, &["line 1", "one whole object on each line"]);
}

#[tokio::test]
async fn line_numbers_are_right_in_later_ranges_and_compressed_files() {
    let mut content: String = (0..100).map(|n| format!("{n},x\n")).collect();
    content.push_str("y,x\n");
    let table = csv(&content).with("source.split-size", "16");
    contains(&table.fails().await, &["f.csv, line 101, byte 490"]);
    let table = csv("").file("f.csv.zst", zstd::encode_all(content.as_bytes(), 1).unwrap());
    contains(&table.fails().await, &["f.csv.zst, line 101, byte 490"]);
}

#[tokio::test]
async fn too_few_and_too_many_fields() {
    contains(&csv("1,a\n2\n").fails().await, &["line 2", "1 fields instead of 2"]);
    contains(&csv("1,a,b\n").fails().await, &["3 fields instead of 2"]);
    let mut narrow = csv("1,a,b\n");
    narrow.spec.projection = Some(vec![0]);
    contains(&narrow.fails().await, &["3 fields instead of 2"]);
}

#[tokio::test]
async fn a_missing_column() {
    let table = csv("num,s\n1,a\n").with("csv.header", "true");
    contains(&table.fails().await, &["f.csv", "no column 'n'", "num, s"]);
    let json = Table::new(&[("format", "json")], &["n INT", "m INT"]).file("f", "{\"n\":1}\n");
    assert_eq!(json.read().await.unwrap(), ["1 ∅"]);
    contains(&json.with("json.fail-on-missing-field", "true").fails().await, &["line 1", "no field 'm'"]);
    let json = Table::new(&[("format", "json")], &["n INT", "m INT NOT NULL"]).file("f", "{\"n\":1}\n");
    contains(&json.fails().await, &["'m'"]);
    contains(
        &Table::new(&[("format", "csv")], &["n INT NOT NULL", "s STRING"]).file("f", ",a\n").fails().await,
        &["'n' is NOT NULL"],
    );
}

#[tokio::test]
async fn invalid_utf8() {
    let content = b"1,a\n2,b\xff\n3,c\n";
    contains(&csv(content).fails().await, &["f.csv, line 2, byte 4", "UTF-8 at its byte 4"]);
    let answer = csv(content).with("error-policy", "dead-letter").read_all(1, &Checkpoint::default()).await.unwrap();
    assert_eq!(answer.rows, ["1 a", "3 c"]);
    assert_eq!(answer.rejected[0].raw, b"2,b\xff");
    assert!(answer.rejected[0].origin.ends_with("f.csv"));
}

#[tokio::test]
async fn stray_quotes() {
    contains(&csv("1,5\"\n").fails().await, &["quote inside of field 2", "csv.quote-character"]);
    contains(&csv("1,\"a\"b\n").fails().await, &["behind a closing quote"]);
    contains(&csv("1,\"a\n").fails().await, &["not closed"]);
    contains(&csv("1,\"a").with("csv.multiline", "true").fails().await, &["line 1", "not closed"]);
}

#[tokio::test]
async fn a_line_of_100_mb() {
    let mut content = b"1,a\n".to_vec();
    content.resize(100 << 20, b'x');
    content.extend(b"\n2,b\n");
    let table = csv(&content);
    contains(&table.fails().await, &["f.csv, line 2, byte 4", "longer than 16777216 bytes"]);
    let table = table.with("source.split-size", "7mb").with("error-policy", "skip");
    let answer = table.read_all(2, &Checkpoint::default()).await.unwrap();
    assert_eq!(sorted(answer.rows), ["1 a", "2 b"]);
    assert_eq!(answer.rejected.len(), 1);
    assert_eq!(answer.rejected[0].raw, vec![b'x'; 64 << 10]);
}

#[tokio::test]
async fn long_records_are_rejected_wherever_blocks_end() {
    let content = "1,a\n2,bbbbbbbbbbbbbbbbbb\n3,c\n4,dddddddddddddddddddddddd";
    let mut table = csv(content).with("max-record-size", "8").with("error-policy", "skip");
    for split_size in 1..content.len() {
        table.set("source.split-size", &split_size.to_string());
        let answer = table.read_all(1, &Checkpoint::default()).await.unwrap();
        assert_eq!(answer.rows, ["1 a", "3 c"]);
        let raw: Vec<String> = answer.rejected.iter().map(|bad| String::from_utf8(bad.raw.clone()).unwrap()).collect();
        assert_eq!(raw, ["2,bbbbbbbbbbbbbbbbbb", "4,dddddddddddddddddddddddd"]);
    }
}

#[tokio::test]
async fn deep_nesting_costs_no_stack() {
    let json = Table::new(&[("format", "json")], &["n INT"]).file("f", "[".repeat(1 << 20));
    contains(&json.fails().await, &["line 1"]);
    let json = json.file("f", format!("{{\"x\":{}", "[".repeat(1 << 20)));
    contains(&json.fails().await, &["nested too deeply"]);
    let json = json.file("f", format!("{{\"x\":{}", "{\"a\":".repeat(1 << 18)));
    contains(&json.fails().await, &["nested too deeply"]);
}

#[tokio::test]
async fn damaged_compression() {
    let good = zstd::encode_all("1,a\n".repeat(100_000).as_bytes(), 1).unwrap();
    let table = csv("").file("f.csv.zst", &good[..good.len() / 2]);
    let error = table.fails().await;
    assert_eq!(error.kind(), ErrorKind::Data, "{}", error.report());
    contains(&error, &["f.csv.zst: cannot be unpacked as zstd, behind byte ", "'compression' = 'none'"]);
    let table = csv("").file("f.csv.gz", "this is not gzip");
    let error = table.fails().await;
    assert_eq!(error.kind(), ErrorKind::Data, "{}", error.report());
    contains(&error, &["f.csv.gz: cannot be unpacked as gzip, behind byte 0 of its text", "'compression' = 'none'"]);
}

#[tokio::test]
async fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let table = csv("1,a\n").file("closed/g.csv", "1,a\n");
    std::fs::set_permissions(table.path("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if std::fs::read_dir(table.path("closed")).is_err() {
        let error = table.fails().await;
        assert_eq!(error.kind(), ErrorKind::Environment);
        contains(&error, &["closed", "cannot read this folder"]);
    }
    std::fs::set_permissions(table.path("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(table.read().await.unwrap(), ["1 a", "1 a"]);
}

#[tokio::test]
async fn random_bytes_are_refused_and_nothing_panics() {
    let mut state = 1u64;
    let mut noise = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect()
    };
    for format in ["csv", "json", "parquet", "arrow"] {
        let table = Table::new(&[("format", format)], &["n INT", "s STRING"]);
        for length in [1, 3, 12, 100, 5000] {
            table.write("f", noise(length));
            contains(&table.fails().await, &["/f"]);
        }
    }
}
