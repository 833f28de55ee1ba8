//! Cards and rules, and what comes of them.

#![allow(clippy::unwrap_used, reason = "tests, and functions that they share")]

use fraud::{Alert, Payment, Recent, Rule, fraud};
use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

fn payment(card: &str, cents: i64, second: i64) -> Payment {
    Payment { card: card.to_owned(), cents, at: Timestamp::from_secs(second) }
}

fn rule(name: &str, payments: i64, cents: i64, seconds: i64) -> Rule {
    Rule { name: name.to_owned(), payments, cents, seconds }
}

fn alerts(test: &mut TestJob) -> Vec<(String, String, i64, i64)> {
    let alerts = test.take::<Alert>("alerts").unwrap();
    let mut alerts: Vec<_> =
        alerts.into_iter().map(|alert| (alert.card, alert.rule, alert.payments, alert.cents)).collect();
    alerts.sort();
    alerts
}

fn alert(card: &str, rule: &str, payments: i64, cents: i64) -> (String, String, i64, i64) {
    (card.to_owned(), rule.to_owned(), payments, cents)
}

#[test]
fn cards_are_judged_by_the_rules_that_there_are() {
    let mut test = TestJob::new(fraud).unwrap();
    test.send("payments", [payment("a", 90_000, 0)]).unwrap();
    assert!(alerts(&mut test).is_empty(), "there is no rule yet");
    test.send("rules", [rule("many", 3, 0, 60), rule("much", 1, 50_000, 60)]).unwrap();
    test.send("payments", [payment("a", 100, 10), payment("b", 60_000, 10), payment("a", 100, 20)]).unwrap();
    // The first payment came before the rules did, and counts.
    let expected = [alert("a", "many", 3, 90_200), alert("a", "much", 2, 90_100), alert("a", "much", 3, 90_200)];
    assert_eq!(alerts(&mut test), [&expected[..], &[alert("b", "much", 1, 60_000)]].concat());
    test.restart(3).unwrap();
    // One rule is switched off, and one is changed.
    test.send("rules", [rule("much", 0, 0, 0), rule("many", 2, 0, 15)]).unwrap();
    test.send("payments", [payment("b", 70_000, 30), payment("a", 5, 34), payment("a", 5, 36)]).unwrap();
    assert_eq!(alerts(&mut test), [alert("a", "many", 2, 10), alert("a", "many", 2, 105)]);
}

#[test]
fn cards_that_are_not_used_are_forgotten() {
    let mut test = TestJob::with_arguments(fraud, &[("longest-minutes", "1")]).unwrap();
    let kept = |test: &mut TestJob| {
        let state = test.state::<String, Recent>("fraud", &"a".to_owned()).unwrap();
        state.map(|recent| recent.payments.len())
    };
    test.send("payments", [payment("a", 1, 0), payment("a", 1, 30)]).unwrap();
    test.watermark(Timestamp::from_secs(70)).unwrap();
    assert_eq!(kept(&mut test), Some(2));
    test.send("payments", [payment("a", 1, 80)]).unwrap();
    assert_eq!(kept(&mut test), Some(2));
    test.restart(2).unwrap();
    test.watermark(Timestamp::from_secs(140)).unwrap();
    assert_eq!(kept(&mut test), None);
}
