//! What cannot run as a stream, and what is said to it.

use super::{options, plan_with, refusal};

const TUMBLE: &str = "TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";
const PERSON: &str = "TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";

/// Each script, a part of the message, and a part of the advice.
#[track_caller]
fn refused(cases: &[(&str, &str, &str)]) {
    for (sql, message, help) in cases {
        let sql = sql.replace("TUMBLED_BID", TUMBLE).replace("TUMBLED_PERSON", PERSON);
        let report = refusal(&sql);
        assert!(report.contains(message), "{sql}\n{report}\nlacks: {message}");
        let advice = report.split("\n  help: ").nth(1).unwrap_or_default();
        assert!(advice.contains(help) && !advice.is_empty(), "{sql}\n{report}\nlacks the advice: {help}");
    }
}

#[test]
fn aggregations_that_do_not_say_which_window() {
    let (message, help) = ("does not say that it is one of each window", "GROUP BY window_start, window_end");
    refused(&[
        ("SELECT bidder, COUNT(*) FROM TUMBLED_BID GROUP BY bidder", message, help),
        ("SELECT COUNT(*) FROM TUMBLED_BID", message, help),
        (
            "SELECT window_start, COUNT(*) FROM CUMULATE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR, \
             INTERVAL '1' DAY) GROUP BY window_start",
            "window_start alone does not say",
            "window_end",
        ),
        (
            "SELECT window_start, COUNT(*) FROM TUMBLED_BID GROUP BY ROLLUP (window_start, window_end)",
            "a grouping set leaves the window out",
            "GROUPING SETS",
        ),
    ]);
}

#[test]
fn what_needs_rows_that_stay_over_results_that_change() {
    let counted = "(SELECT auction AS k, MAX(dateTime) AS ts, COUNT(*) AS n FROM bid GROUP BY auction)";
    let view = format!("CREATE VIEW counted AS SELECT * FROM {counted}; ");
    let cases =
        [("TUMBLE(TABLE counted, DESCRIPTOR(ts), INTERVAL '1' MINUTE)", "is not a time attribute", "WATERMARK FOR ts")];
    for (tumble, message, help) in cases {
        let sql =
            format!("{view}SELECT window_start, window_end, COUNT(*) FROM {tumble} GROUP BY window_start, window_end");
        refused(&[(&sql, message, help)]);
    }
}

#[test]
fn what_would_be_made_another_query() {
    let correlated = "SELECT COUNT(*) FROM plain p WHERE p.k = b.auction";
    let over = "over an aggregate without GROUP BY, which refers to the query around it";
    refused(&[
        (&format!("SELECT auction FROM bid b WHERE EXISTS ({correlated})"), over, "> 0"),
        (&format!("SELECT auction FROM bid b WHERE NOT EXISTS ({correlated} HAVING COUNT(*) = 0)"), over, "> 0"),
        (&format!("SELECT auction FROM bid b WHERE bidder IN ({correlated})"), over, "> 0"),
    ]);
    let grouped = format!("SELECT auction FROM bid b WHERE EXISTS ({correlated} GROUP BY p.s)");
    assert!(plan_with(&grouped, &options()).is_ok());
}

#[test]
fn joins_that_are_not_there_yet() {
    refused(&[
        (
            "WITH j AS (SELECT b.dateTime FROM bid b JOIN auction a ON b.auction = a.id) SELECT window_start, COUNT(*) FROM \
             TUMBLE(TABLE j, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) GROUP BY window_start, window_end",
            "`dateTime` is no time attribute behind a join without a window or time bounds",
            "below the join",
        ),
        (
            "WITH j AS (SELECT a.dateTime FROM bid b LEFT JOIN auction a ON b.auction = a.id) SELECT window_start, COUNT(*) FROM \
             TUMBLE(TABLE j, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) GROUP BY window_start, window_end",
            "`dateTime` is no time attribute behind a join",
            "below the join",
        ),
    ]);
}

#[test]
fn subqueries_that_are_not_there_yet() {
    let over = "over rows that a subquery picks by the query around it";
    refused(&[
        ("SELECT auction FROM bid WHERE price > (SELECT price FROM bid)", "may have several rows", "SELECT MAX(x)"),
        ("SELECT auction FROM bid WHERE price > (SELECT price FROM bid LIMIT 2)", "may have several rows", "LIMIT 1"),
        (
            "SELECT auction FROM bid b WHERE price > (SELECT a.id FROM auction a WHERE a.seller = b.bidder ORDER BY a.id LIMIT 1)",
            over,
            "QUALIFY",
        ),
        (
            "SELECT auction FROM bid b WHERE EXISTS (SELECT 1 FROM auction a WHERE a.seller = b.bidder LIMIT 1 OFFSET 2)",
            over,
            "QUALIFY",
        ),
        (
            "SELECT auction FROM bid b WHERE b.price IN (SELECT r.id FROM (SELECT a.id, ROW_NUMBER() OVER (ORDER BY a.id) AS n FROM \
             auction a WHERE a.seller = b.bidder) r WHERE r.n = 1)",
            over,
            "QUALIFY",
        ),
        (
            "SELECT b.auction FROM bid b LEFT JOIN auction a ON b.auction = a.id AND b.bidder IN (SELECT id FROM person)",
            "in the condition of an outer join",
            "LEFT JOIN (SELECT * FROM b WHERE",
        ),
        (
            "SELECT b.auction, a.id FROM bid b LEFT JOIN LATERAL (SELECT id FROM auction a WHERE a.id > b.auction ORDER BY id LIMIT 1) a ON TRUE",
            "a LIMIT over rows that a LATERAL subquery picks",
            "QUALIFY",
        ),
    ]);
}

#[test]
fn text_and_numbers_in_one_column() {
    let (message, help) = ("on one side of UNION, INTERSECT or EXCEPT, and", "CAST one of them");
    refused(&[
        ("SELECT k FROM plain UNION ALL SELECT s FROM plain", message, help),
        ("SELECT s, k FROM plain UNION SELECT s, s FROM plain", message, help),
        ("SELECT k FROM plain EXCEPT SELECT 'x' FROM plain", message, help),
    ]);
    assert!(plan_with("SELECT k FROM plain UNION ALL SELECT NULL FROM plain", &options()).is_ok());
}

#[test]
fn orders_and_limits() {
    let (message, help) = ("ORDER BY without LIMIT would have to wait for the end of the input", "LIMIT 10");
    refused(&[
        ("SELECT auction FROM bid ORDER BY price", message, help),
        ("INSERT INTO plain (k) SELECT auction FROM bid ORDER BY price", message, help),
        ("SELECT auction FROM bid QUALIFY RANK() OVER (ORDER BY price) <= 2 ORDER BY auction", message, help),
        ("SELECT auction FROM bid QUALIFY RANK() OVER (ORDER BY price) <= 2 ORDER BY price DESC", message, help),
        ("SELECT auction FROM bid FETCH FIRST 3 ROWS WITH TIES", "WITH TIES stands behind", "FROM (…)"),
        ("SELECT auction FROM bid LIMIT 3 FETCH FIRST 2 ROWS ONLY", "FETCH says again", "leave one"),
    ]);
}

#[test]
fn functions_with_over() {
    let over = |call: &str, over: &str| format!("SELECT {call} OVER ({over}) FROM bid");
    let refusals = [
        (
            over("FIRST_VALUE(DISTINCT price)", "ORDER BY dateTime"),
            "`FIRST_VALUE(DISTINCT …) OVER (…)`",
            "leave DISTINCT out",
        ),
        (over("LAG(price, 0) IGNORE NULLS", "ORDER BY dateTime"), "the number of LAG with IGNORE NULLS", "is `x`"),
        (over("NTILE(2) IGNORE NULLS", "ORDER BY price"), "IGNORE NULLS", "row numbers count all rows"),
        (over("LAG(price, bidder)", "ORDER BY dateTime"), "the number of rows of LAG", "LAG(x, 1)"),
        (over("NTILE(0)", "ORDER BY price"), "the number of NTILE has to be", "NTILE(4)"),
        (over("NTH_VALUE(price, bidder)", "ORDER BY price"), "the number of NTH_VALUE has to be", "NTH_VALUE(x, 2)"),
        (
            over("LAG(price, 1, channel)", "ORDER BY dateTime"),
            "the default of LAG is STRING, and its value BIGINT",
            "CAST",
        ),
        (
            over("SUM(price)", "ORDER BY dateTime GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW"),
            "GROUPS frames are not supported",
            "RANGE or ROWS",
        ),
        (
            over("SUM(price)", "ORDER BY dateTime RANGE BETWEEN INTERVAL '1' MONTH PRECEDING AND CURRENT ROW"),
            "a bound of the frame of `SUM(…) OVER (…)` is not supported",
            "INTERVAL '1' HOUR PRECEDING",
        ),
    ];
    for (query, what, help) in &refusals {
        refused(&[(query, what, help)]);
    }
}

#[test]
fn sessions_that_an_aggregation_does_not_make() {
    let session = |rest: &str| {
        format!("FROM SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) {rest}")
    };
    refused(&[
        (&format!("SELECT bidder {}", session("")), "rows cannot be given their SESSION", "GROUP BY"),
        (
            &format!("SELECT auction, COUNT(*) {}", session("GROUP BY auction, window_start, window_end")),
            "by just the keys",
            "PARTITION BY",
        ),
        (
            &format!("SELECT COUNT(*) {}", session("WHERE price > 5 GROUP BY bidder, window_start, window_end")),
            "filtered after their sessions",
            "filter first",
        ),
    ]);
}

#[test]
fn times_that_are_no_time_attributes() {
    let grouped = "GROUP BY window_start, window_end";
    refused(&[
        (
            &format!("SELECT COUNT(*) FROM TUMBLE(TABLE plain, DESCRIPTOR(ts), INTERVAL '1' DAY) {grouped}"),
            "`ts` is not a time attribute",
            "WATERMARK FOR ts",
        ),
        (
            &format!(
                "WITH w AS (SELECT window_end AS e FROM TUMBLED_BID {grouped}) SELECT COUNT(*) FROM TUMBLE(TABLE w, \
                 DESCRIPTOR(e), INTERVAL '1' DAY) {grouped}"
            ),
            "`e` is a bound of a window",
            "window_time",
        ),
        (
            &format!(
                "CREATE VIEW best AS SELECT dateTime FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, \
                 window_end ORDER BY price) AS rn FROM (SELECT dateTime, price, window_start, window_end FROM \
                 TUMBLED_BID)) WHERE rn <= 3; SELECT COUNT(*) FROM TUMBLE(TABLE best, DESCRIPTOR(dateTime), INTERVAL \
                 '1' DAY) {grouped}"
            ),
            "`dateTime` is not a time attribute",
            "behind a window",
        ),
        ("SELECT * FROM TUMBLED_BID", "because the query reads a processing-time column", "name the columns"),
        (
            &format!("SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' MONTH) {grouped}"),
            "months and years differ in length",
            "days",
        ),
        (
            &format!("SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(datum), INTERVAL '1' DAY) {grouped}"),
            "there is no column `datum`",
            "",
        ),
        (
            &format!("SELECT COUNT(*) FROM HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' DAY) {grouped}"),
            "HOP needs SIZE",
            "the slide before the size",
        ),
    ]);
}

#[test]
fn inserts_that_do_not_fit() {
    let insert = |column: &str, query: &str| {
        format!("CREATE TABLE o ({column}) WITH ('connector' = 'fake'); INSERT INTO o {query}")
    };
    refused(&[
        (
            &insert("a INT", "SELECT auction FROM bid"),
            "column `a` of `o` is INT, but the query has BIGINT for it",
            "CAST(… AS INT)",
        ),
        (&insert("a STRING", "SELECT auction FROM bid"), "is STRING, but the query has BIGINT", "CAST(… AS STRING)"),
        (&insert("a FLOAT", "SELECT 1.5e0 FROM bid"), "is FLOAT, but the query has DOUBLE", "CAST"),
        (
            &insert("a INT", "SELECT auction, bidder FROM bid"),
            "takes 1 columns here, but the query has 2",
            "auction, bidder",
        ),
        (
            &insert("a BIGINT NOT NULL", "SELECT auction FROM bid"),
            "column `a` of `o` is NOT NULL, but `auction` may be null",
            "COALESCE",
        ),
        (
            &insert("a BIGINT NOT NULL, b BIGINT", "(b) SELECT auction FROM bid"),
            "column `a` of `o` is NOT NULL, but nothing fills it",
            "column list",
        ),
        (&insert("a BIGINT", "(c) SELECT auction FROM bid"), "`o` has no column `c`", "a"),
        (
            &insert("a BIGINT", "SELECT auction FROM bid; SELECT auction FROM bid"),
            "a query whose result is printed is a job of its own",
            "INSERT INTO",
        ),
    ]);
}

#[test]
fn names_that_nothing_has() {
    refused(&[
        ("SELECT * FROM bidd", "there is no table `bidd`", "`bid`"),
        ("SELECT prize FROM bid", "there is no column `prize`", "`price`"),
        (
            "CREATE VIEW v AS SELECT auction FROM bid; CREATE OR REPLACE VIEW v AS SELECT * FROM v; SELECT * FROM v",
            "the view `v` reads itself",
            "another name",
        ),
    ]);
}

#[test]
fn side_outputs_want_their_columns() {
    let late = weir_sql::PlanOptions { late_table: Some("plain".to_owned()), ..options() };
    let sql = format!("SELECT COUNT(*) AS n FROM {TUMBLE} GROUP BY window_start, window_end");
    let error = plan_with(&sql, &late).unwrap_err();
    assert!(error.report().contains("table `plain` cannot take late rows"), "{}", error.report());
    assert!(error.help().unwrap().contains("event_time TIMESTAMP(3)"), "{}", error.report());
}

#[test]
fn functions_are_those_that_are_given() {
    let none = weir_sql::PlanOptions { functions: Default::default(), ..options() };
    let upper = "SELECT upper(channel) FROM bid";
    let sum = format!("SELECT SUM(price) FROM {TUMBLE} GROUP BY window_start, window_end");
    let computed = "CREATE TABLE t (s STRING, u AS upper(s)) WITH ('connector' = 'fake'); SELECT u FROM t";
    for sql in [upper, &sum, computed] {
        plan_with(sql, &options()).unwrap();
        let error = plan_with(sql, &none).unwrap_err();
        assert!(error.report().contains("function"), "{}", error.report());
    }
}
