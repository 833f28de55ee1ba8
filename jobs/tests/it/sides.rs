//! Side outputs, and late rows on them.

use std::collections::BTreeMap;

use weir_core::plugin::{JobStep, OperatorRequest, Plugin};
use weir_core::{Batch, Collector, EventTime, OutputPort};
use weir_jobs::JobPlugin;
use weir_jobs::record::to_batch;
use weir_jobs::testing::TestJob;

use super::*;

const LATE: SideOutput<Event> = SideOutput::new("late");

fn counts(job: &mut Job) -> Stream<Total> {
    let events = job.table::<Event>("events").key_by(|event| event.user.clone());
    let windows = events.window(Windows::tumbling(seconds(10))).late_to(LATE);
    windows.process("counts", |user, _, events| total(user, events.len() as i64))
}

#[test]
fn late_rows_are_not_lost_where_nothing_reads_their_side_output() {
    let mut test = TestJob::new(|job| {
        counts(job).insert_into("counts");
        Ok(())
    })
    .unwrap();
    test.watermark(second(10)).unwrap();
    test.send("events", [event("a", 4, 5)]).unwrap();
    assert_eq!(test.take_late(), [r#"{"user":"a","amount":4,"at":"1970-01-01T00:00:05"}"#]);
}

#[test]
fn late_rows_count_as_late_wherever_they_go() {
    let plugin = JobPlugin::new("late", "1", |job| {
        let counts = counts(job);
        counts.side(&LATE).insert_into("late");
        counts.insert_into("counts");
        Ok(())
    });
    let mut steps = plugin.job(&BTreeMap::new()).unwrap().steps.into_iter();
    let step = steps.find_map(|step| match step {
        JobStep::Operator(step) if step.view == "counts" => Some(step),
        _ => None,
    });
    let step = step.unwrap();
    let request = OperatorRequest {
        operator: step.operator,
        config: step.config,
        inputs: vec![step.inputs[0].columns.clone()],
        keys: vec![Some(vec![3])],
        output: step.output,
        side_outputs: step.side_outputs.into_iter().map(|side| side.columns).collect(),
    };
    let mut operator = plugin.operator(&request).unwrap();
    let rows = to_batch(&[event("a", 4, 5)]).unwrap();
    let mut columns = rows.columns().to_vec();
    columns.push(columns[0].clone());
    let rows = arrow::array::RecordBatch::try_new(step.inputs[0].columns.clone(), columns).unwrap();
    let mut out = Collector::new(0);
    operator.watermark(EventTime(10_000), &mut out).unwrap();
    operator.process(0, Batch::append(rows), &mut out).unwrap();
    assert_eq!(out.take_late_rows(), 1);
    assert!(matches!(&out.take()[..], [(OutputPort::Side(0), batch)] if batch.num_rows() == 1));
}

#[test]
fn a_side_output_has_rows_of_one_type() {
    let refused = TestJob::new(|job| {
        let counts = counts(job);
        counts.side(&LATE).insert_into("late");
        counts.side(&SideOutput::<Total>::new("late")).insert_into("totals");
        counts.insert_into("counts");
        Ok(())
    });
    let error = refused.map(|_| ()).unwrap_err().report();
    assert!(error.contains("'late' of step 'counts' is read as rows of Event, and as rows of Total"), "{error}");
}

#[test]
fn rows_of_another_type_than_is_read_are_not_dropped() {
    let mut test = TestJob::new(|job| {
        let counts = counts(job);
        counts.side(&SideOutput::<Total>::new("late")).insert_into("late");
        counts.insert_into("counts");
        Ok(())
    })
    .unwrap();
    test.watermark(second(10)).unwrap();
    let error = test.send("events", [event("a", 4, 5)]).unwrap_err().report();
    assert!(error.contains("emits rows of Event on side output 'late', which is read as rows of Total"), "{error}");
}
