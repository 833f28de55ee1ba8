//! The keys of a subtask and what is kept of each.
//!
//! A hash table leads from a key to its slot, which holds the state as a Rust value. What has changed is captured slot by slot: each
//! piece of state adds its changed rows to the columns of its table.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use hashbrown::HashTable;
use weir_core::{Capture, Distribution, Error, Result, TableSchema};

use crate::record::{Key, Timestamp};
use crate::state::parts::{AnyItem, Declaration, Item, ItemRows, NoKey};
use crate::state::{Alarm, Clock, State};

use super::tables::{Changes, table};

/// One key.
pub(crate) struct Slot<K, S> {
    pub(crate) key: K,
    pub(crate) state: S,
    hash: u64,
    is_used: bool,
    is_changed: bool,
}

/// When a time to live counts from.
#[derive(Default)]
struct Touched {
    time: i64,
    is_changed: bool,
    is_stored: bool,
    is_over: bool,
}

impl Item for Touched {
    type Key = NoKey;
    type Value = Timestamp;

    const VALUE_NAME: &'static str = "time";

    fn capture(&mut self, rows: &mut ItemRows<Self>) {
        if std::mem::take(&mut self.is_over) {
            if std::mem::take(&mut self.is_stored) {
                rows.delete(&NoKey);
            }
            self.is_changed = false;
        } else if std::mem::take(&mut self.is_changed) {
            rows.put(&NoKey, &Timestamp::from_millis(self.time));
            self.is_stored = true;
        }
    }

    fn load(&mut self, _key: NoKey, time: Timestamp) {
        *self = Self { time: time.millis(), is_stored: true, ..Self::default() };
    }

    fn is_empty(&self) -> bool {
        true
    }

    fn clear(&mut self) {
        self.is_over = true;
    }
}

/// After how much time without a row a key is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeToLive {
    pub(crate) millis: i64,
    pub(crate) clock: Clock,
}

/// Something to be done at a time. In this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) time: i64,
    pub(crate) hash: u64,
    /// The position of a timer, or [`EXPIRY`].
    pub(crate) item: usize,
    pub(crate) slot: u32,
}

/// The table of when keys were touched.
pub(crate) const LIVES: &str = "(time to live)";

/// What a timer is set for that goes off at the end of the input.
const THE_END: i64 = i64::MAX;

/// The time to live of a key is over.
pub(crate) const EXPIRY: usize = usize::MAX;

pub(crate) struct Store<K: Key, S: State> {
    // Fixed by the plan.
    declarations: Vec<Declaration>,
    tables: Vec<TableSchema>,
    time_to_live: Option<TimeToLive>,
    // Kept in checkpoints.
    table: HashTable<u32>,
    slots: Vec<Slot<K, S>>,
    /// Beside each slot, if there is a time to live.
    lives: Vec<Touched>,
    free: Vec<u32>,
    // Follows from it.
    changed: Vec<u32>,
    event_timers: BinaryHeap<Reverse<Due>>,
    processing_timers: BinaryHeap<Reverse<Due>>,
}

impl<K: Key, S: State> Store<K, S> {
    /// An empty one.
    ///
    /// # Errors
    /// A user error if the key cannot be hashed, or names of columns clash.
    pub(crate) fn new(distribution: Distribution, time_to_live: Option<TimeToLive>) -> Result<Self> {
        let mut declarations = S::declarations();
        if time_to_live.is_some() {
            declarations.push(Declaration::of::<Touched>(LIVES));
        }
        let tables = declarations.iter().map(|declared| table::<K>(declared, distribution)).collect::<Result<_>>()?;
        Ok(Self {
            declarations,
            tables,
            time_to_live,
            table: HashTable::new(),
            slots: Vec::new(),
            lives: Vec::new(),
            free: Vec::new(),
            changed: Vec::new(),
            event_timers: BinaryHeap::new(),
            processing_timers: BinaryHeap::new(),
        })
    }

    pub(crate) fn time_to_live(&self) -> Option<TimeToLive> {
        self.time_to_live
    }

    pub(crate) fn tables(&self) -> &[TableSchema] {
        &self.tables
    }

    /// Whether something happens to keys that no row has touched. Then they all have to be in memory.
    pub(crate) fn has_timers(&self) -> bool {
        S::TIMERS || self.time_to_live.is_some()
    }

    /// The slot of a key, which is made if there is none.
    #[inline]
    pub(crate) fn slot(&mut self, hash: u64, equals: impl Fn(&K) -> bool, key: impl FnOnce() -> K) -> u32 {
        let slots = &self.slots;
        let found = self.table.find(in_table(hash), |slot| equals(&slots[*slot as usize].key));
        match found {
            Some(slot) => *slot,
            None => self.insert(hash, key()),
        }
    }

    fn insert(&mut self, hash: u64, key: K) -> u32 {
        let made = Slot { key, state: S::default(), hash, is_used: true, is_changed: false };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = made;
                slot
            }
            None => {
                self.slots.push(made);
                u32::try_from(self.slots.len() - 1).expect("a subtask has fewer than 2^32 keys in memory")
            }
        };
        if self.time_to_live.is_some() {
            self.lives.resize_with(self.slots.len(), Touched::default);
            self.lives[slot as usize] = Touched::default();
        }
        let slots = &self.slots;
        self.table.insert_unique(in_table(hash), slot, |slot| in_table(slots[*slot as usize].hash));
        slot
    }

    /// A slot whose state is about to change.
    #[inline]
    pub(crate) fn touch(&mut self, slot: u32) -> &mut Slot<K, S> {
        let touched = &mut self.slots[slot as usize];
        if !touched.is_changed {
            touched.is_changed = true;
            self.changed.push(slot);
        }
        touched
    }

    /// A row of the key has come at `time`. If the time to live was over by then, what is kept of the key is forgotten first: it makes no
    /// difference whether a watermark stood between the rows.
    pub(crate) fn extend_life(&mut self, slot: u32, time: i64) {
        let Some(time_to_live) = self.time_to_live else { return };
        let (touched, found) = (&mut self.lives[slot as usize], &mut self.slots[slot as usize]);
        let hash = &found.hash;
        let is_new = std::mem::take(&mut touched.is_over) || (!touched.is_changed && !touched.is_stored);
        if !is_new && time >= touched.time.saturating_add(time_to_live.millis) {
            found.state.each(&mut |_, item| item.clear());
        }
        if is_new || time > touched.time {
            (touched.time, touched.is_changed) = (time, true);
        }
        if is_new {
            let due = Due { time: touched.time.saturating_add(time_to_live.millis), hash: *hash, item: EXPIRY, slot };
            self.queue(time_to_live.clock).push(Reverse(due));
        }
    }

    fn queue(&mut self, clock: Clock) -> &mut BinaryHeap<Reverse<Due>> {
        match clock {
            Clock::Event => &mut self.event_timers,
            Clock::Processing => &mut self.processing_timers,
        }
    }

    /// Timers of the slot may have been set.
    #[inline]
    pub(crate) fn queue_timers(&mut self, slot: u32) {
        if !S::TIMERS {
            return;
        }
        let Self { slots, event_timers, processing_timers, .. } = self;
        let Slot { state, hash, .. } = &mut slots[slot as usize];
        state.each(&mut |item, piece| {
            let Some(alarm) = piece.alarm() else { return };
            let Some(time) = alarm.take_moved().filter(|time| *time < THE_END) else { return };
            let due = Reverse(Due { time, hash: *hash, item, slot });
            match alarm.clock {
                Clock::Event => event_timers.push(due),
                Clock::Processing => processing_timers.push(due),
            }
        });
    }

    /// Timers that are set for the end of the input. They are in no queue, which would keep each until then, though most are cancelled before.
    pub(crate) fn due_at_the_end(&mut self) -> Vec<Due> {
        let mut found = Vec::new();
        for (place, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.is_used) {
            let Slot { state, hash, .. } = slot;
            state.each(&mut |item, piece| {
                let is_due = piece.alarm().is_some_and(|alarm| {
                    matches!(alarm.clock, Clock::Event) && alarm.time().is_some_and(|time| time.millis() == THE_END)
                });
                if is_due {
                    found.push(Due { time: THE_END, hash: *hash, item, slot: place as u32 });
                }
            });
        }
        found
    }

    /// Takes out the first of what is due at `time`.
    pub(crate) fn due(&mut self, clock: Clock, time: i64) -> Option<Due> {
        let queue = self.queue(clock);
        let Reverse(first) = queue.peek()?;
        if first.time > time {
            return None;
        }
        queue.pop().map(|Reverse(due)| due)
    }

    /// Whether the timer is still set for that time; if so, it is set no more.
    pub(crate) fn fire(&mut self, due: Due) -> bool {
        let Some(alarm) = self.alarm(due) else { return false };
        let (later, clock) = (alarm.unqueue(due.time), alarm.clock);
        let fires = alarm.fire(due.time);
        if let Some(time) = later.filter(|time| *time < THE_END) {
            self.queue(clock).push(Reverse(Due { time, ..due }));
        }
        fires
    }

    fn alarm(&mut self, due: Due) -> Option<&mut Alarm> {
        let slot = &mut self.slots[due.slot as usize];
        let is_its_key = slot.is_used && slot.hash == due.hash;
        if is_its_key { slot.state.item(due.item).and_then(AnyItem::alarm) } else { None }
    }

    /// The call for a timer has returned.
    ///
    /// # Errors
    /// A user error if it would go off for ever.
    pub(crate) fn end_fire(&mut self, due: Due) -> Result<()> {
        let Some(alarm) = self.slots[due.slot as usize].state.item(due.item).and_then(AnyItem::alarm) else {
            return Ok(());
        };
        alarm.end();
        if alarm.time().is_some_and(|time| time.millis() <= due.time) {
            let (name, time) = (&self.declarations[due.item].name, Timestamp::from_millis(due.time));
            return Err(Error::user(format!(
                "timer '{name}' went off at {time}, and was set for no later time: it would go off for ever"
            ))
            .with_help("set it for a time after Context::time"));
        }
        Ok(())
    }

    /// Puts the end of a life where it is by the rows that have come since it was queued, and a timer where it is set.
    pub(crate) fn put_off(&mut self, due: &mut Due) {
        if due.item != EXPIRY {
            let later = self.alarm(*due).and_then(|alarm| alarm.unqueue(due.time));
            due.time = later.unwrap_or(due.time);
        } else if let Some(time_to_live) = self.time_to_live {
            due.time = due.time.max(self.lives[due.slot as usize].time.saturating_add(time_to_live.millis));
        }
    }

    /// Forgets the key if its time to live is over, and waits on otherwise.
    pub(crate) fn expire(&mut self, due: Due) {
        let Some(time_to_live) = self.time_to_live else { return };
        let slot = &self.slots[due.slot as usize];
        let is_its_key = slot.is_used && slot.hash == due.hash;
        let touched = &self.lives[due.slot as usize];
        if !is_its_key || touched.is_over {
            return;
        }
        let time = touched.time.saturating_add(time_to_live.millis);
        if time > due.time {
            self.queue(time_to_live.clock).push(Reverse(Due { time, ..due }));
            return;
        }
        let slot = self.touch(due.slot);
        slot.state.each(&mut |_, item| item.clear());
        Item::clear(&mut self.lives[due.slot as usize]);
    }

    /// # Errors
    /// If the rows are not of the table.
    pub(crate) fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let load = self.declarations.get(table).ok_or_else(|| Error::internal("state came of an unknown table"))?.load;
        let width = K::fields("key").len();
        let (keys, rest) = rows.columns().split_at(width.min(rows.num_columns()));
        let reader = K::columns_reader(keys, None)?;
        let pieces = self.declarations.len() - usize::from(self.time_to_live.is_some());
        let mut slots = Vec::with_capacity(rows.num_rows());
        load(rest, rows.num_rows(), &mut |row, visit| {
            let slot = self.slot(hashes.value(row), |key| key.equals(&reader, row), || K::read(&reader, row));
            match table < pieces {
                true => self.slots[slot as usize].state.item(table).into_iter().for_each(&mut *visit),
                false => visit(&mut self.lives[slot as usize]),
            }
            slots.push(slot);
        })?;
        for slot in slots {
            self.queue_timers(slot);
            if table == pieces
                && let Some(TimeToLive { millis, clock }) = self.time_to_live
            {
                let (touched, hash) = (&self.lives[slot as usize], &self.slots[slot as usize].hash);
                let due = Due { time: touched.time.saturating_add(millis), hash: *hash, item: EXPIRY, slot };
                self.queue(clock).push(Reverse(due));
            }
        }
        Ok(())
    }

    /// Lets go of keys, without a trace.
    pub(crate) fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_used && leaves(self.slots[slot].hash) {
                self.forget(slot as u32);
            }
        }
    }

    fn forget(&mut self, slot: u32) {
        let found = &mut self.slots[slot as usize];
        (found.is_used, found.is_changed) = (false, false);
        found.state = S::default();
        if let Ok(entry) = self.table.find_entry(in_table(found.hash), |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
    }

    /// What has changed since the last call. Keys of which nothing is left are forgotten.
    pub(crate) fn capture(&mut self) -> Vec<Capture> {
        let mut tables: Vec<Changes<K>> =
            self.declarations.iter().zip(&self.tables).map(|(declared, table)| Changes::new(declared, table)).collect();
        for slot in std::mem::take(&mut self.changed) {
            let found = &mut self.slots[slot as usize];
            if !std::mem::take(&mut found.is_changed) {
                continue;
            }
            let mut is_empty = true;
            let Slot { key, state, hash, .. } = found;
            state.each(&mut |position, item| {
                is_empty &= item.is_empty();
                tables[position].take(key, *hash, item);
            });
            if self.time_to_live.is_some() {
                let touched = &mut self.lives[slot as usize];
                touched.is_over |= is_empty;
                if let Some(table) = tables.last_mut() {
                    table.take(key, *hash, touched);
                }
            }
            if is_empty {
                self.forget(slot);
            }
        }
        tables.into_iter().map(|changes| Capture { rows: Box::new(|| changes.rows()), expired: None }).collect()
    }

    /// Bytes in memory, without what values have on the heap. Slots that wait for another key count for nothing: what has left would
    /// seem to be there, and everything else would have to leave too.
    pub(crate) fn bytes(&self) -> usize {
        self.table.len() * (size_of::<Slot<K, S>>() + size_of::<u64>())
            + (self.event_timers.len() + self.processing_timers.len()) * size_of::<Due>()
    }

    /// The only slot of a store that is not spread by key.
    pub(crate) fn only(&mut self, key: K) -> Result<u32> {
        let mut builder = K::builder(1);
        key.append_to(&mut builder);
        let hash = hash_of(&K::finish_columns(&mut builder), 1)?[0];
        Ok(self.slot(hash, |other| *other == key, || key.clone()))
    }

    /// Takes out what is kept of a key.
    pub(crate) fn take(&mut self, hash: u64, key: &K) -> Option<S> {
        let slots = &self.slots;
        let found = self.table.find(in_table(hash), |slot| slots[*slot as usize].key == *key).copied()?;
        Some(std::mem::take(&mut self.slots[found as usize].state))
    }

    pub(crate) fn peek(&self, slot: u32) -> &Slot<K, S> {
        &self.slots[slot as usize]
    }
}

/// The hashes of keys.
///
/// # Errors
/// If they cannot be hashed.
pub(crate) fn hash_of(keys: &[ArrayRef], rows: usize) -> Result<Vec<u64>> {
    let mut hashes = Vec::new();
    weir_core::hash::hash_rows(keys, rows, &mut hashes)?;
    Ok(hashes)
}

/// A subtask owns keys whose hashes begin with the same bits, which a table would look at first.
#[inline]
fn in_table(hash: u64) -> u64 {
    hash.rotate_left(32)
}
