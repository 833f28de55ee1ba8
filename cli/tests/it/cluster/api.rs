//! The REST API, as a program without any library of ours uses it: HTTP/1.1 over a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::processes::{Cluster, until};

/// A request; the answer's status and body.
pub fn call(cluster: &Cluster, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    answered(open(cluster.coordinator(), method, path, body))
}

pub fn answered((status, mut reader): (u16, BufReader<TcpStream>)) -> (u16, Value) {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let body =
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")) };
    (status, body)
}

/// The answer's status, and what comes behind its headers.
pub fn open(address: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, BufReader<TcpStream>) {
    open_with("", address, method, path, body)
}

/// The same, with more headers.
pub fn open_with(
    more: &str,
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (u16, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.map(Value::to_string);
    let head = match &body {
        Some(body) => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        None => "Content-Length: 0\r\n".to_owned(),
    };
    // HTTP/1.0: the body ends with the connection, and is not cut into chunks.
    let request =
        format!("{method} /api/v1{path} HTTP/1.0\r\nHost: {address}\r\n{head}{more}\r\n{}", body.unwrap_or_default());
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    (status, reader)
}

/// Server-sent events, each with its name and data.
fn events(reader: BufReader<TcpStream>) -> impl Iterator<Item = (String, Value)> {
    let mut lines = reader.lines().map_while(Result::ok);
    std::iter::from_fn(move || {
        let name = lines.find_map(|line| line.strip_prefix("event: ").map(str::to_owned))?;
        let data = lines.next()?;
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("{data}"));
        Some((name, serde_json::from_str(data).unwrap()))
    })
}

/// A job that reads on and on.
const ENDLESS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
                       CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
                       INSERT INTO nowhere SELECT n FROM numbers";

const JOBS: &str = "/namespaces/default/jobs";

fn standing(cluster: &Cluster, job: &str) -> Value {
    call(cluster, "GET", &format!("{JOBS}/{job}"), None).1
}

#[test]
fn a_job_lives_its_life_by_http() {
    let cluster = Cluster::local(2);
    let post = |path: &str, body: &Value| call(&cluster, "POST", path, Some(body));
    let script = json!({ "sql": ENDLESS, "name": "endless", "settings": { "execution.checkpointing.interval": "1s" } });

    let (status, plan) = post("/namespaces/default/explain", &script);
    assert_eq!(status, 200, "{plan}");
    assert!(plan["plan"].as_str().unwrap().contains("Sink(nowhere)"), "{plan}");
    assert_eq!(call(&cluster, "GET", JOBS, None).1, json!({ "items": [] }), "nothing was run by that");

    let (status, answer) = post(JOBS, &script);
    assert_eq!((status, &answer["job"], &answer["already_there"]), (201, &json!(1), &json!(false)), "{answer}");
    let (status, answer) = post(JOBS, &script);
    assert_eq!((status, &answer["job"], &answer["already_there"]), (200, &json!(1), &json!(true)), "{answer}");

    let (_, following) = open(cluster.coordinator(), "GET", &format!("{JOBS}/endless/events"), None);
    until("it runs", || (standing(&cluster, "endless")["status"] == "running").then_some(()));
    assert_eq!(post(&format!("{JOBS}/endless/rescale"), &json!({ "parallelism": 2 })).0, 202);
    until("it is larger", || {
        let job = standing(&cluster, "endless");
        (job["slots"] == 2 && job["status"] == "running").then_some(())
    });
    // Who does not say how large it shall be leaves it as it is.
    post(JOBS, &script);
    assert_eq!(standing(&cluster, "endless")["parallelism"], 2);

    let put = |body: Value| call(&cluster, "PUT", &format!("{JOBS}/endless/scaling"), Some(&body));
    let (status, wrong) = put(json!({ "by": "slots", "max_slot": 1 }));
    assert_eq!(status, 400, "{wrong}");
    let (status, wrong) = put(json!({ "by": "slots", "min_slots": 3, "max_slots": 2 }));
    assert_eq!(status, 400, "{wrong}");
    assert_eq!(put(json!({ "by": "slots", "max_slots": 1 })).0, 202);
    until("it is smaller", || {
        let job = standing(&cluster, "endless");
        let decisions = job["scaling_decisions"].as_array().unwrap();
        (job["slots"] == 1 && job["status"] == "running" && decisions.len() == 1).then_some(())
    });
    assert_eq!(standing(&cluster, "endless")["scaling"]["by"], "slots");

    let (status, begun) = call(&cluster, "POST", &format!("{JOBS}/endless/savepoints"), None);
    assert_eq!(status, 202, "{begun}");
    let after = begun["after"].as_u64().unwrap();
    let savepoint = until("the savepoint is complete", || {
        let (_, page) = call(&cluster, "GET", &format!("{JOBS}/endless/checkpoints?limit=1000"), None);
        let kept = page["items"].as_array().unwrap().clone();
        kept.into_iter().find(|kept| kept["savepoint"] == true && kept["epoch"].as_u64() > Some(after))
    });

    assert_eq!(post(&format!("{JOBS}/endless/stop"), &json!({})).0, 202);
    let last = events(following).last().unwrap();
    assert_eq!((last.0.as_str(), &last.1["status"]), ("job", &json!("stopped")));
    assert_eq!(call(&cluster, "GET", "/jobs", None).1["items"], json!([]));
    assert_eq!(call(&cluster, "GET", "/jobs?all=true", None).1["items"][0]["name"], "endless");

    assert_eq!(post(&format!("{JOBS}/endless/restart"), &json!({ "from": savepoint["epoch"] })).0, 202);
    until("it runs again", || (standing(&cluster, "endless")["status"] == "running").then_some(()));
    assert_eq!(call(&cluster, "POST", &format!("{JOBS}/endless/cancel"), None).0, 202);
    until("it has ended", || (standing(&cluster, "endless")["status"] == "cancelled").then_some(()));
    assert_eq!(call(&cluster, "DELETE", &format!("{JOBS}/endless"), None).0, 202);
    assert_eq!(call(&cluster, "GET", &format!("{JOBS}/endless"), None).0, 404);
}

#[test]
fn rows_of_a_select_come_as_events_and_nothing_is_left_of_it() {
    let cluster = Cluster::local(1);
    let tables = json!({ "sql": "CREATE TABLE three (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '3',
                                 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '3')" });
    let (status, catalog) = call(&cluster, "POST", "/namespaces/default/catalog", Some(&tables));
    assert_eq!((status, &catalog["version"]), (200, &json!(1)), "{catalog}");

    let script = json!({ "sql": "SELECT n * 3002399751580331 AS n FROM three" });
    let (status, reader) = open(cluster.coordinator(), "POST", "/namespaces/default/queries", Some(&script));
    assert_eq!(status, 200);
    let told: Vec<(String, Value)> = events(reader).collect();
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["begun", "row", "row", "row", "end"], "{told:?}");
    let rows: Vec<&Value> = told[1..4].iter().map(|(_, row)| &row["n"]).collect();
    assert_eq!(rows, ["3002399751580331", "6004799503160662", "9007199254740993"], "the last one is no double");
    assert_eq!(call(&cluster, "GET", "/jobs?all=true", None).1["items"], json!([]));

    // One that would go on for ever ends with its last row.
    let few = json!({ "sql": "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
                              SELECT n FROM numbers LIMIT 5" });
    let (_, reader) = open(cluster.coordinator(), "POST", "/namespaces/default/queries", Some(&few));
    let told: Vec<String> = events(reader).map(|(name, _)| name).collect();
    assert_eq!(told, ["begun", "row", "row", "row", "row", "row", "end"]);
    assert_eq!(call(&cluster, "GET", "/jobs?all=true", None).1["items"], json!([]));

    // Or when its reader goes.
    let endless = json!({ "sql": "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
                                  SELECT n FROM numbers", "name": "look" });
    let (_, reader) = open(cluster.coordinator(), "POST", "/namespaces/default/queries", Some(&endless));
    let mut told = events(reader);
    assert!(told.any(|(name, _)| name == "row"));
    let running = call(&cluster, "GET", "/jobs", None).1;
    assert!(running["items"][0]["name"].as_str().unwrap().starts_with("look-"), "{running}");
    drop(told);
    until("nothing is left of it", || {
        let jobs = call(&cluster, "GET", "/jobs?all=true", None).1;
        let clusters = std::fs::read_dir(cluster.path("local/checkpoints")).unwrap();
        let results =
            clusters.flat_map(|folder| std::fs::read_dir(folder.unwrap().path().join("results")).into_iter().flatten());
        (jobs["items"] == json!([]) && results.count() == 0).then_some(())
    });
}

#[test]
fn what_is_wrong_is_a_problem_with_its_kind() {
    let cluster = Cluster::local(1);
    let kinds = |method: &str, path: &str, body: Option<Value>| {
        let (status, problem) = call(&cluster, method, path, body.as_ref());
        assert_eq!(problem["status"], status, "{problem}");
        (status, problem["kind"].as_str().unwrap().to_owned(), problem["detail"].as_str().unwrap().to_owned())
    };
    let refused = |method: &str, path: &str, body: Option<Value>, status: u16, kind: &str, says: &str| {
        let (is, named, detail) = kinds(method, path, body);
        assert_eq!((is, named.as_str()), (status, kind), "{method} {path}: {detail}");
        assert!(detail.contains(says), "{method} {path}: {detail}");
    };
    refused("GET", "/jobs/1/2/3", None, 404, "not-found", "/api/v1/jobs/1/2/3");
    refused("PUT", "/jobs", None, 405, "invalid", "does not take this method");
    refused("GET", "/jobs?limit=x", None, 400, "invalid", "limit");
    refused("GET", "/jobs?limit=0", None, 400, "invalid", "1 to 1000");
    refused("GET", "/namespaces/default/jobs/none", None, 404, "not-found", "default/none");
    refused("GET", "/namespaces/none/catalog", None, 404, "not-found", "none");
    refused("POST", JOBS, None, 400, "invalid", "sql");
    refused("POST", JOBS, Some(json!({ "sql": ENDLESS })), 400, "invalid", "the job has no name");
    refused("POST", JOBS, Some(json!({ "sql": ENDLESS, "name": "7" })), 400, "invalid", "job number 7");
    refused("POST", JOBS, Some(json!({ "sql": ENDLESS, "nam": "x" })), 400, "invalid", "unknown field `nam`");
    refused("POST", JOBS, Some(json!({ "sql": "SELECT 1", "name": "x" })), 400, "invalid", "nobody would be there");
    refused("POST", JOBS, Some(json!({ "sql": "SELECT FROM", "name": "x" })), 400, "invalid", "line 1");
    refused("POST", "/namespaces/default/queries", Some(json!({ "sql": ENDLESS })), 400, "invalid", "no SELECT");
    let long = "x".repeat(5 << 20);
    refused("POST", JOBS, Some(json!({ "sql": long, "name": "x" })), 413, "too-large", "");
    refused("PATCH", "/workers/none", Some(json!({ "draining": true })), 404, "not-found", "none");
    refused("DELETE", "/coordinators/9", None, 400, "invalid", "coordinator 9 is not a member");
    // A page of somebody else, in a browser of this machine.
    let script = json!({ "sql": ENDLESS, "name": "planted" });
    let foreign = "Origin: https://example.org\r\n";
    let (status, problem) = answered(open_with(foreign, cluster.coordinator(), "POST", JOBS, Some(&script)));
    assert_eq!((status, &problem["kind"]), (403, &json!("denied")), "{problem}");
    assert_eq!(call(&cluster, "GET", "/jobs?all=true", None).1["items"], json!([]));
}

#[test]
fn what_a_script_writes_is_looked_at_and_its_secrets_are_not_shown() {
    let cluster = Cluster::local(1);
    let folder = cluster.path("rows");
    let script = json!({ "name": "rows", "sql": format!(
        "CREATE TABLE three (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '3');
         CREATE TABLE rows_of (n BIGINT) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{folder}',
                                               'sink.existing-results' = 'refuse');
         INSERT INTO rows_of SELECT n FROM three") });
    let first = call(&cluster, "POST", JOBS, Some(&script));
    assert_eq!(first.0, 201, "{first:?}");
    until("it has finished", || (standing(&cluster, "rows")["status"] == "finished").then_some(()));
    assert_eq!(call(&cluster, "DELETE", &format!("{JOBS}/rows"), None).0, 202);
    let (status, problem) = call(&cluster, "POST", JOBS, Some(&script));
    assert_eq!((status, &problem["kind"]), (400, &json!("invalid")), "{problem}");

    let table = "CREATE TABLE k (n BIGINT) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json',
                 'properties.bootstrap.servers' = 'nowhere:9092', 'properties.sasl.password' = 'letmein')";
    let (status, catalog) = call(&cluster, "POST", "/namespaces/default/catalog", Some(&json!({ "sql": table })));
    assert_eq!(status, 200, "{catalog}");
    assert!(!catalog.to_string().contains("letmein"), "{catalog}");
    let shown = call(&cluster, "GET", "/namespaces/default/catalog", None).1.to_string();
    assert!(shown.contains("properties.sasl.password") && !shown.contains("letmein"), "{shown}");
}

#[test]
fn a_job_that_has_ended_goes_on_with_other_settings() {
    let cluster = Cluster::local(2);
    let script = |interval: &str| json!({ "sql": ENDLESS, "name": "endless", "settings": { "execution.checkpointing.interval": interval } });
    call(&cluster, "POST", JOBS, Some(&script("1s")));
    until("it runs", || (standing(&cluster, "endless")["status"] == "running").then_some(()));
    call(&cluster, "POST", &format!("{JOBS}/endless/stop"), Some(&json!({})));
    until("it has stopped", || (standing(&cluster, "endless")["status"] == "stopped").then_some(()));
    let (status, answer) = call(&cluster, "POST", JOBS, Some(&script("2s")));
    assert_eq!((status, &answer["updated"]), (200, &json!(true)), "{answer}");
    until("it runs again", || (standing(&cluster, "endless")["status"] == "running").then_some(()));
}

#[test]
fn any_coordinator_answers_and_the_document_names_all_paths() {
    let mut cluster = Cluster::of_coordinators(3);
    cluster.add_workers(1, 1);
    let addresses = cluster.coordinators();
    for address in &addresses {
        let (status, workers) = answered(open(address, "GET", "/workers", None));
        assert_eq!(status, 200, "{workers}");
        assert_eq!(workers["items"][0]["worker"], "w1", "{workers}");
        assert!(workers["items"][0]["incarnation"].is_string(), "it has 64 bits: {workers}");
    }
    let (status, document) = answered(open(addresses[1], "GET", "/openapi.json", None));
    assert_eq!(status, 200);
    let submit = &document["paths"]["/api/v1/namespaces/{namespace}/jobs"]["post"];
    assert_eq!(submit["requestBody"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Script");
    let put = &document["paths"]["/api/v1/artifacts/{sha256}"]["put"];
    assert!(put["requestBody"]["content"]["application/octet-stream"].is_object(), "{put}");
    let create = &document["paths"]["/api/v1/tokens"]["post"];
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/TokenToMake"
    );
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path} says what it does");
        }
    }
}
