//! Aggregation over windows of event time.
//!
//! ```text
//!   batch ──split──▶ pane ──key_table──▶ slots ──accumulator──▶ states          a table of groups for each pane
//!   watermark ──windows──▶ panes of a closing window, put together ──▶ results
//!   capture ──chunked──▶ groups that changed, shared until they are written out
//! ```
//!
//! [`full`] aggregates rows, or partial results, up to the end of windows; [`partial()`] makes partial results in front of
//! an exchange. Without windows [`of_groups`] aggregates all that has come, and [`final_rows()`] keeps what is left of a changelog.

mod accumulator;
mod differences;
mod final_rows;
mod group_aggregate;
mod group_table;
mod groups;
mod key_table;
mod key_words;
mod layout;
mod partial;
mod probe;
mod session_aggregate;
mod session_table;
mod session_timers;
mod sessions;
mod shown_sessions;
mod small_panes;
mod spare_tables;
mod split;
#[cfg(test)]
mod tests;
mod updating_sessions;
mod window_aggregate;
mod window_results;
mod windows;

use arrow::datatypes::SchemaRef;
use weir_core::{
    GroupAggregateSpec, Operator, Result, SortKey, UpdatingSessionsSpec, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_functions::Functions;

pub(crate) use crate::chunked::Picked;
#[cfg(test)]
pub(crate) use accumulator::CapturedStates;
pub(crate) use accumulator::{Accumulator, Rows as AggregatedRows, create as accumulator, mean, overflow};
pub(crate) use differences::differ;
use final_rows::FinalRows;
use group_aggregate::GroupAggregate;
pub(crate) use key_table::{KeyLayout, KeyTable};
use partial::PartialAggregate;
use session_aggregate::SessionAggregate;
use updating_sessions::UpdatingSessions;
use window_aggregate::WindowAggregate;

/// The first phase of an aggregation over rows of `input`; `output` is the declared schema of partial results.
///
/// # Errors
/// An internal error if the aggregation has no first phase, a user error if its functions do not fit their arguments.
pub fn partial(
    spec: &WindowAggregateSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    functions: &Functions,
) -> Result<Box<dyn Operator>> {
    Ok(Box::new(PartialAggregate::new(spec, input, output, functions)?))
}

/// An aggregation over rows or partial results of `input`; `output` is the declared schema of results and
/// `operator_name` is what late rows are filed under.
///
/// # Errors
/// A user error if functions do not fit their arguments or columns cannot be grouped by.
pub fn full(
    spec: &WindowAggregateSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    operator_name: &str,
    functions: &Functions,
) -> Result<Box<dyn Operator>> {
    if let WindowSource::Assign { window: WindowKind::Session { .. }, .. } = spec.window {
        return Ok(Box::new(SessionAggregate::new(spec, input, output, operator_name, functions)?));
    }
    Ok(Box::new(WindowAggregate::new(spec, input, output, operator_name, functions)?))
}

/// An aggregation without windows, or of windows that are updated, over rows of `input`; `output` is the declared schema of results and
/// `operator_name` is what late rows are filed under.
///
/// # Errors
/// A user error if functions do not fit their arguments or columns cannot be grouped by.
pub fn of_groups(
    spec: &GroupAggregateSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    operator_name: &str,
    functions: &Functions,
) -> Result<Box<dyn Operator>> {
    Ok(Box::new(GroupAggregate::new(spec, input, output, operator_name, functions)?))
}

/// An aggregation of sessions that are shown while they change, over rows of `input`; `output` is the declared schema of results and
/// `operator_name` is what late rows are filed under.
///
/// # Errors
/// A user error if functions do not fit their arguments or columns cannot be grouped by.
pub fn of_sessions(
    spec: &UpdatingSessionsSpec,
    input: &SchemaRef,
    output: &SchemaRef,
    operator_name: &str,
    functions: &Functions,
) -> Result<Box<dyn Operator>> {
    Ok(Box::new(UpdatingSessions::new(spec, input, output, operator_name, functions)?))
}

/// What keeps the rows of a changelog until it ends, and emits them in this order, if it is not empty.
///
/// # Errors
/// A user error if rows of `input` cannot be told apart.
pub fn final_rows(input: &SchemaRef, output: &SchemaRef, order: &[SortKey]) -> Result<Box<dyn Operator>> {
    Ok(Box::new(FinalRows::new(input, output, order)?))
}
