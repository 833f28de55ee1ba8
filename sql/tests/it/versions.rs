//! Joins with versions of a table, the dataflows that they come to, and those that are refused.

use super::{check, refusal};

const RATES: &str = "CREATE TABLE rates (currency BIGINT, ts TIMESTAMP(3), rate BIGINT, WATERMARK FOR ts AS ts,
  PRIMARY KEY (currency) NOT ENFORCED) WITH ('connector' = 'fake');";

#[test]
fn conditions_stay_above_the_choice_of_the_version() {
    check(
        &format!(
            "{RATES} SELECT b.auction, r.rate FROM bid b LEFT JOIN rates FOR SYSTEM_TIME AS OF b.dateTime AS r
             ON b.bidder = r.currency AND r.rate > 3 AND b.price > r.rate WHERE b.auction > 1"
        ),
        r#"
└─ rebalance ─ Calc  [auction, rate]
   └─ TemporalJoin  [left on left.bidder = right.currency, the last right.ts up to left.dateTime and left.price > right.rate AND right.rate > 3]
      ├─ left hash(bidder) ─ Source(bid)  [auction, bidder, price, dateTime where auction > 1]
      └─ right hash(currency) ─ Source(rates)  [currency, ts, rate, watermark ts, idle after 1 min]
"#,
    );
    check(
        &format!(
            "{RATES} SELECT b.auction, r.rate FROM bid b JOIN rates FOR SYSTEM_TIME AS OF b.dateTime AS r
             ON b.bidder = r.currency WHERE r.rate > 3 AND r.currency > 5"
        ),
        r#"
└─ rebalance ─ Calc  [auction, rate]
   └─ TemporalJoin  [inner on left.bidder = right.currency, the last right.ts up to left.dateTime and right.rate > 3 AND right.currency > 5]
      ├─ left hash(bidder) ─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(currency) ─ Source(rates)  [currency, ts, rate, watermark ts, idle after 1 min]
"#,
    );
}

#[test]
fn an_asof_join_has_a_row_for_each_of_the_left_side() {
    check(
        "SELECT b.auction, p.name FROM bid b ASOF JOIN person p MATCH_CONDITION (b.dateTime >= p.dateTime) ON b.bidder = p.id",
        r#"
└─ rebalance ─ Calc  [auction, name]
   └─ TemporalJoin  [left on left.bidder = right.id, the last right.dateTime up to left.dateTime]
      ├─ left hash(bidder) ─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(id) ─ Source(person)  [id, name, dateTime]
"#,
    );
}

#[test]
fn what_has_no_versions() {
    let refused = |query: &str, what: &str| {
        let message = refusal(&format!("{RATES} CREATE VIEW best AS SELECT * FROM rates; {query}"));
        assert!(message.contains(what), "{query}:\n{message}");
    };
    let temporal =
        |right: &str, rest: &str| format!("SELECT b.auction FROM bid b JOIN {right} FOR SYSTEM_TIME AS OF {rest}");
    refused(&temporal("person", "b.dateTime AS r ON b.bidder = r.id"), "`person` has no PRIMARY KEY");
    refused(&temporal("plain", "b.dateTime AS r ON b.bidder = r.k"), "`plain` has no WATERMARK");
    refused(&temporal("best", "b.dateTime AS r ON b.bidder = r.currency"), "does not keep the newest row of each key");
    refused(&temporal("rates", "b.proc AS r ON b.bidder = r.currency"), "rows cannot be looked up in `rates`");
    refused(
        &temporal("rates", "b.dateTime + INTERVAL '1' SECOND AS r ON b.bidder = r.currency"),
        "goes by time attributes",
    );
    refused(&temporal("rates", "b.dateTime AS r ON b.bidder = r.rate"), "says nothing of `currency`");
    refused(&temporal("rates", "b.dateTime AS r ON b.bidder > r.currency"), "says nothing of `currency`");
    refused(
        "SELECT * FROM rates FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01 00:00:00'",
        "behind the right table of a JOIN",
    );
    refused(
        "SELECT b.auction FROM bid b RIGHT JOIN rates FOR SYSTEM_TIME AS OF b.dateTime AS r ON b.bidder = r.currency",
        "JOIN or LEFT JOIN with ON",
    );
    let asof = |condition: &str, on: &str| {
        format!("SELECT b.auction FROM bid b ASOF JOIN rates r MATCH_CONDITION ({condition}) ON {on}")
    };
    refused(&asof("b.dateTime > r.ts", "b.bidder = r.currency"), "goes by time attributes");
    refused(&asof("b.dateTime <= r.ts", "b.bidder = r.currency"), "goes by time attributes");
    refused(
        &asof("b.dateTime >= r.ts", "b.bidder = r.currency AND r.rate > 3"),
        "which columns are equal, and nothing else",
    );
    refused(
        "SELECT b.auction FROM (SELECT bidder, auction, MAX(dateTime) AS t FROM bid GROUP BY bidder, auction) b
         JOIN rates FOR SYSTEM_TIME AS OF b.t AS r ON b.bidder = r.currency",
        "goes by time attributes",
    );
}

const NEWEST: &str = "CREATE VIEW newest AS SELECT currency, rate, ts FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY ts DESC) AS rn FROM rates WHERE rate > 0) WHERE rn = 1;";

#[test]
fn a_view_that_keeps_the_newest_row_of_each_key_has_versions() {
    let join = "SELECT b.auction, r.rate FROM bid b LEFT JOIN newest FOR SYSTEM_TIME AS OF b.dateTime AS r ON b.bidder = r.currency";
    let expected = r#"
└─ rebalance ─ Calc  [auction, rate]
   └─ TemporalJoin  [left on left.bidder = right.currency, the last right.ts up to left.dateTime]
      ├─ left hash(bidder) ─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(currency) ─ Source(rates)  [currency, ts, rate where rate > 0, watermark ts, idle after 1 min]
"#;
    check(&format!("{RATES} {NEWEST} {join}"), expected);
    let qualified = "CREATE VIEW newest AS SELECT currency, rate, ts FROM rates WHERE rate > 0
        QUALIFY ROW_NUMBER() OVER (PARTITION BY currency ORDER BY ts DESC) = 1;";
    check(&format!("{RATES} {qualified} {join}"), expected);
    let alias_first =
        join.replace("newest FOR SYSTEM_TIME AS OF b.dateTime AS r", "newest AS r FOR SYSTEM_TIME AS OF b.dateTime");
    check(&format!("{RATES} {NEWEST} {alias_first}"), expected);
    let without_as =
        join.replace("newest FOR SYSTEM_TIME AS OF b.dateTime AS r", "newest r FOR SYSTEM_TIME AS OF b.dateTime");
    check(&format!("{RATES} {NEWEST} {without_as}"), expected);
}

/// A condition above the choice is about the version that was chosen: a row that does not fulfil it hides those before it.
#[test]
fn conditions_of_a_view_stay_above_the_choice() {
    let view = "CREATE VIEW newest AS SELECT currency AS c, rate AS r, ts AS since FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY ts DESC) AS rn FROM rates) WHERE rn = 1 AND rate > 3;";
    check(
        &format!(
            "{RATES} {view} SELECT b.auction, n.r FROM bid b LEFT JOIN newest FOR SYSTEM_TIME AS OF b.dateTime AS n ON b.bidder = n.c"
        ),
        r#"
└─ rebalance ─ Calc  [auction, rate AS r]
   └─ TemporalJoin  [left on left.bidder = right.currency, the last right.ts up to left.dateTime and right.rate > 3]
      ├─ left hash(bidder) ─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(currency) ─ Source(rates)  [currency, ts, rate, watermark ts, idle after 1 min]
"#,
    );
}

#[test]
fn views_that_have_no_versions() {
    let refused = |view: &str, on: &str, what: &str| {
        let query = format!("SELECT b.auction FROM bid b JOIN v FOR SYSTEM_TIME AS OF b.dateTime AS r ON {on}");
        let message = refusal(&format!("{RATES} CREATE VIEW v AS {view}; {query}"));
        assert!(message.contains(what), "{view}:\n{message}");
    };
    let numbered = |columns: &str, over: &str, number: &str| {
        format!("SELECT {columns} FROM (SELECT *, ROW_NUMBER() OVER ({over}) AS rn FROM rates) WHERE {number}")
    };
    let (newest, one) = ("PARTITION BY currency ORDER BY ts DESC", "rn = 1");
    let no_versions = "does not keep the newest row of each key";
    let on = "b.bidder = r.currency";
    refused(&numbered("*", "PARTITION BY currency ORDER BY ts", one), on, no_versions);
    refused(&numbered("*", newest, "rn <= 2"), on, no_versions);
    refused(&numbered("*", newest, "rn = 1 OR rate > 3"), on, no_versions);
    refused(&numbered("*", "ORDER BY ts DESC", one), on, no_versions);
    refused(&numbered("*", "PARTITION BY currency ORDER BY ts DESC, rate", one), on, no_versions);
    refused(&format!("{} LIMIT 5", numbered("*", newest, one)), on, no_versions);
    refused(&numbered("currency, rate", newest, one), on, "does not select the time that its rows are ordered by");
    refused(&numbered("*", newest, one), "b.bidder = r.rate", "says nothing of `currency`");
    refused(&numbered("*", "PARTITION BY currency ORDER BY rate DESC", one), on, no_versions);
    let message = refusal(&format!(
        "{RATES} {NEWEST} SELECT b.auction FROM bid b JOIN newest FOR SYSTEM_TIME AS OF b.proc AS r ON b.bidder = r.currency"
    ));
    assert!(message.contains("rows cannot be looked up in a view"), "{message}");
}
