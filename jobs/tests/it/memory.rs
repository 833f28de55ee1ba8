//! What steps say of their memory, by which the engine decides what leaves.

use std::collections::BTreeMap;

use weir_core::plugin::{JobStep, OperatorRequest, Plugin};
use weir_core::{Collector, EventTime, HashRange, OpenContext, Operator};
use weir_jobs::JobPlugin;
use weir_jobs::prelude::*;
use weir_jobs::record::to_batch;

use super::Event;
use super::keyed::Sum;

fn job(job: &mut Job) -> Result<()> {
    let events = job.table::<Event>("events").key_by(|event| event.user.clone());
    events.process("sums", Sum).insert_into("sums");
    Ok(())
}

/// The step of the job, and what makes the keys of its rows.
fn operators(job: fn(&mut Job) -> Result<()>) -> [Box<dyn Operator>; 2] {
    let plugin = JobPlugin::new("job", "1.0.0", job);
    let steps = plugin.job(&BTreeMap::new()).unwrap().steps.into_iter().filter_map(|step| match step {
        JobStep::Operator(step) => Some(step),
        JobStep::Sql(_) | JobStep::Table(_) => None,
    });
    let mut operators = steps.map(|step| {
        let request = OperatorRequest {
            operator: step.operator,
            config: step.config,
            inputs: step.inputs.iter().map(|input| input.columns.clone()).collect(),
            keys: vec![None],
            output: step.output,
            side_outputs: Vec::new(),
        };
        plugin.operator(&request).unwrap()
    });
    let [keys, sums] = [operators.next().unwrap(), operators.next().unwrap()];
    [keys, sums]
}

#[test]
fn keys_that_have_left_count_for_nothing() {
    let [mut keys, mut sums] = operators(job);
    let context = OpenContext { range: HashRange::ALL, watermark: EventTime::MIN, restored: false, has_expired: false };
    sums.open(&context).unwrap();
    let mut send = |sums: &mut dyn Operator, users: std::ops::Range<i64>| {
        let events: Vec<Event> = users.map(|user| super::event(&user.to_string(), 1, 0)).collect();
        let mut out = Collector::new(0);
        keys.process(0, to_batch(&events).unwrap().into(), &mut out).unwrap();
        let (_, keyed) = out.take().pop().unwrap();
        sums.process(0, keyed, &mut out).unwrap();
        sums.capture().unwrap();
    };
    let nothing = sums.state_bytes();
    send(&mut *sums, 0..1000);
    let thousand = sums.state_bytes();
    assert!(thousand > nothing + 1000 * size_of::<i64>());
    sums.evict(&|_| true).unwrap();
    assert_eq!(sums.state_bytes(), nothing);
    // Others take their place.
    send(&mut *sums, 1000..2000);
    assert_eq!(sums.state_bytes(), thousand);
}

/// A window is over at the end of the input at the latest. Keys whose windows were shown before leave nothing of that behind.
#[test]
fn windows_that_were_shown_leave_nothing() {
    let job = |job: &mut Job| {
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        let shown = events.global_window(Trigger::with_row(|event: &Event| event.amount == 0));
        shown.process("shown", |user, _, events| super::event(user, events.len() as i64, 0)).insert_into("shown");
        Ok(())
    };
    let [mut keys, mut windows] = operators(job);
    let context = OpenContext { range: HashRange::ALL, watermark: EventTime::MIN, restored: false, has_expired: false };
    windows.open(&context).unwrap();
    let mut sizes = (0..20_i64).map(|round| {
        let of_user = |user: i64| [1, 0].map(|amount| super::event(&user.to_string(), amount, 0));
        let events: Vec<Event> = (round * 1000..(round + 1) * 1000).flat_map(of_user).collect();
        let mut out = Collector::new(0);
        keys.process(0, to_batch(&events).unwrap().into(), &mut out).unwrap();
        let (_, keyed) = out.take().pop().unwrap();
        windows.process(0, keyed, &mut out).unwrap();
        windows.capture().unwrap();
        windows.state_bytes()
    });
    let first = sizes.next().unwrap();
    assert!(sizes.all(|size| size == first));
}
