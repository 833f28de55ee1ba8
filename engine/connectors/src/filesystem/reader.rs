//! The blocking side of the source: reads splits one after the other and hands over rows.
//!
//! It runs on a thread of its own, owned by the `FileSource` at the other end of a short
//! channel. When that is dropped, the next hand-over fails and the thread ends.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use tokio::sync::mpsc::Sender;
use weir_core::connector::Rejected;
use weir_core::{Error, Result};

use super::layout::Layout;
use super::lines::{Piece, Range, RecordEnds, RecordReader, line_number};
use super::listing::FileInfo;
use super::options::{Format, SourceOptions};
use super::place::Place;
use super::seen::{OpenFile, Seen};
use super::split::FileRange;
use super::store::FileStore;
use crate::formats::decode::columnar::{Columnar, ColumnarRange};
use crate::formats::decode::csv::{CsvDialect, CsvRecords, QuotedLines, header};
use crate::formats::decode::json::JsonRecords;
use crate::formats::decode::options::BadRecordPolicy;
use crate::formats::decode::{Decoded, RecordDecoder, RecordFormat};

/// What the reader hands over.
pub(super) enum Step {
    /// Rows of a split, and where it goes on behind them.
    Rows { split: Arc<str>, records: RecordBatch, rejected: Vec<Rejected>, place: Place },
    /// A split is at its end.
    Finished { split: Arc<str> },
}

/// A split, and where to go on in it.
pub(super) struct Assigned {
    pub(super) split: FileRange,
    pub(super) name: Arc<str>,
    /// What was seen of the file.
    pub(super) seen: Seen,
    /// `None`: at the beginning.
    pub(super) place: Option<Place>,
}

/// What all splits of a table have in common.
pub(super) struct Reading {
    pub(super) options: SourceOptions,
    pub(super) layout: Layout,
    pub(super) files: Arc<dyn FileStore>,
    pub(super) batch_rows: usize,
}

/// Nobody wants the rows any more.
struct Abandoned;

/// Why reading a split ended early.
enum Stop {
    Abandoned,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<Abandoned> for Stop {
    fn from(_: Abandoned) -> Self {
        Stop::Abandoned
    }
}

/// Reads `splits` one after the other.
///
/// # Errors
/// Of the first split that cannot be read.
pub(super) fn read(reading: &Reading, splits: Vec<Assigned>, output: &Sender<Step>) -> Result<()> {
    let output = Output(output);
    for assigned in splits {
        match read_split(reading, assigned, &output) {
            Ok(()) => {}
            Err(Stop::Abandoned) => return Ok(()),
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

fn read_split(reading: &Reading, assigned: Assigned, output: &Output<'_>) -> Result<(), Stop> {
    let opened = OpenFile::open(&*reading.files, &assigned.split.path, assigned.split.size, assigned.seen)?;
    let shown = FileInfo {
        path: assigned.split.path.to_string(),
        size: assigned.split.size,
        modified: assigned.seen.modified,
        identity: Default::default(),
    };
    let part = Part { assigned: &assigned, opened: &opened, shown: &shown };
    let read = match &reading.options.format {
        Format::Json { .. } | Format::Csv(_) => read_text(reading, part, output),
        Format::Parquet => read_columnar(reading, part, Columnar::Parquet, output),
        Format::Arrow => read_columnar(reading, part, Columnar::Arrow, output),
    };
    match (read, opened.check()) {
        (Err(Stop::Abandoned), _) => return Err(Stop::Abandoned),
        // What is wrong with the content of a file that was changed does not matter.
        (Err(Stop::Failed(error)), Err(changed)) if error.to_string() != changed.to_string() => {
            return Err(changed.with_source(error).into());
        }
        (read, unchanged) => {
            read?;
            unchanged?;
        }
    }
    Ok(output.send(Step::Finished { split: assigned.name })?)
}

/// A split that is being read.
#[derive(Clone, Copy)]
struct Part<'a> {
    assigned: &'a Assigned,
    opened: &'a OpenFile<'a>,
    /// What metadata columns say of its file.
    shown: &'a FileInfo,
}

impl Part<'_> {
    /// Hands rows over, unless the file was changed while they were read.
    fn send(&self, output: &Output<'_>, rows: RecordBatch, rejected: Vec<Rejected>, place: Place) -> Result<(), Stop> {
        self.opened.check()?;
        Ok(output.send(Step::Rows { split: self.assigned.name.clone(), records: rows, rejected, place })?)
    }
}

struct Output<'a>(&'a Sender<Step>);

impl Output<'_> {
    fn send(&self, step: Step) -> Result<(), Abandoned> {
        self.0.blocking_send(step).map_err(|_| Abandoned)
    }
}

/// The range of a text file.
fn range<'a>(reading: &Reading, part: Part<'a>) -> Range<'a> {
    let Part { assigned, opened, shown } = part;
    Range {
        path: &assigned.split.path,
        file: opened.file(),
        size: assigned.split.size,
        compression: reading.options.compression(shown.name()),
        start: assigned.place.map_or(assigned.split.start, |place| place.offset),
        aligned: assigned.place.is_some(),
        tail: assigned.place.and_then(|place| place.tail),
        end: assigned.split.end,
        max_record_size: reading.options.max_record_size,
    }
}

/// What stands before the first record of a file.
struct Preamble {
    /// Names of the columns, if the file says them.
    header: Option<Vec<String>>,
    /// Offset of the first record.
    end: u64,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file's byte order mark and header.
fn preamble(reading: &Reading, part: Part<'_>) -> Result<Preamble> {
    let assigned = part.assigned;
    let dialect = match &reading.options.format {
        Format::Csv(dialect) if dialect.header => Some(dialect),
        _ if assigned.split.start > 0 || assigned.place.is_some() => return Ok(Preamble { header: None, end: 0 }),
        _ => None,
    };
    let path = &assigned.split.path;
    let whole = Range { start: 0, aligned: true, tail: None, end: None, ..range(reading, part) };
    let mut reader = RecordReader::open(&whole, ends(dialect))?;
    let mut first = true;
    loop {
        match reader.next()? {
            Piece::End => return Ok(Preamble { header: None, end: reader.offset() }),
            Piece::TooLong { .. } if dialect.is_none() => return Ok(Preamble { header: None, end: 0 }),
            Piece::TooLong { .. } => {
                return Err(Error::data(format!("{path}: the header is longer than 'max-record-size' allows")));
            }
            Piece::Records => {}
        }
        if std::mem::take(&mut first) && reader.records().starts_with(BYTE_ORDER_MARK) {
            reader.take(BYTE_ORDER_MARK.len());
        }
        let Some(dialect) = dialect else { return Ok(Preamble { header: None, end: reader.offset() }) };
        while !reader.records().is_empty() {
            let length = match dialect.multiline {
                true => QuotedLines::new(dialect).first_end(reader.records()),
                false => memchr::memchr(b'\n', reader.records()).map(|end| end + 1),
            };
            let record = &reader.records()[..length.unwrap_or(reader.records().len())];
            let length = record.len();
            let text = std::str::from_utf8(record)
                .map_err(|error| Error::data(format!("{path}: the header is not valid UTF-8")).with_source(error))?
                .trim_end_matches(['\r', '\n']);
            let is_comment = dialect.comments && text.starts_with('#');
            let names = (!text.is_empty() && !is_comment)
                .then(|| header(text, dialect))
                .transpose()
                .map_err(|reason| Error::data(format!("{path}, line 1: in the header, {reason}")))?;
            reader.take(length);
            if names.is_some() {
                return Ok(Preamble { header: names, end: reader.offset() });
            }
        }
    }
}

fn ends(dialect: Option<&CsvDialect>) -> RecordEnds {
    match dialect {
        Some(dialect) if dialect.multiline => RecordEnds::Quoted(QuotedLines::new(dialect)),
        _ => RecordEnds::Lines,
    }
}

fn read_text(reading: &Reading, part: Part<'_>, output: &Output<'_>) -> Result<(), Stop> {
    let path: Arc<str> = part.assigned.split.path.clone();
    let Reading { options, layout, batch_rows, files: _ } = reading;
    let preamble = preamble(reading, part)?;
    let fields = layout.file_fields().to_vec();
    let (format, dialect) = match &options.format {
        Format::Csv(dialect) if dialect.header && preamble.header.is_none() => return Ok(()),
        Format::Csv(dialect) => {
            let columns = preamble.header.as_deref().unwrap_or_else(|| layout.declared());
            let records = CsvRecords::new(dialect.clone(), columns, &fields)
                .map_err(|error| error.context(format!("cannot read {path}")))?;
            (RecordFormat::Csv(records), Some(dialect))
        }
        Format::Json { fail_on_missing_field, lenient } => {
            (RecordFormat::Json(JsonRecords::new(&fields, *fail_on_missing_field, *lenient)), None)
        }
        _ => return Err(Error::internal("a columnar file is read as text").into()),
    };
    let mut range = range(reading, part);
    if range.start < preamble.end {
        range.start = preamble.end;
        range.tail = None;
        range.aligned = true;
    }
    let mut reader = RecordReader::open(&range, ends(dialect))?;
    let mut decoder = RecordDecoder::new(format, fields, options.max_record_size, layout.wants_offsets())?;
    let stop_at_bad = options.policy == BadRecordPolicy::Fail;
    let flush = |decoder: &mut RecordDecoder, place: Place, output: &Output<'_>| -> Result<(), Stop> {
        let decoded = decoder.finish()?;
        let rejected = decoded.bad.iter().map(|bad| Rejected {
            origin: path.clone(),
            offset: bad.offset,
            raw: bad.raw.clone(),
            reason: bad.reason.clone(),
        });
        let rejected = rejected.collect();
        let records = assemble(layout, part.shown, decoded)?;
        part.send(output, records, rejected, place)
    };
    loop {
        match reader.next()? {
            Piece::End => break,
            Piece::TooLong { offset, raw } => decoder.reject_too_long(offset, raw),
            Piece::Records => {
                let taken = decoder.push(reader.records(), reader.offset(), *batch_rows, stop_at_bad);
                reader.take(taken);
            }
        }
        if let (true, Some(bad)) = (stop_at_bad, decoder.bad().first()) {
            let line = line_number(&range, bad.offset);
            let line = line.map(|line| format!("line {line}, ")).unwrap_or_default();
            let error = Error::data(format!("{path}, {line}byte {}: {}", bad.offset, bad.reason));
            return Err(error
                .with_help("'error-policy' = 'skip' passes over such records, 'dead-letter' keeps them")
                .into());
        }
        if decoder.records() >= *batch_rows || decoder.bad().len() >= *batch_rows {
            flush(&mut decoder, reader.place(), output)?;
        }
    }
    if decoder.records() > 0 || !decoder.bad().is_empty() {
        flush(&mut decoder, reader.place(), output)?;
    }
    Ok(())
}

fn read_columnar(reading: &Reading, part: Part<'_>, format: Columnar, output: &Output<'_>) -> Result<(), Stop> {
    let FileRange { path, start, end, .. } = &part.assigned.split;
    // They are read from their end, which is another one of a file that has grown.
    part.opened.check_size()?;
    let range = ColumnarRange {
        path,
        file: part.opened.file(),
        start: *start,
        end: *end,
        skip_rows: part.assigned.place.map_or(0, |place| place.offset),
        batch_rows: reading.batch_rows,
    };
    let mut place = range.skip_rows;
    let mut batches = format.open(&range, reading.layout.file_fields())?;
    while let Some((columns, rows)) = batches.next()? {
        place += rows as u64;
        let decoded = Decoded { columns, rows, offsets: None, bad: Vec::new() };
        let records = assemble(&reading.layout, part.shown, decoded)?;
        part.send(output, records, Vec::new(), Place { offset: place, tail: None })?;
    }
    Ok(())
}

/// Puts the columns of the file and those that describe it in the order of the table.
fn assemble(layout: &Layout, file: &FileInfo, decoded: Decoded) -> Result<RecordBatch> {
    let rows = decoded.rows;
    let columns: Vec<ArrayRef> = layout.arrange(file, &decoded)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(layout.schema(), columns, &options)?)
}
