//! How one coordinator takes part in consensus.

use weir_core::{CoordinatorId, Error, Result};

use super::LogId;

/// Settings of a [`Raft`](super::Raft). A tick is whatever the caller makes it; a tenth of a second suits one data center.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftConfig {
    /// Who this is.
    pub id: CoordinatorId,
    /// The log that it writes.
    pub log: LogId,
    /// A follower that hears nothing of a leader for this many ticks, or up to twice as many, tries to become one.
    pub election_ticks: usize,
    /// Ticks between heartbeats of the leader. A fifth to a tenth of `election_ticks`.
    pub heartbeat_ticks: usize,
    /// Bytes of entries in one message, and of one payload.
    pub max_message_bytes: u64,
    /// Messages with entries that may be under way to one follower.
    pub max_inflight: usize,
    /// A snapshot is wanted when the log has grown by this many entries since the last one. Half as many entries stay
    /// in the log behind a snapshot, for followers that are slow but not lost.
    pub snapshot_after_entries: u64,
    /// Where the randomness of election timeouts comes from. May be the same on all coordinators: the id goes in too.
    pub seed: u64,
}

impl RaftConfig {
    /// Bytes that proposals may take in the log before they are committed.
    pub(super) fn max_uncommitted_bytes(&self) -> u64 {
        self.max_message_bytes.saturating_mul(16)
    }

    /// Entries that stay in the log behind a snapshot.
    pub(super) fn tail_entries(&self) -> u64 {
        self.snapshot_after_entries / 2
    }

    /// The settings of the library, for a log that starts at the snapshot `applied`.
    pub(super) fn library(&self, applied: u64) -> Result<raft::Config> {
        if self.snapshot_after_entries == 0 {
            return Err(Error::user("snapshots after 0 entries: at least one must lie between two snapshots"));
        }
        let config = raft::Config {
            id: self.id.0,
            election_tick: self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            min_election_tick: self.election_ticks,
            max_election_tick: self.election_ticks * 2,
            applied,
            max_size_per_msg: self.max_message_bytes,
            max_inflight_msgs: self.max_inflight,
            max_uncommitted_size: self.max_uncommitted_bytes(),
            // What is committed is handed over piece by piece, so that a long log is not copied at once after a restart.
            max_committed_size_per_ready: self.max_message_bytes,
            // A coordinator that was cut off must not force an election when it comes back,
            pre_vote: true,
            // and a leader that is cut off must notice that it is none any more.
            check_quorum: true,
            // Not leases: they would trust clocks.
            read_only_option: raft::ReadOnlyOption::Safe,
            ..raft::Config::default()
        };
        config
            .validate()
            .map_err(|error| Error::user("the settings of consensus do not fit together").with_source(error))?;
        Ok(config)
    }
}
