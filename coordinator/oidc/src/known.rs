//! Which keys are in use, and whether the issuer may be asked for them now. Decides alone; [`issuer`](crate::issuer) asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::keys::Keys;

/// Time between two questions because of keys that are not known: whoever sends tokens that name such has the issuer asked so often.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(10);
/// How long keys are good for when the issuer cannot be reached. Those that it has withdrawn meanwhile count for so long.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// What is known of an issuer's keys.
#[derive(Debug, Default)]
pub(crate) struct Known {
    keys: Option<(Arc<Keys>, Instant)>,
    asked: Option<Instant>,
}

impl Known {
    /// The keys, unless they are too old.
    pub(crate) fn keys(&self, now: Instant) -> Option<Arc<Keys>> {
        let (keys, since) = self.keys.as_ref()?;
        (now.duration_since(*since) < GOOD_FOR).then(|| keys.clone())
    }

    /// Whether the issuer may be asked because of a token.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN)
    }

    /// It is asked.
    pub(crate) fn asks(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// It has answered.
    pub(crate) fn learns(&mut self, keys: Keys, now: Instant) {
        self.keys = Some((Arc::new(keys), now));
    }
}
