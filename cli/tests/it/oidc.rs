//! People of a real OpenID Connect issuer in a cluster of real processes. `tests/services/oidc run cargo test --workspace --test it oidc:: --
//! --ignored` starts one.
#![allow(clippy::disallowed_methods, reason = "the environment says where the issuer is")]

use std::process::Command;

use serde_json::Value;

use crate::cluster::processes::{Cluster, until};
use crate::weir::{Ran, command};

/// The issuer that the tests share.
struct Provider {
    url: String,
    folder: String,
}

impl Provider {
    fn new() -> Self {
        let variable = |name| std::env::var(name).expect("tests/services/oidc run says where the issuer is");
        Self { url: variable("WEIR_TEST_OIDC"), folder: variable("WEIR_TEST_OIDC_DIR") }
    }

    /// What the script of the service does.
    fn service(&self, verb: &str, arguments: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/services/oidc");
        let ran = Command::new(script).arg(verb).arg(&self.folder).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{verb} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// A token of somebody who logs in now.
    fn token(&self, user: &str) -> String {
        self.service("token", &[user])
    }

    /// A cluster with certificates that takes this issuer's tokens.
    fn cluster(&self, coordinators: usize) -> Cluster {
        let mut cluster = Cluster::planned_with_tls(coordinators);
        cluster.environment = vec![
            ("WEIR_OIDC_ISSUER_URL", self.url.clone()),
            ("WEIR_OIDC_CLIENT_ID", "weir".into()),
            ("WEIR_OIDC_CA_FILE", format!("{}/ca.pem", self.folder)),
        ];
        (1..=coordinators).for_each(|id| cluster.start_coordinator(id));
        until("it leads", || (cluster.weir(&["cluster", "status"]).code == Some(0)).then_some(()));
        cluster
    }
}

/// A command of somebody who has this token in a file, and no certificate.
fn with_token(cluster: &Cluster, token: &str, arguments: &[&str]) -> Ran {
    let file = cluster.path("shown.token");
    std::fs::write(&file, token).unwrap();
    let mut command = command(arguments);
    command.env("WEIR_COORDINATORS", cluster.addresses()).envs(cluster.certificate(None)).env("WEIR_TOKEN_FILE", file);
    command.output().unwrap().into()
}

/// What a coordinator answers over HTTP: status and body.
fn get(cluster: &Cluster, address: &str, token: &str, path: &str) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-w", "\n%{http_code}", "--cacert", &cluster.path("security/ca.pem")]);
    curl.args(["-H", &format!("Authorization: Bearer {token}"), &format!("https://{address}{path}")]);
    let said = String::from_utf8(curl.output().unwrap().stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
#[ignore = "wants an OpenID Connect provider"]
fn people_may_do_what_their_groups_may_and_are_told_by_their_names() {
    let provider = Provider::new();
    let mut cluster = provider.cluster(3);
    cluster.add_workers(1, 1);
    cluster.weir(&["namespaces", "create", "flights"]).code(0);
    let (alice, bob, carol) = (provider.token("alice"), provider.token("bob"), provider.token("carol"));
    let name = format!("oidc:{}#alice", provider.url);

    let list = ["jobs", "list", "--namespace", "flights"];
    with_token(&cluster, &alice, &list).code(2).says(&[&format!("{name} may not see what is")]);
    let grant = |name: &str, group: &str, role: &str| {
        cluster.weir(&["role-bindings", "create", name, "--group", group, "--role", role]).code(0);
    };
    grant("platform", "platform", "developer@flights");
    grant("streams", "streams team", "viewer");
    let listed = cluster.weir(&["tokens", "list"]).code(0).out;
    assert!(listed.contains("streams team") && listed.contains("developer@flights"), "{listed}");

    // Over gRPC and over HTTP, at each coordinator: the leader decides, whoever is asked.
    let script = "CREATE TABLE a (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
                  CREATE TABLE b (v BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO b SELECT v FROM a;";
    let submit = |token: &str, namespace: &str| {
        with_token(&cluster, token, &["submit", "-e", script, "--name", "j", "--namespace", namespace, "--detach"])
    };
    submit(&alice, "default").code(2).says(&[&format!("{name} may not change jobs")]);
    submit(&bob, "flights").code(2).says(&["#bob may not change jobs"]);
    submit(&alice, "flights").code(0);
    for address in cluster.coordinators() {
        let ran = with_token(&cluster, &alice, &["jobs", "describe", "flights/j", "--json", "--coordinators", address]);
        let described: Value = serde_json::from_str(&ran.code(0).out).unwrap();
        assert_eq!(described["submitted_by"], name.as_str());
        assert_eq!(get(&cluster, address, &alice, "/api/v1/jobs").0, "200");
        // Known, and without a right.
        assert_eq!(get(&cluster, address, &bob, "/api/v1/jobs").0, "403");
        assert_eq!(get(&cluster, address, &carol, "/api/v1/jobs").0, "403");
    }
    let seen = with_token(&cluster, &alice, &["tokens", "list", "--json"]).code(0).out;
    assert!(seen.contains("streams team") && seen.contains("platform"), "{seen}");

    // What is no good is not let in, and it is said why.
    let refused = |token: &str, says: &str| {
        with_token(&cluster, token, &list).code(2).says(&[says]);
        let (status, body) = get(&cluster, cluster.coordinator(), token, "/api/v1/jobs");
        assert!(status == "401" && body.contains(says), "{status} {body}");
    };
    refused(&provider.service("token", &["alice", "other"]), "the token is for another audience than 'weir'");
    refused(&provider.token("mallory root"), "the claim 'sub' of the token is no name");
    let (signed, _) = alice.rsplit_once('.').unwrap();
    let (_, signature) = bob.rsplit_once('.').unwrap();
    refused(&format!("{signed}.{signature}"), "the token's signature is wrong");
    // {"alg":"none"}
    let (_, payload) = signed.split_once('.').unwrap();
    refused(&format!("eyJhbGciOiJub25lIn0.{payload}.AA"), "not signed by an algorithm with a public key");

    // What a group has lost its members have lost, from that moment on.
    cluster.weir(&["tokens", "revoke", "platform"]).code(0);
    let stop = ["jobs", "stop", "flights/j"];
    with_token(&cluster, &alice, &stop).code(2).says(&[&format!("{name} may not stop")]);

    let logs = (1..=3).map(|id| cluster.path(&format!("data/coordinator-{id}/audit/audit.jsonl")));
    let log: String = logs.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |what: &str, result: &str| {
        let is_it = |line: &Value| line["who"] == name.as_str() && line["what"] == what && line["result"] == result;
        assert!(lines.iter().any(is_it), "{what} {result} is not in {lines:#?}");
    };
    told("submit-job", "ok");
    told("submit-job", "denied");
    told("stop-job", "denied");
    std::fs::remove_file(cluster.path("shown.token")).unwrap();
    for token in [&alice, &bob, &carol] {
        let signature = token.rsplit_once('.').unwrap().1;
        let found = Command::new("grep").args(["-rlF", signature, cluster.path("").as_str()]).output().unwrap();
        assert!(found.stdout.is_empty(), "a token stands in {}", String::from_utf8_lossy(&found.stdout));
    }
}

#[test]
#[ignore = "wants an OpenID Connect provider, and stops it"]
fn keys_that_change_are_found_and_an_issuer_that_is_away_stops_nobody_whose_key_is_known() {
    let provider = Provider::new();
    let mut cluster = provider.cluster(1);
    cluster.weir(&["tokens", "create", "platform", "--group", "platform", "--role", "viewer"]).code(0);
    let list = ["jobs", "list", "--timeout", "3s"];
    let old = provider.token("alice");
    with_token(&cluster, &old, &list).code(0);

    provider.service("rotate", &[]);
    let new = provider.token("alice");
    until("the new key is found", || {
        let ran = with_token(&cluster, &new, &list);
        (ran.code == Some(0)).then_some(()).or_else(|| {
            ran.says(&["signed by a key that its issuer does not publish"]);
            None
        })
    });
    with_token(&cluster, &old, &list).code(2).says(&["signed by a key that its issuer does not publish"]);

    provider.service("stop", &[]);
    with_token(&cluster, &new, &list).code(0);
    with_token(&cluster, &old, &list).code(2).says(&["signed by a key that its issuer does not publish"]);
    // One that begins while the issuer is away knows no key, and says so; whom it knows otherwise it lets in.
    cluster.kill("c1");
    cluster.start_coordinator(1);
    until("it leads again", || (cluster.weir(&["cluster", "status"]).code == Some(0)).then_some(()));
    let away = with_token(&cluster, &new, &list);
    assert_ne!(away.code, Some(0));
    away.says(&["the keys of the OpenID Connect issuer are not known: it could not be reached"]);
    let (status, body) = get(&cluster, cluster.coordinator(), &new, "/api/v1/jobs");
    assert!(status == "503" && body.contains("could not be reached"), "{status} {body}");
    let said = cluster.said("c1");
    assert!(said.contains("the OpenID Connect issuer cannot be asked"), "{said}");
    assert_eq!(provider.service("up", &[]), provider.url);
    until("the issuer is found again", || (with_token(&cluster, &new, &list).code == Some(0)).then_some(()));
}
