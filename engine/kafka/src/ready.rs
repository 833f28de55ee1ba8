//! Which queues have something in them, as librdkafka's threads say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Numbers of queues that are worth looking into, in turn.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<usize>,
    is_in: Vec<bool>,
}

impl Ready {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // What panicked was a push of a number at worst.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something in this queue. Called by librdkafka while it holds the queue, so it does nothing else.
    pub(crate) fn mark(&self, queue: usize) {
        let mut waiting = self.waiting();
        if waiting.is_in.len() <= queue {
            waiting.is_in.resize(queue + 1, false);
        }
        if !std::mem::replace(&mut waiting.is_in[queue], true) {
            waiting.order.push_back(queue);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// The queue whose turn it is. What comes into it from now on marks it again.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut waiting = self.waiting();
        let queue = waiting.order.pop_front()?;
        waiting.is_in[queue] = false;
        Some(queue)
    }

    /// Waits until a queue has been marked.
    pub(crate) async fn marked(self: &Arc<Self>) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn queues_take_turns_and_are_in_line_once() {
        let ready = Arc::new(Ready::default());
        for queue in [2, 0, 2] {
            ready.mark(queue);
        }
        ready.marked().await;
        assert_eq!(ready.take(), Some(2));
        ready.mark(2);
        assert_eq!([ready.take(), ready.take(), ready.take()], [Some(0), Some(2), None]);
    }
}
