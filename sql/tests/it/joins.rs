//! Joins, and the dataflows that they come to.

use super::check;

#[test]
fn left_window_join() {
    check(
        r#"SELECT a.auction, b.name FROM (SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) a LEFT JOIN (SELECT * FROM TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) b ON a.bidder = b.id AND a.window_start = b.window_start AND a.window_end = b.window_end"#,
        r#"
└─ rebalance ─ Calc  [auction, name]
   └─ WindowJoin  [left on left.bidder = right.id AND left.window_start = right.window_start AND left.window_end = right.window_end]
      ├─ left hash(bidder, window_start, window_end) ─ Calc  [auction, bidder, window_start, window_end]
      │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
      │     └─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(id, window_start, window_end) ─ Calc  [id, name, window_start, window_end]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(person)  [id, name, dateTime]
"#,
    );
}

#[test]
fn semi_join_of_windows() {
    check(
        r#"SELECT auction FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) a WHERE bidder IN (SELECT id FROM TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) p WHERE p.window_start = a.window_start AND p.window_end = a.window_end)"#,
        r#"
└─ rebalance ─ Calc  [auction]
   └─ WindowJoin  [left semi on left.bidder = right.id AND left.window_start = right.window_start AND left.window_end = right.window_end]
      ├─ left hash(bidder, window_start, window_end) ─ Calc  [auction, bidder, window_start, window_end]
      │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
      │     └─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(id, window_start, window_end) ─ Calc  [id, window_start, window_end]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(person)  [id, dateTime]
"#,
    );
}

#[test]
fn anti_join_of_windows() {
    check(
        r#"SELECT auction FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) a WHERE NOT EXISTS (SELECT 1 FROM TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) p WHERE p.window_start = a.window_start AND p.window_end = a.window_end AND p.id = a.bidder)"#,
        r#"
└─ rebalance ─ Calc  [auction]
   └─ WindowJoin  [left anti on left.window_start = right.window_start AND left.window_end = right.window_end AND left.bidder = right.id]
      ├─ left hash(window_start, window_end, bidder) ─ Calc  [auction, bidder, window_start, window_end]
      │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
      │     └─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(window_start, window_end, id) ─ Calc  [id, window_start, window_end]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(person)  [id, dateTime]
"#,
    );
}

#[test]
fn left_interval_join_with_a_strict_bound() {
    check(
        r#"SELECT b.auction, a.itemName FROM bid b LEFT JOIN auction a ON b.auction = a.id AND b.dateTime >= a.dateTime AND b.dateTime < a.dateTime + INTERVAL '1' HOUR AND b.price > 5"#,
        r#"
└─ rebalance ─ Calc  [auction, itemName]
   └─ IntervalJoin  [left on left.auction = right.id, left.dateTime - right.dateTime from 0 ms to 3599999 ms and left.price > 5]
      ├─ left hash(auction) ─ Source(bid)  [auction, price, dateTime]
      └─ right hash(id) ─ Source(auction)  [id, itemName, dateTime]
"#,
    );
}

#[test]
fn interval_join_with_a_window() {
    check(
        r#"SELECT b.price, w.n FROM bid b JOIN (SELECT auction, COUNT(*) AS n, window_start, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY auction, window_start, window_end) w ON b.auction = w.auction AND b.dateTime >= w.window_start AND b.dateTime < w.window_end"#,
        r#"
└─ rebalance ─ Calc  [price, count(*) AS n]
   └─ IntervalJoin  [inner on left.auction = right.auction, left.dateTime - right.window_end from -10 s to -1 ms]
      ├─ left hash(auction) ─ Source(bid) as source  [auction, price, dateTime]
      └─ right ─ Calc  [auction, count(*), window_start, window_end]
         └─ WindowAggregate  [TUMBLE 10 s of partial results, by auction: count(*)]
            └─ hash(auction) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by auction: count(*)]
               └─ Calc  [auction, dateTime]
                  └─ Source(bid) (shown above as source)
"#,
    );
}

#[test]
fn aggregation_of_a_window_join() {
    check(
        r#"SELECT a.window_start, COUNT(b.name) AS n FROM (SELECT bidder, window_start, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) a LEFT JOIN (SELECT id, name, window_start, window_end FROM TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) b ON a.bidder = b.id AND a.window_start = b.window_start GROUP BY a.window_start, a.window_end"#,
        r#"
└─ rebalance ─ Calc  [window_start, count(name) AS n]
   └─ WindowAggregate  [windows of partial results: count(name)]
      └─ all to one subtask ─ PartialAggregate  [first phase, windows window_start to window_end: count(name)]
         └─ Calc  [window_start, window_end, name]
            └─ WindowJoin  [left on left.bidder = right.id AND left.window_start = right.window_start AND left.window_end = right.window_end]
               ├─ left hash(bidder, window_start, window_end) ─ Calc  [bidder, window_start, window_end]
               │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
               │     └─ Source(bid)  [bidder, dateTime]
               └─ right hash(id, window_start, window_end) ─ Calc  [id, name, window_start, window_end]
                  └─ WindowAssign  [TUMBLE 10 s of dateTime]
                     └─ Source(person)  [id, name, dateTime]
"#,
    );
}

#[test]
fn full_window_join() {
    check(
        r#"SELECT COALESCE(a.bidder, b.id) AS k FROM (SELECT bidder, window_start, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) a FULL JOIN (SELECT id, name, window_start, window_end FROM TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) b ON a.bidder = b.id AND a.window_end = b.window_end"#,
        r#"
└─ rebalance ─ Calc  [CASE WHEN bidder IS NOT NULL THEN bidder ELSE id END AS k]
   └─ WindowJoin  [full on left.bidder = right.id AND left.window_end = right.window_end]
      ├─ left hash(bidder, window_end) ─ Calc  [bidder, window_end]
      │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
      │     └─ Source(bid)  [bidder, dateTime]
      └─ right hash(id, window_end) ─ Calc  [id, window_end]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(person)  [id, dateTime]
"#,
    );
}

#[test]
fn interval_join_in_local_time() {
    check(
        r#"CREATE TABLE z (k BIGINT, ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'fake'); SELECT z.k FROM z JOIN (SELECT k, window_end FROM TUMBLE(TABLE z, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY k, window_start, window_end) w ON z.k = w.k AND z.ts BETWEEN w.window_end - INTERVAL '1' MINUTE AND w.window_end"#,
        r#"
└─ rebalance ─ Calc  [k]
   └─ IntervalJoin  [inner on left.k = right.k, left.ts - right.window_end from -1 min to 0 ms]
      ├─ left hash(k) ─ Source(z) as source  [k, ts, watermark ts - INTERVAL '1' SECOND, idle after 1 min]
      └─ right ─ Calc  [k, window_end]
         └─ WindowAggregate  [TUMBLE 1 min of partial results, by k]
            └─ hash(k) ─ PartialAggregate  [first phase, TUMBLE 1 min of ts, by k]
               └─ Source(z) (shown above as source)
"#,
    );
}

#[test]
fn windows_over_an_interval_join() {
    check(
        r#"SELECT a.auction, COUNT(*) AS n, window_start FROM TUMBLE((SELECT b.auction, b.dateTime AS ts FROM bid b JOIN auction a ON b.auction = a.id AND b.dateTime BETWEEN a.dateTime AND a.dateTime + INTERVAL '1' HOUR), DESCRIPTOR(ts), INTERVAL '1' MINUTE) a GROUP BY a.auction, window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [auction, count(*) AS n, window_start]
   └─ WindowAggregate  [TUMBLE 1 min of partial results, by auction: count(*)]
      └─ hash(auction) ─ PartialAggregate  [first phase, TUMBLE 1 min of dateTime, by auction: count(*)]
         └─ Calc  [auction, dateTime]
            └─ IntervalJoin  [inner on left.auction = right.id, left.dateTime - right.dateTime from 0 ms to 1 h]
               ├─ left hash(auction) ─ Source(bid)  [auction, dateTime]
               └─ right hash(id) ─ Source(auction)  [id, dateTime]
"#,
    );
}

#[test]
fn correlated_subquery_per_window() {
    check(
        r#"SELECT a.auction, (SELECT MAX(id) FROM TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) q WHERE q.window_start = a.window_start AND q.window_end = a.window_end) AS m FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) a"#,
        r#"
└─ rebalance ─ Calc  [auction, max(id) AS m]
   └─ WindowJoin  [left on left.window_start = right.window_start AND left.window_end = right.window_end]
      ├─ left hash(window_start, window_end) ─ Calc  [auction, window_start, window_end]
      │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
      │     └─ Source(bid)  [auction, dateTime]
      └─ right hash(window_start, window_end) ─ Calc  [max(id), window_start, window_end]
         └─ WindowAggregate  [TUMBLE 10 s of partial results, by TRUE: max(id)]
            └─ hash(TRUE) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by TRUE: max(id)]
               └─ Calc  [TRUE, dateTime, id]
                  └─ Source(person)  [id, dateTime]
"#,
    );
}

/// Rows that may be taken back go to a table that takes them.
#[track_caller]
fn updating(columns: &str, query: &str, expected: &str) {
    check(&format!("CREATE TABLE out ({columns}) WITH ('connector' = 'fake'); INSERT INTO out {query}"), expected);
}

#[test]
fn join_of_all_rows() {
    check(
        r#"SELECT b.price, a.itemName FROM bid b JOIN auction a ON b.auction = a.id AND b.price > a.category + 1"#,
        r#"
└─ rebalance ─ Calc  [price, itemName where price > (category + 1)]
   └─ Join  [inner on left.auction = right.id]
      ├─ left hash(auction) ─ Calc  [auction, price]
      │  └─ Source(bid)  [auction, price, dateTime]
      └─ right hash(id) ─ Calc  [id, itemName, category]
         └─ Source(auction)  [id, itemName, category, dateTime]
"#,
    );
}

#[test]
fn semi_join_of_all_rows() {
    check(
        r#"SELECT auction FROM bid WHERE bidder IN (SELECT id FROM person)"#,
        r#"
└─ rebalance ─ Calc  [auction]
   └─ Join  [left semi on left.bidder = right.id]
      ├─ left hash(bidder) ─ Calc  [auction, bidder]
      │  └─ Source(bid)  [auction, bidder, dateTime]
      └─ right hash(id) ─ Calc  [id]
         └─ Source(person)  [id, dateTime]
"#,
    );
}

#[test]
fn left_join_of_all_rows() {
    updating(
        r#"auction BIGINT, seller BIGINT"#,
        r#"SELECT b.auction, a.seller FROM bid b LEFT JOIN auction a ON b.auction = a.id AND b.dateTime >= a.dateTime"#,
        r#"
Sink(out) (retract)  [auction, seller]
└─ Calc (retract)  [auction, seller]
   └─ Join (retract)  [left on left.auction = right.id and left.dateTime >= right.dateTime]
      ├─ left hash(auction) ─ Source(bid)  [auction, dateTime]
      └─ right hash(id) ─ Source(auction)  [id, seller, dateTime]
"#,
    );
}

#[test]
fn anti_join_of_all_rows() {
    updating(
        r#"auction BIGINT"#,
        r#"SELECT auction FROM bid b WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.id = b.bidder AND p.name <> b.url)"#,
        r#"
Sink(out) (retract)  [auction]
└─ Calc (retract)  [auction]
   └─ Join (retract)  [left anti on left.bidder = right.id and right.name <> left.url]
      ├─ left hash(bidder) ─ Calc  [auction, bidder, url]
      │  └─ Source(bid)  [auction, bidder, url, dateTime]
      └─ right hash(id) ─ Calc  [id, name]
         └─ Source(person)  [id, name, dateTime]
"#,
    );
}

#[test]
fn several_joins_of_all_rows() {
    updating(
        r#"price BIGINT, item STRING, name STRING"#,
        r#"SELECT b.price, a.itemName, p.name FROM bid b JOIN auction a ON b.auction = a.id FULL JOIN person p ON a.seller = p.id"#,
        r#"
Sink(out) (retract)  [price, item, name]
└─ Calc (retract)  [price, itemName AS item, name]
   └─ Join (retract)  [full on left.seller = right.id]
      ├─ left hash(seller) ─ Calc  [price, itemName, seller]
      │  └─ Join  [inner on left.auction = right.id]
      │     ├─ left hash(auction) ─ Calc  [auction, price]
      │     │  └─ Source(bid)  [auction, price, dateTime]
      │     └─ right hash(id) ─ Calc  [id, itemName, seller]
      │        └─ Source(auction)  [id, itemName, seller, dateTime]
      └─ right hash(id) ─ Calc  [id, name]
         └─ Source(person)  [id, name, dateTime]
"#,
    );
}

#[test]
fn exists_with_time_bounds_is_a_join_of_all_rows() {
    check(
        r#"SELECT auction FROM bid b WHERE EXISTS (SELECT 1 FROM auction a WHERE a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.dateTime + INTERVAL '1' DAY)"#,
        r#"
└─ rebalance ─ Calc  [auction]
   └─ Join  [left semi on left.auction = right.id and left.dateTime >= right.dateTime AND left.dateTime <= (right.dateTime + INTERVAL '1' DAY)]
      ├─ left hash(auction) ─ Source(bid)  [auction, dateTime]
      └─ right hash(id) ─ Source(auction)  [id, dateTime]
"#,
    );
}

/// Its rows may come at any later time.
#[test]
fn time_bounds_behind_a_join_of_all_rows_bound_nothing() {
    check(
        r#"SELECT j.auction, p.name FROM (SELECT b.auction, b.bidder, b.dateTime FROM bid b JOIN auction a ON b.auction = a.id) j JOIN person p ON j.bidder = p.id AND j.dateTime BETWEEN p.dateTime AND p.dateTime + INTERVAL '1' HOUR"#,
        r#"
└─ rebalance ─ Calc  [auction, name]
   └─ Join  [inner on left.bidder = right.id and left.dateTime >= right.dateTime AND left.dateTime <= (right.dateTime + INTERVAL '3600' SECOND)]
      ├─ left hash(bidder) ─ Calc  [auction, bidder, dateTime]
      │  └─ Join  [inner on left.auction = right.id]
      │     ├─ left hash(auction) ─ Source(bid)  [auction, bidder, dateTime]
      │     └─ right hash(id) ─ Calc  [id]
      │        └─ Source(auction)  [id, dateTime]
      └─ right hash(id) ─ Source(person)  [id, name, dateTime]
"#,
    );
}

#[test]
fn windows_behind_a_join_of_all_rows_are_columns() {
    check(
        r#"WITH w AS (SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)), j AS (SELECT w.* FROM w JOIN auction a ON w.auction = a.id) SELECT j.auction FROM j JOIN w ON j.window_start = w.window_start AND j.window_end = w.window_end"#,
        r#"
└─ rebalance ─ Calc  [auction]
   └─ Join  [inner on left.window_start = right.window_start AND left.window_end = right.window_end]
      ├─ left hash(window_start, window_end) ─ Calc  [auction, window_start, window_end]
      │  └─ Join  [inner on left.auction = right.id]
      │     ├─ left hash(auction) ─ Calc  [auction, window_start, window_end]
      │     │  └─ WindowAssign  [TUMBLE 10 s of dateTime]
      │     │     └─ Source(bid) as source  [auction, dateTime]
      │     └─ right hash(id) ─ Calc  [id]
      │        └─ Source(auction)  [id, dateTime]
      └─ right hash(window_start, window_end) ─ Calc  [window_start, window_end]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Calc  [dateTime]
               └─ Source(bid) (shown above as source)
"#,
    );
}

#[test]
fn what_grows_without_an_end_is_told() {
    let warnings = |query: &str| super::plan(query).unwrap().warnings;
    let said = warnings("SELECT b.price FROM bid b JOIN auction a ON b.auction = a.id");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("Join [inner on left.auction = right.id] keeps all rows of both sides"), "{said:?}");
    assert!(said[0].contains("a.ts BETWEEN b.ts"), "{said:?}");
    let ends = "CREATE TABLE ends (k BIGINT) WITH ('connector' = 'ends');";
    assert_eq!(warnings(&format!("{ends} SELECT a.k FROM ends a JOIN ends b ON a.k = b.k")), [""; 0]);
}
