//! Which protocol the two sides speak.

use weir_core::JobGraph;
use weir_core::plugin::Isolation;

/// The protocol of this version. Raised when the previous version would misunderstand something.
pub const PROTOCOL: u32 = 4;

/// From this protocol on workers discard what jobs have left that have ended.
pub const DISCARDS: u32 = 2;

/// From this protocol on workers run operators of plugins in processes of their own where a job wants that.
pub const ISOLATES: u32 = 3;

/// From this protocol on they do that with functions, sources and sinks too, also where they commit and audit.
pub const ISOLATES_ALL: u32 = 4;

/// The oldest protocol that is still understood.
pub const OLDEST_PROTOCOL: u32 = 1;

/// Metadata of a call that says which protocol the caller speaks.
pub const PROTOCOL_HEADER: &str = "weir-protocol";

/// Metadata of a call that a coordinator passes on: for whom, as JSON. Nobody else is believed.
pub const CALLER_HEADER: &str = "weir-caller";

/// Metadata of a call that another coordinator has passed on.
pub const FORWARDED_HEADER: &str = "weir-forwarded";

/// The protocol from which on workers run such a job as it wants to be run.
pub fn needed_by(graph: &JobGraph) -> u32 {
    match graph.isolation() {
        Isolation::None => OLDEST_PROTOCOL,
        Isolation::Process { .. } if graph.isolates_functions_or_tables() => ISOLATES_ALL,
        Isolation::Process { .. } => ISOLATES,
    }
}

/// Whether a coordinator can talk to a `client` or `worker` (this is `who`) of that protocol.
///
/// # Errors
/// If not, a sentence that says why and what to do.
pub fn check(who: &str, protocol: u32) -> Result<(), String> {
    if protocol > PROTOCOL {
        return Err(format!(
            "{who} speaks protocol {protocol}, this coordinator {PROTOCOL}: upgrade the coordinators first, or use an older {who}"
        ));
    }
    if protocol < OLDEST_PROTOCOL {
        return Err(format!(
            "{who} speaks protocol {protocol}, this coordinator {OLDEST_PROTOCOL} to {PROTOCOL}: upgrade the {who}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_side_must_be_the_coordinator() {
        assert_eq!(check("client", PROTOCOL), Ok(()));
        assert_eq!(check("client", OLDEST_PROTOCOL), Ok(()));
        let newer = check("client", PROTOCOL + 1).unwrap_err();
        assert_eq!(
            newer,
            format!(
                "client speaks protocol {}, this coordinator {PROTOCOL}: upgrade the coordinators first, or use an older client",
                PROTOCOL + 1
            )
        );
        assert!(check("worker", OLDEST_PROTOCOL - 1).unwrap_err().ends_with("upgrade the worker"));
    }
}
