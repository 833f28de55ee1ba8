//! Client of a schema registry that speaks Confluent's API, as Confluent's own, Apicurio (`/apis/ccompat/v7`) and Karapace do.
//!
//! Schemas have numbers, and never change: what was found once is kept. A registry that does not answer is asked again, a few times; what
//! it refuses is said at once.

mod client;
mod options;
#[cfg(test)]
mod tests;

pub use client::Registry;
pub use options::{Auth, RegistryOptions, hosts};
