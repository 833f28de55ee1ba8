//! What a script says, before anything in it is resolved.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_sql::sqlparser::ast;
use weir_core::plugin::{Artifact, FunctionSignature, OperatorStep, PluginTable};

/// A piece of the script's text: byte offsets, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte behind it.
    pub end: usize,
}

/// Something and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// What.
    pub value: T,
    /// Where.
    pub span: Span,
}

/// A parsed script.
#[derive(Debug, Clone)]
pub struct Script {
    /// The text that spans point into.
    pub text: Arc<str>,
    /// Its statements in order.
    pub statements: Vec<Spanned<Statement>>,
}

/// One statement.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a script has a few dozen of them")]
pub enum Statement {
    /// `CREATE [TEMPORARY] TABLE`.
    CreateTable(CreateTable),
    /// `CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] name [(columns)] AS query`.
    CreateView {
        /// Its name.
        name: Spanned<String>,
        /// Names of its columns, if given.
        columns: Vec<String>,
        /// `OR REPLACE`.
        or_replace: bool,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// What it stands for.
        query: Box<ast::Query>,
    },
    /// `CREATE FUNCTION`.
    CreateFunction(CreateFunction),
    /// `DROP FUNCTION [IF EXISTS] name`.
    DropFunction {
        /// What is dropped.
        name: Spanned<String>,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `DROP TABLE | VIEW [IF EXISTS] name`.
    Drop {
        /// What is dropped.
        name: Spanned<String>,
        /// Whether it is a view.
        view: bool,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `ALTER TABLE`.
    AlterTable(AlterTable),
    /// `CREATE DATABASE [IF NOT EXISTS] name`.
    CreateDatabase {
        /// Its name.
        name: Spanned<String>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP DATABASE [IF EXISTS] name [RESTRICT | CASCADE]`.
    DropDatabase {
        /// What is dropped.
        name: Spanned<String>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`: with all that is in it.
        cascade: bool,
    },
    /// `USE name`: the database of names that name none.
    Use(Spanned<String>),
    /// `USE CATALOG default_catalog`, which is in use anyway: the database stays.
    UseCatalog,
    /// `INSERT INTO target [(columns)] query`.
    Insert {
        /// The table.
        target: Spanned<String>,
        /// Columns that the query fills, in its order; empty: all.
        columns: Vec<Spanned<String>>,
        /// The rows.
        query: Box<ast::Query>,
    },
    /// An operator of a plugin, between relations of the script.
    Operator(Box<OperatorStatement>),
    /// A bare `SELECT`, `WITH` or `VALUES`: its result is printed.
    Query(Box<ast::Query>),
    /// `EXPLAIN` of an `INSERT` or a query.
    Explain {
        /// What is asked for beside the dataflow.
        details: ExplainDetails,
        /// The statement.
        statement: Box<Statement>,
    },
    /// `SHOW …`.
    Show(Show),
    /// `DESCRIBE name`.
    Describe(Spanned<String>),
    /// About the jobs of a cluster.
    Jobs(Jobs),
    /// `SET 'key' = 'value'`.
    Set {
        /// The key.
        key: Spanned<String>,
        /// The value.
        value: Spanned<String>,
    },
    /// `RESET ['key']`.
    Reset {
        /// The key; all keys without.
        key: Option<Spanned<String>>,
    },
}

/// An operator of a plugin.
#[derive(Debug, Clone)]
pub struct OperatorStatement {
    /// What the plugin says of it.
    pub step: OperatorStep,
    /// The file that the plugin is; `None`: it is linked into the process.
    pub artifact: Option<Artifact>,
    /// What it reads, a query for each of its inputs.
    pub inputs: Vec<Spanned<Box<ast::Query>>>,
}

/// What is said of the jobs of a cluster, which only its shell can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jobs {
    /// `SHOW JOBS`.
    Show,
    /// `DESCRIBE JOB 'job'`.
    Describe {
        /// Its name or number.
        job: String,
    },
    /// `SHOW WATERMARKS FOR JOB 'job'`.
    Watermarks {
        /// Its name or number.
        job: String,
    },
    /// `STOP JOB 'job' [WITH SAVEPOINT] [WITH DRAIN]`.
    Stop {
        /// Its name or number.
        job: String,
        /// Whether its windows close first.
        drain: bool,
    },
}

/// What `SHOW` shows. Patterns are those of `LIKE`, in small letters.
#[derive(Debug, Clone)]
pub enum Show {
    /// `SHOW TABLES [FROM database] [LIKE 'pattern']`: tables and views, as in Flink.
    Tables {
        /// Of which database; without one of that which is in use.
        database: Option<Spanned<String>>,
        /// Which.
        like: Option<String>,
    },
    /// `SHOW VIEWS [FROM database] [LIKE 'pattern']`.
    Views {
        /// Of which database; without one of that which is in use.
        database: Option<Spanned<String>>,
        /// Which.
        like: Option<String>,
    },
    /// `SHOW DATABASES [LIKE 'pattern']`.
    Databases {
        /// Which.
        like: Option<String>,
    },
    /// `SHOW CURRENT DATABASE`.
    CurrentDatabase,
    /// `SHOW CATALOGS` and `SHOW CURRENT CATALOG`: there is one.
    Catalogs {
        /// Whether that in use is asked for.
        current: bool,
    },
    /// `SHOW FUNCTIONS [LIKE 'pattern']`.
    Functions {
        /// Which.
        like: Option<String>,
    },
    /// `SHOW CREATE TABLE | VIEW name`.
    Create {
        /// Of what.
        name: Spanned<String>,
        /// Whether it is a view.
        view: bool,
    },
    /// `SHOW CREATE FUNCTION name`.
    CreateFunction {
        /// Of what.
        name: Spanned<String>,
    },
    /// `SET` alone: what is set.
    Settings,
}

/// `CREATE [OR REPLACE] FUNCTION [IF NOT EXISTS] name …`.
#[derive(Debug, Clone)]
pub struct CreateFunction {
    /// Its name.
    pub name: Spanned<String>,
    /// What it does.
    pub definition: FunctionDefinition,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
}

/// What a function does.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a script has a few dozen of them")]
pub enum FunctionDefinition {
    /// `(parameters) RETURN body`.
    Sql {
        /// What it is called with.
        parameters: Vec<Parameter>,
        /// Its result. Names in it are parameters.
        body: ast::Expr,
    },
    /// `AS 'exported_name' USING ARTIFACT '…'`.
    Exported(ExportedFunction),
}

/// A function of a plugin.
#[derive(Debug, Clone)]
pub struct ExportedFunction {
    /// Its name in the plugin.
    pub exported: Spanned<String>,
    /// The plugin: a file, or, with a signature, name, version and hash.
    pub artifact: Spanned<String>,
    /// `IN 'folder'`: where its file is kept.
    pub folder: Option<String>,
    /// What it takes and gives; `None` until somebody has [looked](crate::with_signatures) into the plugin.
    pub signature: Option<FunctionSignature>,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type, as written.
    pub type_name: String,
    /// The same type.
    pub data_type: DataType,
    /// Where `NOT NULL` stands.
    pub not_null: Option<Span>,
    /// `CAST(name AS type)`.
    pub argument: ast::Expr,
}

/// `CREATE TABLE`.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Its name.
    pub name: Spanned<String>,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Columns in order; may be empty where the connector knows them.
    pub columns: Vec<ColumnDefinition>,
    /// `WATERMARK FOR`.
    pub watermark: Option<WatermarkDefinition>,
    /// `PRIMARY KEY (…) NOT ENFORCED`.
    pub primary_key: Vec<String>,
    /// `COMMENT`.
    pub comment: Option<String>,
    /// `PARTITIONED BY`.
    pub partitioned_by: Vec<Spanned<String>>,
    /// `WITH (…)`.
    pub options: Vec<TableOption>,
    /// `LIKE base (…)`: what is taken over from another table.
    pub like: Option<Like>,
    /// `AS query`, which fills it: its columns are the query's. The place is that of the `AS`.
    pub query: Option<Spanned<Box<ast::Query>>>,
    /// Whose code the table is, of one that a plugin's job declares. No text says so.
    pub plugin: Option<Box<PluginTable>>,
}

/// `LIKE base (…)`.
#[derive(Debug, Clone)]
pub struct Like {
    /// The other table.
    pub base: Spanned<String>,
    /// What becomes of the parts of it, those that are named last behind the others.
    pub parts: Vec<(Merging, Spanned<LikePart>)>,
}

/// What becomes of a part of the table behind `LIKE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// It is taken over, and must not be said anew.
    Including,
    /// It is left out.
    Excluding,
    /// It is taken over, but for what is said anew.
    Overwriting,
}

/// A part of the table behind `LIKE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikePart {
    /// All those below.
    All,
    /// The primary key.
    Constraints,
    /// Computed columns.
    Generated,
    /// Columns that the connector knows of its records.
    Metadata,
    /// What stands in `WITH`.
    Options,
    /// What stands in `PARTITIONED BY`.
    Partitions,
    /// The watermark.
    Watermarks,
}

impl Like {
    /// What becomes of a part; `None` if nothing is said of it.
    pub fn merging(&self, part: LikePart) -> Option<Merging> {
        let of = |part: LikePart| self.parts.iter().rev().find(|(_, known)| known.value == part);
        of(part).or_else(|| of(LikePart::All)).map(|(merging, _)| *merging)
    }

    /// Whether a part is taken over.
    pub fn takes(&self, part: LikePart) -> bool {
        self.merging(part) != Some(Merging::Excluding)
    }
}

/// `ALTER TABLE [IF EXISTS] name …`.
#[derive(Debug, Clone)]
pub struct AlterTable {
    /// Its name.
    pub name: Spanned<String>,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// What is changed.
    pub change: TableChange,
}

/// What an `ALTER TABLE` changes.
#[derive(Debug, Clone)]
pub enum TableChange {
    /// `SET ('key' = 'value', …)`.
    Set(Vec<TableOption>),
    /// `RESET ('key', …)`.
    Reset(Vec<Spanned<String>>),
    /// `RENAME TO name`.
    RenameTo(Spanned<String>),
    /// `RENAME column TO name`.
    RenameColumn {
        /// The column.
        from: Spanned<String>,
        /// Its new name.
        to: Spanned<String>,
    },
    /// `ADD` of columns, a watermark or a primary key.
    Add {
        /// A table with these, and nothing else.
        parts: Box<CreateTable>,
        /// Where a column stands; `None`: behind all others.
        place: Option<ColumnPlace>,
    },
    /// `MODIFY` of columns, the watermark or the primary key.
    Modify {
        /// A table with these, and nothing else.
        parts: Box<CreateTable>,
        /// Where a column stands; `None`: where it is.
        place: Option<ColumnPlace>,
    },
    /// `DROP (column, …)`.
    DropColumns(Vec<Spanned<String>>),
    /// `DROP WATERMARK`.
    DropWatermark,
    /// `DROP PRIMARY KEY`.
    DropPrimaryKey,
}

/// Where a column stands.
#[derive(Debug, Clone)]
pub enum ColumnPlace {
    /// In front of all others.
    First,
    /// Behind this one.
    After(Spanned<String>),
}

/// One column of `CREATE TABLE`.
#[derive(Debug, Clone)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: Spanned<String>,
    /// Where its values come from.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Where a column's values come from.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a script has a few hundred of them")]
pub enum ColumnKind {
    /// From the records.
    Physical(DataType),
    /// `METADATA [FROM 'key'] [VIRTUAL]`: from what the connector knows about the record.
    Metadata {
        /// Type of the column.
        data_type: DataType,
        /// The connector's name for it; the column's name if not given.
        from: Option<String>,
        /// `VIRTUAL`: not written when the table is a sink.
        virtual_column: bool,
    },
    /// `name AS expression`.
    Computed(ast::Expr),
}

/// `WATERMARK FOR column AS expression`.
#[derive(Debug, Clone)]
pub struct WatermarkDefinition {
    /// The time attribute.
    pub column: Spanned<String>,
    /// How far time has come, given a row.
    pub expression: ast::Expr,
}

/// `'key' = 'value'`.
#[derive(Debug, Clone)]
pub struct TableOption {
    /// The key.
    pub key: Spanned<String>,
    /// The value.
    pub value: Spanned<String>,
}

/// What an `EXPLAIN` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExplainDetails {
    /// `CHANGELOG_MODE`: what the rows of each operator are to those before them.
    pub changelog_mode: bool,
    /// `STATE`: what bounds that which is kept, and how large it is.
    pub state: bool,
    /// `JSON`: all of it, for programs.
    pub json: bool,
}
