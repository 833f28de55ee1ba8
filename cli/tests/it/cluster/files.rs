//! Files of jobs in a cluster: folders that are away, and what is left of jobs that are gone.

use std::fs;

use serde_json::Value;

use super::processes::{Cluster, until};

fn script(cluster: &Cluster, options: &str) -> String {
    format!(
        "CREATE TABLE t (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
           'source.monitor-interval' = '50ms');
         CREATE TABLE o (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv' {options});
         INSERT INTO o SELECT n FROM t;",
        cluster.path("in"),
        cluster.path("out")
    )
}

fn put(cluster: &Cluster, name: &str, text: &str) {
    fs::write(cluster.path("fresh"), text).unwrap();
    fs::rename(cluster.path("fresh"), format!("{}/{name}", cluster.path("in"))).unwrap();
}

fn names(cluster: &Cluster) -> Vec<String> {
    let entries = fs::read_dir(cluster.path("out")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn shown(cluster: &Cluster) -> Vec<String> {
    let visible = names(cluster).into_iter().filter(|name| name.starts_with("part-"));
    let mut lines: Vec<String> = visible
        .flat_map(|name| {
            let text = fs::read_to_string(format!("{}/{name}", cluster.path("out"))).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
}

fn submit(cluster: &Cluster, name: &str, options: &str) -> crate::weir::Ran {
    let script = script(cluster, options);
    let settings = ["-D", "execution.checkpointing.interval=100ms"];
    cluster.weir(&[&["submit", "-e", &script, "--name", name, "--detach"][..], &settings].concat())
}

#[test]
fn a_watched_folder_may_be_away_for_a_while() {
    let cluster = Cluster::start(1, 1);
    fs::create_dir(cluster.path("in")).unwrap();
    put(&cluster, "1.csv", "1\n");
    submit(&cluster, "watch", "").code(0);
    until("the first file is read", || (shown(&cluster) == ["1"]).then_some(()));
    fs::rename(cluster.path("in"), cluster.path("away")).unwrap();
    until("the worker notices", || cluster.said("w1").contains("a watched folder is away").then_some(()));
    fs::rename(cluster.path("away"), cluster.path("in")).unwrap();
    put(&cluster, "2.csv", "2\n");
    until("the second file is read", || (shown(&cluster) == ["1", "2"]).then_some(()));
    let job = cluster.job("watch");
    assert_eq!((&job["status"], &job["attempt"]), (&Value::from("running"), &Value::from(1)), "{job:#}");
}

#[test]
fn jobs_that_are_gone_leave_nothing_hidden_and_their_results_are_told_of() {
    let cluster = Cluster::start(1, 2);
    fs::create_dir(cluster.path("in")).unwrap();
    put(&cluster, "1.csv", "1\n");
    submit(&cluster, "one", "").code(0);
    until("its result is shown", || (shown(&cluster) == ["1"]).then_some(()));
    let again = submit(&cluster, "one", "").code(0);
    assert!(!again.err.contains("earlier job"), "it is the same job: {}", again.err);
    cluster.weir(&["jobs", "cancel", "one"]).code(0);
    cluster.weir(&["jobs", "delete", "one"]).code(0);
    until("nothing hidden is left", || names(&cluster).iter().all(|name| name.starts_with("part-")).then_some(()));

    submit(&cluster, "one", ", 'sink.existing-results' = 'refuse'").code(2).says(&["earlier job of the same query"]);
    submit(&cluster, "one", "").code(0).says(&["warning", "earlier job of the same query"]);
    until("it adds its own", || (shown(&cluster) == ["1", "1"]).then_some(()));
}
