//! Checks of parts that find bugs which histories come upon seldom.

pub mod files;
pub mod operators;
pub mod time;
