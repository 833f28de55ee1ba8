//! Unions, UNNEST, views and several statements, and the dataflows that they come to.

use super::check;

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
└─ rebalance ─ Calc  [id, __unnest_placeholder(outer_ref(auction.tags),depth=1) AS tag]
   └─ Unnest  [__unnest_placeholder(outer_ref(auction.tags))]
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
└─ rebalance ─ Calc  [id, __unnest_placeholder(auction.tags,depth=1) AS tag]
   └─ Unnest  [__unnest_placeholder(auction.tags)]
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
fn unnest_behind_a_comma() {
    check(
        r#"SELECT a.id, x.tag FROM auction a, UNNEST(a.tags) AS x(tag) WHERE x.tag LIKE 'b%'"#,
        r#"
└─ rebalance ─ Calc  [id, __unnest_placeholder(outer_ref(a.tags),depth=1) AS tag where __unnest_placeholder(outer_ref(a.tags),depth=1) LIKE 'b%']
   └─ Unnest  [__unnest_placeholder(outer_ref(a.tags))]
      └─ Calc  [id, tags AS __unnest_placeholder(outer_ref(a.tags))]
         └─ Source(auction)  [id, dateTime, tags]
"#,
    );
}

#[test]
fn a_limit_is_the_end_of_a_job_that_writes_nothing_else() {
    let last_row = |sql: &str| super::plan(sql).unwrap().last_row;
    assert_eq!(last_row("SELECT bidder FROM bid LIMIT 3"), Some(3));
    assert_eq!(last_row("SELECT bidder FROM bid"), None);
    assert_eq!(last_row("SELECT bidder, COUNT(*) FROM bid GROUP BY bidder LIMIT 3"), None, "they may be taken back");
    let dead_letters = "
CREATE TABLE logs (line STRING) WITH ('connector' = 'fake', 'error-policy' = 'dead-letter', 'dead-letter.table' = 'dead');
CREATE TABLE dead (t STRING, origin STRING, at BIGINT, raw BYTES, reason STRING) WITH ('connector' = 'fake');
SELECT line FROM logs LIMIT 3";
    assert_eq!(last_row(dead_letters), None, "records that cannot be decoded come after it too");
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
            edge("Discover(logs)", Main, "Source(logs)"),
            edge("Source(logs)", Main, "WindowAggregate"),
            edge("WindowAggregate", Main, "Calc"),
            edge("Calc", Main, "Sink(counts)"),
            edge("Source(logs)", Rejected, "Sink(dead)"),
            edge("WindowAggregate", Late, "Sink(late)"),
        ]
    );
}

#[test]
fn the_splits_of_a_table_are_found_in_one_place() {
    let tables = "CREATE TABLE logs (line STRING, at AS PROCTIME(), ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
                    WITH ('connector' = 'ends', 'scan.records-per-second.limit' = '5_000');";
    let two_sources = "SELECT COUNT(*) FROM TUMBLE(TABLE logs, DESCRIPTOR(ts), INTERVAL '1' DAY) GROUP BY window_start, window_end
                       UNION ALL
                       SELECT COUNT(*) FROM TUMBLE(TABLE logs, DESCRIPTOR(at), INTERVAL '1' DAY) GROUP BY window_start, window_end";
    let graph = super::plan(&format!("{tables} {two_sources}")).unwrap().graph.unwrap();
    let text = weir_sql::explain(&graph);
    let lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches([' ', '│', '└', '├', '─'])).collect();
    let sources: Vec<&&str> = lines.iter().filter(|line| line.starts_with("Source(logs)")).collect();
    assert_eq!(sources.len(), 2, "{text}");
    assert!(sources.iter().all(|line| line.contains(", at most 5000 rows/s")), "{text}");
    let found: Vec<&&str> = lines.iter().filter(|line| line.contains("Discover(logs)")).collect();
    assert_eq!(found.len(), 2, "{text}");
    assert!(found[0].starts_with("broadcast ─ Discover(logs) as discover-"), "{text}");
    assert!(found[0].ends_with(" (one subtask)  [splits of connector ends]"), "{text}");
    assert!(found[1].contains("shown above as discover-"), "{text}");
}

#[test]
fn explain_has_its_own_job() {
    let plan = super::plan("SET 'a' = 'b'; SET 'a' = 'c'; EXPLAIN SELECT auction FROM bid;").unwrap();
    assert!(plan.graph.is_none());
    let [weir_sql::Answer::Text(explained)] = &plan.answers[..] else { panic!("{:?}", plan.answers) };
    assert!(explained.starts_with("Sink(result) (one subtask)"), "{explained}");
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

#[test]
fn functions_with_a_syntax_of_their_own() {
    for (written, called) in [
        ("SUBSTRING(channel FROM 2 FOR 3)", "substr(channel, 2, 3)"),
        ("SUBSTRING(channel, 2)", "substr(channel, 2)"),
        ("SUBSTR(channel, 2, 3)", "substr(channel, 2, 3)"),
        ("POSITION('a' IN channel)", "strpos(channel, 'a')"),
        ("OVERLAY(channel PLACING 'x' FROM 2 FOR 1)", "overlay(channel, 'x', 2, 1)"),
        ("TRIM(LEADING 'x' FROM channel)", "ltrim(channel, 'x')"),
        ("EXTRACT(YEAR FROM dateTime)", "date_part('YEAR', dateTime)"),
    ] {
        let flow = super::dataflow(&format!("SELECT {written} AS x FROM bid"));
        assert!(flow.contains(called), "{written}\n{flow}");
    }
}
