//! Keys that are forgotten after some time without rows.

use weir_jobs::testing::TestJob;

use super::*;

/// Counts the rows of each user.
#[derive(Clone)]
struct Count;

fn count(user: &str, count: &mut ValueState<i64>) -> Total {
    *count.or_default() += 1;
    total(user, *count.or_default())
}

impl KeyedConnect for Count {
    type Key = String;
    type Left = Event;
    type Right = Event;
    type State = ValueState<i64>;
    type Out = Total;

    fn left(&mut self, row: Event, state: &mut ValueState<i64>, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        ctx.emit(count(&row.user, state));
        Ok(())
    }

    fn right(&mut self, row: Event, state: &mut ValueState<i64>, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        self.left(row, state, ctx)
    }
}

impl KeyedProcess for Count {
    type Key = String;
    type In = Event;
    type State = ValueState<i64>;
    type Out = Total;

    fn process(&mut self, row: Event, state: &mut ValueState<i64>, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        ctx.emit(count(&row.user, state));
        Ok(())
    }
}

/// Two streams with a time to live each, in seconds.
fn connected(left: Option<u64>, right: Option<u64>) -> Result<TestJob> {
    TestJob::new(|job| {
        let mut stream = |name: &str, time: Option<u64>| {
            let rows = job.table::<Event>(name).key_by(|event| event.user.clone());
            match time {
                Some(time) => rows.time_to_live(seconds(time)),
                None => rows,
            }
        };
        stream("left", left).connect(stream("right", right)).process("counts", Count).insert_into("counts");
        Ok(())
    })
}

#[test]
fn of_two_streams_one_has_it_for_both() {
    for (left, right) in [(Some(10), None), (None, Some(10)), (Some(10), Some(10))] {
        let mut test = connected(left, right).unwrap();
        test.send("left", [event("a", 0, 0)]).unwrap();
        test.watermark(second(10)).unwrap();
        test.send("right", [event("a", 0, 11)]).unwrap();
        assert_eq!(test.take::<Total>("counts").unwrap(), [total("a", 1), total("a", 1)], "{left:?}, {right:?}");
    }
    let error = connected(Some(10), Some(20)).map(|_| ()).unwrap_err().report();
    assert!(error.contains("the streams of step 'counts' have different times to live"), "{error}");
}

#[test]
fn without_watermarks_it_goes_by_the_clock() {
    let mut test = TestJob::new(|job| {
        let events = job.table::<Total>("totals").map(|row| event(&row.user, 1, row.total));
        let keyed = events.key_by(|event| event.user.clone()).time_to_live(seconds(10));
        keyed.process("counts", Count).insert_into("counts");
        Ok(())
    })
    .unwrap();
    test.send("totals", [total("a", 0)]).unwrap();
    // A watermark of nothing.
    test.watermark(second(100)).unwrap();
    test.send("totals", [total("a", 0)]).unwrap();
    test.clock(second(10)).unwrap();
    test.send("totals", [total("a", 0)]).unwrap();
    assert_eq!(test.take::<Total>("counts").unwrap(), [total("a", 1), total("a", 2), total("a", 1)]);
}
