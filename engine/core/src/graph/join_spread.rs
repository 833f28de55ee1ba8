//! How the rows of a join by time find each other.

use serde::{Deserialize, Serialize};

use super::{JoinType, OperatorSpec};

/// How the rows of a join are spread over its subtasks. The edges into the join say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinSpread {
    /// Those of both sides go to the owner of all columns that have to be equal.
    #[default]
    Keys,
    /// They go to the owner of some of those columns: positions in the list of equal columns, in the order in which they are hashed.
    /// Window joins only.
    SomeKeys(Vec<usize>),
    /// Those of this input, 0 or 1, are in every subtask; those of the other are in any. It must not matter to any row of this input
    /// whether something matched it, and where a marker passes all subtasks of a join by time have to stand at the same watermark.
    Broadcast(usize),
}

impl JoinType {
    /// Whether it matters to the rows of an input, 0 or 1, whether something matched them: they come out alone then, or do not.
    pub fn tracks(self, ordinal: usize) -> bool {
        match self {
            JoinType::Inner => false,
            JoinType::Full => true,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => ordinal == 0,
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => ordinal == 1,
        }
    }
}

impl OperatorSpec {
    /// The input whose rows are in every subtask, if there is one.
    pub fn broadcast_input(&self) -> Option<usize> {
        let spread = match self {
            OperatorSpec::WindowJoin(spec) => &spec.spread,
            OperatorSpec::IntervalJoin(spec) => &spec.spread,
            OperatorSpec::Join(spec) => &spec.spread,
            _ => return None,
        };
        match spread {
            JoinSpread::Broadcast(ordinal) => Some(*ordinal),
            JoinSpread::Keys | JoinSpread::SomeKeys(_) => None,
        }
    }
}
