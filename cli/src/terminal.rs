//! What goes to stdout and what to stderr, so that the two never mix on one terminal.
//!
//! Results own stdout. The status line lives on the last line of stderr, if that is a terminal: it is erased before
//! anything else is printed to the same terminal, and drawn again behind it.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const ERASE_LINE: &str = "\r\x1b[2K";

/// stdout and stderr of the process, or what stands for them in tests.
pub struct Screen {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Stderr>,
    layout: Layout,
    messages: AtomicU64,
}

/// What kind of files stdout and stderr are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Results go to a terminal.
    pub out_is_terminal: bool,
    /// Messages go to a terminal.
    pub err_is_terminal: bool,
    /// Colours are wanted on stderr.
    pub colour: bool,
}

struct Stderr {
    writer: Box<dyn Write + Send>,
    /// The status line as it stands there; empty if none.
    status: String,
}

impl Screen {
    /// The process's own stdout and stderr.
    pub fn of_process() -> Self {
        let err_is_terminal = io::stderr().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let layout = Layout {
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal,
            colour: err_is_terminal && !no_colour,
        };
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), layout)
    }

    /// Any two writers.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, layout: Layout) -> Self {
        let err = Mutex::new(Stderr { writer: err, status: String::new() });
        Self { out: Mutex::new(out), err, layout, messages: AtomicU64::new(0) }
    }

    /// What kind of files stdout and stderr are.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Columns and rows of the terminal that results go to; `None` if they go elsewhere.
    pub fn results_size(&self) -> Option<(usize, usize)> {
        if self.layout.out_is_terminal { terminal_size(io::stdout()) } else { None }
    }

    /// Writes results. May block for as long as whoever reads stdout does not.
    ///
    /// # Errors
    /// What writing to stdout gives; `BrokenPipe` if nobody reads any more.
    pub fn write_results(&self, bytes: &[u8]) -> io::Result<()> {
        // Only where both are terminals can the two meet; a slow reader of a pipe must not stop the status line.
        let mut err = (self.layout.out_is_terminal && self.layout.err_is_terminal).then(|| lock(&self.err));
        if let Some(err) = err.as_mut().filter(|err| !err.status.is_empty()) {
            let _ = err.writer.write_all(ERASE_LINE.as_bytes()).and_then(|()| err.writer.flush());
        }
        let mut out = lock(&self.out);
        out.write_all(bytes)?;
        out.flush()?;
        if let Some(err) = err.as_mut() {
            err.draw();
        }
        Ok(())
    }

    /// Replaces the status line; an empty one takes it away. Does nothing where stderr is no terminal.
    pub fn set_status(&self, line: &str) {
        if !self.layout.err_is_terminal {
            return;
        }
        let width = terminal_size(io::stderr()).map_or(80, |(columns, _)| columns);
        let mut err = lock(&self.err);
        if !err.status.is_empty() {
            // A terminal that does not listen any more is no reason to stop a job.
            let _ = err.writer.write_all(ERASE_LINE.as_bytes());
        }
        // A line as wide as the terminal would wrap and could not be erased.
        err.status = clip(line, width.saturating_sub(1));
        err.draw();
    }

    /// How many messages there have been.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Acquire)
    }

    /// Prints a message on stderr that stays. `text` ends with a line break.
    pub fn message(&self, text: &str) {
        let mut err = lock(&self.err);
        self.messages.fetch_add(1, Ordering::AcqRel);
        let erase = if err.status.is_empty() { "" } else { ERASE_LINE };
        let _ = err.writer.write_all(format!("{erase}{text}").as_bytes());
        err.draw();
    }
}

impl Stderr {
    fn draw(&mut self) {
        let _ = self.writer.write_all(self.status.as_bytes()).and_then(|()| self.writer.flush());
    }
}

/// What these locks guard is text on a screen: nothing that a panic elsewhere could leave half done matters.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn terminal_size(terminal: impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// The first `width` columns of a line.
pub fn clip(line: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if line.width() <= width {
        return line.to_owned();
    }
    let mut used = 0;
    let room = width.saturating_sub(1);
    let mut clipped: String = line
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    clipped.push('…');
    clipped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    /// A terminal that stdout and stderr share.
    #[derive(Clone, Default)]
    struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn screen(out_is_terminal: bool, err_is_terminal: bool) -> (Screen, Tape) {
        let tape = Tape::default();
        let layout = Layout { out_is_terminal, err_is_terminal, colour: false };
        (Screen::new(Box::new(tape.clone()), Box::new(tape.clone()), layout), tape)
    }

    fn text(tape: &Tape) -> String {
        String::from_utf8(tape.0.lock().unwrap().clone()).unwrap().replace(ERASE_LINE, "<erase>")
    }

    #[test]
    fn results_and_messages_take_the_status_line_away_and_put_it_back() {
        let (screen, tape) = screen(true, true);
        screen.set_status("10 rows");
        screen.write_results(b"a row\n").unwrap();
        screen.message("a warning\n");
        screen.set_status("");
        assert_eq!(text(&tape), "10 rows<erase>a row\n10 rows<erase>a warning\n10 rows<erase>");
    }

    #[test]
    fn a_file_gets_no_control_characters() {
        let (screen, tape) = screen(true, false);
        screen.set_status("10 rows");
        screen.write_results(b"a row\n").unwrap();
        screen.message("a warning\n");
        assert_eq!(text(&tape), "a row\na warning\n");
    }

    #[test]
    fn redirected_results_leave_the_status_line_alone() {
        let (screen, tape) = screen(false, true);
        screen.set_status("10 rows");
        screen.write_results(b"a row\n").unwrap();
        assert_eq!(text(&tape), "10 rowsa row\n");
    }

    #[test]
    fn a_long_line_is_clipped_by_columns_not_bytes() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("日本語", 4), "日…");
        assert_eq!(clip("", 0), "");
    }
}
