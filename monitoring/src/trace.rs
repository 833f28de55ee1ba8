//! Traces: what of one checkpoint, or of one start of a job, took how long where.
//!
//! Ids follow from what is traced: job, attempt and epoch, which every message about it has. So coordinators and workers write parts of the
//! same trace without telling each other, a leader that takes over goes on with it, and nothing is random.
//!
//! ```text
//!   checkpoint ─┬─ trigger, gather       of each worker      by the leader
//!               ├─ align, flush, capture of each subtask     by its worker
//!               ├─ upload                of each worker      by itself
//!               └─ manifest, decide, commit, acknowledge     by the leader
//!
//!   submit ─────┬─ plan, upload                              by whoever has planned it
//!   or restart  ├─ decide, schedule                          by the leader
//!               └─ deploy, start         of each worker      by the leader
//! ```
//!
//! What was done before a job was there ([`Preparation`]) is told when it is: so it lies before the beginning of its root.
//!
//! Whoever has a part to tell puts it into a queue, and never waits: what finds no room is dropped, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use tokio::sync::mpsc;
use weir_core::{Attempt, Epoch, JobId, JobIdentity};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Kind, Metric, Observed, Obstacle, Samples, Unit};

/// How many spans wait to be sent.
const WAITING: usize = 8192;

static SPANS: Metric = Metric {
    name: "weir_trace_spans_total",
    kind: Kind::Counter,
    unit: Unit::None,
    help: "Spans of traces that were sent to the collector, or dropped since it did not take them in time; only with a collector",
    labels: &["outcome"],
};

/// All of them.
pub static METRICS: &[&Metric] = &[&SPANS];

/// One trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
}

/// A part of a trace that has come to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub id: u64,
    /// The span that it is a part of; `None` of the root.
    pub parent: Option<u64>,
    /// What was done.
    pub name: &'static str,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What it was done to.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A name.
    Text(String),
    /// A number.
    Number(u64),
}

impl Trace {
    /// Of a checkpoint.
    pub fn checkpoint(job: JobIdentity, attempt: Attempt, epoch: Epoch) -> Self {
        Self::of(job, &format!("checkpoint {attempt} {epoch}"))
    }

    /// Of an attempt's start.
    pub fn start(job: JobIdentity, attempt: Attempt) -> Self {
        Self::of(job, &format!("start {attempt}"))
    }

    fn of(job: JobIdentity, what: &str) -> Self {
        // None of both is 0, which would be no trace and no span.
        Self { id: u128::from(job.0.max(1)) << 64 | u128::from(xxh3_64(what.as_bytes())) }
    }

    /// The whole of it, from its beginning to its end in nanoseconds since 1970.
    pub fn root(self, name: &'static str, began: u64, ended: u64) -> Span {
        let (trace, id) = (self.id, self.root_id());
        Span { trace, id, parent: None, name, began, ended: ended.max(began), attributes: Vec::new(), error: None }
    }

    /// A part of it, at a place that no other part of this name has.
    pub fn part(self, name: &'static str, place: &str, began: u64, ended: u64) -> Span {
        let id = self.span_id(&format!("{name} {place}"));
        Span { id, parent: Some(self.root_id()), ..self.root(name, began, ended) }
    }

    fn root_id(self) -> u64 {
        self.span_id("")
    }

    fn span_id(self, what: &str) -> u64 {
        xxh3_64(format!("{:032x} {what}", self.id).as_bytes()).max(1)
    }
}

impl Span {
    /// With a name of something.
    #[must_use]
    pub fn text(mut self, key: &'static str, value: impl ToString) -> Self {
        self.attributes.push((key, Attribute::Text(value.to_string())));
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(mut self, key: &'static str, value: u64) -> Self {
        self.attributes.push((key, Attribute::Number(value)));
        self
    }

    /// It has failed, for this reason, if there is one.
    #[must_use]
    pub fn failed(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }
}

/// What is done for a new job before it is there. It is known by its identity when it is.
#[derive(Debug, Clone, Default)]
pub struct Preparation(Vec<(&'static str, u64, u64)>);

impl Preparation {
    /// Something was done, from its beginning to its end in milliseconds since 1970.
    pub fn add(&mut self, name: &'static str, began: i64, ended: i64) {
        let nanoseconds = |at: i64| u64::try_from(at).unwrap_or(0).saturating_mul(1_000_000);
        self.0.push((name, nanoseconds(began), nanoseconds(ended)));
    }

    /// All of it, as parts of the job's first start. `name` is `namespace/name`.
    pub fn spans(&self, identity: JobIdentity, job: JobId, name: &str) -> Vec<Span> {
        let attempt = Attempt(1);
        let trace = Trace::start(identity, attempt);
        let span = |(what, began, ended): &(&'static str, u64, u64)| {
            let span = trace.part(what, "", *began, *ended).number("weir.job.id", job.0).text("weir.job.name", name);
            span.number("weir.attempt", attempt.0)
        };
        self.0.iter().map(span).collect()
    }
}

/// Where spans are put. Clones are the same queue; without one nothing is kept.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    waiting: mpsc::Sender<Span>,
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Spans {
    /// Nobody wants any.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// A queue, and where spans come out.
    pub fn queue() -> (Self, mpsc::Receiver<Span>) {
        let (waiting, spans) = mpsc::channel(WAITING);
        (Self(Some(Arc::new(Queue { waiting, sent: AtomicU64::new(0), dropped: AtomicU64::new(0) }))), spans)
    }

    /// Whether anybody wants them: what only they need is not worked out otherwise.
    pub fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Something has come to its end. Never waits.
    pub fn record(&self, span: Span) {
        if let Some(queue) = &self.0
            && queue.waiting.try_send(span).is_err()
        {
            queue.dropped.fetch_add(1, Relaxed);
        }
    }

    /// So many have been sent.
    pub fn sent(&self, count: u64) {
        if let Some(queue) = &self.0 {
            queue.sent.fetch_add(count, Relaxed);
        }
    }

    /// So many could not be.
    pub fn dropped(&self, count: u64) {
        if let Some(queue) = &self.0 {
            queue.dropped.fetch_add(count, Relaxed);
        }
    }
}

/// How often each of both was.
#[async_trait]
impl Observed for Spans {
    async fn collect(&self, samples: &mut Samples) {
        if let Some(queue) = &self.0 {
            samples.count(&SPANS, &["sent"], queue.sent.load(Relaxed));
            samples.count(&SPANS, &["dropped"], queue.dropped.load(Relaxed));
        }
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_knows_what_is_traced_knows_its_ids() {
        let (job, other) = (JobIdentity(7), JobIdentity(8));
        let trace = |job, attempt, epoch| Trace::checkpoint(job, Attempt(attempt), Epoch(epoch));
        let mine = trace(job, 1, 2);
        assert_eq!(mine, trace(job, 1, 2));
        let others = [trace(other, 1, 2), trace(job, 2, 1), trace(job, 1, 12), Trace::start(job, Attempt(1))];
        assert!(others.iter().all(|other| *other != mine));
        let (root, align) = (mine.root("checkpoint", 5, 9), mine.part("align", "a 0", 6, 8));
        assert_eq!((root.parent, align.parent, align.trace), (None, Some(root.id), root.trace));
        assert_ne!(align.id, mine.part("align", "a 1", 6, 8).id);
        assert_eq!(mine.root("checkpoint", 9, 5).ended, 9, "a clock that was set back");
        assert_ne!(Trace::start(JobIdentity(0), Attempt(1)).id >> 64, 0);
    }

    #[test]
    fn what_was_done_before_a_job_was_there_is_a_part_of_its_first_start() {
        let mut preparation = Preparation::default();
        preparation.add("plan", 3, 5);
        preparation.add("upload", 9, 7);
        let root = Trace::start(JobIdentity(7), Attempt(1)).root("submit", 8_000_000, 9_000_000);
        let spans = preparation.spans(JobIdentity(7), JobId(4), "default/a");
        let times: Vec<_> = spans.iter().map(|span| (span.name, span.began, span.ended)).collect();
        assert_eq!(times, [("plan", 3_000_000, 5_000_000), ("upload", 9_000_000, 9_000_000)], "a clock was set back");
        for span in &spans {
            assert_eq!((span.trace, span.parent), (root.trace, Some(root.id)));
            assert!(span.attributes.contains(&("weir.job.name", Attribute::Text("default/a".into()))), "{span:?}");
            assert!(span.attributes.contains(&("weir.job.id", Attribute::Number(4))), "{span:?}");
        }
    }

    #[tokio::test]
    async fn a_queue_that_is_full_drops_and_counts() {
        let (spans, mut queue) = Spans::queue();
        let span = Trace::start(JobIdentity(7), Attempt(1)).root("submit", 1, 2);
        for _ in 0..WAITING + 3 {
            spans.record(span.clone());
        }
        spans.sent(2);
        let mut samples = Samples::default();
        spans.collect(&mut samples).await;
        let text = crate::encode(samples).unwrap();
        assert!(text.contains("weir_trace_spans_total{outcome=\"dropped\"} 3.0"), "{text}");
        assert!(text.contains("weir_trace_spans_total{outcome=\"sent\"} 2.0"), "{text}");
        assert_eq!(queue.try_recv(), Ok(span));
        Spans::nowhere().record(Trace::start(JobIdentity(7), Attempt(1)).root("submit", 1, 2));
    }
}
