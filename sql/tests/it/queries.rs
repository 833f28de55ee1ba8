//! Shapes of queries, and the dataflows that they come to.

use super::check;

#[test]
fn distinct_aggregates_have_one_phase() {
    check(
        r#"SELECT window_start, bidder, COUNT(DISTINCT auction) AS d, SUM(price) FILTER (WHERE price > 10) AS s FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, bidder"#,
        r#"
└─ rebalance ─ Calc  [window_start, bidder, count(DISTINCT auction) AS d, sum(price) AS s]
   └─ WindowAggregate  [TUMBLE 10 s of dateTime, by bidder: count(DISTINCT auction), sum(price) FILTER (WHERE price > 10)]
      └─ hash(bidder) ─ Calc  [bidder, dateTime, auction, price, price > 10]
         └─ Source(bid)  [auction, bidder, price, dateTime]
"#,
    );
}

#[test]
fn conditions_on_the_window_wait_for_the_aggregation() {
    check(
        r#"SELECT window_end, bidder, MAX(price) AS m FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) WHERE window_end > TIMESTAMP '2024-01-01 00:00:00' AND price > 5 GROUP BY window_start, window_end, bidder HAVING MAX(price) > 100"#,
        r#"
└─ rebalance ─ Calc  [window_end, bidder, max(price) AS m where window_end > TIMESTAMP '2024-01-01 00:00:00.000' AND max(price) > 100]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder: max(price)]
      └─ hash(bidder) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by bidder: max(price)]
         └─ Source(bid)  [bidder, price, dateTime where price > 5]
"#,
    );
}

#[test]
fn conditions_on_row_and_window_assign_windows_first() {
    check(
        r#"SELECT window_end, COUNT(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) WHERE dateTime > window_start + INTERVAL '1' SECOND GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_end, count(*) AS n]
   └─ WindowAggregate  [windows window_start to window_end: count(*)]
      └─ all to one subtask ─ Calc  [window_start, window_end where dateTime > (window_start + INTERVAL '1' SECOND)]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(bid)  [dateTime]
"#,
    );
}

#[test]
fn cumulate() {
    check(
        r#"SELECT window_start, window_end, AVG(price) AS a FROM CUMULATE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR, INTERVAL '1' DAY) GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_start, window_end, avg(CAST(price AS DOUBLE)) AS a]
   └─ WindowAggregate  [CUMULATE up to 1 d by 1 h of partial results: avg(CAST(price AS DOUBLE))]
      └─ all to one subtask ─ PartialAggregate  [first phase, CUMULATE up to 1 d by 1 h of dateTime: avg(CAST(price AS DOUBLE))]
         └─ Calc  [dateTime, CAST(price AS DOUBLE)]
            └─ Source(bid)  [price, dateTime]
"#,
    );
}

#[test]
fn named_arguments_and_one_of_the_window_columns() {
    check(
        r#"SELECT window_start, COUNT(*) AS n FROM TABLE(HOP(DATA => TABLE bid, TIMECOL => DESCRIPTOR(dateTime), SLIDE => INTERVAL '5' MINUTES, SIZE => INTERVAL '10' MINUTES, OFFSET => INTERVAL '1' MINUTES)) GROUP BY window_start"#,
        r#"
└─ rebalance ─ Calc  [window_start, count(*) AS n]
   └─ WindowAggregate  [HOP 10 min every 5 min shifted by 1 min of partial results: count(*)]
      └─ all to one subtask ─ PartialAggregate  [first phase, HOP 10 min every 5 min shifted by 1 min of dateTime: count(*)]
         └─ Source(bid)  [dateTime]
"#,
    );
}

#[test]
fn grouping_sets() {
    check(
        r#"SELECT window_start, bidder, channel, COUNT(*) AS n, GROUPING(bidder) AS g FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, GROUPING SETS ((bidder), (channel), ())"#,
        r#"
└─ rebalance ─ Calc  [window_start, bidder, channel, count(*) AS n, CAST((grouping_id & 2) >> 1 AS INT) AS g]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder, channel, grouping_id: count(*)]
      └─ hash(bidder, channel, grouping_id) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by bidder, channel, grouping_id: count(*)]
         └─ Expand  [each row 3 times: bidder, channel, dateTime, bidder, channel, grouping_id]
            └─ Source(bid)  [bidder, channel, dateTime]
"#,
    );
}

#[test]
fn rollup() {
    check(
        r#"SELECT window_start, window_end, bidder, SUM(price) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, ROLLUP (bidder)"#,
        r#"
└─ rebalance ─ Calc  [window_start, window_end, bidder, sum(price) AS n]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder, grouping_id: sum(price)]
      └─ hash(bidder, grouping_id) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by bidder, grouping_id: sum(price)]
         └─ Expand  [each row 2 times: bidder, price, dateTime, bidder, grouping_id]
            └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn distinct_per_window() {
    check(
        r#"SELECT DISTINCT window_start, window_end, bidder FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)"#,
        r#"
└─ rebalance ─ Calc  [window_start, window_end, bidder]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder]
      └─ hash(bidder) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by bidder]
         └─ Source(bid)  [bidder, dateTime]
"#,
    );
}

#[test]
fn windows_without_an_aggregation() {
    check(
        r#"SELECT auction, window_start, window_time FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) WHERE price > 3"#,
        r#"
└─ rebalance ─ Calc  [auction, window_start, window_time]
   └─ WindowAssign  [TUMBLE 10 s of dateTime]
      └─ Calc  [auction, dateTime]
         └─ Source(bid)  [auction, price, dateTime where price > 3]
"#,
    );
}

#[test]
fn windows_over_windows() {
    check(
        r#"WITH w AS (SELECT bidder, SUM(price) AS total, window_start AS ws, window_end AS we, window_time AS rowtime FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY bidder, window_start, window_end, window_time) SELECT window_start, window_end, MAX(total) AS m FROM TUMBLE(TABLE w, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE) GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_start, window_end, max(sum(price)) AS m]
   └─ WindowAggregate  [TUMBLE 1 min of partial results: max(sum(price))]
      └─ all to one subtask ─ PartialAggregate  [first phase, TUMBLE 1 min of window_time: max(sum(price))]
         └─ Calc  [window_time, sum(price)]
            └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder: sum(price)]
               └─ hash(bidder) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by bidder: sum(price)]
                  └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn top_n() {
    check(
        r#"SELECT * FROM (SELECT bidder, price, window_start, window_end, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY price DESC) AS rn FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) WHERE rn <= 3"#,
        r#"
└─ rebalance ─ WindowTopN  [first 3 of each window_start, window_end by price DESC, with row numbers]
   └─ hash(window_start, window_end) ─ Calc  [bidder, price, window_start, window_end]
      └─ WindowAssign  [TUMBLE 10 s of dateTime]
         └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn top_n_of_an_aggregation() {
    check(
        r#"SELECT bidder, total, window_end FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY total DESC) AS rn FROM (SELECT bidder, SUM(price) AS total, window_start, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY bidder, window_start, window_end)) WHERE rn < 4"#,
        r#"
└─ rebalance ─ Calc  [bidder, sum(price) AS total, window_end]
   └─ WindowTopN  [first 3 of each window_start, window_end by sum(price) DESC, with row numbers]
      └─ hash(window_start, window_end) ─ Calc  [bidder, sum(price), window_end, window_start]
         └─ WindowAggregate  [TUMBLE 10 s of partial results, by bidder: sum(price)]
            └─ hash(bidder) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by bidder: sum(price)]
               └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn deduplication_with_qualify() {
    check(
        r#"SELECT bidder, price, window_start, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end, bidder ORDER BY dateTime) = 1"#,
        r#"
└─ rebalance ─ Calc  [bidder, price, window_start, window_end]
   └─ WindowTopN  [first 1 of each window_start, window_end, bidder by dateTime, with row numbers]
      └─ hash(window_start, window_end, bidder) ─ Calc  [bidder, price, window_start, window_end, dateTime]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn sessions_of_a_view() {
    check(
        r#"CREATE VIEW cheap AS SELECT bidder, dateTime FROM bid WHERE price < 7; SELECT bidder, window_start, COUNT(*) AS n FROM SESSION(TABLE cheap PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, bidder"#,
        r#"
└─ rebalance ─ Calc  [bidder, window_start, count(*) AS n]
   └─ WindowAggregate  [SESSION with gap 10 s of dateTime, by bidder: count(*)]
      └─ hash(bidder) ─ Calc  [bidder, dateTime]
         └─ Source(bid)  [bidder, price, dateTime where price < 7]
"#,
    );
}

#[test]
fn whole_sessions_are_filtered_first() {
    check(
        r#"SELECT bidder, window_start, COUNT(*) AS n FROM SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) WHERE bidder > 7 GROUP BY window_start, window_end, bidder"#,
        r#"
└─ rebalance ─ Calc  [bidder, window_start, count(*) AS n]
   └─ WindowAggregate  [SESSION with gap 10 s of dateTime, by bidder: count(*)]
      └─ hash(bidder) ─ Source(bid)  [bidder, dateTime where bidder > 7]
"#,
    );
}

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
      └─ right hash(auction) ─ Calc  [auction, count(*), window_start, window_end]
         └─ WindowAggregate  [TUMBLE 10 s of partial results, by auction: count(*)]
            └─ hash(auction) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by auction: count(*)]
               └─ Calc  [auction, dateTime]
                  └─ Source(bid) (shown above as source)
"#,
    );
}

#[test]
fn windows_over_a_union() {
    check(
        r#"SELECT window_end, COUNT(*) AS n FROM TUMBLE((SELECT dateTime, 'b' AS kind FROM bid UNION ALL SELECT dateTime, name FROM person), DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_end, count(*) AS n]
   └─ WindowAggregate  [TUMBLE 10 s of partial results: count(*)]
      └─ all to one subtask ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime: count(*)]
         ├─ Source(bid)  [dateTime]
         └─ Source(person)  [dateTime]
"#,
    );
}

#[test]
fn a_union_with_itself_repeats_rows() {
    check(
        r#"SELECT auction FROM bid UNION ALL SELECT auction FROM bid"#,
        r#"
└─ rebalance ─ Expand  [each row 2 times: auction]
   └─ Calc  [auction]
      └─ Source(bid)  [auction, dateTime]
"#,
    );
}

#[test]
fn unnest() {
    check(
        r#"SELECT id, tag FROM auction CROSS JOIN UNNEST(tags) AS t(tag)"#,
        r#"
└─ rebalance ─ Unnest  [__unnest_placeholder(outer_ref(auction.tags))]
   └─ Calc  [id, tags AS __unnest_placeholder(outer_ref(auction.tags))]
      └─ Source(auction)  [id, dateTime, tags]
"#,
    );
}

#[test]
fn unnest_keeps_rows_without_elements() {
    check(
        r#"SELECT a.id, upper(t.tag) AS tag FROM auction a LEFT JOIN UNNEST(a.tags) AS t(tag) ON TRUE"#,
        r#"
└─ rebalance ─ Calc  [id, upper(__unnest_placeholder(outer_ref(a.tags),depth=1)) AS tag]
   └─ Unnest  [__unnest_placeholder(outer_ref(a.tags)), rows without elements stay]
      └─ Calc  [id, tags AS __unnest_placeholder(outer_ref(a.tags))]
         └─ Source(auction)  [id, dateTime, tags]
"#,
    );
}

#[test]
fn unnest_in_the_select_list() {
    check(
        r#"SELECT id, UNNEST(tags) AS tag FROM auction"#,
        r#"
└─ rebalance ─ Unnest  [__unnest_placeholder(auction.tags)]
   └─ Calc  [id, tags AS __unnest_placeholder(auction.tags)]
      └─ Source(auction)  [id, dateTime, tags]
"#,
    );
}

#[test]
fn several_inserts_share_a_scan() {
    check(
        r#"CREATE TABLE o1 (a BIGINT, p DECIMAL(22,2)) WITH ('connector'='fake'); CREATE TABLE o2 (x STRING, y INT, z BIGINT) WITH ('connector'='fake'); INSERT INTO o1 SELECT auction, price FROM bid WHERE price > 3; INSERT INTO o2 (z, x) SELECT bidder, channel FROM bid;"#,
        r#"
Sink(o1)  [a, p]
└─ Calc  [auction AS a, CAST(price AS DECIMAL(22, 2)) AS p where price > 3]
   └─ Source(bid) as source  [auction, bidder, price, channel, dateTime]
Sink(o2)  [x, y, z]
└─ Calc  [channel AS x, NULL AS y, bidder AS z]
   └─ Source(bid) (shown above as source)
"#,
    );
}

#[test]
fn views_are_inlined() {
    check(
        r#"CREATE VIEW v (a, b) AS SELECT auction, price * 2 FROM bid WHERE price > 1; SELECT a, b FROM v WHERE a < 5"#,
        r#"
└─ rebalance ─ Calc  [auction AS a, price * 2 AS b]
   └─ Source(bid)  [auction, price, dateTime where price > 1 AND auction < 5]
"#,
    );
}

#[test]
fn computed_time_attribute() {
    check(
        r#"CREATE TABLE c (k BIGINT, t BIGINT, ts AS to_timestamp_millis(t), WATERMARK FOR ts AS ts) WITH ('connector'='fake'); SELECT k FROM c"#,
        r#"
└─ rebalance ─ Calc  [k]
   └─ Source(c)  [k, to_timestamp_millis(t) AS ts, watermark ts, idle after 1 min]
"#,
    );
}

#[test]
fn aggregates_with_constants_and_ignored_nulls() {
    check(
        r#"SELECT window_start, FIRST_VALUE(price) AS f, LAST_VALUE(price) IGNORE NULLS AS l, STRING_AGG(channel, ',') AS s, APPROX_PERCENTILE_CONT(price, 0.5) AS p FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_start, first_value(price) AS f, last_value(price) AS l, CAST(string_agg(channel) AS STRING) AS s, approx_percentile_cont(CAST(price AS DOUBLE)) AS p]
   └─ WindowAggregate  [TUMBLE 10 s of dateTime: first_value(price), last_value(price) FILTER (WHERE price IS NOT NULL), string_agg(channel), approx_percentile_cont(CAST(price AS DOUBLE))]
      └─ all to one subtask ─ Calc  [dateTime, price, price IS NOT NULL, channel, CAST(price AS DOUBLE)]
         └─ Source(bid)  [price, channel, dateTime]
"#,
    );
}

#[test]
fn strings_travel_as_views() {
    check(
        r#"SELECT CASE WHEN price > 10 THEN 'high' ELSE 'low' END AS level, COUNT(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, CASE WHEN price > 10 THEN 'high' ELSE 'low' END"#,
        r#"
└─ rebalance ─ Calc  [$key2 AS level, count(*) AS n]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by $key2: count(*)]
      └─ hash($key2) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by $key2: count(*)]
         └─ Calc  [CAST(CASE WHEN price > 10 THEN 'high' ELSE 'low' END AS STRING) AS $key2, dateTime]
            └─ Source(bid)  [price, dateTime]
"#,
    );
}

#[test]
fn late_rows_and_undecodable_records_have_tables() {
    let tables = "
CREATE TABLE logs (line STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'ends',
  'error-policy' = 'dead-letter', 'dead-letter.table' = 'dead');
CREATE TABLE dead (t STRING, origin STRING, at BIGINT, raw BYTES, reason STRING) WITH ('connector' = 'fake');
CREATE TABLE late (op STRING, ts TIMESTAMP(3), wm TIMESTAMP(3), r STRING) WITH ('connector' = 'fake');
CREATE TABLE counts (n BIGINT) WITH ('connector' = 'fake');
INSERT INTO counts SELECT COUNT(*) FROM TUMBLE(TABLE logs, DESCRIPTOR(ts), INTERVAL '1' DAY)
  GROUP BY window_start, window_end";
    let options = weir_sql::PlanOptions { late_table: Some("late".to_owned()), ..super::options() };
    let plan = super::plan_with(tables, &options).unwrap();
    assert_eq!(plan.boundedness, weir_core::connector::Boundedness::Bounded);
    assert_eq!(plan.default_name, "insert-into_counts");
    let graph = plan.graph.unwrap();
    let edges: Vec<(String, weir_core::OutputPort, String)> = graph
        .nodes()
        .iter()
        .flat_map(|node| node.spec.inputs.iter().map(|edge| (edge, node.spec.name.clone())))
        .map(|(edge, to)| (graph.node(edge.from).spec.name.clone(), edge.port, to))
        .collect();
    let edge = |from: &str, port, to: &str| (from.to_owned(), port, to.to_owned());
    use weir_core::OutputPort::{Late, Main, Rejected};
    // No first phase: it could not tell which rows are late.
    assert_eq!(
        edges,
        [
            edge("Source(logs)", Main, "WindowAggregate"),
            edge("WindowAggregate", Main, "Calc"),
            edge("Calc", Main, "Sink(counts)"),
            edge("Source(logs)", Rejected, "Sink(dead)"),
            edge("WindowAggregate", Late, "Sink(late)"),
        ]
    );
}

#[test]
fn explain_has_its_own_job() {
    let plan = super::plan("SET 'a' = 'b'; SET 'a' = 'c'; EXPLAIN SELECT auction FROM bid;").unwrap();
    assert!(plan.graph.is_none());
    assert_eq!(plan.explain.len(), 1);
    assert!(plan.explain[0].starts_with("Sink(result) (one subtask)"), "{}", plan.explain[0]);
    let settings: Vec<(&str, &str)> = plan.settings.iter().map(|(k, v)| (k.value.as_str(), v.value.as_str())).collect();
    assert_eq!(settings, [("a", "c")]);
}

#[test]
fn equal_subplans_run_once() {
    let plan = super::plan(
        "CREATE TABLE a (n BIGINT) WITH ('connector' = 'fake'); CREATE TABLE b (n BIGINT, k BIGINT) WITH ('connector' = 'fake');
         CREATE VIEW v AS SELECT bidder, COUNT(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' DAY)
           GROUP BY bidder, window_start, window_end;
         INSERT INTO a SELECT n FROM v; INSERT INTO b SELECT n, bidder FROM v",
    )
    .unwrap();
    let graph = plan.graph.unwrap();
    let count = |name: &str| graph.nodes().iter().filter(|node| node.spec.name == name).count();
    assert_eq!((count("Source(bid)"), count("WindowAggregate"), count("Sink(a)"), count("Sink(b)")), (1, 1, 1, 1));
    assert_eq!(plan.boundedness, weir_core::connector::Boundedness::Unbounded);
}
