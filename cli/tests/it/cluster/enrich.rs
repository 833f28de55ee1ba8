//! Orders that wait for a service of prices while workers are killed and the service goes away.

use std::path::Path;

use tempfile::TempDir;

use super::isolation::kill;
use super::processes::{Cluster, until};
use crate::isolated::children_of;
use crate::rust_jobs::{example, rows};

#[path = "../../../../jobs/examples/enrich/tests/service/mod.rs"]
mod service;

use service::Service;

/// Orders of these articles, numbered from `first`.
fn write(folder: &Path, name: &str, first: usize, articles: &[&str]) {
    let orders: String = (first..)
        .zip(articles)
        .map(|(id, article)| {
            format!("{{\"id\":{id},\"article\":\"{article}\",\"pieces\":1,\"at\":\"2026-01-01 00:00:{id:02}\"}}\n")
        })
        .collect();
    std::fs::write(folder.join(name), orders).unwrap();
    std::fs::rename(folder.join(name), folder.join("orders").join(format!("{name}.json"))).unwrap();
}

fn priced(folder: &TempDir) -> Vec<String> {
    rows(folder, "priced", &["id", "cents"])
}

fn unpriced(folder: &TempDir) -> Vec<String> {
    rows(folder, "unpriced", &["id", "reason", "attempts"])
}

#[test]
fn each_order_is_priced_once_though_workers_and_the_service_are_killed() {
    let mut cluster = Cluster::start(3, 1);
    cluster.start_worker("spare", 2);
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("orders")).unwrap();
    let articles = ["pen", "slow-boat", "unknown-thing", "slow-train", "shaky-chair", "slow-cart"];
    write(folder.path(), "first", 0, &articles);
    let file = example("enrich").display().to_string();
    let arguments = [format!("folder={}", folder.path().display()), format!("service={}", service.url())];
    let settings = ["watch=100 ms", "timeout-ms=60000", "retries=60"];
    let settings = arguments.iter().map(String::as_str).chain(settings).flat_map(|argument| ["--arg", argument]);
    let submit = ["submit", &file, "--parallelism", "3", "--detach", "-D", "execution.checkpointing.interval=100ms"];
    cluster.weir(&submit.into_iter().chain(settings).collect::<Vec<_>>()).code(0);
    let job = "weir-example-enrich";
    // Rows of the same checkpoint: some are out, and some wait.
    until("what has an answer is out", || (priced(&folder).len() == 2 && unpriced(&folder).len() == 1).then_some(()));
    for (worker, asked) in [("w1", 2), ("w2", 3)] {
        ["slow-boat", "slow-train", "slow-cart"].iter().for_each(|article| service.until_asked(article, asked - 1));
        cluster.until_checkpoint(job);
        cluster.kill(worker);
        ["slow-boat", "slow-train", "slow-cart"].iter().for_each(|article| service.until_asked(article, asked));
    }
    let address = service.address();
    drop(service);
    write(folder.path(), "second", 6, &["cup", "slow-coach"]);
    let service = Service::at(address);
    service.let_go();
    until("all orders have been answered", || (priced(&folder).len() >= 7).then_some(()));
    // And none comes again.
    cluster.weir(&["jobs", "stop", job]).code(0);
    let expected = ["0 30", "1 90", "3 100", "4 110", "5 90", "6 30", "7 100"];
    assert_eq!(priced(&folder), expected);
    assert_eq!(unpriced(&folder), ["2 \"there is no such article\" 1"]);
    assert_eq!(service.asked("pen"), 0, "it was answered before, by the other service");
}

#[test]
fn answers_wake_a_subtask_whose_plugin_runs_in_a_process_of_its_own_and_calls_are_made_again_when_that_is_killed() {
    let cluster = Cluster::start(1, 2);
    let worker = cluster.pid("w1");
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("orders")).unwrap();
    write(folder.path(), "first", 0, &["pen", "slow-boat", "unknown-thing", "slow-train"]);
    let file = example("enrich").display().to_string();
    let arguments = [format!("folder={}", folder.path().display()), format!("service={}", service.url())];
    let settings = ["watch=100 ms", "timeout-ms=60000", "retries=60"];
    let settings = arguments.iter().map(String::as_str).chain(settings).flat_map(|argument| ["--arg", argument]);
    let submit = ["submit", &file, "--isolation", "process", "--parallelism", "2", "--detach"];
    let interval = ["-D", "execution.checkpointing.interval=100ms"];
    cluster.weir(&submit.into_iter().chain(interval).chain(settings).collect::<Vec<_>>()).code(0);
    let job = "weir-example-enrich";
    until("what has an answer is out", || (priced(&folder).len() == 1 && unpriced(&folder).len() == 1).then_some(()));
    ["slow-boat", "slow-train"].iter().for_each(|article| service.until_asked(article, 1));
    cluster.until_checkpoint(job);
    children_of(worker).into_iter().for_each(kill);
    ["slow-boat", "slow-train"].iter().for_each(|article| service.until_asked(article, 2));
    service.let_go();
    until("all orders have been answered", || (priced(&folder).len() >= 3).then_some(()));
    cluster.weir(&["jobs", "stop", job]).code(0);
    assert_eq!(priced(&folder), ["0 30", "1 90", "3 100"]);
    assert_eq!(unpriced(&folder), ["2 \"there is no such article\" 1"]);
    assert_eq!(service.asked("pen"), 1);
    assert_eq!(cluster.pid("w1"), worker);
}
