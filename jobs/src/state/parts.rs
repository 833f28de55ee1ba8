//! What derived code is made of, and what the store of a keyed step asks of a piece of state. Not meant to be called otherwise.

use std::any::Any;

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use weir_core::{Error, Result};

use crate::record::Column;

use super::timer::Alarm;

/// A piece of state, which is stored as rows of a table: of each key, as many as it has keys of its own.
pub trait Item: Default + Send + 'static {
    /// What tells the rows of one key apart.
    type Key: Column;
    /// What a row holds.
    type Value: Column;

    /// What the columns of [`Key`](Self::Key) are called.
    const KEY_NAME: &'static str = "";
    /// What the column of [`Value`](Self::Value) is called, if it is no record.
    const VALUE_NAME: &'static str = "value";
    /// Whether it is a timer.
    const IS_TIMER: bool = false;

    /// Adds the rows that have changed since the last call.
    fn capture(&mut self, rows: &mut ItemRows<Self>);

    /// Takes a row that was captured.
    fn load(&mut self, key: Self::Key, value: Self::Value);

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool;

    /// Takes out all that is in it.
    fn clear(&mut self);

    /// When it goes off, if it is a timer.
    fn alarm(&mut self) -> Option<&mut Alarm> {
        None
    }
}

/// The key of pieces of state that are one row.
pub struct NoKey;

impl Column for NoKey {
    type Reader<'a> = ();
    type Builder = ();

    fn data_type() -> DataType {
        DataType::Null
    }

    fn fields(_name: &str) -> Vec<Field> {
        Vec::new()
    }

    fn reader(_array: &ArrayRef, _valid: Option<&NullBuffer>) -> Result<()> {
        Ok(())
    }

    fn columns_reader(_columns: &[ArrayRef], _valid: Option<&NullBuffer>) -> Result<()> {
        Ok(())
    }

    fn read((): &(), _row: usize) -> Self {
        Self
    }

    fn equals(&self, (): &(), _row: usize) -> bool {
        true
    }

    fn builder(_capacity: usize) {}

    fn append_to(&self, (): &mut ()) {}

    fn push_null((): &mut ()) {}

    fn finish((): &mut ()) -> ArrayRef {
        arrow::array::new_null_array(&DataType::Null, 0)
    }

    fn finish_columns((): &mut ()) -> Vec<ArrayRef> {
        Vec::new()
    }
}

/// Rows of a piece of state that were put, and those that are gone.
pub struct ItemRows<I: Item> {
    keys: <I::Key as Column>::Builder,
    values: <I::Value as Column>::Builder,
    gone: <I::Key as Column>::Builder,
    puts: usize,
    deletions: usize,
}

impl<I: Item> ItemRows<I> {
    fn new() -> Self {
        Self { keys: I::Key::builder(0), values: I::Value::builder(0), gone: I::Key::builder(0), puts: 0, deletions: 0 }
    }

    /// The row has this value.
    pub fn put(&mut self, key: &I::Key, value: &I::Value) {
        key.append_to(&mut self.keys);
        value.append_to(&mut self.values);
        self.puts += 1;
    }

    /// The row is gone.
    pub fn delete(&mut self, key: &I::Key) {
        key.append_to(&mut self.gone);
        self.deletions += 1;
    }
}

/// [`ItemRows`] of some piece of state.
pub trait AnyRows: Send {
    /// For a downcast.
    fn as_any(&mut self) -> &mut dyn Any;
    /// How many rows were put and deleted since the last call.
    fn counts(&mut self) -> (usize, usize);
    /// Keys and values of the rows that were put, and the keys of those that are gone.
    fn finish(&mut self) -> (Vec<ArrayRef>, Vec<ArrayRef>);
}

impl<I: Item> AnyRows for ItemRows<I> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn counts(&mut self) -> (usize, usize) {
        (std::mem::take(&mut self.puts), std::mem::take(&mut self.deletions))
    }

    fn finish(&mut self) -> (Vec<ArrayRef>, Vec<ArrayRef>) {
        let mut columns = I::Key::finish_columns(&mut self.keys);
        columns.extend(I::Value::finish_columns(&mut self.values));
        (columns, I::Key::finish_columns(&mut self.gone))
    }
}

/// An [`Item`] of some type.
pub trait AnyItem {
    /// For a downcast.
    fn as_any(&mut self) -> &mut dyn Any;
    /// [`Item::capture`].
    fn capture(&mut self, rows: &mut dyn AnyRows);
    /// [`Item::is_empty`].
    fn is_empty(&self) -> bool;
    /// [`Item::clear`].
    fn clear(&mut self);
    /// [`Item::alarm`].
    fn alarm(&mut self) -> Option<&mut Alarm>;
}

impl<I: Item> AnyItem for I {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn capture(&mut self, rows: &mut dyn AnyRows) {
        let rows = rows.as_any().downcast_mut().expect("the rows were made by the declaration of this piece of state");
        Item::capture(self, rows);
    }

    fn is_empty(&self) -> bool {
        Item::is_empty(self)
    }

    fn clear(&mut self) {
        Item::clear(self);
    }

    fn alarm(&mut self) -> Option<&mut Alarm> {
        Item::alarm(self)
    }
}

/// Gives the piece of state that a row belongs to.
pub type ItemOfRow<'a> = &'a mut dyn FnMut(usize, &mut dyn FnMut(&mut dyn AnyItem));

/// A piece of state as it is stored.
pub struct Declaration {
    pub(crate) name: String,
    pub(crate) key: Vec<Field>,
    pub(crate) values: Vec<Field>,
    pub(crate) rows: fn() -> Box<dyn AnyRows>,
    pub(crate) load: fn(&[ArrayRef], usize, ItemOfRow<'_>) -> Result<()>,
}

impl Declaration {
    /// That of a type.
    pub fn of<I: Item>(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key: I::Key::fields(I::KEY_NAME),
            values: I::Value::fields(I::VALUE_NAME),
            rows: || Box::new(ItemRows::<I>::new()),
            load: load::<I>,
        }
    }
}

/// Gives rows of a table, keys and values, to the pieces of state that they belong to.
fn load<I: Item>(columns: &[ArrayRef], rows: usize, item_of: ItemOfRow<'_>) -> Result<()> {
    let width = I::Key::fields(I::KEY_NAME).len();
    if columns.len() < width {
        return Err(Error::internal("state came without its key"));
    }
    let (keys, values) = columns.split_at(width);
    let (keys, values) = (I::Key::columns_reader(keys, None)?, I::Value::columns_reader(values, None)?);
    for row in 0..rows {
        item_of(row, &mut |item| {
            if let Some(item) = item.as_any().downcast_mut::<I>() {
                item.load(I::Key::read(&keys, row), I::Value::read(&values, row));
            }
        });
    }
    Ok(())
}
