//! Subqueries, joins without an equality, and what is made of counts: `INTERSECT` and `EXCEPT`.

use super::{check, dataflow, plan};

#[test]
fn a_cross_join_compares_all_in_one_subtask_and_is_warned_of() {
    check(
        "SELECT b.auction, p.v FROM bid b CROSS JOIN plain p",
        "
└─ rebalance ─ Join  [inner, every row with every other]
   ├─ left all to one subtask ─ Calc  [auction]
   │  └─ Source(bid)  [auction, dateTime]
   └─ right all to one subtask ─ Source(plain)  [v]",
    );
    let warnings = |sql: &str| plan(sql).unwrap().warnings.join("\n");
    let unbounded = warnings("SELECT b.auction FROM bid b LEFT JOIN plain p ON b.auction > p.k");
    let expected = "Join [left, every row with every other, on left.auction > right.k] keeps all rows of both sides, and compares every row";
    assert!(unbounded.contains(expected), "{unbounded}");
    for small in ["(SELECT MAX(k) AS k FROM plain)", "(SELECT k FROM plain ORDER BY k LIMIT 3)", "(VALUES (1), (2)) "] {
        let warned = warnings(&format!("SELECT b.auction FROM bid b CROSS JOIN {small} p"));
        assert!(!warned.contains("compares every row"), "{small} {warned}");
    }
    assert!(dataflow("SELECT b.auction FROM bid b, auction a").contains("every row with every other"));
}

#[test]
fn time_bounds_alone_are_an_interval_join() {
    let text = dataflow(
        "SELECT a.auction FROM bid a JOIN auction b ON a.dateTime BETWEEN b.dateTime AND b.dateTime + INTERVAL '1' DAY",
    );
    assert!(text.contains("IntervalJoin  [inner on left.dateTime - right.dateTime from 0 ms to 1 d]"), "{text}");
}

#[test]
fn a_value_of_all_rows_is_joined_to_each() {
    check(
        "SELECT auction FROM bid WHERE price > (SELECT AVG(price) FROM bid)",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [auction]
      └─ Join (retract)  [inner, every row with every other, on CAST(left.price AS DOUBLE) > right.avg(price)]
         ├─ left all to one subtask ─ Calc  [auction, price]
         │  └─ Source(bid) as source  [auction, price, dateTime]
         └─ right ─ GroupAggregate (retract)  [avg(price)]
            └─ all to one subtask ─ Calc  [price]
               └─ Source(bid) (shown above as source)",
    );
}

#[test]
fn not_in_asks_for_nulls_where_there_may_be_some() {
    let text = dataflow("SELECT auction FROM bid WHERE bidder NOT IN (SELECT id FROM person)");
    assert!(text.contains("left anti on left.bidder = right.id"), "{text}");
    assert!(text.contains("GroupAggregate (retract)  [sum(0), sum(CASE WHEN id IS NULL THEN 0 END)]"), "{text}");
    assert_eq!(text.matches("every row with every other").count(), 1, "{text}");
    let text = dataflow(
        "CREATE TABLE whole (k BIGINT NOT NULL) WITH ('connector' = 'fake');
         SELECT k FROM whole WHERE k NOT IN (SELECT k FROM whole)",
    );
    assert!(text.contains("left anti") && !text.contains("count"), "{text}");
}

#[test]
fn in_and_exists_are_parts_of_conditions_and_values() {
    let text = dataflow("SELECT auction FROM bid WHERE price > 3 OR bidder IN (SELECT id FROM person)");
    assert!(text.contains("left on left.bidder = right.id"), "{text}");
    let correlated = "EXISTS (SELECT 1 FROM auction a WHERE a.id = b.auction AND a.seller < b.bidder)";
    let text = dataflow(&format!("SELECT auction FROM bid b WHERE price > 3 OR {correlated}"));
    assert!(text.contains("Join (retract)  [left semi") || text.contains("Join  [left semi"), "{text}");
    assert!(text.contains("left anti on left.auction = right.id and right.seller < left.bidder"), "{text}");
    let text = dataflow("SELECT auction, EXISTS (SELECT id FROM person) AS any FROM bid");
    assert!(text.contains("GroupAggregate (retract)  [sum(0)]"), "{text}");
    let text = dataflow("SELECT auction, bidder IN (SELECT id FROM person) AS known FROM bid");
    assert!(text.contains("sum(0), sum(CASE WHEN id IS NULL THEN 0 END)"), "{text}");
}

#[test]
fn rows_of_both_sides_are_counted() {
    check(
        "SELECT auction FROM bid INTERSECT SELECT id FROM auction",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [auction where sum($left) > 0 AND sum($right) > 0]
      └─ GroupAggregate (retract)  [by auction: sum($left), sum($right)]
         ├─ hash(auction) ─ Calc  [auction, 1 AS $left, 0 AS $right]
         │  └─ Source(bid)  [auction, dateTime]
         └─ hash(auction) ─ Calc  [id AS auction, 0 AS $left, 1 AS $right]
            └─ Source(auction)  [id, dateTime]",
    );
    let text = dataflow("SELECT auction FROM bid EXCEPT ALL SELECT id FROM auction");
    assert!(text.contains("Unnest (retract)"), "{text}");
}

#[test]
fn rows_that_are_written_come_from_a_table_of_one_row() {
    check(
        "SELECT column1 AS a FROM (VALUES (1, 'x'), (2, 'y')) v WHERE column2 = 'y'",
        "
└─ rebalance ─ Calc  [column1 AS a where column2 = 'y']
   └─ Values  [2 rows of column1, column2]
      └─ Source(values)  [connector datagen, number]",
    );
    let plan = plan("INSERT INTO plain (k, s) VALUES (1, 'x')").unwrap();
    assert_eq!(plan.boundedness, weir_core::connector::Boundedness::Bounded);
    assert!(dataflow("SELECT 1 + 1 AS two").contains("Calc  [2 AS two]"));
}
