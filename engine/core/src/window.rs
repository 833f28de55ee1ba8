//! Windows over event time, aligned to 1970-01-01T00:00:00Z.
//!
//! Tumbling, hopping and cumulating windows are unions of *panes*: the longest stretches of time that no window
//! boundary cuts. Rows are aggregated once per pane; a window is put together from its panes when it closes.

use serde::{Deserialize, Serialize};

/// The shape of windows. All lengths are in milliseconds and positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WindowKind {
    /// Windows of `size`, one after the other.
    Tumble {
        /// Length of a window.
        size: i64,
        /// Shift of all boundaries.
        offset: i64,
    },
    /// Windows of `size`, one starting every `slide`.
    Hop {
        /// Distance between the starts of neighbouring windows.
        slide: i64,
        /// Length of a window.
        size: i64,
        /// Shift of all boundaries.
        offset: i64,
    },
    /// Windows that start every `size` and grow by `step` up to it.
    Cumulate {
        /// Growth from one window to the next with the same start.
        step: i64,
        /// Length of the longest window; a multiple of `step`.
        size: i64,
        /// Shift of all boundaries.
        offset: i64,
    },
    /// Windows that end when a key has had no row for `gap`. Two rows exactly `gap` apart are in one session.
    Session {
        /// Greatest distance between neighbouring rows of a session.
        gap: i64,
    },
}

/// A stretch of time `[start, end)` that no window boundary cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pane {
    /// First millisecond.
    pub start: i64,
    /// First millisecond behind it.
    pub end: i64,
}

fn align(time: i64, step: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(step)
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl WindowKind {
    /// Length of a pane; `None` for sessions, which have none.
    pub fn pane_size(&self) -> Option<i64> {
        match *self {
            WindowKind::Tumble { size, .. } => Some(size),
            WindowKind::Hop { slide, size, .. } => Some(greatest_common_divisor(slide, size)),
            WindowKind::Cumulate { step, .. } => Some(step),
            WindowKind::Session { .. } => None,
        }
    }

    fn offset(&self) -> i64 {
        match *self {
            WindowKind::Tumble { offset, .. }
            | WindowKind::Hop { offset, .. }
            | WindowKind::Cumulate { offset, .. } => offset,
            WindowKind::Session { .. } => 0,
        }
    }

    /// The pane that `time` falls into; `None` for sessions. A hop whose slide is longer than its size has panes that
    /// no window covers.
    pub fn pane(&self, time: i64) -> Option<Pane> {
        let size = self.pane_size()?;
        let start = align(time, size, self.offset());
        Some(Pane { start, end: start + size })
    }

    /// The windows `[start, end)` that cover the pane starting at `pane_start`, in order of their end. Empty for
    /// sessions.
    pub fn windows_of_pane(&self, pane_start: i64) -> Vec<Pane> {
        match *self {
            WindowKind::Tumble { size, .. } => vec![Pane { start: pane_start, end: pane_start + size }],
            WindowKind::Hop { slide, size, offset } => {
                let last = align(pane_start, slide, offset);
                let mut starts: Vec<i64> =
                    (0..).map(|back| last - back * slide).take_while(|start| start + size > pane_start).collect();
                starts.reverse();
                starts.into_iter().map(|start| Pane { start, end: start + size }).collect()
            }
            WindowKind::Cumulate { step, size, offset } => {
                let start = align(pane_start, size, offset);
                let mut end = pane_start + step;
                let mut windows = Vec::new();
                while end <= start + size {
                    windows.push(Pane { start, end });
                    end += step;
                }
                windows
            }
            WindowKind::Session { .. } => Vec::new(),
        }
    }

    /// End of the last window that ends at `time` or before; `None` for sessions, and where there are no windows yet.
    pub fn last_end_until(&self, time: i64) -> Option<i64> {
        // Far before all rows, where nothing can be subtracted any more.
        const BEGINNING: i64 = i64::MIN / 2;
        if time < BEGINNING {
            return None;
        }
        match *self {
            WindowKind::Tumble { size: step, offset } | WindowKind::Cumulate { step, offset, .. } => {
                Some(align(time, step, offset))
            }
            WindowKind::Hop { slide, size, offset } => Some(align(time - size, slide, offset) + size),
            WindowKind::Session { .. } => None,
        }
    }

    /// End of the last window that covers the pane starting at `pane_start`: once the watermark reaches it, less one,
    /// the pane is not needed any more.
    pub fn last_end_of_pane(&self, pane_start: i64) -> Option<i64> {
        match *self {
            WindowKind::Tumble { size, .. } => Some(pane_start + size),
            WindowKind::Hop { slide, size, offset } => {
                let end = align(pane_start, slide, offset) + size;
                (end > pane_start).then_some(end)
            }
            WindowKind::Cumulate { size, offset, .. } => Some(align(pane_start, size, offset) + size),
            WindowKind::Session { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(kind: WindowKind, pane: i64) -> Vec<(i64, i64)> {
        kind.windows_of_pane(pane).into_iter().map(|window| (window.start, window.end)).collect()
    }

    #[test]
    fn windows_are_aligned_below_zero_too() {
        let kind = WindowKind::Tumble { size: 10, offset: 0 };
        assert_eq!(kind.pane(-1), Some(Pane { start: -10, end: 0 }));
        assert_eq!(kind.pane(0), Some(Pane { start: 0, end: 10 }));
        assert_eq!(WindowKind::Tumble { size: 10, offset: 3 }.pane(2), Some(Pane { start: -7, end: 3 }));
    }

    #[test]
    fn hops_share_panes() {
        let kind = WindowKind::Hop { slide: 4, size: 10, offset: 0 };
        assert_eq!(kind.pane_size(), Some(2));
        assert_eq!(ends(kind, 8), [(0, 10), (4, 14), (8, 18)]);
        assert_eq!(kind.last_end_of_pane(8), Some(18));
    }

    #[test]
    fn a_hop_longer_than_its_size_leaves_gaps() {
        let kind = WindowKind::Hop { slide: 10, size: 5, offset: 0 };
        assert_eq!(ends(kind, 0), [(0, 5)]);
        assert_eq!(ends(kind, 5), []);
        assert_eq!(kind.last_end_of_pane(5), None);
    }

    #[test]
    fn the_last_window_before_a_time_is_found() {
        let kinds = [
            WindowKind::Tumble { size: 7, offset: 3 },
            WindowKind::Hop { slide: 4, size: 10, offset: 1 },
            WindowKind::Hop { slide: 10, size: 4, offset: 0 },
            WindowKind::Cumulate { step: 3, size: 12, offset: 2 },
        ];
        for kind in kinds {
            let panes = (-60..60).filter_map(|time| kind.pane(time));
            let ends: Vec<i64> = panes.flat_map(|pane| kind.windows_of_pane(pane.start)).map(|w| w.end).collect();
            for time in -20..20 {
                let last = ends.iter().copied().filter(|end| *end <= time).max();
                assert_eq!(kind.last_end_until(time), last, "{kind:?} at {time}");
            }
        }
        assert_eq!(kinds[1].last_end_until(i64::MIN), None);
    }

    #[test]
    fn cumulating_windows_grow_to_their_size() {
        let kind = WindowKind::Cumulate { step: 2, size: 6, offset: 0 };
        assert_eq!(ends(kind, 2), [(0, 4), (0, 6)]);
        assert_eq!(kind.last_end_of_pane(2), Some(6));
    }
}
