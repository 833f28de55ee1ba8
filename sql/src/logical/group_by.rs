//! `GROUP BY 2` where the second column of the SELECT is an aggregate. DataFusion would look for it among the columns of single rows.

use datafusion_sql::sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, Query, Select, SelectItem, Spanned as _, Value,
};
use weir_core::{Error, Result};
use weir_functions::Functions;

use crate::diagnostics::Source;
use crate::walk::{Look, Step, look, look_at_expressions};

/// Refuses aggregates among the keys of GROUP BY.
///
/// # Errors
/// A user error at the key.
pub(super) fn check(source: &Source<'_>, query: &Query, functions: &Functions) -> Result<()> {
    let mut keys = Keys { source, functions, refused: None };
    let _ = look(query, &mut keys);
    keys.refused.map_or(Ok(()), Err)
}

struct Keys<'a> {
    source: &'a Source<'a>,
    functions: &'a Functions,
    /// The first.
    refused: Option<Error>,
}

impl Look for Keys<'_> {
    fn select(&mut self, select: &Select) -> Step {
        let GroupByExpr::Expressions(keys, _) = &select.group_by else { return Step::Continue(()) };
        for key in keys {
            let Some((aggregate, what)) = aggregate_of(key, &select.projection, self.functions) else { continue };
            let span = self.source.span(key.span()).unwrap_or_default();
            let error = self.source.error(span, format!("{what}, `{aggregate}`, which cannot be a key of GROUP BY"));
            self.refused =
                Some(error.with_help("group by columns that are no aggregates, and by window_start and window_end"));
            return Step::Break(());
        }
        Step::Continue(())
    }
}

/// The aggregate that a key names, and how.
fn aggregate_of(key: &Expr, projection: &[SelectItem], functions: &Functions) -> Option<(Expr, String)> {
    let Expr::Value(value) = key else {
        return is_aggregate(key, functions).then(|| (key.clone(), "this is an aggregate".to_owned()));
    };
    let Value::Number(number, _) = &value.value else { return None };
    let place: usize = number.parse().ok()?;
    match projection.get(place.checked_sub(1)?)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if is_aggregate(expr, functions) => {
            Some((expr.clone(), format!("column {place} of the SELECT is an aggregate")))
        }
        _ => None,
    }
}

/// Whether an aggregate of the rows themselves is in it.
fn is_aggregate(expression: &Expr, functions: &Functions) -> bool {
    let mut found = false;
    let _ = look_at_expressions(expression, |expression| match expression {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => Step::Break(()),
        Expr::Function(function) => {
            let calls = !matches!(function.args, FunctionArguments::Subquery(_)) && function.over.is_none();
            found |= calls && functions.aggregate(&function.name.to_string()).is_some();
            Step::Continue(())
        }
        _ => Step::Continue(()),
    });
    found
}
