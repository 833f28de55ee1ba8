//! Names of the files of a sink. All begin with the job's identity and the sink's, so that no job takes another one's file for its own.
//!
//! ```text
//!   .weir-<job>-<sink>-a<attempt>-s<subtask>-<nonce>.lock                        a writer that is alive holds it
//!   .weir-<job>-<sink>-a<attempt>-s<subtask>-<nonce>-<n>.inprogress              being written
//!   .weir-<job>-<sink>-e<epoch>-a<attempt>-s<subtask>-<nonce>-<n>.prepared       durable, and named by a committable
//!   part-<sink>-<job>-<epoch>-<subtask>-<nonce>-<n>.<extension>                  visible
//!   .weir-<job>-<sink>.published                                                 up to where all was made visible
//! ```
//!
//! A visible name has the last eight letters of the sink's identity. It needs no looking whether it is free: the nonce is drawn by each
//! writer.

use weir_core::{Attempt, Epoch, JobIdentity, OperatorUid};

pub(super) const LOCK: &str = ".lock";
pub(super) const IN_PROGRESS: &str = ".inprogress";
pub(super) const PREPARED: &str = ".prepared";
pub(super) const PUBLISHED: &str = ".published";

/// What the names of hidden files begin with, whosever they are.
pub(super) const HIDDEN: &str = ".weir-";
const VISIBLE: &str = "part-";
/// Letters of the sink's identity in visible names.
const SHORT_UID: usize = 8;

/// A sink of a job, of all its subtasks and executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    job: JobIdentity,
    uid: String,
}

impl Sink {
    /// That of a job.
    pub fn new(job: JobIdentity, uid: &OperatorUid) -> Self {
        // Without what cannot be in the name of a file.
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        Self { job, uid: uid.0.chars().map(letter).collect() }
    }

    /// What its hidden names begin with.
    pub fn hidden(&self) -> String {
        format!("{HIDDEN}{}-{}", self.job, self.uid)
    }

    /// The record up to where all was made visible.
    pub(super) fn published(&self) -> String {
        self.hidden() + PUBLISHED
    }

    fn short_uid(&self) -> &str {
        self.uid.get(self.uid.len().saturating_sub(SHORT_UID)..).unwrap_or(&self.uid)
    }

    /// What the visible names begin with of all jobs that have this sink, and those of this job among them.
    pub fn visible(&self) -> (String, String) {
        let all = format!("{VISIBLE}{}-", self.short_uid());
        let own = format!("{all}{}-", self.job);
        (all, own)
    }
}

/// One subtask of a sink, as long as it is open.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) sink: Sink,
    pub(super) attempt: Attempt,
    pub(super) subtask: usize,
    pub(super) nonce: u32,
}

impl Writer {
    /// What the names of its lock and of its files in progress begin with.
    pub(super) fn live(&self) -> String {
        format!("{}-a{}-s{}-{:08x}", self.sink.hidden(), self.attempt, self.subtask, self.nonce)
    }

    pub(super) fn lock(&self) -> String {
        self.live() + LOCK
    }

    pub(super) fn in_progress(&self, number: u64) -> String {
        format!("{}-{number}{IN_PROGRESS}", self.live())
    }
}

/// A file that a writer has finished.
pub(super) struct Prepared<'a> {
    pub(super) writer: &'a Writer,
    pub(super) epoch: Epoch,
    pub(super) number: u64,
}

impl Prepared<'_> {
    pub(super) fn hidden(&self) -> String {
        let Writer { sink, attempt, subtask, nonce } = self.writer;
        format!("{}-e{}-a{attempt}-s{subtask}-{nonce:08x}-{}{PREPARED}", sink.hidden(), self.epoch, self.number)
    }

    /// Without its ending.
    pub(super) fn visible(&self) -> String {
        let Writer { sink, subtask, nonce, .. } = self.writer;
        let (_, own) = sink.visible();
        format!("{own}{}-{subtask}-{nonce:08x}-{}", self.epoch, self.number)
    }
}

/// What the name of a hidden file says behind the sink's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) epoch: Option<Epoch>,
    pub(super) attempt: Attempt,
    subtask: u64,
    nonce: u32,
}

impl Fields {
    /// `[e<epoch>-]a<attempt>-s<subtask>-<nonce>[-<n>]`, or `None` for the name of something else.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut words = name.split('-').peekable();
        let epoch = words.next_if(|word| word.starts_with('e')).map(|word| word[1..].parse()).transpose().ok()?;
        let attempt = words.next()?.strip_prefix('a')?.parse().ok()?;
        let subtask = words.next()?.strip_prefix('s')?.parse().ok()?;
        let nonce = u32::from_str_radix(words.next()?, 16).ok()?;
        let rest_is_number = words.all(|word| word.parse::<u64>().is_ok());
        rest_is_number.then_some(Self { epoch: epoch.map(Epoch), attempt: Attempt(attempt), subtask, nonce })
    }

    /// The lock of the writer of a file of `sink`.
    pub(super) fn lock(&self, sink: &Sink) -> String {
        let Self { attempt, subtask, nonce, .. } = self;
        format!("{}-a{attempt}-s{subtask}-{nonce:08x}{LOCK}", sink.hidden())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_say_whose_files_they_are_and_are_understood_again() {
        let sink = Sink::new(JobIdentity(0xfeed), &OperatorUid("sink-0123456789abcdef".into()));
        let writer = Writer { sink, attempt: Attempt(3), subtask: 1, nonce: 0xbee };
        let hidden = ".weir-000000000000feed-sink-0123456789abcdef";
        assert_eq!(writer.lock(), format!("{hidden}-a3-s1-00000bee.lock"));
        assert_eq!(writer.in_progress(4), format!("{hidden}-a3-s1-00000bee-4.inprogress"));
        let prepared = Prepared { writer: &writer, epoch: Epoch(7), number: 5 };
        assert_eq!(prepared.hidden(), format!("{hidden}-e7-a3-s1-00000bee-5.prepared"));
        assert_eq!(prepared.visible(), "part-89abcdef-000000000000feed-7-1-00000bee-5");
        let fields = Fields::parse("e7-a3-s1-00000bee-5").unwrap();
        assert_eq!((fields.epoch, fields.attempt), (Some(Epoch(7)), Attempt(3)));
        assert_eq!(fields.lock(&writer.sink), writer.lock());
        assert_eq!(Fields::parse("a3-s1-00000bee-4").unwrap().epoch, None);
        for strange in ["", "a3", "a3-s1", "a3-s1-x", "e7-a3-s1-00000bee-x", "published"] {
            assert_eq!(Fields::parse(strange), None, "{strange}");
        }
    }
}
