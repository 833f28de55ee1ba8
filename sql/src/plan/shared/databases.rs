//! In which database the names of a statement are, and how a statement says it where it is kept.

use crate::catalog::Databases;
use crate::parse::DEFAULT_DATABASE;
use crate::statement::{Spanned, Statement};

/// The databases that statements have named so far, whether there are such or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Within(Databases);

impl Within {
    /// Where these are known.
    pub(super) fn known<'a>(databases: impl IntoIterator<Item = &'a str>) -> Self {
        let mut within = Self::default();
        databases.into_iter().for_each(|name| within.0.note(name));
        within
    }

    /// What comes behind this statement is there.
    pub(super) fn follow(&mut self, statement: &Statement) {
        match statement {
            Statement::CreateDatabase { name, .. } => self.0.note(&name.value),
            Statement::Use(Spanned { value, .. }) => self.enter(value),
            _ => {}
        }
    }

    /// What comes next is in that database.
    pub(super) fn enter(&mut self, database: &str) {
        self.0.note_use(database);
    }

    /// The database in use.
    pub(super) fn current(&self) -> &str {
        self.0.current()
    }

    /// The one name of a table.
    pub(super) fn full_name(&self, name: &str) -> String {
        self.0.full_name(name)
    }

    /// A table's name there is another one.
    pub(super) fn renamed(&self, full_name: &str, to: &str) -> String {
        self.0.full_name_in(self.0.split(full_name).0, to)
    }

    /// The database of a table.
    pub(super) fn database_of<'a>(&self, full_name: &'a str) -> &'a str {
        self.0.split(full_name).0
    }

    /// What a declaration needs for the sake of its database, as a key.
    pub(super) fn key_of_database(&self, full_name: &str) -> Option<String> {
        let database = self.database_of(full_name);
        (database != DEFAULT_DATABASE).then(|| as_key(database))
    }
}

/// A database among the names of tables and functions, in small letters.
pub(super) fn as_key(database: &str) -> String {
    format!("{}.", database.to_lowercase())
}

/// `USE`.
pub(super) fn use_of(database: &str) -> String {
    format!("USE `{}`", database.replace('`', "``"))
}

/// A statement as it is kept, without a semicolon.
pub(super) fn wrapped(statement: &str, database: &str) -> String {
    match database {
        DEFAULT_DATABASE => statement.to_owned(),
        _ => format!("{};\n{statement};\n{}", use_of(database), use_of(DEFAULT_DATABASE)),
    }
}

/// A statement that is kept, and its database.
pub(super) fn unwrapped(kept: &str) -> (&str, String) {
    let end = format!(";\n{}", use_of(DEFAULT_DATABASE));
    let within = kept.strip_prefix("USE `").and_then(|rest| rest.strip_suffix(end.as_str()));
    match within.and_then(|rest| rest.split_once("`;\n")) {
        Some((database, statement)) => (statement, database.replace("``", "`")),
        None => (kept, DEFAULT_DATABASE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let text = "CREATE TABLE t (a STRING) WITH ('x' = '`;\n')";
        for database in [DEFAULT_DATABASE, "sales", "b`d"] {
            let kept = wrapped(text, database);
            assert_eq!(unwrapped(&kept), (text, database.to_owned()));
        }
        assert_eq!(wrapped("A", "b`d"), "USE `b``d`;\nA;\nUSE `default_database`");
    }
}
