//! What a cluster of real processes tells a real collector of OpenTelemetry. `tests/services/otlp run cargo test --workspace --test it otlp:: --
//! --ignored` starts one.
#![allow(clippy::disallowed_methods, reason = "the environment says where the collector is")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::api::call;
use crate::cluster::processes::{Cluster, until};
use crate::functions::declared;
use crate::rust_jobs::example;

fn variable(name: &str) -> String {
    std::env::var(name).expect("tests/services/otlp run says where the collector is")
}

/// Messages in a file of the collector's, as far as it is written.
fn messages(name: &str) -> Vec<Value> {
    let path = format!("{}/{name}.json", variable("WEIR_TEST_OTLP_DIR"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Attributes by their keys, as text.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let attributes = array(of, "attributes").iter().map(|attribute| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap();
        (attribute["key"].as_str().unwrap().to_owned(), value.as_str().map_or(value.to_string(), str::to_owned))
    });
    attributes.collect()
}

#[derive(Debug, Clone)]
struct Span {
    /// `service.name` of the process.
    service: String,
    trace: String,
    id: String,
    parent: String,
    name: String,
    began: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
    error: Option<String>,
}

/// All spans of a job that the collector has.
fn spans(job: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for message in messages("traces") {
        for resource in array(&message, "resourceSpans") {
            let service = attributes(&resource["resource"])["service.name"].clone();
            for span in array(resource, "scopeSpans").iter().flat_map(|scope| array(scope, "spans")) {
                let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
                spans.push(Span {
                    service: service.clone(),
                    trace: text("traceId"),
                    id: text("spanId"),
                    parent: text("parentSpanId"),
                    name: text("name"),
                    began: text("startTimeUnixNano").parse().unwrap(),
                    ended: text("endTimeUnixNano").parse().unwrap(),
                    attributes: attributes(span),
                    error: span["status"]["message"].as_str().map(str::to_owned),
                });
            }
        }
    }
    spans.retain(|span| span.attributes.get("weir.job.name").is_some_and(|name| name == job));
    spans
}

/// The spans of each trace whose root has this name and has come.
fn traces(spans: &[Span], root: &str) -> Vec<(Span, Vec<Span>)> {
    let roots = spans.iter().filter(|span| span.parent.is_empty() && span.name == root);
    let parts = |root: &Span| spans.iter().filter(|span| span.parent == root.id).cloned().collect();
    roots.map(|root| (root.clone(), parts(root))).collect()
}

fn told(cluster: &Cluster, process: &str, series: &str) -> Option<f64> {
    let ran = Command::new("curl").args(["-s", &format!("http://{}/metrics", cluster.http(process))]).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// Rows of one table go from one worker to the other, those of another one into files. With a checkpoint twice a second.
const SCRIPT: &str = "SET 'execution.checkpointing.interval' = '500ms';
    CREATE TABLE a (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '200');
    CREATE TABLE b (v BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
    CREATE TABLE c (v BIGINT) WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'csv');
    EXECUTE STATEMENT SET BEGIN
        INSERT INTO b SELECT v, count(*) FROM a GROUP BY v;
        INSERT INTO c SELECT v FROM a;
    END;";

fn start(otlp: &str) -> Cluster {
    let mut cluster = Cluster::planned(1);
    cluster.environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test%2C1".into()),
    ];
    cluster.start_coordinator(1);
    cluster.add_workers(2, 1);
    cluster
}

fn submit(cluster: &Cluster, name: &str) {
    let script = SCRIPT.replace("{out}", &cluster.path("out"));
    cluster.weir(&["submit", "-e", &script, "--name", name, "-p", "2", "--detach"]).code(0);
    cluster.until_checkpoint(name);
}

/// The parts of the start of a job that have this name, once there is one.
fn parts_of_start(job: &str, name: &str) -> (Span, Vec<Span>) {
    until(&format!("{name} of {job} is told"), || {
        let (root, mut parts) = traces(&spans(job), "submit").pop()?;
        parts.retain(|part| part.name == name);
        (!parts.is_empty()).then_some((root, parts))
    })
}

#[test]
#[ignore = "wants a collector of OpenTelemetry"]
fn what_is_done_before_a_job_is_there_is_in_the_trace_of_its_start() {
    let otlp = variable("WEIR_TEST_OTLP");
    let cluster = start(&otlp);
    let script = format!(
        "{}CREATE TABLE a (v STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
         CREATE TABLE b (v STRING) WITH ('connector' = 'blackhole'); INSERT INTO b SELECT shout(v) FROM a;",
        declared("shout", &example("weir_test_plugin"))
    );
    let submit = ["submit", "-e", &script, "--name", "brought", "--detach", "--otlp-endpoint", &otlp];
    cluster.weir(&submit).code(0);
    let told_of = |job: &str, name: &str, service: &str| {
        let (root, parts) = parts_of_start(job, name);
        let [part] = &parts[..] else { panic!("{parts:#?}") };
        assert_eq!((&part.trace, part.service.as_str()), (&root.trace, service), "{part:?}");
        for key in ["weir.job.id", "weir.attempt"] {
            assert_eq!(part.attributes[key], root.attributes[key], "{key} of {part:?}");
        }
        assert!(part.began <= part.ended && part.ended <= root.began + 2_000_000, "{part:?} is behind {root:?}");
        part.clone()
    };
    let plan = told_of("default/brought", "plan", "weir-submit");
    let upload = told_of("default/brought", "upload", "weir-submit");
    assert!(plan.ended <= upload.began, "{plan:?} {upload:?}");
    // The plugin is described by a child process, which takes a while.
    assert!(plan.ended > plan.began, "{plan:?}");
    // Once more it is not new, and nothing is told.
    cluster.weir(&submit).code(0);

    let script = SCRIPT.replace("{out}", &cluster.path("sent"));
    let (status, answer) =
        call(&cluster, "POST", "/namespaces/default/jobs", Some(&json!({ "sql": script, "name": "sent" })));
    assert_eq!(status, 201, "{answer}");
    told_of("default/sent", "plan", "weir-coordinator");
    assert_eq!(parts_of_start("default/brought", "plan").1.len(), 1);

    // A collector that is none, or is away, keeps nobody from submitting.
    for (endpoint, says) in [("https://127.0.0.1:1", "only http is spoken"), ("http://127.0.0.1:1", "does not take")] {
        let name = format!("untold{}", says.len());
        let nowhere = "CREATE TABLE a (v BIGINT) WITH ('connector' = 'datagen');
                       CREATE TABLE b (v BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO b SELECT v FROM a;";
        let arguments = ["submit", "-e", nowhere, "--name", &name, "--detach", "--otlp-endpoint", endpoint];
        cluster.weir(&arguments).code(0).says(&[says]);
    }
}

#[test]
#[ignore = "wants a collector of OpenTelemetry"]
fn a_checkpoint_and_a_start_are_one_trace_each_over_all_processes() {
    let mut cluster = start(&variable("WEIR_TEST_OTLP"));
    submit(&cluster, "traced");

    let (submitted, parts) = until("the job's start is told", || traces(&spans("default/traced"), "submit").pop());
    let named =
        |parts: &[Span], name: &str| -> Vec<Span> { parts.iter().filter(|part| part.name == name).cloned().collect() };
    assert_eq!(submitted.attributes["weir.attempt"], "1");
    for (name, count) in [("decide", 1), ("schedule", 1), ("deploy", 2), ("start", 2)] {
        assert_eq!(named(&parts, name).len(), count, "{name} in {parts:#?}");
    }

    // Of a checkpoint that is complete: what each process has to tell comes within moments of its own.
    let (root, parts) = until("a checkpoint is told by all", || {
        let all = traces(&spans("default/traced"), "checkpoint");
        all.into_iter().find(|(root, parts)| root.error.is_none() && named(parts, "upload").len() == 2)
    });
    let by = |name: &str| -> Vec<Span> { named(&parts, name) };
    for (name, count) in [
        ("trigger", 2),
        ("gather", 2),
        ("manifest", 1),
        ("decide", 1),
        ("commit", 1),
        ("acknowledge", 1),
        ("upload", 2),
    ] {
        assert_eq!(by(name).len(), count, "{name} in {parts:#?}");
    }
    // The source has no input to align.
    let subtasks = |name: &str| -> BTreeSet<(String, String)> {
        let place = |part: Span| (part.attributes["weir.vertex"].clone(), part.attributes["weir.subtask"].clone());
        by(name).into_iter().map(place).collect()
    };
    let (aligned, captured) = (subtasks("align"), subtasks("capture"));
    assert!(aligned.len() >= 2 && captured.is_superset(&aligned) && captured.len() > aligned.len(), "{parts:#?}");
    assert_eq!(subtasks("flush"), captured);
    for part in &parts {
        let of_worker = ["align", "flush", "capture", "upload"].contains(&&*part.name);
        assert_eq!(part.service, if of_worker { "weir-worker" } else { "weir-coordinator" }, "{part:?}");
        assert_eq!(part.trace, root.trace);
        for key in ["weir.job.id", "weir.attempt", "weir.epoch"] {
            assert_eq!(part.attributes[key], root.attributes[key], "{key} of {part:?}");
        }
        // Coordinators tell milliseconds.
        let slack = 2_000_000;
        assert!(
            part.began + slack >= root.began && part.ended <= root.ended + slack,
            "{part:?} is not within {root:?}"
        );
        assert!(part.began <= part.ended);
    }
    let ids: BTreeSet<&String> = parts.iter().map(|part| &part.id).collect();
    assert_eq!(ids.len(), parts.len(), "each has an id of its own: {parts:#?}");
    let sent = until("it is counted", || {
        told(&cluster, "w1", "weir_trace_spans_total{outcome=\"sent\"}").filter(|sent| *sent > 0.0)
    });
    assert_eq!(told(&cluster, "w1", "weir_trace_spans_total{outcome=\"dropped\"}"), Some(0.0), "{sent} were sent");

    // A job that goes on elsewhere is another trace.
    cluster.kill("w2");
    cluster.start_worker("w2", 1);
    let (again, _) = until("the restart is told", || traces(&spans("default/traced"), "restart").pop());
    assert_ne!(again.trace, submitted.trace);
    assert_ne!(again.attributes["weir.attempt"], "1");
}

#[test]
#[ignore = "wants a collector of OpenTelemetry, and stops it"]
fn metrics_go_where_traces_go_and_a_collector_that_is_away_stops_nothing() {
    let otlp = variable("WEIR_TEST_OTLP");
    let service = |verb: &str| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/services/otlp");
        let ran = Command::new(script).args([verb, &variable("WEIR_TEST_OTLP_DIR")]).output().unwrap();
        assert!(ran.status.success(), "{verb}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let mut cluster = Cluster::planned(0);
    cluster.environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", otlp), ("OTEL_SERVICE_NAME", "all in one".into())];
    cluster.environment.push(("WEIR_OTLP_METRICS_INTERVAL", "1s".into()));
    cluster.start_local(2);
    submit(&cluster, "measured");

    let metrics = || {
        let mut found = BTreeMap::new();
        for message in messages("metrics") {
            for resource in array(&message, "resourceMetrics") {
                let service = attributes(&resource["resource"])["service.name"].clone();
                let all = array(resource, "scopeMetrics").iter().flat_map(|scope| array(scope, "metrics"));
                found.extend(
                    all.map(|metric| ((service.clone(), metric["name"].as_str().unwrap().to_owned()), metric.clone())),
                );
            }
        }
        found
    };
    let of = |name: &str| metrics().remove(&("all in one".to_owned(), name.to_owned()));
    let rows = until("rows are told", || of("weir_operator_rows_in_total"));
    assert_eq!((&rows["sum"]["isMonotonic"], &rows["sum"]["aggregationTemporality"]), (&true.into(), &2.into()));
    let aligned = until("a histogram is told", || of("weir_checkpoint_capture_seconds"));
    assert!(!array(&aligned["histogram"]["dataPoints"][0], "bucketCounts").is_empty(), "{aligned:#}");
    // Whatever the text has, some of it with the next push.
    let text =
        Command::new("curl").args(["-s", &format!("http://{}/metrics", cluster.http("local"))]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    let names = || text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    until("all metrics are told", || {
        let sent: BTreeSet<String> = metrics().into_keys().map(|(_, name)| name).collect();
        names().all(|name| sent.contains(name) || sent.contains(&format!("{name}_total"))).then_some(())
    });

    service("stop");
    let dropped =
        || told(&cluster, "local", "weir_trace_spans_total{outcome=\"dropped\"}").filter(|count| *count > 0.0);
    until("spans are dropped", dropped);
    let epoch = cluster.job("measured")["last_checkpoint"]["epoch"].as_u64();
    cluster.until_job("measured", "goes on", |job| job["last_checkpoint"]["epoch"].as_u64() > epoch);
    let before = traces(&spans("default/measured"), "checkpoint").len();
    service("up");
    until("spans are sent again", || (traces(&spans("default/measured"), "checkpoint").len() > before).then_some(()));
    assert!(cluster.said("local").contains("the collector of OpenTelemetry does not take what it is sent"));
}
