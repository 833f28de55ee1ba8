//! A plugin as a file. It is known by its content: the same bytes are the same artifact, wherever they come from and whatever the file is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// SHA-256 of a file, in small hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactHash(String);

impl ArtifactHash {
    /// The hash with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The hashes that a text names.
    pub fn all_in(text: &str) -> impl Iterator<Item = Self> {
        text.split(|character: char| !character.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok())
    }

    /// Its 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As many of its digits as tell artifacts apart where people read them.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for ArtifactHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(is_digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::user(format!("`{text}` is no SHA-256: that is 64 hexadecimal digits, in small letters")))
    }
}

impl TryFrom<String> for ArtifactHash {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ArtifactHash> for String {
    fn from(hash: ArtifactHash) -> Self {
        hash.0
    }
}

impl fmt::Display for ArtifactHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plugin that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// The file's content.
    pub hash: ArtifactHash,
    /// What the plugin calls itself.
    pub name: String,
    /// Which version it says it is.
    pub version: String,
    /// URL of the folder in which the file is kept, under its hash; `None`: on the machine that the job was planned on, and runs on.
    #[serde(default)]
    pub folder: Option<String>,
}

/// `fraud 1.2.0 (9f86d081884c)`.
impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.hash.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_64_digits_and_names_no_other_file() {
        let hash = ArtifactHash::from_bytes([0xab; 32]);
        assert_eq!((hash.as_str(), hash.short()), ("ab".repeat(32).as_str(), "abababababab"));
        assert_eq!(hash.as_str().parse::<ArtifactHash>().unwrap(), hash);
        for wrong in ["", "../../etc/passwd", &"AB".repeat(32), &"ab".repeat(31), &"ag".repeat(32)] {
            assert!(wrong.parse::<ArtifactHash>().is_err(), "{wrong}");
            assert!(serde_json::from_value::<ArtifactHash>(wrong.into()).is_err(), "{wrong}");
        }
    }
}
