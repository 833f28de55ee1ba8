//! Traces: a job whose parts can do so and so much, rows that come at a rate that changes, restarts that take their time.

use weir_core::random::Random;
use weir_proto::client::ScalingBy;

use super::*;

const HOUR: u64 = 3600;

/// A job of a source and a part behind it, which is where the work is.
struct Model {
    autoscaler: Autoscaler,
    scaling: Scaling,
    /// Rows a second that one slot could take.
    rate: fn(u32) -> f64,
    knows_lag: bool,
    is_spread: bool,
    splits: u32,
    /// How busy the source is, compared with the part behind it.
    source_share: f64,
    /// The share of its time that a sink waits for the world.
    world: f64,
    /// As many times more than its share the busiest subtask gets.
    skew: f64,
    slots: u32,
    attempt: u64,
    second: u64,
    paused_until: u64,
    backlog: f64,
    source: Part,
    work: Part,
    /// When the number changed, and from what to what.
    changes: Vec<(u64, u32, u32)>,
    longest_wait: f64,
    slot_seconds: u64,
}

/// Time without processing at each change.
const PAUSE: u64 = 4;

impl Model {
    fn new(slots: u32) -> Self {
        Self {
            autoscaler: Autoscaler::default(),
            scaling: Scaling { by: ScalingBy::Load, max_slots: 16, ..Scaling::default() },
            rate: |slots| f64::from(slots) * 1000.0,
            knows_lag: true,
            is_spread: true,
            splits: 0,
            source_share: 0.1,
            world: 0.0,
            skew: 1.0,
            slots,
            attempt: 1,
            second: 0,
            paused_until: 0,
            backlog: 0.0,
            source: Part::default(),
            work: Part::default(),
            changes: Vec::new(),
            longest_wait: 0.0,
            slot_seconds: 0,
        }
    }

    fn run(&mut self, seconds: u64, comes: impl Fn(u64) -> f64) {
        for _ in 0..seconds {
            let arrived = comes(self.second);
            self.second += 1;
            self.slot_seconds += u64::from(self.slots);
            self.backlog += arrived;
            self.longest_wait = self.longest_wait.max(self.backlog / arrived.max(1.0));
            if self.second > self.paused_until {
                self.work();
                self.look();
            }
        }
    }

    fn work(&mut self) {
        // Where the busiest subtask is busy all the time, no more is read.
        let mean = (self.rate)(self.slots);
        let capacity = mean / self.skew;
        let read = self.backlog.min(capacity * (1.0 - self.world));
        self.backlog -= read;
        let busy = read / mean;
        let spend = |part: &mut Part, busy: f64, waits_behind: bool, slots: u32| {
            let all = 1000.0 * f64::from(slots);
            part.rows_in += read.round() as u64;
            part.times_ms.0 += (all * busy) as u64;
            let rest = (all * (1.0 - busy)) as u64;
            if waits_behind { part.times_ms.2 += rest } else { part.times_ms.1 += rest }
        };
        let stalls = self.backlog >= 1.0;
        spend(&mut self.source, busy * self.source_share, stalls, self.slots);
        let subtasks = if self.is_spread { self.slots } else { 1 };
        let share = if self.source_share < 1.0 { 1.0 } else { 0.5 };
        spend(&mut self.work, busy * share, self.world > 0.0, subtasks);
    }

    fn look(&mut self) {
        let now = Duration::from_secs(self.second);
        if !self.autoscaler.is_due(now, &self.scaling) {
            return;
        }
        let lag = self.knows_lag.then_some(self.backlog as u64);
        let name = |name: &str| name.to_owned();
        let source = Part {
            name: name("Source"),
            is_source: true,
            is_spread: true,
            lag_records: lag,
            splits: self.splits,
            ..self.source.clone()
        };
        let inputs = vec![Input { from: 0, rows: self.source.rows_in }];
        let work = Part {
            name: name("Work"),
            is_last: true,
            is_spread: self.is_spread,
            inputs,
            skew: self.skew,
            ..self.work.clone()
        };
        let scaling = self.scaling.clone();
        let situation = Situation {
            attempt: Attempt(self.attempt),
            slots: self.slots,
            wanted: self.slots,
            pause: Duration::from_secs(PAUSE),
            scaling: &scaling,
        };
        let advice = self.autoscaler.look(Sample { at: now, parts: vec![source, work] }, situation);
        let Some(advice) = advice.filter(|advice| advice.slots != self.slots) else { return };
        self.autoscaler.proposes(self.slots, advice.slots);
        self.autoscaler.acted(self.slots, advice.slots);
        self.changes.push((self.second, self.slots, advice.slots));
        (self.slots, self.attempt) = (advice.slots, self.attempt + 1);
        self.paused_until = self.second + PAUSE;
        (self.source, self.work) = (Part::default(), Part::default());
    }

    fn said(&self) -> String {
        self.autoscaler.found.as_ref().map(|found| found.said.clone()).unwrap_or_default()
    }

    /// No two changes are closer to each other than it takes to settle.
    fn assert_bounded(&self) {
        let settle = self.scaling.settle_ms / 1000;
        for pair in self.changes.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= settle, "{:?}", self.changes);
        }
    }
}

/// From `low` to `high` and back at once, again and again.
fn sawtooth(period: u64, low: f64, high: f64) -> impl Fn(u64) -> f64 {
    move |second| low + (high - low) * (second % period) as f64 / period as f64
}

#[test]
fn what_comes_steadily_gets_the_slots_that_it_needs_and_keeps_them() {
    for (rate, right) in [(300.0, 1), (690.0, 1), (1350.0, 2), (2500.0, 4), (6900.0, 10)] {
        for begins in [1, 4, 16] {
            let mut model = Model::new(begins);
            model.run(HOUR, |_| rate);
            // Between the target and what it is to be above to get more, it stays as it is.
            assert!(
                [right, right.max(2) - 1].contains(&model.slots),
                "{rate} rows/s from {begins} to {} slots: {:?}, {}",
                model.slots,
                model.changes,
                model.said()
            );
            assert!(model.changes.len() <= 5, "{rate} rows/s: {:?}", model.changes);
            assert!(model.changes.last().is_none_or(|(at, ..)| *at < 2400), "{:?}", model.changes);
            assert!(model.backlog < rate * 2.0, "{rate} rows/s: a backlog of {}", model.backlog);
            model.assert_bounded();
        }
    }
}

#[test]
fn between_more_and_fewer_there_is_no_load_at_which_it_goes_back_and_forth() {
    for step in 1..160 {
        let rate = f64::from(step) * 100.0;
        let mut model = Model::new(1);
        model.run(2 * HOUR, |_| rate);
        let (before, then) = (model.changes.len(), model.slots);
        model.run(HOUR, |_| rate);
        assert_eq!((model.changes.len(), model.slots), (before, then), "{rate} rows/s: {:?}", model.changes);
    }
}

#[test]
fn a_sawtooth_is_followed_if_it_is_slow_and_borne_if_it_is_fast() {
    for period in [20, 45, 90, 180, 600, 1200, 3600] {
        let mut model = Model::new(1);
        model.run(HOUR, sawtooth(period, 400.0, 4800.0));
        model.changes.clear();
        (model.longest_wait, model.slot_seconds) = (0.0, 0);
        model.run(2 * HOUR, sawtooth(period, 400.0, 4800.0));
        let waited = model.longest_wait;
        let slots = model.slot_seconds as f64 / (2 * HOUR) as f64;
        model.assert_bounded();
        // As often as it goes up in a period, and once down.
        let periods = 2 * HOUR / period;
        assert!(model.changes.len() as u64 <= periods * 8, "{period} s: {:?}", model.changes);
        if period <= 180 {
            assert!(model.changes.is_empty(), "{period} s: {:?}", model.changes);
        }
        if period >= 1200 {
            assert!(slots < 6.0, "{period} s: {slots} slots, and 7 are for the most");
        }
        let ups = model.changes.windows(2).filter(|pair| pair[0].2 > pair[0].1 && pair[1].2 < pair[1].1).count();
        assert!(ups as u64 <= periods, "{period} s: back and forth, {:?}", model.changes);
        // What waits where rows come most slowly, right behind the most.
        assert!(waited < 120.0, "{period} s: behind by {waited} s");
    }
}

#[test]
fn a_backlog_is_read_within_the_time_that_was_asked_for() {
    let mut model = Model::new(2);
    model.backlog = 1_500_000.0;
    model.run(120 + 300 + 90, |_| 1000.0);
    assert!(model.backlog < 60_000.0, "{} rows wait: {:?}", model.backlog, model.changes);
    model.run(HOUR, |_| 1000.0);
    assert_eq!(model.slots, 2, "{:?}", model.changes);
    model.assert_bounded();
}

#[test]
fn a_source_that_does_not_know_what_waits_gets_twice_as_many_until_it_waits_itself() {
    let mut model = Model::new(1);
    model.knows_lag = false;
    model.run(HOUR, |_| 5000.0);
    assert!((8..=12).contains(&model.slots), "{}: {:?}, {}", model.slots, model.changes, model.said());
    assert!(model.backlog < 20_000.0, "{}", model.backlog);
    assert!(model.changes.len() <= 7, "{:?}", model.changes);
}

#[test]
fn bounds_hold() {
    let mut model = Model::new(3);
    (model.scaling.min_slots, model.scaling.max_slots) = (2, 4);
    model.run(HOUR, |_| 9000.0);
    assert_eq!(model.slots, 4);
    model.run(HOUR, |_| 10.0);
    // There is a backlog of what came too fast.
    model.run(4 * HOUR, |_| 10.0);
    assert_eq!(model.slots, 2);
}

#[test]
fn more_slots_are_not_taken_where_they_do_not_help() {
    let mut single = Model::new(1);
    (single.is_spread, single.rate) = (false, |_| 1000.0);
    single.run(HOUR, |_| 1500.0);
    assert_eq!(single.changes, [], "{}", single.said());
    assert!(
        single.said().ends_with("Work runs as one subtask in any case, so more slots would not help"),
        "{}",
        single.said()
    );

    let mut world = Model::new(4);
    world.world = 0.8;
    world.run(HOUR, |_| 1500.0);
    assert_eq!(world.changes, [], "{}", world.said());
    assert!(world.said().contains("Work waits for the system that it writes to"), "{}", world.said());

    for (knows_lag, right) in [(true, 1), (false, 16)] {
        let mut partitions = Model::new(1);
        (partitions.splits, partitions.knows_lag, partitions.source_share) = (1, knows_lag, 1.0);
        partitions.run(HOUR, |_| 30_000.0);
        assert_eq!(partitions.slots, right, "{}", partitions.said());
    }

    let mut shared = Model::new(2);
    shared.rate = |_| 2000.0;
    shared.run(HOUR / 2, |_| 5000.0);
    assert_eq!(shared.changes.len(), 1, "{:?}", shared.changes);
    assert!(shared.said().contains("it could take 0 % more, so more slots would not help"), "{}", shared.said());
    shared.run(HOUR / 2, |_| 5000.0);
    assert_eq!(shared.changes.len(), 2, "it is tried again after a while: {:?}", shared.changes);
}

/// What a job could take right behind its growth says what that has brought. That its rows cost more an hour later does not.
#[test]
fn a_growth_is_judged_once() {
    let mut model = Model::new(1);
    model.run(HOUR / 2, |_| 950.0);
    assert_eq!((model.changes.len(), model.slots), (1, 2), "{:?}", model.changes);
    model.rate = |slots| f64::from(slots) * 300.0;
    model.run(600, |_| 950.0);
    assert!(model.slots >= 4, "{:?}, {}", model.changes, model.said());
}

#[test]
fn slots_that_a_job_got_because_they_were_there_are_no_growth_to_be_judged() {
    let mut autoscaler = Autoscaler { capacity: 1000.0, ..Autoscaler::default() };
    autoscaler.acted(1, 2);
    assert!(autoscaler.growth.is_none());
    autoscaler.proposes(1, 2);
    autoscaler.acted(1, 3);
    assert!(autoscaler.growth.is_none(), "another one than was proposed");
    autoscaler.proposes(1, 2);
    autoscaler.acted(1, 2);
    assert!(autoscaler.growth.is_some());
}

#[test]
fn what_one_look_has_seen_is_no_reason() {
    let scaling = Scaling { by: ScalingBy::Load, ..Scaling::default() };
    let mut autoscaler = Autoscaler::default();
    let situation = Situation { attempt: Attempt(1), slots: 2, wanted: 2, pause: Duration::ZERO, scaling: &scaling };
    for second in (0..600_u64).step_by(5) {
        let source = Part {
            is_source: true,
            is_spread: true,
            rows_in: second * 100,
            times_ms: (second * 650, second * 350, 0),
            lag_records: Some(if second % 100 == 50 { 1_000_000 } else { 0 }),
            ..Part::default()
        };
        let advice = autoscaler.look(Sample { at: Duration::from_secs(second), parts: vec![source] }, situation);
        assert!(advice.is_none_or(|advice| advice.slots == 2), "after {second} s");
    }
}

/// On average nobody is busy, and one subtask is all the time.
#[test]
fn a_job_whose_rows_go_to_one_subtask_keeps_its_slots_while_that_is_busy() {
    let mut model = Model::new(8);
    model.skew = 4.0;
    model.run(HOUR, |_| 1800.0);
    assert!(model.changes.is_empty(), "{:?}, {}", model.changes, model.said());
    // The figures do not tell who got the rows.
    let mut model = Model::new(8);
    (model.rate, model.skew) = (|_| 2000.0, 1.0);
    model.work.skew = 1.0;
    model.run(HOUR, |_| 100.0);
    assert_eq!(model.slots, 1, "{}", model.said());
}

#[test]
fn a_job_that_falls_behind_keeps_its_slots_whatever_its_parts_say() {
    for (lag_grows, held_up) in [(true, false), (false, true), (false, false)] {
        let scaling = Scaling { by: ScalingBy::Load, ..Scaling::default() };
        let mut autoscaler = Autoscaler::default();
        let situation =
            Situation { attempt: Attempt(1), slots: 4, wanted: 4, pause: Duration::ZERO, scaling: &scaling };
        let mut advice = None;
        for second in (0..600_u64).step_by(5) {
            let spent = |busy: u64, waits: u64| (second * busy, second * (1000 - busy - waits), second * waits);
            let source = Part {
                is_source: true,
                is_spread: true,
                // Nothing is read of what waits.
                rows_in: if lag_grows { 0 } else { second * 100 },
                times_ms: spent(50, if held_up { 800 } else { 0 }),
                lag_records: Some(if lag_grows { second * 100 } else { 0 }),
                ..Part::default()
            };
            let at = Duration::from_secs(second);
            advice = autoscaler.look(Sample { at, parts: vec![source] }, situation).or(advice);
        }
        let slots = advice.map(|advice| advice.slots);
        assert_eq!(slots, Some(if lag_grows || held_up { 4 } else { 1 }), "{lag_grows} {held_up}");
    }
}

/// Whatever the figures say, a job is restarted at most once in the time that it takes to settle.
#[test]
fn noise_restarts_a_job_a_bounded_number_of_times() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let rates: Vec<f64> = (0..2 * HOUR).map(|_| random.below(16_000) as f64).collect();
        let pauses: Vec<f64> = (0..2 * HOUR).map(|_| if random.chance(100) { 1.0 } else { 0.0 }).collect();
        let mut model = Model::new(1);
        model.run(2 * HOUR, |second| {
            let (second, burst) = (second as usize, second / 97 % 5 == 0);
            rates[second] * if burst { 3.0 } else { 1.0 } * (1.0 - pauses[second])
        });
        model.assert_bounded();
        assert!(model.changes.len() as u64 <= 2 * HOUR / 60, "{:?}", model.changes);
    }
}

#[test]
fn the_reason_says_what_is_busy_and_what_would_be_right() {
    let mut model = Model::new(1);
    model.run(180, |_| 950.0);
    assert_eq!(model.changes.len(), 1);
    assert_eq!(model.changes[0].2, 2);
    let mut model = Model::new(1);
    model.run(70, |_| 950.0);
    assert_eq!(model.said(), "Work is busy 95 % of its time; at 70 % it needs 2 slots");
    let mut model = Model::new(4);
    model.run(70, |_| 950.0);
    assert_eq!(model.said(), "Work is busy 24 % of its time; 2 slots would be enough for all that came of late");
    let mut model = Model::new(2);
    model.run(200, |_| 1300.0);
    assert_eq!(model.said(), "Work is busy 65 % of its time; 2 slots are right");
}

#[test]
fn what_feeds_a_part_grows_it_by_its_share() {
    let part = |rows_in, lag_records, inputs: Vec<Input>| Part {
        is_source: inputs.is_empty(),
        is_spread: true,
        rows_in,
        times_ms: (1000, 1000, 0),
        lag_records,
        inputs,
        ..Part::default()
    };
    let sample = |at, times: u64| {
        let sent = |from, rows| Input { from, rows: rows * times };
        let mut parts = vec![
            part(100 * times, Some(300 * times), vec![]),
            part(300 * times, Some(0), vec![]),
            part(400 * times, None, vec![sent(0, 100), sent(1, 300)]),
        ];
        for part in &mut parts {
            part.times_ms = (part.times_ms.0 * times, part.times_ms.1 * times, 0);
        }
        Sample { at: Duration::from_secs(at), parts }
    };
    let scaling = Scaling { by: ScalingBy::Load, catch_up_ms: 86_400_000, ..Scaling::default() };
    let situation = Situation { attempt: Attempt(1), slots: 1, wanted: 1, pause: Duration::ZERO, scaling: &scaling };
    let load = Load::between(&sample(0, 1), &sample(10, 11), situation).unwrap();
    // Four times as much comes to the first source as it reads, and a quarter of the third part's rows is from there.
    assert!((load.load - 2.0).abs() < 0.01, "{load:?}");
    assert!((load.busy - 0.5).abs() < 0.01, "{load:?}");
}
