//! Which rows pass an exchange, and which stay where they are.

use super::{check, dataflow};

/// Two tables, each aggregated by these columns in windows of ten seconds and joined by their windows and these conditions.
fn joined(columns: &str, left: &str, right: &str, conditions: &str) -> String {
    let side = |table: &str, keys: &str| {
        format!(
            "(SELECT {keys}, window_start, window_end, COUNT(*) AS n
              FROM TUMBLE(TABLE {table}, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
              GROUP BY {keys}, window_start, window_end)"
        )
    };
    format!(
        "SELECT {columns} FROM {} l JOIN {} r
         ON {conditions} AND l.window_start = r.window_start AND l.window_end = r.window_end",
        side("person", left),
        side("auction", right)
    )
}

#[test]
fn an_aggregation_is_spread_by_the_keys_that_are_compared_which_come_first_then() {
    check(
        &joined("l.name, l.n, r.n", "name, id", "seller", "l.id = r.seller"),
        "
└─ rebalance ─ Calc  [name, count(*) AS n, count(*) AS n0]
   └─ WindowJoin  [inner on left.id = right.seller AND left.window_start = right.window_start AND left.window_end = right.window_end]
      ├─ left ─ Calc  [name, id, count(*), window_start, window_end]
      │  └─ Calc  [name, id, count(*), window_start, window_end, window_time]
      │     └─ WindowAggregate  [TUMBLE 10 s of partial results, by id, name: count(*)]
      │        └─ hash(id) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by id, name: count(*)]
      │           └─ Source(person)  [id, name, dateTime]
      └─ right ─ Calc  [seller, count(*), window_start, window_end]
         └─ WindowAggregate  [TUMBLE 10 s of partial results, by seller: count(*)]
            └─ hash(seller) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by seller: count(*)]
               └─ Source(auction)  [seller, dateTime]",
    );
}

#[test]
fn keys_in_another_order_are_spread_in_the_order_of_the_other_side() {
    let text = dataflow(&joined("l.n, r.n", "city, name, id", "id, itemName", "l.name = r.itemName AND l.id = r.id"));
    assert!(text.contains("hash(id, name) ─ PartialAggregate") && text.contains("by id, name, city"), "{text}");
    assert!(text.contains("hash(id, itemName) ─ PartialAggregate"), "{text}");
    assert_eq!(text.matches("hash(").count(), 2, "{text}");
}

#[test]
fn few_of_the_keys_of_both_sides_might_be_few_values_and_spread_nothing() {
    let text = dataflow(&joined("l.n, r.n", "id, name", "id, itemName", "l.id = r.id"));
    assert!(text.contains("left hash(id, window_start, window_end)"), "{text}");
    assert!(text.contains("right hash(id, window_start, window_end)"), "{text}");
    assert!(text.contains("hash(id, name) ─ PartialAggregate"), "{text}");
}

#[test]
fn rows_that_are_not_aggregated_come_to_those_that_are() {
    let bids = "(SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))";
    let counts = "(SELECT auction, window_start, window_end, COUNT(*) AS n
                   FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
                   GROUP BY auction, window_start, window_end)";
    let text = dataflow(&format!(
        "SELECT b.price, c.n FROM {bids} b FULL JOIN {counts} c
         ON b.window_end = c.window_end AND b.auction = c.auction"
    ));
    assert!(text.contains("left hash(auction) ─ Calc") && text.contains("right ─ Calc"), "{text}");
}

#[test]
fn aggregations_of_one_result_by_the_same_key_are_not_spread_again() {
    let text = dataflow(
        "SELECT auction, COUNT(*) AS n, window_start FROM (
           SELECT auction, bidder, window_start, window_end
           FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
           GROUP BY auction, bidder, window_start, window_end)
         GROUP BY auction, window_start, window_end",
    );
    assert!(text.contains("hash(auction, bidder) ─ PartialAggregate"), "by more than is asked for: {text}");
    assert!(text.contains("hash(auction) ─ PartialAggregate"), "{text}");
    let text = dataflow("SELECT n, COUNT(*) FROM (SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction) GROUP BY n");
    assert_eq!(text.matches("hash(").count(), 2, "{text}");
    let text = dataflow(
        "SELECT auction, COUNT(n) FROM (SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction) GROUP BY auction",
    );
    assert_eq!(text.matches("hash(").count(), 1, "{text}");
}

/// Bids of windows of ten seconds and of each window the greatest of another query, joined by the window.
fn with_greatest(columns: &str, join: &str, greatest: &str) -> String {
    dataflow(&format!(
        "SELECT {columns} FROM (SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) b
         {join} JOIN (SELECT MAX(m) AS m, window_end FROM ({greatest}) GROUP BY window_start, window_end) g
         ON b.window_end = g.window_end"
    ))
}

const GREATEST_BID: &str = "SELECT price AS m, window_start, window_end
                            FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";

#[test]
fn the_only_row_of_a_window_goes_to_all_others_of_it() {
    for join in ["INNER", "LEFT"] {
        let text = with_greatest("b.price, g.m", join, GREATEST_BID);
        assert!(text.contains("├─ left ─ Calc") && text.contains("└─ right broadcast ─ Calc"), "{join}: {text}");
        assert!(!text.contains("hash("), "{join}: {text}");
    }
    // A row that nothing matched must come out once.
    for join in ["RIGHT", "FULL"] {
        let text = with_greatest("b.price, g.m", join, GREATEST_BID);
        assert!(text.contains("left hash(window_end)") && text.contains("right hash(window_end)"), "{join}: {text}");
    }
}

#[test]
fn subtasks_that_hear_of_time_by_themselves_have_to_hear_the_same() {
    let auctions = "SELECT id AS m, window_start, window_end
                    FROM TUMBLE(TABLE auction, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";
    let text = with_greatest("b.price, g.m", "INNER", auctions);
    assert!(text.contains("left hash(window_end)") && text.contains("right hash(window_end)"), "{text}");
    let both = format!("{auctions} UNION ALL {GREATEST_BID}");
    let text = with_greatest("b.price, g.m", "INNER", &both);
    assert!(text.contains("├─ left ─ Calc") && text.contains("└─ right broadcast ─ Calc"), "{text}");
    // Behind an exchange all hear the same.
    let text = dataflow(
        "SELECT b.n, g.m FROM (
           SELECT auction, COUNT(*) AS n, window_start, window_end
           FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
           GROUP BY auction, window_start, window_end) b
         JOIN (
           SELECT MAX(id) AS m, window_end FROM TUMBLE(TABLE auction, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
           GROUP BY window_start, window_end) g
         ON b.window_end = g.window_end",
    );
    assert!(text.contains("├─ left ─ Calc") && text.contains("└─ right broadcast ─ Calc"), "{text}");
    // A clock of each subtask goes by itself.
    let text = dataflow(
        "SELECT b.price, g.m FROM (SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(proc), INTERVAL '10' SECOND)) b
         JOIN (SELECT MAX(price) AS m, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(proc), INTERVAL '10' SECOND)
               GROUP BY window_start, window_end) g
         ON b.window_end = g.window_end",
    );
    assert!(text.contains("left hash(window_end)") && text.contains("right hash(window_end)"), "{text}");
}
