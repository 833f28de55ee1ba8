//! Who may be a coordinator of a cluster: founding members with the log that they founded it with, and those who were added.

use serde_json::Value;

use super::processes::{Cluster, free_addresses, until};

fn coordinators(cluster: &Cluster) -> Vec<Value> {
    cluster.json(&["cluster", "status"])["coordinators"].as_array().unwrap().clone()
}

fn follower(cluster: &Cluster) -> usize {
    until("there is a leader and a follower", || {
        let ran = cluster.weir(&["cluster", "status", "--json"]);
        let status: Value = serde_json::from_str(&ran.out).ok()?;
        let known = status["coordinators"].as_array()?.iter();
        known.filter(|known| known["role"] == "follower").find_map(|known| known["id"].as_u64())
    }) as usize
}

#[test]
fn a_founding_member_that_lost_its_log_is_not_let_in_again() {
    let mut cluster = Cluster::of_coordinators(3);
    let victim = follower(&cluster);
    cluster.kill(&format!("c{victim}"));
    std::fs::remove_dir_all(format!("{}/coordinator-{victim}", cluster.path("data"))).unwrap();
    cluster.start_coordinator(victim);
    assert_eq!(cluster.until_ended(&format!("c{victim}")).code(), Some(2));
    let said = cluster.said(&format!("c{victim}"));
    assert!(said.contains("its data directory was emptied or replaced"), "{said}");

    // As the message says: it is removed, and another one takes its place.
    cluster.weir(&["cluster", "remove", &victim.to_string()]).code(0);
    let address = free_addresses(1).remove(0);
    let too_early = cluster.weir(&["cluster", "add", "4", &address, "--timeout", "1s"]).code(4);
    assert!(too_early.err.contains("start it first: `weir coordinator --id 4 --join"), "{}", too_early.err);
    cluster.start_joining(4, &address);
    until("the new one has a vote", || {
        let added = cluster.weir(&["cluster", "add", "4", &address]);
        let is_voter = |known: &Value| known["id"] == 4 && known["role"] == "follower";
        (added.err.contains("is a member already") && coordinators(&cluster).iter().any(is_voter)).then_some(())
    });
}

#[test]
fn a_coordinator_that_was_removed_ends_and_its_number_is_not_used_again() {
    let mut cluster = Cluster::of_coordinators(3);
    let removed = follower(&cluster);
    cluster.weir(&["cluster", "remove", &removed.to_string()]).code(0);
    assert_eq!(cluster.until_ended(&format!("c{removed}")).code(), Some(2));
    let said = cluster.said(&format!("c{removed}"));
    assert!(said.contains("was removed from the cluster"), "{said}");

    let address = free_addresses(1).remove(0);
    cluster.start_joining(removed, &address);
    // It waits until the new one answers.
    let refused = cluster.weir(&["cluster", "add", &removed.to_string(), &address]).code(2);
    assert!(refused.err.contains("its number is not used again"), "{}", refused.err);
}

#[test]
fn founding_waits_for_all_members() {
    let mut cluster = Cluster::planned(3);
    cluster.start_coordinator(1);
    cluster.start_coordinator(2);
    until("it says for whom it waits", || {
        cluster.said("c1").contains("founded by all its founding members together").then_some(())
    });
    let early = cluster.weir(&["cluster", "status", "--timeout", "2s"]);
    assert_ne!(early.code, Some(0), "two of three must not found it");
    cluster.start_coordinator(3);
    assert_eq!(coordinators(&cluster).len(), 3);
}
