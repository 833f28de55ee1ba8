//! Bytes as text, and text as bytes.

pub(super) mod base64;
pub(super) mod charset;
pub(super) mod hashes;
mod hex;
pub(super) mod length;
pub(super) mod url;

pub(super) use hex::push_hex;
