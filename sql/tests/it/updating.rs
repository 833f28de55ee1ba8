//! Queries whose results change: which operators they come to, what their streams are, and what can take them.

use super::{check, dataflow, plan, refusal};

#[test]
fn aggregates_without_windows_take_their_results_back() {
    check(
        "SELECT auction, COUNT(*) AS n, SUM(price) FILTER (WHERE bidder > 5) AS s FROM bid GROUP BY auction",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [auction, count(*) AS n, sum(price) AS s]
      └─ GroupAggregate (retract)  [by auction: count(*), sum(price) FILTER (WHERE bidder > 5)]
         └─ hash(auction) ─ Calc  [auction, price, bidder > 5]
            └─ Source(bid)  [auction, bidder, price, dateTime]",
    );
    check(
        "SELECT COUNT(*) AS n FROM bid",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [count(*) AS n]
      └─ GroupAggregate (retract)  [count(*)]
         └─ all to one subtask ─ Calc  []
            └─ Source(bid)  [dateTime]",
    );
}

#[test]
fn keys_alone_stay() {
    check(
        "SELECT DISTINCT auction, bidder FROM bid",
        "
└─ rebalance ─ GroupAggregate  [each auction, bidder once]
   └─ hash(auction, bidder) ─ Calc  [auction, bidder]
      └─ Source(bid)  [auction, bidder, dateTime]",
    );
}

#[test]
fn an_aggregate_of_changing_results_keeps_what_it_needs_to_take_them_back() {
    let text = dataflow(
        "SELECT n, COUNT(*) AS auctions FROM (SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction) GROUP BY n HAVING COUNT(*) > 1",
    );
    assert_eq!(text.matches("GroupAggregate (retract)").count(), 2, "{text}");
    assert!(text.contains("Calc (retract)  [count(*) AS n, count(*) AS auctions where count(*) > 1]"), "{text}");
    let graph =
        plan("SELECT n, COUNT(*) AS c FROM (SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction) GROUP BY n")
            .unwrap()
            .graph
            .unwrap();
    let retracts: Vec<bool> = graph
        .nodes()
        .iter()
        .filter_map(|node| match &node.spec.operator {
            weir_core::OperatorSpec::GroupAggregate(spec) => Some(spec.retracts),
            _ => None,
        })
        .collect();
    assert_eq!(retracts, [false, true]);
    assert!(graph.has_pending_updates());
}

#[test]
fn what_can_only_add_rows_takes_what_is_left_of_tables_that_end() {
    let script = |source: &str| {
        format!(
            "CREATE TABLE t (k STRING, v BIGINT) WITH ('connector' = '{source}');
         CREATE TABLE totals (k STRING, n BIGINT) WITH ('connector' = 'ends');
         INSERT INTO totals SELECT k, SUM(v) FROM t GROUP BY k"
        )
    };
    let text = weir_sql::explain(&plan(&script("ends")).unwrap().graph.unwrap());
    assert!(text.contains("FinalRows  [rows that are left at the end]"), "{text}");
    let report = refusal(&script("fake"));
    assert!(report.contains("takes rows back when its results change, which table `totals` cannot take"), "{report}");
}

#[test]
fn a_top_n_without_a_window_keeps_the_first_rows_that_there_were() {
    check(
        "SELECT auction, price FROM bid QUALIFY ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) <= 3",
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ TopN (retract)  [first 3 of each auction by price DESC]
      └─ hash(auction) ─ Calc  [auction, price]
         └─ Source(bid)  [auction, price, dateTime]",
    );
    let text = dataflow(
        "SELECT k, n, rn FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY n DESC) AS rn FROM \
         (SELECT auction AS k, COUNT(*) AS n FROM bid GROUP BY auction)) WHERE rn <= 10",
    );
    assert!(text.contains("TopN (retract)  [first 10 by count(*) DESC, with row numbers]"), "{text}");
}

#[test]
fn a_union_has_each_row_once() {
    check(
        "SELECT auction FROM bid UNION SELECT id FROM auction",
        "
└─ rebalance ─ GroupAggregate  [each auction once]
   ├─ hash(auction) ─ Calc  [auction]
   │  └─ Source(bid)  [auction, dateTime]
   └─ hash(auction) ─ Calc  [id AS auction]
      └─ Source(auction)  [id, dateTime]",
    );
}

#[test]
fn results_with_a_list_are_kept_to_the_end() {
    check(
        "CREATE TABLE t (k STRING, v BIGINT) WITH ('connector' = 'ends');
         SELECT k, ARRAY_AGG(v) AS vs FROM t GROUP BY k",
        "
└─ rebalance ─ FinalRows  [rows that are left at the end]
   └─ hash(k, vs) ─ Calc (retract)  [k, array_agg(v) AS vs]
      └─ GroupAggregate (retract)  [by k: array_agg(v)]
         └─ hash(k) ─ Source(t)  [connector ends, k, v]",
    );
}
