//! Functions of plugins in a catalog, and what they share with those that have a body in SQL: the names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_sql::sqlparser::ast::{Expr, ObjectNamePart};
use weir_core::plugin::PluginFunction;
use weir_core::{JobGraph, Result};

use super::Catalog;
use crate::artifacts::{declared_function, is_taken};
use crate::diagnostics::{Source, did_you_mean};
use crate::statement::{CreateFunction, ExportedFunction, FunctionDefinition, Span, Spanned};
use crate::walk::change_expressions;

/// Functions of plugins that a script has declared.
#[derive(Debug, Clone, Default)]
pub(super) struct ExportedFunctions {
    /// The statement that has declared each, by name in lower case.
    statements: BTreeMap<String, Span>,
    /// All that there were, each under a name of its own: what has been planned calls the one that was there then.
    bound: Vec<PluginFunction>,
    /// What bodies of functions in SQL call each that may be called now, by name in lower case.
    current: BTreeMap<String, String>,
}

impl ExportedFunctions {
    /// The function under the name by which expressions call it: the script's, unless they may call another one by that. And which one of
    /// its name it is.
    fn bind(&mut self, mut function: PluginFunction) -> (PluginFunction, usize) {
        let key = function.name.clone();
        let mut number = 1;
        while let Some(known) = self.bound.iter().find(|known| known.name == function.name) {
            if *known == function {
                return (function, number);
            }
            number += 1;
            function.name = PluginFunction::numbered(&key, number);
        }
        self.bound.push(function.clone());
        (function, number)
    }
}

impl Catalog {
    /// `CREATE FUNCTION`.
    ///
    /// # Errors
    /// A user error if the name is taken, or the function cannot be one.
    pub(super) fn create_function(
        &mut self,
        source: &Source<'_>,
        statement: &CreateFunction,
        span: Span,
    ) -> Result<()> {
        let CreateFunction { name, definition, or_replace, if_not_exists } = statement;
        let key = name.value.to_lowercase();
        let is_exported = self.exported.statements.contains_key(&key);
        let exists = is_exported || self.own_functions.contains(&key);
        let functions = self.functions.clone();
        if !is_exported && is_taken(&key, &functions) {
            return Err(source
                .error(name.span, format!("`{key}` is a built-in function"))
                .with_help("choose another name"));
        }
        if exists && !or_replace {
            if *if_not_exists {
                return Ok(());
            }
            return Err(source
                .error(name.span, format!("there is a function `{key}` already"))
                .with_help("write CREATE OR REPLACE FUNCTION, or choose another name"));
        }
        match definition {
            FunctionDefinition::Sql { parameters, body } => {
                let body = in_place_of_calls(body, &self.exported.current);
                self.own_functions.create(source, name, (parameters, &body), span, &functions)?;
                if is_exported {
                    self.forget_exported(&key);
                }
            }
            FunctionDefinition::Exported(function) => {
                self.declare_exported(source, &key, function, span)?;
                self.own_functions.remove(&key);
            }
        }
        Ok(())
    }

    fn declare_exported(
        &mut self,
        source: &Source<'_>,
        key: &str,
        function: &ExportedFunction,
        span: Span,
    ) -> Result<()> {
        let (function, number) = self.exported.bind(declared_function(source, key.to_owned(), function)?);
        let numbered = PluginFunction::numbered(key, number);
        self.functions = Arc::new(self.functions.declaring(&[key, &numbered], &function));
        self.exported.current.insert(key.to_owned(), numbered);
        self.exported.statements.insert(key.to_owned(), span);
        Ok(())
    }

    fn forget_exported(&mut self, key: &str) -> bool {
        let was_there = self.exported.statements.remove(key).is_some();
        if was_there {
            self.exported.current.remove(key);
            self.functions = Arc::new(self.functions.without(key));
        }
        was_there
    }

    /// `DROP FUNCTION`.
    ///
    /// # Errors
    /// A user error with the nearest name if there is none.
    pub(super) fn drop_function(&mut self, source: &Source<'_>, name: &Spanned<String>, if_exists: bool) -> Result<()> {
        let key = name.value.to_lowercase();
        if self.own_functions.remove(&key) || self.forget_exported(&key) || if_exists {
            return Ok(());
        }
        let error = source.error(name.span, format!("there is no function `{}` to drop", name.value));
        let names = self.declared_functions();
        Err(match names.is_empty() {
            true => error.with_help("built-in functions stay"),
            false => error.with_help(did_you_mean(&name.value, &names, "the functions of the script are")),
        })
    }

    /// Names of the functions that the script has declared, sorted, in lower case.
    pub fn declared_functions(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.own_functions.names().chain(self.exported.statements.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names
    }

    /// The statement that has declared the function of that name.
    pub fn function_statement(&self, name: &str) -> Option<Span> {
        let of_plugin = || self.exported.statements.get(&name.to_lowercase()).copied();
        self.own_functions.statement(name).or_else(of_plugin)
    }

    /// Gives a job the functions of plugins that its expressions call.
    ///
    /// # Errors
    /// A user error if it calls two by one name: which of them goes on with whose state would follow from what else the script declares.
    pub(crate) fn bind_functions(&self, source: &Source<'_>, graph: &mut JobGraph) -> Result<()> {
        graph.bind_functions(&self.exported.bound);
        let name = |function: &PluginFunction| PluginFunction::name_in_sql(&function.name).to_owned();
        let mut names: Vec<String> = graph.functions().iter().map(name).collect();
        names.sort();
        let Some(twice) = names.windows(2).find(|names| names[0] == names[1]).map(|names| &names[0]) else {
            return Ok(());
        };
        let span = self.function_statement(twice).unwrap_or_default();
        Err(source.error(source.first_line(span), format!("the job calls two functions by the name `{twice}`")).with_help(
            "what was declared before the second one calls the first: give one of them another name, or declare views, tables and functions \
             that call it again",
        ))
    }
}

/// A body that goes on to call the functions of plugins that it calls now, whatever their names mean later.
fn in_place_of_calls(body: &Expr, current: &BTreeMap<String, String>) -> Expr {
    let mut body = body.clone();
    let _ = change_expressions(&mut body, |part| {
        if let Expr::Function(call) = part
            && let [ObjectNamePart::Identifier(name)] = call.name.0.as_mut_slice()
            && let Some(numbered) = current.get(&name.value.to_lowercase())
        {
            name.value.clone_from(numbered);
            name.quote_style = Some('`');
        }
        ControlFlow::Continue(())
    });
    body
}
