//! SQL text to [`JobGraph`](weir_core::JobGraph).
//!
//! ```text
//!   text ──parse──▶ Script of Statements ──catalog, SqlToRel──▶ logical plan ──optimise──▶ lower ──▶ JobGraph
//! ```

mod artifacts;
pub mod catalog;
mod coercion;
mod described;
pub mod diagnostics;
mod explain;
mod guards;
mod logical;
mod lower;
mod options;
pub mod parse;
mod plan;
mod resolver;
mod rewrite;
mod row_key;
mod stack;
mod statement;
mod syntax;
mod walk;

pub use artifacts::{KnownArtifact, declarations_of, unknown_artifacts, with_signatures};
pub use described::script_of;
pub use explain::explain;
pub use options::PlanOptions;
pub use parse::{Unit, parse, units};
pub use plan::{Answer, Plan, plan, settings, shared};
pub use statement::{
    AlterTable, ColumnDefinition, ColumnKind, CreateTable, ExplainDetails, Jobs, Like, LikePart, Merging,
    OperatorStatement, Script, Show, Span, Spanned, Statement, TableOption, WatermarkDefinition,
};
