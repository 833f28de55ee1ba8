//! Where log events go: stderr, above the status line.

mod json;

use std::io::{self, Write};
use std::sync::Arc;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use weir_core::{Error, Result};

use self::json::JsonLines;
use crate::terminal::Screen;

/// How log events are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object to a line, for programs.
    Json,
}

/// What is logged if the user says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultLevel {
    /// By what a person runs, who sees what comes of it.
    Warn,
    /// By a process of a cluster, of which nothing else tells.
    Info,
}

/// Sends log events to `screen`. `level` is the flag, which wins over `RUST_LOG`; both may be a level or directives
/// such as `weir_worker=debug,info`. If neither is given, `default` counts.
///
/// # Errors
/// If the filter cannot be read.
pub fn start(screen: &Arc<Screen>, level: Option<&str>, format: LogFormat, default: DefaultLevel) -> Result<()> {
    let default = match default {
        DefaultLevel::Warn => "warn",
        DefaultLevel::Info => "info",
    };
    let given = level.map(|text| (text.to_owned(), "--log-level"));
    #[allow(
        clippy::disallowed_methods,
        reason = "how Rust programs are told what to log, also before there are settings"
    )]
    let environment = || std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()).map(|text| (text, "RUST_LOG"));
    let (directives, origin) = given.or_else(environment).unwrap_or((default.to_owned(), "default"));
    // The filter takes any lone word for the name of a module, which is not what a misspelled level means.
    let misspelled = level.is_some_and(|text| !text.contains(['=', ',']) && text.parse::<LevelFilter>().is_err());
    let filter = EnvFilter::try_new(&directives).ok().filter(|_| !misspelled).ok_or_else(|| {
        Error::user(format!("{origin}: '{directives}' is no log level"))
            .with_help("write error, warn, info, debug or trace, or directives such as weir_worker=debug,info")
    })?;
    let text =
        || tracing_subscriber::fmt::layer().with_ansi(screen.layout().colour).with_writer(LogLines(screen.clone()));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry.with(text()).try_init(),
        LogFormat::Json => registry.with(JsonLines(screen.clone())).try_init(),
    };
    started.map_err(|error| Error::internal("logging was started twice").with_source(error))
}

struct LogLines(Arc<Screen>);

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine(&self.0)
    }
}

/// One event; it comes in one piece.
struct LogLine<'a>(&'a Screen);

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.message(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
