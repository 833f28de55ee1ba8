//! Where messages wait until they have arrived.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::lock::lock;

/// A queue in order of arrival, of one reader. Clones are the same queue.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    news: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    /// By time of arrival, then in order of sending.
    messages: BTreeMap<(Instant, u64), T>,
    sent: u64,
    closed: bool,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        let queue = Mutex::new(Queue { messages: BTreeMap::new(), sent: 0, closed: false });
        Self(Arc::new(Shared { queue, news: Notify::new() }))
    }
}

impl<T> Mailbox<T> {
    /// A message that arrives at `at`. Nobody gets it if the reader is gone by now.
    pub fn deliver(&self, at: Instant, message: T) {
        let mut queue = lock(&self.0.queue);
        if queue.closed {
            return;
        }
        queue.sent += 1;
        let key = (at, queue.sent);
        queue.messages.insert(key, message);
        drop(queue);
        self.0.news.notify_one();
    }

    /// A message that arrives at once.
    pub fn post(&self, message: T) {
        self.deliver(Instant::now(), message);
    }

    /// Nothing arrives any more, and what has is lost.
    pub fn close(&self) {
        let mut queue = lock(&self.0.queue);
        queue.closed = true;
        let lost = std::mem::take(&mut queue.messages);
        // A message that is dropped may have something to say, to this mailbox too.
        drop(queue);
        drop(lost);
    }

    /// What has arrived by now, if anything.
    pub fn arrived(&self) -> Option<T> {
        let mut queue = lock(&self.0.queue);
        let (at, _) = queue.messages.keys().next()?;
        if *at > Instant::now() {
            return None;
        }
        queue.messages.pop_first().map(|(_, message)| message)
    }

    /// Waits for the next message. Dropping the wait loses nothing.
    pub async fn receive(&self) -> T {
        loop {
            if let Some(message) = self.arrived() {
                return message;
            }
            let next = lock(&self.0.queue).messages.keys().next().map(|(at, _)| *at);
            match next {
                None => self.0.news.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = self.0.news.notified() => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }
}
