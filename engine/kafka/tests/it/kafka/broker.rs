//! A broker that goes away.

use std::process::{Command, Stdio};

use weir_core::ErrorKind;

use super::cluster::Topic;
use super::job::{Job, refusal, table};

#[tokio::test]
#[ignore = "wants a broker"]
async fn where_no_broker_is_a_job_does_not_begin() {
    let topic = Topic { name: "any".into() };
    let nowhere = table(&topic, &[("properties.bootstrap.servers", "127.0.0.1:9")]);
    let error = refusal(&nowhere).await;
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.report().contains("Kafka at 127.0.0.1:9 does not answer:"), "{}", error.report());
    assert!(error.report().contains("Connection refused"), "{}", error.report());
}

/// Run alone: the others want the broker too.
#[tokio::test]
#[ignore = "kills the broker: run it alone, with WEIR_TEST_KAFKA_DIR"]
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says where the broker is")]
async fn a_broker_that_is_killed_and_comes_back_costs_no_record() {
    let Ok(folder) = std::env::var("WEIR_TEST_KAFKA_DIR") else { panic!("WEIR_TEST_KAFKA_DIR is the broker's folder") };
    let service = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/services/kafka");
    let script = |what| {
        assert!(Command::new(service).args([what, folder.as_str()]).stdout(Stdio::null()).status().unwrap().success())
    };
    let topic = Topic::new("killed", 2);
    let mut job = Job::begin(&table(&topic, &[])).await;
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let values = [format!("{round} a"), format!("{round} b")];
        topic.write(0, &[&values[0]]);
        topic.write(1, &[&values[1]]);
        expected.extend(values);
        // Some have been read when it dies, and some have not.
        found.extend(job.rows(1).await);
        script("kill");
        found.extend(job.whatever_comes().await);
        script("up");
    }
    found.extend(job.rows(expected.len() - found.len()).await);
    job.no_rows().await;
    found.sort();
    assert_eq!(found, expected);
}
