//! How the tables of two dataflows differ: said where a submission is refused because it is another job, for which a changed table is the usual reason.

use std::collections::BTreeMap;

use weir_core::{JobGraph, OperatorSpec, OutputPort, TableSpec};

/// Words for what is done with a table, each with its negation.
type Verb = (&'static str, &'static str);

const READS: Verb = ("reads", "no longer reads");
const WRITES: Verb = ("writes", "no longer writes");

/// What is new, gone or changed about the tables that `now` reads and writes, beside those of `before`: a sentence each.
pub fn table_changes(before: &JobGraph, now: &JobGraph) -> Vec<String> {
    let (before, now) = (tables(before), tables(now));
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let gone = gone.map(|((_, no), name)| format!("it {no} table {name}"));
    let others = now.iter().flat_map(|(key, now)| {
        let ((does, _), name) = key;
        match before.get(key) {
            None => vec![format!("it {does} table {name}, which it did not before")],
            Some(before) => changes(before, now).into_iter().map(|what| format!("table {name}: {what}")).collect(),
        }
    });
    others.chain(gone).collect()
}

/// What is read and written, by name. Where late rows and records go that could not be decoded may change.
fn tables(graph: &JobGraph) -> BTreeMap<(Verb, &str), &TableSpec> {
    let mut tables = BTreeMap::new();
    for node in graph.nodes() {
        let is_side = node.spec.inputs.iter().any(|edge| matches!(edge.port, OutputPort::Late | OutputPort::Rejected));
        let (verb, table) = match &node.spec.operator {
            OperatorSpec::Discover(spec) => (READS, &spec.table),
            OperatorSpec::LookupJoin(spec) => (READS, &spec.source.table),
            OperatorSpec::Sink(spec) if !is_side => (WRITES, &spec.table),
            _ => continue,
        };
        tables.entry((verb, table.name.as_str())).or_insert(table);
    }
    tables
}

fn changes(before: &TableSpec, now: &TableSpec) -> Vec<String> {
    if before.connector != now.connector {
        return vec![format!("its connector was '{}' and is '{}'", before.connector, now.connector)];
    }
    let mut changes = columns(before, now);
    // Values may be secret.
    let value =
        |table: &TableSpec, name: &String| table.options.get(name).filter(|_| !table.settings.contains(name)).cloned();
    let names = before.options.keys().chain(now.options.keys().filter(|name| !before.options.contains_key(*name)));
    let differ = names.filter(|name| value(before, name) != value(now, name));
    changes.extend(differ.map(|name| format!("option '{name}' has another value")));
    if key(before) != key(now) {
        changes.push("its primary key is another one".to_owned());
    }
    if before.partitioned_by != now.partitioned_by {
        changes.push("it is partitioned by other columns".to_owned());
    }
    changes
}

fn columns(before: &TableSpec, now: &TableSpec) -> Vec<String> {
    let mut changes = Vec::new();
    for field in now.schema.fields() {
        let (name, is) = (field.name(), field.data_type());
        match before.schema.field_with_name(name) {
            Err(_) => changes.push(format!("column '{name}' of type {is} is new")),
            Ok(before) if before.data_type() != is => {
                changes.push(format!("column '{name}' was {} and is {is}", before.data_type()));
            }
            Ok(before) => match (before.is_nullable(), field.is_nullable()) {
                (true, false) => changes.push(format!("column '{name}' could be null, and cannot be any more")),
                (false, true) => changes.push(format!("column '{name}' could not be null, and can be now")),
                _ => {}
            },
        }
    }
    let gone = before.schema.fields().iter().filter(|field| now.schema.field_with_name(field.name()).is_err());
    changes.extend(gone.map(|field| format!("column '{}' of type {} is gone", field.name(), field.data_type())));
    if changes.is_empty() && names(before) != names(now) {
        changes.push("its columns stand in another order".to_owned());
    }
    changes
}

fn names(table: &TableSpec) -> Vec<&String> {
    table.schema.fields().iter().map(|field| field.name()).collect()
}

/// The names of its primary key.
fn key(table: &TableSpec) -> Vec<Option<&String>> {
    let name = |position: &usize| table.schema.fields().get(*position).map(|field| field.name());
    table.primary_key.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};
    use weir_core::{NodeSpec, SinkSpec};

    use super::*;

    fn table(name: &str, columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableSpec {
        let fields: Vec<Field> = columns.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect();
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TableSpec::new(name, "filesystem", options, Arc::new(Schema::new(fields)))
    }

    fn graph(reads: &TableSpec, writes: &TableSpec) -> JobGraph {
        let mut graph = JobGraph::new();
        graph.discover(reads);
        let sink = OperatorSpec::Sink(SinkSpec { table: writes.clone() });
        graph.add(NodeSpec::new("Sink", sink, Vec::new(), writes.schema.clone()));
        graph
    }

    #[test]
    fn each_table_and_column_that_differs_is_named_with_what_it_was() {
        let (text, number, wide) = (DataType::Utf8, DataType::Int32, DataType::Int64);
        let input = table("words", &[("word", text.clone()), ("n", number.clone())], &[("path", "/in")]);
        let output = table("counts", &[("word", text.clone())], &[("path", "/out"), ("key", "hunter2")]);
        let before = graph(&input, &output);
        assert_eq!(table_changes(&before, &before), [""; 0]);

        let other = table("words", &[("word", wide.clone()), ("at", wide)], &[("path", "/in")]);
        assert_eq!(
            table_changes(&before, &graph(&other, &output)),
            [
                "table words: column 'word' was Utf8 and is Int64",
                "table words: column 'at' of type Int64 is new",
                "table words: column 'n' of type Int32 is gone"
            ]
        );
        let moved = table("words", &[("n", number), ("word", text.clone())], &[("path", "/in")]);
        let secret = table("counts", &[("word", text.clone())], &[("path", "/out"), ("key", "hunter3")]);
        assert_eq!(
            table_changes(&before, &graph(&moved, &secret)),
            ["table words: its columns stand in another order", "table counts: option 'key' has another value"]
        );
        assert_eq!(
            table_changes(&before, &graph(&input, &table("sums", &[("word", text)], &[]))),
            ["it writes table sums, which it did not before", "it no longer writes table counts"]
        );
    }

    #[test]
    fn options_that_are_settings_are_no_difference() {
        let with = |pace: &str| {
            let mut table = table("words", &[], &[("pace", pace)]);
            table.settings.insert("pace".to_owned());
            table
        };
        let sink = table("counts", &[], &[]);
        assert_eq!(table_changes(&graph(&with("1"), &sink), &graph(&with("2"), &sink)), [""; 0]);
    }
}
