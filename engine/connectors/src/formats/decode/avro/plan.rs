//! How a writer's schema is read into columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use super::super::sql_name;
use crate::formats::avro::{AvroSchema, Logical, Named, Type};

/// How one value is read. That the column is of a type that goes with it has been seen when the plan was made.
#[derive(Debug, Clone)]
pub(super) enum Read {
    Null,
    Boolean,
    /// An int or a long.
    Integer,
    Float,
    Double,
    /// Bytes behind their length, or so many.
    Bytes(Option<usize>),
    /// The bytes of a uuid.
    Uuid,
    Enum(Arc<[String]>),
    /// In bytes behind their length, or in so many; times a factor, and with so many digits at most.
    Decimal(Option<usize>, i128, u8),
    /// A date, time of day or time, times a factor.
    Time(i64),
    List(Box<Read>, bool),
    Map(Box<Read>, bool),
    Row(Row),
    /// A branch that the column does not take is an error where it stands.
    Union(Vec<Result<Read, String>>),
}

/// How a record is read.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What becomes of each field of the writer's, in its order.
    pub(super) fields: Vec<Step>,
    /// Fields of the reader's that the writer does not have: they are null.
    pub(super) missing: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Into the column of this number, which may be null or not.
    Read(usize, bool, Read),
    Skip(Type),
}

/// How a whole message is read.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(super) schema: AvroSchema,
    pub(super) datum: Datum,
}

#[derive(Debug, Clone)]
pub(super) enum Datum {
    /// A record has the columns.
    Record(Row),
    /// A value of another type is the one column.
    Value(bool, Read),
    Union(Vec<Result<Datum, String>>),
}

impl Root {
    /// Resolves a writer's schema against the fields that are wanted, of those that the table says a message has.
    ///
    /// # Errors
    /// Why rows cannot be read by it.
    pub(crate) fn new(schema: AvroSchema, declared: &[FieldRef], wanted: &[FieldRef]) -> Result<Self, String> {
        let datum = datum(&schema, &schema.root, declared, wanted)?;
        Ok(Self { schema, datum })
    }
}

fn datum(schema: &AvroSchema, of: &Type, declared: &[FieldRef], wanted: &[FieldRef]) -> Result<Datum, String> {
    match of {
        Type::Named(place) if matches!(schema.named[*place], Named::Record(_)) => {
            row(schema, *place, wanted, 0).map(Datum::Record)
        }
        Type::Union(branches) => {
            let branches = branches.iter().map(|branch| match branch {
                // A null instead of a record says nothing about columns.
                Type::Null if declared.len() != 1 => Err("a null instead of a record".to_owned()),
                _ => datum(schema, branch, declared, wanted),
            });
            Ok(Datum::Union(branches.collect()))
        }
        value => match (declared, wanted) {
            ([_], [field]) => {
                let read = plan(schema, value, field, 0).map_err(|error| of_column(field, &error))?;
                Ok(Datum::Value(field.is_nullable(), read))
            }
            ([_], _) => Err("nothing of a value is read".to_owned()),
            _ => Err(format!("it is no record, which has {} columns", declared.len())),
        },
    }
}

fn of_column(field: &Field, error: &str) -> String {
    format!("column '{}': {error}", field.name())
}

fn row(schema: &AvroSchema, place: usize, wanted: &[FieldRef], depth: usize) -> Result<Row, String> {
    let Named::Record(fields) = &schema.named[place] else { return Err("it is no record".to_owned()) };
    let mut steps = Vec::with_capacity(fields.len());
    for (name, of) in fields {
        steps.push(match wanted.iter().position(|field| field.name() == name) {
            Some(column) => {
                let field = &wanted[column];
                let read = plan(schema, of, field, depth + 1).map_err(|error| of_column(field, &error))?;
                Step::Read(column, field.is_nullable(), read)
            }
            None => Step::Skip(of.clone()),
        });
    }
    let is_missing = |column: &usize| fields.iter().all(|(name, _)| name != wanted[*column].name());
    let missing: Vec<usize> = (0..wanted.len()).filter(is_missing).collect();
    if let Some(column) = missing.iter().find(|column| !wanted[**column].is_nullable()) {
        return Err(of_column(&wanted[*column], "it is NOT NULL, and the writer's schema does not have it"));
    }
    Ok(Row { fields: steps, missing })
}

/// How a value is read into a field.
fn plan(schema: &AvroSchema, of: &Type, field: &Field, depth: usize) -> Result<Read, String> {
    let wrong = |what: &str| Err(format!("{} cannot be read from {what}", sql_name(field.data_type())));
    let data_type = field.data_type();
    match of {
        Type::Null if field.is_nullable() => Ok(Read::Null),
        Type::Null => Err("it is NOT NULL, and is null".to_owned()),
        Type::Union(branches) => {
            let branches: Vec<_> = branches.iter().map(|branch| plan(schema, branch, field, depth)).collect();
            match branches.iter().all(Result::is_err) {
                true => Err(branches.into_iter().find_map(Result::err).unwrap_or_else(|| "an empty union".to_owned())),
                false => Ok(Read::Union(branches)),
            }
        }
        Type::Boolean if *data_type == DataType::Boolean => Ok(Read::Boolean),
        Type::Boolean => wrong("a boolean"),
        Type::Int(Logical::Date) if *data_type == DataType::Date32 => Ok(Read::Time(1)),
        Type::Int(Logical::Time(a_second)) | Type::Long(Logical::Time(a_second))
            if matches!(data_type, DataType::Time64(_)) =>
        {
            let DataType::Time64(unit) = data_type else { return wrong("a time") };
            per(*unit, *a_second).map(Read::Time).map_or_else(|| wrong("so fine a time"), Ok)
        }
        Type::Long(Logical::Timestamp(a_second) | Logical::LocalTimestamp(a_second))
            if matches!(data_type, DataType::Timestamp(..)) =>
        {
            let DataType::Timestamp(unit, zone) = data_type else { return wrong("a time") };
            if zone.is_some() && matches!(of, Type::Long(Logical::LocalTimestamp(_))) {
                return wrong("a time without a zone");
            }
            per(*unit, *a_second).map(Read::Time).map_or_else(|| wrong("so fine a time"), Ok)
        }
        Type::Int(_) | Type::Long(_) => {
            let is_long = matches!(of, Type::Long(_));
            match data_type {
                DataType::Int8 | DataType::Int16 | DataType::Int32 if !is_long => Ok(Read::Integer),
                DataType::Int64 | DataType::Float32 | DataType::Float64 => Ok(Read::Integer),
                _ => wrong(if is_long { "a long" } else { "an int" }),
            }
        }
        Type::Float if matches!(data_type, DataType::Float32 | DataType::Float64) => Ok(Read::Float),
        Type::Float => wrong("a float"),
        Type::Double if *data_type == DataType::Float64 => Ok(Read::Double),
        Type::Double => wrong("a double"),
        Type::Bytes(logical) => bytes(*logical, None, data_type).map_or_else(|| wrong("bytes"), Ok),
        Type::String if is_bytes(data_type) => Ok(Read::Bytes(None)),
        Type::String => wrong("a string"),
        Type::Array(item) => match data_type {
            DataType::List(field) => {
                Ok(Read::List(Box::new(plan(schema, item, field, depth + 1)?), field.is_nullable()))
            }
            _ => wrong("an array"),
        },
        Type::Map(value) => match data_type {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 && is_bytes(pair[0].data_type()) => {
                    Ok(Read::Map(Box::new(plan(schema, value, &pair[1], depth + 1)?), pair[1].is_nullable()))
                }
                _ => wrong("a map, whose keys are strings"),
            },
            _ => wrong("a map"),
        },
        Type::Named(place) => match (&schema.named[*place], data_type) {
            (Named::Record(_), DataType::Struct(fields)) => row(schema, *place, fields, depth).map(Read::Row),
            (Named::Record(_), _) => wrong("a record"),
            (Named::Enum(symbols), DataType::Utf8View) => Ok(Read::Enum(symbols.clone().into())),
            (Named::Enum(_), _) => wrong("an enum"),
            (Named::Fixed(16, Logical::Uuid), DataType::Utf8View) => Ok(Read::Uuid),
            (Named::Fixed(_, _), DataType::Utf8View) => wrong("fixed bytes"),
            (Named::Fixed(size, logical), _) => {
                bytes(*logical, Some(*size), data_type).map_or_else(|| wrong("fixed bytes"), Ok)
            }
            (Named::Open, _) => wrong("a type without a definition"),
        },
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::BinaryView)
}

/// Units of a time in one of so many a second, if none is lost.
fn per(unit: TimeUnit, a_second: i64) -> Option<i64> {
    let units = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    (units >= a_second).then_some(units / a_second)
}

fn bytes(logical: Logical, size: Option<usize>, data_type: &DataType) -> Option<Read> {
    match (logical, data_type) {
        (Logical::Decimal { precision, scale }, DataType::Decimal128(digits, behind)) => {
            let behind = u8::try_from(*behind).ok().filter(|behind| *behind >= scale)?;
            let has_room = digits - behind >= precision - scale;
            has_room.then(|| Read::Decimal(size, 10_i128.pow(u32::from(behind - scale)), *digits))
        }
        (_, data_type) => is_bytes(data_type).then_some(Read::Bytes(size)),
    }
}
