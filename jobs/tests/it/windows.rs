//! Windows of event time.

use weir_jobs::testing::TestJob;

use super::*;

/// Adds up amounts.
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

#[derive(Record, Debug, Clone, PartialEq, PartialOrd)]
struct InWindow {
    user: String,
    start: Timestamp,
    end: Timestamp,
    sum: i64,
    #[record(event_time)]
    at: Timestamp,
}

fn shown(user: &str, start: i64, end: i64, sum: i64) -> (String, i64, i64, i64) {
    (user.to_owned(), start, end, sum)
}

fn take(test: &mut TestJob) -> Vec<(String, i64, i64, i64)> {
    let mut rows = test.take::<InWindow>("windows").unwrap();
    rows.sort_by(|one, other| one.partial_cmp(other).unwrap());
    rows.into_iter()
        .map(|row| {
            assert_eq!(row.at, row.end - Duration::from_millis(1));
            (row.user, row.start.millis() / 1000, row.end.millis() / 1000, row.sum)
        })
        .collect()
}

fn job_of(windows: Windows) -> impl Fn(&mut Job) -> Result<()> {
    move |job| {
        job.table::<Event>("events")
            .key_by(|event| event.user.clone())
            .window(windows)
            .aggregate("sums", Amounts, |user, window, sum| InWindow {
                user: user.clone(),
                start: window.start,
                end: window.end,
                sum,
                at: window.last(),
            })
            .insert_into("windows");
        Ok(())
    }
}

/// Runs the steps without a restart, and with one behind every step.
fn in_every_way(windows: Windows, steps: impl Fn(&mut TestJob, &mut dyn FnMut(&mut TestJob))) {
    for restarts in [false, true] {
        let mut test = TestJob::new(job_of(windows)).unwrap();
        let mut number = 0;
        steps(&mut test, &mut |test| {
            number += 1;
            if restarts {
                test.restart(1 + number % 3).unwrap();
            }
        });
    }
}

#[test]
fn tumbling_windows_are_shown_once_when_they_are_complete() {
    in_every_way(Windows::tumbling(seconds(10)), |test, then| {
        test.send("events", [event("a", 1, 0), event("a", 2, 9), event("a", 4, 10), event("b", 8, 25)]).unwrap();
        then(test);
        test.watermark(second(9)).unwrap();
        assert!(take(test).is_empty());
        then(test);
        test.watermark(Timestamp::from_millis(9_999)).unwrap();
        assert_eq!(take(test), [shown("a", 0, 10, 3)]);
        then(test);
        test.send("events", [event("a", 100, 5), event("a", 3, 12)]).unwrap();
        assert_eq!(test.take_late(), [r#"{"user":"a","amount":100,"at":"1970-01-01T00:00:05"}"#]);
        then(test);
        test.end().unwrap();
        assert_eq!(take(test), [shown("a", 10, 20, 7), shown("b", 20, 30, 8)]);
    });
}

#[test]
fn hopping_windows_overlap() {
    in_every_way(Windows::hopping(seconds(10), seconds(5)), |test, then| {
        test.send("events", [event("a", 1, -3), event("a", 2, 3)]).unwrap();
        then(test);
        test.watermark(second(5)).unwrap();
        assert_eq!(take(test), [shown("a", -10, 0, 1), shown("a", -5, 5, 3)]);
        then(test);
        // Of its windows one has been shown, and one has not.
        test.send("events", [event("a", 4, 4)]).unwrap();
        assert!(test.take_late().is_empty());
        then(test);
        test.end().unwrap();
        assert_eq!(take(test), [shown("a", 0, 10, 6)]);
    });
}

#[test]
fn sessions_grow_and_join() {
    in_every_way(Windows::sessions(seconds(10)), |test, then| {
        test.send("events", [event("a", 1, 0), event("a", 2, 10), event("a", 4, 30), event("b", 8, 12)]).unwrap();
        then(test);
        test.send("events", [event("a", 16, 20)]).unwrap();
        then(test);
        test.watermark(second(22)).unwrap();
        assert_eq!(take(test), [shown("b", 12, 22, 8)]);
        then(test);
        test.send("events", [event("a", 32, 20), event("b", 64, 11)]).unwrap();
        assert_eq!(test.take_late().len(), 1);
        then(test);
        test.watermark(second(39)).unwrap();
        assert!(take(test).is_empty());
        then(test);
        test.watermark(second(40)).unwrap();
        assert_eq!(take(test), [shown("a", 0, 40, 55)]);
    });
}

#[test]
fn late_rows_may_have_an_output_of_their_own() {
    const LATE: SideOutput<Event> = SideOutput::new("late");
    let mut test = TestJob::new(|job| {
        let windows = job
            .table::<Event>("events")
            .key_by(|event| event.user.clone())
            .window(Windows::tumbling(seconds(10)))
            .late_to(LATE)
            .process("all", |user, _window, events| total(user, events.len() as i64));
        windows.side(&LATE).insert_into("late");
        windows.insert_into("counts");
        Ok(())
    })
    .unwrap();
    test.send("events", [event("a", 1, 0), event("a", 2, 3)]).unwrap();
    test.watermark(second(10)).unwrap();
    test.send("events", [event("a", 4, 5)]).unwrap();
    assert_eq!(test.take::<Total>("counts").unwrap(), [total("a", 2)]);
    assert_eq!(test.take::<Event>("late").unwrap(), [event("a", 4, 5)]);
    assert!(test.take_late().is_empty());
}

#[test]
fn sessions_of_sessions_are_not_late() {
    let mut test = TestJob::new(|job| {
        let row = |user: &String, window: Window, sum| event(user, sum, 0).until(window.last());
        job.table::<Event>("events")
            .key_by(|event| event.user.clone())
            .window(Windows::sessions(seconds(1)))
            .aggregate("short", Amounts, row)
            .key_by(|event| event.user.clone())
            .window(Windows::tumbling(seconds(2)))
            .aggregate("long", Amounts, |user, _, sum| total(user, sum))
            .insert_into("sums");
        Ok(())
    })
    .unwrap();
    test.send("events", [event("a", 1, 0)]).unwrap();
    test.watermark(Timestamp::from_millis(999)).unwrap();
    test.watermark(second(1)).unwrap();
    test.send("events", [event("a", 2, 5)]).unwrap();
    test.end().unwrap();
    assert!(test.take_late().is_empty());
    assert_eq!(test.take::<Total>("sums").unwrap(), [total("a", 1), total("a", 2)]);
}

impl Event {
    fn until(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}

#[test]
fn windows_that_cannot_be_are_refused() {
    let refusal = |windows| TestJob::new(job_of(windows)).map(|_| ()).unwrap_err().report();
    assert!(refusal(Windows::tumbling(seconds(0))).contains("at least a millisecond"));
    assert!(refusal(Windows::hopping(seconds(10), seconds(3))).contains("a multiple of the step"));
    let without_time = TestJob::new(|job| {
        let rows = job.table::<Total>("totals").key_by(|row| row.user.clone()).window(Windows::tumbling(seconds(1)));
        rows.process("counts", |user, _, rows| total(user, rows.len() as i64)).insert_into("counts");
        Ok(())
    });
    assert!(without_time.map(|_| ()).unwrap_err().report().contains("a window wants event time, and Total has none"));
    let forgetful = TestJob::new(|job| {
        let rows = job.table::<Event>("events").key_by(|row| row.user.clone()).time_to_live(seconds(1));
        let windows = rows.window(Windows::tumbling(seconds(10)));
        windows.process("counts", |user, _, rows| total(user, rows.len() as i64)).insert_into("counts");
        Ok(())
    });
    let error = forgetful.map(|_| ()).unwrap_err().report();
    assert!(error.contains("a time to live cannot be combined with a window"), "{error}");
}

#[test]
fn windows_without_watermarks_are_refused() {
    const LATE: SideOutput<Event> = SideOutput::new("late");
    fn windows(rows: Stream<Event>, name: &str) -> Stream<Total> {
        let windows = rows.key_by(|row| row.user.clone()).window(Windows::tumbling(seconds(10))).late_to(LATE);
        windows.process(name, |user, _, rows| total(user, rows.len() as i64))
    }
    let refusal = |main: fn(&mut Job) -> Result<()>| TestJob::new(main).map(|_| ()).unwrap_err().report();
    let side = refusal(|job| {
        let counts = windows(job.table("events"), "counts");
        windows(counts.side(&LATE), "late_counts").insert_into("late");
        counts.insert_into("counts");
        Ok(())
    });
    assert!(side.contains("these rows of Event come without") && side.contains("`job.view`"), "{side}");
    // The time that a function computes is the event time of nothing.
    let computed = refusal(|job| {
        let events = job.table::<Total>("totals").map(|row| event(&row.user, 1, row.total));
        windows(events, "counts").insert_into("counts");
        Ok(())
    });
    assert!(computed.contains("a window wants watermarks"), "{computed}");
}

/// One odd row must not fail a job for good.
#[test]
fn a_row_without_event_time_counts_as_late() {
    #[derive(Record, Clone)]
    struct Maybe {
        user: String,
        #[record(event_time)]
        at: Option<Timestamp>,
    }
    let mut test = TestJob::new(|job| {
        let windows =
            job.table::<Maybe>("events").key_by(|event| event.user.clone()).window(Windows::tumbling(seconds(10)));
        windows.process("counts", |user, _, rows| total(user, rows.len() as i64)).insert_into("counts");
        Ok(())
    })
    .unwrap();
    let row = |at: Option<i64>| Maybe { user: "a".to_owned(), at: at.map(second) };
    test.send("events", [row(Some(1)), row(None), row(Some(2))]).unwrap();
    assert_eq!(test.take_late(), [r#"{"user":"a","at":null}"#]);
    test.end().unwrap();
    assert_eq!(test.take::<Total>("counts").unwrap(), [total("a", 2)]);
}
