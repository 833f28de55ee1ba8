//! `CREATE TABLE`, with the parts that Flink has of its own.

use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;

use super::cursor::Cursor;
use super::statement::{option_key, option_value};
use super::types::data_type;
use crate::statement::{
    ColumnDefinition, ColumnKind, CreateTable, Like, LikePart, Merging, Spanned, TableOption, WatermarkDefinition,
};

/// What follows `CREATE [OR REPLACE] TABLE`.
pub(super) fn create_table(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<CreateTable> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = cursor.table_name()?;
    let mut table = CreateTable { or_replace, if_not_exists, ..empty(name) };
    if cursor.take_token(&Token::LParen) {
        elements(cursor, &mut table)?;
    }
    if cursor.take(&["COMMENT"]) {
        table.comment = Some(cursor.string("a comment in single quotes")?.value);
    }
    if cursor.sees(&["DISTRIBUTED"]) {
        return Err(cursor
            .error_here("DISTRIBUTED is not supported yet")
            .with_help("leave it out: rows are spread by the keys of each query"));
    }
    if cursor.take(&["PARTITIONED", "BY"]) {
        table.partitioned_by = cursor.names("a column name")?;
    }
    if cursor.take(&["WITH"]) {
        options(cursor, &mut table)?;
    }
    if cursor.take(&["LIKE"]) {
        let base = cursor.table_name()?;
        let parts = if cursor.take_token(&Token::LParen) { like_parts(cursor)? } else { Vec::new() };
        table.like = Some(Like { base, parts });
    }
    let span = cursor.here();
    if cursor.take(&["AS"]) {
        if !table.columns.is_empty() || table.watermark.is_some() || table.like.is_some() {
            return Err(cursor
                .source
                .error(span, "a table that is created AS a query has the query's columns")
                .with_help("leave the columns out, or write CREATE TABLE and INSERT INTO"));
        }
        table.query = Some(Spanned { value: cursor.query()?, span });
    }
    Ok(table)
}

/// What becomes of the parts of the table behind `LIKE`, behind a parenthesis.
fn like_parts(cursor: &mut Cursor<'_>) -> Result<Vec<(Merging, Spanned<LikePart>)>> {
    const MERGINGS: [(&str, Merging); 3] =
        [("INCLUDING", Merging::Including), ("EXCLUDING", Merging::Excluding), ("OVERWRITING", Merging::Overwriting)];
    const PARTS: [(&str, LikePart); 7] = [
        ("ALL", LikePart::All),
        ("CONSTRAINTS", LikePart::Constraints),
        ("GENERATED", LikePart::Generated),
        ("METADATA", LikePart::Metadata),
        ("OPTIONS", LikePart::Options),
        ("PARTITIONS", LikePart::Partitions),
        ("WATERMARKS", LikePart::Watermarks),
    ];
    let mut parts = Vec::new();
    while !cursor.take_token(&Token::RParen) {
        let Some((_, merging)) = MERGINGS.into_iter().find(|(word, _)| cursor.take(&[word])) else {
            return Err(cursor.unexpected("INCLUDING, EXCLUDING, OVERWRITING or `)`"));
        };
        let span = cursor.here();
        let Some((word, value)) = PARTS.into_iter().find(|(word, _)| cursor.take(&[word])) else {
            return Err(cursor.unexpected("ALL, CONSTRAINTS, GENERATED, METADATA, OPTIONS, PARTITIONS or WATERMARKS"));
        };
        let is_whole = matches!(value, LikePart::All | LikePart::Constraints | LikePart::Partitions);
        if merging == Merging::Overwriting && is_whole {
            return Err(cursor
                .source
                .error(span, format!("OVERWRITING {word} has no meaning"))
                .with_help("OVERWRITING stands with GENERATED, METADATA, OPTIONS and WATERMARKS"));
        }
        parts.push((merging, Spanned { value, span }));
    }
    Ok(parts)
}

/// A table of which nothing is known.
pub(super) fn empty(name: Spanned<String>) -> CreateTable {
    CreateTable {
        name,
        or_replace: false,
        if_not_exists: false,
        columns: Vec::new(),
        watermark: None,
        primary_key: Vec::new(),
        comment: None,
        partitioned_by: Vec::new(),
        options: Vec::new(),
        like: None,
        query: None,
        plugin: None,
    }
}

/// Behind a parenthesis.
pub(super) fn elements(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    // `CREATE TABLE t () …` says nothing that `CREATE TABLE t …` does not.
    if cursor.take_token(&Token::RParen) {
        return Ok(());
    }
    loop {
        element(cursor, table)?;
        if cursor.take_token(&Token::Comma) {
            continue;
        }
        if cursor.take_token(&Token::RParen) {
            return Ok(());
        }
        return Err(refuse_column_option(cursor).unwrap_or_else(|| cursor.unexpected("`,` or `)`")));
    }
}

/// A column, a watermark or a constraint.
pub(super) fn element(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    if cursor.sees(&["WATERMARK", "FOR"]) {
        return watermark(cursor, table);
    }
    if cursor.sees(&["CONSTRAINT"]) && !cursor.sees(&["CONSTRAINT", "AS"]) {
        cursor.take(&["CONSTRAINT"]);
        cursor.identifier("the name of a constraint")?;
    }
    if cursor.sees(&["PRIMARY", "KEY"]) {
        let span = cursor.here();
        cursor.take(&["PRIMARY", "KEY"]);
        if !table.primary_key.is_empty() {
            return Err(cursor.source.error(span, "a table has one primary key"));
        }
        table.primary_key = cursor.names("a column name")?.into_iter().map(|name| name.value).collect();
        return not_enforced(cursor);
    }
    if cursor.sees(&["LIKE"]) && !cursor.sees(&["LIKE", "AS"]) {
        return Err(cursor
            .error_here("LIKE stands behind the columns and WITH")
            .with_help("write `CREATE TABLE t (…) WITH (…) LIKE base`, where the columns may be left out"));
    }
    if cursor.sees(&["UNIQUE", "("]) || cursor.sees(&["FOREIGN", "KEY"]) || cursor.sees(&["CHECK", "("]) {
        return Err(cursor
            .error_here("only PRIMARY KEY constraints are supported")
            .with_help("leave it out; rows that break a rule are dropped by a WHERE in the query"));
    }
    column(cursor, table)
}

fn watermark(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    let span = cursor.here();
    cursor.take(&["WATERMARK", "FOR"]);
    if table.watermark.is_some() {
        return Err(cursor
            .source
            .error(span, "a table has one watermark")
            .with_help("compute one time column from several, as in `ts AS COALESCE(a, b)`"));
    }
    let column = cursor.identifier("a column name")?;
    if cursor.sees_token(&Token::Period) {
        return Err(cursor
            .source
            .error(column.span, "the time attribute cannot be a field of a row")
            .with_help("make it a column of its own, as in `ts AS event.ts`"));
    }
    cursor.expect(&["AS"])?;
    let expression = cursor.expression()?;
    table.watermark = Some(WatermarkDefinition { column, expression });
    Ok(())
}

fn not_enforced(cursor: &mut Cursor<'_>) -> Result<()> {
    if cursor.take(&["NOT", "ENFORCED"]) {
        return Ok(());
    }
    Err(cursor.unexpected("NOT ENFORCED, since Weir does not check that keys are unique"))
}

fn column(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    let name = cursor.identifier("a column, WATERMARK FOR or PRIMARY KEY")?;
    if cursor.take(&["AS"]) {
        let kind = ColumnKind::Computed(cursor.expression()?);
        if cursor.take(&["COMMENT"]) {
            cursor.string("a comment in single quotes")?;
        }
        table.columns.push(ColumnDefinition { name, kind, nullable: true });
        return Ok(());
    }
    let data_type = data_type(cursor)?;
    let mut kind = ColumnKind::Physical(data_type.clone());
    let mut nullable = true;
    loop {
        if cursor.take(&["NOT", "NULL"]) {
            nullable = false;
        } else if cursor.take(&["NULL"]) {
            nullable = true;
        } else if cursor.sees(&["PRIMARY", "KEY"]) {
            if !table.primary_key.is_empty() {
                return Err(cursor.error_here("a table has one primary key"));
            }
            cursor.take(&["PRIMARY", "KEY"]);
            not_enforced(cursor)?;
            table.primary_key.push(name.value.clone());
            nullable = false;
        } else if cursor.take(&["METADATA"]) {
            let from = if cursor.take(&["FROM"]) {
                Some(cursor.string("the name of a metadata column in single quotes")?.value)
            } else {
                None
            };
            let virtual_column = cursor.take(&["VIRTUAL"]);
            kind = ColumnKind::Metadata { data_type: data_type.clone(), from, virtual_column };
        } else if cursor.take(&["COMMENT"]) {
            cursor.string("a comment in single quotes")?;
        } else {
            break;
        }
    }
    table.columns.push(ColumnDefinition { name, kind, nullable });
    Ok(())
}

fn refuse_column_option(cursor: &Cursor<'_>) -> Option<weir_core::Error> {
    let help = if cursor.sees(&["DEFAULT"]) {
        "write COALESCE(column, value) where the column is read"
    } else if cursor.sees(&["GENERATED|AUTO_INCREMENT|AUTOINCREMENT|IDENTITY"]) {
        "a computed column is written `name AS expression`"
    } else if cursor.sees(&["UNIQUE|CHECK|REFERENCES|CONSTRAINT|COLLATE|VIRTUAL|STORED"]) {
        "leave it out"
    } else {
        return None;
    };
    Some(cursor.error_here("this column option is not supported").with_help(help))
}

/// `('key' = 'value', …)`.
pub(super) fn options(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    cursor.expect_token(&Token::LParen)?;
    if cursor.take_token(&Token::RParen) {
        return Ok(());
    }
    loop {
        let key = option_key(cursor)?;
        if table.options.iter().any(|other| other.key.value == key.value) {
            return Err(cursor.source.error(key.span, format!("option `{}` is given twice", key.value)));
        }
        cursor.expect_token(&Token::Eq)?;
        let value = option_value(cursor)?;
        table.options.push(TableOption { key, value });
        if cursor.take_token(&Token::Comma) {
            continue;
        }
        return if cursor.take_token(&Token::RParen) { Ok(()) } else { Err(cursor.unexpected("`,` or `)`")) };
    }
}
