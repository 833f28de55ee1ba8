//! A table as the database has it, and whether the declared one fits it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use weir_connectors::formats::sql_name;
use weir_connectors::options::nearest;
use weir_core::{Error, Result, TableSpec};

use crate::client::Session;
use crate::options::{Name, quoted};
use crate::types::PgType;

/// A column of the database's table.
#[derive(Debug, Clone)]
pub(crate) struct PgColumn {
    name: String,
    /// As the database writes it.
    type_name: String,
    pub(crate) pg: PgType,
    pub(crate) not_null: bool,
    has_default: bool,
    is_generated: bool,
    /// The type below it, if it is a domain.
    pub(crate) domain_of: Option<String>,
    /// Different texts may be equal.
    compares_loosely: bool,
}

/// The table in the database.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    name: Name,
    columns: Vec<PgColumn>,
    /// Columns of each unique index without a condition, sorted.
    unique: Vec<Vec<String>>,
    is_table: bool,
    /// Emptied by a crash of the server.
    is_unlogged: bool,
    /// Which rows may be written, or are seen, depends on their values.
    has_row_security: bool,
    /// In which characters the database keeps its texts.
    encoding: String,
}

const TABLE: &str = "SELECT c.oid, c.relkind::text, c.relpersistence::text, row_security_active(c.oid), current_setting('server_encoding') \
     FROM pg_class c WHERE c.oid = to_regclass($1)::oid";

/// A domain is the type below it.
const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull, \
     a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, \
     a.attgenerated <> '' OR a.attidentity = 'a', b.typname::text, b.typtype::text, \
     CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, e.typname::text, e.typtype::text, \
     EXISTS (SELECT FROM pg_collation c WHERE c.oid = a.attcollation AND NOT c.collisdeterministic), \
     CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, \
     array(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = b.oid) \
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
     JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
     LEFT JOIN pg_type e ON b.typcategory = 'A' AND e.oid = b.typelem \
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const UNIQUE: &str = "SELECT array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid \
     AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1]) ORDER BY a.attname::text COLLATE \"C\") \
     FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate \
     AND i.indpred IS NULL AND i.indexprs IS NULL \
     AND NOT EXISTS (SELECT FROM pg_collation c WHERE c.oid = ANY(i.indcollation::oid[]) AND NOT c.collisdeterministic)";

impl Relation {
    /// Looks at the table; `None` if it is not there.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn find(session: &Session, name: &Name) -> Result<Option<Self>> {
        let failed = |error| session.failed(&format!("cannot look at table {name}"), error);
        let found = session.client.query_opt(TABLE, &[&name.sql()]).await.map_err(failed)?;
        let Some(found) = found else { return Ok(None) };
        let (oid, kind, persistence): (u32, String, String) = (found.get(0), found.get(1), found.get(2));
        let rows = session.client.query(COLUMNS, &[&oid]).await.map_err(failed)?;
        let columns = rows.iter().map(|row| {
            let (name, kind, modifier): (String, String, i32) = (row.get(5), row.get(6), row.get(7));
            let item: (Option<String>, Option<String>) = (row.get(8), row.get(9));
            PgColumn {
                name: row.get(0),
                type_name: row.get(1),
                not_null: row.get(2),
                has_default: row.get(3),
                is_generated: row.get(4),
                compares_loosely: row.get(10),
                domain_of: row.get(11),
                pg: match item {
                    // Items of an enumeration have a type of no fixed number.
                    (Some(item), Some(kind)) if kind == "b" => PgType::Array(Box::new(PgType::named(&item, modifier))),
                    (Some(_), _) => PgType::Other,
                    _ if kind == "e" => PgType::Enum(row.get(12)),
                    _ if kind == "b" => PgType::named(&name, modifier),
                    _ => PgType::Other,
                },
            }
        });
        let columns = columns.collect();
        let unique = session.client.query(UNIQUE, &[&oid]).await.map_err(failed)?;
        Ok(Some(Self {
            name: name.clone(),
            columns,
            unique: unique.iter().map(|row| row.get(0)).collect(),
            is_table: kind == "r" || kind == "p",
            is_unlogged: persistence == "u",
            has_row_security: found.get(3),
            encoding: found.get(4),
        }))
    }

    /// Looks at a table that has to be there.
    ///
    /// # Errors
    /// A user error if it is not.
    pub(crate) async fn require(session: &Session, name: &Name) -> Result<Self> {
        Self::find(session, name).await?.ok_or_else(|| {
            Error::user(format!("there is no table {name} in PostgreSQL at {}", session.place))
                .with_help("create it first, or mend the option 'table-name'; case counts")
        })
    }

    /// The table's columns that the declared ones are.
    ///
    /// # Errors
    /// A user error that names one that is not there.
    fn matched(&self, schema: &Schema) -> Result<Vec<&PgColumn>> {
        let named = |name: &String| {
            self.columns.iter().find(|column| column.name == *name).ok_or_else(|| {
                let names = self.columns.iter().map(|column| column.name.as_str());
                let error = Error::user(format!("table {} of the database has no column '{name}'", self.name));
                match nearest(name, names.clone()) {
                    Some(near) => error.with_help(format!("did you mean '{near}'?")),
                    None => error.with_help(format!("it has {}", names.collect::<Vec<_>>().join(", "))),
                }
            })
        };
        schema.fields().iter().map(|field| named(field.name())).collect()
    }

    /// The columns that are written, in the order of the declared ones, if all of them can be.
    ///
    /// # Errors
    /// A user error that names the column and both types.
    pub(crate) fn written(&self, table: &TableSpec) -> Result<Vec<PgColumn>> {
        if !self.is_table {
            return Err(Error::user(format!("{} of the database is not a table that can be written", self.name)));
        }
        if self.has_row_security {
            return Err(Error::user(format!(
                "table {} of the database has row-level security, by which what was decided could be refused",
                self.name
            ))
            .with_help("write as a user to whom it does not apply: the table's owner, or one with BYPASSRLS"));
        }
        let is_text = |field: &&Arc<Field>| is_text(field.data_type());
        if let Some(field) = table.schema.fields().iter().find(is_text).filter(|_| self.encoding != "UTF8") {
            return Err(Error::user(format!(
                "column '{}': the database keeps texts in {}, which does not have all characters of a STRING",
                field.name(),
                self.encoding
            ))
            .with_help("write to a database whose encoding is UTF8, or BYTES into a bytea"));
        }
        if self.is_unlogged {
            tracing::warn!(table = %self.name, "the table is UNLOGGED: a crash of PostgreSQL loses rows that were written once");
        }
        let columns = self.matched(&table.schema)?;
        for (column, field) in columns.iter().zip(table.schema.fields()) {
            let PgColumn { name, type_name, .. } = column;
            if column.is_generated {
                return Err(Error::user(format!(
                    "column '{name}' of table {} is generated by the database",
                    self.name
                ))
                .with_help("leave it out of the declared table"));
            }
            if !column.pg.takes(field.data_type()) {
                let fitting = PgType::fitting(field.data_type());
                let error = self.mismatch(field, "cannot be written into", column);
                return Err(match fitting.as_str() {
                    "" => error.with_help("declare another type, and CAST in the query"),
                    fitting => error
                        .with_help(format!("it would fit {fitting}; or CAST in the query to what fits {type_name}")),
                });
            }
        }
        let is_written = |column: &PgColumn| columns.iter().any(|written| written.name == column.name);
        if let Some(missing) = self
            .columns
            .iter()
            .find(|column| column.not_null && !column.has_default && !column.is_generated && !is_written(column))
        {
            let PgColumn { name, type_name, .. } = missing;
            return Err(Error::user(format!(
                "column '{name}' of table {}, which is {type_name} NOT NULL without a default, is not written",
                self.name
            ))
            .with_help("declare it too, or give it a default in the database"));
        }
        if !table.primary_key.is_empty() {
            self.check_key(table, &columns)?;
        }
        Ok(columns.into_iter().cloned().collect())
    }

    /// A key by which rows replace each other has to be one in the database.
    fn check_key(&self, table: &TableSpec, columns: &[&PgColumn]) -> Result<()> {
        for PgColumn { name, type_name, pg, compares_loosely, .. } in table.primary_key.iter().map(|key| columns[*key])
        {
            let why = match compares_loosely {
                true => "its collation takes some texts that differ for equal".to_owned(),
                false if !pg.may_replace_by() => format!("{type_name} takes some texts that differ for equal"),
                false => continue,
            };
            return Err(Error::user(format!(
                "rows of '{}' cannot replace each other by column '{name}' of table {}: {why}",
                table.name, self.name
            ))
            .with_help("which of two rows is the last would be chance; give the key a column of text"));
        }
        let mut key: Vec<String> =
            table.primary_key.iter().map(|column| table.schema.field(*column).name().clone()).collect();
        key.sort_unstable();
        if self.unique.contains(&key) {
            return Ok(());
        }
        let columns = key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        Err(Error::user(format!(
            "table {} of the database has no unique index over ({columns}), by which rows of '{}' replace each other",
            self.name, table.name
        ))
        .with_help(format!("ALTER TABLE {} ADD PRIMARY KEY ({columns})", self.name.sql())))
    }

    /// The columns that are read, in the order of the declared ones, if all of them can be.
    ///
    /// # Errors
    /// A user error that names the column and both types.
    pub(crate) fn read(&self, schema: &Schema) -> Result<Vec<PgColumn>> {
        let columns = self.matched(schema)?;
        for (column, field) in columns.iter().zip(schema.fields()) {
            if !column.pg.gives(field.data_type()) {
                let help = match column.pg {
                    PgType::Timestamp { digits, .. } => format!("declare it with {digits} digits of a second, or more"),
                    PgType::Numeric(Some((digits, behind))) if behind >= 0 && digits <= 38 => {
                        format!("declare it DECIMAL({digits}, {behind})")
                    }
                    _ => "declare the type that it has in the database, or use a view that CASTs it".to_owned(),
                };
                return Err(self.mismatch(field, "cannot be read from", column).with_help(help));
            }
        }
        Ok(columns.into_iter().cloned().collect())
    }

    fn mismatch(&self, field: &Field, verb: &str, column: &PgColumn) -> Error {
        Error::user(format!(
            "column '{}': {} {verb} {} of table {} in the database",
            field.name(),
            sql_name(field.data_type()),
            column.type_name,
            self.name
        ))
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_text(item.data_type()),
        data_type => *data_type == DataType::Utf8View,
    }
}
