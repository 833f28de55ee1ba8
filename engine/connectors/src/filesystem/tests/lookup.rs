//! Files that rows are looked up in.

use weir_core::lookup::{Found, LookupContext, LookupTable};

use super::*;

const SECOND: i64 = 1000;

fn side() -> Table {
    Table::new(&[("format", "csv")], &["key INT", "name STRING"]).file("a.csv", "1,a\n2,b\n").file("b.csv", "1,c\n")
}

async fn open(table: &Table, attempt: u64) -> Result<Box<dyn LookupTable>> {
    Filesystem::default().validate(&table.spec, Role::Lookup)?;
    let context = LookupContext { keys: vec![Some(0)], batch_rows: 2, attempt: Attempt(attempt) };
    Filesystem::default().open_lookup(&table.spec, context).await
}

/// The rows that are found at that time; `None`: what was found before holds.
async fn found(table: &mut dyn LookupTable, now: i64) -> Result<Option<Vec<String>>> {
    match table.look_up(now, None).await? {
        Found::AsBefore => Ok(None),
        Found::Table { rows, .. } => Ok(Some(rows.iter().flat_map(lines).collect())),
        Found::OfKeys(_) => panic!("files are held as a whole"),
    }
}

/// What is found once something else is than before, at that time.
async fn changed(table: &mut dyn LookupTable, now: i64) -> Result<Vec<String>> {
    let looking = async {
        loop {
            if let Some(rows) = found(table, now).await? {
                return Ok(rows);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap()
}

#[tokio::test]
async fn all_files_are_read_at_once_and_again_when_they_have_changed() {
    let files = side().with("lookup.full-cache.periodic-reload.interval", "5s");
    let mut table = open(&files, 1).await.unwrap();
    assert_eq!(found(&mut *table, 0).await.unwrap().unwrap(), ["1 a", "2 b", "1 c"]);
    assert_eq!(found(&mut *table, 0).await.unwrap(), None);
    files.write("b.csv", "3,d\n");
    files.write("c.csv", "4,e\n");
    assert_eq!(found(&mut *table, 4 * SECOND).await.unwrap(), None, "it is not looked again yet");
    assert_eq!(changed(&mut *table, 5 * SECOND).await.unwrap(), ["1 a", "2 b", "3 d", "4 e"]);
    std::fs::remove_file(files.path("a.csv")).unwrap();
    assert_eq!(changed(&mut *table, 11 * SECOND).await.unwrap(), ["3 d", "4 e"]);
}

#[tokio::test]
async fn rows_behind_a_pause_wait_until_the_files_have_been_looked_at() {
    let files = side().with("lookup.full-cache.periodic-reload.interval", "4s");
    let mut table = open(&files, 1).await.unwrap();
    files.write("b.csv", "3,d\n");
    assert_eq!(found(&mut *table, 100 * SECOND).await.unwrap().unwrap(), ["1 a", "2 b", "3 d"], "also the first ones");
    files.write("b.csv", "4,e\n");
    assert_eq!(found(&mut *table, 110 * SECOND).await.unwrap().unwrap(), ["1 a", "2 b", "4 e"]);
    assert_eq!(found(&mut *table, 113 * SECOND).await.unwrap(), None, "it has been looked three seconds ago");
    files.write("b.csv", "5,f\n");
    // Others do not wait: it is read beside them, and what was read before a pause is looked at again behind it.
    assert_eq!(found(&mut *table, 114 * SECOND).await.unwrap(), None);
    files.write("b.csv", "6,gg\n");
    let found = table.look_up(120 * SECOND, None).await.unwrap();
    let Found::Table { rows, at_once: true } = found else { panic!("{found:?}") };
    assert_eq!(rows.iter().flat_map(lines).collect::<Vec<_>>(), ["1 a", "2 b", "6 gg"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_read_that_fails_is_tried_again_after_a_second() {
    let files = side().with("lookup.max-retries", "2").file("b.csv", "x,y,z\n");
    let start = tokio::time::Instant::now();
    let error = open(&files, 1).await.err().unwrap();
    contains(&error, &["b.csv"]);
    assert!(start.elapsed().as_secs() >= 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_fails_is_tried_again_and_rows_go_on_with_what_there_is() {
    let files = side().with("lookup.max-retries", "1").with("lookup.full-cache.periodic-reload.interval", "5s");
    let mut table = open(&files, 1).await.unwrap();
    found(&mut *table, 0).await.unwrap().unwrap();
    assert_eq!(found(&mut *table, 0).await.unwrap(), None);
    files.write("b.csv", "x,y,z\n");
    // The first failure is a warning, and a second later it is tried again.
    let mut now = 5 * SECOND;
    let failing = async {
        loop {
            match found(&mut *table, now).await {
                Ok(None) => tokio::task::yield_now().await,
                other => return other,
            }
            now += 10;
        }
    };
    let error = tokio::time::timeout(PATIENCE, failing).await.unwrap().unwrap_err();
    contains(&error, &["while reading table 't' again", "b.csv"]);
    assert!(now >= 6 * SECOND, "between two tries there is a second: {now}");

    let mut table = open(&side().with("lookup.full-cache.periodic-reload.interval", "0s"), 1).await.unwrap();
    found(&mut *table, 0).await.unwrap().unwrap();
    assert_eq!(found(&mut *table, i64::MAX).await.unwrap(), None, "it is read once");
}

#[tokio::test]
async fn a_table_that_is_not_there_does_not_start() {
    let mut files = side();
    files.set("path", "/no/such/folder");
    assert_eq!(open(&files, 1).await.err().unwrap().kind(), ErrorKind::User);
    assert_eq!(open(&files, 2).await.err().unwrap().kind(), ErrorKind::Environment, "it has been there");
    let empty = Table::new(&[("format", "csv")], &["key INT"]);
    assert_eq!(found(&mut *open(&empty, 1).await.unwrap(), 0).await.unwrap().unwrap(), [] as [&str; 0]);
}

#[tokio::test]
async fn options_that_do_nothing_for_lookups_are_refused() {
    let refused = |name: &str, value: &str, said: &str| {
        let error = Filesystem::default().validate(&side().with(name, value).spec, Role::Lookup).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.report().contains(said), "{name}: {}", error.report());
    };
    refused("lookup.cache", "partial", "option 'lookup.cache' of table 't' is 'partial', which is not one of 'full'");
    refused("lookup.max-retries", "-1", "not a number from 0");
    refused("lookup.full-cache.periodic-reload.interval", "often", "not a duration");
    refused("source.monitor-interval", "1s", "rows cannot be looked up in table 't' with 'source.monitor-interval'");
    refused("error-policy", "dead-letter", "cannot go to another table");
    for (name, value) in [("lookup.cache", "FULL"), ("lookup.max-retries", "0"), ("error-policy", "skip")] {
        Filesystem::default().validate(&side().with(name, value).spec, Role::Lookup).unwrap();
    }
}
