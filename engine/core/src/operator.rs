//! What an operator promises.
//!
//! An operator is synchronous: it spawns nothing, reads no clock and does no I/O. Rows, watermarks, processing time
//! and restored state come in; rows and captured state go out through a [`Collector`] and a [`Capture`]. The subtask
//! loop that calls it does all waiting.
//!
//! ```text
//!   tables() ─ open() ─ { load()* | process() | watermark() | tick() | release() | release() flush() capture()? | evict() }*
//! ```
//!
//! # What is held back, and what is owed
//!
//! An operator may keep rows from its output for two reasons, and they end at different times.
//!
//! - It *holds back* what travels better together: partial results that more rows may still join. When such rows leave
//!   shows in no result, so they may leave at any time, and have to when an input falls idle, because the time of the others
//!   goes on without it. That is [`release`](Operator::release).
//! - It *owes* what is only right at the end of an epoch: the new value of a sum of transfers, whose two sides came one
//!   behind the other. Emitted anywhere else it would show a state that no prefix of the input had. That is
//!   [`flush`](Operator::flush), which is called where a marker passes and nowhere else.
//!
//! Where a marker passes both are called, in this order, whatever its kind; a checkpoint's captures the state behind them.
//!
//! # Answers
//!
//! An operator whose rows wait for answers from somewhere else (a service that a user's function calls) neither waits nor polls: whoever
//! answers *wakes* the subtask, which then asks for what is [answered](Operator::answers). Such an operator is the head of its chain, and the subtask
//! does not read its input while it has [no room](Outstanding::Full). Markers do not wait for answers: rows that have none are state.
//!
//! # State that is partly in memory
//!
//! Tables of [`Distribution::Keyed`] are *resident* by key hash ([`Distribution::Broadcast`] ones are always there as a whole): of a hash, an operator holds every row that its tables have, or none. Whoever drives
//! the operator sees to it, and waits for the disk where the operator must not:
//!
//! - *Before a batch*, the hashes of its rows' [`key_columns`](Operator::key_columns) that are not resident are looked up, and
//!   what is found is [loaded](Operator::load). That there is nothing is an answer too.
//! - *Before a watermark*, rows of keys that are not resident may be [due](Operator::due). They do not become resident, since
//!   all keys of a closing window would. A *twin* takes them, a few at a time: another instance of the operator, opened at
//!   the time before, loaded with the rows that are due, told the time, and dropped. That is what a restart does, and right
//!   because a watermark emits for each key what follows from the rows of that key alone, and changes nothing of it but what
//!   expires.
//! - *After a checkpoint* is stored, keys that no batch has touched since it was captured may be
//!   [evicted](Operator::evict). They are all stored; the operator is not asked.
//!
//! A restart loads all state, or nothing of it and then what is touched. Where all state is in memory none of this is called
//! and nothing of it costs anything. `docs/adr/0006-state-is-resident-by-key-hash.md` has the hard cases.

use std::sync::Arc;
use std::task::Waker;

use arrow::array::{BooleanArray, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::{Batch, ChangelogKind, EventTime, HashRange, LookupRows, OutputPort, Result};

/// One operator of one subtask.
pub trait Operator: Send {
    /// The state that the operator keeps, in a fixed order. Asked once, first.
    fn tables(&self) -> Vec<TableSchema> {
        Vec::new()
    }

    /// The operator is about to start, without state. What it has is loaded next.
    fn open(&mut self, context: &OpenContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Rows of `table` (position in [`tables`](Self::tables)) as they are stored: deleted and expired ones are gone, one row
    /// per key, of keyed tables only keys that this subtask owns and that are not resident. `hashes` are the rows' key hashes as they were
    /// captured. All rows of a hash come before anything else does, those of an earlier table before those of a later one.
    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let _ = (table, rows, hashes);
        Err(crate::Error::internal("an operator without state was given some"))
    }

    /// All rows of `table` with a time up to this one are gone where event time stands at `watermark`, whether they are
    /// resident or not; `None`: none is.
    fn expired(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        let _ = (table, watermark);
        None
    }

    /// Of which rows of `table` [`watermark(time)`](Self::watermark) would emit something: only of such with a time up to
    /// this one; `None`: of none. May be asked before that call.
    fn due(&self, table: usize, time: EventTime) -> Option<EventTime> {
        let _ = (table, time);
        None
    }

    /// Where event time stands at `watermark`, no later one makes the operator emit something because of the rows of `table` with a time
    /// up to this one: they may still be needed for what is emitted of others of their key. Unless it says otherwise, those are the rows
    /// that are gone.
    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.expired(table, watermark)
    }

    /// Lets go of all rows of the keys whose hash `leaves`. They have not changed since they were captured, and are stored.
    /// Returns for each table the least time of the rows that left, the end of time if none did.
    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let _ = leaves;
        Ok(Vec::new())
    }

    /// Columns of input `ordinal` by which rows were sent here; `None` where any row may come to any subtask.
    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        let _ = ordinal;
        None
    }

    /// Whether rows of such a stream may come on input `ordinal`. Asked once, when the operator is built: it is never given any
    /// other. An operator that does not look at weights takes rows that are only added.
    fn takes(&self, ordinal: usize, stream: &ChangelogKind) -> bool {
        let _ = ordinal;
        stream.is_append()
    }

    /// What the rows of a batch are about to look up in another table: each key once, without nulls. Asked where that table wants to know,
    /// before [`look_up_in`](Self::look_up_in).
    fn lookup_keys(&self, batch: &Batch) -> Result<RecordBatch> {
        let _ = batch;
        Err(crate::Error::internal("an operator that looks nothing up was asked for keys"))
    }

    /// From here on, rows are looked up among these. Called before the first batch, and between others.
    fn look_up_in(&mut self, rows: Arc<LookupRows>) -> Result<()> {
        let _ = rows;
        Err(crate::Error::internal("an operator that looks nothing up was given rows to look up"))
    }

    /// Rows from input `ordinal`. The batch is not empty.
    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()>;

    /// Event time has arrived at `time`, later than ever before; the first call after a restart may repeat the last
    /// time of the execution before, so that what stands behind learns of it. Returns the watermark that goes downstream behind what
    /// was emitted: `time`, an earlier one if rows with earlier times may still be emitted, or `None` for none. What is emitted
    /// for a key follows from that key's rows alone, and nothing of them changes but what expires.
    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        let _ = out;
        Ok(Some(time))
    }

    /// Processing time has gone on; called a few times a second, [`Collector::now`] tells how far. Returns a watermark
    /// for downstream, where the operator makes its own.
    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        let _ = out;
        Ok(None)
    }

    /// Whether rows wait for answers. Asked behind each call, of operators that say so in their spec, and so are the next two.
    fn outstanding(&self) -> Outstanding {
        Outstanding::None
    }

    /// From here on, `waker` is woken whenever there is an answer, by whichever thread. Called once, when all state has been loaded: what waits in
    /// it is asked for now.
    fn wake_by(&mut self, waker: &Waker) -> Result<()> {
        let _ = waker;
        Ok(())
    }

    /// Emits what has been answered. May be called when nothing is. Returns the watermark that goes downstream behind it, where rows have held
    /// one up.
    fn answers(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        let _ = out;
        Ok(None)
    }

    /// Emit what is held back for the sake of larger batches. Called at any time, any number of times: when an input falls
    /// idle, and before every [`flush`](Self::flush).
    fn release(&mut self, out: &mut Collector) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// An epoch ends: emit what is owed there. Called directly behind [`release`](Self::release) where a marker of any kind
    /// passes, and nowhere else.
    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// The checkpoint marker passes, behind [`flush`](Self::flush): hand over what changed since the last capture, for all tables. Has to be quick;
    /// costly encoding goes into [`CapturedRows`], which run elsewhere. After a capture the operator counts its state
    /// as stored: if the checkpoint fails, the worker keeps the captured rows and adds them to the next one.
    fn capture(&mut self) -> Result<Vec<Capture>> {
        Ok(Vec::new())
    }

    /// Bytes of state in memory, roughly.
    fn state_bytes(&self) -> usize {
        0
    }
}

/// Whether rows of an operator wait for answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outstanding {
    /// None does.
    #[default]
    None,
    /// Some do, and others may come.
    Some,
    /// Some do, and no others can be taken until one is answered.
    Full,
}

/// What an operator learns when it opens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenContext {
    /// Keys that this subtask owns.
    pub range: HashRange,
    /// The watermark that the operator had seen at the checkpoint; [`EventTime::MIN`] on a fresh start. Windows that
    /// end there or before have been emitted.
    pub watermark: EventTime,
    /// Whether there is a checkpoint that the operator was part of. Its state may be loaded only when it is touched.
    pub restored: bool,
    /// Whether that checkpoint says of any state of the operator that it has expired.
    pub has_expired: bool,
}

/// How a state table is spread when it is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distribution {
    /// Each row to the owner of its key hash.
    Keyed,
    /// Every row to every subtask.
    Broadcast,
}

/// A declared table of keyed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Name, unique within the operator.
    pub name: String,
    /// Version of the layout; raised when the meaning of a column changes.
    pub version: u32,
    /// Columns; the first [`key_columns`](Self::key_columns) identify a row. Each has an id
    /// ([`state_column`](crate::state_column)), by which it is found in state that an earlier version has written.
    pub schema: SchemaRef,
    /// How many columns make the key; a later row replaces an earlier one with an equal key. 0: rows are only added,
    /// and leave by expiry alone.
    pub key_columns: usize,
    /// `TIMESTAMP(3)` column after which rows expire: see [`Capture::expired`].
    pub time_column: Option<usize>,
    /// Who gets which rows on restore.
    pub distribution: Distribution,
}

/// What changed in one table since the last capture.
pub struct Capture {
    /// Rows put and deleted.
    pub rows: CapturedRows,
    /// All rows with a time up to this one are gone, whether they were captured now or earlier. Never goes back.
    pub expired: Option<EventTime>,
}

impl Capture {
    /// Nothing changed but, maybe, what has expired.
    pub fn unchanged(expired: Option<EventTime>) -> Self {
        Self { rows: Box::new(|| Ok(Vec::new())), expired }
    }
}

/// Makes the captured rows, later and elsewhere. Captured pieces are immutable, so it does not matter when.
pub type CapturedRows = Box<dyn FnOnce() -> Result<Vec<StateRows>> + Send>;

/// Rows of a state table, in any order. If a key occurs twice, the later row counts.
#[derive(Debug, Clone)]
pub struct StateRows {
    /// Columns of the table.
    pub rows: RecordBatch,
    /// Hash of each row's key as [`hash::hash_rows`](crate::hash::hash_rows) gives it.
    pub hashes: UInt64Array,
    /// Rows that say that their key is gone; their other columns mean nothing. `None`: all rows are put.
    pub deleted: Option<BooleanArray>,
}

/// Takes what operators emit. The subtask loop empties it after each call.
#[derive(Debug)]
pub struct Collector {
    now: i64,
    emitted: Vec<(OutputPort, Batch)>,
    late_rows: u64,
}

impl Collector {
    /// An empty collector at processing time `now`, in milliseconds since 1970.
    pub fn new(now: i64) -> Self {
        Self { now, emitted: Vec::new(), late_rows: 0 }
    }

    /// Processing time in milliseconds since 1970: the same for a whole batch.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Sets processing time.
    pub fn set_now(&mut self, now: i64) {
        self.now = now;
    }

    /// Emits rows on the main output. Empty batches are dropped.
    pub fn emit(&mut self, batch: Batch) {
        self.emit_to(OutputPort::Main, batch);
    }

    /// Emits rows on any output. Empty batches are dropped.
    pub fn emit_to(&mut self, port: OutputPort, batch: Batch) {
        if batch.num_rows() > 0 {
            self.emitted.push((port, batch.gathered()));
        }
    }

    /// Counts rows that came too late. The operator also emits them on [`OutputPort::Late`].
    pub fn count_late(&mut self, rows: usize) {
        self.late_rows += rows as u64;
    }

    /// What was emitted, in order; the collector is empty afterwards.
    pub fn take(&mut self) -> Vec<(OutputPort, Batch)> {
        std::mem::take(&mut self.emitted)
    }

    /// Late rows counted since the last call.
    pub fn take_late_rows(&mut self) -> u64 {
        std::mem::take(&mut self.late_rows)
    }

    /// Schema of rows on [`OutputPort::Late`]: which operator refused the row, its time, the watermark it met, and the
    /// row as a JSON object.
    pub fn late_schema() -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        Arc::new(Schema::new(vec![
            Field::new("operator", DataType::Utf8View, false),
            Field::new("event_time", time.clone(), true),
            Field::new("watermark", time, false),
            Field::new("row", DataType::Utf8View, false),
        ]))
    }
}
