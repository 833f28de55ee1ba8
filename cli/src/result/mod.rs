//! The connector behind a `SELECT` without `INSERT`: its rows are printed on stdout.
//!
//! Only rows that stay can be printed: a line says nothing of whether its row is added or taken back. So the connector takes
//! streams to which rows are only added, as is the default, and its sinks refuse any other row instead of printing it as added.
//!
//! Rows are printed as they come, before their checkpoint completes, because whoever looks at a terminal wants to see
//! them. The exception is a job that keeps state and writes into a file or a pipe: there each epoch's rows are staged in its
//! checkpoint and printed when that is committed, so that a crash and a resume print none of them again. Only a process that is
//! killed while it prints, or before it has noted that it has, leads to rows that are printed twice.

mod cells;
mod csv;
mod json;
mod live;
mod table;

pub use json::json_lines;
pub use weir_embedded::settings::Output;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::sync::Notify;
use weir_core::connector::{Boundedness, Commit, OptionInfo, RESULT_CONNECTOR, Role, SinkContext};
use weir_core::{Batch, Connector, Epoch, Error, Location, Result, Sink, TableSpec};

use crate::blocking::blocking;
use crate::settings::Settings;
use crate::terminal::Screen;

/// How results are printed on this screen.
pub fn output_on(settings: &Settings, screen: &Screen) -> Output {
    settings.output.unwrap_or(if screen.layout().out_is_terminal { Output::Table } else { Output::Json })
}

/// The result of a job, on its way to stdout. A job has one at most: the planner sees to that.
pub struct Results {
    screen: Arc<Screen>,
    output: Output,
    /// Whether rows wait for their checkpoint.
    wait: bool,
    /// The last epoch whose rows have waited and are printed.
    printed: Mutex<Epoch>,
    /// Made with the first rows, which know the schema; shared by all subtasks.
    printer: Mutex<Option<Box<dyn Printer>>>,
    /// Something could not be printed: nothing after it may be, or results would have holes.
    broken: AtomicBool,
    reader_gone: AtomicBool,
    /// Rows are changes, and what they leave is shown.
    is_live: AtomicBool,
    /// How many rows there still are at most.
    left: AtomicU64,
    news: Notify,
    complete: Notify,
}

/// Turns rows into text.
trait Printer: Send {
    /// Adds the text of these rows to `out`; may hold rows back until [`flush`](Self::flush).
    fn rows(&mut self, records: &RecordBatch, out: &mut String) -> Result<()>;

    /// Adds the text of rows held back.
    fn flush(&mut self, out: &mut String) {
        let _ = out;
    }

    /// No rows follow: adds the text of rows held back, and of the end.
    fn close(&mut self, out: &mut String) {
        let _ = out;
    }
}

/// All rows as one table; `terminal` has its columns and rows, if it is one.
///
/// # Errors
/// A defect: values that cannot be shown.
pub fn table(records: &RecordBatch, terminal: Option<(usize, usize)>) -> Result<String> {
    let mut printer = table::Table::new(&records.schema(), terminal).snug();
    let mut text = String::new();
    printer.rows(records, &mut text)?;
    printer.close(&mut text);
    Ok(text)
}

impl Results {
    /// Results as `output`; whether each epoch's rows `wait` for their checkpoint.
    pub fn new(screen: Arc<Screen>, output: Output, wait: bool) -> Arc<Self> {
        Arc::new(Self {
            screen,
            output,
            wait,
            printed: Mutex::default(),
            printer: Mutex::default(),
            broken: AtomicBool::new(false),
            reader_gone: AtomicBool::new(false),
            is_live: AtomicBool::new(false),
            left: AtomicU64::new(u64::MAX),
            news: Notify::new(),
            complete: Notify::new(),
        })
    }

    /// Prints rows, and holds none of them back.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub async fn show(self: &Arc<Self>, batches: Vec<RecordBatch>) -> Result<()> {
        let results = self.clone();
        blocking(move || {
            batches.iter().try_for_each(|records| results.print(records))?;
            results.flush(results.lock().as_mut())
        })
        .await
    }

    /// The rows are changes. On a terminal a table shows what they leave, instead of each.
    pub fn show_what_is_left(&self) {
        self.is_live.store(true, Ordering::Release);
    }

    /// There are no more rows than so many.
    pub fn end_behind(&self, rows: u64) {
        self.left.store(rows, Ordering::Release);
    }

    /// Whether all rows that there can be are printed.
    pub fn is_complete(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Waits until [`is_complete`](Self::is_complete).
    pub async fn until_complete(&self) {
        let news = self.complete.notified();
        if !self.is_complete() {
            news.await;
        }
    }

    /// Prints rows. Blocks while stdout does.
    fn print(&self, records: &RecordBatch) -> Result<()> {
        let mut printer = self.lock();
        let mut text = String::new();
        printer.get_or_insert_with(|| self.printer(&records.schema())).rows(records, &mut text)?;
        self.write(&text)?;
        let rows = records.num_rows() as u64;
        if self.left.load(Ordering::Acquire) != u64::MAX && self.left.fetch_sub(rows, Ordering::AcqRel) <= rows {
            self.left.store(0, Ordering::Release);
            self.complete.notify_one();
        }
        Ok(())
    }

    fn printer(&self, schema: &SchemaRef) -> Box<dyn Printer> {
        let live = self.screen.results_size().filter(|_| self.is_live.load(Ordering::Acquire));
        match (self.output, live) {
            (Output::Table, Some(terminal)) => Box::new(live::Live::new(schema, terminal, self.screen.clone())),
            (Output::Table, None) => Box::new(table::Table::new(schema, self.screen.results_size())),
            (Output::Json, _) => Box::new(json::Json),
            (Output::Csv, _) => Box::new(csv::Csv::new()),
        }
    }

    /// Prints rows that were held back so that columns could be aligned. Called a few times a second; does nothing
    /// while rows are being printed. Does not wait: whoever reads stdout may be slow. What goes wrong is reported by
    /// whatever is printed next.
    pub fn tick(self: &Arc<Self>) {
        let results = self.clone();
        // The runtime waits for nothing at its end, so that a reader who never comes back holds nobody up.
        #[expect(clippy::disallowed_methods, reason = "nobody waits for it: it prints what it can, and ends")]
        drop(tokio::task::spawn_blocking(move || match results.printer.try_lock() {
            Ok(mut printer) => {
                results.flush(printer.as_mut()).and_then(|()| results.written(results.screen.show_held()))
            }
            Err(_) => Ok(()),
        }));
    }

    /// Prints all that is left, after the last row.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub async fn finish(self: &Arc<Self>) -> Result<()> {
        let results = self.clone();
        blocking(move || {
            let mut printer = results.lock();
            let mut text = String::new();
            if let Some(mut printer) = printer.take() {
                printer.close(&mut text);
            }
            results.write(&text)?;
            results.written(results.screen.finish_paging())
        })
        .await
    }

    /// Prints text that is a result by itself, as of `EXPLAIN`.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub fn print_text(&self, text: &str) -> Result<()> {
        self.write(text)
    }

    /// Whether rows were lost because nobody reads stdout any more, as behind `| head`. There is no sense in going on.
    pub fn reader_is_gone(&self) -> bool {
        self.reader_gone.load(Ordering::Acquire)
    }

    /// Waits until [`reader_is_gone`](Self::reader_is_gone).
    pub async fn until_reader_is_gone(&self) {
        let news = self.news.notified();
        if !self.reader_is_gone() {
            news.await;
        }
    }

    fn flush(&self, printer: Option<&mut Box<dyn Printer>>) -> Result<()> {
        let mut text = String::new();
        if let Some(printer) = printer {
            printer.flush(&mut text);
        }
        self.write(&text)
    }

    fn write(&self, text: &str) -> Result<()> {
        if self.broken.load(Ordering::Acquire) {
            return Err(Error::environment("results were lost because standard output could not be written"));
        }
        if text.is_empty() {
            return Ok(());
        }
        self.written(self.screen.write_results(text.as_bytes()))
    }

    fn written(&self, outcome: std::io::Result<()>) -> Result<()> {
        outcome.map_err(|error| {
            self.broken.store(true, Ordering::Release);
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                self.reader_gone.store(true, Ordering::Release);
                self.news.notify_one();
            }
            Error::environment("cannot write results to standard output").with_source(error)
        })
    }

    fn printed(&self) -> MutexGuard<'_, Epoch> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Printer>>> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connector `$result`.
pub struct ResultConnector(pub Arc<Results>);

#[async_trait::async_trait]
impl Connector for ResultConnector {
    fn name(&self) -> &'static str {
        RESULT_CONNECTOR
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_sink(&self, _table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let results = self.0.clone();
        Ok(if results.wait { Box::new(WaitingSink::default()) } else { Box::new(DirectSink(results)) })
    }

    async fn commit(&self, _table: &TableSpec, mut commit: Commit) -> Result<()> {
        // It may be that only the note of it could not be made.
        if commit.epoch <= *self.0.printed() {
            return Ok(());
        }
        while let Some(batch) = commit.staged.next().await? {
            let results = self.0.clone();
            let records = batch.into_appended()?;
            blocking(move || results.print(&records)).await?;
        }
        let results = self.0.clone();
        blocking(move || {
            results.flush(results.lock().as_mut())?;
            *results.printed() = commit.epoch;
            Ok(())
        })
        .await
    }
}

/// A sink whose rows are printed when they are committed.
#[derive(Default)]
struct WaitingSink(Vec<Batch>);

#[async_trait::async_trait]
impl Sink for WaitingSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        // A checkpoint with rows that cannot be printed could never be committed.
        self.0.push(Batch::append(batch.into_appended()?));
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.0)
    }
}

/// A sink that prints at once.
struct DirectSink(Arc<Results>);

#[async_trait::async_trait]
impl Sink for DirectSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        let (results, records) = (self.0.clone(), batch.into_appended()?);
        blocking(move || results.print(&records)).await
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        // A resume goes on behind this epoch: its rows have to be out.
        let results = self.0.clone();
        blocking(move || results.flush(results.lock().as_mut())).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
