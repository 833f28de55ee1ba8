//! What the rows of a stream are to those that came before them. The planner decides it for each node, and whatever reads
//! the stream is asked whether it can work with such rows before the first of them is made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the rows of a stream are to those before them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangelogKind {
    /// Each row is added, and stays. Batches carry no weights.
    #[default]
    Append,
    /// Rows are added (weight `+1`) and taken back (`-1`). One that is taken back was added before, with the same value in
    /// every column.
    Retract,
    /// Of all rows with the same values in these columns the last one counts. `+1` puts it in the place of the one before,
    /// `-1` says that there is none any more; what stands in the other columns then means nothing.
    Upsert(Vec<usize>),
}

impl ChangelogKind {
    /// Whether rows are added and nothing else.
    pub fn is_append(&self) -> bool {
        *self == Self::Append
    }

    /// The kind of several streams as one (`UNION ALL`); `None` if there is none: two streams that replace their rows by
    /// key may have a key in common, and then one would replace the rows of the other.
    pub fn union<'a>(kinds: impl IntoIterator<Item = &'a ChangelogKind>) -> Option<ChangelogKind> {
        let mut kinds = kinds.into_iter();
        let first = kinds.next().cloned().unwrap_or_default();
        kinds.try_fold(first, |all, kind| match (all, kind) {
            (Self::Upsert(_), _) | (_, Self::Upsert(_)) => None,
            (Self::Append, Self::Append) => Some(Self::Append),
            (Self::Append | Self::Retract, Self::Append | Self::Retract) => Some(Self::Retract),
        })
    }
}

/// Without the columns: `append`, `retract`, `upsert`.
impl fmt::Display for ChangelogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Append => "append",
            Self::Retract => "retract",
            Self::Upsert(_) => "upsert",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_streams_are_one_where_no_row_can_replace_another_streams() {
        let (append, retract, upsert) = (ChangelogKind::Append, ChangelogKind::Retract, ChangelogKind::Upsert(vec![0]));
        let union = |kinds: &[&ChangelogKind]| ChangelogKind::union(kinds.iter().copied());
        assert_eq!(union(&[]), Some(ChangelogKind::Append));
        assert_eq!(union(&[&append, &append]), Some(ChangelogKind::Append));
        assert_eq!(union(&[&append, &retract]), Some(ChangelogKind::Retract));
        assert_eq!(union(&[&retract, &append, &append]), Some(ChangelogKind::Retract));
        assert_eq!(union(&[&upsert]), Some(upsert.clone()));
        assert_eq!(union(&[&upsert, &upsert]), None);
        assert_eq!(union(&[&append, &upsert]), None);
    }
}
