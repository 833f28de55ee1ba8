//! How far a sink may stage ahead of the commit of the epoch before.
//!
//! The next marker waits for that commit. A sink that is given rows faster than they can be committed would stage more in each epoch than in the
//! one before, since more come while more is committed, until a transaction takes longer than it may. So when the next marker is
//! overdue, a subtask that has staged much already waits for it with the next rows. It is released when the marker is ordered, which is before it
//! comes: it comes behind these rows.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weir_core::{Epoch, Marker};

/// Where the checkpoints of a part stand, as its sinks have to know it.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The last checkpoint that was ordered.
    epoch: Epoch,
    /// When that was.
    ordered: Instant,
    /// The last one that is complete.
    completed: Epoch,
}

impl Standing {
    /// Of a part that goes on behind an epoch.
    pub fn behind(epoch: Epoch) -> Self {
        Self { epoch, ordered: Instant::now(), completed: epoch }
    }

    /// The part begins, which may be long after it was opened: from now on checkpoints are due.
    pub fn begins(&mut self) {
        self.ordered = Instant::now();
    }

    /// A marker is on its way. Whether that is news of a checkpoint: it may be said more than once.
    pub fn ordered(&mut self, marker: Marker) -> bool {
        let is_news = marker.kind.captures() && marker.epoch > self.epoch;
        if is_news {
            (self.epoch, self.ordered) = (marker.epoch, Instant::now());
        }
        is_news
    }

    /// All parts have reported that epoch, and it will be committed.
    pub fn completed(&mut self, epoch: Epoch) {
        self.completed = self.completed.max(epoch);
    }

    /// Whether the next checkpoint would have been ordered by now, if the last one was committed.
    fn is_overdue(&self, interval: Duration) -> bool {
        self.completed >= self.epoch && self.ordered.elapsed() >= interval
    }
}

/// The pace of one subtask.
#[derive(Debug)]
pub struct Pace {
    standing: watch::Receiver<Standing>,
    /// From one checkpoint to the next; `None`: nobody knows when one is due, and it waits for none.
    interval: Option<Duration>,
}

impl Pace {
    /// Of a subtask whose part stands there.
    pub fn new(standing: watch::Receiver<Standing>, interval: Option<Duration>) -> Self {
        Self { standing, interval }
    }

    /// Of a subtask that waits for no checkpoint.
    pub fn free() -> Self {
        Self::new(watch::channel(Standing::behind(Epoch(0))).1, None)
    }

    /// Waits while the next checkpoint is overdue. Dropping the future changes nothing.
    pub async fn keep(&mut self) {
        let Some(interval) = self.interval else { return };
        while self.standing.borrow_and_update().is_overdue(interval) {
            // Whoever knows is gone with the attempt.
            if self.standing.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use futures::FutureExt;
    use tokio::time::advance;
    use weir_core::MarkerKind;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn part(interval: Option<Duration>) -> (watch::Sender<Standing>, Pace) {
        let (sender, receiver) = watch::channel(Standing::behind(Epoch(3)));
        (sender, Pace::new(receiver, interval))
    }

    fn ordered(part: &watch::Sender<Standing>, epoch: u64, kind: MarkerKind) {
        part.send_if_modified(|standing| standing.ordered(Marker { epoch: Epoch(epoch), kind }));
    }

    fn completed(part: &watch::Sender<Standing>, epoch: u64) {
        part.send_modify(|standing| standing.completed(Epoch(epoch)));
    }

    fn goes_on(pace: &mut Pace) -> bool {
        pace.keep().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_while_the_epoch_before_is_committed_for_longer_than_an_interval() {
        let (part, mut pace) = part(Some(SECOND));
        for epoch in [4, 9] {
            assert!(goes_on(&mut pace), "an interval is not over");
            ordered(&part, epoch, MarkerKind::Checkpoint);
            advance(5 * SECOND).await;
            assert!(
                goes_on(&mut pace),
                "others may wait for what this subtask sends before the checkpoint is complete"
            );
            completed(&part, epoch);
            assert!(!goes_on(&mut pace), "it is committed, and the next one is overdue");
            ordered(&part, epoch + 1, MarkerKind::Flush);
            completed(&part, epoch - 1);
            assert!(!goes_on(&mut pace), "which says nothing of the commit");
            ordered(&part, epoch + 2, MarkerKind::Savepoint);
            assert!(goes_on(&mut pace), "the commit is done");
            completed(&part, epoch + 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_by_the_order() {
        let (part, mut pace) = part(Some(SECOND));
        advance(SECOND).await;
        assert!(!goes_on(&mut pace), "what an earlier attempt has left may still be committed");
        part.send_modify(Standing::begins);
        assert!(goes_on(&mut pace), "it may take long until a part that is open begins");
        advance(SECOND).await;
        let mut waiting = std::pin::pin!(pace.keep());
        assert!(waiting.as_mut().now_or_never().is_none());
        ordered(&part, 4, MarkerKind::Drain);
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_where_no_checkpoint_is_due() {
        let (_part, mut pace) = part(None);
        advance(100 * SECOND).await;
        assert!(goes_on(&mut pace));
    }
}
