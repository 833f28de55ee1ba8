//! Functions with `OVER`, and the dataflows that they come to.

use super::check;

#[test]
fn functions_of_one_partition_and_order_are_one_operator() {
    check(
        r#"SELECT auction, SUM(price) OVER w AS total, COUNT(*) FILTER (WHERE price > 10) OVER w AS n, LAG(price, 2, 0) OVER w AS before,
           MAX(price) OVER (PARTITION BY bidder ORDER BY dateTime RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) AS best
           FROM bid WHERE auction > 3 WINDOW w AS (PARTITION BY bidder ORDER BY dateTime)"#,
        r#"
└─ rebalance ─ Calc  [auction, sum(price) AS total, count(CASE WHEN price > 10 THEN TRUE END) AS n, lag(price) AS before, max(price) AS best]
   └─ Over  [of each bidder by dateTime: sum(price), count(CASE WHEN price > 10 THEN TRUE END), lag(price, 2, CAST(0 AS BIGINT)), max(price) RANGE 1 h PRECEDING]
      └─ hash(bidder) ─ Calc  [auction, bidder, price, dateTime, CASE WHEN price > 10 THEN TRUE END, CAST(0 AS BIGINT)]
         └─ Source(bid)  [auction, bidder, price, dateTime where auction > 3]
"#,
    );
}

#[test]
fn functions_of_other_partitions_follow_each_other() {
    check(
        r#"CREATE VIEW totals AS SELECT auction, dateTime, SUM(price) OVER (PARTITION BY bidder ORDER BY dateTime) AS total,
             MAX(price) OVER (PARTITION BY auction ORDER BY dateTime ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS best FROM bid;
           SELECT window_start, auction, SUM(total) AS s, MAX(best) AS b FROM TUMBLE(TABLE totals, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)
           GROUP BY window_start, window_end, auction"#,
        r#"
└─ rebalance ─ Calc  [window_start, auction, sum(sum(price)) AS s, max(max(price)) AS b]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by auction: sum(sum(price)), max(max(price))]
      └─ hash(auction) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by auction: sum(sum(price)), max(max(price))]
         └─ Calc  [auction, dateTime, sum(price), max(price)]
            └─ Over  [of each bidder by dateTime: sum(price)]
               └─ hash(bidder) ─ Over  [of each auction by dateTime: max(price) ROWS 9 PRECEDING]
                  └─ hash(auction) ─ Source(bid)  [auction, bidder, price, dateTime]
"#,
    );
}

#[test]
fn a_row_number_without_a_limit_counts_in_the_order_of_time() {
    check(
        r#"SELECT auction, rn * 2 AS twice FROM (SELECT auction, ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY dateTime) AS rn FROM bid)
           WHERE rn > 1"#,
        r#"
└─ rebalance ─ Calc  [auction, row_number * 2 AS twice where row_number > 1]
   └─ Over  [of each bidder by dateTime: row_number()]
      └─ hash(bidder) ─ Source(bid)  [auction, bidder, dateTime]
"#,
    );
}

#[test]
fn what_does_not_follow_from_rows_before_in_time_is_computed_of_all_rows() {
    check(
        r#"SELECT auction, SUM(price) OVER (PARTITION BY bidder ORDER BY price DESC, dateTime) AS total,
             AVG(price) OVER (PARTITION BY bidder) AS mean,
             NTILE(4) OVER (PARTITION BY bidder) AS part,
             COUNT(*) OVER (ORDER BY dateTime RANGE BETWEEN INTERVAL '90' SECOND PRECEDING AND INTERVAL '1' MINUTE FOLLOWING) AS near,
             STDDEV(price) FILTER (WHERE price > 10) OVER (ORDER BY dateTime ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING) AS spread
           FROM bid"#,
        r#"
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [auction, sum(price) AS total, avg(price) AS mean, ntile(4) AS part, count(*) AS near, stddev(CAST(price AS DOUBLE)) AS spread]
      └─ UpdatingOver (retract)  [of all rows by dateTime: count(*) RANGE BETWEEN 90 s PRECEDING AND 1 min FOLLOWING, stddev(CAST(price AS DOUBLE)) FILTER (WHERE price > 10) ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING]
         └─ all to one subtask ─ Calc (retract)  [auction, price, dateTime, sum(price), avg(price), ntile(4), CAST(price AS DOUBLE), price > 10]
            └─ UpdatingOver (retract)  [of each bidder: avg(price), ntile(4)]
               └─ hash(bidder) ─ UpdatingOver (retract)  [of each bidder by price DESC, dateTime: sum(price)]
                  └─ hash(bidder) ─ Source(bid)  [auction, bidder, price, dateTime]
"#,
    );
}

#[test]
fn a_row_number_without_a_limit_is_the_key_of_its_rows() {
    check(
        "SELECT bidder, price, ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY price DESC) AS n FROM bid",
        r#"
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [bidder, price, row_number AS n]
      └─ UpdatingOver (retract)  [of each bidder by price DESC: row_number()]
         └─ hash(bidder) ─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn rows_that_change_may_be_ordered_by_anything() {
    check(
        "SELECT bidder, n, RANK() OVER (ORDER BY n DESC) AS place, LAG(n) OVER (ORDER BY n DESC) AS ahead
         FROM (SELECT bidder, COUNT(*) AS n FROM bid GROUP BY bidder)",
        r#"
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [bidder, count(*) AS n, rank() AS place, lag(count(*)) AS ahead]
      └─ UpdatingOver (retract)  [of all rows by count(*) DESC: rank(), lag(count(*), 1)]
         └─ all to one subtask ─ GroupAggregate (retract)  [by bidder: count(*)]
            └─ hash(bidder) ─ Calc  [bidder]
               └─ Source(bid)  [bidder, dateTime]
"#,
    );
}
