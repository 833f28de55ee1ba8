//! Which sinks of a job are not what they were. They have no state to go on with; what they have written is where it was written.

use weir_core::OperatorPlace;

use super::KeptState;

/// A sink that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkPlan {
    /// Where it stands, or stood.
    pub place: OperatorPlace,
    /// What is not the same.
    pub fate: SinkFate,
}

/// What is not the same about a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkFate {
    /// It writes the table of that name elsewhere, or otherwise.
    Changed,
    /// The checkpoint has none that writes this table.
    New,
    /// The job has none any more that writes this table.
    Dropped,
}

impl SinkFate {
    /// `changed`, `new`, `dropped`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::New => "new",
            Self::Dropped => "dropped",
        }
    }

    /// The reason in a sentence.
    pub fn why(self) -> &'static str {
        match self {
            Self::Changed => {
                "its table has another connector, other options or other columns; what it wrote stays where it is"
            }
            Self::New => "the checkpoint has no such sink",
            Self::Dropped => "the job has no such sink; what it wrote stays where it is",
        }
    }
}

/// The sinks that differ, in the order of the job; what is dropped comes last. What feeds a sink is not looked at: that is told of
/// the operators before it.
pub(super) fn between(stored: &[KeptState], wanted: &[KeptState]) -> Vec<SinkPlan> {
    let mut left: Vec<&OperatorPlace> = places(stored).collect();
    // A checkpoint of an earlier version does not say.
    if left.is_empty() {
        return Vec::new();
    }
    let mut take = |alike: &dyn Fn(&OperatorPlace) -> bool| {
        left.iter().position(|place| alike(place)).map(|position| left.remove(position))
    };
    let unlike: Vec<&OperatorPlace> = places(wanted)
        .filter(|wanted| take(&|stored| stored.target == wanted.target && stored.computes == wanted.computes).is_none())
        .collect();
    let changed_or_new = unlike.into_iter().map(|wanted| {
        let before = take(&|stored| stored.target == wanted.target);
        (wanted, if before.is_some() { SinkFate::Changed } else { SinkFate::New })
    });
    let mut fates: Vec<(&OperatorPlace, SinkFate)> = changed_or_new.collect();
    fates.extend(left.into_iter().map(|place| (place, SinkFate::Dropped)));
    fates.into_iter().map(|(place, fate)| SinkPlan { place: place.clone(), fate }).collect()
}

fn places(states: &[KeptState]) -> impl Iterator<Item = &OperatorPlace> {
    states.iter().filter(|state| state.uid.is_sink()).map(|state| &state.place)
}
