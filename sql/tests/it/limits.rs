//! `ORDER BY`, `LIMIT` and `OFFSET` of a query, and the ranks that a condition limits.

use super::{check, dataflow, plan};

/// A table that ends.
const ENDS: &str = "CREATE TABLE t (k BIGINT, v BIGINT, s STRING) WITH ('connector' = 'ends');";

#[test]
fn a_limit_with_an_order_is_a_top_n_of_all_rows() {
    check(
        "SELECT auction, price FROM bid ORDER BY price DESC LIMIT 3",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ TopN (retract)  [first 3 by price DESC, auction]
      └─ all to one subtask ─ Calc  [auction, price]
         └─ Source(bid)  [auction, price, dateTime]",
    );
    check(
        "SELECT auction FROM bid ORDER BY price OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [auction where row_number > 2]
      └─ TopN (retract)  [first 5 by price, auction, with row numbers]
         └─ all to one subtask ─ Calc  [auction, price]
            └─ Source(bid)  [auction, price, dateTime]",
    );
}

#[test]
fn without_an_order_the_rows_that_come_first_stay_or_the_smallest_of_a_table_that_ends() {
    check(
        "SELECT auction FROM bid LIMIT 3",
        "
└─ rebalance ─ TopN  [first 3 in any order]
   └─ all to one subtask ─ Calc  [auction]
      └─ Source(bid)  [auction, dateTime]",
    );
    let lists = dataflow(&format!("{ENDS} SELECT make_array(k, v) AS l FROM t LIMIT 3"));
    assert!(lists.contains("TopN  [first 3 in any order]"), "{lists}");
    let text = dataflow(&format!("{ENDS} SELECT s, v FROM t LIMIT 3"));
    assert!(text.contains("TopN (retract)  [first 3 by s, v]"), "{text}");
}

#[test]
fn rows_of_a_table_that_ends_are_sorted_in_one_place() {
    check(
        &format!("{ENDS} SELECT s FROM t ORDER BY v DESC, k"),
        "
└─ rebalance ─ Calc (one subtask)  [s]
   └─ SortedRows (one subtask)  [rows that are left at the end, by v DESC, k, s]
      └─ hash(s, v, k) ─ Calc  [s, v, k]
         └─ Source(t)  [connector ends, k, v, s]",
    );
    let text = dataflow(&format!(
        "{ENDS} CREATE TABLE out (k BIGINT) WITH ('connector' = 'ends'); INSERT INTO out SELECT k FROM t ORDER BY k DESC LIMIT 2"
    ));
    assert!(text.contains("Sink(out) (one subtask)") && text.contains("SortedRows (one subtask)"), "{text}");
}

#[test]
fn an_order_of_a_subquery_counts_for_its_limit_alone() {
    let text = dataflow("SELECT auction FROM (SELECT auction, price FROM bid ORDER BY price) x");
    assert!(!text.contains("TopN") && !text.contains("Sorted"), "{text}");
    let text = dataflow(
        "SELECT auction, COUNT(*) AS n FROM (SELECT auction FROM bid ORDER BY price LIMIT 9) x GROUP BY auction",
    );
    assert!(text.contains("TopN (retract)  [first 9 by price, auction]"), "{text}");
    let text = dataflow("SELECT auction FROM bid LIMIT 0");
    assert!(text.contains("where FALSE]"), "{text}");
}

#[test]
fn a_limit_is_no_state_that_grows() {
    let warnings = |sql: &str| plan(sql).unwrap().warnings;
    assert_eq!(warnings("SELECT auction FROM bid ORDER BY price LIMIT 3"), [] as [&str; 0]);
    assert_eq!(warnings("SELECT auction FROM bid LIMIT 3"), [] as [&str; 0]);
    let warned = warnings("SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction ORDER BY n LIMIT 3");
    assert_eq!(warned.len(), 2, "{warned:?}");
}

#[test]
fn ranks_are_limited_with_their_peers() {
    check(
        "SELECT auction, price FROM bid QUALIFY RANK() OVER (PARTITION BY auction ORDER BY price DESC) <= 3",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ TopN (retract)  [ranks up to 3 of each auction by price DESC]
      └─ hash(auction) ─ Calc  [auction, price]
         └─ Source(bid)  [auction, price, dateTime]",
    );
    let text = dataflow(
        "SELECT * FROM (SELECT price, DENSE_RANK() OVER (PARTITION BY window_start, window_end ORDER BY price) AS r FROM \
         TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) WHERE r < 3",
    );
    assert!(
        text.contains("WindowTopN  [dense ranks up to 2 of each window_start, window_end by price, with dense ranks]"),
        "{text}"
    );
}

#[test]
fn of_several_row_numbers_the_greatest_is_the_limit() {
    let ranked = |condition: &str| {
        dataflow(&format!(
            "SELECT k FROM (SELECT auction AS k, ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY price) AS rn FROM bid) WHERE {condition}"
        ))
    };
    for condition in ["rn IN (1, 3)", "rn = 1 OR rn = 3", "rn BETWEEN 2 AND 3", "rn = 3", "rn >= 2 AND rn < 4"] {
        let text = ranked(condition);
        assert!(
            text.contains("TopN (retract)  [first 3 of each bidder by price, with row numbers]"),
            "{condition}\n{text}"
        );
        assert!(text.contains(" where "), "{condition}\n{text}");
    }
}
