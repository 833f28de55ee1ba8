//! The `weir` binary as a user meets it: run as a process, judged by its output and exit code.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod bad_input;
mod batch;
mod casts;
mod changed;
mod cluster;
mod collected;
mod command_line;
mod decimals;
mod files;
mod flights;
mod flink;
mod guards;
mod interrupts;
mod joins;
mod kafka;
mod kill;
mod literals;
mod nested;
mod nexmark;
mod numbers;
mod outer_joins;
mod over;
mod plugins;
mod power;
mod results;
mod shell;
mod sql_files;
mod sums;
mod times;
mod totals;
mod versions;
mod watched;
mod weir;
mod whole_answers;
mod workers;
