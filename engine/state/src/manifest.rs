//! What a checkpoint consists of. A manifest stands alone: whoever has it and the files that it names can go on from
//! its epoch.
//!
//! On disk: a checksummed first line ([`sealed`]), then JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_core::{
    Attempt, Epoch, Error, EventTime, JobIdentity, OperatorPlace, OperatorUid, Result, TableSchema, TableSpec, hash,
};

use crate::expiry::drop_expired_runs;
use crate::sealed::{self, Seal};
use crate::{OperatorDelta, Run, StagedRun, Storage, TableDelta};

/// Version of manifests and runs.
pub const FORMAT: u32 = 1;
const SEAL: Seal = Seal { magic: "weir-manifest", format: FORMAT };
const LATER: &str = "continue with the version of Weir that wrote it, or a later one";

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// Version of the hash function by which runs are sorted.
    pub hash_version: u32,
    /// What the job computes, in the words of whoever runs it.
    pub job: String,
    /// Identity of the job: what its sinks have prepared is named after it. Absent in manifests of earlier versions.
    #[serde(default)]
    pub identity: JobIdentity,
    /// The epoch that the checkpoint closed.
    pub epoch: Epoch,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Whether it is kept until a person deletes it.
    pub savepoint: bool,
    /// Whether the job has come to its end and nothing is left to be done but to commit.
    pub finished: bool,
    /// Parallelism of the job when it was made.
    pub parallelism: usize,
    /// State per operator.
    pub operators: Vec<OperatorState>,
    /// What sinks prepared in this epoch.
    pub committables: Vec<SinkCommittables>,
    /// Where the job's sinks stand, for an edited query to be told which of them it has changed. Absent in manifests of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sinks: BTreeMap<OperatorUid, OperatorPlace>,
}

/// What a manifest says of its checkpoint as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHeader {
    /// What the job computes.
    pub job: String,
    /// Identity of the job.
    pub identity: JobIdentity,
    /// The epoch that the checkpoint closed.
    pub epoch: Epoch,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Whether it is kept until a person deletes it.
    pub savepoint: bool,
    /// Whether the job has come to its end.
    pub finished: bool,
    /// Parallelism of the job.
    pub parallelism: usize,
    /// Where its operators stand ([`JobGraph::places`](weir_core::JobGraph::places)).
    pub places: BTreeMap<OperatorUid, OperatorPlace>,
}

/// State of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// The operator.
    pub uid: OperatorUid,
    /// Where it stood in its job, for an edited query to be matched.
    pub place: OperatorPlace,
    /// The least watermark that its subtasks had seen.
    pub watermark: EventTime,
    /// Its tables.
    pub tables: Vec<TableState>,
}

/// State of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The table as it was declared when it was written.
    pub schema: TableSchema,
    /// Its runs, oldest first: of one key, a row in a later run counts.
    pub runs: Vec<Run>,
    /// All rows with a time up to this one are gone.
    pub expired: Option<EventTime>,
}

/// What the subtasks of one sink prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkCommittables {
    /// The sink.
    pub uid: OperatorUid,
    /// Its table: all that is needed to find the connector that commits.
    pub table: TableSpec,
    /// The committables, in the connector's own words.
    #[serde(with = "hex")]
    pub committables: Vec<Vec<u8>>,
    /// Rows that the sink wants back at the commit, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<StagedRun>,
}

impl SinkCommittables {
    /// A sink that has prepared nothing so far.
    pub fn nothing(uid: OperatorUid, table: TableSpec) -> Self {
        Self { uid, table, committables: Vec::new(), staged: Vec::new() }
    }

    /// Whether there is nothing to be committed.
    pub fn is_empty(&self) -> bool {
        self.committables.is_empty() && self.staged.is_empty()
    }
}

impl Manifest {
    /// The manifest after `previous`: new runs stand behind the old ones, runs that have expired as a whole are left
    /// out, watermarks and expiry never go back. An operator or table that nobody reports stays as it was. A job that has come to its end
    /// needs no state: no manifest of it names a run.
    pub fn following(
        previous: Option<&Manifest>,
        header: ManifestHeader,
        reports: Vec<OperatorDelta>,
        committables: Vec<SinkCommittables>,
    ) -> Self {
        let ManifestHeader { job, identity, epoch, attempt, savepoint, finished, parallelism, mut places } = header;
        let mut operators = previous.map_or_else(Vec::new, |manifest| manifest.operators.clone());
        for (uid, watermark) in least_watermarks(&reports) {
            match operators.iter_mut().find(|operator| operator.uid == uid) {
                Some(operator) => operator.watermark = operator.watermark.max(watermark),
                None => operators.push(OperatorState {
                    uid,
                    place: OperatorPlace::default(),
                    watermark,
                    tables: Vec::new(),
                }),
            }
        }
        for report in reports {
            let operator = operators.iter_mut().find(|operator| operator.uid == report.uid);
            let tables = &mut operator.expect("every reported operator was added above").tables;
            report.tables.into_iter().for_each(|delta| append(tables, delta));
        }
        for operator in &mut operators {
            if let Some(place) = places.remove(&operator.uid) {
                operator.place = place;
            }
        }
        places.retain(|uid, _| uid.is_sink());
        for table in operators.iter_mut().flat_map(|operator| &mut operator.tables) {
            if finished {
                table.runs.clear();
            }
            drop_expired_runs(&table.schema, &mut table.runs, table.expired);
        }
        Self {
            format: FORMAT,
            hash_version: hash::VERSION,
            job,
            identity,
            epoch,
            attempt,
            savepoint,
            finished,
            parallelism,
            operators,
            committables,
            sinks: places,
        }
    }

    /// Puts the outcome of [`compaction::merge`](crate::compaction::merge) in the place of the runs that were merged.
    /// Runs that have expired since then may be missing. Returns whether there was one left to be replaced; if not, the
    /// merged run is of no use.
    pub fn replace_runs(&mut self, uid: &OperatorUid, table: &str, merged: &[Run], run: Run) -> bool {
        let Some(table) = self
            .operators
            .iter_mut()
            .filter(|operator| operator.uid == *uid)
            .flat_map(|operator| &mut operator.tables)
            .find(|candidate| candidate.schema.name == table)
        else {
            return false;
        };
        let Some(place) = table.runs.iter().position(|old| merged.contains(old)) else { return false };
        table.runs.retain(|old| !merged.contains(old));
        if run.rows > 0 {
            table.runs.insert(place, run);
        }
        true
    }

    /// Bytes of all runs.
    pub fn state_bytes(&self) -> u64 {
        self.runs().map(|run| run.length).sum()
    }

    /// All runs of all tables.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.operators.iter().flat_map(|operator| &operator.tables).flat_map(|table| &table.runs)
    }

    /// Rows that sinks want back at their commit.
    pub fn staged(&self) -> impl Iterator<Item = &StagedRun> {
        self.committables.iter().flat_map(|sink| &sink.staged)
    }

    /// Objects that it cannot do without; one may come several times.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.runs().map(|run| run.file.as_str()).chain(self.staged().map(|run| run.file.as_str()))
    }

    /// State of an operator.
    pub fn operator(&self, uid: &OperatorUid) -> Option<&OperatorState> {
        self.operators.iter().find(|operator| operator.uid == *uid)
    }

    /// Whether sinks prepared anything that has to be committed.
    pub fn has_committables(&self) -> bool {
        self.committables.iter().any(|sink| !sink.is_empty())
    }

    /// As it stands on disk.
    ///
    /// # Errors
    /// If a part cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let body = serde_json::to_vec(self)
            .map_err(|error| Error::internal("a manifest cannot be written as JSON").with_source(error))?;
        Ok(SEAL.close(&body))
    }

    /// Reads the manifest of an epoch.
    ///
    /// # Errors
    /// A data error if it is damaged or of another epoch, a user error if another version of Weir wrote it; that of the storage
    /// if it cannot be read.
    pub fn load(storage: &dyn Storage, path: &str, epoch: Epoch) -> Result<Self> {
        let name = storage.locate(path);
        let manifest = Self::from_bytes(&storage.get(path)?, &name)?;
        if manifest.epoch == epoch {
            return Ok(manifest);
        }
        Err(Error::data(format!(
            "checkpoint manifest {name} is of epoch {}, and should be of {epoch}: it was moved",
            manifest.epoch
        )))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made. `name` is how errors call it.
    ///
    /// # Errors
    /// A data error if a byte has changed, a user error if another version of Weir wrote it.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let name = format!("checkpoint manifest {name}");
        let manifest: Manifest = serde_json::from_slice(SEAL.open(bytes, &name, LATER)?).map_err(|error| {
            Error::data(format!("{name} is damaged: it is not what it should be")).with_source(error)
        })?;
        if manifest.hash_version != hash::VERSION {
            return Err(sealed::unreadable(&name, manifest.format).with_help(LATER));
        }
        Ok(manifest)
    }
}

/// Of each reported operator, in the order in which they first come, the least watermark of all reports.
fn least_watermarks(reports: &[OperatorDelta]) -> Vec<(OperatorUid, EventTime)> {
    let mut least: Vec<(OperatorUid, EventTime)> = Vec::new();
    for report in reports {
        match least.iter_mut().find(|(uid, _)| *uid == report.uid) {
            Some((_, watermark)) => *watermark = report.watermark.min(*watermark),
            None => least.push((report.uid.clone(), report.watermark)),
        }
    }
    least
}

fn append(tables: &mut Vec<TableState>, delta: TableDelta) {
    let TableDelta { schema, runs, expired } = delta;
    match tables.iter_mut().find(|table| table.schema.name == schema.name) {
        Some(table) => {
            table.schema = schema;
            table.runs.extend(runs);
            table.expired = table.expired.max(expired);
        }
        None => tables.push(TableState { schema, runs, expired }),
    }
}

/// Bytes as hexadecimal digits: JSON has no bytes, and numbers would take twice the space.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(values: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|bytes| {
            bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16");
                text.push(digit(byte >> 4));
                text.push(digit(byte & 15));
                text
            })
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| decode(text).ok_or_else(|| D::Error::custom("not hexadecimal digits"))).collect()
    }

    fn decode(text: &str) -> Option<Vec<u8>> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
    }
}

#[cfg(test)]
mod tests;
