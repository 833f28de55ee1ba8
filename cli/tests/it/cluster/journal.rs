//! A job with a source and a sink of its own on three workers, of which two are killed.

use super::processes::{Cluster, until};
use crate::own_tables::log::LogServer;
use crate::own_tables::{bookings, check, journal};
use crate::rust_jobs::example;

#[test]
fn a_job_with_a_source_and_a_sink_of_its_own_loses_workers_and_no_row() {
    loses_no_row(&[]);
}

#[test]
fn it_loses_none_either_where_they_are_isolated() {
    loses_no_row(&["--isolation", "process"]);
}

fn loses_no_row(more: &[&str]) {
    const SHARDS: usize = 5;
    let mut cluster = Cluster::start(3, 1);
    cluster.start_worker("spare", 2);
    let (server, folder) = (LogServer::start(SHARDS), tempfile::tempdir().unwrap());
    let file = example("journal").display().to_string();
    let arguments = [format!("folder={}", folder.path().display()), format!("server={}", server.address())];
    let arguments = arguments.iter().flat_map(|argument| ["--arg", argument]);
    let submit = ["submit", &file, "--parallelism", "3", "--detach", "-D", "execution.checkpointing.interval=100ms"];
    cluster.weir(&submit.into_iter().chain(arguments).chain(more.iter().copied()).collect::<Vec<_>>()).code(0);
    let job = "weir-example-journal";
    for (round, worker) in ["w1", "w2", ""].into_iter().enumerate() {
        (0..SHARDS).for_each(|shard| server.add(shard, bookings(shard, round)));
        let before = journal(folder.path()).len();
        until("rows come out", || (journal(folder.path()).len() > before).then_some(()));
        if !worker.is_empty() {
            cluster.kill(worker);
        }
    }
    let whole = SHARDS * 3 * 30;
    until("all is in the journal", || (journal(folder.path()).len() >= whole).then_some(()));
    // What the workers say of the sink is asked of its own code.
    let audit = cluster.json(&["sinks", "audit", job]);
    let sink = &audit["sinks"][0];
    assert_eq!((sink["table"].as_str(), sink["verdict"].as_str()), (Some("journal"), Some("agrees")), "{audit:#}");
    cluster.weir(&["jobs", "stop", job]).code(0);
    check(folder.path(), SHARDS, 3);
}
