//! Functions of plugins that the scripts of a cluster share.

use super::plugins::artifacts;
use super::processes::{Cluster, until};
use crate::functions::{declared, next_version};
use crate::plugins::Words;
use crate::rust_jobs::example;

/// The words that came out, each as often as it did.
fn shouted(words: &Words) -> Vec<String> {
    words.counted().into_iter().map(|(word, _)| word).collect()
}

#[test]
fn a_function_is_declared_once_and_called_on_all_workers_though_one_is_lost() {
    let mut cluster = Cluster::start(3, 1);
    cluster.start_worker("spare", 1);
    let words = Words::new();
    let plugin = example("weir_test_plugin");
    let sql = |cluster: &Cluster, text: &str| cluster.weir(&["sql", "--cluster", "-q", "-o", "csv", "-e", text]);
    let tables = format!(
        "CREATE TABLE words (word STRING, ts TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
           'source.monitor-interval' = '100 ms');
         CREATE TABLE shouted (word STRING, n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');",
        words.path("in").display(),
        words.path("out").display()
    );
    sql(&cluster, &format!("{}{tables}", declared("shout", &plugin))).code(0).says(&["created function shout"]);
    assert_eq!(artifacts(&cluster).len(), 1);
    assert_eq!(
        sql(&cluster, "SHOW FUNCTIONS LIKE 'shout'; SELECT shout('a') AS s;").code(0).out,
        "function name\nshout\ns\na!\n"
    );
    let shown = cluster.weir(&["catalog", "show", "shout"]).code(0).out;
    assert!(
        shown.starts_with("CREATE FUNCTION shout(`a` STRING NOT NULL) RETURNS STRING NOT NULL AS 'shout'"),
        "{shown}"
    );

    let insert = "INSERT INTO shouted SELECT shout(word), CHAR_LENGTH(shout(word)) FROM words";
    let submit = ["submit", "--name", "shouting", "--parallelism", "3", "--detach", "-e", insert];
    let submit = [&submit[..], &["-D", "execution.checkpointing.interval=100ms"]].concat();
    words.say("first", &["a", "b"]);
    cluster.weir(&submit).code(0);
    words.wait_for(2);
    cluster.until_checkpoint("shouting");
    cluster.kill("w2");
    words.say("second", &["a", "c"]);
    words.wait_for(4);
    assert_eq!(shouted(&words), ["a!", "a!", "b!", "c!"]);

    // Another version is another content of the plugin; the job has it when it is submitted again.
    let next = next_version(&plugin, &words.path("."));
    let replaced = declared("shout", &next).replace("CREATE", "CREATE OR REPLACE");
    sql(&cluster, &replaced).code(0).says(&["replaced function shout"]);
    assert_eq!(artifacts(&cluster).len(), 2, "the job runs with the one, and scripts call the other");
    cluster.weir(&submit).code(0).says(&["goes on with these settings"]);
    words.say("third", &["d"]);
    words.wait_for(5);

    sql(&cluster, "DROP FUNCTION shout").code(0).says(&["dropped function shout"]);
    until("the first version is gone, which nothing needs", || (artifacts(&cluster).len() == 1).then_some(()));
    sql(&cluster, "SELECT shout('a') AS s").code(2).says(&["there is no function `shout`"]);
    cluster.weir(&["jobs", "cancel", "shouting", "--wait"]).code(0);
    cluster.weir(&["jobs", "delete", "shouting", "--discard-results"]).code(0);
    until("nothing needs it", || artifacts(&cluster).is_empty().then_some(()));
}

#[test]
fn a_function_of_a_session_is_sent_with_its_jobs_and_leaves_nothing_behind() {
    let cluster = Cluster::start(1, 3);
    let temporary = declared("shout", &example("weir_test_plugin")).replace("CREATE", "CREATE TEMPORARY");
    let script = format!(
        "{temporary}SHOW FUNCTIONS LIKE 'shout'; SELECT shout('a') AS s;
         CREATE TEMPORARY FUNCTION loud(s STRING) RETURN UPPER(shout(s)); SELECT loud('b') AS s;
         DROP TEMPORARY FUNCTION shout; SHOW FUNCTIONS LIKE 'shout';"
    );
    let sql = |text: &str| cluster.weir(&["sql", "--cluster", "-q", "-o", "csv", "-e", text]);
    assert_eq!(sql(&script).code(0).out, "function name\nshout\ns\na!\ns\nB!\nfunction name\n");
    assert_eq!(cluster.weir(&["catalog", "list", "--json"]).code(0).out.trim(), "[]");
    until("nothing needs the plugin", || artifacts(&cluster).is_empty().then_some(()));
    // What is put there once more behind a query that has ended stays for ever.
    assert_eq!(sql(&format!("{temporary}SELECT shout('c') AS s;")).code(0).out, "s\nc!\n");
    until("nothing needs the plugin", || artifacts(&cluster).is_empty().then_some(()));
    sql(&format!("{temporary}SELECT shout(1) AS s;")).code(2).says(&["expected `shout(a STRING NOT NULL)"]);
}

#[test]
fn a_function_that_fails_fails_its_own_job_with_the_reason() {
    let cluster = Cluster::start(1, 3);
    let script = format!(
        "{}CREATE TABLE nowhere (s STRING) WITH ('connector' = 'blackhole');
         CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen');
         INSERT INTO nowhere SELECT fault(CASE WHEN n IS NULL THEN 'loop' ELSE 'panic' END) FROM numbers",
        declared("fault", &example("weir_test_plugin"))
    );
    cluster.weir(&["submit", "--name", "failing", "--detach", "-e", &script]).code(0);
    let report = until("the job has failed", || {
        let job = cluster.job("failing");
        (job["status"] == "failed").then(|| job["last_failure"]["report"].as_str().unwrap().to_owned())
    });
    assert!(report.contains("the plugin panicked in the function 'fault': a word too many"), "{report}");
}
