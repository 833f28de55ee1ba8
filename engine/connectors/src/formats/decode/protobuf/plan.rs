//! How a message is read into columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as Wanted, FieldRef};
use protox::prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::super::sql_name;
use super::known::Known;
use super::names::Names;
use super::number::{Number, wire_of};
use super::wire::Wire;

/// How messages are read, beside their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whether fields that are not there, and whose message would say if they were, have their default values.
    pub(crate) defaults: bool,
    /// Whether the message may be without a column that may be null.
    pub(crate) other_columns: bool,
}

/// How a message is read.
#[derive(Debug)]
pub(crate) struct Message {
    /// Those that are read.
    pub(super) fields: Vec<Field>,
    /// What is done about a field of a number; for a number that is not there, nothing.
    pub(super) steps: Steps,
    /// Where the last value of each of `fields` is, while a message is read.
    pub(super) slots: Vec<Slot>,
    /// Of each `oneof`, its members among `fields`.
    pub(super) oneofs: Vec<Vec<usize>>,
    /// Columns that the message does not have: they are null.
    pub(super) missing: Vec<usize>,
}

/// What is done about a field that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the one of `fields` at this place.
    Read(usize),
    /// It is not read, and takes the place of other members of this `oneof`.
    Clear(usize),
}

/// Steps by the numbers of fields.
#[derive(Debug, Default)]
pub(super) struct Steps {
    first: Vec<Option<Step>>,
    /// In order of their numbers.
    others: Vec<(u32, Step)>,
}

impl Steps {
    fn new(mut steps: Vec<(u32, Step)>) -> Self {
        const FIRST: u32 = 256;
        steps.sort_unstable_by_key(|(number, _)| *number);
        let split = steps.partition_point(|(number, _)| *number < FIRST);
        let others = steps.split_off(split);
        let mut first = vec![None; steps.last().map_or(0, |(number, _)| *number as usize + 1)];
        steps.into_iter().for_each(|(number, step)| first[number as usize] = Some(step));
        Self { first, others }
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<Step> {
        match self.first.get(number as usize) {
            Some(step) => *step,
            None if self.others.is_empty() => None,
            None => {
                let place = self.others.binary_search_by_key(&number, |(number, _)| *number).ok()?;
                Some(self.others[place].1)
            }
        }
    }
}

/// Where the value of a field is.
#[derive(Debug, Clone, Default)]
pub(super) enum Slot {
    #[default]
    Absent,
    /// The bits of a number.
    Number(u64),
    /// At this place of the message.
    Bytes(Range<usize>),
    /// The parts of a message that stood at several places, or a default value.
    Own(Vec<u8>),
}

/// A field that is read.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) column: usize,
    /// Whether the column may be null.
    pub(super) nullable: bool,
    pub(super) wire: Wire,
    pub(super) oneof: Option<usize>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    One {
        read: Read,
        absent: Absent,
    },
    /// One that is an item of a list.
    Many(Read),
    /// A message of a key and a value, and where those are that have come.
    Map {
        entry: Box<Message>,
        places: Vec<Range<usize>>,
    },
}

/// What it means that a field is not there.
#[derive(Debug)]
pub(super) enum Absent {
    Null,
    Default(Slot),
    /// That is an error.
    Required,
}

/// How one value is read. That the column is of a type that goes with it has been seen when the plan was made.
#[derive(Debug)]
pub(super) enum Read {
    Number(Number),
    Enum(Arc<Names>),
    /// A string, or bytes.
    Bytes,
    /// A string that says what the column takes.
    Text,
    Message(Box<Message>),
    Known(Known),
    /// A message around one value, which has a default.
    Wrapped {
        read: Box<Read>,
        wire: Wire,
        default: Slot,
    },
}

/// Messages in messages; a table has not so many rows in each other.
const DEPTH: usize = 64;

impl Message {
    /// Resolves a message against the fields that are wanted.
    ///
    /// # Errors
    /// Why rows cannot be read from it.
    pub(crate) fn new(of: &MessageDescriptor, wanted: &[FieldRef], reading: Reading) -> Result<Self, String> {
        message(of, wanted, reading, 0)
    }
}

fn of_column(name: &str, error: &str) -> String {
    format!("column '{name}': {error}")
}

fn message(of: &MessageDescriptor, wanted: &[FieldRef], reading: Reading, depth: usize) -> Result<Message, String> {
    if depth > DEPTH {
        return Err(format!("it has more than {DEPTH} rows in each other"));
    }
    let mut missing = Vec::new();
    let mut fields = Vec::new();
    let mut steps = Vec::new();
    for (column, field) in wanted.iter().enumerate() {
        match of.get_field_by_name(field.name()) {
            Some(descriptor) => {
                let read = self::field(&descriptor, column, field, reading, depth);
                fields.push(read.map_err(|error| of_column(field.name(), &error))?);
                steps.push((descriptor.number(), Step::Read(fields.len() - 1)));
            }
            None if !reading.other_columns => {
                return Err(of_column(field.name(), &format!("the message '{}' has no such field", of.full_name())));
            }
            None if !field.is_nullable() => {
                return Err(of_column(
                    field.name(),
                    &format!("it is NOT NULL, and the message '{}' does not have it", of.full_name()),
                ));
            }
            None => missing.push(column),
        }
    }
    let mut oneofs = Vec::new();
    for (number, oneof) in of.oneofs().filter(|oneof| oneof.fields().len() > 1).enumerate() {
        let mut members = Vec::new();
        for member in oneof.fields() {
            match fields.iter().position(|field| field.name == member.name()) {
                Some(place) => {
                    fields[place].oneof = Some(number);
                    members.push(place);
                }
                None => steps.push((member.number(), Step::Clear(number))),
            }
        }
        oneofs.push(members);
    }
    let slots = vec![Slot::Absent; fields.len()];
    Ok(Message { fields, steps: Steps::new(steps), slots, oneofs, missing })
}

/// Whether it is a member of a oneof that has others.
fn is_of_many(of: &FieldDescriptor) -> bool {
    of.containing_oneof().is_some_and(|oneof| oneof.fields().len() > 1)
}

fn field(
    of: &FieldDescriptor,
    column: usize,
    wanted: &Wanted,
    reading: Reading,
    depth: usize,
) -> Result<Field, String> {
    if of.is_group() {
        return Err("it is a group, which cannot be read".to_owned());
    }
    let kind = of.kind();
    let shape = match (&kind, wanted.data_type()) {
        (Kind::Message(entry), DataType::Map(entries, _)) if of.is_map() => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => map(entry, pair, reading, depth)?,
            _ => return Err("a map whose entries are not pairs".to_owned()),
        },
        _ if of.is_map() => return Err(wrong(wanted.data_type(), "a map")),
        (_, DataType::List(item)) if of.is_list() => Shape::Many(value(&kind, item, reading, depth + 1)?),
        _ if of.is_list() => return Err(wrong(wanted.data_type(), "a repeated field")),
        _ => {
            let absent = match of.cardinality() {
                Cardinality::Required => Absent::Required,
                // What a message is that is not there, its default says for scalars alone.
                // Nor which of a oneof it is: no two of them may be there.
                _ if of.supports_presence()
                    && (!reading.defaults || matches!(kind, Kind::Message(_)) || is_of_many(of)) =>
                {
                    Absent::Null
                }
                _ => Absent::Default(default(&of.kind(), &of.default_value())?),
            };
            Shape::One { read: value(&kind, wanted, reading, depth + 1)?, absent }
        }
    };
    let nullable = wanted.is_nullable();
    Ok(Field { name: of.name().to_owned(), column, nullable, wire: wire_of(&kind), oneof: None, shape })
}

/// Entries are messages in which what is not there has its default value, a message among it.
fn map(entry: &MessageDescriptor, pair: &[FieldRef], reading: Reading, depth: usize) -> Result<Shape, String> {
    let part = |of: FieldDescriptor, column: usize| -> Result<Field, String> {
        let kind = of.kind();
        let read = value(&kind, &pair[column], reading, depth + 1)?;
        let absent = match &kind {
            Kind::Message(_) => Slot::Own(Vec::new()),
            kind => default(kind, &kind.default_value())?,
        };
        Ok(Field {
            name: of.name().to_owned(),
            column,
            nullable: pair[column].is_nullable(),
            wire: wire_of(&kind),
            oneof: None,
            shape: Shape::One { read, absent: Absent::Default(absent) },
        })
    };
    let fields = vec![
        part(entry.map_entry_key_field(), 0).map_err(|error| format!("its keys: {error}"))?,
        part(entry.map_entry_value_field(), 1).map_err(|error| format!("its values: {error}"))?,
    ];
    let steps = Steps::new(vec![(1, Step::Read(0)), (2, Step::Read(1))]);
    let slots = vec![Slot::Absent; 2];
    let entry = Message { fields, steps, slots, oneofs: Vec::new(), missing: Vec::new() };
    Ok(Shape::Map { entry: Box::new(entry), places: Vec::new() })
}

fn wrong(data_type: &DataType, what: &str) -> String {
    format!("{} cannot be read from {what}", sql_name(data_type))
}

/// How a value is read into a field.
fn value(kind: &Kind, wanted: &Wanted, reading: Reading, depth: usize) -> Result<Read, String> {
    let data_type = wanted.data_type();
    let wrong = |what: &str| Err(wrong(data_type, what));
    match kind {
        Kind::Enum(of) if *data_type == DataType::Utf8View => Ok(Read::Enum(Arc::new(Names::new(of)))),
        Kind::String => match data_type {
            DataType::Utf8View | DataType::BinaryView => Ok(Read::Bytes),
            DataType::Decimal128(..) | DataType::Date32 | DataType::Time64(_) => Ok(Read::Text),
            _ => wrong("a string"),
        },
        Kind::Bytes if matches!(data_type, DataType::Utf8View | DataType::BinaryView) => Ok(Read::Bytes),
        Kind::Bytes => wrong("bytes"),
        Kind::Message(of) => match data_type {
            DataType::Struct(fields) => message(of, fields, reading, depth).map(Box::new).map(Read::Message),
            _ => match Known::of(of.full_name(), data_type) {
                Some(known) => Ok(Read::Known(known)),
                None => wrapped(of, wanted, reading, depth)
                    .unwrap_or_else(|| wrong(&format!("a message '{}'", of.full_name()))),
            },
        },
        kind => match Number::of(kind) {
            Some(number) if number.goes_into(data_type) => Ok(Read::Number(number)),
            _ => wrong(&format!("{kind:?}").to_lowercase()),
        },
    }
}

/// `None` if it is none of the messages around one value.
fn wrapped(of: &MessageDescriptor, wanted: &Wanted, reading: Reading, depth: usize) -> Option<Result<Read, String>> {
    const AROUND: [&str; 9] = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];
    let name = of.full_name().strip_prefix("google.protobuf.")?.strip_suffix("Value")?;
    let field = of.get_field(1).filter(|_| AROUND.contains(&name))?;
    let kind = field.kind();
    if depth > DEPTH {
        return None;
    }
    Some(value(&kind, wanted, reading, depth + 1).and_then(|read| {
        Ok(Read::Wrapped {
            read: Box::new(read),
            wire: wire_of(&kind),
            default: default(&kind, &kind.default_value())?,
        })
    }))
}

/// A value of that type as it would stand in a message.
fn default(kind: &Kind, value: &Value) -> Result<Slot, String> {
    let signed = |value: i64| match kind {
        Kind::Sint32 | Kind::Sint64 => Slot::Number(((value << 1) ^ (value >> 63)) as u64),
        _ => Slot::Number(value as u64),
    };
    Ok(match value {
        Value::Bool(value) => Slot::Number((*value).into()),
        Value::I32(value) | Value::EnumNumber(value) => signed((*value).into()),
        Value::I64(value) => signed(*value),
        Value::U32(value) => Slot::Number((*value).into()),
        Value::U64(value) => Slot::Number(*value),
        Value::F32(value) => Slot::Number(value.to_bits().into()),
        Value::F64(value) => Slot::Number(value.to_bits()),
        Value::String(text) => Slot::Own(text.clone().into_bytes()),
        Value::Bytes(bytes) => Slot::Own(bytes.to_vec()),
        Value::Message(_) => Slot::Own(Vec::new()),
        Value::List(_) | Value::Map(_) => return Err("a default value of several".to_owned()),
    })
}
