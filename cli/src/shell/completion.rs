//! What a word that has been begun can become: keywords and names; in quotes options of tables and of the job, and connectors.

use std::collections::BTreeMap;

use weir_core::ConnectorRegistry;

use crate::settings::registry::SETTINGS;

const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COALESCE",
    "COUNT",
    "CREATE",
    "CROSS",
    "CUMULATE",
    "DATABASE",
    "DATABASES",
    "DESCRIBE",
    "DESCRIPTOR",
    "DISTINCT",
    "DROP",
    "ELSE",
    "EMIT EVERY",
    "EMIT ON UPDATE",
    "END",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "FUNCTIONS",
    "GROUP",
    "GROUPING",
    "HAVING",
    "HOP",
    "INSERT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "NOT",
    "NULL",
    "ON",
    "ORDER",
    "OVER",
    "PARTITION",
    "PRIMARY KEY",
    "QUALIFY",
    "RESET",
    "RIGHT",
    "ROW_NUMBER",
    "SELECT",
    "SESSION",
    "SET",
    "SETS",
    "SHOW",
    "STATEMENT",
    "SUM",
    "TABLE",
    "TABLES",
    "THEN",
    "TRUE",
    "TUMBLE",
    "UNION ALL",
    "UNNEST",
    "USE",
    "USING",
    "VALUES",
    "VIEW",
    "VIEWS",
    "WATERMARK FOR",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words that there are.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Databases, tables, views and columns.
    pub names: Vec<String>,
}

impl Words {
    /// Where the word at the end of `text` starts, and what it can become.
    pub(super) fn complete(&self, text: &str) -> (usize, Vec<String>) {
        if let Some(start) = open_quote(text) {
            let begun = &text[start..];
            return (start, quoted().into_iter().filter(|word| word.starts_with(begun)).collect());
        }
        let is_part = |character: char| character.is_alphanumeric() || character == '_' || character == '$';
        let start = text
            .rfind(|character| !is_part(character))
            .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        let begun = &text[start..];
        if begun.is_empty() {
            return (start, Vec::new());
        }
        let begins = |word: &str| word.get(..begun.len()).is_some_and(|head| head.eq_ignore_ascii_case(begun));
        let small = begun.chars().all(|character| !character.is_uppercase());
        let keyword = |word: &&str| if small { word.to_lowercase() } else { (*word).to_owned() };
        let names = self.names.iter().filter(|word| begins(word)).cloned();
        let keywords = KEYWORDS.iter().filter(|word| begins(word)).map(keyword);
        (start, names.chain(keywords).collect())
    }
}

/// Where the text in an open single quote begins.
fn open_quote(text: &str) -> Option<usize> {
    let quotes: Vec<usize> = text.match_indices('\'').map(|(at, _)| at + 1).collect();
    if quotes.len() % 2 == 1 { quotes.last().copied() } else { None }
}

fn quoted() -> Vec<String> {
    let registry = crate::connectors::builtin();
    let mut words: Vec<String> = vec!["connector".to_owned(), "format".to_owned()];
    words.extend(SETTINGS.iter().map(|setting| setting.key.to_owned()));
    for name in registry.names() {
        words.push(name.to_owned());
        if let Some(connector) = registry.get(name) {
            words.extend(connector.options(&BTreeMap::new()).into_iter().map(|option| option.name.to_owned()));
        }
    }
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed() {
        let words = Words { names: vec!["flights".to_owned(), "flown".to_owned()] };
        let complete = |text: &str| words.complete(text);
        assert_eq!(complete("SELECT * FROM fl"), (14, vec!["flights".to_owned(), "flown".to_owned()]));
        assert_eq!(complete("sel"), (0, vec!["select".to_owned()]));
        assert_eq!(complete("SEL"), (0, vec!["SELECT".to_owned()]));
        assert_eq!(complete("SELECT "), (7, vec![]));
        assert_eq!(
            complete("SET 'execution.checkpointing.int"),
            (5, vec!["execution.checkpointing.interval".to_owned()])
        );
        assert_eq!(complete("WITH ('connector' = 'files").1, ["filesystem"]);
        assert!(complete("WITH ('nexmark.").1.contains(&"nexmark.table".to_owned()));
    }
}
