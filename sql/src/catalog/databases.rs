//! Databases: what stands in front of the name of a table.
//!
//! A table is known by one name throughout: its own in the database that is always there, and `database.table` elsewhere. So a name in
//! backticks with a point in it, behind the name of a database, is that of a table there.

use std::collections::BTreeSet;

use weir_core::{Error, Result};

use super::names::{Found, find, is_quoted};
use crate::diagnostics::{Source, did_you_mean};
use crate::parse::{CATALOG, DEFAULT_DATABASE};
use crate::statement::{Span, Spanned};

/// The databases there are, and which one is in use.
#[derive(Debug, Clone)]
pub struct Databases {
    known: BTreeSet<String>,
    current: String,
}

impl Default for Databases {
    fn default() -> Self {
        Self { known: BTreeSet::from([DEFAULT_DATABASE.to_owned()]), current: DEFAULT_DATABASE.to_owned() }
    }
}

impl Databases {
    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// The one in use.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The database of that name, which stands at `span` of the script.
    ///
    /// # Errors
    /// A user error if there is none.
    pub fn resolve(&self, source: &Source<'_>, name: &Spanned<String>) -> Result<&str> {
        match find(self.names(), &name.value, is_quoted(source, name.span)) {
            Found::One(found) => Ok(found),
            Found::None | Found::Several(_) => Err(self.missing(source, name)),
        }
    }

    /// Whether there is one of that name.
    pub fn has(&self, source: &Source<'_>, name: &Spanned<String>) -> bool {
        self.resolve(source, name).is_ok()
    }

    fn missing(&self, source: &Source<'_>, name: &Spanned<String>) -> Error {
        let names: Vec<&str> = self.names().collect();
        source.error(name.span, format!("there is no database `{}`", name.value)).with_help(did_you_mean(
            &name.value,
            &names,
            "the databases before this statement are",
        ))
    }

    /// There is one of that name, whoever has created it.
    pub fn note(&mut self, name: &str) {
        if find(self.names(), name, false) == Found::None {
            self.known.insert(name.to_owned());
        }
    }

    /// That one is in use, whether it is known or not.
    pub fn note_use(&mut self, name: &str) {
        let found = match find(self.names(), name, false) {
            Found::One(found) => found.to_owned(),
            Found::None | Found::Several(_) => name.to_owned(),
        };
        self.current = found;
    }

    /// Another one is in use from here on.
    ///
    /// # Errors
    /// A user error if there is none of that name.
    pub fn enter(&mut self, source: &Source<'_>, name: &Spanned<String>) -> Result<()> {
        self.current = self.resolve(source, name)?.to_owned();
        Ok(())
    }

    /// One more; `false`: there is one already, and that is all right.
    ///
    /// # Errors
    /// A user error if there is one already, and that is not all right.
    pub fn create(&mut self, source: &Source<'_>, name: &Spanned<String>, if_not_exists: bool) -> Result<bool> {
        match find(self.names(), &name.value, false) {
            Found::None => Ok(self.known.insert(name.value.clone())),
            _ if if_not_exists => Ok(false),
            _ => Err(source
                .error(name.span, format!("there is a database `{}` already", name.value))
                .with_help("write `CREATE DATABASE IF NOT EXISTS`, or choose another name")),
        }
    }

    /// One less, which has to be empty of `tables`. Returns its name; `None`: there is none, and that is all right.
    ///
    /// # Errors
    /// A user error if there is none, or it is in use, or has tables.
    pub fn drop(
        &mut self,
        source: &Source<'_>,
        name: &Spanned<String>,
        (if_exists, cascade): (bool, bool),
        tables: &[&str],
    ) -> Result<Option<String>> {
        if if_exists && !self.has(source, name) {
            return Ok(None);
        }
        let found = self.resolve(source, name)?.to_owned();
        let refused = |what: String, help: String| Err(source.error(name.span, what).with_help(help));
        if found == DEFAULT_DATABASE {
            return refused(format!("`{found}` is always there"), "drop its tables".to_owned());
        }
        if found == self.current {
            return refused(format!("`{found}` is in use"), format!("write `USE {DEFAULT_DATABASE}` in front of it"));
        }
        let within: Vec<&str> = tables.iter().filter(|table| self.split(table).0 == found).copied().collect();
        if let (false, [first, ..]) = (cascade, within.as_slice()) {
            return refused(
                format!("database `{found}` is not empty: it has `{first}`"),
                format!("DROP what is in it, or write `DROP DATABASE {found} CASCADE`"),
            );
        }
        self.known.remove(&found);
        Ok(Some(found))
    }

    /// A table that is to be made stands in a database that there is.
    ///
    /// # Errors
    /// A user error if there is none of the name that stands in front of its own.
    pub fn check_named(&self, source: &Source<'_>, name: &Spanned<String>) -> Result<()> {
        let mut parts: Vec<&str> = name.value.split('.').collect();
        if parts.len() > 1 && parts[0].eq_ignore_ascii_case(CATALOG) {
            parts.remove(0);
        }
        // A point in backticks is part of a name.
        let written = source.slice(name.span);
        let is_one_name = is_quoted(source, name.span) && !written.contains("`.") && !written.contains(".`");
        match parts.as_slice() {
            [database, _, ..] if !is_one_name && find(self.names(), database, false) == Found::None => {
                Err(self.missing(source, &Spanned { value: (*database).to_owned(), span: name.span }))
            }
            _ => Ok(()),
        }
    }

    /// The one name of a table that is named in the database in use.
    pub fn full_name(&self, name: &str) -> String {
        self.full_name_in(&self.current, name)
    }

    /// The one name of a table that is named in that database.
    pub fn full_name_in(&self, database: &str, name: &str) -> String {
        let in_catalog = name.split_once('.').filter(|(first, _)| first.eq_ignore_ascii_case(CATALOG));
        let name = in_catalog.map_or(name, |(_, rest)| rest);
        let named = name.split_once('.').and_then(|(first, table)| match find(self.names(), first, false) {
            Found::One(found) => Some((found, table)),
            _ => None,
        });
        let (database, table) = named.unwrap_or((database, name));
        if database == DEFAULT_DATABASE { table.to_owned() } else { format!("{database}.{table}") }
    }

    /// A table's database and its name there.
    pub fn split<'a>(&self, full_name: &'a str) -> (&'a str, &'a str) {
        match full_name.split_once('.') {
            Some((database, table)) if self.known.contains(database) => (database, table),
            _ => (DEFAULT_DATABASE, full_name),
        }
    }
}

/// Where a table's own name would be taken for one of another database.
///
/// # Errors
/// A user error if a database of that name would hide one of these tables.
pub(super) fn check_hides_nothing(source: &Source<'_>, name: &str, span: Span, tables: &[&str]) -> Result<()> {
    let hidden =
        tables.iter().find(|table| table.split_once('.').is_some_and(|(first, _)| first.eq_ignore_ascii_case(name)));
    hidden.map_or(Ok(()), |hidden| {
        Err(source
            .error(span, format!("`{hidden}` would be taken for a table of this database"))
            .with_help("choose another name"))
    })
}
