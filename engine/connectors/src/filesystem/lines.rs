//! Whole records out of a range of a text file.
//!
//! A range owns the records that *begin* in it: it starts behind the first line break at or after the byte before its
//! start, and reads past its end until the record is complete that began before it. So ranges of any size together
//! give each record once. Memory is bounded by the longest record that is allowed plus a block.

use std::io::Read;
use std::sync::Arc;

use weir_core::Result;

use super::options::{Compression, file_error, unpacking_error};
use super::place::{Place, Tail};
use super::seen::changed;
use crate::formats::decode::RAW_LIMIT;
use crate::formats::decode::csv::QuotedLines;
use crate::stored_file::{FileCursor, StoredFile};

const BLOCK: usize = 1 << 20;

/// How the end of a record is found.
pub(super) enum RecordEnds {
    /// Every line break ends one.
    Lines,
    /// Line breaks in quotes do not. The range has to begin with a record.
    Quoted(QuotedLines),
}

impl RecordEnds {
    fn last(&mut self, fresh: &[u8]) -> Option<usize> {
        match self {
            RecordEnds::Lines => memchr::memrchr(b'\n', fresh).map(|end| end + 1),
            RecordEnds::Quoted(quoted) => quoted.last_end(fresh),
        }
    }

    fn first(&mut self, fresh: &[u8]) -> Option<usize> {
        match self {
            RecordEnds::Lines => memchr::memchr(b'\n', fresh).map(|end| end + 1),
            RecordEnds::Quoted(quoted) => quoted.first_end(fresh),
        }
    }
}

/// What comes next in a range.
pub(super) enum Piece {
    /// [`RecordReader::records`] has whole records.
    Records,
    /// A record is too long and was passed over.
    TooLong {
        /// Where it begins.
        offset: u64,
        /// Its beginning.
        raw: Vec<u8>,
    },
    /// The range is at its end.
    End,
}

/// Which records of which file.
pub(super) struct Range<'a> {
    pub(super) path: &'a str,
    /// Open; where it stands does not matter.
    pub(super) file: &'a Arc<dyn StoredFile>,
    /// Size of the file when it was seen; what was appended since is not read.
    pub(super) size: u64,
    pub(super) compression: Compression,
    /// Offset in the decompressed file where reading begins.
    pub(super) start: u64,
    /// Whether `start` is known to be the beginning of a record.
    pub(super) aligned: bool,
    /// What stood before `start` when reading had come there.
    pub(super) tail: Option<Tail>,
    /// Records that begin here or later belong to others.
    pub(super) end: Option<u64>,
    pub(super) max_record_size: usize,
}

/// Reads the records of a range.
pub(super) struct RecordReader {
    path: String,
    input: Box<dyn Read + Send>,
    ends: RecordEnds,
    end: u64,
    compression: Compression,
    /// Where the file ends, if that is known before it has been read.
    size: Option<u64>,
    max_record_size: usize,
    buffer: Vec<u8>,
    /// Offset of `buffer[0]` in the file.
    base: u64,
    /// What of the buffer has been taken.
    taken: usize,
    /// Up to where the buffer holds whole records.
    whole: usize,
    /// Up to where the buffer has been searched for ends.
    searched: usize,
    at_end: bool,
}

impl RecordReader {
    /// # Errors
    /// If the file cannot be opened, or is shorter than `start`.
    pub(super) fn open(range: &Range<'_>, ends: RecordEnds) -> Result<Self> {
        // The byte before tells whether a record begins at `start`.
        let from = if range.aligned || range.start == 0 { range.start } else { range.start - 1 };
        if let (Some(end), Compression::None) = (range.end, range.compression) {
            range.file.end_near(end);
        }
        let mut reader = Self {
            path: range.path.to_owned(),
            input: open_at(range, from)?,
            ends,
            end: range.end.unwrap_or(u64::MAX),
            compression: range.compression,
            size: (range.compression == Compression::None).then_some(range.size),
            max_record_size: range.max_record_size,
            buffer: Vec::new(),
            base: from,
            taken: 0,
            whole: 0,
            searched: 0,
            at_end: false,
        };
        if from < range.start {
            reader.pass_record(&mut Vec::new())?;
        }
        Ok(reader)
    }

    /// Offset of the next record.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.taken as u64
    }

    /// Whole records that have not been taken.
    pub(super) fn records(&self) -> &[u8] {
        &self.buffer[self.taken..self.whole]
    }

    /// Where to go on, behind what has been taken.
    pub(super) fn place(&self) -> Place {
        Place { offset: self.offset(), tail: Tail::of(&self.buffer[..self.taken]) }
    }

    /// Takes the first `bytes` of [`RecordReader::records`].
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Reads on. To be called when all records have been taken.
    ///
    /// # Errors
    /// If the file cannot be read, or its compression is damaged.
    pub(super) fn next(&mut self) -> Result<Piece> {
        loop {
            if self.offset() >= self.end {
                return Ok(Piece::End);
            }
            self.search();
            if self.whole > self.taken {
                return Ok(Piece::Records);
            }
            if self.buffer.len() - self.taken > self.max_record_size {
                let offset = self.offset();
                let raw = &self.buffer[self.taken..self.searched];
                let mut raw = raw[..raw.len().min(RAW_LIMIT)].to_vec();
                self.pass_record(&mut raw)?;
                return Ok(Piece::TooLong { offset, raw });
            }
            if self.at_end {
                if self.buffer.len() == self.taken {
                    return Ok(Piece::End);
                }
                // The last line of a file need not end with a line break.
                self.whole = self.buffer.len();
                return Ok(Piece::Records);
            }
            self.fill()?;
        }
    }

    /// Finds whole records in what has been read since the last search.
    fn search(&mut self) {
        // Records that begin before the range's end: all ends up to it count, and the first one behind it if the last
        // one before it is not at the very end.
        let inside = usize::try_from(self.end - self.base).unwrap_or(usize::MAX).min(self.buffer.len());
        if self.searched < inside {
            if let Some(end) = self.ends.last(&self.buffer[self.searched..inside]) {
                self.whole = self.searched + end;
            }
            self.searched = inside;
        }
        if self.searched >= inside && self.base + (self.whole as u64) < self.end && inside < self.buffer.len() {
            match self.ends.first(&self.buffer[self.searched..]) {
                Some(end) => {
                    self.whole = self.searched + end;
                    self.searched = self.whole;
                }
                None => self.searched = self.buffer.len(),
            }
        }
    }

    /// Passes over the rest of the record at hand, without keeping it. Its beginning is completed in `raw`.
    fn pass_record(&mut self, raw: &mut Vec<u8>) -> Result<()> {
        // What has been searched has no end of this record in it.
        let mut from = self.searched.max(self.taken);
        loop {
            let end = self.ends.first(&self.buffer[from..]).map(|end| from + end);
            let passed = &self.buffer[from..end.unwrap_or(self.buffer.len())];
            let room = RAW_LIMIT.saturating_sub(raw.len());
            raw.extend_from_slice(&passed[..passed.len().min(room)]);
            self.taken = end.unwrap_or(self.buffer.len());
            self.whole = self.taken;
            self.searched = self.taken;
            if end.is_some() || self.at_end {
                return Ok(());
            }
            self.fill()?;
            from = self.taken;
        }
    }

    /// Appends a block to the buffer, and frees what has been taken.
    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.taken);
        self.base += self.taken as u64;
        self.whole -= self.taken;
        self.searched -= self.taken;
        self.taken = 0;
        // Behind the range's end only the rest of one record is wanted.
        let left = self.end.saturating_sub(self.base + self.buffer.len() as u64);
        let wanted = usize::try_from(left.max(8 << 10)).unwrap_or(BLOCK).min(BLOCK);
        let read = (&mut self.input)
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|error| unpacking_error(&self.path, self.compression, self.base, error))?;
        self.at_end = read == 0;
        let reached = self.base + self.buffer.len() as u64;
        match self.size {
            Some(size) if self.at_end && reached < size => {
                Err(changed(&self.path, size, &format!("it was cut off, and has {reached} bytes")))
            }
            _ => Ok(()),
        }
    }
}

fn open_at(range: &Range<'_>, from: u64) -> Result<Box<dyn Read + Send>> {
    let Some(tail) = range.tail else { return begin_at(range, from) };
    let mut input = begin_at(range, from.saturating_sub(tail.length))?;
    let mut before = Vec::new();
    let read = (&mut input).take(tail.length).read_to_end(&mut before);
    read.map_err(|error| file_error(range.path, "cannot read this file", error))?;
    if Tail::of(&before) == Some(tail) {
        return Ok(input);
    }
    Err(changed(
        range.path,
        range.size,
        &format!("what was read last of it, before byte {from}, is not there any more"),
    ))
}

fn begin_at(range: &Range<'_>, from: u64) -> Result<Box<dyn Read + Send>> {
    let fail = |error| file_error(range.path, "cannot read this file", error);
    let file = FileCursor::new(range.file.clone()).map_err(fail)?;
    if range.compression == Compression::None {
        return Ok(Box::new(file.at(from).take(range.size.saturating_sub(from))));
    }
    let file = std::io::BufReader::with_capacity(BLOCK / 4, file.take(range.size));
    let mut input: Box<dyn Read + Send> = match range.compression {
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(file).map_err(fail)?),
        _ => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
    };
    // There is no way into the middle of a compressed file but through its beginning.
    let passed = std::io::copy(&mut (&mut input).take(from), &mut std::io::sink())
        .map_err(|error| unpacking_error(range.path, range.compression, 0, error))?;
    if passed < from {
        return Err(changed(range.path, range.size, "unpacked it is shorter than it was"));
    }
    Ok(input)
}

/// The number of the line, from 1, that begins at `offset`. For messages; reads the file up to there.
pub(super) fn line_number(range: &Range<'_>, offset: u64) -> Option<u64> {
    let mut input = begin_at(range, 0).ok()?.take(offset);
    let mut block = vec![0; 64 << 10];
    let mut lines = 1;
    loop {
        match input.read(&mut block) {
            Ok(0) => return Some(lines),
            Ok(read) => lines += memchr::memchr_iter(b'\n', &block[..read]).count() as u64,
            Err(_) => return None,
        }
    }
}
