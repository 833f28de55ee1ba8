//! Holds changes back, and lets them go at the first marker in each interval of processing time: `EMIT EVERY`.
//!
//! Changes that undo each other while they are held never come out, so what does is the difference between the results at two markers.
//! Time is that of a [`Clock`](crate::clock) in front of the exchange: where a marker passes all subtasks stand at the same one, so all let
//! go at the same marker, and what comes out together belongs to one prefix of the input.
//!
//! - batch: each row goes against those that are held.
//! - watermark: time has gone on. At the end of the input all that is held comes out.
//! - marker: if another interval has begun since the last time, what is held comes out, by key: what is taken back in front of what takes
//!   its place.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int8Array, Int64Array, RecordBatch, UInt64Array, new_null_array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Distribution, Error, EventTime, OpenContext, Operator, PacedRowsSpec,
    Result, StateRows, TableSchema, state_column,
};

use crate::batches::with_schema;
use crate::top_n::Columns;

/// Rows of a batch that is emitted.
const BATCH: usize = 8192;
/// Bytes around a row that is held, roughly.
const AROUND: usize = 96;

/// A row as bytes.
type Row = Arc<[u8]>;

/// Rows as bytes, those of their key in front.
struct Form {
    rows: Columns,
    keys: Columns,
    /// For each column its place in the bytes.
    places: Vec<usize>,
}

impl Form {
    fn new(key: &[usize], input: &SchemaRef) -> Result<Self> {
        let columns = |columns: Vec<usize>| {
            let options = vec![Default::default(); columns.len()];
            Columns::new(columns, options, input, false)
        };
        let width = input.fields().len();
        let order: Vec<usize> = key.iter().copied().chain((0..width).filter(|column| !key.contains(column))).collect();
        let place = |column: usize| order.iter().position(|other| *other == column).unwrap_or_default();
        let places = (0..width).map(place).collect();
        Ok(Self { rows: columns(order)?, keys: columns(key.to_vec())?, places })
    }

    /// The columns of rows.
    fn decode<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<ArrayRef>> {
        let columns = self.rows.decode(rows)?;
        Ok(self.places.iter().map(|place| columns[*place].clone()).collect())
    }
}

/// What is known of a row.
struct Held {
    /// Of its key.
    hash: u64,
    /// Bytes of its key.
    key: usize,
    /// How many more of it there are than have come out; 0 where a checkpoint holds another number.
    count: i64,
    /// Whether a checkpoint holds it.
    is_stored: bool,
    /// Whether that is not so, or not with this count.
    has_changed: bool,
}

/// The operator.
pub(crate) struct PacedRows {
    // Fixed by the plan.
    key: Vec<usize>,
    every: i64,
    form: Arc<Form>,
    schema: SchemaRef,
    /// Whether rows may be taken back.
    retracts: bool,
    state: TableSchema,
    // Kept in checkpoints.
    held: HashMap<Row, Held, FixedState>,
    /// The interval in which changes came out last, or could have; `None` while nothing is known of the time.
    interval: Option<i64>,
    // Follows from what has come.
    time: EventTime,
    bytes: usize,
    // Scratch.
    hashes: Vec<u64>,
}

impl PacedRows {
    /// # Errors
    /// A user error if rows of such columns cannot be told apart.
    pub(crate) fn new(
        spec: &PacedRowsSpec,
        input: &SchemaRef,
        (output, changelog): (&SchemaRef, &ChangelogKind),
    ) -> Result<Self> {
        let width = input.fields().len();
        let values = input.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let count = Field::new("count", DataType::Int64, true);
        let state = TableSchema {
            name: "held".to_owned(),
            version: 1,
            schema: state_column::numbered_schema(&Schema::new(values.chain([count]).collect::<Vec<_>>())),
            key_columns: width,
            time_column: None,
            distribution: Distribution::Keyed,
        };
        Ok(Self {
            key: spec.key.clone(),
            every: i64::try_from(spec.every).unwrap_or(i64::MAX).max(1),
            form: Arc::new(Form::new(&spec.key, input)?),
            schema: output.clone(),
            retracts: *changelog != ChangelogKind::Append,
            state,
            held: HashMap::default(),
            interval: None,
            time: EventTime::MIN,
            bytes: 0,
            hashes: Vec::new(),
        })
    }

    fn interval_of(&self, time: EventTime) -> Option<i64> {
        (time != EventTime::MIN).then(|| time.0.div_euclid(self.every))
    }

    /// All that is held, by key.
    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        let mut changes: Vec<Change> = Vec::new();
        self.held.retain(|row, held| {
            if held.count != 0 {
                changes.push(Change { row: row.clone(), key: held.key, count: held.count });
            }
            // A checkpoint has to hear that it is held no more.
            (held.count, held.has_changed) = (0, true);
            held.is_stored
        });
        self.bytes = self.held.keys().map(|row| row.len() + AROUND).sum();
        if !self.retracts && changes.iter().any(|change| change.count < 0) {
            return Err(Error::internal("a row was taken back of those that are only added"));
        }
        changes.sort_unstable_by(|one, other| one.place().cmp(&other.place()));
        let mut rest = changes.as_slice();
        while !rest.is_empty() {
            // What takes the place of a row stands beside it.
            let is_beside = |end: &usize| rest[*end].key() == rest[*end - 1].key();
            let end = rest.len().min(BATCH);
            let end = end + (end..rest.len()).take_while(is_beside).count();
            let (piece, behind) = rest.split_at(end);
            self.emit_piece(piece, out)?;
            rest = behind;
        }
        Ok(())
    }

    fn emit_piece(&self, piece: &[Change], out: &mut Collector) -> Result<()> {
        let columns = self.form.decode(piece.iter().map(|change| &change.row))?;
        let rows = Batch::append(with_schema(&self.schema, columns, piece.len())?);
        let copies = |(row, change): (usize, &Change)| {
            std::iter::repeat_n(row as u32, usize::try_from(change.count.unsigned_abs()).unwrap_or(usize::MAX))
        };
        let mut sides = piece.iter().enumerate().flat_map(copies).peekable();
        while sides.peek().is_some() {
            let picked: Vec<u32> = sides.by_ref().take(2 * BATCH).collect();
            let weights: Int8Array =
                picked.iter().map(|row| Some(if piece[*row as usize].count > 0 { 1 } else { -1 })).collect();
            let rows = rows.take(&picked.into())?;
            out.emit(if self.retracts { Batch::weighted(rows.into_appended()?, weights)? } else { rows });
        }
        Ok(())
    }
}

/// A row that comes out so many times more, or less, than before.
struct Change {
    row: Row,
    /// Bytes of its key.
    key: usize,
    count: i64,
}

impl Change {
    fn key(&self) -> &[u8] {
        &self.row[..self.key]
    }

    fn place(&self) -> (&[u8], bool, &[u8]) {
        (self.key(), self.count > 0, &self.row)
    }
}

impl Operator for PacedRows {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.state.clone()]
    }

    /// What was due at the marker of the checkpoint has come out there.
    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.time = context.watermark;
        self.interval = self.interval_of(context.watermark);
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let counts = rows.column(self.state.key_columns).as_primitive::<Int64Type>();
        let (encoded, keys) = (self.form.rows.encode(rows)?, self.form.keys.encode(rows)?);
        for row in 0..rows.num_rows() {
            let (hash, key, count) = (hashes.value(row), keys.row(row).len(), counts.value(row));
            self.bytes += encoded.row(row).len() + AROUND;
            self.held.insert(encoded.row(row).into(), Held { hash, key, count, is_stored: true, has_changed: false });
        }
        Ok(())
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.key)
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        !matches!(stream, ChangelogKind::Upsert(_))
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        let columns: Vec<ArrayRef> = self.key.iter().map(|column| batch.records().column(*column).clone()).collect();
        hash_rows(&columns, batch.num_rows(), &mut self.hashes)?;
        let (rows, keys) = (self.form.rows.encode(batch.records())?, self.form.keys.encode(batch.records())?);
        for (row, hash) in self.hashes.iter().copied().enumerate() {
            let weight = batch.weights().map_or(1, |weights| weights.value(row));
            let bytes = rows.row(row);
            let (_, held) = self.held.raw_entry_mut().from_key(bytes).or_insert_with(|| {
                self.bytes += bytes.len() + AROUND;
                let key = keys.row(row).len();
                (bytes.into(), Held { hash, key, count: 0, is_stored: false, has_changed: true })
            });
            held.count += i64::from(weight);
            held.has_changed = true;
            if held.count == 0 && !held.is_stored {
                self.bytes = self.bytes.saturating_sub(bytes.len() + AROUND);
                self.held.remove(bytes);
            }
        }
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if time == EventTime::MAX {
            self.emit(out)?;
        }
        self.time = time;
        Ok(Some(time))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        let now = self.interval_of(self.time);
        // What comes before the first of the intervals that is known has begun somewhere in it.
        if self.interval.is_some() && self.interval < now {
            self.emit(out)?;
        }
        self.interval = self.interval.max(now);
        Ok(())
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        self.held.retain(|row, held| {
            if std::mem::take(&mut held.has_changed) {
                match held.count {
                    0 => gone.push((row.clone(), held.hash, 0)),
                    count => put.push((row.clone(), held.hash, count)),
                }
                held.is_stored = true;
            }
            held.count != 0
        });
        self.bytes = self.held.keys().map(|row| row.len() + AROUND).sum();
        let (form, schema) = (self.form.clone(), self.state.schema.clone());
        let rows = move || {
            let mut captured = Vec::new();
            for (rows, is_gone) in [(put, false), (gone, true)] {
                for piece in rows.chunks(BATCH) {
                    captured.push(stored(&form, &schema, piece, is_gone)?);
                }
            }
            Ok(captured)
        };
        Ok(vec![Capture { rows: Box::new(rows), expired: None }])
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}

/// Rows of the state, all of them put or all of them gone.
fn stored(form: &Form, schema: &SchemaRef, piece: &[(Row, u64, i64)], is_gone: bool) -> Result<StateRows> {
    let count = piece.len();
    let mut columns = form.decode(piece.iter().map(|(row, _, _)| row))?;
    columns.push(match is_gone {
        true => new_null_array(&DataType::Int64, count),
        false => Arc::new(piece.iter().map(|(_, _, count)| Some(*count)).collect::<Int64Array>()),
    });
    Ok(StateRows {
        rows: with_schema(schema, columns, count)?,
        hashes: piece.iter().map(|(_, hash, _)| *hash).collect(),
        deleted: is_gone.then(|| BooleanArray::from(vec![true; count])),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use weir_core::{NodeSpec, OperatorSpec};

    use crate::testing::{check_in_memory, node, rows, schema, text};

    use super::*;

    fn paced(changelog: ChangelogKind, script: &str) {
        let input = schema("k BIGINT, v STRING");
        let spec = node(OperatorSpec::PacedRows(PacedRowsSpec { key: vec![0], every: 10_000 }), &input);
        let spec = NodeSpec { changelog, ..spec };
        check_in_memory(&spec, std::slice::from_ref(&input), script);
    }

    #[test]
    fn what_has_changed_in_an_interval_comes_out_at_the_first_marker_behind_it() {
        paced(
            ChangelogKind::Retract,
            "in> 1 | a
             marker
             watermark 12:00:04
             sent> 12:00:04
             in> 2 | a
             in> 3 | a
             in> 3 | a
             marker
             in- 1 | a
             in> 1 | b
             watermark 12:00:11
             sent> 12:00:11
             out> 1 | b
             out> 2 | a
             out> 3 | a
             out> 3 | a
             marker
             in- 1 | b
             in> 1 | c
             in- 2 | a
             marker
             in> 2 | a
             in- 1 | c
             in> 1 | d
             in- 3 | a
             marker
             watermark 12:00:29
             sent> 12:00:29
             out- 1 | b
             out> 1 | d
             out- 3 | a
             marker
             in- 2 | a
             in- 3 | a
             marker
             in> 3 | x
             in- 3 | x
             marker
             in> 2 | b
             out- 2 | a
             out> 2 | b
             out- 3 | a
             end
             sent> end",
        );
    }

    /// Results of few keys that change very often: two rows of a key are held at most, nothing is once they have come out, and what takes the place
    /// of a row comes directly behind it, in one batch.
    #[test]
    fn of_a_key_two_rows_are_held_and_they_come_out_together() {
        const KEYS: usize = 7;
        let input = schema("k BIGINT, v STRING");
        let spec = PacedRowsSpec { key: vec![0], every: 10_000 };
        let mut operator = PacedRows::new(&spec, &input, (&input, &ChangelogKind::Retract)).unwrap();
        let mut out = Collector::new(0);
        let (mut current, mut shown) = (vec![None::<usize>; KEYS], vec![None::<usize>; KEYS]);
        let mut next = 0;
        for interval in 0..20_i64 {
            let changes = 50 * interval as usize;
            for change in 0..changes {
                // Of a key several versions come in an interval, of some none, and a few go.
                let key = (change * change + interval as usize) % (KEYS - interval as usize % 3);
                let (mut lines, mut weights) = (Vec::new(), Vec::new());
                if let Some(old) = current[key].take() {
                    lines.push(format!("{key} | value {old:06}"));
                    weights.push(-1);
                }
                if change % 11 > 0 {
                    next += 1;
                    current[key] = Some(next);
                    lines.push(format!("{key} | value {next:06}"));
                    weights.push(1);
                }
                let records = rows(&input, &lines.iter().map(String::as_str).collect::<Vec<_>>());
                operator.process(0, Batch::weighted(records, weights.into()).unwrap(), &mut out).unwrap();
                operator.flush(&mut out).unwrap();
                assert!(operator.held.len() <= 2 * KEYS, "{} rows are held", operator.held.len());
                assert!(operator.state_bytes() <= 2 * KEYS * (64 + AROUND));
            }
            assert_eq!(out.take().len(), 0, "the interval goes on");
            operator.watermark(EventTime(10_000 * (interval + 1)), &mut out).unwrap();
            operator.flush(&mut out).unwrap();
            assert_eq!(operator.state_bytes(), 0);
            let mut expected = Vec::new();
            for (key, (shown, current)) in shown.iter_mut().zip(&current).enumerate().filter(|(_, (a, b))| a != b) {
                expected.extend(shown.map(|old| (-1, format!("{key} | value {old:06}"))));
                expected.extend(current.map(|new| (1, format!("{key} | value {new:06}"))));
                *shown = *current;
            }
            let mut found = Vec::new();
            for (_, batch) in out.take() {
                let weights = batch.weights().unwrap().values().to_vec();
                found.extend(weights.into_iter().zip(text(batch.records())));
                assert!(found.len() == expected.len(), "all changes are in one batch");
            }
            assert_eq!(found, expected);
        }
    }

    /// Keys stand elsewhere than in front, and there are more changes than a batch holds.
    #[test]
    fn what_takes_the_place_of_a_row_stands_beside_it() {
        let input = schema("v STRING, k BIGINT");
        let spec = PacedRowsSpec { key: vec![1], every: 10_000 };
        let mut operator = PacedRows::new(&spec, &input, (&input, &ChangelogKind::Retract)).unwrap();
        let mut out = Collector::new(0);
        let of = |value: &str, keys: std::ops::Range<usize>| {
            let lines: Vec<String> = keys.map(|key| format!("{value} | {key}")).collect();
            rows(&input, &lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let all = BATCH + 1;
        operator.process(0, Batch::append(of("b", 0..all)), &mut out).unwrap();
        operator.watermark(EventTime(1), &mut out).unwrap();
        operator.flush(&mut out).unwrap();
        operator.watermark(EventTime(10_000), &mut out).unwrap();
        operator.flush(&mut out).unwrap();
        assert_eq!(out.take().iter().map(|(_, batch)| batch.num_rows()).collect::<Vec<_>>(), [BATCH, 1]);
        let weights = Int8Array::from(vec![-1; all]);
        operator.process(0, Batch::weighted(of("b", 0..all), weights).unwrap(), &mut out).unwrap();
        operator.process(0, Batch::append(of("a", 0..all)), &mut out).unwrap();
        operator.watermark(EventTime(20_000), &mut out).unwrap();
        operator.flush(&mut out).unwrap();
        let batches = out.take();
        assert!(batches.len() > 1, "they come out in pieces");
        for (_, batch) in &batches {
            let weights = batch.weights().unwrap();
            let lines = text(batch.records());
            for pair in 0..batch.num_rows() / 2 {
                let (old, new) = (2 * pair, 2 * pair + 1);
                assert_eq!((weights.value(old), weights.value(new)), (-1, 1));
                assert_eq!(lines[old].replace('b', "a"), lines[new]);
            }
        }
        assert_eq!(batches.iter().map(|(_, batch)| batch.num_rows()).sum::<usize>(), 2 * all);
    }

    #[test]
    fn of_rows_that_are_only_added_none_has_a_weight() {
        paced(
            ChangelogKind::Append,
            "in> 1 | a
             watermark 12:00:04
             sent> 12:00:04
             marker
             in> 2 | a
             watermark 12:00:11
             sent> 12:00:11
             out> 1 | a
             out> 2 | a
             marker
             in> 3 | a
             out> 3 | a
             end
             sent> end",
        );
    }
}
