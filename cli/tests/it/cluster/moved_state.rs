//! A job that has run in an application, and goes on in a cluster.

use weir_embedded::JobEnd;

use super::processes::Cluster;
use crate::embedded::{ORDERS, application, check, feed, until_shipped};
use crate::rust_jobs::example;

#[test]
fn a_job_of_an_application_goes_on_in_a_cluster_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    feed(folder.path(), 0);
    let job = application(folder.path(), 2);
    until_shipped(&folder, ORDERS as usize);

    let mut cluster = Cluster::start(3, 1);
    cluster.start_worker("spare", 1);
    let plugin = example("inventory").display().to_string();
    let (data, state_dir) = (format!("folder={}", folder.path().display()), state.display().to_string());
    let submit = ["submit", &plugin, "--parallelism", "3", "--detach", "-D", "execution.checkpointing.interval=100ms"];
    let arguments = |watch: &'static str| {
        let more = ["--arg", &data, "--arg", watch, "--move-state", &state_dir];
        submit.into_iter().chain(more).map(str::to_owned).collect::<Vec<_>>()
    };
    let submitted = |watch: &'static str| {
        let arguments = arguments(watch);
        cluster.weir(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    submitted("watch=20 ms").code(4).says(&["another run is using"]);
    job.stop_with_savepoint();
    assert!(matches!(job.wait().unwrap(), JobEnd::Stopped { .. }));
    submitted("watch=20 ms").code(0).says(&["weir-example-inventory: goes on with its state, as job 1"]);

    // Nobody goes on with the folder but the cluster.
    let refused = application(folder.path(), 2).wait().unwrap_err().report();
    assert!(refused.contains("has moved: it is that of job 1 of "), "{refused}");
    submitted("watch=20 ms").code(2).says(&["has moved: it is that of job 1 of "]);

    feed(folder.path(), 1);
    until_shipped(&folder, 2 * ORDERS as usize);
    cluster.kill("w2");
    feed(folder.path(), 2);
    until_shipped(&folder, 3 * ORDERS as usize);
    cluster.weir(&["jobs", "stop", "weir-example-inventory"]).code(0);
    check(&folder, 3);
}

#[test]
fn state_that_a_job_cannot_go_on_with_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(1, 1);
    let state = folder.path().join("state").display().to_string();
    let script = |query: &str| {
        format!(
            "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '3', 'fields.n.kind' = 'sequence',
               'fields.n.start' = '1', 'fields.n.end' = '3');
             CREATE TABLE sums (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}/sums', 'format' = 'json');
             INSERT INTO sums {query};",
            folder.path().display()
        )
    };
    let (one, other) = (script("SELECT n FROM numbers"), script("SELECT n + 1 FROM numbers"));
    let submit =
        |script: &str| cluster.weir(&["submit", "-e", script, "--name", "sums", "--detach", "--move-state", &state]);
    submit(&one).code(2).says(&["there is no such folder"]);
    std::fs::create_dir(&state).unwrap();
    submit(&one).code(2).says(&["there is no checkpoint in it"]);
    crate::weir::weir(&["run", "-e", &one, "--state-dir", &state]).code(0);
    submit(&other).code(2).says(&["belongs to another job, or to this one before it was changed"]);
    submit(&one).code(2).says(&["the input of the job has ended"]);
    cluster.weir(&["jobs", "list", "--all"]).code(0).says(&["there are no jobs"]);
    crate::weir::weir(&["run", "-e", &one, "--state-dir", &state]).code(0);
}
