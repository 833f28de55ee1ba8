//! Sources and sinks of a job's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use weir_jobs::testing::{TestJob, check_sink, check_source};
use weir_jobs::{JobPlugin, Main};

use super::*;

#[derive(Record, Debug, Clone, PartialEq)]
struct Number {
    n: i64,
    tags: Vec<String>,
}

fn number(n: i64) -> Number {
    Number { n, tags: vec![format!("tag {n}")] }
}

/// Splits with so many numbers each, of which the second begins late.
struct Numbers {
    splits: Vec<(&'static str, i64)>,
    /// Whether a reader forgets where it was.
    forgets: bool,
}

struct Counter {
    next: i64,
    end: i64,
    forgets: bool,
}

impl Source for Numbers {
    type Row = Number;
    type Position = (String, i64);
    type Reader = Counter;

    fn splits(&self) -> Result<Vec<Split<(String, i64)>>> {
        let late = |name: &str| Split::new(name).at(("late".to_owned(), 105));
        Ok(self.splits.iter().map(|(name, _)| if *name == "late" { late(name) } else { Split::new(*name) }).collect())
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn open(&self, split: &str, position: Option<(String, i64)>) -> Result<Counter> {
        let first = if split == "late" { 100 } else { 0 };
        let next = match position {
            Some((name, next)) if name == split => next,
            Some((other, _)) => return Err(Error::data(format!("{other} is not {split}"))),
            None => first,
        };
        let length = self.splits.iter().find(|(name, _)| *name == split).unwrap().1;
        Ok(Counter { next, end: first + length, forgets: self.forgets })
    }
}

impl SplitReader for Counter {
    type Row = Number;
    type Position = (String, i64);

    fn read(&mut self, rows: &mut Rows<Number>) -> Result<Reading> {
        while self.next < self.end && !rows.is_full() {
            rows.push(&number(self.next));
            self.next += 1;
        }
        if !rows.is_empty() {
            rows.event_time_is(second(self.next));
        }
        Ok(if self.next < self.end { Reading::More } else { Reading::End })
    }

    fn position(&self) -> (String, i64) {
        let name = if self.end > 100 { "late" } else { "early" };
        (name.to_owned(), if self.forgets { self.next - self.next % 10 } else { self.next })
    }
}

fn numbers() -> Numbers {
    Numbers { splits: vec![("early", 25), ("late", 30)], forgets: false }
}

fn values(rows: Vec<Number>) -> Vec<i64> {
    let mut values: Vec<i64> = rows.into_iter().map(|row| row.n).collect();
    values.sort_unstable();
    values
}

#[test]
fn a_source_is_checked_from_every_position() {
    let rows = check_source(numbers()).unwrap();
    assert_eq!(values(rows), (0..25).chain(105..130).collect::<Vec<_>>());
    let error = check_source(Numbers { forgets: true, ..numbers() }).unwrap_err().report();
    assert!(error.contains("split 'early' does not go on at [\"early\",0] as it did before"), "{error}");
}

#[test]
fn a_job_reads_on_from_where_its_snapshot_was() {
    let job = |job: &mut Job| {
        job.create_source(Table::new("numbers"), numbers()).filter(|row| row.n % 2 == 0).insert_into("even");
        Ok(())
    };
    let mut test = TestJob::new(job).unwrap();
    let mut found = Vec::new();
    assert_eq!(test.read("numbers", 12).unwrap(), 12);
    let snapshot = test.snapshot().unwrap();
    found.extend(test.take::<Number>("even").unwrap());
    assert_eq!(test.read("numbers", 100).unwrap(), 50 - 12);
    let lost = test.take::<Number>("even").unwrap();
    test.restore(&snapshot, 3).unwrap();
    assert_eq!(test.read("numbers", 100).unwrap(), 50 - 12, "what was read behind the snapshot is read again");
    let again = test.take::<Number>("even").unwrap();
    assert_eq!(values(again.clone()), values(lost));
    found.extend(again);
    assert_eq!(values(found), (0..25).chain(105..130).filter(|n| n % 2 == 0).collect::<Vec<_>>());
    assert_eq!(test.read("numbers", 100).unwrap(), 0, "all splits have ended");
    let Err(none) = test.read("even", 1) else { panic!("it is no source") };
    assert!(none.to_string().contains("no source 'even' of its own"), "{none}");
}

/// What others see of a sink.
#[derive(Default)]
struct Seen {
    rows: Vec<Number>,
    last: BTreeMap<String, u64>,
}

/// Keeps an account of its epochs, or not.
#[derive(Clone, Default)]
struct Ledger {
    seen: Arc<Mutex<Seen>>,
    keeps_no_account: bool,
}

impl Sink for Ledger {
    type Row = Number;

    fn commit(&self, commit: &mut Commit<'_, Number>) -> Result<()> {
        let (writer, epoch) = (commit.writer().to_owned(), commit.epoch());
        let rows = commit.collect::<Result<Vec<_>>>()?;
        let mut seen = self.seen.lock().unwrap();
        if self.keeps_no_account || seen.last.get(&writer).is_none_or(|last| *last < epoch) {
            seen.rows.extend(rows);
            seen.last.insert(writer, epoch);
        }
        Ok(())
    }
}

#[test]
fn a_sink_is_checked_for_what_is_repeated() {
    let check = |ledger: Ledger| {
        let visible = || Ok(ledger.seen.lock().unwrap().rows.clone());
        check_sink(|| ledger.clone(), visible, |n| number(n as i64))
    };
    check(Ledger::default()).unwrap();
    let error = check(Ledger { keeps_no_account: true, ..Ledger::default() }).unwrap_err().to_string();
    assert!(error.contains("after the same commit by the same process and another one: [] are missing"), "{error}");
}

#[test]
fn a_sink_has_what_is_decided_and_each_row_of_it_once() {
    let ledger = Ledger::default();
    let given = ledger.clone();
    let job = move |job: &mut Job| {
        job.create_sink(Table::new("ledger"), given.clone());
        job.table::<Number>("numbers").insert_into("ledger");
        Ok(())
    };
    let seen = || values(ledger.seen.lock().unwrap().rows.clone());
    let mut test = TestJob::new(job).unwrap();
    test.send("numbers", [number(1), number(2)]).unwrap();
    assert!(seen().is_empty(), "nothing is decided yet");
    let snapshot = test.snapshot().unwrap();
    assert_eq!(seen(), [1, 2]);
    test.send("numbers", [number(3)]).unwrap();
    // As by a crash: what no snapshot has is gone, and what it has is committed again.
    test.restore(&snapshot, 2).unwrap();
    assert_eq!(seen(), [1, 2]);
    test.send("numbers", [number(4)]).unwrap();
    test.restart(1).unwrap();
    assert_eq!(seen(), [1, 2, 4]);
    assert_eq!(ledger.seen.lock().unwrap().last.values().collect::<Vec<_>>(), [&2]);
}

#[test]
fn rows_that_an_earlier_version_has_decided_upon_are_read_by_their_names() {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
    use weir_core::plugin::{Plugin, PluginCommit, TableRequest};

    #[derive(Record, Debug, Clone, PartialEq)]
    struct Now {
        label: Option<String>,
        n: i64,
        added: Option<i64>,
    }

    static SEEN: Mutex<Vec<Now>> = Mutex::new(Vec::new());

    fn job(job: &mut Job) -> Result<()> {
        job.create_sink(
            Table::new("sink"),
            weir_jobs::sink_fn(|commit: &mut Commit<'_, Now>| {
                SEEN.lock().unwrap().extend(commit.collect::<Result<Vec<_>>>()?);
                Ok(())
            }),
        );
        job.table::<Now>("rows").insert_into("sink");
        Ok(())
    }

    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from(vec![7]))),
        ("gone", Arc::new(Int64Array::from(vec![1]))),
        ("label", Arc::new(StringViewArray::from(vec![Some("seven")]))),
    ];
    let before = RecordBatch::try_from_iter(columns).unwrap();
    let request = TableRequest { table: "sink".into(), config: b"{}".to_vec(), columns: before.schema() };
    let plugin = JobPlugin::new("p", "0", job as Main);
    let mut left = vec![before.clone()];
    let commit = PluginCommit { writer: "w".into(), epoch: 1 };
    plugin.sink(&request).unwrap().commit(&commit, &mut || Ok(left.pop())).unwrap();
    assert_eq!(*SEEN.lock().unwrap(), [Now { label: Some("seven".into()), n: 7, added: None }]);
    let mut without = vec![before.project(&[1, 2]).unwrap()];
    let error = plugin.sink(&request).unwrap().commit(&commit, &mut || Ok(without.pop())).unwrap_err();
    assert!(error.to_string().contains("have no column 'n', which Now needs"), "{error}");
    let Err(none) = plugin.source(&request) else { panic!("it is a sink") };
    assert!(none.to_string().contains("p has no source 'sink'"), "{none}");
}

#[test]
fn tables_of_ones_own_that_make_no_sense_are_refused() {
    let refused = |job: fn(&mut Job) -> Result<()>| match TestJob::new(job) {
        Ok(_) => panic!("it was planned"),
        Err(error) => error.report(),
    };
    let report = refused(|job| {
        job.create_source(Table::new("a"), numbers()).insert_into("b");
        job.create_sink(Table::new("a"), Ledger::default());
        Ok(())
    });
    assert!(report.contains("two tables of the job are called 'a'"), "{report}");
    let report = refused(|job| {
        job.create_source(Table::new("a").with("connector", "kafka"), numbers()).insert_into("b");
        Ok(())
    });
    assert!(report.contains("has the option 'connector', and code of the job's own"), "{report}");
}
