//! Operators of plugins: whether what they read is what they want, and their outputs as views.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use datafusion_expr::LogicalPlan;
use weir_core::plugin::{OperatorStep, StepInput};
use weir_core::{ChangelogKind, Error, Result};

use super::placed;
use crate::catalog::{Catalog, OperatorView, PluginOperator};
use crate::coercion::travelling_type;
use crate::diagnostics::{Source, did_you_mean};
use crate::logical::Tables;
use crate::parse::sql_type_name;
use crate::statement::{OperatorStatement, Span};

/// Plans what the operator reads and makes its outputs known.
///
/// # Errors
/// A user error if what it reads is not there or is something else, or its outputs cannot be.
pub(super) fn operator(
    catalog: &mut Catalog,
    source: &Source<'_>,
    statement: &OperatorStatement,
    span: Span,
) -> Result<()> {
    let step = &statement.step;
    check_outputs(step).map_err(|error| error.context(format!("the plugin's operator `{}` cannot be", step.view)))?;
    let mut inputs = Vec::new();
    for (input, query) in step.inputs.iter().zip(&statement.inputs) {
        let plan = Tables::new(source.text(), catalog, query.span).query(&query.value)?;
        check_input(step, input, &plan).map_err(|error| placed(source, query.span, error))?;
        inputs.push(plan);
    }
    let operator = Arc::new(PluginOperator { step: step.clone(), artifact: statement.artifact.clone(), inputs, span });
    OperatorView::all(&operator).into_iter().try_for_each(|view| catalog.create_operator_view(source, view, span))
}

/// The columns of the plan are those that were asked for, by name; here it is seen that they are of the type.
fn check_input(step: &OperatorStep, input: &StepInput, plan: &LogicalPlan) -> Result<()> {
    let operator = format!("operator `{}`", step.operator);
    let names = |columns: &SchemaRef| columns.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    for (wanted, given) in input.columns.fields().iter().zip(plan.schema().fields()) {
        let name = wanted.name();
        if wanted.data_type() != given.data_type() {
            let (is, wants) = (type_name(given.data_type()), type_name(wanted.data_type()));
            return Err(Error::user(format!(
                "{operator} reads `{name}` of `{}` as {wants}, which is {is}",
                input.relation
            ))
            .with_help(format!(
                "read a view in which it is `CAST({name} AS {wants})`, or declare it as {is} in the plugin"
            )));
        }
        if given.is_nullable() && !wanted.is_nullable() {
            return Err(Error::user(format!(
                "{operator} reads `{name}` of `{}` as NOT NULL, which may be null",
                input.relation
            ))
            .with_help("make it optional in the plugin (`Option<T>`), or replace nulls in a view: `COALESCE(…)`"));
        }
    }
    let columns = names(&input.columns);
    let known: Vec<&str> = columns.iter().map(String::as_str).collect();
    let keys = input.spread.keys().unwrap_or_default();
    match keys.iter().chain(&input.event_time).find(|name| !columns.contains(name)) {
        Some(name) => Err(Error::user(format!(
            "{operator} has no column `{name}` among those that it reads of `{}`",
            input.relation
        ))
        .with_help(did_you_mean(name, &known, "it reads"))),
        None => Ok(()),
    }
}

fn check_outputs(step: &OperatorStep) -> Result<()> {
    let sides = step.side_outputs.iter().map(|side| (&side.view, &side.columns));
    for (view, columns) in std::iter::once((&step.view, &step.output)).chain(sides) {
        if columns.fields().is_empty() {
            return Err(Error::user(format!("its output `{view}` has no columns")));
        }
        for (index, field) in columns.fields().iter().enumerate() {
            if columns.fields()[..index].iter().any(|other| other.name() == field.name()) {
                return Err(Error::user(format!("its output `{view}` has two columns `{}`", field.name())));
            }
            if let Some(travelling) = travelling_type(field.data_type()) {
                let (name, is) = (field.name(), field.data_type());
                return Err(Error::user(format!("column `{name}` of its output `{view}` is {is}"))
                    .with_help(format!("rows travel as {travelling}: declare it so, and emit it so")));
            }
        }
    }
    if let Some(name) = &step.event_time {
        let is_timestamp = |field: &&FieldRef| *field.data_type() == DataType::Timestamp(TimeUnit::Millisecond, None);
        let field = step.output.fields().iter().find(|field| field.name() == name);
        if field.filter(is_timestamp).is_none() {
            return Err(Error::user(format!("`{name}` is its event time, and not a TIMESTAMP(3) of its output")));
        }
    }
    if let ChangelogKind::Upsert(_) = step.changelog {
        return Err(Error::user("it replaces rows by key, which operators of plugins do not yet")
            .with_help("take the row before back, with the weight -1, and add the new one"));
    }
    Ok(())
}

fn type_name(data_type: &DataType) -> String {
    match sql_type_name(data_type) {
        // Of different types with one name the difference has to show.
        name if travelling_type(data_type).is_some() => format!("{name} ({data_type})"),
        name => name,
    }
}
