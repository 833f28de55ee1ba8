//! Times of every year and with every digit, in queries as they run.

use crate::weir::{Ran, file, path, weir};

const TIMES: &str = r#"{"k": 1, "ts": "1995-01-01 10:00:00.001", "u": "1995-01-01 10:00:00.001002", "d": "1995-01-31"}
{"k": 2, "ts": "9999-12-31 00:00:00.000", "u": "9999-12-31 00:00:00.000001", "d": "9999-12-31"}
{"k": 3, "ts": "1969-12-31 23:59:59.999", "u": "1969-12-31 23:59:59.999999", "d": "1600-02-29"}
"#;

fn run(query: &str) -> Vec<String> {
    let data = file(".json", TIMES);
    let script = format!(
        "CREATE TABLE t (k INT, ts TIMESTAMP(3), u TIMESTAMP(6), d DATE) \
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');\n{query}",
        path(&data)
    );
    let ran = weir(&["run", "-e", &script, "--parallelism", "1", "--output", "json", "--quiet"]).code(0);
    ran.out.lines().map(str::to_owned).collect()
}

#[test]
fn conditions_hold_in_every_year() {
    for (condition, expected) in [
        ("EXTRACT(YEAR FROM u) < 9999", vec![1, 3]),
        ("EXTRACT(YEAR FROM u) = 9999", vec![2]),
        ("EXTRACT(YEAR FROM d) <> 1600", vec![1, 2]),
        ("ts = '9999-12-31 00:00:00'", vec![2]),
        ("u > '9999-12-31'", vec![2]),
        ("ts IN ('9999-12-31 00:00:00', '1995-01-01 10:00:00.001')", vec![1, 2]),
        ("ts BETWEEN '1600-01-01' AND '1994-12-31'", vec![3]),
        ("d >= ts", vec![1, 2]),
        ("ts < u", vec![1, 2, 3]),
        // What has fewer digits never is between two of its own.
        ("CAST(ts AS TIMESTAMP(6)) = '1995-01-01 10:00:00.001002'", vec![]),
        ("CAST(ts AS TIMESTAMP(6)) < '1995-01-01 10:00:00.001001'", vec![1, 3]),
        ("CAST(u AS TIMESTAMP(3)) = ts", vec![1, 2, 3]),
        ("FLOOR(d TO MONTH) = DATE '9999-12-01'", vec![2]),
        ("FLOOR(u TO SECOND) = TIMESTAMP '1969-12-31 23:59:59'", vec![3]),
        ("COALESCE(ts, d) > TIMESTAMP '9000-01-01 00:00:00'", vec![2]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|k| format!("{{\"k\":{k}}}")).collect();
        assert_eq!(run(&format!("SELECT k FROM t WHERE {condition}")), expected, "{condition}");
    }
}

#[test]
fn times_are_printed_with_the_digits_of_their_type() {
    let rows =
        run("SELECT ts, u, d, CAST(ts AS STRING) AS s, ts || '!' AS c, CONCAT(u, '/', d) AS x FROM t WHERE k = 1");
    assert_eq!(
        rows,
        [concat!(
            r#"{"ts":"1995-01-01 10:00:00.001","u":"1995-01-01 10:00:00.001002","d":"1995-01-31","#,
            r#""s":"1995-01-01 10:00:00.001","c":"1995-01-01 10:00:00.001!","x":"1995-01-01 10:00:00.001002/1995-01-31"}"#
        )]
    );
}

#[test]
fn functions_cut_nothing() {
    for (expression, expected) in [
        ("DATE_FORMAT(u, 'ss.SSSSSS')", ["00.001002", "00.000001", "59.999999"]),
        (
            "CAST(TIMESTAMPADD(SECOND, 1, u) AS STRING)",
            ["1995-01-01 10:00:01.001002", "9999-12-31 00:00:01.000001", "1970-01-01 00:00:00.999999"],
        ),
        ("CAST(TIMESTAMPADD(MONTH, 1, d) AS STRING)", ["1995-02-28", "+10000-01-31", "1600-03-29"]),
        (
            "CAST(CAST(u AS TIMESTAMP(3)) AS STRING)",
            ["1995-01-01 10:00:00.001", "9999-12-31 00:00:00.000", "1969-12-31 23:59:59.999"],
        ),
        (
            "CAST(TIMESTAMPDIFF(HOUR, u, TIMESTAMP '1970-01-01 00:00:00.999998') AS STRING)",
            ["-219153", "-70389503", "0"],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|text| format!("{{\"x\":\"{text}\"}}")).collect();
        assert_eq!(run(&format!("SELECT {expression} AS x FROM t")), expected, "{expression}");
    }
}

/// Rows of which one has no event time, under a policy.
fn windowed(options: &str, more: &str) -> Ran {
    let data = file(
        ".json",
        "{\"id\": 1, \"ts\": \"2013-01-01 10:00:00\"}\n{\"id\": 2}\n{\"id\": 3, \"ts\": \"2013-01-01 10:00:01\"}\n",
    );
    let script = format!(
        "CREATE TABLE t (id INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json'{options});\n{more}\
         SELECT COUNT(*) AS n FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR) GROUP BY window_start, window_end;",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "json"])
}

#[test]
fn a_row_without_an_event_time_is_not_lost_silently() {
    windowed("", "").code(3).says(&["no event time: ts is null", "scan.watermark.null-policy"]);
    let ran = windowed(", 'scan.watermark.null-policy' = 'skip'", "").code(0).says(&["1 rejected"]);
    assert_eq!(ran.out, "{\"n\":2}\n");
    windowed(", 'scan.watermark.null-policy' = 'dead-letter'", "").code(2).says(&["does not say where"]);
    windowed(", 'scan.watermark.null-policy' = 'drop'", "").code(2).says(&["expected a policy"]);
    let folder = tempfile::tempdir().unwrap();
    let dead = format!(
        "CREATE TABLE dead (table_name STRING, origin STRING, record_offset BIGINT, raw STRING, reason STRING) \
         WITH ('connector' = 'print', 'print-identifier' = '{}');",
        folder.path().display()
    );
    let dead = dead.replace("raw STRING", "raw BYTES");
    let options = ", 'scan.watermark.null-policy' = 'dead-letter', 'dead-letter.table' = 'dead'";
    let ran = windowed(options, &dead).code(0);
    let kept = ran.out.lines().find(|line| line.contains("the event time ts is null"));
    let kept = kept.unwrap_or_else(|| panic!("{}", ran.out));
    assert!(kept.contains("null") && kept.contains("+I[t, "), "{kept}");
    assert!(ran.out.contains("{\"n\":2}"), "{}", ran.out);
}
