//! A watched folder that is not there for a while.

use super::*;

fn inbox() -> (Table, PathBuf) {
    let mut table =
        Table::new(&[("format", "csv"), ("source.monitor-interval", "10ms")], &["n INT"]).file("in/1.csv", "1\n");
    let inbox = table.path("in");
    table.set("path", name_of(&inbox));
    (table, inbox)
}

async fn discovery(table: &Table, attempt: u64, known: &[Split]) -> Result<Box<dyn SplitDiscovery>> {
    let context = DiscoveryContext { known: known.to_vec(), attempt: Attempt(attempt) };
    Filesystem::default().open_discovery(&table.spec, context).await
}

async fn next(discovery: &mut dyn SplitDiscovery) -> Vec<Split> {
    tokio::time::timeout(PATIENCE, discovery.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn what_comes_behind_its_return_is_found() {
    let (table, inbox) = inbox();
    let mut discovery = discovery(&table, 1, &[]).await.unwrap();
    assert_eq!(next(&mut *discovery).await.len(), 1);
    std::fs::rename(&inbox, table.path("away")).unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(200), discovery.next()).await;
    assert!(waits.is_err(), "it is looked for again and again: {waits:?}");
    std::fs::rename(table.path("away"), &inbox).unwrap();
    table.write("in/2.csv", "2\n");
    let found = next(&mut *discovery).await;
    assert!(found.len() == 1 && found[0].sequence.ends_with("2.csv"), "{found:?}");
}

#[tokio::test]
async fn a_later_attempt_waits_for_it_and_the_first_says_that_it_was_never_there() {
    let (table, inbox) = inbox();
    let known = next(&mut *discovery(&table, 1, &[]).await.unwrap()).await;
    std::fs::rename(&inbox, table.path("away")).unwrap();
    assert_eq!(discovery(&table, 1, &[]).await.err().unwrap().kind(), ErrorKind::User);
    let mut waiting = [discovery(&table, 2, &[]).await.unwrap(), discovery(&table, 3, &known).await.unwrap()];
    std::fs::rename(table.path("away"), &inbox).unwrap();
    table.write("in/2.csv", "2\n");
    assert_eq!(next(&mut *waiting[0]).await.len(), 2);
    assert_eq!(next(&mut *waiting[1]).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_away_is_an_error_of_the_environment() {
    let (table, inbox) = inbox();
    let mut discovery = discovery(&table, 1, &[]).await.unwrap();
    assert_eq!(discovery.next().await.unwrap().unwrap().len(), 1);
    std::fs::rename(&inbox, table.path("away")).unwrap();
    let error = discovery.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment, "{}", error.report());
    contains(&error, &[name_of(&inbox), "not there any more"]);
}

#[tokio::test]
async fn a_bounded_table_that_is_gone_before_it_was_read_is_one_too() {
    let (mut table, inbox) = inbox();
    table.spec.options.remove("source.monitor-interval");
    std::fs::rename(&inbox, table.path("away")).unwrap();
    assert_eq!(discovery(&table, 1, &[]).await.err().unwrap().kind(), ErrorKind::User);
    assert_eq!(discovery(&table, 2, &[]).await.err().unwrap().kind(), ErrorKind::Environment);
}
