//! A source of numbers, and a sink that writes a file for each epoch.
//!
//! - `numbers`: ten splits of twelve rows; `broken`: the same, of which one panics
//! - `steady`: three splits, slowly; what its configuration says goes wrong in one of them
//! - `files`: into the folder that its configuration names; what the other lines say goes wrong in a commit; `refusing`: takes no epoch

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Int64Type;
use weir_core::plugin::{
    LastEpoch, PluginCommit, PluginRead, PluginReader, PluginSink, PluginSource, PluginSplit, PluginSplits,
    TableRequest,
};
use weir_core::{Error, EventTime, Result};

use crate::columns::table_columns;
use crate::fault::Risk;

pub fn source(request: &TableRequest) -> Result<Box<dyn PluginSource>> {
    match request.table.as_str() {
        "numbers" | "broken" => Ok(Box::new(Numbers { is_broken: request.table == "broken" })),
        "steady" => Ok(Box::new(Steady(text(&request.config)?.parse()?))),
        other => Err(Error::user(format!("there is no source `{other}`")).with_help("read `numbers`")),
    }
}

struct Numbers {
    is_broken: bool,
}

impl PluginSource for Numbers {
    fn splits(&mut self) -> Result<PluginSplits> {
        let split = |number: i64| PluginSplit { name: number.to_string(), begin: None };
        Ok(PluginSplits { splits: (0..10).map(split).collect(), again_after: None })
    }

    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>> {
        let number = |text: &str| text.parse::<i64>().map_err(|_| Error::data(format!("{text} is no number")));
        let (split, next) = (number(split)?, position.map_or(Ok(0), number)?);
        Ok(Box::new(Counter { split, next, is_broken: self.is_broken }))
    }
}

/// Rows of each split of a [`Steady`].
const STEADY: i64 = 300;

/// What goes wrong.
struct Steady(Risk);

impl PluginSource for Steady {
    fn splits(&mut self) -> Result<PluginSplits> {
        let split = |number: i64| PluginSplit { name: number.to_string(), begin: None };
        Ok(PluginSplits { splits: (0..3).map(split).collect(), again_after: None })
    }

    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>> {
        let number = |text: &str| text.parse::<i64>().map_err(|_| Error::data(format!("{text} is no number")));
        let (split, next) = (number(split)?, position.map_or(Ok(0), number)?);
        let risk = if split == 1 { self.0.clone() } else { Risk::default() };
        Ok(Box::new(Ticker { split, next, risk }))
    }
}

struct Ticker {
    split: i64,
    next: i64,
    risk: Risk,
}

impl PluginReader for Ticker {
    fn read(&mut self, most: usize) -> Result<PluginRead> {
        if self.next > STEADY / 2 {
            self.risk.happen()?;
        }
        // So that there are checkpoints meanwhile.
        #[expect(clippy::disallowed_methods, reason = "sources may block")]
        std::thread::sleep(Duration::from_millis(10));
        let until = STEADY.min(self.next + (most as i64).min(2));
        let records = rows((self.next..until).map(|n| self.split * 1000 + n))?;
        self.next = until;
        Ok(PluginRead { records: Some(records), position: until.to_string(), time: None, is_end: until == STEADY })
    }
}

/// Rows with these numbers.
fn rows(numbers: impl Iterator<Item = i64>) -> Result<RecordBatch> {
    let numbers: Vec<i64> = numbers.collect();
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter(numbers.iter().map(|n| Some(format!("number {n}")))));
    Ok(RecordBatch::try_new(table_columns(), vec![Arc::new(Int64Array::from(numbers)), texts])?)
}

fn text(config: &[u8]) -> Result<&str> {
    str::from_utf8(config).map_err(|_| Error::user("the configuration is no text"))
}

struct Counter {
    split: i64,
    next: i64,
    is_broken: bool,
}

thread_local! {
    /// Something with a destructor, which is in this file.
    static LEFT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl PluginReader for Counter {
    fn read(&mut self, most: usize) -> Result<PluginRead> {
        assert!(!(self.is_broken && self.split == 7), "a split that cannot be read");
        LEFT.with(|left| left.borrow_mut().push(self.split.to_string()));
        let until = 12.min(self.next + most as i64);
        let records = rows((self.next..until).map(|n| self.split * 100 + n))?;
        self.next = until;
        let (position, time) = (self.next.to_string(), Some(EventTime(self.next)));
        Ok(PluginRead { records: Some(records), position, time, is_end: self.next == 12 })
    }
}

pub fn sink(request: &TableRequest) -> Result<Box<dyn PluginSink>> {
    let config = text(&request.config)?;
    let (folder, risk) = config.split_once('\n').unwrap_or((config, ""));
    let (folder, risk) = (PathBuf::from(folder), risk.parse()?);
    match request.table.as_str() {
        "files" => Ok(Box::new(Files { folder, risk, refuses: false })),
        "refusing" => Ok(Box::new(Files { folder, risk, refuses: true })),
        other => Err(Error::user(format!("there is no sink `{other}`"))),
    }
}

struct Files {
    folder: PathBuf,
    risk: Risk,
    refuses: bool,
}

fn failed(error: std::io::Error) -> Error {
    Error::environment("a file cannot be written").with_source(error)
}

impl PluginSink for Files {
    fn commit(&mut self, commit: &PluginCommit, rows: &mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Result<()> {
        if self.refuses {
            return Err(Error::environment("not now").with_help("later"));
        }
        let mut text = String::new();
        while let Some(batch) = rows()? {
            batch.column(0).as_primitive::<Int64Type>().values().iter().for_each(|n| text.push_str(&format!("{n}\n")));
        }
        self.risk.happen()?;
        // The same file, whoever writes it last.
        let other = tempfile_in(&self.folder);
        std::fs::write(&other, text).map_err(failed)?;
        std::fs::rename(&other, self.folder.join(format!("{}.{}", commit.writer, commit.epoch))).map_err(failed)
    }

    fn last_epoch(&mut self, writer: &str) -> Result<LastEpoch> {
        let names =
            self.folder.read_dir().map_err(failed)?.flatten().filter_map(|file| file.file_name().into_string().ok());
        let epochs = names.filter_map(|name| name.strip_prefix(writer)?.strip_prefix('.')?.parse().ok());
        Ok(epochs.max().map_or(LastEpoch::None, LastEpoch::Is))
    }
}

/// A name that no other commit has.
fn tempfile_in(folder: &std::path::Path) -> PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    folder.join(format!(".{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)))
}
