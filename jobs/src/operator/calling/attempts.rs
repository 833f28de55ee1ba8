//! One call with its retries.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use weir_core::{Error, ErrorKind, Result};
use weir_plugin_abi::caught;

use crate::calls::CallFailure;

/// Calls for a row, and gives the rows that come of it.
pub(crate) type CallFunction<R, T> = Arc<dyn Fn(R) -> CallFuture<T> + Send + Sync>;

/// A call under way.
pub(crate) type CallFuture<T> = Pin<Box<dyn Future<Output = Result<Vec<T>>> + Send>>;

/// How long calls take, and how often they are repeated.
pub(super) struct Policy {
    /// What panics are told to have happened in.
    pub(super) step: String,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: u32,
    pub(super) backoff: (Duration, Duration),
}

/// What has come of a call.
pub(super) enum Returned<T> {
    Rows(Vec<T>),
    Failed(CallFailure),
    /// It panicked, or calls cannot be made at all.
    Broken(Error),
}

/// Calls until there is an answer or no retry is left. Panics are caught.
pub(super) async fn called<R: Clone, T>(
    function: CallFunction<R, T>,
    row: R,
    policy: Arc<Policy>,
    number: u64,
) -> Returned<T> {
    let mut attempts = pin!(attempts(function, row, &policy, number));
    let what = format!("a call of step '{}'", policy.step);
    poll_fn(|context| match caught(&what, || Ok(attempts.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Returned::Broken(panic)),
    })
    .await
}

async fn attempts<R: Clone, T>(function: CallFunction<R, T>, row: R, policy: &Policy, number: u64) -> Returned<T> {
    let mut attempts = 1;
    loop {
        let call = function(row.clone());
        let returned = match policy.timeout {
            None => call.await,
            Some(timeout) => tokio::time::timeout(timeout, call).await.unwrap_or_else(|_| {
                Err(Error::environment(format!("there was no answer within {} ms", timeout.as_millis())))
            }),
        };
        match returned {
            Ok(rows) => return Returned::Rows(rows),
            Err(error) if error.kind() == ErrorKind::Environment && attempts <= policy.retries => {
                let pause = pause(policy.backoff, attempts, number);
                tokio::time::sleep_until(tokio::time::Instant::now() + pause).await;
                attempts += 1;
            }
            Err(error) => return Returned::Failed(CallFailure { error, attempts }),
        }
    }
}

/// How long to wait behind the attempt of that number: between a half and the whole of what has doubled each time.
fn pause((first, longest): (Duration, Duration), attempt: u32, number: u64) -> Duration {
    let whole = first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX)).min(longest);
    // Rows that have failed together are spread, whatever their numbers.
    let spread = (number ^ u64::from(attempt).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    whole - whole.mul_f64(0.5 * spread as f64 / 256.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread_over_their_second_half() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        for (attempt, whole) in [(1, 100), (2, 200), (4, 800), (5, 1000), (40, 1000), (u32::MAX, 1000)] {
            let pauses: Vec<Duration> = (0..1000).map(|number| pause((first, longest), attempt, number)).collect();
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            let whole = Duration::from_millis(whole);
            assert!(*most <= whole && *most > whole.mul_f64(0.95), "attempt {attempt}: {most:?}");
            assert!(*least >= whole / 2 && *least < whole.mul_f64(0.55), "attempt {attempt}: {least:?}");
        }
    }
}
