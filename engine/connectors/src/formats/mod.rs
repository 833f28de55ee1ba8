//! Formats: between rows and bytes.

pub mod encode;
