//! Random histories of clusters: coordinators crash and come back, in the middle of a write too, the network loses,
//! doubles, delays, reorders and is cut, the membership changes, leadership is handed over. Then all faults end, and the
//! cluster has to find together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_core::CoordinatorId;

use super::super::MembershipChange;
use super::cluster::{Cluster, Counts};
use super::member;
use super::network::Faults;
use super::random::Random;

/// Histories of the default run. Thousands were run before a change of this module lands: see `MORE_HISTORIES`.
const HISTORIES: u64 = 200;
/// Of the ignored test.
const MORE_HISTORIES: u64 = 5_000;
/// Ticks with faults in one history.
const TICKS: u64 = 400;

struct Verdict {
    counts: Counts,
    leaders: usize,
    trace: u32,
}

/// Runs a history. With `lazy` the disks lie about what is durable.
fn history(seed: u64, lazy: u64) -> Result<Verdict, String> {
    let run = || {
        let mut random = Random(seed ^ 0x5eed);
        let mut cluster = Cluster::with_lazy_disks(*random.pick(&[3, 3, 4, 5]), seed, lazy);
        // Each seed has faults of its own kind: with all of them all the time nothing gets far.
        cluster.network.faults = Faults {
            loss_percent: *random.pick(&[0, 0, 5, 15]),
            double_percent: *random.pick(&[0, 5, 30]),
            longest_delay: *random.pick(&[0, 2, 6, 12]),
        };
        let crashes = *random.pick(&[0, 1, 3]);
        let cuts = *random.pick(&[0, 1, 3]);
        let changes = *random.pick(&[0, 3, 10]);
        for _ in 0..TICKS {
            disturb(&mut cluster, &mut random, (crashes, cuts, changes));
            ask(&mut cluster, &mut random);
            cluster.step();
        }
        cluster.network.faults = Faults::default();
        cluster.network.cut.clear();
        for id in cluster.ids() {
            if let Some(raft) = cluster.raft(id) {
                raft.store.fails = None;
            }
            cluster.start(id);
        }
        cluster.steps(100);
        cluster.converge();
        Verdict { leaders: cluster.oracle.leaders(), trace: cluster.trace.finalize(), counts: cluster.counts }
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

fn disturb(cluster: &mut Cluster, random: &mut Random, (crashes, cuts, changes): (u64, u64, u64)) {
    let ids = cluster.ids();
    if random.chance(crashes) {
        let id = *random.pick(&ids);
        match random.below(3) {
            0 => cluster.crash(id),
            kind => cluster.fail_write(id, random.below(3), kind == 1),
        }
    }
    if random.chance(5) {
        cluster.start(*random.pick(&ids));
    }
    if random.chance(cuts) {
        match random.below(3) {
            0 => cluster.network.cut_off(*random.pick(&ids), ids.iter().copied()),
            1 => {
                cluster.network.cut.insert((*random.pick(&ids), *random.pick(&ids)));
            }
            _ => {
                if let Some(leader) = cluster.leader() {
                    cluster.network.cut_off(leader, ids.iter().copied());
                }
            }
        }
    }
    if random.chance(4) {
        cluster.network.cut.clear();
    }
    if random.chance(changes) {
        change_membership(cluster, random);
    }
    if random.chance(1)
        && let Some(leader) = cluster.leader()
    {
        let to = *random.pick(&ids);
        let to = Some(to).filter(|_| random.chance(50));
        cluster.raft(leader).expect("leads").transfer_leadership(to);
    }
    if random.chance(2) {
        let (at, of) = (*random.pick(&ids), *random.pick(&ids));
        if let Some(raft) = cluster.raft(at) {
            match random.below(3) {
                0 => raft.report_unreachable(of),
                kind => raft.report_snapshot(of, kind == 1),
            }
        }
    }
}

fn change_membership(cluster: &mut Cluster, random: &mut Random) {
    let ids = cluster.ids();
    let at = *random.pick(&ids);
    let Some(status) = cluster.status(at) else { return };
    let membership = status.membership;
    let learner = membership.learners.keys().next().copied();
    let members: Vec<_> = membership.voters.keys().chain(membership.learners.keys()).copied().collect();
    let new = CoordinatorId(ids.len() as u64 + 1);
    let change = match (random.below(3), learner) {
        (0 | 1, Some(learner)) => MembershipChange::Promote(learner),
        (0, None) if members.len() < 6 => MembershipChange::AddLearner(new, member(new.0)),
        _ if members.len() > 3 => MembershipChange::Remove(*random.pick(&members)),
        _ => return,
    };
    if cluster.change(at, &change).is_ok() && matches!(change, MembershipChange::AddLearner(..)) {
        cluster.add_blank(new);
    }
}

fn ask(cluster: &mut Cluster, random: &mut Random) {
    for id in cluster.ids() {
        if random.chance(30) {
            let _ = cluster.propose(id);
        }
        if random.chance(10) {
            cluster.read(id);
        }
    }
}

fn run(seeds: std::ops::Range<u64>) -> (Counts, usize) {
    let mut sum = (Counts::default(), 0);
    for seed in seeds {
        let outcome = history(seed, 0).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let (into, of) = (&mut sum.0, outcome.counts);
        into.committed += of.committed;
        into.reads += of.reads;
        into.crashes += of.crashes;
        into.failed_writes += of.failed_writes;
        into.compactions += of.compactions;
        into.installed += of.installed;
        into.memberships += of.memberships;
        sum.1 += outcome.leaders;
    }
    sum
}

/// What did not happen was not tested.
fn much_happened(histories: u64, counts: &Counts, leaders: usize) {
    let per_history = [
        counts.committed / 100,
        counts.reads / 5,
        counts.crashes,
        counts.failed_writes,
        counts.compactions,
        leaders as u64 / 2,
        counts.memberships,
    ];
    let enough = per_history.iter().all(|count| *count > histories) && counts.installed > histories / 10;
    assert!(enough, "{histories} histories, {leaders} leaders, {counts:?}");
}

#[test]
fn histories_hold_what_raft_promises() {
    let (counts, leaders) = run(0..HISTORIES);
    much_happened(HISTORIES, &counts, leaders);
}

#[test]
#[ignore = "takes minutes"]
fn many_histories_hold_what_raft_promises() {
    let (counts, leaders) = run(HISTORIES..HISTORIES + MORE_HISTORIES);
    much_happened(MORE_HISTORIES, &counts, leaders);
}

#[test]
fn a_history_is_its_seed() {
    for seed in 0..20 {
        let (first, second) = (history(seed, 0).unwrap(), history(seed, 0).unwrap());
        assert_eq!((first.trace, first.counts), (second.trace, second.counts), "seed {seed}");
    }
}

/// The control: the oracle finds out about disks that lose what they had called durable.
#[test]
fn a_disk_that_lies_is_caught() {
    let caught = (0..HISTORIES).filter(|seed| history(*seed, 3).is_err()).count();
    assert!(caught as u64 > HISTORIES / 10, "{caught} of {HISTORIES}");
}
