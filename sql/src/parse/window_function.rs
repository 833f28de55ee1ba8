//! Window functions in a `FROM` clause, read from the form that the parser leaves them in.

use datafusion_sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Spanned, TableAlias, TableFactor,
    TableFunctionArgs,
};
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;

/// Name under which `PARTITION BY` inside a table argument is passed on. No user can write it by accident.
pub const PARTITION_BY: &str = "$partition_by";

const NAMES: [&str; 4] = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];

/// Whether a function of that name divides a table into windows.
pub(super) fn is_window_function(name: &str) -> bool {
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn is_descriptor(expression: &Expr) -> bool {
    matches!(expression, Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("DESCRIPTOR"))
}

/// A call of `TUMBLE`, `HOP`, `CUMULATE` or `SESSION` as a table, its arguments as written.
#[derive(Debug, Clone)]
pub struct WindowFunction {
    /// The function, in capitals.
    pub name: String,
    /// Where its name stands.
    pub span: ParserSpan,
    /// Its arguments in order, `PARTITION BY` left out.
    pub arguments: Vec<WindowArgument>,
    /// `PARTITION BY` inside the table argument.
    pub partition_by: Vec<Expr>,
    /// `AS w`.
    pub alias: Option<TableAlias>,
}

/// An argument of a window function.
#[derive(Debug, Clone)]
pub struct WindowArgument {
    /// `NAME` of `NAME => value`, in capitals.
    pub name: Option<String>,
    /// The value. The table is an identifier or a compound one; the time column is a call of `DESCRIPTOR`.
    pub value: Expr,
}

impl WindowArgument {
    /// The table that this argument names.
    pub fn table(&self) -> Option<ObjectName> {
        match &self.value {
            Expr::Identifier(ident) => Some(ObjectName::from(vec![ident.clone()])),
            Expr::CompoundIdentifier(idents) => Some(ObjectName::from(idents.clone())),
            _ => None,
        }
    }

    /// The columns of `DESCRIPTOR(…)`.
    pub fn descriptor(&self) -> Option<Vec<Ident>> {
        let Expr::Function(function) = &self.value else { return None };
        if !is_descriptor(&self.value) {
            return None;
        }
        let FunctionArguments::List(list) = &function.args else { return None };
        list.args
            .iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) => Some(ident.clone()),
                _ => None,
            })
            .collect()
    }

    /// Where the argument stands.
    pub fn span(&self) -> ParserSpan {
        self.value.span()
    }
}

impl WindowFunction {
    /// The window function that `relation` calls, if it calls one. Arguments that are no expressions are left out of a
    /// call: the parser has refused them.
    pub fn of(relation: &TableFactor) -> Option<Self> {
        let TableFactor::Table { name, alias, args: Some(TableFunctionArgs { args, settings: None }), .. } = relation
        else {
            return None;
        };
        let [part] = name.0.as_slice() else { return None };
        let ident = part.as_ident()?;
        if ident.quote_style.is_some() || !is_window_function(&ident.value) {
            return None;
        }
        let mut function = Self {
            name: ident.value.to_uppercase(),
            span: ident.span,
            arguments: Vec::new(),
            partition_by: Vec::new(),
            alias: alias.clone(),
        };
        // In `PARTITION BY j, k, DESCRIPTOR(ts)` the keys end where the time column begins.
        let mut in_keys = false;
        for argument in args {
            let (name, value) = match argument {
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (Some(name), value),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (None, value),
                _ => continue,
            };
            match name {
                Some(name) if name.value == PARTITION_BY => {
                    in_keys = true;
                    function.partition_by = match value {
                        Expr::Tuple(keys) => keys.clone(),
                        Expr::Nested(key) => vec![(**key).clone()],
                        key => vec![key.clone()],
                    };
                }
                None if in_keys && !is_descriptor(value) => function.partition_by.push(value.clone()),
                name => {
                    in_keys = false;
                    let name = name.map(|name| name.value.to_uppercase());
                    function.arguments.push(WindowArgument { name, value: value.clone() });
                }
            }
        }
        Some(function)
    }
}
