//! Functions of plugins in a catalog, and what they share with those that have a body in SQL: the names.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_core::Result;
use weir_core::plugin::PluginFunction;

use super::Catalog;
use crate::artifacts::declared_function;
use crate::diagnostics::{Source, did_you_mean};
use crate::statement::{CreateFunction, ExportedFunction, FunctionDefinition, Span, Spanned};

/// Functions of plugins that a script has declared.
#[derive(Debug, Clone, Default)]
pub(super) struct ExportedFunctions {
    /// The statement that has declared each, by name in lower case.
    statements: BTreeMap<String, Span>,
    /// All that there were, each under a name of its own: what has been planned calls the one that was there then.
    bound: Vec<PluginFunction>,
}

impl ExportedFunctions {
    /// The function under the name by which expressions call it: the script's, unless they may call another one by that.
    fn bind(&mut self, mut function: PluginFunction) -> PluginFunction {
        let key = function.name.clone();
        let mut number = 1;
        while let Some(known) = self.bound.iter().find(|known| known.name == function.name) {
            if *known == function {
                return function;
            }
            number += 1;
            function.name = format!("{key}#{number}");
        }
        self.bound.push(function.clone());
        function
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
        if !is_exported && (functions.scalar(&key).is_some() || functions.aggregate(&key).is_some()) {
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
                self.own_functions.create(source, name, (parameters, body), span, &functions)?;
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
        let function = self.exported.bind(declared_function(source, key.to_owned(), function)?);
        self.functions = Arc::new(self.functions.declaring(key, &function));
        self.exported.statements.insert(key.to_owned(), span);
        Ok(())
    }

    fn forget_exported(&mut self, key: &str) -> bool {
        let was_there = self.exported.statements.remove(key).is_some();
        if was_there {
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

    /// The functions of plugins that expressions may call.
    pub fn exported_functions(&self) -> &[PluginFunction] {
        &self.exported.bound
    }
}
