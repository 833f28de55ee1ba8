use weir_proto::client::{Bearer, NewToken};

use super::*;
use crate::access::tests::{graph_calling, graph_isolated};

fn commands() -> Vec<(Command, &'static str)> {
    let (job, attempt, epoch, at) = (JobId(7), Attempt(2), Epoch(5), 1_700_000_000_000);
    let (worker, incarnation) = (WorkerId("a".into()), Incarnation(255));
    let placed = PlacedWorker { worker: worker.clone(), incarnation, address: "a:1".into() };
    let placement = Placement { workers: vec![placed], slots: vec![0, 0] };
    let execution = Execution { placement, restored: Some(epoch), running_since: None };
    let quota = Quota { slots: Some(4), jobs: None, state_bytes: Some(1) };
    vec![
        (
            Command::Found { cluster: "test-1".into(), storage: "file:///c".into() },
            r#"{"Found":{"cluster":"test-1","storage":"file:///c"}}"#,
        ),
        (
            Command::RegisterWorker {
                worker: worker.clone(),
                incarnation,
                address: "a:1".into(),
                slots: 2,
                version: "0.1.0".into(),
                at,
            },
            r#"{"RegisterWorker":{"worker":"a","incarnation":255,"address":"a:1","slots":2,"version":"0.1.0","at":1700000000000}}"#,
        ),
        (
            Command::LoseWorker { worker: worker.clone(), incarnation, reason: "silent".into(), at },
            r#"{"LoseWorker":{"worker":"a","incarnation":255,"reason":"silent","at":1700000000000}}"#,
        ),
        (Command::DrainWorker { worker, draining: true }, r#"{"DrainWorker":{"worker":"a","draining":true}}"#),
        (
            Command::SubmitJob {
                namespace: "default".into(),
                name: "orders".into(),
                spec: Arc::new(spec("a", 2)),
                parallelism: 2,
                awaits_state: false,
                scaling: None,
                at,
            },
            concat!(
                r#"{"SubmitJob":{"namespace":"default","name":"orders","spec":{"graph":{"nodes":[]},"fingerprint":"a","#,
                r#""sql":"INSERT INTO sink SELECT * FROM source","settings":{"batch_rows":8192,"checkpoint_interval_ms":10000,"#,
                r#""checkpoint_timeout_ms":60000,"tolerable_failures":3,"retained_checkpoints":2,"restart":{"attempts":3,"#,
                r#""initial_delay_ms":100,"maximum_delay_ms":300,"stable_ms":60000}}},"parallelism":2,"at":1700000000000}}"#,
            ),
        ),
        (
            Command::AdoptState { job, checkpoint: Checkpoint { committed: true, ..checkpoint(epoch, attempt) }, at },
            concat!(
                r#"{"AdoptState":{"job":7,"checkpoint":{"epoch":5,"attempt":2,"manifest":"manifest/5","state_bytes":100,"#,
                r#""written_bytes":10,"completed_at":0,"duration_ms":5,"savepoint":false,"finished":false,"parallelism":2,"#,
                r#""committed":true},"at":1700000000000}}"#,
            ),
        ),
        (
            Command::UpdateJob { job, spec: Arc::new(spec("a", 2)), parallelism: 2, scaling: None, at },
            concat!(
                r#"{"UpdateJob":{"job":7,"spec":{"graph":{"nodes":[]},"fingerprint":"a","#,
                r#""sql":"INSERT INTO sink SELECT * FROM source","settings":{"batch_rows":8192,"checkpoint_interval_ms":10000,"#,
                r#""checkpoint_timeout_ms":60000,"tolerable_failures":3,"retained_checkpoints":2,"restart":{"attempts":3,"#,
                r#""initial_delay_ms":100,"maximum_delay_ms":300,"stable_ms":60000}}},"parallelism":2,"at":1700000000000}}"#,
            ),
        ),
        (
            Command::StartAttempt { job, attempt, execution: execution.clone(), as_before: false, at },
            concat!(
                r#"{"StartAttempt":{"job":7,"attempt":2,"execution":{"placement":{"workers":[{"worker":"a","incarnation":255,"#,
                r#""address":"a:1"}],"slots":[0,0]},"restored":5,"running_since":null},"at":1700000000000}}"#,
            ),
        ),
        (
            Command::StartAttempt { job, attempt, execution, as_before: true, at },
            concat!(
                r#"{"StartAttempt":{"job":7,"attempt":2,"execution":{"placement":{"workers":[{"worker":"a","incarnation":255,"#,
                r#""address":"a:1"}],"slots":[0,0]},"restored":5,"running_since":null},"as_before":true,"at":1700000000000}}"#,
            ),
        ),
        (
            Command::AttemptRunning { job, attempt, at },
            r#"{"AttemptRunning":{"job":7,"attempt":2,"at":1700000000000}}"#,
        ),
        (
            Command::AttemptFailed { job, attempt, kind: Some(ErrorKind::Data), report: "line 3".into(), at },
            r#"{"AttemptFailed":{"job":7,"attempt":2,"kind":"Data","report":"line 3","at":1700000000000}}"#,
        ),
        (Command::RetryJob { job, attempt, at }, r#"{"RetryJob":{"job":7,"attempt":2,"at":1700000000000}}"#),
        (
            Command::CompleteCheckpoint { job, checkpoint: checkpoint(epoch, attempt) },
            concat!(
                r#"{"CompleteCheckpoint":{"job":7,"checkpoint":{"epoch":5,"attempt":2,"manifest":"manifest/5","#,
                r#""state_bytes":100,"written_bytes":10,"completed_at":0,"duration_ms":5,"savepoint":false,"#,
                r#""finished":false,"parallelism":2,"committed":false}}}"#,
            ),
        ),
        (
            Command::CommitCheckpoint { job, epoch, at },
            r#"{"CommitCheckpoint":{"job":7,"epoch":5,"at":1700000000000}}"#,
        ),
        (Command::ForgetCheckpoint { job, epoch }, r#"{"ForgetCheckpoint":{"job":7,"epoch":5}}"#),
        (Command::EndAttempt { job, attempt, at }, r#"{"EndAttempt":{"job":7,"attempt":2,"at":1700000000000}}"#),
        (Command::StopJob { job, drain: true, at }, r#"{"StopJob":{"job":7,"drain":true,"at":1700000000000}}"#),
        (Command::CancelJob { job, at }, r#"{"CancelJob":{"job":7,"at":1700000000000}}"#),
        (Command::RestartJob { job, from: Some(epoch), at }, r#"{"RestartJob":{"job":7,"from":5,"at":1700000000000}}"#),
        (
            Command::RescaleJob { job, parallelism: 4, at },
            r#"{"RescaleJob":{"job":7,"parallelism":4,"at":1700000000000}}"#,
        ),
        (
            Command::SetScaling {
                job,
                scaling: Scaling {
                    by: ScalingBy::Load,
                    dry_run: true,
                    min_slots: 2,
                    max_slots: 8,
                    settle_ms: 30_000,
                    target_percent: 60,
                    catch_up_ms: 120_000,
                },
                at,
            },
            concat!(
                r#"{"SetScaling":{"job":7,"scaling":{"by":"load","dry_run":true,"min_slots":2,"max_slots":8,"#,
                r#""settle_ms":30000,"target_percent":60,"catch_up_ms":120000},"at":1700000000000}}"#,
            ),
        ),
        (
            Command::ScaleJob {
                job,
                decision: ScalingDecision { at, from: 2, to: 3, wanted: 4, done: true, reason: "busy".into() },
            },
            concat!(
                r#"{"ScaleJob":{"job":7,"decision":{"at":1700000000000,"from":2,"to":3,"wanted":4,"done":true,"#,
                r#""reason":"busy"}}}"#,
            ),
        ),
        (Command::DeleteJob { job, discard: false }, r#"{"DeleteJob":{"job":7}}"#),
        (Command::DeleteJob { job, discard: true }, r#"{"DeleteJob":{"job":7,"discard":true}}"#),
        (
            Command::SetNamespace { namespace: "blue".into(), quota },
            r#"{"SetNamespace":{"namespace":"blue","quota":{"slots":4,"jobs":null,"state_bytes":1}}}"#,
        ),
        (Command::DropNamespace { namespace: "blue".into() }, r#"{"DropNamespace":{"namespace":"blue"}}"#),
        (
            Command::ReplaceCatalog { namespace: "blue".into(), version: 3, statements: vec!["CREATE \"a\"".into()] },
            r#"{"ReplaceCatalog":{"namespace":"blue","version":3,"statements":["CREATE \"a\""]}}"#,
        ),
        (
            Command::By { actor: "ci".into(), command: Box::new(Command::CancelJob { job, at }) },
            r#"{"By":{"actor":"ci","command":{"CancelJob":{"job":7,"at":1700000000000}}}}"#,
        ),
        (
            Command::CreateToken {
                token: NewToken {
                    name: "ci".into(),
                    bearer: Bearer::Secret("0f".into()),
                    grants: vec!["viewer".parse().unwrap(), "admin@blue".parse().unwrap()],
                    plugins: true,
                    expires_at: Some(at),
                },
                at,
            },
            concat!(
                r#"{"CreateToken":{"token":{"name":"ci","sha256":"0f","grants":[{"role":"viewer"},"#,
                r#"{"role":"admin","namespace":"blue"}],"plugins":true,"expires_at":1700000000000},"at":1700000000000}}"#,
            ),
        ),
        (
            Command::CreateToken {
                token: NewToken {
                    name: "platform".into(),
                    bearer: Bearer::Group("cn=platform".into()),
                    grants: vec!["viewer".parse().unwrap()],
                    plugins: false,
                    expires_at: None,
                },
                at,
            },
            concat!(
                r#"{"CreateToken":{"token":{"name":"platform","group":"cn=platform","grants":[{"role":"viewer"}],"#,
                r#""plugins":false,"expires_at":null},"at":1700000000000}}"#,
            ),
        ),
        (Command::RevokeToken { name: "ci".into() }, r#"{"RevokeToken":{"name":"ci"}}"#),
    ]
}

/// A log is read by later versions: what stands here may be added to, but never changed.
#[test]
fn commands_are_written_as_they_always_were() {
    for (command, golden) in commands() {
        let bytes = command.to_bytes();
        let since = match command {
            Command::CreateToken { token: NewToken { bearer: Bearer::Group(_), .. }, .. } => 9,
            Command::SetScaling { .. } | Command::ScaleJob { .. } => 8,
            Command::AdoptState { .. } => 7,
            Command::UpdateJob { .. } => 2,
            Command::StartAttempt { as_before: true, .. } => 3,
            Command::ReplaceCatalog { .. } => 4,
            Command::By { .. } | Command::CreateToken { .. } | Command::RevokeToken { .. } => 5,
            _ => 1,
        };
        assert_eq!(bytes[0], since, "{golden}");
        assert_eq!(std::str::from_utf8(&bytes[1..]).unwrap(), golden);
        assert_eq!(Command::from_bytes(&bytes).unwrap(), command);
    }
}

/// Coordinators of earlier versions would start the job at the beginning of its input.
#[test]
fn what_is_given_the_state_of_another_job_is_read_by_no_earlier_version() {
    let submit = |awaits_state| Command::SubmitJob {
        namespace: "default".into(),
        name: "moved".into(),
        spec: Arc::new(spec("a", 2)),
        parallelism: 1,
        awaits_state,
        scaling: None,
        at: 1,
    };
    assert_eq!(submit(false).to_bytes()[0], 1);
    let adopt = Command::AdoptState { job: JobId(1), checkpoint: checkpoint(Epoch(5), Attempt(3)), at: 1 };
    for command in [submit(true), adopt] {
        let by = Command::By { actor: "ci".into(), command: Box::new(command.clone()) };
        for command in [command, by] {
            let bytes = command.to_bytes();
            assert_eq!(bytes[0], 7, "{command:?}");
            assert_eq!(Command::from_bytes(&bytes).unwrap(), command);
        }
    }
}

/// Coordinators of earlier versions would have another number of slots for the job than those beside them.
#[test]
fn what_is_about_scaling_is_read_by_no_earlier_version() {
    let scaling = || Some(Scaling { by: ScalingBy::Slots, ..Scaling::default() });
    let submit = |scaling| Command::SubmitJob {
        namespace: "default".into(),
        name: "elastic".into(),
        spec: Arc::new(spec("a", 2)),
        parallelism: 1,
        awaits_state: false,
        scaling,
        at: 1,
    };
    let update =
        |scaling| Command::UpdateJob { job: JobId(1), spec: Arc::new(spec("a", 2)), parallelism: 1, scaling, at: 1 };
    assert_eq!((submit(None).to_bytes()[0], update(None).to_bytes()[0]), (1, 2));
    for command in [submit(scaling()), update(scaling())] {
        let by = Command::By { actor: "ci".into(), command: Box::new(command.clone()) };
        for command in [command, by] {
            let bytes = command.to_bytes();
            assert_eq!(bytes[0], 8, "{command:?}");
            assert_eq!(Command::from_bytes(&bytes).unwrap(), command);
        }
    }
    for script in ["submit orders 1 slots", "submit orders 1 slots\n scale 1 2\n scaling 1 hand"] {
        let state = run(script);
        let bytes = state.to_bytes();
        assert!(bytes.starts_with(b"weir-cluster 6 "), "{script}");
        assert_eq!(ClusterState::from_bytes(&bytes, "s").unwrap(), state);
    }
}

/// Coordinators of earlier versions would have the plugins run in the workers.
#[test]
fn what_isolates_plugins_is_read_by_no_earlier_version() {
    let isolated = || JobSpec { graph: Arc::new(graph_isolated()), ..spec("a", 2) };
    let submitted = Command::SubmitJob {
        namespace: "default".into(),
        name: "isolated".into(),
        spec: Arc::new(isolated()),
        parallelism: 1,
        awaits_state: false,
        scaling: None,
        at: 1,
    };
    let updated =
        Command::UpdateJob { job: JobId(1), spec: Arc::new(isolated()), parallelism: 1, scaling: None, at: 1 };
    let by = Command::By { actor: "ci".into(), command: Box::new(submitted.clone()) };
    for command in [&submitted, &updated, &by] {
        let bytes = command.to_bytes();
        assert_eq!(bytes[0], 9, "{command:?}");
        let (Command::SubmitJob { spec, .. } | Command::UpdateJob { spec, .. }) =
            Command::from_bytes(&bytes).unwrap().deed().clone()
        else {
            panic!("{command:?}")
        };
        assert!(spec.graph.runs_like(&isolated().graph));
    }
    let mut state = run("worker a 2");
    state.apply(submitted).unwrap();
    let mut waiting = run("worker a 2\n submit plain 1");
    waiting.jobs.get_mut(&JobId(1)).unwrap().update = Some(Arc::new(isolated()));
    for state in [state, waiting] {
        let bytes = state.to_bytes();
        assert!(bytes.starts_with(b"weir-cluster 7 "));
        assert_eq!(ClusterState::from_bytes(&bytes, "s").unwrap(), state);
    }
}

/// Coordinators of earlier versions would leave the functions out, and delete files that they do not know to be needed.
#[test]
fn what_calls_functions_of_plugins_is_read_by_no_earlier_version() {
    let calling = || JobSpec { graph: Arc::new(graph_calling(&"ab".repeat(32))), ..spec("a", 2) };
    let submitted = Command::SubmitJob {
        namespace: "default".into(),
        name: "calling".into(),
        spec: Arc::new(calling()),
        parallelism: 1,
        awaits_state: false,
        scaling: None,
        at: 1,
    };
    let declared = Command::ReplaceCatalog {
        namespace: "default".into(),
        version: 0,
        statements: vec![format!("CREATE FUNCTION f() RETURNS BIGINT AS 'f' USING ARTIFACT 'a 1 {}'", "ab".repeat(32))],
    };
    let updated = Command::UpdateJob { job: JobId(1), spec: Arc::new(calling()), parallelism: 1, scaling: None, at: 1 };
    for command in [submitted.clone(), declared.clone(), updated.clone()] {
        let by = Command::By { actor: "ci".into(), command: Box::new(command.clone()) };
        for command in [command, by] {
            let bytes = command.to_bytes();
            assert_eq!(bytes[0], 6, "{command:?}");
            assert_eq!(Command::from_bytes(&bytes).unwrap(), command);
        }
    }
    let format = |state: &ClusterState| {
        let bytes = state.to_bytes();
        assert_eq!(ClusterState::from_bytes(&bytes, "s").unwrap(), *state);
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap().to_vec();
        String::from_utf8(line).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    let with = |commands: &[&Command]| {
        let mut state = run("worker a 2");
        for command in commands {
            state.apply((*command).clone()).unwrap();
        }
        state
    };
    assert_eq!([format(&with(&[&submitted])), format(&with(&[&declared])), format(&with(&[]))], ["5", "5", "1"]);
    let plain = Command::SubmitJob {
        namespace: "default".into(),
        name: "plain".into(),
        spec: Arc::new(spec("b", 2)),
        parallelism: 1,
        awaits_state: false,
        scaling: None,
        at: 1,
    };
    let mut state = with(&[&plain]);
    state.jobs.get_mut(&JobId(1)).unwrap().update = Some(Arc::new(calling()));
    assert_eq!(format(&state), "5", "a job waits for it");
    // Of tables by code of plugins they would leave out whose code it is.
    state.jobs.get_mut(&JobId(1)).unwrap().update = None;
    assert_eq!(format(&state), "1");
    let own = Command::UpdateJob {
        job: JobId(1),
        spec: Arc::new(with_own_table("b", "ab")),
        parallelism: 1,
        scaling: None,
        at: 1,
    };
    assert_eq!(own.to_bytes()[0], 6);
    assert!(own.needs_plugins(), "their files are looked for");
    state.apply(own).unwrap();
    assert_eq!(format(&state), "5");
}

#[test]
fn every_command_has_its_golden_bytes() {
    let names = |command: &Command| format!("{command:?}").split([' ', '{']).next().unwrap().to_owned();
    let listed: std::collections::BTreeSet<String> = commands().iter().map(|(command, _)| names(command)).collect();
    let error = serde_json::from_str::<Command>(r#"{"Unheard":{}}"#).unwrap_err().to_string();
    let known = error.split_once("expected one of ").unwrap().1.split(" at line").next().unwrap();
    let known = known.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
    assert_eq!(listed, known);
}

#[test]
fn a_state_in_which_groups_have_rights_is_read_by_no_earlier_version() {
    let mut state = run("worker a 2");
    let mut give = |bearer| {
        let token = NewToken {
            name: format!("t{}", state.tokens.len()),
            bearer,
            grants: vec!["viewer".parse().unwrap()],
            plugins: false,
            expires_at: None,
        };
        let by = Command::By { actor: "ci".into(), command: Box::new(Command::CreateToken { token, at: 1 }) };
        let format = by.to_bytes()[0];
        assert_eq!(Command::from_bytes(&by.to_bytes()).unwrap(), by);
        state.apply(by).unwrap();
        let bytes = state.to_bytes();
        assert_eq!(ClusterState::from_bytes(&bytes, "s").unwrap(), state);
        (format, String::from_utf8(bytes).unwrap().split(' ').nth(1).unwrap().to_owned())
    };
    assert_eq!(give(Bearer::Secret("0f".repeat(32))), (5, "4".into()));
    assert_eq!(give(Bearer::Group("platform".into())), (9, "7".into()));
}

#[test]
fn a_command_of_a_later_version_is_named_and_not_guessed() {
    let mut bytes = Command::DeleteJob { job: JobId(1), discard: false }.to_bytes();
    bytes[0] = 10;
    let error = Command::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(error.to_string(), "a command of the log has format 10, which this version of Weir cannot read");
    for damaged in [&b""[..], b"\x00{}", b"\x01{}", b"\x01{\"Dele"] {
        assert_eq!(Command::from_bytes(damaged).unwrap_err().kind(), ErrorKind::Data);
    }
}

#[test]
fn the_state_comes_back_as_it_was_or_not_at_all() {
    let state = run("worker a 2
        worker b 2
        submit orders 2
        start 1 a,b
        running 1
        complete 1 1
        fail 1 data
        submit clicks 1");
    let bytes = state.to_bytes();
    assert_eq!(ClusterState::from_bytes(&bytes, "s").unwrap(), state);
    for position in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        assert!(ClusterState::from_bytes(&damaged, "s").is_err(), "byte {position}");
    }
    assert!(ClusterState::from_bytes(&bytes[..bytes.len() - 1], "s").is_err());
    let error = ClusterState::from_bytes(b"weir-cluster 8 else\n{}", "s").unwrap_err();
    assert_eq!(error.to_string(), "the cluster's state s has format 8, which this version of Weir cannot read");
}

/// A snapshot is read by later versions.
#[test]
fn the_state_is_written_as_it_always_was() {
    let state = run("worker a 2
        submit orders 1
        start 1 a");
    let bytes = state.to_bytes();
    let (first_line, body) = std::str::from_utf8(&bytes).unwrap().split_once('\n').unwrap();
    assert!(first_line.starts_with("weir-cluster 1 "), "{first_line}");
    let golden = concat!(
        r#"{"cluster":"test-1","storage":"file:///checkpoints","next_job":2,"jobs":{"1":{"namespace":"default","#,
        r#""name":"orders","spec":{"graph":{"nodes":[]},"fingerprint":"a","sql":"INSERT INTO sink SELECT * FROM source","#,
        r#""settings":{"batch_rows":8192,"checkpoint_interval_ms":10000,"checkpoint_timeout_ms":60000,"#,
        r#""tolerable_failures":3,"retained_checkpoints":2,"restart":{"attempts":3,"initial_delay_ms":100,"#,
        r#""maximum_delay_ms":300,"stable_ms":60000}}},"parallelism":1,"desired":"Running","status":"Deploying","#,
        r#""attempt":1,"execution":{"placement":{"workers":[{"worker":"a","incarnation":1,"address":"a:1"}],"#,
        r#""slots":[0]},"restored":null,"running_since":null},"last_epoch":0,"start_from":null,"checkpoints":[],"#,
        r#""failures":0,"last_failure":null,"submitted_at":3000,"changed_at":4000}},"workers":{"a":{"incarnation":1,"#,
        r#""address":"a:1","slots":2,"version":"0.1.0","draining":false}},"#,
        r#""namespaces":{"default":{"quota":{"slots":null,"jobs":null,"state_bytes":null}}}}"#,
    );
    assert_eq!(body, golden);
}

/// An earlier version would pass the settings over that a job is to go on with, so it must not take the state for one of its own.
#[test]
fn a_state_with_an_update_is_written_as_it_always_was_since_there_are_any() {
    let state = run("worker a 2
        submit orders 1
        start 1 a
        update 1 1 retained=9");
    let bytes = state.to_bytes();
    let (first_line, body) = std::str::from_utf8(&bytes).unwrap().split_once('\n').unwrap();
    assert!(first_line.starts_with("weir-cluster 2 "), "{first_line}");
    let update = concat!(
        r#""update":{"graph":{"nodes":[]},"fingerprint":"a","sql":"INSERT INTO sink SELECT * FROM source","#,
        r#""settings":{"batch_rows":8192,"checkpoint_interval_ms":10000,"checkpoint_timeout_ms":60000,"#,
        r#""tolerable_failures":3,"retained_checkpoints":9,"restart":{"attempts":3,"initial_delay_ms":100,"#,
        r#""maximum_delay_ms":300,"stable_ms":60000}}},"parallelism":1,"#,
    );
    assert!(body.contains(update), "{body}");
    let state = ClusterState::from_bytes(&bytes, "s").unwrap();
    assert_eq!(state.jobs[&JobId(1)].wanted().settings.retained_checkpoints, 9);
    assert_eq!(state.to_bytes(), bytes);
    let mut damaged = bytes;
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(ClusterState::from_bytes(&damaged, "s").unwrap_err().kind(), ErrorKind::Data);
}

/// An earlier version would leave the catalogs out of its next snapshot.
#[test]
fn a_state_with_a_catalog_is_written_as_it_always_was_since_there_are_any() {
    let state = run("namespace blue
        catalog blue version=0 one two");
    let bytes = state.to_bytes();
    let (first_line, body) = std::str::from_utf8(&bytes).unwrap().split_once('\n').unwrap();
    assert!(first_line.starts_with("weir-cluster 3 "), "{first_line}");
    assert!(body.contains(r#""catalog":{"version":1,"statements":["one","two"]}}"#), "{body}");
    assert_eq!(ClusterState::from_bytes(&bytes, "s").unwrap(), state);
}

/// Whatever job a client can submit is read back from the log, or no coordinator could start again.
#[test]
fn a_dataflow_with_a_long_condition_can_be_read_back() {
    use weir_core::{CalcSpec, Expr, NodeSpec, OperatorSpec};
    let deep = (0..1500).fold(Expr::Column(0), |operand, _| Expr::Not(Box::new(operand)));
    let mut graph = JobGraph::default();
    let calc = OperatorSpec::Calc(CalcSpec { predicate: Some(deep), projection: Vec::new() });
    graph.add(NodeSpec::new("Calc", calc, Vec::new(), Arc::new(arrow_schema::Schema::empty())));
    let spec = Arc::new(JobSpec { graph: Arc::new(graph), ..spec("a", 2) });
    let command = Command::SubmitJob {
        namespace: "default".into(),
        name: "deep".into(),
        spec,
        parallelism: 2,
        awaits_state: false,
        scaling: None,
        at: 1,
    };
    let bytes = command.to_bytes();
    assert_eq!(Command::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    let mut state = ClusterState::default();
    state.apply(Command::Found { cluster: "c".into(), storage: "file:///c".into() }).unwrap();
    state.apply(command).unwrap();
    let bytes = state.to_bytes();
    assert_eq!(ClusterState::from_bytes(&bytes, "x").unwrap().to_bytes(), bytes);
}
