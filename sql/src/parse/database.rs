//! `CREATE DATABASE`, `DROP DATABASE` and `USE`.

use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;

use super::cursor::Cursor;
use crate::statement::{Spanned, Statement};

/// The one catalog there is, as Flink calls its first.
pub(crate) const CATALOG: &str = "default_catalog";
/// The database that is always there, and in use unless `USE` says otherwise.
pub const DEFAULT_DATABASE: &str = "default_database";

/// Behind `CREATE DATABASE`.
pub(super) fn created(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = name(cursor)?;
    if name.value.is_empty() || name.value.contains('.') {
        return Err(cursor.source.error(name.span, "the name of a database has no point in it"));
    }
    if cursor.take(&["COMMENT"]) {
        cursor.string("a comment in single quotes")?;
    }
    if cursor.sees(&["WITH"]) {
        return Err(cursor
            .error_here("a database has no options")
            .with_help("leave WITH out: each table has its own connector and options"));
    }
    Ok(Statement::CreateDatabase { name, if_not_exists })
}

/// Behind `DROP DATABASE`.
pub(super) fn dropped(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_exists = cursor.take(&["IF", "EXISTS"]);
    let name = name(cursor)?;
    let cascade = cursor.take(&["CASCADE"]);
    if !cascade {
        // It is what goes without saying.
        cursor.take(&["RESTRICT"]);
    }
    Ok(Statement::DropDatabase { name, if_exists, cascade })
}

/// Behind `USE`.
pub(super) fn used(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.take(&["MODULES"]) {
        return Err(cursor
            .error_here("modules are not supported")
            .with_help("leave the statement out: all functions are there"));
    }
    if !cursor.take(&["CATALOG"]) {
        return name(cursor).map(Statement::Use);
    }
    let catalog = cursor.identifier("the name of a catalog")?;
    check_catalog(cursor, &catalog)?;
    Ok(Statement::UseCatalog)
}

/// The name of a database, which may stand behind the catalog's.
pub(super) fn name(cursor: &mut Cursor<'_>) -> Result<Spanned<String>> {
    let name = cursor.identifier("the name of a database")?;
    if !cursor.take_token(&Token::Period) {
        return Ok(name);
    }
    check_catalog(cursor, &name)?;
    cursor.identifier("the name of a database")
}

fn check_catalog(cursor: &Cursor<'_>, name: &Spanned<String>) -> Result<()> {
    if name.value.eq_ignore_ascii_case(CATALOG) {
        return Ok(());
    }
    Err(cursor
        .source
        .error(name.span, format!("there is no catalog `{}`", name.value))
        .with_help(format!("there is one, `{CATALOG}`; write the name of the database alone")))
}
