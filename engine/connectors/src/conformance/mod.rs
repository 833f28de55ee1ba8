//! What every source and every sink that writes exactly once promises, as tests: each connector runs [`source`] and [`sink`] on tables of its
//! own. They panic where a promise is broken. `docs/adding-a-connector.md` says what is checked.
#![allow(clippy::unwrap_used, reason = "tests")]

mod sinks;
mod sources;
#[cfg(test)]
mod tests;

pub use sinks::{SinkUnderTest, sink};
pub use sources::{SourceUnderTest, source};
