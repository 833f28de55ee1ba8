//! Rows that operators keep, in columns: in batches as they came, which are immutable. Each row has a *slot*, a number under which
//! it is found wherever it lies, so batches can be made anew (small ones are put together, those with gaps are packed) without
//! anything else being told.

mod equal;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_empty_array, new_null_array};
use arrow::compute::{concat_batches, interleave, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use weir_core::Result;
use weir_core::views::gathered;

pub(crate) use self::equal::{equal_rows, identities};
use crate::batches::{approximate_bytes, compact, with_schema};

/// Number of a row that is kept.
pub(crate) type Slot = u32;

/// No row.
pub(crate) const NONE: Slot = Slot::MAX;

/// Smaller blocks are put together.
const SMALL_BLOCK: usize = 1024;

/// Where a row is: number of its block, row in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    block: u32,
    row: u32,
}

impl Place {
    const NOWHERE: Place = Place { block: u32::MAX, row: u32::MAX };
}

/// Index of a batch, row in the batch.
type InBatch = (usize, usize);

struct Block {
    records: RecordBatch,
    /// Slot of each row, [`NONE`] where it is gone. Copied when a row goes while a capture has them.
    slots: Arc<Vec<Slot>>,
    /// Made since the last capture, and in the list of those that were.
    is_recent: bool,
    rows: usize,
    /// Hashes of all columns, from when one of the rows is first looked for.
    identities: Option<Vec<u64>>,
    bytes: usize,
}

/// What was left of a block.
struct Taken {
    records: RecordBatch,
    slots: Vec<Slot>,
    is_recent: bool,
}

/// Batches, and the rows in them that count.
pub(crate) struct Blocks {
    schema: SchemaRef,
    blocks: Vec<Option<Block>>,
    /// Numbers without a block, to be used again.
    vacant: Vec<u32>,
    /// Small blocks, each less than half as long as the one before.
    small: Vec<u32>,
    /// By slot.
    places: Vec<Place>,
    bytes: usize,
    /// Numbers of the blocks that were made since the last capture, and of some that are gone by now; nothing if nobody asks.
    recent: Option<Vec<u32>>,
}

/// The blocks that were made between two captures of rows that came in between, as they were at the second. Other rows are in them too, as blocks
/// are put together.
pub(crate) struct Recent(Vec<(RecordBatch, Arc<Vec<Slot>>)>);

/// Rows as they were, in order.
pub(crate) struct Picked(Vec<Part>);

enum Part {
    /// All rows of a batch: nothing is copied.
    Whole(RecordBatch),
    Some {
        batches: Arc<[RecordBatch]>,
        rows: Vec<InBatch>,
    },
}

/// So many rows of several batches make a part; of recent blocks, so many or more.
const PART: usize = 8192;

impl Blocks {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: schema.clone(),
            blocks: Vec::new(),
            vacant: Vec::new(),
            small: Vec::new(),
            places: Vec::new(),
            bytes: 0,
            recent: None,
        }
    }

    /// The same, noting which blocks are [recent](Self::take_recent).
    pub(crate) fn noting_recent(self) -> Self {
        Self { recent: Some(Vec::new()), ..self }
    }

    /// Schema of the rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn clear(&mut self) {
        let recent = self.recent.take().map(|_| Vec::new());
        *self = Self { recent, ..Self::new(&self.schema) };
    }

    pub(crate) fn bytes(&self) -> usize {
        let recent = self.recent.as_ref().map_or(0, Vec::len) * size_of::<u32>();
        self.bytes + self.places.len() * size_of::<Place>() + recent
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.blocks.iter().flatten().count()
    }

    /// Rows in memory, whether they count or not.
    #[cfg(test)]
    pub(crate) fn rows_held(&self) -> usize {
        self.blocks.iter().flatten().map(|block| block.slots.len()).sum()
    }

    /// Whether there is a row in this slot.
    pub(crate) fn is_there(&self, slot: Slot) -> bool {
        self.places.get(slot as usize).is_some_and(|place| *place != Place::NOWHERE)
    }

    /// Adds rows, which get these slots.
    pub(crate) fn push(&mut self, records: &RecordBatch, slots: Vec<Slot>) -> Result<()> {
        let is_recent = self.recent.is_some();
        self.put(records, slots, is_recent)
    }

    /// Adds rows that a checkpoint holds.
    pub(crate) fn load(&mut self, records: &RecordBatch, slots: Vec<Slot>) -> Result<()> {
        self.put(records, slots, false)
    }

    fn put(&mut self, records: &RecordBatch, slots: Vec<Slot>, is_recent: bool) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        self.place(compact(records)?, slots, is_recent);
        self.merge_small()
    }

    /// Puts rows into a block of their own.
    fn place(&mut self, records: RecordBatch, slots: Vec<Slot>, is_recent: bool) {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.blocks.push(None);
            self.blocks.len() as u32 - 1
        });
        let greatest = slots.iter().max().map_or(0, |slot| *slot as usize + 1);
        if greatest > self.places.len() {
            self.places.resize(greatest, Place::NOWHERE);
        }
        for (row, slot) in (0..).zip(&slots) {
            self.places[*slot as usize] = Place { block: number, row };
        }
        let bytes = approximate_bytes(&records) + slots.len() * size_of::<Slot>();
        self.bytes += bytes;
        if slots.len() <= SMALL_BLOCK {
            self.small.push(number);
        }
        let rows = slots.len();
        let slots = Arc::new(slots);
        if is_recent {
            self.note_recent(number);
        }
        self.blocks[number as usize] = Some(Block { records, slots, is_recent, rows, identities: None, bytes });
    }

    /// The next capture asks for this block. Numbers of blocks that are gone are left out as they become many.
    fn note_recent(&mut self, number: u32) {
        let Some(recent) = &mut self.recent else { return };
        if recent.len() > 2 * self.blocks.len() + 64 {
            recent.retain(|number| self.blocks[*number as usize].as_ref().is_some_and(|block| block.is_recent));
            recent.sort_unstable();
            recent.dedup();
        }
        recent.push(number);
    }

    /// Puts small blocks together while they are of like size: each row is copied a logarithmic number
    /// of times.
    fn merge_small(&mut self) -> Result<()> {
        while let [.., before, last] = self.small[..] {
            if self.len(before) > 2 * self.len(last) {
                break;
            }
            self.small.truncate(self.small.len() - 2);
            let (before, last) = (self.take(before)?, self.take(last)?);
            let Some((mut first, second)) = before.zip(last) else { break };
            first.slots.extend(second.slots);
            if first.slots.is_empty() {
                continue;
            }
            let records = gathered(concat_batches(&self.schema, [&first.records, &second.records])?);
            self.place(records, first.slots, first.is_recent || second.is_recent);
        }
        Ok(())
    }

    fn len(&self, number: u32) -> usize {
        self.blocks[number as usize].as_ref().map_or(0, |block| block.slots.len())
    }

    /// The rows of a block that are still there, which has no such block any more.
    fn take(&mut self, number: u32) -> Result<Option<Taken>> {
        let Some(block) = self.blocks[number as usize].take() else { return Ok(None) };
        self.vacant.push(number);
        self.bytes -= block.bytes;
        if block.rows == block.slots.len() {
            let slots = Arc::unwrap_or_clone(block.slots);
            return Ok(Some(Taken { records: block.records, slots, is_recent: block.is_recent }));
        }
        let rows = (0_u32..).zip(&*block.slots).filter(|(_, slot)| **slot != NONE).map(|(row, _)| row);
        let records = match self.schema.fields().is_empty() {
            true => block.records.slice(0, block.rows),
            false => take_record_batch(&block.records, &UInt32Array::from_iter_values(rows))?,
        };
        let slots = block.slots.iter().copied().filter(|slot| *slot != NONE).collect();
        Ok(Some(Taken { records, slots, is_recent: block.is_recent }))
    }

    /// Removes the rows in these slots. Blocks that are more than half empty are packed.
    pub(crate) fn remove(&mut self, slots: &[Slot]) -> Result<()> {
        let mut sparse = Vec::new();
        for slot in slots {
            let place = std::mem::replace(&mut self.places[*slot as usize], Place::NOWHERE);
            let Some(block) = self.blocks[place.block as usize].as_mut() else { continue };
            Arc::make_mut(&mut block.slots)[place.row as usize] = NONE;
            block.rows -= 1;
            // Once each, at the row that makes it so.
            if block.rows == (block.slots.len() - 1) / 2 {
                sparse.push(place.block);
            }
        }
        for number in sparse {
            self.small.retain(|small| *small != number);
            if let Some(Taken { records, slots, is_recent }) = self.take(number)? {
                self.put(&records, slots, is_recent)?;
            }
        }
        Ok(())
    }

    /// Hash of all columns of a row.
    pub(crate) fn identity(&mut self, slot: Slot) -> Result<u64> {
        let place = self.places[slot as usize];
        let Some(block) = self.blocks[place.block as usize].as_mut() else { return Ok(0) };
        if block.identities.is_none() {
            block.identities = Some(identities(&block.records)?);
        }
        Ok(block.identities.as_ref().map_or(0, |identities| identities[place.row as usize]))
    }

    /// The batches that the rows in these slots are in, and which of their rows they are.
    fn find(&self, slots: impl Iterator<Item = Option<Slot>>) -> (Vec<&RecordBatch>, Vec<Option<InBatch>>) {
        let mut index = vec![usize::MAX; self.blocks.len()];
        let mut batches = Vec::new();
        let rows = slots.map(|slot| {
            let place = self.places[slot? as usize];
            let block = self.blocks.get(place.block as usize)?.as_ref()?;
            let index = &mut index[place.block as usize];
            if *index == usize::MAX {
                *index = batches.len();
                batches.push(&block.records);
            }
            Some((*index, place.row as usize))
        });
        let rows = rows.collect();
        (batches, rows)
    }

    /// The rows in these slots.
    pub(crate) fn gather(&self, slots: &[Slot]) -> Result<RecordBatch> {
        let (batches, rows) = self.find(slots.iter().map(|slot| Some(*slot)));
        let rows: Vec<_> = rows.into_iter().flatten().collect();
        match batches[..] {
            [] => Ok(RecordBatch::new_empty(self.schema.clone())),
            _ => interleaved(&batches, &rows),
        }
    }

    /// Some columns of the rows in these slots.
    pub(crate) fn gather_columns(&self, slots: &[Slot], columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let (batches, rows) = self.find(slots.iter().map(|slot| Some(*slot)));
        let rows: Vec<_> = rows.into_iter().flatten().collect();
        let gathered = columns.iter().map(|column| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| &**batch.column(*column)).collect();
            match arrays[..] {
                [] => Ok(new_empty_array(self.schema.field(*column).data_type())),
                _ => Ok(interleave(&arrays, &rows)?),
            }
        });
        gathered.collect()
    }

    /// The columns of the rows in these slots, null where there is none.
    pub(crate) fn gather_or_null(&self, slots: &[Option<Slot>]) -> Result<Vec<ArrayRef>> {
        let (batches, rows) = self.find(slots.iter().copied());
        let rows: Vec<_> = rows.into_iter().map(|row| row.unwrap_or((batches.len(), 0))).collect();
        let columns = self.schema.fields().iter().enumerate().map(|(column, field)| {
            let null = new_null_array(field.data_type(), 1);
            let arrays = batches.iter().map(|batch| &**batch.column(column)).chain([&*null]);
            Ok(interleave(&arrays.collect::<Vec<&dyn Array>>(), &rows)?)
        });
        columns.collect()
    }

    /// The rows in these slots as they are now, whatever becomes of them.
    pub(crate) fn pick(&self, slots: &[Slot]) -> Picked {
        let mut parts = Vec::new();
        // Slots of rows that are picked one by one: a stretch of them, and all that came before.
        let (mut single, mut first, mut position) = (Vec::new(), 0, 0);
        while position < slots.len() {
            match self.whole(&slots[position..]) {
                Some(block) => {
                    single.extend_from_slice(&slots[first..position]);
                    self.pick_single(&mut single, &mut parts);
                    parts.push(Part::Whole(block.records.clone()));
                    position += block.slots.len();
                    first = position;
                }
                None => position += 1,
            }
        }
        single.extend_from_slice(&slots[first..]);
        self.pick_single(&mut single, &mut parts);
        Picked(parts)
    }

    /// The blocks that were made since this was asked last.
    pub(crate) fn take_recent(&mut self) -> Recent {
        let numbers = self.recent.as_mut().map(std::mem::take).unwrap_or_default();
        let recent = numbers.into_iter().filter_map(|number| {
            let block = self.blocks[number as usize].as_mut()?;
            std::mem::take(&mut block.is_recent).then(|| (block.records.clone(), block.slots.clone()))
        });
        Recent(recent.collect())
    }

    /// The block that has just the first of these rows, in this order.
    fn whole(&self, slots: &[Slot]) -> Option<&Block> {
        let place = self.places[*slots.first()? as usize];
        if place.row != 0 {
            return None;
        }
        let block = self.blocks.get(place.block as usize)?.as_ref()?;
        slots.starts_with(&block.slots[..]).then_some(block)
    }

    fn pick_single(&self, slots: &mut Vec<Slot>, parts: &mut Vec<Part>) {
        let slots = std::mem::take(slots);
        if slots.is_empty() {
            return;
        }
        let (batches, rows) = self.find(slots.iter().map(|slot| Some(*slot)));
        let batches: Arc<[RecordBatch]> = batches.into_iter().cloned().collect();
        let rows: Vec<InBatch> = rows.into_iter().flatten().collect();
        parts.extend(rows.chunks(PART).map(|rows| Part::Some { batches: batches.clone(), rows: rows.to_vec() }));
    }
}

/// These rows of batches, of which there is one. Rows without columns are only counted.
fn interleaved(batches: &[&RecordBatch], rows: &[InBatch]) -> Result<RecordBatch> {
    let schema = batches[0].schema();
    match schema.fields().is_empty() {
        true => with_schema(&schema, Vec::new(), rows.len()),
        false => Ok(interleave_record_batch(batches, rows)?),
    }
}

impl Recent {
    /// The columns of the `wanted` ones among the rows, in batches, each with the slots of its rows.
    ///
    /// # Errors
    /// None that rows of the schema can cause.
    pub(crate) fn rows(&self, wanted: impl Fn(Slot) -> bool) -> Result<Vec<(Vec<ArrayRef>, Vec<Slot>)>> {
        let mut found = Vec::new();
        let (mut batches, mut rows, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        for (records, of_batch) in &self.0 {
            let is_wanted = |slot: Slot| slot != NONE && wanted(slot);
            if of_batch.iter().all(|slot| is_wanted(*slot)) {
                found.push((records.columns().to_vec(), of_batch.to_vec()));
                continue;
            }
            let before = rows.len();
            for (row, slot) in of_batch.iter().enumerate().filter(|(_, slot)| is_wanted(**slot)) {
                rows.push((batches.len(), row));
                slots.push(*slot);
            }
            if rows.len() > before {
                batches.push(records);
            }
            if rows.len() >= PART {
                found.push((interleaved(&batches, &rows)?.columns().to_vec(), std::mem::take(&mut slots)));
                (batches, rows) = (Vec::new(), Vec::new());
            }
        }
        if !rows.is_empty() {
            found.push((interleaved(&batches, &rows)?.columns().to_vec(), slots));
        }
        Ok(found)
    }
}

impl Picked {
    /// The columns of the rows, in batches, each with its number of rows.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Result<(Vec<ArrayRef>, usize)>> + '_ {
        self.0.iter().map(|part| match part {
            Part::Whole(records) => Ok((records.columns().to_vec(), records.num_rows())),
            Part::Some { batches, rows } => {
                let batches: Vec<&RecordBatch> = batches.iter().collect();
                Ok((interleaved(&batches, rows)?.columns().to_vec(), rows.len()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::testing::{rows, schema, text};

    #[test]
    fn rows_are_picked_in_order_whether_they_are_all_of_a_block_or_some() {
        let columns = schema("id BIGINT");
        let mut blocks = Blocks::new(&columns);
        let mut push = |slots: std::ops::Range<u32>| {
            let lines: Vec<String> = slots.clone().map(|slot| slot.to_string()).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            blocks.push(&rows(&columns, &lines), slots.collect()).unwrap();
        };
        [0..10, 10..14, 14..15].into_iter().for_each(&mut push);
        assert_eq!(blocks.count(), 3);
        let picked = |blocks: &Blocks, slots: &[Slot]| {
            let batches = blocks.pick(slots);
            let batches = batches.batches().map(|batch| {
                let (found, count) = batch.unwrap();
                assert_eq!(found[0].len(), count);
                text(&RecordBatch::try_new(columns.clone(), found).unwrap()).join(" ")
            });
            batches.collect::<Vec<_>>()
        };
        let all: Vec<Slot> = (0..15).collect();
        assert_eq!(picked(&blocks, &all), ["0 1 2 3 4 5 6 7 8 9", "10 11 12 13", "14"]);
        assert_eq!(picked(&blocks, &[10, 11, 12, 0, 13, 14]), ["10 11 12 0 13", "14"]);
        blocks.remove(&[3]).unwrap();
        let left: Vec<Slot> = all.iter().copied().filter(|slot| *slot != 3).collect();
        assert_eq!(picked(&blocks, &left), ["0 1 2 4 5 6 7 8 9", "10 11 12 13", "14"]);
        assert!(picked(&blocks, &[]).is_empty());
    }

    #[test]
    fn recent_blocks_hold_what_came_since_they_were_taken() {
        let columns = schema("id BIGINT");
        let mut blocks = Blocks::new(&columns).noting_recent();
        let push = |blocks: &mut Blocks, slots: std::ops::Range<u32>| {
            let lines: Vec<String> = slots.clone().map(|slot| slot.to_string()).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            blocks.push(&rows(&columns, &lines), slots.collect()).unwrap();
        };
        let all = |recent: &Recent, wanted: fn(Slot) -> bool| {
            let mut found: Vec<Slot> = Vec::new();
            for (values, slots) in recent.rows(wanted).unwrap() {
                let lines = text(&RecordBatch::try_new(columns.clone(), values).unwrap());
                assert_eq!(lines, slots.iter().map(Slot::to_string).collect::<Vec<_>>());
                found.extend(slots);
            }
            found.sort_unstable();
            found
        };
        push(&mut blocks, 0..2000);
        push(&mut blocks, 2000..2003);
        let first = blocks.take_recent();
        push(&mut blocks, 2003..2005);
        blocks.remove(&[1, 2004]).unwrap();
        let second = blocks.take_recent();
        assert_eq!(all(&first, |_| true), (0..2003).collect::<Vec<_>>(), "whatever has gone since");
        assert_eq!(all(&second, |slot| slot >= 2003), [2003], "put together with those before");
        assert!(all(&blocks.take_recent(), |_| true).is_empty());
        // More than half of them goes, and the rest is packed.
        blocks.remove(&(2..1500).collect::<Vec<_>>()).unwrap();
        assert!(all(&blocks.take_recent(), |_| true).is_empty(), "nothing in it is new");
        push(&mut blocks, 2005..4005);
        blocks.remove(&(2006..4000).collect::<Vec<_>>()).unwrap();
        assert_eq!(all(&blocks.take_recent(), |_| true), [2005, 4000, 4001, 4002, 4003, 4004]);
        let loaded = rows(&columns, &["5000"]);
        blocks.load(&loaded, vec![5000]).unwrap();
        assert!(!all(&blocks.take_recent(), |slot| slot == 5000).contains(&5000), "a checkpoint holds it");
        assert_eq!(all(&first, |slot| slot % 1000 == 0), [0, 1000, 2000]);
    }
}
