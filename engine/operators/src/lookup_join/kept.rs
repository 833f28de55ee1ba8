//! What was found for each row that may be taken back.
//!
//! Rows of the input may be equal and have found different things, so each is kept by itself. Of several equal ones the last is taken back
//! first. In the state a row is named by its key hash and a number, and what it has found is numbered from 0; a row that has found nothing
//! is there once, with the number -1.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt64Array, new_null_array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use weir_core::{Capture, Distribution, Error, Result, StateRows, TableSchema, state_column};

use crate::batches::with_schema;
use crate::join::{LEFT, RIGHT};
use crate::top_n::{Columns, Encoded};

/// A row of the table, as bytes.
pub(super) type Taken = Arc<[u8]>;

/// State rows that are made at a time.
const BATCH: usize = 8192;
/// Bytes around a row that is kept, roughly.
const AROUND: usize = 96;
/// Number of what a row has found that has found nothing.
const NOTHING: i64 = -1;

/// A row of the input, and what it has found.
struct Row {
    number: i64,
    found: Arc<[Taken]>,
}

/// Equal rows of the input, in the order of their numbers.
struct Equal {
    hash: u64,
    rows: Vec<Row>,
    /// How many of them a checkpoint holds: the first ones, as the last is taken back first.
    stored: usize,
}

/// A row that no checkpoint holds.
struct Put {
    row: Arc<[u8]>,
    hash: u64,
    number: i64,
    found: Arc<[Taken]>,
}

/// A row's name in the state, and how much it has found.
struct Gone {
    hash: u64,
    number: i64,
    found: usize,
}

/// The rows of the input that are there.
pub(super) struct Kept {
    sides: [Arc<Columns>; 2],
    schemas: [SchemaRef; 2],
    state: TableSchema,
    nulls: Taken,
    rows: HashMap<Arc<[u8]>, Equal, FixedState>,
    next: i64,
    bytes: usize,
    // Since the last capture.
    /// Rows that a checkpoint does not hold all equal ones of.
    fresh: HashSet<Arc<[u8]>, FixedState>,
    gone: Vec<Gone>,
}

impl Kept {
    pub(super) fn new(input: &SchemaRef, table: &SchemaRef) -> Result<Self> {
        let columns = |schema: &SchemaRef| {
            let all: Vec<usize> = (0..schema.fields().len()).collect();
            let options = vec![Default::default(); all.len()];
            Columns::new(all, options, schema, false).map(Arc::new)
        };
        let sides = [columns(input)?, columns(table)?];
        let nulls: Vec<ArrayRef> = table.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
        let nulls = sides[RIGHT].encode_columns(&nulls)?.row(0).into();
        let names = ["row$number", "row$found"].map(|name| Field::new(name, DataType::Int64, false));
        let values = [input, table].into_iter().flat_map(|schema| schema.fields().iter());
        let values = values.map(|field| field.as_ref().clone().with_nullable(true));
        let state = TableSchema {
            name: "rows".to_owned(),
            version: 1,
            schema: state_column::numbered_schema(&Schema::new(names.into_iter().chain(values).collect::<Vec<_>>())),
            key_columns: 2,
            time_column: None,
            distribution: Distribution::Keyed,
        };
        Ok(Self {
            sides,
            schemas: [input.clone(), table.clone()],
            state,
            nulls,
            rows: HashMap::default(),
            next: 0,
            bytes: 0,
            fresh: HashSet::default(),
            gone: Vec::new(),
        })
    }

    pub(super) fn table(&self) -> TableSchema {
        self.state.clone()
    }

    /// What stands beside a row that has found nothing.
    pub(super) fn nulls(&self) -> Taken {
        self.nulls.clone()
    }

    /// Rows of a side as bytes.
    pub(super) fn encode(&self, side: usize, records: &RecordBatch) -> Result<Encoded> {
        self.sides[side].encode(records)
    }

    /// The columns of rows of a side.
    pub(super) fn decode<'a>(&self, side: usize, rows: impl Iterator<Item = &'a Taken>) -> Result<Vec<ArrayRef>> {
        self.sides[side].decode(rows)
    }

    /// A row has come, and found this, which is returned.
    pub(super) fn add(&mut self, row: &[u8], hash: u64, found: Arc<[Taken]>) -> Arc<[Taken]> {
        let number = self.next;
        self.next += 1;
        self.bytes += bytes_of(row, &found);
        let (key, equal) = equal(&mut self.rows, row, hash);
        if equal.rows.len() == equal.stored {
            self.fresh.insert(key.clone());
        }
        equal.rows.push(Row { number, found: found.clone() });
        found
    }

    /// A row is taken back. Returns what it had found.
    ///
    /// # Errors
    /// An internal error if it has not come.
    pub(super) fn take_back(&mut self, row: &[u8]) -> Result<Arc<[Taken]>> {
        let absent = || Error::internal("a row was taken back that had not come, or not with the same values");
        let equal = self.rows.get_mut(row).ok_or_else(absent)?;
        let Row { number, found } = equal.rows.pop().ok_or_else(absent)?;
        let left = equal.rows.len();
        if left < equal.stored {
            equal.stored = left;
            self.gone.push(Gone { hash: equal.hash, number, found: found.len() });
        } else if left == equal.stored {
            self.fresh.remove(row);
        }
        if left == 0 {
            self.rows.remove(row);
        }
        self.bytes = self.bytes.saturating_sub(bytes_of(row, &found));
        Ok(found)
    }

    /// Rows as a checkpoint holds them. What one row has found comes in any order, and perhaps in several calls. A number alone is no name:
    /// other subtasks have given it to rows of theirs.
    pub(super) fn load(&mut self, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let numbers = |column: usize| rows.column(column).as_primitive::<Int64Type>();
        let (number, found) = (numbers(0), numbers(1));
        let width = self.schemas[LEFT].fields().len();
        let left = self.sides[LEFT].encode_columns(&rows.columns()[2..2 + width])?;
        let right = self.sides[RIGHT].encode_columns(&rows.columns()[2 + width..])?;
        let mut order: Vec<usize> = (0..rows.num_rows()).collect();
        order.sort_by_key(|row| (hashes.value(*row), number.value(*row), found.value(*row)));
        for of_row in order.chunk_by(|one, other| {
            number.value(*one) == number.value(*other) && hashes.value(*one) == hashes.value(*other)
        }) {
            let (first, last) = (of_row[0], of_row[of_row.len() - 1]);
            let found = match found.value(last) {
                NOTHING => Arc::from([]),
                _ => of_row.iter().map(|row| Taken::from(right.row(*row))).collect::<Arc<[Taken]>>(),
            };
            let number = number.value(first);
            self.next = self.next.max(number + 1);
            self.load_row(left.row(first), hashes.value(first), Row { number, found });
        }
        Ok(())
    }

    fn load_row(&mut self, row: &[u8], hash: u64, loaded: Row) {
        self.bytes += bytes_of(row, &loaded.found);
        let (_, equal) = equal(&mut self.rows, row, hash);
        match equal.rows.binary_search_by_key(&loaded.number, |row| row.number) {
            Ok(place) => {
                let before = &mut equal.rows[place].found;
                self.bytes = self.bytes.saturating_sub(row.len() + AROUND);
                *before = before.iter().chain(&*loaded.found).cloned().collect();
            }
            Err(place) => {
                equal.rows.insert(place, loaded);
                equal.stored += 1;
            }
        }
    }

    /// Lets go of the rows whose key hash `leaves`; checkpoints hold them all.
    pub(super) fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) {
        let bytes = &mut self.bytes;
        self.rows.retain(|row, equal| {
            let stays = !leaves(equal.hash);
            if !stays {
                let left: usize = equal.rows.iter().map(|kept| bytes_of(row, &kept.found)).sum();
                *bytes = bytes.saturating_sub(left);
            }
            stays
        });
    }

    /// What changed since the last capture.
    pub(super) fn capture(&mut self) -> Result<Capture> {
        let mut put: Vec<Put> = Vec::new();
        for row in std::mem::take(&mut self.fresh) {
            let Some(equal) = self.rows.get_mut(&row) else { continue };
            for Row { number, found } in &equal.rows[equal.stored..] {
                put.push(Put { row: row.clone(), hash: equal.hash, number: *number, found: found.clone() });
            }
            equal.stored = equal.rows.len();
        }
        let gone = std::mem::take(&mut self.gone);
        let (sides, schema, nulls) = (self.sides.clone(), self.state.schema.clone(), self.nulls.clone());
        let rows = move || {
            let mut captured = Vec::new();
            let mut piece = Piece::default();
            for Put { row, hash, number, found } in &put {
                match found.is_empty() {
                    true => piece.add(*hash, (*number, NOTHING), Some((row, &nulls))),
                    false => (0..)
                        .zip(found.iter())
                        .for_each(|(place, found)| piece.add(*hash, (*number, place), Some((row, found)))),
                }
                if piece.hashes.len() >= BATCH {
                    captured.push(std::mem::take(&mut piece).rows(&sides, &schema)?);
                }
            }
            captured.push(piece.rows(&sides, &schema)?);
            let mut piece = Piece::default();
            for Gone { hash, number, found } in gone {
                let places = if found == 0 { NOTHING..0 } else { 0..found as i64 };
                places.for_each(|place| piece.add(hash, (number, place), None));
            }
            captured.push(piece.rows(&sides, &schema)?);
            Ok(captured)
        };
        Ok(Capture { rows: Box::new(rows), expired: None })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.fresh.len() * size_of::<Arc<[u8]>>() + self.gone.len() * size_of::<Gone>()
    }
}

/// The equal rows of that value, perhaps none yet, and the value.
fn equal<'a>(
    rows: &'a mut HashMap<Arc<[u8]>, Equal, FixedState>,
    row: &[u8],
    hash: u64,
) -> (&'a Arc<[u8]>, &'a mut Equal) {
    let (key, equal) = rows.raw_entry_mut().from_key(row).or_insert_with(|| {
        let none = Equal { hash, rows: Vec::new(), stored: 0 };
        (row.into(), none)
    });
    (key, equal)
}

fn bytes_of(row: &[u8], found: &[Taken]) -> usize {
    row.len() + AROUND + found.iter().map(|found| found.len() + AROUND / 2).sum::<usize>()
}

/// Rows of the state in the making: all put, or all gone.
#[derive(Default)]
struct Piece<'a> {
    hashes: Vec<u64>,
    numbers: Vec<i64>,
    places: Vec<i64>,
    values: Vec<(&'a Arc<[u8]>, &'a Taken)>,
}

impl<'a> Piece<'a> {
    fn add(&mut self, hash: u64, (number, place): (i64, i64), values: Option<(&'a Arc<[u8]>, &'a Taken)>) {
        self.hashes.push(hash);
        self.numbers.push(number);
        self.places.push(place);
        self.values.extend(values);
    }

    fn rows(self, sides: &[Arc<Columns>; 2], schema: &SchemaRef) -> Result<StateRows> {
        let count = self.hashes.len();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(self.numbers)), Arc::new(Int64Array::from(self.places))];
        let deleted = if self.values.len() == count {
            columns.extend(sides[LEFT].decode(self.values.iter().map(|(row, _)| row))?);
            columns.extend(sides[RIGHT].decode(self.values.iter().map(|(_, found)| found))?);
            None
        } else {
            let fields = schema.fields().iter().skip(2);
            columns.extend(fields.map(|field| new_null_array(field.data_type(), count)));
            Some(BooleanArray::from(vec![true; count]))
        };
        Ok(StateRows { rows: with_schema(schema, columns, count)?, hashes: UInt64Array::from(self.hashes), deleted })
    }
}
