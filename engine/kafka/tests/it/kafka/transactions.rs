//! Records of transactions.

use super::cluster::{OpenTransaction, Topic};
use super::job::{Job, table};

#[tokio::test]
#[ignore = "wants a broker"]
async fn records_of_aborted_transactions_are_not_read_and_those_of_open_ones_not_yet() {
    let topic = Topic::new("transactions", 1);
    topic.transaction(0, &["committed 1"], true);
    topic.transaction(0, &["aborted 1", "aborted 2"], false);
    topic.write(0, &["plain"]);
    let mut job = Job::begin(&table(&topic, &[])).await;
    assert_eq!(job.rows(2).await, ["committed 1", "plain"]);
    let open = OpenTransaction::begin(&topic, 0, &["committed 2"]);
    topic.write(0, &["behind it"]);
    job.no_rows().await;
    open.commit();
    assert_eq!(job.rows(2).await, ["behind it", "committed 2"]);

    let mut all = Job::begin(&table(&topic, &[("properties.isolation.level", "read_uncommitted")])).await;
    assert_eq!(all.rows(6).await, ["aborted 1", "aborted 2", "behind it", "committed 1", "committed 2", "plain"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_table_ends_though_its_last_offsets_hold_no_record() {
    let topic = Topic::new("markers", 1);
    topic.write(0, &["a"]);
    topic.transaction(0, &["aborted"], false);
    let bounded = table(&topic, &[("scan.bounded.mode", "latest-offset")]);
    assert_eq!(Job::begin(&bounded).await.until_end().await, ["a"]);
    // What is open when the job begins is not there.
    let open = OpenTransaction::begin(&topic, 0, &["open"]);
    assert_eq!(Job::begin(&bounded).await.until_end().await, ["a"]);
    open.commit();
    assert_eq!(Job::begin(&bounded).await.until_end().await, ["a", "open"]);
}
