//! A cluster of one coordinator: what can be seen without a network.

use weir_core::{CoordinatorId, ErrorKind};

use super::super::{
    Batch, Committed, LogStore, MAX_SNAPSHOT_BYTES, MembershipChange, MemoryStore, Output, Raft, RebuildFrom, Refused,
    Role, Stored,
};
use super::{config, member, members};

fn founded() -> MemoryStore {
    let mut store = MemoryStore::default();
    Raft::bootstrap(&mut store, &members([1])).unwrap();
    store
}

fn leader(store: MemoryStore) -> (Raft<MemoryStore>, Output) {
    let mut raft = Raft::open(config(1, 7), store).unwrap();
    let mut out = Output::default();
    for _ in 0..20 {
        raft.tick();
    }
    raft.drive(&mut out).unwrap();
    assert_eq!(raft.status().role, Role::Leader);
    (raft, out)
}

fn payloads(out: &Output) -> Vec<(u64, Vec<u8>)> {
    let payload = |entry: &Committed| match entry {
        Committed::Payload { index, bytes, .. } => Some((*index, bytes.to_vec())),
        _ => None,
    };
    out.committed.iter().filter_map(payload).collect()
}

#[test]
fn leads_commits_and_comes_back() {
    let (mut raft, out) = leader(founded());
    assert_eq!(out.restored.as_ref().map(|snapshot| (snapshot.index, snapshot.state.len())), Some((1, 0)));
    assert!(matches!(out.committed[..], [Committed::Empty { index: 2, term: 2 }]), "{:?}", out.committed);
    let told = out.role_changed.expect("leads now");
    assert_eq!((told.leader, told.term, told.membership.voters), (Some(CoordinatorId(1)), 2, members([1])));

    raft.propose(b"a".to_vec()).unwrap();
    raft.propose(b"b".to_vec()).unwrap();
    raft.read_index(77).unwrap();
    let mut out = Output::default();
    raft.drive(&mut out).unwrap();
    assert_eq!(payloads(&out), [(3, b"a".to_vec()), (4, b"b".to_vec())]);
    assert_eq!(out.reads.len(), 1);
    assert_eq!(out.reads[0].0, 77);
    assert!(out.messages.is_empty() && out.restored.is_none() && out.role_changed.is_none(), "{out:?}");

    let (raft, out) = leader(raft.into_store());
    assert_eq!(payloads(&out), [(3, b"a".to_vec()), (4, b"b".to_vec())], "handed out again after a restart");
    assert_eq!((raft.status().term, raft.status().applied), (3, 5));
}

#[test]
fn a_log_that_is_rebuilt_goes_on_from_its_state_and_takes_in_others() {
    let mut store = MemoryStore::default();
    let from = || RebuildFrom { term: 500, index: 70, state: b"state".to_vec() };
    Raft::rebuild(&mut store, &members([1]), from()).unwrap();
    assert!(Raft::rebuild(&mut store, &members([1]), from()).is_err(), "it is not empty any more");
    let (mut raft, out) = leader(store);
    let restored = out.restored.as_ref().map(|snapshot| (snapshot.term, snapshot.index, snapshot.state.to_vec()));
    assert_eq!(restored, Some((500, 70, b"state".to_vec())));
    assert!(matches!(out.committed[..], [Committed::Empty { index: 71, term: 501 }]), "{:?}", out.committed);
    raft.propose(b"a".to_vec()).unwrap();
    raft.change_membership(&MembershipChange::AddLearner(CoordinatorId(2), member(2)), vec![]).unwrap();
    let mut out = Output::default();
    raft.drive(&mut out).unwrap();
    assert_eq!((payloads(&out), raft.status().membership.learners.len()), (vec![(72, b"a".to_vec())], 1));
}

/// A new leader does not know yet what is decided; the read waits until it does.
#[test]
fn a_read_right_after_the_election_is_answered() {
    let mut raft = Raft::open(config(1, 7), founded()).unwrap();
    (0..20).for_each(|_| raft.tick());
    raft.read_index(3).unwrap();
    let mut out = Output::default();
    raft.drive(&mut out).unwrap();
    assert_eq!(out.reads, [(3, 2)]);
}

#[test]
fn snapshots_take_the_place_of_the_log() {
    let (mut raft, _) = leader(founded());
    let mut out = Output::default();
    for number in 0..50u8 {
        raft.propose(vec![number]).unwrap();
    }
    raft.drive(&mut out).unwrap();
    assert!(raft.wants_snapshot());
    let applied = raft.status().applied;
    raft.compact(applied - 2, b"state".to_vec()).unwrap();
    assert!(!raft.wants_snapshot());

    let (_, out) = leader(raft.into_store());
    let restored = out.restored.clone().expect("the snapshot");
    assert_eq!(
        (restored.index, &restored.state[..], restored.membership.voters),
        (applied - 2, &b"state"[..], members([1]))
    );
    assert_eq!(payloads(&out), [(applied - 1, vec![48]), (applied, vec![49])], "only what the snapshot does not hold");
}

/// The state that is handed in may be older than what was handed out: its membership is the one of then.
#[test]
fn a_snapshot_has_the_membership_of_its_place() {
    let (mut raft, _) = leader(founded());
    let before = raft.status();
    raft.change_membership(&MembershipChange::AddLearner(CoordinatorId(2), member(2)), Vec::new()).unwrap();
    raft.drive(&mut Output::default()).unwrap();
    assert_eq!(raft.status().membership.learners, members([2]));
    raft.compact(before.applied, b"old".to_vec()).unwrap();

    let mut raft = Raft::open(config(1, 7), raft.into_store()).unwrap();
    let mut out = Output::default();
    (0..20).for_each(|_| raft.tick());
    raft.drive(&mut out).unwrap();
    assert_eq!(out.restored.unwrap().membership, before.membership);
    assert_eq!(raft.status().membership.learners, members([2]), "the change is applied again");
}

#[test]
fn a_snapshot_that_cannot_be_is_refused() {
    let (mut raft, _) = leader(founded());
    let before = raft.store.load().unwrap();
    assert_eq!(raft.compact(raft.applied + 1, Vec::new()).unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(raft.compact(0, Vec::new()).unwrap_err().kind(), ErrorKind::Internal);
    let error = raft.compact(raft.applied, vec![0; MAX_SNAPSHOT_BYTES + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().contains("67108865 bytes"), "{error}");
    assert_eq!(raft.store.load().unwrap(), before);
    raft.drive(&mut Output::default()).unwrap();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (mut raft, _) = leader(founded());
    assert!(matches!(raft.propose(Vec::new()), Err(Refused::Invalid(_))));
    assert!(matches!(raft.propose(vec![0; 1025]), Err(Refused::Invalid(_))));
    let mut refused = |change| match raft.change_membership(&change, Vec::new()) {
        Err(Refused::Invalid(why)) => why,
        other => panic!("{change:?}: {other:?}"),
    };
    let id = CoordinatorId;
    assert_eq!(refused(MembershipChange::Remove(id(1))), "coordinator 1 is the last one with a vote");
    assert_eq!(refused(MembershipChange::Remove(id(2))), "coordinator 2 is not a member");
    assert_eq!(refused(MembershipChange::Promote(id(1))), "coordinator 1 is not a learner");
    assert_eq!(refused(MembershipChange::AddLearner(id(1), member(1))), "coordinator 1 is a member already");
    assert_eq!(refused(MembershipChange::AddLearner(id(0), member(0))), "0 is no id of a coordinator");
    raft.change_membership(&MembershipChange::AddLearner(id(2), member(2)), Vec::new()).unwrap();
    let second = raft.change_membership(&MembershipChange::AddLearner(id(3), member(3)), Vec::new());
    assert!(matches!(second, Err(Refused::Busy(_))), "one at a time: {second:?}");
}

#[test]
fn who_does_not_lead_refuses() {
    let mut raft = Raft::open(config(1, 7), founded()).unwrap();
    let refused = Err(Refused::NotLeader { leader: None });
    assert_eq!(raft.propose(b"a".to_vec()), refused);
    assert_eq!(raft.read_index(1), refused);
    assert_eq!(raft.change_membership(&MembershipChange::Remove(CoordinatorId(2)), Vec::new()), refused);
}

#[test]
fn a_cluster_is_founded_once() {
    let mut store = founded();
    assert_eq!(Raft::bootstrap(&mut store, &members([1])).unwrap_err().kind(), ErrorKind::User);
    assert_eq!(Raft::bootstrap(&mut MemoryStore::default(), &members([])).unwrap_err().kind(), ErrorKind::User);
}

/// A disk that fails at the write with this number, with or without effect.
struct Failing {
    store: MemoryStore,
    writes_left: u32,
}

impl LogStore for Failing {
    fn load(&self) -> weir_core::Result<Stored> {
        self.store.load()
    }

    fn write(&mut self, batch: &Batch) -> weir_core::Result<()> {
        match self.writes_left {
            0 => Err(weir_core::Error::environment("disk full")),
            _ => {
                self.writes_left -= 1;
                self.store.write(batch)
            }
        }
    }
}

#[test]
fn nothing_goes_on_after_a_failed_write() {
    for writes_left in 0..4 {
        let mut raft = Raft::open(config(1, 7), Failing { store: founded(), writes_left }).unwrap();
        let mut out = Output::default();
        let mut failed = false;
        for _ in 0..20 {
            raft.tick();
            let _ = raft.propose(b"a".to_vec());
            out = Output::default();
            if let Err(error) = raft.drive(&mut out) {
                assert!(error.report().contains("disk full"), "{}", error.report());
                failed = true;
                break;
            }
        }
        assert!(failed, "{writes_left}");
        assert!(payloads(&out).is_empty());
        raft.store.writes_left = 100;
        assert!(raft.propose(b"b".to_vec()).is_err());
        assert!(raft.drive(&mut Output::default()).is_err(), "the disk works again, but that is not known");
        assert!(raft.compact(1, Vec::new()).is_err());
    }
}
