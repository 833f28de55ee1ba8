//! A source of numbers, and a sink that writes a file for each epoch.
//!
//! - `numbers`: ten splits of twelve rows; `broken`: the same, of which one panics
//! - `files`: into the folder that its configuration names; `refusing`: takes no epoch

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use weir_core::plugin::{
    LastEpoch, PluginCommit, PluginRead, PluginReader, PluginSink, PluginSource, PluginSplit, PluginSplits,
    TableRequest,
};
use weir_core::{Error, EventTime, Result};

/// The columns of all of them.
pub fn table_columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("v", DataType::Utf8View, true)]))
}

pub fn source(request: &TableRequest) -> Result<Box<dyn PluginSource>> {
    match request.table.as_str() {
        "numbers" | "broken" => Ok(Box::new(Numbers { is_broken: request.table == "broken" })),
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
        let numbers: Vec<i64> = (self.next..until).map(|n| self.split * 100 + n).collect();
        self.next = until;
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(numbers.iter().map(|n| Some(format!("number {n}")))));
        let records = RecordBatch::try_new(table_columns(), vec![Arc::new(Int64Array::from(numbers)), texts])?;
        let (position, time) = (self.next.to_string(), Some(EventTime(self.next)));
        Ok(PluginRead { records: Some(records), position, time, is_end: self.next == 12 })
    }
}

pub fn sink(request: &TableRequest) -> Result<Box<dyn PluginSink>> {
    let folder = PathBuf::from(String::from_utf8_lossy(&request.config).into_owned());
    match request.table.as_str() {
        "files" => Ok(Box::new(Files { folder, refuses: false })),
        "refusing" => Ok(Box::new(Files { folder, refuses: true })),
        other => Err(Error::user(format!("there is no sink `{other}`"))),
    }
}

struct Files {
    folder: PathBuf,
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
