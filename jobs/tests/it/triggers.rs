//! One window of all rows of a key, until a trigger.

use weir_jobs::testing::TestJob;

use super::*;

#[derive(Record, Debug, Clone, PartialEq)]
struct Gathered {
    user: String,
    amounts: Vec<i64>,
    first: Option<Timestamp>,
    #[record(event_time)]
    at: Timestamp,
}

fn job_of(trigger: impl Fn() -> Trigger<Event>) -> impl Fn(&mut Job) -> Result<()> {
    move |job| {
        let rows = job.table::<Event>("events").key_by(|event| event.user.clone()).global_window(trigger());
        let gathered = rows.process("gathered", |user, pane, events| {
            assert_eq!(pane.rows, events.len() as u64);
            Gathered {
                user: user.clone(),
                amounts: events.iter().map(|event| event.amount).collect(),
                first: pane.first,
                at: pane.at.unwrap(),
            }
        });
        gathered.insert_into("windows");
        Ok(())
    }
}

type Shown = (String, Vec<i64>, i64);

/// User, amounts, and the second that the row is of.
fn take(test: &mut TestJob) -> Vec<Shown> {
    let mut rows: Vec<Shown> = test
        .take::<Gathered>("windows")
        .unwrap()
        .into_iter()
        .map(|row| (row.user, row.amounts, row.at.millis().div_euclid(1000)))
        .collect();
    rows.sort();
    rows
}

fn shown(user: &str, amounts: &[i64], at: i64) -> Shown {
    (user.to_owned(), amounts.to_vec(), at)
}

/// Runs the steps without a restart, and with one behind every step.
fn in_every_way(
    trigger: impl Fn() -> Trigger<Event> + Copy,
    steps: impl Fn(&mut TestJob, &mut dyn FnMut(&mut TestJob)),
) {
    for restarts in [false, true] {
        let mut test = TestJob::new(job_of(trigger)).unwrap();
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
fn so_many_rows_are_shown_together_and_the_rest_at_the_end() {
    in_every_way(
        || Trigger::count(3),
        |test, pause| {
            test.send("events", [event("a", 1, 1), event("b", 10, 1), event("a", 2, 2)]).unwrap();
            pause(test);
            assert_eq!(take(test), []);
            let rows = [event("a", 3, 3), event("a", 4, 4), event("b", 11, 4), event("a", 5, 5)];
            test.send("events", rows).unwrap();
            pause(test);
            assert_eq!(take(test), [shown("a", &[1, 2, 3], 3)]);
            test.send("events", [event("a", 6, 6), event("a", 7, 7)]).unwrap();
            pause(test);
            assert_eq!(take(test), [shown("a", &[4, 5, 6], 6)]);
            test.watermark(Timestamp::from_secs(1000)).unwrap();
            assert_eq!(take(test), [], "they wait for more");
            pause(test);
            test.end().unwrap();
            assert_eq!(take(test), [shown("a", &[7], 7), shown("b", &[10, 11], 4)]);
        },
    );
}

#[test]
fn after_some_time_makes_no_difference_when_watermarks_come() {
    // Of windows that begin at 0 and at 12, and go on for 10 seconds.
    let rows = || [event("a", 1, 0), event("a", 2, 3), event("a", 3, 9), event("a", 4, 12), event("a", 5, 21)];
    let expected = [shown("a", &[1, 2, 3], 9), shown("a", &[4, 5], 21)];
    let trigger = || Trigger::after(Duration::from_secs(10));
    in_every_way(trigger, |test, pause| {
        test.send("events", rows()).unwrap();
        pause(test);
        // The first is over with the row of the next; nothing has said so of the second.
        assert_eq!(take(test), expected[..1]);
        test.watermark(Timestamp::from_secs(21)).unwrap();
        assert_eq!(take(test), []);
        pause(test);
        test.watermark(Timestamp::from_secs(22)).unwrap();
        assert_eq!(take(test), expected[1..]);
    });
    in_every_way(trigger, |test, pause| {
        let mut found = Vec::new();
        for row in rows() {
            let at = row.at;
            test.send("events", [row]).unwrap();
            pause(test);
            test.watermark(at).unwrap();
            found.extend(take(test));
        }
        test.end().unwrap();
        found.extend(take(test));
        assert_eq!(found, expected);
    });
}

#[test]
fn rows_wait_no_longer_than_the_clock_allows() {
    in_every_way(
        || Trigger::count(3).or_waiting(Duration::from_secs(5)),
        |test, pause| {
            test.clock(Timestamp::from_secs(100)).unwrap();
            test.send("events", [event("a", 1, 1), event("b", 2, 1)]).unwrap();
            test.clock(Timestamp::from_secs(103)).unwrap();
            test.send("events", [event("b", 3, 2), event("b", 4, 3), event("b", 5, 4)]).unwrap();
            assert_eq!(take(test), [shown("b", &[2, 3, 4], 3)]);
            pause(test);
            test.clock(Timestamp::from_millis(104_999)).unwrap();
            assert_eq!(take(test), []);
            test.clock(Timestamp::from_secs(105)).unwrap();
            assert_eq!(take(test), [shown("a", &[1], 1)]);
            pause(test);
            test.clock(Timestamp::from_secs(108)).unwrap();
            assert_eq!(take(test), [shown("b", &[5], 4)], "its time began with its own first row");
            test.end().unwrap();
            assert_eq!(take(test), [], "each row is shown once");
        },
    );
}

#[test]
fn a_row_ends_the_window_that_it_is_the_last_of() {
    in_every_way(
        || Trigger::with_row(|event: &Event| event.amount == 0).or_with_row(|event| event.amount < 0).or_count(4),
        |test, pause| {
            let amounts = [1, 2, 0, 3, -1, 0, 4, 5];
            let rows = amounts.iter().zip(0..).map(|(amount, second)| event("a", *amount, second));
            test.send("events", rows.collect::<Vec<_>>()).unwrap();
            pause(test);
            let ended = [shown("a", &[0], 5), shown("a", &[1, 2, 0], 2), shown("a", &[3, -1], 4)];
            assert_eq!(take(test), ended);
            test.send("events", [event("a", 6, 8), event("a", 7, 9)]).unwrap();
            assert_eq!(take(test), [shown("a", &[4, 5, 6, 7], 9)]);
        },
    );
}

#[test]
fn what_is_kept_goes_into_the_next_result() {
    #[derive(Clone, Default)]
    struct Sum;

    impl Aggregate for Sum {
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

    let job = |job: &mut Job| {
        let window = job.table::<Event>("events").key_by(|event| event.user.clone()).global_window(Trigger::count(2));
        let sums = window.keeping().aggregate("sums", Sum, |user, pane, sum| event(user, sum, pane.rows as i64));
        sums.insert_into("sums");
        Ok(())
    };
    let mut test = TestJob::new(job).unwrap();
    for amount in 1..=5 {
        test.send("events", [event("a", amount, 1)]).unwrap();
        test.restart(2).unwrap();
    }
    test.end().unwrap();
    let sums = test.take::<Event>("sums").unwrap();
    let sums: Vec<_> = sums.into_iter().map(|row| (row.amount, row.at.millis() / 1000)).collect();
    assert_eq!(sums, [(3, 2), (10, 2), (15, 1)]);
}

#[test]
fn what_can_never_be_is_refused() {
    let refused = |trigger: fn() -> Trigger<Event>| match TestJob::new(job_of(trigger)) {
        Ok(_) => panic!("it was planned"),
        Err(error) => error.report(),
    };
    assert!(refused(|| Trigger::count(0)).contains("a window has at least one row"));
    assert!(refused(|| Trigger::after(Duration::ZERO)).contains("at least a millisecond long"));
    let forgetful = |job: &mut Job| {
        let keyed = job.table::<Event>("events").key_by(|event| event.user.clone());
        let window = keyed.time_to_live(Duration::from_secs(1)).global_window(Trigger::count(2));
        window.process("w", |user, _, rows| event(user, rows.len() as i64, 0)).insert_into("windows");
        Ok(())
    };
    let Err(error) = TestJob::new(forgetful) else { panic!("it was planned") };
    assert!(error.report().contains("a time to live cannot be combined with a window"), "{}", error.report());
}
