//! `SHOW …` and `DESCRIBE`: what there is. `STOP JOB`.

use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;

use super::cursor::Cursor;
use super::database;
use crate::statement::{Jobs, Show, Spanned, Statement};

/// Behind `SHOW`.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.take(&["TABLES"]) {
        return Ok(Statement::Show(Show::Tables { database: of_database(cursor)?, like: like(cursor)? }));
    }
    if cursor.take(&["VIEWS"]) {
        return Ok(Statement::Show(Show::Views { database: of_database(cursor)?, like: like(cursor)? }));
    }
    if cursor.take(&["FUNCTIONS"]) {
        return Ok(Statement::Show(Show::Functions { like: like(cursor)? }));
    }
    if cursor.take(&["CREATE", "FUNCTION"]) {
        return Ok(Statement::Show(Show::CreateFunction { name: cursor.identifier("the name of a function")? }));
    }
    if cursor.take(&["CREATE"]) {
        let view = cursor.take(&["VIEW"]);
        if !view {
            cursor.expect(&["TABLE"]).map_err(|_| cursor.unexpected("TABLE, VIEW or FUNCTION"))?;
        }
        return Ok(Statement::Show(Show::Create { name: cursor.table_name()?, view }));
    }
    if cursor.take(&["DATABASES"]) {
        return Ok(Statement::Show(Show::Databases { like: like(cursor)? }));
    }
    if cursor.take(&["CATALOGS"]) {
        return Ok(Statement::Show(Show::Catalogs { current: false }));
    }
    if cursor.take(&["CURRENT", "DATABASE"]) {
        return Ok(Statement::Show(Show::CurrentDatabase));
    }
    if cursor.take(&["CURRENT", "CATALOG"]) {
        return Ok(Statement::Show(Show::Catalogs { current: true }));
    }
    if cursor.take(&["JOBS"]) {
        return Ok(Statement::Jobs(Jobs::Show));
    }
    if cursor.take(&["WATERMARKS"]) {
        cursor.expect(&["FOR", "JOB"])?;
        return Ok(Statement::Jobs(Jobs::Watermarks { job: job(cursor)? }));
    }
    if cursor.sees(&["COLUMNS"]) {
        return Err(cursor.error_here("SHOW COLUMNS is not supported").with_help("write `DESCRIBE t`"));
    }
    Err(cursor.unexpected(
        "TABLES, VIEWS, FUNCTIONS, DATABASES, CURRENT DATABASE, JOBS, WATERMARKS FOR JOB, CREATE TABLE, CREATE VIEW or \
         CREATE FUNCTION",
    ))
}

/// Behind `DESCRIBE`.
pub(super) fn describe(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.take(&["JOB"]) {
        return Ok(Statement::Jobs(Jobs::Describe { job: job(cursor)? }));
    }
    cursor.take(&["TABLE|VIEW"]);
    cursor.take(&["EXTENDED"]);
    Ok(Statement::Describe(cursor.table_name()?))
}

/// Behind `STOP`.
pub(super) fn stop(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.expect(&["JOB"])?;
    let job = job(cursor)?;
    // Every stop takes a savepoint.
    cursor.take(&["WITH", "SAVEPOINT"]);
    let drain = cursor.take(&["WITH", "DRAIN"]);
    Ok(Statement::Jobs(Jobs::Stop { job, drain }))
}

/// The name or number of a job.
fn job(cursor: &mut Cursor<'_>) -> Result<String> {
    if let Token::Number(number, false) = &cursor.parser().peek_token_ref().token {
        let number = number.clone();
        cursor.next();
        return Ok(number);
    }
    let name = cursor.string("the name of a job in single quotes")?;
    Ok(name.value)
}

/// `FROM database`, `IN database`.
fn of_database(cursor: &mut Cursor<'_>) -> Result<Option<Spanned<String>>> {
    if !cursor.take(&["FROM|IN"]) {
        return Ok(None);
    }
    database::name(cursor).map(Some)
}

/// `LIKE 'pattern'`, in small letters.
fn like(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if !cursor.take(&["LIKE|ILIKE"]) {
        return Ok(None);
    }
    Ok(Some(cursor.string("a pattern in single quotes")?.value.to_lowercase()))
}
