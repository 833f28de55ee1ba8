//! Aggregations in one phase, as a table for late rows asks for, and in two: the state is found either way.

use weir_core::JobGraph;
use weir_sql::PlanOptions;

use super::{options, plan_with};

fn planned(script: &str, late_table: Option<&str>) -> JobGraph {
    let late = "CREATE TABLE late (operator STRING, event_time TIMESTAMP(3), watermark TIMESTAMP(3), `row` STRING)
                WITH ('connector' = 'fake');";
    let options = PlanOptions { late_table: late_table.map(str::to_owned), ..options() };
    let plan = plan_with(&format!("{late}{script}"), &options).unwrap_or_else(|error| panic!("{}", error.report()));
    plan.graph.unwrap()
}

/// Plans a script with so many stateful operators on windows, both ways.
#[track_caller]
fn has_one_state(script: &str, stateful: usize) {
    let (two, one) = (planned(script, None), planned(script, Some("late")));
    let uids = |graph: &JobGraph| -> Vec<String> {
        let windowed = graph.nodes().iter().filter(|node| node.spec.name.starts_with("Window"));
        windowed.map(|node| node.uid.to_string()).collect()
    };
    assert!(two.nodes().iter().any(|node| node.spec.name == "PartialAggregate"), "{}", weir_sql::explain(&two));
    assert!(!one.nodes().iter().any(|node| node.spec.name == "PartialAggregate"), "{}", weir_sql::explain(&one));
    let text = || format!("{}\n{}", weir_sql::explain(&two), weir_sql::explain(&one));
    assert_eq!(uids(&two).len(), stateful, "{}", text());
    assert_eq!(uids(&two), uids(&one), "{}", text());
    assert_eq!(two.fingerprint(), one.fingerprint(), "{}", text());
}

/// Rows of a table in windows of ten seconds.
fn windows(table: &str) -> String {
    format!("TUMBLE(TABLE {table}, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)")
}

/// Counts of a table's rows by these columns and their windows.
fn counts(table: &str, keys: &str, more: &str) -> String {
    format!(
        "SELECT {keys}, window_start, window_end, COUNT(*) AS n{more} FROM {} GROUP BY {keys}, window_start, window_end",
        windows(table)
    )
}

#[test]
fn one_aggregation() {
    has_one_state(&counts("bid", "auction, bidder", ", MAX(price)"), 1);
    has_one_state(
        &format!("SELECT SUM(price), window_end FROM {} GROUP BY window_start, window_end", windows("bid")),
        1,
    );
    has_one_state(
        "SELECT auction, COUNT(*) FROM HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND)
         GROUP BY auction, window_start, window_end",
        1,
    );
    let sets = windows("bid");
    has_one_state(
        &format!(
            "SELECT auction, bidder, COUNT(*) FROM {sets}
             GROUP BY window_start, window_end, GROUPING SETS ((auction), (bidder), ())"
        ),
        1,
    );
}

#[test]
fn one_above_the_other() {
    let below = counts("bid", "auction", "");
    has_one_state(&format!("SELECT auction, MAX(n) FROM ({below}) GROUP BY auction, window_start, window_end"), 2);
    // By less than it is spread by below.
    let below = counts("bid", "auction, bidder", "");
    has_one_state(&format!("SELECT auction, MAX(n) FROM ({below}) GROUP BY auction, window_start, window_end"), 2);
    has_one_state(&format!("SELECT MAX(n) FROM ({below}) GROUP BY window_start, window_end"), 2);
}

#[test]
fn one_above_several() {
    let all = |sides: &[String]| {
        let rows = sides.join(" UNION ALL ");
        format!("SELECT k, SUM(n) FROM ({rows}) GROUP BY k, window_start, window_end")
    };
    let counts = |table: &str, key: &str| {
        let rows = windows(table);
        format!(
            "SELECT {key} AS k, window_start, window_end, COUNT(*) AS n FROM {rows} GROUP BY {key}, window_start, window_end"
        )
    };
    let bids = format!("SELECT auction AS k, window_start, window_end, price AS n FROM {}", windows("bid"));
    has_one_state(&all(&[counts("bid", "auction"), counts("bid", "price")]), 3);
    has_one_state(&all(&[counts("bid", "auction"), counts("auction", "id"), counts("person", "id")]), 4);
    has_one_state(&all(&[counts("bid", "auction"), bids.clone()]), 3);
    has_one_state(&all(&[bids.clone(), bids]), 2);
}

#[test]
fn one_above_a_join() {
    let (left, right) = (counts("bid", "auction", ""), counts("auction", "id", ""));
    let joined = |on: &str| {
        format!(
            "SELECT l.auction, l.window_start, l.window_end, COUNT(*) FROM ({left}) l JOIN ({right}) r
             ON {on} AND l.window_start = r.window_start AND l.window_end = r.window_end
             GROUP BY l.auction, l.window_start, l.window_end"
        )
    };
    has_one_state(&joined("l.auction = r.id"), 4);
    has_one_state(&joined("l.n = r.n"), 4);
}

#[test]
fn rows_of_joins_stay() {
    let greatest =
        format!("SELECT MAX(price) AS m, window_end FROM {} GROUP BY window_start, window_end", windows("bid"));
    let rows = format!("SELECT * FROM {}", windows("bid"));
    let counted = counts("bid", "auction", "");
    for rows in [rows, counted] {
        for join in ["JOIN", "LEFT JOIN", "RIGHT JOIN"] {
            has_one_state(
                &format!("SELECT b.auction, g.m FROM ({rows}) b {join} ({greatest}) g ON b.window_end = g.window_end"),
                3,
            );
        }
    }
    let joined = |left: &str, right: &str, on: &str| {
        format!(
            "SELECT l.n, r.n FROM ({left}) l FULL JOIN ({right}) r
             ON {on} AND l.window_start = r.window_start AND l.window_end = r.window_end"
        )
    };
    let auctions = counts("auction", "seller", "");
    has_one_state(&joined(&counts("person", "name, id", ""), &auctions, "l.id = r.seller"), 3);
    has_one_state(&joined(&counts("person", "id", ""), &auctions, "l.id = r.seller"), 3);
    has_one_state(&joined(&counts("person", "id, name", ""), &counts("auction", "id, itemName", ""), "l.id = r.id"), 3);
}

#[test]
fn one_under_two_names() {
    let sums = |name: &str| {
        format!(
            "CREATE VIEW {name}s AS SELECT auction, price + 1 AS {name}, window_start, window_end FROM {};
             INSERT INTO out SELECT auction, SUM({name}) FROM {name}s GROUP BY auction, window_start, window_end;",
            windows("bid")
        )
    };
    let out = "CREATE TABLE out (k BIGINT, n BIGINT) WITH ('connector' = 'fake');";
    has_one_state(&format!("{out} {} {}", sums("price"), sums("cost")), 1);
}
