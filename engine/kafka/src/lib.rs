//! Apache Kafka as a source, and as a sink (`sink`).
//!
//! A partition is a split, and begins at an offset that its discovery has found out and announced with it. So what `latest-offset` or a
//! time meant when the job began is in every checkpoint, of quiet partitions too.
//!
//! ```text
//!   discovery ── metadata, offsets ──▶ broker ──▶ librdkafka's threads ── a queue for each partition ──▶ source ──▶ rows
//! ```
//!
//! librdkafka fetches ahead on threads of its own. The source empties one queue after the other without waiting, and decodes what it
//! finds there straight into columns; what could wait (opening a client, finding out offsets, closing) is done on blocking threads.

mod client;
mod commits;
mod connector;
mod discovery;
mod errors;
mod events;
mod layout;
mod metadata;
mod offsets;
mod options;
mod partition;
mod ready;
mod record;
mod registries;
mod resolve;
mod rows;
mod sink;
mod source;
mod split;
#[cfg(test)]
mod tests;
mod topics;
mod upsert;

pub use connector::Kafka;
pub use upsert::UpsertKafka;
