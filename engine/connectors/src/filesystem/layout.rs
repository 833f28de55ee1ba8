//! Where each column of the table comes from: out of the file, or from what is known about the file.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringViewArray, TimestampMillisecondArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use weir_core::connector::METADATA_KEY;
use weir_core::{Error, Result, TableSpec};

use super::listing::FileInfo;
use super::sink::push_escaped;
use crate::formats::decode::{Decoded, partition_value, sql_name};
use crate::options::{Options, nearest};

const NULL_PARTITION: &str = "partition.default-name";

/// A column that describes the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metadata {
    Path,
    Name,
    Size,
    Modified,
    Offset,
}

const METADATA: [(&str, Metadata); 5] = [
    ("file.path", Metadata::Path),
    ("file.name", Metadata::Name),
    ("file.size", Metadata::Size),
    ("file.modification-time", Metadata::Modified),
    ("record.offset", Metadata::Offset),
];

impl Metadata {
    fn data_type(self) -> DataType {
        match self {
            Metadata::Path | Metadata::Name => DataType::Utf8View,
            Metadata::Size | Metadata::Offset => DataType::Int64,
            Metadata::Modified => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }
}

/// The metadata columns that there are.
pub(super) fn metadata_columns() -> Vec<Field> {
    METADATA.iter().map(|(name, kind)| Field::new(*name, kind.data_type(), false)).collect()
}

#[derive(Debug)]
enum Origin {
    /// Number of a column that is read from the file.
    File(usize),
    Metadata(Metadata),
    /// The folder `name=value` that the file lies in.
    Partition(FieldRef),
}

/// Where the columns come from.
#[derive(Debug)]
pub(super) struct Layout {
    schema: SchemaRef,
    origins: Vec<Origin>,
    file_fields: Vec<FieldRef>,
    declared: Vec<String>,
    /// What the partition of null is called, as it stands in a path.
    null_partitions: [String; 2],
}

impl Layout {
    /// # Errors
    /// A user error that names a metadata column that does not exist, or has another type.
    pub(super) fn new(table: &TableSpec) -> Result<Self> {
        let is_partition = |field: &FieldRef| table.partitioned_by.contains(field.name());
        let is_metadata = |field: &FieldRef| field.metadata().contains_key(METADATA_KEY);
        let declared = table.schema.fields().iter();
        let declared = declared.filter(|field| !is_partition(field) && !is_metadata(field));
        let schema = table.output_schema();
        let mut file_fields = Vec::new();
        let mut origins = Vec::new();
        for field in schema.fields() {
            origins.push(if let Some(key) = field.metadata().get(METADATA_KEY) {
                Origin::Metadata(metadata(key, field)?)
            } else if is_partition(field) {
                Origin::Partition(field.clone())
            } else {
                file_fields.push(field.clone());
                Origin::File(file_fields.len() - 1)
            });
        }
        let declared = declared.map(|field| field.name().clone()).collect();
        let null = Options::of(table).text(NULL_PARTITION).unwrap_or("__DEFAULT_PARTITION__");
        let mut escaped = Vec::new();
        push_escaped(&mut escaped, null);
        // Others do not escape all that the sink escapes.
        let null_partitions = [String::from_utf8_lossy(&escaped).into_owned(), null.to_owned()];
        Ok(Self { schema, origins, file_fields, declared, null_partitions })
    }

    /// Schema of the batches.
    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What is read from the file.
    pub(super) fn file_fields(&self) -> &[FieldRef] {
        &self.file_fields
    }

    /// Names of all columns that the table says the file has.
    pub(super) fn declared(&self) -> &[String] {
        &self.declared
    }

    /// Whether it matters where a record stands in its file.
    pub(super) fn wants_offsets(&self) -> bool {
        self.origins.iter().any(|origin| matches!(origin, Origin::Metadata(Metadata::Offset)))
    }

    /// The columns in the order of the table.
    ///
    /// # Errors
    /// A data error if the file's path does not say the value of a partition column.
    pub(super) fn arrange(&self, file: &FileInfo, decoded: &Decoded) -> Result<Vec<ArrayRef>> {
        let rows = decoded.rows;
        self.origins
            .iter()
            .map(|origin| {
                Ok(match origin {
                    Origin::File(index) => decoded.columns[*index].clone(),
                    Origin::Metadata(Metadata::Path) => repeat(&StringViewArray::from(vec![file.path.as_str()]), rows)?,
                    Origin::Metadata(Metadata::Name) => repeat(&StringViewArray::from(vec![file.name()]), rows)?,
                    Origin::Metadata(Metadata::Size) => {
                        Arc::new(Int64Array::from_value(i64::try_from(file.size).unwrap_or(i64::MAX), rows))
                    }
                    Origin::Metadata(Metadata::Modified) => {
                        Arc::new(TimestampMillisecondArray::from_value(file.modified, rows).with_timezone("UTC"))
                    }
                    Origin::Metadata(Metadata::Offset) => match &decoded.offsets {
                        Some(offsets) => Arc::new(offsets.clone()),
                        None => return Err(Error::internal("record offsets were not kept")),
                    },
                    Origin::Partition(field) => repeat(&partition(file, field, &self.null_partitions)?, rows)?,
                })
            })
            .collect()
    }
}

fn repeat(value: &dyn Array, rows: usize) -> Result<ArrayRef> {
    Ok(take(value, &UInt32Array::from(vec![0; rows]), None)?)
}

fn metadata(key: &str, field: &FieldRef) -> Result<Metadata> {
    let Some((_, kind)) = METADATA.iter().find(|(name, _)| *name == key) else {
        let names: Vec<&str> = METADATA.iter().map(|(name, _)| *name).collect();
        let error = Error::user(format!("column '{}': a file has no metadata '{key}'", field.name()));
        return Err(error.with_help(match nearest(key, names.iter().copied()) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!("there are: {}", names.join(", ")),
        }));
    };
    if *field.data_type() != kind.data_type() {
        return Err(Error::user(format!(
            "column '{}': metadata '{key}' is {}, not {}",
            field.name(),
            sql_name(&kind.data_type()),
            sql_name(field.data_type())
        )));
    }
    Ok(*kind)
}

/// The value that the file's folders say, where each of `nulls` stands for none, unless a letter of it is escaped that need not be.
fn partition(file: &FileInfo, field: &FieldRef, nulls: &[String]) -> Result<ArrayRef> {
    let mut folders = file.path.split('/').rev().filter_map(|folder| folder.split_once('='));
    let value = folders.find_map(|(name, value)| (unescape(name)? == *field.name()).then_some(value));
    let is_null = value.is_some_and(|value| nulls.iter().any(|null| null == value));
    let Some(value) = value.and_then(unescape) else {
        let error = Error::data(format!("{}: no folder of its path says the value of '{}'", file.path, field.name()));
        return Err(error.with_help(format!("the table is PARTITIONED BY it; a folder is to be '{}=…'", field.name())));
    };
    partition_value((!is_null).then_some(value.as_str()), field)
        .map_err(|error| error.context(format!("cannot read {}", file.path)))
}

/// Takes back the escapes (`%2F`) that Hive, Spark, Flink and Weir's sink use in names of folders.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escape = (*first == b'%').then(|| std::str::from_utf8(behind.get(..2)?).ok()).flatten();
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
