//! What is outside of the cluster and outlives all its processes: where sinks stage their results and make them visible.
//!
//! Staging and making visible are two steps, as with the filesystem sink: a committable names what was staged, and a commit
//! makes it visible once, however often it comes. Or rows wait in the checkpoint, and come with their commit through a
//! [broker](crate::broker). The world refuses
//! nothing that a careless outside would let pass.
//!
//! A user who has a job go on from another checkpoint than the newest takes away what that one does not know of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use weir_core::connector::SinkContext;
use weir_core::{Attempt, Epoch, Error, Result};

use crate::lock::lock;

/// A result, as text.
pub type ResultRow = String;

/// Results and how often each is there: more often taken back than added if it is negative.
pub type Results = BTreeMap<ResultRow, i64>;

/// A result that is added (weight 1) or taken back (-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The result.
    pub row: ResultRow,
    /// How often it is there more than before.
    pub weight: i64,
}

/// What one subtask of a sink has prepared at one marker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Staged {
    /// The sink's table.
    pub table: String,
    /// The epoch.
    pub epoch: Epoch,
    /// The execution.
    pub attempt: Attempt,
    /// Which subtask.
    pub subtask: usize,
    /// The process, in case that an execution is there twice.
    pub opening: u64,
}

/// What becomes visible by a commit.
#[derive(Debug)]
pub struct Shown {
    /// What it was.
    pub origin: Origin,
    /// Its rows.
    pub rows: Vec<Change>,
}

/// Where rows have waited for their commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Out here.
    World(Staged),
    /// In the checkpoint of an epoch, as rows of a table.
    Checkpoint(String, Epoch),
}

impl Origin {
    /// The table that they belong to.
    pub fn table(&self) -> &str {
        match self {
            Origin::World(staged) => &staged.table,
            Origin::Checkpoint(table, _) => table,
        }
    }

    /// Whether the completion of this checkpoint has decided on them.
    pub fn is_decided_by(&self, epoch: Epoch, attempt: Attempt) -> bool {
        match self {
            Origin::World(staged) => epoch >= staged.epoch && attempt == staged.attempt,
            Origin::Checkpoint(_, committed) => epoch == *committed,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::World(staged) => write!(out, "{staged:?}"),
            Origin::Checkpoint(table, epoch) => write!(out, "{table}, staged in checkpoint {epoch}"),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    staged: BTreeMap<Staged, Vec<Change>>,
    visible: BTreeSet<Staged>,
    /// What checkpoints that were committed have held.
    held: BTreeMap<(String, Epoch), Vec<Change>>,
    results: BTreeMap<String, Results>,
    /// Rows of each table, and the checkpoint by which they became visible; also those that were taken away.
    shown: BTreeMap<String, Vec<(Epoch, Vec<Change>)>>,
    openings: u64,
}

impl State {
    fn show(&mut self, table: &str, epoch: Epoch, rows: &[Change]) {
        self.shown.entry(table.to_owned()).or_default().push((epoch, rows.to_vec()));
        apply(self.results.entry(table.to_owned()).or_default(), rows);
    }
}

fn apply(results: &mut Results, changes: &[Change]) {
    for Change { row, weight } in changes {
        let count = results.entry(row.clone()).or_default();
        *count += weight;
        if *count == 0 {
            results.remove(row);
        }
    }
}

/// The outside.
#[derive(Debug, Default)]
pub struct World {
    state: Mutex<State>,
}

impl World {
    /// A sink opens. Like the filesystem sink's first subtask it removes what older attempts have staged and cannot commit any
    /// more, for they have completed no checkpoint behind the one that this attempt begins from.
    pub fn open(&self, table: &str, context: &SinkContext) -> u64 {
        let mut state = lock(&self.state);
        if context.subtask == 0 {
            state.staged.retain(|staged, _| {
                staged.table != table || staged.attempt >= context.attempt || staged.epoch <= context.epoch
            });
        }
        state.openings += 1;
        state.openings
    }

    /// Rows are durable, and nobody sees them. Returns the committable.
    pub fn stage(&self, staged: Staged, rows: Vec<Change>) -> Vec<u8> {
        let committable =
            format!("{}/{}/{}/{}/{}", staged.table, staged.epoch, staged.attempt, staged.subtask, staged.opening);
        lock(&self.state).staged.insert(staged, rows);
        committable.into_bytes()
    }

    /// Makes visible what a committable of a checkpoint names. Returns what is new.
    pub fn commit(&self, committable: &[u8], epoch: Epoch) -> Result<Option<Shown>> {
        let staged = parse(committable)?;
        let mut state = lock(&self.state);
        if state.visible.contains(&staged) {
            return Ok(None);
        }
        let Some(rows) = state.staged.remove(&staged) else {
            let text = String::from_utf8_lossy(committable).into_owned();
            return Err(Error::data(format!("committed rows are lost: {text} is neither visible nor staged")));
        };
        state.visible.insert(staged.clone());
        state.show(&staged.table, epoch, &rows);
        Ok(Some(Shown { origin: Origin::World(staged), rows }))
    }

    /// A checkpoint that is committed holds these rows for a table, whenever it is.
    pub fn check_held(&self, table: &str, epoch: Epoch, rows: Vec<Change>) -> Result<()> {
        let mut state = lock(&self.state);
        let held = state.held.entry((table.to_owned(), epoch)).or_insert_with(|| rows.clone());
        match *held == rows {
            true => Ok(()),
            false => Err(Error::data(format!("checkpoint {epoch} holds other rows of {table} than before"))),
        }
    }

    /// The broker makes rows of a checkpoint visible, which it does as often as it is asked to.
    pub fn show_epoch(&self, table: &str, epoch: Epoch, rows: Vec<Change>) -> Shown {
        lock(&self.state).show(table, epoch, &rows);
        Shown { origin: Origin::Checkpoint(table.to_owned(), epoch), rows }
    }

    /// Leaves what became visible by these checkpoints, and nothing else. What was committed once does not become visible by a commit
    /// again.
    pub fn keep(&self, table: &str, line: &BTreeSet<Epoch>) {
        let mut state = lock(&self.state);
        let State { shown, results, .. } = &mut *state;
        let Some(results) = results.get_mut(table) else { return };
        results.clear();
        let kept = shown.get(table).into_iter().flatten().filter(|(epoch, _)| line.contains(epoch));
        kept.for_each(|(_, rows)| apply(results, rows));
    }

    /// All that is visible in a table, if nothing of a later checkpoint is.
    pub fn results_of(&self, table: &str, epoch: Epoch) -> Option<Results> {
        let state = lock(&self.state);
        let newest = state.shown.get(table).and_then(|shown| shown.iter().map(|(epoch, _)| *epoch).max());
        (newest <= Some(epoch)).then(|| state.results.get(table).cloned().unwrap_or_default())
    }

    /// How often a row is visible in a table.
    pub fn count(&self, table: &str, row: &str) -> i64 {
        lock(&self.state).results.get(table).and_then(|results| results.get(row)).copied().unwrap_or(0)
    }

    /// All that is visible in a table.
    pub fn results(&self, table: &str) -> Results {
        lock(&self.state).results.get(table).cloned().unwrap_or_default()
    }
}

fn parse(committable: &[u8]) -> Result<Staged> {
    let wrong = || Error::data(format!("'{}' is no committable", String::from_utf8_lossy(committable)));
    let text = std::str::from_utf8(committable).map_err(|_| wrong())?;
    let parts: Vec<&str> = text.split('/').collect();
    let [table, epoch, attempt, subtask, opening] = parts.as_slice() else { return Err(wrong()) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    Ok(Staged {
        table: (*table).to_owned(),
        epoch: Epoch(number(epoch)?),
        attempt: Attempt(number(attempt)?),
        subtask: usize::try_from(number(subtask)?).map_err(|_| wrong())?,
        opening: number(opening)?,
    })
}
