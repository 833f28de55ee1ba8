//! Secrets to which table options refer: the worker has them, and nobody else.

use std::fs;
use std::process::Command;

use super::api::call;
use super::processes::{Cluster, until};
use crate::weir::{Ran, command};

const CANARY: &str = "canary-8c1f5e";
const OTHER: &str = "canary-77d0aa";
const REFERENCE: &str = "${env:WEIR_SECRET_NULL}";

/// Rows get a null, which is written as the table's options say: a secret that shows where it was used.
fn script(cluster: &Cluster, input: &str, null: &str) -> String {
    format!(
        "CREATE TABLE t (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.header' = 'false',
           'source.monitor-interval' = '50ms');
         {}
         INSERT INTO o SELECT n, CAST(NULL AS STRING) FROM t;",
        cluster.path(input),
        output(cluster, null)
    )
}

fn output(cluster: &Cluster, null: &str) -> String {
    format!(
        "CREATE TABLE o (n INT, x STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.header' = 'false',
           'csv.null-literal' = '{null}');",
        cluster.path("out")
    )
}

fn shown(cluster: &Cluster) -> String {
    let entries = fs::read_dir(cluster.path("out")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let visible =
        entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")));
    visible.map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Files of the cluster in which one of these stands, but for results and the secrets themselves.
fn files_with(cluster: &Cluster, texts: &[&str]) -> String {
    let mut grep = Command::new("grep");
    grep.args(["-rlaF", "--exclude-dir=out", "--exclude-dir=secrets"]);
    for text in texts {
        grep.args(["-e", text]);
    }
    String::from_utf8(grep.arg(cluster.path("")).output().unwrap().stdout).unwrap()
}

fn submit(cluster: &Cluster, name: &str, input: &str, null: &str) {
    let script = script(cluster, input, null);
    let interval = ["-D", "execution.checkpointing.interval=100ms"];
    cluster.weir(&[&["submit", "-e", &script, "--name", name, "--detach"][..], &interval].concat()).code(0);
}

/// Why the job has failed.
fn failure(cluster: &Cluster, name: &str) -> String {
    until("it fails", || cluster.job(name)["last_failure"]["report"].as_str().map(str::to_owned))
}

#[test]
fn a_secret_is_in_the_worker_and_in_nothing_that_is_written_or_told() {
    let mut cluster = Cluster::planned(1);
    cluster.start_coordinator(1);
    fs::create_dir(cluster.path("in")).unwrap();
    fs::create_dir(cluster.path("secrets")).unwrap();
    fs::write(cluster.path("secrets/null"), format!("{OTHER}\n")).unwrap();
    fs::write(cluster.path("in/1.csv"), "1\n").unwrap();
    cluster.environment = vec![("WEIR_SECRET_NULL", CANARY.to_owned()), ("WEIR_SECRETS_DIR", cluster.path("secrets"))];
    cluster.add_workers(1, 4);
    submit(&cluster, "env", "in", REFERENCE);
    until("the variable is in what is written", || shown(&cluster).contains(&format!("1,{CANARY}")).then_some(()));
    submit(&cluster, "file", "in", "${file:null}");
    until("the file is in what is written", || shown(&cluster).contains(&format!("1,{OTHER}")).then_some(()));

    // What a job must not reach is told by its name; what a connector says of a secret is told without it.
    submit(&cluster, "greedy", "in", "${env:PATH}");
    let report = failure(&cluster, "greedy");
    assert!(report.contains("the variable PATH may not be read by a job"), "{report}");
    submit(&cluster, "indiscreet", "nowhere/${env:WEIR_SECRET_NULL}", "");
    let report = failure(&cluster, "indiscreet");
    assert!(report.contains("nowhere/***"), "{report}");

    cluster.weir(&["catalog", "apply", "-e", &output(&cluster, REFERENCE)]).code(0);
    let described = cluster.weir(&["jobs", "describe", "env", "--json"]).code(0).out;
    assert!(described.contains(REFERENCE), "{described}");
    let catalog = cluster.weir(&["catalog", "show", "o"]).code(0).out;
    assert!(catalog.contains(REFERENCE), "{catalog}");
    let jobs = "/namespaces/default/jobs";
    for told in [
        described,
        catalog,
        cluster.weir(&["jobs", "list", "--all", "--json"]).code(0).out,
        call(&cluster, "GET", &format!("{jobs}/env"), None).1.to_string(),
        call(&cluster, "GET", &format!("{jobs}/indiscreet"), None).1.to_string(),
        call(&cluster, "GET", jobs, None).1.to_string(),
    ] {
        assert!(!told.contains(CANARY) && !told.contains(OTHER), "{told}");
    }
    // Logs, the coordinator's state and audit, checkpoints, what the worker keeps.
    cluster.terminate("c1");
    let found = files_with(&cluster, &[CANARY, OTHER]);
    assert!(found.is_empty(), "a secret stands in {found}");
    assert!(!files_with(&cluster, &[REFERENCE]).is_empty(), "the search finds what is there");
}

#[test]
fn a_job_without_a_cluster_has_them_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.csv"), format!("1,{CANARY}\n2,{OTHER}\n")).unwrap();
    fs::write(folder.path().join("null"), OTHER).unwrap();
    let run = |null: &str| -> Ran {
        let script = format!(
            "CREATE TABLE t (n INT, x STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
               'csv.header' = 'false', 'csv.null-literal' = '{null}');
             SELECT n FROM t WHERE x IS NULL",
            folder.path().join("in.csv").display()
        );
        let mut command = command(&["run", "-q", "-o", "csv", "-e", &script]);
        command.env("WEIR_SECRET_NULL", CANARY).env("WEIR_SECRETS_DIR", folder.path());
        command.output().unwrap().into()
    };
    assert_eq!(run(REFERENCE).code(0).out, "n\n1\n");
    assert_eq!(run("${file:null}").code(0).out, "n\n2\n");
    run("${file:../null}").says(&["is no name of a file"]);
}
