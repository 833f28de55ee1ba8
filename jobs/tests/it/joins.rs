//! Joins of two streams by time.

use std::time::Duration;

use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

use super::{Event, Total, event, second, seconds};

/// Amounts of two events, -1 for one that is not there.
#[derive(Record, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    user: String,
    left: i64,
    right: i64,
    #[record(event_time)]
    at: Timestamp,
}

fn pair(user: &str, left: i64, right: i64, at: i64) -> Pair {
    Pair { user: user.to_owned(), left, right, at: second(at) }
}

fn of(left: &Event, right: Option<&Event>) -> Pair {
    let at = right.map_or(left.at, |right| right.at.min(left.at));
    Pair { user: left.user.clone(), left: left.amount, right: right.map_or(-1, |right| right.amount), at }
}

fn connected(job: &mut Job) -> weir_jobs::Connected<String, Event, Event> {
    let right = job.table::<Event>("right").key_by(|event| event.user.clone());
    job.table::<Event>("left").key_by(|event| event.user.clone()).connect(right)
}

fn joined(interval: Interval, keeps_left: bool) -> impl Fn(&mut Job) -> Result<()> {
    move |job| {
        let pairs = match keeps_left {
            true => connected(job).interval_left_join("pairs", interval, of),
            false => connected(job).interval_join("pairs", interval, |left, right| of(left, Some(right))),
        };
        pairs.insert_into("pairs");
        Ok(())
    }
}

fn pairs(test: &mut TestJob) -> Vec<Pair> {
    let mut pairs = test.take::<Pair>("pairs").unwrap();
    pairs.sort();
    pairs
}

/// Random events, as every pair of loops joins them.
#[test]
fn a_join_finds_the_pairs_that_loops_find_however_it_is_cut() {
    let mut random = 99_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((random >> 33) % below) as i64
    };
    let intervals = [
        (Interval::around(seconds(3), seconds(5)), -3, 5),
        (Interval::later(seconds(2), seconds(4)), 2, 4),
        (Interval::earlier(Duration::ZERO, seconds(3)), -3, 0),
        (Interval::around(Duration::ZERO, Duration::ZERO), 0, 0),
    ];
    for (interval, lower, upper) in intervals {
        for keeps_left in [false, true] {
            let mut test = TestJob::new(joined(interval, keeps_left)).unwrap();
            let (mut left, mut right, mut found) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..30 {
                for (table, all) in [("left", &mut left), ("right", &mut right)] {
                    let users = ["a", "b", "c"];
                    // None is late.
                    let events: Vec<Event> = (0..5)
                        .map(|amount| event(users[next(3) as usize], 10 * round + amount, 2 * round + next(4)))
                        .collect();
                    all.extend(events.clone());
                    test.send(table, events).unwrap();
                }
                test.watermark(second(2 * round - 1)).unwrap();
                if next(3) == 0 {
                    test.restart(1 + next(3) as usize).unwrap();
                }
                found.extend(pairs(&mut test));
            }
            test.end().unwrap();
            found.extend(pairs(&mut test));
            found.sort();
            let mut expected = Vec::new();
            for one in &left {
                let is_near = |other: &&Event| {
                    let apart = (other.at.millis() - one.at.millis()) / 1000;
                    one.user == other.user && (lower..=upper).contains(&apart)
                };
                let near: Vec<&Event> = right.iter().filter(is_near).collect();
                expected.extend(near.iter().map(|other| of(one, Some(other))));
                if keeps_left && near.is_empty() {
                    expected.push(of(one, None));
                }
            }
            expected.sort();
            assert_eq!(found, expected, "{interval:?}, {keeps_left}");
            assert!(expected.len() > 20);
            assert!(test.take_late().is_empty());
        }
    }
}

#[test]
fn rows_go_when_none_can_pair_with_them_any_more() {
    let mut test = TestJob::new(joined(Interval::around(seconds(3), seconds(5)), true)).unwrap();
    test.send("left", [event("a", 1, 10)]).unwrap();
    test.send("right", [event("b", 2, 10)]).unwrap();
    test.watermark(second(12)).unwrap();
    test.send("left", [event("b", 3, 13)]).unwrap();
    assert_eq!(pairs(&mut test), [pair("b", 3, 2, 10)]);
    // 15 is the last time at which a row comes for a's, 13 for b's on the right.
    test.watermark(second(14)).unwrap();
    assert!(pairs(&mut test).is_empty());
    test.watermark(second(15)).unwrap();
    assert_eq!(pairs(&mut test), [pair("a", 1, -1, 10)]);
    test.send("right", [event("a", 4, 15), event("a", 5, 16)]).unwrap();
    let late = test.take_late();
    assert_eq!(late.len(), 1);
    assert!(late[0].contains("\"amount\":4"), "{late:?}");
    test.send("left", [event("b", 6, 16)]).unwrap();
    test.end().unwrap();
    assert_eq!(pairs(&mut test), [pair("b", 6, -1, 16)], "b's row of 13 had one, and the right one of 10 is gone");
}

#[test]
fn late_rows_of_both_streams_come_out() {
    let mut test = TestJob::new(|job| {
        let right = job.table::<Pair>("right").key_by(|pair| pair.user.clone());
        let left = job.table::<Event>("left").key_by(|event| event.user.clone());
        left.connect(right)
            .interval_join("pairs", Interval::around(seconds(1), seconds(1)), |left, right| Pair {
                left: left.amount,
                ..right.clone()
            })
            .insert_into("pairs");
        Ok(())
    })
    .unwrap();
    test.watermark(second(20)).unwrap();
    for amount in [1, 2] {
        test.send("left", [event("a", amount, 10)]).unwrap();
        test.send("right", [pair("a", 0, 10 * amount, 10)]).unwrap();
    }
    let late = test.take_late();
    assert_eq!(late.len(), 4, "{late:?}");
    for (row, what) in late.iter().zip(["\"amount\":1", "\"right\":10", "\"amount\":2", "\"right\":20"]) {
        assert!(row.contains(what), "{late:?}");
    }
    assert!(pairs(&mut test).is_empty());
}

/// A new version of a job keeps the left rows that have found none.
#[test]
fn a_join_that_becomes_a_left_join_knows_which_rows_have_found_another() {
    let interval = Interval::around(seconds(3), seconds(5));
    let mut test = TestJob::new(joined(interval, false)).unwrap();
    test.send("left", [event("a", 1, 10), event("b", 2, 10)]).unwrap();
    test.send("right", [event("a", 3, 11), event("a", 4, 12)]).unwrap();
    assert_eq!(pairs(&mut test), [pair("a", 1, 3, 10), pair("a", 1, 4, 10)]);
    let snapshot = test.snapshot().unwrap();
    let mut test = TestJob::restored(joined(interval, true), &snapshot, 2).unwrap();
    test.end().unwrap();
    assert_eq!(pairs(&mut test), [pair("b", 2, -1, 10)]);
}

#[test]
fn what_stands_behind_a_join_finds_none_of_its_rows_late() {
    let mut test = TestJob::new(|job| {
        let pairs = connected(job).interval_left_join("pairs", Interval::around(seconds(3), seconds(5)), of);
        pairs
            .key_by(|pair| pair.user.clone())
            .window(Windows::tumbling(seconds(1)))
            .process("counts", |user: &String, _window, pairs: Vec<Pair>| Total {
                user: user.clone(),
                total: pairs.len() as i64,
            })
            .insert_into("counts");
        Ok(())
    })
    .unwrap();
    test.send("left", [event("a", 1, 10), event("a", 2, 20)]).unwrap();
    test.watermark(second(12)).unwrap();
    test.send("right", [event("a", 3, 15)]).unwrap();
    for time in 13..40 {
        test.watermark(second(time)).unwrap();
    }
    test.end().unwrap();
    assert!(test.take_late().is_empty());
    let total: i64 = test.take::<Total>("counts").unwrap().iter().map(|row| row.total).sum();
    assert_eq!(total, 2);
}

fn windowed(windows: Windows) -> impl Fn(&mut Job) -> Result<()> {
    move |job| {
        let sums = |events: &[Event]| events.iter().map(|event| event.amount).sum();
        connected(job)
            .window(windows)
            .process("sums", move |user, window, left, right| {
                (!left.is_empty()).then(|| Pair {
                    user: user.clone(),
                    left: sums(&left),
                    right: sums(&right),
                    at: window.last(),
                })
            })
            .insert_into("pairs");
        Ok(())
    }
}

#[test]
fn windows_of_two_streams_have_what_both_have() {
    let mut test = TestJob::new(windowed(Windows::tumbling(seconds(10)))).unwrap();
    test.send("left", [event("a", 1, 1), event("a", 2, 2), event("b", 4, 3), event("a", 8, 12)]).unwrap();
    test.send("right", [event("a", 16, 9), event("c", 32, 5)]).unwrap();
    test.restart(3).unwrap();
    test.send("right", [event("a", 64, 4)]).unwrap();
    test.watermark_of("left", second(11)).unwrap();
    assert!(pairs(&mut test).is_empty(), "the other stream is behind");
    test.watermark_of("right", second(10)).unwrap();
    let at = |mut pair: Pair, millis| {
        pair.at = Timestamp::from_millis(millis);
        pair
    };
    assert_eq!(pairs(&mut test), [at(pair("a", 3, 80, 0), 9999), at(pair("b", 4, 0, 0), 9999)]);
    test.send("right", [event("b", 1, 9)]).unwrap();
    assert_eq!(test.take_late().len(), 1);
    test.end().unwrap();
    assert_eq!(pairs(&mut test), [at(pair("a", 8, 0, 0), 19_999)]);
}

#[test]
fn a_session_of_two_streams_is_held_together_by_the_rows_of_both() {
    let mut test = TestJob::new(windowed(Windows::sessions(seconds(5)))).unwrap();
    test.send("left", [event("a", 1, 1), event("a", 2, 9)]).unwrap();
    test.restart(2).unwrap();
    test.send("right", [event("a", 4, 5), event("b", 8, 5)]).unwrap();
    test.end().unwrap();
    let expected = Pair { user: "a".to_owned(), left: 3, right: 4, at: Timestamp::from_millis(13_999) };
    assert_eq!(pairs(&mut test), [expected]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |main: fn(&mut Job) -> Result<()>| TestJob::new(main).map(|_| ()).unwrap_err().report();
    let report = refused(|job| {
        connected(job)
            .interval_join("pairs", Interval::later(seconds(2), seconds(1)), |left, _| left.clone())
            .insert_into("pairs");
        Ok(())
    });
    assert!(report.contains("the join 'pairs' has no pairs: none is 2000 to 1000 ms apart"), "{report}");
    let report = refused(|job| {
        let totals = job.table::<Total>("totals").key_by(|total| total.user.clone());
        let events = job.table::<Event>("events").key_by(|event| event.user.clone());
        events
            .connect(totals)
            .interval_join("pairs", Interval::later(seconds(0), seconds(1)), |left, _| left.clone())
            .insert_into("pairs");
        Ok(())
    });
    assert!(report.contains("the join 'pairs' wants event time, and Total has none"), "{report}");
}
