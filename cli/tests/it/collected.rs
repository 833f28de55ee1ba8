//! Aggregates that keep all values of a group, in queries as they run.

use crate::weir::{Ran, file, path, weir};

const ROWS: &str = "{\"g\": \"a\", \"k\": \"y\", \"n\": 2}
{\"g\": \"a\", \"k\": \"x\", \"n\": 1}
{\"g\": \"a\", \"k\": \"y\", \"n\": 1}
{\"g\": \"b\", \"k\": \"z\", \"n\": null}
";

fn ran(select: &str, keys: &str) -> Ran {
    let data = file(".json", ROWS);
    let script = format!(
        "CREATE TABLE t (g STRING, k STRING, n INT, ts AS CAST('2024-01-01 00:00:00' AS TIMESTAMP(3)), \
         WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');\n\
         SELECT {select} FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY) GROUP BY window_start, window_end, {keys}",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "json", "--quiet"])
}

/// What the aggregate is of each group.
#[track_caller]
fn check(aggregate: &str, expected: [&str; 2]) {
    let ran = ran(&format!("g, {aggregate} AS x"), "g").code(0);
    let mut lines: Vec<&str> = ran.out.lines().collect();
    lines.sort_unstable();
    let expected = [format!(r#"{{"g":"a","x":{}}}"#, expected[0]), format!(r#"{{"g":"b","x":{}}}"#, expected[1])];
    assert_eq!(lines, expected, "{aggregate}");
}

#[test]
fn values_are_counted() {
    check("COLLECT(n)", [r#"{"2":1,"1":2}"#, "{}"]);
    check("COLLECT(DISTINCT n)[1]", ["1", "null"]);
    check("COLLECT(k) FILTER (WHERE n = 1)", [r#"{"x":1,"y":1}"#, "{}"]);
}

#[test]
fn values_become_json() {
    check("JSON_ARRAYAGG(n)", [r#""[2,1,1]""#, r#""[]""#]);
    check("JSON_ARRAYAGG(n NULL ON NULL)", [r#""[2,1,1]""#, r#""[null]""#]);
    check("JSON_ARRAYAGG(k ABSENT ON NULL) FILTER (WHERE n > 1)", [r#""[\"y\"]""#, r#""[]""#]);
    check(
        "JSON_ARRAYAGG(JSON_OBJECT(KEY 'k' VALUE n))",
        [r#""[{\"k\":2},{\"k\":1},{\"k\":1}]""#, r#""[{\"k\":null}]""#],
    );
    check("JSON_OBJECTAGG(KEY k VALUE n)", [r#""{\"x\":1,\"y\":1}""#, r#""{\"z\":null}""#]);
    check("JSON_OBJECTAGG(k VALUE n ABSENT ON NULL)", [r#""{\"x\":1,\"y\":1}""#, r#""{}""#]);
    check("JSON_OBJECTAGG(KEY k VALUE n) FILTER (WHERE n = 2)", [r#""{\"y\":2}""#, r#""{}""#]);
}

#[test]
fn keys_of_json_are_text_and_not_null() {
    let refused = ran("JSON_OBJECTAGG(KEY n VALUE k)", "g").code(2);
    assert!(refused.err.contains("JSON_OBJECTAGG(KEY text VALUE x"), "{}", refused.err);
    let failed = ran("JSON_OBJECTAGG(KEY CAST(n AS STRING) VALUE k)", "g").code(3);
    assert!(failed.err.contains("a key of JSON_OBJECTAGG is null"), "{}", failed.err);
}

#[test]
fn keys_may_differ_in_a_cast_alone() {
    for keys in
        ["CAST(n AS STRING), CAST(n AS BIGINT), n", "n, CAST(n AS BIGINT), CAST(n AS STRING)", "1, 2, 3", "x, y, z"]
    {
        let select =
            "CAST(n AS STRING) AS x, CAST(n AS BIGINT) AS y, n AS z, CAST(n AS BIGINT) + 1 AS more, COUNT(*) AS c";
        let ran = ran(select, keys).code(0);
        let mut lines: Vec<&str> = ran.out.lines().collect();
        lines.sort_unstable();
        let expected = [
            r#"{"x":"1","y":1,"z":1,"more":2,"c":2}"#,
            r#"{"x":"2","y":2,"z":2,"more":3,"c":1}"#,
            r#"{"x":null,"y":null,"z":null,"more":null,"c":1}"#,
        ];
        assert_eq!(lines, expected, "{keys}");
    }
    let ran = ran(
        "CAST(n AS STRING) AS x, CAST(n AS DOUBLE) AS y, COUNT(*) AS c",
        "CUBE(CAST(n AS STRING), CAST(n AS DOUBLE))",
    );
    assert_eq!(ran.code(0).out.lines().count(), 10);
    let keys = "n, CAST(CAST(n AS STRING) AS BIGINT), CAST(n AS STRING)";
    assert_eq!(self::ran(&format!("{keys}, COUNT(*) AS c"), keys).code(0).out.lines().count(), 3);
}

#[test]
fn grouping_sets_have_no_number_unless_two_are_one() {
    let lines = |keys| {
        let ran = ran("g, GROUP_ID() AS n, COUNT(*) AS c", keys).code(0);
        let mut lines: Vec<String> = ran.out.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines("g"), [r#"{"g":"a","n":0,"c":3}"#, r#"{"g":"b","n":0,"c":1}"#]);
    assert_eq!(
        lines("ROLLUP(g)"),
        [r#"{"g":"a","n":0,"c":3}"#, r#"{"g":"b","n":0,"c":1}"#, r#"{"g":null,"n":0,"c":4}"#]
    );
    ran("g, GROUP_ID() AS n", "GROUPING SETS ((g), (g))").code(2);
}
