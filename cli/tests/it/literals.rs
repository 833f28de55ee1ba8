//! Text in a query beside values of other types: it says a value of theirs, with all its digits, or the query is refused.

use crate::weir::{Ran, file, path, weir};

const TABLE: &str = "x DECIMAL(38, 19), big DECIMAL(38, 2), i INT, y TINYINT, d DOUBLE, o BOOLEAN, dt DATE, t TIME, ts TIMESTAMP(3), s STRING";

const ROW: &str = "0.0000000000000000001,123456789012345678901234567890.12,1,100,1.5,true,2024-02-29,10:00:00,\
     2024-02-29 10:00:00.000,1\n";

fn run(query: &str) -> Ran {
    let data = file(".csv", ROW);
    let script = format!(
        "CREATE TABLE t ({TABLE}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n{query}",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"])
}

#[track_caller]
fn is(expression: &str, expected: &str) {
    let out = run(&format!("SELECT {expression} AS v FROM t")).code(0).out;
    assert_eq!(out, format!("v\n{expected}\n"), "{expression}");
}

#[test]
fn text_beside_decimals_has_its_own_digits() {
    is("x = '0.0000000000000000001'", "true");
    is("x IN ('0.0000000000000000001', '7')", "true");
    is("x >= '0.0000000000000000002'", "false");
    is("x BETWEEN '0' AND '1e-19'", "true");
    is("big = '123456789012345678901234567890.12'", "true");
    is("big = '123456789012345678901234567890.120'", "true");
    is("big <> '123456789012345678901234567890.13'", "true");
    is("CASE big WHEN '123456789012345678901234567890.12' THEN 1 END", "1");
    is("i = '1.9'", "false");
    is("i < ' 1.5 '", "true");
    is("y < '300'", "true");
    is("d = '1.5'", "true");
    is("d < 'Infinity'", "true");
}

#[test]
fn text_beside_numbers_in_functions_has_its_own_digits() {
    is("NULLIF(i, '1.9')", "1");
    is("NULLIF(i, '1.0')", "");
    is("GREATEST(i, '1.5')", "1.5");
    is("LEAST(i, '0.5')", "0.5");
    is("GREATEST(i, '7')", "7");
    is("COALESCE(i, '2')", "1");
    is("GREATEST(d, '2.5')", "2.5");
    is("COALESCE(s, '2')", "1");
}

#[test]
fn text_that_is_no_value_is_an_error_of_the_query_with_its_place() {
    for (expression, text, data_type) in [
        ("i > 'abc'", "'abc'", "INT"),
        ("x IN ('1', 'abc')", "'abc'", "DECIMAL(38, 19)"),
        ("d = 'abc'", "'abc'", "DOUBLE"),
        (
            "big = '1234567890123456789012345678901234567890'",
            "'1234567890123456789012345678901234567890'",
            "DECIMAL(38, 2)",
        ),
        ("COALESCE(i, 'x')", "'x'", "INT"),
        ("IFNULL(i, 'x')", "'x'", "INT"),
        ("NULLIF(i, 'x')", "'x'", "INT"),
        ("GREATEST(i, 'x')", "'x'", "INT"),
        ("ARRAY[i, 'a']", "'a'", "INT"),
        ("CASE i WHEN 'x' THEN 1 END", "'x'", "INT"),
        ("ts > 'now'", "'now'", "TIMESTAMP(3)"),
        ("ts > '2024-02-29T10:00:00'", "'2024-02-29T10:00:00'", "TIMESTAMP(3)"),
        ("ts BETWEEN '2024-02-29' AND 'x'", "'x'", "TIMESTAMP(3)"),
        ("dt = '29.02.2024'", "'29.02.2024'", "DATE"),
    ] {
        let column = 8 + expression.find(text).unwrap();
        run(&format!("SELECT {expression} AS v FROM t"))
            .code(2)
            .says(&[&format!("line 2, column {column}: {text} is no {data_type}, which it stands beside")]);
    }
}

#[test]
fn what_fails_because_of_a_row_is_said_once_and_in_the_words_of_sql() {
    let err = run("SELECT CAST(s || 'x' AS INT) AS v FROM t").code(3).err;
    assert_eq!(err.matches("'1x' cannot be read as INT").count(), 1, "{err}");
    assert!(!err.contains("Arrow error") && !err.contains("Int32"), "{err}");
}
