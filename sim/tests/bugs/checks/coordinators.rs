//! Coordinators among themselves: who leads, and what one does that leads no more.

use weir_coordinator::leader::SessionId;
use weir_core::CoordinatorId;
use weir_proto::client::{ClientRequest, ClientResponse, QuotaInfo};
use weir_proto::control::ToWorker;

use super::cluster::Cluster;

fn another(cluster: &Cluster, than: CoordinatorId) -> CoordinatorId {
    cluster.present().into_iter().find(|id| *id != than).unwrap()
}

fn new_namespace() -> ClientRequest {
    let quota = QuotaInfo { slots: None, jobs: None, state_bytes: None };
    ClientRequest::SetNamespace { namespace: "new".to_owned(), quota }
}

/// Also one that was restarted in between.
pub fn a_coordinator_votes_once_in_a_term() {
    let mut cluster = Cluster::new(3);
    let second = CoordinatorId(3);
    cluster.stand_still(second);
    cluster.pass_until(|cluster| cluster.elected().is_some());
    let first = cluster.elected().unwrap();
    let voter = another(&cluster, first);
    // Nobody hears of the first one's log, so the voter might take either's side.
    cluster.stand_still(first);
    cluster.settle();
    cluster.restart(voter);
    cluster.go_on(second);
    cluster.pass_at(&[second], |cluster| cluster.elected() == Some(second));
    let term = |id| cluster.node(id).status().term;
    assert_ne!(term(first), term(second), "both lead");
}

/// Also if the first entry of an earlier one was not known to be agreed upon.
pub fn a_leader_leads_in_the_term_that_it_was_elected_in() {
    let mut cluster = Cluster::new(3);
    cluster.pass_until(|cluster| cluster.leader().is_some());
    // That its first entry is agreed upon nobody else knows.
    let first = cluster.leader().unwrap();
    cluster.stand_still(first);
    let second = cluster.until_led();
    cluster.connect(second, SessionId(1), Vec::new());
    let welcome = cluster.said.iter().find_map(|(_, message)| match message {
        ToWorker::Welcome(welcome) => Some(welcome.term),
        _ => None,
    });
    assert_eq!(welcome, Some(cluster.node(second).status().term));
}

/// One that has been replaced and does not know does not answer.
pub fn reads_see_what_was_confirmed_before_them() {
    let mut cluster = Cluster::new(3);
    let first = cluster.until_led();
    cluster.stand_still(first);
    let second = cluster.until_led();
    cluster.ask(second, new_namespace());
    cluster.settle();
    assert!(matches!(cluster.answers.pop(), Some(Ok(ClientResponse::Accepted))));
    cluster.ask(first, ClientRequest::ListNamespaces);
    cluster.settle();
    assert!(!matches!(cluster.answers.pop(), Some(Ok(_))), "the namespace is not in it");
}

/// Where a client was told that nobody knows what came of a change, it does not come about when the coordinator leads again.
pub fn a_change_ends_with_the_leader_that_could_not_propose_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.until_led();
    let heir = another(&cluster, leader);
    let hand_over = |to| ClientRequest::TransferLeadership { to: Some(to) };
    cluster.ask(leader, hand_over(heir));
    // Nothing is taken into the log while leadership is handed over.
    cluster.ask(leader, new_namespace());
    cluster.pass_until(|cluster| cluster.leader() == Some(heir));
    cluster.ask(heir, hand_over(leader));
    cluster.pass_until(|cluster| cluster.leader() == Some(leader));
    cluster.settle();
    assert!(!cluster.node(leader).state().namespaces.contains_key("new"));
}
