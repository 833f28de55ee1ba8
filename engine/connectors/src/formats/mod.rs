//! Formats: between rows and bytes.

pub(crate) mod decode;
pub mod encode;
