//! Random sources that sleep, wake up, appear and end, against a model that knows which rows are late.
#![allow(clippy::unwrap_used, reason = "tests")]

mod tables;

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};
use weir_core::hash::mix;
use weir_core::{
    AggregateCall, AggregateFunction, Batch, Element, Epoch, EventTime, Marker, MarkerKind, NodeSpec, OperatorSpec,
    Watermark, WindowAggregateSpec, WindowKind, WindowSource,
};

use super::{Job, StageSpec};
use crate::testing::{node, rows, schema};

/// Sources of each of the two branches.
const SOURCES: usize = 2;
/// Markers, without the last one.
const MARKERS: usize = 6;
/// Sizes of the windows of the branches, of where they come together, and of the last stage.
const SIZES: [i64; 3] = [10, 20, 40];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15));
        self.0 % bound
    }
}

fn sums(time: usize, amount: usize, size: i64) -> NodeSpec {
    let name = "total".to_owned();
    let sum = AggregateCall {
        function: AggregateFunction::Sum,
        arguments: vec![amount],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name,
        data_type: DataType::Int64,
    };
    let window = WindowSource::Assign { window: WindowKind::Tumble { size, offset: 0 }, time };
    let spec = WindowAggregateSpec { window, keys: vec![0], aggregates: vec![sum], partial_input: false, spread: None };
    node(OperatorSpec::WindowAggregate(spec), &summed())
}

fn input() -> SchemaRef {
    schema("k BIGINT, n BIGINT, t TIMESTAMP")
}

fn summed() -> SchemaRef {
    schema("k BIGINT, n BIGINT, s TIMESTAMP, e TIMESTAMP, t TIMESTAMP")
}

/// Two branches, which come together, and a stage behind that.
fn stages() -> Vec<StageSpec> {
    let branch =
        || StageSpec { node: sums(2, 1, SIZES[0]), inputs: vec![input()], sources: SOURCES, upstream: Vec::new() };
    let behind = |upstream, size| StageSpec { node: sums(4, 1, size), inputs: vec![summed()], sources: 0, upstream };
    vec![branch(), branch(), behind(vec![0, 1], SIZES[1]), behind(vec![2], SIZES[2])]
}

/// What is known of an input where a marker passes.
#[derive(Debug, Clone, Copy)]
struct Known {
    said: EventTime,
    time: EventTime,
    says_idle: bool,
    idle: bool,
    ended: bool,
}

const SILENT: Known = Known { said: EventTime::MIN, time: EventTime::MIN, says_idle: false, idle: false, ended: false };

/// Time over several inputs, as the documentation has it.
#[derive(Debug)]
struct Model {
    inputs: Vec<Known>,
    time: EventTime,
}

impl Model {
    fn new(inputs: usize) -> Self {
        Self { inputs: vec![SILENT; inputs], time: EventTime::MIN }
    }

    fn look(&mut self) {
        let counted = self.inputs.iter().filter(|known| !known.idle && !known.ended).map(|known| known.time);
        let told = self.inputs.iter().map(|known| known.time).max();
        let all_ended = self.inputs.iter().all(|known| known.ended);
        let time = counted.min().or(if all_ended { Some(EventTime::MAX) } else { told });
        self.time = self.time.max(time.unwrap_or(EventTime::MIN));
    }

    /// Everything has come that is in front of a marker, and the marker passes.
    fn marker(&mut self) {
        for known in self.inputs.iter_mut().filter(|known| !known.idle || known.ended) {
            known.time = known.said;
        }
        self.look();
        self.inputs.iter_mut().for_each(|known| known.idle = known.says_idle);
        self.look();
    }

    /// The marker has passed.
    fn marker_sent(&mut self) {
        self.inputs.iter_mut().filter(|known| !known.idle).for_each(|known| known.time = known.said);
        self.look();
    }

    fn says_idle(&self) -> bool {
        !self.inputs.iter().any(|known| !known.idle && !known.ended) && self.inputs.iter().any(|known| !known.ended)
    }

    fn ended(&self) -> bool {
        self.inputs.iter().all(|known| known.ended)
    }
}

type Sums = BTreeMap<(i64, i64), i64>;

/// Sums of windows that are open, and what has been late.
#[derive(Debug, Default)]
struct Windows {
    size: i64,
    sums: Sums,
    late: usize,
}

impl Windows {
    fn of(size: i64) -> Self {
        Self { size, ..Self::default() }
    }

    /// A row comes behind a marker that has passed where time stood at `time`.
    fn take(&mut self, (key, amount, at): (i64, i64, i64), time: EventTime) {
        let end = (at.div_euclid(self.size) + 1) * self.size;
        if end - 1 <= time.0 {
            self.late += 1;
        } else {
            *self.sums.entry((key, end)).or_default() += amount;
        }
    }

    /// Time has come so far. Returns rows of the windows that are closed by that.
    fn close(&mut self, time: EventTime) -> Vec<(i64, i64, i64)> {
        let closed = self.sums.extract_if(.., |(_, end), _| *end - 1 <= time.0);
        closed.map(|((key, end), amount)| (key, amount, end - 1)).collect()
    }
}

/// A source of the test.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// No row comes any more that is not later.
    time: i64,
    /// Whether those behind wait for it.
    counts: bool,
    over: bool,
}

/// Everything at once: the job, and what should come of it.
struct Bench {
    random: Random,
    job: Job,
    sources: Vec<Source>,
    branches: [(Model, Windows); 2],
    together: (Model, Windows),
    last: Windows,
}

fn at(time: i64) -> Watermark {
    Watermark::At(EventTime(time))
}

impl Bench {
    fn new(seed: u64) -> Self {
        let branch = || (Model::new(SOURCES), Windows::of(SIZES[0]));
        Self {
            job: Job::new(&stages(), 2, seed).unwrap(),
            random: Random(seed),
            sources: vec![Source { time: 0, counts: true, over: false }; 2 * SOURCES],
            branches: [branch(), branch()],
            together: (Model::new(2), Windows::of(SIZES[1])),
            last: Windows::of(SIZES[2]),
        }
    }

    fn says(&mut self, source: usize, watermark: Watermark) {
        let (branch, place) = (source / SOURCES, source % SOURCES);
        let known = &mut self.branches[branch].0.inputs[place];
        match watermark {
            Watermark::At(EventTime::MAX) => known.ended = true,
            Watermark::At(time) => (known.said, known.says_idle) = (known.said.max(time), false),
            Watermark::Idle => known.says_idle = true,
        }
        self.job.say(branch, place, Element::Watermark(watermark)).unwrap();
    }

    fn row(&mut self, source: usize) {
        let (branch, place) = (source / SOURCES, source % SOURCES);
        let (key, amount) = (self.random.below(3) as i64, 1 + self.random.below(9) as i64);
        let time = self.sources[source].time + 1 + self.random.below(15) as i64;
        let (model, windows) = &mut self.branches[branch];
        windows.take((key, amount, time), model.time);
        let batch = rows(&input(), &[&format!("{key} | {amount} | {time}")]);
        self.job.say(branch, place, Element::Batch(Batch::append(batch))).unwrap();
    }

    /// What a source says between two markers.
    fn speak(&mut self, source: usize) {
        let Source { counts, over, .. } = self.sources[source];
        if over {
            return;
        }
        for _ in 0..self.random.below(5) {
            if counts && self.random.below(3) > 0 {
                self.row(source);
            } else if self.random.below(3) == 0 {
                self.says(source, Watermark::Idle);
            } else {
                // Also one that is idle can learn of how far its table is.
                self.sources[source].time += self.random.below(20) as i64;
                self.says(source, at(self.sources[source].time));
            }
        }
        let others = (source / SOURCES * SOURCES..).take(SOURCES).filter(|other| *other != source);
        let last = others.clone().all(|other| self.sources[other].over);
        if counts && !last && self.random.below(8) == 0 {
            self.says(source, at(EventTime::MAX.0));
            self.sources[source].over = true;
        }
    }

    fn marker(&mut self, epoch: usize) {
        let marker = Element::Marker(Marker { epoch: Epoch(epoch as u64), kind: MarkerKind::Flush });
        for source in 0..2 * SOURCES {
            self.job.say(source / SOURCES, source % SOURCES, marker.clone()).unwrap();
            let known = self.branches[source / SOURCES].0.inputs[source % SOURCES];
            self.sources[source].counts = !known.says_idle;
        }
        // In front of the marker, stage by stage, then behind it.
        self.settle(Model::marker);
        self.settle(Model::marker_sent);
    }

    /// Lets all that has come have its effect.
    fn settle(&mut self, step: fn(&mut Model)) {
        // Rows that the branches emit meet the stage where it stood when the last marker had passed.
        let before = self.together.0.time;
        for (place, (model, windows)) in self.branches.iter_mut().enumerate() {
            step(model);
            for row in windows.close(model.time) {
                self.together.1.take(row, before);
            }
            let known = &mut self.together.0.inputs[place];
            known.says_idle = model.says_idle();
            known.ended = model.ended();
            known.said = if known.ended { known.said } else { model.time };
        }
        step(&mut self.together.0);
        for row in self.together.1.close(self.together.0.time) {
            self.last.take(row, EventTime::MIN);
        }
    }
}

#[test]
fn rows_are_late_only_if_the_time_of_an_input_that_was_awake_had_passed_them() {
    let (mut late_first, mut late_behind) = (0, 0);
    for seed in 0..600 {
        let mut bench = Bench::new(seed);
        for epoch in 1..=MARKERS {
            (0..2 * SOURCES).for_each(|source| bench.speak(source));
            bench.marker(epoch);
        }
        // Who is to end wakes up first.
        let open: Vec<usize> = (0..2 * SOURCES).filter(|source| !bench.sources[*source].over).collect();
        open.iter().for_each(|source| bench.says(*source, at(bench.sources[*source].time)));
        bench.marker(MARKERS + 1);
        open.iter().for_each(|source| bench.says(*source, at(EventTime::MAX.0)));
        bench.settle(Model::marker);
        bench.job.run().unwrap();
        let sum = |((key, end), total): (&(i64, i64), &i64)| {
            let rows = rows(&summed(), &[&format!("{key} | {total} | {} | {end} | {}", end - SIZES[2], end - 1)]);
            crate::testing::text(&rows).remove(0)
        };
        let mut expected: Vec<String> = bench.last.sums.iter().map(sum).collect();
        let mut found = bench.job.rows.clone();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "seed {seed}");
        let late = [bench.branches[0].1.late, bench.branches[1].1.late, bench.together.1.late, 0];
        assert_eq!(bench.job.late, late, "late rows of seed {seed}");
        (late_first, late_behind) = (late_first + late[0] + late[1], late_behind + late[2]);
    }
    assert!(late_first > 100 && late_behind > 100, "nothing is at stake: {late_first} and {late_behind} late rows");
}
