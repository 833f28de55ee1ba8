//! Who decides how many slots a job has.

use std::time::Duration;

use clap::Args;

use super::patience;

/// How the slots of a job are decided on from now on.
#[derive(Debug, Default, Args)]
pub struct AutoscaleArguments {
    /// The load decides from now on.
    #[arg(long, conflicts_with_all = ["dry_run", "off", "slots"])]
    pub on: bool,
    /// It is said what the load would decide, and nothing is done.
    #[arg(long, conflicts_with_all = ["off", "slots"])]
    pub dry_run: bool,
    /// The slots that there are decide from now on, as with `-p auto`.
    #[arg(long, conflicts_with = "off")]
    pub slots: bool,
    /// A person decides from now on: the job keeps what it has.
    #[arg(long, conflicts_with_all = ["min", "max", "target", "catch_up", "settle"])]
    pub off: bool,
    /// The fewest slots.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub min: Option<u32>,
    /// The most slots.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub max: Option<u32>,
    /// How busy the busiest part of the job shall be, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(5..=100))]
    pub target: Option<u32>,
    /// Within which time a backlog shall be read.
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    pub catch_up: Option<Duration>,
    /// For how long a reason to change the number has to hold.
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    pub settle: Option<Duration>,
}

/// A number of slots, or those that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// Those that there are.
    Auto,
    /// So many.
    Count(u32),
}

pub(super) fn slots(text: &str) -> Result<Slots, String> {
    match text {
        "auto" => Ok(Slots::Auto),
        _ => match text.parse() {
            Ok(count @ 1..=1024) => Ok(Slots::Count(count)),
            _ => Err("write a number from 1 to 1024, or 'auto'".into()),
        },
    }
}
