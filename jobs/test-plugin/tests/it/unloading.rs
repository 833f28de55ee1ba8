//! A file is unloaded with the last of it, and leaves nothing behind.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMillisecondArray};
use weir_core::{Collector, OutputPort};
use weir_plugin_abi::host::load;
use weir_test_plugin::{count_input, file};

use super::count;

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
