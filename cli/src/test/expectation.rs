//! What is expected of a job, against what came out.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use regex::{Captures, Regex};
use weir_cli::test_file::difference::{difference, lines};
use weir_cli::test_file::row::{Operation, operation, split};
use weir_cli::test_file::{Mistake, Rows, values};
use weir_core::connector::RESULT_CONNECTOR;
use weir_core::{JobGraph, OperatorSpec};

use super::connector::{INLINE, operation_of};
use super::suite::Failure;
use super::world::Written;

pub use weir_cli::test_file::difference::Change;

/// Most lines of a difference that are shown.
const SHOWN: usize = 60;

/// A table that a job fills and that can be looked at.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Whether it is the result of a `SELECT`.
    pub is_result: bool,
    /// Whether rows are taken back.
    pub is_changelog: bool,
    /// Whether what happens to a row stands in its first column.
    has_operations: bool,
    schema: SchemaRef,
}

/// The tables that a job fills, but for that of late rows.
pub fn targets(graph: &JobGraph) -> Vec<Target> {
    let mut names = BTreeSet::new();
    let mut targets = Vec::new();
    for node in graph.nodes() {
        let OperatorSpec::Sink(sink) = &node.spec.operator else { continue };
        let (connector, name) = (&sink.table.connector, &sink.table.name);
        if connector != RESULT_CONNECTOR && connector != INLINE {
            continue;
        }
        let is_side = node.spec.inputs.iter().any(|edge| edge.port != weir_core::OutputPort::Main);
        if is_side {
            continue;
        }
        let before = node.spec.inputs.iter().map(|edge| &graph.node(edge.from).spec.operator);
        let has_operations = connector == RESULT_CONNECTOR
            && before.into_iter().any(|operator| matches!(operator, OperatorSpec::ChangelogRows(_)));
        let fields = sink.table.schema.fields().iter().skip(usize::from(has_operations)).cloned();
        let target = Target {
            name: name.clone(),
            is_result: connector == RESULT_CONNECTOR,
            is_changelog: has_operations || !node.spec.changelog.is_append(),
            has_operations,
            schema: std::sync::Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        };
        if names.insert(name.clone()) {
            targets.push(target);
        } else if let Some(known) = targets.iter_mut().find(|known| known.name == *name) {
            known.is_changelog |= target.is_changelog;
        }
    }
    targets
}

impl Target {
    fn types(&self) -> Vec<DataType> {
        self.schema.fields().iter().map(|field| field.data_type().clone()).collect()
    }

    /// Rows that were written, as changes.
    pub fn changes(&self, written: Vec<Written>) -> Vec<Change> {
        let change = |Written { weight, mut values }: Written| {
            let operation = if self.has_operations {
                operation_of(&mut values)
            } else {
                self.is_changelog.then_some(if weight > 0 { Operation::Insert } else { Operation::Delete })
            };
            (operation, values)
        };
        written.into_iter().map(change).collect()
    }

    /// Lines of a file as changes, or as rows of which nothing is said.
    ///
    /// # Errors
    /// If a line is no row of the table.
    pub fn expected(&self, rows: &Rows, as_changes: bool) -> Result<Vec<Change>, Mistake> {
        let types = self.types();
        let mut operations = Vec::new();
        let mut expected = Vec::new();
        for (line, text) in &rows.lines {
            let (operation, values) = if as_changes { operation(text) } else { (None, text.as_str()) };
            if as_changes && operation.is_none() {
                let message = "this result changes: +I, -U, +U or -D stands in front of each row";
                return Err(Mistake::new(*line, message));
            }
            let values = split(values, &types).map_err(|message| {
                let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
                Mistake::new(*line, format!("{message}: {}", names.join(", ")))
            })?;
            operations.push(operation);
            expected.push(values);
        }
        let expected = values::expected(&expected, &self.schema)
            .map_err(|(row, message)| Mistake::new(rows.lines.get(row).map_or(0, |(line, _)| *line), message))?;
        Ok(operations.into_iter().zip(expected).collect())
    }

    /// In which way the two differ, if they do.
    pub fn difference(&self, expected: &[Change], found: &[Change]) -> Option<String> {
        difference(expected, found, &self.types(), SHOWN)
    }

    /// Changes as lines of a file.
    pub fn lines(&self, changes: &[Change]) -> Vec<String> {
        let mut changes = changes.to_vec();
        changes.sort_by(|one, other| (&one.1, one.0).cmp(&(&other.1, other.0)));
        lines(&changes, &self.types())
    }

    /// A letter for each column.
    ///
    /// # Errors
    /// If the columns have other types.
    pub fn check_types(&self, line: usize, letters: Option<&str>) -> Result<(), Failure> {
        let Some(letters) = letters else { return Ok(()) };
        let found: String = self.schema.fields().iter().map(|field| letter(field.data_type())).collect();
        let fits = |(wanted, found): (char, char)| match wanted {
            '?' => true,
            'P' => found == 'D',
            wanted => wanted == found,
        };
        if letters.len() == found.len() && letters.chars().zip(found.chars()).all(fits) {
            return Ok(());
        }
        Err(Failure::new(line, format!("its columns are of the types {found}, and not {letters}")))
    }
}

fn letter(data_type: &DataType) -> char {
    match data_type {
        DataType::Boolean => 'B',
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => 'T',
        data_type if data_type.is_integer() => 'I',
        data_type if data_type.is_numeric() => 'R',
        data_type if data_type.is_temporal() => 'D',
        _ => '?',
    }
}

#[allow(clippy::unwrap_used, reason = "a constant pattern")]
static LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bline (\d+)(, column)").unwrap());

/// An error without the lines that show the SQL; its places are counted from line `first` of the file.
pub fn error_lines(report: &str, first: usize) -> Vec<String> {
    let is_shown_sql = |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    let relative = |captures: &Captures<'_>| {
        let line: usize = captures[1].parse().unwrap_or(0);
        match line.checked_sub(first) {
            Some(behind) => format!("line {}{}", behind + 1, &captures[2]),
            None => format!("{} lines above{}", first - line, &captures[2]),
        }
    };
    let lines = report.lines().filter(|line| !is_shown_sql(line)).map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| LINE.replace_all(line, relative).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_without_the_sql_and_with_lines_of_their_own() {
        let report = "line 12, column 8: there is no `x`\n   |\n12 | SELECT x\n   |        ^\n  help: is it `y`?";
        assert_eq!(error_lines(report, 11), ["line 2, column 8: there is no `x`", "help: is it `y`?"]);
        assert_eq!(error_lines("line 3, column 1: no", 11), ["8 lines above, column 1: no"]);
    }
}
