//! The SQL of a test file so far, and how it becomes a job over tables of the test.
//!
//! Statements stand in the lines that they have in the file, so that an error names a line of the file. A table without a connector
//! gets that of the test. A table of which the file takes rows back is a view of its changes: of each row that was given,
//! the last thing that happened to it, for ever, whatever time to live state has in the query. So what takes rows back is an operator of the engine, as it would be in any query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_cli::test_file::Sql;
use weir_connectors::Registry;
use weir_core::connector::RESULT_CONNECTOR;
use weir_core::{Connector, ConnectorRegistry, Error, JobGraph, Result};
use weir_functions::Functions;
use weir_sql::{
    ColumnDefinition, ColumnKind, CreateTable, Like, LikePart, PlanOptions, Script, Spanned, Statement, TableOption,
};

use super::connector::{INLINE, Inline};
use super::world::World;
use crate::settings::{AggregatePhases, Layers, Settings, apply_settings, registry};

/// The table for late rows, which every job has that does not name one.
const LATE: &str = "late rows";

/// A table's own idle timeout.
const IDLE_TIMEOUT_OPTION: &str = "scan.watermark.idle-timeout";

/// Columns of a table of changes behind its own: which row, in which step, and whether it is there from then on.
const CHANGE_COLUMNS: [(&str, DataType); 3] =
    [("row id", DataType::Int64), ("row step", DataType::Int64), ("row is there", DataType::Boolean)];

/// What a test file has said so far.
#[derive(Default)]
pub struct Statements {
    statements: Vec<Sql>,
    /// Tables of the test, by their names in small letters.
    tables: BTreeMap<String, Declared>,
    /// Names, in small letters, of the tables of which rows are taken back somewhere in the file.
    changelogs: BTreeSet<String>,
}

/// A table of the test.
#[derive(Debug, Clone)]
struct Declared {
    name: String,
    /// Columns that its records have.
    schema: SchemaRef,
}

/// A planned job.
pub struct Planned {
    /// The job; `None` if the SQL is no query.
    pub graph: Option<JobGraph>,
    /// Its settings.
    pub settings: Settings,
    /// The table for late rows.
    pub late: String,
}

impl Statements {
    /// Nothing yet.
    pub fn new(changelogs: BTreeSet<String>) -> Self {
        Self { changelogs, ..Self::default() }
    }

    /// The columns of a test's table, and whether rows of it are taken back.
    pub fn table(&self, name: &str) -> Option<(SchemaRef, bool)> {
        let table = self.tables.get(&name.to_lowercase())?;
        Some((table.schema.clone(), self.is_changelog(name)))
    }

    /// Names of the test's tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.values().map(|table| table.name.as_str())
    }

    /// What the connector calls a table, and the columns that it has there.
    pub fn stored(&self, name: &str) -> Option<(String, SchemaRef)> {
        let Declared { name, schema } = self.tables.get(&name.to_lowercase())?.clone();
        if !self.is_changelog(&name) {
            return Some((name, schema));
        }
        let changes = CHANGE_COLUMNS.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), false));
        let fields = schema.fields().iter().map(|field| field.as_ref().clone()).chain(changes);
        Some((changes_of(&name), Arc::new(Schema::new(fields.collect::<Vec<_>>()))))
    }

    /// Adds statements that hold from here on. Returns the tables that are declared or forgotten by them.
    ///
    /// # Errors
    /// If they are no SQL.
    pub fn add(&mut self, sql: &Sql) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for statement in weir_sql::parse(&in_place(std::slice::from_ref(sql)))?.statements {
            match &statement.value {
                Statement::CreateTable(table) if self.is_inline(table) => {
                    let declared = Declared { name: table.name.value.clone(), schema: self.columns(table) };
                    let name = declared.name.to_lowercase();
                    self.tables.insert(name.clone(), declared);
                    changed.push(name);
                }
                Statement::Drop { name, view: false, .. } => {
                    let name = name.value.to_lowercase();
                    self.tables.remove(&name);
                    changed.push(name);
                }
                _ => {}
            }
        }
        self.statements.push(sql.clone());
        Ok(changed)
    }

    fn is_inline(&self, table: &CreateTable) -> bool {
        match &table.like {
            _ if table.options.iter().any(|option| option.key.value == "connector") => false,
            Some(Like { base, .. }) => self.tables.contains_key(&base.value.to_lowercase()),
            None => true,
        }
    }

    fn columns(&self, table: &CreateTable) -> SchemaRef {
        let base = table.like.as_ref().and_then(|like| self.tables.get(&like.base.value.to_lowercase()));
        let mut fields: Vec<Field> = base
            .map(|base| base.schema.fields().iter().map(|field| field.as_ref().clone()).collect())
            .unwrap_or_default();
        fields.extend(table.columns.iter().filter_map(|column| match &column.kind {
            ColumnKind::Physical(data_type) => Some(Field::new(&column.name.value, data_type.clone(), column.nullable)),
            ColumnKind::Metadata { .. } | ColumnKind::Computed(_) => None,
        }));
        Arc::new(Schema::new(fields))
    }

    /// Plans SQL behind all that was said before.
    ///
    /// # Errors
    /// If it is wrong, or cannot run as a stream.
    pub fn plan(&self, sql: &Sql, world: &Arc<World>) -> Result<Planned> {
        let statements: Vec<Sql> = self.statements.iter().chain([sql]).cloned().collect();
        let parsed = weir_sql::parse(&in_place(&statements))?;
        let mut layers = Layers::default();
        apply_settings(&parsed, &mut layers)?;
        let settings = Settings::resolve(&layers, 1);
        if settings.idle_timeout.is_some() && layers.is_given(registry::IDLE_TIMEOUT) {
            return Err(idle_timeout(registry::IDLE_TIMEOUT));
        }
        let late = settings.late_rows_table.clone().unwrap_or_else(|| LATE.to_owned());
        let script = self.over_the_test(parsed, settings.late_rows_table.is_none())?;
        let options = PlanOptions {
            // How long there has been no row is measured by the machine's clock.
            source_idle_timeout: None,
            state_ttl: settings.state_ttl_ms(),
            state_ttl_in_event_time: settings.state_ttl_in_event_time,
            late_table: Some(late.clone()),
            two_phase: settings.aggregate_phases != AggregatePhases::One,
            result_connector: RESULT_CONNECTOR.to_owned(),
            result_options: BTreeMap::new(),
            directory: None,
            functions: Functions::built_in(),
        };
        let plan = weir_sql::plan(&script, connectors(world), &options)?;
        Ok(Planned { graph: plan.graph, settings, late })
    }

    /// The script with the connector of the test where none is named.
    fn over_the_test(&self, script: Script, wants_late_rows: bool) -> Result<Script> {
        let Script { text, statements: parsed } = script;
        let mut statements = Vec::new();
        let mut inline = BTreeSet::new();
        for mut statement in parsed {
            let mut behind = None;
            match &mut statement.value {
                Statement::CreateTable(table) if table.like.is_none() && self.is_inline(table) => {
                    refuse_idle_timeout(table)?;
                    set_connector(table);
                    inline.insert(table.name.value.to_lowercase());
                    behind = self.with_changes(table)?;
                }
                Statement::CreateTable(table)
                    if self.is_inline(table)
                        && table.like.as_ref().is_some_and(|like| inline.contains(&like.base.value.to_lowercase())) =>
                {
                    refuse_idle_timeout(table)?;
                    if table.like.as_ref().is_some_and(|like| !like.takes(LikePart::Options)) {
                        set_connector(table);
                    }
                    inline.insert(table.name.value.to_lowercase());
                    behind = self.with_changes(table)?;
                }
                Statement::Drop { name, view: view @ false, .. } if self.is_changelog(&name.value) => {
                    *view = true;
                    let mut table = statement.clone();
                    if let Statement::Drop { name, view, .. } = &mut table.value {
                        (*view, name.value) = (false, changes_of(&name.value));
                    }
                    behind = Some(table);
                }
                _ => {}
            }
            statements.push(statement);
            statements.extend(behind);
        }
        if wants_late_rows {
            let table = format!(
                "CREATE TABLE `{LATE}` (operator STRING, event_time TIMESTAMP(3), watermark TIMESTAMP(3), `row` STRING)"
            );
            for mut statement in weir_sql::parse(&table)?.statements {
                if let Statement::CreateTable(table) = &mut statement.value {
                    set_connector(table);
                }
                statements.push(statement);
            }
        }
        Ok(Script { text, statements })
    }

    fn is_changelog(&self, name: &str) -> bool {
        self.changelogs.contains(&name.to_lowercase())
    }

    /// Makes a table of which rows are taken back the table of its changes, and returns the view of what is there.
    fn with_changes(&self, table: &mut CreateTable) -> Result<Option<Spanned<Statement>>> {
        let name = table.name.value.clone();
        if !self.is_changelog(&name) {
            return Ok(None);
        }
        table.name.value = changes_of(&name);
        table.watermark = None;
        let span = table.name.span;
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("`{}`", column.name.value.replace('`', "``"))).collect();
        table.columns.extend(CHANGE_COLUMNS.map(|(name, data_type)| ColumnDefinition {
            name: Spanned { value: name.to_owned(), span },
            kind: ColumnKind::Physical(data_type),
            nullable: false,
        }));
        let columns = columns.join(", ");
        let view = format!(
            "CREATE VIEW `{name}` AS SELECT {columns} FROM (
               SELECT {columns}, `row is there` FROM (
                 SELECT /*+ STATE_TTL(changes = '0 s') */ {columns}, `row is there`,
                        ROW_NUMBER() OVER (PARTITION BY `row id` ORDER BY `row step` DESC) AS `row rank`
                 FROM `{}` AS changes) WHERE `row rank` <= 1) WHERE `row is there`",
            table.name.value
        );
        Ok(weir_sql::parse(&view)?.statements.pop())
    }
}

fn refuse_idle_timeout(table: &CreateTable) -> Result<()> {
    let given = table.options.iter().any(|option| option.key.value == IDLE_TIMEOUT_OPTION);
    if given { Err(idle_timeout(IDLE_TIMEOUT_OPTION)) } else { Ok(()) }
}

fn idle_timeout(key: &str) -> Error {
    Error::user(format!("'{key}' goes by the machine's clock, and nothing in a test does"))
        .with_help("leave it out; `watermark TABLE TIME` brings event time forward without a row")
}

fn changes_of(table: &str) -> String {
    format!("{table} changes")
}

fn set_connector(table: &mut CreateTable) {
    let spanned = |text: &str| Spanned { value: text.to_owned(), span: table.name.span };
    let option = TableOption { key: spanned("connector"), value: spanned(INLINE) };
    table.options.push(option);
}

/// Weir's own connectors, and those of the test.
pub fn connectors(world: &Arc<World>) -> Arc<dyn ConnectorRegistry> {
    let builtin = crate::connectors::builtin();
    let names = builtin.names();
    Arc::new(Connectors { all: builtin.with(Inline::tables(world.clone())).with(Inline::result(world.clone())), names })
}

/// Connectors of which those of the test are not named: messages are those that a script has elsewhere.
struct Connectors {
    all: Registry,
    names: Vec<&'static str>,
}

impl ConnectorRegistry for Connectors {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        self.all.get(name)
    }

    fn names(&self) -> Vec<&'static str> {
        self.names.clone()
    }
}

/// Statements, each in its line.
fn in_place(statements: &[Sql]) -> String {
    let (mut text, mut line) = (String::new(), 1);
    for (index, statement) in statements.iter().enumerate() {
        if index > 0 {
            text.push(';');
        }
        text.push_str(&"\n".repeat(statement.line.saturating_sub(line)));
        line = line.max(statement.line);
        text.push_str(&statement.text);
        line += statement.text.matches('\n').count();
    }
    text
}
