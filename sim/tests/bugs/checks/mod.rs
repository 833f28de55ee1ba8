//! Checks of parts that find bugs which histories come upon seldom.

mod cluster;
pub mod coordinators;
pub mod exchange;
pub mod files;
pub mod jobs;
pub mod operators;
pub mod sinks;
pub mod time;
