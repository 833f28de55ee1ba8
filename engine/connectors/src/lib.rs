//! Sources, sinks and formats: where rows come from, and how results get out exactly once.
//!
//! Each connector is a folder or a file of its own behind [`weir_core::Connector`]; [`registry()`] holds those that there
//! are. Options are read through [`options::Options`], so that a wrong one is reported alike everywhere.

#[cfg(test)]
mod bench;
pub mod blackhole;
pub mod blocking;
pub mod conformance;
pub mod datagen;
pub mod filesystem;
pub mod formats;
pub mod marker;
pub mod nexmark;
mod numbered;
pub mod options;
pub mod plugin;
pub mod print;
mod registry;
pub mod stored_file;
pub mod transactions;
pub mod whole_table;

pub use registry::{Registry, registry};
