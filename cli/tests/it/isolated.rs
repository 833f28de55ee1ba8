//! Operators, functions, sources and sinks in processes of their own do what they do in this one; and the processes themselves.

#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rustix::process::{Pid, Signal, kill_process};
use weir_core::plugin::{Artifact, ArtifactHash, OperatorRequest, Plugin};
use weir_core::{Collector, Error, EventTime, Operator, Result};
use weir_worker::isolated::{Children, IsolatedPlugin};

use crate::cluster::isolation::kill;
use crate::rust_jobs::example;

mod asked;
mod beside;
#[path = "../../../jobs/test-plugin/src/columns.rs"]
mod columns;
#[path = "../../../jobs/test-plugin/tests/it/functions.rs"]
mod functions;
#[path = "../../../jobs/test-plugin/tests/it/operators.rs"]
mod operators;
#[path = "../../../jobs/test-plugin/tests/it/tables.rs"]
mod tables;

use columns::{count_input, count_output, table_columns};
use operators::{count, request};

/// The plugin for tests, whose children belong to this job.
fn plugin_of(children: &Arc<Children>) -> IsolatedPlugin {
    let hash = ArtifactHash::from_bytes([7; 32]);
    let artifact = Artifact { hash, name: "test".into(), version: "1".into(), folder: None };
    let plugin = IsolatedPlugin::new(&artifact, &example("weir_test_plugin"), None, children.clone());
    plugin.in_program(env!("CARGO_BIN_EXE_weir").as_ref())
}

fn plugin() -> IsolatedPlugin {
    plugin_of(&Arc::default())
}

fn schema(fields: &[(&str, DataType, bool)]) -> SchemaRef {
    let field = |(name, data_type, nullable): &(&str, DataType, bool)| Field::new(*name, data_type.clone(), *nullable);
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}

/// The processes of plugins that a process has started.
pub fn children_of(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_child = |process: &u32| {
        // One that has just ended says nothing.
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let parent_is = read("status").lines().any(|line| line == format!("PPid:\t{parent}"));
        parent_is && read("cmdline").contains("host-plugin")
    };
    processes.filter(is_child).collect()
}

/// The children that this thread's test has started: of a name that no other test has.
fn children() -> Vec<u32> {
    children_of(std::process::id())
}

fn process(operator: &mut dyn Operator, words: &[Option<&str>]) -> Result<Collector, Error> {
    let mut out = Collector::new(0);
    operator.process(0, operators::words(words), &mut out).map(|()| out)
}

/// What is found within half a minute.
fn wait_for<T>(mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(found) = find() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    wait_for(|| is_so().then_some(())).unwrap_or_else(|| panic!("waited in vain until {what}"));
}

/// The process in which this operator runs, by what it has open: no other test has that file.
fn process_with(file: &std::path::Path) -> Vec<u32> {
    let file = file.to_str().unwrap().to_owned();
    let has_it =
        |process: &u32| fs::read_to_string(format!("/proc/{process}/maps")).is_ok_and(|maps| maps.contains(&file));
    children().into_iter().filter(has_it).collect()
}

/// A plugin in a file of its own.
fn own_plugin(
    folder: &tempfile::TempDir,
    limit: Option<u64>,
    children: &Arc<Children>,
) -> (IsolatedPlugin, std::path::PathBuf) {
    let file = folder.path().canonicalize().unwrap().join("plugin.so");
    fs::copy(example("weir_test_plugin"), &file).unwrap();
    let artifact =
        Artifact { hash: ArtifactHash::from_bytes([7; 32]), name: "own".into(), version: "1".into(), folder: None };
    let plugin = IsolatedPlugin::new(&artifact, &file, limit, children.clone());
    (plugin.in_program(env!("CARGO_BIN_EXE_weir").as_ref()), file)
}

#[test]
fn a_child_serves_one_operator_after_the_other_and_ends_with_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let first = count(&plugin, "");
    let mut pids = process_with(&file);
    assert_eq!(pids.len(), 1);
    drop(first);
    let mut second = count(&plugin, "");
    assert_eq!(process_with(&file), pids);
    // What was captured of it is in the child.
    process(&mut *second, &[Some("a")]).unwrap();
    let captured = second.capture().unwrap().pop().unwrap();
    drop(second);
    let third = count(&plugin, "");
    assert_eq!(process_with(&file).len(), 2);
    assert_eq!((captured.rows)().unwrap()[0].rows.num_rows(), 1);
    drop((third, plugin));
    pids = process_with(&file);
    assert!(pids.is_empty(), "{pids:?}");
}

#[test]
fn a_child_has_nothing_of_its_parent_but_its_streams() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let _open = fs::File::open(&file).unwrap();
    let _operator = count(&plugin, "");
    let pid = process_with(&file)[0];
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let names = environment.split(|byte| *byte == 0).filter_map(|line| str::from_utf8(line).ok()?.split('=').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.contains(&"PATH") && names.iter().all(|name| !name.contains("CARGO")), "{names:?}");
    let open =
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
    let open: Vec<String> = open.map(|path| path.display().to_string()).collect();
    // Two sockets, standard error also as standard output, and an empty standard input.
    let count = |what: &str| open.iter().filter(|path| path.starts_with(what)).count();
    assert_eq!((count("socket:"), count("pipe:"), count("/dev/null"), open.len()), (2, 2, 1, 5), "{open:?}");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap().to_owned();
    assert_eq!(group, pid.to_string(), "it has a process group of its own");
}

#[test]
fn what_has_ended_a_child_is_told() {
    let cases: [(&str, &[&str]); 4] = [
        ("abort", &["the process of the plugin own 1 (070707070707) has ended: signal 6 (SIGABRT"]),
        ("segfault", &["has ended: signal 11 (SIGSEGV"]),
        ("exit", &["has ended: exit status: 3"]),
        ("memory", &["has ended: signal 6", "it has written at last: memory allocation of 1048576 bytes failed"]),
    ];
    for (fault, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (plugin, _) = own_plugin(&folder, Some(64 << 20), &Arc::default());
        let mut operator = count(&plugin, fault);
        let report = process(&mut *operator, &[Some("a")]).expect_err(fault).report();
        assert!(says.iter().all(|words| report.contains(words)), "{fault}: {report}");
    }
    // What was caught there is the plugin's error, as it is here.
    let report = process(&mut *count(&plugin(), "panic"), &[Some("a")]).expect_err("it panics").report();
    assert!(report.contains("the plugin panicked in `process`: a word too many at "), "{report}");
}

#[test]
fn a_call_that_does_not_come_back_ends_when_the_job_is_given_up_and_captured_rows_are_made_meanwhile() {
    let (folder, children) = (tempfile::tempdir().unwrap(), Arc::default());
    let (plugin, file) = own_plugin(&folder, None, &children);
    let begun = folder.path().join("begun");
    let mut operator = count(&plugin, "");
    process(&mut *operator, &[Some("a"), Some("b")]).unwrap();
    let mut hangs = count(&plugin, &format!("loop\n{}", begun.display()));
    let captured = hangs.capture().unwrap().pop().unwrap();
    let hanging = std::thread::spawn(move || process(&mut *hangs, &[Some("a")]).map(drop));
    wait_until("it hangs", || begun.exists());
    assert_eq!((captured.rows)().unwrap()[0].rows.num_rows(), 0);
    assert!(!hanging.is_finished());
    children.give_up();
    let report = hanging.join().unwrap().expect_err("it was killed").report();
    assert!(report.contains("signal 9 (SIGKILL"), "{report}");
    assert!(process(&mut *operator, &[Some("a")]).is_err());
    assert!(plugin.operator(&request("")).is_err(), "no others are started");
    drop((operator, plugin));
    assert!(process_with(&file).is_empty());
}

#[test]
fn children_that_come_and_go_leave_nothing() {
    // Other tests have children at the same time, but not as many.
    let left = || {
        let names = fs::read_dir("/proc/self/task").unwrap();
        let names = names.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
        let threads = names.filter(|name| name.starts_with("weir-child")).count();
        let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        (threads, open.filter(|path| path.to_string_lossy().starts_with("socket:")).count())
    };
    let before = left();
    for _ in 0..40 {
        let mut operator = count(&plugin(), "");
        process(&mut *operator, &[Some("a")]).unwrap();
    }
    let after = left();
    assert!(after.0 < before.0 + 40 && after.1 < before.1 + 80, "threads and sockets: {before:?}, then {after:?}");
}

/// Echoes rows with a column of text, in a child.
fn echo(plugin: &IsolatedPlugin, config: &str, output: DataType) -> Box<dyn Operator> {
    let request = OperatorRequest {
        operator: "echo".into(),
        config: config.into(),
        inputs: vec![schema(&[("text", DataType::Utf8, true)])],
        keys: vec![None],
        output: schema(&[("text", output, true)]),
        side_outputs: Vec::new(),
    };
    plugin.operator(&request).unwrap()
}

#[test]
fn rows_that_cannot_be_sent_are_an_error_of_the_call_and_the_child_goes_on() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let rows = RecordBatch::try_from_iter_with_nullable([("text", texts.clone(), true)]).unwrap();
    let of_texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let dictionary = cast(&texts, &of_texts).unwrap();
    let with_dictionary = RecordBatch::try_from_iter_with_nullable([("text", dictionary, true)]).unwrap();
    let plugin = plugin();
    let report = |operator: &mut dyn Operator, rows: &RecordBatch| {
        operator.process(0, rows.clone().into(), &mut Collector::new(0)).expect_err("it cannot be sent").report()
    };
    // Those that it emits, and those that it is given.
    let mut operator = echo(&plugin, "dictionaries", of_texts.clone());
    let emitted = report(&mut *operator, &rows);
    assert!(emitted.starts_with("column text has a dictionary, and cannot be sent"), "{emitted}");
    assert_eq!(operator.watermark(EventTime(7), &mut Collector::new(0)).unwrap(), Some(EventTime(7)));
    let mut operator = echo(&plugin, "", DataType::Utf8);
    let given = report(&mut *operator, &with_dictionary);
    assert!(given.starts_with("column text has a dictionary, and cannot be sent"), "{given}");
    let mut out = Collector::new(0);
    operator.process(0, rows.clone().into(), &mut out).unwrap();
    assert_eq!(out.take().pop().unwrap().1.records(), &rows);
}

#[test]
fn a_child_that_does_not_understand_what_it_is_told_ends_though_its_sockets_are_open() {
    // A kind of rows that there is none of; a message that is none.
    let garbled: [&[u8]; 2] =
        [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'?']];
    for socket in 0..2 {
        for bytes in garbled {
            let ((mut calls, stdin), (mut later, stdout)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
            let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
            command
                .arg("host-plugin")
                .arg(example("weir_test_plugin"))
                .args(["--parent", &std::process::id().to_string()]);
            command.stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout)).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            drop(command);
            [&mut calls, &mut later][socket].write_all(bytes).unwrap();
            let ended = || child.try_wait().unwrap();
            let ended = wait_for(ended).unwrap_or_else(|| {
                child.kill().unwrap();
                panic!("socket {socket}, {bytes:?}: it does not end")
            });
            let mut words = String::new();
            child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            assert!(!ended.success(), "{words}");
            assert!(
                words.contains("there are no rows of kind 77") || words.contains("a message is not understood"),
                "{words}"
            );
        }
    }
}

/// The processes of this process group, but for its first one.
fn others_of_group(group: u32) -> usize {
    let stats =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("stat")).ok());
    let is_other = |stat: &String| {
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().collect();
        fields.first() != Some(&"Z")
            && fields.get(2) == Some(&&*group.to_string())
            && !stat.starts_with(&format!("{group} "))
    };
    stats.filter(is_other).count()
}

#[test]
fn what_a_plugin_has_started_does_not_keep_its_process_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let mut operator = count(&plugin, "helper");
    process(&mut *operator, &[Some("a")]).unwrap();
    let pid = process_with(&file)[0];
    assert_eq!(others_of_group(pid), 1);
    let start = Instant::now();
    drop((operator, plugin));
    assert!(start.elapsed() < Duration::from_secs(4), "it has taken {:?}", start.elapsed());
    wait_until("the helper has ended", || others_of_group(pid) == 0);
}

#[test]
fn the_end_of_a_process_is_noticed_and_told_though_another_one_has_its_sockets_and_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let mut operator = count(&plugin, "fork");
    process(&mut *operator, &[Some("a")]).unwrap();
    // The fork has the file too, and is nobody's child when its parent is gone.
    let pids = process_with(&file);
    let (told, tell) = std::sync::mpsc::channel();
    let ends = std::thread::spawn(move || {
        pids.into_iter().for_each(kill);
        let _ = told.send(process(&mut *operator, &[Some("a")]).expect_err("it has ended").report());
        drop((operator, plugin));
        let _ = told.send("all is dropped".into());
    });
    let report = tell.recv_timeout(Duration::from_secs(15)).expect("the call ends");
    assert!(report.contains("signal 9 (SIGKILL"), "{report}");
    tell.recv_timeout(Duration::from_secs(15)).expect("nobody waits for the copy");
    ends.join().unwrap();
}

#[test]
fn a_child_that_hangs_while_it_is_dropped_holds_up_no_other_task() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let operator = count(&plugin, "");
    let pid = Pid::from_raw(process_with(&file)[0].try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let dropping = runtime.spawn(async move {
        let other = tokio::spawn(async {});
        drop((operator, plugin));
        other.is_finished()
    });
    assert!(runtime.block_on(dropping).unwrap(), "the other task had to wait");
}

#[test]
fn the_size_of_the_state_is_known_without_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let mut operator = count(&plugin, "");
    assert_eq!(operator.state_bytes(), 0);
    process(&mut *operator, &[Some("a"), Some("bc")]).unwrap();
    process_with(&file).into_iter().for_each(kill);
    assert_eq!(operator.state_bytes(), 2 * 16 + 3);
    assert!(process(&mut *operator, &[Some("a")]).is_err());
}

#[test]
fn as_many_children_are_kept_as_there_were_operators_and_one_that_has_ended_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let make = || (0..6).map(|_| count(&plugin, "")).collect::<Vec<_>>();
    let first = make();
    let mut pids = process_with(&file);
    drop(first);
    assert_eq!(process_with(&file), pids);
    let second = make();
    assert_eq!(process_with(&file), pids);
    drop(second);
    kill(pids.remove(2));
    let mut third = make();
    third.iter_mut().for_each(|operator| drop(process(&mut **operator, &[Some("a")]).unwrap()));
    let now = process_with(&file);
    assert!(now.len() == 6 && pids.iter().all(|pid| now.contains(pid)), "{pids:?}, then {now:?}");
}
