//! State of a source: where each split stands and how far event time has come in it. Every subtask gets all rows on
//! restore, because which subtask reads a split depends on the parallelism.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use weir_core::connector::SplitPosition;
use weir_core::{Capture, Distribution, Error, EventTime, Result, TableSchema, hash};

/// Position and watermark of every split that this subtask reads, and what the last checkpoint knows of them.
#[derive(Debug, Default)]
pub struct SourceState {
    captured: BTreeMap<Arc<str>, SplitState>,
}

/// One row of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitState {
    /// Where the split stands.
    pub position: SplitPosition,
    /// The greatest value of the watermark expression in it.
    pub watermark: EventTime,
}

/// The declared table.
pub fn table() -> TableSchema {
    TableSchema {
        name: "splits".into(),
        version: 1,
        schema: Arc::new(Schema::new(vec![
            Field::new("split", DataType::Utf8, false),
            Field::new("position", DataType::Utf8, false),
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
    Ok((0..rows.num_rows())
        .map(|row| SplitState {
            position: SplitPosition {
                split: split.as_string::<i32>().value(row).into(),
                position: position.as_string::<i32>().value(row).to_owned(),
                finished: finished.as_boolean().value(row),
            },
            watermark: EventTime(watermark.as_primitive::<Int64Type>().value(row)),
        })
        .collect())
}

impl SourceState {
    /// Nothing to be written again of what a checkpoint already holds.
    pub fn restored(states: &[SplitState]) -> Self {
        let captured = states.iter().map(|state| (state.position.split.clone(), state.clone())).collect();
        Self { captured }
    }

    /// The splits that have moved since the last capture.
    pub fn capture(&mut self, current: impl IntoIterator<Item = SplitState>) -> Result<Capture> {
        let mut changed = Vec::new();
        for state in current {
            if self.captured.get(&state.position.split) != Some(&state) {
                self.captured.insert(state.position.split.clone(), state.clone());
                changed.push(state);
            }
        }
        if changed.is_empty() {
            return Ok(Capture::unchanged(None));
        }
        Ok(Capture { rows: Box::new(move || Ok(vec![encode(&changed)?])), expired: None })
    }
}

fn encode(states: &[SplitState]) -> Result<weir_core::StateRows> {
    let splits: ArrayRef = Arc::new(StringArray::from_iter_values(states.iter().map(|state| &*state.position.split)));
    let mut hashes = Vec::new();
    hash::hash_rows(std::slice::from_ref(&splits), states.len(), &mut hashes)?;
    let columns: Vec<ArrayRef> = vec![
        splits,
        Arc::new(StringArray::from_iter_values(states.iter().map(|state| &state.position.position))),
        Arc::new(BooleanArray::from(states.iter().map(|state| state.position.finished).collect::<Vec<_>>())),
        Arc::new(Int64Array::from_iter_values(states.iter().map(|state| state.watermark.0))),
    ];
    Ok(weir_core::StateRows {
        rows: RecordBatch::try_new(table().schema, columns)?,
        hashes: UInt64Array::from(hashes),
        deleted: None,
    })
}
