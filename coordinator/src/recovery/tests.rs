//! From files in a folder to a log from which a coordinator starts.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_core::{
    Attempt, Epoch, ErrorKind, Incarnation, JobGraph, JobId, OperatorUid, PlacedWorker, Placement, TableSpec, WorkerId,
};
use weir_state::{LocalStorage, Manifest, ManifestHeader, SinkCommittables, layout};

use super::*;
use crate::cluster::{
    Applied, ClusterState, Command, Execution, JobSettings, JobSpec, JobStatus, RecoveredJob, RestartPolicy,
};
use crate::copies::StateCopy;
use crate::raft::{LogStore, Output, RaftConfig, Stored};

/// A storage with a copy of a cluster that runs job 1, attempt 1.
struct Lost {
    folder: tempfile::TempDir,
    storage: LocalStorage,
}

impl Lost {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::open(folder.path().join("storage")).unwrap();
        let lost = Self { folder, storage };
        let mut state = ClusterState::default();
        commands().into_iter().for_each(|command| assert_ne!(state.apply(command), Ok(Applied::Unchanged)));
        let copy = StateCopy { term: 3, index: 40, at: 1000, state };
        lost.put("coordinators/snapshots/0000000000000003-0000000000000040", &copy.to_bytes().unwrap());
        lost
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        self.storage.put(&format!("fox-00000001/{path}"), bytes).unwrap();
    }

    fn manifest(&self, path: &str, manifest: &Manifest) {
        self.put(&format!("jobs/1/{path}"), &manifest.to_bytes().unwrap());
    }

    fn rebuild(&self) -> Rebuilt {
        rebuild(&self.storage, "file:///new", "fox-00000001", 5000).unwrap()
    }

    fn job(&self) -> RecoveredJob {
        self.rebuild().recovered.jobs.remove(0)
    }
}

fn commands() -> Vec<Command> {
    let restart = RestartPolicy { attempts: None, initial_delay_ms: 1, maximum_delay_ms: 1, stable_ms: 1 };
    let settings = JobSettings {
        batch_rows: 1,
        memory_budget: None,
        checkpoint_interval_ms: 1,
        checkpoint_timeout_ms: 1,
        tolerable_failures: 0,
        retained_checkpoints: 1,
        restart,
    };
    let spec = JobSpec { graph: Arc::new(JobGraph::new()), fingerprint: "f".into(), sql: String::new(), settings };
    let (worker, incarnation, at) = (WorkerId("a".into()), Incarnation(1), 0);
    let placed = PlacedWorker { worker: worker.clone(), incarnation, address: "a:1".into() };
    let placement = Placement { workers: vec![placed], slots: vec![0] };
    let execution = Execution { placement, restored: None, running_since: None };
    let (job, attempt) = (JobId(1), Attempt(1));
    vec![
        Command::Found { cluster: "fox-00000001".into(), storage: "file:///old".into() },
        Command::RegisterWorker { worker, incarnation, address: "a:1".into(), slots: 1, version: String::new(), at },
        Command::SubmitJob {
            namespace: "default".into(),
            name: "j".into(),
            spec: Arc::new(spec),
            parallelism: 1,
            awaits_state: false,
            scaling: None,
            at,
        },
        Command::StartAttempt { job, attempt, execution, as_before: false, at },
        Command::AttemptRunning { job, attempt, at },
    ]
}

/// A manifest with results, and one run, if so, of so many bytes.
fn manifest(epoch: u64, run: Option<(&str, u64)>) -> Manifest {
    let header = ManifestHeader {
        job: "f".into(),
        identity: Default::default(),
        epoch: Epoch(epoch),
        attempt: Attempt(1),
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: Default::default(),
    };
    let table = TableSpec::new("t", "blackhole", BTreeMap::new(), Arc::new(arrow_schema::Schema::empty()));
    let sink =
        SinkCommittables { uid: OperatorUid("s".into()), table, committables: vec![vec![1]], staged: Vec::new() };
    let mut manifest = Manifest::following(None, header, Vec::new(), vec![sink]);
    if let Some((file, length)) = run {
        let run = weir_state::Run { file: file.into(), length, rows: 1, ..weir_state::Run::default() };
        let schema = weir_core::TableSchema {
            name: "t".into(),
            version: 1,
            schema: Arc::new(arrow_schema::Schema::empty()),
            key_columns: 0,
            time_column: None,
            distribution: weir_core::Distribution::Keyed,
        };
        let table = weir_state::TableState { schema, runs: vec![run], expired: None };
        let watermark = weir_core::EventTime::MIN;
        manifest.operators.push(weir_state::OperatorState {
            place: weir_core::OperatorPlace::default(),
            uid: OperatorUid("o".into()),
            watermark,
            tables: vec![table],
        });
    }
    manifest
}

#[test]
fn the_newest_whole_manifest_is_found_and_every_number_that_was_seen() {
    let lost = Lost::new();
    let run = layout::runs_prefix(Epoch(8), Attempt(1), "w");
    lost.put(&format!("jobs/1/{run}"), b"rows");
    lost.manifest(&layout::manifest_of_term(Epoch(7), Attempt(1), 900), &manifest(7, None));
    lost.manifest(&layout::manifest_of_term(Epoch(8), Attempt(1), 5), &manifest(8, Some((&run, 4))));
    lost.put("jobs/1/runs/0000000000000009-1-w", b"in flight");
    lost.put("jobs/12/attempts/0000000000000001-0", b"begun\n");
    lost.put("jobs/1/tmp/99-1", b"");
    lost.put("jobs/notes.txt", b"a person's");
    let rebuilt = lost.rebuild();
    assert_eq!((rebuilt.copied, rebuilt.term), ((3, 40), 900 + TERM_GAP));
    assert_eq!((rebuilt.recovered.lost, rebuilt.recovered.state.next_job > 12), (vec![JobId(12)], true));
    let job = &rebuilt.recovered.state.jobs[&JobId(1)];
    assert_eq!((job.status, job.last_epoch, job.newest().unwrap().epoch), (JobStatus::Scheduling, Epoch(9), Epoch(8)));
    assert_eq!(job.newest().unwrap().manifest, layout::manifest_of_term(Epoch(8), Attempt(1), 5));
    assert_eq!(rebuilt.recovered.state.storage, "file:///new");
}

#[test]
fn a_manifest_is_whole_only_with_all_its_files() {
    let run = layout::runs_prefix(Epoch(8), Attempt(1), "w");
    let path = layout::manifest_of_term(Epoch(8), Attempt(1), 5);
    let doubt = |lost: &Lost| lost.job().doubts.concat();

    let lost = Lost::new();
    lost.manifest(&path, &manifest(8, Some((&run, 4))));
    assert!(doubt(&lost).contains("is missing"), "{}", doubt(&lost));
    lost.put(&format!("jobs/1/{run}"), b"row");
    assert!(doubt(&lost).contains("is 3 bytes long"), "{}", doubt(&lost));

    let lost = Lost::new();
    let bytes = manifest(8, None).to_bytes().unwrap();
    lost.put(&format!("jobs/1/{path}"), &bytes[..bytes.len() - 1]);
    assert!(doubt(&lost).contains("checksum"), "{}", doubt(&lost));

    for other in [manifest(7, None), Manifest { job: "g".into(), ..manifest(8, None) }] {
        let lost = Lost::new();
        lost.manifest(&path, &other);
        assert!(doubt(&lost).contains("another job's"), "{}", doubt(&lost));
    }

    let lost = Lost::new();
    lost.put(&format!("jobs/1/{path}"), b"weir-manifest 2 something else\n");
    let error = rebuild(&lost.storage, "file:///new", "fox-00000001", 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User, "a later version of Weir can tell, this one cannot: {error}");
}

fn stored(folder: &Path) -> (RedbStore, Stored) {
    let identity = Identity { cluster: "fox".into(), coordinator: CoordinatorId(2), fresh: LogId(10) };
    let store = RedbStore::open(&folder.join("log.redb"), &identity).unwrap();
    let stored = store.load().unwrap();
    (store, stored)
}

fn first(folder: &Path) -> FirstCoordinator<'_> {
    FirstCoordinator { id: CoordinatorId(2), cluster: "fox".into(), address: "here:1".into(), log: LogId(9), folder }
}

#[test]
fn a_coordinator_starts_from_the_log_and_leads_above_all_terms() {
    let lost = Lost::new();
    let folder = lost.folder.path().join("data/coordinator-2");
    let coordinator = first(&folder);
    let rebuilt = lost.rebuild();
    coordinator.write_log(&rebuilt).unwrap();
    assert_eq!(coordinator.write_log(&rebuilt).unwrap_err().kind(), ErrorKind::User);
    let (store, _) = stored(&folder);
    let config = RaftConfig {
        id: CoordinatorId(2),
        log: store.log(),
        election_ticks: 10,
        heartbeat_ticks: 2,
        max_message_bytes: 1 << 20,
        max_inflight: 8,
        snapshot_after_entries: 50,
        seed: 7,
    };
    let mut raft = Raft::open(config, store).unwrap();
    let mut output = Output::default();
    (0..20).for_each(|_| raft.tick());
    raft.drive(&mut output).unwrap();
    let restored = output.restored.unwrap();
    assert_eq!(ClusterState::from_bytes(&restored.state, "here").unwrap(), rebuilt.recovered.state);
    assert_eq!(output.role_changed.unwrap().leader, Some(CoordinatorId(2)));
    assert!(raft.status().term > 3 + TERM_GAP);
}

#[test]
fn what_was_left_of_an_interrupted_recovery_is_in_nobodys_way() {
    let lost = Lost::new();
    let folder = lost.folder.path().join("coordinator-2");
    fs::create_dir_all(folder.with_extension("new")).unwrap();
    fs::write(folder.with_extension("new").join("log.redb"), b"half").unwrap();
    fs::create_dir_all(&folder).unwrap();
    let coordinator = first(&folder);
    coordinator.write_log(&lost.rebuild()).unwrap();
    assert!(!stored(&folder).1.is_empty());
    assert!(!folder.with_extension("new").exists());
}
