//! What surrounds a job under test: the rows that its tables have so far, the clock, and what has come out.
//!
//! Input comes in *items*: rows of one table, and how far its event time has come behind them. Items are *released* one after
//! the other, the last one perhaps up to some row only. A table has [`SPLITS`] splits. All rows of an item are in one split, so
//! that their order is that of the file at any parallelism; all splits learn how far time has come, so that no subtask holds
//! it up and no row of an item is late because of another one.
//!
//! ```text
//!   release ─▶ items ─▶ readers ── all of them have passed on what is released ─▶ settled
//!                                                               commit ─▶ changes ─▶ taken by who expects them
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use tokio::sync::{Notify, watch};
use weir_cli::test_file::row::Value;
use weir_core::{Epoch, EventTime, OperatorUid};
use weir_worker::Clock;

/// Splits of each table: a multiple of the parallelisms that tests mostly have.
pub const SPLITS: usize = weir_cli::test_file::MOST_SUBTASKS;

/// Rows of a table, and how far its event time is behind them.
#[derive(Debug)]
pub struct Item {
    /// The table.
    pub table: String,
    /// The rows, with all columns that its records have.
    pub rows: RecordBatch,
    /// Event time behind them; `None`: nothing is known of it.
    pub time: Option<EventTime>,
}

/// How much of the input is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Released {
    /// So many items.
    pub items: usize,
    /// So many rows of the last of them; `None`: all.
    pub rows_of_last: Option<usize>,
    /// Nothing follows.
    pub ended: bool,
    /// Rises whenever one of these changes.
    version: u64,
}

/// A row that a sink has written.
#[derive(Debug, Clone)]
pub struct Written {
    /// 1 if it is added, -1 if it is taken back.
    pub weight: i64,
    /// Its values.
    pub values: Vec<Value>,
}

/// See the module's documentation.
pub struct World {
    /// Whether tables end by themselves, as far as a planner knows.
    pub bounded: bool,
    items: Mutex<Vec<Arc<Item>>>,
    released: watch::Sender<Released>,
    readers: Mutex<Readers>,
    settled: Notify,
    written: Mutex<Outputs>,
    clock: AtomicI64,
}

/// Who reads, and up to which version of [`Released`] each has passed everything on.
#[derive(Default)]
struct Readers {
    attempt: u64,
    passed_on: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Outputs {
    /// The last epoch of each sink that is in there: a commit may be repeated.
    epochs: BTreeMap<(String, OperatorUid), Epoch>,
    rows: BTreeMap<String, Vec<Written>>,
}

impl World {
    /// Nothing is there yet.
    pub fn new(bounded: bool) -> Arc<Self> {
        Arc::new(Self {
            bounded,
            items: Mutex::default(),
            released: watch::Sender::new(Released::default()),
            readers: Mutex::default(),
            settled: Notify::new(),
            written: Mutex::default(),
            clock: AtomicI64::new(0),
        })
    }

    /// Releases one more item, or only so many of its rows.
    pub fn release(&self, item: Item, rows: Option<usize>) {
        let items = {
            let mut items = lock(&self.items);
            items.push(Arc::new(item));
            items.len()
        };
        self.change(|released| (released.items, released.rows_of_last) = (items, rows));
    }

    /// Releases so many rows of the last item, with those that are released already; `None`: all of it.
    pub fn release_up_to(&self, rows: Option<usize>) {
        self.change(|released| released.rows_of_last = rows);
    }

    /// Nothing follows.
    pub fn end(&self) {
        self.change(|released| released.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Released)) {
        self.released.send_modify(|released| {
            change(released);
            released.version += 1;
        });
    }

    /// Sets the clock, in milliseconds since 1970.
    pub fn set_clock(&self, now: i64) {
        self.clock.store(now, Ordering::SeqCst);
    }

    /// What is released, and when that changes.
    pub fn watch(&self) -> watch::Receiver<Released> {
        self.released.subscribe()
    }

    /// An item.
    pub fn item(&self, index: usize) -> Option<Arc<Item>> {
        lock(&self.items).get(index).cloned()
    }

    /// An execution of the job begins: readers of earlier ones do not count any more.
    pub fn begin_attempt(&self) {
        let mut readers = lock(&self.readers);
        readers.attempt += 1;
        readers.passed_on.clear();
    }

    /// How many executions of the job have begun.
    #[cfg(test)]
    pub fn attempts(&self) -> u64 {
        lock(&self.readers).attempt
    }

    /// One more reader. Returns what it is known by.
    pub fn add_reader(&self) -> (u64, u64) {
        let mut readers = lock(&self.readers);
        let number = readers.passed_on.len() as u64;
        readers.passed_on.insert(number, 0);
        (readers.attempt, number)
    }

    /// A reader has passed on all that is released.
    pub fn passed_on(&self, (attempt, number): (u64, u64), released: &Released) {
        let mut readers = lock(&self.readers);
        if readers.attempt == attempt {
            readers.passed_on.insert(number, released.version);
            self.settled.notify_one();
        }
    }

    /// Waits until so many readers have passed on all that is released.
    pub async fn settle(&self, readers: usize) {
        loop {
            let settled = self.settled.notified();
            let version = self.released.borrow().version;
            {
                let known = lock(&self.readers);
                if known.passed_on.len() == readers && known.passed_on.values().all(|passed| *passed == version) {
                    return;
                }
            }
            settled.await;
        }
    }

    /// A sink's rows of an epoch are decided.
    pub fn commit(&self, table: &str, uid: &OperatorUid, epoch: Epoch, rows: Vec<Written>) {
        let mut written = lock(&self.written);
        let last = written.epochs.entry((table.to_owned(), uid.clone())).or_default();
        if epoch > *last {
            *last = epoch;
            written.rows.entry(table.to_owned()).or_default().extend(rows);
        }
    }

    /// Rows that a table has been given behind the first `from`.
    pub fn written(&self, table: &str, from: usize) -> Vec<Written> {
        let written = lock(&self.written);
        written.rows.get(table).map(|rows| rows[from.min(rows.len())..].to_vec()).unwrap_or_default()
    }
}

impl Clock for World {
    fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
