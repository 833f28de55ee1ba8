//! The contract of a log store, as one suite that every implementation passes.

use redb::ReadableTable;
use weir_core::{CoordinatorId, ErrorKind};

use super::super::{Batch, Compaction, HardState, Identity, LogStore, MemoryStore, RedbStore, Stored};
use super::random::Random;
use super::{entry, identity, snapshot};

/// Something that can be written to, closed and opened again.
trait Subject {
    fn reopen(&mut self) -> Box<dyn LogStore>;
    fn keep(&mut self, store: &dyn LogStore);
}

struct InMemory(MemoryStore);

impl Subject for InMemory {
    fn reopen(&mut self) -> Box<dyn LogStore> {
        Box::new(self.0.clone())
    }

    /// A clone stands for what a file does by itself.
    fn keep(&mut self, store: &dyn LogStore) {
        let mut copy = MemoryStore::default();
        let stored = store.load().unwrap();
        copy.write(&whole(&stored)).unwrap();
        self.0 = copy;
    }
}

struct InFile(tempfile::TempDir);

impl Subject for InFile {
    fn reopen(&mut self) -> Box<dyn LogStore> {
        Box::new(RedbStore::open(&self.0.path().join("raft.redb"), &identity()).unwrap())
    }

    fn keep(&mut self, _: &dyn LogStore) {}
}

fn whole(stored: &Stored) -> Batch {
    let Some(snapshot) = stored.snapshot.clone() else {
        return Batch { hard_state: Some(stored.hard_state), entries: stored.entries.clone(), ..Batch::default() };
    };
    let first = super::snapshot(stored.before.0, stored.before.1, "");
    Batch {
        hard_state: Some(stored.hard_state),
        installed: Some(first),
        entries: stored.entries.clone(),
        compaction: Some(Compaction { snapshot, before: stored.before }),
    }
}

fn each(test: impl Fn(&mut dyn Subject)) {
    test(&mut InMemory(MemoryStore::default()));
    test(&mut InFile(tempfile::tempdir().unwrap()));
}

fn hard(term: u64, vote: u64, commit: u64) -> Option<HardState> {
    Some(HardState { term, vote: Some(CoordinatorId(vote)).filter(|id| id.0 != 0), commit })
}

#[test]
fn an_empty_store_holds_nothing() {
    each(|subject| {
        let store = subject.reopen();
        assert!(store.load().unwrap().is_empty());
        subject.keep(&*store);
        drop(store);
        assert!(subject.reopen().load().unwrap().is_empty());
    });
}

#[test]
fn entries_replace_what_stood_behind_them() {
    each(|subject| {
        let mut store = subject.reopen();
        let three = vec![entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")];
        store.write(&Batch { hard_state: hard(1, 2, 0), entries: three, ..Batch::default() }).unwrap();
        store.write(&Batch { entries: vec![entry(2, 2, "B")], ..Batch::default() }).unwrap();
        subject.keep(&*store);
        drop(store);
        let stored = subject.reopen().load().unwrap();
        assert_eq!(stored.entries, [entry(1, 1, "a"), entry(2, 2, "B")]);
        assert_eq!(Some(stored.hard_state), hard(1, 2, 0));
        assert_eq!(stored.last_index(), 2);
    });
}

#[test]
fn an_installed_snapshot_replaces_the_log() {
    each(|subject| {
        let mut store = subject.reopen();
        store.write(&Batch { entries: vec![entry(1, 1, "a"), entry(2, 1, "b")], ..Batch::default() }).unwrap();
        let batch = Batch {
            hard_state: hard(3, 0, 9),
            installed: Some(snapshot(9, 3, "state")),
            entries: vec![entry(10, 3, "c")],
            ..Batch::default()
        };
        store.write(&batch).unwrap();
        subject.keep(&*store);
        drop(store);
        let stored = subject.reopen().load().unwrap();
        assert_eq!((stored.before, stored.entries), ((9, 3), vec![entry(10, 3, "c")]));
        assert_eq!(stored.snapshot, Some(snapshot(9, 3, "state")));
    });
}

#[test]
fn compaction_keeps_a_tail() {
    each(|subject| {
        let mut store = subject.reopen();
        let entries = (1..=9).map(|index| entry(index, 1 + index / 5, "x")).collect();
        store.write(&Batch { hard_state: hard(2, 1, 8), entries, ..Batch::default() }).unwrap();
        let compaction = Some(Compaction { snapshot: snapshot(7, 2, "state"), before: (4, 1) });
        store.write(&Batch { compaction, ..Batch::default() }).unwrap();
        subject.keep(&*store);
        drop(store);
        let stored = subject.reopen().load().unwrap();
        assert_eq!(stored.before, (4, 1));
        assert_eq!(stored.entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        assert_eq!(stored.snapshot, Some(snapshot(7, 2, "state")));
        stored.check().unwrap();
    });
}

/// Random batches such as consensus writes, and what a store holds after them by the definition of a batch.
pub(super) fn random_batch(random: &mut Random, model: &Stored) -> Batch {
    let mut batch = Batch::default();
    let mut after = model.clone();
    after.hard_state.term = model.hard_state.term.max(1) + random.below(2);
    let term = after.hard_state.term;
    after.hard_state.vote = Some(CoordinatorId(random.below(4))).filter(|id| id.0 != 0);
    match random.below(20) {
        0 => {
            let index = model.last_index() + 1 + random.below(5);
            batch.installed = Some(snapshot(index, term, vec![7; random.below(9000) as usize]));
            after.hard_state.commit = index;
        }
        1 | 2 if model.hard_state.commit > model.before.0 => {
            let at = model.before.0 + 1 + random.below(model.hard_state.commit - model.before.0);
            let at = at.max(model.snapshot.as_ref().map_or(0, |snapshot| snapshot.index));
            let term_of = |index: u64| match index == model.before.0 {
                true => model.before.1,
                false => model.entries[(index - model.before.0 - 1) as usize].term,
            };
            let end = (at - random.below(5).min(at)).max(model.before.0);
            let state = snapshot(at, term_of(at), vec![9; random.below(9000) as usize]);
            batch.compaction = Some(Compaction { snapshot: state, before: (end, term_of(end)) });
        }
        _ => {
            let from = (model.last_index() + 1).saturating_sub(random.below(4)).max(model.hard_state.commit + 1);
            let count = random.below(6);
            batch.entries = (from..from + count)
                .map(|index| entry(index, term, vec![index as u8; 1 + random.below(600) as usize]))
                .collect();
            let last = batch.entries.last().map_or(model.last_index(), |entry| entry.index);
            after.hard_state.commit += random.below(last - model.hard_state.commit + 1);
        }
    }
    batch.hard_state = Some(after.hard_state);
    batch
}

#[test]
fn random_batches_come_back() {
    each(|subject| {
        let mut random = Random(42);
        let mut model = Stored::default();
        for _ in 0..20 {
            let mut store = subject.reopen();
            assert_eq!(store.load().unwrap(), model);
            for _ in 0..random.below(12) {
                let batch = random_batch(&mut random, &model);
                store.write(&batch).unwrap();
                model.apply(&batch);
                model.check().unwrap();
            }
            subject.keep(&*store);
        }
        assert!(model.snapshot.is_some() && model.last_index() > 50, "{model:?}");
    });
}

#[test]
fn a_file_belongs_to_one_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeper/raft.redb");
    let open = RedbStore::open(&path, &identity()).unwrap();
    let error = RedbStore::open(&path, &identity()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.report().contains("another process has the log open"), "{}", error.report());
    drop(open);
    for other in
        [Identity { coordinator: CoordinatorId(2), ..identity() }, Identity { cluster: "other".into(), ..identity() }]
    {
        let error = RedbStore::open(&path, &other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.report().contains("the log belongs to coordinator 1 of cluster \"test\""), "{}", error.report());
    }
    RedbStore::open(&path, &identity()).unwrap();
}

/// Puts a value where it does not belong, as redb itself would not: its own checksums are right.
fn misplaced(change: impl Fn(&redb::WriteTransaction)) -> weir_core::Error {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raft.redb");
    let mut store = RedbStore::open(&path, &identity()).unwrap();
    store
        .write(&Batch {
            hard_state: hard(1, 1, 1),
            entries: vec![entry(1, 1, "a"), entry(2, 1, "b")],
            ..Batch::default()
        })
        .unwrap();
    drop(store);
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    change(&write);
    write.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path, &identity()).and_then(|store| store.load()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    error
}

#[test]
fn every_record_has_a_checksum_of_its_own() {
    const LOG: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("log");
    const STATE: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("state");
    const ABOUT: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("about");
    let error = misplaced(|write| {
        let mut log = write.open_table(LOG).unwrap();
        let other = log.get(1).unwrap().unwrap().value().to_vec();
        log.insert(2, &*other).unwrap();
    });
    assert_eq!(error.to_string(), "the log is damaged: entry 2 of the log");
    let error = misplaced(|write| {
        let mut state = write.open_table(STATE).unwrap();
        let mut hard = state.get("hard").unwrap().unwrap().value().to_vec();
        hard[4] ^= 1;
        state.insert("hard", &*hard).unwrap();
    });
    assert_eq!(error.to_string(), "the log is damaged: the hard record");
    let error = misplaced(|write| {
        write.open_table(ABOUT).unwrap().remove("cluster").unwrap();
    });
    assert!(error.report().contains("the log is damaged: its cluster is missing"), "{}", error.report());
    let error = misplaced(|write| {
        write.delete_table(ABOUT).unwrap();
    });
    assert!(error.report().contains("whose log it is"), "{}", error.report());
}

#[test]
fn a_creation_that_was_cut_short_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raft.redb");
    std::fs::write(path.with_extension("new"), b"half a file").unwrap();
    assert!(RedbStore::open(&path, &identity()).unwrap().load().unwrap().is_empty());
    assert!(!path.with_extension("new").exists());
}

#[test]
fn parts_that_do_not_belong_together_are_named() {
    let sound = Stored {
        hard_state: HardState { term: 3, vote: None, commit: 4 },
        snapshot: Some(snapshot(4, 2, "")),
        before: (3, 2),
        entries: vec![entry(4, 2, "a"), entry(5, 3, "b")],
    };
    sound.check().unwrap();
    let refused = |change: fn(&mut Stored)| {
        let mut stored = sound.clone();
        change(&mut stored);
        let error = stored.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        error.to_string()
    };
    let what = "the store of this coordinator is damaged: ";
    assert_eq!(refused(|stored| stored.entries[1].index = 6), format!("{what}entry 6 of the log follows entry 4"));
    assert_eq!(refused(|stored| stored.entries[1].term = 1), format!("{what}the term falls from 2 to 1 at entry 5"));
    assert!(refused(|stored| stored.hard_state.term = 2).contains("the log reaches term 3"));
    assert!(refused(|stored| stored.hard_state.commit = 6).contains("decided up to 6"));
    assert!(refused(|stored| stored.hard_state.commit = 3).contains("decided up to 3"));
    assert!(refused(|stored| stored.snapshot = None).contains("the snapshot stands at 0"));
    assert!(refused(|stored| stored.snapshot = Some(snapshot(9, 3, ""))).contains("the snapshot stands at 9"));
}
