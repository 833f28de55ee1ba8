//! Plugins in processes of their own: whatever ends such a process costs its job a restart, and nobody else anything.

use std::io::Write;

use rustix::process::{Pid, Signal, kill_process};

use super::processes::{Cluster, until};
use crate::isolated::children_of;
use crate::plugins::{Words, numbered};
use crate::rust_jobs::example;

/// Submits the plugin's job, which counts these words.
fn submit(cluster: &Cluster, name: &str, words: &Words, more: &[&str]) -> crate::weir::Ran {
    submit_file(cluster, &example("weir_test_plugin").display().to_string(), name, words, more)
}

fn submit_file(cluster: &Cluster, file: &str, name: &str, words: &Words, more: &[&str]) -> crate::weir::Ran {
    let fixed = ["submit", file, "--name", name, "--detach", "-D", "execution.checkpointing.interval=100ms"];
    let quick = ["-D", "restart-strategy.exponential-delay.initial-backoff=100ms", "--arg", "watch=50 ms"];
    let arguments = words.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cluster.weir(&[&fixed[..], &quick, &arguments, more].concat())
}

/// What a plugin does that ends its process, and what is told of it.
pub const ENDS: [(&str, &str); 4] = [
    ("abort", "signal 6 (SIGABRT"),
    ("segfault", "signal 11 (SIGSEGV: it used memory that is not its own)"),
    ("exit", "has ended: exit status: 3"),
    ("memory", "it has written at last: memory allocation of 1048576 bytes failed"),
];

/// SIGKILL of a process of a plugin.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    // It may have ended since it was found.
    let _ = kill_process(pid, Signal::KILL);
}

/// Whether a process of a plugin is still there.
fn is_there(child: &u32) -> bool {
    std::fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains("host-plugin"))
}

/// A job beside the others in the same worker, in whose process its plugin runs.
pub struct Neighbour {
    words: Words,
    said: usize,
    pub worker: u32,
}

impl Neighbour {
    pub fn new(cluster: &Cluster) -> Self {
        let words = Words::new();
        submit(cluster, "neighbour", &words, &[]).code(0);
        Self { words, said: 0, worker: cluster.pid("w1") }
    }

    /// Its worker is the same process, and it counts another word in the same attempt.
    pub fn goes_on(&mut self, cluster: &Cluster) {
        self.words.say(&format!("file-{}", self.said), &["word"]);
        self.said += 1;
        self.words.wait_for(self.said);
        assert_eq!(self.words.counted(), numbered(&vec!["word"; self.said]));
        let job = cluster.job("neighbour");
        assert_eq!((&job["attempt"], &job["status"]), (&1.into(), &"running".into()), "{job:#}");
        assert!(cluster.is_running("w1"));
    }
}

#[test]
fn what_ends_a_plugins_process_restarts_its_own_job_with_the_reason() {
    let cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    let cases: [(&str, &[&str]); 4] = [
        ("abort", &["Plugin(counts)", "signal 6 (SIGABRT"]),
        ("segfault", &["signal 11 (SIGSEGV: it used memory that is not its own)"]),
        ("exit", &["has ended: exit status: 3"]),
        ("memory", &["signal 6", "it has written at last: memory allocation of 1048576 bytes failed"]),
    ];
    for (fault, says) in cases {
        let words = Words::new();
        let (fault_argument, once) = (format!("fault={fault}"), format!("once={}", words.path("once").display()));
        let arguments = ["--parallelism", "2", "--isolation", "process", "-D", "plugin.memory-limit=256 mb"];
        let faults = ["--arg", &fault_argument, "--arg", &once];
        submit(&cluster, fault, &words, &[&arguments[..], &faults].concat()).code(0);
        cluster.until_checkpoint(fault);
        let mut said = vec!["a", "b", "a", "c"];
        words.say("first", &said);
        words.wait_for(said.len());
        let job = cluster.until_job(fault, "runs again", |job| job["status"] == "running");
        let report = job["last_failure"]["report"].as_str().unwrap();
        assert!(says.iter().all(|words| report.contains(words)), "{fault}: {report}");
        assert_eq!(job["restarts"], 1, "{job:#}");
        words.say("second", &["a", "d"]);
        said.extend(["a", "d"]);
        words.wait_for(said.len());
        assert_eq!(words.counted(), numbered(&said), "{fault}");
        neighbour.goes_on(&cluster);
        cluster.weir(&["jobs", "cancel", fault, "--wait"]).code(0);
    }
    until("no process of a plugin is left", || children_of(neighbour.worker).is_empty().then_some(()));
}

#[test]
fn a_panic_is_the_plugins_own_mistake_there_too() {
    let cluster = Cluster::start(1, 2);
    let mut neighbour = Neighbour::new(&cluster);
    let words = Words::new();
    words.say("first", &["a"]);
    // The job's own SQL may say where it runs.
    let arguments = ["--arg", "set=plugin.isolation:process", "--arg", "fault=panic"];
    submit(&cluster, "panics", &words, &arguments).code(0);
    let described = cluster.weir(&["jobs", "describe", "panics"]).code(0).out;
    assert!(described.contains("plugins run in processes of their own"), "{described}");
    let report = until("the job has failed", || {
        let job = cluster.job("panics");
        (job["status"] == "failed").then(|| job["last_failure"]["report"].as_str().unwrap().to_owned())
    });
    assert!(report.contains("the plugin panicked in `process`: a word too many"), "{report}");
    neighbour.goes_on(&cluster);
}

/// Submits a job whose plugin loops, and waits until it does. Returns its processes.
fn hanging(cluster: &Cluster, name: &str, words: &Words) -> Vec<u32> {
    let arguments = ["--parallelism", "8", "--isolation", "process", "--arg", "fault=loop"];
    submit(cluster, name, words, &arguments).code(0);
    hanging_children(cluster, 4)
}

/// The processes of plugins of the first worker, of which so many hang.
pub fn hanging_children(cluster: &Cluster, count: usize) -> Vec<u32> {
    // It takes a processor for longer than a process does that begins.
    let hangs = |child: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() > 60
    };
    until("processes hang", || {
        let children = children_of(cluster.pid("w1"));
        (children.iter().filter(|child| hangs(child)).count() >= count).then_some(children)
    })
}

#[test]
fn an_endless_loop_holds_up_nobody_and_ends_when_its_job_is_cancelled_or_its_worker_is_killed() {
    // More subtasks than threads that compute.
    let mut cluster = Cluster::start(1, 9);
    let mut neighbour = Neighbour::new(&cluster);
    let words = Words::new();
    words.say("first", &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]);
    hanging(&cluster, "first", &words);
    neighbour.goes_on(&cluster);
    cluster.weir(&["jobs", "cancel", "first", "--wait"]).code(0);
    until("the processes are gone", || children_of(neighbour.worker).is_empty().then_some(()));
    neighbour.goes_on(&cluster);
    // Who is in a loop does not see that its sockets are closed.
    let children = hanging(&cluster, "second", &words);
    cluster.kill("w1");
    until("the processes are gone", || (!children.iter().any(is_there)).then_some(()));
}

#[test]
fn killed_processes_cost_no_row_and_make_none_twice() {
    let mut cluster = Cluster::start(1, 3);
    let mut neighbour = Neighbour::new(&cluster);
    let words = Words::new();
    submit(&cluster, "counts", &words, &["--parallelism", "2", "--isolation", "process"]).code(0);
    let described = cluster.weir(&["jobs", "describe", "counts"]).code(0).out;
    assert!(described.contains("plugins run in processes of their own"), "{described}");
    let mut said = Vec::new();
    for (round, name) in ["first", "second", "third"].into_iter().enumerate() {
        let before = cluster.until_checkpoint("counts")["attempt"].as_u64();
        words.say(name, &["a", "b", "a", "c"]);
        said.extend(["a", "b", "a", "c"]);
        // With rows that are counted and not stored, or not.
        if round != 1 {
            words.wait_for(said.len());
        }
        kill(*children_of(neighbour.worker).first().unwrap());
        let job = cluster.until_job("counts", "runs again", |job| job["attempt"].as_u64() > before);
        let report = job["last_failure"]["report"].as_str().unwrap();
        assert!(report.contains("signal 9 (SIGKILL"), "{report}");
        words.wait_for(said.len());
    }
    assert_eq!(words.counted(), numbered(&said));
    neighbour.goes_on(&cluster);
    cluster.until_checkpoint("counts");
    // With the worker its children end too, and the job goes on in the next one.
    let children = children_of(neighbour.worker);
    assert!(!children.is_empty());
    cluster.kill("w1");
    until("the processes are gone", || (!children.iter().any(is_there)).then_some(()));
    cluster.start_worker("w1", 3);
    words.say("fourth", &["a", "d"]);
    said.extend(["a", "d"]);
    words.wait_for(said.len());
    assert_eq!(words.counted(), numbered(&said));
}

#[test]
fn isolation_stays_with_a_job_until_somebody_says_otherwise() {
    let cluster = Cluster::start(1, 2);
    let words = Words::new();
    let mut said = vec!["a", "b", "a"];
    words.say("first", &said);
    submit(&cluster, "counts", &words, &["--isolation", "process", "-D", "plugin.memory-limit=300 mb"]).code(0);
    words.wait_for(said.len());
    let worker = cluster.pid("w1");
    let isolation = || {
        let described = cluster.weir(&["jobs", "describe", "counts"]).code(0).out;
        described.lines().find(|line| line.starts_with("isolation")).map(str::to_owned)
    };
    assert!(
        isolation().unwrap().ends_with("plugins run in processes of their own, with 300 MiB each"),
        "{:?}",
        isolation()
    );
    cluster.weir(&["jobs", "rescale", "counts", "-p", "2"]).code(0);
    assert!(isolation().is_some());
    // Another version of the plugin.
    let next = words.path("next.so");
    std::fs::copy(example("weir_test_plugin"), &next).unwrap();
    std::fs::File::options().append(true).open(&next).unwrap().write_all(b"another version").unwrap();
    let next = next.display().to_string();
    submit_file(&cluster, &next, "counts", &words, &[]).code(0).says(&["goes on with these settings"]);
    words.say("second", &["a", "c"]);
    said.extend(["a", "c"]);
    words.wait_for(said.len());
    assert!(isolation().is_some());
    let before = cluster.until_checkpoint("counts")["attempt"].as_u64();
    assert!(!children_of(worker).is_empty());
    // The limit stays too if the other setting is said again.
    submit_file(&cluster, &next, "counts", &words, &["--isolation", "process"]).code(0).says(&["was submitted before"]);
    assert!(isolation().unwrap().ends_with("with 300 MiB each"), "{:?}", isolation());
    // In the worker is another way to run it, which goes on with the state.
    submit_file(&cluster, &next, "counts", &words, &["--isolation", "none"])
        .code(0)
        .says(&["goes on with these settings"]);
    cluster.until_job("counts", "runs anew", |job| job["attempt"].as_u64() > before);
    words.say("third", &["a", "c"]);
    said.extend(["a", "c"]);
    words.wait_for(said.len());
    assert_eq!((isolation(), children_of(worker)), (None, Vec::new()));
    assert_eq!(words.counted(), numbered(&said));
}

#[test]
fn state_that_is_larger_than_memory_is_evicted_and_found_again() {
    let cluster = Cluster::start(1, 2);
    let words = Words::new();
    let budget = ["--parallelism", "2", "--isolation", "process", "-D", "state.memory-budget=1 kb"];
    submit(&cluster, "counts", &words, &budget).code(0);
    let all: Vec<String> = (0..400).map(|number| format!("word-{number}")).collect();
    let mut said: Vec<&str> = Vec::new();
    for (round, name) in ["first", "second", "third"].into_iter().enumerate() {
        // Others each time, and some again.
        let some: Vec<&str> = all.iter().map(String::as_str).skip(100 * round).take(200).collect();
        words.say(name, &some[..60.min(some.len())]);
        said.extend(&some[..60]);
        words.wait_for(said.len());
        cluster.until_checkpoint("counts");
    }
    words.say("last", &["word-0", "word-1", "word-100"]);
    said.extend(["word-0", "word-1", "word-100"]);
    words.wait_for(said.len());
    assert_eq!(words.counted(), numbered(&said));
}

#[test]
fn a_job_in_one_process_has_its_plugins_isolated_too() {
    let plugin = example("weir_test_plugin").display().to_string();
    let declared = |name: &str| format!("CREATE FUNCTION {name} AS '{name}' USING ARTIFACT '{plugin}';\n");
    let run =
        |script: &str, more: &[&str]| crate::weir::weir(&[&["run", "-q", "-o", "csv", "-e", script], more].concat());
    let isolated = ["--isolation", "process"];
    let script = format!("{}SELECT or_zero(CAST(NULL AS BIGINT)) AS n;", declared("or_zero"));
    assert_eq!(run(&script, &isolated).code(0).out, "n\n0\n");
    let script = format!("{}SELECT fault('abort') AS f;", declared("fault"));
    run(&script, &isolated).code(4).says(&["has ended: signal 6 (SIGABRT"]);
    // What has no plugin has nothing to isolate.
    run("SELECT 1", &isolated).code(0);
    run("SELECT 1", &["-D", "plugin.memory-limit=1 gb"])
        .code(2)
        .says(&["plugins run in none of their own", "set 'plugin.isolation' = 'process' too"]);
    run("SELECT 1", &["--isolation", "thread"]).code(2).says(&["--isolation"]);
}

#[test]
fn a_call_that_does_not_return_ends_when_checkpoints_have_timed_out() {
    let cluster = Cluster::start(1, 2);
    let words = Words::new();
    let said = ["a", "b", "a", "c"];
    let once = format!("once={}", words.path("once").display());
    let limits = ["execution.checkpointing.timeout=2 s", "execution.checkpointing.tolerable-failed-checkpoints=0"];
    let arguments = ["--parallelism", "2", "--isolation", "process", "--arg", "fault=loop", "--arg", &once];
    submit(&cluster, "loops", &words, &[&arguments[..], &["-D", limits[0], "-D", limits[1]]].concat()).code(0);
    words.say("first", &said);
    words.wait_for(said.len());
    let job = cluster.until_job("loops", "runs again", |job| job["status"] == "running");
    let report = job["last_failure"]["report"].as_str().unwrap();
    assert!(job["restarts"] == 1 && report.contains("checkpoint"), "{job:#}");
    assert_eq!(words.counted(), numbered(&said));
}
