//! What is shown of sessions while they change.
//!
//! Between two markers rows go into sessions, and nothing is emitted. Before one that is shown changes for the first time, or is joined to
//! another one, the row that it is shown with is put aside. Where the marker passes, those rows are taken back and what the sessions are by
//! then is added, unless that is the same row. A session that was joined to another one leaves the row that it had to that one.
//!
//! A session that is not shown early is *hidden* until the watermark passes its end, and once more if a row that came late has it end behind
//! the watermark. So what is shown at a marker are the sessions of the rows so far that have ended, or all of them; nothing is stored of it.

use arrow::array::{ArrayRef, Int8Array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_core::{Batch, Result};

use super::accumulator::Accumulator;
use super::differences::differ;
use super::session_table::{Session, SessionTable, results};
use super::session_timers::Timers;
use super::sessions::window_columns;
use crate::batches::with_schema;
use crate::chunked::{CHUNK, Picked};

/// The session's row is downstream.
const SHOWN: u8 = 1;
/// It has changed since the last marker, or is new.
const OWED: u8 = 2;
/// It is looked at when the watermark gets to its end.
const TIMED: u8 = 4;

/// A row that a session was shown with.
struct Aside {
    session: u32,
    key: u32,
    bounds: (i64, i64),
}

/// What is known of each session of a table, by its number.
pub(super) struct ShownSessions {
    /// Whether sessions are shown from their first row on.
    early: bool,
    gap: i64,
    watermark: i64,
    known: Vec<u8>,
    /// Hidden sessions by when they end, or ended when they were put here.
    closing: Timers,
    // Follows from what has come since the last marker.
    /// Sessions that have changed, also those that were joined to others or are forgotten by now.
    owed: Vec<u32>,
    asides: Vec<Aside>,
    /// For each of the asides, the first of which have theirs, where its results are: which columns of `before`, and which row.
    places: Vec<(usize, usize)>,
    before: Vec<Vec<ArrayRef>>,
    /// Which session each one was joined to.
    heirs: HashMap<u32, u32, FixedState>,
}

impl ShownSessions {
    pub(super) fn new(early: bool, gap: i64, watermark: i64) -> Self {
        Self {
            early,
            gap,
            watermark,
            known: Vec::new(),
            closing: Timers::new(gap),
            owed: Vec::new(),
            asides: Vec::new(),
            places: Vec::new(),
            before: Vec::new(),
            heirs: HashMap::default(),
        }
    }

    pub(super) fn without_sessions(&self, gap: i64) -> Self {
        Self::new(self.early, gap, self.watermark)
    }

    /// A session has the next number.
    pub(super) fn add(&mut self) {
        self.known.push(0);
    }

    /// A session comes from a checkpoint: it is shown if it has to be.
    pub(super) fn load(&mut self, id: u32, end: i64) {
        match self.hides(end) {
            true => self.wait(id, end),
            false => self.known[id as usize] |= SHOWN,
        }
    }

    /// A session that another table knows by that number, with nothing owed of it.
    pub(super) fn pack(&mut self, id: u32, end: i64, before: &Self, old: u32) {
        match before.known[old as usize] & SHOWN {
            0 => self.wait(id, end),
            _ => self.known[id as usize] |= SHOWN,
        }
    }

    /// A session is about to change, or is new.
    pub(super) fn touch(&mut self, id: u32, session: &Session) {
        let known = &mut self.known[id as usize];
        if *known & OWED == 0 {
            self.owed.push(id);
            if *known & SHOWN != 0 {
                let bounds = (session.start, session.last + self.gap);
                self.asides.push(Aside { session: id, key: session.key, bounds });
            }
            *known = *known & !SHOWN | OWED;
        }
    }

    /// Computes the results that touched sessions are shown with. Called before they change.
    pub(super) fn put_aside(&mut self, accumulators: &mut [Box<dyn Accumulator>]) -> Result<()> {
        let first = self.places.len();
        let picked = Picked::Slots(self.asides[first..].iter().map(|aside| aside.session).collect());
        for piece in picked.pieces() {
            self.places.extend((0..piece.len()).map(|row| (self.before.len(), row)));
            self.before.push(results(accumulators, &picked, piece)?);
        }
        Ok(())
    }

    /// A session is joined to another one. Both have been touched.
    pub(super) fn join(&mut self, id: u32, to: u32) {
        self.heirs.insert(id, to);
    }

    /// Whether anything is to be emitted at the next marker.
    pub(super) fn is_owing(&self) -> bool {
        !self.owed.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.known.len() + self.closing.len() * size_of::<(i64, u32)>() + self.asides.len() * size_of::<Aside>()
    }

    fn hides(&self, end: i64) -> bool {
        !self.early && end > self.watermark
    }

    /// Has a hidden session looked at when the watermark gets to its end.
    fn wait(&mut self, id: u32, end: i64) {
        let known = &mut self.known[id as usize];
        if *known & TIMED == 0 {
            *known |= TIMED;
            self.closing.add(end, id);
        }
    }

    /// The session that this one is a part of by now.
    fn heir(&self, mut id: u32) -> u32 {
        while let Some(heir) = self.heirs.get(&id) {
            id = *heir;
        }
        id
    }
}

impl SessionTable {
    /// Event time stood here at the checkpoint.
    pub(super) fn open_shown(&mut self, watermark: i64) {
        self.shown.iter_mut().for_each(|shown| shown.watermark = watermark);
    }

    /// Time has gone on: the hidden sessions that are over by now, as rows of `schema`. Of those that have changed since the last marker
    /// the next one tells.
    pub(super) fn show_ended(&mut self, watermark: i64, schema: &SchemaRef) -> Result<Vec<Batch>> {
        let Some(shown) = &mut self.shown else { return Ok(Vec::new()) };
        shown.watermark = watermark;
        let (mut due, mut ended) = (Vec::new(), Vec::new());
        shown.closing.due(watermark, &mut due);
        for id in due {
            shown.known[id as usize] &= !TIMED;
            let session = self.sessions.get(id);
            if !session.open || shown.known[id as usize] & (OWED | SHOWN) != 0 {
                continue;
            }
            let end = session.last + shown.gap;
            match shown.hides(end) {
                true => shown.wait(id, end),
                false => {
                    shown.known[id as usize] |= SHOWN;
                    ended.push(id);
                }
            }
        }
        ended.sort_unstable();
        let mut batches = Vec::new();
        for ids in ended.chunks(CHUNK) {
            let picked = Picked::Slots(ids.into());
            let mut columns = self.keys.columns(&self.keys_of(ids), 0..ids.len())?;
            columns.extend(self.results(&picked, 0..ids.len())?);
            columns.extend(window_columns(&self.bounds_of(ids), schema.fields())?);
            let weights = Int8Array::from(vec![1; ids.len()]);
            batches.push(Batch::weighted(with_schema(schema, columns, ids.len())?, weights)?);
        }
        Ok(batches)
    }

    /// What has changed since the last marker, as rows of `schema`.
    pub(super) fn changes_shown(&mut self, schema: &SchemaRef) -> Result<Vec<Batch>> {
        let Some(mut shown) = self.shown.take() else { return Ok(Vec::new()) };
        let batches = self.changes_of(&mut shown, schema);
        self.shown = Some(shown);
        batches
    }

    fn changes_of(&mut self, shown: &mut ShownSessions, schema: &SchemaRef) -> Result<Vec<Batch>> {
        let mut owed = std::mem::take(&mut shown.owed);
        owed.iter().for_each(|id| shown.known[*id as usize] &= !OWED);
        owed.retain(|id| !shown.heirs.contains_key(id));
        owed.sort_unstable();
        let asides = (0..).zip(&shown.asides);
        let mut asides: Vec<(u32, usize)> = asides.map(|(number, aside)| (shown.heir(aside.session), number)).collect();
        asides.sort_unstable();
        let mut rest = asides.as_slice();
        let mut batches = Vec::new();
        for sessions in owed.chunks(CHUNK) {
            let last = sessions.last().copied().unwrap_or_default();
            let (asides, later) = rest.split_at(rest.partition_point(|(session, _)| *session <= last));
            rest = later;
            batches.extend(self.piece_of_changes(shown, sessions, asides, schema)?);
        }
        shown.asides.clear();
        shown.places.clear();
        shown.before.clear();
        shown.heirs.clear();
        Ok(batches)
    }

    /// The changes of these sessions, with what was put aside of each.
    fn piece_of_changes(
        &mut self,
        shown: &mut ShownSessions,
        sessions: &[u32],
        asides: &[(u32, usize)],
        schema: &SchemaRef,
    ) -> Result<Option<Batch>> {
        let bounds = self.bounds_of(sessions);
        let mut visible: Vec<u32> = Vec::with_capacity(sessions.len());
        for (id, (_, end)) in sessions.iter().zip(&bounds) {
            match shown.hides(*end) {
                true => shown.wait(*id, *end),
                false => {
                    shown.known[*id as usize] |= SHOWN;
                    visible.push(*id);
                }
            }
        }
        let after = self.results(&Picked::Slots(visible.as_slice().into()), 0..visible.len())?;
        let sides = Sides { before: &shown.before, after: &after };
        let mut lines = Lines::default();
        // Rows that may be the same as before: the place in `lines` of what is taken back, and of what is added behind it.
        let mut maybe_same: Vec<usize> = Vec::new();
        let (mut rest, mut row) = (asides, 0);
        for (id, bounds) in sessions.iter().zip(bounds) {
            let (own, later) = rest.split_at(rest.partition_point(|(session, _)| session <= id));
            rest = later;
            for (_, number) in own {
                let aside = &shown.asides[*number];
                lines.push(aside.key, aside.bounds, shown.places[*number], -1);
            }
            if visible.get(row) == Some(id) {
                if let [(_, number)] = own
                    && shown.asides[*number].bounds == bounds
                {
                    maybe_same.push(lines.weights.len() - 1);
                }
                lines.push(self.sessions.get(*id).key, bounds, (shown.before.len(), row), 1);
                row += 1;
            }
        }
        lines.leave_out(&sides.unchanged(&lines.places, &maybe_same)?);
        let count = lines.weights.len();
        if count == 0 {
            return Ok(None);
        }
        let mut columns = self.keys.columns(&Picked::Slots(lines.keys.into()), 0..count)?;
        columns.extend(sides.columns(&lines.places)?);
        columns.extend(window_columns(&lines.bounds, schema.fields())?);
        Ok(Some(Batch::weighted(with_schema(schema, columns, count)?, Int8Array::from(lines.weights))?))
    }
}

/// Rows that are taken back or added.
#[derive(Default)]
struct Lines {
    keys: Vec<u32>,
    bounds: Vec<(i64, i64)>,
    /// Where the results are, as [`Sides`] has them.
    places: Vec<(usize, usize)>,
    weights: Vec<i8>,
}

impl Lines {
    fn push(&mut self, key: u32, bounds: (i64, i64), place: (usize, usize), weight: i8) {
        self.keys.push(key);
        self.bounds.push(bounds);
        self.places.push(place);
        self.weights.push(weight);
    }

    /// Leaves out those at these places, in order, with the line behind each.
    fn leave_out(&mut self, pairs: &[usize]) {
        fn rest<T: Copy>(lines: &mut Vec<T>, pairs: &[usize]) {
            let mut gone = pairs.iter().flat_map(|place| [*place, place + 1]).peekable();
            let mut places = 0..;
            lines.retain(|_| {
                let place = places.next();
                gone.next_if(|gone| Some(*gone) == place).is_none()
            });
        }
        if !pairs.is_empty() {
            rest(&mut self.keys, pairs);
            rest(&mut self.bounds, pairs);
            rest(&mut self.places, pairs);
            rest(&mut self.weights, pairs);
        }
    }
}

/// Results before and after the changes, by which columns and which row: those before, then those after.
struct Sides<'a> {
    before: &'a [Vec<ArrayRef>],
    after: &'a [ArrayRef],
}

impl Sides<'_> {
    fn columns(&self, places: &[(usize, usize)]) -> Result<Vec<ArrayRef>> {
        let column = |number: usize| {
            let before = self.before.iter().map(|columns| &*columns[number]);
            let all: Vec<_> = before.chain([&*self.after[number]]).collect();
            interleave(&all, places)
        };
        Ok((0..self.after.len()).map(column).collect::<std::result::Result<_, _>>()?)
    }

    /// Those of these places whose results are the same as at the place behind.
    fn unchanged(&self, places: &[(usize, usize)], of: &[usize]) -> Result<Vec<usize>> {
        let side = |behind: usize| self.columns(&of.iter().map(|place| places[place + behind]).collect::<Vec<_>>());
        let differs = differ(&side(0)?, &side(1)?, of.len())?;
        Ok(of.iter().zip(differs.values()).filter(|(_, differs)| !differs).map(|(place, _)| *place).collect())
    }
}
