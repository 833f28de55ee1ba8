//! What tables may reach, where a worker is told.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::api::call;
use super::processes::{Cluster, until};

fn script(source: &str, sink: &str) -> String {
    format!(
        "CREATE TABLE t (n STRING) WITH ({source}); CREATE TABLE o (n STRING) WITH ({sink}); INSERT INTO o SELECT n FROM t;"
    )
}

fn submit(cluster: &Cluster, name: &str, source: &str, sink: &str) {
    let script = script(source, sink);
    cluster.weir(&["submit", "-e", &script, "--name", name, "--detach"]).code(0);
}

fn file(path: &str) -> String {
    format!("'connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv', 'csv.header' = 'false'")
}

fn kafka(servers: &str, more: &str) -> String {
    format!(
        "'connector' = 'kafka', 'topic' = 't', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset',
         'properties.bootstrap.servers' = '{servers}' {more}"
    )
}

#[test]
fn tables_reach_what_a_worker_was_told_and_nothing_else() {
    let mut cluster = Cluster::planned(1);
    for folder in ["in", "secret"] {
        fs::create_dir(cluster.path(folder)).unwrap();
    }
    fs::write(cluster.path("in/1.csv"), "public\n").unwrap();
    fs::write(cluster.path("secret/1.csv"), "canary\n").unwrap();
    symlink(cluster.path("secret"), cluster.path("in/link")).unwrap();
    let (input, output) = (cluster.path("in"), cluster.path("out"));
    cluster.environment = vec![
        ("WEIR_ALLOW", format!("{input},{output},s3://bucket/in,broker.example:9092")),
        ("WEIR_SECRET_PATH", "../secret".into()),
    ];
    cluster.start_coordinator(1);
    cluster.add_workers(1, 4);

    submit(&cluster, "allowed", &file(&format!("{input}/*.csv")), &file(&output));
    cluster.until_finished("allowed");
    let written = fs::read_dir(&output).unwrap().map(|entry| entry.unwrap().path());
    let written: String = written.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(written.contains("public"), "{written}");

    let (public, out) = (file(&format!("{input}/1.csv")), file(&output));
    let elsewhere = cluster.path("elsewhere");
    let sources = [
        (file("/etc/passwd"), "'/etc/passwd'"),
        (file(&format!("{input}/../secret/1.csv")), "/secret/1.csv'"),
        (file(&format!("{input}/link/1.csv")), "/in/link/1.csv'"),
        (file(&format!("{input}/*/../../secret")), "/secret'"),
        (file(&format!("{input}/${{env:WEIR_SECRET_PATH}}")), "/in/***'"),
        (file("s3://bucket/inner/1.csv"), "'s3://bucket/inner/1.csv'"),
        (kafka("127.0.0.1:1", ""), "the host '127.0.0.1' at port 1"),
        (kafka("broker.example:9092,127.0.0.1:1", ""), "the host '127.0.0.1' at port 1"),
        (kafka("[127.0.0.1]@broker.example:9092", ""), "a broker cannot be understood"),
        (kafka("broker.example:9092", ", 'properties.ssl.ca.location' = '/etc/passwd'"), "'/etc/passwd'"),
    ];
    let sources = sources.into_iter().map(|(source, place)| (source, out.clone(), place.to_owned()));
    let sinks = [
        (file(&elsewhere), format!("'{elsewhere}'")),
        (
            "'connector' = 'postgres', 'url' = 'jdbc:postgresql://db.example/x?hostaddr=127.0.0.1', 'table-name' = 't', 'username' = 'u'".into(),
            "the host 'db.example' at port 5432".into(),
        ),
    ];
    let sinks = sinks.into_iter().map(|(sink, place)| (public.clone(), sink, place));
    for (number, (source, sink, place)) in sources.chain(sinks).enumerate() {
        let name = format!("refused{number}");
        submit(&cluster, &name, &source, &sink);
        let report = until("it fails", || cluster.job(&name)["last_failure"]["report"].as_str().map(str::to_owned));
        assert!(report.contains(&place), "{source} {sink}: {report}");
        until("it is not tried again", || (cluster.job(&name)["status"] == "failed").then_some(()));
    }
    assert!(!fs::exists(&elsewhere).unwrap(), "nothing was written there");

    // By REST they are planned by a coordinator, which looks at the tables that a new job writes.
    let script = script(&public, &file(&elsewhere));
    let job = json!({"sql": script, "name": "planned"});
    let (status, problem) = call(&cluster, "POST", "/namespaces/default/jobs", Some(&job));
    let text = problem.to_string();
    assert!(status == 400 && text.contains("must not reach") && text.contains(&elsewhere), "{status} {text}");
}
