//! `weir sinks audit`: what a job has written, compared with what the cluster believes that it has.

use std::fs;

use serde_json::{Value, json};

use super::api;
use super::processes::{Cluster, until};

/// A job that writes a file for each checkpoint, and one table that keeps no account.
fn begin(cluster: &Cluster) {
    let script = format!(
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
         CREATE TABLE o (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO o SELECT n FROM numbers;
         INSERT INTO nowhere SELECT n FROM numbers;",
        cluster.path("out")
    );
    // So many are kept that none is given up that an audit is about to look into.
    let (often, many) = ("execution.checkpointing.interval=200ms", "state.checkpoints.num-retained=10");
    cluster.weir(&["submit", "-e", &script, "--name", "count", "--detach", "-D", often, "-D", many]).code(0);
}

/// A sink of the audit.
fn of<'a>(audit: &'a Value, table: &str) -> &'a Value {
    let sinks = audit["sinks"].as_array().unwrap();
    sinks.iter().find(|sink| sink["table"] == table).unwrap_or_else(|| panic!("{table}: {audit:#}"))
}

#[test]
fn an_audit_agrees_while_a_job_runs_and_tells_of_files_that_were_never_shown() {
    let mut cluster = Cluster::start(1, 1);
    begin(&cluster);
    cluster.until_job("count", "three checkpoints", |job| job["last_checkpoint"]["epoch"].as_u64() >= Some(3));
    for _ in 0..10 {
        let audit = cluster.json(&["sinks", "audit", "count"]);
        let files = of(&audit, "o");
        assert_eq!((&files["verdict"], &files["target"]), (&json!("agrees"), &json!(cluster.path("out"))), "{audit:#}");
        assert!(files["written"].as_u64() <= audit["last_completed"].as_u64(), "{audit:#}");
        // Of an epoch that has ended as soon as it began there is nothing.
        let is_there =
            |epoch: &Value| epoch["committed"] == false || epoch["found"] == "written" || epoch["found"] == "empty";
        assert!(files["epochs"].as_array().unwrap().iter().all(is_there), "{audit:#}");
        assert_eq!(of(&audit, "nowhere")["verdict"], "no-account");
    }
    cluster.weir(&["jobs", "stop", "count"]).code(0);
    let (status, by_http) = api::call(&cluster, "GET", "/namespaces/default/jobs/count/sinks/audit", None);
    assert_eq!((status, &by_http), (200, &cluster.json(&["sinks", "audit", "count"])));
    let last = by_http["last_completed"].as_u64().unwrap();
    let files = of(&by_http, "o");
    let epochs = files["epochs"].as_array().unwrap().iter();
    let last_with_rows =
        epochs.filter(|epoch| epoch["found"] != "empty").filter_map(|epoch| epoch["epoch"].as_u64()).max();
    let written = files["written"].as_u64();
    assert_eq!(written, last_with_rows, "a job that has stopped has written all of it: {by_http:#}");
    let written = written.unwrap();
    assert!(written == last || written + 1 == last, "one that has stopped and begun at once: {by_http:#}");
    let prints = |code: i32, expected: &[&str]| {
        let printed = cluster.weir(&["sinks", "audit", "count"]).code(code).out;
        expected.iter().for_each(|text| assert!(printed.contains(text), "it lacks {text:?}:\n{printed}"));
    };
    let both = format!("epoch {written}; the last completed epoch is {last}");
    prints(0, &["agrees", "keeps no account", &both]);

    // As if the commit of the last checkpoint had been acknowledged and not been made.
    let out = cluster.path("out");
    let names = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    for name in names.iter().filter(|name| name.ends_with(".published") || name.starts_with("part-")) {
        fs::remove_file(format!("{out}/{name}")).unwrap();
    }
    prints(5, &["DISAGREES", "it cannot be told whether epoch"]);

    cluster.kill("w1");
    until("the worker is given up", || {
        let workers = cluster.json(&["workers", "list"]);
        workers.as_array().unwrap().iter().all(|worker| worker["connected"] == false).then_some(())
    });
    cluster.weir(&["sinks", "audit", "count"]).code(2).says(&["there is no worker"]);
    cluster.weir(&["sinks", "audit", "other"]).code(2).says(&["there is no job"]);
}
