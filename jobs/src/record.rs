//! Rows as Rust values, and columns of them.
//!
//! A batch is decoded column by column: each column is looked at once, when its [`Reader`](Column::Reader) is made, which is also when
//! types and nulls are checked. Reading a row is then an access by index for each field, and cannot fail. Rows that are
//! emitted go straight into the builders of their columns.

mod conform;
mod decimal;
mod list;
mod option;
pub mod parts;
mod primitive;
mod text;
mod time;
mod tuple;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_core::state_column;

use crate::Result;

pub(crate) use conform::{conform, zeros};
pub use decimal::Decimal;
pub use text::Bytes;
pub(crate) use time::millis;
pub use time::{Date, EventTimeColumn, Timestamp};

/// A row: a struct with [`#[derive(Record)]`](derive@crate::Record).
///
/// ```
/// use weir_jobs::prelude::*;
///
/// #[derive(Record, Debug, Clone, PartialEq)]
/// struct Click {
///     user: String,
///     page: Option<String>,
///     device: Device,
///     tags: Vec<String>,
///     price: Decimal<10, 2>,
///     /// When it happened: the time by which windows and timers go.
///     #[record(event_time)]
///     at: Timestamp,
/// }
///
/// // Text in its column: `desktop`, `phone`.
/// #[derive(Record, Debug, Clone, Copy, PartialEq)]
/// #[record(rename_all = "snake_case")]
/// enum Device {
///     Desktop,
///     Phone,
/// }
///
/// assert_eq!(Click::schema().field(2).name(), "device");
/// assert_eq!(Click::EVENT_TIME, Some(5));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record",
    label = "rows are structs with `#[derive(Record)]`",
    note = "a single value is a struct with one field"
)]
pub trait Record: Column {
    /// What the type is called, in messages.
    const NAME: &'static str;

    /// Position of the column with the event time, if there is one.
    const EVENT_TIME: Option<usize>;

    /// The event time of this row.
    fn event_time(&self) -> Option<Timestamp>;

    /// The columns.
    fn schema() -> SchemaRef {
        state_column::plain(&Schema::new(Self::fields("")))
    }
}

/// A type of values that a column can hold: numbers, `bool`, `String`, [`Bytes`], [`Timestamp`], [`Date`], [`Decimal`], enums
/// and structs with `#[derive(Record)]`, and `Option`, `Vec` and tuples of such.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a column",
    label = "no column holds such values",
    note = "columns hold numbers, bool, String, Bytes, Timestamp, Date, Decimal, what has #[derive(Record)], and Option and Vec of these"
)]
pub trait Column: Sized + Send + 'static {
    /// Reads values from an array.
    type Reader<'a>;

    /// Collects values.
    type Builder: Send;

    /// Whether the column may hold nulls.
    const NULLABLE: bool = false;

    /// Arrow's type.
    fn data_type() -> DataType;

    /// The columns that a value takes where it is not inside of another: one called `name`, or those of a struct.
    fn fields(name: &str) -> Vec<Field> {
        vec![parts::field::<Self>(name, None, name)]
    }

    /// A reader of an array of this type. Only values where `valid` is set are read, if it is given.
    ///
    /// # Errors
    /// If the array is of another type, or holds what the type cannot be.
    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<Self::Reader<'a>>;

    /// A reader of the columns that [`fields`](Self::fields) names.
    ///
    /// # Errors
    /// As [`reader`](Self::reader).
    fn columns_reader<'a>(columns: &'a [ArrayRef], valid: Option<&NullBuffer>) -> Result<Self::Reader<'a>> {
        let column = columns.first().ok_or_else(|| weir_core::Error::internal("a value has no column"))?;
        Self::reader(column, valid)
    }

    /// The value at `row`.
    fn read(reader: &Self::Reader<'_>, row: usize) -> Self;

    /// Whether the value at `row` is this one.
    fn equals(&self, reader: &Self::Reader<'_>, row: usize) -> bool;

    /// An empty builder.
    fn builder(capacity: usize) -> Self::Builder;

    /// Adds this value.
    fn append_to(&self, builder: &mut Self::Builder);

    /// Adds a null.
    fn push_null(builder: &mut Self::Builder);

    /// The values that were added. The builder is empty afterwards.
    fn finish(builder: &mut Self::Builder) -> ArrayRef;

    /// The values that were added, as the columns that [`fields`](Self::fields) names.
    fn finish_columns(builder: &mut Self::Builder) -> Vec<ArrayRef> {
        vec![Self::finish(builder)]
    }
}

/// A type of values that rows can be sent and kept by: what is [`Column`], is equal to itself alone, and can be hashed. A key of
/// several parts is a tuple or a struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "keys are whole numbers, bool, String, Bytes, Timestamp, Date, Decimal, enums, and tuples or records of these",
    note = "a struct or an enum needs #[derive(Record, Clone, PartialEq, Eq)]"
)]
pub trait Key: Column + Clone + Eq + Sync {}

impl<K: Column + Clone + Eq + Sync> Key for K {}

/// Rows as a batch.
///
/// # Errors
/// If a value does not fit its column.
pub fn to_batch<R: Record>(rows: &[R]) -> Result<arrow::array::RecordBatch> {
    let mut builder = R::builder(rows.len());
    rows.iter().for_each(|row| row.append_to(&mut builder));
    Ok(arrow::array::RecordBatch::try_new(R::schema(), R::finish_columns(&mut builder))?)
}

/// The rows of a batch.
///
/// # Errors
/// If the batch's columns are not those of the record.
pub fn from_batch<R: Record>(batch: &arrow::array::RecordBatch) -> Result<Vec<R>> {
    let columns = conform(batch.columns(), &R::schema(), R::NAME)?;
    let reader = R::columns_reader(&columns, None)?;
    Ok((0..batch.num_rows()).map(|row| R::read(&reader, row)).collect())
}

/// A schema of these fields as it travels: without ids of state columns.
pub(crate) fn plain_schema(fields: Vec<Field>) -> SchemaRef {
    state_column::plain(&Schema::new(fields))
}

/// The type `T` in a list. As in SQL an element may be null, whatever the field says: what comes is looked at.
pub(crate) fn element<T: Column>() -> Arc<Field> {
    Arc::new(Field::new_list_field(T::data_type(), true))
}

#[cfg(test)]
mod tests;
