//! The token that a client shows. Those of issuers end after minutes, and commands go on for hours: a file is read whenever one is shown.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use weir_core::{Error, Result};

use crate::client::Token;

/// Where a client has its token from.
#[derive(Debug, Clone)]
pub struct TokenSource {
    /// The last good one; shared by all clones.
    last: Arc<Mutex<Token>>,
    file: Option<PathBuf>,
}

impl TokenSource {
    /// One that stays.
    ///
    /// # Errors
    /// If this is no token; `place` is where it was found.
    pub fn given(text: &str, place: &str) -> Result<Self> {
        Self::new(text, place, None)
    }

    /// One in a file that somebody may replace.
    ///
    /// # Errors
    /// If there is none in it now.
    pub fn file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::user(format!("the token in {} cannot be read", path.display())).with_source(error)
        })?;
        Self::new(&text, &path.display().to_string(), Some(path.to_owned()))
    }

    fn new(text: &str, place: &str, file: Option<PathBuf>) -> Result<Self> {
        let first = read(text).ok_or_else(|| Error::user(format!("what is in {place} is no token")))?;
        Ok(Self { last: Arc::new(Mutex::new(first)), file })
    }

    /// The token as it is now; the one before while the file is not there, or is being written.
    pub fn token(&self) -> Token {
        // The file is read under the lock, so that no older token replaces a newer one.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        if let Some(token) = text.and_then(|text| read(&text)) {
            *last = token;
        }
        last.clone()
    }
}

/// The token in a text, unless it is cut off.
fn read(text: &str) -> Option<Token> {
    Token::read(text).filter(Token::is_complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whenever_its_token_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(TokenSource::file(&path).is_err());
        std::fs::write(&path, "one\n").unwrap();
        let source = TokenSource::file(&path).unwrap();
        let shown = || source.token().reveal().to_owned();
        assert_eq!(shown(), "one");
        std::fs::write(&path, "two\n").unwrap();
        assert_eq!(shown(), "two");
        let another = source.clone();
        std::fs::write(&path, "eyJh.eyJi.AA\n").unwrap();
        assert_eq!(shown(), "eyJh.eyJi.AA");
        for broken in ["", "a b", "eyJh", "eyJh.eyJi", "eyJh.eyJi."] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(shown(), "eyJh.eyJi.AA", "{broken}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(shown(), "eyJh.eyJi.AA");
        assert_eq!(another.token().reveal(), "eyJh.eyJi.AA", "the one that was good last for any of them");
        assert!(TokenSource::given("eyJh.eyJi.", "WEIR_TOKEN").unwrap_err().to_string().contains("is no token"));
        assert!(TokenSource::given(" ", "WEIR_TOKEN").unwrap_err().to_string().contains("WEIR_TOKEN is no token"));
    }
}
