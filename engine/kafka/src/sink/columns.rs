//! Which part of a record each column of a table goes to: its key, its value, or what stands beside them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int8Array, MapArray, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow::datatypes::{FieldRef, Schema, SchemaRef, TimestampMillisecondType};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use weir_connectors::formats::encode::message::{MessageEncoder, Messages};
use weir_connectors::options::{Options, nearest};
use weir_core::connector::METADATA_KEY;
use weir_core::{Batch, Error, Result, TableSpec};
use weir_registry::{Registry, RegistryOptions};

use crate::connector::UPSERT;
use crate::metadata::Metadata;
use crate::options::{KEY_FIELDS, KEY_PREFIX, VALUE_INCLUDES, no_format_of_keys, says_changes, value_options};
use crate::topics::TOPIC;

/// Bytes that a header takes beside its name and its value at most: their lengths.
const HEADER_LENGTHS: usize = 10;

/// Some columns and how they are written.
#[derive(Debug, Clone)]
struct Part {
    columns: Vec<usize>,
    /// With the names that they have in the message.
    schema: SchemaRef,
    encoder: MessageEncoder,
    /// Where its schema is registered, and under what, if it has one.
    registry: Option<(RegistryOptions, String)>,
}

impl Part {
    /// # Errors
    /// A user error that names the wrong option.
    fn registered(mut self, options: &Options<'_>, subject: String) -> Result<Self> {
        if let Some(kind) = self.encoder.registers() {
            let registry = RegistryOptions::read(options, kind)?;
            let subject = registry.subject.clone().unwrap_or(subject);
            self.registry = Some((registry, subject));
        }
        Ok(self)
    }

    /// Registers its schema, so that messages can name it, and makes ready what else is needed to write them.
    async fn register(&mut self) -> Result<()> {
        let fields: Vec<FieldRef> = self.schema.fields().iter().cloned().collect();
        let id = match &self.registry {
            None => None,
            Some((registry, subject)) => {
                let schema = self.encoder.schema(&fields)?;
                Some(Registry::new(registry.clone())?.register(subject, &schema).await?)
            }
        };
        self.encoder.prepare(id, &fields)
    }

    /// Whether a value may turn out to have no place in the format.
    fn may_refuse(&self) -> bool {
        self.encoder.may_refuse(&self.schema)
    }

    fn encode(&self, rows: &RecordBatch, weights: Option<&Int8Array>) -> Result<Messages> {
        let columns = self.columns.iter().map(|column| rows.column(*column).clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        self.encoder.encode(&RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?, weights)
    }
}

/// Where each column goes.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    key: Option<Part>,
    value: Part,
    headers: Option<usize>,
    timestamp: Option<usize>,
}

impl Columns {
    /// # Errors
    /// A user error that names the wrong option or column.
    pub(crate) fn new(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let (mut physical, mut headers, mut timestamp) = (Vec::new(), None, None);
        for (column, field) in table.schema.fields().iter().enumerate() {
            match field.metadata().get(METADATA_KEY).map(|name| Metadata::named(name)) {
                None => physical.push(column),
                Some(Some(Metadata::Headers)) => headers = Some(column),
                Some(Some(Metadata::Timestamp)) => timestamp = Some(column),
                Some(_) => {
                    let (column, table) = (field.name(), &table.name);
                    return Err(Error::user(format!(
                        "metadata column '{column}' of table '{table}' cannot be written"
                    ))
                    .with_help(
                        "'timestamp' and 'headers' can be; declare it METADATA VIRTUAL, so that it is only read",
                    ));
                }
            }
        }
        let key = keys(table, &options, &physical)?;
        let is_in_value = options.choice(VALUE_INCLUDES, &[("ALL", true), ("EXCEPT_KEY", false)])?.unwrap_or(true);
        if key.is_none() && !is_in_value {
            return Err(options.error(VALUE_INCLUDES, "read only with a 'key.format'"));
        }
        let in_value = |column: &usize| is_in_value || key.as_ref().is_none_or(|key| !key.columns.contains(column));
        let columns: Vec<usize> = physical.into_iter().filter(in_value).collect();
        let schema = Schema::new(columns.iter().map(|column| table.schema.field(*column).clone()).collect::<Vec<_>>());
        let topic = options.text(TOPIC).unwrap_or_default();
        let value = Part { encoder: value_encoder(&options)?, columns, schema: Arc::new(schema), registry: None };
        let value = value.registered(&value_options(&options)?, format!("{topic}-value"))?;
        value.encoder.check(&value.schema, table)?;
        if table.connector == UPSERT && value.encoder.tells_changes() {
            return Err(says_changes(&value_options(&options)?));
        }
        if let Some(key) = &key {
            key.encoder
                .check(&key.schema, table)
                .map_err(|error| error.context(format!("key of table '{}'", table.name)))?;
        }
        Ok(Self { key, value, headers, timestamp })
    }

    /// Registers the schemas of its formats. Before that nothing can be written in those that have some.
    ///
    /// # Errors
    /// A user error if one does not go with those before, an environment error if the registry does not answer.
    pub(crate) async fn register(&mut self) -> Result<()> {
        if let Some(key) = &mut self.key {
            key.register().await?;
        }
        self.value.register().await
    }

    /// Whether values say what becomes of their rows, so that some may be taken back.
    pub(crate) fn tells_changes(&self) -> bool {
        self.value.encoder.tells_changes()
    }

    /// Whether records have keys, by which they are put into partitions.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// A column of the records' key that is none of these.
    pub(crate) fn key_beside(&self, columns: &[usize]) -> Option<usize> {
        self.key.as_ref()?.columns.iter().copied().find(|column| !columns.contains(column))
    }

    /// Whether a value may turn out to have no place in a record.
    pub(crate) fn may_refuse(&self) -> bool {
        self.value.may_refuse() || self.key.as_ref().is_some_and(Part::may_refuse)
    }

    /// The records of rows.
    ///
    /// # Errors
    /// If a type cannot be written, which is found out when the table is declared.
    pub(crate) fn encode(&self, batch: &Batch) -> Result<Records> {
        let rows = batch.records();
        Ok(Records {
            rows: rows.num_rows(),
            key: self.key.as_ref().map(|key| key.encode(rows, None)).transpose()?,
            value: self.value.encode(rows, batch.weights())?,
            // A value that says what becomes of its row is there for each.
            weights: batch.weights().filter(|_| !self.tells_changes()).cloned(),
            headers: self.headers.and_then(|column| rows.column(column).as_map_opt()).cloned(),
            times: self.timestamp.and_then(|column| rows.column(column).as_primitive_opt()).cloned(),
        })
    }
}

/// The columns of the key, if the table has one.
fn keys(table: &TableSpec, options: &Options<'_>, physical: &[usize]) -> Result<Option<Part>> {
    let is_upsert = table.connector == UPSERT;
    let of_key = options.under("key.");
    if of_key.text("format").is_some_and(|format| format.eq_ignore_ascii_case("debezium-json")) {
        return Err(no_format_of_keys(&of_key));
    }
    let Some(encoder) = MessageEncoder::read(&options.under("key."))? else {
        if is_upsert {
            options.required("key.format")?;
        }
        for name in [KEY_FIELDS, KEY_PREFIX] {
            if options.text(name).is_some() {
                return Err(options.error(name, "read only with a 'key.format'"));
            }
        }
        return Ok(None);
    };
    let columns = match is_upsert {
        true if table.primary_key.is_empty() => {
            let error =
                Error::user(format!("table '{}' has no primary key, by which its rows replace each other", table.name));
            return Err(error.with_help(
                "declare it, as in `PRIMARY KEY (id) NOT ENFORCED`; or use the connector 'kafka' for rows that stay",
            ));
        }
        true => table.primary_key.clone(),
        false => named(table, options, physical)?,
    };
    let prefix = options.text(KEY_PREFIX).unwrap_or_default();
    let inner = |column: &usize| -> Result<FieldRef> {
        let field = table.schema.field(*column);
        let name = field.name().strip_prefix(prefix).ok_or_else(|| {
            options.error(KEY_PREFIX, format!("not what '{}', a column of the key, begins with", field.name()))
        })?;
        Ok(Arc::new(field.clone().with_name(name)))
    };
    let fields = columns.iter().map(inner).collect::<Result<Vec<_>>>()?;
    let part = Part { columns, schema: Arc::new(Schema::new(fields)), encoder, registry: None };
    let topic = options.text(TOPIC).unwrap_or_default();
    part.registered(&options.under("key."), format!("{topic}-key")).map(Some)
}

/// Columns in the order of 'key.fields'.
fn named(table: &TableSpec, options: &Options<'_>, physical: &[usize]) -> Result<Vec<usize>> {
    let name_of = |column: &usize| table.schema.field(*column).name().as_str();
    let list = options.required(KEY_FIELDS)?;
    let names: Vec<&str> = list.split(';').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(options.error(KEY_FIELDS, "empty"));
    }
    let column = |name: &str| {
        physical.iter().find(|column| name_of(column) == name).copied().ok_or_else(|| {
            let error = Error::user(format!(
                "option '{KEY_FIELDS}' of table '{}' names '{name}', which is no column that is written",
                table.name
            ));
            match nearest(name, physical.iter().map(name_of)) {
                Some(near) => error.with_help(format!("did you mean '{near}'?")),
                None => error,
            }
        })
    };
    names.into_iter().map(column).collect()
}

fn value_encoder(options: &Options<'_>) -> Result<MessageEncoder> {
    let encoder = MessageEncoder::read(&value_options(options)?)?;
    encoder.ok_or_else(|| options.required("format").err().unwrap_or_else(|| options.error("format", "missing")))
}

/// The records of some rows.
pub(crate) struct Records {
    pub(crate) rows: usize,
    key: Option<Messages>,
    value: Messages,
    weights: Option<Int8Array>,
    headers: Option<MapArray>,
    times: Option<TimestampMillisecondArray>,
}

impl Records {
    pub(crate) fn key(&self, row: usize) -> Option<&[u8]> {
        self.key.as_ref()?.get(row)
    }

    /// `None`: the key is gone.
    pub(crate) fn value(&self, row: usize) -> Option<&[u8]> {
        let is_gone = self.weights.as_ref().is_some_and(|weights| weights.value(row) < 0);
        if is_gone { None } else { self.value.get(row) }
    }

    /// Milliseconds since 1970; `None`: when it is sent.
    pub(crate) fn time(&self, row: usize) -> Option<i64> {
        let times: &arrow::array::PrimitiveArray<TimestampMillisecondType> = self.times.as_ref()?;
        times.is_valid(row).then(|| times.value(row))
    }

    pub(crate) fn headers(&self, row: usize) -> Option<OwnedHeaders> {
        let map = self.headers.as_ref().filter(|map| map.is_valid(row))?;
        let (names, values) = (map.keys().as_string_view_opt()?, map.values().as_binary_view_opt()?);
        let range = map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
        (!range.is_empty()).then(|| {
            range.fold(OwnedHeaders::new(), |headers, entry| {
                let value = values.is_valid(entry).then(|| values.value(entry));
                headers.insert(Header { key: names.value(entry), value })
            })
        })
    }

    fn header_bytes(&self, row: usize) -> usize {
        let Some(headers) = self.headers(row) else { return 0 };
        headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len) + HEADER_LENGTHS).sum()
    }

    /// Bytes of a record's key, value and headers.
    pub(crate) fn bytes(&self, row: usize) -> usize {
        self.key(row).map_or(0, <[u8]>::len) + self.value(row).map_or(0, <[u8]>::len) + self.header_bytes(row)
    }
}
