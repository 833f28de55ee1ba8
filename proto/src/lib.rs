//! The wire between Weir's processes: protobuf messages, gRPC services, and nothing else.
//!
//! ```text
//!   ClientRequest ──▶ weir.client.v1 ──▶ ClientRequest        clients ─▶ coordinators, and from follower to leader
//!   FromWorker, ToWorker ◀─▶ weir.worker.v1                   workers ◀▶ leader
//!   PeerMessage = weir.peer.v1                                coordinators ◀▶ coordinators
//! ```
//!
//! Whoever talks to the cluster uses the plain types of [`client`] and [`control`]; generated types are known to this crate and
//! to the services that implement [`grpc`]. Conversions are total: bytes from outside become a plain value or an error that
//! names the field.
//!
//! # Versions
//!
//! Both sides of a connection may be one version apart. Fields are only ever added, a number is never used again, and what was
//! optional is never required later. A change that the previous version would misunderstand raises [`PROTOCOL`]; a coordinator
//! then goes on speaking to clients and workers of the number before, and refuses newer ones ([`version::check`]): coordinators
//! are upgraded first. The files in `tests/golden` are what the previous version wrote, and have to be read for ever.

#[macro_use]
mod rpc;

pub mod client;
pub mod control;
mod generated;
pub mod grpc;
pub mod json;
pub mod limits;
pub mod peer;
pub mod tls;
pub mod version;
mod wire;

pub use version::PROTOCOL;
pub use wire::{decode_from_worker, decode_to_worker, encode_from_worker, encode_to_worker};
