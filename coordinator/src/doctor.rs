//! Why a job gives no output, or less than it should, and what to do about it: decided by nothing but what the cluster tells of the job,
//! looked at twice.
//!
//! 1. Does it run? Its status, what it waits for and its last failure say why not.
//! 2. Does input come, and time with it? Sources that read nothing, splits that hold the watermark back, clocks that are off.
//! 3. Does it flow? Of those that wait for room behind them the last one is in front of what is slow.
//! 4. Do results become visible? Windows that are not full yet, checkpoints that are held up.

mod flow;
mod input;
mod results;
mod standing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;
use weir_core::{JobGraph, Node, OperatorSpec};
use weir_proto::client::JobDetail;
use weir_proto::control::{Activity, Figures};

/// Something that keeps a job from giving output, or will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// For programs: `idle-split`.
    pub code: &'static str,
    /// Where, if it is at one vertex.
    pub vertex: Option<String>,
    /// What is so.
    pub what: String,
    /// What to do.
    pub advice: String,
    /// Whether it goes by by itself, as after each start, and nothing is wrong.
    pub passes: bool,
}

impl Finding {
    fn new(code: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code, vertex: None, what: what.into(), advice: advice.into(), passes: false }
    }

    fn passing(self) -> Self {
        Self { passes: true, ..self }
    }

    fn at(self, node: &Node) -> Self {
        Self { vertex: Some(node.spec.name.clone()), ..self }
    }
}

/// Two looks at a job, the second so long after the first. `now`: the clock, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Looks<'a> {
    /// The first.
    pub before: &'a JobDetail,
    /// The second, with the job's dataflow.
    pub after: &'a JobDetail,
    /// What lies between them.
    pub elapsed: Duration,
    /// When the second was taken.
    pub now: i64,
}

/// What is found, the most important first; empty if nothing is in the way of output.
pub fn diagnose(looks: Looks<'_>) -> Vec<Finding> {
    let standing = standing::examine(&looks);
    let Some(graph) = looks.after.graph.as_deref().filter(|_| standing.is_empty()) else { return standing };
    // Attempts count anew, and nothing can be said of a second that lies in two of them.
    if looks.before.summary.attempt != looks.after.summary.attempt {
        return vec![standing::restarted(&looks)];
    }
    let vertices = vertices(graph, &looks);
    let mut findings = flow::examine(graph, &vertices);
    findings.extend(input::examine(&vertices, looks.now));
    findings.extend(results::examine(graph, &vertices, &looks));
    findings.extend(standing::more_slots_wanted(looks.after));
    findings
}

/// A node of the dataflow at both looks.
struct Vertex<'a> {
    node: &'a Node,
    before: Figures,
    after: Figures,
}

fn vertices<'a>(graph: &'a JobGraph, looks: &Looks<'_>) -> Vec<Vertex<'a>> {
    let of =
        |job: &JobDetail, index: usize| job.vertices.get(index).and_then(|vertex| vertex.figures).unwrap_or_default();
    let vertex = |(index, node)| Vertex { node, before: of(looks.before, index), after: of(looks.after, index) };
    graph.nodes().iter().enumerate().map(vertex).collect()
}

impl Vertex<'_> {
    fn activity(&self) -> Activity {
        self.after.activity.unwrap_or_default()
    }

    /// Rows that came in between the looks.
    fn rows_in(&self) -> u64 {
        self.after.rows_in.saturating_sub(self.before.rows_in)
    }

    fn is_source(&self) -> bool {
        matches!(self.node.spec.operator, OperatorSpec::Source(_))
    }

    fn is_sink(&self) -> bool {
        matches!(self.node.spec.operator, OperatorSpec::Sink(_))
    }

    /// Shares of its time between the looks: busy, idle, backpressured. `None` where nobody has measured it.
    fn shares(&self) -> Option<(f64, f64, f64)> {
        let (before, after) = (self.before.activity?.times?, self.after.activity?.times?);
        let part = |of: fn(&weir_proto::control::Times) -> u64| of(&after).saturating_sub(of(&before)) as f64;
        let (busy, idle, held_up) = (part(|t| t.busy_ms), part(|t| t.idle_ms), part(|t| t.backpressured_ms));
        let all = busy + idle + held_up;
        (all > 0.0).then(|| (busy / all, idle / all, held_up / all))
    }
}

/// `12 s`, `3 min 5 s`, `2 h 7 min`, `3 d 1 h`.
fn span(milliseconds: i64) -> String {
    let seconds = milliseconds.unsigned_abs() / 1000;
    match seconds {
        0 => format!("{} ms", milliseconds.unsigned_abs()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
