//! The queries of the Nexmark benchmark.

use super::check;

#[test]
fn q0() {
    check(
        r#"SELECT auction, bidder, price, dateTime, extra FROM bid"#,
        r#"
└─ rebalance ─ Source(bid)  [auction, bidder, price, dateTime, extra]
"#,
    );
}

#[test]
fn q1() {
    check(
        r#"SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid"#,
        r#"
└─ rebalance ─ Calc  [auction, bidder, 0.908 * price AS price, dateTime, extra]
   └─ Source(bid)  [auction, bidder, price, dateTime, extra]
"#,
    );
}

#[test]
fn q2() {
    check(
        r#"SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0"#,
        r#"
└─ rebalance ─ Calc  [auction, price]
   └─ Source(bid)  [auction, price, dateTime where (auction % 123) = 0]
"#,
    );
}

#[test]
fn q5() {
    check(
        r#"SELECT AuctionBids.auction, AuctionBids.num
 FROM (
   SELECT auction, count(*) AS num, window_start AS starttime, window_end AS endtime
   FROM TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
   GROUP BY auction, window_start, window_end
 ) AS AuctionBids
 JOIN (
   SELECT max(CountBids.num) AS maxn, CountBids.starttime, CountBids.endtime
   FROM (
     SELECT count(*) AS num, window_start AS starttime, window_end AS endtime
     FROM TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
     GROUP BY auction, window_start, window_end
   ) AS CountBids
   GROUP BY CountBids.starttime, CountBids.endtime
 ) AS MaxBids
 ON AuctionBids.starttime = MaxBids.starttime AND AuctionBids.endtime = MaxBids.endtime
    AND AuctionBids.num >= MaxBids.maxn"#,
        r#"
└─ rebalance ─ Calc  [auction, count(*) AS num]
   └─ WindowJoin  [inner on left.window_start = right.window_start AND left.window_end = right.window_end and left.count(*) >= right.max(count(*))]
      ├─ left ─ Calc  [auction, count(*), window_start, window_end]
      │  └─ WindowAggregate as window-aggregate  [HOP 10 s every 2 s of partial results, by auction: count(*)]
      │     └─ hash(auction) ─ PartialAggregate  [first phase, HOP 10 s every 2 s of dateTime, by auction: count(*)]
      │        └─ Source(bid)  [auction, dateTime]
      └─ right broadcast ─ Calc  [max(count(*)), window_start, window_end]
         └─ WindowAggregate  [windows of partial results: max(count(*))]
            └─ all to one subtask ─ PartialAggregate  [first phase, windows window_start to window_end: max(count(*))]
               └─ Calc  [window_start, window_end, count(*)]
                  └─ WindowAggregate (shown above as window-aggregate)
"#,
    );
}

#[test]
fn q7() {
    check(
        r#"SELECT B.auction, B.price, B.bidder, B.dateTime, B.extra
FROM bid B
JOIN (
  SELECT MAX(price) AS maxprice, window_end as dateTime
  FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end
) B1
ON B.price = B1.maxprice
WHERE B.dateTime BETWEEN B1.dateTime - INTERVAL '10' SECOND AND B1.dateTime"#,
        r#"
└─ rebalance ─ Calc  [auction, price, bidder, dateTime, extra]
   └─ IntervalJoin  [inner on left.price = right.max(price), left.dateTime - right.window_end from -10 s to 0 ms]
      ├─ left ─ Source(bid) as source  [auction, bidder, price, dateTime, extra]
      └─ right broadcast ─ Calc  [max(price), window_end]
         └─ WindowAggregate  [TUMBLE 10 s of partial results: max(price)]
            └─ all to one subtask ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime: max(price)]
               └─ Calc  [dateTime, price]
                  └─ Source(bid) (shown above as source)
"#,
    );
}

#[test]
fn q8() {
    check(
        r#"SELECT P.id, P.name, P.starttime
FROM (
  SELECT id, name, window_start AS starttime, window_end AS endtime
  FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
  GROUP BY id, name, window_start, window_end
) P
JOIN (
  SELECT seller, window_start AS starttime, window_end AS endtime
  FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
  GROUP BY seller, window_start, window_end
) A
ON P.id = A.seller AND P.starttime = A.starttime AND P.endtime = A.endtime"#,
        r#"
└─ rebalance ─ Calc  [id, name, window_start AS starttime]
   └─ WindowJoin  [inner on left.id = right.seller AND left.window_start = right.window_start AND left.window_end = right.window_end]
      ├─ left ─ Calc  [id, name, window_start, window_end]
      │  └─ WindowAggregate  [TUMBLE 10 s of partial results, by id, name]
      │     └─ hash(id) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by id, name]
      │        └─ Source(person)  [id, name, dateTime]
      └─ right ─ Calc  [seller, window_start, window_end]
         └─ WindowAggregate  [TUMBLE 10 s of partial results, by seller]
            └─ hash(seller) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by seller]
               └─ Source(auction)  [seller, dateTime]
"#,
    );
}

#[test]
fn q11() {
    check(
        r#"SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime]
   └─ WindowAggregate  [SESSION with gap 10 s of dateTime, by bidder: count(*)]
      └─ hash(bidder) ─ Source(bid)  [bidder, dateTime]
"#,
    );
}

#[test]
fn q12() {
    check(
        r#"SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(proc), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder: count(*)]
      └─ hash(bidder) ─ PartialAggregate  [first phase, TUMBLE 10 s of proctime, by bidder: count(*)]
         └─ ProcessingTime  [time is processing time from here on]
            └─ Source(bid)  [bidder]
"#,
    );
}

#[test]
fn q14() {
    check(
        r#"SELECT auction, bidder, 0.908 * price AS price,
  CASE WHEN EXTRACT(HOUR FROM dateTime) >= 8 AND EXTRACT(HOUR FROM dateTime) <= 18 THEN 'dayTime'
       WHEN EXTRACT(HOUR FROM dateTime) <= 6 OR EXTRACT(HOUR FROM dateTime) >= 20 THEN 'nightTime'
       ELSE 'otherTime' END AS bidTimeType,
  dateTime, extra, LENGTH(REGEXP_REPLACE(extra, '[^c]', '', 'g')) AS c_counts
FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000"#,
        r#"
└─ rebalance ─ Calc  [auction, bidder, 0.908 * price AS price, CASE WHEN __common_expr_1 >= 8 AND __common_expr_1 <= 18 THEN 'dayTime' WHEN (__common_expr_1 <= 6) OR (__common_expr_1 >= 20) THEN 'nightTime' ELSE 'otherTime' END AS bidTimeType, dateTime, extra, character_length(regexp_replace(extra, '[^c]', '', 'g')) AS c_counts]
   └─ Calc  [date_part('HOUR', dateTime) AS __common_expr_1, auction, bidder, price, dateTime, extra where __common_expr_4 > 1000000.000 AND __common_expr_4 < 50000000.000]
      └─ Calc  [0.908 * price AS __common_expr_4, auction, bidder, price, dateTime, extra]
         └─ Source(bid)  [auction, bidder, price, dateTime, extra]
"#,
    );
}

#[test]
fn q21() {
    check(
        r#"SELECT auction, bidder, price, channel,
  CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1'
       WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3'
       ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id
FROM bid
WHERE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] IS NOT NULL
   OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')"#,
        r#"
└─ rebalance ─ Calc  [auction, bidder, price, channel, CASE WHEN __common_expr_1 = 'apple' THEN '0' WHEN __common_expr_1 = 'google' THEN '1' WHEN __common_expr_1 = 'facebook' THEN '2' WHEN __common_expr_1 = 'baidu' THEN '3' ELSE array_element(regexp_match(url, '(&|^)channel_id=([^&]*)'), 2) END AS channel_id]
   └─ Calc  [lower(channel) AS __common_expr_1, auction, bidder, price, channel, url]
      └─ Source(bid)  [auction, bidder, price, channel, url, dateTime where array_element(regexp_match(url, '(&|^)channel_id=([^&]*)'), 2) IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')]
"#,
    );
}

#[test]
fn q22() {
    check(
        r#"SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1,
  split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid"#,
        r#"
└─ rebalance ─ Calc  [auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3]
   └─ Source(bid)  [auction, bidder, price, channel, url, dateTime]
"#,
    );
}
