//! Messages that no correct peer sends: refused by name, never a panic, nothing changes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_core::{CoordinatorId, ErrorKind};
use weir_proto::peer::{Entry, MessageKind, PeerMessage, Snapshot, entry::Content};

use super::super::{Member, MembershipChange, MemoryStore, Output, Raft};
use super::random::Random;
use super::{config, entry, members, snapshot};

const PEER: CoordinatorId = CoordinatorId(2);

/// A follower in term 2 with entries 2 to 4, decided up to 3.
fn follower() -> Raft<MemoryStore> {
    let mut store = MemoryStore::default();
    Raft::bootstrap(&mut store, &members(1..=3)).unwrap();
    let mut raft = Raft::open(config(1, 7), store).unwrap();
    let entries = vec![entry(2, 2, "a"), entry(3, 2, "b"), entry(4, 2, "c")];
    let append = PeerMessage { index: 1, log_term: 1, entries, commit: 3, ..message(MessageKind::Append) };
    raft.receive(PEER, append).unwrap();
    raft.drive(&mut Output::default()).unwrap();
    assert_eq!((raft.status().commit, raft.status().term), (3, 2));
    raft
}

/// The leader of term 2 with decided entries.
fn leader() -> Raft<MemoryStore> {
    let mut store = MemoryStore::default();
    Raft::bootstrap(&mut store, &members(1..=3)).unwrap();
    let mut raft = Raft::open(config(1, 7), store).unwrap();
    for _ in 0..20 {
        raft.tick();
    }
    for (kind, term) in [(MessageKind::RequestPreVoteResponse, 2), (MessageKind::RequestVoteResponse, 2)] {
        raft.receive(PEER, PeerMessage { term, ..message(kind) }).unwrap();
        raft.drive(&mut Output::default()).unwrap();
    }
    for _ in 0..10 {
        raft.propose(b"x".to_vec()).unwrap();
    }
    raft.drive(&mut Output::default()).unwrap();
    raft.receive(PEER, PeerMessage { index: 8, ..message(MessageKind::AppendResponse) }).unwrap();
    raft.drive(&mut Output::default()).unwrap();
    assert_eq!((raft.status().commit, raft.status().term), (8, 2));
    raft
}

fn message(kind: MessageKind) -> PeerMessage {
    PeerMessage { kind: kind.into(), from: 2, to: 1, term: 2, ..PeerMessage::default() }
}

fn refused(raft: &mut Raft<MemoryStore>, message: PeerMessage) -> String {
    let before = raft.status();
    let error = raft.receive(PEER, message.clone()).expect_err(&format!("{message:?}"));
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(raft.status(), before);
    error.report()
}

#[test]
fn what_no_correct_peer_sends_is_refused() {
    let mut raft = follower();
    let append = || PeerMessage { index: 4, log_term: 2, ..message(MessageKind::Append) };
    let cases = [
        (PeerMessage { kind: 0, ..append() }, "kind 0, which is not known"),
        (PeerMessage { kind: 99, ..append() }, "kind 99, which is not known"),
        (PeerMessage { from: 3, ..append() }, "says that it comes from coordinator 3"),
        (PeerMessage { to: 3, ..append() }, "it is for coordinator 3, and this is coordinator 1"),
        (PeerMessage { term: 0, ..append() }, "of no term"),
        (PeerMessage { term: u64::MAX, ..append() }, "out of range"),
        (PeerMessage { index: u64::MAX, ..append() }, "out of range"),
        (PeerMessage { index: 9, log_term: 0, commit: 9, ..append() }, "entry 9 is of no term"),
        (PeerMessage { entries: vec![entry(6, 2, "x")], ..append() }, "entry 6 does not follow entry 4"),
        (PeerMessage { entries: vec![entry(5, 1, "x")], ..append() }, "entry 5 does not follow entry 4"),
        (PeerMessage { entries: vec![entry(5, 3, "x")], ..append() }, "of a later term than itself"),
        (PeerMessage { entries: vec![entry(5, 2, "")], ..append() }, "entry 5 has an empty payload"),
        (
            PeerMessage { entries: vec![Entry { index: 5, term: 2, content: None }], ..append() },
            "of a kind that is not",
        ),
        (PeerMessage { entries: vec![entry(5, 2, "x")], ..message(MessageKind::Heartbeat) }, "where none belong"),
        (PeerMessage { commit: 5, ..message(MessageKind::Heartbeat) }, "what was stored here is lost"),
        (message(MessageKind::Snapshot), "without a snapshot"),
        (with(snapshot(9, 3, "")), "its snapshot is of a later term"),
        (with(snapshot(0, 2, "")), "no place in the log"),
        (with(Snapshot { membership: None, ..snapshot(9, 2, "") }), "nobody has a vote"),
        (with(twice(snapshot(9, 2, ""))), "names coordinator 1 twice"),
        (with(both(snapshot(9, 2, ""))), "both voter and learner"),
        (with(snapshot(u64::MAX, 2, "")), "out of range"),
    ];
    for (message, why) in cases {
        let text = refused(&mut raft, message.clone());
        assert!(text.contains(why), "{message:?}: {text}");
    }
    let error = raft.receive(CoordinatorId(0), PeerMessage { from: 0, ..append() }).unwrap_err();
    assert!(error.to_string().contains("coordinator 0"), "{error}");
    assert!(
        refused(&mut leader(), PeerMessage { index: 13, ..message(MessageKind::AppendResponse) }).contains("entry 13")
    );
}

fn with(snapshot: Snapshot) -> PeerMessage {
    PeerMessage { snapshot: Some(snapshot), ..message(MessageKind::Snapshot) }
}

fn twice(mut snapshot: Snapshot) -> Snapshot {
    let membership = snapshot.membership.as_mut().unwrap();
    membership.voters.push(membership.voters[0].clone());
    snapshot
}

fn both(mut snapshot: Snapshot) -> Snapshot {
    let membership = snapshot.membership.as_mut().unwrap();
    membership.learners.push(membership.voters[0].clone());
    snapshot
}

/// The answer to a probe of long ago must not set the leader back to before what it knows.
#[test]
fn a_stale_refusal_does_not_set_a_follower_back() {
    let mut raft = leader();
    raft.report_unreachable(PEER);
    let progress = |raft: &Raft<MemoryStore>| {
        let progress = raft.node.raft.prs().get(2).unwrap();
        (progress.matched, progress.next_idx)
    };
    assert_eq!(progress(&raft), (8, 9));
    let stale =
        PeerMessage { reject: true, index: 8, reject_hint: 3, log_term: 1, ..message(MessageKind::AppendResponse) };
    raft.receive(PEER, stale).unwrap();
    assert_eq!(progress(&raft), (8, 9));
}

/// A refusal of a probe that is not stale may still point to before what the leader knows.
#[test]
fn a_hint_does_not_set_a_follower_back() {
    let mut raft = leader();
    raft.report_unreachable(PEER);
    raft.node.raft.mut_prs().get_mut(2).unwrap().next_idx = 12;
    let refusal =
        PeerMessage { reject: true, index: 11, reject_hint: 3, log_term: 1, ..message(MessageKind::AppendResponse) };
    raft.receive(PEER, refusal).unwrap();
    let progress = raft.node.raft.prs().get(2).unwrap();
    assert_eq!((progress.matched, progress.next_idx), (8, 9));
}

#[test]
fn a_coordinator_without_a_log_has_no_vote() {
    for kind in [MessageKind::RequestVote, MessageKind::RequestPreVote] {
        let mut raft = Raft::open(config(1, 7), MemoryStore::default()).unwrap();
        let text = refused(&mut raft, PeerMessage { index: 5, log_term: 2, term: 3, ..message(kind) });
        assert!(text.contains("has no vote"), "{text}");
    }
}

/// Reads are told apart although their names are not.
#[test]
fn reads_of_one_name_are_confirmed_one_by_one() {
    let mut raft = leader();
    raft.read_index(5).unwrap();
    raft.read_index(5).unwrap();
    let mut out = Output::default();
    raft.drive(&mut out).unwrap();
    let contexts: Vec<_> =
        out.messages.iter().filter(|(to, _)| *to == PEER).map(|(_, sent)| sent.context.clone()).collect();
    let mut answers = Vec::new();
    for context in contexts.into_iter().filter(|context| !context.is_empty()) {
        let mut out = Output::default();
        raft.receive(PEER, PeerMessage { context, ..message(MessageKind::HeartbeatResponse) }).unwrap();
        raft.drive(&mut out).unwrap();
        answers.push(out.reads);
    }
    assert_eq!(answers, [[(5, 8)], [(5, 8)]]);
}

/// Whatever comes, in whatever order, is refused or stepped over.
#[test]
fn garbage_does_not_end_a_coordinator() {
    let mut accepted = 0;
    for seed in 0..3000 {
        let mut random = Random(seed);
        let mut raft = if random.chance(50) { follower() } else { leader() };
        let mut log = Vec::new();
        let run = AssertUnwindSafe(|| {
            for _ in 0..4 {
                let message = garbage(&mut random);
                log.push(message.clone());
                accepted += u64::from(raft.receive(CoordinatorId(message.from), message).is_ok());
                if random.chance(50) {
                    raft.tick();
                }
                if random.chance(70) {
                    raft.drive(&mut Output::default()).unwrap();
                }
            }
        });
        if catch_unwind(run).is_err() {
            panic!("seed {seed}: {log:#?}");
        }
    }
    assert!(accepted > 3000, "the garbage is too bad to get anywhere: {accepted}");
}

fn garbage(random: &mut Random) -> PeerMessage {
    let number = |random: &mut Random| match random.below(30) {
        0 => u64::MAX,
        1 => 1 << 62,
        2 => 1000,
        _ => random.below(14),
    };
    let index = number(random);
    let log_term = random.below(4);
    let entries = match random.below(3) {
        0 => (0..random.below(4))
            .map(|place| something(index.wrapping_add(1 + place), log_term.max(1), random))
            .collect(),
        _ => Vec::new(),
    };
    PeerMessage {
        kind: random.below(12) as i32,
        from: if random.chance(95) { 2 + random.below(3) } else { number(random) },
        to: if random.chance(97) { 1 } else { number(random) },
        term: if random.chance(90) { 2 + random.below(2) } else { number(random) },
        index,
        log_term,
        entries,
        commit: number(random),
        commit_term: random.below(4),
        snapshot: random.chance(50).then(|| snapshot(number(random), random.below(4), "state")),
        reject: random.chance(50),
        reject_hint: number(random),
        context: if random.chance(10) { b"CampaignTransfer".to_vec() } else { vec![1; random.below(20) as usize] }
            .into(),
        priority: 0,
        from_log: if random.chance(95) { 0 } else { 1000 + random.below(4) },
        to_log: if random.chance(95) { 0 } else { 1000 + random.below(4) },
    }
}

fn something(index: u64, term: u64, random: &mut Random) -> Entry {
    let id = CoordinatorId(random.below(5));
    let content = match random.below(6) {
        0 => Content::Membership(MembershipChange::Remove(id).to_wire(Vec::new())),
        1 => Content::Membership(MembershipChange::Promote(id).to_wire(Vec::new())),
        2 => Content::Membership(MembershipChange::AddLearner(id, Member::default()).to_wire(Vec::new())),
        3 => Content::Nothing(weir_proto::peer::Nothing {}),
        _ => Content::Payload(vec![1; random.below(3) as usize].into()),
    };
    Entry { index, term, content: Some(content) }
}
