//! CSV and JSON as they are written in the wild.

use super::*;

const ALL: [&str; 11] = [
    "b BOOLEAN",
    "t TINYINT",
    "i INT",
    "l BIGINT",
    "d DOUBLE",
    "m DECIMAL",
    "y DATE",
    "c TIME",
    "ts TIMESTAMP",
    "tz TIMESTAMP_LTZ",
    "s STRING",
];
const ALL_ROW: &str = "true -128 7 9223372036854775807 -1.5 12.35 2013-01-31 10:00:01.500 2013-01-01T10:00:00.250 \
                       2013-01-01T08:00:00Z x";
const NULLS: &str = "∅ ∅ ∅ ∅ ∅ ∅ ∅ ∅ ∅ ∅ ";

fn show_time(row: &str) -> String {
    row.replace("10:00:01.500000000", "10:00:01.500")
}

#[tokio::test]
async fn csv_values_of_all_types() {
    let table = Table::new(&[("format", "csv")], &ALL).file(
        "f",
        "TRUE,-128, 7 ,9223372036854775807,-1.5,12.345,2013-01-31,10:00:01.5,2013-01-01T10:00:00.25Z,\
         2013-01-01 10:00+02:00,x\n,,,,,,,,,,\n",
    );
    let rows = table.read().await.unwrap();
    assert_eq!(rows.iter().map(|row| show_time(row)).collect::<Vec<_>>(), [ALL_ROW, NULLS]);
}

#[tokio::test]
async fn json_values_of_all_types() {
    let mut columns = ALL.to_vec();
    columns.extend(["raw BYTES", "a ARRAY INT", "o MAP STRING INT", "r ROW"]);
    let table = Table::new(&[("format", "json")], &columns).file(
        "f",
        concat!(
            r#"{"b":true,"t":-128,"i":7.0,"l":9223372036854775807,"d":"-1.5","m":12.345,"y":"2013-01-31","#,
            r#""c":"10:00:01.5","ts":"2013-01-01 10:00:00.25","tz":"2013-01-01T08:00:00Z","s":"x","raw":"AP8=","#,
            r#""a":[1,null,3],"o":{"k\u0031":1,"q":null},"r":{"b":"\ud83d\ude00\n","a":1}}"#,
            "\n",
            r#"{"s":{"deep": [1]},"a":[],"o":{},"i":1,"i":2,"unknown":[[[]],{"x":{}}],"r":null}"#,
            "\n"
        ),
    );
    let rows = table.read().await.unwrap();
    assert_eq!(
        rows.iter().map(|row| show_time(row)).collect::<Vec<_>>(),
        [
            format!("{ALL_ROW} 00ff [1, ∅, 3] {{k1: 1, q: ∅}} {{a: 1, b: 😀\n}}"),
            "∅ ∅ 2 ∅ ∅ ∅ ∅ ∅ ∅ ∅ {\"deep\": [1]} ∅ [] {} ∅".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_bad_record_leaves_no_trace_whatever_its_types() {
    let columns = ["l BIGINT NOT NULL", "a ARRAY INT", "o MAP STRING INT", "r ROW", "n INT"];
    let good = r#"{"l":1,"a":[1],"o":{"x":1},"r":{"a":1,"b":"y"},"n":1}"#;
    let bad = [
        r#"{"l":null}"#,
        r#"{"l":1,"a":[1,2,"x"],"n":1}"#,
        r#"{"l":1,"o":{"a":1,"b":[]}}"#,
        r#"{"l":1,"r":{"a":5}}"#,
        r#"{"l":1,"r":{"a":"x","b":"y"}}"#,
        r#"{"l":1,"a":[1],"o":{"x":1},"r":{"a":1,"b":"y"},"n":2147483648}"#,
        r#"{"l":1.5}"#,
        r#"{"l":1"#,
        r#"{"l":1} {"l":2}"#,
        r#"{"l":1,}"#,
        r#"{"l":01}"#,
        r#"{l:1}"#,
        r#"[1]"#,
        "null",
        "\u{1}\u{2}",
    ];
    let content: Vec<String> = bad.iter().map(|bad| format!("{good}\n{bad}\n")).collect();
    let table =
        Table::new(&[("format", "json"), ("error-policy", "skip")], &columns).file("f", content.concat() + good);
    let answer = table.read_all(1, &Checkpoint::default()).await.unwrap();
    assert_eq!(answer.rows, vec!["1 [1] {x: 1} {a: 1, b: y} 1"; bad.len() + 1]);
    assert_eq!(
        answer.rejected.iter().map(|bad| String::from_utf8_lossy(&bad.raw).into_owned()).collect::<Vec<_>>(),
        bad
    );
    let mut offset = 0;
    for (rejected, piece) in answer.rejected.iter().zip(&content) {
        assert_eq!(rejected.offset, (offset + good.len() + 1) as u64);
        offset += piece.len();
    }
    assert!(answer.rejected[1].reason.contains("column 'a'"), "{}", answer.rejected[1].reason);
}

#[tokio::test]
async fn headers_name_columns_and_only_wanted_ones_are_read() {
    let mut table = Table::new(
        &[("format", "csv"), ("csv.header", "true"), ("csv.null-literal", "NA"), ("csv.allow-comments", "true")],
        &["a INT", "b STRING", "c INT"],
    )
    .file("f", "# a comment, \"so\nc,junk,a,b\n1,x,2,NA\n3,\"#,\",NA,\"NA\"\n# more\n4,,5,\n");
    assert_eq!(table.read().await.unwrap(), ["2 ∅ 1", "∅ NA 3", "5  4"]);
    table.spec.projection = Some(vec![2, 0]);
    assert_eq!(table.read().await.unwrap(), ["1 2", "3 ∅", "4 5"]);
    table.spec.projection = Some(vec![]);
    assert_eq!(table.read().await.unwrap(), ["", "", ""]);
}

#[tokio::test]
async fn other_delimiters_and_quotes() {
    let table = Table::new(
        &[("format", "csv"), ("csv.field-delimiter", "\\t"), ("csv.quote-character", "'")],
        &["a STRING", "b STRING"],
    )
    .file("f", "x\"y\t'a\tb'\n");
    assert_eq!(table.read().await.unwrap(), ["x\"y a\tb"]);
    let table = table.with("csv.quote-character", "").file("f", "5\"\t'a'\n");
    assert_eq!(table.read().await.unwrap(), ["5\" 'a'"]);
}

#[tokio::test]
async fn quoted_line_breaks_want_to_be_declared() {
    let content = "1,\"a\nb\"\n2,\"c\"\"\r\n\"\n3,d\n";
    let table = Table::new(&[("format", "csv"), ("source.split-size", "4")], &["n INT", "s STRING"]).file("f", content);
    contains(&table.fails().await, &["/f, line 1, byte 0", "csv.multiline"]);
    let table = table.with("csv.multiline", "true");
    assert_eq!(table.read().await.unwrap(), ["1 a\nb", "2 c\"\r\n", "3 d"]);
    check_resume(&table, 1, 2).await;
}

#[tokio::test]
async fn empty_files_have_no_rows() {
    for format in ["csv", "json", "parquet", "arrow"] {
        let table = Table::new(&[("format", format)], &["n INT"]).file("f", "");
        assert_eq!(table.read().await.unwrap(), [""; 0]);
    }
    let table = Table::new(&[("format", "csv"), ("csv.header", "true")], &["n INT"]).file("f", "").file("g", "\n");
    assert_eq!(table.read().await.unwrap(), [""; 0]);
    assert_eq!(table.file("g", "n\n").read().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn columns_that_describe_the_file() {
    let mut table =
        Table::new(&[("format", "csv")], &["n INT", "p STRING", "f STRING", "z BIGINT", "m TIMESTAMP_LTZ", "o BIGINT"])
            .file("f.csv", "1\n\nx\n333\n")
            .with("error-policy", "skip");
    std::fs::File::open(table.path("f.csv")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let keys = ["", "file.path", "file.name", "file.size", "file.modification-time", "record.offset"];
    let fields = table.spec.schema.fields().iter().zip(keys).map(|(field, key)| {
        let metadata = (!key.is_empty()).then(|| ("weir.metadata".to_owned(), key.to_owned()));
        Field::clone(field).with_metadata(metadata.into_iter().collect())
    });
    table.spec.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let path = name_of(&table.path("f.csv")).to_owned();
    let about = format!("{path} f.csv 9 1970-01-01T00:00:00Z");
    assert_eq!(table.read().await.unwrap(), [format!("1 {about} 0"), format!("333 {about} 5")]);
    table.spec.projection = Some(vec![5]);
    assert_eq!(table.read().await.unwrap(), ["0", "3", "5"], "no column of the file is read, so none is bad");
}
