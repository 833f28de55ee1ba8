//! `weir local`: a whole cluster in one process.

use super::nexmark::Bids;
use super::processes::Cluster;

#[test]
fn a_local_cluster_runs_a_job_to_its_end() {
    let mut cluster = Cluster::local(4);
    let bids = Bids { seconds: 3 };
    bids.submit(&cluster, "counts", 2);
    let status = cluster.json(&["cluster", "status"]);
    assert_eq!(status["coordinators"][0]["address"], cluster.coordinator(), "the port that it was given, not 0");
    let jobs = cluster.json(&["jobs", "list"]);
    assert_eq!((&jobs[0]["name"], &jobs[0]["parallelism"]), (&"counts".into(), &2.into()));
    assert!(cluster.weir(&["jobs", "list"]).code(0).out.contains("default/counts"));

    // The same once more is no second job.
    bids.submit(&cluster, "counts", 2);
    assert_eq!(cluster.json(&["jobs", "list", "--all"]).as_array().unwrap().len(), 1);

    let job = cluster.until_finished("counts");
    assert_eq!((&job["attempt"], &job["last_checkpoint"]["finished"]), (&1.into(), &true.into()));
    assert_eq!(job["last_checkpoint"]["committed"], true);
    bids.assert_result(&cluster, "counts");
    cluster.weir(&["jobs", "list"]).code(0).says(&["no job runs"]);

    cluster.weir(&["jobs", "delete", "counts"]).code(0).says(&["counts: deleted"]);
    cluster.weir(&["jobs", "describe", "counts"]).code(2).says(&["there is no job"]);
    cluster.weir(&["jobs", "list", "--all"]).code(0).says(&["there are no jobs"]);
    assert_eq!(cluster.terminate("local").code(), Some(0));
}

#[test]
fn the_same_submission_is_said_to_be_there() {
    let cluster = Cluster::local(1);
    let script = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen');
                  CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
                  INSERT INTO nowhere SELECT n FROM numbers";
    let submit = ["submit", "-e", script, "--name", "endless", "--detach"];
    let first = cluster.weir(&submit).code(0).says(&["is submitted as job 1"]).out;
    assert_eq!(cluster.weir(&submit).code(0).says(&["was submitted before, as job 1"]).out, first);
    let other = script.replace("SELECT n", "SELECT n + 1");
    cluster.weir(&["submit", "-e", &other, "--name", "endless", "--detach"]).code(2).says(&[
        "has the name endless already",
        "choose another name",
        "a changed query cannot take over state",
    ]);
    cluster.weir(&["jobs", "delete", "endless"]).code(2);
    cluster.weir(&["jobs", "cancel", "endless", "--wait"]).code(0).says(&["endless: cancelled"]);
    cluster
        .weir(&["submit", "-e", &other, "--name", "endless", "--detach"])
        .code(2)
        .says(&["already, and is cancelled", "a changed query cannot take over state"]);
    cluster.weir(&["jobs", "delete", "endless"]).code(0);
}
