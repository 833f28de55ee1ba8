//! A file is unloaded with the last of it, and leaves nothing behind.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMillisecondArray};
use weir_core::connector::{AssignedSplit, SourceContext, SourceEvent};
use weir_core::plugin::PluginTableKind;
use weir_core::{Collector, OutputPort, Split};
use weir_plugin_abi::host::load;
use weir_test_plugin::{count_input, file};

use super::operators::count;
use super::tables::{connector, table};

fn is_loaded(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains(path.to_str().unwrap())
}

/// Mappings of this process.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn what_lives_on_keeps_it_loaded_and_cycles_leave_nothing() {
    cycles(400);
}

#[test]
#[ignore = "takes a minute"]
fn ten_thousand_cycles_leave_nothing() {
    cycles(10_000);
}

/// Each test has a copy of its own, and so a library of its own.
fn cycles(times: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("plugin.so");
    std::fs::copy(file(), &path).unwrap();
    let cycle = || {
        let plugin = load(&path).unwrap();
        let mut operator = count(&plugin, "");
        drop(plugin);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from(vec!["a", "a word that is too long to stand in its view"])),
            Arc::new(TimestampMillisecondArray::from(vec![1, 2])),
        ];
        let mut out = Collector::new(0);
        operator.process(0, RecordBatch::try_new(count_input(), columns).unwrap().into(), &mut out).unwrap();
        let capture = operator.capture().unwrap();
        let rows = (capture.into_iter().next().unwrap().rows)().unwrap();
        let (port, emitted) = out.take().pop().unwrap();
        assert_eq!(port, OutputPort::Main);
        drop(operator);
        assert!(is_loaded(&path), "its rows are still here");
        (emitted.records().column(1).clone(), rows)
    };
    let kept = cycle();
    assert!(is_loaded(&path));
    drop(kept);
    assert!(!is_loaded(&path), "nothing of it is held any more");
    (0..50).for_each(|_| drop(cycle()));
    let (before, mapped) = (resident(), mappings());
    (0..times).for_each(|_| drop(cycle()));
    let grown = resident().saturating_sub(before);
    assert!(grown < 2 << 20, "{times} cycles have taken {grown} bytes");
    // Other tests of this process have some too.
    let grown = mappings().saturating_sub(mapped);
    assert!(grown < 100, "{times} cycles have left {grown} mappings");
    assert!(!is_loaded(&path));
}

/// The threads of a source leave values behind whose destructors are in the file.
#[tokio::test]
async fn a_file_whose_source_was_read_is_unloaded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("plugin.so");
    std::fs::copy(file(), &path).unwrap();
    let is_loaded = || is_loaded(&path);
    let table = table("numbers", PluginTableKind::Source { bounded: true }, directory.path());
    let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: 5 };
    let mut source = connector(Arc::new(load(&path).unwrap())).open_source(&table, context).await.unwrap();
    let split = |number: i32| {
        let name: Arc<str> = number.to_string().into();
        AssignedSplit { split: Split { sequence: name.clone(), name, description: String::new() }, position: None }
    };
    source.assign((0..10).map(split).collect()).unwrap();
    let mut kept = Vec::new();
    for _ in 0..5 {
        if let SourceEvent::Rows { records, .. } = source.next().await.unwrap() {
            kept.push(records);
        }
    }
    drop(source);
    assert!(is_loaded(), "its rows are still here");
    drop(kept);
    let gone = async {
        while is_loaded() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("it stays loaded");
}
