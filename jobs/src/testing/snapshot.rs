//! State as it was captured.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt64Array, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field};
use arrow::row::{OwnedRow, RowConverter, SortField};
use weir_core::{Capture, Distribution, Error, EventTime, HashRange, Result, TableSchema, state_column};

use crate::operator::{LIVES, SHARED, Store, TimeToLive};
use crate::record::Key;
use crate::state::{Clock, State};

use super::tables::StoredTables;

/// All state of a job.
#[derive(Clone, Default)]
pub struct Snapshot {
    pub(super) steps: BTreeMap<String, StepState>,
    /// Where event time stands, by relation.
    pub(super) watermarks: BTreeMap<String, EventTime>,
    /// Of sources and sinks of the job's own.
    pub(super) tables: StoredTables,
}

/// State of one step.
#[derive(Clone, Default)]
pub(super) struct StepState {
    pub(super) tables: Vec<Stored>,
    pub(super) watermark: Option<EventTime>,
}

/// The rows of a table by their keys.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) schema: TableSchema,
    rows: BTreeMap<OwnedRow, (u64, RecordBatch)>,
}

impl Stored {
    pub(super) fn new(schema: TableSchema) -> Self {
        Self { schema, rows: BTreeMap::new() }
    }

    /// Takes what was captured.
    pub(super) fn add(&mut self, capture: Capture) -> Result<()> {
        for rows in (capture.rows)()? {
            if rows.rows.schema() != self.schema.schema {
                return Err(Error::internal(format!(
                    "rows captured for '{}' are not of its columns",
                    self.schema.name
                )));
            }
            let keys = &rows.rows.columns()[..self.schema.key_columns];
            let sorted = keys.iter().map(|column| SortField::new(column.data_type().clone()));
            let keys = RowConverter::new(sorted.collect())?.convert_columns(keys)?;
            for row in 0..rows.rows.num_rows() {
                let key = keys.row(row).owned();
                match rows.deleted.as_ref().is_some_and(|deleted| deleted.value(row)) {
                    true => self.rows.remove(&key),
                    false => self.rows.insert(key, (rows.hashes.value(row), rows.rows.slice(row, 1))),
                };
            }
        }
        Ok(())
    }

    /// The rows whose hashes are wanted.
    pub(super) fn read(&self, wanted: impl Fn(u64) -> bool) -> Result<Option<(RecordBatch, UInt64Array)>> {
        // Behind one another, as they are: an operator is not promised any order.
        let found: Vec<_> = self.rows.values().rev().filter(|(hash, _)| wanted(*hash)).collect();
        if found.is_empty() {
            return Ok(None);
        }
        let rows = concat_batches(&self.schema.schema, found.iter().map(|(_, row)| row))?;
        Ok(Some((rows, found.iter().map(|(hash, _)| *hash).collect())))
    }

    /// Of a range, or all rows where every subtask has them.
    pub(super) fn read_range(&self, range: HashRange) -> Result<Option<(RecordBatch, UInt64Array)>> {
        match self.schema.distribution {
            Distribution::Keyed => self.read(|hash| range.contains(hash)),
            Distribution::Broadcast => self.read(|_| true),
        }
    }

    /// The rows in the columns that another version of the table has. What is refused here or not is what the engine refuses or not, but that it
    /// takes more kinds of wider types.
    pub(super) fn declared_as(&self, now: &TableSchema) -> Result<Self> {
        let cannot = |why: String| Error::user(format!("state '{}' cannot be read by this version: {why}", now.name));
        let (before, after) = (&self.schema.schema, &now.schema);
        let ids = |schema: &TableSchema| {
            schema.schema.fields()[..schema.key_columns].iter().map(|field| state_column::id(field)).collect::<Vec<_>>()
        };
        if ids(&self.schema) != ids(now) || self.schema.distribution != now.distribution {
            return Err(cannot("its key is another".to_owned()));
        }
        let mut sources = Vec::new();
        for field in after.fields() {
            let found = before.fields().iter().position(|other| state_column::id(other) == state_column::id(field));
            let name = field.name();
            match found.map(|position| (position, before.field(position))) {
                None if field.is_nullable() || state_column::default(field).is_some() => {}
                None => {
                    return Err(cannot(format!("it has no column '{name}', which cannot be null and has no default")));
                }
                Some((_, other)) if other.is_nullable() && !field.is_nullable() => {
                    return Err(cannot(format!("column '{name}' could be null, and cannot be any more")));
                }
                Some((_, other)) if !widens(other.data_type(), field.data_type()) => {
                    return Err(cannot(format!(
                        "column '{name}' was {} and is {}",
                        other.data_type(),
                        field.data_type()
                    )));
                }
                Some(_) => {}
            }
            sources.push(found);
        }
        let row = |row: &RecordBatch| {
            let columns = sources.iter().zip(after.fields()).map(|(source, field)| column(row, *source, field));
            Ok::<_, Error>(RecordBatch::try_new(after.clone(), columns.collect::<Result<_>>()?)?)
        };
        let mut stored = Self::new(now.clone());
        for (key, (hash, columns)) in &self.rows {
            stored.rows.insert(key.clone(), (*hash, row(columns)?));
        }
        Ok(stored)
    }
}

fn column(row: &RecordBatch, source: Option<usize>, field: &Field) -> Result<ArrayRef> {
    Ok(match (source, state_column::default(field)) {
        (Some(source), _) => cast(row.column(source), field.data_type())?,
        (None, Some(default)) => {
            let text: ArrayRef = Arc::new(StringArray::from(vec![default]));
            let value = cast(&text, field.data_type())?;
            if value.is_null(0) {
                return Err(Error::user(format!(
                    "the default '{default}' of column '{}' is no {}",
                    field.name(),
                    field.data_type()
                )));
            }
            value
        }
        (None, None) => new_null_array(field.data_type(), 1),
    })
}

fn widens(from: &DataType, to: &DataType) -> bool {
    let bits = |data_type: &DataType| data_type.primitive_width();
    from == to
        || (from.is_signed_integer() && to.is_signed_integer() && bits(from) < bits(to))
        || (from.is_unsigned_integer() && to.is_integer() && bits(from) < bits(to))
        || (*from == DataType::Float32 && *to == DataType::Float64)
}

impl Snapshot {
    /// What is kept of a key in a step; `None` if nothing is.
    ///
    /// # Errors
    /// If there is no such step, or its state is another.
    pub fn state<K: Key, S: State>(&self, step: &str, key: &K) -> Result<Option<S>> {
        self.read(step, key, "", Distribution::Keyed)
    }

    /// What every subtask keeps of what it was told.
    ///
    /// # Errors
    /// If there is no such step, or its state is another.
    pub fn shared_state<S: State>(&self, step: &str) -> Result<Option<S>> {
        self.read(step, &true, SHARED, Distribution::Broadcast)
    }

    fn read<K: Key, S: State>(
        &self,
        step: &str,
        key: &K,
        prefix: &str,
        distribution: Distribution,
    ) -> Result<Option<S>> {
        let stored =
            self.steps.get(step).ok_or_else(|| Error::user(format!("there is no step '{step}' with state")))?;
        let lives = TimeToLive { millis: i64::MAX, clock: Clock::Event };
        let lives = stored.tables.iter().any(|table| table.schema.name == LIVES).then_some(lives);
        let mut store = Store::<K, S>::new(distribution, lives)?;
        let mut builder = K::builder(1);
        key.append_to(&mut builder);
        let hash = crate::operator::hash_of(&K::finish_columns(&mut builder), 1)?[0];
        let mut is_there = false;
        for (position, table) in store.tables().to_vec().iter().enumerate() {
            let name = format!("{prefix}{}", table.name);
            let Some(stored) = stored.tables.iter().find(|stored| stored.schema.name == name) else {
                return Err(Error::user(format!("step '{step}' keeps no '{}'", table.name)));
            };
            let table = TableSchema { name, ..table.clone() };
            if let Some((rows, hashes)) = stored.declared_as(&table)?.read(|other| other == hash)? {
                store.load(position, &rows, &hashes)?;
                is_there = true;
            }
        }
        Ok(is_there.then(|| store.take(hash, key)).flatten())
    }
}
