//! Operators of plugins between relations: the dataflows that they come to, and what is refused.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_core::plugin::{
    JobDescription, JobStep, OperatorStep, PluginTableKind, SideOutput, Spread, StepInput, TableStep,
};
use weir_core::{ChangelogKind, ErrorKind, JobGraph, OperatorSpec, Result};

use super::connectors::Fakes;
use super::{TABLES, options, without_hashes};

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn columns(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect::<Vec<_>>()))
}

fn input(relation: &str, read: &[(&str, DataType)], keys: &[&str]) -> StepInput {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    StepInput {
        relation: relation.into(),
        columns: columns(read),
        spread: Spread::Keys(keys),
        event_time: None,
        takes_retractions: false,
    }
}

fn step(inputs: Vec<StepInput>) -> OperatorStep {
    OperatorStep {
        view: "scores".into(),
        operator: "score".into(),
        config: Vec::new(),
        uid: None,
        inputs,
        output: columns(&[("bidder", DataType::Int64), ("score", DataType::Float64), ("at", TIME)]),
        event_time: Some("at".into()),
        changelog: ChangelogKind::Append,
        side_outputs: vec![SideOutput { view: "odd_bids".into(), columns: columns(&[("bidder", DataType::Int64)]) }],
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    }
}

fn bids() -> StepInput {
    let read = [("bidder", DataType::Int64), ("price", DataType::Int64), ("dateTime", TIME)];
    StepInput { event_time: Some("dateTime".into()), ..input("bid", &read, &["bidder"]) }
}

fn sql(text: &str) -> JobStep {
    JobStep::Sql(text.to_owned())
}

fn planned(steps: Vec<JobStep>) -> Result<JobGraph> {
    let steps = [vec![sql(TABLES)], steps].concat();
    let script = weir_sql::script_of(&JobDescription { name: "job".into(), steps }, None)?;
    Ok(weir_sql::plan(&script, Arc::new(Fakes), &options())?.graph.unwrap())
}

#[track_caller]
fn check(steps: Vec<JobStep>, expected: &str) {
    let graph = planned(steps).unwrap_or_else(|error| panic!("{}", error.report()));
    let text = weir_sql::explain(&graph);
    let lines = text.lines().filter(|line| {
        !line.contains("keeps: ") && !line.contains("broadcast ─ Discover(") && !line.starts_with("Sink(")
    });
    let text: String = lines
        .map(|line| {
            let line = line.replace(", watermark dateTime - INTERVAL '4' SECOND, idle after 1 min", "");
            format!("{}\n", without_hashes(&line.replace("connector fake, ", "")))
        })
        .collect();
    assert_eq!(text.trim_end(), expected.trim(), "\n{text}");
}

fn refusal(steps: Vec<JobStep>) -> String {
    match planned(steps) {
        Ok(graph) => panic!("planned:\n{}", weir_sql::explain(&graph)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::User, "{}", error.report());
            error.report()
        }
    }
}

#[test]
fn an_operator_is_a_view_that_other_queries_read() {
    check(
        vec![
            JobStep::Operator(step(vec![bids()])),
            sql("SELECT bidder, score * 2 AS twice FROM scores WHERE score > 0.5"),
        ],
        r"
└─ rebalance ─ Calc  [bidder, score * 2 AS twice where score > 0.5]
   └─ Plugin(scores)  [score]
      └─ hash(bidder) ─ Source(bid)  [bidder, price, dateTime]
",
    );
}

#[test]
fn its_event_time_closes_windows_behind_it() {
    check(
        vec![
            JobStep::Operator(step(vec![bids()])),
            sql("SELECT window_start, MAX(score) FROM TUMBLE(TABLE scores, DESCRIPTOR(at), INTERVAL '1' MINUTE)
                 GROUP BY window_start, window_end"),
        ],
        r"
└─ rebalance ─ Calc  [window_start, max(score) AS EXPR$1]
   └─ WindowAggregate  [TUMBLE 1 min of partial results: max(score)]
      └─ all to one subtask ─ PartialAggregate  [first phase, TUMBLE 1 min of at: max(score)]
         └─ Calc  [at, score]
            └─ Plugin(scores)  [score]
               └─ hash(bidder) ─ Source(bid)  [bidder, price, dateTime]
",
    );
}

#[test]
fn it_reads_views_and_other_operators_and_is_one_node_for_all_that_read_it() {
    let rules = StepInput { spread: Spread::Broadcast, ..input("rule", &[("id", DataType::Int64)], &[]) };
    let second = OperatorStep {
        view: "judged".into(),
        operator: "judge".into(),
        side_outputs: Vec::new(),
        ..step(vec![
            input("scores", &[("bidder", DataType::Int64), ("score", DataType::Float64)], &["bidder"]),
            rules,
            StepInput { spread: Spread::Stay, ..input("odd_bids", &[("bidder", DataType::Int64)], &[]) },
        ])
    };
    check(
        vec![
            sql("CREATE VIEW rule AS SELECT id + 1 AS id FROM person"),
            JobStep::Operator(step(vec![bids()])),
            JobStep::Operator(second),
            sql("SELECT a.bidder, a.score, b.score FROM judged AS a JOIN scores AS b ON a.bidder = b.bidder"),
        ],
        r"
└─ rebalance ─ Calc  [bidder, score, score AS score0]
   └─ Join  [inner on left.bidder = right.bidder]
      ├─ left hash(bidder) ─ Calc  [bidder, score]
      │  └─ Plugin(judged)  [judge]
      │     ├─ left hash(bidder) ─ Calc as calc  [bidder, score]
      │     │  └─ Plugin(scores) as plugin  [score]
      │     │     └─ hash(bidder) ─ Source(bid)  [bidder, price, dateTime]
      │     ├─ right broadcast ─ Calc  [id + 1 AS id]
      │     │  └─ Source(person)  [id, dateTime]
      │     └─ input 3 ─ Calc  [bidder]
      │        └─ side output 1 of ─ Plugin(scores) (shown above as plugin)
      └─ right hash(bidder) ─ Calc (shown above as calc)
",
    );
}

#[test]
fn uids_stay_when_configuration_and_outputs_change_and_follow_the_name() {
    let uid = |change: fn(&mut OperatorStep)| {
        let mut step = step(vec![bids()]);
        change(&mut step);
        let graph = planned(vec![JobStep::Operator(step), sql("SELECT bidder FROM scores")]).unwrap();
        let node = graph.nodes().iter().find(|node| matches!(node.spec.operator, OperatorSpec::Plugin(_))).unwrap();
        (node.uid.clone(), node.spec.label.clone(), graph.fingerprint())
    };
    let first = uid(|_| {});
    assert_eq!(first.1.as_deref(), Some("scores"));
    assert_eq!(uid(|step| step.config = b"threshold = 3".to_vec()), first);
    assert_eq!(uid(|step| step.wants_ticks = true), first);
    assert_ne!(uid(|step| step.operator = "score-better".into()).0, first.0);
    let renamed = |step: &mut OperatorStep| {
        step.operator = "score-better".into();
        step.uid = Some("score".into());
    };
    assert_eq!(uid(renamed).0, first.0);
    assert_ne!(uid(|step| step.inputs[0].spread = Spread::Keys(vec![])).0, first.0);
}

#[test]
fn what_it_reads_has_to_be_there_and_of_the_type() {
    let reads = |read: StepInput| refusal(vec![JobStep::Operator(step(vec![read])), sql("SELECT bidder FROM scores")]);
    let report = reads(input("bids", &[("bidder", DataType::Int64)], &[]));
    assert!(report.contains("there is no table `bids`") && report.contains("did you mean `bid`?"), "{report}");
    let report = reads(input("bid", &[("prize", DataType::Int64)], &[]));
    assert!(report.contains("there is no column `prize`") && report.contains("did you mean `price`?"), "{report}");
    let report = reads(input("bid", &[("price", DataType::Utf8View)], &[]));
    assert!(report.contains("operator `score` reads `price` of `bid` as STRING"), "{report}");
    assert!(report.contains("which is BIGINT") && report.contains("CAST(price AS STRING"), "{report}");
    let report = reads(input("bid", &[("price", DataType::Int64)], &["bidder"]));
    assert!(report.contains("has no column `bidder` among those that it reads of `bid`"), "{report}");
    let sure = Arc::new(Schema::new(vec![Field::new("price", DataType::Int64, false)]));
    let report = reads(StepInput { columns: sure, ..input("bid", &[], &[]) });
    assert!(report.contains("reads `price` of `bid` as NOT NULL, which may be null"), "{report}");
}

#[test]
fn event_time_is_asked_for_and_promised() {
    let read = StepInput { relation: "late".into(), ..bids() };
    let view = sql("CREATE VIEW late AS SELECT bidder, price, dateTime + INTERVAL '1' DAY AS dateTime FROM bid");
    let report = refusal(vec![view, JobStep::Operator(step(vec![read])), sql("SELECT bidder FROM scores")]);
    assert!(
        report.contains("`scores` wants event time in `dateTime`, and in `late` that is no time attribute"),
        "{report}"
    );
    let untimed = OperatorStep { event_time: None, ..step(vec![bids()]) };
    let windows = "SELECT COUNT(*) FROM TUMBLE(TABLE scores, DESCRIPTOR(at), INTERVAL '1' MINUTE) GROUP BY window_start, window_end";
    let report = refusal(vec![JobStep::Operator(untimed), sql(windows)]);
    assert!(report.contains("`at`"), "{report}");
    let wrong = OperatorStep { event_time: Some("score".into()), ..step(vec![bids()]) };
    let report = refusal(vec![JobStep::Operator(wrong), sql("SELECT bidder FROM scores")]);
    assert!(report.contains("`score` is its event time, and not a TIMESTAMP(3) of its output"), "{report}");
}

#[test]
fn rows_that_are_taken_back_come_only_where_they_are_taken() {
    let totals = sql("CREATE VIEW totals AS SELECT bidder, COUNT(*) AS n FROM bid GROUP BY bidder");
    let read = input("totals", &[("bidder", DataType::Int64), ("n", DataType::Int64)], &["bidder"]);
    let steps = |read: StepInput| {
        let step = OperatorStep { changelog: ChangelogKind::Retract, ..step(vec![read]) };
        vec![totals.clone(), JobStep::Operator(step), sql("SELECT bidder FROM scores")]
    };
    let report = refusal(steps(read.clone()));
    assert!(report.contains("Plugin(scores) would have to follow rows that may be taken back"), "{report}");
    let graph = planned(steps(StepInput { takes_retractions: true, ..read })).unwrap();
    let text = weir_sql::explain(&graph);
    assert!(text.contains("Plugin(scores) (retract)"), "{text}");
}

#[test]
fn outputs_that_cannot_be_are_refused() {
    let makes = |change: fn(&mut OperatorStep)| {
        let mut step = step(vec![bids()]);
        change(&mut step);
        refusal(vec![JobStep::Operator(step), sql("SELECT bidder FROM scores")])
    };
    let report = makes(|step| step.view = "bid".into());
    assert!(report.contains("there is a table `bid` already"), "{report}");
    let report = makes(|step| step.side_outputs[0].view = "scores".into());
    assert!(report.contains("there is a view `scores` already"), "{report}");
    let report = makes(|step| step.output = columns(&[("at", TIME), ("name", DataType::Utf8)]));
    assert!(report.contains("column `name` of its output `scores` is Utf8"), "{report}");
    assert!(report.contains("rows travel as Utf8View"), "{report}");
    let report = makes(|step| step.output = columns(&[("at", TIME), ("at", TIME)]));
    assert!(report.contains("two columns `at`"), "{report}");
    let report = makes(|step| step.inputs.clear());
    assert!(report.contains("reads nothing"), "{report}");
}

#[test]
fn statements_are_whole_and_errors_stand_at_their_place() {
    let report = refusal(vec![sql("SELECT 'open"), JobStep::Operator(step(vec![bids()]))]);
    assert!(report.contains("the plugin's job has a statement that cannot be read"), "{report}");
    let report = refusal(vec![
        sql("CREATE VIEW v AS SELECT bidder FROM bid -- a comment at its end"),
        JobStep::Operator(step(vec![bids()])),
        sql("SELECT nothing FROM scores;"),
    ]);
    assert!(report.contains("there is no column `nothing`"), "{report}");
    assert!(report.contains("| SELECT nothing FROM scores"), "{report}");
}

fn ticks(declaration: &str) -> JobStep {
    let kind = PluginTableKind::Source { bounded: false };
    JobStep::Table(TableStep { declaration: declaration.into(), table: "ticks".into(), config: b"{}".to_vec(), kind })
}

const TICKS: &str =
    "CREATE TABLE ticks (n BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at) WITH ('connector' = '$plugin');";

#[test]
fn a_table_of_the_plugins_own_is_a_table_whose_code_is_known() {
    let graph = planned(vec![ticks(TICKS), sql("SELECT n FROM ticks")]).unwrap();
    let tables: Vec<_> = graph.nodes().iter().filter_map(|node| node.spec.operator.plugin_table()).collect();
    // Its splits and its rows.
    assert_eq!(tables.len(), 2);
    assert!(tables.iter().all(|table| table.table == "ticks" && table.config == b"{}"), "{tables:?}");
    // Another version of the plugin is the same table.
    let JobStep::Table(step) = ticks(TICKS) else { unreachable!() };
    let other = JobStep::Table(TableStep { config: b"other".to_vec(), ..step });
    let again = planned(vec![other, sql("SELECT n FROM ticks")]).unwrap();
    assert_eq!(graph.fingerprint(), again.fingerprint());
    assert!(!graph.runs_like(&again), "it is an update");
}

#[test]
fn nothing_but_a_declaration_of_the_plugin_can_name_its_code() {
    let report = refusal(vec![sql(TICKS), sql("SELECT n FROM ticks")]);
    assert!(report.contains("there is no connector `$plugin`"), "{report}");
    let like = sql("CREATE TABLE more LIKE ticks");
    let report = refusal(vec![ticks(TICKS), like, sql("SELECT n FROM more")]);
    assert!(report.contains("there is no connector `$plugin`"), "{report}");
    for declaration in ["SELECT 1", "CREATE VIEW ticks AS SELECT 1", &format!("{TICKS} {TICKS}"), ""] {
        let report = refusal(vec![ticks(declaration), sql("SELECT n FROM ticks")]);
        assert!(report.contains("the plugin's table `ticks`"), "{declaration}: {report}");
    }
}
