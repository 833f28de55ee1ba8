//! Which keys are in use, and when they may be fetched again. Decides only; [`issuer`](crate::issuer) fetches.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::keys::Keys;

/// Time between two fetches because of keys that are not known, so that tokens with made-up keys do not flood the issuer.
pub(crate) const REFETCH_AFTER: Duration = Duration::from_secs(10);
/// How long keys are good for when the issuer cannot be reached. Those that it has withdrawn meanwhile count for so long.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// What is known of an issuer's keys.
#[derive(Debug, Default)]
pub(crate) struct Known {
    keys: Option<(Arc<Keys>, Instant)>,
    attempted: Option<Instant>,
}

impl Known {
    /// The keys, unless they are too old.
    pub(crate) fn keys(&self, now: Instant) -> Option<Arc<Keys>> {
        let (keys, since) = self.keys.as_ref()?;
        (now.duration_since(*since) < GOOD_FOR).then(|| keys.clone())
    }

    /// Whether keys may be fetched again because a token names one that is not known.
    pub(crate) fn may_refetch(&self, now: Instant) -> bool {
        self.attempted.is_none_or(|attempted| now.duration_since(attempted) >= REFETCH_AFTER)
    }

    /// Keys are being fetched; that may fail.
    pub(crate) fn record_attempt(&mut self, now: Instant) {
        self.attempted = Some(now);
    }

    /// Replaces the keys by those that were fetched.
    pub(crate) fn store(&mut self, keys: Keys, now: Instant) {
        self.keys = Some((Arc::new(keys), now));
    }
}
