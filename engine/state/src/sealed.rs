//! Files that show by their first line whether they are whole: a word that says what they are, the version of their format,
//! the CRC-32 and the length of the rest. What follows is up to whoever writes them.
//!
//! ```text
//!   weir-manifest 1 9ae0daaf 5124
//!   {"format":1,"hash_version":1,"job":…
//! ```

use weir_core::{Error, Result};

/// The first line of one kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Seal {
    /// What the file is, in a word.
    pub magic: &'static str,
    /// Version of what follows the first line.
    pub format: u32,
}

impl Seal {
    /// `body` behind its first line.
    pub fn close(self, body: &[u8]) -> Vec<u8> {
        [self.first_line(body).as_bytes(), body].concat()
    }

    /// The body of what [`close`](Self::close) made. `name` is how errors call the file; `help` says what to do about one that a
    /// later version of Weir wrote.
    ///
    /// # Errors
    /// A data error if a byte has changed, a user error if a later version of Weir wrote it.
    pub fn open<'a>(self, bytes: &'a [u8], name: &str, help: &str) -> Result<&'a [u8]> {
        let damaged = |what: &str| Error::data(format!("{name} is damaged: {what}"));
        let line = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no first line"))?;
        let (line, body) = bytes.split_at(line + 1);
        if line == self.first_line(body).as_bytes() {
            return Ok(body);
        }
        // A later format may look different behind its number, so that comes first.
        Err(match self.format_of(line) {
            Some(format) if format > self.format => unreadable(name, format).with_help(help),
            _ => damaged("the checksum in its first line does not match what follows"),
        })
    }

    fn first_line(self, body: &[u8]) -> String {
        format!("{} {} {:08x} {}\n", self.magic, self.format, crc32fast::hash(body), body.len())
    }

    fn format_of(self, line: &[u8]) -> Option<u32> {
        std::str::from_utf8(line).ok()?.strip_prefix(self.magic)?.split_whitespace().next()?.parse().ok()
    }
}

/// The error about a file whose format is none of this version's.
pub fn unreadable(name: &str, format: u32) -> Error {
    Error::user(format!("{name} has format {format}, which this version of Weir cannot read"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use weir_core::ErrorKind;

    use super::*;

    const SEAL: Seal = Seal { magic: "weir-note", format: 2 };

    #[test]
    fn a_file_opens_only_as_it_was_closed() {
        // The checksum is that of `cksum -a crc32b`.
        let good = SEAL.close(b"123456789");
        assert_eq!(good, b"weir-note 2 cbf43926 9\n123456789");
        assert_eq!(SEAL.open(&good, "n", "").unwrap(), b"123456789");
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 1 << (byte % 8);
            assert!(SEAL.open(&bad, "the note n", "").unwrap_err().to_string().contains("the note n"), "byte {byte}");
        }
        for length in 0..good.len() {
            assert_eq!(SEAL.open(&good[..length], "n", "").unwrap_err().kind(), ErrorKind::Data, "cut at {length}");
        }
        assert!(SEAL.open(&[&good[..], b" "].concat(), "n", "").is_err());
    }

    #[test]
    fn a_later_format_is_not_called_damaged() {
        let error = SEAL.open(b"weir-note 3 something else\n", "n", "take the later one").unwrap_err();
        assert_eq!((error.kind(), error.help()), (ErrorKind::User, Some("take the later one")));
        assert_eq!(SEAL.open(b"weir-note 1 0 0\n", "n", "").unwrap_err().kind(), ErrorKind::Data);
        assert_eq!(SEAL.open(b"weir-cluster 3 0 0\n", "n", "").unwrap_err().kind(), ErrorKind::Data);
    }
}
