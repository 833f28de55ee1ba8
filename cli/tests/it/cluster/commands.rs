//! Commands that talk to a cluster. The coordinator's port is the real one; what is decided behind it is played by the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::watch;
use weir_coordinator::raft::{LogId, Membership, Role, Status};
use weir_coordinator::server::grpc::{GrpcConfig, serve};
use weir_coordinator::server::{Message, NodeHandle};
use weir_core::{Attempt, CoordinatorId, Epoch, ErrorKind, Incarnation, JobId, OperatorSpec, WorkerId};
use weir_proto::client::{
    CheckpointInfo, ClientError, ClientErrorKind, ClientRequest, ClientResponse, JobDetail, JobFailureInfo, JobRef,
    JobSettingsInfo, JobSummary, NamespaceInfo, QuotaInfo, Scaling, SubmitJob, WorkerInfo, WorkerJob,
};

use crate::weir::{Ran, command, file, path};

type Answer = Result<ClientResponse, ClientError>;

/// A coordinator that answers as it is told, and remembers what it was asked.
struct Cluster {
    address: SocketAddr,
    asked: mpsc::Receiver<ClientRequest>,
    _runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn start(mut answer: impl FnMut(&ClientRequest) -> Answer + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mut inbox) = tokio::sync::mpsc::channel(16);
        let (remember, asked) = mpsc::channel();
        runtime.spawn(async move {
            let (_view, seen) = watch::channel(Status {
                id: CoordinatorId(1),
                role: Role::Leader,
                term: 1,
                leader: Some(CoordinatorId(1)),
                commit: 0,
                applied: 0,
                membership: Membership::default(),
                matched: BTreeMap::new(),
            });
            let node = NodeHandle::new(sender, seen);
            serve(listener, node, GrpcConfig::new("weir-test", LogId(7)), None, std::future::pending()).await.unwrap();
        });
        runtime.spawn(async move {
            while let Some(message) = inbox.recv().await {
                if let Message::Client(_, _, request, reply) = message {
                    let answer = answer(&request);
                    // Before the answer, so that whoever has got it finds the request remembered.
                    let _ = remember.send(request);
                    let _ = reply.send(answer);
                }
            }
        });
        Self { address, asked, _runtime: runtime }
    }

    /// One that accepts every change.
    fn accepting() -> Self {
        Self::start(|_| Ok(ClientResponse::Accepted))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("WEIR_COORDINATORS", self.address.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn weir(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// What it was asked since it was last looked at.
    fn asked(&self) -> Vec<String> {
        self.asked.try_iter().map(|request| format!("{request:?}")).collect()
    }
}

fn summary(status: &str, attempt: u64) -> JobSummary {
    JobSummary {
        job: JobId(7),
        namespace: "default".into(),
        name: "delays".into(),
        status: status.into(),
        desired: "running".into(),
        parallelism: 2,
        slots: None,
        attempt: Attempt(attempt),
        restarts: 0,
        submitted_at: 0,
        changed_at: 0,
        figures: None,
        last_checkpoint: None,
        last_failure: None,
        waiting_for: None,
    }
}

fn detail(summary: JobSummary) -> ClientResponse {
    let settings = JobSettingsInfo {
        batch_rows: 1,
        memory_budget: None,
        checkpoint_interval_ms: 1,
        checkpoint_timeout_ms: 1,
        tolerable_failures: 1,
        retained_checkpoints: 1,
        restart_attempts: None,
        restart_initial_delay_ms: 1,
        restart_maximum_delay_ms: 1,
        restart_stable_ms: 1,
    };
    ClientResponse::Job(Box::new(JobDetail {
        summary,
        submitted_by: None,
        last_action: None,
        sql: String::new(),
        settings,
        fingerprint: String::new(),
        placement: None,
        vertices: Vec::new(),
        checkpoints: Vec::new(),
        checkpoint_in_progress: None,
        last_pause_ms: None,
        scaling: Scaling::default(),
        scaling_decisions: Vec::new(),
        load: None,
        graph: None,
    }))
}

/// Answers descriptions with these, the last one again and again, and accepts the rest.
fn described(statuses: Vec<JobSummary>) -> impl FnMut(&ClientRequest) -> Answer {
    let mut statuses = statuses.into_iter().peekable();
    move |request| {
        Ok(match request {
            ClientRequest::DescribeJob { .. } => {
                let now = statuses.peek().unwrap().clone();
                if statuses.len() > 1 {
                    statuses.next();
                }
                detail(now)
            }
            ClientRequest::SubmitJob(_) => {
                ClientResponse::Submitted { job: JobId(7), already_there: false, updated: false, unchecked: None }
            }
            ClientRequest::TakeSavepoint { .. } => ClientResponse::SavepointBegun { after: Epoch(12) },
            _ => ClientResponse::Accepted,
        })
    }
}

const INSERT: &str =
    "CREATE TABLE flights (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'in.csv', 'format' = 'csv');
    CREATE TABLE out (n BIGINT) WITH ('connector' = 'filesystem', 'path' = './out', 'format' = 'csv');
    SET 'execution.checkpointing.interval' = '2 s';
    INSERT INTO out SELECT n FROM flights";

#[test]
fn help_teaches() {
    for (command, example) in [
        ("submit", "weir submit delays.sql --detach"),
        ("jobs", "weir jobs rescale delays -p 8"),
        ("workers", "weir workers drain w3 --wait"),
        ("checkpoints", "weir checkpoints delete delays 12"),
        ("namespaces", "--slots none"),
        ("cluster", "weir cluster transfer-leadership"),
    ] {
        let help = crate::weir::weir(&[command, "--help"]).code(0).out;
        assert!(help.contains(example), "{help}");
    }
}

#[test]
fn a_wrong_call_is_a_user_error() {
    let weir = crate::weir::weir;
    weir(&["jobs"]).code(2);
    weir(&["jobs", "rescale", "delays"]).code(2).says(&["--parallelism"]);
    weir(&["jobs", "rescale", "delays", "-p", "0"]).code(2);
    weir(&["namespaces", "set", "x", "--slots", "many"]).code(2).says(&["write a number, or 'none'"]);
    weir(&["workers", "list", "--timeout", "soon"]).code(2).says(&["write a duration"]);
    weir(&["workers", "list", "--coordinators", ","]).code(2).says(&["there is no coordinator to ask"]);
    weir(&["workers", "list", "--coordinators", "here"]).code(2).says(&["write it as host:port"]);
}

#[test]
fn where_nobody_answers_is_said_and_others_are_tried() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    crate::weir::weir(&["workers", "list", "--coordinators", &gone, "--timeout", "300ms"]).code(4).says(&[
        &format!("no answer from the cluster at {gone}"),
        "refused",
        "--coordinators host:port",
    ]);
    let cluster = Cluster::start(|_| Ok(ClientResponse::Workers(Vec::new())));
    let both = format!("{gone},{}", cluster.address);
    cluster.weir(&["workers", "list", "--coordinators", &both]).code(0).says(&["there are no workers"]);
}

#[test]
fn one_that_hangs_does_not_keep_the_others_from_being_asked() {
    // The system takes the connection, and nobody ever reads from it.
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cluster = Cluster::start(|request| match request {
        ClientRequest::ListWorkers => Ok(ClientResponse::Workers(Vec::new())),
        _ => Ok(ClientResponse::Accepted),
    });
    let both = format!("{},{}", hung.local_addr().unwrap(), cluster.address);
    let more = ["--coordinators", &both, "--timeout", "3s"];
    cluster.weir(&[&["workers", "list"], &more[..]].concat()).code(0).says(&["there are no workers"]);
    cluster.weir(&[&["jobs", "delete", "7"], &more[..]].concat()).code(0).says(&["7: deleted"]);
}

#[test]
fn without_a_leader_it_is_asked_again_and_what_may_be_done_already_is_not() {
    let mut tries = 0;
    let mut unsteady = move |kind| {
        tries += 1;
        if tries % 3 == 0 { Ok(ClientResponse::Accepted) } else { Err(ClientError::new(kind, "moving")) }
    };
    let cluster = Cluster::start(move |_| unsteady(ClientErrorKind::Unavailable));
    cluster.weir(&["jobs", "delete", "7"]).code(0).says(&["7: deleted"]);
    assert_eq!(cluster.asked().len(), 3);
    let cluster = Cluster::start(|_| Err(ClientError::new(ClientErrorKind::Unknown, "did not agree")));
    cluster.weir(&["jobs", "delete", "7"]).code(4).says(&["did not agree", "may or may not have been done"]);
    assert_eq!(cluster.asked().len(), 1);
    cluster
        .weir(&["cluster", "transfer-leadership"])
        .code(4)
        .says(&["may or may not have been", "weir cluster status"]);
    let drain = ["workers", "drain", "w1", "--timeout", "300ms"];
    cluster.weir(&drain).code(4).says(&["may or may not have been done", "weir workers list"]);
    cluster.asked();
    cluster.weir(&["jobs", "cancel", "7", "--timeout", "1s"]).code(4).says(&["no answer from the cluster"]);
    assert!(cluster.asked().len() > 1, "to cancel twice is to cancel");
}

#[test]
fn refusals_are_shown_with_their_advice() {
    let refusal = ClientError::new(ClientErrorKind::NotFound, "there is no job default/x").with_help("look again");
    let cluster = Cluster::start(move |_| Err(refusal.clone()));
    cluster.weir(&["jobs", "describe", "x"]).code(2).says(&["error: there is no job default/x", "help: look again"]);
}

#[test]
fn lists_are_tables_for_people_and_json_for_programs() {
    let cluster = Cluster::start(|_| Ok(ClientResponse::Jobs(vec![summary("running", 1)])));
    let table = cluster.weir(&["jobs", "list"]).code(0).out;
    assert!(table.contains("│ default/delays │ running │"), "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&cluster.weir(&["jobs", "list", "--json", "--all"]).code(0).out).unwrap();
    assert_eq!((&json[0]["job"], &json[0]["status"]), (&7.into(), &"running".into()));
    let asked = cluster.asked();
    assert_eq!(asked[0], "ListJobs { namespace: None, all: false }");
    assert_eq!(asked[1], "ListJobs { namespace: None, all: true }");
}

#[test]
fn namespaces_are_created_once_and_changed_limit_by_limit() {
    let namespace = NamespaceInfo {
        namespace: "flights".into(),
        quota: QuotaInfo { slots: Some(4), jobs: Some(2), state_bytes: None },
        slots_used: 0,
        jobs: 0,
        state_bytes: 0,
    };
    let cluster = Cluster::start(move |request| {
        Ok(match request {
            ClientRequest::ListNamespaces => ClientResponse::Namespaces(vec![namespace.clone()]),
            _ => ClientResponse::Accepted,
        })
    });
    cluster.weir(&["namespaces", "create", "flights"]).code(2).says(&["already", "weir namespaces set flights"]);
    cluster.weir(&["namespaces", "set", "flihgts"]).code(2).says(&["there is no namespace 'flihgts'"]);
    cluster.asked();
    cluster.weir(&["namespaces", "set", "flights", "--slots", "none", "--state-bytes", "1gb"]).code(0);
    let expected = QuotaInfo { slots: None, jobs: Some(2), state_bytes: Some(1 << 30) };
    let asked = cluster.asked();
    assert_eq!(asked[1], format!("SetNamespace {{ namespace: \"flights\", quota: {expected:?} }}"));
}

#[test]
fn changes_ask_for_what_they_say() {
    let cluster = Cluster::accepting();
    let address = cluster.address.to_string();
    for (arguments, request) in [
        (
            vec!["jobs", "stop", "x/y", "--drain", "--detach"],
            ClientRequest::StopJob { job: name("x", "y"), drain: true },
        ),
        (vec!["jobs", "cancel", "y", "--namespace", "x", "--detach"], ClientRequest::CancelJob { job: name("x", "y") }),
        (vec!["checkpoints", "delete", "7", "12"], {
            ClientRequest::ForgetCheckpoint { job: JobRef::Id(JobId(7)), epoch: Epoch(12) }
        }),
        (
            vec!["jobs", "delete", "y", "--discard-results"],
            ClientRequest::DeleteJob { job: name("default", "y"), discard_results: true },
        ),
        (vec!["workers", "drain", "w1"], {
            ClientRequest::DrainWorker { worker: WorkerId("w1".into()), draining: true }
        }),
        (vec!["namespaces", "delete", "x"], ClientRequest::DropNamespace { namespace: "x".into() }),
        // First whether the user may; then whoever is added is asked for its log; here that is the same one.
        (vec!["cluster", "add", "1", &address], {
            ClientRequest::AddCoordinator { id: CoordinatorId(1), address: address.clone(), log: 7 }
        }),
        (vec!["cluster", "transfer-leadership"], ClientRequest::TransferLeadership { to: None }),
    ] {
        cluster.weir(&arguments).code(0);
        let asked = cluster.asked();
        assert_eq!(asked.last(), Some(&format!("{request:?}")), "{arguments:?}");
        let permission = usize::from(matches!(request, ClientRequest::AddCoordinator { .. }));
        assert_eq!(asked.len(), 1 + permission, "{arguments:?}: {asked:?}");
    }
}

fn name(namespace: &str, name: &str) -> JobRef {
    JobRef::Name { namespace: namespace.into(), name: name.into() }
}

#[test]
fn a_submitted_job_has_its_settings_and_paths_that_hold_everywhere() {
    let (submitted, received) = mpsc::channel::<SubmitJob>();
    let cluster = Cluster::start(move |request| {
        if let ClientRequest::SubmitJob(job) = request {
            submitted.send(job.clone()).unwrap();
        }
        Ok(ClientResponse::Submitted { job: JobId(7), already_there: false, updated: false, unchecked: None })
    });
    let directory = tempfile::tempdir().unwrap();
    let script = file(".sql", INSERT);
    let more = ["-p", "3", "--detach", "--namespace", "flights", "-D", "restart-strategy.type=none"];
    let arguments = [&["submit", path(&script), "--name", "delays"], &more[..]].concat();
    let ran: Ran = cluster.command(&arguments).current_dir(directory.path()).output().unwrap().into();
    let ran = ran.code(0).says(&["delays: is submitted as job 7"]);
    assert_eq!(ran.out, "7\n");
    let job = received.try_recv().unwrap();
    assert_eq!((job.namespace.as_str(), job.name.as_str(), job.parallelism), ("flights", "delays", 3));
    assert_eq!(job.settings.checkpoint_interval_ms, 2000);
    assert_eq!(job.settings.restart_attempts, Some(0));
    assert_eq!(job.sql, INSERT);
    assert_eq!(job.fingerprint, job.graph.fingerprint());
    let paths: Vec<String> = job
        .graph
        .nodes()
        .iter()
        .filter_map(|node| match &node.spec.operator {
            OperatorSpec::Source(source) => Some(source.table.options["path"].clone()),
            OperatorSpec::Sink(sink) => Some(sink.table.options["path"].clone()),
            _ => None,
        })
        .collect();
    let here = directory.path().canonicalize().unwrap();
    assert_eq!(paths, ["in.csv", "out"].map(|name| here.join(name).to_str().unwrap().to_owned()));
}

#[test]
fn what_is_wrong_with_a_script_is_said_without_the_cluster() {
    let cluster = Cluster::accepting();
    let select = "SELECT * FROM (VALUES (1)) AS t (x)";
    cluster.weir(&["submit", "-e", "SELECT y FROM (VALUES (1)) AS t (x)"]).code(2).says(&["line 1, column 8", "`y`"]);
    cluster.weir(&["submit", "-e", select, "--detach"]).code(2).says(&["line 1, column 1", "leave --detach out"]);
    cluster.weir(&["submit", "-e", "SET 'client.quiet' = 'true'"]).code(2).says(&["nothing to run"]);
    assert!(cluster.asked().is_empty());
}

#[test]
fn an_attached_job_is_watched_to_its_end() {
    let cluster =
        Cluster::start(described(vec![summary("scheduling", 0), summary("running", 1), summary("finished", 1)]));
    cluster
        .weir(&["submit", "-e", INSERT, "--name", "delays"])
        .code(0)
        .says(&["is submitted as job 7", "delays: finished"]);

    let failure = JobFailureInfo {
        attempt: Attempt(1),
        kind: Some(ErrorKind::Data),
        report: "line 3: not a number".into(),
        at: 0,
        retry_at: None,
    };
    let failed = JobSummary { last_failure: Some(failure), ..summary("failed", 1) };
    let cluster = Cluster::start(described(vec![summary("running", 1), failed]));
    cluster.weir(&["submit", "-e", INSERT]).code(3).says(&["job default/delays has failed", "line 3: not a number"]);

    let cancelled = || described(vec![summary("running", 1), summary("cancelled", 1)]);
    Cluster::start(cancelled()).weir(&["submit", "-e", INSERT]).code(2).says(&["was cancelled meanwhile"]);
    Cluster::start(cancelled()).weir(&["jobs", "cancel", "7", "--wait"]).code(0).says(&["7: cancelled"]);
}

#[test]
fn a_job_is_not_called_by_a_number_which_would_be_another_ones() {
    let cluster = Cluster::accepting();
    let help = "such as job-2";
    cluster.weir(&["submit", "-e", INSERT, "--name", "2"]).code(2).says(&["a job cannot be called 2", help]);
    cluster.weir(&["submit", "-e", INSERT, "-D", "pipeline.name=2"]).code(2).says(&["a job cannot be called 2", help]);
    assert!(cluster.asked().is_empty());

    let cluster = Cluster::start(described(vec![summary("finished", 1)]));
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("2.sql");
    std::fs::write(&script, INSERT).unwrap();
    cluster.weir(&["submit", script.to_str().unwrap()]).code(0).says(&["job-2: is submitted as job 7"]);
}

#[test]
fn draining_tells_what_it_waits_for_and_not_for_ever() {
    let busy = WorkerInfo {
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(1),
        address: "w1:7421".into(),
        slots: 2,
        used: 2,
        draining: true,
        connected: true,
        version: "0.1.0".into(),
        last_heard_ms: None,
        jobs: vec![WorkerJob { job: JobId(7), name: "default/delays".into(), slots: 2 }],
        lost_at: None,
        lost_because: None,
    };
    let waits = JobSummary { waiting_for: Some("needs 2 slots; none is free".into()), ..summary("running", 1) };
    let cluster = Cluster::start(move |request| {
        Ok(match request {
            ClientRequest::ListWorkers => ClientResponse::Workers(vec![busy.clone()]),
            ClientRequest::ListJobs { .. } => ClientResponse::Jobs(vec![waits.clone()]),
            _ => ClientResponse::Accepted,
        })
    });
    let standing = "2 slots in use · default/delays needs 2 slots; none is free";
    cluster.weir(&["workers", "drain", "w1", "--wait", "--wait-timeout", "1s"]).code(4).says(&[
        &format!("w1: {standing}\n"),
        &format!("worker w1 is not empty after 1 s: {standing}"),
        "weir workers undrain w1",
    ]);
}

/// Starts it and interrupts it once it watches.
fn interrupt(cluster: &Cluster, arguments: &[&str]) -> Child {
    let child = cluster.command(arguments).spawn().unwrap();
    let mut submitted = false;
    interrupt_once_it_asks(cluster, &child, |request| {
        submitted |= matches!(request, ClientRequest::SubmitJob(_));
        submitted && matches!(request, ClientRequest::DescribeJob { .. })
    });
    child
}

fn interrupt_once_it_asks(cluster: &Cluster, child: &Child, mut asks: impl FnMut(&ClientRequest) -> bool) {
    while !asks(&cluster.asked.recv_timeout(Duration::from_secs(30)).expect("the cluster is asked")) {}
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupt_leaves_the_job_to_the_cluster_or_stops_it() {
    let cluster = Cluster::start(described(vec![summary("running", 1)]));
    let ran: Ran = interrupt(&cluster, &["submit", "-e", INSERT]).wait_with_output().unwrap().into();
    ran.code(130).says(&["it goes on in the cluster", "weir jobs stop 7"]);
    assert!(cluster.asked().iter().all(|request| !request.contains("StopJob")));

    let mut stopped = false;
    let cluster = Cluster::start(move |request| {
        stopped |= matches!(request, ClientRequest::StopJob { drain: false, .. });
        described(vec![summary(if stopped { "stopped" } else { "running" }, 1)])(request)
    });
    let ran: Ran =
        interrupt(&cluster, &["submit", "-e", INSERT, "--stop-on-interrupt"]).wait_with_output().unwrap().into();
    ran.code(0).says(&["stopping with a savepoint", "stopped"]);
}

#[test]
fn a_second_interrupt_is_heard_while_nobody_answers_the_first() {
    let cluster = Cluster::start(|request| match request {
        ClientRequest::StopJob { .. } => Err(ClientError::new(ClientErrorKind::Unavailable, "moving")),
        other => described(vec![summary("running", 1)])(other),
    });
    let submit = ["submit", "-e", INSERT, "--stop-on-interrupt", "--timeout", "5min"];
    let child = interrupt(&cluster, &submit);
    interrupt_once_it_asks(&cluster, &child, |request| matches!(request, ClientRequest::StopJob { .. }));
    let ran: Ran = child.wait_with_output().unwrap().into();
    ran.code(130).says(&["stopping with a savepoint", "it goes on in the cluster"]);
}

#[test]
fn commands_wait_for_what_they_ask_for() {
    let cluster = Cluster::start(described(vec![summary("running", 1), summary("stopped", 1)]));
    cluster.weir(&["jobs", "stop", "delays"]).code(0).says(&["delays: stopped"]);

    let rescaled = JobSummary { parallelism: 8, ..summary("running", 2) };
    let cluster = Cluster::start(described(vec![
        summary("running", 1),
        summary("running", 1),
        summary("scheduling", 1),
        rescaled,
    ]));
    cluster.weir(&["jobs", "rescale", "delays", "-p", "8"]).code(0).says(&["attempt 2 runs on 8 slots"]);

    let cluster =
        Cluster::start(described(vec![summary("stopped", 1), summary("deploying", 2), summary("running", 2)]));
    cluster.weir(&["jobs", "restart", "delays", "--from", "12"]).code(0).says(&["attempt 2 runs"]);
    assert!(cluster.asked().iter().any(|request| request.contains("from: Some(Epoch(12))")));

    let savepoint = CheckpointInfo {
        epoch: Epoch(13),
        attempt: Attempt(1),
        completed_at: 0,
        duration_ms: 35,
        state_bytes: 10,
        written_bytes: 10,
        savepoint: true,
        finished: false,
        committed: true,
        parallelism: 2,
        manifest: "manifests/13".into(),
    };
    let mut looks = 0;
    let cluster = Cluster::start(move |request| {
        let answer = described(vec![summary("running", 1)])(request)?;
        Ok(match answer {
            ClientResponse::Job(mut job) => {
                looks += 1;
                job.checkpoints.extend((looks > 2).then(|| savepoint.clone()));
                ClientResponse::Job(job)
            }
            other => other,
        })
    });
    cluster.weir(&["jobs", "savepoint", "delays"]).code(0).says(&["savepoint 13 is complete", "manifests/13"]);
}
