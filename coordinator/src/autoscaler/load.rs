//! How busy a job would be if it read all that it shall read.

use std::fmt;
use std::time::Duration;

use weir_core::{JobGraph, OperatorSpec, Parallelism};
use weir_proto::client::Scaling;
use weir_proto::control::Figures;

use super::{MOST_GROWTH, Sample, Situation};

/// A source that waits for input for less than this share of its time has always more to read.
const NEVER_IDLE: f64 = 0.03;
/// A sink that waits for the system that it writes to for more than this is held up by it.
const HELD_UP: f64 = 0.5;
/// A part that would be busier than this is at its limit.
const AT_ITS_LIMIT: f64 = 0.85;
/// By what is assumed to be missing at a source that has always more to read, and does not say how much.
const ASSUMED: f64 = 2.0;

/// What a part of a job, a chain of operators, has done since its attempt began. Sums over its subtasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its first operator.
    pub name: String,
    /// Whether it reads a table.
    pub is_source: bool,
    /// Whether it hands its rows to nobody but the world.
    pub is_last: bool,
    /// Whether it has as many subtasks as the job has slots.
    pub is_spread: bool,
    /// Where its rows come from.
    pub inputs: Vec<Input>,
    /// Rows that have come in.
    pub rows_in: u64,
    /// As many times more of them than its share the busiest subtask has got; 1 if that is not known.
    pub skew: f64,
    /// How its subtasks have spent their time, in milliseconds: busy, idle, waiting for room behind them or for the world.
    pub times_ms: (u64, u64, u64),
    /// Of a source that knows: records that are there and were not read yet.
    pub lag_records: Option<u64>,
    /// Of a source: splits that it reads.
    pub splits: u32,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            name: String::new(),
            is_source: false,
            is_last: false,
            is_spread: false,
            inputs: Vec::new(),
            rows_in: 0,
            skew: 1.0,
            times_ms: (0, 0, 0),
            lag_records: None,
            splits: 0,
        }
    }
}

/// Rows that one part has sent to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Input {
    /// Which part, by its position.
    pub from: usize,
    /// How many.
    pub rows: u64,
}

/// The parts of a job, each behind those that feed it; `vertices` are the figures of its operators.
pub fn parts(graph: &JobGraph, vertices: &[Figures]) -> Vec<Part> {
    let flows = |head| !matches!(graph.node(head).spec.operator, OperatorSpec::Discover(_));
    let chains: Vec<_> = graph.chains().into_iter().filter(|chain| flows(chain.head())).collect();
    let of = |node: weir_core::NodeId| vertices.get(node.0).copied().unwrap_or_default();
    let part = |chain: &weir_core::Chain| {
        let (head, node) = (of(chain.head()), graph.node(chain.head()));
        let activity = head.activity.unwrap_or_default();
        let times = activity.times.unwrap_or_default();
        let inputs = node.spec.inputs.iter().filter_map(|edge| {
            let from = chains.iter().position(|other| other.nodes.contains(&edge.from))?;
            Some(Input { from, rows: of(edge.from).rows_out })
        });
        Part {
            name: node.spec.name.clone(),
            is_source: matches!(node.spec.operator, OperatorSpec::Source(_)),
            is_last: graph.outputs(chain.tail()).next().is_none(),
            is_spread: node.spec.parallelism == Parallelism::Job,
            inputs: inputs.collect(),
            rows_in: head.rows_in,
            skew: skew(activity.most_rows_in, activity.subtasks.into(), head.rows_in),
            times_ms: (times.busy_ms, times.idle_ms, times.backpressured_ms),
            lag_records: activity.lag_records,
            splits: activity.splits,
        }
    };
    chains.iter().map(part).collect()
}

fn skew(most_rows_in: u64, subtasks: u64, rows_in: u64) -> f64 {
    let skew = most_rows_in as f64 * subtasks as f64 / rows_in.max(1) as f64;
    skew.clamp(1.0, subtasks.max(1) as f64)
}

/// What is found between two samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// How busy the busiest part would be if all was read that shall be, as a share of its time; may be more than 1.
    pub load: f64,
    /// The same of the subtask that is busiest, as far as its share of the rows tells.
    pub of_busiest_subtask: f64,
    /// Rows a second that all sources read.
    pub rate: f64,
    /// Rows that wait at all sources that know.
    pub lag: Option<f64>,
    /// Whether a source waits most of its time for what is behind it.
    pub is_held_up: bool,
    /// That part.
    pub busiest: String,
    /// How busy it is.
    pub busy: f64,
    /// By which factor more is to come to it than does.
    pub grows: f64,
    /// Rows a second that all sources together could read, if only the busiest part counted.
    pub capacity: f64,
    /// Why more slots would not help.
    pub limit: Option<Limit>,
    unknown: bool,
}

/// Why more slots would not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// The busiest part runs as one subtask.
    One(String),
    /// It is a source, and has not more splits than slots.
    Splits(u32),
    /// A sink waits for the system that it writes to.
    World(String),
}

impl Limit {
    /// Whether it could be fewer as well as more.
    pub fn says_nothing_about_slots(&self) -> bool {
        matches!(self, Limit::World(_))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::One(part) => write!(f, "{part} runs as one subtask in any case, so more slots would not help"),
            Limit::Splits(1) => f.write_str("it has one split to read, so more slots would not help"),
            Limit::Splits(splits) => write!(f, "it has {splits} splits to read, so more slots would not help"),
            Limit::World(part) => {
                write!(f, "{part} waits for the system that it writes to, which tells nothing about slots")
            }
        }
    }
}

/// What a part did between the samples.
struct Done {
    rate: f64,
    busy: f64,
    idle: f64,
    held_up: f64,
}

impl Load {
    /// What lies between two samples of one attempt; `None` if nothing was measured, or nothing came.
    pub fn between(before: &Sample, after: &Sample, situation: Situation<'_>) -> Option<Self> {
        let elapsed = after.at.saturating_sub(before.at).as_secs_f64();
        if elapsed <= 0.0 || before.parts.len() != after.parts.len() {
            return None;
        }
        let pairs = || before.parts.iter().zip(&after.parts);
        let done: Vec<Option<Done>> = pairs().map(|(before, after)| done(before, after, elapsed)).collect();
        let mut grows: Vec<f64> = Vec::with_capacity(done.len());
        let (mut read, mut unknown) = (0.0, false);
        for (position, (before, after)) in pairs().enumerate() {
            let factor = match &done[position] {
                Some(done) if after.is_source => {
                    read += done.rate;
                    let (factor, assumed) = source(before, after, done, elapsed, situation);
                    unknown |= assumed;
                    factor
                }
                _ => behind(before, after, &grows),
            };
            grows.push(factor);
        }
        let loads = || {
            done.iter().enumerate().filter_map(|(at, done)| Some((at, done.as_ref()?, done.as_ref()?.busy * grows[at])))
        };
        let parts = &after.parts;
        // What runs as one subtask in any case does not say how many slots are needed; it may be in the way.
        let (at, busiest, load) =
            loads().filter(|(at, ..)| parts[*at].is_spread).max_by(|one, other| one.2.total_cmp(&other.2))?;
        let part = &parts[at];
        let held_up = loads().find(|(at, done, _)| parts[*at].is_last && done.held_up > HELD_UP);
        let single = loads().find(|(at, _, single)| !parts[*at].is_spread && *single > AT_ITS_LIMIT.max(load));
        // However many more rows it gets, more than all of its time it is not busy.
        let skewed =
            |(at, done, load): (usize, &Done, f64)| load.max((done.busy * parts[at].skew).min(1.0) * grows[at]);
        let spread = || loads().filter(|(at, ..)| parts[*at].is_spread);
        let of_busiest_subtask = spread().map(skewed).fold(load, f64::max);
        let sources = || done.iter().zip(parts).filter(|(_, part)| part.is_source);
        let is_held_up = sources().any(|(done, _)| done.as_ref().is_some_and(|done| done.held_up > HELD_UP));
        let lags = || sources().filter_map(|(_, part)| part.lag_records).map(|lag| lag as f64);
        let limit = match (held_up, single) {
            (Some((at, ..)), _) => Some(Limit::World(parts[at].name.clone())),
            (None, Some((at, ..))) => Some(Limit::One(parts[at].name.clone())),
            // Splits of a source that knows what waits are partitions, which stay; files come and go.
            _ if part.lag_records.is_some() && (1..=situation.slots).contains(&part.splits) => {
                Some(Limit::Splits(part.splits))
            }
            _ => None,
        };
        Some(Self {
            load,
            of_busiest_subtask,
            rate: read,
            lag: lags().next().map(|_| lags().sum()),
            is_held_up,
            busiest: part.name.clone(),
            busy: busiest.busy,
            grows: grows[at],
            capacity: if busiest.busy > 0.0 { read / busiest.busy } else { 0.0 },
            limit,
            unknown,
        })
    }

    /// Slots with which the busiest part is at its target under a load.
    pub fn needed(&self, load: f64, slots: u32, scaling: &Scaling) -> u32 {
        let target = f64::from(scaling.target_percent) / 100.0;
        // What is a hundredth of a slot too much is not worth one.
        let slots_needed = (f64::from(slots) * load / target - 0.01).ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
        slots_needed.min(slots.saturating_mul(MOST_GROWTH)).clamp(scaling.min_slots, scaling.max_slots)
    }

    /// As in "Source(clicks) is busy 40 % of its time".
    pub fn in_words(&self) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let busy = format!("{} is busy {} of its time", self.busiest, percent(self.busy));
        match self.grows {
            _ if self.unknown => {
                format!(
                    "{busy}, and a source has always more to read and does not say how much: twice as much is assumed"
                )
            }
            grows if grows > 1.02 => format!("{busy}, and would be {} with what waits and comes", percent(self.load)),
            _ => busy,
        }
    }
}

fn done(before: &Part, after: &Part, elapsed: f64) -> Option<Done> {
    let spent = |of: fn(&Part) -> u64| of(after).saturating_sub(of(before)) as f64;
    let (busy, idle, held_up) = (spent(|p| p.times_ms.0), spent(|p| p.times_ms.1), spent(|p| p.times_ms.2));
    let all = busy + idle + held_up;
    (all > 0.0).then(|| Done {
        rate: spent(|part| part.rows_in) / elapsed,
        busy: busy / all,
        idle: idle / all,
        held_up: held_up / all,
    })
}

/// By which factor a source is to read more than it does, and whether that is assumed.
fn source(before: &Part, after: &Part, done: &Done, elapsed: f64, situation: Situation<'_>) -> (f64, bool) {
    let Situation { pause, scaling, .. } = situation;
    let catch_up = Duration::from_millis(scaling.catch_up_ms).as_secs_f64();
    if done.rate <= 0.0 {
        return (1.0, false);
    }
    let Some(lag) = after.lag_records.map(|lag| lag as f64) else {
        let assumed = done.idle < NEVER_IDLE;
        return (if assumed { ASSUMED } else { 1.0 }, assumed);
    };
    let grown = before.lag_records.map_or(0.0, |before| (lag - before as f64) / elapsed);
    let comes = (done.rate + grown).max(0.0);
    let shall = comes * (1.0 + pause.as_secs_f64() / catch_up) + lag / catch_up;
    (shall / done.rate, false)
}

/// By which factor more will come to a part: as those grow that feed it, by what they send.
fn behind(before: &Part, after: &Part, grows: &[f64]) -> f64 {
    let sent = |position: usize| {
        let before = before.inputs.get(position).map_or(0, |input| input.rows);
        after.inputs[position].rows.saturating_sub(before) as f64
    };
    let factors = || after.inputs.iter().map(|input| grows.get(input.from).copied().unwrap_or(1.0));
    let all: f64 = (0..after.inputs.len()).map(sent).sum();
    if all <= 0.0 {
        return factors().fold(1.0, f64::max);
    }
    factors().enumerate().map(|(position, factor)| factor * sent(position)).sum::<f64>() / all
}
