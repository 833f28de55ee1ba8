//! What this crate does, seen from outside.

mod postgres;
