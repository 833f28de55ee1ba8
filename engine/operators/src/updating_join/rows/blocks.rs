//! The columns of a side's rows, in batches as they came, and where the row of each slot is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{concat_batches, interleave, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use weir_core::Result;
use weir_core::views::gathered;

use super::equal::identities;
use super::{NONE, Slot};
use crate::batches::{approximate_bytes, compact};

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
    /// Slot of each row, [`NONE`] where it is gone.
    slots: Vec<Slot>,
    rows: usize,
    /// Hashes of all columns, from when one of the rows is first looked for.
    identities: Option<Vec<u64>>,
    bytes: usize,
}

/// Batches, and the rows in them that count.
pub(super) struct Blocks {
    schema: SchemaRef,
    blocks: Vec<Option<Block>>,
    /// Numbers without a block, to be used again.
    vacant: Vec<u32>,
    /// Small blocks, each less than half as long as the one before.
    small: Vec<u32>,
    /// By slot.
    places: Vec<Place>,
    bytes: usize,
}

/// Rows of several batches, which do not change any more.
pub(super) struct Picked {
    batches: Vec<RecordBatch>,
    rows: Vec<InBatch>,
}

impl Blocks {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: schema.clone(),
            blocks: Vec::new(),
            vacant: Vec::new(),
            small: Vec::new(),
            places: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(&self.schema);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.places.len() * size_of::<Place>()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.blocks.iter().flatten().count()
    }

    /// Rows in memory, whether they count or not.
    #[cfg(test)]
    pub(super) fn rows_held(&self) -> usize {
        self.blocks.iter().flatten().map(|block| block.slots.len()).sum()
    }

    /// Whether there is a row in this slot.
    pub(super) fn is_there(&self, slot: Slot) -> bool {
        self.places.get(slot as usize).is_some_and(|place| *place != Place::NOWHERE)
    }

    /// Adds rows, which get these slots.
    pub(super) fn push(&mut self, records: &RecordBatch, slots: Vec<Slot>) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        self.place(compact(records)?, slots);
        self.merge_small()
    }

    /// Puts rows into a block of their own.
    fn place(&mut self, records: RecordBatch, slots: Vec<Slot>) {
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
        self.blocks[number as usize] = Some(Block { records, slots, rows, identities: None, bytes });
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
            let Some(((first, mut slots), (second, more))) = before.zip(last) else { break };
            slots.extend(more);
            if slots.is_empty() {
                continue;
            }
            self.place(gathered(concat_batches(&self.schema, [&first, &second])?), slots);
        }
        Ok(())
    }

    fn len(&self, number: u32) -> usize {
        self.blocks[number as usize].as_ref().map_or(0, |block| block.slots.len())
    }

    /// The rows of a block that are still there, which has no such block any more.
    fn take(&mut self, number: u32) -> Result<Option<(RecordBatch, Vec<Slot>)>> {
        let Some(block) = self.blocks[number as usize].take() else { return Ok(None) };
        self.vacant.push(number);
        self.bytes -= block.bytes;
        if block.rows == block.slots.len() {
            return Ok(Some((block.records, block.slots)));
        }
        let rows = (0_u32..).zip(&block.slots).filter(|(_, slot)| **slot != NONE).map(|(row, _)| row);
        let records = take_record_batch(&block.records, &UInt32Array::from_iter_values(rows))?;
        Ok(Some((records, block.slots.into_iter().filter(|slot| *slot != NONE).collect())))
    }

    /// Removes the rows in these slots. Blocks that are more than half empty are packed.
    pub(super) fn remove(&mut self, slots: &[Slot]) -> Result<()> {
        let mut sparse = Vec::new();
        for slot in slots {
            let place = std::mem::replace(&mut self.places[*slot as usize], Place::NOWHERE);
            let Some(block) = self.blocks[place.block as usize].as_mut() else { continue };
            block.slots[place.row as usize] = NONE;
            block.rows -= 1;
            // Once each, at the row that makes it so.
            if block.rows == (block.slots.len() - 1) / 2 {
                sparse.push(place.block);
            }
        }
        for number in sparse {
            self.small.retain(|small| *small != number);
            if let Some((records, slots)) = self.take(number)? {
                self.push(&records, slots)?;
            }
        }
        Ok(())
    }

    /// Hash of all columns of a row.
    pub(super) fn identity(&mut self, slot: Slot) -> Result<u64> {
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
    pub(super) fn gather(&self, slots: &[Slot]) -> Result<RecordBatch> {
        let (batches, rows) = self.find(slots.iter().map(|slot| Some(*slot)));
        let rows: Vec<_> = rows.into_iter().flatten().collect();
        match batches[..] {
            [] => Ok(RecordBatch::new_empty(self.schema.clone())),
            _ => Ok(interleave_record_batch(&batches, &rows)?),
        }
    }

    /// The columns of the rows in these slots, null where there is none.
    pub(super) fn gather_or_null(&self, slots: &[Option<Slot>]) -> Result<Vec<ArrayRef>> {
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
    pub(super) fn pick(&self, slots: &[Slot]) -> Picked {
        let (batches, rows) = self.find(slots.iter().map(|slot| Some(*slot)));
        Picked { batches: batches.into_iter().cloned().collect(), rows: rows.into_iter().flatten().collect() }
    }
}

impl Picked {
    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Columns of the rows of a range.
    pub(super) fn columns(&self, rows: std::ops::Range<usize>) -> Result<Vec<ArrayRef>> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        Ok(interleave_record_batch(&batches, &self.rows[rows])?.columns().iter().map(Arc::clone).collect())
    }
}
