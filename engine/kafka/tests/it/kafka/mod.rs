//! Topics of a real broker, read by the connector as a job would read them.
//! `tests/services/kafka secured cargo test --workspace --test it kafka -- --ignored` starts one; `registries` want a registry too.
#![allow(clippy::unwrap_used)]

mod bounds;
mod broker;
mod changes;
mod cluster;
mod conformance;
mod content;
mod job;
mod refusals;
mod registries;
mod restarts;
mod secured;
mod sink;
mod successions;
mod transactions;
