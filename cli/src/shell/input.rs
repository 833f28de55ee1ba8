//! Lines that are typed: editing, history, and when a statement is whole.

use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::config::{CompletionType, Configurer};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use weir_core::{Error, Result};

use super::completion::Words;

/// Statements that the history holds.
const REMEMBERED: usize = 10_000;

/// What was typed.
pub(super) enum Line {
    /// A whole statement, or a command.
    Text(String),
    /// Something that was given up with ^C.
    Given,
    /// Nothing any more.
    End,
}

/// The terminal.
pub(super) struct Input {
    editor: Editor<Statements, FileHistory>,
    history: Option<PathBuf>,
}

impl Input {
    /// # Errors
    /// If the terminal cannot be read by keys.
    pub(super) fn new() -> Result<Self> {
        let mut editor = Editor::new().map_err(unreadable)?;
        editor.set_completion_type(CompletionType::List);
        // Statements of all shells, the last one is the nearest.
        editor.set_max_history_size(REMEMBERED).map_err(unreadable)?;
        editor.set_helper(Some(Statements::default()));
        let history = history_file();
        if let Some(path) = &history {
            // There is none before the first shell ends.
            let _ = editor.load_history(path);
        }
        Ok(Self { editor, history })
    }

    /// Names that can be completed from now on.
    pub(super) fn offer(&mut self, names: Vec<String>) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.words.names = names;
        }
    }

    /// Waits for a whole statement.
    pub(super) fn read(mut self) -> (Self, Result<Line>) {
        let line = match self.editor.readline("weir> ") {
            Ok(line) => {
                let _ = self.editor.add_history_entry(&line);
                if let Some(path) = &self.history {
                    // A history that cannot be kept is no reason to stop.
                    let _ = path.parent().map(std::fs::create_dir_all);
                    let _ = self.editor.append_history(path);
                }
                Ok(Line::Text(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Given),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(unreadable(error)),
        };
        (self, line)
    }
}

fn unreadable(error: ReadlineError) -> Error {
    Error::environment("cannot read from the terminal").with_source(error)
}

/// As the XDG base directories say.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("weir").join("sql_history"))
}

/// When a statement is whole, and what can be completed.
#[derive(Default)]
struct Statements {
    words: Words,
}

/// Whether nothing has to follow: a command, or units of which the last has its semicolon.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.starts_with('\\') || matches!(text, "quit" | "exit" | "help") {
        return true;
    }
    // What has no tokens, as behind an open quote, is not whole; a comment alone is.
    weir_sql::units(text).is_ok_and(|units| units.last().is_none_or(|unit| unit.is_complete))
}

impl Validator for Statements {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_whole(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Statements {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = self.words.complete(&line[..position]);
        Ok((start, found.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Hinter for Statements {
    type Hint = String;
}

impl Highlighter for Statements {}

impl Helper for Statements {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_whole_at_its_semicolon() {
        for text in
            ["", "  ", "\\d t", "quit", "SELECT 1;", "SELECT ';' ; -- that is all", "-- nothing", "SELECT 1; SELECT 2;"]
        {
            assert!(is_whole(text), "{text}");
        }
        for text in ["SELECT", "SELECT ';'", "SELECT 'a;\n", "SELECT 1; SELECT", "SELECT 1 -- ;"] {
            assert!(!is_whole(text), "{text}");
        }
        let set = "BEGIN STATEMENT SET; INSERT INTO a SELECT * FROM b;";
        assert!(!is_whole(set));
        assert!(is_whole(&format!("{set} END;")));
    }
}
