//! The token that a client shows. Those of issuers end after minutes, and commands go on for hours: a file is read whenever one is shown.

use std::path::{Path, PathBuf};

use weir_core::{Error, Result};

use crate::client::Token;

/// Where a client has its token from.
#[derive(Debug, Clone)]
pub struct TokenSource {
    first: Token,
    file: Option<PathBuf>,
}

impl TokenSource {
    /// One that stays.
    ///
    /// # Errors
    /// If this is no token; `place` is where it was found.
    pub fn given(text: &str, place: &str) -> Result<Self> {
        Ok(Self { first: read(text, place)?, file: None })
    }

    /// One in a file that somebody may replace.
    ///
    /// # Errors
    /// If there is none in it now.
    pub fn file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::user(format!("the token in {} cannot be read", path.display())).with_source(error)
        })?;
        Ok(Self { first: read(&text, &path.display().to_string())?, file: Some(path.to_owned()) })
    }

    /// The token as it is now; the first one while the file is not there, or is being written.
    pub fn token(&self) -> Token {
        let text = self.file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| Token::read(&text)).unwrap_or_else(|| self.first.clone())
    }
}

fn read(text: &str, place: &str) -> Result<Token> {
    Token::read(text).ok_or_else(|| Error::user(format!("what is in {place} is no token")))
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
        for broken in ["", "a b"] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(shown(), "one");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(shown(), "one");
        assert!(TokenSource::given(" ", "WEIR_TOKEN").unwrap_err().to_string().contains("WEIR_TOKEN is no token"));
    }
}
