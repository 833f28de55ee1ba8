//! A broker that lets in whom it knows, by TLS and SASL.
//! `tests/services/kafka secured cargo test --workspace --test it kafka::secured:: -- --ignored` starts one.
#![allow(clippy::disallowed_methods, reason = "whoever runs the tests says where the broker is")]

use std::process::{Command, Stdio};

use weir_core::connector::DiscoveryContext;
use weir_core::{Attempt, Connector, ErrorKind, TableSpec};
use weir_kafka::Kafka;

use super::cluster::{Topic, address, unique};
use super::job::{Job, refusal, table};
use super::sink;

/// Options of a table; those that are empty are not given.
type With = Vec<(&'static str, String)>;

fn tls(file: &str) -> String {
    let folder = std::env::var("WEIR_TEST_KAFKA_DIR")
        .expect("WEIR_TEST_KAFKA_DIR is the folder of a broker of `tests/services/kafka secured`");
    let path = format!("{folder}/tls/{file}");
    assert!(
        std::path::Path::new(&path).exists(),
        "{path} is not there: start the broker by `tests/services/kafka secured`"
    );
    path
}

/// The address of another port of the broker.
fn port(behind: u16) -> String {
    let (host, port) =
        address().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.parse::<u16>().unwrap())).unwrap();
    format!("{host}:{}", port + behind)
}

fn sasl(mechanism: &str, user: &str, password: &str) -> With {
    vec![
        ("properties.bootstrap.servers", port(2)),
        ("properties.security.protocol", "sasl_ssl".into()),
        ("properties.ssl.ca.location", tls("ca.pem")),
        ("properties.sasl.mechanism", mechanism.into()),
        ("properties.sasl.username", user.into()),
        ("properties.sasl.password", password.into()),
    ]
}

fn certificate() -> With {
    vec![
        ("properties.bootstrap.servers", port(3)),
        ("properties.security.protocol", "ssl".into()),
        ("properties.ssl.ca.location", tls("ca.pem")),
        ("properties.ssl.certificate.location", tls("client.pem")),
        ("properties.ssl.key.location", tls("client.key")),
    ]
}

fn changed(mut with: With, name: &'static str, value: &str) -> With {
    with.retain(|(known, _)| *known != name);
    if !value.is_empty() {
        with.push((name, value.into()));
    }
    with
}

fn secured(topic: &Topic, with: &With) -> TableSpec {
    table(topic, &with.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
}

/// Makes a user, or gives one another password.
fn user(name: &str, password: &str) {
    let service = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/services/kafka");
    let port = address().rsplit_once(':').unwrap().1.to_owned();
    let status =
        Command::new(service).args(["user", name, password]).env("KAFKA_PORT", port).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}

const WAYS: [fn() -> With; 3] =
    [|| sasl("SCRAM-SHA-512", "weir", "weir-secret"), || sasl("PLAIN", "plain", "plain-secret"), certificate];

#[tokio::test]
#[ignore = "wants a broker with TLS"]
async fn whom_the_broker_knows_reads_and_writes_exactly_once() {
    for with in WAYS.map(|with| with()) {
        let topic = Topic::new("secured", 2);
        let (written, read) = with.iter().map(|(name, value)| (*name, value.as_str())).unzip::<_, _, Vec<_>, Vec<_>>();
        let with: Vec<(&str, &str)> = written.into_iter().zip(read).collect();
        let sink = sink::Job::new(&topic, &with);
        let process = sink.open(0).await;
        sink.commit(&process, 1, &["a", "b"]).await;
        sink.commit(&process, 2, &["c"]).await;
        // Again, as after a crash in between, by another process.
        sink.commit(&Kafka::default(), 2, &["c"]).await;
        let mut job = Job::begin(&table(&topic, &with)).await;
        assert_eq!(job.rows(3).await, ["a", "b", "c"]);
        job.no_rows().await;
    }
}

#[tokio::test]
#[ignore = "wants a broker with TLS"]
async fn whom_it_does_not_know_is_told_why_before_anything_begins() {
    let topic = Topic::new("strangers", 1);
    let scram = WAYS[0]();
    let (sasl_port, ssl_port) = (port(2), port(3));
    let cases = [
        (changed(scram.clone(), "properties.sasl.password", "wrong"), &sasl_port, "SASL authentication error"),
        (sasl("PLAIN", "plain", "wrong"), &sasl_port, "Authentication failed: Invalid username or password"),
        (sasl("PLAIN", "nobody", "plain-secret"), &sasl_port, "Authentication failed: Invalid username or password"),
        (sasl("SCRAM-SHA-256", "weir", "weir-secret"), &sasl_port, "Unsupported SASL mechanism"),
        // An authority that has not signed the broker's certificate.
        (
            changed(scram.clone(), "properties.ssl.ca.location", &tls("other.pem")),
            &sasl_port,
            "certificate verify failed",
        ),
        (
            changed(certificate(), "properties.ssl.ca.location", &tls("other.pem")),
            &ssl_port,
            "certificate verify failed",
        ),
        // Without TLS on a port that has it.
        (changed(scram, "properties.security.protocol", "sasl_plaintext"), &sasl_port, "sasl_plaintext://"),
    ];
    for (with, servers, why) in cases {
        let with: Vec<(&str, &str)> = with.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let read = refusal(&table(&topic, &with)).await.report();
        let sink = sink::Job::new(&topic, &with);
        let written = sink.try_open(&Kafka::default(), 0).await.err().unwrap().report();
        for (what, report) in [("while reading table 't'", read), ("while writing table 't'", written)] {
            let says = [what, &format!("Kafka at {servers} does not"), why];
            assert!(says.iter().all(|text| report.contains(text)), "{says:?}: {report}");
        }
    }
    // Whoever has no certificate is not let in where one is wanted. Before TLS 1.3 that would be said in the handshake.
    let bare =
        changed(changed(certificate(), "properties.ssl.certificate.location", ""), "properties.ssl.key.location", "");
    let error = refusal(&secured(&topic, &bare)).await;
    assert!(error.report().contains(&format!("Kafka at {ssl_port} does not")), "{}", error.report());
    let missing = changed(certificate(), "properties.ssl.ca.location", "/nowhere/ca.pem");
    let error = refusal(&secured(&topic, &missing)).await;
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(
        error.report().contains("the properties of its client do not go together: ssl.ca.location"),
        "{}",
        error.report()
    );
}

/// The brokers ask again every so often who it is.
#[tokio::test]
#[ignore = "wants a broker with TLS"]
async fn a_password_that_expires_costs_no_row() {
    let topic = Topic::new("expiring", 1);
    let name = unique("user");
    user(&name, "first");
    let first = sasl("SCRAM-SHA-512", &name, "first");
    let second = changed(first.clone(), "properties.sasl.password", "second");
    let with: Vec<(&str, &str)> = first.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut job = Job::begin(&secured(&topic, &first)).await;
    let mut sink = sink::Job::new(&topic, &with);
    let process = sink.open(0).await;
    sink.commit(&process, 1, &["a"]).await;
    assert_eq!(job.rows(1).await, ["a"]);
    let checkpoint = job.checkpoint();

    user(&name, "second");
    // The job waits, and then says why. What comes meanwhile is not lost.
    let error = job.failure().await;
    assert_eq!(error.kind(), ErrorKind::Environment, "{}", error.report());
    let says = format!("Kafka at {} has not let us in for ", port(2));
    assert!(
        error.report().contains(&says) && error.report().contains("credentials may have expired"),
        "{}",
        error.report()
    );
    // A process that has written before is not let in either; what is decided stays to be written.
    let error = sink.try_commit(&process, 2, &["b"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment, "{}", error.report());
    assert!(
        error.report().contains(&format!("Kafka at {} does not let us in any more", port(2))),
        "{}",
        error.report()
    );
    // Nor does a job that begins again fail for good.
    let context = DiscoveryContext { known: Vec::new(), attempt: Attempt(2) };
    let again = Kafka::default().open_discovery(&secured(&topic, &first), context).await;
    assert_eq!(again.err().map(|error| error.kind()), Some(ErrorKind::Environment));
    let reopened = sink.try_open_again(&Kafka::default(), 1).await;
    assert_eq!(reopened.err().map(|error| error.kind()), Some(ErrorKind::Environment));

    sink.table.options.insert("properties.sasl.password".into(), "second".into());
    sink.commit(&process, 2, &["b"]).await;
    sink.commit(&Kafka::default(), 2, &["b"]).await;
    let mut again = Job::from(&secured(&topic, &second), checkpoint, 1).await.unwrap();
    assert_eq!(again.rows(1).await, ["b"]);
    again.no_rows().await;
}

#[tokio::test]
#[ignore = "wants a broker with TLS"]
async fn a_password_that_is_put_right_in_time_is_not_noticed() {
    let topic = Topic::new("put-right", 1);
    let name = unique("user");
    user(&name, "right");
    let mut job = Job::begin(&secured(&topic, &sasl("SCRAM-SHA-512", &name, "right"))).await;
    topic.write(0, &["a"]);
    assert_eq!(job.rows(1).await, ["a"]);
    user(&name, "wrong");
    topic.write(0, &["b"]);
    let mut found = job.whatever_comes().await;
    user(&name, "right");
    topic.write(0, &["c"]);
    found.extend(job.rows(2 - found.len()).await);
    assert_eq!(found, ["b", "c"]);
}
