//! What counts, and who tells it.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn lose(worker: &str, at: i64) -> Command {
    Command::LoseWorker { worker: WorkerId(worker.into()), incarnation: Incarnation(1), reason: "silent".into(), at }
}

#[test]
fn what_happened_before_the_process_began_is_known_and_does_not_count() {
    let mut tallies = Tallies::default();
    tallies.begin(1000);
    tallies.begin(2000);
    tallies.applied(&lose("replayed", 900), &Ok(Applied::Changed));
    assert_eq!((tallies.workers_lost, tallies.lost(1000).count()), (0, 1));
    tallies.applied(&lose("seen", 1100), &Ok(Applied::Changed));
    tallies.applied(&lose("gone before", 1200), &Ok(Applied::Unchanged));
    assert_eq!((tallies.workers_lost, tallies.lost(1200).count()), (1, 2));
}

#[test]
fn a_leader_that_is_heard_again_has_not_changed() {
    let mut tallies = Tallies::default();
    let (a, b) = (CoordinatorId(1), CoordinatorId(2));
    for (leader, term, changes) in [(a, 3, 1), (a, 3, 1), (b, 4, 2), (b, 5, 3), (b, 5, 3), (a, 6, 4)] {
        tallies.led(leader, term);
        assert_eq!(tallies.leader_changes, changes);
    }
}
