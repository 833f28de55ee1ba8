//! The groups of an aggregation without windows: which of them are shown, and what is emitted of those that change.
//!
//! Between two markers rows go into the groups, and nothing is emitted. Before a group that is shown changes for the first time, its
//! results are put aside; where the marker passes they are compared with those that it has then, and where they differ the old
//! ones are taken back and the new ones added, one behind the other. A group whose last row was taken back goes.
//!
//! Groups may have a [time to live](TimeToLive): one that nothing has come for is forgotten at a marker, and nothing is said of it. Rows that
//! come for it later begin anew; one that is taken back of a group that has no row is passed over.

mod capture;
mod expiry;
mod windows;

use std::ops::Range;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int8Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{filter, interleave, not, take};
use arrow::datatypes::{SchemaRef, UInt32Type};
use weir_core::{Batch, Distribution, Error, EventTime, Result, TableSchema};

use super::accumulator::{Changed, Rows};
use super::differences::differ;
use super::group_table::{Evicted, GroupTable, Scratch};
use super::layout::Layout;
use crate::batches::with_schema;
use crate::chunked::Picked;
use crate::time_to_live::{Generations, TimeToLive, with_stamps};

use windows::HIDDEN;
pub(crate) use windows::UpdatedWindows;

/// What is known of a group beside its state.
const SHOWN: u8 = 1;
const CHANGED: u8 = 2;

/// Id of the column with the stamps.
const STAMP: u32 = 3001;

/// A column of the state's key that is the same for all groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constant {
    pub(crate) name: &'static str,
    pub(crate) value: i64,
    /// Whether rows expire by it.
    pub(crate) is_time: bool,
}

/// What is emitted of groups that have changed.
struct Emitted<'a> {
    schema: &'a SchemaRef,
    with_weights: bool,
    /// Groups that have no rows any more.
    empty: Vec<u32>,
    batches: Vec<Batch>,
}

/// The groups.
pub(crate) struct Groups {
    // Fixed by the plan.
    layout: Layout,
    constant: Option<Constant>,
    state: TableSchema,
    /// Whether groups without rows go: rows are counted then.
    leaves: bool,
    life: TimeToLive,
    /// Whether the state has a column with the stamps of groups.
    has_stamps: bool,
    // Kept in checkpoints.
    table: GroupTable,
    generations: Generations,
    /// What is known of their windows, if they are of such that are updated.
    windows: Option<UpdatedWindows>,
    // Follows from what has come since the last marker.
    /// For each slot, what is known of its group.
    known: Vec<u8>,
    /// Groups that are shown and have changed, in the order of `before`.
    changed: Vec<u32>,
    /// The results that they are shown with.
    before: Vec<(Range<usize>, Vec<ArrayRef>)>,
    /// Groups that are not shown yet.
    fresh: Vec<u32>,
    /// Whether a checkpoint can hold groups.
    is_stored: bool,
    /// Keys of groups that went since the last capture.
    gone: Vec<Vec<ArrayRef>>,
    // Scratch.
    slots: Vec<u32>,
    scratch: Scratch,
}

impl Groups {
    /// No groups. `leaves`: those without rows go, for which the layout has to count rows. `life`: how long groups are kept, if that
    /// may be told.
    pub(crate) fn new(layout: Layout, constant: Option<Constant>, leaves: bool, life: Option<TimeToLive>) -> Self {
        let keys = layout.key_columns.len();
        let names: Vec<&str> = constant.iter().map(|constant| constant.name).collect();
        let mut schema = layout.state_schema(&names);
        let mut time_column = constant.filter(|constant| constant.is_time).map(|_| keys);
        let has_stamps = life.is_some();
        if has_stamps {
            time_column = Some(schema.fields().len());
            schema = with_stamps(&schema, STAMP);
        }
        let state = TableSchema {
            name: "groups".into(),
            version: 1,
            schema,
            key_columns: keys + names.len(),
            time_column,
            distribution: Distribution::Keyed,
        };
        Self {
            table: GroupTable::new(&layout, 0),
            layout,
            constant,
            state,
            leaves,
            life: life.unwrap_or_else(|| TimeToLive::new(None)),
            has_stamps,
            generations: Generations::default(),
            windows: None,
            known: Vec::new(),
            changed: Vec::new(),
            before: Vec::new(),
            fresh: Vec::new(),
            is_stored: false,
            gone: Vec::new(),
            slots: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// The same for groups of windows that are updated. Their life is how late rows may be.
    pub(crate) fn of_windows(self, windows: UpdatedWindows) -> Self {
        Self { windows: Some(windows), ..self }
    }

    /// The table of their state.
    pub(crate) fn table(&self) -> &TableSchema {
        &self.state
    }

    /// Key columns of the input.
    pub(crate) fn key_columns(&self) -> &[usize] {
        &self.layout.key_columns
    }

    /// Whether there is a group.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Takes rows that are stored.
    pub(crate) fn load(&mut self, rows: &RecordBatch) -> Result<()> {
        let keys = self.layout.key_columns.len();
        let (keys, rest) = rows.columns().split_at(keys);
        let states = &rest[usize::from(self.constant.is_some())..];
        self.table.load(&self.layout, keys, states, rows.num_rows(), &mut self.scratch)?;
        self.is_stored = true;
        // What is stored was shown at the marker before.
        self.known.resize(self.table.slots(), 0);
        self.scratch.slots().iter().for_each(|slot| self.known[*slot as usize] = SHOWN);
        self.load_stamps(rows)?;
        self.load_windows(rows)
    }

    /// Takes rows in, or out again. A new group counts as shown, with the results of no rows, if `all_shown`.
    pub(crate) fn process(&mut self, batch: &Batch, all_shown: bool) -> Result<()> {
        let columns = batch.records().columns();
        let rows = Rows { columns, len: batch.num_rows() };
        let mut slots = std::mem::take(&mut self.slots);
        self.table.intern(&self.layout, rows, &mut slots)?;
        self.known.resize(self.table.slots(), if all_shown { SHOWN } else { 0 });
        self.put_aside(&slots)?;
        let taken_back = batch.weights().filter(|weights| weights.values().contains(&-1));
        match taken_back {
            None => self.table.add(&slots, rows)?,
            Some(weights) => match self.unknown(&slots, weights)? {
                None => self.change(&slots, rows, weights)?,
                Some(known) => {
                    let rest = batch.clone().filter(&known)?;
                    let slots = filter(&UInt32Array::from(slots.clone()), &known)?.as_primitive::<UInt32Type>().clone();
                    let rows = Rows { columns: rest.records().columns(), len: rest.num_rows() };
                    if let Some(weights) = rest.weights() {
                        self.change(slots.values(), rows, weights)?;
                    }
                }
            },
        }
        self.slots = slots;
        Ok(())
    }

    fn put_aside(&mut self, slots: &[u32]) -> Result<()> {
        let first = self.changed.len();
        for slot in slots {
            let known = &mut self.known[*slot as usize];
            if *known & (CHANGED | HIDDEN) == 0 {
                if *known & SHOWN == 0 {
                    self.fresh.push(*slot)
                } else {
                    self.changed.push(*slot)
                }
                *known |= CHANGED;
                if self.life.is_limited() {
                    self.generations.touch(*slot);
                }
            }
        }
        let picked = Picked::Slots(self.changed[first..].into());
        for piece in picked.pieces() {
            let values = self.table.values(&self.layout, &picked, piece.clone())?;
            self.before.push((first + piece.start..first + piece.end, values));
        }
        Ok(())
    }

    fn change(&mut self, slots: &[u32], rows: Rows<'_>, weights: &Int8Array) -> Result<()> {
        let added: BooleanArray = weights.values().iter().map(|weight| Some(*weight > 0)).collect();
        let (all, numbers) = (Changed { slots, rows, weights }, UInt32Array::from(slots.to_vec()));
        let split = |chosen: &BooleanArray| {
            let slots = filter(&numbers, chosen)?.as_primitive::<UInt32Type>().clone();
            let columns = rows.columns.iter().map(|column| filter(column, chosen)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Error>((slots, columns))
        };
        let (added, taken) = (split(&added)?, split(&not(&added)?)?);
        fn side((slots, columns): &(UInt32Array, Vec<ArrayRef>)) -> (&[u32], Rows<'_>) {
            (slots.values(), Rows { columns, len: slots.len() })
        }
        self.table.change(all, side(&added), side(&taken))
    }

    /// What has changed since the last marker, as rows of `schema`: keys, then results.
    pub(crate) fn changes(&mut self, schema: &SchemaRef, with_weights: bool) -> Result<Vec<Batch>> {
        let mut emitted = Emitted { schema, with_weights, empty: Vec::new(), batches: Vec::new() };
        let changed = Picked::Slots(std::mem::take(&mut self.changed).into());
        for (piece, before) in std::mem::take(&mut self.before) {
            self.piece(&changed, piece, Some(&before), &mut emitted)?;
        }
        self.hide()?;
        let fresh = Picked::Slots(std::mem::take(&mut self.fresh).into());
        for piece in fresh.pieces() {
            self.piece(&fresh, piece, None, &mut emitted)?;
        }
        for picked in [&changed, &fresh] {
            (0..picked.len()).for_each(|position| self.known[picked.slot(position)] = SHOWN);
        }
        for slot in &emitted.empty {
            self.known[*slot as usize] = 0;
            self.generations.leave(*slot);
        }
        self.table.remove(&emitted.empty)?;
        Ok(emitted.batches)
    }

    /// Lets go of groups without rows, and says nothing of what has changed.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.before.clear();
        let (changed, fresh) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.fresh));
        for (slots, is_shown) in [(changed, true), (fresh, false)] {
            slots.iter().for_each(|slot| self.known[*slot as usize] = SHOWN);
            let picked = Picked::Slots(slots.into());
            for piece in picked.pieces() {
                let counts = self.table.row_counts(&picked, piece.clone())?;
                check_counts(&counts)?;
                let empty = (0..piece.len()).filter(|row| counts.value(*row) == 0);
                let empty: Vec<usize> = empty.map(|row| piece.start + row).collect();
                let slots: Vec<u32> = empty.iter().map(|position| picked.slot(*position) as u32).collect();
                if self.is_stored && is_shown && !empty.is_empty() {
                    let gone = Picked::Slots(slots.as_slice().into());
                    self.gone.push(self.table.key_values(&gone, 0..gone.len())?);
                }
                slots.iter().for_each(|slot| self.known[*slot as usize] = 0);
                self.table.remove(&slots)?;
            }
        }
        Ok(())
    }

    /// The changes of a piece of the picked groups, which are shown with the results `before`.
    fn piece(
        &mut self,
        picked: &Picked,
        piece: Range<usize>,
        before: Option<&Vec<ArrayRef>>,
        emitted: &mut Emitted<'_>,
    ) -> Result<()> {
        let after = self.table.values(&self.layout, picked, piece.clone())?;
        let keys = self.table.key_values(picked, piece.clone())?;
        let counts = if self.leaves { Some(self.table.row_counts(picked, piece.clone())?) } else { None };
        counts.as_ref().map_or(Ok(()), check_counts)?;
        let is_empty = |row: usize| counts.as_ref().is_some_and(|counts| counts.value(row) == 0);
        let differs = before.map(|before| differ(before, &after, piece.len())).transpose()?;
        // Positions in `before` followed by `after`, and what becomes of the row.
        let (mut sides, mut weights, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..piece.len() {
            let stays = !is_empty(row);
            if !stays {
                emitted.empty.push(picked.slot(piece.start + row) as u32);
                if before.is_some() {
                    gone.push(row as u32);
                }
            }
            match &differs {
                None if stays => {
                    sides.push((1, row));
                    weights.push(1);
                }
                Some(differs) if !stays || differs.value(row) => {
                    sides.push((0, row));
                    weights.push(-1);
                    if stays {
                        sides.push((1, row));
                        weights.push(1);
                    }
                }
                _ => {}
            }
        }
        if self.is_stored && !gone.is_empty() {
            let gone = UInt32Array::from(gone);
            self.gone.push(keys.iter().map(|key| take(key, &gone, None)).collect::<Result<_, _>>()?);
        }
        if sides.is_empty() {
            return Ok(());
        }
        let rows = UInt32Array::from_iter_values(sides.iter().map(|(_, row)| *row as u32));
        let mut columns = keys.iter().map(|key| take(key, &rows, None)).collect::<Result<Vec<_>, _>>()?;
        for (index, after) in after.iter().enumerate() {
            let before = before.map_or(after, |before| &before[index]);
            columns.push(interleave(&[&**before, &**after], &sides)?);
        }
        let records = with_schema(emitted.schema, columns, sides.len())?;
        emitted.batches.push(match emitted.with_weights {
            true => Batch::weighted(records, Int8Array::from(weights))?,
            false => Batch::append(records),
        });
        Ok(())
    }

    /// All groups, in pieces: keys, and how many rows each has.
    pub(crate) fn rows(&mut self) -> Result<Vec<(Vec<ArrayRef>, Int64Array)>> {
        let all = self.table.all();
        let mut rows = Vec::new();
        for piece in all.pieces() {
            rows.push((self.table.key_values(&all, piece.clone())?, self.table.row_counts(&all, piece)?));
        }
        Ok(rows)
    }

    /// The results of a group without rows.
    pub(crate) fn nothing(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut table = GroupTable::new(&self.layout, 0);
        let mut slots = Vec::new();
        table.intern(&self.layout, Rows { columns: &[], len: 1 }, &mut slots)?;
        let columns = table.values(&self.layout, &Picked::First(1), 0..1)?;
        with_schema(schema, columns, 1)
    }

    /// Lets go of the groups whose key hash `leaves`.
    pub(crate) fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let Evicted { left, packed } = self.table.evict(&self.layout, leaves, &mut self.scratch)?;
        if left.iter().any(|slot| self.known[*slot as usize] & CHANGED != 0) {
            return Err(Error::internal("a group was to leave before its marker"));
        }
        let least = left.iter().filter_map(|slot| self.generations.of(*slot)).min().filter(|_| self.windows.is_some());
        for slot in &left {
            self.known[*slot as usize] = 0;
            self.generations.leave(*slot);
        }
        if let Some(windows) = &mut self.windows {
            windows.renumber(|slot| (self.known[slot as usize] == HIDDEN).then_some(slot));
        }
        if let Some(packed) = packed {
            let mut places = vec![0; self.known.len()];
            (0..packed.len()).for_each(|place| places[packed.slot(place)] = place as u32);
            self.known = (0..packed.len()).map(|place| self.known[packed.slot(place)]).collect();
            if self.life.is_limited() {
                let before: Vec<u32> = (0..packed.len()).map(|place| packed.slot(place) as u32).collect();
                self.generations.renumber(&before);
            }
            if let Some(windows) = &mut self.windows {
                windows.renumber(|slot| Some(places[slot as usize]));
            }
            for slot in self.changed.iter_mut().chain(&mut self.fresh) {
                *slot = places[*slot as usize];
            }
        }
        let constant = self.constant.filter(|constant| constant.is_time && !left.is_empty());
        let least = least.or(constant.map(|constant| constant.value));
        Ok(vec![least.map_or(EventTime::MAX, EventTime)])
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.known.len() + self.generations.bytes()
    }
}

/// # Errors
/// An internal error if more rows of a group were taken back than came.
fn check_counts(counts: &Int64Array) -> Result<()> {
    match counts.values().iter().all(|count| *count >= 0) {
        true => Ok(()),
        false => Err(Error::internal("a row was taken back of a group that had not come before")),
    }
}
