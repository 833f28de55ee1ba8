//! A catalog that several scripts share: `CREATE` statements, of which those that a script needs stand before it. A script of `CREATE`s and
//! `DROP`s changes it.

mod change;
mod created_as;
mod names;

use std::collections::BTreeSet;

use weir_functions::Functions;

use crate::diagnostics::{Source, without_secrets};
use crate::logical::window_functions;
use crate::parse::parse;
use crate::statement::{CreateTable, Script, Spanned, Statement, TableChange};

pub use change::changed;
pub use created_as::in_two;
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
}

impl DeclarationKind {
    /// In small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Function => "function",
        }
    }
}

/// A statement of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// What it declares.
    pub kind: DeclarationKind,
    /// Under which name.
    pub name: String,
    /// The `CREATE` statement, without a semicolon.
    pub statement: String,
    /// Names of tables, views and functions in it, in small letters.
    uses: BTreeSet<String>,
}

impl Declaration {
    /// What a statement declares; `None` if it does something else.
    fn of(script: &Script, statement: &Spanned<Statement>) -> Option<Self> {
        let (kind, name) = match &statement.value {
            Statement::CreateTable(CreateTable { query: None, name, .. }) => (DeclarationKind::Table, name),
            Statement::CreateView { name, .. } => (DeclarationKind::View, name),
            Statement::CreateFunction(function) => (DeclarationKind::Function, &function.name),
            _ => return None,
        };
        let text = Source::new(&script.text).slice(statement.span).trim_end().to_owned();
        Some(Self { kind, name: name.value.clone(), statement: text, uses: uses(&statement.value) })
    }

    /// The same with an `ALTER TABLE` behind its statement; `None`: it is no such statement.
    fn altered(mut self, script: &Script, statement: &Spanned<Statement>) -> Option<Self> {
        let Statement::AlterTable(alter) = &statement.value else { return None };
        let text = Source::new(&script.text).slice(statement.span).trim_end();
        self.statement = format!("{};\n{text}", self.statement);
        self.uses.extend(uses(&statement.value));
        self.uses.remove(&self.name.to_lowercase());
        if let TableChange::RenameTo(name) = &alter.change {
            self.name.clone_from(&name.value);
        }
        Some(self)
    }

    /// What a statement declares that this version of Weir cannot read, by its first words.
    fn by_words(statement: &str) -> Option<Self> {
        let mut words = statement.split(|character: char| character.is_whitespace() || character == '(');
        let mut kind = None;
        let name = words.find(|word| match word.to_uppercase().as_str() {
            "TABLE" if kind.is_none() => kind.insert(DeclarationKind::Table) == &DeclarationKind::View,
            "VIEW" if kind.is_none() => kind.insert(DeclarationKind::View) == &DeclarationKind::Table,
            "FUNCTION" if kind.is_none() => kind.insert(DeclarationKind::Function) == &DeclarationKind::Table,
            "CREATE" | "OR" | "REPLACE" | "TEMPORARY" | "IF" | "NOT" | "EXISTS" | "" => false,
            _ => kind.is_some(),
        })?;
        let name = name.trim_matches(['`', '"']).to_owned();
        Some(Self { kind: kind?, name, statement: statement.to_owned(), uses: BTreeSet::new() })
    }

    fn is_called(&self, lower_case: &str) -> bool {
        self.name.to_lowercase() == lower_case
    }

    /// The statement as it may be shown to people: options that hold secrets are masked.
    pub fn shown(&self) -> String {
        without_secrets(&self.statement)
    }
}

/// The statements of a catalog as the beginning of a script.
pub fn beginning(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

/// What the statements of a catalog declare. One that this version of Weir cannot read is known by its name alone.
pub fn declarations(statements: &[String]) -> Vec<Declaration> {
    let declaration = |statement: &String| {
        let read = parse(statement).ok().and_then(|script| {
            let (created, altered) = script.statements.split_first()?;
            altered.iter().try_fold(Declaration::of(&script, created)?, |declaration, change| {
                declaration.altered(&script, change)
            })
        });
        read.or_else(|| Declaration::by_words(statement))
    };
    statements.iter().filter_map(declaration).collect()
}

/// Whether a script names tables or functions that it has not declared itself: a catalog may have them.
pub fn asks_for_more(script: &Script, functions: &Functions) -> bool {
    let is_built_in = |name: &str| functions.scalar(name).is_some() || functions.aggregate(name).is_some();
    asked(script).iter().any(|name| !is_built_in(name))
}

/// The statements of a catalog that a script needs: what it names and has not declared itself, and what that needs. All of them if it names
/// what nobody knows, so that an error can name the nearest one.
pub fn needed(statements: &[String], script: &Script, functions: &Functions) -> Vec<String> {
    let declared = declarations(statements);
    let asked = asked(script);
    let is_known = |name: &String| {
        functions.scalar(name).is_some()
            || functions.aggregate(name).is_some()
            || window_functions().iter().any(|known| known.eq_ignore_ascii_case(name))
            || declared.iter().any(|declaration| declaration.is_called(name))
    };
    let of_others: BTreeSet<String> =
        script.statements.iter().flat_map(|statement| uses_of_others(&statement.value)).collect();
    if !asked.intersection(&of_others).all(is_known) {
        let own: Vec<Declaration> =
            script.statements.iter().filter_map(|statement| Declaration::of(script, statement)).collect();
        let others = declared.into_iter().filter(|known| !own.iter().any(|own| own.is_rival(known)));
        return others.map(|declaration| declaration.statement).collect();
    }
    closure(&declared, asked).into_iter().map(|declaration| declaration.statement.clone()).collect()
}

fn asked(script: &Script) -> BTreeSet<String> {
    let (mut asked, mut known) = (BTreeSet::new(), BTreeSet::new());
    for statement in &script.statements {
        asked.extend(uses(&statement.value).into_iter().filter(|name| !known.contains(name)));
        match &statement.value {
            Statement::CreateTable(table) => known.insert(table.name.value.to_lowercase()),
            Statement::CreateView { name, .. } => known.insert(name.value.to_lowercase()),
            Statement::CreateFunction(function) => known.insert(function.name.value.to_lowercase()),
            Statement::Operator(operator) => {
                known.extend(operator.step.side_outputs.iter().map(|side| side.view.to_lowercase()));
                known.insert(operator.step.view.to_lowercase())
            }
            _ => false,
        };
    }
    asked
}

/// The declarations of these names and of those that they use, in their order.
fn closure(declared: &[Declaration], mut names: BTreeSet<String>) -> Vec<&Declaration> {
    let mut wanted = vec![false; declared.len()];
    loop {
        let new = declared
            .iter()
            .zip(&mut wanted)
            .filter(|(declaration, wanted)| !**wanted && names.contains(&declaration.name.to_lowercase()));
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
