//! SQL text to [`Script`]: what is said, and nothing yet of what it means.
//!
//! ```text
//!   text ─tokenise─▶ tokens ─split at `;`─▶ segments ─refuse what is known not to work─▶ Parser ─▶ AST
//!                                                         └ rewrite `TUMBLE(TABLE t, …)`           └ check, rewrite
//! ```
//!
//! The statements that Flink has of its own (tables with watermarks, computed and metadata columns, statement sets) are
//! parsed here, with the methods of sqlparser's [`Parser`](datafusion_sql::sqlparser::parser::Parser); expressions and
//! queries are sqlparser's. It accepts much that no planner reads, so `refuse` goes through every part of a query and
//! refuses what is not known to be planned: a modifier is obeyed or it is an error.

mod alter_table;
mod cast;
mod create_function;
mod create_job;
mod create_table;
mod cursor;
mod database;
mod dialect;
mod emission;
mod exported_function;
mod expression;
mod group_window;
mod hints;
mod interval;
mod json;
mod json_aggregate;
mod like;
mod literals;
mod named_windows;
mod query;
mod refuse;
mod rewrite;
mod rows;
mod rows_in_query;
mod scan;
mod segments;
mod show;
mod similar;
mod statement;
mod trim;
mod types;
mod unsupported;
mod version_alias;
mod window_function;
mod with_ties;

use std::sync::Arc;

use weir_core::Result;

use crate::diagnostics::Source;
use crate::stack::with_room;
use crate::statement::Script;

pub use create_function::in_place_of;
pub(crate) use database::CATALOG;
pub use database::DEFAULT_DATABASE;
pub(crate) use emission::{EMISSION, EVERY, LATENESS, ON_UPDATE};
pub use expression::parse_expression;
pub(crate) use hints::{BROADCAST, Hint, hints, with_options};
pub use segments::{Unit, units};
pub use types::FlinkTypes;
pub use weir_functions::sql_type_name;
pub use window_function::{PARTITION_BY, WindowArgument, WindowFunction};

/// Parses a script.
///
/// # Errors
/// A user error with the place, what was found, what was expected, and what works instead where that is known.
pub fn parse(text: &str) -> Result<Script> {
    with_room(|| {
        let source = Source::new(text);
        let segments = segments::split(&source)?;
        let statements = statement::statements(&source, segments)?;
        Ok(Script { text: Arc::from(text), statements })
    })
}

#[cfg(test)]
mod tests;
