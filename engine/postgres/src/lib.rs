//! PostgreSQL as a table that rows are looked up in, and as a sink.
//!
//! ```text
//!   lookups   keys of a batch ── one query ──▶ rows ──▶ cache ──▶ join
//!   sink      rows ──▶ staged in the checkpoint ── complete ──▶ one transaction: the rows and the marker of the epoch
//! ```
//!
//! Values travel in PostgreSQL's binary formats, and each pair of types is mapped exactly or refused when the job begins (`types`).
//! `docs/adr/0029-postgres-is-written-with-its-marker.md` says why an epoch is there once.

mod cache;
mod client;
mod commits;
mod connector;
mod decode;
mod encode;
mod errors;
mod json;
mod lookup;
mod numeric;
mod options;
mod relation;
mod sink;
mod tls;
mod types;
mod write;

pub use connector::Postgres;
