use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, MapArray, NullArray, RecordBatch, StringArray,
    StringViewArray, StructArray, Time32MillisecondArray, Time64NanosecondArray, TimestampMillisecondArray,
    UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, i256};
use proptest::prelude::*;
use weir_core::Batch;

use super::super::super::size::batch_bytes;
use super::super::FRAME_BYTES;
use super::*;

/// One value of every kind is made from this.
type Cell = Option<(i64, String)>;

fn cells() -> impl Strategy<Value = Vec<Cell>> {
    proptest::collection::vec(proptest::option::of((any::<i64>(), ".{0,20}")), 0..40)
}

fn field(name: &str, array: &ArrayRef) -> Field {
    Field::new(name, array.data_type().clone(), true)
}

/// A column of every type that a query can make.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any value will do")]
fn columns(cells: &[Cell]) -> Vec<ArrayRef> {
    let numbers = || cells.iter().map(|cell| cell.as_ref().map(|(number, _)| *number));
    let texts = || cells.iter().map(|cell| cell.as_ref().map(|(_, text)| text.as_str()));
    let bytes = || texts().map(|text| text.map(str::as_bytes));
    let nulls = NullBuffer::from_iter(cells.iter().map(Option::is_some));
    let views: ArrayRef = Arc::new(StringViewArray::from_iter(texts()));
    let longs: ArrayRef = Arc::new(Int64Array::from_iter(numbers()));
    // Each row but every third has as many elements as its number says; rows that are null have some, too.
    let lengths = (0..cells.len()).map(|row| if row % 3 == 0 { 0 } else { 1 });
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let used = offsets.last().copied().unwrap_or(0) as usize;
    let element = Arc::new(Field::new("item", DataType::Utf8View, true));
    let list = ListArray::new(element.clone(), offsets.clone(), views.slice(0, used), Some(nulls.clone()));
    let fields = Fields::from(vec![field("n", &longs), field("s", &views)]);
    let structure = StructArray::new(fields, vec![longs.clone(), views.clone()], Some(nulls.clone()));
    let structure: ArrayRef = Arc::new(structure);
    let of_structures =
        ListArray::new(Arc::new(field("item", &structure)), offsets.clone(), structure.slice(0, used), None);
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..used).map(|row| row.to_string())));
    let entry_fields = vec![Field::new("key", DataType::Utf8, false), field("value", &views)];
    let entries = StructArray::new(entry_fields.into(), vec![keys, views.slice(0, used)], None);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let pairs: ArrayRef = Arc::new(Int32Array::from_iter_values(0..cells.len() as i32 * 2));
    vec![
        Arc::new(NullArray::new(cells.len())),
        Arc::new(BooleanArray::from_iter(numbers().map(|number| number.map(|number| number > 0)))),
        Arc::new(Int8Array::from_iter(numbers().map(|number| number.map(|number| number as i8)))),
        Arc::new(Int16Array::from_iter(numbers().map(|number| number.map(|number| number as i16)))),
        Arc::new(Int32Array::from_iter(numbers().map(|number| number.map(|number| number as i32)))),
        longs,
        Arc::new(UInt64Array::from_iter(numbers().map(|number| number.map(i64::cast_unsigned)))),
        Arc::new(Float32Array::from_iter(numbers().map(|number| number.map(|number| number as f32)))),
        Arc::new(Float64Array::from_iter(numbers().map(|number| number.map(|number| number as f64)))),
        Arc::new(Decimal128Array::from_iter(numbers().map(|number| number.map(i128::from)))),
        Arc::new(Decimal256Array::from_iter(
            numbers().map(|number| number.map(|number| i256::from_i128(number.into()))),
        )),
        Arc::new(Date32Array::from_iter(numbers().map(|number| number.map(|number| number as i32)))),
        Arc::new(Time32MillisecondArray::from_iter(numbers().map(|number| number.map(|number| number as i32)))),
        Arc::new(Time64NanosecondArray::from_iter(numbers())),
        Arc::new(TimestampMillisecondArray::from_iter(numbers())),
        Arc::new(TimestampMillisecondArray::from_iter(numbers()).with_timezone("+01:00")),
        Arc::new(IntervalMonthDayNanoArray::from_iter(
            numbers().map(|number| number.map(|number| arrow::datatypes::IntervalMonthDayNano::new(1, 2, number))),
        )),
        Arc::new(StringArray::from_iter(texts())),
        Arc::new(BinaryArray::from_iter(bytes())),
        Arc::new(BinaryViewArray::from_iter(bytes())),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                numbers().map(|number| number.map(|number| number.to_le_bytes())),
                8,
            )
            .unwrap(),
        ),
        views,
        Arc::new(list),
        Arc::new(of_structures),
        Arc::new(MapArray::new(entry, offsets, entries, Some(nulls.clone()), false)),
        Arc::new(FixedSizeListArray::new(Arc::new(field("item", &pairs)), 2, pairs, Some(nulls))),
        structure,
    ]
}

fn batch(cells: &[Cell]) -> Batch {
    let columns = columns(cells);
    let names = (0..columns.len()).map(|index| format!("c{index}"));
    RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(name, column)| (name, column, true)))
        .unwrap()
        .into()
}

/// The same rows, every third of which is taken back.
fn changed(rows: &Batch) -> Batch {
    let weights = (0..rows.num_rows()).map(|row| if row % 3 == 2 { -1 } else { 1 });
    Batch::weighted(rows.records().clone(), Int8Array::from_iter_values(weights)).unwrap()
}

fn parts(batch: &Batch) -> (RecordBatch, Option<Int8Array>) {
    batch.clone().into_parts()
}

/// Sends a frame through an encoder and a decoder.
struct Wire(Encoder, Decoder);

impl Wire {
    /// Both sides behind the handshake.
    fn new() -> Self {
        let mut wire = Self(Encoder::default(), Decoder::new(FRAME_BYTES));
        wire.pass(&Frame::Ping);
        wire
    }

    fn bytes(&mut self, frame: &Frame) -> Vec<u8> {
        self.0.encode(frame, FRAME_BYTES).unwrap().iter().flat_map(|buffer| buffer.to_vec()).collect()
    }

    fn read(&mut self, bytes: &[u8]) -> Result<Frame> {
        let (prefix, rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(self.1.length(*prefix).unwrap(), rest.len(), "the length is that of the frame");
        self.1.decode(Bytes::copy_from_slice(rest))
    }

    fn pass(&mut self, frame: &Frame) -> Frame {
        let bytes = self.bytes(frame);
        self.read(&bytes).unwrap()
    }

    fn pass_rows(&mut self, channel: u32, rows: &Batch) -> Batch {
        let element = Element::Batch(rows.clone());
        let bytes = batch_bytes(rows) as u64;
        match self.pass(&Frame::Element { channel, element, bytes }) {
            Frame::Element { channel: passed, element: Element::Batch(batch), bytes: cost } => {
                assert_eq!((passed, cost), (channel, bytes));
                assert!(batch_bytes(&batch) as u64 <= bytes, "no more has come than was paid for");
                batch
            }
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn rows_of_every_type_arrive_as_they_were(first in cells(), second in cells(), from in 0_usize..40, rows in 0_usize..40) {
        let mut wire = Wire::new();
        let (first, second) = (batch(&first), batch(&second));
        let from = from.min(first.num_rows());
        let part = first.slice(from, rows.min(first.num_rows() - from));
        prop_assert_eq!(parts(&wire.pass_rows(1, &first)), parts(&first));
        prop_assert_eq!(parts(&wire.pass_rows(2, &part)), parts(&part), "cut out of the middle, on another channel");
        prop_assert_eq!(parts(&wire.pass_rows(1, &second)), parts(&second), "behind the first, without a schema");
        prop_assert!(batch_bytes(&part) > 0);
    }

    #[test]
    fn rows_without_columns_arrive(cells in cells()) {
        let mut wire = Wire::new();
        let rows = batch(&cells);
        for rows in [rows.project(&[]).unwrap(), changed(&rows).project(&[]).unwrap()] {
            prop_assert_eq!(parts(&wire.pass_rows(1, &rows)), parts(&rows));
        }
    }

    #[test]
    fn rows_arrive_with_their_weights(cells in cells(), from in 0_usize..40) {
        let mut wire = Wire::new();
        let rows = batch(&cells);
        let all = changed(&rows);
        let from = from.min(all.num_rows());
        let part = all.slice(from, all.num_rows() - from);
        for rows in [&rows, &all, &part, &rows, &part] {
            prop_assert_eq!(parts(&wire.pass_rows(1, rows)), parts(rows));
        }
        prop_assert!(rows.num_rows() == 0 || batch_bytes(&all) == batch_bytes(&rows) + rows.num_rows(), "a byte each");
    }

    #[test]
    fn a_frame_takes_hardly_more_than_credit_counts(cells in cells(), copies in 1_usize..20) {
        let rows = batch(&cells);
        let rows = Batch::concat(&vec![rows; copies]).unwrap();
        let mut wire = Wire::new();
        wire.pass_rows(0, &rows);
        let element = Element::Batch(rows.clone());
        let bytes = batch_bytes(&rows);
        let length = wire.bytes(&Frame::Element { channel: 0, element, bytes: bytes as u64 }).len();
        // Validity, padding and the description of each buffer.
        prop_assert!(length <= bytes + bytes / 2 + rows.records().num_columns() * 800, "{length} for {bytes}");
    }

    #[test]
    fn no_bytes_are_taken_for_a_frame_that_they_are_not(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        // Nearly all are errors; whatever they are, nothing worse comes of it.
        let mut decoder = Decoder::new(FRAME_BYTES);
        if let Ok(frame) = decoder.decode(Bytes::from(bytes.clone())) {
            let again = Encoder::default().encode(&frame, FRAME_BYTES).unwrap();
            prop_assert_eq!(&again[0][LENGTH_BYTES..], &bytes[..], "{:?}", frame);
        }
    }

    #[test]
    fn a_frame_that_was_cut_short_is_an_error(cells in cells(), cut in 1_usize..5000) {
        let mut wire = Wire::new();
        let rows = batch(&cells);
        let element = Element::Batch(rows.clone());
        let bytes = wire.bytes(&Frame::Element { channel: 0, element, bytes: 1 });
        let end = bytes.len() - cut.min(bytes.len() - LENGTH_BYTES - 1);
        prop_assert!(wire.1.decode(Bytes::copy_from_slice(&bytes[LENGTH_BYTES..end])).is_err());
    }
}

fn process(worker: &str) -> Process {
    Process { worker: WorkerId(worker.into()), incarnation: Incarnation(7) }
}

#[test]
fn every_frame_arrives_as_it_was() {
    let id =
        ChannelId { job: JobId(1), attempt: Attempt(2), head: NodeId(3), subtask: 4, channel: usize::from(u16::MAX) };
    let hello = Hello { cluster: "c".into(), from: process("a"), to: process("b"), window: 5 };
    let element = |element| Frame::Element { channel: 9, element, bytes: 0 };
    let marker = |kind| element(Element::Marker(Marker { epoch: Epoch(8), kind }));
    let closed = |closing| Frame::Closed { channel: 9, closing };
    let frames = [
        Frame::Hello(hello),
        Frame::Welcome { window: 6 },
        Frame::Refused { reason: "no".into() },
        Frame::Open { channel: 9, id },
        element(Element::Watermark(Watermark::At(EventTime(-5)))),
        element(Element::Watermark(Watermark::Idle)),
        marker(MarkerKind::Flush),
        marker(MarkerKind::Checkpoint),
        marker(MarkerKind::Savepoint),
        marker(MarkerKind::Stop),
        marker(MarkerKind::Drain),
        element(Element::End),
        Frame::Gone { channel: 9 },
        Frame::Credit { channel: 9, bytes: 10 },
        closed(Closing::Complete),
        closed(Closing::Abandoned),
        closed(Closing::Refused("who?".into())),
        Frame::Ping,
    ];
    let mut wire = Wire::new();
    for frame in &frames {
        assert_eq!(format!("{:?}", wire.pass(frame)), format!("{frame:?}"));
    }
}

#[test]
fn strings_that_a_batch_does_not_show_are_not_sent() {
    let long = "a string that does not fit into its view";
    let whole: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..10_000).map(|row| format!("{long} {row}"))));
    let offsets = OffsetBuffer::<i32>::from_lengths((0..1000).map(|_| 10));
    let lists: ArrayRef = Arc::new(ListArray::new(Arc::new(field("item", &whole)), offsets, whole.clone(), None));
    for column in [whole.slice(5000, 10), lists.slice(500, 1)] {
        let rows: Batch = RecordBatch::try_from_iter([("s", column)]).unwrap().into();
        let mut wire = Wire::new();
        let element = Element::Batch(rows.clone());
        let cost = batch_bytes(&rows) as u64;
        let bytes = wire.bytes(&Frame::Element { channel: 0, element, bytes: cost });
        assert!(bytes.len() < 3000, "{} bytes for ten strings", bytes.len());
        let Frame::Element { element: Element::Batch(passed), .. } = wire.read(&bytes).unwrap() else { panic!() };
        assert_eq!(parts(&passed), parts(&rows));
    }
}

#[test]
fn what_cannot_be_sent_is_refused_by_the_sender() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let dictionary: ArrayRef = Arc::new(dictionary);
    for (column, limit, says) in [(numbers, 5000, "is longer than 5000"), (dictionary, FRAME_BYTES, "dictionary")] {
        let rows = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let frame = Frame::Element { channel: 0, element: Element::Batch(Batch::append(rows)), bytes: 1 };
        let error = Encoder::default().encode(&frame, limit).unwrap_err().report();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_cost_that_cannot_be_is_not_believed() {
    let rows = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1; 100])) as ArrayRef)]).unwrap();
    let rows = Batch::append(rows);
    let read = |cost| {
        let mut wire = Wire::new();
        let element = Element::Batch(rows.clone());
        let bytes = wire.bytes(&Frame::Element { channel: 0, element, bytes: cost });
        wire.read(&bytes).map(drop).map_err(|error| error.report())
    };
    assert_eq!(read(800), Ok(()));
    assert_eq!(read(FRAME_BYTES as u64), Ok(()));
    for cost in [0, 1, 399, FRAME_BYTES as u64 + 1, u64::MAX] {
        assert!(read(cost).is_err_and(|error| error.contains("cost")), "{cost}");
    }
}

#[test]
fn a_length_is_checked_before_anything_is_allocated() {
    let mut decoder = Decoder::new(FRAME_BYTES);
    assert!(decoder.length(4096_u32.to_le_bytes()).is_ok());
    assert!(decoder.length(4097_u32.to_le_bytes()).is_err(), "the first frame is a short one");
    assert!(decoder.length(0_u32.to_le_bytes()).is_err());
    decoder.decode(Bytes::from_static(&[PING])).unwrap();
    assert!(decoder.length((FRAME_BYTES as u32).to_le_bytes()).is_ok());
    assert!(decoder.length((FRAME_BYTES as u32 + 1).to_le_bytes()).is_err());
}

#[test]
fn a_long_reason_is_cut_and_stays_text() {
    let reason = "ä".repeat(2000);
    let Frame::Refused { reason: passed } = Wire::new().pass(&Frame::Refused { reason: reason.clone() }) else {
        panic!("another frame came")
    };
    assert!(reason.starts_with(&passed) && passed.len() == REASON_BYTES, "{}", passed.len());
}

#[test]
fn rows_need_a_schema_in_front_of_them() {
    let mut wire = Wire::new();
    let rows = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let rows = Batch::append(rows);
    wire.pass_rows(1, &rows);
    wire.pass(&Frame::Element { channel: 1, element: Element::End, bytes: 0 });
    wire.pass_rows(1, &rows);
    // The encoder believes that the schema was sent; the decoder has forgotten it.
    wire.1.rows.forget(1);
    let bytes = wire.bytes(&Frame::Element { channel: 1, element: Element::Batch(rows), bytes: 1 });
    assert!(wire.read(&bytes).unwrap_err().report().contains("without a schema"));
}

#[test]
fn weights_that_are_none_are_not_believed() {
    let rows = |weights: ArrayRef| -> Batch { RecordBatch::try_from_iter([("w", weights)]).unwrap().into() };
    let read = |rows: &Batch| {
        let mut wire = Wire::new();
        let mut bytes = wire.bytes(&Frame::Element { channel: 0, element: Element::Batch(rows.clone()), bytes: 1000 });
        // The frame says that its last column are weights.
        assert_eq!(bytes[LENGTH_BYTES + 1], 1);
        bytes[LENGTH_BYTES + 1] = 3;
        wire.read(&bytes).map(drop).map_err(|error| error.report())
    };
    assert_eq!(read(&rows(Arc::new(Int8Array::from(vec![1, -1])))), Ok(()));
    for wrong in [Int8Array::from(vec![1, 0]), Int8Array::from(vec![Some(1), None])] {
        assert!(read(&rows(Arc::new(wrong))).is_err_and(|error| error.contains("weights cannot be read")));
    }
    assert!(
        read(&rows(Arc::new(Int64Array::from(vec![1])))).is_err_and(|error| error.contains("weights cannot be read"))
    );
}
