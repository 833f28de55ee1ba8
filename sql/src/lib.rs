//! SQL text to [`JobGraph`](weir_core::JobGraph).
//!
//! ```text
//!   text ──parse──▶ Script of Statements ──catalog, SqlToRel──▶ logical plan ──optimise──▶ lower ──▶ JobGraph
//! ```

pub mod functions;
mod statement;

pub use statement::{
    ColumnDefinition, ColumnKind, CreateTable, Script, Span, Spanned, Statement, TableOption, WatermarkDefinition,
};
