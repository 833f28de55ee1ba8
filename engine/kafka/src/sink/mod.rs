//! Apache Kafka as a sink.
//!
//! Exactly once, which is the default, a row is in Kafka when its checkpoint is complete, and not before:
//!
//! ```text
//!   write, prepare          rows are staged in the checkpoint; Kafka hears nothing
//!   checkpoint complete     from here the rows are decided, whatever dies, for however long
//!   commit     1. init_transactions with the sink's one transactional id   fences whatever else has it, ends what it left open
//!              2. read the marker (`marker`)                               is the epoch there already? then that is all
//!              3. begin; the rows; the marker with this epoch; commit      all of it becomes visible, or nothing
//! ```
//!
//! 1. A commit is repeated until it is acknowledged, by any process. Whichever has done the first step last is the only one that can
//!    finish the third, and it has seen all that the others have finished. That holds for commits that come late from a process that was
//!    taken for dead, too.
//! 2. What became of a transaction whose end was not heard of is never guessed: the first two steps find out.
//! 3. The marker is never just missing: a job writes one before its first row, so one that is not there is lost, and that is an error.
//! 4. A process that goes on committing keeps its producer and what the marker says: while nobody else fences it, nobody else
//!    has written the marker, so the first two steps are done once.
//! 5. One transactional id for the whole sink, whatever its parallelism: no rescaling leaves one behind with an open transaction.
//!
//! What decides is `weir_connectors::transactions`; Kafka's part in it is `transaction`, and the simulator runs it against a model of a broker.
//!
//! `docs/adr/0021-kafka-is-written-from-the-checkpoint.md` has the proof. At least once (`direct`), rows are sent as they come, and a
//! marker passes when all that are before it have arrived.

mod columns;
mod direct;
mod marker;
mod options;
mod producer;
mod size;
mod staged;
mod topics;
mod transaction;

use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, SinkContext};
use weir_core::{Attempt, Result, Sink, TableSpec};

pub(crate) use options::{OPTIONS, SinkOptions, format_options};

use options::Guarantee;
use transaction::KafkaTarget;

/// The producers of a process between two commits.
pub(crate) type Writers = weir_connectors::transactions::Writers<KafkaTarget>;

/// Opens one subtask's part of the sink.
///
/// # Errors
/// If the options are wrong, or the topic or what says how far it was written is not there.
pub(crate) async fn open(table: &TableSpec, context: SinkContext, writers: &Writers) -> Result<Box<dyn Sink>> {
    let mut options = SinkOptions::read(table)?;
    options.client.was_let_in = context.attempt > Attempt(1);
    options.columns.register().await?;
    match options.guarantee {
        Guarantee::ExactlyOnce => staged::open(options, &context, writers).await,
        Guarantee::AtLeastOnce => direct::open(options, &context).await,
    }
}

/// Writes the rows of a completed checkpoint, unless they are there already.
///
/// # Errors
/// If it could not be done, or could not be told whether it was; it will be tried again.
pub(crate) async fn commit(table: &TableSpec, commit: Commit, writers: &Writers) -> Result<()> {
    // Of an epoch without rows no subtask has anything to say.
    if commit.committables.is_empty() {
        return Ok(());
    }
    let mut options = SinkOptions::read(table)?;
    options.client.was_let_in = true;
    staged::commit(options, commit, writers).await
}

/// Ends what a job has left open, and forgets one that was deleted.
///
/// # Errors
/// If the cluster does not answer.
pub(crate) async fn discard(table: &TableSpec, discard: Discard, writers: &Writers) -> Result<()> {
    let options = SinkOptions::read(table)?;
    match options.guarantee {
        Guarantee::ExactlyOnce => staged::discard(options, &discard, writers).await,
        Guarantee::AtLeastOnce => Ok(()),
    }
}

/// What the marker says of the epochs of a sink. `None` if there is none: at least once, nothing says which epoch a row belongs to.
///
/// # Errors
/// If the cluster does not answer, or the marker makes no sense.
pub(crate) async fn audit(table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
    let options = SinkOptions::read(table)?;
    match options.guarantee {
        Guarantee::ExactlyOnce => staged::audit(options, audit).await.map(Some),
        Guarantee::AtLeastOnce => Ok(None),
    }
}
