//! SQL text to [`JobGraph`](weir_core::JobGraph).
//!
//! ```text
//!   text ──parse──▶ Script of Statements ──catalog, SqlToRel──▶ logical plan ──optimise──▶ lower ──▶ JobGraph
//! ```

pub mod catalog;
pub mod diagnostics;
pub mod functions;
pub mod parse;
mod statement;

pub use parse::parse;
pub use statement::{
    ColumnDefinition, ColumnKind, CreateTable, Script, Span, Spanned, Statement, TableOption, WatermarkDefinition,
};
