//! Whether a source subtask counts for the subtasks behind it, and what it keeps until it does.
//!
//! One that has nothing to say of time is *idle* after a while, and the others' time goes on without it. Whether it is idle
//! changes only where a marker passes, because that is where all subtasks behind it, of all stages, see it at the same place
//! ([`InputWatermarks`](weir_core::InputWatermarks)):
//!
//! ```text
//!                 says that it is idle           a marker passes
//!     Counts ───────────────────────▶ Leaves ─────────────────────▶ Idle
//!       ▲ ◀─────────────────────────────┘                            │
//!       │     has something to say                                   │ has something to say
//!       └──────────────────────── Returns ◀──────────────────────────┘
//!             a marker passes       keeps its rows
//! ```
//!
//! Until a marker has passed nobody waits for one that returns, so that rows that it sent could be late. Both times it asks for a
//! marker, again and again.

use weir_core::bugs::{self, Bug};
use weir_core::connector::SplitPosition;
use weir_core::{SourceEvent, Watermark};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Presence {
    state: State,
    /// Rows that have come while the subtask was idle, and where its splits stood in front of them.
    kept: Option<(SourceEvent, Vec<SplitPosition>)>,
}

/// `asked`: whether a marker has been asked for since the last tick.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Counts,
    Leaves {
        asked: bool,
    },
    Idle,
    Returns {
        asked: bool,
    },
}

impl Presence {
    /// The subtask says this of time.
    pub fn says(&mut self, watermark: Watermark) {
        self.state = match (watermark, self.state) {
            (Watermark::Idle, State::Counts) => State::Leaves { asked: false },
            (Watermark::Idle, State::Returns { .. }) => State::Idle,
            (Watermark::At(_), State::Leaves { .. }) => State::Counts,
            (Watermark::At(_), State::Idle) => State::Returns { asked: false },
            (_, state) => state,
        };
    }

    /// Whether it is idle: rows that come now are kept.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && !bugs::is_on(Bug::RowsWhileIdle)
    }

    /// Whether those behind wait for it.
    pub fn counts(&self) -> bool {
        matches!(self.state, State::Counts | State::Leaves { .. })
    }

    /// Whether the source may be asked for more.
    pub fn may_read(&self) -> bool {
        let waits = matches!(self.state, State::Returns { .. }) && !bugs::is_on(Bug::RowsWhileIdle);
        self.kept.is_none() && !waits
    }

    /// Keeps rows until a marker has passed. `positions` are those in front of them.
    pub fn keep(&mut self, event: SourceEvent, positions: Vec<SplitPosition>) {
        self.kept = Some((event, positions));
    }

    /// Where splits stand as far as rows have been sent on, if that is not where the source stands.
    pub fn positions(&self) -> Option<Vec<SplitPosition>> {
        let kept = self.kept.as_ref().filter(|_| !bugs::is_on(Bug::KeptRowsSkipped));
        kept.map(|(_, positions)| positions.clone())
    }

    /// Time has passed: what was asked for may have been lost on its way, with a leader for instance.
    pub fn tick(&mut self) {
        if let State::Leaves { asked } | State::Returns { asked } = &mut self.state {
            *asked = false;
        }
    }

    /// Whether a marker is to be asked for, which is so once in a tick while something has to wait for it. One that returns and
    /// has nothing to send can wait.
    pub fn wants_marker(&mut self, has_something: bool) -> bool {
        match &mut self.state {
            State::Leaves { asked } => !std::mem::replace(asked, true),
            State::Returns { asked } if has_something => !std::mem::replace(asked, true),
            _ => false,
        }
    }

    /// A marker has passed. Returns the rows that were kept.
    pub fn marker(&mut self) -> Option<SourceEvent> {
        self.state = match self.state {
            State::Leaves { .. } => State::Idle,
            State::Returns { .. } => State::Counts,
            state => state,
        };
        self.kept.take().map(|(event, _)| event)
    }
}
