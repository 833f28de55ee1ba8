//! Functions of plugins in processes of their own: whatever ends such a process costs its job a restart, and nobody else anything.

use std::collections::BTreeMap;

use super::isolation::{ENDS, Neighbour, hanging_children, kill};
use super::processes::{Cluster, until};
use crate::isolated::children_of;
use crate::plugins::Words;
use crate::rust_jobs::example;

/// What is selected, as rows of a word and a number. `{once}` is a file that is there when something has gone wrong.
const SCALAR: &str = "SELECT risky(word, '{once}'), CHAR_LENGTH(word) FROM words";
const AGGREGATE: &str =
    "SELECT word, letters(word, '{once}') FROM TABLE(TUMBLE(TABLE words, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
     GROUP BY window_start, window_end, word";

/// Submits a job that calls functions for words.
fn submit(cluster: &Cluster, name: &str, words: &Words, select: &str, more: &[&str]) -> crate::weir::Ran {
    let plugin = example("weir_test_plugin").display().to_string();
    let declared = |function: &str| format!("CREATE FUNCTION {function} AS '{function}' USING ARTIFACT '{plugin}';\n");
    let script = format!(
        "{}{}CREATE TABLE words (word STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '50 ms');
         CREATE TABLE told (word STRING, n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         INSERT INTO told {};",
        declared("risky"),
        declared("letters"),
        words.path("in").display(),
        words.path("out").display(),
        select.replace("{once}", &words.path("once").display().to_string()),
    );
    let file = words.path("job.sql");
    std::fs::write(&file, script).unwrap();
    let file = file.display().to_string();
    let fixed = ["submit", &file, "--name", name, "--detach", "-D", "execution.checkpointing.interval=100ms"];
    let quick = ["-D", "restart-strategy.exponential-delay.initial-backoff=100ms", "--isolation", "process"];
    cluster.weir(&[&fixed[..], &quick, &["--parallelism", "2"], more].concat())
}

/// What the scalar function makes of words.
fn shouted(words: &[&str]) -> Vec<(String, i64)> {
    let mut rows: Vec<_> = words.iter().map(|word| (format!("{word}!"), i64::try_from(word.len()).unwrap())).collect();
    rows.sort();
    rows
}

/// Says words in a minute, and the next one has begun.
fn say(words: &Words, minute: usize, said: &[&str]) {
    let lines: String = said.iter().map(|word| format!("{word},2026-01-01 00:{minute:02}:30\n")).collect();
    let file = words.path("next");
    std::fs::write(&file, format!("{lines}end,2026-01-01 00:{:02}:10\n", minute + 1)).unwrap();
    std::fs::rename(file, words.path("in").join(format!("minute-{minute}.csv"))).unwrap();
}

/// The letters of each word in each minute that is over.
fn letters(minutes: &[&[&str]]) -> Vec<(String, i64)> {
    let mut rows = Vec::new();
    for (number, said) in minutes.iter().enumerate() {
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        // What ends the minute before.
        let before = (number > 0).then_some("end");
        for word in said.iter().copied().chain(before) {
            *totals.entry(word).or_default() += i64::try_from(word.len()).unwrap();
        }
        rows.extend(totals.into_iter().map(|(word, total)| (word.to_owned(), total)));
    }
    rows.sort();
    rows
}

#[test]
fn what_ends_the_process_of_a_function_restarts_its_own_job_with_the_reason() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    for (fault, says) in ENDS {
        let words = Words::new();
        submit(&cluster, fault, &words, SCALAR, &["-D", "plugin.memory-limit=256 mb"]).code(0);
        cluster.until_checkpoint(fault);
        let mut said = vec!["a", "b"];
        words.say("first", &said);
        words.wait_for(said.len());
        words.say("second", &["c", fault, "d"]);
        said.extend(["c", fault, "d"]);
        words.wait_for(said.len());
        let job = cluster.until_job(fault, "runs again", |job| job["status"] == "running");
        let report = job["last_failure"]["report"].as_str().unwrap();
        assert!(report.contains(says) && report.contains("Calc"), "{fault}: {report}");
        assert_eq!(job["restarts"], 1, "{job:#}");
        words.say("third", &["e"]);
        said.push("e");
        words.wait_for(said.len());
        assert_eq!(words.counted(), shouted(&said), "{fault}");
        neighbour.goes_on(&cluster);
        cluster.weir(&["jobs", "cancel", fault, "--wait"]).code(0);
    }
    until("no process of a plugin is left", || children_of(neighbour.worker).is_empty().then_some(()));
}

#[test]
fn what_ends_the_process_of_an_aggregate_restarts_its_own_job_with_the_reason() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    for (fault, says) in ENDS {
        let words = Words::new();
        submit(&cluster, fault, &words, AGGREGATE, &["-D", "plugin.memory-limit=256 mb"]).code(0);
        cluster.until_checkpoint(fault);
        let minutes: [&[&str]; 3] = [&["a", "bb", "a"], &["a", fault, "ccc"], &["bb", "ccc", "bb"]];
        say(&words, 0, minutes[0]);
        words.wait_for(letters(&minutes[..1]).len());
        assert_eq!(children_of(neighbour.worker).len(), 2, "each subtask has one");
        say(&words, 1, minutes[1]);
        words.wait_for(letters(&minutes[..2]).len());
        let job = cluster.until_job(fault, "runs again", |job| job["status"] == "running");
        let report = job["last_failure"]["report"].as_str().unwrap();
        assert!(report.contains(says), "{fault}: {report}");
        assert_eq!(job["restarts"], 1, "{job:#}");
        say(&words, 2, minutes[2]);
        words.wait_for(letters(&minutes).len());
        assert_eq!(words.counted(), letters(&minutes), "{fault}");
        neighbour.goes_on(&cluster);
        cluster.weir(&["jobs", "cancel", fault, "--wait"]).code(0);
    }
    until("no process of a plugin is left", || children_of(neighbour.worker).is_empty().then_some(()));
}

#[test]
fn groups_of_an_aggregate_go_on_with_other_subtasks() {
    let cluster = Cluster::start(1, 3);
    let worker = cluster.pid("w1");
    let words = Words::new();
    submit(&cluster, "moved", &words, AGGREGATE, &[]).code(0);
    cluster.until_checkpoint("moved");
    let (over, open, behind) =
        (["a", "bb", "a"], ["a", "bb", "ccc", "dddd", "eeeee", "a"], ["a", "dddd", "another"].as_slice());
    // What is shown of the first minute shows that the rows of the next one were read, too.
    let in_minute = |minute: usize, said: &[&str]| -> String {
        said.iter().map(|word| format!("{word},2026-01-01 00:{minute:02}:10\n")).collect()
    };
    let file = words.path("next");
    std::fs::write(&file, [in_minute(0, &over), in_minute(1, &["end"]), in_minute(1, &open)].concat()).unwrap();
    std::fs::rename(file, words.path("in").join("first.csv")).unwrap();
    words.wait_for(letters(&[&over]).len());
    for (parallelism, minute) in [("3", 1), ("1", 2)] {
        cluster.weir(&["jobs", "rescale", "moved", "-p", parallelism]).code(0);
        let runs_anew = |job: &serde_json::Value| job["status"] == "running" && job["attempt"] == minute + 1;
        cluster.until_job("moved", "runs with as many subtasks as it was told", runs_anew);
        say(&words, minute, behind);
        let minutes = [&over[..], &[&open[..], behind].concat(), behind];
        words.wait_for(letters(&minutes[..=minute]).len());
        assert_eq!(words.counted(), letters(&minutes[..=minute]));
        assert_eq!(children_of(worker).len().to_string(), parallelism, "each subtask has one");
    }
}

#[test]
fn a_panic_of_a_function_is_the_plugins_own_mistake_there_too() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    for (name, select, function) in [("scalar", SCALAR, "risky"), ("aggregate", AGGREGATE, "letters")] {
        let words = Words::new();
        say(&words, 0, &["a", "panic"]);
        submit(&cluster, name, &words, select, &[]).code(0);
        let report = until("the job has failed", || {
            let job = cluster.job(name);
            (job["status"] == "failed").then(|| job["last_failure"]["report"].as_str().unwrap().to_owned())
        });
        let says = format!("the plugin panicked in the function '{function}': a word too many");
        assert!(report.contains(&says), "{report}");
        neighbour.goes_on(&cluster);
    }
}

#[test]
fn a_function_that_does_not_return_ends_when_checkpoints_have_timed_out_or_its_job_is_cancelled() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    let limits = ["execution.checkpointing.timeout=5 s", "execution.checkpointing.tolerable-failed-checkpoints=0"];
    for (name, select) in [("scalar", SCALAR), ("aggregate", AGGREGATE)] {
        let words = Words::new();
        submit(&cluster, name, &words, select, &["-D", limits[0], "-D", limits[1]]).code(0);
        cluster.until_checkpoint(name);
        let said = ["a", "loop", "bb"];
        say(&words, 0, &said);
        hanging_children(&cluster, 1);
        neighbour.goes_on(&cluster);
        let expected = match name {
            "scalar" => shouted(&["a", "loop", "bb", "end"]),
            _ => letters(&[&said]),
        };
        words.wait_for(expected.len());
        assert_eq!(words.counted(), expected);
        let job = cluster.until_job(name, "runs again", |job| job["status"] == "running");
        let report = job["last_failure"]["report"].as_str().unwrap();
        assert!(job["restarts"] == 1 && report.contains("checkpoint"), "{job:#}");
        cluster.weir(&["jobs", "cancel", name, "--wait"]).code(0);
    }
    let words = Words::new();
    submit(&cluster, "hangs", &words, SCALAR, &[]).code(0);
    words.say("first", &["loop"]);
    hanging_children(&cluster, 1);
    cluster.weir(&["jobs", "cancel", "hangs", "--wait"]).code(0);
    until("the processes are gone", || children_of(neighbour.worker).is_empty().then_some(()));
    neighbour.goes_on(&cluster);
}

#[test]
fn a_function_that_is_never_found_holds_up_its_own_job_until_that_is_cancelled() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    let plugin = example("weir_test_plugin").display().to_string();
    let script = format!(
        "CREATE FUNCTION lost AS 'lost' USING ARTIFACT '{plugin}';
         CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1');
         CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO nowhere SELECT lost() FROM numbers;"
    );
    cluster.weir(&["submit", "--name", "lost", "--detach", "--isolation", "process", "-e", &script]).code(0);
    hanging_children(&cluster, 1);
    neighbour.goes_on(&cluster);
    cluster.weir(&["jobs", "cancel", "lost", "--wait"]).code(0);
    until("the processes are gone", || children_of(neighbour.worker).is_empty().then_some(()));
    neighbour.goes_on(&cluster);
}

#[test]
fn killed_processes_of_functions_cost_no_row_and_make_none_twice() {
    let cluster = Cluster::start(1, 5);
    let mut neighbour = Neighbour::new(&cluster);
    let (scalar, aggregate) = (Words::new(), Words::new());
    submit(&cluster, "scalar", &scalar, SCALAR, &[]).code(0);
    submit(&cluster, "aggregate", &aggregate, AGGREGATE, &[]).code(0);
    let minutes: [&[&str]; 4] =
        [&["a", "bb", "a", "ccc"], &["a", "dddd"], &["bb", "ccc", "bb", "eeeee"], &["a", "bb", "ccc", "dddd"]];
    for (number, said) in minutes.into_iter().enumerate() {
        ["scalar", "aggregate"].iter().for_each(|name| drop(cluster.until_checkpoint(name)));
        [&scalar, &aggregate].iter().for_each(|words| say(words, number, said));
        // With rows that are added up and not stored, or not.
        if number % 2 == 0 {
            aggregate.wait_for(letters(&minutes[..=number]).len());
        }
        children_of(neighbour.worker).into_iter().for_each(kill);
    }
    // It is noticed with the next call.
    [&scalar, &aggregate].iter().for_each(|words| say(words, minutes.len(), &["the", "end"]));
    let minutes = [&minutes[..], &[&["the", "end"]]].concat();
    let told: Vec<&str> = minutes.iter().flat_map(|said| said.iter().copied().chain(["end"])).collect();
    scalar.wait_for(told.len());
    aggregate.wait_for(letters(&minutes).len());
    assert_eq!(scalar.counted(), shouted(&told));
    assert_eq!(aggregate.counted(), letters(&minutes));
    for name in ["scalar", "aggregate"] {
        let job = cluster.job(name);
        assert!(job["restarts"].as_u64().unwrap() >= 2, "{job:#}");
        assert!(job["last_failure"]["report"].as_str().unwrap().contains("signal 9 (SIGKILL"), "{job:#}");
    }
    neighbour.goes_on(&cluster);
}
