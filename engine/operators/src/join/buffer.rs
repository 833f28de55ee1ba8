//! Rows that wait for partners: whole batches in order of arrival, and an index by key hash that is made only where it
//! pays.
//!
//! Rows are never copied and never removed one by one, unless their key is evicted: then the blocks that a checkpoint holds
//! are made again without them. A block of rows leaves when its last row has expired. The index maps a hash to its youngest row, and each row to the next older one of the same hash, so a chain that arrives at a
//! block that is gone is at its end. A block that only few rows ever look into (the million bids that meet one highest
//! price) is searched, 64-bit word by word, and never indexed at all.

use std::cell::Cell;
use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, concat_batches, filter, filter_record_batch, interleave, max, min, not, take};
use hashbrown::HashTable;
use weir_core::views::gathered;
use weir_core::{Error, Result};

use super::Keys;
use crate::batches::{approximate_bytes, compact, event_times};

/// A block is indexed before more rows than this look into it: about where building the index costs what they do.
const SEARCHES_BEFORE_INDEX: usize = 32;
/// What it costs to look into a block, in units of what it costs to find that its times are others.
const LOOK: usize = 64;
/// Smaller blocks are put together, while they are young.
const SMALL_BLOCK: usize = 1024;
/// Blocks are put together up to so many rows.
const MOST_TOGETHER: usize = 8192;
/// Where few rows come at a time, a small block stays young until so many, for each of its own, have looked into it: blocks that are
/// indexed are not put together any more, and there would be ever more of them.
const SEARCHES_WHILE_YOUNG: usize = 64;

/// Place of a row: number of its block, row in the block. Younger rows are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowRef(u64);

impl RowRef {
    const NONE: RowRef = RowRef(u64::MAX);

    fn new(block: u32, row: usize) -> Self {
        Self(u64::from(block) << 32 | row as u64)
    }

    fn block(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn row(self) -> usize {
        self.0 as u32 as usize
    }
}

/// Flags that can be set through a shared reference, all false.
pub(crate) fn flags(rows: usize) -> Vec<Cell<bool>> {
    vec![Cell::new(false); rows]
}

/// Rows that arrived together.
pub(crate) struct Block {
    pub(crate) records: RecordBatch,
    pub(crate) hashes: UInt64Array,
    /// Rows without a null in their key; `None`: all.
    pub(crate) valid: Option<NullBuffer>,
    /// Which rows have been matched; empty where nobody asks.
    pub(crate) matched: Vec<Cell<bool>>,
    /// Numbers that, with the hash, name a row in the state; only where matches are kept there.
    pub(crate) sequences: Option<Int64Array>,
    pub(crate) least_time: i64,
    pub(crate) greatest_time: i64,
    captured: bool,
    /// What looking into it, and passing it by, has cost so far: in units of passing it by.
    searches: usize,
    /// For each row the next older one of its hash; empty until the block is indexed.
    older: Vec<RowRef>,
    bytes: usize,
}

/// The waiting rows of one side.
pub(crate) struct Buffer {
    time: usize,
    blocks: VecDeque<Block>,
    /// Number of the first block.
    first: u32,
    /// Blocks from this number on are not in the index.
    indexed: u32,
    youngest: HashTable<(u64, RowRef)>,
    /// Rows that left, but not the index.
    gone: usize,
    /// So many more calls of `expire` until blocks are looked for that have expired behind others: looking costs as much as there are
    /// blocks, so it is done once in as many calls.
    looks_in: usize,
    rows: usize,
    bytes: usize,
}

impl Block {
    pub(crate) fn new(records: RecordBatch, keys: Keys, time: usize) -> Result<Self> {
        let records = compact(&records)?;
        let times = event_times(records.column(time))?;
        let (least_time, greatest_time) = (min(times).unwrap_or(i64::MAX), max(times).unwrap_or(i64::MIN));
        let bytes = approximate_bytes(&records) + 16 * records.num_rows();
        Ok(Self {
            records,
            hashes: keys.hashes,
            valid: keys.valid,
            matched: Vec::new(),
            sequences: None,
            least_time,
            greatest_time,
            captured: false,
            searches: 0,
            older: Vec::new(),
            bytes,
        })
    }

    /// A block of rows that are stored already.
    pub(crate) fn stored(mut self) -> Self {
        self.captured = true;
        self
    }

    /// Whether its rows are stored.
    pub(crate) fn is_stored(&self) -> bool {
        self.captured
    }

    fn rows(&self) -> usize {
        self.records.num_rows()
    }

    /// The rows of a block that stay.
    fn filtered(&self, stays: &BooleanArray, time: usize) -> Result<Block> {
        let kept = || stays.values().set_indices();
        let keys = Keys {
            hashes: filter(&self.hashes, stays)?.as_primitive().clone(),
            valid: self.valid.as_ref().map(|valid| kept().map(|row| valid.is_valid(row)).collect()),
        };
        let mut block = Block::new(filter_record_batch(&self.records, stays)?, keys, time)?;
        if !self.matched.is_empty() {
            block.matched = kept().map(|row| self.matched[row].clone()).collect();
        }
        if let Some(sequences) = &self.sequences {
            block.sequences = Some(filter(sequences, stays)?.as_primitive().clone());
        }
        block.captured = self.captured;
        Ok(block)
    }

    /// All rows of some blocks, of which none is indexed, in order.
    fn concat(blocks: &[&Block]) -> Result<Block> {
        let first = blocks.first().ok_or_else(|| Error::internal("no blocks are no block: they have no schema"))?;
        let valid = blocks.iter().any(|block| block.valid.is_some()).then(|| {
            let valid = blocks.iter().map(|block| match &block.valid {
                Some(valid) => valid.clone(),
                None => NullBuffer::new_valid(block.rows()),
            });
            valid.flat_map(|valid| valid.iter().collect::<Vec<_>>()).collect()
        });
        let sequences: Option<Vec<&dyn Array>> =
            blocks.iter().map(|block| block.sequences.as_ref().map(|numbers| numbers as &dyn Array)).collect();
        let sequences = sequences.map(|sequences| concat(&sequences)).transpose()?;
        let hashes: Vec<&dyn Array> = blocks.iter().map(|block| &block.hashes as &dyn Array).collect();
        let records = concat_batches(first.records.schema_ref(), blocks.iter().map(|block| &block.records))?;
        Ok(Block {
            records: gathered(records),
            hashes: concat(&hashes)?.as_primitive().clone(),
            valid,
            matched: blocks.iter().flat_map(|block| &block.matched).cloned().collect(),
            sequences: sequences.map(|sequences| sequences.as_primitive().clone()),
            least_time: blocks.iter().map(|block| block.least_time).fold(i64::MAX, i64::min),
            greatest_time: blocks.iter().map(|block| block.greatest_time).fold(i64::MIN, i64::max),
            captured: blocks.iter().all(|block| block.captured),
            searches: blocks.iter().map(|block| block.searches).fold(0, usize::max),
            older: Vec::new(),
            bytes: blocks.iter().map(|block| block.bytes).sum(),
        })
    }
}

/// How many rows look into a block.
pub(crate) enum Looks {
    /// So many, into each.
    All(usize),
    /// Those that want partners of its times: the first and the last time of the partner of each, in order.
    Within { firsts: Vec<i64>, lasts: Vec<i64> },
}

impl Looks {
    /// Of rows that want partners of these times.
    pub(crate) fn within(rows: usize, times: impl Fn(usize) -> (i64, i64)) -> Self {
        let (mut firsts, mut lasts): (Vec<_>, Vec<_>) = (0..rows).map(times).unzip();
        firsts.sort_unstable();
        lasts.sort_unstable();
        Looks::Within { firsts, lasts }
    }

    fn at(&self, block: &Block) -> usize {
        match self {
            Looks::All(rows) => *rows,
            Looks::Within { firsts, lasts } => {
                let begin = firsts.partition_point(|first| *first <= block.greatest_time);
                begin.saturating_sub(lasts.partition_point(|last| *last < block.least_time))
            }
        }
    }
}

impl Buffer {
    /// An empty buffer of rows whose time is in column `time`.
    pub(crate) fn new(time: usize) -> Self {
        Self {
            time,
            blocks: VecDeque::new(),
            first: 0,
            indexed: 0,
            youngest: HashTable::new(),
            gone: 0,
            looks_in: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// A buffer of these blocks, of which none is indexed; small ones are put together.
    pub(crate) fn of(time: usize, blocks: Vec<Block>) -> Result<Self> {
        let mut buffer = Self::new(time);
        let (mut small, mut rows): (Vec<&Block>, usize) = (Vec::new(), 0);
        let mut whole = Vec::new();
        for block in &blocks {
            if rows + block.rows() > MOST_TOGETHER && !small.is_empty() {
                whole.push(Block::concat(&std::mem::take(&mut small))?);
                rows = 0;
            }
            rows += block.rows();
            small.push(block);
        }
        if !small.is_empty() {
            whole.push(Block::concat(&small)?);
        }
        buffer.blocks = whole.into();
        buffer.renumber(i64::MIN);
        Ok(buffer)
    }

    /// The blocks.
    pub(crate) fn into_blocks(self) -> impl Iterator<Item = Block> {
        self.blocks.into_iter()
    }

    /// Takes out all blocks with rows whose time is `until` or earlier: first those rows, then the others. No row is without a time.
    pub(crate) fn take_until(&mut self, until: i64) -> Result<(Vec<Block>, Vec<Block>)> {
        let (mut taken, mut others, mut kept) = (Vec::new(), Vec::new(), VecDeque::new());
        for block in std::mem::take(&mut self.blocks) {
            if block.least_time > until {
                kept.push_back(block);
            } else if block.greatest_time <= until {
                taken.push(block);
            } else {
                let times = event_times(block.records.column(self.time))?.values();
                let within = |is_within: bool| -> BooleanArray {
                    times.iter().map(|time| Some((*time <= until) == is_within)).collect()
                };
                taken.push(block.filtered(&within(true), self.time)?);
                others.push(block.filtered(&within(false), self.time)?);
            }
        }
        self.blocks = kept;
        self.renumber(i64::MIN);
        Ok((taken, others))
    }

    /// The least time of all rows.
    pub(crate) fn least_time(&self) -> i64 {
        self.blocks.iter().map(|block| block.least_time).fold(i64::MAX, i64::min)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.youngest.capacity() * size_of::<(u64, RowRef)>()
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Adds rows.
    pub(crate) fn push(&mut self, block: Block) -> Result<()> {
        if block.rows() == 0 {
            return Ok(());
        }
        if self.first.checked_add(self.blocks.len() as u32 + 1).is_none() {
            self.renumber(i64::MIN);
        }
        self.rows += block.rows();
        self.bytes += block.bytes;
        self.blocks.push_back(block);
        self.merge_small()
    }

    /// Puts the youngest blocks together while they are small, of like size, and neither captured nor indexed: each
    /// row is copied a logarithmic number of times.
    fn merge_small(&mut self) -> Result<()> {
        while let Some([before, last]) =
            self.blocks.len().checked_sub(2).map(|at| [&self.blocks[at], &self.blocks[at + 1]])
        {
            let young = |block: &Block| !block.captured && block.older.is_empty();
            if before.rows() > SMALL_BLOCK || before.rows() > 2 * last.rows() || !young(before) || !young(last) {
                break;
            }
            let merged = Block::concat(&[before, last])?;
            self.blocks.truncate(self.blocks.len() - 2);
            self.blocks.push_back(merged);
        }
        Ok(())
    }

    /// Gets ready for a search: blocks that many rows look into are indexed, and those in front of them.
    pub(crate) fn prepare(&mut self, looks: &Looks) {
        let start = (self.indexed - self.first) as usize;
        let mut end = start;
        let mut may_index = true;
        for place in start..self.blocks.len() {
            let grows = self.blocks.get(place + 1).is_none_or(|next| !next.captured);
            let block = &mut self.blocks[place];
            let rows = looks.at(block);
            block.searches += (rows * LOOK).max(1);
            let young = grows && rows <= SEARCHES_BEFORE_INDEX && !block.captured && block.rows() <= SMALL_BLOCK;
            let few = if young { SEARCHES_WHILE_YOUNG * block.rows() } else { 0 };
            if block.searches > few.max(SEARCHES_BEFORE_INDEX) * LOOK {
                end = if may_index { place + 1 } else { end };
            } else if young {
                may_index = false;
            }
        }
        (start..end).for_each(|place| self.index(place));
        self.indexed = self.first + end as u32;
    }

    fn index(&mut self, place: usize) {
        let number = self.first + place as u32;
        let block = &mut self.blocks[place];
        self.youngest.reserve(block.rows(), |entry| entry.0);
        block.older.reserve_exact(block.rows());
        for (row, hash) in block.hashes.values().iter().enumerate() {
            let here = RowRef::new(number, row);
            if block.valid.as_ref().is_some_and(|valid| valid.is_null(row)) {
                block.older.push(RowRef::NONE);
                continue;
            }
            match self.youngest.entry(*hash, |entry| entry.0 == *hash, |entry| entry.0) {
                hashbrown::hash_table::Entry::Occupied(mut entry) => {
                    block.older.push(std::mem::replace(&mut entry.get_mut().1, here));
                }
                hashbrown::hash_table::Entry::Vacant(entry) => {
                    entry.insert((*hash, here));
                    block.older.push(RowRef::NONE);
                }
            }
        }
    }

    /// Hands every row with this key hash and a time within `times` to `found`.
    pub(crate) fn candidates(
        &self,
        hash: u64,
        times: (i64, i64),
        found: &mut impl FnMut(RowRef) -> Result<()>,
    ) -> Result<()> {
        let overlaps = |block: &Block| block.least_time <= times.1 && block.greatest_time >= times.0;
        let within = |block: &Block, row: usize| {
            (block.least_time >= times.0 && block.greatest_time <= times.1)
                || event_times(block.records.column(self.time))
                    .is_ok_and(|column| (times.0..=times.1).contains(&column.value(row)))
        };
        if let Some((_, youngest)) = self.youngest.find(hash, |entry| entry.0 == hash) {
            let mut next = *youngest;
            while next != RowRef::NONE && next.block() >= self.first {
                let block = &self.blocks[(next.block() - self.first) as usize];
                if within(block, next.row()) {
                    found(next)?;
                }
                next = block.older[next.row()];
            }
        }
        let start = (self.indexed - self.first) as usize;
        for (number, block) in (self.indexed..).zip(self.blocks.range(start..)) {
            if !overlaps(block) {
                continue;
            }
            for (chunk, hashes) in block.hashes.values().chunks(32).enumerate() {
                // A loop without exits, for the compiler to make vector instructions of.
                if !hashes.iter().fold(false, |hit, other| hit | (*other == hash)) {
                    continue;
                }
                for (offset, _) in hashes.iter().enumerate().filter(|(_, other)| **other == hash) {
                    let row = chunk * 32 + offset;
                    if block.valid.as_ref().is_none_or(|valid| valid.is_valid(row)) && within(block, row) {
                        found(RowRef::new(number, row))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn block(&self, row: RowRef) -> &Block {
        &self.blocks[(row.block() - self.first) as usize]
    }

    /// Marks a row as matched and says whether that is news. Nothing to do where matches are not tracked.
    pub(crate) fn mark(&self, row: RowRef) -> bool {
        self.block(row).matched.get(row.row()).is_some_and(|matched| !matched.replace(true))
    }

    /// Hash, sequence and time of a row whose block has sequences.
    pub(crate) fn identity(&self, row: RowRef) -> Result<(u64, i64, i64)> {
        let block = self.block(row);
        let sequences =
            block.sequences.as_ref().ok_or_else(|| Error::internal("a join tracks matches of rows without a name"))?;
        let time = event_times(block.records.column(self.time))?.value(row.row());
        Ok((block.hashes.value(row.row()), sequences.value(row.row()), time))
    }

    /// These columns of the rows, in the order of the rows.
    pub(crate) fn gather(&self, rows: &[RowRef], columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let (least, greatest) = rows
            .iter()
            .fold((u32::MAX, 0), |(least, greatest), row| (least.min(row.block()), greatest.max(row.block())));
        if least == greatest {
            let records = &self.block(rows[0]).records;
            let rows = UInt32Array::from_iter_values(rows.iter().map(|row| row.row() as u32));
            let column = |column: &usize| Ok(take(records.column(*column), &rows, None)?);
            return columns.iter().map(column).collect();
        }
        let mut place = vec![usize::MAX; (greatest + 1).saturating_sub(least) as usize];
        let mut batches = Vec::new();
        let indices: Vec<(usize, usize)> = rows
            .iter()
            .map(|row| {
                let place = &mut place[(row.block() - least) as usize];
                if *place == usize::MAX {
                    *place = batches.len();
                    batches.push(&self.block(*row).records);
                }
                (*place, row.row())
            })
            .collect();
        let column = |column: &usize| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|records| &**records.column(*column)).collect();
            Ok(interleave(&arrays, &indices)?)
        };
        columns.iter().map(column).collect()
    }

    /// Lets go of blocks whose every time is `expired` or earlier.
    pub(crate) fn expire(&mut self, expired: i64) {
        while self.blocks.front().is_some_and(|block| block.greatest_time <= expired) {
            let Some(block) = self.blocks.pop_front() else { break };
            self.rows -= block.rows();
            self.bytes -= block.bytes;
            self.gone += block.rows();
            self.first += 1;
        }
        self.indexed = self.indexed.max(self.first);
        // A row far in the future must not hold those behind it for ever, nor hashes of the past stay in the index.
        self.looks_in = self.looks_in.saturating_sub(1);
        let stuck: usize = if self.looks_in == 0 {
            self.looks_in = self.blocks.len();
            self.blocks.iter().filter(|block| block.greatest_time <= expired).map(Block::rows).sum()
        } else {
            0
        };
        if stuck + self.gone > self.rows - stuck {
            self.renumber(expired);
        }
    }

    /// Starts the index afresh, over the blocks that have not expired.
    fn renumber(&mut self, expired: i64) {
        self.blocks.retain(|block| block.greatest_time > expired);
        self.rows = self.blocks.iter().map(Block::rows).sum();
        self.bytes = self.blocks.iter().map(|block| block.bytes).sum();
        self.blocks.iter_mut().for_each(|block| block.older = Vec::new());
        self.youngest.clear();
        (self.first, self.indexed, self.gone) = (0, 0, 0);
    }

    /// Lets go of the rows of a block that `leaving` picks, and returns the least of their times. They are all in blocks that a
    /// checkpoint holds.
    pub(crate) fn evict(&mut self, leaving: &dyn Fn(&Block) -> Result<BooleanArray>) -> Result<i64> {
        let mut least = i64::MAX;
        let mut kept: VecDeque<Block> = VecDeque::with_capacity(self.blocks.len());
        for block in std::mem::take(&mut self.blocks) {
            let stays = not(&leaving(&block)?)?;
            let block = if stays.true_count() == stays.len() {
                block
            } else {
                if !block.captured {
                    return Err(Error::internal("a row was to leave before it is stored"));
                }
                let times = event_times(block.records.column(self.time))?.values();
                let leaving = stays.values().iter().zip(times).filter(|(stays, _)| !stays);
                least = leaving.map(|(_, time)| *time).fold(least, i64::min);
                block.filtered(&stays, self.time)?
            };
            match kept.back_mut() {
                _ if block.rows() == 0 => {}
                // What is loaded comes in small blocks.
                Some(before) if before.captured && block.captured && before.rows() < SMALL_BLOCK => {
                    *before = Block::concat(&[&*before, &block])?;
                }
                _ => kept.push_back(block),
            }
        }
        self.blocks = kept;
        self.renumber(i64::MIN);
        Ok(least)
    }

    /// Blocks that no checkpoint holds; afterwards all are held. Batches are shared, not copied.
    pub(crate) fn capture(&mut self) -> Vec<(RecordBatch, UInt64Array, Option<Int64Array>)> {
        let fresh = self.blocks.iter_mut().filter(|block| !block.captured);
        fresh
            .map(|block| {
                block.captured = true;
                (block.records.clone(), block.hashes.clone(), block.sequences.clone())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
