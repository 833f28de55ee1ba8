//! Where each column of the table comes from: a record's key, its value, or what is known about it.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use weir_connectors::formats::message::{MessageDecoder, MessageFormat};
use weir_connectors::options::nearest;
use weir_core::connector::METADATA_KEY;
use weir_core::{Error, Result, TableSpec};

use crate::metadata::{Metadata, MetadataColumn};
use crate::options::{Formats, KEY_FIELDS, Key};

/// Where a column comes from: which of those there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Key(usize),
    Value(usize),
    Metadata(usize),
}

/// How records replace each other by the primary key of their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacing {
    /// One without a value says that there is no row of its key any more.
    ByAbsence,
    /// Values say what became of a row.
    Told,
}

/// A part of a record, as far as the table says what is in it.
#[derive(Debug, Clone)]
struct Part {
    format: MessageFormat,
    /// All columns that it has.
    declared: Vec<FieldRef>,
    /// Those that are read.
    wanted: Vec<FieldRef>,
}

impl Part {
    fn decoder(&self) -> Result<MessageDecoder> {
        MessageDecoder::new(&self.format, &self.declared, self.wanted.clone())
    }
}

/// Where the columns come from.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    schema: SchemaRef,
    origins: Vec<Origin>,
    /// `None`: no column is read from there.
    key: Option<Part>,
    /// `None`: the table says nothing of it.
    value: Option<Part>,
    metadata: Vec<Metadata>,
    /// `None`: each record is a row of its own.
    replacing: Option<Replacing>,
    /// Names of the primary key's columns.
    primary_key: Vec<String>,
}

impl Layout {
    /// # Errors
    /// A user error that names a column that is not there, or whose type cannot be read.
    pub(crate) fn new(table: &TableSpec, formats: &Formats) -> Result<Self> {
        let of_table = |error: Error| error.context(format!("table '{}'", table.name));
        let is_metadata = |field: &FieldRef| field.metadata().contains_key(METADATA_KEY);
        let physical: Vec<FieldRef> =
            table.schema.fields().iter().filter(|field| !is_metadata(field)).cloned().collect();
        let key = formats.key.as_ref().map(|key| in_key(table, key, &physical)).transpose()?;
        let replacing = formats.replacing(table);
        // A record without a value still has a key.
        let from_key = |key: &&Key| !key.is_in_value || replacing == Some(Replacing::ByAbsence);
        let apart = formats.key.as_ref().filter(from_key);
        let is_apart = |field: &FieldRef| apart.is_some_and(|key| key.fields.contains(field.name()));
        let in_value = |field: &FieldRef| !is_apart(field) || apart.is_some_and(|key| key.is_in_value);
        let value: Vec<FieldRef> = physical.into_iter().filter(in_value).collect();
        formats.value.check(&value).map_err(of_table)?;
        let schema = table.output_schema();
        let mut layout = Self {
            origins: Vec::new(),
            key: None,
            // What became of a row is said there, whatever columns are.
            value: (!value.is_empty() || replacing == Some(Replacing::Told)).then(|| Part {
                format: formats.value.clone(),
                declared: value,
                wanted: Vec::new(),
            }),
            metadata: Vec::new(),
            replacing,
            primary_key: table.primary_key.iter().map(|column| table.schema.field(*column).name().clone()).collect(),
            schema: schema.clone(),
        };
        let mut keys = Vec::new();
        for field in schema.fields() {
            let read = layout.read(field);
            layout.origins.push(if let Some(name) = field.metadata().get(METADATA_KEY) {
                let kind = Metadata::named(name)
                    .ok_or_else(|| Error::internal(format!("a record has no metadata '{name}'")))?;
                layout.metadata.push(kind);
                Origin::Metadata(layout.metadata.len() - 1)
            } else if let (true, Some(key)) = (is_apart(field), apart) {
                keys.push(inner(&read, key));
                Origin::Key(keys.len() - 1)
            } else {
                let wanted =
                    &mut layout.value.as_mut().ok_or_else(|| Error::internal("a value has no columns"))?.wanted;
                wanted.push(read);
                Origin::Value(wanted.len() - 1)
            });
        }
        if let (Some(key), Some(declared), false) = (apart, key, keys.is_empty()) {
            layout.key = Some(Part { format: key.format.clone(), declared, wanted: keys });
        }
        Ok(layout)
    }

    /// A column as it is read: where rows are told apart by it, a record without a value for it would be a row of a key that is none.
    fn read(&self, field: &FieldRef) -> FieldRef {
        match self.replacing.is_some() && self.primary_key.contains(field.name()) {
            true => Arc::new(field.as_ref().clone().with_nullable(false)),
            false => field.clone(),
        }
    }

    /// Schema of the batches.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    pub(crate) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// What reads keys, if a column is read from there.
    pub(crate) fn key_decoder(&self) -> Result<Option<MessageDecoder>> {
        let decoder = self.key.as_ref().map(Part::decoder).transpose()?;
        Ok(if self.replacing.is_some() { decoder.map(MessageDecoder::beside_schemas) } else { decoder })
    }

    /// What reads values, also if no column of theirs is read: those that cannot be decoded are no rows.
    pub(crate) fn value_decoder(&self) -> Result<Option<MessageDecoder>> {
        let decoder = self.value.as_ref().map(Part::decoder).transpose()?;
        let decoder = match self.replacing {
            // Kafka Connect writes them as it writes keys.
            Some(Replacing::ByAbsence) => decoder.map(MessageDecoder::beside_schemas),
            _ => decoder,
        };
        Ok(decoder.map(|decoder| decoder.keyed_by(|name| self.primary_key.iter().any(|column| column == name))))
    }

    /// How records replace each other, if they do.
    pub(crate) fn replacing(&self) -> Option<Replacing> {
        self.replacing
    }

    /// Whether a record without a value is a row.
    pub(crate) fn reads_null(&self) -> bool {
        self.value.as_ref().is_none_or(|part| part.format.reads_null())
    }

    pub(crate) fn metadata(&self) -> Vec<MetadataColumn> {
        self.metadata.iter().map(|kind| MetadataColumn::new(*kind)).collect()
    }
}

/// A column of the key, as the key calls it.
fn inner(field: &FieldRef, key: &Key) -> FieldRef {
    let name = field.name().strip_prefix(&key.prefix).unwrap_or(field.name());
    Arc::new(field.as_ref().clone().with_name(name))
}

/// The columns of the key, in the order of 'key.fields'.
fn in_key(table: &TableSpec, key: &Key, physical: &[FieldRef]) -> Result<Vec<FieldRef>> {
    let mut fields = Vec::new();
    for name in &key.fields {
        let Some(field) = physical.iter().find(|field| field.name() == name) else {
            let error = Error::user(format!(
                "option '{KEY_FIELDS}' of table '{}' names '{name}', which is no column that is read from a record",
                table.name
            ));
            return Err(match nearest(name, physical.iter().map(|field| field.name().as_str())) {
                Some(near) => error.with_help(format!("did you mean '{near}'?")),
                None => error,
            });
        };
        fields.push(inner(field, key));
    }
    key.format.check(&fields).map_err(|error| error.context(format!("key of table '{}'", table.name)))?;
    Ok(fields)
}
