//! Topics that change while they are read: partitions are added, topics come and go, records are deleted.

use weir_core::ErrorKind;

use super::cluster::{Topic, unique};
use super::job::{Checkpoint, Job, refusal, table};

const OFTEN: (&str, &str) = ("scan.topic-partition-discovery.interval", "100ms");

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_partition_that_is_added_is_read_from_its_beginning_whatever_the_startup_mode() {
    let topic = Topic::new("grows", 1);
    topic.write(0, &["before"]);
    let latest = table(&topic, &[OFTEN, ("scan.startup.mode", "latest-offset")]);
    let mut job = Job::begin(&latest).await;
    topic.grow(2);
    topic.write(1, &["first of 1"]);
    job.grow().await;
    topic.write(0, &["after"]);
    assert_eq!(job.rows(2).await, ["after", "first of 1"]);
    // Another one while nothing runs.
    let checkpoint = job.checkpoint();
    drop(job);
    topic.grow(3);
    topic.write(2, &["first of 2"]);
    topic.write(1, &["second of 1"]);
    let mut job = Job::from(&latest, checkpoint, 2).await.unwrap();
    assert_eq!(job.rows(2).await, ["first of 2", "second of 1"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn several_topics_and_all_that_match_a_pattern() {
    let family = unique("family");
    let topics = ["a", "b", "c"].map(|name| Topic::named(&format!("{family}.{name}"), 2));
    let other = Topic::named(&format!("{family}.a.other"), 1);
    for (topic, value) in topics.iter().chain([&other]).zip(["in a", "in b", "in c", "in other"]) {
        topic.write(0, &[value]);
    }
    let list = format!("{};{}", topics[0].name, topics[2].name);
    let bounded = ("scan.bounded.mode", "latest-offset");
    let listed = table(&topics[0], &[("topic", &list), bounded]);
    assert_eq!(Job::begin(&listed).await.until_end().await, ["in a", "in c"]);
    let pattern = format!("{family}\\.[a-z]|{family}\\.zz");
    let matching = table(&topics[0], &[("topic", ""), ("topic-pattern", &pattern), OFTEN]);
    let mut job = Job::begin(&matching).await;
    assert_eq!(job.rows(3).await, ["in a", "in b", "in c"]);
    Topic::named(&format!("{family}.d"), 1).write(0, &["in d"]);
    job.grow().await;
    assert_eq!(job.rows(1).await, ["in d"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_topic_that_is_not_there_is_an_error_of_the_user() {
    let topic = Topic { name: unique("never") };
    let error = refusal(&table(&topic, &[])).await;
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(
        error.report(),
        format!(
            "while reading table 't'\n  because: there is no topic '{}'\n  help: create it first, or mend the option 'topic'",
            topic.name
        )
    );
    let error = refusal(&table(&topic, &[("topic", ""), ("topic-pattern", "never.*[0-9]x")])).await;
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.report().contains("no topic matches the 'topic-pattern' 'never.*[0-9]x'"), "{}", error.report());
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn records_that_were_deleted_before_they_were_read_are_an_error() {
    let topic = Topic::new("retention", 1);
    topic.write(0, &["a", "b", "c", "d"]);
    let checkpoint = {
        let mut job = Job::begin(&table(&topic, &[])).await;
        job.rows(4).await;
        let name = job.announced[0].name.clone();
        Checkpoint { positions: [(name, "1".into())].into(), ..job.checkpoint() }
    };
    topic.delete_records(0, 3);
    let error = Job::from(&table(&topic, &[]), checkpoint.clone(), 1).await.unwrap().failure().await;
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        error.to_string(),
        format!("topic '{}', partition 0, offset 1: the partition does not have this offset any more", topic.name)
    );
    assert!(error.help().unwrap().contains("'properties.auto.offset.reset' = 'earliest'"));
    let earliest = table(&topic, &[("properties.auto.offset.reset", "earliest")]);
    assert_eq!(Job::from(&earliest, checkpoint, 1).await.unwrap().rows(1).await, ["d"]);
    // A job that begins knows that they are gone.
    assert_eq!(Job::begin(&table(&topic, &[])).await.rows(1).await, ["d"]);
}

#[tokio::test]
#[ignore = "wants a broker, and half a minute"]
async fn a_topic_that_is_deleted_is_an_error() {
    let topic = Topic::new("deleted", 1);
    topic.write(0, &["a"]);
    let mut job = Job::begin(&table(&topic, &[OFTEN])).await;
    job.rows(1).await;
    let checkpoint = job.checkpoint();
    topic.delete();
    let expected = format!("topic '{}', partition 0", topic.name);
    for error in [
        job.failure().await,
        Job::from(&table(&topic, &[OFTEN]), checkpoint, 1).await.err().expect("a deleted topic is read"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Data, "{}", error.report());
        assert!(
            error.to_string().starts_with(&expected) && error.to_string().ends_with("is not there any more"),
            "{error}"
        );
        assert!(error.help().unwrap().contains("deleted"));
    }
}
