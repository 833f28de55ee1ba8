//! How the program ends: exit codes, and the one place where an error is printed.

use std::process::ExitCode;

use weir_core::{Error, ErrorKind};

/// Exit codes, documented in `--help`. Scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The job finished, or stopped with a savepoint.
    Ok,
    /// Weir's own defect.
    Internal,
    /// The query, an option or the call is wrong. The same code as for a wrong command line.
    User,
    /// A record or file is not what it was declared to be.
    Data,
    /// Disk, permission, network.
    Environment,
    /// What was asked about is there, and not as it should be: a cluster that lacks something, a job that something is in the way of.
    Impaired,
    /// Interrupted by ^C, without a savepoint.
    Interrupted,
    /// Ended by SIGTERM, without a savepoint.
    Terminated,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Internal => 1,
            Exit::User => 2,
            Exit::Data => 3,
            Exit::Environment => 4,
            Exit::Impaired => 5,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::User => Exit::User,
            ErrorKind::Data => Exit::Data,
            ErrorKind::Environment => Exit::Environment,
            ErrorKind::Internal => Exit::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The error with its chain and advice, as it goes to stderr.
pub fn render(error: &Error, colour: bool) -> String {
    let (red, cyan, plain) = if colour { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    let label = match error.kind() {
        ErrorKind::User => "error",
        ErrorKind::Data => "error in the data",
        ErrorKind::Environment => "error in the environment",
        ErrorKind::Internal => "internal error",
    };
    let report = error.report();
    let body = match report.rsplit_once("\n  help: ") {
        Some((chain, help)) => format!("{chain}\n  {cyan}help:{plain} {help}"),
        None => report,
    };
    let mut text = format!("{red}{label}:{plain} {body}\n");
    if error.kind() == ErrorKind::Internal {
        text.push_str("  this is a defect of Weir: please report it with the query and the lines above\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_a_code_of_its_own() {
        let kinds = [ErrorKind::User, ErrorKind::Data, ErrorKind::Environment, ErrorKind::Internal];
        assert_eq!(kinds.map(|kind| Exit::from(kind).code()), [2, 3, 4, 1]);
    }

    #[test]
    fn the_advice_stands_last_and_colour_is_only_for_terminals() {
        let error = Error::user("no column 'x'").with_help("did you mean 'y'?");
        assert_eq!(render(&error, false), "error: no column 'x'\n  help: did you mean 'y'?\n");
        assert_eq!(
            render(&error, true),
            "\x1b[1;31merror:\x1b[0m no column 'x'\n  \x1b[36mhelp:\x1b[0m did you mean 'y'?\n"
        );
    }
}
