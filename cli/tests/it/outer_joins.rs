//! What a side of an outer join computes is null where no row of it was found.

use crate::weir::{file, path, weir};

const LEFT: &str = "1,10,2024-01-01 00:00:01\n2,20,2024-01-01 00:00:02\n3,,2024-01-01 00:00:03\n";
const RIGHT: &str = "1,100,2024-01-01 00:00:01\n3,,2024-01-01 00:00:03\n4,400,2024-01-01 00:00:04\n";

/// What either side computes of a row `k, x`.
const COMPUTED: &str = "TRUE AS present, COALESCE(x, 7) AS c, CASE WHEN x IS NULL THEN 'none' ELSE 'some' END AS s, \
     x IS NULL AS n, k + 1 AS y, COALESCE(CAST(x AS STRING), 'x') || '!' AS t";

/// The same by hand.
fn computed(k: i64, x: Option<i64>) -> String {
    let c = x.unwrap_or(7);
    let s = if x.is_none() { "none" } else { "some" };
    let t = x.map_or("x".to_owned(), |x| x.to_string());
    format!("{k},true,{c},{s},{},{},{t}!", x.is_none(), k + 1)
}

const NOTHING: &str = ",,,,,,";

fn run(query: &str) -> Vec<String> {
    let files = [file(".csv", LEFT), file(".csv", RIGHT)];
    let table = |name: &str, data: &tempfile::NamedTempFile| {
        format!(
            "CREATE TABLE {name} (k BIGINT, x BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH \
             ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n",
            path(data)
        )
    };
    let script = format!("{}{}{query}", table("l", &files[0]), table("r", &files[1]));
    let out = weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"]).code(0).out;
    let mut rows: Vec<String> = out.lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

fn windowed(table: &str) -> String {
    format!("TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '10' SECOND)")
}

/// The rows of a join by `k`.
fn expected(join: &str) -> Vec<String> {
    let left = [(1, Some(10)), (2, Some(20)), (3, None)];
    let right = [(1, Some(100)), (3, None), (4, Some(400))];
    let mut rows = Vec::new();
    for (k, x) in left {
        match right.iter().find(|(other, _)| *other == k) {
            Some((other, y)) => rows.push(format!("{},{}", computed(k, x), computed(*other, *y))),
            None if matches!(join, "LEFT" | "FULL") => rows.push(format!("{},{NOTHING}", computed(k, x))),
            None => {}
        }
    }
    for (k, x) in right {
        if matches!(join, "RIGHT" | "FULL") && left.iter().all(|(other, _)| *other != k) {
            rows.push(format!("{NOTHING},{}", computed(k, x)));
        }
    }
    rows.sort_unstable();
    rows
}

const SELECTED: &str = "a.k, a.present, a.c, a.s, a.n, a.y, a.t, b.k, b.present, b.c, b.s, b.n, b.y, b.t";

#[test]
fn window_joins_pad_what_is_computed() {
    for join in ["INNER", "LEFT", "RIGHT", "FULL"] {
        let side = |table: &str| format!("(SELECT k, window_start, window_end, {COMPUTED} FROM {})", windowed(table));
        let query = format!(
            "SELECT {SELECTED} FROM {} a {join} JOIN {} b ON a.k = b.k AND a.window_start = b.window_start AND \
             a.window_end = b.window_end",
            side("l"),
            side("r")
        );
        assert_eq!(run(&query), expected(join), "{join}");
    }
}

#[test]
fn interval_joins_pad_what_is_computed() {
    for join in ["INNER", "LEFT", "RIGHT", "FULL"] {
        let query = format!(
            "SELECT {SELECTED} FROM (SELECT k, ts, {COMPUTED} FROM l) a {join} JOIN (SELECT k, ts, {COMPUTED} FROM r) b \
             ON a.k = b.k AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' SECOND"
        );
        assert_eq!(run(&query), expected(join), "{join}");
    }
}

#[test]
fn a_side_that_is_itself_a_join_pads_what_is_computed() {
    // Each row of `r` with itself, and what that computes; the inner joins below computed it above themselves.
    let inner = format!(
        "SELECT i.k, i.window_start, i.window_end, i.present, j.c, i.s, j.n, i.k + 1 AS y, j.t FROM \
         (SELECT k, window_start, window_end, {COMPUTED} FROM {}) i JOIN (SELECT k, window_start, window_end, {COMPUTED} \
         FROM {}) j ON i.k = j.k AND i.window_start = j.window_start AND i.window_end = j.window_end",
        windowed("r"),
        windowed("r")
    );
    let left = format!("(SELECT k, window_start, window_end, {COMPUTED} FROM {})", windowed("l"));
    for join in ["LEFT", "RIGHT", "FULL"] {
        let query = format!(
            "SELECT {SELECTED} FROM {left} a {join} JOIN ({inner}) b ON a.k = b.k AND a.window_start = b.window_start \
             AND a.window_end = b.window_end"
        );
        assert_eq!(run(&query), expected(join), "{join}");
    }
}

#[test]
fn an_outer_join_below_an_outer_join_pads_what_is_computed() {
    let windows = |table: &str| format!("(SELECT k, window_start, window_end, {COMPUTED} FROM {})", windowed(table));
    let equal = |a: &str, b: &str| {
        format!("{a}.k = {b}.k AND {a}.window_start = {b}.window_start AND {a}.window_end = {b}.window_end")
    };
    let query = format!(
        "SELECT o.k, b.k, b.c, b.filled, b.of_r FROM {} o LEFT JOIN (SELECT l.k, l.window_start, l.window_end, l.c, \
         COALESCE(r.c, -1) AS filled, r.present AS of_r FROM {} l LEFT JOIN {} r ON {}) b ON {}",
        windows("r"),
        windows("l"),
        windows("r"),
        equal("l", "r"),
        equal("o", "b")
    );
    assert_eq!(run(&query), ["1,1,10,100,true", "3,3,7,7,true", "4,,,,"]);
    // The padded row of the inner join is a row like any other to the outer one.
    let swapped = query.replacen("FROM TUMBLE(TABLE r,", "FROM TUMBLE(TABLE l,", 1);
    assert_eq!(run(&swapped), ["1,1,10,100,true", "2,2,20,-1,", "3,3,7,7,true"]);
}

#[test]
fn rows_without_a_partner_are_found_by_a_constant() {
    let side = |table: &str, more: &str| format!("(SELECT k, window_start, window_end{more} FROM {})", windowed(table));
    let equal = "a.k = b.k AND a.window_start = b.window_start AND a.window_end = b.window_end";
    let present = side("r", ", TRUE AS present");
    let of = |condition: &str| {
        run(&format!("SELECT a.k FROM {} a LEFT JOIN {present} b ON {equal} WHERE {condition}", side("l", "")))
    };
    assert_eq!(of("b.present IS NULL"), ["2"]);
    assert_eq!(of("b.present IS NOT NULL"), ["1", "3"]);
    assert_eq!(of("b.present"), ["1", "3"]);
    assert_eq!(of("COALESCE(b.present, FALSE) = FALSE"), ["2"]);
    assert_eq!(of("b.present IS NOT TRUE"), ["2"]);
    let query = "SELECT a.k FROM l a LEFT JOIN (SELECT k, ts, 1 AS one FROM r) b ON a.k = b.k AND a.ts BETWEEN b.ts AND \
         b.ts + INTERVAL '1' SECOND WHERE b.one IS NULL";
    assert_eq!(run(query), ["2"]);
    // Nothing at all on the side that computes.
    let query = "SELECT b.k, a.c FROM (SELECT k, ts, COALESCE(x, 7) AS c FROM l WHERE FALSE) a RIGHT JOIN r b ON a.k = b.k \
         AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' SECOND";
    assert_eq!(run(query), ["1,", "3,", "4,"]);
}

#[test]
fn a_union_and_an_aggregation_pad_what_is_computed() {
    let equal = "a.k = b.k AND a.window_start = b.window_start AND a.window_end = b.window_end";
    let left = format!("(SELECT k, window_start, window_end FROM {})", windowed("l"));
    let grouped = format!(
        "(SELECT k, window_start, window_end, COUNT(*) + 1 AS n, 'r' AS name FROM {} GROUP BY k, window_start, window_end)",
        windowed("r")
    );
    let query = format!("SELECT a.k, b.n, b.name FROM {left} a LEFT JOIN {grouped} b ON {equal}");
    assert_eq!(run(&query), ["1,2,r", "2,,", "3,2,r"]);
    let union = format!(
        "(SELECT k, window_start, window_end, 'r' AS name FROM {} UNION ALL SELECT k + 100, window_start, window_end, 'l' \
         FROM {})",
        windowed("r"),
        windowed("l")
    );
    let query = format!("SELECT a.k, b.name, b.k IS NULL FROM {left} a LEFT JOIN {union} b ON {equal}");
    assert_eq!(run(&query), ["1,r,false", "2,,true", "3,r,false"]);
}
