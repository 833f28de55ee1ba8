//! What a cluster does in situations that histories reach by chance only.

use weir_core::CoordinatorId;

use super::super::{MembershipChange, Refused, Role};
use super::cluster::Cluster;
use super::member;

const FOUR: CoordinatorId = CoordinatorId(4);

fn others(cluster: &Cluster, id: CoordinatorId) -> Vec<CoordinatorId> {
    cluster.ids().into_iter().filter(|other| *other != id).collect()
}

/// Adds coordinator 4, which starts with nothing, and waits until it has everything.
fn add_learner(cluster: &mut Cluster) {
    let leader = cluster.elect();
    cluster.change(leader, &MembershipChange::AddLearner(FOUR, member(4))).unwrap();
    cluster.add_blank(FOUR);
    cluster.until("the learner has caught up", |cluster| cluster.nodes[&FOUR].applied >= cluster.oracle.newest());
    // And has said so.
    cluster.steps(5);
}

#[test]
fn a_majority_goes_on_and_a_minority_does_not() {
    let mut cluster = Cluster::new(3, 1);
    let leader = cluster.elect();
    let cut_off = others(&cluster, leader);
    cluster.network.cut_off(leader, cut_off.into_iter());
    assert!(cluster.propose(leader).unwrap().is_ok(), "it does not know yet");
    cluster.read(leader);
    let before = cluster.oracle.newest();
    cluster.until("another leader", |cluster| cluster.leader().is_some_and(|id| id != leader));
    cluster.steps(30);
    let status = cluster.status(leader).unwrap();
    assert_ne!(status.role, Role::Leader, "it steps down without a majority");
    assert_eq!(cluster.propose(leader), Some(Err(Refused::NotLeader { leader: None })));
    assert_eq!(cluster.counts.reads, 0, "a leader that was cut off answers no read");
    assert!(cluster.decide_one() > before);
    cluster.network.cut.clear();
    cluster.converge();
    assert_eq!(cluster.status(leader).unwrap().matched.len(), 0);
}

#[test]
fn a_coordinator_that_was_cut_off_disturbs_nobody() {
    let mut cluster = Cluster::new(3, 2);
    let leader = cluster.elect();
    let follower = others(&cluster, leader)[0];
    let rest = others(&cluster, follower);
    cluster.network.cut_off(follower, rest.into_iter());
    let term = cluster.status(leader).unwrap().term;
    cluster.steps(200);
    cluster.network.cut.clear();
    cluster.steps(100);
    assert_eq!(cluster.leader(), Some(leader));
    assert_eq!(cluster.status(follower).unwrap().term, term, "it asked before it raised the term");
}

#[test]
fn a_follower_that_is_far_behind_gets_a_snapshot() {
    let mut cluster = Cluster::new(3, 3);
    let leader = cluster.elect();
    let follower = others(&cluster, leader)[0];
    cluster.crash(follower);
    for _ in 0..100 {
        cluster.propose(leader).unwrap().unwrap();
        cluster.step();
    }
    assert!(cluster.counts.compactions > 0);
    cluster.start(follower);
    cluster.converge();
    assert!(cluster.counts.installed > 0);
}

#[test]
fn a_lost_snapshot_is_sent_again() {
    let mut cluster = Cluster::new(3, 4);
    let leader = cluster.elect();
    let follower = others(&cluster, leader)[0];
    cluster.crash(follower);
    for _ in 0..100 {
        cluster.propose(leader).unwrap().unwrap();
        cluster.step();
    }
    cluster.start(follower);
    // Lets heartbeats through in one direction only until the snapshot is under way, then loses it.
    cluster.until("a snapshot is sent", |cluster| {
        cluster.nodes[&leader].raft.as_ref().is_some_and(|raft| !raft.snapshots_under_way.is_empty())
    });
    cluster.network.cut.insert((leader, follower));
    cluster.steps(3);
    cluster.network.cut.clear();
    cluster.converge();
    assert_eq!(cluster.leader(), Some(leader));
}

#[test]
fn leadership_is_handed_over() {
    let mut cluster = Cluster::new(3, 5);
    let leader = cluster.elect();
    let to = others(&cluster, leader)[1];
    cluster.raft(leader).unwrap().transfer_leadership(Some(to));
    let refused = cluster.propose(leader).unwrap().unwrap_err();
    assert!(matches!(refused, Refused::Busy(_)), "{refused:?}");
    cluster.until("the other one leads", |cluster| cluster.leader() == Some(to));
    cluster.steps(2);
    assert_eq!(cluster.propose(leader), Some(Err(Refused::NotLeader { leader: Some(to) })));
    cluster.raft(to).unwrap().transfer_leadership(None);
    cluster.until("somebody else leads", |cluster| cluster.leader().is_some_and(|id| id != to));
    cluster.converge();
}

#[test]
fn a_coordinator_is_replaced() {
    let mut cluster = Cluster::new(3, 6);
    let leader = cluster.elect();
    let gone = others(&cluster, leader)[0];
    cluster.crash(gone);
    for _ in 0..50 {
        let _ = cluster.propose(leader);
        cluster.step();
    }
    add_learner(&mut cluster);
    assert_eq!(cluster.status(FOUR).unwrap().role, Role::Learner);
    let leader = cluster.elect();
    cluster.change(leader, &MembershipChange::Promote(FOUR)).unwrap();
    cluster.until("the promotion", |cluster| cluster.membership().voters.contains_key(&FOUR));
    let leader = cluster.elect();
    cluster.change(leader, &MembershipChange::Remove(gone)).unwrap();
    cluster.until("the removal", |cluster| !cluster.membership().contains(gone));
    assert_eq!(cluster.membership().address(FOUR), Some("host4:7000"));
    // Two of the three are enough, the new one among them.
    let rest = others(&cluster, FOUR).into_iter().find(|id| *id != gone && Some(*id) != cluster.leader()).unwrap();
    cluster.crash(rest);
    cluster.decide_one();
    cluster.start(gone);
    cluster.steps(200);
    assert!(cluster.leader().is_some_and(|id| id != gone), "who was removed disturbs nobody");
    cluster.start(rest);
    cluster.converge();
}

#[test]
fn a_learner_has_to_catch_up_before_it_votes() {
    let mut cluster = Cluster::new(3, 7);
    add_learner(&mut cluster);
    let leader = cluster.elect();
    cluster.crash(FOUR);
    for _ in 0..100 {
        let _ = cluster.propose(leader);
        cluster.step();
    }
    let refused = cluster.change(leader, &MembershipChange::Promote(FOUR));
    assert_eq!(refused, Err(Refused::Busy("the new coordinator has not caught up yet")));
    cluster.start(FOUR);
    cluster.converge();
    cluster.change(leader, &MembershipChange::Promote(FOUR)).unwrap();
    cluster.until("the promotion", |cluster| cluster.membership().voters.contains_key(&FOUR));
}

#[test]
fn a_leader_does_not_remove_itself() {
    let mut cluster = Cluster::new(3, 8);
    let leader = cluster.elect();
    let refused = cluster.change(leader, &MembershipChange::Remove(leader)).unwrap_err();
    assert_eq!(refused.to_string(), format!("coordinator {leader} is the leader: hand leadership over first"));
}

/// The removal is in the log of the one that it removes when that one becomes the leader: it decides its own removal.
#[test]
fn a_leader_that_its_predecessor_removed_steps_down() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(3, seed);
        let leader = cluster.elect();
        cluster.steps(10);
        let removed = others(&cluster, leader)[0];
        cluster.change(leader, &MembershipChange::Remove(removed)).unwrap();
        cluster.drive(leader);
        // The removal reaches the one that it removes, and nobody learns that it is decided.
        let last = others(&cluster, leader)[1];
        cluster.network.cut.insert((leader, last));
        cluster.network.cut.insert((removed, leader));
        cluster.steps(2);
        cluster.crash(leader);
        cluster.network.cut.clear();
        cluster.until("it has removed itself", |cluster| {
            cluster.status(removed).is_some_and(|status| !status.membership.contains(removed))
        });
        assert_eq!(cluster.status(removed).unwrap().role, Role::Learner);
        cluster.start(leader);
        cluster.converge();
    }
}

#[test]
fn a_coordinator_that_has_forgotten_everything_is_not_heard() {
    let mut cluster = Cluster::new(3, 9);
    let leader = cluster.elect();
    cluster.converge();
    let forgetful = others(&cluster, leader)[0];
    cluster.crash(forgetful);
    cluster.nodes.remove(&forgetful);
    let mut blank = Cluster::new(1, 9);
    blank.add_blank(forgetful);
    let mut raft = blank.nodes.remove(&forgetful).unwrap().raft.unwrap();
    let mut out = super::super::Output::default();
    // The leader knows what this one had acknowledged.
    for _ in 0..5 {
        cluster.raft(leader).unwrap().tick();
        cluster.raft(leader).unwrap().drive(&mut out).unwrap();
    }
    let mut errors = Vec::new();
    for (to, message) in out.messages {
        if to == forgetful {
            errors.extend(raft.receive(leader, message).err());
        }
    }
    let text = errors.first().expect("it notices").report();
    assert!(text.contains("what was stored here is lost") && text.contains("under another id"), "{text}");
    assert_eq!(raft.status().role, Role::Learner);
}

/// What is decided by the leader and one follower stays decided when that follower's folder is emptied: it must not help the
/// other one, which never heard of it, to lead.
#[test]
fn a_coordinator_that_has_lost_its_log_gives_nobody_its_vote() {
    let mut cluster = Cluster::new(3, 10);
    let leader = cluster.elect();
    cluster.converge();
    let [forgetful, behind] = others(&cluster, leader)[..] else { panic!("there are three") };
    cluster.network.cut_off(behind, [leader, forgetful].into_iter());
    let decided = cluster.decide_one();
    cluster.crash(leader);
    cluster.lose_log(forgetful, 3);
    cluster.network.cut.clear();
    cluster.steps(500);
    assert_eq!(cluster.leader(), None, "one with what is decided is missing");
    let refused = |what: &str| cluster.refused.iter().any(|text| text.contains(what));
    assert!(refused("has lost that") && refused("for one with another log"), "{:?}", cluster.refused.first());
    cluster.start(leader);
    assert!(cluster.decide_one() > decided);
    cluster.until("the one behind has it", |cluster| cluster.nodes[&behind].applied > decided);
}

#[test]
fn nobody_is_removed_without_whom_nothing_could_be_decided() {
    let mut cluster = Cluster::new(3, 12);
    let leader = cluster.elect();
    cluster.converge();
    let [dead, alive] = others(&cluster, leader)[..] else { panic!("there are three") };
    cluster.crash(dead);
    cluster.steps(50);
    let refused = cluster.change(leader, &MembershipChange::Remove(alive)).unwrap_err();
    assert!(refused.to_string().contains("a majority cannot be reached"), "{refused}");
    cluster.change(leader, &MembershipChange::Remove(dead)).unwrap();
    cluster.until("the removal", |cluster| !cluster.membership().contains(dead));
    cluster.decide_one();
}

/// Ticks from the crash of the leader to the next one.
fn leaderless(seed: u64, said: bool) -> u64 {
    let mut cluster = Cluster::new(3, seed);
    let leader = cluster.elect();
    cluster.converge();
    cluster.crash(leader);
    for id in others(&cluster, leader).into_iter().filter(|_| said) {
        cluster.raft(id).unwrap().report_gone(leader);
    }
    let crashed_at = cluster.now;
    cluster.until("another leader", |cluster| cluster.leader().is_some());
    let ticks = cluster.now - crashed_at;
    cluster.start(leader);
    cluster.converge();
    ticks
}

#[test]
fn when_the_leader_is_known_to_be_gone_the_next_one_is_elected_at_once() {
    let ticks = |said| (0..50).map(|seed| leaderless(seed, said)).sum::<u64>();
    let (said, silent) = (ticks(true), ticks(false));
    // What is left is the election itself: two rounds of messages.
    assert!(
        said + 50 * 5 < silent,
        "50 elections took {said} ticks, and {silent} if nobody said that the leader is gone"
    );
}

#[test]
fn a_leader_that_is_wrongly_said_to_be_gone_goes_on() {
    let mut cluster = Cluster::new(3, 11);
    let leader = cluster.elect();
    cluster.converge();
    let term = cluster.status(leader).unwrap().term;
    let follower = others(&cluster, leader)[0];
    for _ in 0..20 {
        cluster.raft(follower).unwrap().report_gone(leader);
        cluster.steps(3);
    }
    cluster.converge();
    assert_eq!((cluster.leader(), cluster.status(leader).unwrap().term), (Some(leader), term));
}
