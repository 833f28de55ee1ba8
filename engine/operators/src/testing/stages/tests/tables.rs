//! A join of the windows of two tables, one of which falls asleep in the middle of a window.

use weir_core::{
    Batch, Element, Epoch, JoinSpread, JoinType, Marker, MarkerKind, OperatorSpec, Watermark, WindowJoinSpec,
};

use super::super::{Job, StageSpec};
use super::at;
use crate::testing::{node, rows, schema};

const SLEEPS: Watermark = Watermark::Idle;
/// The tables.
const A: usize = 0;
const B: usize = 1;

/// Windows of ten milliseconds of both tables, of which all rows with the same key are pairs.
struct Tables {
    job: Job,
    epoch: u64,
}

impl Tables {
    fn new(seed: u64) -> Self {
        let columns = "k BIGINT, t TIMESTAMP, e TIMESTAMP";
        let spec = WindowJoinSpec {
            join_type: JoinType::Full,
            on: vec![(0, 0), (2, 2)],
            window_end: (2, 2),
            residual: None,
            spread: JoinSpread::Keys,
        };
        let output = "k BIGINT, t TIMESTAMP, e TIMESTAMP, k2 BIGINT, t2 TIMESTAMP, e2 TIMESTAMP";
        let node = node(OperatorSpec::WindowJoin(spec), &schema(output));
        let stage = StageSpec { node, inputs: vec![schema(columns); 2], sources: 2, upstream: Vec::new() };
        Self { job: Job::new(&[stage], 2, seed).unwrap(), epoch: 0 }
    }

    /// Rows of both keys with this time, and the time that the table is at with them.
    fn row(&mut self, table: usize, time: i64) {
        let end = (time / 10 + 1) * 10;
        let lines: Vec<String> = (1..=2).map(|key| format!("{key} | {time} | {end}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let batch = Batch::append(rows(&schema("k BIGINT, t TIMESTAMP, e TIMESTAMP"), &lines));
        self.job.say(0, table, Element::Batch(batch)).unwrap();
        self.says(table, at(time));
    }

    fn says(&mut self, table: usize, watermark: Watermark) {
        self.job.say(0, table, Element::Watermark(watermark)).unwrap();
    }

    fn marker(&mut self) {
        self.epoch += 1;
        let marker = Element::Marker(Marker { epoch: Epoch(self.epoch), kind: MarkerKind::Flush });
        [A, B].into_iter().for_each(|table| self.job.say(0, table, marker.clone()).unwrap());
    }

    /// What has come out for the first key, as the times of pairs, and how many rows were late, of both keys alike.
    fn shown(&mut self) -> (Vec<String>, usize) {
        self.job.run().unwrap();
        let cell = |text: &str| text.trim().trim_start_matches("00:00:00").trim_start_matches('.').to_owned();
        let pair = |row: &String| {
            let cells: Vec<&str> = row.split('|').collect();
            format!("{} {}", cell(cells[1]), cell(cells[4]))
        };
        let of_key = |key: &str, row: &&String| row.split('|').any(|cell| cell.trim() == key);
        let [mut first, mut second] = ["1", "2"].map(|key| {
            let rows = self.job.rows.iter().filter(|row| of_key(key, row));
            rows.map(pair).collect::<Vec<_>>()
        });
        self.job.rows.clear();
        first.sort();
        second.sort();
        assert_eq!(first, second);
        assert_eq!(self.job.late[0] % 2, 0);
        (first, std::mem::take(&mut self.job.late[0]) / 2)
    }
}

fn pairs(pairs: &[&str]) -> Vec<String> {
    pairs.iter().map(|pair| (*pair).to_owned()).collect()
}

/// Plays the beginning in which `B` falls asleep, and then what follows, with the channels read in many orders.
fn asleep(follows: impl Fn(&mut Tables)) {
    for seed in 0..100 {
        let mut tables = Tables::new(seed);
        tables.row(A, 1);
        tables.row(B, 2);
        tables.says(B, SLEEPS);
        tables.marker();
        tables.row(A, 5);
        assert_eq!(tables.shown(), (Vec::new(), 0), "the window is open, seed {seed}");
        follows(&mut tables);
    }
}

#[test]
fn a_window_that_is_open_when_a_table_wakes_up_waits_for_it() {
    asleep(|tables| {
        tables.says(B, at(2));
        tables.marker();
        // Behind the marker, the other table is ahead of it.
        tables.row(A, 12);
        tables.row(B, 8);
        assert_eq!(tables.shown(), (Vec::new(), 0));
        tables.row(B, 13);
        assert_eq!(tables.shown(), (pairs(&["001 002", "001 008", "005 002", "005 008"]), 0));
        [A, B].into_iter().for_each(|table| tables.row(table, 20));
        assert_eq!(tables.shown(), (pairs(&["012 013"]), 0));
    });
}

#[test]
fn a_table_that_sleeps_holds_no_window_open_and_its_rows_behind_are_late() {
    asleep(|tables| {
        tables.row(A, 12);
        assert_eq!(tables.shown(), (pairs(&["001 002", "005 002"]), 0));
        tables.says(B, at(2));
        tables.marker();
        tables.row(B, 8);
        tables.row(B, 13);
        assert_eq!(tables.shown(), (Vec::new(), 1));
        [A, B].into_iter().for_each(|table| tables.row(table, 20));
        assert_eq!(tables.shown(), (pairs(&["012 013"]), 0));
    });
}

#[test]
fn rows_meet_when_both_tables_have_slept_in_a_window() {
    asleep(|tables| {
        tables.says(A, SLEEPS);
        tables.marker();
        assert_eq!(tables.shown(), (Vec::new(), 0), "none of them has passed the window");
        tables.says(B, at(2));
        tables.marker();
        tables.row(B, 6);
        tables.row(B, 15);
        tables.says(A, at(5));
        // `A` is asleep until the marker, and the time of `B` has passed the window.
        assert_eq!(tables.shown(), (pairs(&["001 002", "001 006", "005 002", "005 006"]), 0));
        tables.marker();
        tables.row(A, 9);
        tables.row(A, 14);
        assert_eq!(tables.shown(), (Vec::new(), 1));
        [A, B].into_iter().for_each(|table| tables.row(table, 20));
        assert_eq!(tables.shown(), (pairs(&["014 015"]), 0));
    });
}

#[test]
fn tables_that_sleep_both_are_at_the_time_of_the_one_that_is_ahead() {
    for seed in 0..100 {
        let mut tables = Tables::new(seed);
        tables.row(A, 1);
        tables.row(B, 2);
        tables.row(A, 12);
        assert_eq!(tables.shown(), (Vec::new(), 0), "`B` is awake and holds the window open");
        [A, B].into_iter().for_each(|table| tables.says(table, SLEEPS));
        tables.marker();
        assert_eq!(tables.shown(), (pairs(&["001 002"]), 0));
    }
}
