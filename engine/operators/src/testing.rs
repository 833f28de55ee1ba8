//! The operators' test harness: a script of text in, text out, and a checkpoint with restore and another parallelism at
//! every marker, whether the test's author thought of it or not.
//!
//! A script says, a line each, what arrives and what is to come out until the next marker (in any order):
//!
//! ```text
//!   left> 1 | a | 12:00:05          a row of input 0 (also `in>`); lines that follow each other are one batch
//!   right> 1 | b | 12:00:07         a row of input 1
//!   left- 1 | a | 12:00:05          a row of input 0 is taken back (also `in-`, `right-`)
//!   -                               ends a batch
//!   watermark 12:00:10              of all inputs; `watermark right 12:00:10` of one
//!   idle left                       nothing comes from this input from the next marker on; a watermark that it says then counts
//!                                   behind the marker after that
//!   table> 1 | b                    from here on rows are looked up among this row and those in the lines beside it, and no others
//!   tick 12:00:11                   processing time
//!   out> 1 | a | 12:00:05           a row that has to come out
//!   out- 1 | a | 12:00:05           a row that has to be taken back
//!   late> 12:00:05 | 12:00:10 | {"id":1}    a late row: its time, the watermark that it met, the row
//!   sent> 12:00:09                  the watermark that has been sent downstream
//!   marker                          a checkpoint
//!   end                             all inputs end
//! ```
//!
//! Whatever the script says, a row may only be taken back that has come out before.
//!
//! [`check`] runs it at parallelism 1 without a break, at parallelism 3 without a break, and restored from real state
//! files at each marker as 1, 2, 3, 2, 1, … subtasks, rows being sent to the owner of their key, or to all if their input is broadcast; the latter also with
//! batches without rows around every step, and with epochs that hold nothing else. Then with state that is only partly in
//! memory: see [`Plan`]. And with columns declared as `NOT NULL` that have no null in the script.

mod plan;
mod run;
mod script;
mod stages;
mod text;

use arrow::datatypes::SchemaRef;
use weir_core::{NodeSpec, OperatorSpec};
use weir_functions::Functions;

pub use plan::Plan;
pub use run::{Interval, run, run_with};
pub use script::{Script, Step};
pub use stages::{Job, StageSpec};
pub use text::{changes, rows, schema, text, time_text};

/// A node with that operator.
pub fn node(operator: OperatorSpec, output: &SchemaRef) -> NodeSpec {
    NodeSpec::new("tested", operator, Vec::new(), output.clone())
}

/// Runs `script` in every way and compares what comes out, marker by marker.
///
/// # Panics
/// If anything fails or differs.
pub fn check(node: &NodeSpec, inputs: &[SchemaRef], script: &str) {
    let table = match &node.operator {
        OperatorSpec::LookupJoin(spec) => Some(spec.source.table.output_schema()),
        _ => None,
    };
    let (script, expected) = script::parse(script, inputs, table.as_ref());
    let functions = &*Functions::built_in();
    check_in(Plan::ALL, (functions, node), inputs, &script, &expected);
    let (inputs, script) = script.without_nulls(inputs);
    check_in([Plan::Rescaled, Plan::Evicted], (functions, node), &inputs, &script, &expected);
}

/// As [`check`], for an operator that needs more than the built-in functions, and columns as they are.
///
/// # Panics
/// If anything fails or differs.
pub fn check_with(functions: &Functions, node: &NodeSpec, inputs: &[SchemaRef], script: &str) {
    let (script, expected) = script::parse(script, inputs, None);
    check_in(Plan::ALL, (functions, node), inputs, &script, &expected);
}

/// As [`check`], where all state is in memory: what comes out depends on what is.
///
/// # Panics
/// If anything fails or differs.
#[cfg(test)]
pub(crate) fn check_in_memory(node: &NodeSpec, inputs: &[SchemaRef], script: &str) {
    let (script, expected) = script::parse(script, inputs, None);
    let plans = [Plan::Alone, Plan::Parallel, Plan::Rescaled, Plan::Padded];
    check_in(plans, (&Functions::built_in(), node), inputs, &script, &expected);
}

fn check_in(
    plans: impl IntoIterator<Item = Plan>,
    (functions, node): (&Functions, &NodeSpec),
    inputs: &[SchemaRef],
    script: &Script,
    expected: &[Interval],
) {
    for plan in plans {
        let found = run_with(functions, node, inputs, script, plan)
            .unwrap_or_else(|error| panic!("{plan:?}: {}", error.report()));
        assert_eq!(found.len(), expected.len(), "{plan:?}: number of intervals between markers");
        for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
            match plan {
                // What is owed at a marker leaves at those between too, and is taken back again.
                Plan::Padded => {
                    assert_eq!(net(&found.rows), net(&expected.rows), "{plan:?}: rows before marker {}", number + 1)
                }
                _ => assert_eq!(found.rows, expected.rows, "{plan:?}: rows before marker {}", number + 1),
            }
            assert_eq!(found.late, expected.late, "{plan:?}: late rows before marker {}", number + 1);
            if expected.sent.is_some() {
                assert_eq!(found.sent, expected.sent, "{plan:?}: watermark before marker {}", number + 1);
            }
        }
    }
}

/// The rows of an interval without those that were added and taken back.
fn net(rows: &[String]) -> Vec<(&str, i64)> {
    let mut counts = std::collections::BTreeMap::new();
    for row in rows {
        let (row, weight) = row.strip_prefix("- ").map_or((row.as_str(), 1), |row| (row, -1));
        *counts.entry(row).or_insert(0) += weight;
    }
    counts.into_iter().filter(|(_, count)| *count != 0).collect()
}
