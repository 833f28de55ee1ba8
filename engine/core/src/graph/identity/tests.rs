//! Identities, to the letter. Whoever makes one of these tests fail has orphaned the state of running jobs, unless
//! [`VERSION`](super::VERSION) is a new one.

mod golden;
mod samples;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field};

use self::samples::{aggregate, calc, cast_to, column, graph_of, node, operators, plugin, source, table};
use super::super::*;
use super::identity;
use super::text::{Encode, Text};
use crate::{Expr, Literal, LiteralValue, WindowKind};

fn text(spec: &NodeSpec) -> String {
    identity(&[], spec, 0)
}

fn uid(spec: NodeSpec) -> String {
    let graph = graph_of(spec);
    graph.nodes()[0].uid.0.clone()
}

#[test]
fn identities_are_written_out() {
    let filter = Expr::Binary {
        operator: crate::BinaryOperator::Gt,
        left: Box::new(column(1)),
        right: Box::new(Expr::Literal(Literal {
            data_type: DataType::Utf8View,
            value: LiteralValue::Utf8("\"\\".into()),
        })),
    };
    let spec = node(OperatorSpec::Calc(CalcSpec { predicate: Some(filter), projection: vec![column(0)] }));
    assert_eq!(
        text(&spec),
        "weir-identity 1\nnode{operator:calc{predicate:binary{operator:gt,left:column{index:1},\
         right:literal{type:utf8-view,value:\"\\\"\\\\\"}},projection:[column{index:0}]}}"
    );
    let mut graph = graph_of(node(OperatorSpec::Source(source())));
    assert_eq!(
        text(&graph.nodes()[0].spec),
        "weir-identity 1\nnode{operator:source{table:table{name:\"bids\",connector:\"filesystem\",\
         options:[[\"format\",\"json\"],[\"path\",\"/data\"]],columns:[column{name:\"a\",type:int64},\
         column{name:\"at\",type:timestamp{unit:ms},not-null:true}]},watermark:watermark{expression:column{index:1}}}}"
    );
    let from = NodeId(0);
    let inputs = vec![
        Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Hash(vec![0, 1]) },
        Edge { from, port: OutputPort::Rejected, ordinal: 1, exchange: Exchange::Broadcast },
    ];
    let spec = NodeSpec { inputs, ..node(OperatorSpec::ProcessingTime) };
    let uid = &graph.nodes()[0].uid;
    assert_eq!(
        identity(graph.nodes(), &spec, 2),
        format!(
            "weir-identity 1\nnode{{operator:processing-time,inputs:[edge{{from:\"{uid}\",exchange:hash{{columns:[0,1]}}}},\
             edge{{from:\"{uid}\",port:rejected,ordinal:1,exchange:broadcast}}],copy:2}}"
        )
    );
    graph.add(spec);
}

/// A specification as it is today, and with what somebody may add to it.
#[test]
fn a_field_that_is_added_with_a_default_changes_no_identity() {
    struct CalcOfTomorrow {
        today: CalcSpec,
        limit: Option<u64>,
        strict: bool,
        tags: Vec<String>,
        rounds: u64,
    }
    impl Encode for CalcOfTomorrow {
        fn encode(&self, out: &mut Text) {
            let CalcSpec { predicate, projection } = &self.today;
            out.record("calc")
                .option("predicate", predicate)
                .option("limit", &self.limit)
                .list("projection", projection)
                .flag("strict", self.strict)
                .list("tags", &self.tags)
                .unless("rounds", &self.rounds, &1)
                .end();
        }
    }
    fn written(value: &impl Encode) -> String {
        let mut text = Text::default();
        value.encode(&mut text);
        text.into_string()
    }
    let today = CalcSpec { predicate: Some(column(2)), projection: vec![column(0), column(1)] };
    let tomorrow =
        |limit, strict, tags, rounds| written(&CalcOfTomorrow { today: today.clone(), limit, strict, tags, rounds });
    let now = written(&OperatorSpec::Calc(today.clone()));
    assert_eq!(tomorrow(None, false, Vec::new(), 1), now);
    let others = [
        tomorrow(Some(0), false, Vec::new(), 1),
        tomorrow(None, true, Vec::new(), 1),
        tomorrow(None, false, vec![String::new()], 1),
        tomorrow(None, false, Vec::new(), 0),
        now,
    ];
    assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len(), "{others:#?}");
}

#[test]
fn defaults_are_left_out() {
    for (name, spec) in operators() {
        let text = text(&spec);
        for default in [":false", ":[]", ":none", "offset:0", "scale:0", "months:0", "port:main", "ordinal:0", "copy:0"]
        {
            assert!(!text.contains(default), "{name} says {default}: {text}");
        }
    }
}

#[test]
fn what_a_user_may_change_is_no_identity() {
    let spec = || node(OperatorSpec::Source(source()));
    let before = text(&spec());
    let same = |what: &str, change: &dyn Fn(&mut NodeSpec)| {
        let mut changed = spec();
        change(&mut changed);
        assert_eq!(text(&changed), before, "{what}");
    };
    fn of(spec: &mut NodeSpec) -> &mut SourceSpec {
        let OperatorSpec::Source(source) = &mut spec.operator else { panic!("it is a source") };
        source
    }
    same("name", &|spec| spec.name = "Source(other)".into());
    same("label", &|spec| spec.label = Some("recent".into()));
    same("parallelism", &|spec| spec.parallelism = Parallelism::Single);
    same("changelog", &|spec| spec.changelog = ChangelogKind::Retract);
    same("idle timeout", &|spec| {
        let watermark = of(spec).watermark.as_mut().unwrap();
        watermark.idle_timeout_ms = Some(watermark.idle_timeout_ms.map_or(1, |timeout| timeout + 1));
    });
    same("pace", &|spec| of(spec).rows_per_second = None);
    same("a setting", &|spec| drop(of(spec).table.options.insert("error-policy".into(), "skip".into())));
    same("a setting that is new to the program", &|spec| {
        of(spec).table.settings.insert("read-ahead".into());
        of(spec).table.options.insert("read-ahead".into(), "4".into());
    });
    let list = |item: &str| cast_to(DataType::List(Arc::new(Field::new(item, DataType::Int64, true))));
    assert_eq!(text(&calc(list("item"))), text(&calc(list("element"))), "lists call their items one way or another");
    let mut renamed = aggregate();
    renamed.name = "another".into();
    let of_call = |call| {
        let window = WindowSource::Assign { window: WindowKind::Session { gap: 1 }, time: 0 };
        let spec = WindowAggregateSpec {
            window,
            keys: Vec::new(),
            aggregates: vec![call],
            partial_input: false,
            spread: None,
        };
        text(&node(OperatorSpec::WindowAggregate(spec)))
    };
    assert_eq!(of_call(renamed), of_call(aggregate()), "the name of a result");
}

#[test]
fn what_decides_the_rows_is_identity() {
    let mut texts = BTreeSet::new();
    let mut add = |what: &str, change: &dyn Fn(&mut SourceSpec)| {
        let mut source = source();
        change(&mut source);
        assert!(texts.insert(text(&node(OperatorSpec::Source(source)))), "{what} makes no difference");
    };
    add("nothing", &|_| {});
    add("name of a table", &|source| source.table.name = "asks".into());
    add("connector", &|source| source.table.connector = "datagen".into());
    add("option", &|source| drop(source.table.options.insert("path".into(), "/elsewhere".into())));
    add("name of an option", &|source| drop(source.table.options.insert("pathe".into(), "".into())));
    add("columns that are read", &|source| source.table.projection = Some(vec![1]));
    add("no columns that are read", &|source| source.table.projection = Some(vec![]));
    add("partitions", &|source| source.table.partitioned_by = vec!["a".into()]);
    add("key", &|source| source.table.primary_key = vec![0]);
    add("computed columns", &|source| source.projection = Some(vec![column(0)]));
    add("filter", &|source| source.filter = Some(column(0)));
    add("watermark", &|source| source.watermark.as_mut().unwrap().expression = column(0));
    add("no watermark", &|source| source.watermark = None);
}

#[test]
fn two_nodes_are_one_only_if_they_are_the_same_in_every_respect() {
    let mut graph = JobGraph::new();
    let first = graph.add(node(OperatorSpec::Source(source())));
    assert_eq!(graph.add(node(OperatorSpec::Source(source()))), first);
    let mut patient = source();
    patient.watermark.as_mut().unwrap().idle_timeout_ms = None;
    let second = graph.add(node(OperatorSpec::Source(patient.clone())));
    assert_ne!(second, first, "one of them falls idle earlier");
    assert_eq!(graph.add(node(OperatorSpec::Source(patient))), second);
    let sink = || node(OperatorSpec::Sink(SinkSpec { table: table("out") }));
    assert_ne!(graph.add(sink()), graph.add(sink()), "what is inserted twice is there twice");
    let uids: BTreeSet<_> = graph.nodes().iter().map(|node| &node.uid).collect();
    assert_eq!(uids.len(), 4);
}

#[test]
fn the_whole_job_is_the_same_in_whatever_order_its_statements_stand() {
    let build = |order: [usize; 2]| {
        let mut graph = JobGraph::new();
        for index in order {
            let from = graph.add(node(OperatorSpec::Source(source())));
            let inputs = vec![Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Forward }];
            let table = table(["b", "a"][index]);
            graph.add(NodeSpec { inputs, ..node(OperatorSpec::Sink(SinkSpec { table })) });
        }
        graph
    };
    let (one, other) = (build([0, 1]), build([1, 0]));
    assert_eq!(one.fingerprint(), other.fingerprint());
    let place = |graph: &JobGraph| graph.places()[&graph.nodes()[0].uid].to_string();
    assert_eq!((place(&one), place(&other)), ("a/sink/source bids".to_owned(), "a/sink/source bids".to_owned()));
}

/// Late rows are counted in any case.
#[test]
fn a_table_for_late_rows_changes_neither_the_job_nor_a_place() {
    let build = |late: bool| {
        let mut graph = JobGraph::new();
        let from = graph.add(node(OperatorSpec::Source(source())));
        let mut sink = |name: &str, port| {
            let inputs = vec![Edge { from, port, ordinal: 0, exchange: Exchange::Forward }];
            graph.add(NodeSpec { inputs, ..node(OperatorSpec::Sink(SinkSpec { table: table(name) })) });
        };
        if late {
            sink("a_late", OutputPort::Rejected);
        }
        sink("out", OutputPort::Main);
        graph
    };
    let (without, with) = (build(false), build(true));
    assert_eq!(without.fingerprint(), with.fingerprint());
    let place = |graph: &JobGraph| graph.places()[&graph.nodes()[0].uid].clone();
    assert_eq!(place(&with), place(&without));
    assert!(!with.runs_like(&without) && with.runs_like(&build(true)));
    let whole = identity::fingerprint(with.nodes().iter());
    assert!(whole != with.fingerprint() && with.computes(&whole), "as an earlier version called it");
    assert!(!without.computes(&whole));
}

/// A job is the same in whatever processes its plugins run, and has to be deployed anew for others.
#[test]
fn isolation_is_no_part_of_a_job_and_not_of_one_without_plugins() {
    let build = |isolation| {
        let mut graph = JobGraph::new();
        let from = graph.add(node(OperatorSpec::Source(source())));
        let inputs = vec![Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Hash(vec![0]) }];
        graph.add(NodeSpec { inputs, ..node(OperatorSpec::Plugin(plugin(None))) });
        graph.isolate(isolation).unwrap();
        graph
    };
    let (without, with) = (build(Isolation::None), build(Isolation::Process { memory_limit: Some(1 << 20) }));
    assert_eq!(without.fingerprint(), with.fingerprint());
    assert!(!with.runs_like(&without));
    let sent = |graph: &JobGraph| serde_json::to_value(graph).unwrap();
    assert!(sent(&without).get("isolation").is_none(), "as earlier versions wrote it");
    let again: JobGraph = serde_json::from_value(sent(&with)).unwrap();
    assert!(again.runs_like(&with));
    let mut plain = JobGraph::new();
    plain.add(node(OperatorSpec::Source(source())));
    plain.isolate(Isolation::Process { memory_limit: None }).unwrap();
    assert!(plain.isolation().is_none());
    let mut linked = JobGraph::new();
    linked.add(node(OperatorSpec::Plugin(PluginSpec { artifact: None, ..plugin(None) })));
    let refused = linked.isolate(Isolation::Process { memory_limit: None }).unwrap_err();
    assert!(refused.to_string().contains("is linked into the process of the job"), "{refused}");
    assert!(!with.isolates_functions_or_tables(), "it has an operator");
}

#[test]
fn an_aggregation_in_one_phase_can_be_known_as_the_second_of_two() {
    let whole = WindowAggregateSpec {
        window: WindowSource::Assign { window: WindowKind::Tumble { size: 10, offset: 0 }, time: 1 },
        keys: vec![2, 0],
        aggregates: vec![aggregate()],
        partial_input: false,
        spread: None,
    };
    let read = |graph: &mut JobGraph| graph.add(node(OperatorSpec::Source(source())));
    let edge = |from, exchange| vec![Edge { from, port: OutputPort::Main, ordinal: 0, exchange }];
    let write = |graph: &mut JobGraph, from| {
        let inputs = edge(from, Exchange::Forward);
        graph.add(NodeSpec { inputs, ..node(OperatorSpec::Sink(SinkSpec { table: table("out") })) });
    };
    let mut two = JobGraph::new();
    let from = read(&mut two);
    let first =
        NodeSpec { inputs: edge(from, Exchange::Forward), ..node(OperatorSpec::PartialAggregate(whole.clone())) };
    let first = two.add(first);
    let second = whole.second_phase().unwrap();
    let inputs = edge(first, Exchange::Hash(vec![0, 1]));
    let last = two.add(NodeSpec { inputs, ..node(OperatorSpec::WindowAggregate(second)) });
    write(&mut two, last);

    let mut one = JobGraph::new();
    let from = read(&mut one);
    let inputs = edge(from, Exchange::Hash(vec![2, 0]));
    let alone = NodeSpec { inputs, ..node(OperatorSpec::WindowAggregate(whole)) };
    let last = one.add_in_one_phase(alone.clone());
    assert_eq!(one.node(last).uid, two.nodes()[2].uid);
    write(&mut one, last);
    assert_eq!(one.fingerprint(), two.fingerprint());

    let mut apart = JobGraph::new();
    read(&mut apart);
    let other = apart.add(alone);
    assert_ne!(apart.node(other).uid, one.nodes()[1].uid, "unless it is asked for, each is what it is");
}
