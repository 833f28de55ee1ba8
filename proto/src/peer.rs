//! What coordinators say to each other: package `weir.peer.v1`. The `.proto` file documents the fields.
//!
//! [`PeerMessage`] is what consensus sends; [`Envelope`] is how it travels. The same [`Entry`], [`Snapshot`] and
//! [`Membership`] are written to the log on disk.

// Generated from peer.proto, which carries the comments; the service code cannot be asked to.
#![allow(missing_docs)]

tonic::include_proto!("weir.peer.v1");
