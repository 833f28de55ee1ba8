//! What says, in a system that a sink writes, which of its epochs is there: the *marker*, written with the rows in one transaction.
//!
//! A job writes one before its first row. So one that is not there has been lost, and is never taken for "not committed".

use serde::{Deserialize, Serialize};
use weir_core::Epoch;

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
    fn markers_are_written_as_the_documentation_shows_them() {
        for (marker, text) in
            [(Marker::BeganBehind(0), "{\"began-behind\":0}"), (Marker::Committed(17), "{\"committed\":17}")]
        {
            assert_eq!(serde_json::to_string(&marker).unwrap(), text);
            assert_eq!(serde_json::from_str::<Marker>(text).unwrap(), marker);
        }
    }
}
