//! The threads of a source, and the splits that wait for one.
//!
//! ```text
//!   assigned ──▶ waiting ──▶ a thread opens it, reads once, hands the rows over ──▶ waiting, at the end of the line
//! ```
//!
//! So many splits are read at once as there are threads, and none is left out, however long the others take to say that there is nothing. A split is in the hands of
//! one thread at a time, which has handed over its rows before another takes it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use weir_core::plugin::{Plugin, PluginRead, PluginReader, PluginSource};
use weir_core::{Error, Result};

use super::Code;
use super::thread::{guarded, start};

/// Threads of a source in one subtask, at most.
const MOST_THREADS: usize = 8;
/// For how long a thread rests when a split had nothing, so that a reader that does not wait by itself takes no processor.
const REST: Duration = Duration::from_millis(10);

/// What a split has come to.
pub(super) struct Event {
    pub(super) split: Arc<str>,
    pub(super) read: PluginRead,
}

/// A split that is to be opened.
pub(super) struct Unopened {
    pub(super) split: Arc<str>,
    pub(super) position: Option<String>,
}

/// A split that waits.
enum Waiting {
    Unopened(Unopened),
    Open(Arc<str>, Box<dyn PluginReader>),
}

/// Splits on their way through threads, which end when it is [closed](Pool::close).
pub(super) struct Pool {
    code: Code,
    most_rows: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Splits that are not at their end.
    open: usize,
    threads: usize,
    is_closed: bool,
}

/// A split, its reader unless it is at its end, and what was read.
type Stepped = (Arc<str>, Option<Box<dyn PluginReader>>, PluginRead);

impl Pool {
    pub(super) fn new(code: Code, most_rows: usize) -> Arc<Self> {
        Arc::new(Self { code, most_rows, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Adds splits, and as many threads as they want. Each hands over what it reads to `events`.
    pub(super) fn add(self: &Arc<Self>, splits: Vec<Unopened>, events: &mpsc::Sender<Result<Event>>) -> Result<()> {
        let more = {
            let mut state = self.lock();
            state.open += splits.len();
            state.waiting.extend(splits.into_iter().map(Waiting::Unopened));
            let more = state.open.min(MOST_THREADS).saturating_sub(state.threads);
            state.threads += more;
            more
        };
        self.changed.notify_all();
        for _ in 0..more {
            let (pool, events, failed) = (self.clone(), events.clone(), events.clone());
            let body = move |plugin: &dyn Plugin| pool.work(plugin, &events);
            // Nobody listens if the source was given up.
            start(&self.code.plugin, body, move |error| drop(failed.blocking_send(Err(error))))?;
        }
        Ok(())
    }

    /// Has all threads end. One that waits in the plugin does once that returns.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, plugin: &dyn Plugin, events: &mpsc::Sender<Result<Event>>) {
        let mut source = None;
        while let Some(waiting) = self.next() {
            match guarded("`read`", || self.step(plugin, &mut source, waiting)) {
                Ok((split, reader, read)) => {
                    let is_empty = read.records.is_none();
                    if events.blocking_send(Ok(Event { split: split.clone(), read })).is_err() {
                        self.close();
                    }
                    match reader {
                        None => self.lock().open -= 1,
                        Some(reader) => self.put(split, reader, is_empty),
                    }
                }
                Err(error) => {
                    // Of a source that was given up nobody wants to know.
                    let _ = events.blocking_send(Err(self.code.context(error)));
                    self.close();
                }
            }
        }
    }

    /// A split that waits; `None` if there will be none. What the plugin has made is dropped here, on a thread of its own.
    fn next(&self) -> Option<Waiting> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                let left = std::mem::take(&mut state.waiting);
                drop(state);
                let dropped = guarded("the end of a reader", || {
                    drop(left);
                    Ok(())
                });
                if let Err(error) = dropped {
                    tracing::warn!(%error, "a reader of a plugin could not be ended");
                }
                return None;
            }
            if let Some(waiting) = state.waiting.pop_front() {
                return Some(waiting);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn step(
        &self,
        plugin: &dyn Plugin,
        source: &mut Option<Box<dyn PluginSource>>,
        waiting: Waiting,
    ) -> Result<Stepped> {
        let (split, mut reader) = match waiting {
            Waiting::Open(split, reader) => (split, reader),
            Waiting::Unopened(Unopened { split, position }) => {
                let source = match source {
                    Some(source) => source,
                    none => none.insert(plugin.source(&self.code.request)?),
                };
                let reader = source.open(&split, position.as_deref());
                (split.clone(), reader.map_err(|error| error.context(format!("split '{split}' cannot be opened")))?)
            }
        };
        let read = reader.read(self.most_rows);
        let read = read.map_err(|error| Error::context(error, format!("split '{split}' cannot be read")))?;
        // What the plugin has made is dropped here, where a panic is told.
        let reader = (!read.is_end).then_some(reader);
        Ok((split, reader, read))
    }

    fn put(&self, split: Arc<str>, reader: Box<dyn PluginReader>, has_rested: bool) {
        let mut state = self.lock();
        if has_rested {
            let rest = self.changed.wait_timeout_while(state, REST, |state| !state.is_closed);
            state = rest.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting.push_back(Waiting::Open(split, reader));
        drop(state);
        self.changed.notify_one();
    }
}
