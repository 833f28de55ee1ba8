//! The pager of `weir sql`: results that are longer than the terminal go to it, as in psql.
//!
//! ```text
//!   begin ──▶ held ──more lines than the terminal has──▶ the pager's input ──end──▶ until it is left
//!               └──end, or a while without the rest──▶ the terminal
//! ```
//!
//! Only a result that has an end is begun: one that goes on is looked at while it comes.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::clock::Stopwatch;

/// So long a result is held that may turn out to be longer than the terminal.
const HELD: Duration = Duration::from_secs(1);

/// The command that is wanted: that of `PAGER`, which may be empty for none, or `less` if it is there.
pub fn wanted() -> Option<String> {
    if let Some(command) = std::env::var_os("PAGER") {
        return Some(command.to_string_lossy().trim().to_owned()).filter(|command| !command.is_empty());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).any(|folder| folder.join("less").is_file()).then(|| "less".to_owned())
}

/// Where the text of a result goes.
#[derive(Debug, Default)]
pub struct Paging {
    command: Option<String>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// To the terminal.
    #[default]
    Off,
    /// Nowhere yet.
    Held { text: Vec<u8>, since: Stopwatch },
    /// To the pager; `None`: that has been closed.
    Running { child: Child, input: Option<ChildStdin> },
}

impl Paging {
    /// With this command, or none.
    pub fn new(command: Option<String>) -> Self {
        Self { command, state: State::Off }
    }

    /// Whether text goes to the terminal.
    pub fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    /// A result begins.
    pub fn begin(&mut self) {
        if self.command.is_some() && self.is_off() {
            self.state = State::Held { text: Vec::new(), since: Stopwatch::start() };
        }
    }

    /// Takes text of the result; what it returns goes to the terminal, which has so many `rows`. `hush` is called before a pager takes the terminal.
    ///
    /// # Errors
    /// That nobody wants to see more: `BrokenPipe`.
    pub fn take(&mut self, bytes: &[u8], rows: impl Fn() -> usize, hush: &dyn Fn()) -> io::Result<Option<Vec<u8>>> {
        match &mut self.state {
            State::Off => return Ok(Some(bytes.to_vec())),
            State::Running { input, .. } => {
                return match input {
                    Some(input) => input.write_all(bytes).map(|()| None),
                    None => Err(io::ErrorKind::BrokenPipe.into()),
                };
            }
            State::Held { text, .. } => text.extend_from_slice(bytes),
        }
        let State::Held { text, .. } = &mut self.state else { return Ok(None) };
        // The line of the prompt is one, too.
        if text.iter().filter(|byte| **byte == b'\n').count() < rows() {
            return Ok(None);
        }
        let text = std::mem::take(text);
        self.state = State::Off;
        hush();
        let command = self.command.as_deref().unwrap_or("less");
        let Ok(mut child) = Command::new("sh").arg("-c").arg(command).stdin(Stdio::piped()).spawn() else {
            return Ok(Some(text));
        };
        let mut input = child.stdin.take();
        let written = input.as_mut().map_or(Ok(()), |input| input.write_all(&text));
        self.state = State::Running { child, input };
        written.map(|()| None)
    }

    /// What has been held for a while, and goes to the terminal after all, as what follows it does.
    pub fn overdue(&mut self) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Held { text, since } if since.elapsed() > HELD => {
                let text = std::mem::take(text);
                self.state = State::Off;
                Some(text)
            }
            _ => None,
        }
    }

    /// The result has ended: what of it goes to the terminal. Waits until the pager is left.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        match std::mem::take(&mut self.state) {
            State::Off => None,
            State::Held { text, .. } => Some(text),
            State::Running { mut child, input } => {
                drop(input);
                // How it ended is its own business.
                let _ = child.wait();
                None
            }
        }
    }
}
