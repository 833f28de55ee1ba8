//! Text, arrays, maps and rows, in queries as they run.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringViewArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::ipc::writer::FileWriter;

use crate::weir::{Ran, file, path, weir};

const ROWS: &str = concat!(
    r#"{"k": 1, "p": "C:\\logs\\a", "arr": [1, 2], "m": {"a": 7}, "st": {"a": 20, "b": "b"}, "#,
    r#""items": [{"sku": "x", "qty": 1}, {"sku": "y", "qty": 2}]}"#,
    "\n",
    r#"{"k": 2, "p": "C:\\logs%", "arr": [3], "m": {"b": 8}, "st": {"a": 21, "b": "c"}, "items": []}"#,
    "\n",
    r#"{"k": 3, "p": "x", "arr": null, "m": null, "st": null, "items": null}"#,
    "\n"
);

fn ran(query: &str) -> Ran {
    let data = file(".json", ROWS);
    let script = format!(
        "CREATE TABLE t (k INT, p STRING, arr ARRAY<BIGINT>, m MAP<STRING, INT>, st ROW<a INT, b STRING>, \
         items ARRAY<ROW<sku STRING, qty INT>>, ts AS CAST('2024-01-01 00:00:00' AS TIMESTAMP(3)), WATERMARK FOR ts AS ts) \
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');\n{query}",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "json", "--quiet"])
}

fn run(query: &str) -> Vec<String> {
    ran(query).code(0).out.lines().map(str::to_owned).collect()
}

/// What `expression` is for each of the rows.
#[track_caller]
fn check(expression: &str, expected: [&str; 3]) {
    let expected: Vec<String> = expected.iter().map(|value| format!("{{\"x\":{value}}}")).collect();
    assert_eq!(run(&format!("SELECT {expression} AS x FROM t")), expected, "{expression}");
}

#[test]
fn maps_and_rows_are_read_and_written() {
    check("m['a']", ["7", "null", "null"]);
    check("m[st.b]", ["null", "null", "null"]);
    check("CAST(m AS MAP<STRING, BIGINT>)", [r#"{"a":7}"#, r#"{"b":8}"#, "null"]);
    check("CAST(st AS ROW<x BIGINT, y STRING>)", [r#"{"x":20,"y":"b"}"#, r#"{"x":21,"y":"c"}"#, "null"]);
    check("CAST(m AS STRING)", [r#""{a=7}""#, r#""{b=8}""#, "null"]);
    check("CAST(st AS STRING)", [r#""(20, b)""#, r#""(21, c)""#, "null"]);
    check("CAST(items AS STRING)", [r#""[(x, 1), (y, 2)]""#, r#""[]""#, "null"]);
    check("'is ' || CAST(arr AS STRING)", [r#""is [1, 2]""#, r#""is [3]""#, "null"]);
}

#[test]
fn fields_of_what_is_computed() {
    check("CAST(st AS ROW<x BIGINT, y STRING>).x", ["20", "21", "null"]);
    check("ELEMENT(ARRAY[st]).b", [r#""b""#, r#""c""#, "null"]);
    check("items[1].sku", [r#""x""#, "null", "null"]);
    check("t.items[2].qty", ["2", "null", "null"]);
    check("(items[1]).qty + 1", ["2", "null", "null"]);
}

#[test]
fn rows_are_compared_and_chosen() {
    check("(k, st.a) = (1, 20)", ["true", "false", "false"]);
    check("ROW(k, st.a) = ROW(3, 20)", ["false", "false", "null"]);
    check("(k, st.a) <> (3, 20)", ["true", "true", "null"]);
    check("(k, st.a) IN ((1, 20), (3, 21))", ["true", "false", "null"]);
    check("(k, st.a) NOT IN ((1, 20), (3, 21))", ["false", "true", "null"]);
    check("st = ROW(20, 'b')", ["true", "false", "null"]);
    check("st <> ROW(20, 'b')", ["false", "true", "null"]);
    check("st IS DISTINCT FROM ROW(20, 'b')", ["false", "true", "true"]);
    check("st IN (ROW(21, 'c'), ROW(1, 'x'))", ["false", "true", "null"]);
    check("CASE WHEN k = 1 THEN ROW(1, 'one') ELSE st END", [r#"{"a":1,"b":"one"}"#, r#"{"a":21,"b":"c"}"#, "null"]);
    check("CASE WHEN k = 2 THEN st END", ["null", r#"{"a":21,"b":"c"}"#, "null"]);
    let fields = |row: &str| run(&format!("SELECT r.a AS a, COALESCE(r.b, '-') AS b FROM (SELECT {row} AS r FROM t)"));
    let (first, second, none) = (r#"{"a":20,"b":"b"}"#, r#"{"a":21,"b":"c"}"#, r#"{"a":null,"b":"-"}"#);
    assert_eq!(fields("st"), [first, second, none]);
    assert_eq!(fields("NULLIF(st, ROW(20, 'b'))"), [none, second, none]);
    assert_eq!(fields("CASE WHEN k = 2 THEN st END"), [none, second, none]);
}

#[test]
fn a_null_array_has_no_elements() {
    check("ARRAY_APPEND(NULLIF(arr, make_array(1, 2)), 9)", ["null", "[3,9]", "null"]);
    check("NULLIF(arr, make_array(1, 2))[1]", ["null", "3", "null"]);
    check("ARRAY_LENGTH(NULLIF(arr, make_array(1, 2)))", ["null", "1", "null"]);
}

#[test]
fn like_has_no_escape_of_its_own() {
    check(r"p LIKE 'C:\logs\%'", ["true", "false", "false"]);
    check(r"p LIKE 'C:\logs!%' ESCAPE '!'", ["false", "true", "false"]);
    check("CAST(k AS STRING) SIMILAR TO '(1|2)'", ["true", "true", "false"]);
}

#[test]
fn elements_become_columns() {
    let query = |names: &str| format!("SELECT t.k, x.* FROM t CROSS JOIN UNNEST(items) AS x{names}");
    let two = [r#"{"k":1,"sku":"x","qty":1}"#, r#"{"k":1,"sku":"y","qty":2}"#];
    assert_eq!(run(&query(" (sku, qty)")), two);
    assert_eq!(run(&query("")), two);
    assert_eq!(run(&query(" (a, b)"))[0], r#"{"k":1,"a":"x","b":1}"#);
    assert_eq!(run(&query(" (item)"))[0], r#"{"k":1,"item":{"sku":"x","qty":1}}"#);
    let left = "SELECT t.k, x.qty FROM t LEFT JOIN UNNEST(items) AS x (sku, qty) ON TRUE";
    let padded = [r#"{"k":1,"qty":1}"#, r#"{"k":1,"qty":2}"#, r#"{"k":2,"qty":null}"#, r#"{"k":3,"qty":null}"#];
    assert_eq!(run(left), padded);
    ran(&query(" (a, b, c)")).code(2).says(&["UNNEST has another number of columns"]);
    let numbers = "SELECT x.n FROM t CROSS JOIN UNNEST(arr) AS x (n, m)";
    ran(numbers).code(2).says(&["UNNEST has another number of columns"]);
}

#[test]
fn nested_values_are_keys_of_windows_and_window_joins() {
    let window = "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY)";
    for key in ["arr", "st", "m"] {
        let grouped = format!("SELECT COUNT(*) AS n FROM {window} GROUP BY window_start, window_end, {key}");
        assert_eq!(run(&grouped), [r#"{"n":1}"#; 3]);
        let joined = format!(
            "SELECT a.k FROM (SELECT * FROM {window}) a JOIN (SELECT * FROM {window}) b \
             ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.{key} = b.{key}"
        );
        // Null is equal to nothing.
        let mut known = run(&joined);
        known.sort();
        assert_eq!(known, [r#"{"k":1}"#, r#"{"k":2}"#]);
    }
}

#[test]
fn aggregates_are_computed_or_refused_when_planned() {
    let of = |call: &str| {
        format!(
            "SELECT {call} AS x FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY) GROUP BY window_start, window_end"
        )
    };
    assert_eq!(run(&of("NTH_VALUE(p, 2 ORDER BY k DESC)")), [r#"{"x":"C:\\logs%"}"#]);
    assert_eq!(run(&of("ARRAY_AGG(k ORDER BY k DESC)[1]")), [r#"{"x":3}"#]);
    ran(&of("NTH_VALUE(p, 2)")).code(2).says(&["NTH_VALUE has a value, its place and an order"]);
    ran(&of("STDDEV(DISTINCT k)")).code(2).says(&["STDDEV(DISTINCT …) is not supported", "SELECT DISTINCT"]);
}

#[test]
fn fields_of_a_null_row_are_null_whatever_a_file_holds() {
    let fields = vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8View, true)];
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![1, 0])), Arc::new(StringViewArray::from(vec!["x", ""]))];
    let row: ArrayRef = Arc::new(StructArray::new(fields.into(), columns, Some(NullBuffer::from(vec![true, false]))));
    let batch = RecordBatch::try_from_iter([("r", row)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("rows.arrow");
    let mut writer = FileWriter::try_new(File::create(&name).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let script = format!(
        "CREATE TABLE t (r ROW<a INT, b STRING>) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'arrow');\n\
         SELECT r, r.a AS a, r.b AS b, COALESCE(r.a, 5) AS c, r.a IS NULL AS n FROM t",
        name.display()
    );
    let ran = weir(&["run", "-e", &script, "--parallelism", "1", "--output", "json", "--quiet"]).code(0);
    assert_eq!(
        ran.out,
        concat!(
            "{\"r\":{\"a\":1,\"b\":\"x\"},\"a\":1,\"b\":\"x\",\"c\":1,\"n\":false}\n",
            "{\"r\":null,\"a\":null,\"b\":null,\"c\":5,\"n\":true}\n"
        )
    );
}
