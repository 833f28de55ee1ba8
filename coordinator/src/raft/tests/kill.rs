//! The file of a process that is killed. The child appends and says so on a pipe; the parent kills it at any moment, opens
//! the file and compares. (The page cache survives a kill, so this is not about syncs: that is `torture`.)

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use weir_core::CoordinatorId;

use super::super::{Batch, Compaction, HardState, LogStore, RedbStore, Stored};
use super::random::Random;
use super::{entry, identity, snapshot};

const KILLS: u64 = 25;
const FOLDER: &str = "WEIR_TEST_KILLED_FOLDER";

/// What the child writes as its batch number `number`, known to both sides.
fn batch(number: u64, stored: &Stored) -> Batch {
    let last = stored.last_index();
    let term = 1 + number / 10;
    let hard_state = HardState { term, vote: Some(CoordinatorId(1 + number % 3)), commit: last };
    let mut batch = Batch { hard_state: Some(hard_state), ..Batch::default() };
    if number % 50 == 49 {
        let state = snapshot(last, stored.entries.last().map_or(stored.before.1, |entry| entry.term), vec![1; 20_000]);
        let keep = stored.entries.len().saturating_sub(5);
        if keep > 0 {
            let before = &stored.entries[keep - 1];
            batch.compaction = Some(Compaction { snapshot: state, before: (before.index, before.term) });
        }
    } else {
        let count = 1 + number % 4;
        batch.entries = (last + 1..=last + count).map(|index| entry(index, term, vec![number as u8; 300])).collect();
    }
    batch
}

#[test]
#[ignore = "runs in a child process of the next test"]
fn appends_until_it_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "the parent of this process is a test, not a user")]
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut store = RedbStore::open(&Path::new(&folder).join("raft.redb"), &identity()).unwrap();
    let mut stored = store.load().unwrap();
    let mut out = std::io::stdout().lock();
    for number in written(&stored).. {
        let batch = batch(number, &stored);
        store.write(&batch).unwrap();
        stored.apply(&batch);
        writeln!(out, "\nwrote {number}").unwrap();
        out.flush().unwrap();
    }
}

/// The number of batches in a store, found by writing them again.
fn written(found: &Stored) -> u64 {
    let mut stored = Stored::default();
    for number in 0..100_000 {
        if stored == *found {
            return number;
        }
        stored.apply(&batch(number, &stored));
    }
    panic!("the store holds what was never written: {} entries", found.entries.len());
}

#[test]
fn a_kill_takes_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "raft::tests::kill::appends_until_it_is_killed"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let enough = 1 + random.below(40);
        let mut said = |line: Option<std::io::Result<String>>| {
            let line = line?.ok()?;
            if let Some(number) = line.strip_prefix("wrote ") {
                acknowledged = acknowledged.max(number.parse::<u64>().unwrap() + 1);
                seen += 1;
            }
            Some(seen)
        };
        while said(lines.next()).expect("the child writes until it is killed") < enough {}
        // Spreads the kill over the work of the next batch.
        (0..random.below(200_000)).for_each(|number| {
            std::hint::black_box(number);
        });
        child.kill().unwrap();
        // What it had said before it died.
        while said(lines.next()).is_some() {}
        child.wait().unwrap();

        let store = RedbStore::open(&folder.path().join("raft.redb"), &identity()).unwrap();
        let found = store.load().unwrap();
        found.check().unwrap();
        let held = written(&found);
        assert!(
            held == acknowledged || held == acknowledged + 1,
            "kill {kill}: {acknowledged} batches were acknowledged, {held} are there"
        );
        acknowledged = held;
    }
    assert!(acknowledged > KILLS, "{acknowledged}");
}
