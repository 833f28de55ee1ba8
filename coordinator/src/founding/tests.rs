use super::*;

fn id(number: u64) -> CoordinatorId {
    CoordinatorId(number)
}

fn address(number: u64) -> String {
    format!("host{number}:7420")
}

fn founding(own: u64, log: u64) -> Founding {
    let members = (1..=3).map(|number| (id(number), address(number))).collect();
    Founding::new(id(own), LogId(log), members).unwrap()
}

fn blank(number: u64, log: u64) -> Introduction {
    Introduction { id: id(number), log: LogId(log), membership: None }
}

fn founded(number: u64, log: u64, logs: [u64; 3]) -> Introduction {
    let members =
        (1..=3).zip(logs).map(|(number, log)| (id(number), Member { address: address(number), log: LogId(log) }));
    Introduction { membership: Some(Membership::founding(members.collect())), ..blank(number, log) }
}

#[test]
fn all_have_to_be_heard() {
    let mut one = founding(1, 11);
    assert_eq!(one.verdict(), Verdict::Ask(vec![id(2), id(3)]));
    one.hear(id(3), blank(3, 13)).unwrap();
    assert_eq!(one.verdict(), Verdict::Ask(vec![id(2)]));
    one.hear(id(2), blank(2, 12)).unwrap();
    let Verdict::Found(members) = one.verdict() else { panic!("{:?}", one.verdict()) };
    let logs: Vec<_> = members.into_iter().map(|(id, member)| (id.0, member.address, member.log.0)).collect();
    assert_eq!(logs, [(1, address(1), 11), (2, address(2), 12), (3, address(3), 13)]);
}

#[test]
fn one_who_finds_others_founded_founds_as_they_have() {
    let mut one = founding(1, 11);
    // This one has drawn another number since, which is for those who have founded to refuse.
    one.hear(id(3), blank(3, 99)).unwrap();
    let introduction = founded(2, 12, [11, 12, 13]);
    one.hear(id(2), introduction.clone()).unwrap();
    assert_eq!(one.verdict(), Verdict::Found(introduction.membership.unwrap().voters));
}

#[test]
fn one_who_comes_when_members_have_changed_follows() {
    let mut one = founding(1, 11);
    let Introduction { membership: Some(membership), .. } = founded(2, 12, [11, 12, 13]) else { panic!() };
    let replaced = membership.after(&crate::raft::MembershipChange::Remove(id(3))).unwrap();
    one.hear(id(2), Introduction { membership: Some(replaced), ..blank(2, 12) }).unwrap();
    assert_eq!(one.verdict(), Verdict::Follow);
}

#[test]
fn one_who_has_lost_its_log_is_refused() {
    let mut one = founding(1, 99);
    one.hear(id(3), blank(3, 13)).unwrap();
    let refused = one.hear(id(2), founded(2, 12, [11, 12, 13])).unwrap_err();
    assert!(refused.report().contains("its data directory was emptied or replaced"), "{}", refused.report());
    // What was refused does not count.
    assert_eq!(one.verdict(), Verdict::Ask(vec![id(2)]));
}

#[test]
fn one_who_was_removed_is_refused() {
    let Introduction { membership: Some(membership), .. } = founded(2, 12, [11, 12, 13]) else { panic!() };
    let removed = membership.after(&crate::raft::MembershipChange::Remove(id(1))).unwrap();
    let refused = founding(1, 11).hear(id(2), Introduction { membership: Some(removed), ..blank(2, 12) }).unwrap_err();
    assert!(refused.report().contains("does not know this coordinator as a member"), "{}", refused.report());
}

#[test]
fn addresses_that_do_not_fit_are_refused() {
    let refused = founding(1, 11).hear(id(2), blank(3, 13)).unwrap_err();
    assert!(refused.report().contains("coordinator 2 should be at host2:7420, but coordinator 3 is there"));
    let members = BTreeMap::from([(id(2), address(2))]);
    assert!(Founding::new(id(1), LogId(11), members).is_err());
}
