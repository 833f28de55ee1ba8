//! Settings of a job in a cluster change, and its state stays.

use super::processes::{Cluster, until};
use crate::sums::Sums;
use crate::weir::Ran;

const OFTEN: [&str; 2] = ["-D", "execution.checkpointing.interval=100ms"];

fn submit(cluster: &Cluster, script: &str, more: &[&str]) -> Ran {
    let settings = ["-D", "restart-strategy.type=none"];
    cluster.weir(&[&["submit", "-e", script, "--name", "sums", "--detach"][..], &settings, more].concat())
}

/// The advice of the error message, followed.
#[test]
fn a_job_that_failed_on_a_record_goes_on_with_another_error_policy() {
    let cluster = Cluster::start(1, 2);
    let sums = Sums::new(cluster.folder());
    sums.put("1.csv", "a,1,2026-01-01 00:00:00\na,2,2026-01-01 00:10:00\n");
    submit(&cluster, &sums.script("", ""), &OFTEN).code(0).says(&["sums: is submitted as job 1"]);
    cluster.until_job("sums", "has read the first file", |job| {
        job["figures"]["rows_in"] == 2 && job["last_checkpoint"]["epoch"].as_u64() > Some(2)
    });
    sums.put("2.csv", "a,three,2026-01-01 00:20:00\na,4,2026-01-01 00:30:00\n");
    let failed = until("the job fails", || {
        let job = cluster.json(&["jobs", "describe", "sums"]);
        (job["status"] == "failed").then_some(job)
    });
    assert!(failed["last_failure"]["report"].as_str().unwrap().contains("'error-policy' = 'skip'"), "{failed:#}");
    let same = submit(&cluster, &sums.script("", ""), &OFTEN).code(2);
    same.says(&["is failed", "`weir jobs restart 1` has it go on as it was", "with other settings"]);

    let tolerant = sums.script(", 'error-policy' = 'skip'", "");
    submit(&cluster, &tolerant, &OFTEN).code(0).says(&["sums: goes on with these settings, as job 1"]);
    sums.put("3.csv", "b,0,2026-01-01 02:00:00\n");
    until("the sum is out, with what was read before", || (sums.shown("out") == ["a,7"]).then_some(()));
    submit(&cluster, &tolerant, &OFTEN).code(0).says(&["sums: was submitted before, as job 1"]);
}

#[test]
fn a_running_job_gets_a_table_for_late_rows_and_another_interval_and_keeps_its_state() {
    let cluster = Cluster::start(1, 2);
    let sums = Sums::new(cluster.folder());
    sums.put("1.csv", "a,1,2026-01-01 05:00:00\n");
    submit(&cluster, &sums.script("", ""), &["-p", "2", OFTEN[0], OFTEN[1]]).code(0);
    cluster.until_job("sums", "has read the first file", |job| {
        job["figures"]["rows_in"] == 1 && job["last_checkpoint"]["epoch"].as_u64() > Some(2)
    });
    let (script, interval) = (sums.script("", &sums.late_table()), ["-D", "execution.checkpointing.interval=50ms"]);
    submit(&cluster, &script, &interval).code(0).says(&["goes on with these settings, as job 1"]);
    let job = cluster.until_job("sums", "runs with them", |job| {
        job["attempt"] == 2 && job["status"] == "running" && job["last_checkpoint"]["attempt"] == 2
    });
    assert_eq!((&job["settings"]["checkpoint_interval_ms"], &job["parallelism"]), (&50.into(), &2.into()), "{job:#}");
    assert_eq!(job["restarts"], 0, "it is no failure");
    // The hour of the first file is still open, with what was in it, and what is before it is late.
    sums.put("2.csv", "a,2,2026-01-01 05:30:00\nlate,1,2026-01-01 01:00:00\n");
    sums.put("3.csv", "b,0,2026-01-01 07:00:00\n");
    until("the sum is out", || (sums.shown("out") == ["a,3"]).then_some(()));
    until("the late row is out", || (sums.shown("late").len() == 1).then_some(()));
}

#[test]
fn where_results_go_cannot_change_and_the_refusal_says_so() {
    let cluster = Cluster::start(1, 1);
    let sums = Sums::new(cluster.folder());
    sums.put("1.csv", "a,1,2026-01-01 05:00:00\n");
    submit(&cluster, &sums.script("", ""), &OFTEN).code(0);
    cluster.until_checkpoint("sums");
    let refused = submit(&cluster, &sums.script_into("elsewhere", "", ""), &OFTEN).code(2);
    refused.says(&["another definition", "kept      o/sink/window-aggregate", "changed   o/sink", "stays where it is"]);
}
