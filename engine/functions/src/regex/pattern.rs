//! A regular expression, compiled once for many batches.

use std::rc::Rc;

use datafusion_common::{DataFusionError, Result, ScalarValue};
use regex::Regex;
use regex_syntax::ast::{self, ErrorKind};

use super::java::{Refusal, translate};
use crate::definition::plan_error;
use crate::per_thread::Compiled;

/// What a pattern comes to.
pub(crate) enum Pattern {
    Sound(Sound),
    /// No pattern, in Java neither: no text matches, and there is no result.
    Invalid,
    /// A pattern in Java, and why not here.
    Unsupported(String),
}

/// A pattern that can be used.
pub(crate) struct Sound {
    pub(crate) regex: Regex,
}

impl Pattern {
    fn new(java: &str) -> Self {
        let unsupported =
            |why: &str| Pattern::Unsupported(format!("the regular expression `{java}` cannot be used: {why}"));
        let translated = match translate(java) {
            Ok(translated) => translated,
            Err(Refusal::Invalid) => return Pattern::Invalid,
            Err(Refusal::Unsupported(why)) => return unsupported(why),
        };
        if let Err(error) = ast::parse::Parser::new().parse(&translated)
            && is_wrong_in_java(error.kind())
        {
            return Pattern::Invalid;
        }
        match Regex::new(&translated) {
            Ok(regex) => Pattern::Sound(Sound { regex }),
            Err(error) => {
                unsupported(error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: "))
            }
        }
    }

    /// The pattern, unless it is one that Java would have a result for.
    pub(crate) fn usable(&self) -> Result<&Self> {
        match self {
            Pattern::Unsupported(why) => Err(DataFusionError::Execution(why.clone())),
            other => Ok(other),
        }
    }
}

fn is_wrong_in_java(kind: &ErrorKind) -> bool {
    use ErrorKind::{
        ClassEscapeInvalid, ClassRangeInvalid, ClassRangeLiteral, ClassUnclosed, EscapeUnexpectedEof,
        FlagUnexpectedEof, GroupNameDuplicate, GroupNameEmpty, GroupNameInvalid, GroupNameUnexpectedEof, GroupUnclosed,
        GroupUnopened, RepetitionCountInvalid, RepetitionCountUnclosed, RepetitionMissing,
    };
    matches!(
        kind,
        ClassEscapeInvalid
            | ClassRangeInvalid
            | ClassRangeLiteral
            | ClassUnclosed
            | EscapeUnexpectedEof
            | FlagUnexpectedEof
            | GroupNameDuplicate { .. }
            | GroupNameEmpty
            | GroupNameInvalid
            | GroupNameUnexpectedEof
            | GroupUnclosed
            | GroupUnopened
            | RepetitionCountInvalid
            | RepetitionCountUnclosed
            | RepetitionMissing
    )
}

thread_local! {
    static PATTERNS: Compiled<Pattern> = Compiled::new();
}

/// The pattern of that text.
pub(crate) fn pattern(text: &str) -> Rc<Pattern> {
    PATTERNS.with(|patterns| patterns.of(text, Pattern::new))
}

/// Refuses a constant pattern that Java has and Weir has not.
pub(crate) fn check_pattern(arguments: &[Option<&ScalarValue>], index: usize) -> Result<()> {
    match arguments.get(index).copied().flatten().and_then(|pattern| pattern.try_as_str().flatten()) {
        Some(text) => match &*pattern(text) {
            Pattern::Unsupported(why) => plan_error(why.clone()),
            _ => Ok(()),
        },
        None => Ok(()),
    }
}
