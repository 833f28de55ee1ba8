//! What is known to differ: a list for each category, exact in both directions, with a reason where the difference is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use super::Found;
use super::expressions::{Expression, folder};

/// The part of docs/sql.md whose table says what is meant to differ, and why.
const HEADING: &str = "### Other than in Flink";

/// What is known to differ in one category.
pub struct List {
    path: PathBuf,
    /// From id to difference and reason.
    lines: BTreeMap<String, (String, String)>,
}

/// What the documentation says to be meant: the first cells of its table's rows.
pub fn reasons() -> BTreeSet<String> {
    let text = fs::read_to_string(folder().join("../../../../docs/sql.md")).unwrap();
    let part = text.split_once(HEADING).unwrap().1.split("\n## ").next().unwrap();
    part.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split(" | ").next()?.to_owned())).collect()
}

impl List {
    pub fn read(category: &str) -> Self {
        let path = folder().join("differs").join(format!("{category}.txt"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let line = |line: &str| {
            let mut parts = line.split('\t');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            (part(), (part(), part()))
        };
        Self { path, lines: text.lines().map(line).collect() }
    }

    /// Becomes what was found, with the reasons that it had.
    pub fn write(&mut self, expressions: &[&Expression], found: &BTreeMap<String, Found>) {
        let line = |(id, found): (&String, &Found)| {
            let reason = self.lines.get(id).map_or("", |(_, reason)| reason);
            (id.clone(), (found.difference.to_string(), reason.to_owned()))
        };
        self.lines = found.iter().map(line).collect();
        let mut text = String::new();
        for expression in expressions {
            let Some((difference, reason)) = self.lines.get(&expression.id) else { continue };
            text.push_str(format!("{}\t{difference}\t{reason}", expression.id).trim_end());
            text.push('\n');
        }
        fs::write(&self.path, text).unwrap();
    }

    /// What the list says otherwise.
    pub fn not_as(&self, expressions: &[&Expression], found: &BTreeMap<String, Found>) -> Vec<String> {
        let one = |expression: &&Expression| {
            let (id, text) = (&expression.id, &expression.text);
            match (self.lines.get(id), found.get(id)) {
                (None, None) => None,
                (Some(_), None) => Some(format!("{id}: {text}: agrees now")),
                (Some((listed, _)), Some(Found { difference, .. })) if *listed == difference.to_string() => None,
                (_, Some(Found { difference, said })) => Some(format!("{id}: {text}: {difference}: {said}")),
            }
        };
        expressions.iter().filter_map(one).collect()
    }

    /// Reasons that the documentation does not have.
    pub fn unknown_reasons(&self, known: &BTreeSet<String>) -> Vec<String> {
        let given = self.lines.iter().filter(|(_, (_, reason))| !reason.is_empty() && !known.contains(reason));
        given.map(|(id, (_, reason))| format!("{id}: docs/sql.md does not say that this is meant: {reason}")).collect()
    }

    pub fn differ(&self) -> usize {
        self.lines.len()
    }

    /// How many differ because that is meant.
    pub fn meant(&self) -> usize {
        self.lines.values().filter(|(_, reason)| !reason.is_empty()).count()
    }
}
