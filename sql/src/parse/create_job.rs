//! `CREATE JOB name [WITH ('key' = 'value', …)] AS` an `INSERT`, or a statement set: it with settings in front, of which one is the job's name.

use std::ops::Range;

use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;

use super::create_table::{empty, options};
use super::cursor::Cursor;
use crate::diagnostics::Source;
use crate::statement::{Span, Spanned, Statement};

/// The setting with the name of a job, and that which `'parallelism'` stands for.
const NAME: &str = "pipeline.name";
const PARALLELISM: &str = "parallelism.default";

/// What follows `CREATE JOB`, to the `AS`: settings.
pub(super) fn create_job(cursor: &mut Cursor<'_>) -> Result<Vec<Spanned<Statement>>> {
    if cursor.sees(&["IF", "NOT", "EXISTS"]) {
        return Err(cursor
            .error_here("CREATE JOB begins a job, whether there is one of that name or not")
            .with_help("leave IF NOT EXISTS out: a name that another job has is refused"));
    }
    let name = match cursor.sees_token(&Token::LParen) {
        true => return Err(cursor.unexpected("the name of a job")),
        false => job_name(cursor)?,
    };
    let mut settings = empty(name.clone());
    if cursor.take(&["WITH"]) {
        options(cursor, &mut settings)?;
    }
    cursor.expect(&["AS"])?;
    let place = name.span;
    let set = |key: Spanned<String>, value: Spanned<String>| {
        let span = Span { start: key.span.start, end: value.span.end };
        Spanned { value: Statement::Set { key, value }, span }
    };
    let mut statements = vec![set(Spanned { value: NAME.to_owned(), span: place }, name)];
    for option in settings.options {
        let key = match option.key.value.as_str() {
            "parallelism" => PARALLELISM.to_owned(),
            _ => option.key.value,
        };
        statements.push(set(Spanned { value: key, span: option.key.span }, option.value));
    }
    Ok(statements)
}

/// A name, or a text with one.
fn job_name(cursor: &mut Cursor<'_>) -> Result<Spanned<String>> {
    match &cursor.parser().peek_token_ref().token {
        Token::SingleQuotedString(_) => cursor.string("the name of a job"),
        _ => cursor.identifier("the name of a job"),
    }
}

/// Whether the job that is created is the only one of its script: of its statements those in `own` alone run.
///
/// # Errors
/// A user error at the statement that creates it.
pub(super) fn is_alone(
    source: &Source<'_>,
    statements: &[Spanned<Statement>],
    created: Span,
    own: &Range<usize>,
) -> Result<()> {
    let runs = |statement: &Spanned<Statement>| {
        matches!(statement.value, Statement::Insert { .. } | Statement::Query(_) | Statement::Operator(_))
    };
    if statements.iter().enumerate().all(|(index, statement)| own.contains(&index) || !runs(statement)) {
        return Ok(());
    }
    Err(source
        .error(source.first_line(created), "a script is one job, and this one has more than CREATE JOB names")
        .with_help(
            "write each CREATE JOB into a script of its own; several INSERTs are one job as a statement set: `CREATE JOB j AS EXECUTE STATEMENT \
             SET BEGIN … END;`",
        ))
}
