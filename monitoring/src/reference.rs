//! The declarations as a table for people.

use std::fmt::Write;

use crate::Metric;

/// A Markdown table of metrics, in their order.
pub fn reference(metrics: &[&Metric]) -> String {
    let mut table = String::from("| metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, help, labels } in metrics {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let help = help.replace('|', "\\|");
        let _ = writeln!(table, "| `{name}` | {} | {} | {} | {help} |", kind.word(), unit.word(), labels.join(", "));
    }
    table
}
