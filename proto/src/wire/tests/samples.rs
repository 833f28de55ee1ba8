//! One of everything, with every field at a value that is not its default.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema};
use weir_core::audit::{AuditedEpoch, AuditedSink, Found};
use weir_core::plugin::{ArtifactHash, Isolation};
use weir_core::{
    Attempt, CalcSpec, CoordinatorId, Edge, Epoch, ErrorKind, EventTime, Exchange, Expr, Incarnation, JobGraph, JobId,
    JobIdentity, Marker, MarkerKind, NodeSpec, OperatorSpec, OperatorUid, OutputPort, PlacedWorker, Placement,
    SinkSpec, SourceSpec, TableSpec, WorkerId,
};
use weir_state::{EpochContent, MergedRuns, Run, SinkCommittables};

use crate::client::{
    AdoptedCheckpoint, ArtifactPiece, Bearer, CatalogInfo, CheckpointInfo, CheckpointProgress, ClientError,
    ClientErrorKind, ClientRequest, ClientResponse, ClusterInfo, CoordinatorInfo, EpochAudit, FilePosition, Grant,
    JobAction, JobDetail, JobFailureInfo, JobRef, JobSettingsInfo, JobSummary, LoadInfo, NamespaceInfo, NewToken,
    QuotaInfo, ResultPiece, Role, Scaling, ScalingBy, ScalingDecision, SinkAudit, SinksAudit, SubmitJob, TokenInfo,
    VertexInfo, WorkerInfo, WorkerJob, found, verdict,
};
use crate::control::{
    AttemptFigures, AttemptPhase, AttemptStatus, AuditFindings, AuditOrder, CheckpointRef, Deploy, Failure, Figures,
    FromWorker, Heartbeat, Hello, Leftovers, Misfits, Report, StateComparison, StoragePlace, ToWorker, VertexFigures,
    Welcome,
};

fn table(name: &str) -> TableSpec {
    let options = BTreeMap::from([("path".to_owned(), "/data/größe".to_owned())]);
    TableSpec::new(name, "filesystem", options, Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)])))
}

/// A dataflow of three nodes, as it comes out of a decoder.
pub(crate) fn graph() -> JobGraph {
    let mut graph = JobGraph::default();
    let schema = table("t").schema;
    let edge = |from| Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Forward };
    let mut add = |name: &str, operator, inputs| graph.add(NodeSpec::new(name, operator, inputs, schema.clone()));
    let source =
        SourceSpec { table: table("in"), projection: None, filter: None, watermark: None, rows_per_second: None };
    let source = add("Source(in)", OperatorSpec::Source(source), vec![]);
    let calc = CalcSpec { predicate: Some(Expr::IsNotNull(Box::new(Expr::Column(0)))), projection: vec![] };
    let calc = add("Calc", OperatorSpec::Calc(calc), vec![edge(source)]);
    add("Sink(out)", OperatorSpec::Sink(SinkSpec { table: table("out") }), vec![edge(calc)]);
    serde_json::from_slice(&serde_json::to_vec(&graph).unwrap()).unwrap()
}

fn settings() -> JobSettingsInfo {
    JobSettingsInfo {
        batch_rows: 8192,
        memory_budget: Some(64 << 20),
        checkpoint_interval_ms: 10_000,
        checkpoint_timeout_ms: 600_000,
        tolerable_failures: 3,
        retained_checkpoints: 2,
        restart_attempts: Some(10),
        restart_initial_delay_ms: 1000,
        restart_maximum_delay_ms: 60_000,
        restart_stable_ms: 600_000,
    }
}

fn adopted() -> AdoptedCheckpoint {
    AdoptedCheckpoint { epoch: Epoch(9), attempt: Attempt(4), state_bytes: 1 << 33, parallelism: 3 }
}

fn by_name() -> JobRef {
    JobRef::Name { namespace: "default".into(), name: "delays".into() }
}

fn statements() -> Vec<String> {
    vec!["CREATE TABLE t (k INT) WITH ('connector' = 'blackhole')".into(), "CREATE VIEW v AS SELECT 1".into()]
}

/// Requests, with the file of each in `tests/golden` and its method.
pub(super) fn requests() -> Vec<(&'static str, &'static str, ClientRequest)> {
    use ClientRequest as R;
    let id = || JobRef::Id(JobId(7));
    let submit = SubmitJob {
        namespace: "default".into(),
        name: "delays".into(),
        graph: Arc::new(graph()),
        fingerprint: "0123".into(),
        sql: "INSERT INTO out SELECT …".into(),
        parallelism: 4,
        settings: settings(),
        scaling: None,
        awaits_state: false,
    };
    let awaiting = SubmitJob { awaits_state: true, ..submit.clone() };
    let elastic = SubmitJob { scaling: Some(scaling()), ..submit.clone() };
    let quota = QuotaInfo { slots: Some(0), jobs: Some(3), state_bytes: Some(1 << 40) };
    vec![
        ("submit_job", "submit_job", R::SubmitJob(submit)),
        ("submit_job-awaiting", "submit_job", R::SubmitJob(awaiting)),
        ("submit_job-elastic", "submit_job", R::SubmitJob(elastic)),
        ("list_jobs", "list_jobs", R::ListJobs { namespace: Some("default".into()), all: true }),
        ("list_jobs-everywhere", "list_jobs", R::ListJobs { namespace: None, all: false }),
        ("describe_job", "describe_job", R::DescribeJob { job: by_name(), graph: false }),
        ("describe_job-graph", "describe_job", R::DescribeJob { job: by_name(), graph: true }),
        ("stop_job", "stop_job", R::StopJob { job: id(), drain: true }),
        ("cancel_job", "cancel_job", R::CancelJob { job: id() }),
        ("restart_job", "restart_job", R::RestartJob { job: id(), from: Some(Epoch(9)), adopted: None }),
        ("restart_job-newest", "restart_job", R::RestartJob { job: id(), from: None, adopted: None }),
        ("restart_job-adopted", "restart_job", R::RestartJob { job: id(), from: None, adopted: Some(adopted()) }),
        ("rescale_job", "rescale_job", R::RescaleJob { job: id(), parallelism: 8 }),
        ("set_scaling", "set_scaling", R::SetScaling { job: id(), scaling: scaling() }),
        ("delete_job", "delete_job", R::DeleteJob { job: id(), discard_results: false }),
        ("delete_job-discard", "delete_job", R::DeleteJob { job: id(), discard_results: true }),
        ("take_savepoint", "take_savepoint", R::TakeSavepoint { job: id() }),
        ("list_checkpoints", "list_checkpoints", R::ListCheckpoints { job: id() }),
        ("forget_checkpoint", "forget_checkpoint", R::ForgetCheckpoint { job: id(), epoch: Epoch(9) }),
        ("audit_sinks", "audit_sinks", R::AuditSinks { job: by_name() }),
        (
            "expect_results",
            "expect_results",
            R::ExpectResults { namespace: "team".into(), token: 0xabc, reading: true },
        ),
        ("read_results", "read_results", R::ReadResults { job: id(), after: Some(position()), offset: 1 << 20 }),
        ("read_results-first", "read_results", R::ReadResults { job: by_name(), after: None, offset: 0 }),
        ("put_artifact", "put_artifact", R::PutArtifact(artifact_piece())),
        ("list_workers", "list_workers", R::ListWorkers),
        ("drain_worker", "drain_worker", R::DrainWorker { worker: WorkerId("w1".into()), draining: true }),
        ("list_namespaces", "list_namespaces", R::ListNamespaces),
        ("set_namespace", "set_namespace", R::SetNamespace { namespace: "team".into(), quota }),
        ("drop_namespace", "drop_namespace", R::DropNamespace { namespace: "team".into() }),
        ("show_catalog", "show_catalog", R::ShowCatalog { namespace: "team".into(), to_change: false }),
        ("show_catalog-to-change", "show_catalog", R::ShowCatalog { namespace: "team".into(), to_change: true }),
        (
            "replace_catalog",
            "replace_catalog",
            R::ReplaceCatalog { namespace: "team".into(), version: 3, statements: statements() },
        ),
        ("list_tokens", "list_tokens", R::ListTokens),
        ("create_token", "create_token", R::CreateToken(new_token())),
        ("create_token-of-group", "create_token", R::CreateToken(of_group())),
        ("revoke_token", "revoke_token", R::RevokeToken { name: "ci".into() }),
        ("describe_cluster", "describe_cluster", R::DescribeCluster),
        (
            "add_coordinator",
            "add_coordinator",
            R::AddCoordinator { id: CoordinatorId(4), address: "c4:7420".into(), log: 0 },
        ),
        ("remove_coordinator", "remove_coordinator", R::RemoveCoordinator { id: CoordinatorId(4) }),
        ("transfer_leadership", "transfer_leadership", R::TransferLeadership { to: Some(CoordinatorId(2)) }),
        ("transfer_leadership-any", "transfer_leadership", R::TransferLeadership { to: None }),
    ]
}

fn artifact_piece() -> ArtifactPiece {
    let hash = ArtifactHash::from_bytes([0xab; 32]);
    ArtifactPiece { hash, size: 1 << 22, offset: 1 << 21, bytes: vec![127, 69, 76, 70].into() }
}

fn position() -> FilePosition {
    FilePosition { epoch: Epoch(12), number: 3 }
}

fn piece() -> ResultPiece {
    ResultPiece { position: position(), bytes: vec![0, 255, 7].into(), is_last: true }
}

fn scaling() -> Scaling {
    Scaling {
        by: ScalingBy::Load,
        dry_run: true,
        min_slots: 2,
        max_slots: 16,
        settle_ms: 90_000,
        target_percent: 60,
        catch_up_ms: 120_000,
    }
}

fn decisions() -> Vec<ScalingDecision> {
    let decision =
        ScalingDecision { at: 1_767_225_600_000, from: 2, to: 3, wanted: 4, done: true, reason: "it is busy".into() };
    vec![ScalingDecision { done: false, ..decision.clone() }, decision]
}

fn grants() -> Vec<Grant> {
    vec![Grant { role: Role::Viewer, namespace: None }, Grant { role: Role::Admin, namespace: Some("team".into()) }]
}

fn new_token() -> NewToken {
    NewToken {
        name: "ci".into(),
        bearer: Bearer::Secret("0f".repeat(32)),
        grants: grants(),
        plugins: true,
        expires_at: Some(1_767_225_600_000),
    }
}

fn of_group() -> NewToken {
    NewToken { bearer: Bearer::Group("cn=platform, dc=example".into()), expires_at: None, ..new_token() }
}

fn token() -> TokenInfo {
    TokenInfo {
        name: "ci".into(),
        group: None,
        grants: grants(),
        plugins: true,
        created_by: Some("root".into()),
        created_at: 1_767_225_600_000,
        expires_at: None,
    }
}

/// How a job does.
pub(super) fn figures() -> Figures {
    Figures {
        rows_in: 1,
        rows_out: 2,
        late_rows: 3,
        rejected_rows: 4,
        state_bytes: 5,
        watermark: Some(EventTime(-62_135_596_800_000)),
        activity: None,
    }
}

/// Two workers, three slots.
pub(super) fn placement() -> Placement {
    let worker = |name: &str, incarnation| PlacedWorker {
        worker: WorkerId(name.into()),
        incarnation: Incarnation(incarnation),
        address: format!("{name}:7421"),
    };
    Placement { workers: vec![worker("w1", u64::MAX), worker("w2", 2)], slots: vec![0, 1, 0] }
}

/// A savepoint at the end of a job.
pub(super) fn checkpoint() -> CheckpointInfo {
    CheckpointInfo {
        epoch: Epoch(12),
        attempt: Attempt(3),
        completed_at: 1_767_225_600_000,
        duration_ms: 35,
        state_bytes: 1000,
        written_bytes: 100,
        savepoint: true,
        finished: true,
        committed: true,
        parallelism: 4,
        manifest: "manifests/12".into(),
    }
}

/// A job for which everything is there.
pub(crate) fn detail() -> JobDetail {
    let summary = JobSummary {
        job: JobId(7),
        namespace: "default".into(),
        name: "delays".into(),
        status: "restarting".into(),
        desired: "running".into(),
        parallelism: 4,
        slots: None,
        attempt: Attempt(3),
        restarts: 2,
        submitted_at: 1_767_225_600_000,
        changed_at: 1_767_225_601_000,
        figures: Some(figures()),
        last_checkpoint: Some(checkpoint()),
        last_failure: Some(JobFailureInfo {
            attempt: Attempt(2),
            kind: Some(ErrorKind::Data),
            report: "worker w2 is gone".into(),
            at: 1_767_225_601_000,
            retry_at: Some(1_767_225_602_000),
        }),
        waiting_for: Some("needs 4 slots; 2 are free".into()),
    };
    JobDetail {
        summary,
        submitted_by: None,
        last_action: None,
        sql: "SELECT".into(),
        settings: settings(),
        fingerprint: "0123".into(),
        placement: Some(placement()),
        vertices: vec![
            VertexInfo { name: "Source(in)".into(), uid: OperatorUid("source-1".into()), figures: Some(figures()) },
            VertexInfo { name: "Sink(out)".into(), uid: OperatorUid("sink-1".into()), figures: None },
        ],
        checkpoints: vec![checkpoint()],
        checkpoint_in_progress: Some(CheckpointProgress { epoch: Epoch(13), running_ms: 250 }),
        last_pause_ms: Some(900),
        scaling: Scaling::default(),
        scaling_decisions: Vec::new(),
        load: None,
        graph: None,
    }
}

/// Answers, with the file of each and a method that it belongs to.
pub(super) fn responses() -> Vec<(&'static str, &'static str, ClientResponse)> {
    let worker = WorkerInfo {
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(1),
        address: "w1:7421".into(),
        slots: 8,
        used: 4,
        draining: true,
        connected: true,
        version: "0.1.0".into(),
        last_heard_ms: Some(120),
        jobs: vec![WorkerJob { job: JobId(7), name: "default/delays".into(), slots: 4 }],
        lost_at: None,
        lost_because: None,
    };
    let namespace = NamespaceInfo {
        namespace: "default".into(),
        quota: QuotaInfo { slots: Some(16), jobs: None, state_bytes: Some(1) },
        slots_used: 4,
        jobs: 1,
        state_bytes: 1000,
    };
    let coordinator = CoordinatorInfo {
        id: CoordinatorId(1),
        address: "c1:7420".into(),
        role: "leader".into(),
        matched: Some(99),
        commit: 98,
        silent_ms: None,
    };
    let cluster = ClusterInfo {
        cluster: "weir-0a1b".into(),
        storage: "file:///srv/weir".into(),
        leader: Some(CoordinatorId(1)),
        term: 5,
        coordinators: vec![coordinator],
        workers: 2,
        slots: 16,
        slots_used: 4,
        jobs_running: 1,
    };
    let unchecked =
        |updated, unchecked| ClientResponse::Submitted { job: JobId(7), already_there: true, updated, unchecked };
    let submitted = |updated| unchecked(updated, None);
    let action = JobAction { what: "stop".into(), by: "ci".into(), at: 1_767_225_600_000 };
    let by = JobDetail { submitted_by: Some("root".into()), last_action: Some(action), ..detail() };
    let with_graph = JobDetail { graph: Some(Arc::new(graph())), ..detail() };
    let load = LoadInfo {
        busiest: "Source(in)".into(),
        busy_percent: 60,
        load_percent: 130,
        needed_slots: 4,
        said: "it is busy".into(),
    };
    let elastic = JobDetail { scaling: scaling(), scaling_decisions: decisions(), load: Some(load), ..detail() };
    vec![
        ("submitted", "submit_job", submitted(false)),
        ("submitted-updated", "submit_job", submitted(true)),
        ("submitted-unchecked", "submit_job", unchecked(true, Some("no worker is here that could look".into()))),
        ("jobs", "list_jobs", ClientResponse::Jobs(vec![detail().summary])),
        ("job", "describe_job", ClientResponse::Job(Box::new(detail()))),
        ("job-graph", "describe_job", ClientResponse::Job(Box::new(with_graph))),
        ("accepted", "stop_job", ClientResponse::Accepted),
        ("savepoint_begun", "take_savepoint", ClientResponse::SavepointBegun { after: Epoch(13) }),
        ("checkpoints", "list_checkpoints", ClientResponse::Checkpoints(vec![checkpoint()])),
        ("audit", "audit_sinks", ClientResponse::SinksAudited(audit())),
        ("results", "read_results", ClientResponse::Results(Some(piece()))),
        ("results-none", "read_results", ClientResponse::Results(None)),
        ("artifact_here", "put_artifact", ClientResponse::ArtifactHere { bytes: 1 << 21 }),
        ("workers", "list_workers", ClientResponse::Workers(vec![worker])),
        ("namespaces", "list_namespaces", ClientResponse::Namespaces(vec![namespace])),
        ("catalog", "show_catalog", ClientResponse::Catalog(CatalogInfo { version: 4, statements: statements() })),
        ("job-elastic", "describe_job", ClientResponse::Job(Box::new(elastic))),
        ("job-by", "describe_job", ClientResponse::Job(Box::new(by))),
        ("tokens", "list_tokens", ClientResponse::Tokens(vec![token()])),
        (
            "tokens-of-group",
            "list_tokens",
            ClientResponse::Tokens(vec![TokenInfo { group: Some("platform".into()), ..token() }]),
        ),
        ("cluster", "describe_cluster", ClientResponse::Cluster(cluster)),
    ]
}

/// A refusal.
pub(super) fn error() -> ClientError {
    ClientError::new(ClientErrorKind::Quota, "the namespace has 4 of 4 slots in use").with_help("ask for more")
}

fn failure() -> Failure {
    Failure { kind: ErrorKind::Data, report: "line 3: not a number".into(), peer_lost: true }
}

fn statuses() -> Vec<AttemptStatus> {
    let phases = [
        AttemptPhase::Opening,
        AttemptPhase::Ready,
        AttemptPhase::Running,
        AttemptPhase::Ended,
        AttemptPhase::Failed(failure()),
    ];
    let kinds = [None, Some(MarkerKind::Flush), Some(MarkerKind::Checkpoint), Some(MarkerKind::Savepoint)];
    let kinds = kinds.into_iter().chain([Some(MarkerKind::Drain)]);
    let of = |(phase, last_kind)| AttemptStatus {
        job: JobId(7),
        attempt: Attempt(3),
        phase,
        last_epoch: Epoch(12),
        last_kind,
        captures: vec![Marker { epoch: Epoch(11), kind: MarkerKind::Savepoint }],
        wants_marker: true,
        exhausted: true,
    };
    phases.into_iter().zip(kinds).map(of).collect()
}

/// What a sink has prepared.
pub(crate) fn committables(bytes: Vec<u8>) -> SinkCommittables {
    SinkCommittables {
        committables: vec![bytes],
        ..SinkCommittables::nothing(OperatorUid("sink-1".into()), table("out"))
    }
}

/// Messages of workers, with the file of each.
pub(super) fn from_worker() -> Vec<(&'static str, FromWorker)> {
    let run = Run { file: "a.run".into(), offset: 1, length: 2, rows: 3, crc32: 4, ..Run::default() };
    let sink = committables(vec![1, 2]);
    let content = EpochContent { epoch: Epoch(12), operators: Vec::new(), committables: vec![sink], bytes: 9 };
    let merged = MergedRuns {
        uid: OperatorUid("agg-1".into()),
        table: "groups".into(),
        runs: vec![run.clone(), run.clone()],
        into: run,
    };
    let hello = Hello {
        cluster: Some("weir-0a1b".into()),
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(u64::MAX - 1),
        slots: 8,
        address: "w1:7421".into(),
        version: "0.1.0".into(),
        attempts: statuses(),
        leaving: true,
        protocol: 1,
        audits: false,
        compares_state: false,
    };
    let comparing = Hello { compares_state: true, ..hello.clone() };
    let auditing = Hello { audits: true, ..hello.clone() };
    let (job, attempt, epoch) = (JobId(7), Attempt(3), Epoch(12));
    let vertex = VertexFigures { uid: OperatorUid("sink-1".into()), figures: figures() };
    let figures = AttemptFigures { job, attempt, vertices: vec![vertex], waiting_markers: 2 };
    let status = statuses().remove(4);
    vec![
        ("hello", FromWorker::Hello(hello)),
        ("hello-audits", FromWorker::Hello(auditing)),
        ("hello-compares-state", FromWorker::Hello(comparing)),
        ("heartbeat", FromWorker::Heartbeat(Heartbeat { figures: vec![figures] })),
        ("status", FromWorker::Status(status)),
        ("report", FromWorker::Report(Report { job, attempt, epoch, outcome: Ok(content) })),
        ("report-failed", FromWorker::Report(Report { job, attempt, epoch, outcome: Err(failure()) })),
        ("committed", FromWorker::Committed { job, epoch, result: Ok(()) }),
        ("committed-not", FromWorker::Committed { job, epoch, result: Err(failure()) }),
        ("merged", FromWorker::Merged { job, attempt, epoch, merged: Ok(vec![merged]) }),
        ("merged-not", FromWorker::Merged { job, attempt, epoch, merged: Err(failure()) }),
        ("audited", FromWorker::Audited { id: 11, findings: Ok(findings()) }),
        ("audited-not", FromWorker::Audited { id: 11, findings: Err(failure()) }),
        ("state-compared", FromWorker::StateCompared { id: 11, misfits: Ok(misfits()) }),
        ("state-compared-not", FromWorker::StateCompared { id: 11, misfits: Err(failure()) }),
        ("leaving", FromWorker::Leaving),
    ]
}

fn findings() -> AuditFindings {
    let epoch = AuditedEpoch { epoch: Epoch(12), found: Found::Written, rows: Some(120), files: None };
    let audited = AuditedSink {
        target: "topic 'windows'".into(),
        marker: "topic 'weir-commits'".into(),
        last: Some(Epoch(12)),
        absent: false,
        epochs: vec![epoch],
    };
    AuditFindings { unread: vec![(Epoch(9), failure())], sinks: vec![Ok(Some(audited)), Ok(None), Err(failure())] }
}

fn misfits() -> Misfits {
    Misfits { stored: vec!["o/plugin watch: state 'seen' does not fit".into()], running: Vec::new() }
}

fn audit() -> SinksAudit {
    let epoch =
        EpochAudit { epoch: Epoch(12), committed: true, found: found::WRITTEN.into(), rows: Some(120), files: Some(3) };
    let sink = SinkAudit {
        table: "windows".into(),
        connector: "kafka".into(),
        uid: OperatorUid("sink-1".into()),
        target: Some("topic 'windows'".into()),
        marker: Some("topic 'weir-commits'".into()),
        written: Some(Epoch(12)),
        epochs: vec![epoch],
        verdict: verdict::DISAGREES.into(),
        reason: Some("it lacks epoch 12".into()),
    };
    SinksAudit { job: JobId(7), last_completed: Epoch(12), sinks: vec![sink] }
}

/// Messages to workers, with the file of each.
pub(super) fn to_worker() -> Vec<(&'static str, ToWorker)> {
    let (job, attempt, epoch) = (JobId(7), Attempt(3), Epoch(12));
    let storage = StoragePlace { url: "file:///srv/weir".into() };
    let checkpoint = CheckpointRef { epoch, manifest: "manifests/12".into() };
    let deploy = Deploy {
        job,
        identity: JobIdentity::default(),
        attempt,
        name: "delays".into(),
        graph: Arc::new(graph()),
        placement: placement(),
        storage: storage.clone(),
        restore: Some(checkpoint.clone()),
        last_epoch: epoch,
        batch_rows: 8192,
        memory_budget: Some(64 << 20),
        checkpoint_interval: None,
    };
    let leftovers = Leftovers {
        identity: JobIdentity(0xfeed),
        behind: Some((attempt, epoch)),
        sinks: vec![(
            OperatorUid("sink-1".into()),
            TableSpec::new("t", "print", BTreeMap::new(), Arc::new(Schema::empty())),
        )],
    };
    let order = AuditOrder {
        identity: JobIdentity(0xfeed),
        storage: storage.clone(),
        checkpoints: vec![checkpoint.clone()],
        sinks: leftovers.sinks.clone(),
        isolation: Isolation::None,
    };
    let (graph, storage_of_job) = (Arc::new(graph()), storage.clone());
    let comparison =
        StateComparison { graph, storage: storage_of_job, checkpoint: Some(checkpoint.clone()), running: None };
    let running = StateComparison { checkpoint: None, running: Some(comparison.graph.clone()), ..comparison.clone() };
    let commit =
        |isolation| ToWorker::Commit { job, storage: storage.clone(), checkpoint: checkpoint.clone(), isolation };
    let welcome = Welcome {
        cluster: "weir-0a1b".into(),
        term: 5,
        heartbeat_interval: Duration::from_millis(500),
        coordinators: Vec::new(),
    };
    vec![
        ("welcome", ToWorker::Welcome(welcome)),
        ("redirect", ToWorker::Redirect { leader: Some("c2:7420".into()) }),
        ("redirect-nowhere", ToWorker::Redirect { leader: None }),
        ("refused", ToWorker::Refused { reason: "another cluster".into() }),
        ("name-taken", ToWorker::NameTaken { address: "w1:7431".into() }),
        ("deploy-identity", ToWorker::Deploy(Arc::new(Deploy { identity: JobIdentity(0xfeed), ..deploy.clone() }))),
        (
            "deploy-interval",
            ToWorker::Deploy(Arc::new(Deploy { checkpoint_interval: Some(Duration::from_secs(10)), ..deploy.clone() })),
        ),
        ("deploy", ToWorker::Deploy(Arc::new(deploy))),
        ("discard", ToWorker::Discard(Arc::new(leftovers))),
        ("start", ToWorker::Start { job, attempt }),
        ("marker", ToWorker::Marker { job, attempt, epoch, kind: MarkerKind::Stop }),
        ("completed", ToWorker::Completed { job, attempt, epoch }),
        ("cancel", ToWorker::Cancel { job, attempt }),
        ("commit", commit(Isolation::None)),
        ("commit-isolated", commit(Isolation::Process { memory_limit: Some(1 << 30) })),
        ("merge", ToWorker::Merge { job, attempt, storage: storage.clone(), checkpoint: checkpoint.clone() }),
        ("audit", ToWorker::Audit { id: 11, order: Arc::new(order) }),
        ("compare-state", ToWorker::CompareState { id: 11, order: Arc::new(comparison.clone()) }),
        ("compare-state-running", ToWorker::CompareState { id: 11, order: Arc::new(running) }),
        ("farewell", ToWorker::Farewell),
    ]
}
