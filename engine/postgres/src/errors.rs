//! PostgreSQL's errors as Weir's: who must act, and can a retry help?

use tokio_postgres::error::{DbError, SqlState};
use weir_core::{Error, ErrorKind};

/// A request to the database at `place` has failed.
pub(crate) fn failed(what: &str, error: tokio_postgres::Error, place: &str) -> Error {
    let Some(told) = error.as_db_error() else {
        return Error::environment(format!("{what}: PostgreSQL at {place} does not answer")).with_source(error);
    };
    let (kind, help) = reaction(told.code());
    let failed = Error::new(kind, format!("{what}: {}", text(told)));
    match (help, told.hint()) {
        (Some(help), _) => failed.with_help(help),
        (None, Some(hint)) => failed.with_help(hint),
        (None, None) => failed,
    }
}

/// What the database says: its message, and what it is about.
fn text(told: &DbError) -> String {
    let mut text = told.message().to_owned();
    for part in [told.detail(), told.where_()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(&part.replace('\n', "; "));
    }
    text
}

/// By the class of the error, its first two characters.
fn reaction(code: &SqlState) -> (ErrorKind, Option<&'static str>) {
    match code.code().get(..2) {
        // A table that is not there now may have been renamed for a moment, or be restored.
        _ if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(code) => {
            (ErrorKind::Environment, Some("the job goes on by itself once the table is as it was"))
        }
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            (ErrorKind::User, Some("grant it to the user of 'username'; a job whose user is changed keeps its state"))
        }
        Some("28") => (
            ErrorKind::User,
            Some("look at 'username' and 'password'; a job in which they are changed keeps its state"),
        ),
        Some("3D") => (ErrorKind::User, Some("create the database, or mend the option 'url'")),
        Some("22") => (ErrorKind::Data, None),
        Some("23") => (
            ErrorKind::Data,
            Some(
                "what is written is decided already: change the constraint or the rows that it is about, and the job goes on by itself",
            ),
        ),
        _ => (ErrorKind::Environment, None),
    }
}
