//! A job that a plugin has described, as a script: its statements as they are, for each operator what it reads, written as queries, and each table
//! of its own as it declares it. So names and columns are found, and errors placed, as in any script.

use std::sync::Arc;

use weir_core::plugin::{Artifact, JobDescription, JobStep, OperatorStep, PluginTable, TableStep};
use weir_core::{Error, Result};

use crate::parse::parse;
use crate::statement::{CreateTable, OperatorStatement, Script, Span, Spanned, Statement};

/// The script of a job. `artifact` is the file that the plugin is; `None`: it is linked into the process.
///
/// # Errors
/// A user error if a statement cannot be read, or an operator makes no sense by itself.
pub fn script_of(description: &JobDescription, artifact: Option<&Artifact>) -> Result<Script> {
    let mut text = String::new();
    let (mut operators, mut tables) = (Vec::new(), Vec::new());
    for step in &description.steps {
        match step {
            JobStep::Sql(statements) => {
                // One that is not whole would take words of the next step.
                parse(statements)
                    .map_err(|error| error.context("the plugin's job has a statement that cannot be read"))?;
                text.push_str(statements.trim_end().trim_end_matches(';'));
                text.push_str("\n;\n");
            }
            JobStep::Operator(step) => {
                check(step)?;
                let start = text.len();
                write_inputs(&mut text, step);
                operators.push((Span { start, end: text.len() }, step));
            }
            JobStep::Table(step) => {
                check_table(step)?;
                let start = text.len();
                text.push_str(step.declaration.trim_end().trim_end_matches(';'));
                text.push_str("\n;\n");
                tables.push((Span { start, end: text.len() }, step));
            }
        }
    }
    let mut script = parse(&text)?;
    for (span, step) in tables {
        let (start, _) = statements_in(&script, span);
        let Some(Statement::CreateTable(table)) =
            script.statements.get_mut(start).map(|statement| &mut statement.value)
        else {
            return Err(Error::internal(format!("the table `{}` was not read as it was written", step.table)));
        };
        let TableStep { declaration: _, table: name, config, kind } = step.clone();
        table.plugin = Some(Box::new(PluginTable { artifact: artifact.cloned(), table: name, config, kind }));
    }
    for (span, step) in operators {
        let (start, length) = statements_in(&script, span);
        let inputs =
            script.statements.splice(start..start + length, []).filter_map(|statement| match statement.value {
                Statement::Query(query) => Some(Spanned { value: query, span: statement.span }),
                _ => None,
            });
        let inputs: Vec<_> = inputs.collect();
        if inputs.len() != step.inputs.len() {
            return Err(Error::internal(format!("the inputs of `{}` were not read as they were written", step.view)));
        }
        let end = text.get(span.start..span.end).map_or(span.end, |own| span.start + own.trim_end().len());
        let statement = OperatorStatement { step: step.clone(), artifact: artifact.cloned(), inputs };
        let span = Span { start: span.start, end };
        script.statements.insert(start, Spanned { value: Statement::Operator(Box::new(statement)), span });
    }
    script.text = Arc::from(text);
    Ok(script)
}

/// Where the statements that stand within `span` begin, and how many they are.
fn statements_in(script: &Script, span: Span) -> (usize, usize) {
    let is_inside = |statement: &&Spanned<Statement>| (span.start..span.end).contains(&statement.span.start);
    let start = script.statements.iter().position(|statement| statement.span.start >= span.start);
    (start.unwrap_or(script.statements.len()), script.statements.iter().filter(is_inside).count())
}

/// The declaration of a table is that and nothing else: what stands in it is told whose code it is.
fn check_table(step: &TableStep) -> Result<()> {
    let name = &step.table;
    let script = parse(&step.declaration)
        .map_err(|error| error.context(format!("the plugin's table `{name}` has a declaration that cannot be read")))?;
    match &*script.statements {
        [Spanned { value: Statement::CreateTable(CreateTable { like: None, query: None, .. }), .. }] => Ok(()),
        _ => Err(Error::user(format!("the plugin's table `{name}` is declared by something else than a CREATE TABLE"))),
    }
}

fn check(step: &OperatorStep) -> Result<()> {
    let wrong = |what: String| Err(Error::user(format!("the plugin's operator `{}` {what}", step.view)));
    if step.view.is_empty() || step.operator.is_empty() {
        return Err(Error::user("the plugin's job has an operator without a name"));
    }
    if step.inputs.is_empty() {
        return wrong("reads nothing: it has no input".to_owned());
    }
    if let Some(input) = step.inputs.iter().find(|input| input.columns.fields().is_empty()) {
        return wrong(format!("reads no column of `{}`", input.relation));
    }
    if step.side_outputs.len() > usize::from(u16::MAX) {
        return wrong(format!("has {} side outputs", step.side_outputs.len()));
    }
    Ok(())
}

/// A comment with the operator's name, and a query for each input.
fn write_inputs(text: &mut String, step: &OperatorStep) {
    let comment = |name: &str| name.replace(['\n', '\r'], " ");
    text.push_str(&format!("-- view {}: operator {}, which reads\n", comment(&step.view), comment(&step.operator)));
    for input in &step.inputs {
        let columns: Vec<String> = input.columns.fields().iter().map(|field| quoted(field.name())).collect();
        text.push_str(&format!("SELECT {} FROM {};\n", columns.join(", "), quoted_relation(&input.relation)));
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Names of tables are matched as they stand in a script: a plain one whatever its capitals.
fn quoted_relation(name: &str) -> String {
    let is_plain = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        && name.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_');
    if is_plain { name.to_owned() } else { quoted(name) }
}
