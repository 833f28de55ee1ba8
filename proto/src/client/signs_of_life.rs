//! Signs of life of whoever reads the rows of a `SELECT`.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use super::results::SAY_AGAIN;

/// Whether somebody reads. Clones are of the same reader.
#[derive(Debug, Clone)]
pub struct SignsOfLife(Arc<Mutex<bool>>);

/// A sign is to be given before this is dropped.
#[derive(Debug)]
pub struct SignDue<'a>(#[expect(dead_code, reason = "held")] MutexGuard<'a, bool>);

impl Default for SignsOfLife {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(true)))
    }
}

impl SignsOfLife {
    /// Waits until the next sign is due; for ever, once nobody reads any more. One that is not heard does no harm: there is
    /// [patience](super::results::PATIENCE) for several.
    pub async fn due(&self) -> SignDue<'_> {
        #[expect(clippy::disallowed_methods, reason = "a pause between two signs of life")]
        tokio::time::sleep(SAY_AGAIN).await;
        let is_there = self.0.lock().await;
        if !*is_there {
            drop(is_there);
            return std::future::pending().await;
        }
        SignDue(is_there)
    }

    /// Nobody reads any more. Behind this no sign is given, and none is under way: one that came after the folder was removed would make it
    /// anew.
    pub async fn end(&self) {
        *self.0.lock().await = false;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Signs of life: how many were begun, and how many may end.
    #[derive(Default)]
    struct Signs {
        begun: AtomicUsize,
        has_begun: Notify,
        may_end: Notify,
    }

    impl Signs {
        async fn give(&self, life: &SignsOfLife) {
            loop {
                let _due = life.due().await;
                self.begun.fetch_add(1, Ordering::SeqCst);
                self.has_begun.notify_one();
                self.may_end.notified().await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_a_sign_that_is_under_way_and_no_other_follows() {
        let (life, signs) = (SignsOfLife::default(), Arc::new(Signs::default()));
        let (saying, given) = (life.clone(), signs.clone());
        let saying = tokio::spawn(async move { given.give(&saying).await });
        for number in 1..=2 {
            signs.has_begun.notified().await;
            assert_eq!(signs.begun.load(Ordering::SeqCst), number, "one after the other");
            if number == 1 {
                signs.may_end.notify_one();
            }
        }
        let ended = tokio::spawn(async move { life.end().await });
        // All that could run has run when this time has passed.
        tokio::time::sleep(SAY_AGAIN).await;
        assert!(!ended.is_finished(), "a sign is under way");
        signs.may_end.notify_one();
        ended.await.unwrap();
        tokio::time::sleep(SAY_AGAIN * 3).await;
        assert_eq!(signs.begun.load(Ordering::SeqCst), 2, "nobody reads any more");
        saying.abort();
    }
}
