//! Random queries through the planner and the engine, judged by an evaluator of their own.
//!
//! ```text
//!           ┌──▶ SQL ──▶ weir_sql ──▶ job at some parallelism, batch size, restart ──▶ rows ─┐
//!   seed ─▶ case                                                                          = ? ─▶ verdict
//!           └──▶ naive evaluation of the same tree over rows in memory ──────────────▶ rows ─┘
//! ```
//!
//! A case ([`generate`]) is a tree of relations and expressions over tables with rows of every type. It is written as SQL and
//! runs as `weir run` would run it ([`engine`]); and it is evaluated as it stands ([`relation`], [`expression`]), with loops, maps
//! and exact arithmetic. The two share nothing but the tree. A case that differs is made smaller ([`shrink`]) and printed as a
//! script for `weir run` ([`script`]).

mod arrays;
mod calendar;
pub mod engine;
pub mod expression;
pub mod files;
pub mod generate;
pub mod judge;
pub mod random;
pub mod relation;
pub mod script;
pub mod shrink;
pub mod table;
pub mod types;
pub mod value;
mod world;
