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

fn counts(job: &mut Job) -> Result<()> {
    let events = job.table::<Event>("events").key_by(|event| event.user.clone());
    events.time_to_live(seconds(10)).process("counts", Count).insert_into("counts");
    Ok(())
}

#[test]
fn it_is_over_between_two_rows_of_a_batch_too() {
    let times = [0, 9, 19, 20, 15];
    let expected = [1, 2, 1, 2, 3].map(|count| total("a", count));
    let events = times.map(|at| event("a", 0, at));
    let mut test = TestJob::new(counts).unwrap();
    test.send("events", events.clone()).unwrap();
    assert_eq!(test.take::<Total>("counts").unwrap(), expected);
    let mut test = TestJob::new(counts).unwrap();
    for event in events {
        test.restart(2).unwrap();
        test.send("events", [event]).unwrap();
    }
    assert_eq!(test.take::<Total>("counts").unwrap(), expected);
}

/// Says how many rows there were, as many seconds after a row as it says.
#[derive(Clone)]
struct Later;

#[derive(State, Default)]
struct Waiting {
    count: ValueState<i64>,
    end: Timer,
}

impl KeyedProcess for Later {
    type Key = String;
    type In = Event;
    type State = Waiting;
    type Out = Total;

    fn process(&mut self, row: Event, state: &mut Waiting, _ctx: &mut Context<'_, String, Total>) -> Result<()> {
        *state.count.or_default() += 1;
        state.end.set(row.at + seconds(row.amount.unsigned_abs()));
        Ok(())
    }

    fn on_timer(&mut self, state: &mut Waiting, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        ctx.emit(total(ctx.key(), state.count.get().copied().unwrap_or_default()));
        Ok(())
    }
}

#[test]
fn at_the_end_keys_are_forgotten_in_time() {
    let mut test = TestJob::new(|job| {
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        events.time_to_live(seconds(10)).process("later", Later).insert_into("counts");
        Ok(())
    })
    .unwrap();
    // The rows of a and b prolong their lives to 15; a's timer is in front of that, and b's behind.
    test.send("events", ["a", "b"].map(|user| event(user, 1, 0))).unwrap();
    test.send("events", [event("a", 9, 5), event("b", 11, 5)]).unwrap();
    test.end().unwrap();
    assert_eq!(test.take::<Total>("counts").unwrap(), [total("a", 2)]);
    assert!(test.state::<String, Waiting>("later", &"b".to_owned()).unwrap().is_none());
}

#[test]
fn a_row_without_event_time_does_not_go_by_the_clock() {
    #[derive(Record, Clone)]
    struct Maybe {
        user: String,
        #[record(event_time)]
        at: Option<Timestamp>,
    }
    #[derive(Clone)]
    struct CountMaybe;
    impl KeyedProcess for CountMaybe {
        type Key = String;
        type In = Maybe;
        type State = ValueState<i64>;
        type Out = Total;
        fn process(&mut self, row: Maybe, state: &mut Self::State, ctx: &mut Context<'_, String, Total>) -> Result<()> {
            ctx.emit(count(&row.user, state));
            Ok(())
        }
    }
    let mut test = TestJob::new(|job| {
        let events = job.table::<Maybe>("events").key_by(|event| event.user.clone());
        events.time_to_live(seconds(10)).process("counts", CountMaybe).insert_into("counts");
        Ok(())
    })
    .unwrap();
    let row = |at: Option<i64>| Maybe { user: "a".to_owned(), at: at.map(second) };
    test.clock(second(1_000_000)).unwrap();
    test.send("events", [row(Some(0))]).unwrap();
    test.watermark(second(4)).unwrap();
    test.send("events", [row(None)]).unwrap();
    test.watermark(second(13)).unwrap();
    test.send("events", [row(None)]).unwrap();
    test.watermark(second(23)).unwrap();
    test.send("events", [row(None)]).unwrap();
    assert_eq!(test.take::<Total>("counts").unwrap(), [1, 2, 3, 1].map(|count| total("a", count)));
}
