//! How many slots the load of a job needs, and when it is worth to restart the job for them. No I/O, no clock: figures in, a decision with
//! its reason out.
//!
//! 1. Every part of the job (a chain of operators, which one subtask runs) tells how it spends its time. A part that is busy for 40 % of it
//!    could take 2.5 times the rows: that is its true rate, whatever it had to wait for.
//! 2. What comes to a source is what it reads and what its backlog grows by. What it shall read is that, what waits already, spread over
//!    the time to catch up, and what comes while the job is restarted. By the factor between what a source reads and what it shall read,
//!    all that is behind it grows ([`load`]).
//! 3. The *load* is how busy the busiest part would be if all of that was read; with so many slots that it is at its target, it is right.
//! 4. More slots are taken when the load, on average over the time to settle, is above the target by half of what is left of the whole; fewer
//!    when the greatest need in five times that time is less than there is. Looks begin anew with each attempt, so a job is restarted at
//!    most once in the time to settle, and what comes and goes faster than in five of them keeps the slots that its peaks need.
//!
//! There is no load between the two at which it would go back and forth. More are taken above the target only, and then as many as bring
//! it to the target: one slot less would have been above it. Fewer are taken only if the load stays at or below the target with them.
//!
//! More slots are not taken where they do not help: a part that runs as one subtask, a source with fewer splits, a system behind a sink that is
//! slow, or if the last growth has not brought what it should have.

mod load;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use weir_core::Attempt;
use weir_proto::client::{LoadInfo, Scaling};

use load::Load;
pub use load::{Input, Part, parts};

/// So many looks are taken in the time that it takes to settle.
const LOOKS: u32 = 12;
/// Fewer slots have to have been enough for so many times that time.
const PATIENCE: u32 = 5;
/// Of a look's figures so many such pauses lie between the two samples that it compares.
const SAMPLES_BETWEEN: usize = 3;
/// At once the number of slots grows at most so many times: what was measured holds for what was measured.
const MOST_GROWTH: u32 = 3;
/// Growth that brought less than this part of what it should have is not repeated.
const EFFECTIVE: f64 = 0.2;

/// What is known of one job that scales by its load. Nothing of it outlives the term of a leader.
#[derive(Debug, Default)]
pub struct Autoscaler {
    attempt: Attempt,
    samples: VecDeque<Sample>,
    looks: VecDeque<Look>,
    /// What the job could take when more slots were last advised.
    capacity: f64,
    /// The last growth: what it began from, and what the job could take then.
    growth: Option<Growth>,
    /// What the last look has found.
    pub found: Option<LoadInfo>,
}

/// How a job did at one time.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The leader's clock.
    pub at: Duration,
    /// What its parts have done since its attempt began.
    pub parts: Vec<Part>,
}

/// What a decision is made with, beside the figures.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The attempt that runs.
    pub attempt: Attempt,
    /// Slots that it has.
    pub slots: u32,
    /// Slots that were last found to be right: more than it has where they are missing.
    pub wanted: u32,
    /// For how long the job did not process when it was last restarted.
    pub pause: Duration,
    /// Bounds and times.
    pub scaling: &'a Scaling,
}

/// Slots that are right, and have been for long enough; maybe those that the job has. And why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How many.
    pub slots: u32,
    /// For people.
    pub reason: String,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    load: f64,
    needed: u32,
}

#[derive(Debug, Clone, Copy)]
struct Growth {
    from: u32,
    to: u32,
    capacity: f64,
}

impl Autoscaler {
    /// When the next sample is to be taken.
    pub fn is_due(&self, now: Duration, scaling: &Scaling) -> bool {
        self.samples.back().is_none_or(|last| now.saturating_sub(last.at) >= pause_between(scaling))
    }

    /// Takes in how the job does; the number of slots that is right, if that can be told and has held for long enough.
    pub fn look(&mut self, sample: Sample, situation: Situation<'_>) -> Option<Advice> {
        let Situation { attempt, slots, wanted, scaling, .. } = situation;
        if self.attempt != attempt {
            self.attempt = attempt;
            self.samples.clear();
            self.looks.clear();
        }
        self.samples.push_back(sample);
        if self.samples.len() <= SAMPLES_BETWEEN {
            return None;
        }
        let (before, after) = (self.samples.pop_front()?, self.samples.back()?);
        let at = after.at;
        let Some(load) = Load::between(&before, after, situation) else {
            self.looks.clear();
            self.found = None;
            return None;
        };
        let settle = Duration::from_millis(scaling.settle_ms);
        let needed = load.needed(load.load, slots, scaling);
        self.looks.push_back(Look { at, load: load.load, needed });
        // The first one stays that is as old as it takes.
        while self.looks.get(1).is_some_and(|second| at.saturating_sub(second.at) >= settle * PATIENCE) {
            self.looks.pop_front();
        }
        let age = self.looks.front().map_or(Duration::ZERO, |first| at.saturating_sub(first.at));
        let (found, said) = self.decide(&load, at, situation);
        let right = found.map(|right| (right, if right < wanted { settle * PATIENCE } else { settle }));
        let percent = |share: f64| (share * 100.0).round().clamp(0.0, f64::from(u32::MAX)) as u32;
        self.found = Some(LoadInfo {
            busiest: load.busiest.clone(),
            busy_percent: percent(load.busy),
            load_percent: percent(load.load),
            needed_slots: right.map_or(slots, |(slots, _)| slots),
            said: said.clone(),
        });
        right.filter(|(_, settles)| age >= *settles).map(|(slots, _)| Advice { slots, reason: said })
    }

    /// What was advised is decided: the job is to have so many slots, or would if it were not for a dry run.
    pub fn acted(&mut self, from: u32, to: u32) {
        self.looks.clear();
        if from != to {
            self.growth = (to > from).then_some(Growth { from, to, capacity: self.capacity });
        }
    }

    /// Slots that are right, as far as anything can be said of them, and why.
    fn decide(&mut self, load: &Load, at: Duration, situation: Situation<'_>) -> (Option<u32>, String) {
        let Situation { slots, scaling, .. } = situation;
        let settle = Duration::from_millis(scaling.settle_ms);
        let recent = self.looks.iter().filter(|look| at.saturating_sub(look.at) <= settle).map(|look| look.load);
        let (sum, count) = recent.fold((0.0, 0_u32), |(sum, count), load| (sum + load, count + 1));
        let mean = sum / f64::from(count.max(1));
        let needed = load.needed(mean, slots, scaling);
        let busy = load.in_words();
        if let Some(limit) = load.limit.as_ref().filter(|limit| needed > slots || limit.says_nothing_about_slots()) {
            return (None, format!("{busy}; {limit}"));
        }
        let target = f64::from(scaling.target_percent) / 100.0;
        if needed > slots && mean > target + (1.0 - target) / 2.0 {
            if let Some(more) = self.ineffective(load, slots) {
                return (None, format!("{busy}; {more}, so more slots would not help"));
            }
            self.capacity = load.capacity;
            return (Some(needed), format!("{busy}; at {} % it needs {}", scaling.target_percent, in_words(needed)));
        }
        let most = self.looks.iter().map(|look| look.needed).max().unwrap_or(needed);
        if most < slots {
            return (Some(most), format!("{busy}; {} would be enough for all that came of late", in_words(most)));
        }
        (Some(slots), format!("{busy}; {} are right", in_words(slots)).replace("1 slot are", "1 slot is"))
    }

    /// What the last growth has brought, if that was next to nothing.
    fn ineffective(&self, load: &Load, slots: u32) -> Option<String> {
        let Growth { from, to, capacity } = self.growth.filter(|growth| growth.to == slots && growth.capacity > 0.0)?;
        let should = f64::from(to) / f64::from(from) - 1.0;
        let has = load.capacity / capacity - 1.0;
        (has < should * EFFECTIVE)
            .then(|| format!("with {to} slots instead of {from} it could take {:.0} % more", (has * 100.0).max(0.0)))
    }
}

fn in_words(slots: u32) -> String {
    if slots == 1 { "1 slot".into() } else { format!("{slots} slots") }
}

/// Time between two samples.
fn pause_between(scaling: &Scaling) -> Duration {
    (Duration::from_millis(scaling.settle_ms) / LOOKS).clamp(Duration::from_millis(500), Duration::from_secs(10))
}
