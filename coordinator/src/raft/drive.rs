//! What the library has found to do, carried out: written to the store first, handed to the caller then.
//!
//! 1. The library's `Ready` holds what must be durable (term and vote, entries, a snapshot from the leader), messages,
//!    and what is committed.
//! 2. What must be durable goes to the store in one batch. When that fails nothing may go on: whether the bytes are on
//!    the disk nobody knows.
//! 3. Only then do messages go out. (A leader's need not wait for its own disk; here they do, which costs one sync of
//!    latency and makes the rule one that cannot be broken.)
//! 4. Committed entries are handed out. A change of the membership takes effect here, at every coordinator at the same
//!    place of the log.

use raft::{Ready, StateRole, eraftpb};
use weir_core::bugs::{self, Bug};
use weir_core::{CoordinatorId, Error, Result};
use weir_proto::peer::{MessageKind, PeerMessage, Snapshot};

use super::store::{Batch, Compaction, HardState, LogStore};
use super::{Committed, MAX_SNAPSHOT_BYTES, MembershipChange, Output, Raft, convert, restored_snapshot};

/// A snapshot counts as lost after this many election timeouts without news of it.
const SNAPSHOT_PATIENCE: usize = 10;

impl<S: LogStore> Raft<S> {
    /// Does all that is to be done, and adds to `out` what the caller has to do.
    ///
    /// # Errors
    /// The store has failed. The process must stop without acting on `out`, and start again from what the disk holds.
    pub fn drive(&mut self, out: &mut Output) -> Result<()> {
        if self.failed {
            return Err(Error::environment("this coordinator's store has failed before")
                .with_help("restart the coordinator: what its disk holds counts"));
        }
        // Stays set if anything in here fails, or panics.
        self.failed = true;
        if let Some(restored) = self.restored.take() {
            out.restored = Some(restored);
        }
        while self.node.has_ready() {
            let ready = self.node.ready();
            self.carry_out(ready, out)?;
            self.stepped();
            self.ask_early_reads();
        }
        let standing = self.standing();
        if standing != self.told {
            self.told = standing;
            out.role_changed = Some(self.status());
        }
        self.failed = false;
        Ok(())
    }

    fn carry_out(&mut self, mut ready: Ready, out: &mut Output) -> Result<()> {
        let mut messages = ready.take_messages();
        let mut committed = ready.take_committed_entries();
        let installed = match ready.snapshot() {
            snapshot if snapshot.is_empty() => None,
            snapshot => Some(convert::snapshot_to_wire(snapshot)?),
        };
        let batch = Batch {
            hard_state: ready.hs().map(hard_state),
            installed,
            entries: ready.take_entries().iter().map(convert::entry_to_wire).collect::<Result<_>>()?,
            compaction: None,
        };
        if let Some(snapshot) = &batch.installed {
            let restored = restored_snapshot(snapshot)?;
            self.applied = restored.index;
            self.memberships = [(restored.index, restored.membership.clone())].into();
            // Whatever was to be handed out before is part of this.
            out.committed.clear();
            out.restored = Some(restored);
        }
        if batch != Batch::default() {
            self.store.write(&batch).map_err(|error| error.context("this coordinator's store has failed"))?;
            self.node.mut_store().apply(batch)?;
        }
        messages.extend(ready.take_persisted_messages());
        for read in ready.take_read_states() {
            let request = read.request_ctx.get(8..16).and_then(|bytes| bytes.try_into().ok());
            let request = request.ok_or_else(|| Error::internal("an answer to a read that nobody asked for"))?;
            out.reads.push((u64::from_le_bytes(request), read.index));
        }
        let mut light = self.node.advance_append(ready);
        messages.extend(light.take_messages());
        committed.extend(light.take_committed_entries());
        for message in messages {
            self.send(message, out)?;
        }
        for entry in committed {
            self.hand_out(entry, out)?;
        }
        self.node.advance_apply();
        Ok(())
    }

    fn send(&mut self, message: eraftpb::Message, out: &mut Output) -> Result<()> {
        let to = CoordinatorId(message.to);
        if let Some(message) = convert::message_to_wire(message)? {
            let (from_log, to_log) = (self.config.log.0, self.membership().log(to).0);
            let message = PeerMessage { from_log, to_log, ..message };
            if message.kind() == MessageKind::Snapshot {
                self.snapshots_under_way.insert(to, self.config.election_ticks * SNAPSHOT_PATIENCE);
            }
            out.messages.push((to, message));
        }
        Ok(())
    }

    fn hand_out(&mut self, entry: eraftpb::Entry, out: &mut Output) -> Result<()> {
        let (index, term) = (entry.index, entry.term);
        assert_eq!(index, self.applied + 1, "committed entries come without gaps");
        self.applied = index;
        out.committed.push(match entry.get_entry_type() {
            eraftpb::EntryType::EntryNormal if entry.data.is_empty() => Committed::Empty { index, term },
            eraftpb::EntryType::EntryNormal => Committed::Payload { index, term, bytes: entry.data },
            _ => {
                let wire = convert::change_of(&entry)?;
                let change = MembershipChange::from_wire(&wire)?;
                self.change(index, &change)?;
                let membership = self.membership().clone();
                Committed::Membership { index, term, change, context: wire.context, membership }
            }
        });
        Ok(())
    }

    /// Lets a decided change take effect.
    fn change(&mut self, index: u64, change: &MembershipChange) -> Result<()> {
        // Checked when it was proposed, and no other change was under way then. All coordinators see the same membership
        // here, so if it does not fit after all, it fits nowhere.
        let Ok(membership) = self.membership().after(change) else { return Ok(()) };
        self.memberships.insert(index, membership);
        self.node
            .apply_conf_change(&convert::library_change(change))
            .map_err(|error| Error::internal("a decided change of the membership fails").with_source(error))?;
        // A leader that was removed by the leader before it: the library would go on, and panic at its next entry.
        if *change == MembershipChange::Remove(self.config.id) && self.node.raft.state == StateRole::Leader {
            let term = self.node.raft.term;
            self.node.raft.become_follower(term, raft::INVALID_ID);
        }
        Ok(())
    }

    /// Takes the serialized state as it is after the entry at `applied`, and drops the log that led to it, except for a
    /// tail that slow followers may need.
    ///
    /// # Errors
    /// A user error if the state is too large: the log keeps growing. An internal one if `applied` was not handed out,
    /// or lies before the last snapshot. Any other: the store has failed, as in [`drive`](Self::drive).
    pub fn compact(&mut self, applied: u64, state: Vec<u8>) -> Result<()> {
        let log = self.node.raft.store();
        if state.len() > MAX_SNAPSHOT_BYTES {
            return Err(Error::user(format!(
                "the state of the coordinators has {} bytes, and {MAX_SNAPSHOT_BYTES} fit into a snapshot",
                state.len()
            ))
            .with_help("delete finished jobs and plugins that are not used"));
        }
        let term = log.term_at(applied).filter(|_| applied <= self.applied && applied >= log.snapshot_index());
        let Some(term) = term.filter(|_| !self.failed) else {
            return Err(Error::internal(format!("a snapshot at {applied}, where none can be taken")));
        };
        let (_, membership) = self.memberships.range(..=applied).next_back().expect("known from the last snapshot on");
        let membership = membership.clone();
        let end = applied.saturating_sub(self.config.tail_entries()).max(log.before());
        let before = (end, log.term_at(end).expect("it lies in the log"));
        let stored = log.hard_state();
        let snapshot = Snapshot { index: applied, term, membership: Some(membership.to_wire()), state: state.into() };
        let batch = Batch {
            // The commit that was stored last may be older than the snapshot.
            hard_state: Some(HardState { commit: stored.commit.max(applied), ..stored }),
            compaction: Some(Compaction { snapshot, before }),
            ..Batch::default()
        };
        self.failed = true;
        self.store.write(&batch).map_err(|error| error.context("this coordinator's store has failed"))?;
        self.node.mut_store().apply(batch)?;
        self.failed = false;
        self.memberships = self.memberships.split_off(&applied);
        self.memberships.insert(applied, membership);
        Ok(())
    }
}

fn hard_state(hard_state: &eraftpb::HardState) -> HardState {
    let vote = Some(CoordinatorId(hard_state.vote)).filter(|id| id.0 != raft::INVALID_ID);
    let vote = vote.filter(|_| !bugs::is_on(Bug::VoteForgotten));
    HardState { term: hard_state.term, vote, commit: hard_state.commit }
}
