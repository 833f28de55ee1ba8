//! Counts rows by key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray, UInt64Array};
use arrow::compute::{filter_record_batch, is_not_null, is_null};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, Collector, Distribution, Error, EventTime, Operator, OutputPort, Result, StateRows, TableSchema,
    state_column,
};

use crate::fault::Risk;
use crate::{Fault, count_output};

/// How often each word has come.
pub struct Count {
    risk: Risk,
    /// By hash, then word.
    counts: BTreeMap<(u64, String), i64>,
    changed: BTreeSet<(u64, String)>,
}

impl Count {
    /// One that has seen nothing. `config` names what goes wrong, if anything, and a file that is written then if it is to go wrong once.
    ///
    /// # Errors
    /// If there is no such fault.
    pub fn new(config: &[u8]) -> Result<Self> {
        let text = str::from_utf8(config).map_err(|_| Error::user("the fault has no name"))?;
        Ok(Self { risk: text.parse()?, counts: BTreeMap::new(), changed: BTreeSet::new() })
    }
}

fn hashes(words: &ArrayRef) -> Result<Vec<u64>> {
    let mut hashes = Vec::new();
    hash_rows(std::slice::from_ref(words), words.len(), &mut hashes)?;
    Ok(hashes)
}

impl Operator for Count {
    fn tables(&self) -> Vec<TableSchema> {
        let word = state_column::with_id(Field::new("word", DataType::Utf8View, false), 1);
        let count = state_column::with_id(Field::new("n", DataType::Int64, false), 2);
        vec![TableSchema {
            name: "counts".into(),
            version: 1,
            schema: Arc::new(Schema::new(vec![word, count])),
            key_columns: 1,
            time_column: None,
            distribution: Distribution::Keyed,
        }]
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let (words, counts) = (rows.column(0).as_string_view(), rows.column(1).as_primitive::<Int64Type>());
        for row in 0..rows.num_rows() {
            self.counts.insert((hashes.value(row), words.value(row).to_owned()), counts.value(row));
        }
        Ok(())
    }

    fn expired(&self, _table: usize, _watermark: EventTime) -> Option<EventTime> {
        assert!(self.risk.fault() != Some(Fault::Panic) || self.counts.len() < 2, "two words too many");
        None
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.counts.retain(|(hash, _), _| !leaves(*hash));
        Ok(vec![EventTime::MAX])
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        self.risk.happen()?;
        let records = batch.into_appended()?;
        let unspoken = filter_record_batch(&records, &is_null(records.column(0))?)?;
        out.emit_to(OutputPort::Side(0), unspoken.into());
        let spoken = filter_record_batch(&records, &is_not_null(records.column(0))?)?;
        let words = spoken.column(0);
        let mut counts = Vec::with_capacity(words.len());
        for (word, hash) in words.as_string_view().iter().flatten().zip(hashes(words)?) {
            let key = (hash, word.to_owned());
            let count = self.counts.entry(key.clone()).or_default();
            *count += 1;
            counts.push(*count);
            self.changed.insert(key);
        }
        let columns: Vec<ArrayRef> = vec![words.clone(), Arc::new(Int64Array::from(counts)), spoken.column(1).clone()];
        out.emit(RecordBatch::try_new(count_output(), columns)?.into());
        Ok(())
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let changed: Vec<((u64, String), i64)> =
            std::mem::take(&mut self.changed).into_iter().map(|key| (key.clone(), self.counts[&key])).collect();
        let schema = self.tables()[0].schema.clone();
        let rows = Box::new(move || {
            let words = StringViewArray::from_iter_values(changed.iter().map(|((_, word), _)| word));
            let counts: Int64Array = changed.iter().map(|(_, count)| *count).collect();
            let hashes = changed.iter().map(|((hash, _), _)| *hash).collect();
            let rows = RecordBatch::try_new(schema, vec![Arc::new(words), Arc::new(counts)])?;
            Ok(vec![StateRows { rows, hashes, deleted: None }])
        });
        Ok(vec![Capture { rows, expired: None }])
    }

    fn state_bytes(&self) -> usize {
        self.counts.keys().map(|(_, word)| word.len() + 16).sum()
    }
}
