//! Tables of a real PostgreSQL, written and looked up in as a job would.
//! `tests/services/postgres run cargo test --workspace --test it postgres:: -- --ignored` starts one.
#![allow(clippy::unwrap_used)]

mod conformance;
mod database;
mod lookups;
mod refusals;
mod sink;
mod tls;
mod values;
