//! Steps that call functions that wait. What they wait for is opened by the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{Barrier, Semaphore};
use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

use super::{Event, Total, event, second, seconds, total};

/// Calls return, so many at a time as there are permits.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn open(&self, calls: usize) {
        self.0.add_permits(calls);
    }

    async fn pass(self) -> Result<()> {
        self.0.acquire().await.map_err(|_| Error::internal("the gate is gone"))?.forget();
        Ok(())
    }
}

/// A job that passes each event through the gate.
fn gated(gate: &Gate, calls: fn() -> Calls<Event>) -> impl Fn(&mut Job) -> Result<()> + use<> {
    let gate = gate.clone();
    move |job| {
        let gate = gate.clone();
        let passed = job.table::<Event>("events").async_map("passed", calls(), move |event| {
            let gate = gate.clone();
            async move { gate.pass().await.map(|()| event) }
        });
        passed.insert_into("passed");
        Ok(())
    }
}

fn passed(test: &mut TestJob) -> Vec<i64> {
    test.take::<Event>("passed").unwrap().iter().map(|event| event.amount).collect()
}

#[test]
fn rows_leave_in_order_or_as_their_calls_return() {
    for (calls, expected) in [(Calls::ordered as fn(usize) -> _, [1, 2, 3, 4]), (Calls::unordered, [4, 3, 2, 1])] {
        let mut test = TestJob::new(move |job| {
            // Each call waits for the one of the next row.
            let gates: [Gate; 5] = std::array::from_fn(|_| Gate::closed());
            gates[4].open(1);
            let events = job.table::<Event>("events").async_map("calls", calls(4), move |event| {
                let (own, before) = (gates[event.amount as usize].clone(), gates[event.amount as usize - 1].clone());
                async move {
                    own.pass().await?;
                    before.open(1);
                    Ok(event)
                }
            });
            events.insert_into("passed");
            Ok(())
        })
        .unwrap();
        test.send("events", (1..5).map(|amount| event("a", amount, amount))).unwrap();
        assert!(passed(&mut test).is_empty(), "nothing is emitted before it is asked for");
        test.settle().unwrap();
        assert_eq!(passed(&mut test), expected);
    }
}

#[test]
fn there_are_as_many_calls_at_once_as_the_job_says() {
    for calls in [Calls::ordered as fn(usize) -> _, Calls::unordered] {
        let most = Arc::new(AtomicUsize::new(0));
        let seen = most.clone();
        let mut test = TestJob::new(move |job| {
            // Three calls at a time get through.
            let (three, under_way, most) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)), most.clone());
            let events = job.table::<Event>("events").async_map("calls", calls(3), move |event: Event| {
                let (three, under_way, most) = (three.clone(), under_way.clone(), most.clone());
                async move {
                    most.fetch_max(under_way.fetch_add(1, SeqCst) + 1, SeqCst);
                    three.wait().await;
                    under_way.fetch_sub(1, SeqCst);
                    Ok(event)
                }
            });
            events.insert_into("passed");
            Ok(())
        })
        .unwrap();
        test.send("events", (0..300).map(|amount| event("a", amount, 0))).unwrap();
        test.settle().unwrap();
        assert_eq!(passed(&mut test).len(), 300);
        assert_eq!(seen.load(SeqCst), 3);
    }
}

#[test]
fn rows_in_flight_belong_to_the_checkpoint() {
    for is_ordered in [true, false] {
        let calls: fn() -> Calls<Event> = if is_ordered { || Calls::ordered(5) } else { || Calls::unordered(5) };
        for parallelism in [1, 3] {
            let gate = Gate::closed();
            let mut test = TestJob::new(gated(&gate, calls)).unwrap();
            test.send("events", (0..20).map(|amount| event("a", amount, amount))).unwrap();
            let first = test.snapshot().unwrap();
            test.restart(parallelism).unwrap();
            gate.open(20);
            test.settle().unwrap();
            let mut rows = passed(&mut test);
            if parallelism == 1 && is_ordered {
                assert_eq!(rows, (0..20).collect::<Vec<_>>());
            }
            rows.sort_unstable();
            assert_eq!(rows, (0..20).collect::<Vec<_>>(), "parallelism {parallelism}");
            // They have left: another restart brings none of them back.
            test.restart(2).unwrap();
            test.settle().unwrap();
            assert!(passed(&mut test).is_empty());
            // A crash does: what came out since the checkpoint has never been.
            test.restore(&first, parallelism).unwrap();
            test.send("events", [event("b", 20, 20)]).unwrap();
            gate.open(21);
            test.settle().unwrap();
            let mut rows = passed(&mut test);
            rows.sort_unstable();
            assert_eq!(rows, (0..21).collect::<Vec<_>>(), "parallelism {parallelism}");
        }
    }
}

#[test]
fn a_watermark_waits_for_the_rows_in_front_of_it() {
    let gate = Gate::closed();
    let open = gate.clone();
    let mut test = TestJob::new(move |job| {
        let gate = gate.clone();
        let events = job.table::<Event>("events").async_map("calls", Calls::unordered(100), move |event| {
            let gate = gate.clone();
            async move { gate.pass().await.map(|()| event) }
        });
        events
            .key_by(|event: &Event| event.user.clone())
            .window(Windows::tumbling(seconds(10)))
            .process("sums", |user: &String, _window: Window, events: Vec<Event>| {
                total(user, events.iter().map(|event| event.amount).sum())
            })
            .insert_into("sums");
        Ok(())
    })
    .unwrap();
    test.send("events", [event("a", 1, 1), event("a", 2, 2)]).unwrap();
    test.watermark(second(15)).unwrap();
    test.send("events", [event("a", 4, 16)]).unwrap();
    test.restart(2).unwrap();
    test.watermark(second(16)).unwrap();
    assert!(test.take::<Total>("sums").unwrap().is_empty());
    open.open(3);
    test.settle().unwrap();
    assert_eq!(test.take::<Total>("sums").unwrap(), [total("a", 3)]);
    test.end().unwrap();
    assert_eq!(test.take::<Total>("sums").unwrap(), [total("a", 4)]);
    assert!(test.take_late().is_empty());
}

#[derive(Record, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Failed {
    amount: i64,
    attempts: u32,
    reason: String,
    may_pass: bool,
}

const FAILED: SideOutput<Failed> = SideOutput::new("failed");

fn patient() -> Calls<Event> {
    Calls::unordered(10).timeout(Duration::from_millis(20)).retry(2, Duration::from_millis(1), Duration::from_millis(2))
}

fn with_failures(calls: Calls<Event>) -> Calls<Event> {
    calls.failures_to(&FAILED, |event, failure| Failed {
        amount: event.amount,
        attempts: failure.attempts(),
        reason: failure.to_string(),
        may_pass: failure.may_pass(),
    })
}

/// Returns, fails for ever, fails by what the row is, never returns, or fails the first two times, by the amount.
async fn trouble(event: Event, tries: Arc<AtomicUsize>) -> Result<Vec<Event>> {
    match event.amount {
        1 => Err(Error::environment("no connection").with_source(std::io::Error::other("refused"))),
        2 => Err(Error::data("no such user")),
        3 => std::future::pending().await,
        4 if tries.fetch_add(1, SeqCst) < 2 => Err(Error::environment("too busy")),
        5 => panic!("five is right out"),
        6 => Ok(Vec::new()),
        _ => Ok(vec![event.clone(), event]),
    }
}

fn troubled(calls: fn() -> Calls<Event>, reads_failures: bool) -> impl Fn(&mut Job) -> Result<()> {
    move |job| {
        let tries = Arc::new(AtomicUsize::new(0));
        let calls =
            job.table::<Event>("events").async_flat_map("calls", calls(), move |event| trouble(event, tries.clone()));
        if reads_failures {
            calls.side(&FAILED).insert_into("failed");
        }
        calls.insert_into("passed");
        Ok(())
    }
}

#[test]
fn what_fails_is_tried_again_if_that_may_help_and_told_at_the_end() {
    let mut test = TestJob::new(troubled(|| with_failures(patient()), true)).unwrap();
    test.send("events", [0, 1, 2, 3, 4, 6].map(|amount| event("a", amount, 0))).unwrap();
    test.settle().unwrap();
    let mut rows = passed(&mut test);
    rows.sort_unstable();
    assert_eq!(rows, [0, 0, 4, 4]);
    let mut failed = test.take::<Failed>("failed").unwrap();
    failed.sort();
    let failure =
        |amount, attempts, reason: &str, may_pass| Failed { amount, attempts, reason: reason.to_owned(), may_pass };
    let expected = [
        failure(1, 3, "no connection: refused", true),
        failure(2, 1, "no such user", false),
        failure(3, 3, "there was no answer within 20 ms", true),
    ];
    assert_eq!(failed, expected);
    // It is over for them, too.
    test.restart(2).unwrap();
    test.settle().unwrap();
    assert!(test.take::<Failed>("failed").unwrap().is_empty() && passed(&mut test).is_empty());
}

#[test]
fn a_failure_that_goes_nowhere_and_a_panic_fail_the_job() {
    let failed = |calls: fn() -> Calls<Event>, reads: bool, amount| {
        let mut test = TestJob::new(troubled(calls, reads)).unwrap();
        test.send("events", [event("a", amount, 0)]).unwrap();
        test.settle().unwrap_err().report()
    };
    let report = failed(patient, false, 1);
    assert!(report.contains("a call of step 'calls' was tried 3 times and has failed"), "{report}");
    assert!(report.contains("because: no connection"), "{report}");
    for reads in [false, true] {
        let calls: fn() -> Calls<Event> = if reads { || with_failures(patient()) } else { patient };
        let report = failed(calls, reads, 5);
        assert!(report.contains("the plugin panicked in a call of step 'calls': five is right out"), "{report}");
    }
}

/// What a panic throws that panics itself.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("not even gone quietly");
    }
}

#[test]
fn a_panic_while_something_is_dropped_leaves_no_row_without_an_answer() {
    let mut test = TestJob::new(|job| {
        let calls = job.table::<Event>("events").async_map("calls", Calls::unordered(4), |event: Event| async move {
            if event.amount == 1 {
                std::panic::panic_any(Bomb);
            }
            Ok(event)
        });
        calls.insert_into("passed");
        Ok(())
    })
    .unwrap();
    test.send("events", [event("a", 0, 0), event("a", 1, 0)]).unwrap();
    let report = test.settle().unwrap_err().report();
    assert!(report.contains("a call of step 'calls' panicked when it was dropped"), "{report}");
    assert!(report.contains("not even gone quietly"), "{report}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |calls, reads| TestJob::new(troubled(calls, reads)).map(|_| ()).unwrap_err().report();
    assert!(refused(|| Calls::ordered(0), false).contains("would make no call at once"));
    assert!(refused(|| Calls::ordered(1).timeout(Duration::ZERO), false).contains("their timeout is zero"));
    let report = refused(|| with_failures(patient()), false);
    assert!(
        report.contains("rows of step 'calls' that fail go to side output 'failed', which nothing reads"),
        "{report}"
    );
}
