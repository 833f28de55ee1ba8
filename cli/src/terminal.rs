//! What goes to stdout and what to stderr, so that the two never mix on one terminal.
//!
//! Results own stdout. The status line lives on the last line of stderr, if that is a terminal: it is erased before
//! anything else is printed to the same terminal, and drawn again behind it. A result that is longer than the terminal goes to a
//! [pager](crate::pager), if one is wanted: while it has the terminal, messages wait, and there is no status line.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pager::Paging;

const ERASE_LINE: &str = "\r\x1b[2K";

/// stdout and stderr of the process, or what stands for them in tests.
pub struct Screen {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Stderr>,
    layout: Layout,
    messages: AtomicU64,
    paging: Mutex<Paging>,
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
    /// What is to be said when the terminal is free again; `None`: it is.
    waiting: Option<String>,
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
        let err = Mutex::new(Stderr { writer: err, status: String::new(), waiting: None });
        Self { out: Mutex::new(out), err, layout, messages: AtomicU64::new(0), paging: Mutex::default() }
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
        let rows = || self.results_size().map_or(24, |(_, rows)| rows);
        let mut paging = lock(&self.paging);
        if paging.is_off() {
            drop(paging);
            return self.write(bytes);
        }
        match paging.take(bytes, rows, &|| self.hush()) {
            Ok(Some(bytes)) => {
                drop(paging);
                self.write(&bytes)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Results that are longer than the terminal go to this command from now on; `None`: they do not.
    pub fn use_pager(&self, command: Option<String>) {
        *lock(&self.paging) = Paging::new(command);
    }

    /// Begins a result that has an end.
    pub fn begin_paging(&self) {
        lock(&self.paging).begin();
    }

    /// Shows what is there of a result, if it has been held back for a while.
    ///
    /// # Errors
    /// Those of [`write_results`](Self::write_results).
    pub fn show_held(&self) -> io::Result<()> {
        // A pager that waits for its reader has nothing to show.
        let held = self.paging.try_lock().ok().and_then(|mut paging| paging.overdue());
        held.map_or(Ok(()), |held| self.write(&held))
    }

    /// Ends the result: shows what is left, and waits until the pager has ended.
    ///
    /// # Errors
    /// Those of [`write_results`](Self::write_results).
    pub fn finish_paging(&self) -> io::Result<()> {
        let rest = lock(&self.paging).finish();
        let mut err = lock(&self.err);
        if let Some(waiting) = err.waiting.take() {
            let _ = err.writer.write_all(waiting.as_bytes());
            err.draw();
        }
        drop(err);
        rest.map_or(Ok(()), |rest| self.write(&rest))
    }

    /// Takes the status line away, and has messages wait.
    fn hush(&self) {
        let mut err = lock(&self.err);
        if !err.status.is_empty() {
            let _ = err.writer.write_all(ERASE_LINE.as_bytes()).and_then(|()| err.writer.flush());
            err.status.clear();
        }
        err.waiting.get_or_insert_default();
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
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
        if err.waiting.is_some() {
            return;
        }
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
        if let Some(waiting) = &mut err.waiting {
            waiting.push_str(text);
            return;
        }
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
    fn a_result_that_is_longer_than_the_terminal_goes_to_the_pager() {
        let folder = tempfile::tempdir().unwrap();
        let paged = folder.path().join("paged");
        let (screen, tape) = screen(true, true);
        screen.use_pager(Some(format!("cat > '{}'", paged.display())));
        let line = |number: usize| format!("row {number}\n");
        let lines = |count: usize| (0..count).map(line).collect::<String>();
        // A short one is shown at its end.
        screen.begin_paging();
        screen.write_results(lines(9).as_bytes()).unwrap();
        assert_eq!(text(&tape), "");
        screen.finish_paging().unwrap();
        assert_eq!(text(&tape), lines(9));
        assert!(!paged.exists());
        // What has no end is shown as it comes.
        screen.write_results(lines(30).as_bytes()).unwrap();
        screen.finish_paging().unwrap();
        assert_eq!(text(&tape), format!("{}{}", lines(9), lines(30)));
        // A long one has the terminal for itself.
        tape.0.lock().unwrap().clear();
        screen.set_status("30 rows");
        screen.begin_paging();
        (0..30).for_each(|number| screen.write_results(line(number).as_bytes()).unwrap());
        screen.message("a warning\n");
        screen.set_status("31 rows");
        assert_eq!(text(&tape), "30 rows<erase>");
        screen.finish_paging().unwrap();
        assert_eq!(text(&tape), "30 rows<erase>a warning\n");
        assert_eq!(std::fs::read_to_string(&paged).unwrap(), lines(30));
        // One that nobody wants to see the end of says so.
        screen.use_pager(Some("true".to_owned()));
        screen.begin_paging();
        let mut written = Ok(());
        for number in 0..100_000 {
            written = written.and_then(|()| screen.write_results(line(number).as_bytes()));
        }
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        screen.finish_paging().unwrap();
    }

    #[test]
    fn a_long_line_is_clipped_by_columns_not_bytes() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("日本語", 4), "日…");
        assert_eq!(clip("", 0), "");
    }
}
