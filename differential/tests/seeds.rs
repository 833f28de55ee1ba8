//! A few cases, and whether a wrong answer would be noticed. `cargo run -p weir-differential -- --seeds 1..1000` judges many.
#![allow(clippy::unwrap_used)]

use weir_differential::generate::{Case, Kind, case};
use weir_differential::judge::{Verdict, judge, judge_at};
use weir_differential::random::Random;
use weir_differential::relation;
use weir_differential::script::shell;
use weir_differential::value::Value;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Planning recurses deeply without optimisation, for which the stack of a test does not suffice.
fn with_room(test: fn()) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap().join().unwrap();
}

fn verdict(case: &Case, seed: u64) -> Verdict {
    wait(judge(case, &mut Random::new(!seed))).unwrap()
}

#[test]
fn queries_equal_their_evaluation() {
    with_room(judge_some);
}

fn judge_some() {
    judge_seeds(Kind::Any);
    judge_seeds(Kind::Updating);
    judge_seeds(Kind::Versions);
}

fn judge_seeds(kind: Kind) {
    let mut equal = 0;
    for seed in 1..60 {
        let case = case(seed, kind, &[]);
        match verdict(&case, seed) {
            Verdict::Wrong { setting, difference } => {
                panic!("{kind:?} {seed}: {difference}\n{}", shell(&case, &setting))
            }
            Verdict::Equal { .. } => equal += 1,
            Verdict::Refused(_) | Verdict::Undefined => {}
        }
    }
    assert!(equal > 40, "{kind:?}: most cases have to be queries that Weir runs, and {equal} were");
}

#[test]
fn a_wrong_value_is_noticed() {
    with_room(judge_wrong_values);
}

fn judge_wrong_values() {
    let setting = weir_differential::engine::Setting::random(&mut Random::new(1), 0);
    let mut noticed = 0;
    for seed in 1..20 {
        let case = case(seed, Kind::Any, &[]);
        let mut expected = relation::rows(&case.query, &case.tables).unwrap();
        let Some(value) = expected.iter_mut().flatten().find(|value| matches!(value, Value::Integer(_))) else {
            continue;
        };
        *value = Value::Integer(424_242);
        match wait(judge_at(&case, &setting, &Ok(expected))).unwrap() {
            Verdict::Wrong { .. } => noticed += 1,
            Verdict::Refused(_) => {}
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(noticed > 5, "{noticed}");
}
