//! Numbers at the ends of their types: a result that does not fit is a data error, and one that fits is exact.

use crate::weir::{Ran, file, path, weir};

/// The greatest BIGINT, the least, what a DOUBLE cannot say, and small ones.
const NUMBERS: &str = "\
1,9223372036854775807,2147483647,99999999999999999999999999999999999999,0.0
2,-9223372036854775808,-2147483648,-99999999999999999999999999999999999999,-0.0
3,9007199254740993,7,0,NaN
4,-7,-7,7,1.5
5,10000000000,10,1,-1.5
";

fn ran(data: &str, query: &str) -> Ran {
    let data = file(".csv", data);
    let script = format!(
        "CREATE TABLE t (k INT, b BIGINT, i INT, m DECIMAL(38, 0), d DOUBLE, ts AS CAST('2024-01-01 00:00:00' AS TIMESTAMP(3)), \
         WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n{query}",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"])
}

fn run(query: &str) -> Vec<String> {
    ran(NUMBERS, query).code(0).out.lines().skip(1).map(str::to_owned).collect()
}

const WINDOWED: &str = "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY) GROUP BY window_start, window_end";

#[test]
fn what_does_not_fit_is_an_error() {
    for (expression, k) in [
        ("b + 1", 1),
        ("1 + b", 1),
        ("b - 1", 2),
        ("-b", 2),
        ("b * 2", 1),
        ("b * b", 5),
        ("b / -1", 2),
        ("b / 0", 4),
        ("b % 0", 4),
        ("MOD(b, 0)", 4),
        ("ABS(b)", 2),
        ("ABS(i)", 2),
        ("-i", 2),
        ("CAST(b AS INT)", 5),
        ("CAST(i AS SMALLINT)", 1),
        ("CAST(d AS INT)", 3),
        ("CAST(d * 1e300 AS BIGINT)", 4),
        ("i + 1", 1),
        ("i * 2", 1),
        ("i * i", 1),
        ("m + 1", 1),
        ("m - 1", 2),
        ("m * 2", 1),
        ("m + m", 1),
        ("CAST(b AS DECIMAL(10, 0))", 5),
        ("CAST(m AS DECIMAL(38, 1))", 1),
        ("CAST(b * 1.0 AS DECIMAL(10, 2))", 5),
        ("CAST(m AS BIGINT)", 1),
        ("POWER(b, 2)", 1),
        ("9223372036854775807 + k", 1),
        ("9223372036854775807 + 1 + k", 4),
        ("k + 9223372036854775807 * 2", 4),
        ("CAST(CAST(i AS STRING) AS TINYINT)", 1),
        ("CAST('300' || CAST(k AS STRING) AS TINYINT)", 4),
    ] {
        let query = format!("SELECT k, {expression} AS x FROM t WHERE k = {k}");
        let ran = ran(NUMBERS, &query);
        // POWER is a DOUBLE for some: then it is infinite or rounded, and did not wrap.
        if expression.starts_with("POWER") && ran.code == Some(0) {
            assert!(ran.out.contains("e37"), "{}", ran.out);
            continue;
        }
        assert_eq!(ran.code, Some(3), "{expression}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn what_fits_is_exact() {
    let out = run("SELECT b - 1, -i, b % -1, b / 2, i * CAST(2 AS BIGINT), b % 4, -b + i FROM t WHERE k IN (1, 3, 4)");
    assert_eq!(
        out,
        [
            "9223372036854775806,-2147483647,0,4611686018427387903,4294967294,3,-9223372034707292160",
            "9007199254740992,-7,0,4503599627370496,14,1,-9007199254740986",
            "-8,7,0,-3,-14,-3,0",
        ]
    );
    assert_eq!(run("SELECT b % -1 FROM t WHERE k = 2"), ["0"]);
    let out =
        run("SELECT FLOOR(b), CEIL(b), TRUNCATE(b), ROUND(b), TRUNCATE(b, -2), ABS(b), SIGN(b) FROM t WHERE k = 3");
    let number = "9007199254740993";
    assert_eq!(out, [format!("{number},{number},{number},{number},9007199254740900,{number},1")]);
    let decimal = "CAST(CAST(m AS STRING) || '.75' AS DECIMAL(38, 2))";
    let out = run(&format!(
        "SELECT FLOOR({decimal}), CEIL({decimal}), TRUNCATE({decimal}), TRUNCATE({decimal}, 1), ROUND({decimal}) FROM t \
         WHERE k = 4"
    ));
    assert_eq!(out, ["7,8,7,7.7,8"]);
}

#[test]
fn quotients_of_decimals_are_rounded() {
    let decimal = |number: &str, digits: &str| format!("CAST('{number}' AS DECIMAL({digits}))");
    let third = format!("{} / {}", decimal("1", "38, 20"), decimal("3", "38, 20"));
    let query = format!(
        "SELECT {} / 3, {} / 3, {third}, m / {} FROM t WHERE k = 4",
        decimal("2", "10, 0"),
        decimal("-2", "10, 0"),
        decimal("0.5", "2, 1")
    );
    assert_eq!(run(&query), ["0.66666666667,-0.66666666667,0.333333,14.000000"]);
}

#[test]
fn whole_numbers_beyond_bigint_are_decimals() {
    let query = "SELECT m = 99999999999999999999999999999999999999, m = 99999999999999999999999999999999999998, \
         b < 9223372036854775808, b = 9223372036854775807, b = -9223372036854775808, 18446744073709551616 + 1, \
         CAST(-9223372036854775808 AS BIGINT) + 1, 0 - 9223372036854775808, 00000000000000000000000012 FROM t WHERE k = 1";
    assert_eq!(
        run(query),
        ["true,false,true,true,false,18446744073709551617,-9223372036854775807,-9223372036854775808,12"]
    );
    let insert = "CREATE TABLE s (b BIGINT) WITH ('connector' = 'print'); INSERT INTO s SELECT -9223372036854775808 FROM t \
         WHERE k = 1";
    assert!(ran(NUMBERS, insert).code(0).out.contains("-9223372036854775808"));
}

#[test]
fn averages_of_whole_numbers_are_exact() {
    let query = |filter: &str| {
        format!("SELECT AVG(b), AVG(i), AVG(k) FROM {WINDOWED}").replace(" GROUP", &format!(" WHERE {filter} GROUP"))
    };
    assert_eq!(run(&query("k IN (3, 4)")), ["4503599627370493.0,0.0,3.5"]);
    assert_eq!(run(&query("k IN (1, 2, 4)")), ["-2.6666666666666665,-2.6666666666666665,2.3333333333333335"]);
    assert_eq!(run(&query("k IN (1, 3)")), ["4.616189618054758e18,1073741827.0,2.0"]);
    assert_eq!(
        run(&format!("SELECT AVG(b) FILTER (WHERE k = 3), AVG(b) FILTER (WHERE k > 9) FROM {WINDOWED}")),
        ["9007199254740992.0,"]
    );
}

#[test]
fn sums_do_not_wrap() {
    for aggregate in [
        "SUM(b)",
        "SUM(DISTINCT b)",
        "SUM(m)",
        "SUM(DISTINCT m)",
        "MAX(m + 1)",
        "SUM(m) FILTER (WHERE TRUE)",
        "SUM(DISTINCT m) FILTER (WHERE k > 0)",
    ] {
        let query = format!("SELECT {aggregate} AS x FROM {WINDOWED}");
        let positive: String =
            NUMBERS.lines().filter(|line| !line.starts_with('2')).map(|line| format!("{line}\n")).collect();
        let ran = ran(&positive, &query);
        assert_eq!(ran.code, Some(3), "{aggregate}: {}{}", ran.out, ran.err);
    }
    assert_eq!(
        run(&format!("SELECT SUM(b), SUM(DISTINCT b), SUM(DISTINCT m), COUNT(DISTINCT m) FROM {WINDOWED}")),
        ["9007209254740985,9007209254740985,8,5"]
    );
}

/// `a, b`: zeros of both signs, and NaNs that are computed and that are read.
const FLOATS: &str = "1,0.0,-0.0\n2,-0.0,0.0\n3,NaN,NaN\n4,1.0,-1.0\n";

fn floats(query: &str) -> Vec<String> {
    let data = file(".csv", FLOATS);
    let script = format!(
        "CREATE TABLE t (k INT, a DOUBLE, b DOUBLE, ts AS CAST('2024-01-01 00:00:00' AS TIMESTAMP(3)), WATERMARK FOR ts AS ts) WITH \
         ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n{query}",
        path(&data)
    );
    let out = weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"]).code(0).out;
    let mut rows: Vec<String> = out.lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn zeros_and_nans_are_one_value_each() {
    // `a` with `b`, or with what is NaN by computation where `b` is NaN.
    let other = "CASE WHEN b = CAST('NaN' AS DOUBLE) THEN (a - a) / (a - a) ELSE b END";
    for same in [
        format!("a = {other}"),
        format!("NOT (a <> {other})"),
        format!("a IS NOT DISTINCT FROM {other}"),
        format!("a <= {other} AND a >= {other}"),
        format!("NOT (a < {other} OR a > {other})"),
        format!("CASE a WHEN {other} THEN TRUE ELSE FALSE END"),
        format!("NULLIF(a, {other}) IS NULL"),
        format!("a IN ({other}, 17.0)"),
        format!("{other} IN (a, a + 1, a + 2, a + 3, a + 4)"),
        format!("GREATEST(a, {other}) = LEAST(a, {other})"),
        format!("a BETWEEN {other} AND {other}"),
        format!("ROW(a, k) = ROW({other}, k)"),
        format!("ROW(a, MAKE_ARRAY(a)) IN (ROW(17e0, MAKE_ARRAY(a)), ROW({other}, MAKE_ARRAY({other})))"),
    ] {
        assert_eq!(floats(&format!("SELECT k FROM t WHERE {same}")), ["1", "2", "3"], "{same}");
    }
    let zeros = "0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0";
    assert_eq!(floats(&format!("SELECT k FROM t WHERE a IN ({zeros})")), ["1", "2"]);
    assert_eq!(floats(&format!("SELECT k FROM t WHERE b IN (-{zeros})")), ["1", "2"]);
    assert_eq!(
        floats("SELECT k FROM t WHERE CASE a WHEN 0.0 THEN 'zero' WHEN 1.0 THEN 'one' END = 'zero'"),
        ["1", "2"]
    );
    assert_eq!(
        floats("SELECT k FROM t WHERE CASE b WHEN -0.0 THEN 'zero' WHEN 1.0 THEN 'one' END = 'zero'"),
        ["1", "2"]
    );
    // Constants of a subquery, which become constants of the conditions above.
    for same in [
        "x = y",
        "NULLIF(x, y) IS NULL",
        "CASE x WHEN y THEN TRUE ELSE FALSE END",
        "x IN (y, 17e0)",
        "NOT x IS DISTINCT FROM y",
    ] {
        let query = format!("SELECT k FROM (SELECT k, 0e0 AS x, -0e0 AS y FROM t) WHERE {same}");
        assert_eq!(floats(&query), ["1", "2", "3", "4"], "{same}");
    }
    assert_eq!(floats("SELECT k FROM t WHERE a > 1e308"), ["3"]);
    assert_eq!(floats("SELECT k FROM t WHERE ARRAY_POSITION(MAKE_ARRAY(7.0, 0.0), a) = 2"), ["1", "2"]);
    assert_eq!(
        floats(
            "SELECT k FROM t WHERE ARRAY_HAS(MAKE_ARRAY(7.0, b), a) AND ARRAY_HAS_ANY(MAKE_ARRAY(b), MAKE_ARRAY(a))"
        ),
        ["1", "2", "3"]
    );
    assert_eq!(floats("SELECT k FROM t WHERE CARDINALITY(ARRAY_DISTINCT(MAKE_ARRAY(a, b))) = 1"), ["1", "2", "3"]);
    assert_eq!(floats("SELECT k FROM t WHERE (a - a) / (a - a) > 1e308"), ["1", "2", "3", "4"]);
}

#[test]
fn zeros_and_nans_are_one_group_each() {
    let both = "TUMBLE(TABLE u, DESCRIPTOR(ts), INTERVAL '1' DAY)";
    let view = "CREATE VIEW u AS SELECT ts, k, a AS x FROM t UNION ALL SELECT ts, k + 4, b FROM t UNION ALL \
         SELECT ts, k + 8, (a - a) / (a - a) FROM t WHERE k = 3; ";
    let window = "window_start, window_end";
    let query = |query: String| floats(&format!("{view}{query}"));
    let found = query(format!("SELECT x, COUNT(*) AS n FROM {both} GROUP BY {window}, x"));
    assert_eq!(
        found.iter().map(|row| row.rsplit(',').next().unwrap()).collect::<Vec<_>>(),
        ["1", "4", "1", "3"],
        "{found:?}"
    );
    assert_eq!(query(format!("SELECT COUNT(DISTINCT x) FROM {both} GROUP BY {window}")), ["4"]);
    assert_eq!(
        query(format!("SELECT COUNT(*) FROM (SELECT DISTINCT {window}, x FROM {both}) GROUP BY {window}")),
        ["4"]
    );
    let first = format!(
        "SELECT k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {window}, x ORDER BY k) AS rn FROM {both}) WHERE rn = 1"
    );
    assert_eq!(query(first), ["1", "3", "4", "8"]);
    let ties = format!(
        "SELECT k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {window} ORDER BY ABS(x) * 0, k) AS rn FROM {both} WHERE x = 0) WHERE rn <= 2"
    );
    assert_eq!(query(ties), ["1", "2"]);
    let ties = format!(
        "SELECT k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {window} ORDER BY x, k) AS rn FROM {both} WHERE x = 0) WHERE rn <= 2"
    );
    assert_eq!(query(ties), ["1", "2"]);
    let join = format!(
        "SELECT COUNT(*) FROM (SELECT {window}, x FROM {both}) a JOIN (SELECT {window}, x FROM {both}) b ON \
         a.window_start = b.window_start AND a.window_end = b.window_end AND a.x = b.x GROUP BY a.window_start, a.window_end"
    );
    assert_eq!(query(join), ["27"]);
    let extremes =
        format!("SELECT MIN(x) = 0, MAX(x) = 0, MIN(DISTINCT x) = 0 FROM {both} WHERE x = 0 GROUP BY {window}");
    assert_eq!(query(extremes), ["true,true,true"]);
    let nan = format!("SELECT MIN(x), MAX(x) FROM {both} WHERE k IN (4, 8, 11) GROUP BY {window}");
    assert_eq!(query(nan), ["-1.0,NaN"]);
}
