//! Statements by their first words.

use std::ops::Range;

use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;

use super::alter_table::alter_table;
use super::create_function::create_function;
use super::create_table::create_table;
use super::cursor::Cursor;
use super::dialect::WeirDialect;
use super::segments::Segment;
use super::show::{describe, show, stop};
use super::{create_job, database, emission, hints, rewrite, scan, unsupported, version_alias};
use crate::diagnostics::Source;
use crate::statement::{ExplainDetails, Show, Span, Spanned, Statement};

/// The statements of a script. Statement sets are opened: each of their inserts is a statement of its own.
pub(super) fn statements(source: &Source<'_>, segments: Vec<Segment>) -> Result<Vec<Spanned<Statement>>> {
    let mut statements = Vec::new();
    let mut open_set: Option<Span> = None;
    let mut named: Option<Named> = None;
    for mut segment in segments {
        scan::scan(source, &segment)?;
        hints::obey(source, &mut segment)?;
        emission::clauses(source, &mut segment)?;
        version_alias::behind_versions(&mut segment);
        rewrite::table_arguments(source, &mut segment)?;
        let dialect = WeirDialect::new(segment.tokens.len());
        let mut cursor = Cursor::new(source, &segment, &dialect);
        if open_set.is_some() && cursor.take(&["END"]) {
            cursor.end()?;
            open_set = None;
            named.iter_mut().for_each(|named| named.is_open = false);
            continue;
        }
        let begins = cursor.here().start;
        let creates_job = open_set.is_none() && cursor.take(&["CREATE", "JOB"]);
        if creates_job {
            statements.extend(create_job::create_job(&mut cursor)?);
            let span = Span { start: begins, end: segment.span.end };
            named = Some(Named { span, own: statements.len()..statements.len(), is_open: true });
        }
        let opens = cursor.here();
        if cursor.take(&["EXECUTE", "STATEMENT", "SET"]) || cursor.take(&["STATEMENT", "SET"]) {
            cursor.expect(&["BEGIN"])?;
            open_statement_set(source, &mut open_set, opens)?;
        } else if cursor.take(&["BEGIN", "STATEMENT", "SET"]) {
            open_statement_set(source, &mut open_set, opens)?;
        }
        if open_set.is_some() && cursor.at_end() {
            continue;
        }
        let start = cursor.here().start;
        if open_set.is_some() && !cursor.sees(&["INSERT"]) {
            return Err(cursor.unexpected("INSERT INTO or END, since a statement set holds inserts alone"));
        }
        if creates_job && !cursor.sees(&["INSERT"]) {
            return Err(cursor.unexpected("INSERT INTO, or EXECUTE STATEMENT SET BEGIN"));
        }
        let value = statement(&mut cursor)?;
        cursor.end()?;
        statements.push(Spanned { value, span: Span { start, end: segment.span.end } });
        if let Some(named) = named.as_mut().filter(|named| named.is_open) {
            named.own.end = statements.len();
            named.is_open = open_set.is_some();
        }
    }
    if let Some(Named { span, own, .. }) = named {
        create_job::is_alone(source, &statements, span, &own)?;
    }
    match open_set {
        None => Ok(statements),
        Some(span) => {
            Err(source.error(span, "this statement set has no END").with_help("write `END;` behind its last INSERT"))
        }
    }
}

/// A `CREATE JOB`.
struct Named {
    span: Span,
    /// Places of its `INSERT`s among the statements.
    own: Range<usize>,
    /// Whether the next one is one of them.
    is_open: bool,
}

fn open_statement_set(source: &Source<'_>, open_set: &mut Option<Span>, span: Span) -> Result<()> {
    if open_set.is_some() {
        return Err(source
            .error(span, "a statement set cannot hold another one")
            .with_help("write `END;` behind the last INSERT of the first"));
    }
    *open_set = Some(span);
    Ok(())
}

fn statement(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if let Some(error) = unsupported::statement(cursor) {
        return Err(error);
    }
    if cursor.sees(&["SELECT|WITH|VALUES|("]) {
        return Ok(Statement::Query(cursor.query()?));
    }
    if cursor.take(&["INSERT"]) {
        return insert(cursor);
    }
    if cursor.take(&["EXPLAIN"]) {
        return explain(cursor);
    }
    if cursor.take(&["SHOW"]) {
        return show(cursor);
    }
    if cursor.take(&["DESCRIBE|DESC"]) {
        return describe(cursor);
    }
    if cursor.take(&["STOP"]) {
        return stop(cursor);
    }
    if cursor.take(&["SET"]) {
        return set(cursor);
    }
    if cursor.take(&["RESET"]) {
        let key = if cursor.at_end() { None } else { Some(option_key(cursor)?) };
        return Ok(Statement::Reset { key });
    }
    if cursor.take(&["DROP"]) {
        return drop_relation(cursor);
    }
    if cursor.take(&["CREATE"]) {
        return create(cursor);
    }
    if cursor.take(&["ALTER"]) {
        return alter_table(cursor).map(Statement::AlterTable);
    }
    if cursor.take(&["USE"]) {
        return database::used(cursor);
    }
    Err(cursor.unexpected(
        "a statement (CREATE TABLE, CREATE VIEW, INSERT INTO, SELECT, SET, EXPLAIN, SHOW, DESCRIBE, ALTER, DROP or USE)",
    ))
}

fn create(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.take(&["DATABASE"]) {
        return database::created(cursor);
    }
    let or_replace = cursor.take(&["OR", "REPLACE"]);
    cursor.take(&["TEMPORARY"]);
    if cursor.take(&["TABLE"]) {
        return create_table(cursor, or_replace).map(Statement::CreateTable);
    }
    if cursor.take(&["VIEW"]) {
        return create_view(cursor, or_replace);
    }
    if cursor.take(&["FUNCTION"]) {
        return create_function(cursor, or_replace).map(Statement::CreateFunction);
    }
    Err(cursor.unexpected("TABLE, VIEW, FUNCTION or DATABASE"))
}

fn create_view(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<Statement> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = cursor.table_name()?;
    let columns = if cursor.sees_token(&Token::LParen) { cursor.names("a column name")? } else { Vec::new() };
    if cursor.take(&["COMMENT"]) {
        cursor.string("a comment in single quotes")?;
    }
    cursor.expect(&["AS"])?;
    let query = cursor.query()?;
    let columns = columns.into_iter().map(|column| column.value).collect();
    Ok(Statement::CreateView { name, columns, or_replace, if_not_exists, query })
}

/// Behind `INSERT`.
fn insert(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.sees(&["OVERWRITE"]) {
        return Err(cursor
            .error_here("INSERT OVERWRITE is not supported: a stream is never complete, so it cannot replace a table")
            .with_help("write `INSERT INTO`"));
    }
    cursor.expect(&["INTO"])?;
    cursor.take(&["TABLE"]);
    let target = cursor.table_name()?;
    if cursor.sees(&["PARTITION", "("]) {
        return Err(cursor
            .error_here("PARTITION in INSERT is not supported")
            .with_help("the table's PARTITIONED BY says it; select the partition's value as a column"));
    }
    let lists_columns = cursor.sees_token(&Token::LParen) && !query_follows_parenthesis(cursor);
    let columns = if lists_columns { cursor.names("a column name")? } else { Vec::new() };
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|other| other.value == column.value) {
            return Err(cursor.source.error(column.span, format!("column `{}` is named twice", column.value)));
        }
    }
    if !cursor.sees(&["SELECT|WITH|VALUES|("]) {
        return Err(cursor.unexpected("a query (SELECT, WITH or VALUES)"));
    }
    let query = cursor.query()?;
    Ok(Statement::Insert { target, columns, query })
}

fn query_follows_parenthesis(cursor: &mut Cursor<'_>) -> bool {
    cursor.sees(&["(", "SELECT|WITH|VALUES|("])
}

fn explain(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.take(&["PLAN", "FOR"]);
    let mut details = ExplainDetails::default();
    loop {
        if cursor.take(&["CHANGELOG_MODE"]) {
            details.changelog_mode = true;
        } else if cursor.take(&["STATE"]) {
            details.state = true;
        } else if cursor.take(&["JSON|JSON_EXECUTION_PLAN"]) {
            details.json = true;
        } else if cursor.sees(&["ESTIMATED_COST|PLAN_ADVICE|ANALYZE|VERBOSE|FORMAT"])
            || details != ExplainDetails::default()
        {
            return Err(cursor
                .error_here("EXPLAIN shows CHANGELOG_MODE, STATE and JSON")
                .with_help("write `EXPLAIN SELECT …`, or `EXPLAIN CHANGELOG_MODE, STATE SELECT …`"));
        }
        if !cursor.take_token(&Token::Comma) {
            break;
        }
    }
    if cursor.sees(&["EXECUTE|STATEMENT"]) {
        return Err(cursor
            .error_here("EXPLAIN of a statement set is not supported yet")
            .with_help("explain each of its INSERTs"));
    }
    if !cursor.sees(&["SELECT|WITH|VALUES|INSERT|("]) {
        return Err(cursor.unexpected("a query or INSERT INTO"));
    }
    Ok(Statement::Explain { details, statement: Box::new(statement(cursor)?) })
}

fn set(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.at_end() {
        return Ok(Statement::Show(Show::Settings));
    }
    let key = option_key(cursor)?;
    cursor.expect_token(&Token::Eq)?;
    let value = option_value(cursor)?;
    Ok(Statement::Set { key, value })
}

fn drop_relation(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.take(&["DATABASE"]) {
        return database::dropped(cursor);
    }
    cursor.take(&["TEMPORARY"]);
    if cursor.take(&["FUNCTION"]) {
        let if_exists = cursor.take(&["IF", "EXISTS"]);
        return Ok(Statement::DropFunction { name: cursor.identifier("the name of a function")?, if_exists });
    }
    let view = cursor.take(&["VIEW"]);
    if !view {
        cursor.expect(&["TABLE"]).map_err(|_| cursor.unexpected("TABLE, VIEW, FUNCTION or DATABASE"))?;
    }
    let if_exists = cursor.take(&["IF", "EXISTS"]);
    let name = cursor.table_name()?;
    Ok(Statement::Drop { name, view, if_exists })
}

/// `'scan.startup.mode'`, or the same without quotes.
pub(super) fn option_key(cursor: &mut Cursor<'_>) -> Result<Spanned<String>> {
    if !matches!(cursor.parser().peek_token_ref().token, Token::Word(_)) {
        let key = cursor.string("the name of an option")?;
        if key.value.is_empty() {
            return Err(cursor.source.error(key.span, "the name of an option cannot be empty"));
        }
        return Ok(key);
    }
    let Span { start, mut end } = cursor.here();
    while !cursor.sees_token(&Token::Eq) && !cursor.at_end() {
        if !matches!(
            cursor.parser().peek_token_ref().token,
            Token::Word(_) | Token::Number(..) | Token::Period | Token::Minus
        ) {
            return Err(cursor.unexpected("`=`"));
        }
        end = cursor.next().1.end;
    }
    let span = Span { start, end };
    let value = cursor.source.slice(span).to_owned();
    if value.contains(char::is_whitespace) || value.contains(['`', '"']) {
        return Err(cursor.source.error(span, "expected the name of an option").with_help("put it in single quotes"));
    }
    Ok(Spanned { value, span })
}

/// `'value'`; numbers and truth values need no quotes.
pub(super) fn option_value(cursor: &mut Cursor<'_>) -> Result<Spanned<String>> {
    let value = match &cursor.parser().peek_token_ref().token {
        Token::Number(number, false) => number.clone(),
        Token::Word(word) if word.quote_style.is_none() && is_truth_value(&word.value) => word.value.to_lowercase(),
        _ => return cursor.string("a value in single quotes"),
    };
    let (_, span) = cursor.next();
    Ok(Spanned { value, span })
}

fn is_truth_value(word: &str) -> bool {
    word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false")
}
