//! What ends children that functions, sources and sinks have, and whose children they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};
use weir_core::ErrorKind;
use weir_core::plugin::{
    AggregateGroup, FunctionCode, Plugin, PluginCommit, PluginReader, PluginSink, PluginSource, TableRequest,
};
use weir_plugin_abi::host::load;
use weir_worker::isolated::{Children, IsolatedPlugin};

use super::functions::{group, numbers, scalar, text, texts};
use super::{own_plugin, plugin, process_with, table_columns, wait_until};
use crate::cluster::isolation::kill;
use crate::rust_jobs::example;

/// A plugin in a file of its own, which is in this folder.
fn own(folder: &tempfile::TempDir) -> (IsolatedPlugin, PathBuf) {
    own_plugin(folder, Some(64 << 20), &Arc::default())
}

/// What ends a child, and what is told of it.
const ENDS: [(&str, &str); 4] = [
    ("abort", "the process of the plugin own 1 (070707070707) has ended: signal 6 (SIGABRT"),
    ("segfault", "has ended: signal 11 (SIGSEGV"),
    ("exit", "has ended: exit status: 3"),
    ("memory", "it has written at last: memory allocation of 1048576 bytes failed"),
];

fn source(plugin: &dyn Plugin, config: &str) -> Box<dyn PluginSource> {
    let (table, config) = ("steady".into(), config.into());
    plugin.source(&TableRequest { table, config, columns: table_columns() }).unwrap()
}

/// A reader that is where something goes wrong.
fn reader(plugin: &dyn Plugin, config: &str) -> Box<dyn PluginReader> {
    source(plugin, config).open("1", Some("200")).unwrap()
}

fn sink(plugin: &dyn Plugin, folder: &Path, risk: &str) -> Box<dyn PluginSink> {
    let config = format!("{}\n{risk}", folder.display()).into_bytes();
    plugin.sink(&TableRequest { table: "files".into(), config, columns: table_columns() }).unwrap()
}

fn of_epoch(epoch: u64) -> PluginCommit {
    PluginCommit { writer: "a".into(), epoch }
}

fn rows(numbers: &[i64]) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"); numbers.len()]));
    RecordBatch::try_new(table_columns(), vec![Arc::new(Int64Array::from(numbers.to_vec())), texts]).unwrap()
}

#[test]
fn what_has_ended_the_child_of_a_function_is_told() {
    for (fault, says) in ENDS {
        let folder = tempfile::tempdir().unwrap();
        let (plugin, _) = own(&folder);
        let report = scalar(&plugin, "fault").call(&[texts(&[fault])], 1).expect_err(fault).report();
        assert!(report.contains(says), "{fault}: {report}");
        // What a group is given is told behind it, at the latest when it is asked for something.
        let mut group = group(&plugin.of_subtask());
        group.update(&[texts(&["a", fault])], 2).unwrap();
        let report = group.state().expect_err(fault).report();
        assert!(report.contains(says), "{fault}: {report}");
    }
}

#[test]
fn what_goes_wrong_in_a_group_is_told_with_what_it_has_come_to() {
    let plugin = plugin();
    let given = |argument: ArrayRef| {
        let mut group = group(&plugin.of_subtask());
        group.update(&[argument], 1).unwrap();
        group.result().unwrap_err()
    };
    let error = given(texts(&["panic"]));
    assert!(
        error.to_string().starts_with("the plugin panicked in the function 'longest': a word too many at "),
        "{error}"
    );
    let error = given(texts(&["error"]));
    assert_eq!((error.kind(), error.help()), (ErrorKind::Data, Some("use another word")));
    assert_eq!(given(numbers(&[Some(1)])).kind(), ErrorKind::Internal);
    let error = given(texts(&["a number, which is no text"]));
    assert!(error.to_string().contains("made 1 values of Int64, and has declared one of Utf8View"), "{error}");
    // Nobody hears of a group that was not asked.
    let mut groups: Vec<_> = ["a", "a number, which is no text", "b"].map(|text| (text, group(&plugin))).into();
    for (text, group) in &mut groups {
        group.update(&[texts(&[*text])], 1).unwrap();
    }
    let mut result = |place: usize| groups[place].1.result().map(|result| text(&result).unwrap());
    assert_eq!((result(0).unwrap().as_str(), result(2).unwrap().as_str()), ("a", "b"));
    assert!(result(1).is_err());
}

/// A random number for each round.
pub fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 40).unwrap()
}

#[test]
fn groups_come_to_the_same_as_in_this_process_however_they_are_called() {
    const GROUPS: usize = 300;
    let (isolated, here) = (plugin(), load(&example("weir_test_plugin")).unwrap());
    type Pair = [Box<dyn AggregateGroup>; 2];
    let pair = || -> Pair { [group(&isolated), group(&here)] };
    let mut groups: Vec<Pair> = (0..GROUPS).map(|_| pair()).collect();
    let mut seed = 7;
    for round in 0..4000 {
        let (one, other) = (random(&mut seed) % GROUPS, random(&mut seed) % GROUPS);
        match random(&mut seed) % 16 {
            0 => groups[one] = pair(),
            // As operators take states: what a group goes on from is what it has said.
            1 | 2 => {
                let [state, expected] = groups[one].each_mut().map(|group| group.state().unwrap());
                assert_eq!(text(&state), text(&expected), "round {round}");
                groups[one] = pair();
                groups[one].iter_mut().for_each(|group| group.merge(&state).unwrap());
                groups[other].iter_mut().for_each(|group| group.merge(&state).unwrap());
            }
            3 | 4 => {
                for pair in groups.iter_mut().skip(one).take(20) {
                    let [result, expected] = pair.each_mut().map(|group| group.result().unwrap());
                    assert_eq!(text(&result), text(&expected), "round {round}");
                }
            }
            _ => {
                let given = texts(&[&"x".repeat(1 + random(&mut seed) % 30), &round.to_string()]);
                groups[one].iter_mut().for_each(|group| group.update(std::slice::from_ref(&given), 2).unwrap());
            }
        }
    }
    for pair in &mut groups {
        let [result, expected] = pair.each_mut().map(|group| group.result().unwrap());
        assert_eq!(text(&result), text(&expected));
        assert_eq!(pair[0].bytes(), pair[1].bytes());
    }
}

#[test]
fn a_function_that_says_something_else_in_another_child_is_not_called() {
    let plugin = plugin();
    let (_, FunctionCode::Scalar(first)) = plugin.function("fickle").unwrap() else { panic!("it adds rows up") };
    let error = first.call(&[], 1).unwrap_err();
    assert!(error.to_string().contains("takes and gives something else each time that it is asked"), "{error}");
    assert_eq!(error.kind(), ErrorKind::User);
}

#[test]
fn functions_of_a_subtask_have_one_child_and_leave_it_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own(&folder);
    assert!(plugin.function("shout").is_ok() && plugin.function("longest").is_ok());
    let found = process_with(&file);
    assert_eq!(found.len(), 1, "it was asked what they take and give");
    let (first, second) = (plugin.of_subtask(), plugin.of_subtask());
    let shout = |plugin: &IsolatedPlugin| scalar(plugin, "shout").call(&[texts(&["a"])], 1).unwrap();
    shout(&first);
    let mut longest = group(&first);
    longest.update(&[texts(&["a text"])], 1).unwrap();
    assert_eq!(text(&longest.result().unwrap()).as_deref(), Some("a text"));
    assert_eq!(process_with(&file), found);
    shout(&second);
    assert_eq!(process_with(&file).len(), 2);
    kill(found[0]);
    assert!(longest.result().is_err());
    shout(&second);
    drop((first, longest));
    let left = process_with(&file);
    assert_eq!(left.len(), 1);
    // It is taken by the next one that wants a child.
    drop(second);
    let _reader = reader(&plugin, "");
    assert_eq!(process_with(&file), left);
}

#[test]
fn what_has_ended_the_child_of_a_source_is_told_and_other_threads_read_on() {
    for (fault, says) in ENDS {
        let folder = tempfile::tempdir().unwrap();
        let (plugin, file) = own(&folder);
        let (mut fails, mut other) = (reader(&plugin, fault), reader(&plugin, ""));
        assert_eq!(process_with(&file).len(), 2);
        let report = fails.read(10).expect_err(fault).report();
        assert!(report.contains(says), "{fault}: {report}");
        assert_eq!(other.read(10).unwrap().position, "202");
    }
    let report = reader(&plugin(), "panic").read(10).unwrap_err().report();
    assert!(report.starts_with("the plugin panicked in `read`: a word too many at "), "{report}");
}

#[test]
fn readers_are_in_the_child_of_their_source_and_leave_it_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own(&folder);
    let mut made = source(&plugin, "");
    assert_eq!(made.splits().unwrap().splits.len(), 3);
    let mut readers: Vec<_> = ["0", "1", "2"].map(|split| made.open(split, None).unwrap()).into();
    drop(made);
    let one = process_with(&file);
    assert_eq!(one.len(), 1);
    for (number, reader) in readers.iter_mut().enumerate() {
        let read = reader.read(10).unwrap().records.unwrap();
        let first = i64::try_from(number).unwrap() * 1000;
        assert_eq!(read.column(0).as_primitive::<Int64Type>().values().as_ref(), [first, first + 1]);
    }
    drop(readers);
    let _next = source(&plugin, "");
    assert_eq!(process_with(&file), one);
}

#[test]
fn readers_of_a_child_that_has_ended_are_dropped_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own(&folder);
    let mut made = source(&plugin, "fork");
    let mut readers: Vec<_> = ["0", "1", "2"].map(|split| made.open(split, Some("200")).unwrap()).into();
    let child = process_with(&file)[0];
    readers.iter_mut().for_each(|reader| drop(reader.read(10).unwrap()));
    // The copy has its sockets and its standard error.
    kill(child);
    let start = Instant::now();
    assert!(readers[0].read(10).is_err());
    let told = start.elapsed();
    drop((readers, made));
    assert!(start.elapsed() < told + Duration::from_secs(1), "{told:?}, then {:?}", start.elapsed());
}

#[test]
fn a_reader_is_dropped_while_another_one_of_its_child_does_not_come_back() {
    let (folder, children): (_, Arc<Children>) = (tempfile::tempdir().unwrap(), Arc::default());
    let (plugin, _) = own_plugin(&folder, None, &children);
    let begun = folder.path().join("begun");
    let mut made = source(&plugin, &format!("loop\n{}", begun.display()));
    let (mut hangs, other) = (made.open("1", Some("200")).unwrap(), made.open("2", None).unwrap());
    let hanging = std::thread::spawn(move || hangs.read(1).map(drop));
    wait_until("it hangs", || begun.exists());
    let (told, dropped) = std::sync::mpsc::channel();
    let dropping = std::thread::spawn(move || {
        drop((other, made));
        told.send(())
    });
    let dropped = dropped.recv_timeout(Duration::from_secs(30));
    children.give_up();
    assert!(hanging.join().unwrap().is_err());
    dropping.join().unwrap().unwrap();
    dropped.expect("it waits for the other one");
}

#[test]
fn a_function_of_no_rows_is_not_called() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own(&folder);
    let shout = scalar(&plugin, "shout");
    process_with(&file).into_iter().for_each(kill);
    wait_until("its signature is all that there is", || process_with(&file).is_empty());
    let nothing = shout.call(&[texts(&[])], 0).unwrap();
    assert_eq!((nothing.len(), nothing.data_type()), (0, &DataType::Utf8View));
    assert!(process_with(&file).is_empty());
}

#[test]
fn what_was_given_to_a_group_that_is_gone_is_not_sent() {
    let plugin = plugin();
    let (mut stays, mut goes) = (group(&plugin), group(&plugin));
    stays.update(&[texts(&["a"])], 1).unwrap();
    goes.update(&[texts(&["abort"])], 1).unwrap();
    goes.announce(true);
    drop(goes);
    assert_eq!(text(&stays.result().unwrap()).as_deref(), Some("a"));
}

#[test]
fn what_waits_for_a_group_is_little_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (isolated, file) = own(&folder);
    // A row of many that have long texts.
    let long = "x".repeat(100 << 10);
    let many = texts(&vec![long.as_str(); 40]);
    let mut one = group(&isolated);
    one.update(&[many.slice(7, 1)], 1).unwrap();
    assert!((100 << 10..200 << 10).contains(&one.bytes()), "{}", one.bytes());
    // What is sent finds nobody.
    process_with(&file).into_iter().for_each(kill);
    let mut others: Vec<_> = (0..60).map(|_| group(&isolated)).collect();
    let sent = others.iter_mut().position(|group| group.update(&[many.slice(3, 1)], 1).is_err());
    assert!(sent.is_some_and(|sent| (30..42).contains(&sent)), "{sent:?} times 100 KiB were no 4 MiB");
}

#[test]
fn a_reader_that_does_not_come_back_ends_when_the_job_is_given_up() {
    let (folder, children): (_, Arc<Children>) = (tempfile::tempdir().unwrap(), Arc::default());
    let (plugin, file) = own_plugin(&folder, None, &children);
    let begun = folder.path().join("begun");
    let mut hangs = reader(&plugin, &format!("loop\n{}", begun.display()));
    let hanging = std::thread::spawn(move || hangs.read(1).map(drop));
    wait_until("it hangs", || begun.exists());
    assert!(!hanging.is_finished());
    children.give_up();
    let report = hanging.join().unwrap().expect_err("it was killed").report();
    assert!(report.contains("signal 9 (SIGKILL"), "{report}");
    drop(plugin);
    assert!(process_with(&file).is_empty());
}

#[test]
fn a_sink_takes_rows_one_batch_after_the_other_and_what_ends_its_child_is_told() {
    for (fault, says) in ENDS {
        let folder = tempfile::tempdir().unwrap();
        let (plugin, _) = own(&folder);
        let once = folder.path().join("once");
        let mut fails = sink(&plugin, folder.path(), &format!("{fault}\n{}", once.display()));
        let batches = || vec![rows(&[1, 2]), rows(&[3])].into_iter();
        let mut given = batches();
        let report = fails.commit(&of_epoch(4), &mut || Ok(given.next())).expect_err(fault).report();
        assert!(report.contains(says), "{fault}: {report}");
        assert!(given.next().is_none(), "it has asked for them before");
        // Again, in another child.
        let (mut again, mut given) = (sink(&plugin, folder.path(), ""), batches());
        again.commit(&of_epoch(4), &mut || Ok(given.next())).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("a.4")).unwrap(), "1\n2\n3\n");
        assert_eq!(again.last_epoch("a").unwrap(), weir_core::plugin::LastEpoch::Is(4));
    }
}

#[test]
fn rows_that_cannot_be_had_are_no_end_of_an_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = plugin();
    let mut made = sink(&plugin, folder.path(), "");
    let mut given = 0;
    let torn = &mut || {
        given += 1;
        if given == 1 { Ok(Some(rows(&[1]))) } else { Err(weir_core::Error::data("torn").with_help("mend it")) }
    };
    let error = made.commit(&of_epoch(1), torn).unwrap_err();
    assert_eq!((error.kind(), error.report().as_str()), (ErrorKind::Data, "torn\n  help: mend it"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    made.commit(&of_epoch(1), &mut || Ok(None)).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("a.1")).unwrap(), "");
}
