//! A catalog that several scripts share: `CREATE` statements, of which those that a script needs stand before it. A script of `CREATE`s and
//! `DROP`s changes it.
//!
//! A statement about another database than that which is always there is kept between two `USE`s, so that each of them stands by itself.

mod change;
mod created_as;
mod databases;
mod names;

use std::collections::BTreeSet;

use weir_functions::Functions;

use crate::diagnostics::{Source, without_secrets};
use crate::logical::window_functions;
use crate::parse::{DEFAULT_DATABASE, parse};
use crate::statement::{CreateTable, Script, Spanned, Statement, TableChange};

pub use change::changed;
pub use created_as::in_two;
use databases::{Within, as_key, unwrapped, use_of, wrapped};
use names::{uses, uses_of_others};

/// What a catalog declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeclarationKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A function.
    Function,
    /// A database.
    Database,
}

impl DeclarationKind {
    /// In small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Function => "function",
            Self::Database => "database",
        }
    }
}

/// A statement of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// What it declares.
    pub kind: DeclarationKind,
    /// Under which name: that of a table or view stands behind the name of its database, unless that is the one that is always there.
    pub name: String,
    /// The `CREATE` statement, without a semicolon, as it is written in its database.
    pub statement: String,
    /// The database that was in use.
    database: String,
    /// Names of tables, views, functions and databases in it, in small letters.
    uses: BTreeSet<String>,
}

impl Declaration {
    /// What a statement declares; `None` if it does something else.
    fn of(script: &Script, statement: &Spanned<Statement>, within: &Within) -> Option<Self> {
        let (kind, name) = match &statement.value {
            Statement::CreateTable(CreateTable { query: None, name, .. }) => (DeclarationKind::Table, name),
            Statement::CreateView { name, .. } => (DeclarationKind::View, name),
            Statement::CreateFunction(function) => (DeclarationKind::Function, &function.name),
            Statement::CreateDatabase { name, .. } => (DeclarationKind::Database, name),
            _ => return None,
        };
        let text = Source::new(&script.text).slice(statement.span).trim_end().to_owned();
        let (name, database) = match kind {
            DeclarationKind::Table | DeclarationKind::View => (within.full_name(&name.value), within.current()),
            // They are in no database.
            DeclarationKind::Function | DeclarationKind::Database => (name.value.clone(), DEFAULT_DATABASE),
        };
        let mut uses = uses(&statement.value, within);
        if matches!(kind, DeclarationKind::Table | DeclarationKind::View) {
            uses.extend(within.key_of_database(&name));
        }
        Some(Self { kind, name, statement: text, database: database.to_owned(), uses })
    }

    /// The same with an `ALTER TABLE` behind its statement; `None`: it is no such statement.
    fn altered(mut self, script: &Script, statement: &Spanned<Statement>, within: &Within) -> Option<Self> {
        let Statement::AlterTable(alter) = &statement.value else { return None };
        let text = Source::new(&script.text).slice(statement.span).trim_end();
        // Names in it are in the database in use, which need not be that of the table.
        let text = match within.current() == self.database {
            true => text.to_owned(),
            false => format!("{};\n{text};\n{}", use_of(within.current()), use_of(&self.database)),
        };
        self.statement = format!("{};\n{text}", self.statement);
        self.uses.extend(uses(&statement.value, within));
        self.uses.remove(&self.name.to_lowercase());
        if let TableChange::RenameTo(name) = &alter.change {
            self.name = within.renamed(&self.name, &name.value);
        }
        Some(self)
    }

    /// What a statement declares that this version of Weir cannot read, by its first words.
    fn by_words(statement: &str, within: &Within) -> Option<Self> {
        let mut words = statement.split(|character: char| character.is_whitespace() || character == '(');
        let mut kind = None;
        let name = words.find(|word| match word.to_uppercase().as_str() {
            "TABLE" if kind.is_none() => kind.insert(DeclarationKind::Table) == &DeclarationKind::View,
            "VIEW" if kind.is_none() => kind.insert(DeclarationKind::View) == &DeclarationKind::Table,
            "FUNCTION" if kind.is_none() => kind.insert(DeclarationKind::Function) == &DeclarationKind::Table,
            "DATABASE" if kind.is_none() => kind.insert(DeclarationKind::Database) == &DeclarationKind::Table,
            "CREATE" | "OR" | "REPLACE" | "TEMPORARY" | "IF" | "NOT" | "EXISTS" | "" => false,
            _ => kind.is_some(),
        })?;
        let name = name.trim_matches(['`', '"']).to_owned();
        let kind = kind?;
        let name = match kind {
            DeclarationKind::Table | DeclarationKind::View => within.full_name(&name),
            DeclarationKind::Function | DeclarationKind::Database => name,
        };
        let uses = within.key_of_database(&name).into_iter().collect();
        Some(Self { kind, name, statement: statement.to_owned(), database: within.current().to_owned(), uses })
    }

    /// What others call it, in small letters.
    fn key(&self) -> String {
        match self.kind {
            DeclarationKind::Database => as_key(&self.name),
            _ => self.name.to_lowercase(),
        }
    }

    /// The statement as it is kept: by itself, whatever database is in use.
    pub fn kept(&self) -> String {
        wrapped(&self.statement, &self.database)
    }

    /// The same as it may be shown to people: options that hold secrets are masked.
    pub fn shown(&self) -> String {
        without_secrets(&self.kept())
    }
}

/// The statements of a catalog as the beginning of a script.
pub fn beginning(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

/// What the statements of a catalog declare. One that this version of Weir cannot read is known by its name alone.
pub fn declarations(statements: &[String]) -> Vec<Declaration> {
    let read: Vec<_> = statements.iter().map(|kept| unwrapped(kept)).map(|kept| (parse(kept.0).ok(), kept)).collect();
    let mut known = Within::default();
    read.iter().filter_map(|(script, _)| script.as_ref()?.statements.first()).for_each(|one| known.follow(&one.value));
    let declaration = |(script, (text, database)): &(Option<Script>, (&str, String))| {
        let mut within = known.clone();
        within.enter(database);
        let declared = script.as_ref().and_then(|script| {
            let mut within = within.clone();
            let (created, altered) = script.statements.split_first()?;
            altered.iter().try_fold(Declaration::of(script, created, &within)?, |declaration, change| {
                within.follow(&change.value);
                match &change.value {
                    Statement::Use(_) => Some(declaration),
                    _ => declaration.altered(script, change, &within),
                }
            })
        });
        declared.or_else(|| Declaration::by_words(text, &within))
    };
    read.iter().filter_map(declaration).collect()
}

/// Where names are if these are declared.
fn within(declared: &[Declaration]) -> Within {
    let databases = declared.iter().filter(|known| known.kind == DeclarationKind::Database);
    Within::known(databases.map(|known| known.name.as_str()))
}

/// Whether a script names tables or functions that it has not declared itself: a catalog may have them.
pub fn asks_for_more(script: &Script, functions: &Functions) -> bool {
    let is_built_in = |name: &str| functions.scalar(name).is_some() || functions.aggregate(name).is_some();
    asked(script, Within::default()).iter().any(|name| !is_built_in(name))
}

/// The statements of a catalog that a script needs: what it names and has not declared itself, and what that needs. All of them if it names
/// what nobody knows, so that an error can name the nearest one.
pub fn needed(statements: &[String], script: &Script, functions: &Functions) -> Vec<String> {
    let declared = declarations(statements);
    let within = within(&declared);
    let asked = asked(script, within.clone());
    let is_known = |name: &String| {
        functions.scalar(name).is_some()
            || functions.aggregate(name).is_some()
            || window_functions().iter().any(|known| known.eq_ignore_ascii_case(name))
            || declared.iter().any(|declaration| declaration.key() == *name)
    };
    let mut of_others = BTreeSet::new();
    each(script, within.clone(), |statement, within| of_others.extend(uses_of_others(&statement.value, within)));
    if !asked.intersection(&of_others).all(is_known) {
        let mut own = Vec::new();
        each(script, within, |statement, within| own.extend(Declaration::of(script, statement, within)));
        let others = declared.into_iter().filter(|known| !own.iter().any(|own| own.is_rival(known)));
        return others.map(|declaration| declaration.kept()).collect();
    }
    closure(&declared, asked).into_iter().map(Declaration::kept).collect()
}

/// The functions that a script calls, in lower case, whatever they are.
pub fn called(script: &Script) -> BTreeSet<String> {
    script.statements.iter().flat_map(|statement| names::called(&statement.value)).collect()
}

/// Each statement of a script, and where its names are.
fn each<'a>(script: &'a Script, mut within: Within, mut look: impl FnMut(&'a Spanned<Statement>, &Within)) {
    for statement in &script.statements {
        look(statement, &within);
        within.follow(&statement.value);
    }
}

fn asked(script: &Script, within: Within) -> BTreeSet<String> {
    let (mut asked, mut known) = (BTreeSet::new(), BTreeSet::new());
    each(script, within, |statement, within| {
        asked.extend(uses(&statement.value, within).into_iter().filter(|name| !known.contains(name)));
        let named = |name: &str| within.full_name(name).to_lowercase();
        match &statement.value {
            Statement::CreateTable(table) => known.insert(named(&table.name.value)),
            Statement::CreateView { name, .. } => known.insert(named(&name.value)),
            Statement::CreateFunction(function) => known.insert(function.name.value.to_lowercase()),
            Statement::CreateDatabase { name, .. } => known.insert(as_key(&name.value)),
            Statement::Operator(operator) => {
                known.extend(operator.step.side_outputs.iter().map(|side| named(&side.view)));
                known.insert(named(&operator.step.view))
            }
            _ => false,
        };
    });
    asked
}

/// The declarations of these names and of those that they use, in their order.
fn closure(declared: &[Declaration], mut names: BTreeSet<String>) -> Vec<&Declaration> {
    let mut wanted = vec![false; declared.len()];
    loop {
        let new = declared
            .iter()
            .zip(&mut wanted)
            .filter(|(declaration, wanted)| !**wanted && names.contains(&declaration.key()));
        let more: Vec<&BTreeSet<String>> = new
            .map(|(declaration, wanted)| {
                *wanted = true;
                &declaration.uses
            })
            .collect();
        if more.is_empty() {
            break;
        }
        names.extend(more.into_iter().flatten().cloned());
    }
    declared.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(declaration, _)| declaration).collect()
}
