//! Each role against each kind of request, and what is seen of lists.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use weir_core::plugin::{
    Artifact, ArtifactHash, FunctionKind, FunctionSignature, Isolation, PluginFunction, PluginSpec,
};
use weir_core::{Attempt, CalcSpec, ChangelogKind, CoordinatorId, Epoch, Expr, JobGraph, NodeSpec, WorkerId};
use weir_proto::client::{AdoptedCheckpoint, ArtifactPiece, JobSettingsInfo, NewToken, QuotaInfo, Scaling, SubmitJob};

use super::*;
use crate::cluster::{Applied, Command, Quota, Token};

const NOW: i64 = 1_000;

fn grant(text: &str) -> Grant {
    text.parse().unwrap()
}

fn state() -> ClusterState {
    let mut state = ClusterState::default();
    let commands = [
        Command::Found { cluster: "c-1".into(), storage: "file:///c".into() },
        Command::SetNamespace { namespace: "a".into(), quota: Quota::default() },
        Command::SetNamespace { namespace: "b".into(), quota: Quota::default() },
    ];
    for command in commands {
        assert_eq!(state.apply(command), Ok(Applied::Changed));
    }
    state
}

fn with_token(state: &mut ClusterState, name: &str, grants: &[&str], expires_at: Option<i64>) -> Principal {
    let grants: Vec<Grant> = grants.iter().map(|text| grant(text)).collect();
    let token = Token {
        bearer: Bearer::Secret(name.repeat(2)),
        grants: grants.clone(),
        plugins: false,
        created_by: None,
        created_at: 0,
        expires_at,
    };
    state.tokens.insert(name.to_owned(), token);
    Principal { name: Some(name.to_owned()), tokens: vec![name.to_owned()], grants, plugins: false }
}

fn submit(namespace: &str) -> ClientRequest {
    ClientRequest::SubmitJob(SubmitJob {
        namespace: namespace.into(),
        name: "j".into(),
        graph: Arc::new(JobGraph::default()),
        fingerprint: "f".into(),
        sql: String::new(),
        parallelism: 1,
        awaits_state: false,
        scaling: None,
        settings: JobSettingsInfo {
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
        },
    })
}

fn new_token(grants: &[&str], plugins: bool) -> ClientRequest {
    ClientRequest::CreateToken(NewToken {
        name: "t".into(),
        bearer: Bearer::Secret("0".repeat(64)),
        grants: grants.iter().map(|text| grant(text)).collect(),
        plugins,
        expires_at: None,
    })
}

fn adopted() -> AdoptedCheckpoint {
    AdoptedCheckpoint { epoch: Epoch(1), attempt: Attempt(1), state_bytes: 0, parallelism: 1 }
}

/// All requests about the namespace `a` or the cluster, and who may ask them: a letter for each of viewer, developer, operator and
/// admin of `a`, then the same of all namespaces.
fn table() -> Vec<(ClientRequest, &'static str)> {
    use ClientRequest as R;
    let job = || JobRef::Name { namespace: "a".into(), name: "j".into() };
    let namespace = || "a".to_owned();
    let id = CoordinatorId(2);
    let (see, run, change, operate, administer) = ("vdoa VDOA", "doa DOA", "da DA", "OA", "A");
    vec![
        (submit("a"), change),
        (R::ListJobs { namespace: Some(namespace()), all: true }, see),
        (R::ListJobs { namespace: None, all: true }, see),
        (R::DescribeJob { job: job(), graph: true }, see),
        (R::StopJob { job: job(), drain: false }, run),
        (R::CancelJob { job: job() }, run),
        (R::RestartJob { job: job(), from: None, adopted: None }, run),
        (R::RestartJob { job: job(), from: None, adopted: Some(adopted()) }, change),
        (R::RescaleJob { job: job(), parallelism: 2 }, run),
        (R::SetScaling { job: job(), scaling: Scaling::by_hand() }, run),
        (R::DeleteJob { job: job(), discard_results: false }, change),
        (R::TakeSavepoint { job: job() }, run),
        (R::ListCheckpoints { job: job() }, see),
        (R::AuditSinks { job: job() }, see),
        (R::ExpectResults { namespace: namespace(), token: 7, reading: true }, change),
        (R::PutArtifact(piece()), ""),
        (R::ReadResults { job: job(), after: None, offset: 0 }, change),
        (R::ForgetCheckpoint { job: job(), epoch: Epoch(1) }, run),
        (R::ListWorkers, see),
        (R::DrainWorker { worker: WorkerId("w".into()), draining: true }, operate),
        (R::ListNamespaces, see),
        (R::SetNamespace { namespace: namespace(), quota: QuotaInfo::default() }, administer),
        (R::DropNamespace { namespace: namespace() }, administer),
        (R::ShowCatalog { namespace: namespace(), to_change: false }, see),
        (R::ShowCatalog { namespace: namespace(), to_change: true }, change),
        (R::ReplaceCatalog { namespace: namespace(), version: 0, statements: Vec::new() }, change),
        (R::ListTokens, see),
        (new_token(&["viewer@a"], false), "a A"),
        (new_token(&["viewer@a", "viewer"], false), administer),
        (new_token(&["viewer@a"], true), ""),
        (R::RevokeToken { name: "of-a".into() }, "a A"),
        (R::RevokeToken { name: "of-all".into() }, administer),
        (R::RevokeToken { name: "none".into() }, administer),
        (R::DescribeCluster, see),
        (R::AddCoordinator { id, address: "c:1".into(), log: 1 }, administer),
        (R::RemoveCoordinator { id }, administer),
        (R::TransferLeadership { to: None }, administer),
    ]
}

fn piece() -> ArtifactPiece {
    ArtifactPiece { hash: ArtifactHash::from_bytes([7; 32]), size: 1, offset: 0, bytes: vec![1].into() }
}

#[test]
fn each_role_may_what_the_table_says_and_nothing_else() {
    let mut state = state();
    with_token(&mut state, "of-a", &["viewer@a"], None);
    with_token(&mut state, "of-all", &["viewer@a", "viewer"], None);
    let roles = [("viewer", 'v'), ("developer", 'd'), ("operator", 'o'), ("admin", 'a')];
    for (request, allowed) in table() {
        for (role, letter) in roles {
            let ask = |grants: &[&str]| {
                let grants = grants.iter().map(|text| grant(text)).collect();
                let principal = Principal { name: Some("p".into()), tokens: Vec::new(), grants, plugins: false };
                check(&state, &principal, &request)
            };
            let (here, everywhere) = (ask(&[&format!("{role}@a")]), ask(&[role]));
            assert_eq!(here.is_ok(), allowed.contains(letter), "{role}@a {request:?}");
            assert_eq!(everywhere.is_ok(), allowed.contains(letter.to_ascii_uppercase()), "{role} {request:?}");
            let elsewhere = ask(&[&format!("{role}@b")]);
            let shared = matches!(needed(&state, &request).unwrap()[..], [(Verb::See, Resource::Shared)]);
            assert_eq!(elsewhere.is_ok(), shared, "{role}@b {request:?}");
            for denied in [here, everywhere, elsewhere].into_iter().filter_map(Result::err) {
                assert_eq!(denied.kind, ClientErrorKind::Denied);
            }
        }
        let nobody = Principal { name: Some("p".into()), tokens: Vec::new(), grants: Vec::new(), plugins: true };
        assert!(check(&state, &nobody, &request).is_err(), "{request:?}");
        assert!(check(&state, &Principal::all(None), &request).is_ok(), "{request:?}");
    }
}

#[test]
fn a_job_of_others_is_not_told_from_one_that_is_not_there() {
    let mut state = state();
    let ClientRequest::SubmitJob(SubmitJob { graph, .. }) = submit("a") else { unreachable!() };
    let settings = crate::cluster::tests::spec("f", 1).settings;
    let spec = Arc::new(crate::cluster::JobSpec { graph, fingerprint: "f".into(), sql: String::new(), settings });
    let command = Command::SubmitJob {
        namespace: "a".into(),
        name: "j".into(),
        spec,
        parallelism: 1,
        awaits_state: false,
        scaling: None,
        at: 0,
    };
    let by = Command::By { actor: "ci".into(), command: Box::new(command) };
    assert_eq!(state.apply(by), Ok(Applied::Submitted { job: JobId(1), already_there: false }));
    let stop = |id| ClientRequest::StopJob { job: JobRef::Id(JobId(id)), drain: false };
    let ask = |grants: &[&str], id| {
        let principal = with_token(&mut state.clone(), "p", grants, None);
        check(&state, &principal, &stop(id)).map_err(|error| error.kind)
    };
    assert_eq!(ask(&["operator@a"], 1), Ok(()));
    assert_eq!(ask(&["viewer@a"], 1), Err(ClientErrorKind::Denied));
    assert_eq!(ask(&["operator@b"], 1), Err(ClientErrorKind::NotFound));
    assert_eq!(ask(&["operator@b"], 2), Err(ClientErrorKind::NotFound));
    let stop = Command::StopJob { job: JobId(1), drain: false, at: 7 };
    state.apply(Command::By { actor: "ops".into(), command: Box::new(stop) }).unwrap();
    let job = &state.jobs[&JobId(1)];
    assert_eq!(job.submitted_by.as_deref(), Some("ci"));
    let action = job.last_action.as_ref().unwrap();
    assert_eq!((action.what.as_str(), action.by.as_str(), action.at), ("stop", "ops", 7));
    // As it is in snapshots, too.
    let bytes = state.to_bytes();
    assert_eq!(ClusterState::from_bytes(&bytes, "x").unwrap(), state);
    assert!(bytes.starts_with(b"weir-cluster 4"), "{}", String::from_utf8_lossy(&bytes[..40]));
}

#[test]
fn a_token_is_good_until_it_ends_or_is_revoked() {
    let mut state = state();
    let caller = |sha256: &str| Caller { identity: Identity::Token(sha256.into()), from: None };
    let token = NewToken {
        name: "ci".into(),
        bearer: Bearer::Secret("ab".repeat(32)),
        grants: vec![grant("viewer@a")],
        plugins: false,
        expires_at: Some(NOW + 10),
    };
    let create = |token: &NewToken| Command::CreateToken { token: token.clone(), at: NOW };
    let by = Command::By { actor: "root".into(), command: Box::new(create(&token)) };
    assert_eq!(state.apply(by), Ok(Applied::Changed));
    assert_eq!(state.tokens["ci"].created_by.as_deref(), Some("root"));
    assert_eq!(state.apply(create(&token)), Ok(Applied::Unchanged), "the same client asks again");
    let refused = |state: &mut ClusterState, token: NewToken| state.apply(create(&token)).unwrap_err().to_string();
    assert!(refused(&mut state, NewToken { plugins: true, ..token.clone() }).contains("a token ci already"));
    assert!(refused(&mut state, NewToken { name: "b".into(), ..token.clone() }).contains("already"));
    for wrong in [
        NewToken { name: "ä".into(), ..token.clone() },
        NewToken { bearer: Bearer::Secret("AB".repeat(32)), ..token.clone() },
        NewToken { grants: Vec::new(), ..token.clone() },
        NewToken { grants: vec![grant("viewer@none")], ..token.clone() },
        NewToken { name: "c".into(), expires_at: Some(NOW), ..token.clone() },
    ] {
        assert!(state.clone().apply(create(&wrong)).is_err(), "{wrong:?}");
    }
    let sha256 = "ab".repeat(32);
    let known = principal(&state, &caller(&sha256), NOW + 9).unwrap();
    assert_eq!((known.name.as_deref(), &known.grants), (Some("ci"), &token.grants));
    for (sha256, now) in [(sha256.clone(), NOW + 10), ("cd".repeat(32), NOW), (String::new(), NOW)] {
        let unknown = principal(&state, &caller(&sha256), now).unwrap_err();
        assert_eq!(unknown.kind, ClientErrorKind::Unauthenticated);
    }
    assert_eq!(principal(&state, &Caller::default(), NOW).unwrap_err().kind, ClientErrorKind::Unauthenticated);
    state.apply(Command::RevokeToken { name: "ci".into() }).unwrap();
    assert!(principal(&state, &caller(&sha256), NOW).is_err());
    assert!(state.apply(Command::RevokeToken { name: "ci".into() }).is_err());
}

#[test]
fn a_subject_may_do_what_its_groups_may_while_its_token_is_good() {
    let mut state = state();
    let mut give = |name: &str, group: &str, grants: &[&str], plugins, expires_at| {
        let grants = grants.iter().map(|text| grant(text)).collect();
        let bearer = Bearer::Group(group.into());
        let token = NewToken { name: name.into(), bearer, grants, plugins, expires_at };
        state.apply(Command::CreateToken { token, at: NOW })
    };
    assert_eq!(give("dev", "platform", &["developer@a"], false, None), Ok(Applied::Changed));
    assert_eq!(
        give("eyes", "platform", &["viewer"], false, Some(NOW + 10)),
        Ok(Applied::Changed),
        "a group has several"
    );
    assert_eq!(give("native", "streams team", &["viewer@b"], true, None), Ok(Applied::Changed));
    assert_eq!(give("dev", "platform", &["developer@a"], false, None), Ok(Applied::Unchanged));
    assert!(give("dev", "other", &["developer@a"], false, None).is_err(), "the name is taken");
    for wrong in ["", "a\nb", "größe", &"x".repeat(257)] {
        assert!(give("w", wrong, &["viewer"], false, None).unwrap_err().to_string().contains("a group has a name"));
    }
    // A secret by whose hash a group is called, and the other way round, are nothing to each other.
    let hash = "ab".repeat(32);
    assert_eq!(give("odd", &hash, &["admin"], true, None), Ok(Applied::Changed));
    let by_secret = Caller { identity: Identity::Token(hash), from: None };
    assert_eq!(principal(&state, &by_secret, NOW).unwrap_err().kind, ClientErrorKind::Unauthenticated);

    let subject = |groups: &[&str]| {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        let subject = Subject { name: "oidc:i#alice".into(), groups, expires_at: NOW + 20 };
        Caller { identity: Identity::Subject(subject), from: None }
    };
    let known = |groups: &[&str], now| principal(&state, &subject(groups), now).unwrap();
    let all = known(&["platform", "streams team", "unknown"], NOW + 9);
    assert_eq!(all.name.as_deref(), Some("oidc:i#alice"));
    assert_eq!(all.tokens, ["dev", "eyes", "native"]);
    assert_eq!(all.grants, ["developer@a", "viewer", "viewer@b"].map(grant));
    assert!(all.plugins);
    assert_eq!(known(&["platform"], NOW + 10).grants, [grant("developer@a")], "one has expired");
    assert!(!known(&["platform"], NOW).plugins);
    for nothing in [&[][..], &["Platform"], &["dev"], &["platform "]] {
        let nobody = known(nothing, NOW);
        assert!(nobody.grants.is_empty() && !nobody.plugins && nobody.tokens.is_empty());
        let denied = check(&state, &nobody, &ClientRequest::ListWorkers).unwrap_err();
        assert_eq!(denied.kind, ClientErrorKind::Denied, "{}", denied.message);
    }
    let late = principal(&state, &subject(&["platform"]), NOW + 20).unwrap_err();
    assert_eq!((late.kind, late.message.as_str()), (ClientErrorKind::Unauthenticated, "the token has expired"));
}

#[test]
fn tokens_of_a_group_are_found_in_a_snapshot_and_not_once_they_are_revoked() {
    let mut state = state();
    let give = |state: &mut ClusterState, name: &str, group: &str| {
        let (bearer, grants) = (Bearer::Group(group.into()), vec![grant("viewer")]);
        let token = NewToken { name: name.into(), bearer, grants, plugins: false, expires_at: None };
        assert_eq!(state.apply(Command::CreateToken { token, at: NOW }), Ok(Applied::Changed));
    };
    let tokens = |state: &ClusterState, group: &str| {
        let subject = Subject { name: "oidc:i#a".into(), groups: [group.to_owned()].into(), expires_at: NOW + 1 };
        principal(state, &Caller { identity: Identity::Subject(subject), from: None }, NOW).unwrap().tokens
    };
    give(&mut state, "one", "platform");
    give(&mut state, "two", "platform");
    let mut state = ClusterState::from_bytes(&state.to_bytes(), "s").unwrap();
    assert_eq!(tokens(&state, "platform"), ["one", "two"]);
    assert_eq!(state.apply(Command::RevokeToken { name: "one".into() }), Ok(Applied::Changed));
    assert_eq!(tokens(&state, "platform"), ["two"]);
    // The name may be another group's from then on.
    give(&mut state, "one", "streams");
    assert_eq!((tokens(&state, "platform"), tokens(&state, "streams")), (vec!["two".into()], vec!["one".into()]));
    assert_eq!(ClusterState::from_bytes(&state.to_bytes(), "s").unwrap(), state);
}

#[test]
fn of_lists_each_sees_what_is_its_own() {
    let mut state = state();
    let (mine, all) = (with_token(&mut state, "mine", &["admin@a"], None), Principal::all(None));
    with_token(&mut state, "hers", &["viewer@b"], None);
    with_token(&mut state, "of-a", &["viewer@a"], None);
    let viewer = with_token(&mut state, "v", &["viewer@a"], None);
    let info = |name: &String| weir_proto::client::TokenInfo {
        name: name.clone(),
        group: None,
        grants: state.tokens[name].grants.clone(),
        plugins: false,
        created_by: None,
        created_at: 0,
        expires_at: None,
    };
    let listed = |principal: &Principal| {
        let tokens = state.tokens.keys().map(info).collect();
        let ClientResponse::Tokens(tokens) = visible(principal, &state, ClientResponse::Tokens(tokens)) else {
            panic!("a list of tokens stays one")
        };
        tokens.into_iter().map(|token| token.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listed(&all), "hers mine of-a v");
    assert_eq!(listed(&mine), "mine of-a v");
    assert_eq!(listed(&viewer), "v", "its own");
}

/// A job that calls a function of the plugin with that hash.
fn calling(hash: &str) -> ClientRequest {
    let ClientRequest::SubmitJob(job) = submit("a") else { unreachable!() };
    ClientRequest::SubmitJob(SubmitJob { graph: Arc::new(graph_calling(hash)), ..job })
}

fn artifact(hash: &str) -> Artifact {
    Artifact {
        hash: hash.parse().unwrap(),
        name: "maths".into(),
        version: "1".into(),
        folder: Some("file:///c".into()),
    }
}

/// The dataflow of a job whose only operator is a plugin's, in processes of its own.
pub(crate) fn graph_isolated() -> JobGraph {
    let plugin = PluginSpec {
        artifact: Some(artifact(&"ab".repeat(32))),
        operator: "count".into(),
        config: Vec::new(),
        uid: None,
        inputs: Vec::new(),
        output: Arc::new(Schema::empty()),
        changelog: ChangelogKind::Append,
        side_outputs: Vec::new(),
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    };
    let mut graph = JobGraph::default();
    graph.add(NodeSpec::new("Plugin", OperatorSpec::Plugin(plugin), Vec::new(), Arc::new(Schema::empty())));
    graph.isolate(Isolation::Process { memory_limit: Some(1 << 30) }).unwrap();
    graph
}

/// The dataflow of a job that calls a function of a plugin, in processes of its own.
pub(crate) fn graph_calling_isolated() -> JobGraph {
    let mut graph = graph_calling(&"ab".repeat(32));
    graph.isolate(Isolation::Process { memory_limit: None }).unwrap();
    graph
}

/// The dataflow of such a job.
pub(crate) fn graph_calling(hash: &str) -> JobGraph {
    let artifact = artifact(hash);
    let signature = FunctionSignature {
        name: "f".into(),
        parameters: Vec::new(),
        result: DataType::Int64,
        nullable: false,
        deterministic: true,
        kind: FunctionKind::Scalar,
    };
    let function = PluginFunction { name: "f".into(), artifact: Some(artifact), signature };
    let call = Expr::Function { name: "f".into(), arguments: Vec::new(), data_type: DataType::Int64 };
    let calc = OperatorSpec::Calc(CalcSpec { predicate: None, projection: vec![call] });
    let mut graph = JobGraph::default();
    graph.add(NodeSpec::new("Calc", calc, Vec::new(), Arc::new(Schema::empty())));
    graph.bind_functions([&function]);
    graph
}

#[test]
fn what_looks_like_a_hash_and_declares_no_function_brings_no_code() {
    let (state, hash) = (state(), "ab".repeat(32));
    let principal =
        Principal { name: Some("p".into()), tokens: Vec::new(), grants: vec![grant("developer@a")], plugins: false };
    let ask = |statement: String| {
        let statements = vec![statement];
        check(&state, &principal, &ClientRequest::ReplaceCatalog { namespace: "a".into(), version: 0, statements })
            .is_ok()
    };
    assert!(ask(format!("CREATE VIEW v AS SELECT * FROM blocks WHERE hash = '{hash}'")));
    assert!(ask(format!("CREATE TABLE t (k INT) WITH ('connector' = 'kafka', 'topic' = '{hash}')")));
    // Whatever stands between the words.
    assert!(!ask(format!(
        "-- {hash}\ncreate /* a */ function f() RETURNS INT AS 'f' using\nartifact/**/'maths 1 {hash}'"
    )));
}

#[test]
fn code_is_brought_and_called_by_who_has_the_right() {
    let mut state = state();
    let (known, unknown) = ("ab".repeat(32), "cd".repeat(32));
    let catalog = |version, hash: &str| ClientRequest::ReplaceCatalog {
        namespace: "a".into(),
        version,
        statements: vec![format!("CREATE FUNCTION f() RETURNS BIGINT AS 'f' USING ARTIFACT 'maths 1 {hash}'")],
    };
    let developer =
        |plugins| Principal { name: Some("p".into()), tokens: Vec::new(), grants: vec![grant("developer@a")], plugins };
    let ask =
        |state: &ClusterState, plugins, request: &ClientRequest| check(state, &developer(plugins), request).is_ok();
    for request in [calling(&known), catalog(0, &known), ClientRequest::PutArtifact(piece())] {
        assert!(ask(&state, true, &request) && !ask(&state, false, &request), "{request:?}");
    }
    let ClientRequest::ReplaceCatalog { namespace, version, statements } = catalog(0, &known) else { unreachable!() };
    assert!(state.apply(Command::ReplaceCatalog { namespace, version, statements }).is_ok());
    // What is there may be kept where something else is changed. It is text, in which anything may stand: it lets nobody call code.
    for (request, plainly) in [
        (calling(&known), false),
        (calling(&unknown), false),
        (catalog(1, &known), true),
        (catalog(1, &unknown), false),
    ] {
        assert_eq!(ask(&state, false, &request), plainly, "{request:?}");
        assert!(ask(&state, true, &request), "{request:?}");
    }
}
