//! What is computed for one call over the rows of one partition. Rows are pushed in their order and leave in it, when the frame's
//! beginning has passed them.

use std::collections::VecDeque;

use arrow::datatypes::i256;
use weir_core::{OverFrame, OverFunction};

use super::exact_sum::ExactSum;

/// Value of a row as the bytes of a row of one column.
pub(super) type ValueBytes = Box<[u8]>;

/// The argument of a call in one row.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// It counts for nothing.
    Null,
    /// It counts, whatever it is.
    Present,
    /// A whole number, or a decimal without its point.
    Whole(i128),
    Double(f64),
    Bytes(ValueBytes),
}

/// What a call is for a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Null,
    Number(i64),
    /// Sum, and how many values it is of.
    Whole(i256, i64),
    Double(f64, i64),
    Bytes(ValueBytes),
}

/// Where frames begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    Unbounded,
    /// So many rows before the current one.
    Rows(i64),
    /// So many milliseconds before the current row's time.
    Range(i64),
}

/// Values of a frame, as far as they are needed, each with its place: the number of its row or its time.
type Window<T> = VecDeque<(i64, T)>;

/// One call over one partition.
pub(super) struct Tally {
    frame: Frame,
    state: State,
    /// Rows pushed since the partition is in memory.
    pushed: i64,
}

enum State {
    Count {
        count: i64,
        window: Window<()>,
    },
    Whole {
        sum: i256,
        count: i64,
        window: Window<i128>,
    },
    Double {
        sum: ExactSum,
        count: i64,
        window: Window<f64>,
    },
    /// Values none of which is followed by one that is ahead of it. Without a bound only the first.
    Extreme {
        greatest: bool,
        window: Window<ValueBytes>,
    },
    /// Without a bound only the first.
    First {
        window: Window<ValueBytes>,
    },
    Last {
        last: Option<(i64, ValueBytes)>,
    },
    Rank {
        rows: i64,
        rank: i64,
        time: Option<i64>,
    },
    DenseRank {
        rank: i64,
        time: Option<i64>,
    },
    /// The last rows, the youngest last.
    Lag {
        window: VecDeque<ValueBytes>,
        distance: usize,
    },
    /// The following rows are not here.
    Lead,
    /// The last value, and that of the rows before the current one.
    LastBefore {
        last: Option<ValueBytes>,
        before: Option<ValueBytes>,
    },
}

/// What is stored of a call whose frames have no beginning.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stored {
    pub(super) count: i64,
    /// The sum, or the value as the bytes of a row of one column.
    pub(super) value: Option<Vec<u8>>,
}

/// How the argument of a call is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// There is none: every row counts.
    None,
    /// Whether it is null.
    Presence,
    Whole,
    Double,
    /// The value; a null counts for nothing.
    Bytes,
    /// The value, null or not.
    BytesOrNull,
}

impl Frame {
    pub(super) fn of(function: OverFunction, frame: OverFrame) -> Self {
        match (function, frame) {
            (OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank | OverFunction::LastBefore, _) => {
                Self::Unbounded
            }
            (OverFunction::Lag(_) | OverFunction::Lead(_), _) => Self::Rows(0),
            (_, OverFrame::Rows(None) | OverFrame::Range(None)) => Self::Unbounded,
            (_, OverFrame::Rows(Some(rows))) => Self::Rows(i64::try_from(rows).unwrap_or(i64::MAX)),
            (_, OverFrame::Range(Some(time))) => Self::Range(time),
        }
    }
}

impl Tally {
    pub(super) fn new(function: OverFunction, frame: Frame, argument: Argument) -> Self {
        let state = match (function, argument) {
            (OverFunction::Count | OverFunction::RowNumber, _) => State::Count { count: 0, window: Window::new() },
            (OverFunction::Sum | OverFunction::Avg, Argument::Double) => {
                State::Double { sum: ExactSum::default(), count: 0, window: Window::new() }
            }
            (OverFunction::Sum | OverFunction::Avg, _) => {
                State::Whole { sum: i256::ZERO, count: 0, window: Window::new() }
            }
            (OverFunction::Min, _) => State::Extreme { greatest: false, window: Window::new() },
            (OverFunction::Max, _) => State::Extreme { greatest: true, window: Window::new() },
            (OverFunction::FirstValue { .. }, _) => State::First { window: Window::new() },
            (OverFunction::LastValue { .. }, _) => State::Last { last: None },
            (OverFunction::Rank, _) => State::Rank { rows: 0, rank: 0, time: None },
            (OverFunction::DenseRank, _) => State::DenseRank { rank: 0, time: None },
            (OverFunction::Lag(distance), _) => {
                State::Lag { window: VecDeque::new(), distance: usize::try_from(distance).unwrap_or(usize::MAX) }
            }
            (OverFunction::Lead(_), _) => State::Lead,
            (OverFunction::LastBefore, _) => State::LastBefore { last: None, before: None },
        };
        Self { frame, state, pushed: 0 }
    }

    /// Takes the next row in, and lets those go that its frame does not reach.
    pub(super) fn push(&mut self, time: i64, value: Value) {
        let place = match self.frame {
            Frame::Range(_) => time,
            Frame::Unbounded | Frame::Rows(_) => self.pushed,
        };
        self.pushed += 1;
        match self.frame {
            Frame::Unbounded => {}
            Frame::Rows(rows) => self.leave(place.saturating_sub(rows)),
            Frame::Range(range) => self.leave(place.saturating_sub(range)),
        }
        self.take(place, time, value);
    }

    /// Takes a row in at its place, which the caller counts and lets go of.
    pub(super) fn take(&mut self, place: i64, time: i64, value: Value) {
        let bounded = self.frame != Frame::Unbounded;
        match (&mut self.state, value) {
            (State::Rank { rows, rank, time: last }, _) => {
                if *last != Some(time) {
                    (*rank, *last) = (*rows + 1, Some(time));
                }
                *rows += 1;
            }
            (State::DenseRank { rank, time: last }, _) => {
                if *last != Some(time) {
                    (*rank, *last) = (*rank + 1, Some(time));
                }
            }
            (State::Lag { window, distance }, Value::Bytes(value)) => {
                // The current row stands last.
                if window.len() > *distance {
                    window.pop_front();
                }
                window.push_back(value);
            }
            (State::LastBefore { last, before }, value) => {
                before.clone_from(last);
                if let Value::Bytes(value) = value {
                    *last = Some(value);
                }
            }
            (State::Lead, _) | (_, Value::Null) => {}
            (State::Count { count, window }, _) => {
                *count += 1;
                window.extend(bounded.then_some((place, ())));
            }
            (State::Whole { sum, count, window }, Value::Whole(value)) => {
                (*sum, *count) = (sum.wrapping_add(i256::from_i128(value)), *count + 1);
                window.extend(bounded.then_some((place, value)));
            }
            (State::Double { sum, count, window }, Value::Double(value)) => {
                sum.add(value, 1);
                *count += 1;
                window.extend(bounded.then_some((place, value)));
            }
            (State::Extreme { greatest, window }, Value::Bytes(value)) => {
                let is_ahead = |other: &ValueBytes| if *greatest { value > *other } else { value < *other };
                while window.back().is_some_and(|(_, other)| is_ahead(other)) {
                    window.pop_back();
                }
                if bounded || window.is_empty() {
                    window.push_back((place, value));
                }
            }
            (State::First { window }, Value::Bytes(value)) => {
                if bounded || window.is_empty() {
                    window.push_back((place, value));
                }
            }
            (State::Last { last }, Value::Bytes(value)) => *last = Some((place, value)),
            // Arguments are read as their function needs them.
            _ => debug_assert!(false, "an argument of another kind"),
        }
    }

    /// Lets go of what stands before this place.
    pub(super) fn leave(&mut self, from: i64) {
        fn before<T>(window: &mut Window<T>, from: i64) -> Option<T> {
            if window.front().is_some_and(|(place, _)| *place < from) {
                return window.pop_front().map(|(_, value)| value);
            }
            None
        }
        match &mut self.state {
            State::Count { count, window } => {
                while before(window, from).is_some() {
                    *count -= 1;
                }
            }
            State::Whole { sum, count, window } => {
                while let Some(value) = before(window, from) {
                    (*sum, *count) = (sum.wrapping_sub(i256::from_i128(value)), *count - 1);
                }
            }
            State::Double { sum, count, window } => {
                while let Some(value) = before(window, from) {
                    sum.add(value, -1);
                    *count -= 1;
                }
            }
            State::Extreme { window, .. } | State::First { window } => while before(window, from).is_some() {},
            State::Last { last } => {
                if last.as_ref().is_some_and(|(place, _)| *place < from) {
                    *last = None;
                }
            }
            State::Rank { .. }
            | State::DenseRank { .. }
            | State::Lag { .. }
            | State::Lead
            | State::LastBefore { .. } => {}
        }
    }

    /// Event time has passed `time`: values go that no frame of a later row reaches.
    pub(super) fn expire(&mut self, time: i64) {
        if let Frame::Range(range) = self.frame {
            self.leave(time.saturating_sub(range).saturating_add(1));
        }
    }

    /// What the call is for the row that was pushed last, or one of the same time where frames go by time.
    pub(super) fn outcome(&mut self) -> Outcome {
        match &mut self.state {
            State::Count { count, .. } => Outcome::Number(*count),
            State::Whole { count: 0, .. } | State::Double { count: 0, .. } | State::Lead => Outcome::Null,
            State::Whole { sum, count, .. } => Outcome::Whole(*sum, *count),
            State::Double { sum, count, .. } => Outcome::Double(sum.value(), *count),
            State::Extreme { window, .. } | State::First { window } => {
                window.front().map_or(Outcome::Null, |(_, value)| Outcome::Bytes(value.clone()))
            }
            State::Last { last } => last.as_ref().map_or(Outcome::Null, |(_, value)| Outcome::Bytes(value.clone())),
            State::Rank { rank, .. } | State::DenseRank { rank, .. } => Outcome::Number(*rank),
            State::LastBefore { before, .. } => before.clone().map_or(Outcome::Null, Outcome::Bytes),
            State::Lag { window, distance } => match window.len() > *distance {
                true => window.front().map_or(Outcome::Null, |value| Outcome::Bytes(value.clone())),
                false => Outcome::Null,
            },
        }
    }

    /// What has to be stored of it. Only of calls whose frames have no beginning.
    pub(super) fn stored(&mut self) -> Stored {
        match &mut self.state {
            State::Count { count, .. } => Stored { count: *count, value: None },
            State::Whole { sum, count, .. } => Stored { count: *count, value: Some(sum.to_le_bytes().to_vec()) },
            State::Double { sum, count, .. } => Stored { count: *count, value: Some(sum.bytes()) },
            State::Extreme { window, .. } | State::First { window } => {
                let value = window.front().map(|(_, value)| value.to_vec());
                Stored { count: i64::from(value.is_some()), value }
            }
            State::Last { last } => {
                let value = last.as_ref().map(|(_, value)| value.to_vec());
                Stored { count: i64::from(value.is_some()), value }
            }
            State::LastBefore { last, .. } => {
                let value = last.as_ref().map(|value| value.to_vec());
                Stored { count: i64::from(value.is_some()), value }
            }
            State::Rank { rows, .. } => Stored { count: *rows, value: None },
            State::DenseRank { rank, .. } => Stored { count: *rank, value: None },
            State::Lag { .. } | State::Lead => Stored::default(),
        }
    }

    /// Goes on from what was stored; `None` if that is of another call.
    pub(super) fn restore(&mut self, stored: Stored) -> Option<()> {
        let Stored { count: number, value } = stored;
        match &mut self.state {
            State::Count { count, .. } => *count = number,
            State::Whole { sum, count, .. } => {
                let bytes: [u8; 32] = value?.try_into().ok()?;
                (*sum, *count) = (i256::from_le_bytes(bytes), number);
            }
            State::Double { sum, count, .. } => (*sum, *count) = (ExactSum::from_bytes(&value?)?, number),
            State::Extreme { window, .. } | State::First { window } => {
                window.clear();
                if number > 0 {
                    window.push_back((0, value?.into()));
                }
            }
            State::Last { last } => {
                *last = if number > 0 { Some((0, value?.into())) } else { None };
            }
            State::LastBefore { last, .. } => {
                *last = if number > 0 { Some(value?.into()) } else { None };
            }
            State::Rank { rows, .. } => *rows = number,
            State::DenseRank { rank, .. } => *rank = number,
            State::Lag { .. } | State::Lead => {}
        }
        Some(())
    }
}
