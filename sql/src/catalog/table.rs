//! A resolved table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_expr::Expr;
use weir_core::connector::Role;
use weir_core::{Connector, NullTimes, Result, TableSpec};

use crate::diagnostics::Source;
use crate::statement::{ColumnKind, CreateTable, Span};

/// A table, as queries see it and as its connector does.
#[derive(Clone)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where its name stands in the `CREATE TABLE`.
    pub span: Span,
    /// Who reads or writes it.
    pub connector: Arc<dyn Connector>,
    /// Columns in declared order.
    pub columns: Vec<Column>,
    /// `WATERMARK FOR`.
    pub time_attribute: Option<TimeAttribute>,
    /// `PRIMARY KEY`: positions in `columns`.
    pub primary_key: Vec<usize>,
    /// `PARTITIONED BY`.
    pub partitioned_by: Vec<String>,
    /// `'scan.watermark.idle-timeout'`; zero means that the table's splits are never idle.
    pub idle_timeout: Option<Duration>,
    /// `'scan.watermark.alignment.max-drift'`.
    pub max_drift: Option<Duration>,
    /// `'scan.records-per-second.limit'`: how many rows of it are read in a second at most.
    pub rows_per_second: Option<u64>,
    /// `'scan.watermark.null-policy'`: what becomes of rows in which the time attribute is null.
    pub null_times: NullTimes,
    /// `'dead-letter.table'`: the table for what the policies of this one set apart.
    pub dead_letters: Option<String>,
    /// Options for the connector.
    pub(crate) options: BTreeMap<String, String>,
    /// The statement, with what it took from `LIKE`.
    pub(super) definition: CreateTable,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Where its values come from.
    pub source: ColumnSource,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnSource {
    /// From the records; `PARTITIONED BY` columns too.
    Physical,
    /// From what the connector knows about a record, under this name. A virtual one is not written.
    Metadata {
        /// The connector's name for it.
        key: String,
        /// `VIRTUAL`.
        virtual_column: bool,
    },
    /// From physical and metadata columns. The expression names them without a qualifier and is coerced.
    Computed(Expr),
    /// `PROCTIME()`: the time at which the row is processed.
    ProcessingTime,
}

impl ColumnSource {
    /// Whether the connector delivers it.
    pub fn is_stored(&self) -> bool {
        matches!(self, ColumnSource::Physical | ColumnSource::Metadata { .. })
    }
}

/// `WATERMARK FOR column AS expression`.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeAttribute {
    /// Position of the column in [`Table::columns`].
    pub column: usize,
    /// The watermark, of the column's type, over all columns of the table; they are named without a qualifier. Coerced.
    pub expression: Expr,
}

impl fmt::Debug for Table {
    /// Options may hold secrets: their names are shown alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("connector", &self.connector.name())
            .field("columns", &self.columns)
            .field("time_attribute", &self.time_attribute)
            .field("options", &self.options.keys())
            .finish_non_exhaustive()
    }
}

impl Table {
    /// All columns, in declared order.
    pub fn schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.data_type.clone(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The statement that declares it, with what it takes from `LIKE`.
    pub fn definition(&self) -> &CreateTable {
        &self.definition
    }

    /// What a computed column is computed with, as it was written.
    pub fn computed_as(&self, column: &str) -> Option<String> {
        let definition = self.definition.columns.iter().find(|definition| definition.name.value == column)?;
        match &definition.kind {
            ColumnKind::Computed(expression) => Some(expression.to_string()),
            ColumnKind::Physical(_) | ColumnKind::Metadata { .. } => None,
        }
    }

    /// The watermark, as it was written.
    pub fn written_watermark(&self) -> Option<String> {
        self.definition.watermark.as_ref().map(|watermark| watermark.expression.to_string())
    }

    /// The table for a connector that reads it: physical and metadata columns, in declared order. One in which rows can only be looked up
    /// is checked for that; whether it stands where they are is seen later.
    ///
    /// # Errors
    /// A user error if the connector cannot read it, or not so.
    pub fn source_spec(&self, source: &Source<'_>, named_at: Span) -> Result<TableSpec> {
        let can_only_be_looked_up = !self.connector.supports(Role::Source) && self.connector.supports(Role::Lookup);
        self.spec(source, named_at, if can_only_be_looked_up { Role::Lookup } else { Role::Source })
    }

    /// The table for a connector in which rows of it are looked up.
    ///
    /// # Errors
    /// A user error if they cannot be, or not so.
    pub fn lookup_spec(&self, source: &Source<'_>, named_at: Span) -> Result<TableSpec> {
        self.spec(source, named_at, Role::Lookup)
    }

    /// The table for a connector that writes it: the columns of [`Table::written`].
    ///
    /// # Errors
    /// A user error if the connector cannot write it, or not so.
    pub fn sink_spec(&self, source: &Source<'_>, named_at: Span) -> Result<TableSpec> {
        self.spec(source, named_at, Role::Sink)
    }

    /// Columns that an `INSERT` fills, in order: those that are neither computed nor virtual.
    pub fn written(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| match &column.source {
            ColumnSource::Physical => true,
            ColumnSource::Metadata { virtual_column, .. } => !virtual_column,
            ColumnSource::Computed(_) | ColumnSource::ProcessingTime => false,
        })
    }

    /// Options that are here and say nothing about which rows the table has.
    fn settings(&self) -> BTreeSet<String> {
        let settings = self.connector.settings();
        let is_setting = |name: &&String| {
            settings.iter().any(|setting| match setting.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => setting == name,
            })
        };
        self.options.keys().filter(is_setting).cloned().collect()
    }

    /// The `PRIMARY KEY` as positions among `columns`, which have all of it: it consists of physical columns.
    fn key_of(&self, columns: &[&Column]) -> Vec<usize> {
        let position = |key: &usize| columns.iter().position(|column| column.name == self.columns[*key].name);
        self.primary_key.iter().filter_map(position).collect()
    }

    fn spec(&self, source: &Source<'_>, named_at: Span, role: Role) -> Result<TableSpec> {
        if !self.connector.supports(role) {
            let (verb, other) = match role {
                Role::Source | Role::Lookup => ("read", "INSERT INTO it"),
                Role::Sink => ("written", "SELECT from it"),
            };
            let (name, connector) = (&self.name, self.connector.name());
            return Err(source
                .error(named_at, format!("table `{name}` cannot be {verb}: its connector is `{connector}`"))
                .with_help(format!("{other}, or declare the table with another connector")));
        }
        let columns: Vec<&Column> = match role {
            Role::Source | Role::Lookup => self.columns.iter().filter(|column| column.source.is_stored()).collect(),
            Role::Sink => self.written().collect(),
        };
        let spec = TableSpec {
            name: self.name.clone(),
            connector: self.connector.name().to_owned(),
            options: self.options.clone(),
            schema: Arc::new(Schema::new(columns.iter().map(|column| connector_field(column)).collect::<Vec<_>>())),
            settings: self.settings(),
            projection: None,
            partitioned_by: self.partitioned_by.clone(),
            primary_key: self.key_of(&columns),
            plugin: self.definition.plugin.clone(),
        };
        self.connector.validate(&spec, role).map_err(|error| {
            let placed = source.error(self.span, error.to_string());
            match error.help() {
                Some(help) => placed.with_help(help),
                None => placed,
            }
        })?;
        Ok(spec)
    }
}

/// A column as its connector sees it.
pub(super) fn connector_field(column: &Column) -> Field {
    let field = Field::new(&column.name, column.data_type.clone(), column.nullable);
    match &column.source {
        ColumnSource::Metadata { key, .. } => {
            field.with_metadata([(weir_core::connector::METADATA_KEY.to_owned(), key.clone())].into())
        }
        _ => field,
    }
}
