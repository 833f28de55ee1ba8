//! The `weir` binary as a user meets it: run as a process, judged by its output and exit code.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod bad_input;
mod batch;
mod cluster;
mod command_line;
mod decimals;
mod flights;
mod interrupts;
mod kill;
mod nexmark;
mod results;
mod watched;
mod weir;
mod workers;
