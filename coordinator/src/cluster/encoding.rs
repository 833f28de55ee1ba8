//! Commands and the state as bytes: in the log, between coordinators, in snapshots.
//!
//! A command is a byte with the format and then JSON; whoever stores it adds the checksum. The state stands alone, so it has a
//! checksummed first line, as manifests do.

use weir_core::{Error, Result};
use weir_proto::json;
use weir_state::sealed::{self, Seal};

use super::command::names_plugins;
use super::{ClusterState, Command, Job, Token};

/// The newest version of commands. A command has the oldest one that has it, so that coordinators of earlier versions read all but
/// what is new to them, and say of that what it is.
const COMMAND_FORMAT: u8 = 9;
const STATE: Seal = Seal { magic: "weir-cluster", format: 1 };
/// Of a state in which a job waits for an [`update`](super::Job::update): an earlier version would pass over it, and go on with another
/// state than the coordinators beside it.
const STATE_WITH_UPDATES: Seal = Seal { format: 2, ..STATE };
/// Likewise of a state with catalogs.
const STATE_WITH_CATALOGS: Seal = Seal { format: 3, ..STATE };
/// Likewise of a state that knows who may do what, or who has done it.
const STATE_WITH_TOKENS: Seal = Seal { format: 4, ..STATE };
/// Likewise of a state in which SQL calls functions of plugins, or tables are theirs: an earlier version would leave them out of its jobs, and
/// delete their files.
const STATE_WITH_FUNCTIONS: Seal = Seal { format: 5, ..STATE };
/// Likewise of a state with jobs whose slots no person decides on.
const STATE_WITH_SCALING: Seal = Seal { format: 6, ..STATE };
/// Likewise of a state with jobs whose plugins run in processes of their own, which an earlier version would have run in the workers, or in
/// which groups have rights.
const STATE_WITH_ISOLATION_OR_GROUPS: Seal = Seal { format: 7, ..STATE };
const LATER: &str = "run this coordinator with the version of Weir that wrote it, or a later one";

impl Command {
    /// As it stands in the log.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (format, body) = match self {
            // Earlier versions would have its plugins run in the workers, and know of no groups.
            command if command.isolates_plugins() || command.is_about_groups() => (9, json::encode_deep(self)),
            // Earlier versions would leave it to a person how many slots a job has.
            command if command.is_about_scaling() => (8, json::encode_deep(self)),
            // Earlier versions would start a job at the beginning of its input, and do not know what is adopted.
            command if command.is_about_adopted_state() => (7, json::encode_deep(self)),
            // Earlier versions would leave the functions and tables out.
            _ if self.calls_plugins() => (6, json::encode_deep(self)),
            // There is a dataflow in it.
            Command::SubmitJob { .. } => (1, json::encode_deep(self)),
            Command::UpdateJob { .. } => (2, json::encode_deep(self)),
            // Earlier versions would refuse it, and go on with another state.
            Command::StartAttempt { as_before: true, .. } => (3, json::encode(self)),
            Command::ReplaceCatalog { .. } => (4, json::encode(self)),
            // There may be a dataflow in what somebody wants.
            Command::By { .. } | Command::CreateToken { .. } | Command::RevokeToken { .. } => {
                (5, json::encode_deep(self))
            }
            _ => (1, json::encode(self)),
        };
        [&[format], &body[..]].concat()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// A data error if it is not a command, a user error if a later version of Weir wrote it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            None => Err(Error::data("a command of the log is empty")),
            Some((format, _)) if *format > COMMAND_FORMAT => {
                Err(sealed::unreadable("a command of the log", u32::from(*format)).with_help(LATER))
            }
            Some((0, _)) => Err(Error::data("a command of the log is damaged: it has format 0")),
            Some((_, body)) => json::decode(body, "its content").map_err(|error| {
                Error::data("a command of the log is damaged: it is not what it should be").with_source(error)
            }),
        }
    }
}

impl ClusterState {
    /// As it stands in a snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let told = |job: &Job| job.submitted_by.is_some() || job.last_action.is_some();
        let calls =
            |job: &Job| job.spec.calls_plugins() || job.update.as_ref().is_some_and(|spec| spec.calls_plugins());
        let isolates =
            |job: &Job| job.spec.isolates_plugins() || job.update.as_ref().is_some_and(|spec| spec.isolates_plugins());
        let scaled = |job: &Job| job.scaling.is_some() || !job.scaling_decisions.is_empty();
        let of_group = |token: &Token| token.bearer.group().is_some();
        let seal = match self {
            _ if self.jobs.values().any(isolates) || self.tokens.values().any(of_group) => {
                STATE_WITH_ISOLATION_OR_GROUPS
            }
            _ if self.jobs.values().any(scaled) => STATE_WITH_SCALING,
            _ if self.jobs.values().any(calls)
                || self.namespaces.values().any(|namespace| names_plugins(&namespace.catalog.statements)) =>
            {
                STATE_WITH_FUNCTIONS
            }
            _ if !self.tokens.is_empty() || self.jobs.values().any(told) => STATE_WITH_TOKENS,
            _ if self.namespaces.values().any(|namespace| !namespace.catalog.is_new()) => STATE_WITH_CATALOGS,
            _ if self.jobs.values().any(|job| job.update.is_some()) => STATE_WITH_UPDATES,
            _ => STATE,
        };
        seal.close(&json::encode_deep(self))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made. `name` is how errors call it.
    ///
    /// # Errors
    /// A data error if a byte has changed, a user error if a later version of Weir wrote it.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let name = format!("the cluster's state {name}");
        let earlier = [
            STATE,
            STATE_WITH_UPDATES,
            STATE_WITH_CATALOGS,
            STATE_WITH_TOKENS,
            STATE_WITH_FUNCTIONS,
            STATE_WITH_SCALING,
        ];
        let opened = earlier.iter().find_map(|seal| seal.open(bytes, &name, LATER).ok());
        let body = opened.map_or_else(|| STATE_WITH_ISOLATION_OR_GROUPS.open(bytes, &name, LATER), Ok)?;
        json::decode(body, "its content")
            .map_err(|error| Error::data(format!("{name} is damaged: it is not what it should be")).with_source(error))
    }
}
