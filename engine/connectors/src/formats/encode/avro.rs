//! Rows as Avro data, by the schema that follows from the table ([`schema_of`](crate::formats::avro::schema_of)).

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::*;
use weir_core::{Error, Result};

use crate::formats::sql_name;

/// Writes the value of a row, which is not null.
type Write = Box<dyn Fn(usize, &mut Vec<u8>) + Send + Sync>;

/// Fields that are ready to be written row by row.
pub(super) struct Record(Vec<Part>);

struct Part {
    /// Whether it is a union with null.
    nullable: bool,
    nulls: Option<NullBuffer>,
    write: Write,
}

impl Record {
    /// The columns of some rows.
    ///
    /// # Errors
    /// A user error if Avro has no type for one, a data error if it has none for a value.
    pub(super) fn new(rows: &RecordBatch) -> Result<Self> {
        parts(rows.schema().fields(), rows.columns()).map(Self)
    }

    /// Appends a row.
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) {
        self.0.iter().for_each(|part| part.append(row, out));
    }
}

fn parts(fields: &Fields, columns: &[ArrayRef]) -> Result<Vec<Part>> {
    let parts = fields.iter().zip(columns).map(|(field, column)| {
        Part::new(field, column).map_err(|error| error.context(format!("column '{}'", field.name())))
    });
    parts.collect()
}

impl Part {
    fn new(field: &Field, column: &ArrayRef) -> Result<Self> {
        Ok(Self { nullable: field.is_nullable(), nulls: column.logical_nulls(), write: writer(column)? })
    }

    fn append(&self, row: usize, out: &mut Vec<u8>) {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        if self.nullable {
            // The branches are null and the type.
            push_long(out, (!is_null).into());
        }
        if !is_null {
            (self.write)(row, out);
        }
    }
}

/// Appends a number of variable length, zigzag.
fn push_long(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// As few bytes as keep the sign, of a number whose highest byte is the first.
pub(super) fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let spare = (0..15).take_while(|place| {
        let sign = if bytes[place + 1] & 0x80 == 0 { 0 } else { 0xff };
        bytes[*place] == sign
    });
    &bytes[spare.count()..]
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

fn of<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    write: impl Fn(T::Native, &mut Vec<u8>) + Send + Sync + 'static,
) -> Write {
    let values: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Box::new(move |row, out| write(values.value(row), out))
}

fn longs(array: &ArrayRef) -> Result<Write> {
    Ok(of::<Int64Type>(&cast(array, &DataType::Int64)?, |value, out| push_long(out, value)))
}

fn writer(array: &ArrayRef) -> Result<Write> {
    Ok(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| out.push(values.value(row).into()))
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => longs(array)?,
        DataType::Float32 => of::<Float32Type>(array, |value, out| out.extend_from_slice(&value.to_le_bytes())),
        DataType::Float64 => of::<Float64Type>(array, |value, out| out.extend_from_slice(&value.to_le_bytes())),
        DataType::Decimal128(..) => of::<Decimal128Type>(array, |value, out| {
            push_bytes(out, shortest(&value.to_be_bytes()));
        }),
        DataType::Utf8View => {
            let values = array.as_string_view().clone();
            Box::new(move |row, out| push_bytes(out, values.value(row).as_bytes()))
        }
        DataType::BinaryView => {
            let values = array.as_binary_view().clone();
            Box::new(move |row, out| push_bytes(out, values.value(row)))
        }
        DataType::Date32 => of::<Date32Type>(array, |days, out| push_long(out, days.into())),
        DataType::Time64(_) => {
            let nanos = cast(array, &DataType::Time64(TimeUnit::Nanosecond))?;
            let values = nanos.as_primitive::<Time64NanosecondType>();
            if values.iter().flatten().any(|nanos| nanos % 1000 != 0) {
                return Err(Error::data(
                    "a time of day with more than six digits of a second, which Avro does not have",
                ));
            }
            of::<Time64NanosecondType>(&nanos, |nanos, out| push_long(out, nanos / 1000))
        }
        // Avro has no whole seconds.
        DataType::Timestamp(TimeUnit::Second, zone) => {
            longs(&cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))?)?
        }
        DataType::Timestamp(..) => longs(array)?,
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let (offsets, item) = (list.offsets().clone(), Part::new(field, list.values())?);
            Box::new(move |row, out| {
                push_block(out, offsets[row] as usize..offsets[row + 1] as usize, |out, entry| item.append(entry, out));
            })
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (offsets, keys) = (map.offsets().clone(), map.keys().as_string_view_opt().cloned());
            let keys = keys.ok_or_else(|| Error::user("the keys of a map are STRING in Avro"))?;
            let field = match map.entries().fields().get(1) {
                Some(field) => field.clone(),
                None => return Err(Error::internal("a map whose entries are not pairs")),
            };
            let values = Part::new(&field, map.values())?;
            Box::new(move |row, out| {
                push_block(out, offsets[row] as usize..offsets[row + 1] as usize, |out, entry| {
                    push_bytes(out, keys.value(entry).as_bytes());
                    values.append(entry, out);
                });
            })
        }
        DataType::Struct(fields) => {
            let parts = parts(fields, array.as_struct().columns())?;
            Box::new(move |row, out| parts.iter().for_each(|part| part.append(row, out)))
        }
        other => return Err(Error::user(format!("Avro has no type for {}", sql_name(other)))),
    })
}

/// The items of an array or map, in one block, and the end.
fn push_block(out: &mut Vec<u8>, entries: std::ops::Range<usize>, push: impl Fn(&mut Vec<u8>, usize)) {
    if !entries.is_empty() {
        push_long(out, entries.len() as i64);
        entries.for_each(|entry| push(out, entry));
    }
    push_long(out, 0);
}
