//! Files of checkpoints and of sinks.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{Attempt, Capture, Distribution, Epoch, EventTime, OperatorUid, StateRows, TableSchema, state_column};
use weir_state::retention::Retained;
use weir_state::{
    CapturedTable, EpochContent, Manifest, ManifestHeader, MemoryStorage, Storage, compaction, encode, layout,
};

const ATTEMPT: Attempt = Attempt(1);

fn table() -> TableSchema {
    TableSchema {
        name: "rows".to_owned(),
        version: 1,
        schema: state_column::numbered_schema(&Schema::new(vec![Field::new("k", DataType::Int64, false)])),
        key_columns: 1,
        time_column: None,
        distribution: Distribution::Keyed,
    }
}

/// A row that a subtask has captured.
pub fn captured(key: i64) -> CapturedTable {
    let rows = move || {
        let rows = RecordBatch::try_new(table().schema, vec![Arc::new(Int64Array::from(vec![key]))])?;
        Ok(vec![StateRows { rows, hashes: UInt64Array::from(vec![key.unsigned_abs()]), deleted: None }])
    };
    CapturedTable {
        uid: OperatorUid("operator".to_owned()),
        watermark: EventTime::MIN,
        schema: table(),
        capture: vec![Capture { rows: Box::new(rows), expired: None }],
    }
}

/// The manifest behind another one, with a row more.
fn next(storage: &MemoryStorage, previous: Option<&Manifest>, epoch: u64) -> Manifest {
    let prefix = layout::runs_prefix(Epoch(epoch), ATTEMPT, "worker");
    let snapshot = encode(vec![captured(epoch as i64)], &prefix).unwrap();
    snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
    Manifest::following(previous, header(epoch), snapshot.operators, Vec::new())
}

fn header(epoch: u64) -> ManifestHeader {
    ManifestHeader {
        job: "job".to_owned(),
        identity: Default::default(),
        epoch: Epoch(epoch),
        attempt: ATTEMPT,
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: Default::default(),
    }
}

/// Of an epoch that was given up the report of the worker that was furthest behind may be missing.
pub fn time_has_come_as_far_as_the_epoch_of_the_checkpoint_says() {
    let content = |epoch: u64, time| {
        let table = CapturedTable { watermark: EventTime(time), ..captured(epoch as i64) };
        let operators = encode(vec![table], &layout::runs_prefix(Epoch(epoch), ATTEMPT, "worker")).unwrap().operators;
        EpochContent { epoch: Epoch(epoch), operators, ..EpochContent::default() }
    };
    let manifest = Manifest::with_contents(None, header(2), &[content(1, 50), content(2, 20)]);
    assert_eq!(manifest.operators[0].watermark, EventTime(20));
}

/// Until the next manifest names them.
pub fn merged_runs_are_no_orphans() {
    let storage = MemoryStorage::default();
    let mut manifest = next(&storage, None, 1);
    for epoch in 2..=compaction::MERGED_RUNS as u64 {
        manifest = next(&storage, Some(&manifest), epoch);
    }
    let mut retained = Retained::default();
    retained.insert(&layout::manifest(manifest.epoch), &manifest);
    assert_eq!(compaction::merge_all(&storage, &manifest, ATTEMPT).unwrap().len(), 1);
    let orphans = retained.orphans(&storage.list("").unwrap());
    assert!(orphans.files.is_empty(), "{orphans:?}");
}

/// Until a checkpoint is complete that could name them.
pub fn uploads_are_no_orphans() {
    let storage = MemoryStorage::default();
    let manifest = next(&storage, None, 1);
    let mut retained = Retained::default();
    retained.insert(&layout::manifest(manifest.epoch), &manifest);
    // That of the second epoch is not written yet, and may name what was given up of it in the third one.
    next(&storage, Some(&manifest), 2);
    let orphans = retained.orphans(&storage.list("").unwrap());
    assert!(orphans.files.is_empty(), "{orphans:?}");
}
