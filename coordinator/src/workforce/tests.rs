use super::*;
use crate::cluster::tests::run;

fn config() -> WorkforceConfig {
    WorkforceConfig {
        min_workers: 1,
        max_workers: 9,
        release_after: Duration::from_secs(600),
        ..WorkforceConfig::default()
    }
}

fn wanted(script: &str) -> (u32, u32) {
    let workforce = Workforce::of(&run(script), &config());
    (workforce.wanted_slots, workforce.wanted_workers)
}

#[test]
fn so_many_are_wanted_as_the_jobs_fill() {
    assert_eq!(wanted("worker a 4"), (0, 1), "no job, but one worker at least");
    assert_eq!(wanted("submit x 8"), (8, 1), "how many slots a worker has is not known yet");
    assert_eq!(wanted("worker a 4\n submit x 8\n submit y 1"), (9, 3));
    assert_eq!(wanted("worker a 4\n submit x 8\n cancel 1"), (0, 1));
    assert_eq!(wanted("worker a 4\n submit x 400"), (400, 9), "nine at most");
    assert_eq!(wanted("worker a 4\n submit x 2 slots min=2"), (2, 1), "what takes what there is asks for its least");
    assert_eq!(
        wanted("worker a 4\n submit x 2 load\n scale 1 4 wanted=11"),
        (11, 3),
        "what the load needs, and has not"
    );
    assert_eq!(wanted("worker a 4\n submit x 2 load dry\n scale 1 9 dry"), (2, 1), "a dry run asks for nothing");
    let spare = WorkforceConfig { spare_slots: 4, ..config() };
    assert_eq!(Workforce::of(&run("worker a 4\n submit x 4"), &spare).wanted_workers, 2);
}

#[test]
fn those_that_run_nothing_may_go_first() {
    let state = run("worker a 4\n worker b 4\n worker c 4\n empty c\n submit x 1\n start 1 a");
    let workforce = Workforce::of(&state, &config());
    assert_eq!((workforce.workers, workforce.slots, &*workforce.idle_workers), (2, 8, &["b".to_owned()][..]));
}

#[test]
fn what_a_namespace_may_not_have_is_not_asked_for() {
    let blue = "worker a 4\n namespace blue slots=6\n submit x 2 load in=blue\n scale 1 4 wanted=24";
    assert_eq!(wanted(blue), (6, 2));
    assert_eq!(wanted(&format!("{blue}\n submit y 3")), (9, 3));
}

fn of(workers: u32, wanted_workers: u32) -> Workforce {
    Workforce {
        cluster: "c".into(),
        wanted_workers,
        workers,
        wanted_slots: 0,
        slots: 0,
        slots_per_worker: 4,
        idle_workers: Vec::new(),
    }
}

/// What is asked for at this time, if anything.
fn look(asking: &mut Asking, seconds: u64, wanted: Workforce) -> Option<u32> {
    asking.look(Duration::from_secs(seconds), wanted, &config()).map(|asked| asked.wanted_workers)
}

#[test]
fn more_are_asked_for_at_once_and_fewer_when_they_have_been_enough_for_a_while() {
    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, of(1, 2)), Some(2));
    assert_eq!(look(&mut asking, 1, of(2, 2)), None);
    assert_eq!(look(&mut asking, 2, of(2, 5)), Some(5));
    assert_eq!(look(&mut asking, 10, of(5, 1)), None);
    assert_eq!(look(&mut asking, 62, of(5, 1)), Some(5), "it is said again");
    assert_eq!(look(&mut asking, 400, of(5, 3)), Some(5));
    assert_eq!(look(&mut asking, 609, of(5, 1)), Some(5));
    assert_eq!(look(&mut asking, 610, of(5, 1)), Some(3), "three were needed meanwhile");
    assert_eq!(look(&mut asking, 700, of(3, 4)), Some(4));
    assert_eq!(asking.asked(), Some(4));
}

#[test]
fn a_new_leader_sends_nobody_away_before_it_has_waited_itself() {
    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, of(4, 1)), None);
    assert_eq!(look(&mut asking, 599, of(4, 1)), None, "more than are here may have been asked for before");
    assert_eq!(look(&mut asking, 601, of(4, 1)), Some(1));

    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, of(4, 1)), None);
    assert_eq!(look(&mut asking, 1, of(2, 3)), Some(4), "two are about to come back, perhaps");
    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, of(4, 6)), Some(6), "more at once");
}

/// How many are needed is not known while none is here.
#[test]
fn while_no_worker_is_here_none_is_asked_to_go() {
    let none = || Workforce { wanted_slots: 20, slots_per_worker: 0, ..of(0, 1) };
    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, of(4, 5)), Some(5));
    for seconds in 1..2000 {
        assert!([None, Some(5)].contains(&look(&mut asking, seconds, none())), "{seconds}");
    }
    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, of(4, 4)), None);
    assert_eq!(look(&mut asking, 1, none()), Some(4));
    // One that begins lets those come that are there.
    let mut asking = Asking::default();
    assert_eq!(look(&mut asking, 0, none()), None);
    assert_eq!(look(&mut asking, 59, none()), None);
    assert_eq!(look(&mut asking, 60, none()), Some(1));
}
