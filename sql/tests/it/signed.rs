//! Whole numbers are BIGINT, whatever function they come from.

use super::{dataflow, refusal};

const TABLES: &str = "CREATE TABLE s (n BIGINT) WITH ('connector'='fake');
     CREATE TABLE e (k INT, tags ARRAY<STRING>, at TIME, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='fake');";

#[test]
fn what_is_counted_computes_as_a_bigint() {
    let windowed = "FROM TUMBLE(TABLE e, DESCRIPTOR(ts), INTERVAL '1' SECOND)";
    let numbered =
        format!("SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY k) AS rn {windowed}");
    for query in [
        "SELECT CARDINALITY(tags) * 2 FROM e".to_owned(),
        "SELECT k + ARRAY_POSITION(tags, 'a') FROM e".to_owned(),
        format!("SELECT rn * 2 FROM ({numbered}) WHERE rn <= 3"),
        format!("SELECT COALESCE(rn, k) FROM ({numbered}) WHERE rn <= 3"),
        format!("SELECT APPROX_DISTINCT(k) + 1 {windowed} GROUP BY window_start, window_end"),
        format!(
            "SELECT k + APPROX_DISTINCT(at) {windowed} GROUP BY window_start, window_end, k HAVING APPROX_DISTINCT(at) > 1"
        ),
    ] {
        let text = dataflow(&format!("{TABLES} INSERT INTO s {query}"));
        assert!(!text.contains("DECIMAL"), "{query}:\n{text}");
    }
    let text = refusal(&format!("{TABLES} INSERT INTO s SELECT CARDINALITY(tags) * 1.5 FROM e"));
    assert!(text.contains("DECIMAL(13, 1)"), "{text}");
}

#[test]
fn computed_columns_too() {
    let table = "CREATE TABLE c (tags ARRAY<STRING>, n AS CARDINALITY(tags) * 2) WITH ('connector'='fake');";
    dataflow(&format!("{TABLES} {table} INSERT INTO s SELECT n FROM c"));
}

#[test]
fn row_numbers_are_counted_in_any_order() {
    for column in ["at", "CAST('a' AS BYTES)", "tags"] {
        dataflow(&format!(
            "{TABLES} INSERT INTO s SELECT k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end
             ORDER BY {column}) AS rn FROM TUMBLE(TABLE e, DESCRIPTOR(ts), INTERVAL '1' SECOND)) WHERE rn <= 2"
        ));
    }
}
