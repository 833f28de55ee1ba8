//! State of a source: where each split stands and how far event time has come in it. Every subtask gets all rows on
//! restore, because which subtask reads a split depends on the parallelism.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use weir_core::{Capture, Distribution, Error, EventTime, Result, StateRows, TableSchema, hash, state_column};

/// What a subtask keeps of the splits that it reads, what others have kept of theirs in earlier executions, and what of all that
/// the last checkpoint knows.
#[derive(Debug, Default)]
pub struct SourceState {
    splits: BTreeMap<Arc<str>, SplitState>,
    changed: BTreeMap<Arc<str>, SplitState>,
    /// Own splits that are forgotten since the last checkpoint.
    gone: BTreeSet<Arc<str>>,
}

/// One row of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitState {
    /// Name of the split.
    pub split: Arc<str>,
    /// Where to go on, in the connector's own words; `None`: where the table's options say.
    pub position: Option<String>,
    /// Whether it has been read to its end.
    pub finished: bool,
    /// The greatest value of the watermark expression in its sequence, as far as its reader had come.
    pub watermark: EventTime,
}

impl SplitState {
    /// A split of which nothing has been read.
    pub fn new(split: Arc<str>) -> Self {
        Self { split, position: None, finished: false, watermark: EventTime::MIN }
    }
}

/// The declared table.
pub fn table() -> TableSchema {
    TableSchema {
        name: "splits".into(),
        version: 1,
        schema: state_column::numbered_schema(&Schema::new(vec![
            Field::new("split", DataType::Utf8, false),
            Field::new("position", DataType::Utf8, true),
            Field::new("finished", DataType::Boolean, false),
            Field::new("watermark", DataType::Int64, false),
        ])),
        key_columns: 1,
        time_column: None,
        distribution: Distribution::Broadcast,
    }
}

/// Reads rows of the table back.
pub fn decode(rows: &RecordBatch) -> Result<Vec<SplitState>> {
    let column = |index: usize, expected: DataType| {
        let column = rows.column(index);
        (*column.data_type() == expected)
            .then_some(column)
            .ok_or_else(|| Error::data(format!("stored source positions have a {} column", column.data_type())))
    };
    let (split, position) = (column(0, DataType::Utf8)?, column(1, DataType::Utf8)?);
    let (finished, watermark) = (column(2, DataType::Boolean)?, column(3, DataType::Int64)?);
    let positions = position.as_string::<i32>();
    Ok((0..rows.num_rows())
        .map(|row| SplitState {
            split: split.as_string::<i32>().value(row).into(),
            position: positions.is_valid(row).then(|| positions.value(row).to_owned()),
            finished: finished.as_boolean().value(row),
            watermark: EventTime(watermark.as_primitive::<Int64Type>().value(row)),
        })
        .collect())
}

impl SourceState {
    /// What a checkpoint knows.
    pub fn restored(states: Vec<SplitState>) -> Self {
        let splits = states.into_iter().map(|state| (state.split.clone(), state)).collect();
        Self { splits, ..Self::default() }
    }

    /// What is known of a split; `None`: it is new.
    pub fn of(&self, split: &str) -> Option<&SplitState> {
        self.splits.get(split)
    }

    /// Notes where a split stands.
    pub fn set(&mut self, state: SplitState) {
        if self.splits.get(&state.split) != Some(&state) {
            self.splits.insert(state.split.clone(), state.clone());
            self.gone.remove(&state.split);
            self.changed.insert(state.split.clone(), state);
        }
    }

    /// A split will not be announced again. Of one that `is_own` checkpoints will not know any more either; the others' owners see to
    /// theirs.
    pub fn forget(&mut self, split: &Arc<str>, is_own: bool) {
        self.splits.remove(split);
        self.changed.remove(split);
        if is_own {
            self.gone.insert(split.clone());
        }
    }

    /// The splits that have moved, or were forgotten, since the last capture.
    pub fn capture(&mut self) -> Capture {
        let mut changed: Vec<SplitState> = std::mem::take(&mut self.changed).into_values().collect();
        let moved = changed.len();
        changed.extend(std::mem::take(&mut self.gone).into_iter().map(SplitState::new));
        if changed.is_empty() {
            return Capture::unchanged(None);
        }
        let rows = move || {
            let mut rows = encode(&changed)?;
            rows.deleted = (changed.len() > moved).then(|| (0..changed.len()).map(|row| Some(row >= moved)).collect());
            Ok(vec![rows])
        };
        Capture { rows: Box::new(rows), expired: None }
    }
}

fn encode(states: &[SplitState]) -> Result<StateRows> {
    let splits: ArrayRef = Arc::new(StringArray::from_iter_values(states.iter().map(|state| &*state.split)));
    let mut hashes = Vec::new();
    hash::hash_rows(std::slice::from_ref(&splits), states.len(), &mut hashes)?;
    let columns: Vec<ArrayRef> = vec![
        splits,
        Arc::new(states.iter().map(|state| state.position.as_deref()).collect::<StringArray>()),
        Arc::new(BooleanArray::from(states.iter().map(|state| state.finished).collect::<Vec<_>>())),
        Arc::new(Int64Array::from_iter_values(states.iter().map(|state| state.watermark.0))),
    ];
    Ok(StateRows {
        rows: RecordBatch::try_new(table().schema, columns)?,
        hashes: UInt64Array::from(hashes),
        deleted: None,
    })
}
