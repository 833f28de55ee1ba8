//! Sources and sinks of plugins in processes of their own: whatever ends such a process costs its job a restart or another try to commit, and nobody
//! else anything.

use std::path::Path;

use super::isolation::{ENDS, Neighbour, hanging_children, kill};
use super::processes::{Cluster, until};
use crate::isolated::children_of;
use crate::rust_jobs::example;

/// Submits the job that reads numbers and writes them to this folder.
fn submit(cluster: &Cluster, name: &str, folder: &Path, more: &[&str]) {
    let (file, numbers) = (example("weir_test_plugin").display().to_string(), format!("numbers={}", folder.display()));
    let fixed = ["submit", &file, "--name", name, "--detach", "-D", "execution.checkpointing.interval=100ms"];
    let quick = ["-D", "restart-strategy.exponential-delay.initial-backoff=100ms", "--isolation", "process"];
    let arguments = ["--parallelism", "2", "--arg", &numbers];
    cluster.weir(&[&fixed[..], &quick, &arguments, more].concat()).code(0);
}

/// The same, where something goes wrong once.
fn submit_risky(cluster: &Cluster, name: &str, folder: &tempfile::TempDir, fault: &str, place: &str) {
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let arguments =
        [format!("fault={fault}"), format!("where={place}"), format!("once={}", folder.path().join("once").display())];
    let arguments = arguments.iter().flat_map(|argument| ["--arg", argument]);
    let limit = ["-D", "plugin.memory-limit=256 mb"];
    submit(cluster, name, &out, &arguments.chain(limit).collect::<Vec<_>>());
}

/// The numbers that are in the folder, in order.
fn written(folder: &Path) -> Vec<i64> {
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let whole = files.filter(|file| !file.file_name().unwrap().to_str().unwrap().starts_with('.'));
    // One that is replaced meanwhile is read again with the next look.
    let texts = whole.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let mut numbers: Vec<i64> =
        texts.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect();
    numbers.sort_unstable();
    numbers
}

/// The numbers of the source.
fn numbers() -> Vec<i64> {
    (0..3).flat_map(|split| (0..300).map(move |n| split * 1000 + n)).collect()
}

#[test]
fn what_ends_the_process_of_a_source_restarts_its_own_job_with_the_reason() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    for (fault, says) in ENDS {
        let folder = tempfile::tempdir().unwrap();
        submit_risky(&cluster, fault, &folder, fault, "source");
        let job = cluster.until_finished(fault);
        let report = job["last_failure"]["report"].as_str().unwrap();
        assert!(report.contains(says) && report.contains("split '1' cannot be read"), "{fault}: {report}");
        assert_eq!(job["restarts"], 1, "{job:#}");
        assert_eq!(written(&folder.path().join("out")), numbers(), "{fault}");
        neighbour.goes_on(&cluster);
    }
    until("no process of a plugin is left", || children_of(neighbour.worker).is_empty().then_some(()));
}

#[test]
fn what_ends_the_process_of_a_sink_has_it_committed_again() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    for (fault, says) in ENDS.into_iter().chain([("panic", "the plugin panicked in `commit`: a word too many")]) {
        let folder = tempfile::tempdir().unwrap();
        submit_risky(&cluster, fault, &folder, fault, "sink");
        cluster.until_finished(fault);
        assert_eq!(written(&folder.path().join("out")), numbers(), "{fault}");
        let said = cluster.said("w1");
        assert!(said.contains("a checkpoint could not be committed") && said.contains(says), "{fault}: {said}");
        neighbour.goes_on(&cluster);
    }
    until("no process of a plugin is left", || children_of(neighbour.worker).is_empty().then_some(()));
}

#[test]
fn a_panic_of_a_source_is_the_plugins_own_mistake_there_too() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    let folder = tempfile::tempdir().unwrap();
    submit_risky(&cluster, "panics", &folder, "panic", "source");
    let report = until("the job has failed", || {
        let job = cluster.job("panics");
        (job["status"] == "failed").then(|| job["last_failure"]["report"].as_str().unwrap().to_owned())
    });
    assert!(report.contains("the plugin panicked in `read`: a word too many"), "{report}");
    neighbour.goes_on(&cluster);
}

#[test]
fn a_source_or_sink_that_does_not_return_holds_up_its_own_job_until_its_process_is_killed() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    for place in ["source", "sink"] {
        let folder = tempfile::tempdir().unwrap();
        submit_risky(&cluster, place, &folder, "loop", place);
        let hang = hanging_children(&cluster, 1);
        neighbour.goes_on(&cluster);
        hang.into_iter().for_each(kill);
        cluster.until_finished(place);
        assert_eq!(written(&folder.path().join("out")), numbers(), "{place}");
    }
    let folder = tempfile::tempdir().unwrap();
    submit_risky(&cluster, "cancelled", &folder, "loop", "source");
    hanging_children(&cluster, 1);
    cluster.weir(&["jobs", "cancel", "cancelled", "--wait"]).code(0);
    until("the processes are gone", || children_of(neighbour.worker).is_empty().then_some(()));
    neighbour.goes_on(&cluster);
}

#[test]
fn killed_processes_of_sources_and_sinks_cost_no_row_and_make_none_twice() {
    let cluster = Cluster::start(2, 2);
    let folder = tempfile::tempdir().unwrap();
    submit(&cluster, "numbers", folder.path(), &[]);
    let workers = ["w1", "w2"].map(|worker| cluster.pid(worker));
    let mut killed = 0;
    until("the job has finished", || {
        let before = written(folder.path()).len();
        // When it has come on, so that it does come to an end.
        until("it comes on", || {
            (written(folder.path()).len() > before || cluster.job("numbers")["status"] == "finished").then_some(())
        });
        let children: Vec<u32> = workers.iter().flat_map(|worker| children_of(*worker)).collect();
        if killed < 12 {
            killed += children.len();
            children.into_iter().for_each(kill);
        }
        let job = cluster.job("numbers");
        assert_ne!(job["status"], "failed", "{job:#}");
        (job["status"] == "finished").then_some(())
    });
    assert!(killed >= 6, "{killed} processes were killed");
    assert!(cluster.job("numbers")["restarts"].as_u64().unwrap() > 0);
    assert_eq!(written(folder.path()), numbers());
    assert_eq!(["w1", "w2"].map(|worker| cluster.is_running(worker)), [true, true]);
    until("no process of a plugin is left", || {
        workers.iter().all(|worker| children_of(*worker).is_empty()).then_some(())
    });
}
