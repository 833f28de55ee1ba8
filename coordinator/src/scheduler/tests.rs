use proptest::prelude::*;
use weir_core::Incarnation;

use super::*;

fn placed(name: &str) -> PlacedWorker {
    PlacedWorker { worker: WorkerId(name.into()), incarnation: Incarnation(1), address: format!("{name}:1") }
}

/// `a 2/4, b 0/2 draining`: name, free and all slots.
fn candidates(text: &str) -> Vec<Candidate> {
    let candidate = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (free, total) = words[1].split_once('/').unwrap();
        Candidate {
            worker: placed(words[0]),
            free: free.parse().unwrap(),
            total: total.parse().unwrap(),
            draining: words.contains(&"draining"),
            too_old: words.contains(&"old"),
        }
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(candidate).collect()
}

/// `abb`: slot 0 on worker a, slots 1 and 2 on worker b.
fn previously(slots: &str) -> Option<Placement> {
    let mut placement = Placement { workers: Vec::new(), slots: Vec::new() };
    for name in slots.chars().map(String::from) {
        let position = placement.position(&WorkerId(name.clone())).unwrap_or_else(|| {
            placement.workers.push(placed(&name));
            placement.workers.len() - 1
        });
        placement.slots.push(u32::try_from(position).unwrap());
    }
    (!slots.is_empty()).then_some(placement)
}

fn names(placement: &Placement) -> String {
    (0..placement.slots.len()).map(|slot| placement.worker_of(slot).unwrap().worker.0.as_str()).collect()
}

fn solve(slots_wanted: u32, workers: &str, previous: &str) -> String {
    let problem = Problem { slots_wanted, workers: candidates(workers), previous: previously(previous) };
    place(&problem).map_or_else(|shortfall| shortfall.to_string(), |placement| names(&placement))
}

#[test]
fn slots_are_spread_by_what_is_free() {
    assert_eq!(solve(4, "a 4/4, b 4/4", ""), "abab");
    assert_eq!(solve(3, "b 4/4, a 4/4", ""), "aba", "the order in which workers are listed does not matter");
    assert_eq!(solve(10, "e 2/2, c 2/2, a 2/2, d 2/2, b 2/2", ""), "abcdeabcde");
    assert_eq!(solve(3, "a 4/4, b 1/4", ""), "aaa");
    assert_eq!(solve(6, "a 8/8, b 4/4", ""), "abaaba", "a worker with twice the slots gets twice as many");
    assert_eq!(solve(5, "a 2/2, b 3/3, c 9/9 draining", ""), "babab");
    assert_eq!(solve(0, "", ""), "");
}

#[test]
fn a_slot_stays_where_its_state_is() {
    assert_eq!(solve(4, "a 2/4, b 2/4, c 4/4", "aabb"), "aabb");
    assert_eq!(solve(4, "a 2/4, c 4/4", "abab"), "acac", "only what has to move moves");
    assert_eq!(solve(4, "a 1/4, b 1/4, c 4/4", "aabb"), "acbc");
    assert_eq!(solve(4, "a 4/4 draining, b 4/4", "aabb"), "bbbb");
}

#[test]
fn a_worker_that_was_started_anew_still_has_its_disk() {
    let mut workers = candidates("a 2/2, b 2/2");
    workers[0].worker.incarnation = Incarnation(2);
    let placement = place(&Problem { slots_wanted: 2, workers, previous: previously("aa") }).unwrap();
    assert_eq!(names(&placement), "aa");
    assert_eq!(placement.workers[0].incarnation, Incarnation(2), "and runs as the process that it is now");
}

#[test]
fn another_parallelism_keeps_parts_of_the_keys_where_they_are() {
    assert_eq!(solve(4, "a 4/4, b 4/4", "ab"), "aabb");
    assert_eq!(solve(2, "a 4/4, b 4/4", "aabb"), "ab");
    assert_eq!(solve(3, "a 4/4, b 4/4", "aaabbb"), "abb");
    assert_eq!(solve(1, "a 4/4, b 4/4", "abb"), "b");
}

#[test]
fn a_shortfall_says_what_is_missing() {
    let workers = "a 2/4, b 1/2, c 1/1 draining, d 0/1";
    assert_eq!(
        solve(4, workers, ""),
        "needs 4 slots; 3 free on 2 workers (1 more is on a worker that is being drained): \
         add a worker or lower the parallelism"
    );
    assert_eq!(solve(2, "a 1/1", ""), "needs 2 slots; 1 free on 1 worker: add a worker or lower the parallelism");
    assert_eq!(solve(1, "", ""), "needs 1 slot; none is free: add a worker or lower the parallelism");
    assert_eq!(
        solve(9, "a 2/2 draining, b 3/3 draining", ""),
        "needs 9 slots; none is free (5 more are on workers that are being drained): \
         add a worker or lower the parallelism"
    );
    assert_eq!(
        solve(3, "a 1/2, b 2/2 old, c 1/1 old draining", ""),
        "needs 3 slots; 1 free on 1 worker (3 more are on workers that are too old to run plugins in processes of their own): \
         upgrade such workers, or add one"
    );
    assert_eq!(
        solve(2, "a 1/2 draining, b 1/2 old", ""),
        "needs 2 slots; none is free (1 more is on a worker that is being drained) (1 more is on a worker that is too old to \
         run plugins in processes of their own): upgrade such workers, or add one"
    );
}

#[test]
fn workers_that_are_too_old_for_a_job_get_nothing_of_it() {
    assert_eq!(solve(2, "a 4/4 old, b 2/2", "aa"), "bb");
}

#[test]
fn jobs_leave_a_worker_that_is_being_drained_if_they_find_room() {
    const NONE: [u64; 0] = [];
    let moved = |workers: &str, running: &[(u32, &str)]| {
        let placements: Vec<(JobId, u32, Placement)> = running
            .iter()
            .zip(1..)
            .map(|((wanted, slots), job)| (JobId(job), *wanted, previously(slots).unwrap()))
            .collect();
        let running = placements.iter().map(|(job, wanted, placement)| (*job, *wanted, placement));
        rebalance(running, &candidates(workers)).iter().map(|job| job.0).collect::<Vec<u64>>()
    };
    assert_eq!(moved("a 0/4, b 4/4", &[(4, "aaaa")]), NONE, "nobody has to leave");
    assert_eq!(moved("a 0/4 draining, b 4/4", &[(4, "aaaa")]), [1]);
    assert_eq!(moved("a 0/4 draining, b 3/4", &[(4, "aaaa")]), NONE, "no room");
    assert_eq!(moved("a 0/4 draining, b 2/4", &[(4, "aabb")]), [1], "it can have again what it has elsewhere");
    assert_eq!(moved("a 0/4 draining, b 3/4", &[(2, "aa"), (2, "aa"), (1, "b")]), [1], "room for one of them");
    assert_eq!(moved("a 0/4 draining, b 1/4", &[(3, "aaa"), (1, "a")]), [2], "a small one may find room");
    assert_eq!(moved("a 9/9 draining, b 1/4", &[(3, "aabb")]), [1]);
    assert_eq!(moved("a 0/4 draining, b 1/4", &[(2, "aaab")]), [1], "it is to be smaller anyway");
    assert_eq!(moved("a 0/4 draining, b 1/4", &[(4, "aaab")]), NONE);
}

/// The most slots that can stay, by trying everything.
fn most_that_stay(slots: &[Option<usize>], free: &mut [u32]) -> usize {
    let Some((first, rest)) = slots.split_first() else { return 0 };
    let leaves = most_that_stay(rest, free);
    match *first {
        Some(worker) if free[worker] > 0 => {
            free[worker] -= 1;
            let stays = 1 + most_that_stay(rest, free);
            free[worker] += 1;
            stays.max(leaves)
        }
        _ => leaves,
    }
}

fn problems(slots: u32) -> impl Strategy<Value = Problem> {
    let worker = (0_u32..5, 0_u32..4, prop::bool::weighted(0.2));
    let workers = prop::collection::vec(worker, 0..5);
    (0..slots, workers, prop::collection::vec(0_u8..6, 0..slots as usize)).prop_map(
        |(slots_wanted, workers, before)| {
            let candidate = |((free, used, draining), name): ((u32, u32, bool), char)| Candidate {
                worker: placed(&name.to_string()),
                free,
                total: free + used,
                draining,
                too_old: false,
            };
            let previous: String = before.iter().map(|worker| char::from(b'a' + worker)).collect();
            let workers = workers.into_iter().zip('a'..).map(candidate).collect();
            Problem { slots_wanted, workers, previous: previously(&previous) }
        },
    )
}

fn count(placement: &Placement, worker: &WorkerId) -> u32 {
    let position = placement.position(worker);
    u32::try_from(position.map_or(0, |position| placement.slots_of(position).count())).unwrap()
}

proptest! {
    #[test]
    fn nothing_is_used_twice_and_nothing_that_fits_is_refused(problem in problems(9)) {
        let open = || problem.workers.iter().filter(|candidate| !candidate.draining);
        let free: u32 = open().map(|candidate| candidate.free).sum();
        match place(&problem) {
            Err(shortfall) => {
                prop_assert!(free < problem.slots_wanted);
                prop_assert_eq!(shortfall.free, u64::from(free));
            }
            Ok(placement) => {
                prop_assert!(free >= problem.slots_wanted);
                prop_assert_eq!(placement.slots.len(), problem.slots_wanted as usize);
                let placed: u32 = open().map(|candidate| count(&placement, &candidate.worker.worker)).sum();
                prop_assert_eq!(placed, problem.slots_wanted, "every slot is on a worker that takes work");
                for candidate in open() {
                    prop_assert!(count(&placement, &candidate.worker.worker) <= candidate.free);
                }
                for worker in &placement.workers {
                    prop_assert!(count(&placement, &worker.worker) > 0, "no worker without a slot");
                }
            }
        }
    }

    #[test]
    fn no_more_slots_move_than_have_to(problem in problems(9)) {
        let Ok(placement) = place(&problem) else { return Ok(()) };
        let Some(previous) = problem.previous.as_ref() else { return Ok(()) };
        if previous.slots.len() != problem.slots_wanted as usize {
            return Ok(());
        }
        let position = |slot| {
            let before = &previous.worker_of(slot).unwrap().worker;
            problem.workers.iter().position(|candidate| candidate.worker.worker == *before && !candidate.draining)
        };
        let before: Vec<Option<usize>> = (0..previous.slots.len()).map(position).collect();
        let mut free: Vec<u32> = problem.workers.iter().map(|candidate| candidate.free).collect();
        let stays = |slot: &usize| placement.worker_of(*slot).unwrap().worker == previous.worker_of(*slot).unwrap().worker;
        let stay = (0..placement.slots.len()).filter(stays).count();
        prop_assert_eq!(stay, most_that_stay(&before, &mut free));
    }

    #[test]
    fn equal_workers_get_equally_much(slots in 1_u32..40, workers in 1_u32..9, each in 1_u32..9) {
        let all: String = ('a'..).take(workers as usize).map(|name| format!("{name} {each}/{each},")).collect();
        let problem = Problem { slots_wanted: slots.min(workers * each), workers: candidates(&all), previous: None };
        let placement = place(&problem).unwrap();
        let counts = || problem.workers.iter().map(|candidate| count(&placement, &candidate.worker.worker));
        prop_assert!(counts().max().unwrap() - counts().min().unwrap() <= 1);
    }

    #[test]
    fn the_same_problem_has_the_same_solution(problem in problems(9)) {
        let mut reversed = problem.clone();
        reversed.workers.reverse();
        prop_assert_eq!(place(&problem), place(&reversed));
    }
}

#[test]
fn a_thousand_slots_on_a_thousand_workers() {
    let workers: Vec<Candidate> = (0..1000)
        .map(|number| Candidate {
            worker: placed(&format!("w{number}")),
            free: 2,
            total: 2,
            draining: false,
            too_old: false,
        })
        .collect();
    let first = place(&Problem { slots_wanted: 1000, workers: workers.clone(), previous: None }).unwrap();
    assert_eq!(first.workers.len(), 1000);
    let again = place(&Problem { slots_wanted: 1000, workers, previous: Some(first.clone()) }).unwrap();
    assert_eq!(again, first);
}
