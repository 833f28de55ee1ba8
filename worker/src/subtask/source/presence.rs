//! Whether a source subtask counts for the subtasks behind it, and what it keeps until it does.
//!
//! One that has nothing to say of time is *idle* after a while, and the others' time goes on without it. When it has something to
//! read again it says so at once. But it counts only from the next marker on, because that is where all subtasks behind it see it
//! at the same place ([`InputWatermarks`](weir_core::InputWatermarks)). Rows that it sent in between could be late, as nobody
//! waits for it yet. So it asks for a marker, again and again, and keeps them until one
//! has passed.

use weir_core::connector::SplitPosition;
use weir_core::{SourceEvent, Watermark};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Presence {
    state: State,
    /// Rows that have come while the subtask was idle, and where its splits stood in front of them.
    kept: Option<(SourceEvent, Vec<SplitPosition>)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Counts,
    Idle,
    /// Counts from the next marker on, which has been asked for since the last tick or not.
    Returns {
        asked: bool,
    },
}

impl Presence {
    /// The subtask says this of time.
    pub fn says(&mut self, watermark: Watermark) {
        self.state = match (watermark, self.state) {
            (Watermark::Idle, _) => State::Idle,
            (Watermark::At(_), State::Idle) => State::Returns { asked: false },
            (Watermark::At(_), state) => state,
        };
    }

    /// Whether it is idle: rows that come now are kept.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether the source may be asked for more.
    pub fn may_read(&self) -> bool {
        self.kept.is_none() && !matches!(self.state, State::Returns { .. })
    }

    /// Keeps rows until a marker has passed. `positions` are those in front of them.
    pub fn keep(&mut self, event: SourceEvent, positions: Vec<SplitPosition>) {
        self.kept = Some((event, positions));
    }

    /// Where splits stand as far as rows have been sent on, if that is not where the source stands.
    pub fn positions(&self) -> Option<Vec<SplitPosition>> {
        self.kept.as_ref().map(|(_, positions)| positions.clone())
    }

    /// Time has passed: what was asked for may have been lost on its way, with a leader for instance.
    pub fn tick(&mut self) {
        if let State::Returns { asked } = &mut self.state {
            *asked = false;
        }
    }

    /// Whether a marker is to be asked for, which is so once in a tick while something has to wait for it.
    pub fn wants_marker(&mut self, has_splits: bool) -> bool {
        match &mut self.state {
            State::Returns { asked } if has_splits => !std::mem::replace(asked, true),
            _ => false,
        }
    }

    /// A marker has passed. Returns the rows that were kept.
    pub fn marker(&mut self) -> Option<SourceEvent> {
        if let State::Returns { .. } = self.state {
            self.state = State::Counts;
        }
        self.kept.take().map(|(event, _)| event)
    }
}
