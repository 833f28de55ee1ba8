use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::isolated::protocol::{Bound, Call, Reply};
use weir_core::{EventTime, OutputPort};

fn pair() -> (Sender, Receiver) {
    let (one, other) = UnixStream::pair().unwrap();
    (split(&Arc::new(one)).0, split(&Arc::new(other)).1)
}

fn rows(first: i64) -> Batch {
    let texts = ["a", "a text that is too long to stand in its view", ""];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(Int64Array::from(vec![Some(first), None, Some(i64::MIN)]))),
        ("text", Arc::new(StringViewArray::from_iter_values(texts))),
    ];
    RecordBatch::try_from_iter(columns).unwrap().into()
}

/// The bytes of some messages, of which the last two have rows of the same stream.
fn written() -> Vec<u8> {
    let (one, mut other) = UnixStream::pair().unwrap();
    let mut sender = split(&Arc::new(one)).0;
    sender.send(&Call::Bound { which: Bound::Due, table: 1, time: EventTime::MIN }, None).unwrap();
    sender.send(&Call::Process { ordinal: 0, now: 7 }, Some((0, &rows(1)))).unwrap();
    sender.send(&Call::Process { ordinal: 0, now: 8 }, Some((0, &rows(2)))).unwrap();
    drop(sender);
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What is understood of these bytes, and whether they end where a message does.
fn read(bytes: &[u8]) -> (Vec<(Call, Option<Batch>)>, bool) {
    let (mut one, other) = UnixStream::pair().unwrap();
    one.write_all(bytes).unwrap();
    drop(one);
    let mut receiver = split(&Arc::new(other)).1;
    let mut messages = Vec::new();
    loop {
        match receiver.receive() {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, true),
            Err(_) => return (messages, false),
        }
    }
}

#[test]
fn messages_and_rows_come_as_they_were_sent() {
    let (mut sender, mut receiver) = pair();
    let weighted = Batch::weighted(rows(3).records().clone(), Int8Array::from(vec![1, -1, 1])).unwrap();
    for (stream, batch) in [(0, rows(1)), (1, rows(2)), (0, rows(4)), (0, weighted)] {
        sender.send(&Reply::<()>::Emitted(OutputPort::Side(2)), Some((stream, &batch))).unwrap();
        let (message, come) = receiver.receive::<Reply<()>>().unwrap().unwrap();
        assert!(matches!(message, Reply::Emitted(OutputPort::Side(2))));
        let come = come.unwrap();
        assert_eq!((come.records(), come.weights()), (batch.records(), batch.weights()));
    }
    drop(sender);
    assert!(receiver.receive::<Reply<()>>().unwrap().is_none());
}

#[test]
fn what_is_cut_off_is_an_error_and_not_the_end() {
    let bytes = written();
    assert_eq!(read(&bytes).0.len(), 3);
    let ends: Vec<usize> = (0..=bytes.len()).filter(|length| read(&bytes[..*length]).1).collect();
    assert_eq!(ends.len(), 4, "behind each of three messages, and in front of them: {ends:?}");
}

proptest! {
    /// Whatever a process writes whose memory is damaged: it is a message or an error.
    #[test]
    fn damaged_bytes_harm_nobody(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = written();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        read(&bytes);
    }
}
