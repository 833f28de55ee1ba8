//! Tables that a job declares.

use std::marker::PhantomData;
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use weir_core::{Error, Result};

use crate::job::quoted;
use crate::record::Record;

/// A table with the columns of a record, and where its rows are.
///
/// ```
/// # use std::time::Duration;
/// # use weir_jobs::prelude::*;
/// #[derive(Record)]
/// struct Click {
///     user: String,
///     #[record(event_time)]
///     at: Timestamp,
/// }
///
/// # fn clicks(job: &mut Job) {
/// let clicks = job.create_table(
///     Table::<Click>::new("clicks")
///         .with("connector", "kafka")
///         .with("topic", "clicks")
///         .with("properties.bootstrap.servers", "localhost:9092")
///         .with("format", "json")
///         .out_of_order(Duration::from_secs(5)),
/// );
/// # }
/// ```
pub struct Table<R> {
    name: String,
    options: Vec<(String, String)>,
    out_of_order: Duration,
    rows: PhantomData<fn() -> R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        let (name, options, out_of_order) = (self.name.clone(), self.options.clone(), self.out_of_order);
        Self { name, options, out_of_order, rows: PhantomData }
    }
}

impl<R: Record> Table<R> {
    /// A table of that name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), options: Vec::new(), out_of_order: Duration::ZERO, rows: PhantomData }
    }

    /// Sets an option of its connector, as in `WITH (…)`.
    #[must_use]
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.options.push((option.to_owned(), value.to_owned()));
        self
    }

    /// By how much a row may come behind a later one without being late. Nothing, if it is not said.
    #[must_use]
    pub fn out_of_order(mut self, most: Duration) -> Self {
        self.out_of_order = most;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn has_option(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| name == option)
    }

    /// The declaration.
    ///
    /// # Errors
    /// A user error if SQL has no type for a column.
    pub(crate) fn sql(&self) -> Result<String> {
        self.sql_with(&[])
    }

    /// The declaration, with further options.
    ///
    /// # Errors
    /// A user error if SQL has no type for a column.
    pub(crate) fn sql_with(&self, further: &[(&str, &str)]) -> Result<String> {
        let schema = R::schema();
        let mut lines = Vec::new();
        for field in schema.fields() {
            let sql_type = sql_type(field.data_type()).map_err(|error| {
                error.context(format!("{}.{} cannot be a column of a table", R::NAME, field.name()))
            })?;
            let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
            lines.push(format!("  {} {sql_type}{not_null}", quoted(field.name())));
        }
        if let Some(time) = R::EVENT_TIME {
            let name = quoted(schema.field(time).name());
            let delay = self.out_of_order.as_secs_f64();
            let earlier =
                if self.out_of_order.is_zero() { String::new() } else { format!(" - INTERVAL '{delay}' SECOND") };
            lines.push(format!("  WATERMARK FOR {name} AS {name}{earlier}"));
        }
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let own = self.options.iter().map(|(option, value)| (option.as_str(), value.as_str()));
        let options = further.iter().copied().chain(own);
        let options = options.map(|(option, value)| format!("{} = {}", text(option), text(value)));
        let options = options.collect::<Vec<_>>().join(", ");
        Ok(format!("CREATE TABLE {} (\n{}\n) WITH ({options});", self.name, lines.join(",\n")))
    }
}

fn sql_type(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8View => "STRING".to_owned(),
        DataType::BinaryView => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP(3)".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::List(element) => format!("ARRAY<{}>", sql_type(element.data_type())?),
        DataType::Struct(fields) => {
            let field = |field: &arrow::datatypes::FieldRef| {
                Ok(format!("{} {}", quoted(field.name()), sql_type(field.data_type())?))
            };
            format!("ROW<{}>", fields.iter().map(field).collect::<Result<Vec<_>>>()?.join(", "))
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            return Err(
                Error::user("SQL has no unsigned numbers").with_help("take the next larger signed one, i64 at most")
            );
        }
        other => return Err(Error::user(format!("SQL has no type {other}"))),
    })
}
