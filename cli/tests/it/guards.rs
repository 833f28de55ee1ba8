//! A condition guards what stands behind it: nothing is evaluated for a row that the query excludes, wherever DataFusion's rules
//! put the parts of the query, and whatever else is in the batch.

use crate::weir::{Ran, file, path, weir};

/// `k, x, y, s, ts`. In every seventh row `y` is zero and `s` is no number. `rows` rows, all in the windows from 00:00:00 on,
/// those of the last ten seconds without a zero.
fn numbers(rows: usize) -> String {
    (0..rows)
        .map(|k| {
            let last = k * 60 / rows >= 50;
            let (y, s) = if k % 7 == 0 && !last { (0, "none".to_owned()) } else { (k % 7 + 1, k.to_string()) };
            format!("{k},{},{y},{s},2024-01-01 00:00:{:02}\n", k * 2, k * 60 / rows)
        })
        .collect()
}

fn ran(rows: usize, columns: &str, query: &str) -> Ran {
    let data = file(".csv", &numbers(rows));
    let script = format!(
        "CREATE TABLE t (k BIGINT, x BIGINT, y BIGINT, s STRING, ts TIMESTAMP(3){columns}, WATERMARK FOR ts AS ts) WITH \
         ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n{query}",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"])
}

fn run(query: &str) -> Vec<String> {
    rows_of(ran(28, "", query))
}

fn rows_of(ran: Ran) -> Vec<String> {
    let mut rows: Vec<String> = ran.code(0).out.lines().skip(1).map(str::to_owned).collect();
    rows.sort_by_key(|row| row.split(',').next().and_then(|key| key.parse::<i64>().ok()));
    rows
}

/// The rows of [`numbers`] as `(k, x, y)`.
fn table() -> Vec<(i64, i64, i64)> {
    let number = |field: Option<&str>| field.unwrap().parse().unwrap();
    numbers(28)
        .lines()
        .map(|line| {
            let mut fields = line.split(',');
            (number(fields.next()), number(fields.next()), number(fields.next()))
        })
        .collect()
}

/// The keys of the rows where a condition holds.
fn keys(holds: impl Fn(i64, i64, i64) -> bool) -> Vec<String> {
    table().into_iter().filter(|(k, x, y)| holds(*k, *x, *y)).map(|(k, ..)| k.to_string()).collect()
}

#[test]
fn without_a_guard_the_rows_fail() {
    ran(28, "", "SELECT k FROM t WHERE x / y >= 1").code(3).says(&["x / y"]);
    ran(28, "", "SELECT k FROM t WHERE CAST(s AS BIGINT) >= 1").code(3).says(&["none"]);
}

#[test]
fn conditions_guard_those_behind_them() {
    let expected = keys(|_, x, y| y != 0 && x / y >= 8);
    for condition in [
        "y <> 0 AND x / y >= 8",
        "NOT (y = 0 OR x / y < 8)",
        "y <> 0 AND NOT (x / y < 8)",
        "y <> 0 AND x / y BETWEEN 8 AND 1000",
        "y > 0 AND x >= 0 AND x / y >= 8 AND x / y < 1000000",
        "(y > 0 AND x / y >= 8) OR (y < 0 AND x / y >= 8)",
        "CASE WHEN y = 0 THEN FALSE ELSE x / y >= 8 END",
        "CASE WHEN y = 0 THEN FALSE WHEN x / y > 100 THEN TRUE ELSE x / y >= 8 END",
        "CASE y WHEN 0 THEN FALSE ELSE x / y >= 8 END",
        "COALESCE(CASE WHEN y = 0 THEN FALSE END, x / y >= 8)",
        "x / NULLIF(y, 0) >= 8",
        "s <> 'none' AND CAST(s AS BIGINT) = k AND x / y >= 8",
    ] {
        assert_eq!(run(&format!("SELECT k FROM t WHERE {condition}")), expected, "{condition}");
    }
    let alternatives = keys(|_, x, y| y == 0 || x / y >= 8);
    for condition in ["y = 0 OR x / y >= 8", "NOT (y <> 0 AND x / y < 8)", "y = 0 OR y > 0 AND x / y >= 8"] {
        assert_eq!(run(&format!("SELECT k FROM t WHERE {condition}")), alternatives, "{condition}");
    }
    let list = keys(|_, x, y| y == 0 || y == x / y);
    assert_eq!(run("SELECT k FROM t WHERE y IN (0, x / y)"), list);
    assert_eq!(run("SELECT k FROM t WHERE NOT (y NOT IN (0, x / y))"), list);
}

#[test]
fn a_batch_of_any_size_is_guarded() {
    for (rows, query) in [
        (20_000, "SELECT k FROM t WHERE y <> 0 AND x / y >= 0"),
        (20_000, "SELECT k FROM (SELECT * FROM t WHERE y <> 0) WHERE x / y >= 0"),
        (1, "SELECT k FROM t WHERE y <> 0 AND x / y >= 0"),
        (2, "SELECT k FROM t WHERE y <> 0 AND x / y >= 0"),
    ] {
        let excluded = numbers(rows).lines().filter(|line| line.split(',').nth(2) == Some("0")).count();
        assert_eq!(rows_of(ran(rows, "", query)).len(), rows - excluded, "{query}");
    }
}

#[test]
fn results_are_computed_of_rows_that_pass() {
    let expected: Vec<String> =
        table().into_iter().filter(|(.., y)| *y != 0).map(|(k, x, y)| format!("{k},{}", x / y)).collect();
    for query in [
        "SELECT k, x / y AS q FROM t WHERE y <> 0",
        "SELECT k, q FROM (SELECT k, y, x / y AS q FROM t) WHERE y <> 0",
        "SELECT k, q FROM (SELECT k, y, x / y AS q FROM t) WHERE y <> 0 AND q >= 0 AND q < 1000000",
        "SELECT k, x / y AS q FROM (SELECT * FROM t WHERE y <> 0) WHERE x / y >= 0",
        "SELECT k, q FROM (SELECT k, x / y AS q FROM (SELECT * FROM t WHERE s <> 'none')) WHERE q >= 0",
        "SELECT k, q FROM (SELECT k, y, CASE WHEN y <> 0 THEN x / y END AS q, (y > 0 AND x / y > 1) OR (y < 0 AND x / y > 1) \
         AS b FROM t) WHERE q IS NOT NULL AND b IN (TRUE, FALSE)",
    ] {
        assert_eq!(run(query), expected, "{query}");
    }
}

#[test]
fn a_computed_column_is_computed_of_rows_that_pass() {
    let expected: Vec<String> =
        table().into_iter().filter(|(.., y)| *y != 0).map(|(k, x, y)| format!("{k},{}", x / y)).collect();
    let query = "SELECT k, q FROM t WHERE y <> 0 AND q >= 0";
    assert_eq!(rows_of(ran(28, ", q AS x / y", query)), expected);
    // Of a table that is read twice, too.
    let both = "SELECT k, q FROM t WHERE y <> 0 UNION ALL SELECT k, y FROM t WHERE y = 0";
    assert_eq!(rows_of(ran(28, ", q AS x / y", both)).len(), 28);
}

/// A condition that can fail guards another one: the order in which they were written counts.
#[test]
fn conditions_that_can_fail_keep_their_order() {
    // `100 / (k + 1)` is at least 4 up to k = 24, and 100 / 25 - 4 is zero there.
    let expected = keys(|k, _, _| 100 / (k + 1) > 4 && 60 / (100 / (k + 1) - 4) > 1);
    for query in [
        "SELECT k FROM t WHERE 100 / (k + 1) > 4 AND 60 / (100 / (k + 1) - 4) > 1",
        "SELECT k FROM (SELECT * FROM t WHERE 100 / (k + 1) > 4) WHERE 60 / (100 / (k + 1) - 4) > 1",
        "SELECT k FROM (SELECT k, 100 / (k + 1) AS h FROM t) WHERE h > 4 AND 60 / (h - 4) > 1",
    ] {
        assert_eq!(run(query), expected, "{query}");
    }
}

const WINDOWED: &str = "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)";

#[test]
fn aggregates_take_what_their_filter_lets_through() {
    let (count, sum) =
        table().iter().filter(|(.., y)| *y != 0).fold((0, 0), |(count, sum), (_, x, y)| (count + 1, sum + x / y));
    let query =
        "SELECT SUM(n), SUM(s), SUM(d) FROM TUMBLE(TABLE w, DESCRIPTOR(wt), INTERVAL '1' HOUR) GROUP BY window_start, \
                 window_end"
            .to_owned();
    let view = format!(
        "CREATE VIEW w AS SELECT window_time AS wt, COUNT(x / y) FILTER (WHERE y <> 0) AS n, SUM(x / y) FILTER (WHERE y <> 0) \
         AS s, SUM(DISTINCT x / y + k * 1000000) FILTER (WHERE y <> 0) AS d FROM {WINDOWED} GROUP BY window_start, window_end, \
         window_time; "
    );
    let keys: i64 = table().iter().filter(|(.., y)| *y != 0).map(|(k, ..)| k * 1_000_000).sum();
    assert_eq!(run(&format!("{view}{query}")), [format!("{count},{sum},{}", sum + keys)]);
}

#[test]
fn conditions_on_windows_and_groups_guard() {
    let last = keys(|k, _, _| k * 60 / 28 >= 50);
    let query = |conditions: &str| format!("SELECT k FROM {WINDOWED} WHERE {conditions}");
    assert_eq!(run(&query("window_start >= TIMESTAMP '2024-01-01 00:00:50' AND x / y >= 0")), last);
    let groups = format!(
        "SELECT y, SUM(x) / y AS q FROM {WINDOWED} GROUP BY window_start, window_end, y HAVING y <> 0 AND SUM(x) / y >= 0"
    );
    assert!(run(&groups).len() > 6);
    let sums = format!(
        "SELECT k FROM {WINDOWED} GROUP BY window_start, window_end, k HAVING SUM(y) <> 0 AND SUM(x) / SUM(y) >= 8"
    );
    assert_eq!(run(&sums), keys(|_, x, y| y != 0 && x / y >= 8));
    let ranked = format!(
        "SELECT k FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, y ORDER BY k) AS rn FROM {WINDOWED}) \
         WHERE rn <= 100 AND y <> 0 AND x / y >= 8"
    );
    assert_eq!(run(&ranked), keys(|_, x, y| y != 0 && x / y >= 8));
}

#[test]
fn conditions_of_a_join_and_over_it_guard() {
    let side = format!("(SELECT k, x, y, window_start, window_end FROM {WINDOWED})");
    let equal = "a.k = b.k AND a.window_start = b.window_start AND a.window_end = b.window_end";
    let matches = keys(|_, x, y| y != 0 && x / y >= 8);
    for query in [
        format!("SELECT a.k FROM {side} a JOIN {side} b ON {equal} WHERE b.y <> 0 AND a.x / b.y >= 8"),
        format!("SELECT a.k FROM {side} a JOIN {side} b ON {equal} AND b.y <> 0 AND a.x / b.y >= 8"),
        format!("SELECT a.k FROM {side} a JOIN {side} b ON {equal} AND b.y <> 0 WHERE a.x / b.y >= 8"),
        format!("SELECT a.k FROM {side} a, {side} b WHERE {equal} AND b.y <> 0 AND a.x / b.y >= 8"),
        format!(
            "SELECT b.k FROM {side} a LEFT JOIN {side} b ON {equal} AND b.y <> 0 AND a.x / b.y >= 8 WHERE b.k IS NOT NULL"
        ),
        format!(
            "SELECT b.k FROM {side} a LEFT JOIN {side} b ON {equal} AND a.y <> 0 AND a.x / a.y >= 8 WHERE b.k >= 0"
        ),
        format!("SELECT a.k FROM {side} a LEFT JOIN {side} b ON {equal} WHERE a.y <> 0 AND a.x / b.y >= 8"),
        format!(
            "SELECT a.k FROM {side} a WHERE a.y <> 0 AND a.x / a.y >= 8 AND EXISTS (SELECT 1 FROM {side} b WHERE {equal})"
        ),
        format!("SELECT a.k FROM {side} a JOIN (SELECT * FROM {side} WHERE y <> 0) b ON {equal} WHERE b.x / b.y >= 8"),
    ] {
        assert_eq!(run(&query), matches, "{query}");
    }
    // No key of a join that has one.
    let behind =
        format!("SELECT a.k FROM {side} a LEFT JOIN {side} b ON {equal} AND b.y <> 0 WHERE a.k * 0 = b.y % b.y");
    assert_eq!(run(&behind), keys(|_, _, y| y != 0));
    let alone = format!(
        "SELECT a.k FROM {side} a, (SELECT * FROM {side} WHERE y <> 0) b WHERE a.window_start = b.window_start \
         AND a.window_end = b.window_end AND a.k * 7 = b.k * b.y / b.y * 7"
    );
    assert_eq!(run(&alone), keys(|_, _, y| y != 0));
    // A key that can fail, behind a condition.
    let keyed = format!(
        "SELECT a.k FROM {side} a LEFT JOIN {side} b ON a.window_start = b.window_start AND a.window_end = b.window_end AND \
         a.k = b.k AND b.y <> 0 AND a.x / 2 = b.x / b.y * b.y / 2 WHERE b.k IS NOT NULL"
    );
    assert_eq!(run(&keyed), keys(|_, x, y| y != 0 && x / 2 == x / y * y / 2));
}
