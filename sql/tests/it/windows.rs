//! Windows, aggregations over them and Top-N, and the dataflows that they come to.

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
   └─ WindowAggregate  [windows of partial results: count(*)]
      └─ all to one subtask ─ PartialAggregate  [first phase, windows window_start to window_end: count(*)]
         └─ Calc  [window_start, window_end where dateTime > (window_start + INTERVAL '1' SECOND)]
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
└─ rebalance ─ Calc  [window_start, window_end, avg(price) AS a]
   └─ WindowAggregate  [CUMULATE up to 1 d by 1 h of partial results: avg(price)]
      └─ all to one subtask ─ PartialAggregate  [first phase, CUMULATE up to 1 d by 1 h of dateTime: avg(price)]
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
└─ rebalance ─ Calc  [window_start, bidder, channel, count(*) AS n, CAST(CAST((grouping_id & 2) >> 1 AS INT) AS BIGINT) AS g]
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
└─ rebalance ─ Calc  [bidder, price, window_start, window_end, row_number AS rn]
   └─ WindowTopN  [first 3 of each window_start, window_end by price DESC, with row numbers]
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
   └─ WindowTopN  [first 3 of each window_start, window_end by sum(price) DESC]
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
   └─ WindowTopN  [first 1 of each window_start, window_end, bidder by dateTime]
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
fn aggregates_with_constants_and_ignored_nulls() {
    check(
        r#"SELECT window_start, FIRST_VALUE(price) AS f, LAST_VALUE(price) IGNORE NULLS AS l, STRING_AGG(channel, ',') AS s, APPROX_PERCENTILE_CONT(price, 0.5) AS p FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_start, first_value(price) AS f, last_value(price) AS l, CAST(string_agg(channel) AS STRING) AS s, approx_percentile_cont(CAST(price AS DOUBLE)) AS p]
   └─ WindowAggregate  [TUMBLE 10 s of dateTime: first_value(price) FILTER (WHERE price IS NOT NULL), last_value(price) FILTER (WHERE price IS NOT NULL), string_agg(channel), approx_percentile_cont(CAST(price AS DOUBLE))]
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
└─ rebalance ─ Calc  [CASE WHEN price > 10 THEN 'high' ELSE 'low' END AS level, count(*) AS n]
   └─ WindowAggregate  [TUMBLE 10 s of partial results, by CASE WHEN price > 10 THEN 'high' ELSE 'low' END: count(*)]
      └─ hash(CASE WHEN price > 10 THEN 'high' ELSE 'low' END) ─ PartialAggregate  [first phase, TUMBLE 10 s of dateTime, by CASE WHEN price > 10 THEN 'high' ELSE 'low' END: count(*)]
         └─ Calc  [CASE WHEN price > 10 THEN 'high' ELSE 'low' END, dateTime]
            └─ Source(bid)  [price, dateTime]
"#,
    );
}

#[test]
fn windows_over_elements() {
    check(
        r#"SELECT window_start, tag, COUNT(*) AS n FROM TUMBLE((SELECT a.dateTime, x.tag FROM auction a CROSS JOIN UNNEST(a.tags) AS x(tag)), DESCRIPTOR(dateTime), INTERVAL '1' MINUTE) GROUP BY window_start, window_end, tag"#,
        r#"
└─ rebalance ─ Calc  [window_start, __unnest_placeholder(outer_ref(a.tags),depth=1) AS tag, count(*) AS n]
   └─ WindowAggregate  [TUMBLE 1 min of partial results, by __unnest_placeholder(outer_ref(a.tags),depth=1): count(*)]
      └─ hash(__unnest_placeholder(outer_ref(a.tags),depth=1)) ─ PartialAggregate  [first phase, TUMBLE 1 min of dateTime, by __unnest_placeholder(outer_ref(a.tags),depth=1): count(*)]
         └─ Unnest  [tags]
            └─ Source(auction)  [dateTime, tags]
"#,
    );
}

#[test]
fn having_over_sessions() {
    check(
        r#"SELECT bidder, COUNT(*) AS n, window_end FROM SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY bidder, window_start, window_end HAVING window_end > TIMESTAMP '2024-01-01 00:00:00' AND COUNT(*) > 3"#,
        r#"
└─ rebalance ─ Calc  [bidder, count(*) AS n, window_end where window_end > TIMESTAMP '2024-01-01 00:00:00.000' AND count(*) > 3]
   └─ WindowAggregate  [SESSION with gap 10 s of dateTime, by bidder: count(*)]
      └─ hash(bidder) ─ Source(bid)  [bidder, dateTime]
"#,
    );
}

#[test]
fn top_n_with_more_conditions() {
    check(
        r#"SELECT bidder, price, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY price DESC, bidder) AS rn FROM (SELECT bidder, price, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))) WHERE rn BETWEEN 2 AND 4 AND price > 3"#,
        r#"
└─ rebalance ─ Calc  [bidder, price, row_number AS rn where row_number >= 2 AND price > 3]
   └─ WindowTopN  [first 4 of each window_end by price DESC, bidder, with row numbers]
      └─ hash(window_end) ─ Calc  [bidder, price, window_end]
         └─ WindowAssign  [TUMBLE 10 s of dateTime]
            └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

#[test]
fn ordered_aggregates() {
    check(
        r#"SELECT window_start, window_end, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS p, array_agg(bidder ORDER BY price DESC) AS b, stddev(price) AS s FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end"#,
        r#"
└─ rebalance ─ Calc  [window_start, window_end, percentile_cont(CAST(price AS DOUBLE)) AS p, array_agg(bidder) AS b, stddev(CAST(price AS DOUBLE)) AS s]
   └─ WindowAggregate  [TUMBLE 10 s of dateTime: percentile_cont(CAST(price AS DOUBLE)) ORDER BY price, array_agg(bidder) ORDER BY price DESC, stddev(CAST(price AS DOUBLE))]
      └─ all to one subtask ─ Calc  [dateTime, CAST(price AS DOUBLE), price, bidder]
         └─ Source(bid)  [bidder, price, dateTime]
"#,
    );
}

/// Late rows have to be told apart from others, so a first phase must not put them together.
#[test]
fn a_table_for_late_rows_changes_the_phases_and_not_what_the_job_is() {
    let sql = "CREATE TABLE late (operator STRING, event_time TIMESTAMP(3), watermark TIMESTAMP(3), `row` STRING) WITH \
               ('connector' = 'fake'); SELECT bidder, MAX(price), COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), \
               INTERVAL '10' SECOND) GROUP BY window_start, window_end, bidder";
    let with = weir_sql::PlanOptions { late_table: Some("late".to_owned()), ..super::options() };
    let plan = |options| super::plan_with(sql, options).unwrap().graph.unwrap();
    let (without, with) = (plan(&super::options()), plan(&with));
    assert_eq!((without.nodes().len(), with.nodes().len()), (6, 6), "a phase less, and a sink more");
    assert_eq!(without.fingerprint(), with.fingerprint());
    let places = with.places();
    let aggregate = without.nodes().iter().find(|node| node.spec.name == "WindowAggregate").unwrap();
    assert_eq!(places[&aggregate.uid].to_string(), "result/sink/window-aggregate");
}
