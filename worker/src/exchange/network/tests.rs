//! Channels between processes, over real connections on this machine.

use std::future::Future;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use weir_core::{
    AdmissionLimits, Batch, Element, Epoch, EventTime, Incarnation, Marker, MarkerKind, NodeId, Watermark, WorkerId,
};

use super::codec::{Decoder, Encoder, LENGTH_BYTES};
use super::*;
use crate::exchange::size::batch_bytes;
use crate::exchange::{Gate, SendError};

const WINDOW: usize = 10_000;

fn process(worker: &str) -> Process {
    Process { worker: WorkerId(worker.into()), incarnation: Incarnation(1) }
}

struct Worker {
    network: Network,
    placed: PlacedWorker,
}

async fn worker(name: &str) -> Worker {
    worker_with(name, |_| {}).await
}

async fn worker_with(name: &str, change: impl FnOnce(&mut NetworkConfig)) -> Worker {
    let mut config = NetworkConfig::new("test", process(name));
    config.window = WINDOW as u64;
    change(&mut config);
    let transport = TcpTransport::listen("127.0.0.1:0", config.frame_bytes, None).await.unwrap();
    worker_on(config, transport)
}

fn worker_on(config: NetworkConfig, transport: TcpTransport) -> Worker {
    let address = transport.local_address().unwrap().to_string();
    let Process { worker, incarnation } = config.me.clone();
    let network = Network::start(config, Arc::new(transport));
    Worker { network, placed: PlacedWorker { worker, incarnation, address } }
}

fn id(job: u64, attempt: u64, channel: usize) -> ChannelId {
    ChannelId { job: JobId(job), attempt: Attempt(attempt), head: NodeId(3), subtask: 1, channel }
}

impl Worker {
    fn join(&self, job: u64) -> Membership {
        self.network.join(JobId(job), Attempt(1)).unwrap()
    }

    fn sender(&self, membership: &Membership, to: &Worker, id: ChannelId) -> RemoteSender {
        RemoteSender::new(self.network.hub.clone(), to.placed.clone(), id, membership.lost_sender())
    }
}

/// A gate on each channel of which `from` is going to send.
fn gate(membership: &Membership, from: &Worker, ids: &[ChannelId]) -> Gate {
    let (gate, inlets) = Gate::new(ids.len(), WINDOW);
    for (id, inlet) in ids.iter().zip(inlets) {
        membership.expect(*id, Process::from(&from.placed), inlet);
    }
    gate
}

fn numbers(rows: i64) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    Batch::append(RecordBatch::try_from_iter([("n", column)]).unwrap())
}

fn marker(epoch: u64) -> Element {
    Element::Marker(Marker { epoch: Epoch(epoch), kind: MarkerKind::Checkpoint })
}

/// The next element in a few letters.
async fn next(gate: &mut Gate) -> (usize, String) {
    let (channel, element) = soon(gate.next()).await;
    let text = match element {
        Element::Batch(batch) => format!("rows {}", batch.num_rows()),
        Element::Watermark(Watermark::At(time)) => format!("at {}", time.0),
        Element::Watermark(Watermark::Idle) => "idle".into(),
        Element::Marker(marker) => format!("marker {}", marker.epoch),
        Element::End => "end".into(),
    };
    (channel, text)
}

/// Fails where it would otherwise wait for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not come")
}

async fn lost(membership: &mut Membership) -> String {
    soon(membership.lost()).await.report()
}

#[tokio::test]
async fn elements_arrive_in_order_and_the_sender_learns_that_all_have() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    let mut gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut sender = a.sender(&at_a, &b, id(1, 1, 0));
    sender.send_control(Element::Watermark(Watermark::At(EventTime(5)))).unwrap();
    soon(sender.send(numbers(3))).await.unwrap();
    sender.send_control(Element::Watermark(Watermark::Idle)).unwrap();
    sender.send_control(marker(1)).unwrap();
    assert!(sender.arrived().now_or_never().is_none(), "there is more to come");
    sender.send_control(Element::End).unwrap();
    soon(sender.arrived()).await.unwrap();
    // From here on nothing that happens to the sender can take anything away.
    drop((sender, at_a, a));
    for expected in ["at 5", "rows 3", "idle", "marker 1", "end"] {
        assert_eq!(next(&mut gate).await, (0, expected.to_owned()));
    }
    let mut at_b = at_b;
    assert!(at_b.lost().now_or_never().is_none(), "a channel that is complete is nobody's loss");
}

#[tokio::test]
async fn rows_wait_for_credit_in_bytes() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    let mut gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut sender = a.sender(&at_a, &b, id(1, 1, 0));
    let bytes = batch_bytes(&numbers(500));
    assert_eq!(bytes, 4000);
    // A batch is let in whole while there is any credit: two leave 2000 bytes, and the third overdraws.
    for _ in 0..3 {
        soon(sender.send(numbers(500))).await.unwrap();
    }
    assert!(sender.send(numbers(1)).now_or_never().is_none(), "though it is small");
    let connection = a.network.hub.connection(&b.placed);
    let at_receiver = b.network.hub.connection(&a.placed);
    assert_eq!(next(&mut gate).await.1, "rows 500");
    // What is not on its way waits at one of the two ends, and all of it was paid for.
    let (queued, delivered) = (connection.waiting().0, at_receiver.waiting().1);
    assert!(queued + delivered <= 8000, "{queued} and {delivered}");
    soon(sender.send(numbers(1))).await.unwrap();
    for expected in ["rows 500", "rows 500", "rows 1"] {
        assert_eq!(next(&mut gate).await.1, expected);
    }
    // Through a window many times, and never more than a window and a batch ahead of the reader.
    let sending = async {
        for _ in 0..200 {
            sender.send(numbers(500)).await.unwrap();
        }
    };
    let reading = async {
        for _ in 0..200 {
            assert_eq!(next(&mut gate).await.1, "rows 500");
            let (_, delivered) = at_receiver.waiting();
            assert!(delivered <= (WINDOW + bytes) as u64, "{delivered}");
        }
    };
    soon(async { tokio::join!(sending, reading) }).await;
}

/// Both ends know it: with a quarter of the connection's credit kept back by the reader, the sender would have none for ever.
#[tokio::test]
async fn a_channel_uses_less_credit_than_there_is_where_its_reader_is_slow() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    // The first is opened before it is known how much credit there is.
    for channel in 0..2 {
        let id = id(1, 1, channel);
        let (mut gate, mut inlets) = Gate::new(1, 1000);
        at_b.expect(id, Process::from(&a.placed), inlets.remove(0));
        let mut sender = a.sender(&at_a, &b, id).within(1000);
        for _ in 0..4 {
            soon(sender.send(numbers(40))).await.unwrap();
        }
        assert!(sender.send(numbers(40)).now_or_never().is_none(), "1280 bytes are on the way");
        let sending = async {
            for _ in 0..200 {
                sender.send(numbers(40)).await.unwrap();
            }
        };
        let reading = async {
            for _ in 0..204 {
                assert_eq!(next(&mut gate).await.1, "rows 40");
            }
        };
        soon(async { tokio::join!(sending, reading) }).await;
    }
}

#[tokio::test]
async fn a_batch_larger_than_the_window_goes_through_and_one_larger_than_a_frame_in_pieces() {
    let small_frames = |config: &mut NetworkConfig| config.frame_bytes = 64 * 1024;
    let (a, b) = (worker_with("a", small_frames).await, worker_with("b", small_frames).await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    let mut gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut sender = a.sender(&at_a, &b, id(1, 1, 0));
    soon(sender.send(numbers(4000))).await.unwrap();
    assert_eq!(next(&mut gate).await.1, "rows 4000");
    let sending = async { sender.send(numbers(10_000)).await.unwrap() };
    let reading = async {
        let mut rows = 0;
        while rows < 10_000 {
            let (_, Element::Batch(batch)) = gate.next().await else { panic!("no rows") };
            assert!(batch_bytes(&batch) <= 32 * 1024);
            rows += batch.num_rows();
        }
        assert_eq!(rows, 10_000);
    };
    soon(async { tokio::join!(sending, reading) }).await;
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(40_000)]));
    let row = Batch::append(RecordBatch::try_from_iter([("s", long)]).unwrap());
    let Err(SendError::Failed(error)) = soon(sender.send(row)).await else { panic!("a row cannot be cut") };
    assert!(error.report().contains("a row has 400"), "{}", error.report());
}

#[tokio::test]
async fn a_marker_passes_while_another_channel_has_no_credit() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    let mut full = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut free = gate(&at_b, &a, &[id(1, 1, 1)]);
    let mut senders = [0, 1].map(|channel| a.sender(&at_a, &b, id(1, 1, channel)));
    soon(senders[0].send(numbers(10_000))).await.unwrap();
    assert!(senders[0].send(numbers(1)).now_or_never().is_none(), "no credit");
    senders[1].send_control(marker(1)).unwrap();
    assert_eq!(next(&mut free).await.1, "marker 1");
    // Its own channel's marker waits for the rows in front of it, and for nothing else.
    senders[0].send_control(marker(1)).unwrap();
    assert_eq!(next(&mut full).await.1, "rows 10000");
    assert_eq!(next(&mut full).await.1, "marker 1");
}

#[tokio::test]
async fn a_sender_learns_that_the_reader_is_gone_and_the_job_hears_nothing() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (mut at_a, at_b) = (a.join(1), b.join(1));
    let gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut sender = a.sender(&at_a, &b, id(1, 1, 0));
    soon(sender.send(numbers(10_000))).await.unwrap();
    drop(gate);
    assert!(matches!(soon(sender.send(numbers(1))).await, Err(SendError::Closed)));
    assert!(at_a.lost().now_or_never().is_none(), "whoever is gone says why");
}

#[tokio::test]
async fn channels_of_an_older_attempt_are_refused() {
    let (a, b) = (worker("a").await, worker("b").await);
    let mut at_a = a.join(1);
    let mut older = b.join(1);
    let _gate = gate(&older, &a, &[id(1, 1, 0)]);
    let newer = b.network.join(JobId(1), Attempt(2)).unwrap();
    let mut gate = gate(&newer, &a, &[id(1, 2, 0)]);
    assert!(lost(&mut older).await.contains("attempt 2 of job 1 has begun"));
    drop(older);
    assert!(b.network.join(JobId(1), Attempt(1)).is_err(), "nothing older begins");
    let mut stale = a.sender(&at_a, &b, id(1, 1, 0));
    stale.send_control(marker(1)).unwrap();
    let error = lost(&mut at_a).await;
    assert!(error.contains("worker b refused") && error.contains("attempt 2 of the job has begun"), "{error}");
    let mut at_a = a.network.join(JobId(1), Attempt(2)).unwrap();
    let mut early = a.sender(&at_a, &b, id(1, 3, 0));
    early.send_control(marker(1)).unwrap();
    assert!(lost(&mut at_a).await.contains("attempt 2 of the job is still here"));
    let at_a = a.network.join(JobId(1), Attempt(3)).unwrap();
    let mut right = a.sender(&at_a, &b, id(1, 2, 0));
    right.send_control(marker(1)).unwrap();
    assert_eq!(next(&mut gate).await.1, "marker 1", "the right one is taken");
}

#[tokio::test]
async fn a_channel_is_for_the_process_that_it_was_placed_on_and_opened_once() {
    let (a, b, c) = (worker("a").await, worker("b").await, worker("c").await);
    let (mut at_a, at_b, mut at_c) = (a.join(1), b.join(1), c.join(1));
    let mut gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut usurper = c.sender(&at_c, &b, id(1, 1, 0));
    usurper.send_control(marker(1)).unwrap();
    let error = lost(&mut at_c).await;
    assert!(error.contains("it is worker a") && error.contains("and not worker c"), "{error}");
    let mut first = a.sender(&at_a, &b, id(1, 1, 0));
    first.send_control(marker(2)).unwrap();
    assert_eq!(next(&mut gate).await.1, "marker 2");
    let mut second = a.sender(&at_a, &b, id(1, 1, 0));
    second.send_control(marker(3)).unwrap();
    assert!(lost(&mut at_a).await.contains("somebody does already"));
    drop(at_b);
    let mut at_a = a.network.join(JobId(2), Attempt(1)).unwrap();
    let mut homeless = a.sender(&at_a, &b, id(2, 1, 0));
    homeless.send_control(marker(1)).unwrap();
    assert!(lost(&mut at_a).await.contains("no part of the job is here"));
}

#[tokio::test]
async fn a_broken_connection_fails_both_sides_and_only_the_jobs_that_use_it() {
    let (a, b, c) = (worker("a").await, worker("b").await, worker("c").await);
    let (mut at_a, mut at_b) = (a.join(1), b.join(1));
    let (mut other_b, mut other_c) = (b.join(2), c.join(2));
    let mut from_a = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut from_c = gate(&other_b, &c, &[id(2, 1, 0)]);
    let mut to_b = a.sender(&at_a, &b, id(1, 1, 0));
    let mut c_to_b = c.sender(&other_c, &b, id(2, 1, 0));
    to_b.send_control(marker(1)).unwrap();
    c_to_b.send_control(marker(1)).unwrap();
    assert_eq!(next(&mut from_a).await.1, "marker 1");
    assert_eq!(next(&mut from_c).await.1, "marker 1");
    drop(a);
    let error = lost(&mut at_b).await;
    assert!(error.contains("the connection to worker a at 127.0.0.1:"), "{error}");
    let error = lost(&mut at_a).await;
    assert!(error.contains("the connection to worker b at 127.0.0.1:"), "{error}");
    assert!(matches!(soon(to_b.send(numbers(1))).await, Err(SendError::Closed)));
    soon(c_to_b.send(numbers(2))).await.unwrap();
    assert_eq!(next(&mut from_c).await.1, "rows 2");
    assert!(other_b.lost().now_or_never().is_none() && other_c.lost().now_or_never().is_none());
}

#[tokio::test]
async fn a_worker_that_cannot_be_reached_is_named() {
    let (a, b) = (worker("a").await, worker("b").await);
    let mut at_a = a.join(1);
    let mut restarted = b.placed.clone();
    restarted.incarnation = Incarnation(2);
    let hub = a.network.hub.clone();
    let mut sender = RemoteSender::new(hub.clone(), restarted, id(1, 1, 0), at_a.lost_sender());
    sender.send_control(marker(1)).unwrap();
    let error = lost(&mut at_a).await;
    assert!(error.contains("the connection to worker b at") && error.contains("this is worker b"), "{error}");
    let unused = TcpTransport::listen("127.0.0.1:0", FRAME_BYTES, None).await.unwrap().local_address().unwrap();
    let gone = PlacedWorker { address: unused.to_string(), ..b.placed.clone() };
    let mut at_a = a.join(2);
    let mut sender = RemoteSender::new(hub, gone, id(2, 1, 0), at_a.lost_sender());
    assert!(matches!(soon(sender.send(numbers(1))).await, Err(SendError::Closed)));
    assert!(lost(&mut at_a).await.contains("cannot be reached"));
}

#[tokio::test]
async fn both_may_dial_at_once() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    let mut gate_b = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut gate_a = gate(&at_a, &b, &[id(1, 1, 1)]);
    let mut to_b = a.sender(&at_a, &b, id(1, 1, 0));
    let mut to_a = b.sender(&at_b, &a, id(1, 1, 1));
    for epoch in 1..100 {
        to_b.send_control(marker(epoch)).unwrap();
        to_a.send_control(marker(epoch)).unwrap();
        let expected = (0, format!("marker {epoch}"));
        assert_eq!(next(&mut gate_b).await, expected);
        assert_eq!(next(&mut gate_a).await, expected);
    }
}

/// Who speaks the protocol by hand.
struct Stranger {
    stream: TcpStream,
    encoder: Encoder,
}

impl Stranger {
    async fn dial(worker: &Worker) -> Self {
        Self { stream: TcpStream::connect(&worker.placed.address).await.unwrap(), encoder: Encoder::default() }
    }

    async fn say(&mut self, frame: Frame) {
        for buffer in self.encoder.encode(&frame, FRAME_BYTES).unwrap() {
            self.stream.write_all(&buffer).await.unwrap();
        }
    }

    async fn greet(&mut self, cluster: &str, to: &str) {
        let hello = Hello { cluster: cluster.into(), from: process("x"), to: process(to), window: 1 };
        self.say(Frame::Hello(hello)).await;
    }

    /// What the worker says before it closes the connection.
    async fn hears(mut self) -> Vec<Frame> {
        let mut bytes = Vec::new();
        // A connection that is closed while something is on its way to it ends with an error.
        let _ = soon(self.stream.read_to_end(&mut bytes)).await;
        let mut decoder = Decoder::new(FRAME_BYTES);
        let mut frames = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((prefix, more)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let (frame, more) = more.split_at(decoder.length(*prefix).unwrap());
            frames.push(decoder.decode(bytes::Bytes::copy_from_slice(frame)).unwrap());
            rest = more;
        }
        frames
    }
}

#[tokio::test]
async fn strangers_are_turned_away_and_disturb_nobody() {
    let short = |config: &mut NetworkConfig| config.handshake = Duration::from_millis(50);
    let (a, b) = (worker("a").await, worker_with("b", short).await);
    let (at_a, at_b) = (a.join(1), b.join(1));
    let mut gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let mut sender = a.sender(&at_a, &b, id(1, 1, 0));
    sender.send_control(marker(1)).unwrap();
    assert_eq!(next(&mut gate).await.1, "marker 1");

    let silent = Stranger::dial(&b).await;
    assert!(silent.hears().await.is_empty(), "who says nothing is not waited for");
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 100], &[8, 0, 0, 0, 99, 1, 2, 3, 4, 5, 6, 7], &[0; 4]] {
        let mut garbage = Stranger::dial(&b).await;
        garbage.stream.write_all(bytes).await.unwrap();
        assert!(garbage.hears().await.is_empty());
    }
    for (cluster, to, says) in [("other", "b", "this is cluster test"), ("test", "c", "this is worker b")] {
        let mut lost = Stranger::dial(&b).await;
        lost.greet(cluster, to).await;
        let heard = lost.hears().await;
        let [Frame::Refused { reason }] = heard.as_slice() else { panic!("{heard:?}") };
        assert!(reason.contains(says), "{reason}");
    }
    let mut greedy = Stranger::dial(&b).await;
    greedy.greet("test", "b").await;
    greedy.stream.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    assert!(matches!(greedy.hears().await.as_slice(), [Frame::Welcome { .. }]), "and then no more");

    sender.send_control(marker(2)).unwrap();
    assert_eq!(next(&mut gate).await.1, "marker 2");
}

#[tokio::test]
async fn one_address_that_says_nothing_shuts_out_nobody_else() {
    let mut config = NetworkConfig::new("test", process("b"));
    config.handshake = Duration::from_secs(600);
    let transport = TcpTransport::listen("127.0.0.1:0", FRAME_BYTES, None).await.unwrap();
    let limits = AdmissionLimits { all: 64, per_address: 4, loopback: 4 };
    let b = worker_on(config, transport.with_strangers(limits));
    let mut silent = Vec::new();
    for _ in 0..300 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 9], 0).into()).unwrap();
        silent.push(socket.connect(b.placed.address.parse().unwrap()).await.unwrap());
    }
    for stream in silent.iter_mut().skip(4) {
        // In order or not, it is closed.
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    // More than four from one address: whoever has said who it is takes no place of those who have not.
    let at_b = b.join(1);
    let names: Vec<String> = (0..8).map(|number| format!("a{number}")).collect();
    let mut workers = Vec::new();
    for (name, channel) in names.iter().zip(0..) {
        let a = worker(name).await;
        let at_a = a.join(1);
        let mut gate = gate(&at_b, &a, &[id(1, 1, channel)]);
        let mut sender = a.sender(&at_a, &b, id(1, 1, channel));
        sender.send_control(marker(1)).unwrap();
        assert_eq!(next(&mut gate).await.1, "marker 1");
        workers.push((a, at_a, sender, gate));
    }
}

#[tokio::test]
async fn a_peer_that_overdraws_its_credit_is_cut_off() {
    let b = worker("b").await;
    let mut at_b = b.join(1);
    let (_gate, inlets) = Gate::new(1, WINDOW);
    for inlet in inlets {
        at_b.expect(id(1, 1, 0), process("x"), inlet);
    }
    let mut greedy = Stranger::dial(&b).await;
    greedy.greet("test", "b").await;
    greedy.say(Frame::Open { channel: 0, id: id(1, 1, 0) }).await;
    for _ in 0..2 {
        let bytes = WINDOW as u64;
        greedy.say(Frame::Element { channel: 0, element: Element::Batch(numbers(1)), bytes }).await;
    }
    let error = lost(&mut at_b).await;
    assert!(error.contains("worker x") && error.contains("10000 of 10000 bytes of credit"), "{error}");
}

#[tokio::test]
async fn rows_that_make_no_sense_break_the_connection_and_nothing_else() {
    let (a, b) = (worker("a").await, worker("b").await);
    let (at_a, other_b, mut at_b) = (a.join(2), b.join(2), b.join(1));
    let mut from_a = gate(&other_b, &a, &[id(2, 1, 0)]);
    let mut sender = a.sender(&at_a, &b, id(2, 1, 0));
    let (_gate, inlets) = Gate::new(1, WINDOW);
    for inlet in inlets {
        at_b.expect(id(1, 1, 0), process("x"), inlet);
    }
    let mut confused = Stranger::dial(&b).await;
    confused.greet("test", "b").await;
    confused.say(Frame::Open { channel: 0, id: id(1, 1, 0) }).await;
    let element = Element::Batch(numbers(100));
    let frame = confused.encoder.encode(&Frame::Element { channel: 0, element, bytes: 1 }, FRAME_BYTES).unwrap();
    let mut bytes: Vec<u8> = frame.iter().flat_map(|buffer| buffer.to_vec()).collect();
    // What the schema says of itself.
    bytes[80..200].fill(0xAB);
    confused.stream.write_all(&bytes).await.unwrap();
    assert!(lost(&mut at_b).await.contains("the connection to worker x"));
    sender.send_control(marker(1)).unwrap();
    assert_eq!(next(&mut from_a).await.1, "marker 1");
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_given_up_and_one_that_is_idle_is_not() {
    let short = |config: &mut NetworkConfig| {
        config.silence = Duration::from_millis(500);
        config.ping_every = Duration::from_millis(50);
    };
    let (a, b) = (worker_with("a", short).await, worker_with("b", short).await);
    let (at_a, mut at_b) = (a.join(1), b.join(1));
    let mut gate = gate(&at_b, &a, &[id(1, 1, 0)]);
    let (_silent_gate, inlets) = Gate::new(1, WINDOW);
    for inlet in inlets {
        at_b.expect(id(1, 1, 1), process("x"), inlet);
    }
    let mut sender = a.sender(&at_a, &b, id(1, 1, 0));
    sender.send_control(marker(1)).unwrap();
    assert_eq!(next(&mut gate).await.1, "marker 1");
    let mut silent = Stranger::dial(&b).await;
    silent.greet("test", "b").await;
    silent.say(Frame::Open { channel: 0, id: id(1, 1, 1) }).await;
    // `a` is silent just as long, but for its pings.
    let error = lost(&mut at_b).await;
    assert!(error.contains("worker x") && error.contains("it was silent"), "{error}");
    sender.send_control(marker(2)).unwrap();
    assert_eq!(next(&mut gate).await.1, "marker 2");
}
