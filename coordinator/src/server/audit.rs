//! Who has done what: a line of JSON for each request that changes something, and for each that was denied, in files of the data directory.
//!
//! ```text
//!   {"at":1767225600000,"who":"ci","from":"10.0.0.9:51934","what":"stop-job","on":"default/delays","result":"ok"}
//! ```
//!
//! A request is in the log of the coordinator that has decided it, which is the one that led; one that was not let in at all is in that of the
//! coordinator where it came in.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use weir_core::{Error, Result};
use weir_proto::client::{ClientError, ClientErrorKind, ClientResponse};

/// Bytes of a file before the next one begins.
const FILE_BYTES: u64 = 16 << 20;
/// Files that are kept beside the one that is written.
const KEPT: usize = 15;
/// Longest text of a field: names come from outside.
const LONGEST: usize = 512;

/// Writes the log. Clones write the same.
#[derive(Clone)]
pub struct Audit(Option<Arc<Mutex<Log>>>);

struct Log {
    folder: PathBuf,
    file: File,
    bytes: u64,
    limit: u64,
    /// Whether the last line could be written: it is told once that it cannot.
    works: bool,
}

/// A request that is under way.
#[derive(Debug)]
pub struct Asked {
    /// Who asks, once that is known.
    pub who: Option<String>,
    /// Where from.
    pub from: Option<String>,
    /// What for.
    pub what: &'static str,
    /// Of what.
    pub on: String,
    /// Whether it changes anything.
    pub changes: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    at: i64,
    who: Option<&'a str>,
    from: Option<&'a str>,
    what: &'a str,
    on: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Audit {
    /// Writes nothing.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// Writes into this folder, which is made if need be.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::with_limit(folder, FILE_BYTES)
    }

    fn with_limit(folder: &Path, limit: u64) -> Result<Self> {
        weir_state::create_folder(folder)?;
        let failed = |error: io::Error| {
            Error::environment(format!("the audit log in {} cannot be written", folder.display())).with_source(error)
        };
        let file = append(folder).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let log = Log { folder: folder.to_owned(), file, bytes, limit, works: true };
        Ok(Self(Some(Arc::new(Mutex::new(log)))))
    }

    /// A request was answered.
    pub fn answered(&self, at: i64, asked: &Asked, answer: &Result<ClientResponse, ClientError>) {
        let is_denied =
            |error: &ClientError| matches!(error.kind, ClientErrorKind::Denied | ClientErrorKind::Unauthenticated);
        if asked.changes || answer.as_ref().is_err_and(is_denied) {
            self.write(at, asked, answer.as_ref().err());
        }
    }

    /// Something was refused before it was read.
    pub fn refused(&self, at: i64, from: Option<&str>, path: &str, error: &ClientError) {
        let asked =
            Asked { who: None, from: from.map(str::to_owned), what: "call", on: path.to_owned(), changes: true };
        self.write(at, &asked, Some(error));
    }

    fn write(&self, at: i64, asked: &Asked, error: Option<&ClientError>) {
        let Some(log) = &self.0 else { return };
        let line = Line {
            at,
            who: asked.who.as_deref(),
            from: asked.from.as_deref(),
            what: asked.what,
            on: cut(&asked.on),
            result: error.map_or("ok", |error| word(error.kind)),
            error: error.map(|error| cut(&error.message)),
        };
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let written = log.write(&line);
        if let Err(error) = &written
            && log.works
        {
            tracing::error!(%error, folder = %log.folder.display(), "the audit log cannot be written");
        }
        log.works = written.is_ok();
    }
}

fn word(kind: ClientErrorKind) -> &'static str {
    match kind {
        ClientErrorKind::NotFound => "not-found",
        ClientErrorKind::Conflict => "conflict",
        ClientErrorKind::Quota => "quota",
        ClientErrorKind::Invalid => "invalid",
        ClientErrorKind::Unknown => "unknown",
        ClientErrorKind::Unavailable => "unavailable",
        ClientErrorKind::Internal => "internal",
        ClientErrorKind::Unauthenticated => "unauthenticated",
        ClientErrorKind::Denied => "denied",
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

fn append(folder: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join("audit.jsonl"))
}

impl Log {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.limit {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = |number: usize| self.folder.join(format!("audit.jsonl.{number}"));
        for number in (1..KEPT).rev() {
            match std::fs::rename(path(number), path(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(self.folder.join("audit.jsonl"), path(1))?;
        self.file = append(&self.folder)?;
        self.bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn asked(on: &str, changes: bool) -> Asked {
        Asked { who: Some("ci".into()), from: None, what: "stop-job", on: on.into(), changes }
    }

    #[test]
    fn changes_and_what_is_denied_are_told_and_files_do_not_grow() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::with_limit(folder.path(), 400).unwrap();
        let denied = Err(ClientError::new(ClientErrorKind::Denied, "ci may not"));
        audit.answered(1, &asked("a\nb", true), &Ok(ClientResponse::Accepted));
        audit.answered(2, &asked("read", false), &Ok(ClientResponse::Accepted));
        audit.answered(3, &asked("denied", false), &denied);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let lines: Vec<serde_json::Value> =
            read("audit.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["on"], &lines[0]["result"]), (&"a\nb".into(), &"ok".into()));
        assert_eq!((&lines[1]["at"], &lines[1]["result"]), (&3.into(), &"denied".into()));
        for at in 0..100 {
            audit.answered(at, &asked(&"ä".repeat(1000), true), &Ok(ClientResponse::Accepted));
        }
        let files: Vec<u64> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(files.len(), KEPT + 1);
        assert!(files.iter().all(|bytes| *bytes < 1500), "{files:?}");
        assert!(read("audit.jsonl").contains(r#""at":99"#) && read("audit.jsonl.1").contains(r#""at":98"#));
    }
}
