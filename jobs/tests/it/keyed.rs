//! What is done with the rows of each key.

use weir_jobs::testing::TestJob;

use super::*;

/// Adds up the amounts of each user.
#[derive(Clone)]
pub(super) struct Sum;

impl KeyedProcess for Sum {
    type Key = String;
    type In = Event;
    type State = ValueState<i64>;
    type Out = Total;

    fn process(&mut self, event: Event, sum: &mut ValueState<i64>, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        *sum.or_default() += event.amount;
        ctx.emit(total(ctx.key(), *sum.or_default()));
        if event.amount == 0 {
            sum.clear();
        }
        Ok(())
    }
}

fn sums(job: &mut Job) -> Result<()> {
    job.table::<Event>("events").key_by(|event| event.user.clone()).process("sums", Sum).insert_into("totals");
    Ok(())
}

/// The last total of each user, for any plan of restarts.
fn last_totals(rows: Vec<Total>) -> std::collections::BTreeMap<String, i64> {
    rows.into_iter().map(|row| (row.user, row.total)).collect()
}

#[test]
fn sums_are_the_same_whatever_happens_in_between() {
    let events: Vec<Event> = (0..400).map(|n| event(&format!("u{}", n * 7 % 31), n % 5, 0)).collect();
    let run = |batch: usize, partly: bool, parallelism: &dyn Fn(usize) -> usize| {
        let mut test = TestJob::new(sums).unwrap();
        if partly {
            test = test.partly_in_memory();
        }
        let mut rows = Vec::new();
        for (number, events) in events.chunks(batch).enumerate() {
            test.send("events", events.to_vec()).unwrap();
            rows.extend(test.take::<Total>("totals").unwrap());
            if parallelism(number) > 0 {
                test.restart(parallelism(number)).unwrap();
            }
        }
        let last = last_totals(rows.clone());
        rows.sort();
        (rows, last)
    };
    let expected = run(400, false, &|_| 0);
    assert_eq!(expected.0.len(), 400);
    assert_eq!(run(1, false, &|_| 0), expected);
    assert_eq!(run(37, false, &|number| 1 + number % 3), expected);
    assert_eq!(run(13, true, &|number| 1 + number % 2), expected);
    assert_eq!(run(29, true, &|_| 0), expected);
}

#[test]
fn a_key_of_which_nothing_is_kept_is_forgotten() {
    let mut test = TestJob::new(sums).unwrap();
    let sum = |test: &mut TestJob| {
        let state = test.state::<String, ValueState<i64>>("sums", &"a".to_owned()).unwrap();
        state.and_then(|sum| sum.get().copied())
    };
    assert_eq!(sum(&mut test), None);
    test.send("events", [event("a", 3, 0), event("b", 1, 0)]).unwrap();
    assert_eq!(sum(&mut test), Some(3));
    test.send("events", [event("a", 0, 0)]).unwrap();
    assert_eq!(sum(&mut test), None);
    test.restart(2).unwrap();
    test.take::<Total>("totals").unwrap();
    test.send("events", [event("a", 5, 0)]).unwrap();
    assert_eq!(test.take::<Total>("totals").unwrap(), [total("a", 5)]);
}

/// All kinds of state, and side outputs.
#[derive(Clone)]
struct Everything;

#[derive(State, Default)]
struct Kept {
    last: ListState<i64>,
    #[state(name = "amounts")]
    counts: MapState<i64, u32>,
    largest: AggregateState<Largest>,
    first: ValueState<Event>,
}

#[derive(Clone, Default)]
struct Largest;

impl Aggregate for Largest {
    type In = i64;
    type Accumulator = i64;
    type Out = i64;

    fn add(&self, largest: &mut i64, value: &i64) {
        *largest = (*largest).max(*value);
    }

    fn merge(&self, largest: &mut i64, other: i64) {
        *largest = (*largest).max(other);
    }

    fn result(&self, largest: &i64) -> i64 {
        *largest
    }
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Report {
    user: String,
    last: Vec<i64>,
    counts: Vec<(i64, u32)>,
    largest: i64,
    first: Event,
}

const REFUSED: SideOutput<Event> = SideOutput::new("refused");
const UNREAD: SideOutput<Event> = SideOutput::new("unread");

impl KeyedProcess for Everything {
    type Key = String;
    type In = Event;
    type State = Kept;
    type Out = Report;

    fn process(&mut self, event: Event, kept: &mut Kept, ctx: &mut Context<'_, String, Report>) -> Result<()> {
        if event.amount < 0 {
            ctx.emit_to(&UNREAD, event.clone());
            ctx.emit_to(&REFUSED, event);
            return Ok(());
        }
        kept.last.push(event.amount);
        if kept.last.len() > 3 {
            kept.last.pop_front();
        }
        if event.amount == 50 {
            kept.last.retain(|amount| *amount != 2);
            kept.counts.remove(&2);
        }
        *kept.counts.or_default(event.amount) += 1;
        kept.largest.add(&event.amount);
        let first = kept.first.or_insert_with(|| event.clone()).clone();
        ctx.emit(Report {
            user: ctx.key().clone(),
            last: kept.last.iter().copied().collect(),
            counts: kept.counts.iter().map(|(amount, count)| (*amount, *count)).collect(),
            largest: kept.largest.result().unwrap_or_default(),
            first,
        });
        Ok(())
    }
}

fn everything(job: &mut Job) -> Result<()> {
    let reports = job.table::<Event>("events").key_by(|event| event.user.clone()).process("everything", Everything);
    reports.side(&REFUSED).insert_into("refused");
    reports.insert_into("reports");
    Ok(())
}

#[test]
fn every_kind_of_state_comes_back() {
    let amounts = [1, 2, 2, 7, -1, 2, 50, 3, 2, 9, -2, 4];
    let run = |restarts: bool, partly: bool| {
        let mut test = TestJob::new(everything).unwrap();
        if partly {
            test = test.partly_in_memory();
        }
        for (second, amount) in (0..).zip(amounts) {
            test.send("events", [event("a", amount, second), event("b", amount + 1, second)]).unwrap();
            if restarts {
                test.restart(1 + second as usize % 3).unwrap();
            }
        }
        let mut reports = test.take::<Report>("reports").unwrap();
        reports.sort_by(|one, other| one.user.cmp(&other.user));
        (reports, test.take::<Event>("refused").unwrap())
    };
    let (reports, refused) = run(false, false);
    let last = reports.iter().rfind(|report| report.user == "a").unwrap();
    assert_eq!(last.last, [2, 9, 4]);
    assert_eq!(last.counts, [(1, 1), (2, 1), (3, 1), (4, 1), (7, 1), (9, 1), (50, 1)]);
    assert_eq!((last.largest, &last.first), (50, &event("a", 1, 0)));
    assert_eq!(refused, [event("a", -1, 4), event("a", -2, 10), event("b", -1, 10)]);
    assert_eq!(run(true, false), (reports.clone(), refused.clone()));
    assert_eq!(run(false, true), (reports.clone(), refused.clone()));
    assert_eq!(run(true, true), (reports, refused));
}

/// Tells when a user has been silent for ten seconds, and again by the clock.
#[derive(Clone)]
struct Silence;

#[derive(State, Default)]
struct Waiting {
    count: ValueState<i64>,
    silent: Timer,
    reminder: ProcessingTimer,
}

impl KeyedProcess for Silence {
    type Key = String;
    type In = Event;
    type State = Waiting;
    type Out = Total;

    fn process(&mut self, event: Event, state: &mut Waiting, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        *state.count.or_default() += 1;
        match event.amount {
            0 => state.silent.cancel(),
            _ => state.silent.set(event.at + seconds(10)),
        }
        state.reminder.set(ctx.now() + seconds(60));
        Ok(())
    }

    fn on_timer(&mut self, state: &mut Waiting, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        let count = state.count.get().copied().unwrap_or_default();
        if state.silent.fired() {
            assert!(!state.reminder.fired());
            ctx.emit(total(ctx.key(), count));
            if count < 3 {
                *state.count.or_default() += 1;
                state.silent.set(ctx.time().unwrap_or_default() + seconds(1));
            }
        } else {
            ctx.emit(total(ctx.key(), -count));
            state.count.clear();
        }
        Ok(())
    }
}

fn silence(job: &mut Job) -> Result<()> {
    job.table::<Event>("events").key_by(|event| event.user.clone()).process("silence", Silence).insert_into("silent");
    Ok(())
}

#[test]
fn timers_go_off_once_in_their_order_also_behind_a_restart() {
    for restarts in [false, true] {
        let mut test = TestJob::new(silence).unwrap();
        let restart = |test: &mut TestJob, parallelism| {
            if restarts {
                test.restart(parallelism).unwrap();
            }
        };
        test.send("events", [event("a", 1, 0), event("b", 1, 0), event("b", 1, 1), event("c", 1, 2)]).unwrap();
        restart(&mut test, 3);
        test.send("events", [event("c", 0, 3)]).unwrap();
        test.watermark(second(9)).unwrap();
        assert!(test.take::<Total>("silent").unwrap().is_empty());
        restart(&mut test, 2);
        test.watermark(second(12)).unwrap();
        let mut silent = test.take::<Total>("silent").unwrap();
        if restarts {
            silent.sort_by_key(|row| row.user.clone());
            assert_eq!(silent, [total("a", 1), total("a", 2), total("a", 3), total("b", 2), total("b", 3)]);
        } else {
            // By time: a at 10, a and b at 11, a and b at 12.
            assert_eq!(silent.iter().map(|row| row.total).take(1).collect::<Vec<_>>(), [1]);
            assert_eq!(silent.len(), 5);
        }
        restart(&mut test, 1);
        test.watermark(second(100)).unwrap();
        assert!(test.take::<Total>("silent").unwrap().is_empty());
        test.clock(second(59)).unwrap();
        assert!(test.take::<Total>("silent").unwrap().is_empty());
        restart(&mut test, 2);
        test.clock(second(60)).unwrap();
        let mut reminded = test.take::<Total>("silent").unwrap();
        reminded.sort();
        assert_eq!(reminded, [total("a", -3), total("b", -3), total("c", -2)]);
        assert!(test.state::<String, Waiting>("silence", &"a".to_owned()).unwrap().is_none());
    }
}

#[test]
fn at_the_end_what_is_set_goes_off_once() {
    let mut test = TestJob::new(silence).unwrap();
    test.send("events", [event("a", 1, 0), event("b", 1, 5)]).unwrap();
    test.end().unwrap();
    let mut silent = test.take::<Total>("silent").unwrap();
    silent.sort();
    assert_eq!(silent, [total("a", 1), total("b", 1)]);
    test.restart(2).unwrap();
    assert!(test.take::<Total>("silent").unwrap().is_empty());
}

#[test]
fn a_timer_that_would_go_off_for_ever_is_refused() {
    #[derive(Clone)]
    struct Endless;
    impl KeyedProcess for Endless {
        type Key = i64;
        type In = Event;
        type State = Timer;
        type Out = Total;
        fn process(&mut self, event: Event, timer: &mut Timer, _ctx: &mut Context<'_, i64, Total>) -> Result<()> {
            timer.set(event.at);
            Ok(())
        }
        fn on_timer(&mut self, timer: &mut Timer, ctx: &mut Context<'_, i64, Total>) -> Result<()> {
            timer.set(ctx.time().unwrap_or_default());
            Ok(())
        }
    }
    let mut test = TestJob::new(|job| {
        job.table::<Event>("events").key_by(|event| event.amount).process("endless", Endless).insert_into("out");
        Ok(())
    })
    .unwrap();
    test.send("events", [event("a", 1, 1)]).unwrap();
    let error = test.watermark(second(5)).unwrap_err().report();
    assert!(error.contains("timer 'timer' went off at") && error.contains("for ever"), "{error}");
}

#[test]
fn a_key_without_rows_for_its_time_to_live_is_forgotten() {
    for restarts in [false, true] {
        let mut test = TestJob::new(|job| {
            let events = job.table::<Event>("events").key_by(|event| event.user.clone());
            events.time_to_live(seconds(10)).process("sums", Sum).insert_into("totals");
            Ok(())
        })
        .unwrap();
        let step = |test: &mut TestJob, parallelism| {
            if restarts {
                test.restart(parallelism).unwrap();
            }
        };
        test.send("events", [event("a", 1, 0), event("b", 1, 0)]).unwrap();
        step(&mut test, 2);
        test.send("events", [event("a", 1, 6)]).unwrap();
        step(&mut test, 3);
        test.watermark(second(10)).unwrap();
        step(&mut test, 1);
        test.take::<Total>("totals").unwrap();
        test.send("events", [event("a", 1, 11), event("b", 1, 11)]).unwrap();
        let mut totals = test.take::<Total>("totals").unwrap();
        totals.sort();
        assert_eq!(totals, [total("a", 3), total("b", 1)]);
        test.watermark(second(21)).unwrap();
        assert!(test.state::<String, ValueState<i64>>("sums", &"a".to_owned()).unwrap().is_none());
        // Nothing of it is left.
        step(&mut test, 2);
        test.watermark(second(1000)).unwrap();
        test.send("events", [event("a", 7, 1001)]).unwrap();
        assert_eq!(test.take::<Total>("totals").unwrap(), [total("a", 7)]);
    }
}

/// A user's name, for the events of the user.
#[derive(Clone)]
struct Naming;

#[derive(State, Default)]
struct Named {
    name: ValueState<String>,
    unnamed: ListState<Event>,
}

impl KeyedConnect for Naming {
    type Key = String;
    type Left = Event;
    type Right = Name;
    type State = Named;
    type Out = Total;

    fn left(&mut self, event: Event, state: &mut Named, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        match state.name.get() {
            Some(name) => ctx.emit(total(name, event.amount)),
            None => state.unnamed.push(event),
        }
        Ok(())
    }

    fn right(&mut self, name: Name, state: &mut Named, ctx: &mut Context<'_, String, Total>) -> Result<()> {
        state.unnamed.take().into_iter().for_each(|event| ctx.emit(total(&name.name, event.amount)));
        state.name.set(name.name);
        Ok(())
    }
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Name {
    id: String,
    name: String,
}

#[test]
fn rows_of_two_streams_meet_by_their_key() {
    for partly in [false, true] {
        let mut test = TestJob::new(|job| {
            let names = job.table::<Name>("names").key_by(|name| name.id.clone());
            let events = job.table::<Event>("events").key_by(|event| event.user.clone());
            events.connect(names).process("naming", Naming).insert_into("named");
            Ok(())
        })
        .unwrap();
        if partly {
            test = test.partly_in_memory();
        }
        let name = |id: &str, name: &str| Name { id: id.to_owned(), name: name.to_owned() };
        test.send("events", [event("1", 10, 0), event("2", 20, 0), event("1", 11, 0)]).unwrap();
        test.restart(3).unwrap();
        test.send("names", [name("1", "Ada")]).unwrap();
        assert_eq!(test.take::<Total>("named").unwrap(), [total("Ada", 10), total("Ada", 11)]);
        test.restart(2).unwrap();
        test.send("events", [event("1", 12, 0), event("2", 21, 0)]).unwrap();
        test.send("names", [name("2", "Bob")]).unwrap();
        assert_eq!(test.take::<Total>("named").unwrap(), [total("Ada", 12), total("Bob", 20), total("Bob", 21)]);
    }
}

/// Multiplies what comes by a rate that changes.
#[derive(Clone)]
struct Rated;

impl BroadcastProcess for Rated {
    type Key = String;
    type In = Event;
    type Update = Total;
    type State = ValueState<i64>;
    type Shared = MapState<String, i64>;
    type Out = Total;

    fn update(&mut self, rate: Total, rates: &mut MapState<String, i64>) -> Result<()> {
        match rate.total {
            0 => rates.remove(&rate.user),
            _ => rates.insert(rate.user, rate.total),
        };
        Ok(())
    }

    fn process(
        &mut self,
        event: Event,
        sum: &mut ValueState<i64>,
        rates: &MapState<String, i64>,
        ctx: &mut Context<'_, String, Total>,
    ) -> Result<()> {
        *sum.or_default() += event.amount * rates.get("all").copied().unwrap_or(1);
        ctx.emit(total(ctx.key(), *sum.or_default()));
        Ok(())
    }
}

#[test]
fn every_subtask_is_told_and_remembers() {
    let mut test = TestJob::new(|job| {
        let rates = job.table::<Total>("rates");
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        events.with_broadcast(rates).process("rated", Rated).insert_into("totals");
        Ok(())
    })
    .unwrap();
    let sum_after = |test: &mut TestJob| {
        test.send("events", ["a", "b", "c", "d"].map(|user| event(user, 1, 0))).unwrap();
        let mut totals = test.take::<Total>("totals").unwrap();
        totals.sort();
        totals.iter().map(|row| row.total).collect::<Vec<_>>()
    };
    test.restart(3).unwrap();
    assert_eq!(sum_after(&mut test), [1, 1, 1, 1]);
    test.send("rates", [total("all", 10), total("other", 7)]).unwrap();
    assert_eq!(sum_after(&mut test), [11, 11, 11, 11]);
    test.restart(2).unwrap();
    assert_eq!(sum_after(&mut test), [21, 21, 21, 21]);
    let rates = test.shared_state::<MapState<String, i64>>("rated").unwrap().unwrap();
    assert_eq!(
        rates.iter().map(|(name, rate)| (name.as_str(), *rate)).collect::<Vec<_>>(),
        [("all", 10), ("other", 7)]
    );
    test.send("rates", [total("all", 0)]).unwrap();
    test.restart(4).unwrap();
    assert_eq!(sum_after(&mut test), [22, 22, 22, 22]);
}

#[test]
fn a_crash_goes_back_to_the_last_checkpoint() {
    let mut test = TestJob::new(sums).unwrap();
    test.send("events", [event("a", 1, 0)]).unwrap();
    let snapshot = test.snapshot().unwrap();
    test.send("events", [event("a", 10, 0), event("b", 10, 0)]).unwrap();
    test.take::<Total>("totals").unwrap();
    test.restore(&snapshot, 2).unwrap();
    test.send("events", [event("a", 10, 0), event("b", 10, 0)]).unwrap();
    let mut totals = test.take::<Total>("totals").unwrap();
    totals.sort();
    assert_eq!(totals, [total("a", 11), total("b", 10)]);
}
