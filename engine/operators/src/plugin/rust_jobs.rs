//! Operators that are made with `weir-jobs`, under every plan of checkpoints, rescaling and eviction.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use weir_core::plugin::{JobStep, Linked, OperatorStep, Plugin, PluginInput, PluginSpec, Spread};
use weir_core::{Collector, EventTime, NodeSpec, Operator, OperatorSpec};
use weir_functions::Functions;
use weir_jobs::prelude::*;
use weir_jobs::{JobPlugin, Main};

use crate::plugin::PluginOperator;
use crate::testing::{check_with, node};

#[derive(Record, Clone)]
struct Event {
    user: String,
    amount: i64,
    #[record(event_time)]
    at: Timestamp,
}

#[derive(Record)]
struct Total {
    user: String,
    total: i64,
}

/// Adds up, and begins anew at a zero; remembers the amounts that there were.
#[derive(Clone)]
struct Sum;

#[derive(State, Default)]
struct Sums {
    sum: ValueState<i64>,
    amounts: MapState<i64, i64>,
    last: ListState<i64>,
}

impl KeyedProcess for Sum {
    type Key = String;
    type In = Event;
    type State = Sums;
    type Out = Total;

    fn process(&mut self, event: Event, state: &mut Sums, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        if event.amount == 0 {
            state.sum.clear();
            state.amounts.clear();
            state.last.clear();
            return Ok(());
        }
        *state.sum.or_default() += event.amount;
        *state.amounts.or_default(event.amount) += 1;
        state.last.push(event.amount);
        if state.last.len() > 2 {
            state.last.pop_front();
        }
        let last: i64 = state.last.iter().sum();
        let total = *state.sum.or_default() + 1000 * state.amounts.len() as i64 + 100_000 * last;
        ctx.emit(Total { user: event.user, total });
        Ok(())
    }
}

/// Tells how many rows there were when ten seconds have been silent.
#[derive(Clone)]
struct Silence;

#[derive(State, Default)]
struct Heard {
    count: ValueState<i64>,
    silent: Timer,
}

impl KeyedProcess for Silence {
    type Key = String;
    type In = Event;
    type State = Heard;
    type Out = Total;

    fn process(&mut self, event: Event, heard: &mut Heard, _ctx: &mut Context<'_, String, Total>) -> Result<()> {
        *heard.count.or_default() += 1;
        heard.silent.set(event.at + Duration::from_secs(10));
        Ok(())
    }

    fn on_timer(&mut self, heard: &mut Heard, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        let total = heard.count.take().unwrap_or_default();
        ctx.emit(Total { user: ctx.key().clone(), total });
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Amounts;

impl Aggregate for Amounts {
    type In = Event;
    type Accumulator = i64;
    type Out = i64;

    fn add(&self, sum: &mut i64, event: &Event) {
        *sum += event.amount;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn result(&self, sum: &i64) -> i64 {
        *sum
    }
}

/// The node of a step, what it reads, and where it is found.
fn step(name: &str, main: Main) -> (NodeSpec, Vec<SchemaRef>, Functions) {
    let plugin = JobPlugin::new("job", "1.0.0", main);
    let steps = plugin.job(&BTreeMap::new()).unwrap().steps;
    let step = steps.into_iter().find_map(|step| match step {
        JobStep::Operator(step) if step.view == name => Some(step),
        _ => None,
    });
    let OperatorStep { operator, config, inputs, output, side_outputs, wants_ticks, awaits_answers, .. } =
        step.unwrap();
    let schemas: Vec<SchemaRef> = inputs.iter().map(|input| input.columns.clone()).collect();
    let inputs = inputs.into_iter().map(|input| {
        let position = |name: &String| input.columns.index_of(name).unwrap();
        let spread = match &input.spread {
            Spread::Stay => Spread::Stay,
            Spread::Broadcast => Spread::Broadcast,
            Spread::Keys(names) => Spread::Keys(names.iter().map(position).collect()),
        };
        PluginInput { columns: input.columns.clone(), spread, takes_retractions: false }
    });
    let spec = PluginSpec {
        artifact: None,
        operator,
        config,
        uid: None,
        inputs: inputs.collect(),
        output: output.clone(),
        changelog: weir_core::ChangelogKind::Append,
        side_outputs: side_outputs.into_iter().map(|side| side.columns).collect(),
        emits_at_markers: false,
        wants_ticks,
        awaits_answers,
        drops: Vec::new(),
    };
    let functions = Functions::built_in().with_plugins(Arc::new(Linked(Arc::new(plugin))));
    (node(OperatorSpec::Plugin(spec), &output), schemas, functions)
}

#[test]
fn state_of_every_kind_survives_what_may_happen_to_it() {
    let (node, inputs, functions) = step("sums", |job| {
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        events.process("sums", Sum).insert_into("out");
        Ok(())
    });
    check_with(
        &functions,
        &node,
        &inputs,
        "
        in> a | 1 | 12:00:01 | a
        in> b | 7 | 12:00:01 | b
        out> a | 101001
        out> b | 701007
        marker
        in> a | 2 | 12:00:02 | a
        -
        in> a | 2 | 12:00:03 | a
        in> c | 5 | 12:00:03 | c
        out> a | 302003
        out> a | 402005
        out> c | 501005
        marker
        watermark 12:00:09
        in> b | 0 | 12:00:10 | b
        marker
        in> a | 3 | 12:00:11 | a
        in> b | 4 | 12:00:11 | b
        out> a | 503008
        out> b | 401004
        marker
        in> b | 0 | 12:00:12 | b
        in> c | 1 | 12:00:12 | c
        out> c | 602006
        end
        ",
    );
}

#[test]
fn timers_go_off_once_whatever_happens_in_between() {
    let (node, inputs, functions) = step("silence", |job| {
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        events.process("silence", Silence).insert_into("out");
        Ok(())
    });
    check_with(
        &functions,
        &node,
        &inputs,
        "
        in> a | 1 | 12:00:01 | a
        in> b | 1 | 12:00:02 | b
        marker
        in> b | 1 | 12:00:04 | b
        watermark 12:00:11
        out> a | 1
        sent> 12:00:11
        marker
        watermark 12:00:13
        marker
        in> c | 1 | 12:00:05 | c
        watermark 12:00:14
        out> b | 2
        marker
        watermark 12:00:16
        out> c | 1
        marker
        in> a | 1 | 12:00:20 | a
        out> a | 1
        end
        ",
    );
}

#[test]
fn sessions_are_shown_once_whatever_happens_in_between() {
    let (node, inputs, functions) = step("sessions", |job| {
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        let row = |user: &String, window: Window, total| {
            let seconds = window.end.since(window.start).as_secs() as i64;
            Total { user: user.clone(), total: total * 100 + seconds }
        };
        let sessions = events.window(Windows::sessions(Duration::from_secs(10)));
        sessions.aggregate("sessions", Amounts, row).insert_into("out");
        Ok(())
    });
    check_with(
        &functions,
        &node,
        &inputs,
        "
        in> a | 1 | 12:00:00 | a
        in> a | 2 | 12:00:20 | a
        in> b | 4 | 12:00:03 | b
        marker
        in> a | 8 | 12:00:10 | a
        watermark 12:00:13
        out> b | 410
        marker
        watermark 12:00:29
        marker
        watermark 12:00:30
        out> a | 1130
        sent> 12:00:29.999
        marker
        in> b | 1 | 12:00:40 | b
        out> b | 110
        end
        ",
    );
}

/// Counts, whatever the rules are.
#[derive(Clone)]
struct Ruled;

impl BroadcastProcess for Ruled {
    type Key = String;
    type In = Event;
    type Update = Total;
    type State = ();
    type Shared = ();
    type Out = Total;

    fn update(&mut self, _rule: Total, (): &mut ()) -> Result<()> {
        Ok(())
    }

    fn process(&mut self, _: Event, (): &mut (), (): &(), _: &mut Context<'_, String, Total>) -> Result<()> {
        Ok(())
    }
}

/// Rules whose record has no event time hold nothing up, whether their table has watermarks or none.
#[test]
fn an_input_without_event_time_sends_one_watermark_for_good() {
    let (node, _, functions) = step("ruled_updates_input", |job| {
        let rules = job.table::<Total>("rules");
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        events.with_broadcast(rules).process("ruled", Ruled).insert_into("out");
        Ok(())
    });
    let OperatorSpec::Plugin(spec) = &node.operator else { panic!("no operator of a plugin") };
    assert!(spec.wants_ticks);
    for has_watermarks in [false, true] {
        let mut operator = PluginOperator::new(spec, "rules", &functions).unwrap();
        let mut out = Collector::new(0);
        for time in [5, 7, 9].map(EventTime) {
            if has_watermarks {
                assert_eq!(operator.watermark(time, &mut out).unwrap(), None);
            }
            assert_eq!(operator.tick(&mut out).unwrap(), Some(EventTime::MAX));
        }
        assert_eq!(operator.watermark(EventTime::MAX, &mut out).unwrap(), Some(EventTime::MAX));
    }
}
