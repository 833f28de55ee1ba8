//! Runs the built binary.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The run must have ended with this code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// stderr must say all of this.
    #[track_caller]
    pub fn says(self, expected: &[&str]) -> Self {
        for text in expected {
            assert!(self.err.contains(text), "stderr lacks {text:?}:\n{}", self.err);
        }
        self
    }
}

/// The binary, with an environment that does not depend on who runs the tests.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR")
        .env_remove("WEIR_COORDINATORS")
        .env_remove("WEIR_TLS_CA")
        .env_remove("WEIR_TLS_CERT")
        .env_remove("WEIR_TLS_KEY")
        .env_remove("WEIR_TOKEN")
        .env_remove("WEIR_TOKEN_FILE")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn weir(arguments: &[&str]) -> Ran {
    command(arguments).output().unwrap().into()
}

/// Runs it with this on standard input.
pub fn weir_reading(arguments: &[&str], input: &str) -> Ran {
    let mut child =
        command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A file with this content, for as long as the value lives.
pub fn file(suffix: &str, text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The path as an argument.
pub fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}
