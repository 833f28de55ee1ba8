//! How many slots the load of a job needs, and when it is worth to restart the job for them. No I/O, no clock: figures in, a decision with
//! its reason out.
//!
//! 1. Every part of the job (a chain of operators, which one subtask runs) tells how it spends its time. A part that is busy for 40 % of it
//!    could take 2.5 times the rows: that is its true rate, whatever it had to wait for.
//! 2. What comes to a source is what it reads and what its backlog grows by. What it shall read is that, what waits already, spread over
//!    the time to catch up, and what comes while the job is restarted. By the factor between what a source reads and what it shall read,
//!    all that is behind it grows (`load`).
//! 3. The *load* is how busy the busiest part would be if all of that was read; with so many slots that it is at its target, it is right.
//! 4. More slots are taken when the load, on average over the time to settle and in most looks, is above the target by half of what is left
//!    of the whole; fewer when the greatest need in five times that time is less than there is, by the busiest subtask. Looks begin anew with each attempt, so a job is restarted at
//!    most once in the time to settle, and what comes and goes faster than in five of them keeps the slots that its peaks need.
//!
//! There is no load between the two at which it would go back and forth. More are taken above the target only, and then as many as bring
//! it to the target: one slot less would have been above it. Fewer are taken only if the load stays at or below the target with them.
//!
//! More slots are not taken where they do not help: a part that runs as one subtask, a source with fewer splits, a system behind a sink that is
//! slow, or if the last growth has not brought what it should have. That is judged once, when the figures behind it have settled, and counts
//! for a while. Fewer are not taken while the job falls behind, whatever its parts say of their time.

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
/// For so many times the time that it takes to settle.
const INEFFECTIVE_FOR: u32 = 30;
/// A backlog grows if it does by more than this part of what is read meanwhile.
const FALLS_BEHIND: f64 = 0.1;

/// What is known of one job that scales by its load. Nothing of it outlives the term of a leader.
#[derive(Debug, Default)]
pub struct Autoscaler {
    attempt: Attempt,
    samples: VecDeque<Sample>,
    looks: VecDeque<Look>,
    /// What the job could take when more slots were last advised.
    capacity: f64,
    /// What was last proposed because of the load: from how many, to how many.
    proposed: Option<(u32, u32)>,
    /// The last growth because of the load, until it is judged: what it began from, and what the job could take then.
    growth: Option<Growth>,
    /// What that growth has not brought.
    verdict: Option<Verdict>,
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
    /// By the busiest subtask.
    needed: u32,
    rate: f64,
    lag: Option<f64>,
    /// Whether a source waits most of its time for what is behind it.
    is_held_up: bool,
}

#[derive(Debug, Clone, Copy)]
struct Growth {
    from: u32,
    to: u32,
    capacity: f64,
}

#[derive(Debug, Clone)]
struct Verdict {
    at: Duration,
    slots: u32,
    said: String,
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
            self.found = None;
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
        let bounded = load.load.min(f64::from(MOST_GROWTH));
        let needed = load.needed(load.of_busiest_subtask, slots, scaling);
        let Load { rate, lag, is_held_up, .. } = load;
        self.looks.push_back(Look { at, load: bounded, needed, rate, lag, is_held_up });
        // The first one stays that is as old as it takes.
        while self.looks.get(1).is_some_and(|second| at.saturating_sub(second.at) >= settle * PATIENCE) {
            self.looks.pop_front();
        }
        let age = self.looks.front().map_or(Duration::ZERO, |first| at.saturating_sub(first.at));
        if age >= settle {
            self.judge(&load, at, slots);
        }
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

    /// This is proposed because of the load.
    pub fn proposes(&mut self, from: u32, to: u32) {
        self.proposed = Some((from, to));
    }

    /// It is decided that the job is to have so many slots, because of its load or because there are so many; or would be if it were not for
    /// a dry run.
    pub fn acted(&mut self, from: u32, to: u32) {
        self.looks.clear();
        let by_load = self.proposed.take() == Some((from, to));
        if from != to {
            self.growth = (by_load && to > from).then_some(Growth { from, to, capacity: self.capacity });
        }
    }

    /// Slots that are right, as far as anything can be said of them, and why.
    fn decide(&mut self, load: &Load, at: Duration, situation: Situation<'_>) -> (Option<u32>, String) {
        let Situation { slots, scaling, .. } = situation;
        let settle = Duration::from_millis(scaling.settle_ms);
        let recent = || self.looks.iter().filter(|look| at.saturating_sub(look.at) <= settle);
        let most = |holds: fn(&Look, f64) -> bool, bound: f64| {
            recent().filter(|look| holds(look, bound)).count() * 2 > recent().count()
        };
        let mean = recent().map(|look| look.load).sum::<f64>() / recent().count().max(1) as f64;
        let needed = load.needed(mean, slots, scaling);
        let busy = load.in_words();
        if let Some(limit) = load.limit.as_ref().filter(|limit| needed > slots || limit.says_nothing_about_slots()) {
            return (None, format!("{busy}; {limit}"));
        }
        let target = f64::from(scaling.target_percent) / 100.0;
        let bound = target + (1.0 - target) / 2.0;
        // What one look has seen is no reason.
        if needed > slots && mean > bound && most(|look, bound| look.load > bound, bound) {
            if let Some(more) = self.ineffective(at, settle, slots) {
                return (None, format!("{busy}; {more}, so more slots would not help"));
            }
            self.capacity = load.capacity;
            return (Some(needed), format!("{busy}; at {} % it needs {}", scaling.target_percent, in_words(needed)));
        }
        let greatest = self.looks.iter().map(|look| look.needed).max().unwrap_or(needed);
        if greatest < slots {
            if most(|look, _| look.is_held_up, 0.0) {
                return (Some(slots), format!("{busy}; sources wait for what is behind them, so it keeps what it has"));
            }
            if falls_behind(recent()) {
                return (Some(slots), format!("{busy}; its backlog grows, so it keeps what it has"));
            }
            let enough = in_words(greatest);
            return (Some(greatest), format!("{busy}; {enough} would be enough for all that came of late"));
        }
        (Some(slots), format!("{busy}; {} are right", in_words(slots)).replace("1 slot are", "1 slot is"))
    }

    /// Says what the last growth has brought, if that was next to nothing. It is asked once: what the job takes later has other reasons.
    fn judge(&mut self, load: &Load, at: Duration, slots: u32) {
        let growth = self.growth.take().filter(|growth| growth.to == slots && growth.capacity > 0.0);
        let Some(Growth { from, to, capacity }) = growth else { return };
        let should = f64::from(to) / f64::from(from) - 1.0;
        let has = load.capacity / capacity - 1.0;
        let said = || format!("with {to} slots instead of {from} it could take {:.0} % more", (has * 100.0).max(0.0));
        self.verdict = (has < should * EFFECTIVE).then(|| Verdict { at, slots, said: said() });
    }

    /// What the last growth has brought, if that was next to nothing, and not long ago.
    fn ineffective(&self, at: Duration, settle: Duration, slots: u32) -> Option<&str> {
        let holds = |verdict: &&Verdict| {
            verdict.slots == slots && at.saturating_sub(verdict.at) < settle.saturating_mul(INEFFECTIVE_FOR)
        };
        Some(&self.verdict.as_ref().filter(holds)?.said)
    }
}

/// Whether more waits than did, by more than chance.
fn falls_behind<'a>(mut looks: impl Iterator<Item = &'a Look>) -> bool {
    let Some(first) = looks.next() else { return false };
    let (mut read, mut last) = (0.0, first);
    for look in looks {
        read += look.rate * look.at.saturating_sub(last.at).as_secs_f64();
        last = look;
    }
    first.lag.zip(last.lag).is_some_and(|(first, last)| last > first + read * FALLS_BEHIND)
}

fn in_words(slots: u32) -> String {
    if slots == 1 { "1 slot".into() } else { format!("{slots} slots") }
}

/// Time between two samples.
fn pause_between(scaling: &Scaling) -> Duration {
    (Duration::from_millis(scaling.settle_ms) / LOOKS).clamp(Duration::from_millis(500), Duration::from_secs(10))
}
