//! The receiving side of a subtask: one queue per input channel, and alignment of markers over them.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Poll, Waker};

use weir_core::bugs::{self, Bug};
use weir_core::{Batch, Element, EventTime, Watermark};

use super::size::batch_bytes;

/// The other end of a channel is gone: its subtask has failed or was stopped, and says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// The input channels of one subtask.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Mutex<Shared>>,
}

/// Looks at a [`Gate`] from outside, as long as it is there.
#[derive(Debug, Clone)]
pub struct GateWatch {
    shared: Weak<Mutex<Shared>>,
    last: Arc<Mutex<Flow>>,
}

/// What goes through a gate, in bytes of rows as credit counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Taken by its subtask so far.
    pub taken_bytes: u64,
    /// Waiting.
    pub queued_bytes: u64,
}

/// Where the elements of one channel of a [`Gate`] are put in.
#[derive(Debug, Clone)]
pub struct Inlet {
    shared: Arc<Mutex<Shared>>,
    channel: usize,
}

/// The sending end of a channel whose both ends are in this process.
#[derive(Debug)]
pub struct LocalSender {
    inlet: Inlet,
}

/// What a channel whose elements come from another process has to hear of its reader. Nothing is told behind the end.
pub trait Origin: Send + Sync + fmt::Debug {
    /// The reader has taken a batch that counted so many bytes.
    fn taken(&self, bytes: usize);

    /// The reader is gone.
    fn abandoned(&self);
}

#[derive(Debug)]
struct Shared {
    channels: Vec<Channel>,
    /// Bytes that may wait in one channel before its sender has to.
    credit: usize,
    /// Where the next search for an element starts, so that no channel is starved.
    next: usize,
    receiver: Option<Waker>,
    closed: bool,
    taken_bytes: u64,
}

#[derive(Debug, Default)]
struct Channel {
    /// Elements, and what each counts against the credit.
    elements: VecDeque<(Element, usize)>,
    /// What all of them count.
    bytes: usize,
    /// Not read from until the marker has arrived on all channels.
    blocked: bool,
    /// How far event time has come in what was taken; `None` before the first watermark, and where the channel is idle.
    time: Option<EventTime>,
    /// Turns that it has given away since it last took one.
    given: u32,
    sender: Option<Waker>,
    origin: Option<Arc<dyn Origin>>,
}

/// What was taken out of a gate.
struct Taken {
    channel: usize,
    element: Element,
    /// Whom to tell how much room there is again.
    origin: Option<(Arc<dyn Origin>, usize)>,
}

/// Turns that a channel gives away before it takes one.
const TURNS_GIVEN: u32 = 4;

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nothing panics while it holds a gate")
}

impl Gate {
    /// A gate with `channels` inputs of so many bytes of credit each, and the ways into them in order.
    pub fn new(channels: usize, credit: usize) -> (Self, Vec<Inlet>) {
        let shared = Arc::new(Mutex::new(Shared {
            channels: (0..channels).map(|_| Channel::default()).collect(),
            credit,
            next: 0,
            receiver: None,
            closed: false,
            taken_bytes: 0,
        }));
        let inlets = (0..channels).map(|channel| Inlet { shared: shared.clone(), channel }).collect();
        (Self { shared }, inlets)
    }

    /// To look at it while its subtask has it.
    pub fn watch(&self) -> GateWatch {
        GateWatch { shared: Arc::downgrade(&self.shared), last: Arc::default() }
    }

    /// Waits for the next element of any channel that is not blocked; of those that have one, mostly of the one whose event time is furthest
    /// behind. Dropping the future loses nothing.
    pub async fn next(&mut self) -> (usize, Element) {
        let taken = poll_fn(|context| {
            let mut shared = lock(&self.shared);
            match shared.pop() {
                Some(taken) => Poll::Ready(taken),
                None => {
                    shared.receiver = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        if let Some((origin, bytes)) = taken.origin.filter(|_| !bugs::is_on(Bug::CreditLost)) {
            origin.taken(bytes);
        }
        (taken.channel, taken.element)
    }

    /// Reads nothing more from `channel` until [`unblock_all`](Self::unblock_all).
    pub fn block(&mut self, channel: usize) {
        lock(&self.shared).channels[channel].blocked = true;
    }

    /// Ends an alignment.
    pub fn unblock_all(&mut self) {
        lock(&self.shared).channels.iter_mut().for_each(|channel| channel.blocked = false);
    }
}

impl GateWatch {
    /// What has gone through it; behind its end, what had when it was last looked at.
    pub fn flow(&self) -> Flow {
        let mut last = self.last.lock().expect("nothing panics while it holds a flow");
        last.queued_bytes = 0;
        if let Some(shared) = self.shared.upgrade() {
            let shared = lock(&shared);
            let queued = shared.channels.iter().map(|channel| channel.bytes as u64);
            let queued_bytes = queued.fold(0, u64::saturating_add);
            *last = Flow { taken_bytes: shared.taken_bytes, queued_bytes };
        }
        *last
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut origins = Vec::new();
        let mut shared = lock(&self.shared);
        shared.closed = true;
        for channel in &mut shared.channels {
            channel.elements.clear();
            if let Some(waker) = channel.sender.take() {
                waker.wake();
            }
            origins.extend(channel.origin.take());
        }
        drop(shared);
        for origin in origins {
            origin.abandoned();
        }
    }
}

impl Shared {
    fn pop(&mut self) -> Option<Taken> {
        let index = self.pick()?;
        let channel = &mut self.channels[index];
        let (element, bytes) = channel.elements.pop_front()?;
        let mut origin = None;
        if bytes > 0 {
            self.taken_bytes = self.taken_bytes.saturating_add(bytes as u64);
            channel.bytes = channel.bytes.saturating_sub(bytes);
            if channel.bytes < self.credit
                && let Some(waker) = channel.sender.take()
            {
                waker.wake();
            }
            origin = channel.origin.clone().map(|origin| (origin, bytes));
        }
        match element {
            Element::Watermark(Watermark::At(time)) => channel.time = Some(time),
            Element::Watermark(Watermark::Idle) => channel.time = None,
            _ => {}
        }
        Some(Taken { channel: index, element, origin })
    }

    /// Which channel to read from. They take turns; one that is ahead in event time gives its turn to the one that is furthest behind, for what
    /// it brings has to wait for that one in the state of operators, and costs more there than in its queue. Now and then it takes its
    /// turn all the same, so that nobody is starved. So does one of whose time nothing is known or no more will come: nobody's rows wait for it.
    fn pick(&mut self) -> Option<usize> {
        let count = self.channels.len();
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        let is_ready = |index: &usize| !self.channels[*index].blocked && !self.channels[*index].elements.is_empty();
        let time = |index: usize| self.channels[index].time.filter(|time| *time < EventTime::MAX);
        let mut ready = in_turn.filter(is_ready);
        let first = ready.next()?;
        let behind = match time(first) {
            Some(its_time) if self.channels[first].given < TURNS_GIVEN => {
                let behind = ready.filter_map(|index| Some((time(index)?, index))).min();
                behind.filter(|(time, _)| *time < its_time).map(|(_, behind)| behind)
            }
            _ => None,
        };
        self.next = (first + 1) % count;
        let given = &mut self.channels[first].given;
        *given = if behind.is_some() { *given + 1 } else { 0 };
        Some(behind.unwrap_or(first))
    }

    fn push(&mut self, channel: usize, element: Element, bytes: usize) {
        let channel = &mut self.channels[channel];
        // Consecutive watermarks say no more than the last of them, and a reader that is behind need not see them all. The end says
        // less: where time stood before it counts.
        if let Element::Watermark(Watermark::At(new)) = element
            && new < EventTime::MAX
            && let Some((Element::Watermark(Watermark::At(last)), _)) = channel.elements.back_mut()
        {
            *last = new;
            return;
        }
        if matches!(element, Element::End) {
            channel.origin = None;
        }
        channel.bytes = channel.bytes.saturating_add(bytes);
        channel.elements.push_back((element, bytes));
        if !channel.blocked
            && let Some(waker) = self.receiver.take()
        {
            waker.wake();
        }
    }
}

impl Inlet {
    /// Bytes that may wait in its channel.
    pub fn credit(&self) -> usize {
        lock(&self.shared).credit
    }

    /// Puts an element in that counts `bytes` against the credit, which is the caller's to keep.
    pub fn deliver(&self, element: Element, bytes: usize) -> Result<(), Closed> {
        let mut shared = lock(&self.shared);
        if shared.closed {
            return Err(Closed);
        }
        shared.push(self.channel, element, bytes);
        Ok(())
    }

    /// From here on `origin` hears of the reader.
    pub fn attach(&self, origin: Arc<dyn Origin>) -> Result<(), Closed> {
        let mut shared = lock(&self.shared);
        if shared.closed {
            return Err(Closed);
        }
        shared.channels[self.channel].origin = Some(origin);
        Ok(())
    }
}

impl From<Inlet> for LocalSender {
    fn from(inlet: Inlet) -> Self {
        Self { inlet }
    }
}

impl LocalSender {
    /// Sends rows, waiting for credit. Returns how many bytes they count.
    pub async fn send(&mut self, batch: Batch) -> Result<usize, Closed> {
        let bytes = batch_bytes(&batch);
        let Inlet { shared, channel } = &self.inlet;
        let mut batch = Some(batch);
        poll_fn(|context| {
            let mut shared = lock(shared);
            if shared.closed {
                return Poll::Ready(Err(Closed));
            }
            if shared.channels[*channel].bytes >= shared.credit {
                shared.channels[*channel].sender = Some(context.waker().clone());
                return Poll::Pending;
            }
            if let Some(batch) = batch.take() {
                shared.push(*channel, Element::Batch(batch), bytes);
            }
            Poll::Ready(Ok(bytes))
        })
        .await
    }

    /// Sends a watermark, a marker or an end, behind the rows that were sent before, without waiting for credit.
    pub fn send_control(&mut self, element: Element) -> Result<(), Closed> {
        self.inlet.deliver(element, 0)
    }
}
