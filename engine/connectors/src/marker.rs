//! What says, in a system that a sink writes, which of its epochs is there: the *marker*, written with the rows in one transaction.
//!
//! A job writes one before its first row. So one that is not there has been lost, and is never taken for "not committed".

use serde::{Deserialize, Serialize};
use weir_core::Epoch;
use weir_core::audit::{AuditedEpoch, Found, PreparedEpoch};

/// What a sink has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Marker {
    /// Nothing: a job has begun with this sink, behind this epoch.
    BeganBehind(u64),
    /// All that belongs to this epoch, and to those before it.
    Committed(u64),
}

/// What is to be done about an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its rows are to be written.
    Due,
    /// They have been.
    Done,
    /// The marker that would say so has been lost.
    Unknown,
}

impl Marker {
    /// The epoch that it names.
    pub fn epoch(self) -> Epoch {
        match self {
            Self::BeganBehind(epoch) | Self::Committed(epoch) => Epoch(epoch),
        }
    }

    /// What the marker of a sink says of an epoch that has rows.
    pub fn verdict(marker: Option<Self>, epoch: Epoch) -> Verdict {
        match marker {
            Some(Self::Committed(last)) if epoch.0 <= last => Verdict::Done,
            // The job has begun anew behind the epoch, since it found no marker; so there was one.
            Some(Self::BeganBehind(last)) if epoch.0 <= last => Verdict::Unknown,
            Some(_) => Verdict::Due,
            None => Verdict::Unknown,
        }
    }

    /// The last epoch that the marker of a sink says is written.
    pub fn written(marker: Option<Self>) -> Option<Epoch> {
        match marker {
            Some(Self::Committed(epoch)) => Some(Epoch(epoch)),
            Some(Self::BeganBehind(_)) | None => None,
        }
    }

    /// What the marker of a sink says of completed checkpoints. Each subtask's committable is a [`RowCount`].
    pub fn audited(marker: Option<Self>, epochs: &[PreparedEpoch]) -> Vec<AuditedEpoch> {
        let audited = |PreparedEpoch { epoch, committables }: &PreparedEpoch| AuditedEpoch {
            epoch: *epoch,
            found: match Self::verdict(marker, *epoch) {
                Verdict::Done => Found::Written,
                Verdict::Due => Found::Missing,
                Verdict::Unknown => Found::Unknown,
            },
            rows: RowCount::sum(committables),
            files: None,
        };
        epochs.iter().map(audited).collect()
    }
}

/// The committable of a subtask whose rows are staged: how many they are, for people. `{"rows":120}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCount {
    rows: u64,
}

impl RowCount {
    /// Of a subtask that has so many rows; `None` if it has none, and so nothing to say.
    pub fn committable(rows: u64) -> Option<Vec<u8>> {
        (rows > 0).then(|| format!("{{\"rows\":{rows}}}").into_bytes())
    }

    /// The rows of all subtasks; `None` if one does not say.
    fn sum(committables: &[Vec<u8>]) -> Option<u64> {
        let rows = |bytes: &Vec<u8>| serde_json::from_slice::<Self>(bytes).ok().map(|count| count.rows);
        committables.iter().map(rows).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_marker_that_is_not_there_is_never_taken_for_not_committed() {
        let verdict = |marker, epoch| Marker::verdict(marker, Epoch(epoch));
        assert_eq!(verdict(None, 1), Verdict::Unknown);
        assert_eq!(verdict(Some(Marker::BeganBehind(0)), 1), Verdict::Due);
        // A job that went on without finding one: of what was decided before that nothing is known.
        assert_eq!(verdict(Some(Marker::BeganBehind(7)), 7), Verdict::Unknown);
        assert_eq!(verdict(Some(Marker::BeganBehind(7)), 9), Verdict::Due);
        assert_eq!(verdict(Some(Marker::Committed(7)), 6), Verdict::Done);
        assert_eq!(verdict(Some(Marker::Committed(7)), 7), Verdict::Done);
        assert_eq!(verdict(Some(Marker::Committed(7)), 9), Verdict::Due);
    }

    #[test]
    fn an_audit_says_of_each_epoch_what_a_commit_would_find() {
        let epoch = |epoch, rows| PreparedEpoch {
            epoch: Epoch(epoch),
            committables: RowCount::committable(rows).into_iter().chain(RowCount::committable(2)).collect(),
        };
        let epochs = [epoch(3, 5), epoch(7, 0), epoch(9, 1)];
        let found = |marker| Marker::audited(marker, &epochs).into_iter().map(|epoch| epoch.found).collect::<Vec<_>>();
        assert_eq!(found(Some(Marker::Committed(7))), [Found::Written, Found::Written, Found::Missing]);
        assert_eq!(found(Some(Marker::BeganBehind(3))), [Found::Unknown, Found::Missing, Found::Missing]);
        assert_eq!(found(None), [Found::Unknown; 3]);
        let audited = Marker::audited(None, &epochs);
        assert_eq!(audited.iter().map(|epoch| epoch.rows).collect::<Vec<_>>(), [Some(7), Some(2), Some(3)]);
        let strange = PreparedEpoch { epoch: Epoch(1), committables: vec![b"[]".to_vec()] };
        assert_eq!(Marker::audited(None, &[strange])[0].rows, None);
        assert_eq!(Marker::written(Some(Marker::BeganBehind(3))), None);
        assert_eq!(Marker::written(Some(Marker::Committed(3))), Some(Epoch(3)));
    }

    #[test]
    fn markers_are_written_as_the_documentation_shows_them() {
        for (marker, text) in
            [(Marker::BeganBehind(0), "{\"began-behind\":0}"), (Marker::Committed(17), "{\"committed\":17}")]
        {
            assert_eq!(serde_json::to_string(&marker).unwrap(), text);
            assert_eq!(serde_json::from_str::<Marker>(text).unwrap(), marker);
        }
    }
}
