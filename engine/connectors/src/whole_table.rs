//! A table that rows are looked up in, held as a whole.
//!
//! It is read when it is opened. From then on it is read again every so often, if it has changed: beside the rows, which find what was there
//! until all has been read. Nothing is done while no rows come; so the first ones, and those behind a pause, wait until the table has been
//! looked at. What fails is tried again; the rows go on with what they have until it has failed too often.

use std::pin::Pin;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use weir_core::lookup::{Found, LookupTable};
use weir_core::{Error, ErrorKind, Result};

use crate::options::Options;

/// How often the table is read again.
pub const RELOAD: &str = "lookup.full-cache.periodic-reload.interval";
/// How often that is tried again.
pub const RETRIES: &str = "lookup.max-retries";

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// How a table is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeOptions {
    /// How often it is looked at; `None`: it is read once.
    pub reload: Option<Duration>,
    /// How often reading is tried again.
    pub retries: u32,
}

impl WholeOptions {
    /// The options of a table; `reload` is how often it is looked at unless they say so.
    ///
    /// # Errors
    /// A user error that names the wrong option.
    pub fn read(options: &Options<'_>, reload: Duration) -> Result<Self> {
        let reload = options.duration(RELOAD)?.unwrap_or(reload);
        let retries = options.number(RETRIES, 0, 1_000_000)?.unwrap_or(3);
        Ok(Self { reload: (!reload.is_zero()).then_some(reload), retries })
    }
}

/// A table that has been read: by what it is seen whether it has changed, and all its rows. `None`: it has not.
pub type Loaded<S> = Result<Option<(S, Vec<RecordBatch>)>>;

/// Reads a table, if it is another one than before; without that, for the first time.
pub type Load<S> = Box<dyn Fn(Option<S>) -> Pin<Box<dyn Future<Output = Loaded<S>> + Send>> + Send>;

/// The table, as one subtask has it.
pub struct WholeTable<S> {
    name: String,
    options: WholeOptions,
    load: Load<S>,
    /// What was read.
    state: Option<S>,
    /// All rows, until they are asked for.
    rows: Option<Vec<RecordBatch>>,
    // In milliseconds since 1970.
    /// When rows have come last.
    asked: Option<i64>,
    /// When the table is looked at again.
    looks_at: i64,
    /// When it was looked at last.
    began: i64,
    /// How often it has failed since it last went well.
    failures: u32,
    /// One task at most.
    loading: JoinSet<Loaded<S>>,
}

impl<S: Clone + Send + 'static> WholeTable<S> {
    /// Reads the table of this name for the first time.
    ///
    /// # Errors
    /// That of reading it, if it is the user's, or has failed too often.
    pub async fn open(name: &str, options: WholeOptions, load: Load<S>) -> Result<Self> {
        let mut failures = 0;
        let loaded = loop {
            match load(None).await {
                Err(error) if error.kind() != ErrorKind::User && failures < options.retries => {
                    failures += 1;
                    tracing::warn!(table = name, error = error.report(), "a table for lookups could not be read");
                    sleep_until(Instant::now() + PAUSE).await;
                }
                loaded => break loaded?,
            }
        };
        let (state, rows) = loaded.map_or((None, Vec::new()), |(state, rows)| (Some(state), rows));
        Ok(Self {
            name: name.to_owned(),
            options,
            load,
            state,
            rows: Some(rows),
            asked: None,
            looks_at: i64::MIN,
            began: 0,
            failures: 0,
            loading: JoinSet::new(),
        })
    }

    /// Takes over what has been read.
    fn loaded(&mut self, now: i64, loaded: Loaded<S>) -> Result<()> {
        self.looks_at = match loaded {
            Ok(loaded) => {
                self.failures = 0;
                if let Some((state, rows)) = loaded {
                    (self.state, self.rows) = (Some(state), Some(rows));
                }
                later(self.began, self.options.reload.unwrap_or(PAUSE))
            }
            Err(error) if self.failures < self.options.retries => {
                self.failures += 1;
                tracing::warn!(table = self.name, error = error.report(), "rows are looked up in an old table");
                later(now, PAUSE)
            }
            Err(error) => return Err(error.context(format!("while reading table '{}' again", self.name))),
        };
        Ok(())
    }

    fn found(&mut self, at_once: bool) -> Found {
        self.rows.take().map_or(Found::AsBefore, |rows| Found::Table { rows, at_once })
    }

    /// Takes over what is being read, if anything is; `waits`: also if it has not been read yet.
    async fn take_over(&mut self, now: i64, waits: bool) -> Result<()> {
        let loaded = if waits { self.loading.join_next().await } else { self.loading.try_join_next() };
        let Some(loaded) = loaded else { return Ok(()) };
        let broke = |panic| Error::internal("reading a table broke off").with_source(panic);
        self.loaded(now, loaded.map_err(broke).and_then(|loaded| loaded))
    }
}

fn later(now: i64, pause: Duration) -> i64 {
    now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl<S: Clone + Send + 'static> LookupTable for WholeTable<S> {
    async fn look_up(&mut self, now: i64, _keys: Option<&RecordBatch>) -> Result<Found> {
        let Some(reload) = self.options.reload else { return Ok(self.found(true)) };
        // What was read while no rows came may be as old as the pause was long.
        let waits = self.asked.is_none_or(|asked| now >= later(asked, reload / 2));
        let began = Instant::now();
        self.take_over(now, waits).await?;
        if now >= self.looks_at && self.loading.is_empty() {
            self.began = now;
            let loading = (self.load)(self.state.clone());
            self.loading.spawn(loading);
            if waits {
                self.take_over(now, true).await?;
            }
        }
        // That rows have waited here is no pause of theirs: else a table that takes long to be read would be waited for again and again.
        self.asked = Some(later(now, began.elapsed()));
        Ok(self.found(waits))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::time::advance;

    use super::*;

    const READ: Duration = Duration::from_secs(12);

    #[tokio::test(start_paused = true)]
    async fn a_table_that_takes_long_to_be_read_is_waited_for_after_a_pause_alone() {
        let reads = Arc::new(AtomicUsize::new(0));
        let load: Load<()> = Box::new({
            let reads = reads.clone();
            move |_| {
                reads.fetch_add(1, Relaxed);
                Box::pin(async {
                    sleep_until(Instant::now() + READ).await;
                    Ok(Some(((), Vec::new())))
                })
            }
        });
        let options = WholeOptions { reload: Some(Duration::from_secs(10)), retries: 0 };
        let mut table = WholeTable::open("t", options, load).await.unwrap();
        let begin = Instant::now();
        let now = || i64::try_from(begin.elapsed().as_millis()).unwrap();
        table.look_up(now(), None).await.unwrap();
        assert_eq!(begin.elapsed(), READ, "nothing is known of what was before");
        for second in 1..=60 {
            let before = Instant::now();
            table.look_up(now(), None).await.unwrap();
            assert_eq!(before.elapsed(), Duration::ZERO, "rows that come all the time do not wait, {second}");
            advance(Duration::from_secs(1)).await;
        }
        assert!(reads.load(Relaxed) >= 5, "it is read beside them, {reads:?}");
        advance(Duration::from_secs(30)).await;
        let before = Instant::now();
        table.look_up(now(), None).await.unwrap();
        assert!(before.elapsed() > Duration::ZERO, "what was read before a pause is old");
    }
}
