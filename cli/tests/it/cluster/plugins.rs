//! Jobs of plugins in a cluster.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::access::audit;
use super::processes::{Cluster, until};
use crate::plugins::{Words, numbered};
use crate::rust_jobs::example;

/// The arguments of `weir submit` for the plugin's job.
fn submit(file: &Path, words: &Words, more: &[&str]) -> Vec<String> {
    let file = file.display().to_string();
    let first = ["submit", &file, "--parallelism", "3", "--detach", "-D", "execution.checkpointing.interval=100ms"];
    let first = first.into_iter().map(str::to_owned).chain(words.arguments());
    first.chain(more.iter().map(|argument| (*argument).to_owned())).collect()
}

fn weir(cluster: &Cluster, arguments: &[String]) -> crate::weir::Ran {
    cluster.weir(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Files of plugins in the cluster's storage.
pub fn artifacts(cluster: &Cluster) -> Vec<PathBuf> {
    fn below(folder: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                below(entry, found);
            } else if entry.parent().is_some_and(|folder| folder.ends_with("artifacts")) {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    below(cluster.folder().to_owned(), &mut found);
    found
}

#[test]
fn a_plugin_is_uploaded_runs_on_three_workers_and_survives_the_loss_of_one() {
    let mut cluster = Cluster::start(3, 1);
    cluster.start_worker("spare", 1);
    let words = Words::new();
    let mut said = vec!["a", "b", "a", "c", "a word that is longer than others"];
    let file = example("weir_test_plugin");
    words.say("first", &said);
    weir(&cluster, &submit(&file, &words, &["--arg", "watch=100 ms"])).code(0);
    words.wait_for(said.len());
    let [first] = &artifacts(&cluster)[..] else { panic!("{:?}", artifacts(&cluster)) };
    let hash = first.file_name().unwrap().to_str().unwrap().to_owned();
    let described = cluster.weir(&["jobs", "describe", "counted-words"]).code(0).out;
    assert!(
        described.contains(&format!("weir-test-plugin {}, SHA-256 {hash}", env!("CARGO_PKG_VERSION"))),
        "{described}"
    );
    cluster.until_checkpoint("counted-words");
    cluster.kill("w2");
    words.say("second", &["a", "d", "b"]);
    said.extend(["a", "d", "b"]);
    words.wait_for(said.len());
    assert_eq!(words.counted(), numbered(&said));

    // Another content is another version, which goes on with the state.
    let next = words.path("next.so");
    std::fs::copy(&file, &next).unwrap();
    std::fs::File::options().append(true).open(&next).unwrap().write_all(b"another version").unwrap();
    weir(&cluster, &submit(&next, &words, &["--arg", "watch=100 ms"])).code(0).says(&["goes on with these settings"]);
    words.say("third", &["a", "d"]);
    said.extend(["a", "d"]);
    words.wait_for(said.len());
    assert_eq!(words.counted(), numbered(&said));

    // Another job needs it too, so it stays until the last is gone.
    let other = Words::new();
    weir(&cluster, &submit(&next, &other, &["--arg", "watch=100 ms", "--name", "other"])).code(0);
    // Each of the two came in many pieces, of which the first and the last are written down.
    let mut lines = audit(&cluster, 1);
    lines.retain(|line| line["what"] == "put-artifact" && line["result"] == "ok");
    let brought: Vec<_> = lines.iter().map(|line| line["on"].as_str().unwrap()).collect();
    let [a, b, c, d] = brought[..] else { panic!("{lines:#?}") };
    assert!(a == hash && b == hash && c == d && c != hash, "{lines:#?}");
    for (job, left) in [("counted-words", 1), ("other", 0)] {
        cluster.weir(&["jobs", "cancel", job, "--wait"]).code(0);
        cluster.weir(&["jobs", "delete", job, "--discard-results"]).code(0);
        until(&format!("{left} files are left behind {job}"), || (artifacts(&cluster).len() == left).then_some(()));
    }
}

#[test]
fn a_plugin_that_fails_fails_its_own_job_with_the_reason() {
    let cluster = Cluster::start(1, 3);
    let words = Words::new();
    words.say("first", &["a"]);
    let file = example("weir_test_plugin");
    weir(&cluster, &submit(&file, &words, &["--arg", "fault=segfault", "--arg", "where=plan"]))
        .code(2)
        .says(&["crashed while it described its job: signal 11"]);
    let more = ["--arg", "fault=panic"];
    weir(&cluster, &submit(&file, &words, &more)).code(0);
    let report = until("the job has failed", || {
        let job = cluster.job("counted-words");
        (job["status"] == "failed").then(|| job["last_failure"]["report"].as_str().unwrap().to_owned())
    });
    assert!(report.contains("the plugin panicked in `process`: a word too many"), "{report}");
}
