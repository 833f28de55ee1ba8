//! Functions of plugins in a script: their signatures, written into the statements that declare them.
//!
//! ```text
//!   CREATE FUNCTION celsius AS 'celsius' USING ARTIFACT 'libweather.so'
//!      │ somebody has looked into the file
//!      ▼
//!   CREATE FUNCTION celsius(`a` DOUBLE NOT NULL) RETURNS DOUBLE NOT NULL AS 'celsius' USING ARTIFACT 'weather 0.1.0 9f86d0…' IN 'file:///…'
//! ```
//!
//! The second form says all that a planner has to know, and can be kept in a catalog: whoever plans with it loads no plugin.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use weir_core::plugin::{Artifact, FunctionKind, FunctionSignature, PluginFunction};
use weir_core::{Error, Result};
use weir_functions::{Functions, refused, sql_type_name};

use crate::diagnostics::{Source, did_you_mean};
use crate::statement::{ExportedFunction, FunctionDefinition, Script, Span, Spanned, Statement};

/// A plugin that somebody has looked into.
#[derive(Debug, Clone)]
pub struct KnownArtifact {
    /// The file.
    pub artifact: Artifact,
    /// What it exports.
    pub functions: Vec<FunctionSignature>,
}

/// The files that a script declares functions of, and that have to be looked into, each once.
pub fn unknown_artifacts(script: &Script) -> Vec<Spanned<String>> {
    let mut files: Vec<Spanned<String>> = Vec::new();
    for function in exported(script).filter(|(_, function)| function.signature.is_none()).map(|(_, function)| function)
    {
        if !files.iter().any(|file| file.value == function.artifact.value) {
            files.push(function.artifact.clone());
        }
    }
    files
}

fn exported(script: &Script) -> impl Iterator<Item = (Span, &ExportedFunction)> {
    script.statements.iter().filter_map(|statement| match &statement.value {
        Statement::CreateFunction(function) => match &function.definition {
            FunctionDefinition::Exported(exported) => Some((function.name.span, exported)),
            FunctionDefinition::Sql { .. } => None,
        },
        _ => None,
    })
}

/// The text of a script with signatures in the declarations of functions of plugins. `known` has the files by the words of the script. Lines
/// stay as they are.
///
/// # Errors
/// A user error at its place if a plugin has no such function.
pub fn with_signatures(script: &Script, known: &BTreeMap<String, KnownArtifact>) -> Result<String> {
    let source = Source::new(&script.text);
    let mut edits: Vec<(Span, String)> = Vec::new();
    for (name, function) in exported(script) {
        let (None, Some(known)) = (&function.signature, known.get(&function.artifact.value)) else { continue };
        let wanted = &function.exported;
        let signature = known.functions.iter().find(|signature| signature.name == wanted.value).ok_or_else(|| {
            let names: Vec<&str> = known.functions.iter().map(|signature| signature.name.as_str()).collect();
            let message = format!("the plugin {} exports no function `{}`", known.artifact, wanted.value);
            source.error(wanted.span, message).with_help(match names.is_empty() {
                true => "it exports none: name some with `weir_jobs::export!(functions: …)`".to_owned(),
                false => did_you_mean(&wanted.value, &names, "it exports"),
            })
        })?;
        edits.push((Span { start: name.end, end: name.end }, declared(signature)));
        edits.push((function.artifact.span, reference(&known.artifact)));
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut text = script.text.to_string();
    for (span, words) in edits {
        text.replace_range(span.start..span.end, &words);
    }
    Ok(text)
}

/// Statements that declare those functions of a plugin which a script calls, each under its own name. `called` has names in lower case.
///
/// # Errors
/// A user error if SQL has a function of its own of the name of one.
pub fn declarations_of(known: &KnownArtifact, called: &BTreeSet<String>) -> Result<String> {
    let built_in = Functions::built_in();
    let declaration = |signature: &FunctionSignature| {
        let (name, declared) = (&signature.name, declared(signature));
        if is_taken(name, &built_in) {
            let message = format!("the plugin {} calls its function `{name}` in SQL", known.artifact);
            return Err(Error::user(format!("{message}, where that is the name of a built-in function"))
                .with_help("export it under another name"));
        }
        Ok(format!("CREATE FUNCTION `{name}`{declared} AS '{name}' USING ARTIFACT {};\n", reference(&known.artifact)))
    };
    known.functions.iter().filter(|function| called.contains(&function.name.to_lowercase())).map(declaration).collect()
}

/// Whether SQL has a function of its own of that name, if only to refuse it.
pub(crate) fn is_taken(name: &str, functions: &Functions) -> bool {
    functions.scalar(name).is_some() || functions.aggregate(name).is_some() || refused(name).is_some()
}

fn reference(Artifact { hash, name, version, folder }: &Artifact) -> String {
    let quoted = |text: &str| text.replace('\'', "''");
    let place = folder.as_ref().map(|folder| format!(" IN '{}'", quoted(folder)));
    format!("'{} {} {hash}'{}", quoted(name), quoted(version), place.unwrap_or_default())
}

/// `(a DOUBLE NOT NULL) RETURNS DOUBLE`.
fn declared(signature: &FunctionSignature) -> String {
    let FunctionSignature { parameters, result, nullable, deterministic, kind, .. } = signature;
    let is_null = |nullable: bool| if nullable { "" } else { " NOT NULL" };
    let parameters: Vec<String> = parameters
        .iter()
        .map(|parameter| {
            let (name, data_type) = (quoted(parameter.name()), type_name(parameter.data_type()));
            format!("{name} {data_type}{}", is_null(parameter.is_nullable()))
        })
        .collect();
    let parameters = parameters.join(", ");
    let changes = if *deterministic { "" } else { " NOT DETERMINISTIC" };
    let kind = match kind {
        FunctionKind::Scalar => String::new(),
        FunctionKind::Aggregate { state } => format!(" AGGREGATE STATE {}", type_name(state)),
    };
    format!("({parameters}) RETURNS {}{}{changes}{kind}", type_name(result), is_null(*nullable))
}

/// A type whose fields may be called as they like.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(element) => format!("ARRAY<{}>", type_name(element.data_type())),
        DataType::Struct(fields) => {
            let field = |field: &arrow::datatypes::FieldRef| {
                format!("{} {}", quoted(field.name()), type_name(field.data_type()))
            };
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => sql_type_name(other),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The function that a statement declares, as queries call it.
///
/// # Errors
/// A user error at its place if nobody has looked into the plugin, or it is not said which one it is.
pub(crate) fn declared_function(
    source: &Source<'_>,
    name: String,
    function: &ExportedFunction,
) -> Result<PluginFunction> {
    let ExportedFunction { artifact, folder, signature, .. } = function;
    let Some(signature) = signature.clone() else {
        return Err(source
            .error(artifact.span, format!("nobody has looked into the plugin {}", artifact.value))
            .with_help("files of plugins are read by `weir run`, `weir submit`, `weir sql` and `weir catalog apply`"));
    };
    let words: Vec<&str> = artifact.value.split_whitespace().collect();
    let hash = words.last().and_then(|hash| hash.parse().ok());
    let ([name_of_plugin, version, _], Some(hash)) = (words.as_slice(), hash) else {
        return Err(source
            .error(artifact.span, "beside a signature stands which plugin it is of")
            .with_help("write 'name version hash', or leave out parameters and result, and name the file"));
    };
    let artifact =
        Artifact { hash, name: (*name_of_plugin).to_owned(), version: (*version).to_owned(), folder: folder.clone() };
    Ok(PluginFunction { name, artifact: Some(artifact), signature })
}
