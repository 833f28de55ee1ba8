//! Timers that are set again before they go off.

use std::collections::BTreeMap;

use weir_core::plugin::{JobStep, OperatorRequest, Plugin};
use weir_core::{Batch, Collector};
use weir_jobs::JobPlugin;
use weir_jobs::record::to_batch;
use weir_jobs::testing::TestJob;

use super::*;

/// Sets its timer for the second that a row says, or cancels it.
#[derive(Clone)]
struct Wake;

impl KeyedProcess for Wake {
    type Key = String;
    type In = Event;
    type State = Timer;
    type Out = Total;

    fn process(&mut self, row: Event, timer: &mut Timer, _ctx: &mut Context<'_, String, Total>) -> Result<()> {
        match row.amount {
            0 => timer.cancel(),
            at => timer.set(second(at)),
        }
        Ok(())
    }

    fn on_timer(&mut self, _timer: &mut Timer, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        ctx.emit(total(ctx.key(), ctx.time().unwrap_or_default().millis() / 1000));
        Ok(())
    }
}

fn wake(job: &mut Job) -> Result<()> {
    job.table::<Event>("events").key_by(|event| event.user.clone()).process("wake", Wake).insert_into("woken");
    Ok(())
}

#[test]
fn a_timer_goes_off_where_it_was_set_last() {
    for restarts in [false, true] {
        let mut test = TestJob::new(wake).unwrap();
        let mut set = |seconds: &[i64], watermark: i64| {
            test.send("events", seconds.iter().map(|at| event("a", *at, 0))).unwrap();
            if restarts {
                test.restart(2).unwrap();
            }
            match watermark {
                i64::MAX => test.end().unwrap(),
                watermark => test.watermark(second(watermark)).unwrap(),
            }
            test.take::<Total>("woken").unwrap().iter().map(|row| row.total).collect::<Vec<_>>()
        };
        let none: [i64; 0] = [];
        assert_eq!(set(&[10, 20, 15], 12), none);
        assert_eq!(set(&[], 15), [15]);
        assert_eq!(set(&[], 20), none);
        assert_eq!(set(&[30, 0, 25, 40], 25), none);
        assert_eq!(set(&[28], 30), [28]);
        assert_eq!(set(&[35, 50], 36), none);
        assert_eq!(set(&[0], 60), none);
        assert_eq!(set(&[70, 80], i64::MAX), [80]);
    }
}

#[test]
fn a_timer_that_every_row_puts_off_takes_no_more_memory() {
    let plugin = JobPlugin::new("wake", "1", wake);
    let mut steps = plugin.job(&BTreeMap::new()).unwrap().steps.into_iter();
    let step = steps.find_map(|step| match step {
        JobStep::Operator(step) if step.view == "wake" => Some(step),
        _ => None,
    });
    let step = step.unwrap();
    let columns = step.inputs[0].columns.clone();
    let request = OperatorRequest {
        operator: step.operator,
        config: step.config,
        inputs: vec![columns.clone()],
        keys: vec![Some(vec![3])],
        output: step.output,
        side_outputs: Vec::new(),
    };
    let mut operator = plugin.operator(&request).unwrap();
    let mut bytes_after = |seconds: std::ops::Range<i64>| {
        let rows = to_batch(&seconds.map(|at| event("a", at, 0)).collect::<Vec<_>>()).unwrap();
        let mut with_key = rows.columns().to_vec();
        with_key.push(with_key[0].clone());
        let rows = arrow::array::RecordBatch::try_new(columns.clone(), with_key).unwrap();
        operator.process(0, Batch::append(rows), &mut Collector::new(0)).unwrap();
        operator.state_bytes()
    };
    assert_eq!(bytes_after(1..2), bytes_after(2..1000));
}
