//! From panes to windows.
//!
//! A tumbling window is a pane. A longer window is put together from its panes when it closes, and neighbouring windows
//! share most of them, so the last window's groups are kept and changed into the next one's:
//!
//! - cumulating windows of one start only grow: new panes are absorbed;
//! - hops of counts lose the panes that fall out as well: those are released again;
//! - for other aggregates nothing can be taken out of a hop. There the panes lie on two stacks: in front, for each pane up
//!   to the middle, the union from it to the middle; behind, the union of all panes from the middle on. A window is
//!   the union of two, and each pane is absorbed twice altogether, however many windows it is in.

use std::collections::BTreeMap;
use std::ops::Range;

use weir_core::{Pane, Result, WindowKind};

use super::accumulator::Rows;
use super::group_table::{GroupTable, Scratch};
use super::layout::Layout;
use crate::chunked::Picked;

/// Tables by pane, in the order of time.
pub(crate) type Panes = BTreeMap<Pane, GroupTable>;

/// How a closing window is put together.
#[allow(clippy::large_enum_variant, reason = "there is one for each operator")]
pub(crate) enum Windows {
    /// Windows are panes.
    Panes,
    /// Windows grow, or lose what is released.
    Running(Running),
    /// Two stacks.
    Stacks(Stacks),
}

impl Windows {
    /// For windows of this kind; `releasable` if every aggregate can be taken back and the last counts rows.
    pub(crate) fn new(kind: Option<WindowKind>, releasable: bool) -> Self {
        let running = |releases| Windows::Running(Running { table: None, covered: 0..0, releases });
        match kind {
            Some(kind) if Self::hops(kind) => match releasable {
                true => running(true),
                false => Windows::Stacks(Stacks::default()),
            },
            Some(WindowKind::Cumulate { step, size, .. }) if step < size => running(false),
            _ => Windows::Panes,
        }
    }

    /// Whether windows are hops of several panes.
    pub(crate) fn hops(kind: WindowKind) -> bool {
        matches!(kind, WindowKind::Hop { size, .. } if kind.pane_size() != Some(size))
    }

    /// Forgets all groups; the next window is made from its panes alone.
    pub(crate) fn clear(&mut self) {
        match self {
            Windows::Panes => {}
            Windows::Running(running) => running.clear(),
            Windows::Stacks(stacks) => *stacks = Stacks::default(),
        }
    }

    /// The groups of the closing window, and which of them are in it.
    pub(crate) fn close<'a>(
        &'a mut self,
        window: Pane,
        panes: &'a mut Panes,
        layout: &Layout,
        scratch: &mut Scratch,
    ) -> Result<Option<(&'a mut GroupTable, Picked)>> {
        let table = match self {
            Windows::Panes => panes.get_mut(&window),
            Windows::Running(running) => return running.close(window, panes, layout, scratch),
            Windows::Stacks(stacks) => stacks.close(window, panes, layout, scratch)?,
        };
        Ok(table.map(|table| {
            let all = table.all();
            (table, all)
        }))
    }

    /// Rows arrived in a pane that may have been put together with others already.
    pub(crate) fn arrived(&mut self, pane: Pane, layout: &Layout, rows: Rows<'_>, scratch: &mut Scratch) -> Result<()> {
        match self {
            Windows::Panes => Ok(()),
            Windows::Running(running) => match running.covered.contains(&pane.start) {
                true => running.groups(layout).update(layout, rows, scratch),
                false => Ok(()),
            },
            Windows::Stacks(stacks) => {
                if stacks.covered.contains(&pane.start) {
                    // They are made again from the panes.
                    *stacks = Stacks::default();
                }
                Ok(())
            }
        }
    }

    /// A pane is dropped.
    pub(crate) fn drop_pane(
        &mut self,
        pane: Pane,
        table: &mut GroupTable,
        layout: &Layout,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match self {
            Windows::Running(running) if running.releases => running.drop_pane(pane, table, layout, scratch),
            _ => Ok(()),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Windows::Panes => 0,
            Windows::Running(running) => running.table.as_ref().map_or(0, GroupTable::bytes),
            Windows::Stacks(stacks) => {
                stacks.front.iter().map(|(_, table)| table).chain(&stacks.back).map(GroupTable::bytes).sum()
            }
        }
    }
}

/// One table that goes from window to window.
pub(crate) struct Running {
    table: Option<GroupTable>,
    /// Panes that start in here are in the table.
    covered: Range<i64>,
    /// Whether panes are released when they fall out of the window.
    releases: bool,
}

/// Groups without rows are kept until there are this many of them, and more than others: each window looks at them.
const EMPTY_GROUPS: usize = 64;

impl Running {
    fn clear(&mut self) {
        self.table = None;
        self.covered = 0..0;
    }

    fn groups(&mut self, layout: &Layout) -> &mut GroupTable {
        self.table.get_or_insert_with(|| GroupTable::new(layout, 0))
    }

    fn close(
        &mut self,
        window: Pane,
        panes: &mut Panes,
        layout: &Layout,
        scratch: &mut Scratch,
    ) -> Result<Option<(&mut GroupTable, Picked)>> {
        let keeps = if self.releases { self.covered.end > window.start } else { self.covered.start == window.start };
        if !keeps || self.covered.is_empty() || self.covered.end > window.end {
            self.table = None;
            self.covered = window.start..window.start;
        }
        let mut table = self.table.take().unwrap_or_else(|| GroupTable::new(layout, 0));
        for (_, pane) in starting_in(panes, self.covered.start..window.start) {
            table.release(pane, scratch)?;
        }
        for (_, pane) in starting_in(panes, self.covered.end..window.end) {
            table.absorb(pane, scratch)?;
        }
        self.covered = window.start..window.end;
        let picked = if self.releases { table.populated()? } else { table.all() };
        if table.len() > 2 * picked.len() + EMPTY_GROUPS {
            // Some groups of the windows to come will be new.
            table = GroupTable::new(layout, picked.len() + picked.len() / 2);
            for (_, pane) in starting_in(panes, window.start..window.end) {
                table.absorb(pane, scratch)?;
            }
            let all = table.all();
            return Ok(Some((self.table.insert(table), all)));
        }
        Ok(Some((self.table.insert(table), picked)))
    }

    fn drop_pane(&mut self, pane: Pane, table: &mut GroupTable, layout: &Layout, scratch: &mut Scratch) -> Result<()> {
        if self.covered.contains(&pane.start) {
            self.groups(layout).release(table, scratch)?;
            // Panes are dropped in order, so all up to this one are gone.
            self.covered.start = pane.end;
        }
        Ok(())
    }
}

/// Up to so many panes are put together anew for each window: two stacks absorb each pane about five times.
const FEW_PANES: usize = 6;

/// Panes on two stacks.
#[derive(Default)]
pub(crate) struct Stacks {
    /// Unions of the panes from each start to the middle, the earliest start last.
    front: Vec<(i64, GroupTable)>,
    /// Union of the panes behind the middle.
    back: Option<GroupTable>,
    /// Panes that start in here are on the stacks.
    covered: Range<i64>,
    /// The union of a front and the back.
    window: Option<GroupTable>,
}

impl Stacks {
    fn close<'a>(
        &'a mut self,
        window: Pane,
        panes: &'a mut Panes,
        layout: &Layout,
        scratch: &mut Scratch,
    ) -> Result<Option<&'a mut GroupTable>> {
        if self.covered.end <= window.start || self.covered.start > window.start || self.covered.end > window.end {
            *self = Stacks { covered: window.start..window.start, ..Stacks::default() };
        }
        if starting_in(panes, window.start..window.end).count() <= FEW_PANES {
            *self = Stacks::default();
            let union = self.window.insert(GroupTable::new(layout, 0));
            for (_, table) in starting_in(panes, window.start..window.end) {
                union.absorb(table, scratch)?;
            }
            return Ok(self.window.as_mut());
        }
        while self.front.last().is_some_and(|(start, _)| *start < window.start) {
            self.front.pop();
        }
        if self.front.is_empty() {
            for (pane, table) in starting_in(panes, window.start..window.end).rev() {
                let mut next = GroupTable::new(layout, table.len());
                next.absorb(table, scratch)?;
                if let Some((_, behind)) = self.front.last_mut() {
                    next.absorb(behind, scratch)?;
                }
                self.front.push((pane.start, next));
            }
            self.back = None;
        } else {
            let back = self.back.get_or_insert_with(|| GroupTable::new(layout, 0));
            for (_, table) in starting_in(panes, self.covered.end..window.end) {
                back.absorb(table, scratch)?;
            }
        }
        self.covered = window.start..window.end;
        let front = self.front.last_mut().map(|(_, table)| table);
        match (front, &mut self.back) {
            (Some(front), Some(back)) if back.len() > 0 => {
                let mut union = GroupTable::new(layout, front.len().max(back.len()));
                union.absorb(front, scratch)?;
                union.absorb(back, scratch)?;
                Ok(Some(self.window.insert(union)))
            }
            (Some(front), _) => Ok(Some(front)),
            (None, back) => Ok(back.as_mut()),
        }
    }
}

fn starting_in(panes: &mut Panes, starts: Range<i64>) -> impl DoubleEndedIterator<Item = (&Pane, &mut GroupTable)> {
    let first = Pane { start: starts.start, end: i64::MIN };
    let last = Pane { start: starts.end.max(starts.start), end: i64::MIN };
    panes.range_mut(first..last)
}
