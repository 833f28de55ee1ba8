//! What there is to know about a connection to a peer: the channels on it, their credit, and what waits to be sent.
//!
//! Each outgoing channel has a queue of its own, and the channels with something to send take turns, an element each. So
//! a marker waits for the rows of its own channel and for one element of each other. What waits is bounded: batches by
//! the credit of their channel, and watermarks because a newer one takes the place of an older one behind it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::sync::mpsc;
use weir_core::{Element, Error, EventTime, PlacedWorker, Result, Watermark};

use super::super::{Closed, Inlet, Origin};
use super::frame::{ChannelId, Closing, Frame};

/// Where a part of a job hears that it has lost a peer. Only the first news counts.
pub type LostSender = mpsc::Sender<Error>;

/// A connection to another worker, broken or not.
#[derive(Debug)]
pub struct Connection {
    /// The other worker.
    pub peer: PlacedWorker,
    /// Credit that each incoming channel is given.
    window: u64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    broken: bool,
    /// Credit of each outgoing channel at its beginning; `None` while the peer has not said it.
    granted: Option<u64>,
    outgoing: BTreeMap<u32, Outgoing>,
    next_number: u32,
    /// Outgoing channels with something to send, in turn.
    ready: VecDeque<u32>,
    incoming: BTreeMap<u32, Incoming>,
    /// Credit to be given back.
    credit: BTreeMap<u32, u64>,
    /// Frames that belong to no outgoing channel's queue.
    notices: VecDeque<Frame>,
    writer: Option<Waker>,
}

/// A channel that this worker sends on.
#[derive(Debug)]
struct Outgoing {
    id: ChannelId,
    state: State,
    queue: VecDeque<(Element, u64)>,
    /// Credit that it uses at most, of what the peer gives.
    window: u64,
    /// May fall below zero by one batch.
    credit: i64,
    sender: Option<Waker>,
    lost: LostSender,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The peer has not been told of it.
    New,
    Open,
    /// All of it has arrived.
    Complete,
    /// The receiver takes nothing more.
    Closed,
}

/// A channel that this worker receives on.
#[derive(Debug)]
struct Incoming {
    inlet: Inlet,
    /// Credit that its sender uses at most.
    window: u64,
    /// Delivered and not taken yet.
    outstanding: u64,
    /// Taken and not told yet.
    returned: u64,
    lost: LostSender,
}

/// Tells a connection about the reader of one of its channels.
#[derive(Debug)]
struct Reader {
    connection: Arc<Connection>,
    number: u32,
}

impl Connection {
    /// A connection that is about to be made. What is sent on it waits.
    pub fn new(peer: PlacedWorker, window: u64) -> Self {
        Self { peer, window, shared: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("nothing panics while it holds a connection")
    }

    /// The peer has said what credit it gives.
    pub fn established(&self, granted: u64) {
        let mut shared = self.lock();
        shared.granted = Some(granted);
        for channel in shared.outgoing.values_mut() {
            channel.credit = channel.credit.saturating_add(signed(granted.min(channel.window)));
            channel.wake();
        }
        shared.wake_writer();
    }

    /// The connection is no more: all who have a channel on it are told.
    pub fn fail(&self, reason: &str) {
        let mut shared = self.lock();
        if std::mem::replace(&mut shared.broken, true) {
            return;
        }
        let channels = std::mem::take(&mut shared.incoming);
        for channel in channels.values() {
            self.tell_lost(&channel.lost, reason);
        }
        for channel in shared.outgoing.values_mut().filter(|channel| channel.state != State::Complete) {
            self.tell_lost(&channel.lost, reason);
            channel.close();
        }
        shared.ready.clear();
        shared.notices.clear();
        shared.wake_writer();
    }

    fn tell_lost(&self, lost: &LostSender, reason: &str) {
        let PlacedWorker { worker, address, .. } = &self.peer;
        let error = Error::environment(format!("the connection to worker {worker} at {address} broke"));
        // If there is no room the part has heard of a failure already; if nobody listens the part is gone.
        let _ = lost.try_send(error.with_source(reason.to_owned()));
    }

    // What senders do.

    /// A new outgoing channel, which uses at most `window` bytes of the credit that it is given. Returns its number.
    pub fn open(&self, id: ChannelId, window: u64, lost: LostSender) -> u32 {
        let mut shared = self.lock();
        let number = shared.next_number;
        shared.next_number += 1;
        let mut state = State::New;
        if shared.broken {
            self.tell_lost(&lost, "it was broken already");
            state = State::Closed;
        }
        let credit = shared.granted.map_or(0, |granted| signed(granted.min(window)));
        let queue = VecDeque::new();
        shared.outgoing.insert(number, Outgoing { id, state, queue, window, credit, sender: None, lost });
        number
    }

    /// Whether a batch may be sent.
    pub fn poll_credit(&self, number: u32, context: &Context<'_>) -> Poll<Result<(), Closed>> {
        self.poll(number, context, |channel| channel.credit > 0)
    }

    /// Whether the end has arrived.
    pub fn poll_arrived(&self, number: u32, context: &Context<'_>) -> Poll<Result<(), Closed>> {
        self.poll(number, context, |channel| channel.state == State::Complete)
    }

    fn poll(
        &self,
        number: u32,
        context: &Context<'_>,
        ready: impl FnOnce(&Outgoing) -> bool,
    ) -> Poll<Result<(), Closed>> {
        let mut shared = self.lock();
        match shared.outgoing.get_mut(&number) {
            None => Poll::Ready(Err(Closed)),
            Some(channel) if channel.state == State::Closed => Poll::Ready(Err(Closed)),
            Some(channel) if ready(channel) => Poll::Ready(Ok(())),
            Some(channel) => {
                channel.sender = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes an element for an outgoing channel, at the price of so many bytes of its credit.
    pub fn send(&self, number: u32, element: Element, bytes: u64) -> Result<(), Closed> {
        let mut shared = self.lock();
        let channel = shared.outgoing.get_mut(&number).ok_or(Closed)?;
        if channel.state == State::Closed {
            return Err(Closed);
        }
        channel.credit = channel.credit.saturating_sub(signed(bytes));
        if let Element::Watermark(Watermark::At(new)) = element
            && new < EventTime::MAX
            && let Some((Element::Watermark(Watermark::At(last)), _)) = channel.queue.back_mut()
        {
            *last = new;
            return Ok(());
        }
        channel.queue.push_back((element, bytes));
        if channel.queue.len() == 1 {
            shared.ready.push_back(number);
            shared.wake_writer();
        }
        Ok(())
    }

    /// The sender of an outgoing channel is gone.
    pub fn forget(&self, number: u32) {
        let mut shared = self.lock();
        if let Some(channel) = shared.outgoing.remove(&number)
            && matches!(channel.state, State::Open | State::Closed)
            && !shared.broken
        {
            shared.notice(Frame::Gone { channel: number });
        }
    }

    // What the writer does.

    /// The next frame to be sent; none while the handshake is not over.
    pub fn poll_frame(&self, context: &Context<'_>) -> Poll<Frame> {
        let mut shared = self.lock();
        match shared.next_frame() {
            Some(frame) => Poll::Ready(frame),
            None => {
                shared.writer = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    // What the reader does.

    /// The peer opens a channel into `inlet`.
    pub fn accept(self: &Arc<Self>, number: u32, inlet: Inlet, lost: LostSender) {
        let mut shared = self.lock();
        if shared.broken {
            self.tell_lost(&lost, "it was broken already");
            return;
        }
        let window = self.window.min(inlet.credit() as u64);
        shared.incoming.insert(number, Incoming { inlet: inlet.clone(), window, outstanding: 0, returned: 0, lost });
        drop(shared);
        if inlet.attach(Arc::new(Reader { connection: self.clone(), number })).is_err() {
            self.reader_gone(number);
        }
    }

    /// The peer's channel is not taken.
    pub fn refuse(&self, number: u32, reason: String) {
        self.lock().notice(Frame::Closed { channel: number, closing: Closing::Refused(reason) });
    }

    /// An element has come.
    ///
    /// # Errors
    /// If the peer does not keep to its credit.
    pub fn deliver(&self, number: u32, element: Element, bytes: u64) -> Result<()> {
        let mut shared = self.lock();
        let window = self.window;
        // A channel that was closed here may still have elements on the way.
        let Some(channel) = shared.incoming.get_mut(&number) else { return Ok(()) };
        if bytes > 0 && channel.outstanding >= window {
            return Err(Error::environment(format!(
                "it sent on channel {number} although {} of {window} bytes of credit were in use",
                channel.outstanding
            )));
        }
        channel.outstanding = channel.outstanding.saturating_add(bytes);
        let inlet = channel.inlet.clone();
        if matches!(element, Element::End) {
            shared.incoming.remove(&number);
            shared.credit.remove(&number);
            shared.notice(Frame::Closed { channel: number, closing: Closing::Complete });
        }
        drop(shared);
        // A gate that has gone says so itself.
        let _ = inlet.deliver(element, usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }

    /// The peer has given credit back.
    pub fn credited(&self, number: u32, bytes: u64) {
        if let Some(channel) = self.lock().outgoing.get_mut(&number) {
            channel.credit = channel.credit.saturating_add(signed(bytes));
            channel.wake();
        }
    }

    /// The peer has closed one of our channels.
    pub fn closed(&self, number: u32, closing: Closing) {
        let mut shared = self.lock();
        let Some(channel) = shared.outgoing.get_mut(&number) else { return };
        match closing {
            Closing::Complete => {
                channel.state = State::Complete;
                channel.wake();
            }
            Closing::Abandoned => channel.close(),
            Closing::Refused(reason) => {
                let error = Error::environment(format!("worker {} refused a {}", self.peer.worker, channel.id));
                let _ = channel.lost.try_send(error.with_source(reason));
                channel.close();
            }
        }
    }

    fn reader_gone(&self, number: u32) {
        let mut shared = self.lock();
        if shared.incoming.remove(&number).is_some() {
            shared.credit.remove(&number);
            shared.notice(Frame::Closed { channel: number, closing: Closing::Abandoned });
        }
    }

    fn taken(&self, number: u32, bytes: u64) {
        let mut shared = self.lock();
        let Some(channel) = shared.incoming.get_mut(&number) else { return };
        channel.outstanding = channel.outstanding.saturating_sub(bytes);
        channel.returned = channel.returned.saturating_add(bytes);
        // A sender goes on as soon as it has any credit. While less than this is kept back, it has some.
        if channel.returned >= (channel.window / 4).max(1) {
            let returned = std::mem::take(&mut channel.returned);
            let credit = shared.credit.entry(number).or_default();
            *credit = credit.saturating_add(returned);
            shared.wake_writer();
        }
    }

    /// Bytes of batches that wait to be sent or taken: outgoing, incoming.
    #[cfg(test)]
    pub fn waiting(&self) -> (u64, u64) {
        let shared = self.lock();
        let queued = shared.outgoing.values().flat_map(|channel| &channel.queue).map(|(_, bytes)| bytes);
        (queued.sum(), shared.incoming.values().map(|channel| channel.outstanding).sum())
    }
}

impl Shared {
    fn next_frame(&mut self) -> Option<Frame> {
        if self.broken {
            return None;
        }
        self.granted?;
        if let Some(notice) = self.notices.pop_front() {
            return Some(notice);
        }
        if let Some((channel, bytes)) = self.credit.pop_first() {
            return Some(Frame::Credit { channel, bytes });
        }
        while let Some(number) = self.ready.pop_front() {
            // A channel that was closed has an empty queue, and one that was forgotten has none.
            let Some(channel) = self.outgoing.get_mut(&number) else { continue };
            if channel.state == State::New {
                channel.state = State::Open;
                self.ready.push_front(number);
                return Some(Frame::Open { channel: number, id: channel.id });
            }
            let Some((element, bytes)) = channel.queue.pop_front() else { continue };
            if !channel.queue.is_empty() {
                self.ready.push_back(number);
            }
            return Some(Frame::Element { channel: number, element, bytes });
        }
        None
    }

    fn notice(&mut self, frame: Frame) {
        self.notices.push_back(frame);
        self.wake_writer();
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Outgoing {
    fn close(&mut self) {
        self.state = State::Closed;
        self.queue.clear();
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.sender.take() {
            waker.wake();
        }
    }
}

impl Origin for Reader {
    fn taken(&self, bytes: usize) {
        self.connection.taken(self.number, bytes as u64);
    }

    fn abandoned(&self) {
        self.connection.reader_gone(self.number);
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
