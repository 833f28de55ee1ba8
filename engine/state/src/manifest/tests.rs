//! How one manifest follows from another, and how a damaged one is noticed.
#![allow(clippy::unwrap_used, reason = "tests")]

use weir_core::ErrorKind;

use super::*;
use crate::testing::*;

fn run(file: &str, last_time: Option<i64>) -> Run {
    Run { file: file.to_owned(), length: 1, rows: 1, last_hash: u64::MAX, last_time, ..Run::default() }
}

fn delta(kind: Kind, watermark: i64, runs: Vec<Run>, expired: Option<i64>) -> OperatorDelta {
    let table = TableDelta { schema: table(kind), runs, expired: expired.map(EventTime) };
    OperatorDelta { uid: uid(), watermark: EventTime(watermark), tables: vec![table] }
}

fn files(manifest: &Manifest) -> Vec<&str> {
    manifest.runs().map(|run| run.file.as_str()).collect()
}

fn follow(previous: &Manifest, report: OperatorDelta) -> Manifest {
    Manifest::following(Some(previous), header(previous.epoch.0 + 1), vec![report], Vec::new())
}

fn first(kind: Kind) -> Manifest {
    let runs = vec![run("a", Some(10)), run("b", Some(5)), run("c", None), run("d", Some(7))];
    Manifest::following(None, header(1), vec![delta(kind, 3, runs, None)], committables())
}

#[test]
fn new_runs_stand_behind_old_ones() {
    let second = follow(&first(Kind::TimeInKey), delta(Kind::TimeInKey, 4, vec![run("e", Some(20))], None));
    assert_eq!(files(&second), ["a", "b", "c", "d", "e"]);
    assert!(!second.has_committables(), "committables belong to one epoch");
}

#[test]
fn reports_of_several_workers_make_one_operator() {
    let reports = vec![
        delta(Kind::TimeInKey, 9, vec![run("a", None)], Some(3)),
        delta(Kind::TimeInKey, 8, vec![run("b", None)], Some(3)),
    ];
    let manifest = Manifest::following(None, header(1), reports, Vec::new());
    assert_eq!(files(&manifest), ["a", "b"]);
    assert_eq!((manifest.operators.len(), manifest.operators[0].watermark), (1, EventTime(8)));
}

#[test]
fn watermarks_and_expiry_never_go_back() {
    let second = follow(&first(Kind::TimeInKey), delta(Kind::TimeInKey, 9, Vec::new(), Some(6)));
    let third = follow(&second, delta(Kind::TimeInKey, 8, Vec::new(), None));
    assert_eq!(third.operator(&uid()).unwrap().watermark, EventTime(9));
    assert_eq!(third.operators[0].tables[0].expired, Some(EventTime(6)));
}

#[test]
fn an_operator_that_says_nothing_keeps_its_state() {
    let manifest = first(Kind::TimeInKey);
    let next = Manifest::following(Some(&manifest), header(2), Vec::new(), Vec::new());
    assert_eq!(next.operators, manifest.operators);
}

#[test]
fn runs_that_expired_as_a_whole_are_left_out_where_nothing_can_come_back() {
    let after = |kind| follow(&first(kind), delta(kind, 9, Vec::new(), Some(7)));
    assert_eq!(files(&after(Kind::TimeInKey)), ["a", "c"]);
    assert_eq!(files(&after(Kind::Keyless)), ["a", "c"]);
    // "b" and "d" may hide rows of "a" and "c" that have not expired.
    assert_eq!(files(&after(Kind::TimeInValue)), ["a", "b", "c", "d"]);
    let all = follow(&first(Kind::TimeInValue), delta(Kind::TimeInValue, 9, Vec::new(), Some(10)));
    assert_eq!(files(&all), ["c", "d"]);
}

#[test]
fn merged_runs_take_the_place_of_those_that_are_left() {
    let mut manifest = first(Kind::TimeInKey);
    let merged = [run("b", Some(5)), run("gone", Some(1)), run("c", None)];
    assert!(manifest.replace_runs(&uid(), "TimeInKey", &merged, run("bc", None)));
    assert_eq!(files(&manifest), ["a", "bc", "d"]);
    assert!(!manifest.replace_runs(&uid(), "TimeInKey", &merged, run("again", None)));
    assert!(!manifest.replace_runs(&uid(), "other", &[run("a", Some(10))], run("x", None)));
    assert_eq!(files(&manifest), ["a", "bc", "d"]);
}

#[test]
fn what_is_written_is_read() {
    let manifest = first(Kind::TimeInValue);
    assert_eq!(Manifest::from_bytes(&manifest.to_bytes().unwrap(), "m").unwrap(), manifest);
}

#[test]
fn any_change_of_its_bytes_is_noticed() {
    let good = first(Kind::TimeInValue).to_bytes().unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        let error = Manifest::from_bytes(&bad, "checkpoints/1.json").unwrap_err();
        assert!(error.to_string().contains("checkpoints/1.json"), "byte {byte}: {error}");
    }
    for length in 0..good.len() {
        let error = Manifest::from_bytes(&good[..length], "m").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "cut at {length}");
    }
    let longer = [good.as_slice(), b" "].concat();
    assert!(Manifest::from_bytes(&longer, "m").is_err());
}

#[test]
fn a_later_format_is_not_called_damaged() {
    let error = Manifest::from_bytes(b"weir-manifest 2 something else\n{}", "m").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.help().unwrap().contains("version of Weir"), "{error}");
    let other_hash = Manifest { hash_version: hash::VERSION + 1, ..first(Kind::TimeInKey) };
    let error = Manifest::from_bytes(&other_hash.to_bytes().unwrap(), "m").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
}

#[test]
fn a_job_that_has_finished_names_no_run() {
    let last = ManifestHeader { finished: true, ..header(2) };
    let report = delta(Kind::TimeInKey, 9, vec![run("e", None)], None);
    let finished = Manifest::following(Some(&first(Kind::TimeInKey)), last, vec![report], committables());
    assert!(files(&finished).is_empty() && finished.has_committables());
    assert_eq!(finished.operator(&uid()).unwrap().watermark, EventTime(9));
}
