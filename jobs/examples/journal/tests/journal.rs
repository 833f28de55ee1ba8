//! The source and the sink by themselves, and the job.

mod log;

use std::sync::Arc;

use journal::{Balance, JournalSink, LogSource, journal};
use log::LogServer;
use weir_jobs::ErrorKind;
use weir_jobs::prelude::*;
use weir_jobs::testing::{TestJob, check_sink};

fn bookings(shard: i64, count: i64) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("account-{} {}", n % 3, shard * 100 + n))
}

fn numbered(balances: Vec<Balance>) -> Vec<(String, i64)> {
    let mut numbered: Vec<_> = balances.into_iter().map(|balance| (balance.account, balance.number)).collect();
    numbered.sort();
    numbered
}

fn expected(count: i64) -> Vec<(String, i64)> {
    (0..3).flat_map(|account| (1..=count).map(move |number| (format!("account-{account}"), number))).collect()
}

#[test]
fn the_journal_has_each_balance_once_whatever_is_repeated() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let visible = || JournalSink::balances(folder.path()).map_err(|error| Error::environment(error.to_string()));
    // It is not made before the first commit.
    let balance = |number: u64| Balance { account: format!("a{number}"), number: number as i64, cents: -1 };
    check_sink(|| JournalSink::new(folder.path()), visible, balance)?;
    let sink = JournalSink::new(folder.path());
    assert_eq!((sink.last_epoch("a")?, sink.last_epoch("b")?), (LastEpoch::Is(5), LastEpoch::Is(1)));
    assert_eq!(sink.last_epoch("c")?, LastEpoch::None);
    Ok(())
}

#[test]
fn a_job_goes_on_where_it_was() -> Result<()> {
    let (server, folder) = (LogServer::start(2), tempfile::tempdir().unwrap());
    let path = folder.path().to_str().unwrap();
    let mut test = TestJob::with_arguments(journal, &[("server", server.address()), ("folder", path)])?;
    (0..2).for_each(|shard| server.add(shard, bookings(shard as i64, 30)));
    let read_all = |test: &mut TestJob, mut left: usize| -> Result<()> {
        while left > 0 {
            left -= test.read("bookings", left.min(7))?;
        }
        Ok(())
    };
    read_all(&mut test, 20)?;
    let before = test.snapshot()?;
    assert_eq!(JournalSink::balances(folder.path()).unwrap().len(), 20);
    read_all(&mut test, 15)?;
    // What was read since is lost, and read again; what was decided is committed again, and is there once.
    test.restore(&before, 3)?;
    assert_eq!(JournalSink::balances(folder.path()).unwrap().len(), 20);
    read_all(&mut test, 40)?;
    // A shard that was not there before.
    server.add(2, bookings(2, 30));
    read_all(&mut test, 30)?;
    test.restart(1)?;
    assert_eq!(numbered(JournalSink::balances(folder.path()).unwrap()), expected(30));
    Ok(())
}

#[test]
fn a_log_that_is_not_there_is_told() {
    let source = Arc::new(LogSource::new("127.0.0.1:1"));
    assert_eq!(source.splits().unwrap_err().kind(), ErrorKind::Environment);
}
