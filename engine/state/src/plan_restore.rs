//! What a job can do with the state that a checkpoint holds: kept, migrated, rebuilt or dropped, per operator, and why.
//!
//! 1. An operator takes the state of the same uid: it computes the same of the same. Its tables may have
//!    [changed](crate::ColumnChange) with the program that declares them.
//! 2. One whose uid is not there looks for the state of its place that nobody else has taken. If both do the same themselves,
//!    and keep the same tables, what has changed is what feeds them, and the state goes on from there. Else the place shows only
//!    what has become of what.
//! 3. What is left is rebuilt, where an operator has nothing to begin from, and dropped, where state has no operator.
//! 4. A sink keeps nothing, but what it has written stays where it is: the plan says which sinks are not what they were.
//!
//! A restore follows the plan. A job that was edited is refused as a whole, and is told with it what the edit would come to.

use std::collections::BTreeSet;
use std::fmt;

use weir_core::plugin::check_dropped;
use weir_core::{Epoch, Error, OperatorPlace, OperatorUid, Result, TableSchema};

use crate::columns::{ColumnChange, changes};
use crate::{Manifest, OperatorState};

mod sinks;

pub use self::sinks::{SinkFate, SinkPlan};

/// What an operator keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptState {
    /// The operator.
    pub uid: OperatorUid,
    /// Where it stands in its job.
    pub place: OperatorPlace,
    /// Its tables; none if it keeps nothing.
    pub tables: Vec<TableSchema>,
    /// Tables that it may lose. `None`: any, since what it computes says which of them it needs, as in SQL. What an operator of a
    /// plugin computes is not known: it names them.
    pub drops: Option<Vec<String>>,
}

/// What happens to the state of each operator, in the order of the job; what is dropped comes last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestorePlan {
    /// Operators with state, in the job or in the checkpoint.
    pub operators: Vec<OperatorPlan>,
    /// Sinks that are not what they were.
    pub sinks: Vec<SinkPlan>,
}

/// What happens to the state of one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorPlan {
    /// The operator; one of the checkpoint if its state is dropped.
    pub uid: OperatorUid,
    /// Where it stands, or stood.
    pub place: OperatorPlace,
    /// What happens to its state.
    pub fate: StateFate,
}

/// What happens to state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFate {
    /// The operator goes on with it as it is.
    Kept,
    /// The operator goes on with it in another form.
    Migrated {
        /// The operator that it was written for: the same one, or the one whose place this is.
        from: OperatorUid,
        /// What changes, a sentence each.
        changes: Vec<String>,
    },
    /// The operator has none to begin from.
    Rebuilt {
        /// Why.
        why: String,
    },
    /// No operator goes on with it.
    Dropped {
        /// Why.
        why: String,
    },
}

/// What a job whose operators keep `wanted` can do with the checkpoint.
pub fn plan_restore(checkpoint: &Manifest, wanted: &[KeptState]) -> RestorePlan {
    let sinks = checkpoint.sinks.iter().map(|(uid, place)| KeptState::nothing(uid.clone(), place.clone()));
    let stored: Vec<KeptState> = checkpoint.operators.iter().map(KeptState::of).chain(sinks).collect();
    RestorePlan::between(&stored, wanted)
}

impl KeptState {
    fn of(state: &OperatorState) -> Self {
        let tables = state.tables.iter().map(|table| table.schema.clone()).collect();
        Self { uid: state.uid.clone(), place: state.place.clone(), tables, drops: None }
    }

    fn nothing(uid: OperatorUid, place: OperatorPlace) -> Self {
        Self { uid, place, tables: Vec::new(), drops: None }
    }
}

impl RestorePlan {
    /// From what one job keeps to what another one wants to keep.
    pub fn between(stored: &[KeptState], wanted: &[KeptState]) -> Self {
        let mut left: Vec<&KeptState> = stored.iter().filter(|state| !state.tables.is_empty()).collect();
        let with_state = || wanted.iter().filter(|wanted| !wanted.tables.is_empty());
        let same: BTreeSet<&OperatorUid> = wanted.iter().map(|wanted| &wanted.uid).collect();
        let mut operators = Vec::new();
        let mut replaced: Vec<(OperatorUid, OperatorUid)> = Vec::new();
        for wanted in with_state() {
            let by_uid = left.iter().position(|stored| stored.uid == wanted.uid);
            let by_place = || left.iter().position(|stored| !same.contains(&stored.uid) && stands_for(stored, wanted));
            let fate = match by_uid.or_else(by_place).map(|position| left.remove(position)) {
                Some(stored) => match fit(stored, wanted) {
                    Ok(fate) => fate,
                    Err(why) => {
                        replaced.push((stored.uid.clone(), wanted.uid.clone()));
                        StateFate::Rebuilt { why }
                    }
                },
                None => StateFate::Rebuilt { why: "the checkpoint has no such operator".to_owned() },
            };
            operators.push(OperatorPlan { uid: wanted.uid.clone(), place: wanted.place.clone(), fate });
        }
        let dropped = stored.iter().filter(|stored| !stored.tables.is_empty());
        for stored in dropped {
            let successor = replaced.iter().find(|(old, _)| *old == stored.uid).map(|(_, new)| new);
            let why = match successor {
                Some(new) if *new == stored.uid => continue,
                Some(new) => format!("{new} has its place, and cannot use it"),
                None if left.iter().any(|left| left.uid == stored.uid) => "the job has no such operator".to_owned(),
                None => continue,
            };
            let (uid, place) = (stored.uid.clone(), stored.place.clone());
            operators.push(OperatorPlan { uid, place, fate: StateFate::Dropped { why } });
        }
        Self { operators, sinks: sinks::between(stored, wanted) }
    }

    /// The operator of the checkpoint whose state `uid` goes on with.
    pub fn source_of(&self, uid: &OperatorUid) -> Option<&OperatorUid> {
        let plan = self.operators.iter().find(|plan| plan.uid == *uid)?;
        match &plan.fate {
            StateFate::Kept => Some(&plan.uid),
            StateFate::Migrated { from, .. } => Some(from),
            StateFate::Rebuilt { .. } | StateFate::Dropped { .. } => None,
        }
    }

    /// Whether all state goes on.
    pub fn is_complete(&self) -> bool {
        self.operators.iter().all(|plan| plan.fate.goes_on())
    }

    /// What of the state does not go on, a sentence for each operator that would begin without its state, or whose state would be left
    /// behind.
    pub fn misfits(&self) -> Vec<String> {
        let misfits = self.operators.iter().filter(|plan| !plan.fate.goes_on());
        misfits.map(|plan| format!("operator {}: {}", plan.place, plan.fate.why())).collect()
    }

    /// That all state goes on.
    ///
    /// # Errors
    /// A user error with the whole plan if it does not: results that are there already were made with it. [`is_misfit`] knows its report.
    pub fn check(&self, checkpoint: Epoch) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        Err(Error::user(format!("checkpoint {checkpoint} {DOES_NOT_FIT}\n{self}")).with_help(
            "continue with the program and the query that wrote it, or start afresh: in another --state-dir, or in a cluster as another \
             job",
        ))
    }
}

const DOES_NOT_FIT: &str = "does not fit the job:";

/// Whether a report of a failure says that the state of a checkpoint [does not go on](RestorePlan::check): of a failure nothing else is kept.
pub fn is_misfit(report: &str) -> bool {
    report.contains(DOES_NOT_FIT)
}

/// Whether an operator stands where another one stood, or has the name that it had.
fn stands_for(stored: &KeptState, wanted: &KeptState) -> bool {
    let (before, now) = (&stored.place, &wanted.place);
    let same_kind = before.path.last() == now.path.last();
    let same_way = before.target == now.target && before.path == now.path;
    same_way || (same_kind && before.name.is_some() && before.name == now.name)
}

/// What `wanted` can do with what is stored.
fn fit(stored: &KeptState, wanted: &KeptState) -> Result<StateFate, String> {
    let same = stored.uid == wanted.uid;
    let mut sentences = Vec::new();
    if !same {
        if stored.place.computes != wanted.place.computes {
            return Err(format!("{} had its place, and computed something else", stored.uid));
        }
        sentences.push(format!("what feeds it is not what fed {}", stored.uid));
    }
    for declared in &wanted.tables {
        let Some(table) = stored.tables.iter().find(|table| table.name == declared.name) else {
            sentences.push(format!("state '{}' is new", declared.name));
            continue;
        };
        let changes =
            changes(table, declared).map_err(|why| format!("state '{}' does not fit: {why}", declared.name))?;
        // A uid says that columns mean the same; a place does not, and then their names have to.
        if !same && let Some((before, now)) = renamed(table, declared) {
            return Err(format!("state '{}' does not fit: column '{now}' was '{before}'", declared.name));
        }
        sentences.extend(changes.iter().map(|change: &ColumnChange| format!("state '{}': {change}", declared.name)));
    }
    if let Some(drops) = &wanted.drops {
        check_dropped(&stored.tables, &wanted.tables, drops)?;
    }
    let gone = stored.tables.iter().filter(|table| wanted.tables.iter().all(|wanted| wanted.name != table.name));
    sentences.extend(gone.map(|table| format!("state '{}' is gone", table.name)));
    if same && sentences.is_empty() {
        return Ok(StateFate::Kept);
    }
    Ok(StateFate::Migrated { from: stored.uid.clone(), changes: sentences })
}

/// The first column that has another name than it had, before and now.
fn renamed<'a>(stored: &'a TableSchema, declared: &'a TableSchema) -> Option<(&'a str, &'a str)> {
    let id = |field: &arrow::datatypes::FieldRef| weir_core::state_column::id(field);
    let pairs = declared.schema.fields().iter().filter_map(|now| {
        let before = stored.schema.fields().iter().find(|before| id(before).is_some() && id(before) == id(now))?;
        Some((before.name().as_str(), now.name().as_str()))
    });
    pairs.into_iter().find(|(before, now)| before != now)
}

/// A line each: what happens, where, and why.
impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.operators.iter().map(|plan| (plan.fate.word(), plan.place.to_string(), plan.fate.why()));
        let sinks =
            self.sinks.iter().map(|plan| (plan.fate.word(), plan.place.to_string(), plan.fate.why().to_owned()));
        let head = std::iter::once(("STATE", "OPERATOR".to_owned(), "WHY".to_owned()));
        let rows: Vec<_> = head.chain(rows).chain(sinks).collect();
        let width = rows.iter().map(|(_, place, _)| place.chars().count()).max().unwrap_or(0);
        for (index, (word, place, why)) in rows.iter().enumerate() {
            let line = format!("{word:<8}  {place:<width$}  {why}");
            let end = if index + 1 == rows.len() { "" } else { "\n" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

impl StateFate {
    fn goes_on(&self) -> bool {
        matches!(self, Self::Kept | Self::Migrated { .. })
    }

    /// `kept`, `migrated`, `rebuilt`, `dropped`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Migrated { .. } => "migrated",
            Self::Rebuilt { .. } => "rebuilt",
            Self::Dropped { .. } => "dropped",
        }
    }

    /// The reason in a sentence.
    pub fn why(&self) -> String {
        match self {
            Self::Kept => "it computes the same of the same".to_owned(),
            Self::Migrated { changes, .. } => changes.join("; "),
            Self::Rebuilt { why } | Self::Dropped { why } => why.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
