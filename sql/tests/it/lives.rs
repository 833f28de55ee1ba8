//! How long state is kept, by setting and by hint, and other hints.

use weir_core::{JobGraph, OperatorSpec, OperatorUid};
use weir_sql::PlanOptions;

use super::{options, plan, plan_with, refusal};

const DAY: u64 = 86_400_000;

fn graph(sql: &str, options: &PlanOptions) -> JobGraph {
    plan_with(sql, options).unwrap_or_else(|error| panic!("{}", error.report())).graph.unwrap()
}

fn for_a_day() -> PlanOptions {
    PlanOptions { state_ttl: Some(DAY), ..options() }
}

/// Lengths of all joins and aggregations, and how many clocks there are.
fn lengths(graph: &JobGraph) -> (Vec<String>, usize) {
    let length = |operator: &OperatorSpec| match operator {
        OperatorSpec::Join(join) => Some(format!("{:?}", join.time_to_live)),
        OperatorSpec::GroupAggregate(aggregate) => Some(format!("{:?}", aggregate.time_to_live)),
        _ => None,
    };
    let lengths = graph.nodes().iter().filter_map(|node| length(&node.spec.operator)).collect();
    (lengths, graph.nodes().iter().filter(|node| node.spec.operator == OperatorSpec::Clock).count())
}

const JOIN: &str =
    "SELECT a.seller, COUNT(*) AS n FROM auction AS a JOIN person AS p ON a.seller = p.id GROUP BY a.seller";

#[test]
fn the_setting_is_for_all_that_would_be_kept_for_ever_and_changes_no_identity() {
    let (with, without) = (graph(JOIN, &for_a_day()), graph(JOIN, &options()));
    let day = format!("Some({DAY})");
    assert_eq!(lengths(&with), (vec![format!("({day}, {day})"), day], 3));
    assert_eq!(lengths(&without), (vec!["(None, None)".to_owned(), "None".to_owned()], 0));
    assert_eq!(with.fingerprint(), without.fingerprint());
    let kept = |graph: &JobGraph| -> Vec<OperatorUid> {
        let kept =
            |operator: &OperatorSpec| matches!(operator, OperatorSpec::Join(_) | OperatorSpec::GroupAggregate(_));
        graph.nodes().iter().filter(|node| kept(&node.spec.operator)).map(|node| node.uid.clone()).collect()
    };
    assert_eq!(kept(&with), kept(&without));
    let by_events = PlanOptions { state_ttl_in_event_time: true, ..for_a_day() };
    assert_eq!(lengths(&graph(JOIN, &by_events)).1, 0, "watermarks go on");
    let all = "SELECT COUNT(*) FROM bid";
    assert_eq!(lengths(&graph(all, &for_a_day())), (vec!["None".to_owned()], 0), "there is one row");
}

/// Exchanges are left out behind a clock as they are without one.
#[test]
fn state_is_found_again_by_a_plan_with_another_time_to_live() {
    let totals = "(SELECT bidder, SUM(price) AS total FROM bid GROUP BY bidder)";
    let plans = [
        format!("SELECT a.total, p.name FROM {totals} AS a JOIN person AS p ON a.bidder = p.id"),
        format!("SELECT a.total, p.name FROM {totals} AS a LEFT JOIN person AS p ON a.bidder = p.id"),
        format!("SELECT p.name FROM person AS p WHERE NOT EXISTS (SELECT 1 FROM {totals} AS a WHERE a.bidder = p.id)"),
        format!("SELECT bidder, MAX(total) FROM {totals} GROUP BY bidder"),
        format!("SELECT DISTINCT bidder FROM {totals}"),
        "SELECT a.bidder, b.seller FROM (SELECT DISTINCT bidder FROM bid) AS a JOIN (SELECT DISTINCT seller FROM auction) AS b \
         ON a.bidder = b.seller"
            .to_owned(),
        "SELECT bidder, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY price) AS n FROM \
         (SELECT DISTINCT bidder, price FROM bid)) WHERE n <= 1"
            .to_owned(),
        "SELECT bidder, MAX(n) FROM (SELECT window_start, bidder, COUNT(*) AS n FROM \
         TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND) GROUP BY window_start, window_end, bidder) \
         GROUP BY bidder"
            .to_owned(),
    ];
    for sql in plans {
        let (with, without) = (graph(&sql, &for_a_day()), graph(&sql, &options()));
        assert!(lengths(&with).1 > 0, "{sql}");
        assert_eq!(with.fingerprint(), without.fingerprint(), "{sql}");
    }
}

/// What is forgotten goes where a marker passes.
#[test]
fn markers_pass_wherever_state_is_forgotten() {
    let join = "SELECT a.id, p.name FROM auction AS a JOIN person AS p ON a.seller = p.id";
    assert!(graph(join, &for_a_day()).has_pending_updates());
    assert!(!graph(join, &options()).has_pending_updates());
    let hinted = join.replacen("SELECT", "SELECT /*+ STATE_TTL('p' = '1 h') */", 1);
    assert!(graph(&hinted, &options()).has_pending_updates());
}

#[test]
fn a_hint_goes_before_the_setting_and_is_for_one_relation() {
    let hinted = |hint: &str, options: &PlanOptions| {
        graph(&JOIN.replacen("SELECT", &format!("SELECT /*+ STATE_TTL({hint}) */"), 1), options)
    };
    let join = |graph: &JobGraph| lengths(graph).0[0].clone();
    assert_eq!(join(&hinted("'a' = '1 h', 'P' = '2 min'", &options())), "(Some(3600000), Some(120000))");
    assert_eq!(join(&hinted("a = '1 h'", &for_a_day())), format!("(Some(3600000), Some({DAY}))"));
    assert_eq!(join(&hinted("'p' = '0 s'", &for_a_day())), format!("(Some({DAY}), None)"));
    let one = "SELECT /*+ STATE_TTL('b' = '1 h') */ bidder, MAX(price) FROM (SELECT * FROM bid WHERE price > 5) AS b GROUP BY bidder";
    assert_eq!(lengths(&graph(one, &options())).0, ["Some(3600000)"]);
}

#[test]
fn warnings_name_the_time_to_live_and_go_with_it() {
    let warnings = |options: &PlanOptions| plan_with(JOIN, options).unwrap().warnings;
    let [join, aggregate] = &warnings(&options())[..] else { panic!("two operators grow") };
    for warning in [join, aggregate] {
        assert!(warning.contains("`SET 'table.exec.state.ttl' = '1 d'`") && warning.contains("STATE_TTL"), "{warning}");
    }
    assert_eq!(warnings(&for_a_day()), [] as [String; 0]);
}

#[test]
fn a_hint_that_is_about_nothing_is_refused() {
    let refused = |sql: &str, what: &str| {
        let message = refusal(sql);
        assert!(message.contains(what), "{sql}:\n{message}");
    };
    refused(
        "SELECT /*+ STATE_TTL('bids' = '1 d') */ bidder, COUNT(*) FROM bid GROUP BY bidder",
        "STATE_TTL is about `bids`, and this SELECT reads no such relation",
    );
    refused("SELECT /*+ STATE_TTL('bids' = '1 d') */ bidder FROM bid GROUP BY bidder", "did you mean `bid`?");
    refused("SELECT /*+ STATE_TTL('bid' = 'long') */ bidder FROM bid GROUP BY bidder", "'long' is no length of time");
    refused("SELECT /*+ STATE_TTL('bid' = '1 d') */ bidder FROM bid", "STATE_TTL of `bid` has no effect here");
    refused("SELECT /*+ STATE_TTL('b' = '1 d') */ COUNT(*) FROM bid AS b", "STATE_TTL of `b` has no effect here");
    refused("SELECT * FROM bid /*+ OPTIONS('nosuch' = '1') */", "nosuch");
    refused("SELECT k FROM plainn /*+ OPTIONS('error-policy' = 'skip') */", "there is no table `plainn`");
    refused(
        "CREATE VIEW v AS SELECT * FROM plain; SELECT k FROM v /*+ OPTIONS('error-policy' = 'skip') */",
        "`v` is a view, and has no options",
    );
}

#[test]
fn options_of_a_table_are_those_of_one_reading() {
    let sql = "SELECT plain.k, p.v FROM plain /*+ OPTIONS('error-policy' = 'skip') */ JOIN plain AS p ON plain.k = p.k";
    let graph = plan(sql).unwrap_or_else(|error| panic!("{}", error.report())).graph.unwrap();
    let policy = |operator: &OperatorSpec| match operator {
        OperatorSpec::Source(source) => Some(source.table.options.get("error-policy").cloned()),
        _ => None,
    };
    let policies: Vec<_> = graph.nodes().iter().filter_map(|node| policy(&node.spec.operator)).collect();
    assert_eq!(policies, [Some("skip".to_owned()), None]);
}

/// Whole partitions are forgotten where a row that is would change others.
#[test]
fn partitions_of_ranks_and_functions_with_over_are_forgotten() {
    let length = |sql: &str, options: &PlanOptions| {
        let graph = graph(sql, options);
        let lengths: Vec<Option<u64>> = graph
            .nodes()
            .iter()
            .filter_map(|node| match &node.spec.operator {
                OperatorSpec::TopN(top) => Some(top.time_to_live),
                OperatorSpec::UpdatingOver(over) => Some(over.time_to_live),
                _ => None,
            })
            .collect();
        let clocks = graph.nodes().iter().filter(|node| node.spec.operator == OperatorSpec::Clock).count();
        (lengths, clocks)
    };
    let by_events = PlanOptions { state_ttl_in_event_time: true, ..for_a_day() };
    for kept in [
        "SELECT bidder, price FROM bid QUALIFY RANK() OVER (PARTITION BY bidder ORDER BY price DESC) <= 3",
        "SELECT * FROM (SELECT bidder, price, ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY price DESC) AS n FROM bid) WHERE n <= 3",
        "SELECT bidder, price, ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY price DESC) AS n FROM bid",
        "SELECT bidder, price, SUM(price) OVER (PARTITION BY bidder) AS total FROM bid",
    ] {
        assert_eq!(length(kept, &for_a_day()), (vec![Some(DAY)], 1), "{kept}");
        assert_eq!(length(kept, &by_events), (vec![Some(DAY)], 0), "{kept}");
        assert_eq!(length(kept, &options()), (vec![None], 0), "{kept}");
        assert_eq!(graph(kept, &for_a_day()).fingerprint(), graph(kept, &options()).fingerprint(), "{kept}");
    }
    let hinted =
        "SELECT /*+ STATE_TTL('bid' = '2 d') */ bidder, SUM(price) OVER (PARTITION BY bidder) AS total FROM bid";
    assert_eq!(length(hinted, &for_a_day()), (vec![Some(2 * DAY)], 1));
    // All rows are one partition, or results are final.
    let whole = "SELECT bidder, SUM(price) OVER () AS total FROM bid";
    assert_eq!(length(whole, &for_a_day()), (vec![None], 0));
    let in_time = "SELECT /*+ STATE_TTL('bid' = '2 d') */ bidder, SUM(price) OVER (PARTITION BY bidder ORDER BY dateTime) AS total FROM bid";
    assert!(refusal(in_time).contains("STATE_TTL of `bid` has no effect here"));
    let first = "SELECT /*+ STATE_TTL('bid' = '2 d') */ bidder FROM bid QUALIFY RANK() OVER (ORDER BY price) <= 3";
    assert!(refusal(first).contains("STATE_TTL of `bid` has no effect here"));
}
