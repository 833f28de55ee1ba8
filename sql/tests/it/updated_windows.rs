//! When the results of an aggregation come out: `EMIT` and `ALLOWED LATENESS`.

use super::{check, dataflow, refusal};

const TUMBLE: &str = "FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";

#[test]
fn a_window_is_shown_as_it_changes() {
    check(
        &format!(
            "SELECT window_start, bidder, COUNT(*) AS n {TUMBLE} GROUP BY window_start, window_end, bidder EMIT ON UPDATE"
        ),
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [window_start, bidder, count(*) AS n]
      └─ GroupAggregate (retract)  [by window_start, window_end, bidder: count(*), shown as they change]
         └─ hash(window_start, window_end, bidder) ─ Calc  [window_start, window_end, bidder]
            └─ WindowAssign  [TUMBLE 10 s of dateTime]
               └─ Source(bid)  [bidder, dateTime]
",
    );
}

#[test]
fn rows_may_be_late() {
    check(
        &format!(
            "SELECT window_end, MAX(price) AS most {TUMBLE} WHERE price > 5 GROUP BY window_end ALLOWED LATENESS INTERVAL '1' HOUR"
        ),
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [window_end, max(price) AS most]
      └─ GroupAggregate (retract)  [by window_end: max(price), shown when the window closes, rows up to 1 h late]
         └─ hash(window_end) ─ Calc  [window_end, price]
            └─ WindowAssign  [TUMBLE 10 s of dateTime]
               └─ Source(bid)  [price, dateTime where price > 5]
",
    );
}

const SESSION: &str = "FROM SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";

/// Sessions are found by the aggregation, which takes back what it has shown of those that grow.
#[test]
fn sessions_are_shown_as_they_change() {
    check(
        &format!(
            "SELECT bidder, window_start, window_time, COUNT(*) AS n {SESSION} GROUP BY bidder, window_start, window_end, window_time
             HAVING COUNT(*) > 1 EMIT ON UPDATE ALLOWED LATENESS INTERVAL '1' HOUR"
        ),
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [bidder, window_start, window_time, count(*) AS n where count(*) > 1]
      └─ UpdatingSessions (retract)  [SESSION with gap 10 s of dateTime, by bidder: count(*), shown as they change, rows up to 1 h late]
         └─ hash(bidder) ─ Source(bid)  [bidder, dateTime]
",
    );
    let text = dataflow(&format!(
        "SELECT bidder, COUNT(*) AS n {SESSION} GROUP BY bidder, window_end EMIT EVERY INTERVAL '1' MINUTE"
    ));
    assert!(text.contains("PacedRows (retract)  [changes, every 1 min]"), "{text}");
    assert!(text.contains("hash(bidder, window_end) ─ Clock"), "{text}");
    let query = |clause: &str| {
        dataflow(&format!("SELECT window_end, COUNT(*) AS n {SESSION} GROUP BY window_end, bidder {clause}"))
    };
    assert_eq!(query(""), query("EMIT FINAL"));
    assert_eq!(query("EMIT CHANGES"), query("EMIT ON UPDATE"));
    let grouped = dataflow(
        "SELECT SESSION_START(dateTime, INTERVAL '10' SECOND) AS s, COUNT(*) AS n FROM bid
         GROUP BY SESSION(dateTime, INTERVAL '10' SECOND), bidder ALLOWED LATENESS INTERVAL '1' MINUTE",
    );
    assert!(grouped.contains("by bidder: count(*), shown when the window closes, rows up to 1 min late"), "{grouped}");
}

/// A key has one session at most that ends at a time, which a table with such a key can hold.
#[test]
fn sessions_are_told_apart_by_their_end() {
    let into = |key: &str| {
        dataflow(&format!(
            "CREATE TABLE sessions (bidder BIGINT, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT, PRIMARY KEY ({key}) NOT ENFORCED)
               WITH ('connector' = 'keyed');
             CREATE VIEW bids AS SELECT COALESCE(bidder, 0) AS bidder, dateTime FROM bid;
             INSERT INTO sessions SELECT bidder, window_start, window_end, COUNT(*)
             FROM SESSION(TABLE bids PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
             GROUP BY bidder, window_start, window_end EMIT ON UPDATE"
        ))
    };
    for key in ["bidder, e", "bidder, s, e"] {
        assert!(into(key).contains("UpsertRows") && !into(key).contains("TopN"), "{}", into(key));
    }
    // A row that is not late may open a session where another has been forgotten.
    assert!(into("bidder, s").contains("TopN"), "{}", into("bidder, s"));
}

/// Rows stay by the key of the aggregation, and are exchanged all the same: so all subtasks that hold changes hear one time.
#[test]
fn changes_are_held_behind_an_exchange() {
    check(
        "SELECT bidder, COUNT(*) AS n FROM bid GROUP BY bidder EMIT EVERY INTERVAL '1' MINUTE",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [bidder, count(*) AS n]
      └─ PacedRows (retract)  [changes, every 1 min]
         └─ hash(bidder) ─ Clock (retract)  [what is kept goes by processing time from here on]
            └─ GroupAggregate (retract)  [by bidder: count(*)]
               └─ hash(bidder) ─ Calc  [bidder]
                  └─ Source(bid)  [bidder, dateTime]
",
    );
    let uid = |every: &str| {
        let sql = format!("SELECT COUNT(*) AS n {TUMBLE} GROUP BY window_end EMIT EVERY INTERVAL {every}");
        let graph = super::plan(&sql).unwrap_or_else(|error| panic!("{}", error.report())).graph.unwrap();
        let paced = graph.nodes().iter().find(|node| node.spec.name == "PacedRows").unwrap();
        paced.uid.clone()
    };
    assert_eq!(uid("'1' MINUTE"), uid("'10' SECOND"), "a job goes on at another pace");
}

/// Both ways to write a window, and both names of a clause, are the same job.
#[test]
fn there_are_several_ways_to_say_it() {
    let query = |clause: &str| {
        dataflow(&format!("SELECT window_start, COUNT(*) AS n {TUMBLE} GROUP BY window_start, window_end {clause}"))
    };
    let lateness = "ALLOWED LATENESS INTERVAL '90' MINUTE";
    assert_eq!(query("EMIT CHANGES"), query("EMIT ON UPDATE"));
    assert_eq!(query(&format!("EMIT CHANGES {lateness}")), query(&format!("{lateness} EMIT ON UPDATE")));
    assert_eq!(query(lateness), query(&format!("EMIT ON WINDOW CLOSE {lateness}")));
    assert_eq!(query(""), query("EMIT ON WINDOW CLOSE"));
    assert_eq!(query(""), query("EMIT FINAL ALLOWED LATENESS INTERVAL '0' SECOND"));
    let grouped = |clause: &str| {
        dataflow(&format!(
            "SELECT TUMBLE_START(dateTime, INTERVAL '10' SECOND) AS window_start, COUNT(*) AS n FROM bid \
             GROUP BY TUMBLE(dateTime, INTERVAL '10' SECOND) {clause}"
        ))
    };
    assert!(grouped("EMIT ON UPDATE").contains("shown as they change"), "{}", grouped("EMIT ON UPDATE"));
    let view = dataflow(&format!(
        "CREATE VIEW counts AS SELECT window_start, COUNT(*) AS n {TUMBLE} GROUP BY window_start, window_end EMIT CHANGES;
         SELECT * FROM counts"
    ));
    assert_eq!(view, query("EMIT CHANGES"));
    let without = |clause: &str| dataflow(&format!("SELECT bidder, COUNT(*) AS n FROM bid GROUP BY bidder {clause}"));
    assert_eq!(without(""), without("EMIT CHANGES"), "results without a window are shown so anyway");
}

/// What comes out may be aggregated and ranked again, as any results that change.
#[test]
fn other_operators_stand_on_such_results() {
    let counts = format!(
        "(SELECT window_start, window_end, bidder, COUNT(*) AS n {TUMBLE} GROUP BY window_start, window_end, bidder EMIT ON UPDATE)"
    );
    let text = dataflow(&format!(
        "SELECT * FROM {counts} QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) <= 3"
    ));
    assert!(text.contains("TopN (retract"), "{text}");
    let text = dataflow(&format!("SELECT window_end, MAX(n) AS most FROM {counts} GROUP BY window_start, window_end"));
    assert_eq!(text.matches("GroupAggregate (retract").count(), 2, "{text}");
}

/// Windows of windows are shown early, too, over results that are final.
#[test]
fn rows_that_carry_their_window_may_be_shown_early() {
    let text = dataflow(&format!(
        "SELECT window_end, SUM(n) AS n
         FROM (SELECT window_start, window_end, bidder, COUNT(*) AS n {TUMBLE} GROUP BY window_start, window_end, bidder)
         GROUP BY window_start, window_end EMIT ON UPDATE"
    ));
    assert!(text.contains("sum(count(*)), shown as they change") && text.contains("WindowAggregate"), "{text}");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let cases = [
        ("SELECT * FROM bid EMIT ON UPDATE", "this SELECT has none"),
        ("SELECT bidder, COUNT(*) FROM bid GROUP BY bidder EMIT ON WINDOW CLOSE", "never final"),
        ("SELECT bidder, COUNT(*) FROM bid GROUP BY bidder ALLOWED LATENESS INTERVAL '1' HOUR", "and this aggregation has none"),
        (
            "SELECT price, COUNT(*) FROM SESSION(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) GROUP BY price, window_end EMIT CHANGES",
            "by just the keys that it is partitioned by",
        ),
        (
            "SELECT COUNT(*) FROM SESSION(TABLE bid, DESCRIPTOR(proc), INTERVAL '1' HOUR) GROUP BY window_end
             ALLOWED LATENESS INTERVAL '1' HOUR",
            "where no row is late",
        ),
        (
            "SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(proc), INTERVAL '1' HOUR) GROUP BY window_start, window_end
             ALLOWED LATENESS INTERVAL '1' HOUR",
            "where no row is late",
        ),
        (
            "SELECT window_start, MAX(n) FROM (
               SELECT window_start, window_end, bidder, COUNT(*) AS n
               FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) GROUP BY window_start, window_end, bidder)
             GROUP BY window_start, window_end ALLOWED LATENESS INTERVAL '1' HOUR",
            "has to stand where rows are given their windows",
        ),
        (
            "SELECT window_start, COUNT(*) FROM (
               SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR)
               UNION ALL SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR))
             GROUP BY window_start, window_end ALLOWED LATENESS INTERVAL '1' HOUR",
            "has to stand where rows are given their windows",
        ),
        (
            "SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) GROUP BY bidder EMIT CHANGES",
            "does not say that it is one of each window",
        ),
        (
            "SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) AS b JOIN person AS p ON b.bidder = p.id
             GROUP BY b.window_start, b.window_end EMIT CHANGES",
            "an aggregation of one table, view or subquery",
        ),
        (
            "SELECT window_start, COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR)
             GROUP BY window_start, GROUPING SETS ((bidder), ()) EMIT CHANGES",
            "need the window's end",
        ),
        (
            "CREATE TABLE files (n BIGINT) WITH ('connector' = 'ends');
             INSERT INTO files SELECT COUNT(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR)
             GROUP BY window_start, window_end EMIT CHANGES",
            "takes rows back when its results change",
        ),
    ];
    for (query, expected) in cases {
        let report = refusal(query);
        assert!(report.contains(expected), "{query}\n{report}");
    }
}
