//! `ALTER TABLE [IF EXISTS] t …`, with what Flink may change of a table.

use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;

use super::create_table::{element, elements, empty, options};
use super::cursor::Cursor;
use super::statement::option_key;
use crate::statement::{AlterTable, ColumnPlace, CreateTable, Spanned, TableChange};

/// What follows `ALTER`.
pub(super) fn alter_table(cursor: &mut Cursor<'_>) -> Result<AlterTable> {
    if cursor.sees(&["VIEW"]) {
        return Err(cursor
            .error_here("ALTER VIEW is not supported")
            .with_help("write `CREATE OR REPLACE VIEW v AS …`"));
    }
    if cursor.sees(&["FUNCTION"]) {
        return Err(cursor
            .error_here("ALTER FUNCTION is not supported")
            .with_help("write `CREATE OR REPLACE FUNCTION f(…) RETURN …`"));
    }
    cursor.expect(&["TABLE"])?;
    let if_exists = cursor.take(&["IF", "EXISTS"]);
    let name = cursor.table_name()?;
    let change = change(cursor, &name)?;
    Ok(AlterTable { name, if_exists, change })
}

fn change(cursor: &mut Cursor<'_>, name: &Spanned<String>) -> Result<TableChange> {
    if cursor.take(&["SET"]) {
        let mut table = empty(name.clone());
        options(cursor, &mut table)?;
        return Ok(TableChange::Set(table.options));
    }
    if cursor.take(&["RESET"]) {
        cursor.expect_token(&Token::LParen)?;
        let mut keys = vec![option_key(cursor)?];
        while cursor.take_token(&Token::Comma) {
            keys.push(option_key(cursor)?);
        }
        cursor.expect_token(&Token::RParen)?;
        return Ok(TableChange::Reset(keys));
    }
    if cursor.take(&["RENAME", "TO"]) {
        return Ok(TableChange::RenameTo(cursor.table_name()?));
    }
    if cursor.take(&["RENAME"]) {
        cursor.take(&["COLUMN"]);
        let from = cursor.identifier("a column name")?;
        cursor.expect(&["TO"])?;
        return Ok(TableChange::RenameColumn { from, to: cursor.identifier("a column name")? });
    }
    if cursor.take(&["ADD"]) {
        let (parts, place) = parts(cursor, name)?;
        return Ok(TableChange::Add { parts: Box::new(parts), place });
    }
    if cursor.take(&["MODIFY"]) {
        let (parts, place) = parts(cursor, name)?;
        return Ok(TableChange::Modify { parts: Box::new(parts), place });
    }
    if cursor.take(&["DROP"]) {
        if cursor.take(&["WATERMARK"]) {
            return Ok(TableChange::DropWatermark);
        }
        if cursor.take(&["PRIMARY", "KEY"]) {
            return Ok(TableChange::DropPrimaryKey);
        }
        cursor.take(&["COLUMN"]);
        let columns = match cursor.sees_token(&Token::LParen) {
            true => cursor.names("a column name")?,
            false => vec![cursor.identifier("a column name")?],
        };
        return Ok(TableChange::DropColumns(columns));
    }
    Err(cursor.unexpected("SET, RESET, ADD, MODIFY, DROP or RENAME"))
}

/// Columns, a watermark or a primary key: one of them, or several in parentheses.
fn parts(cursor: &mut Cursor<'_>, name: &Spanned<String>) -> Result<(CreateTable, Option<ColumnPlace>)> {
    let mut table = empty(name.clone());
    cursor.take(&["COLUMN"]);
    if cursor.take_token(&Token::LParen) {
        elements(cursor, &mut table)?;
        return Ok((table, None));
    }
    element(cursor, &mut table)?;
    let place = if cursor.take(&["FIRST"]) {
        Some(ColumnPlace::First)
    } else if cursor.take(&["AFTER"]) {
        Some(ColumnPlace::After(cursor.identifier("a column name")?))
    } else {
        None
    };
    Ok((table, place))
}
