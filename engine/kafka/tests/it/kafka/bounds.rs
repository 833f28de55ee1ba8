//! Where reading begins and ends.

use super::cluster::{Record, Topic, unique};
use super::job::{Job, refusal, table};

/// Options of a table.
type With<'a> = &'a [(&'a str, &'a str)];

fn at(time: i64, value: &str) -> Record<'_> {
    Record { value: Some(value.as_bytes()), time: Some(time), ..Record::default() }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_job_begins_where_its_startup_mode_says() {
    let topic = Topic::new("startup", 2);
    topic.write_records(0, &[at(1000, "a0"), at(2000, "a1"), at(3000, "a2")]);
    topic.write_records(1, &[at(1500, "b0"), at(2500, "b1")]);
    let group = unique("group");
    topic.commit(&group, 0, 2);
    topic.commit(&group, 1, 1);
    let cases: [(With<'_>, &[&str]); 7] = [
        (&[("scan.startup.mode", "earliest-offset")], &["a0", "a1", "a2", "b0", "b1"]),
        (&[("scan.startup.mode", "timestamp"), ("scan.startup.timestamp-millis", "2000")], &["a1", "a2", "b1"]),
        (&[("scan.startup.mode", "timestamp"), ("scan.startup.timestamp-millis", "2600")], &["a2"]),
        (
            &[
                ("scan.startup.mode", "specific-offsets"),
                ("scan.startup.specific-offsets", "partition:0,offset:1;partition:1,offset:2"),
            ],
            &["a1", "a2"],
        ),
        (&[("scan.startup.mode", "group-offsets"), ("properties.group.id", &group)], &["a2", "b1"]),
        // The default.
        (&[("scan.startup.mode", ""), ("properties.group.id", &group)], &["a2", "b1"]),
        (&[("scan.startup.mode", "latest-offset")], &[]),
    ];
    for (with, expected) in cases {
        let with: Vec<(&str, &str)> = with.iter().copied().chain([("scan.bounded.mode", "latest-offset")]).collect();
        assert_eq!(Job::begin(&table(&topic, &with)).await.until_end().await, expected, "{with:?}");
    }
    let mut latest = Job::begin(&table(&topic, &[("scan.startup.mode", "latest-offset")])).await;
    latest.no_rows().await;
    topic.write(0, &["a3"]);
    topic.write(1, &["b2"]);
    assert_eq!(latest.rows(2).await, ["a3", "b2"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_group_that_has_committed_nothing_is_an_error_unless_it_is_said_where_to_begin() {
    let topic = Topic::new("uncommitted", 1);
    topic.write(0, &["a", "b"]);
    // A new broker makes the topic of what groups have committed for the first of them, and has no answer meanwhile.
    topic.commit(&unique("first"), 0, 0);
    let group = unique("group");
    let with = |reset: &str, group: &str| {
        let options = [
            ("scan.startup.mode", ""),
            ("properties.group.id", group),
            ("properties.auto.offset.reset", reset),
            ("scan.bounded.mode", "latest-offset"),
        ];
        table(&topic, &options)
    };
    let error = refusal(&with("", &group)).await;
    assert_eq!(
        error.report().lines().nth(1).unwrap(),
        format!("  because: topic '{}', partition 0: the consumer group has committed no offset", topic.name)
    );
    assert!(error.help().unwrap().contains("'properties.auto.offset.reset' = 'earliest'"));
    assert_eq!(Job::begin(&with("earliest", &group)).await.until_end().await, ["a", "b"]);
    assert_eq!(Job::begin(&with("latest", &group)).await.until_end().await, [""; 0]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_table_ends_where_its_bounded_mode_says() {
    let topic = Topic::new("bounded", 2);
    topic.write_records(0, &[at(1000, "a0"), at(2000, "a1"), at(3000, "a2")]);
    topic.write_records(1, &[at(1500, "b0"), at(2500, "b1")]);
    let group = unique("group");
    topic.commit(&group, 0, 2);
    topic.commit(&group, 1, 0);
    let specific = |offsets| [("scan.bounded.mode", "specific-offsets"), ("scan.bounded.specific-offsets", offsets)];
    let cases: [(With<'_>, &[&str]); 4] = [
        (&[("scan.bounded.mode", "latest-offset")], &["a0", "a1", "a2", "b0", "b1"]),
        (&[("scan.bounded.mode", "timestamp"), ("scan.bounded.timestamp-millis", "2500")], &["a0", "a1", "b0"]),
        (&specific("partition:0,offset:1;partition:1,offset:2"), &["a0", "b0", "b1"]),
        (&[("scan.bounded.mode", "group-offsets"), ("properties.group.id", &group)], &["a0", "a1"]),
    ];
    for (with, expected) in cases {
        assert_eq!(Job::begin(&table(&topic, with)).await.until_end().await, expected, "{with:?}");
    }
    // What comes after the job has begun is not part of it.
    let mut job = Job::begin(&table(&topic, &[("scan.bounded.mode", "latest-offset")])).await;
    topic.write(0, &["later"]);
    assert_eq!(job.until_end().await, ["a0", "a1", "a2", "b0", "b1"]);
    let error = refusal(&table(&topic, &specific("partition:0,offset:1"))).await;
    assert_eq!(
        error.report().lines().nth(1).unwrap(),
        format!("  because: topic '{}', partition 1 is not in 'scan.bounded.specific-offsets'", topic.name)
    );
    assert_eq!(error.help(), Some("add ';partition:1,offset:…'"));
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn an_end_that_is_not_there_yet_is_waited_for() {
    let topic = Topic::new("ahead", 1);
    topic.write(0, &["a"]);
    let with = [("scan.bounded.mode", "specific-offsets"), ("scan.bounded.specific-offsets", "partition:0,offset:4")];
    let mut job = Job::begin(&table(&topic, &with)).await;
    assert_eq!(job.rows(1).await, ["a"]);
    job.no_rows().await;
    topic.write(0, &["b"]);
    assert_eq!(job.rows(1).await, ["b"]);
    // The last offset in front of the end is the marker of a transaction, which is no record.
    topic.transaction(0, &["c"], true);
    assert_eq!(job.until_end().await, ["c"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn empty_partitions_and_topics_are_at_their_end_at_once() {
    let topic = Topic::new("empty", 3);
    let bounded = table(&topic, &[("scan.bounded.mode", "latest-offset")]);
    assert_eq!(Job::begin(&bounded).await.until_end().await, [""; 0]);
    topic.write(1, &["x"]);
    assert_eq!(Job::begin(&bounded).await.until_end().await, ["x"]);
}
