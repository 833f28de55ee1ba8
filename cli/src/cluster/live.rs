//! What is told while a command waits: a live line on a terminal, and elsewhere a line now and then.

use std::time::Duration;

use crate::terminal::Screen;

/// Time between two lines where there is no terminal for a live one.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Tells how what is waited for stands.
pub struct Live<'a> {
    screen: &'a Screen,
    name: &'a str,
    last_log: Option<Duration>,
}

impl<'a> Live<'a> {
    /// Of what is waited for, as its user calls it.
    pub fn new(screen: &'a Screen, name: &'a str) -> Self {
        Self { screen, name, last_log: None }
    }

    /// How it stands so long after the waiting began.
    pub fn show(&mut self, elapsed: Duration, line: &str) {
        if self.screen.layout().err_is_terminal {
            self.screen.set_status(line);
        } else if self.last_log.is_none_or(|last| elapsed.saturating_sub(last) >= LOG_EVERY) {
            self.last_log = Some(elapsed);
            self.screen.message(&format!("{}: {line}\n", self.name));
        }
    }
}
