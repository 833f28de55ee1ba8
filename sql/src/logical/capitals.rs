//! Columns that are named without quotes and in other capitals than they have: `tailnum` for `TAILNUM`.
//!
//! DataFusion resolves names as they are written, and says which it knew where one is missing. If just one of those
//! differs in its capitals alone, it is what was meant: the query gets it, and is planned again.

use datafusion_common::{Column, DataFusionError, SchemaError, Span as DataFusionSpan};
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query,
};
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;

use crate::walk::{Step, change_expressions};

/// Names that have been corrected, so that none is corrected twice.
#[derive(Debug, Default)]
pub(super) struct Capitals {
    corrected: Vec<ParserSpan>,
}

impl Capitals {
    /// Corrects the name in `query` that `error` is about, and says whether it could.
    pub(super) fn correct(&mut self, query: &mut Query, error: &DataFusionError) -> bool {
        let DataFusionError::SchemaError(schema, _) = error.find_root() else { return false };
        let SchemaError::FieldNotFound { field, valid_fields } = &**schema else { return false };
        let Some(meant) = meant(field, valid_fields) else {
            return field.relation.is_none() && constant(query, &field.name);
        };
        let place = error.diagnostic().and_then(|diagnostic| diagnostic.span).or_else(|| field.spans().first());
        let before = self.corrected.len();
        let _ = change_expressions(query, |expression| {
            match expression {
                Expr::Identifier(name) if field.relation.is_none() => {
                    self.replace(name, &field.name, &meant.name, place)
                }
                Expr::CompoundIdentifier(names) => match (names.as_mut_slice(), &field.relation, &meant.relation) {
                    ([table, name], Some(asked), Some(relation)) if table.value == asked.table() => {
                        // The place of a compound name is that of its first part or of the whole.
                        let place = place.filter(|place| !starts_at(table, *place));
                        self.replace(table, asked.table(), relation.table(), None);
                        self.replace(name, &field.name, &meant.name, place);
                    }
                    ([name, ..], None, _) => self.replace(name, &field.name, &meant.name, place),
                    _ => {}
                },
                _ => {}
            }
            Step::Continue(())
        });
        self.corrected.len() > before
    }

    fn replace(&mut self, name: &mut Ident, asked: &str, meant: &str, place: Option<DataFusionSpan>) {
        let elsewhere = place.is_some_and(|place| !starts_at(name, place));
        if name.quote_style.is_some() || name.value != asked || asked == meant || elsewhere {
            return;
        }
        if !self.corrected.contains(&name.span) {
            self.corrected.push(name.span);
            meant.clone_into(&mut name.value);
        }
    }
}

fn starts_at(name: &Ident, place: DataFusionSpan) -> bool {
    (name.span.start.line, name.span.start.column) == (place.start.line, place.start.column)
}

/// Has `PI`, which takes no parentheses where no column has its name, be called in the query; says whether it is there.
fn constant(query: &mut Query, name: &str) -> bool {
    let mut found = false;
    if !name.eq_ignore_ascii_case("pi") {
        return found;
    }
    let _ = change_expressions(query, |expression| {
        if let Expr::Identifier(ident) = expression
            && ident.quote_style.is_none()
            && ident.value == name
        {
            let name = Ident { value: "pi".to_owned(), quote_style: None, span: ident.span };
            found = true;
            *expression = Expr::Function(Function {
                name: ObjectName::from(vec![name]),
                uses_odbc_syntax: false,
                parameters: FunctionArguments::None,
                args: FunctionArguments::List(FunctionArgumentList {
                    duplicate_treatment: None,
                    args: Vec::new(),
                    clauses: Vec::new(),
                }),
                filter: None,
                null_treatment: None,
                over: None,
                within_group: Vec::new(),
            });
        }
        Step::Continue(())
    });
    found
}

/// The only known column that differs from `asked` in its capitals alone, in its table's too if it has one.
fn meant<'a>(asked: &Column, known: &'a [Column]) -> Option<&'a Column> {
    let same = |left: &str, right: &str| left.to_lowercase() == right.to_lowercase();
    let mut similar = known.iter().filter(|column| {
        let table = match (&asked.relation, &column.relation) {
            (None, _) => true,
            (Some(asked), Some(relation)) => same(asked.table(), relation.table()),
            (Some(_), None) => false,
        };
        table && same(&asked.name, &column.name)
    });
    let first = similar.next()?;
    // The same name of two tables is ambiguous, and DataFusion says so once it is spelt right.
    let one_name = similar.all(|other| other.name == first.name && (asked.relation.is_none() || other == first));
    one_name.then_some(first)
}
