//! Open sessions by key.
//!
//! A key mostly has one open session, and rows mostly extend it: that costs a look at the key's latest session. The open sessions of
//! a key (there are several if the watermark lags, or rows come out of order) are linked, in the order of time. Sessions are numbered in
//! the order in which they open; the numbers of closed ones are not used again, but once they are the majority the
//! whole table is packed, and keys without a session go with them. It is packed, too, when keys are evicted; where
//! [what is shown](super::shown_sessions) of sessions has to follow them, that waits for the marker.

use std::ops::Range;

use arrow::array::ArrayRef;
use weir_core::{Error, Result};

use super::accumulator::{Accumulator, Rows};
use super::key_table::KeyTable;
use super::layout::Layout;
use super::session_timers::Timers;
use super::shown_sessions::ShownSessions;
use crate::chunked::{Chunked, Picked};

/// No session.
const NONE: u32 = u32::MAX;
/// No time.
const NEVER: i64 = i64::MIN;
/// Closed sessions below which packing is not worth its while.
const FEW: usize = 4096;

/// A session of some key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    /// Time of its first row.
    pub(crate) start: i64,
    /// Time of its last row.
    pub(crate) last: i64,
    /// The start under which the last capture stored it, or [`NEVER`].
    stored: i64,
    pub(super) key: u32,
    /// The open sessions of the key before and behind this one.
    older: u32,
    newer: u32,
    pub(super) open: bool,
}

/// A stored session that is gone without having ended: it was joined to another, or starts earlier now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone {
    pub(crate) key: u32,
    /// The start under which it was stored.
    pub(crate) start: i64,
    /// No earlier than the end with which it was stored, so that the deletion does not expire before what it deletes.
    pub(crate) end: i64,
}

/// All open sessions of a subtask.
pub(crate) struct SessionTable {
    gap: i64,
    pub(super) keys: KeyTable,
    /// By key: the open session that started last.
    latest: Vec<u32>,
    pub(super) sessions: Chunked<Session>,
    pub(super) accumulators: Vec<Box<dyn Accumulator>>,
    dirty: Vec<u8>,
    /// Sessions to look at when the watermark gets there. One entry a session; it may have been extended since.
    timers: Timers,
    gone: Vec<Gone>,
    closed: usize,
    /// Sessions were evicted, and the table has not been packed since.
    has_room: bool,
    /// What is shown of them, if they are shown while they change.
    pub(super) shown: Option<ShownSessions>,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    keys: Vec<u32>,
    sessions: Vec<u32>,
}

impl SessionTable {
    pub(crate) fn new(layout: &Layout, gap: i64) -> Self {
        Self {
            gap,
            keys: KeyTable::new(&layout.keys, 0),
            latest: Vec::new(),
            sessions: Chunked::default(),
            accumulators: layout.prototypes.iter().map(|prototype| prototype.fresh()).collect(),
            dirty: Vec::new(),
            timers: Timers::new(gap),
            gone: Vec::new(),
            closed: 0,
            has_room: false,
            shown: None,
            scratch: Scratch::default(),
        }
    }

    /// Sessions are shown while they change: from their first row on if `early`, else from their end. Called while there are none.
    pub(crate) fn show(&mut self, early: bool) {
        self.shown = Some(ShownSessions::new(early, self.gap, i64::MIN));
    }

    /// When a session ends: at its last row and the gap.
    pub(crate) fn end(&self, session: &Session) -> i64 {
        session.last + self.gap
    }

    /// Starts and ends of sessions.
    pub(crate) fn bounds_of(&self, ids: &[u32]) -> Vec<(i64, i64)> {
        let bounds = |id: &u32| {
            let session = self.sessions.get(*id);
            (session.start, self.end(session))
        };
        ids.iter().map(bounds).collect()
    }

    /// Results of a piece of the picked sessions.
    pub(crate) fn results(&mut self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        results(&mut self.accumulators, picked, piece)
    }

    /// Takes rows in and returns those that are too late: they join no session, and the one that they would open has
    /// ended. `slice` cuts the columns.
    pub(crate) fn update(
        &mut self,
        keys: &[ArrayRef],
        times: &[i64],
        watermark: i64,
        take: impl Fn(&[u32]) -> Result<Vec<ArrayRef>>,
        slice: impl Fn(Range<usize>) -> Vec<ArrayRef>,
    ) -> Result<Vec<u32>> {
        let mut rows = std::mem::take(&mut self.scratch);
        self.keys.intern(keys, times.len(), &mut rows.keys)?;
        self.latest.resize(self.keys.slots(), NONE);
        rows.sessions.clear();
        let mut late = Vec::new();
        // Rows before this one are in the accumulators.
        let mut taken = 0;
        for (row, (key, time)) in rows.keys.iter().zip(times).enumerate() {
            let latest = self.latest[*key as usize];
            if latest != NONE {
                let session = self.sessions.get_mut(latest);
                // Behind its start it can touch no older one.
                if *time >= session.start && *time <= session.last + self.gap {
                    if let Some(shown) = &mut self.shown {
                        shown.touch(latest, session);
                    }
                    session.last = session.last.max(*time);
                    self.dirty[latest as usize] = 1;
                    rows.sessions.push(latest);
                    continue;
                }
            }
            let touching = self.touching(*key, *time);
            match touching.as_slice() {
                [] if time + self.gap <= watermark => {
                    late.push(row as u32);
                    rows.sessions.push(NONE);
                }
                [] => {
                    let session = self.add(*key, *time, *time, NEVER);
                    self.touch(&[session]);
                    rows.sessions.push(session);
                }
                [session] => {
                    self.touch(&touching);
                    rows.sessions.push(self.extend(*session, *time, *time));
                }
                [session, ..] => {
                    self.touch(&touching);
                    // The rows so far have to be in before sessions are put together.
                    self.accumulate(&rows.sessions[taken..], taken..row, &take, &slice)?;
                    taken = row;
                    self.join(&touching)?;
                    rows.sessions.push(self.extend(*session, *time, *time));
                }
            }
        }
        self.accumulate(&rows.sessions[taken..], taken..times.len(), &take, &slice)?;
        self.scratch = rows;
        Ok(late)
    }

    /// Takes rows into the sessions found for them. Those that are late have none.
    fn accumulate(
        &mut self,
        sessions: &[u32],
        rows: Range<usize>,
        take: &impl Fn(&[u32]) -> Result<Vec<ArrayRef>>,
        slice: &impl Fn(Range<usize>) -> Vec<ArrayRef>,
    ) -> Result<()> {
        if let Some(shown) = &mut self.shown {
            shown.put_aside(&mut self.accumulators)?;
        }
        let groups = self.sessions.len();
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.grow(groups))?;
        if !sessions.contains(&NONE) {
            let columns = slice(rows);
            let rows = Rows { columns: &columns, len: sessions.len() };
            return self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.update(sessions, rows));
        }
        let in_time = (rows.start as u32..).zip(sessions).filter(|(_, session)| **session != NONE);
        let (picked, sessions): (Vec<u32>, Vec<u32>) = in_time.unzip();
        let columns = take(&picked)?;
        let rows = Rows { columns: &columns, len: sessions.len() };
        self.accumulators.iter_mut().try_for_each(|accumulator| accumulator.update(&sessions, rows))
    }

    /// These sessions are about to change.
    fn touch(&mut self, ids: &[u32]) {
        if let Some(shown) = &mut self.shown {
            ids.iter().for_each(|id| shown.touch(*id, self.sessions.get(*id)));
        }
    }

    /// Open sessions of `key` within the gap of `time`, in the order in which they start.
    fn touching(&self, key: u32, time: i64) -> Vec<u32> {
        let mut touching = Vec::new();
        let mut next = self.latest[key as usize];
        while next != NONE {
            let session = self.sessions.get(next);
            if session.last + self.gap < time {
                break;
            }
            if session.start - self.gap <= time {
                touching.push(next);
            }
            next = session.older;
        }
        touching.reverse();
        touching
    }

    fn add(&mut self, key: u32, start: i64, last: i64, stored: i64) -> u32 {
        let id = self.sessions.len() as u32;
        self.sessions.push(Session { start, last, stored, key, older: NONE, newer: NONE, open: true });
        self.dirty.push(1);
        if let Some(shown) = &mut self.shown {
            shown.add();
        }
        self.timers.add(last + self.gap, id);
        let (mut newer, mut older) = (NONE, self.latest[key as usize]);
        while older != NONE && self.sessions.get(older).start > start {
            newer = older;
            older = self.sessions.get(older).older;
        }
        self.link(key, older, id);
        self.link(key, id, newer);
        id
    }

    /// Makes two open sessions of a key neighbours; there may be none on either side.
    fn link(&mut self, key: u32, older: u32, newer: u32) {
        if older != NONE {
            self.sessions.get_mut(older).newer = newer;
        }
        match newer {
            NONE => self.latest[key as usize] = older,
            newer => self.sessions.get_mut(newer).older = older,
        }
    }

    fn extend(&mut self, id: u32, start: i64, last: i64) -> u32 {
        let session = self.sessions.get_mut(id);
        session.start = session.start.min(start);
        session.last = session.last.max(last);
        self.dirty[id as usize] = 1;
        id
    }

    /// Makes one session of several of a key: the first takes the others in.
    fn join(&mut self, ids: &[u32]) -> Result<()> {
        for id in &ids[1..] {
            let session = *self.sessions.get(*id);
            let picked = Picked::Slots([*id].into());
            for accumulator in &mut self.accumulators {
                let states = accumulator.states(&picked, 0..1)?;
                accumulator.merge(&ids[..1], &states)?;
            }
            self.extend(ids[0], session.start, session.last);
            if let Some(shown) = &mut self.shown {
                shown.join(*id, ids[0]);
            }
            if session.stored != NEVER {
                self.gone.push(Gone { key: session.key, start: session.stored, end: self.end(&session) });
            }
            self.shut(*id);
        }
        Ok(())
    }

    /// Counts a session as closed and takes it off its key.
    fn shut(&mut self, id: u32) {
        let session = self.sessions.get_mut(id);
        session.open = false;
        let Session { key, older, newer, .. } = *session;
        self.dirty[id as usize] = 0;
        self.closed += 1;
        self.link(key, older, newer);
    }

    /// Takes stored sessions in.
    pub(crate) fn load(
        &mut self,
        layout: &Layout,
        keys: &[ArrayRef],
        starts: &[i64],
        ends: &[i64],
        states: &[ArrayRef],
    ) -> Result<()> {
        let mut slots = Vec::new();
        self.keys.intern(keys, starts.len(), &mut slots)?;
        self.latest.resize(self.keys.slots(), NONE);
        let mut ids = Vec::with_capacity(starts.len());
        for ((key, start), end) in slots.iter().zip(starts).zip(ends) {
            let id = self.add(*key, *start, end - self.gap, *start);
            self.dirty[id as usize] = 0;
            if let Some(shown) = &mut self.shown {
                shown.load(id, *end);
            }
            ids.push(id);
        }
        let groups = self.sessions.len();
        for (accumulator, columns) in self.accumulators.iter_mut().zip(&layout.state_columns) {
            accumulator.grow(groups)?;
            let states = states.get(columns.clone()).ok_or_else(|| Error::internal("loaded state lacks columns"))?;
            accumulator.merge(&ids, states)?;
        }
        Ok(())
    }

    /// Takes sessions off that have ended: no row that joins them is expected any more. In the order of their ends.
    pub(crate) fn close(&mut self, watermark: i64) -> Vec<u32> {
        let mut due = Vec::new();
        self.timers.due(watermark, &mut due);
        let mut ended = Vec::with_capacity(due.len());
        for id in due {
            let session = *self.sessions.get(id);
            let end = self.end(&session);
            if session.open && end <= watermark {
                ended.push((end, id));
            } else if session.open {
                self.timers.add(end, id);
            }
        }
        ended.sort_unstable();
        ended.iter().for_each(|(_, id)| self.shut(*id));
        ended.into_iter().map(|(_, id)| id).collect()
    }

    /// The keys of sessions, as slots of the key table.
    pub(crate) fn keys_of(&self, ids: &[u32]) -> Picked {
        Picked::Slots(ids.iter().map(|id| self.sessions.get(*id).key).collect())
    }

    /// Open sessions that changed since the last call, and what is gone since.
    pub(crate) fn changes(&mut self) -> (Vec<u32>, Vec<Gone>) {
        let mut gone = std::mem::take(&mut self.gone);
        let mut changed = Vec::new();
        for (block, bytes) in self.dirty.chunks(64).enumerate() {
            if bytes.iter().sum::<u8>() > 0 {
                let first = block as u32 * 64;
                changed.extend((first..).zip(bytes).filter(|(_, dirty)| **dirty != 0).map(|(id, _)| id));
            }
        }
        self.dirty.fill(0);
        for id in &changed {
            let session = self.sessions.get(*id);
            if session.stored != session.start {
                let session = self.sessions.get_mut(*id);
                if session.stored != NEVER {
                    gone.push(Gone { key: session.key, start: session.stored, end: session.last + self.gap });
                }
                session.stored = session.start;
            }
        }
        (changed, gone)
    }

    /// Lets go of all sessions of the keys whose hash `leaves`, and returns the end of the first of them. None has changed
    /// since the last capture.
    pub(crate) fn evict(&mut self, layout: &Layout, leaves: &dyn Fn(u64) -> bool) -> Result<i64> {
        let mut leaving = vec![false; self.keys.slots()];
        self.keys.leaving(layout.parts.spread_by, leaves)?.iter().for_each(|key| leaving[*key as usize] = true);
        let mut first_end = i64::MAX;
        for id in 0..self.sessions.len() as u32 {
            let session = *self.sessions.get(id);
            if !session.open || !leaving[session.key as usize] {
                continue;
            }
            if self.dirty[id as usize] != 0 {
                return Err(Error::internal("a session that has changed was to leave before it is stored"));
            }
            first_end = first_end.min(self.end(&session));
            self.shut(id);
        }
        self.has_room |= first_end < i64::MAX;
        if self.has_room && self.shown.as_ref().is_none_or(|shown| !shown.is_owing()) {
            self.pack(layout)?;
        }
        Ok(first_end)
    }

    /// Packs the table if most sessions in it are closed. Nothing may be owed of what is shown.
    pub(crate) fn pack_if_mostly_closed(&mut self, layout: &Layout) -> Result<()> {
        let open = self.sessions.len() - self.closed;
        let is_full = self.closed < FEW || self.closed < open;
        if is_full && !self.has_room { Ok(()) } else { self.pack(layout) }
    }

    fn pack(&mut self, layout: &Layout) -> Result<()> {
        let ids: Vec<u32> = (0..self.sessions.len() as u32).filter(|id| self.sessions.get(*id).open).collect();
        let mut packed = SessionTable::new(layout, self.gap);
        packed.shown = self.shown.as_ref().map(|shown| shown.without_sessions(self.gap));
        // Keys of sessions that are gone go last: they are still to be told.
        let gone_keys = Picked::Slots(self.gone.iter().map(|gone| gone.key).collect());
        let mut slots = Vec::new();
        let keys = self.keys_of(&ids);
        let picked = Picked::Slots(ids.as_slice().into());
        for piece in picked.pieces() {
            packed.keys.intern(&self.keys.columns(&keys, piece.clone())?, piece.len(), &mut slots)?;
            packed.latest.resize(packed.keys.slots(), NONE);
            let mut new_ids = Vec::with_capacity(piece.len());
            for (id, key) in ids[piece.clone()].iter().zip(&slots) {
                let session = self.sessions.get(*id);
                let new_id = packed.add(*key, session.start, session.last, session.stored);
                packed.dirty[new_id as usize] = self.dirty[*id as usize];
                if let Some((packed, shown)) = packed.shown.as_mut().zip(self.shown.as_ref()) {
                    packed.pack(new_id, session.last + self.gap, shown, *id);
                }
                new_ids.push(new_id);
            }
            for (accumulator, old) in packed.accumulators.iter_mut().zip(&mut self.accumulators) {
                accumulator.grow(packed.sessions.len())?;
                accumulator.merge(&new_ids, &old.states(&picked, piece.clone())?)?;
            }
        }
        for piece in gone_keys.pieces() {
            packed.keys.intern(&self.keys.columns(&gone_keys, piece.clone())?, piece.len(), &mut slots)?;
            let gone = slots.iter().zip(&self.gone[piece]);
            packed.gone.extend(gone.map(|(key, gone)| Gone { key: *key, ..*gone }));
        }
        packed.latest.resize(packed.keys.slots(), NONE);
        *self = packed;
        Ok(())
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let states: usize = self.accumulators.iter().map(|accumulator| accumulator.bytes()).sum();
        let shown = self.shown.as_ref().map_or(0, ShownSessions::bytes);
        self.keys.bytes()
            + self.sessions.bytes()
            + states
            + shown
            + self.dirty.len()
            + self.latest.len() * 4
            + self.timers.len() * size_of::<(i64, u32)>()
    }
}

/// Results of a piece of the picked sessions, of all these accumulators.
pub(super) fn results(
    accumulators: &mut [Box<dyn Accumulator>],
    picked: &Picked,
    piece: Range<usize>,
) -> Result<Vec<ArrayRef>> {
    let mut columns = Vec::new();
    for accumulator in accumulators {
        accumulator.all_results(picked, piece.clone(), &mut columns)?;
    }
    Ok(columns)
}
