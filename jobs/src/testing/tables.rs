//! Sources and sinks of the job's own in a test.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use weir_core::plugin::{PluginCommit, PluginReader, TableRequest};
use weir_core::{Error, EventTime, Result};

use crate::job::{MakeTable, Plan, TablePlan};

/// Where the splits of sources stand, and what sinks have been given.
#[derive(Default)]
pub(super) struct Tables {
    /// By table and split.
    splits: BTreeMap<String, BTreeMap<String, Place>>,
    readers: BTreeMap<(String, String), Box<dyn PluginReader>>,
    /// Rows of sinks since the last checkpoint.
    staged: BTreeMap<String, Vec<RecordBatch>>,
    epoch: u64,
}

/// Of the tables of a job's own, what a checkpoint holds.
#[derive(Clone, Default)]
pub(super) struct StoredTables {
    splits: BTreeMap<String, BTreeMap<String, Place>>,
    /// The epoch of the checkpoint, and the rows that it holds of sinks.
    epoch: u64,
    decided: BTreeMap<String, Vec<RecordBatch>>,
}

/// Where a split stands.
#[derive(Clone)]
enum Place {
    Unread { begin: Option<String> },
    At { position: String, time: Option<EventTime> },
    End,
}

/// What a source has given.
pub(super) struct Given {
    pub(super) batches: Vec<RecordBatch>,
    /// How far event time has come in all its splits, as far as it says so.
    pub(super) time: Option<EventTime>,
}

fn find<'a>(plan: &'a Plan, name: &str) -> Option<&'a TablePlan> {
    plan.own_tables().find(|table| table.step.table == name)
}

impl Tables {
    /// Reads about so many rows of a source at most, and no more than are there.
    pub(super) fn read(&mut self, plan: &Plan, name: &str, most: usize) -> Result<Given> {
        let found = find(plan, name).and_then(|table| match &table.make {
            MakeTable::Source(make) => {
                let (columns, config) = (table.columns.clone(), Vec::new());
                Some(make(&TableRequest { table: name.to_owned(), config, columns }))
            }
            MakeTable::Sink(_) => None,
        });
        let mut source = found.ok_or_else(|| Error::user(format!("the job has no source '{name}' of its own")))?;
        let splits = self.splits.entry(name.to_owned()).or_default();
        for split in source.splits()?.splits {
            splits.entry(split.name).or_insert(Place::Unread { begin: split.begin });
        }
        let (mut batches, mut count) = (Vec::new(), 0);
        loop {
            let before = count;
            for (split, place) in splits.iter_mut() {
                if matches!(place, Place::End) || count >= most {
                    continue;
                }
                let reader = self.readers.entry((name.to_owned(), split.clone()));
                let reader = match reader {
                    std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
                    std::collections::btree_map::Entry::Vacant(closed) => {
                        let position = match &*place {
                            Place::Unread { begin } => begin.as_deref(),
                            Place::At { position, .. } => Some(position.as_str()),
                            Place::End => None,
                        };
                        closed.insert(source.open(split, position)?)
                    }
                };
                let read = reader.read(most - count)?;
                count += read.records.as_ref().map_or(0, RecordBatch::num_rows);
                batches.extend(read.records);
                *place = match (read.is_end, &*place) {
                    (true, _) => Place::End,
                    (false, Place::At { time, .. }) => {
                        Place::At { position: read.position, time: read.time.max(*time) }
                    }
                    (false, _) => Place::At { position: read.position, time: read.time },
                };
            }
            if count == before {
                break;
            }
        }
        let open = splits.values().filter(|place| !matches!(place, Place::End));
        let times = open.map(|place| match place {
            Place::At { time, .. } => *time,
            Place::Unread { .. } | Place::End => None,
        });
        Ok(Given { batches, time: times.min().flatten() })
    }

    /// Rows were inserted into a table.
    pub(super) fn insert(&mut self, table: &str, rows: &RecordBatch) {
        self.staged.entry(table.to_owned()).or_default().push(rows.clone());
    }

    /// A checkpoint is complete: what sinks have been given is decided, and committed.
    pub(super) fn checkpoint(&mut self, plan: &Plan) -> Result<StoredTables> {
        self.epoch += 1;
        let mut decided = std::mem::take(&mut self.staged);
        decided.retain(|table, _| find(plan, table).is_some());
        let stored = StoredTables { splits: self.splits.clone(), epoch: self.epoch, decided };
        stored.commit(plan)?;
        Ok(stored)
    }

    /// Goes back to a checkpoint. What it has decided is committed again: nobody knows whether it was.
    pub(super) fn restore(&mut self, plan: &Plan, stored: &StoredTables) -> Result<()> {
        let epoch = self.epoch.max(stored.epoch);
        *self = Self { splits: stored.splits.clone(), epoch, ..Self::default() };
        stored.commit(plan)
    }
}

impl StoredTables {
    fn commit(&self, plan: &Plan) -> Result<()> {
        for (name, batches) in self.decided.iter().filter(|(_, batches)| !batches.is_empty()) {
            let Some(MakeTable::Sink(make)) = find(plan, name).map(|table| &table.make) else { continue };
            let commit = PluginCommit { writer: format!("test-{name}"), epoch: self.epoch };
            let mut left = batches.iter().cloned();
            make().commit(&commit, &mut || Ok(left.next()))?;
        }
        Ok(())
    }
}
