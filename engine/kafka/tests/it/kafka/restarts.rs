//! What a checkpoint holds, and what goes on from it.

use super::cluster::{Topic, unique};
use super::job::{Checkpoint, Job, table};

#[tokio::test]
#[ignore = "wants a broker"]
async fn each_record_is_read_once_over_restarts_with_other_parallelism() {
    let topic = Topic::new("restarts", 3);
    let mut checkpoint = Checkpoint::default();
    let mut expected: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for (round, readers) in [1, 2, 4, 3].into_iter().enumerate() {
        for partition in 0..3 {
            let values: Vec<String> = (0..50).map(|number| format!("{round} {partition} {number}")).collect();
            topic.write(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
            expected.extend(values);
        }
        let mut job = Job::from(&table(&topic, &[]), checkpoint, readers).await.unwrap();
        // What was read and comes behind the checkpoint does not count.
        found.extend(job.rows(expected.len() - found.len()).await);
        checkpoint = job.checkpoint();
        topic.write(0, &[]);
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_quiet_partition_survives_restarts_and_is_not_read_again() {
    let topic = Topic::new("quiet", 2);
    topic.write(0, &["a"]);
    topic.write(1, &["quiet"]);
    let mut checkpoint = {
        let mut job = Job::begin(&table(&topic, &[])).await;
        assert_eq!(job.rows(2).await, ["a", "quiet"]);
        job.checkpoint()
    };
    for round in ["b", "c"] {
        topic.write(0, &[round]);
        let mut job = Job::from(&table(&topic, &[]), checkpoint, 2).await.unwrap();
        assert_eq!(job.rows(1).await, [round]);
        job.no_rows().await;
        checkpoint = job.checkpoint();
        assert_eq!(checkpoint.positions.len(), 2);
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn what_comes_after_latest_is_not_lost_if_a_restart_comes_before_the_first_record() {
    let topic = Topic::new("latest", 2);
    topic.write(0, &["before"]);
    let latest = table(&topic, &[("scan.startup.mode", "latest-offset")]);
    // The checkpoint is taken before the source has been asked for anything.
    let checkpoint = Job::begin(&latest).await.checkpoint();
    assert_eq!(checkpoint.positions.values().collect::<Vec<_>>(), ["1", "0"]);
    topic.write(0, &["after a"]);
    topic.write(1, &["after b"]);
    let mut job = Job::from(&latest, checkpoint.clone(), 1).await.unwrap();
    assert_eq!(job.rows(2).await, ["after a", "after b"]);
    // Also if no source had said where it stands.
    let announced = Checkpoint { announced: checkpoint.announced, ..Checkpoint::default() };
    assert_eq!(Job::from(&latest, announced, 1).await.unwrap().rows(2).await, ["after a", "after b"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_bounded_table_keeps_its_ends() {
    let topic = Topic::new("ends", 2);
    topic.write(0, &["a0", "a1"]);
    topic.write(1, &["b0"]);
    let bounded = table(&topic, &[("scan.bounded.mode", "latest-offset")]);
    let checkpoint = Job::begin(&bounded).await.checkpoint();
    topic.write(0, &["a2"]);
    topic.grow(3);
    topic.write(2, &["c0"]);
    let mut job = Job::from(&bounded, checkpoint, 1).await.unwrap();
    assert_eq!(job.until_end().await, ["a0", "a1", "b0"]);
    let mut over = Job::from(&bounded, job.checkpoint(), 1).await.unwrap();
    assert_eq!(over.until_end().await, [""; 0]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_group_is_told_of_complete_checkpoints() {
    let topic = Topic::new("group", 2);
    topic.write(0, &["a", "b", "c"]);
    let group = unique("group");
    let mut job = Job::begin(&table(&topic, &[("properties.group.id", &group)])).await;
    job.rows(3).await;
    assert_eq!(topic.committed(&group, 0), None);
    job.complete(1).await;
    for partition in [0, 1] {
        let expected = [3, 0][usize::try_from(partition).unwrap()];
        let committed = std::iter::repeat_with(|| topic.committed(&group, partition)).find_map(|offset| offset);
        assert_eq!(committed, Some(expected));
    }
    // A new job goes on there; one with a checkpoint does not ask.
    topic.write(0, &["d"]);
    let with = [("scan.startup.mode", "group-offsets"), ("properties.group.id", group.as_str())];
    assert_eq!(Job::begin(&table(&topic, &with)).await.rows(1).await, ["d"]);
    let mut from = job.checkpoint();
    from.positions.insert(format!("{}-0", topic.name).into(), "1".into());
    assert_eq!(Job::from(&table(&topic, &with), from, 1).await.unwrap().rows(3).await, ["b", "c", "d"]);

    let silent = unique("group");
    let with = [("properties.group.id", silent.as_str()), ("properties.commit.offsets.on.checkpoint", "false")];
    let mut job = Job::begin(&table(&topic, &with)).await;
    job.rows(4).await;
    job.complete(1).await;
    job.no_rows().await;
    assert_eq!(topic.committed(&silent, 0), None);
}
