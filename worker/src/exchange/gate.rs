//! The receiving side of a subtask: one queue per input channel, and alignment of markers over them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use weir_core::{Batch, Element, Watermark};

/// Rows that may wait in one channel before its sender has to. A batch is let in whole once there is any credit, so a
/// queue holds at most this many rows and one batch.
const CREDIT_ROWS: usize = 32 * 1024;

/// The other end of a channel is gone: its subtask has failed or was stopped, and says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// The input channels of one subtask.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Mutex<Shared>>,
}

/// The sending end of one channel of a [`Gate`].
#[derive(Debug)]
pub struct ChannelSender {
    shared: Arc<Mutex<Shared>>,
    channel: usize,
}

#[derive(Debug)]
struct Shared {
    channels: Vec<Channel>,
    /// Where the next search for an element starts, so that no channel is starved.
    next: usize,
    receiver: Option<Waker>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Channel {
    elements: VecDeque<Element>,
    rows: usize,
    /// Not read from until the marker has arrived on all channels.
    blocked: bool,
    sender: Option<Waker>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nothing panics while it holds a gate")
}

impl Gate {
    /// A gate with `channels` inputs, and their sending ends in order.
    pub fn new(channels: usize) -> (Self, Vec<ChannelSender>) {
        let shared = Arc::new(Mutex::new(Shared {
            channels: (0..channels).map(|_| Channel::default()).collect(),
            next: 0,
            receiver: None,
            closed: false,
        }));
        let senders = (0..channels).map(|channel| ChannelSender { shared: shared.clone(), channel }).collect();
        (Self { shared }, senders)
    }

    /// Waits for the next element of any channel that is not blocked. Dropping the future loses nothing.
    pub async fn next(&mut self) -> (usize, Element) {
        poll_fn(|context| {
            let mut shared = lock(&self.shared);
            match shared.pop() {
                Some(found) => Poll::Ready(found),
                None => {
                    shared.receiver = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
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

impl Drop for Gate {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.closed = true;
        for channel in &mut shared.channels {
            channel.elements.clear();
            if let Some(waker) = channel.sender.take() {
                waker.wake();
            }
        }
    }
}

impl Shared {
    fn pop(&mut self) -> Option<(usize, Element)> {
        let count = self.channels.len();
        for step in 0..count {
            let index = (self.next + step) % count;
            let channel = &mut self.channels[index];
            if channel.blocked {
                continue;
            }
            if let Some(element) = channel.elements.pop_front() {
                if let Element::Batch(batch) = &element {
                    channel.rows -= batch.num_rows();
                    if channel.rows < CREDIT_ROWS
                        && let Some(waker) = channel.sender.take()
                    {
                        waker.wake();
                    }
                }
                self.next = (index + 1) % count;
                return Some((index, element));
            }
        }
        None
    }

    fn push(&mut self, channel: usize, element: Element) {
        let channel = &mut self.channels[channel];
        // Consecutive watermarks say no more than the last of them, and a reader that is behind need not see them all.
        if let Element::Watermark(Watermark::At(new)) = element
            && let Some(Element::Watermark(Watermark::At(last))) = channel.elements.back_mut()
        {
            *last = new;
            return;
        }
        channel.elements.push_back(element);
        if !channel.blocked
            && let Some(waker) = self.receiver.take()
        {
            waker.wake();
        }
    }
}

impl ChannelSender {
    /// Sends rows, waiting for credit.
    pub async fn send(&mut self, batch: Batch) -> Result<(), Closed> {
        let mut batch = Some(batch);
        poll_fn(|context| {
            let mut shared = lock(&self.shared);
            if shared.closed {
                return Poll::Ready(Err(Closed));
            }
            let channel = &mut shared.channels[self.channel];
            if channel.rows >= CREDIT_ROWS {
                channel.sender = Some(context.waker().clone());
                return Poll::Pending;
            }
            if let Some(batch) = batch.take() {
                channel.rows += batch.num_rows();
                shared.push(self.channel, Element::Batch(batch));
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Sends a watermark, a marker or an end, behind the rows that were sent before, without waiting for credit.
    pub fn send_control(&mut self, element: Element) -> Result<(), Closed> {
        let mut shared = lock(&self.shared);
        if shared.closed {
            return Err(Closed);
        }
        shared.push(self.channel, element);
        Ok(())
    }
}
