//! `SHOW …` and `DESCRIBE`: what there is.

use weir_core::Result;

use super::cursor::Cursor;
use crate::statement::{Show, Statement};

/// Behind `SHOW`.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.take(&["TABLES"]) {
        return Ok(Statement::Show(Show::Tables { like: like(cursor)? }));
    }
    if cursor.take(&["VIEWS"]) {
        return Ok(Statement::Show(Show::Views { like: like(cursor)? }));
    }
    if cursor.take(&["FUNCTIONS"]) {
        return Ok(Statement::Show(Show::Functions { like: like(cursor)? }));
    }
    if cursor.take(&["CREATE"]) {
        let view = cursor.take(&["VIEW"]);
        if !view {
            cursor.expect(&["TABLE"]).map_err(|_| cursor.unexpected("TABLE or VIEW"))?;
        }
        return Ok(Statement::Show(Show::Create { name: cursor.table_name()?, view }));
    }
    if cursor.sees(&["DATABASES|CATALOGS|CURRENT"]) {
        return Err(cursor
            .error_here("catalogs and databases are not supported yet")
            .with_help("all tables of a script live in one place: `SHOW TABLES`"));
    }
    if cursor.sees(&["JOBS|JOB"]) {
        return Err(cursor
            .error_here("SHOW JOBS is not supported yet")
            .with_help("`weir jobs list` shows the jobs of a cluster"));
    }
    if cursor.sees(&["COLUMNS"]) {
        return Err(cursor.error_here("SHOW COLUMNS is not supported").with_help("write `DESCRIBE t`"));
    }
    Err(cursor.unexpected("TABLES, VIEWS, FUNCTIONS, CREATE TABLE or CREATE VIEW"))
}

/// Behind `DESCRIBE`.
pub(super) fn describe(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.take(&["TABLE|VIEW"]);
    cursor.take(&["EXTENDED"]);
    Ok(Statement::Describe(cursor.table_name()?))
}

/// `LIKE 'pattern'`, in small letters.
fn like(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if !cursor.take(&["LIKE|ILIKE"]) {
        return Ok(None);
    }
    Ok(Some(cursor.string("a pattern in single quotes")?.value.to_lowercase()))
}
