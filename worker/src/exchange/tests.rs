use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::FutureExt;
use weir_core::{Batch, Element, Epoch, EventTime, Exchange, HashRange, Marker, MarkerKind, Watermark, hash};

use super::*;

fn numbers(values: impl IntoIterator<Item = i64>) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    Batch::append(RecordBatch::try_from_iter([("n", column)]).unwrap())
}

fn gate(channels: usize) -> (Gate, Vec<LocalSender>) {
    let (gate, inlets) = Gate::new(channels, ExchangeLimits::default().credit_bytes);
    (gate, inlets.into_iter().map(LocalSender::from).collect())
}

fn marker(epoch: u64) -> Element {
    Element::Marker(Marker { epoch: Epoch(epoch), kind: MarkerKind::Checkpoint })
}

/// The element in a few letters; `None` if the gate would have to wait.
fn next(gate: &mut Gate) -> Option<(usize, String)> {
    let (channel, element) = gate.next().now_or_never()?;
    let text = match element {
        Element::Batch(batch) => format!("rows {}", batch.num_rows()),
        Element::Watermark(Watermark::At(time)) => format!("at {}", time.0),
        Element::Watermark(Watermark::Idle) => "idle".into(),
        Element::Marker(marker) => format!("marker {}", marker.epoch),
        Element::End => "end".into(),
    };
    Some((channel, text))
}

fn row(channel: usize, text: &str) -> Option<(usize, String)> {
    Some((channel, text.to_owned()))
}

#[test]
fn rows_wait_for_credit_and_markers_do_not() {
    let (mut gate, mut senders) = gate(1);
    let sender = &mut senders[0];
    assert_eq!(
        sender.send(numbers(0..140_000)).now_or_never(),
        Some(Ok(1_120_000)),
        "let in whole while there is credit"
    );
    assert_eq!(sender.send(numbers(0..1)).now_or_never(), None, "no credit");
    assert_eq!(next(&mut gate), row(0, "rows 140000"));
    assert_eq!(sender.send(numbers(0..1)).now_or_never(), Some(Ok(8)));
    assert_eq!(sender.send(numbers(0..140_000)).now_or_never(), Some(Ok(1_120_000)));
    assert_eq!(sender.send_control(marker(1)), Ok(()), "though the credit is used up");
    assert_eq!(next(&mut gate), row(0, "rows 1"));
    assert_eq!(next(&mut gate), row(0, "rows 140000"));
    assert_eq!(next(&mut gate), row(0, "marker 1"));
}

#[tokio::test]
async fn a_waiting_sender_and_a_waiting_receiver_wake_each_other() {
    let (mut gate, mut senders) = gate(1);
    let mut sender = senders.remove(0);
    let sending = async move {
        for batch in 0..100 {
            sender.send(numbers(0..10_000 + batch)).await.unwrap();
        }
        sender.send_control(Element::End).unwrap();
    };
    let receiving = async move {
        let mut rows = 0;
        loop {
            match gate.next().await.1 {
                Element::Batch(batch) => rows += batch.num_rows(),
                Element::End => return rows,
                other => panic!("{other:?} was never sent"),
            }
        }
    };
    let (_, rows) = tokio::join!(sending, receiving);
    assert_eq!(rows, 100 * 10_000 + 99 * 100 / 2);
}

#[test]
fn what_is_counted_does_not_overflow() {
    let (mut gate, inlets) = Gate::new(1, 1);
    for _ in 0..2 {
        inlets[0].deliver(Element::Batch(numbers(0..1)), usize::MAX).unwrap();
    }
    assert_eq!(next(&mut gate), row(0, "rows 1"));
    assert_eq!(next(&mut gate), row(0, "rows 1"));
    assert_eq!(next(&mut gate), None);
}

#[test]
fn a_blocked_channel_is_not_read_and_the_others_are() {
    let (mut gate, mut senders) = gate(2);
    senders[0].send(numbers(0..1)).now_or_never();
    gate.block(0);
    assert_eq!(next(&mut gate), None);
    senders[1].send(numbers(0..2)).now_or_never();
    assert_eq!(next(&mut gate), row(1, "rows 2"));
    gate.unblock_all();
    assert_eq!(next(&mut gate), row(0, "rows 1"));
}

#[test]
fn who_is_behind_in_time_is_read_first() {
    let (mut gate, mut senders) = gate(3);
    let at = |time| Element::Watermark(Watermark::At(EventTime(time)));
    for (sender, times) in senders.iter_mut().zip([[50, 60], [10, 20], [30, 55]]) {
        for time in times {
            sender.send_control(at(time)).unwrap();
            sender.send(numbers(0..time)).now_or_never();
        }
    }
    let mut read = std::iter::from_fn(|| next(&mut gate));
    // Nothing is known of anybody before his first watermark.
    let first: Vec<_> = read.by_ref().take(3).collect();
    assert_eq!(first, [(0, "at 50".to_owned()), (1, "at 10".to_owned()), (2, "at 30".to_owned())]);
    let then: Vec<_> = read.map(|(channel, element)| format!("{channel}: {element}")).collect();
    let (mut expected, rows_of) = (Vec::new(), |channel, rows| format!("{channel}: rows {rows}"));
    expected.extend([rows_of(1, 10), "1: at 20".into(), rows_of(1, 20)]);
    expected.extend([rows_of(2, 30), "2: at 55".into(), rows_of(0, 50), "0: at 60".into()]);
    expected.extend([rows_of(2, 55), rows_of(0, 60)]);
    assert_eq!(then, expected);
}

#[test]
fn who_is_ahead_in_time_is_read_now_and_then() {
    let (mut gate, mut senders) = gate(2);
    for (sender, time) in senders.iter_mut().zip([1, 100]) {
        sender.send_control(Element::Watermark(Watermark::At(EventTime(time)))).unwrap();
        (0..100).for_each(|_| assert!(sender.send(numbers(0..1)).now_or_never().is_some()));
    }
    let read: Vec<_> = std::iter::from_fn(|| next(&mut gate)).take(60).collect();
    let ahead: Vec<_> = read.iter().enumerate().filter(|(_, (channel, _))| *channel == 1).map(|(at, _)| at).collect();
    assert!((5..=10).contains(&ahead.len()), "of 60 elements {ahead:?} are of who is ahead");
    assert!(ahead.windows(2).all(|pair| pair[1] - pair[0] <= 10), "{ahead:?}");
}

#[test]
fn who_has_no_time_takes_turns_with_who_has() {
    for timeless in [None, Some(EventTime::MAX)] {
        let (mut gate, mut senders) = gate(3);
        for (sender, time) in senders.iter_mut().zip([Some(EventTime(1)), timeless, Some(EventTime(100))]) {
            if let Some(time) = time {
                sender.send_control(Element::Watermark(Watermark::At(time))).unwrap();
            }
            (0..100).for_each(|_| assert!(sender.send(numbers(0..1)).now_or_never().is_some()));
        }
        let read: Vec<_> = std::iter::from_fn(|| next(&mut gate)).take(60).collect();
        let of = |channel| read.iter().filter(|(from, _)| *from == channel).count();
        assert!((18..=22).contains(&of(1)), "of 60 elements {} are of who has no time", of(1));
        assert!(of(0) > 3 * of(2), "of 60 elements {} are of who is behind and {} of who is ahead", of(0), of(2));
    }
}

#[test]
fn no_channel_is_starved() {
    let (mut gate, mut senders) = gate(2);
    for _ in 0..2 {
        senders[0].send(numbers(0..1)).now_or_never();
        senders[1].send(numbers(0..2)).now_or_never();
    }
    let order: Vec<usize> = (0..4).map(|_| next(&mut gate).unwrap().0).collect();
    assert_eq!(order, [0, 1, 0, 1]);
}

#[test]
fn consecutive_watermarks_are_one() {
    let (mut gate, mut senders) = gate(1);
    for time in [1, 2, 3] {
        senders[0].send_control(Element::Watermark(Watermark::At(EventTime(time)))).unwrap();
    }
    assert_eq!(next(&mut gate), row(0, "at 3"));
    assert_eq!(next(&mut gate), None);
}

#[test]
fn a_sender_learns_that_the_receiver_is_gone() {
    let (gate, mut senders) = gate(1);
    drop(gate);
    assert_eq!(senders[0].send(numbers(0..1)).now_or_never(), Some(Err(Closed)));
    assert_eq!(senders[0].send_control(Element::End), Err(Closed));
}

fn three_gates() -> (Vec<Gate>, Vec<ChannelSender>) {
    (0..3)
        .map(|_| {
            let (gate, mut senders) = gate(1);
            (gate, ChannelSender::Local(senders.remove(0)))
        })
        .unzip()
}

#[test]
fn a_hash_exchange_sends_every_row_to_the_owner_of_its_key() {
    let (mut gates, senders) = three_gates();
    let mut router = Router::new(Target::new(&Exchange::Hash(vec![0]), 3), senders, 0, ExchangeLimits::default());
    router.send(Element::Batch(numbers(0..1000))).now_or_never().unwrap().unwrap();
    router.flush().now_or_never().unwrap().unwrap();
    let mut received = Vec::new();
    for (index, gate) in gates.iter_mut().enumerate() {
        let range = HashRange::of_subtask(index, 3);
        let Some((_, Element::Batch(batch))) = gate.next().now_or_never() else { panic!("no rows for {index}") };
        let mut hashes = Vec::new();
        hash::hash_rows(batch.records().columns(), batch.num_rows(), &mut hashes).unwrap();
        assert!(hashes.iter().all(|hash| range.contains(*hash)));
        received.extend_from_slice(batch.records().column(0).as_primitive::<Int64Type>().values());
    }
    received.sort_unstable();
    assert_eq!(received, (0..1000).collect::<Vec<_>>());
}

/// Numbers, of which those that three divides are taken back.
fn changed(values: std::ops::Range<i64>) -> Batch {
    let weights = Int8Array::from_iter_values(values.clone().map(|value| if value % 3 == 0 { -1 } else { 1 }));
    Batch::weighted(numbers(values).into_parts().0, weights).unwrap()
}

#[test]
fn rows_keep_their_weights_whatever_way_they_go() {
    for exchange in [Exchange::Forward, Exchange::Hash(vec![0]), Exchange::Broadcast, Exchange::Rebalance] {
        let (mut gates, senders) = three_gates();
        let copies = if exchange == Exchange::Broadcast { 3 } else { 1 };
        let mut router = Router::new(Target::new(&exchange, 3), senders, 0, ExchangeLimits::default());
        // Put together of pieces with weights, and of one whose rows are all added.
        for batch in [changed(0..500), changed(500..600), numbers([601, 602])] {
            router.send(Element::Batch(batch)).now_or_never().unwrap().unwrap();
        }
        router.flush().now_or_never().unwrap().unwrap();
        let mut received = Vec::new();
        for gate in &mut gates {
            while let Some((_, Element::Batch(batch))) = gate.next().now_or_never() {
                let weight = |row| batch.weights().map_or(1, |weights| weights.value(row));
                let values = batch.records().column(0).as_primitive::<Int64Type>();
                received.extend((0..batch.num_rows()).map(|row| (values.value(row), weight(row))));
            }
        }
        received.sort_unstable();
        let expected =
            (0..600).chain([601, 602]).map(|value| (value, if value % 3 == 0 && value < 600 { -1 } else { 1 }));
        let expected: Vec<(i64, i8)> = expected.flat_map(|row| vec![row; copies]).collect();
        assert_eq!(received, expected, "{exchange:?}");
    }
}

#[test]
fn small_pieces_travel_together_and_a_watermark_stays_behind_them() {
    let (mut gates, senders) = three_gates();
    let mut router = Router::new(Target::new(&Exchange::Broadcast, 3), senders, 0, ExchangeLimits::default());
    let mut send = |element| router.send(element).now_or_never().unwrap().unwrap();
    send(Element::Batch(numbers(0..1)));
    send(Element::Watermark(Watermark::At(EventTime(5))));
    send(Element::Batch(numbers(0..2)));
    send(Element::Watermark(Watermark::Idle));
    assert!(gates.iter_mut().all(|gate| next(gate).is_none()), "it lingers");
    send(marker(1));
    for gate in &mut gates {
        assert_eq!(next(gate), row(0, "rows 3"));
        assert_eq!(next(gate), row(0, "at 5"));
        assert_eq!(next(gate), row(0, "idle"), "and that does not hide how far time had come");
        assert_eq!(next(gate), row(0, "marker 1"));
    }
}
