//! `CREATE TABLE` to [`Table`].

use arrow::datatypes::{DataType, TimeUnit};
use weir_core::{ConnectorRegistry, Result};
use weir_functions::Functions;

use super::columns;
use super::expression::scalar_expression;
use super::names::{Found, find, is_quoted};
use super::options;
use super::table::{Column, ColumnSource, Table, TimeAttribute};
use crate::diagnostics::{Source, did_you_mean, one_of};
use crate::parse::sql_type_name;
use crate::statement::{
    ColumnDefinition, ColumnKind, CreateTable, LikePart, Merging, Span, Spanned, TableOption, WatermarkDefinition,
};

/// Resolves a table; `base` is what its `LIKE` names.
pub(super) fn table(
    source: &Source<'_>,
    (connectors, functions): (&dyn ConnectorRegistry, &Functions),
    statement: &CreateTable,
    base: Option<&Table>,
) -> Result<Table> {
    let definition = match base {
        Some(base) => with_base(source, statement, base)?,
        None => statement.clone(),
    };
    let options = options::read(source, connectors, &definition)?;
    let columns = columns::resolve(source, &definition, &options, functions)?;
    let time_attribute = match &definition.watermark {
        Some(watermark) => Some(time_attribute(source, &columns, watermark, functions)?),
        None => None,
    };
    let mut primary_key = Vec::new();
    for name in &definition.primary_key {
        // The parser keeps no place of these names.
        let named = Spanned { value: name.clone(), span: definition.name.span };
        let column = position(source, &columns, &named, false)?;
        if columns[column].source != ColumnSource::Physical {
            return Err(source
                .error(
                    named.span,
                    format!("`{}` cannot be in the primary key: it is not a physical column", named.value),
                )
                .with_help("a key consists of columns that are declared with a type alone"));
        }
        if primary_key.contains(&column) {
            return Err(source.error(named.span, format!("`{}` is in the primary key twice", named.value)));
        }
        primary_key.push(column);
    }
    let mut partitioned_by = Vec::new();
    for name in &definition.partitioned_by {
        let column = &columns[position(source, &columns, name, is_quoted(source, name.span))?];
        if column.source != ColumnSource::Physical {
            return Err(source
                .error(name.span, format!("`{}` cannot partition the table: it is not a physical column", column.name))
                .with_help("partition by columns that are declared with a type alone"));
        }
        partitioned_by.push(column.name.clone());
    }
    Ok(Table {
        name: definition.name.value.clone(),
        span: definition.name.span,
        connector: options.connector,
        columns,
        time_attribute,
        primary_key,
        partitioned_by,
        idle_timeout: options.idle_timeout,
        max_drift: options.max_drift,
        rows_per_second: options.rows_per_second,
        null_times: options.null_times,
        dead_letters: options.dead_letters,
        options: options.rest,
        definition,
    })
}

/// What `LIKE base` takes over: everything that is neither left out nor said anew. Columns are added to the base's.
fn with_base(source: &Source<'_>, statement: &CreateTable, base: &Table) -> Result<CreateTable> {
    let Some(like) = &statement.like else { return Ok(statement.clone()) };
    let (table, base) = (base, &base.definition);
    let refuse_both = |part: LikePart, what: &str, span: Span| match like.merging(part) {
        Some(Merging::Including) => {
            Err(source.error(span, format!("`{}` has {what} already", base.name.value)).with_help(
                "leave it out, or write EXCLUDING behind LIKE, as in `LIKE t (EXCLUDING OPTIONS)`; OVERWRITING takes \
                 what is said here",
            ))
        }
        _ => Ok(()),
    };
    let part_of = |column: &ColumnDefinition| match column.kind {
        ColumnKind::Physical(_) => None,
        ColumnKind::Metadata { .. } => Some(LikePart::Metadata),
        ColumnKind::Computed(_) => Some(LikePart::Generated),
    };
    let mut definition = statement.clone();
    // What the connector of the base knows of its columns another one does not.
    let mut columns = if like.takes(LikePart::Options) { Vec::new() } else { known_to_connector(table) };
    columns.extend(base.columns.iter().filter(|column| part_of(column).is_none_or(|part| like.takes(part))).cloned());
    for column in &statement.columns {
        let Some(place) = columns.iter().position(|other| other.name.value == column.name.value) else { continue };
        let part = part_of(&columns[place]).filter(|part| part_of(column) == Some(*part));
        if part.and_then(|part| like.merging(part)) != Some(Merging::Overwriting) {
            return Err(source
                .error(column.name.span, format!("`{}` has a column `{}` already", base.name.value, column.name.value))
                .with_help("columns behind LIKE are added to those of the base table: give it another name"));
        }
        columns.remove(place);
    }
    definition.columns = columns.into_iter().chain(statement.columns.iter().cloned()).collect();
    if like.takes(LikePart::Watermarks) {
        if let (Some(watermark), Some(_)) = (&statement.watermark, &base.watermark) {
            refuse_both(LikePart::Watermarks, "a watermark", watermark.column.span)?;
        }
        definition.watermark = statement.watermark.clone().or_else(|| base.watermark.clone());
    }
    if statement.primary_key.is_empty() && like.takes(LikePart::Constraints) {
        definition.primary_key.clone_from(&base.primary_key);
    }
    if statement.partitioned_by.is_empty() && like.takes(LikePart::Partitions) {
        definition.partitioned_by.clone_from(&base.partitioned_by);
    }
    if like.takes(LikePart::Options) {
        let is_in_base = |option: &&TableOption| base.options.iter().any(|other| other.key.value == option.key.value);
        if let Some(TableOption { key, .. }) = statement.options.iter().find(is_in_base) {
            refuse_both(LikePart::Options, &format!("an option '{}'", key.value), key.span)?;
        }
        let is_new = |key: &str| statement.options.iter().all(|option| option.key.value != key);
        let inherited = base.options.iter().filter(|option| is_new(&option.key.value)).cloned();
        definition.options = inherited.chain(statement.options.iter().cloned()).collect();
    }
    Ok(definition)
}

/// The columns of a table that its statement does not declare.
fn known_to_connector(table: &Table) -> Vec<ColumnDefinition> {
    let declared = &table.definition.columns;
    let is_declared = |column: &&Column| declared.iter().any(|declared| declared.name.value == column.name);
    let written = |column: &Column| ColumnDefinition {
        name: Spanned { value: column.name.clone(), span: table.span },
        kind: ColumnKind::Physical(column.data_type.clone()),
        nullable: column.nullable,
    };
    table.columns.iter().filter(|column| !is_declared(column)).map(written).collect()
}

fn position(source: &Source<'_>, columns: &[Column], name: &Spanned<String>, quoted: bool) -> Result<usize> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    match find(names.iter().copied(), &name.value, quoted) {
        Found::One(found) => Ok(names.iter().position(|other| *other == found).unwrap_or_default()),
        Found::None => Err(source
            .error(name.span, format!("there is no column `{}`", name.value))
            .with_help(did_you_mean(&name.value, &names, "the columns are"))),
        Found::Several(names) => Err(source
            .error(name.span, format!("`{}` could be any of {}", name.value, one_of(&names)))
            .with_help("write it in backticks, with its capitals")),
    }
}

fn time_attribute(
    source: &Source<'_>,
    columns: &[Column],
    watermark: &WatermarkDefinition,
    functions: &Functions,
) -> Result<TimeAttribute> {
    let named = &watermark.column;
    let column = position(source, columns, named, is_quoted(source, named.span))?;
    let Column { name, data_type, source: from, .. } = &columns[column];
    if *from == ColumnSource::ProcessingTime {
        return Err(source
            .error(named.span, format!("`{name}` is processing time, which needs no watermark"))
            .with_help("leave WATERMARK FOR out: windows over it close by the clock"));
    }
    if !is_event_time(data_type) {
        let kind = sql_type_name(data_type);
        return Err(source
            .error(
                named.span,
                format!("`{name}` is {kind}; a time attribute has to be TIMESTAMP(3) or TIMESTAMP_LTZ(3)"),
            )
            .with_help(conversion(name, data_type, *from == ColumnSource::Physical)));
    }
    let span = columns::expression_span(source, &watermark.expression, named.span);
    let fields: Vec<&Column> = columns.iter().filter(|column| column.source != ColumnSource::ProcessingTime).collect();
    let expression = scalar_expression(source, span, &watermark.expression, &fields, functions)?;
    if expression.data_type != *data_type {
        return Err(source
            .error(
                span,
                format!(
                    "this watermark is {}, but `{name}` is {}",
                    sql_type_name(&expression.data_type),
                    sql_type_name(data_type)
                ),
            )
            .with_help(format!("write something like `{name} - INTERVAL '5' SECOND`, or CAST it")));
    }
    Ok(TimeAttribute { column, expression: expression.expr })
}

fn is_event_time(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, None) => true,
        DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) => zone.as_ref() == "UTC",
        _ => false,
    }
}

/// The computed column that makes a time attribute of another column.
fn conversion(name: &str, data_type: &DataType, physical: bool) -> String {
    let cast = match data_type {
        DataType::Int32 | DataType::Int64 | DataType::UInt64 => {
            format!("TO_TIMESTAMP_LTZ({name}, 3)` (3 for milliseconds, 0 for seconds)")
        }
        DataType::Timestamp(_, Some(_)) => format!("CAST({name} AS TIMESTAMP_LTZ(3))`"),
        _ => format!("CAST({name} AS TIMESTAMP(3))`"),
    };
    let declare = match data_type {
        DataType::Timestamp(_, _) | DataType::Utf8View if physical => format!("declare it `{name} TIMESTAMP(3)`, or "),
        _ => String::new(),
    };
    format!("{declare}add a column `event_time AS {cast} and write WATERMARK FOR event_time")
}
