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
    refused(&temporal("best", "b.dateTime AS r ON b.bidder = r.currency"), "`best` is a view");
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
