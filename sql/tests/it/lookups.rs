//! Lookup joins, the dataflows that they come to, and those that are refused.

use super::{check, plan, refusal};

const SIDE: &str =
    "CREATE TABLE side (key BIGINT, name STRING, price INT, twice AS price * 2) WITH ('connector' = 'ends');";

#[test]
fn a_table_that_is_looked_up_in_is_a_part_of_the_join() {
    check(
        &format!(
            "{SIDE} SELECT b.auction, s.name FROM bid AS b JOIN side FOR SYSTEM_TIME AS OF b.proc AS s
             ON MOD(b.auction, 10000) = s.key AND s.price > 3 AND b.price < s.twice"
        ),
        r#"
└─ rebalance ─ Calc  [auction, name]
   └─ LookupJoin  [inner on left.auction % 10000 = right.key and left.price < CAST(right.price * 2 AS BIGINT), looked up in side(connector ends, key, name, price where price > 3)]
      └─ Calc  [auction, price, auction % 10000]
         └─ Source(bid)  [auction, price, dateTime]
"#,
    );
}

#[test]
fn event_time_goes_on_behind_it_and_no_clock_is_read() {
    let query = format!(
        "{SIDE} SELECT window_start, COUNT(s.name) FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) AS b
         LEFT JOIN side FOR SYSTEM_TIME AS OF b.proc AS s ON b.bidder = s.key GROUP BY window_start, window_end"
    );
    let graph = plan(&query).unwrap().graph.unwrap();
    let text = weir_sql::explain(&graph);
    assert!(text.contains("WindowAggregate") && !text.contains("ProcessingTime"), "{text}");
}

#[test]
fn rows_that_are_taken_back_come_to_where_they_were_added() {
    check(
        &format!(
            "{SIDE} SELECT o.bidder, o.n, s.name
             FROM (SELECT bidder, COUNT(*) AS n, PROCTIME() AS now FROM bid GROUP BY bidder) AS o
             JOIN side FOR SYSTEM_TIME AS OF o.now AS s ON o.n = s.key"
        ),
        r#"
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [bidder, count(*) AS n, name]
      └─ LookupJoin (retract)  [inner on left.count(*) = right.key, looked up in side(connector ends, key, name)]
         └─ hash(count(*)) ─ GroupAggregate (retract)  [by bidder: count(*)]
            └─ hash(bidder) ─ Calc  [bidder]
               └─ Source(bid)  [bidder, dateTime]
"#,
    );
}

#[test]
fn what_cannot_be_looked_up() {
    let refused = |query: &str, what: &str| {
        let message = refusal(&format!(
            "{SIDE} CREATE TABLE timed (key BIGINT, at AS PROCTIME()) WITH ('connector' = 'ends');
             CREATE VIEW best AS SELECT * FROM side; {query}"
        ));
        assert!(message.contains(what), "{query}:\n{message}");
    };
    let lookup = |right: &str, rest: &str| {
        format!("SELECT b.auction FROM bid b JOIN {right} FOR SYSTEM_TIME AS OF b.proc AS s ON {rest}")
    };
    refused(&lookup("plain", "b.auction = s.k"), "rows cannot be looked up in `plain`: its connector is `fake`");
    refused(&lookup("best", "b.auction = s.key"), "this view has no versions");
    refused(&lookup("side", "b.auction > s.key"), "a lookup join needs a column that is equal on both sides");
    refused(&lookup("side", "b.auction = s.name"), "`s.name` is STRING, and cannot be compared with a number");
    refused(
        "SELECT b.auction, s.at FROM bid b JOIN timed FOR SYSTEM_TIME AS OF b.proc AS s ON b.auction = s.key",
        "a column with PROCTIME() cannot be read of a table that is looked up in",
    );
    refused(
        "SELECT b.auction FROM bid b JOIN side FOR SYSTEM_TIME AS OF b.dateTime AS s ON b.auction = s.key",
        "`side` has no WATERMARK, so its versions have no time",
    );
    refused(
        "SELECT b.auction FROM bid b RIGHT JOIN side FOR SYSTEM_TIME AS OF b.proc AS s ON b.auction = s.key",
        "JOIN or LEFT JOIN with ON",
    );
    refused("SELECT ` as of`(1, b.proc) FROM bid AS b", "there is no function whose name begins with a blank");
    refused("SELECT *, PROCTIME() AS now FROM bid", "PROCTIME() in a query is not supported yet");
}
