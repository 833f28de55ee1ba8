//! What this crate's tests share: a storage in memory, a table of each kind, and a model of what a table holds.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, AsArray, BooleanArray, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMillisecondType};
use weir_core::{
    Attempt, Capture, Distribution, Epoch, Error, EventTime, HashRange, OperatorUid, Result, StateRows, TableSchema,
    TableSpec, state_column,
};

use crate::{
    CapturedTable, Manifest, ManifestHeader, ObjectWriter, SinkCommittables, Storage, TableState, check_path, range,
    read_table,
};

/// Objects in memory, which can be damaged, and which count how they are read and written.
#[derive(Default)]
pub(crate) struct MemoryStorage {
    pub(crate) objects: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) listings: AtomicU64,
    pub(crate) largest_read: AtomicU64,
    /// Of an object that is not put as a whole.
    pub(crate) largest_piece: AtomicU64,
}

/// An object that is written piece by piece.
struct Pieces<'a> {
    storage: &'a MemoryStorage,
    path: String,
    bytes: Vec<u8>,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.storage.largest_piece.fetch_max(bytes.len() as u64, Ordering::Relaxed);
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for Pieces<'_> {
    fn finish(self: Box<Self>) -> Result<()> {
        self.storage.put(&self.path, &self.bytes)
    }
}

impl Storage for MemoryStorage {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        let mut objects = self.objects.lock().unwrap();
        let object = objects.entry(path.to_owned()).or_insert_with(|| bytes.to_vec());
        if object == bytes { Ok(()) } else { Err(Error::environment(format!("memory/{path} exists already"))) }
    }

    fn create<'a>(&'a self, path: &str) -> Result<Box<dyn ObjectWriter + 'a>> {
        Ok(Box::new(Pieces { storage: self, path: path.to_owned(), bytes: Vec::new() }))
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        check_path(path)?;
        let object = self.objects.lock().unwrap().get(path).cloned();
        let object = object.ok_or_else(|| Error::environment(format!("memory/{path} is missing")))?;
        self.bytes_read.fetch_add(object.len() as u64, Ordering::Relaxed);
        Ok(object)
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.largest_read.fetch_max(length, Ordering::Relaxed);
        let bytes = self.get(path)?;
        self.bytes_read.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
        self.bytes_read.fetch_add(length, Ordering::Relaxed);
        range(&bytes, offset, length, || self.locate(path)).map(<[u8]>::to_vec)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        let objects = self.objects.lock().unwrap();
        Ok(objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.objects.lock().unwrap().remove(path);
        Ok(())
    }

    fn locate(&self, path: &str) -> String {
        format!("memory/{path}")
    }
}

#[test]
fn it_keeps_the_promises_of_a_storage() {
    let storage = Arc::new(MemoryStorage::default());
    crate::conformance::storage(&|| storage.clone());
}

/// What decides on when a row leaves a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Key `(number, word)`, no time.
    Timeless,
    /// Key `(number, word)`; the time can go back when a row is replaced.
    TimeInValue,
    /// Key `(number, word, time)`.
    TimeInKey,
    /// No key.
    Keyless,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Timeless, Kind::TimeInValue, Kind::TimeInKey, Kind::Keyless];

/// Columns `number, word, time, value`.
pub(crate) fn table(kind: Kind) -> TableSchema {
    TableSchema {
        name: format!("{kind:?}"),
        version: 1,
        schema: state_column::numbered_schema(&Schema::new(vec![
            Field::new("number", DataType::Int64, true),
            Field::new("word", DataType::Utf8View, true),
            Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, None), true),
            Field::new("value", DataType::Int64, false),
        ])),
        key_columns: match kind {
            Kind::Timeless | Kind::TimeInValue => 2,
            Kind::TimeInKey => 3,
            Kind::Keyless => 0,
        },
        time_column: (kind != Kind::Timeless).then_some(2),
        distribution: Distribution::Keyed,
    }
}

/// A row of such a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) number: Option<i64>,
    pub(crate) word: Option<String>,
    pub(crate) time: Option<i64>,
    pub(crate) value: i64,
}

/// Number, word, and the time if it is part of the key.
type Key = (Option<i64>, Option<String>, Option<i64>);

impl Row {
    /// Two keys in three share their hash with others. Spread over the whole space, so that every subtask owns some.
    pub(crate) fn hash(&self) -> u64 {
        (self.number.unwrap_or(7).rem_euclid(5) as u64).wrapping_mul(0x3333_3333_3333_3334)
    }

    fn key(&self, kind: Kind) -> Key {
        (self.number, self.word.clone(), self.time.filter(|_| kind == Kind::TimeInKey))
    }
}

/// Rows as an operator hands them over; `true`: put, `false`: deleted.
pub(crate) fn state_rows(table: &TableSchema, rows: &[(Row, bool)]) -> StateRows {
    let words: StringViewArray = rows.iter().map(|(row, _)| row.word.clone()).collect();
    let times: TimestampMillisecondArray = rows.iter().map(|(row, _)| row.time).collect();
    let numbers: Int64Array = rows.iter().map(|(row, _)| row.number).collect();
    let values: Int64Array = rows.iter().map(|(row, _)| Some(row.value)).collect();
    StateRows {
        rows: RecordBatch::try_new(
            table.schema.clone(),
            vec![Arc::new(numbers), Arc::new(words), Arc::new(times), Arc::new(values)],
        )
        .unwrap(),
        hashes: UInt64Array::from_iter_values(rows.iter().map(|(row, _)| row.hash())),
        deleted: rows
            .iter()
            .any(|(_, put)| !put)
            .then(|| BooleanArray::from(rows.iter().map(|(_, put)| !put).collect::<Vec<_>>())),
    }
}

/// A capture of one piece.
pub(crate) fn capture(table: &TableSchema, rows: &[(Row, bool)], expired: Option<EventTime>) -> Capture {
    let rows = vec![state_rows(table, rows)];
    Capture { rows: Box::new(move || Ok(rows)), expired }
}

pub(crate) fn uid() -> OperatorUid {
    OperatorUid("window-1".to_owned())
}

pub(crate) fn captured(table: &TableSchema, capture: Vec<Capture>) -> CapturedTable {
    CapturedTable { uid: uid(), watermark: EventTime(0), schema: table.clone(), capture }
}

pub(crate) fn header(epoch: u64) -> ManifestHeader {
    ManifestHeader {
        job: "job".to_owned(),
        identity: Default::default(),
        epoch: Epoch(epoch),
        attempt: Attempt(1),
        savepoint: false,
        finished: false,
        parallelism: 2,
        places: Default::default(),
    }
}

pub(crate) fn committables() -> Vec<SinkCommittables> {
    let table = TableSpec::new("t", "filesystem", BTreeMap::new(), table(Kind::Timeless).schema);
    vec![SinkCommittables {
        uid: OperatorUid("sink-1".to_owned()),
        table,
        committables: vec![b"part-0".to_vec(), vec![0, 15, 16, 255]],
        staged: Vec::new(),
    }]
}

/// Encodes, puts and reports rows of one table as one checkpoint after `previous`.
pub(crate) fn checkpoint(
    storage: &dyn Storage,
    previous: Option<&Manifest>,
    epoch: u64,
    tables: Vec<CapturedTable>,
) -> Manifest {
    let snapshot = crate::encode(tables, &crate::layout::runs_prefix(Epoch(epoch), Attempt(1), "worker-0")).unwrap();
    for (path, bytes) in &snapshot.files {
        storage.put(path, bytes).unwrap();
    }
    Manifest::following(previous, header(epoch), snapshot.operators, Vec::new())
}

/// All rows of a table, read by `parallelism` subtasks; sorted. Checks that each row comes to its owner.
pub(crate) fn read_all(storage: &dyn Storage, table: &TableState, parallelism: usize) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    for subtask in 0..parallelism {
        let range = HashRange::of_subtask(subtask, parallelism);
        for (batch, hashes) in read_table(storage, table, range)? {
            assert_eq!(batch.schema(), weir_core::state_column::plain(&table.schema.schema));
            let rows = rows_of(&batch);
            assert!(rows.iter().zip(hashes.values()).all(|(row, hash)| row.hash() == *hash && range.contains(*hash)));
            all.extend(rows);
        }
    }
    all.sort();
    Ok(all)
}

pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    let words = batch.column(1).as_string_view();
    let times = batch.column(2).as_primitive::<TimestampMillisecondType>();
    let values = batch.column(3).as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|row| Row {
            number: numbers.is_valid(row).then(|| numbers.value(row)),
            word: words.is_valid(row).then(|| words.value(row).to_owned()),
            time: times.is_valid(row).then(|| times.value(row)),
            value: values.value(row),
        })
        .collect()
}

/// What a table holds after puts, deletions and expiry, by the letter of the contract and without regard to speed.
pub(crate) struct Model {
    kind: Kind,
    keyed: BTreeMap<Key, Row>,
    added: Vec<Row>,
}

impl Model {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, keyed: BTreeMap::new(), added: Vec::new() }
    }

    pub(crate) fn apply(&mut self, row: &Row, put: bool) {
        match (self.kind, put) {
            (Kind::Keyless, _) => self.added.push(row.clone()),
            (kind, true) => drop(self.keyed.insert(row.key(kind), row.clone())),
            (kind, false) => drop(self.keyed.remove(&row.key(kind))),
        }
    }

    pub(crate) fn expire(&mut self, expired: Option<EventTime>) {
        let there = |row: &Row| match (row.time, expired) {
            (Some(time), Some(expired)) if self.kind != Kind::Timeless => time > expired.0,
            _ => true,
        };
        self.keyed.retain(|_, row| there(row));
        self.added.retain(there);
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.keyed.values().chain(&self.added).cloned().collect();
        rows.sort();
        rows
    }
}
