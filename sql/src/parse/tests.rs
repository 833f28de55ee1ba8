#![allow(clippy::unwrap_used)]

mod accepted;
mod refused;
mod soup;
