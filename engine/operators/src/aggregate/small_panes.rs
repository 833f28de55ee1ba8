//! Groups of many small panes in one table.
//!
//! Where a batch has only a few rows of each of many panes, a table for each pane would cost more than the rows. Here the pane is part
//! of the key, a batch is taken in as a whole, and panes that close together leave together.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_core::{Pane, Result, WindowAggregateSpec};
use weir_functions::Functions;

use super::accumulator::Rows;
use super::group_table::{CapturedGroups, GroupTable, Scratch};
use super::layout::{KeyParts, Layout, used_columns};
use super::split::{PaneOf, Piece, Stretches};
use super::window_results::WindowRows;
use crate::chunked::Picked;

/// Groups from which on new panes get tables of their own: what leaves is looked for among all groups.
const MOST_GROUPS: usize = 32 * 1024;

/// End of the pane of a group that has left.
const GONE: i64 = i64::MAX;

/// The table, and which panes are in it.
pub(crate) struct SmallPanes {
    // Fixed by the plan.
    layout: Layout,
    used: Vec<usize>,
    pane_of: PaneOf,
    // Kept in checkpoints.
    table: GroupTable,
    /// The pane of each group, by its slot.
    panes: Vec<Pane>,
    // Follows from the above.
    /// Panes with groups: end, start.
    open: BTreeSet<(i64, i64)>,
    /// Groups that have left, and still take up room.
    gone: usize,
}

impl SmallPanes {
    /// Empty; `count_rows` as in [`Layout::new`].
    pub(crate) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        pane_of: PaneOf,
        count_rows: bool,
        functions: &Functions,
    ) -> Result<Self> {
        let mut fields: Vec<_> = input.fields().iter().cloned().collect();
        let columns = match pane_of {
            PaneOf::Time { .. } => {
                let start = DataType::Timestamp(TimeUnit::Millisecond, None);
                fields.push(Arc::new(Field::new("pane_start", start, false)));
                vec![fields.len() - 1]
            }
            PaneOf::Start { start, .. } => vec![start],
            PaneOf::Columns { start, end } => vec![start, end],
        };
        let layout = Layout::with_panes(spec, &Arc::new(Schema::new(fields)), &columns, count_rows, functions)?;
        let mut used = used_columns(spec, input)?;
        used.extend(columns.into_iter().filter(|column| *column < input.fields().len()));
        used.sort_unstable();
        used.dedup();
        let table = GroupTable::new(&layout, 0);
        Ok(Self { layout, used, pane_of, table, panes: Vec::new(), open: BTreeSet::new(), gone: 0 })
    }

    /// How many groups take up room.
    pub(crate) fn len(&self) -> usize {
        self.panes.len()
    }

    /// Whether there is room for panes that are not in here yet.
    pub(crate) fn has_room(&self) -> bool {
        self.len() < MOST_GROUPS
    }

    /// Whether the groups of a pane are kept here.
    pub(crate) fn contains(&self, pane: Pane) -> bool {
        self.open.contains(&(pane.end, pane.start))
    }

    /// End of the first pane.
    pub(crate) fn first_end(&self) -> Option<i64> {
        self.open.first().map(|(end, _)| *end)
    }

    /// Takes all rows of a batch in.
    pub(crate) fn update(&mut self, batch: &RecordBatch, stretches: &Stretches, scratch: &mut Scratch) -> Result<()> {
        let mut columns = batch.columns().to_vec();
        let len = stretches.rows();
        if len < batch.num_rows() {
            self.used.iter().for_each(|column| columns[*column] = columns[*column].slice(0, len));
        }
        if let PaneOf::Time { .. } = self.pane_of {
            columns.extend(self.pane_of.columns_of(stretches.iter()));
        }
        self.table.update(&self.layout, Rows { columns: &columns, len }, scratch)?;
        self.note(stretches.iter(), scratch);
        Ok(())
    }

    /// Takes the rows of one pane in.
    pub(crate) fn update_piece(&mut self, batch: &RecordBatch, piece: &Piece, scratch: &mut Scratch) -> Result<()> {
        let mut columns = piece.columns(batch, &self.used)?;
        let len = piece.len();
        if let PaneOf::Time { .. } = self.pane_of {
            columns.push(Arc::new(TimestampMillisecondArray::from_value(piece.pane.start, len)));
        }
        self.table.update(&self.layout, Rows { columns: &columns, len }, scratch)?;
        self.note(std::iter::once((piece.pane, len)), scratch);
        Ok(())
    }

    /// Takes states of a pane in that are stored.
    pub(crate) fn load(
        &mut self,
        pane: Pane,
        keys: &[ArrayRef],
        states: &[ArrayRef],
        rows: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let column = |time: i64| Arc::new(TimestampMillisecondArray::from_value(time, rows)) as ArrayRef;
        let mut keys = keys.to_vec();
        keys.push(column(pane.start));
        if let PaneOf::Columns { .. } = self.pane_of {
            keys.push(column(pane.end));
        }
        self.table.load(&self.layout, &keys, states, rows, scratch)?;
        self.note(std::iter::once((pane, rows)), scratch);
        Ok(())
    }

    /// Notes the panes of new groups. The slots of those that have left are not given to others.
    fn note(&mut self, stretches: impl Iterator<Item = (Pane, usize)>, scratch: &Scratch) {
        let mut slots = scratch.slots();
        for (pane, rows) in stretches {
            let (these, others) = slots.split_at(rows);
            slots = others;
            let before = self.panes.len();
            for slot in these {
                if *slot as usize == self.panes.len() {
                    self.panes.push(pane);
                }
            }
            if self.panes.len() > before {
                self.open.insert((pane.end, pane.start));
            }
        }
    }

    /// Closes the panes that end at this time or before. Says which groups were in them, in the order of their panes.
    pub(crate) fn close(&mut self, until: i64) -> Option<Picked> {
        let open = match until.checked_add(1) {
            Some(next) => self.open.split_off(&(next, i64::MIN)),
            None => BTreeSet::new(),
        };
        if std::mem::replace(&mut self.open, open).is_empty() {
            return None;
        }
        let is_closed = |pane: &Pane| pane.end <= until && pane.end != GONE;
        if self.gone == 0 && self.open.is_empty() && self.panes.is_sorted_by_key(|pane| (pane.end, pane.start)) {
            return Some(Picked::First(self.len()));
        }
        let closed = (0_u32..).zip(&self.panes).filter(|(_, pane)| is_closed(pane));
        let mut slots: Vec<u32> = closed.map(|(slot, _)| slot).collect();
        slots.sort_by_key(|slot| (self.panes[*slot as usize].end, self.panes[*slot as usize].start));
        Some(Picked::Slots(slots.into()))
    }

    /// Key columns and results of groups, in pieces fit for a batch, and how many groups in a row are of which pane.
    pub(crate) fn results<'a>(
        &'a mut self,
        picked: &'a Picked,
    ) -> impl Iterator<Item = Result<(Vec<ArrayRef>, Vec<WindowRows>)>> + 'a {
        let Self { table, layout, panes, .. } = self;
        picked.pieces().map(move |piece| {
            let mut columns = table.key_values(picked, piece.clone())?;
            columns.truncate(layout.parts.own);
            columns.extend(table.values(layout, picked, piece.clone())?);
            let mut windows: Vec<WindowRows> = Vec::new();
            for position in piece {
                let pane = panes[picked.slot(position)];
                match windows.last_mut() {
                    Some((last, rows)) if *last == pane => *rows += 1,
                    _ => windows.push((pane, 1)),
                }
            }
            Ok((columns, windows))
        })
    }

    /// Lets go of groups whose panes were closed.
    pub(crate) fn forget(&mut self, closed: &Picked, scratch: &mut Scratch) -> Result<()> {
        self.gone += closed.len();
        if self.gone == self.len() {
            self.clear();
            return Ok(());
        }
        let slots: Vec<u32> = (0..closed.len()).map(|position| closed.slot(position) as u32).collect();
        slots.iter().for_each(|slot| self.panes[*slot as usize].end = GONE);
        self.table.forget_changes(&slots);
        if self.gone * 2 > self.len() { self.keep(|_, pane| pane.end != GONE, scratch) } else { Ok(()) }
    }

    /// Lets go of all groups.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.panes.clear();
        self.open.clear();
        self.gone = 0;
    }

    fn keep(&mut self, stays: impl Fn(u32, &Pane) -> bool, scratch: &mut Scratch) -> Result<()> {
        let kept: Vec<u32> =
            (0_u32..).zip(&self.panes).filter(|(slot, pane)| stays(*slot, pane)).map(|(slot, _)| slot).collect();
        self.panes = kept.iter().map(|slot| self.panes[*slot as usize]).collect();
        self.gone = 0;
        self.table.keep(&self.layout, &Picked::Slots(kept.into()), scratch)
    }

    /// Key columns and states of all groups, the panes behind the other keys, in pieces fit for a batch. None has left.
    pub(crate) fn states(&mut self) -> impl Iterator<Item = Result<Vec<ArrayRef>>> + '_ {
        self.table.states()
    }

    /// Lets go of the groups whose key hash `leaves`, and says whether there are some. None of them has changed since the last
    /// capture.
    pub(crate) fn evict(&mut self, leaves: &dyn Fn(u64) -> bool, scratch: &mut Scratch) -> Result<bool> {
        let mut leaving = self.table.leaving(&self.layout, leaves)?;
        leaving.sort_unstable();
        let some = leaving.iter().any(|slot| self.panes[*slot as usize].end != GONE);
        if some {
            self.keep(|slot, pane| pane.end != GONE && leaving.binary_search(&slot).is_err(), scratch)?;
        }
        Ok(some)
    }

    /// Panes with groups.
    pub(crate) fn open(&self) -> impl Iterator<Item = Pane> + '_ {
        self.open.iter().map(|(end, start)| Pane { start: *start, end: *end })
    }

    /// What changed since the last capture, if anything did, and what its keys are.
    pub(crate) fn capture(&mut self) -> Result<Option<(CapturedGroups, KeyParts)>> {
        Ok(self.table.capture()?.map(|groups| (groups, self.layout.parts)))
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.panes.len() * size_of::<Pane>()
    }
}
