//! What has happened in a history, for people, and as one number that is the same whenever the same happens.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// Offset and prime of FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The trace of one history.
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    print: bool,
    hash: Mutex<Hash>,
}

#[derive(Debug, Clone, Copy)]
struct Hash(u64);

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        Ok(())
    }
}

impl Trace {
    /// A trace that begins now; printed line by line if wanted.
    pub fn new(print: bool) -> Self {
        Self { start: Instant::now(), print, hash: Mutex::new(Hash(FNV_OFFSET)) }
    }

    /// Virtual time since the history began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When the history began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Somebody does something.
    pub fn say(&self, who: impl Display, what: impl Display) {
        let at = self.elapsed().as_micros();
        let mut hash = lock(&self.hash);
        // Writing into a number cannot fail.
        let _ = write!(hash, "{at} {who} {what}");
        drop(hash);
        if self.print {
            let who = who.to_string();
            let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
            // Whoever reads the trace may have seen enough.
            let _ = writeln!(std::io::stdout().lock(), "{seconds:3}.{micros:06}  {who:<4} {what}");
        }
    }

    /// The same for two histories in which the same has happened.
    pub fn hash(&self) -> u64 {
        lock(&self.hash).0
    }
}
