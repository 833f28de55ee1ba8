//! All cases fifty times on a machine that has other things to do: what is late now and then shows only so. Takes a while:
//! `cargo test --package weir-cli --test it -- --ignored watched`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{PARALLELISM, cases};

/// How often each case is run at each parallelism.
const ROUNDS: usize = 50;
/// Cases that are run at the same time.
const AT_ONCE: usize = 4;

/// What a round runs, at a parallelism.
type Case = (&'static str, fn(u32));

const CASES: [Case; 5] = [
    ("files that are moved in together", cases::files_together),
    ("the same after a long silence", cases::files_after_a_silence),
    ("hourly views of one folder, joined", cases::views_of_one_folder),
    ("windows over windows", cases::windows_over_windows),
    ("partners that come later", cases::partners_that_come_later),
];

#[test]
#[ignore = "takes many minutes"]
fn no_row_is_late_in_fifty_rounds_under_load() {
    let rounds =
        (0..ROUNDS).flat_map(|_| CASES.iter().flat_map(|case| PARALLELISM.map(|parallelism| (case, parallelism))));
    let rounds: Vec<_> = rounds.collect();
    let (next, failed, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let running: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(((name, case), parallelism)) = rounds.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if std::panic::catch_unwind(|| case(*parallelism)).is_err() {
                            eprintln!("failed: {name}, parallelism {parallelism}");
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        running.into_iter().for_each(|running| running.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(failed.into_inner(), 0, "of {} runs", rounds.len());
}
