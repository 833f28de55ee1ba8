//! Aggregation over windows of event time.
//!
//! ```text
//!   batch ──split──▶ pane ──key_table──▶ slots ──accumulator──▶ states          a table of groups for each pane
//!   watermark ──windows──▶ panes of a closing window, put together ──▶ results
//!   capture ──chunked──▶ groups that changed, shared until they are written out
//! ```
//!
//! [`full`] aggregates rows, or partial results, up to the end of windows; [`partial()`] makes partial results in front of
//! an exchange.

mod accumulator;
mod chunked;
mod group_table;
mod key_table;
mod key_words;
mod layout;
mod partial;
mod probe;
mod session_aggregate;
mod session_table;
mod split;
#[cfg(test)]
mod tests;
mod window_aggregate;
mod windows;

use arrow::datatypes::SchemaRef;
use weir_core::{Operator, Result, WindowAggregateSpec, WindowKind, WindowSource};
use weir_functions::Functions;

use partial::PartialAggregate;
use session_aggregate::SessionAggregate;
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
