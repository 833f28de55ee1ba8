//! `CREATE FUNCTION name [(parameter TYPE [NOT NULL], …) RETURNS TYPE [NOT NULL] [NOT DETERMINISTIC] [AGGREGATE STATE TYPE]] AS 'exported_name' [LANGUAGE RUST]
//! USING ARTIFACT 'file'`: a function of a plugin. With a signature the artifact is `name version hash`, and `IN 'folder'` says where its file is.

use arrow::datatypes::{DataType, Field};
use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::Result;
use weir_core::plugin::{FunctionKind, FunctionSignature};

use super::cursor::Cursor;
use super::scan::is_word;
use crate::statement::{ExportedFunction, Parameter};

/// What stands in front of `AS`.
pub(super) struct Declared<'a> {
    pub parameters: &'a [Parameter],
    /// As written, and as it is.
    pub result: Option<(String, DataType)>,
    pub nullable: bool,
    pub deterministic: bool,
    pub kind: FunctionKind,
}

/// Whether the rest is that of a function of a plugin.
pub(super) fn follows(cursor: &mut Cursor<'_>) -> bool {
    let is_text = |token: &Token| matches!(token, Token::SingleQuotedString(_));
    cursor.sees(&["AS"])
        && is_text(&cursor.parser().peek_nth_token_ref(1).token)
        && is_word(cursor.parser().peek_nth_token_ref(2), "USING|LANGUAGE")
}

/// Reads from `AS` to the end.
pub(super) fn read(cursor: &mut Cursor<'_>, declared: Option<Declared<'_>>) -> Result<ExportedFunction> {
    let start = cursor.here();
    cursor.expect(&["AS"])?;
    let exported = cursor.string("the name that the plugin exports, in single quotes")?;
    if cursor.take(&["LANGUAGE"]) && !cursor.take(&["RUST"]) {
        return Err(cursor.error_here("plugins are written in Rust").with_help("write LANGUAGE RUST, or leave it out"));
    }
    cursor.expect(&["USING"])?;
    if cursor.sees(&["JAR|FILE|ARCHIVE"]) {
        return Err(cursor
            .error_here("functions come from plugins, which are written in Rust")
            .with_help("write `USING ARTIFACT 'target/release/lib….so'`"));
    }
    cursor.expect(&["ARTIFACT"])?;
    let artifact = cursor.string("the file of a plugin, in single quotes")?;
    let folder =
        if cursor.take(&["IN"]) { Some(cursor.string("the URL of a folder, in single quotes")?.value) } else { None };
    let signature = match declared {
        None => None,
        Some(Declared { result: None, .. }) => {
            return Err(cursor.source.error(start, "a function with parameters says what it returns").with_help(
                "write RETURNS and a type, or leave the parameters out: the plugin says what the function takes and returns",
            ));
        }
        Some(Declared { parameters, result: Some((_, result)), nullable, deterministic, kind }) => {
            let parameter = |parameter: &Parameter| {
                Field::new(&parameter.name, parameter.data_type.clone(), parameter.not_null.is_none())
            };
            let (name, parameters) = (exported.value.clone(), parameters.iter().map(parameter).collect());
            Some(FunctionSignature { name, parameters, result, nullable, deterministic, kind })
        }
    };
    Ok(ExportedFunction { exported, artifact, folder, signature })
}
