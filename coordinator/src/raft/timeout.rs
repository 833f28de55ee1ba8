//! Election timeouts from a seed. The library draws them from the thread's generator, which no seed reaches; what is
//! drawn here is put over that after every step, before a tick can look at it.

use raft::StateRole;

/// Draws a timeout whenever the term or the role has changed.
#[derive(Debug)]
pub(super) struct ElectionTimeout {
    random: u64,
    base: usize,
    drawn_for: Option<(u64, StateRole)>,
    ticks: usize,
}

impl ElectionTimeout {
    /// `base` ticks at least, less than twice as many.
    pub(super) fn new(seed: u64, id: u64, base: usize) -> Self {
        // Ids are small numbers: multiplied by an odd constant (of the golden ratio) they differ in their high bits
        // too. The generator must not start at 0, where it would stay.
        let random = (seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1);
        let mut timeout = Self { random, base, drawn_for: None, ticks: base };
        // The first numbers of xorshift still look like its start.
        (0..8).for_each(|_| {
            timeout.draw();
        });
        timeout
    }

    /// The timeout to use from here on.
    pub(super) fn ticks(&mut self, term: u64, role: StateRole) -> usize {
        if self.drawn_for != Some((term, role)) {
            self.drawn_for = Some((term, role));
            self.ticks = self.base + (self.draw() % self.base as u64) as usize;
        }
        self.ticks
    }

    /// How long to wait before a leader that is known to be gone is replaced: short, and different at each, so that they do not
    /// all stand for election at once.
    pub(super) fn hurried(&mut self) -> usize {
        1 + (self.draw() % (self.base as u64).div_ceil(3)) as usize
    }

    /// xorshift64 (Marsaglia 2003).
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
