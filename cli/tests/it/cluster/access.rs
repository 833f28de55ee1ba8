//! Tokens and roles in a cluster of real processes: who may do what, who is seen to have done it, and where it is written.

use std::process::Command;

use serde_json::Value;

use super::nexmark::Bids;
use super::processes::{Cluster, until};
use crate::weir::Ran;

/// A command of somebody who has a token and no certificate.
fn with_token(cluster: &Cluster, token: &str, arguments: &[&str]) -> Ran {
    let mut command = crate::weir::command(arguments);
    command.env("WEIR_COORDINATORS", cluster.addresses()).envs(cluster.certificate(None)).env("WEIR_TOKEN", token);
    command.output().unwrap().into()
}

fn token(cluster: &Cluster, name: &str, arguments: &[&str]) -> String {
    let made = cluster.weir(&[&["tokens", "create", name], arguments].concat()).code(0);
    made.out.trim().to_owned()
}

/// What the coordinators have written down, in whose name what was asked for.
pub fn audit(cluster: &Cluster, coordinators: usize) -> Vec<Value> {
    let files = (1..=coordinators).map(|id| cluster.path(&format!("data/coordinator-{id}/audit/audit.jsonl")));
    let text: String = files.map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_may_do_what_its_token_is_good_for_and_is_told_with_it() {
    let mut cluster = Cluster::planned_with_tls(3);
    (1..=3).for_each(|id| cluster.start_coordinator(id));
    cluster.add_workers(1, 2);
    cluster.weir(&["namespaces", "create", "flights"]).code(0);
    let dev = token(&cluster, "dev", &["--role", "developer@flights"]);
    let ops = token(&cluster, "ops", &["--role", "operator"]);
    let eyes = token(&cluster, "eyes", &["--role", "viewer"]);
    let lead = token(&cluster, "lead", &["--role", "admin@flights", "--expires", "1h"]);

    let bids = Bids { seconds: 60 };
    let script = bids.nowhere("SELECT auction FROM bid", "auction BIGINT");
    let submit = |token: &str, namespace: &str| {
        let arguments = ["submit", "-e", &script, "--name", "j", "--namespace", namespace, "--detach"];
        with_token(&cluster, token, &arguments)
    };
    submit(&dev, "default").code(2).says(&["dev may not change jobs or the catalog in the namespace 'default'"]);
    submit(&ops, "flights").code(2).says(&["ops may not change jobs"]);
    submit(&eyes, "flights").code(2).says(&["eyes may not change jobs"]);
    submit(&dev, "flights").code(0);
    with_token(&cluster, &eyes, &["jobs", "stop", "flights/j"]).code(2).says(&["eyes may not stop"]);
    with_token(&cluster, &ops, &["jobs", "stop", "flights/j"]).code(0);
    with_token(&cluster, &dev, &["workers", "drain", "w1"]).code(2).says(&["dev may not drain workers"]);
    with_token(&cluster, &lead, &["namespaces", "create", "x"]).code(2).says(&["lead may not administer"]);

    // Each sees its own, by itself or in what is shared.
    let described = with_token(&cluster, &eyes, &["jobs", "describe", "flights/j", "--json"]).code(0);
    let described: Value = serde_json::from_str(&described.out).unwrap();
    assert_eq!((&described["submitted_by"], &described["last_action"]["by"]), (&"dev".into(), &"ops".into()));
    let shown = with_token(&cluster, &eyes, &["jobs", "describe", "flights/j"]).code(0);
    assert!(shown.out.contains("ago, by dev") && shown.out.contains("stop by ops"), "{}", shown.out);
    let namespaces = with_token(&cluster, &dev, &["namespaces", "list"]).code(0);
    assert!(namespaces.out.contains("flights") && !namespaces.out.contains("default"), "{}", namespaces.out);

    // Who has a token gives what it has got, and no more.
    let create = |name: &str, role: &str| with_token(&cluster, &lead, &["tokens", "create", name, "--role", role]);
    create("mine", "viewer@flights").code(0);
    create("theirs", "viewer").code(2).says(&["lead may not administer what is in the cluster"]);
    let more = ["tokens", "create", "native", "--role", "developer@flights", "--plugins"];
    with_token(&cluster, &lead, &more).code(2).says(&["lead may not submit plugins"]);

    // From the moment it is revoked a token is good for nothing, at every coordinator.
    cluster.weir(&["tokens", "revoke", "dev"]).code(0);
    for address in cluster.addresses().split(',') {
        let arguments = ["jobs", "list", "--coordinators", address];
        with_token(&cluster, &dev, &arguments).code(2).says(&["the token is not known, was revoked, or has expired"]);
    }
    with_token(&cluster, "weir_nothing", &["jobs", "list"]).code(2).says(&["the token is not known"]);
    with_token(&cluster, "e30.e30.AA", &["jobs", "list"]).code(2).says(&["OpenID Connect", "knows none"]);

    // The same over HTTP, with the same token.
    let curl = |header: Option<&str>, path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &cluster.path("security/ca.pem")]);
        curl.args(header.iter().flat_map(|header| ["-H", header]));
        let address = format!("https://{}{path}", cluster.coordinator());
        String::from_utf8(curl.arg(address).output().unwrap().stdout).unwrap()
    };
    let bearer = format!("Authorization: Bearer {eyes}");
    assert_eq!(curl(Some(&bearer), "/api/v1/jobs"), "200");
    assert_eq!(curl(Some("Authorization: Bearer weir_no"), "/api/v1/jobs"), "401");
    assert_eq!(curl(None, "/api/v1/jobs"), "401");
    assert_eq!(curl(None, "/api/v1/openapi.json"), "401", "nothing is served to nobody");
    assert_eq!(curl(None, "/"), "401");

    // Whoever decided has written it down.
    let lines = until("all of it is in the audit logs", || {
        let lines = audit(&cluster, 3);
        lines.iter().any(|line| line["what"] == "revoke-token").then_some(lines)
    });
    let told = |who: &str, what: &str, result: &str| {
        let is_it = |line: &&Value| line["who"] == who && line["what"] == what && line["result"] == result;
        let found = lines.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("{who} {what} {result} is not in {lines:#?}"));
        assert!(found["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{found}");
    };
    told("dev", "submit-job", "ok");
    told("dev", "submit-job", "denied");
    told("ops", "stop-job", "ok");
    told("eyes", "stop-job", "denied");
    let unknown = |line: &Value| line["who"].is_null() && line["result"] == "unauthenticated";
    assert!(lines.iter().any(unknown), "{lines:#?}");

    // What nobody may find: the tokens themselves, anywhere below the folder of the cluster.
    for secret in [&dev, &ops, &eyes, &lead] {
        let found = Command::new("grep").args(["-rlF", secret.as_str(), cluster.path("").as_str()]).output().unwrap();
        assert!(found.stdout.is_empty(), "a token stands in {}", String::from_utf8_lossy(&found.stdout));
    }
}

#[test]
fn a_token_counts_without_tls_too_but_goes_over_no_network_then() {
    let cluster = Cluster::of_coordinators(1);
    until("it leads", || (cluster.weir(&["cluster", "status"]).code == Some(0)).then_some(()));
    let eyes = token(&cluster, "eyes", &["--role", "viewer"]);
    with_token(&cluster, &eyes, &["namespaces", "list"]).code(0);
    with_token(&cluster, &eyes, &["namespaces", "create", "x"]).code(2).says(&["eyes may not administer"]);
    with_token(&cluster, "weir_nothing", &["namespaces", "list"]).code(2).says(&["the token is not known"]);
    let elsewhere = ["namespaces", "list", "--coordinators", "192.0.2.1:7420"];
    with_token(&cluster, &eyes, &elsewhere).code(2).says(&["a token is not sent to 192.0.2.1:7420 without TLS"]);
    let missing = ["namespaces", "list", "--token-file", "/nowhere/token"];
    cluster.weir(&missing).code(2).says(&["the token in /nowhere/token cannot be read"]);
}

#[test]
fn groups_have_role_bindings_which_are_kept_beside_the_tokens() {
    let cluster = Cluster::of_coordinators(1);
    until("it leads", || (cluster.weir(&["cluster", "status"]).code == Some(0)).then_some(()));
    let names = |command: &str| -> Vec<String> {
        let listed = cluster.json(&[command, "list"]);
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    token(&cluster, "ci", &["--role", "viewer"]);
    let create = |name: &str, more: &[&str]| cluster.weir(&[&["role-bindings", "create", name], more].concat());
    let platform = ["--group", "platform team", "--role", "developer", "--role", "operator@default", "--plugins"];
    create("platform", &platform).code(0).says(&["platform: created, for the group platform team"]);
    create("platform", &platform).code(0);
    create("platform", &["--group", "others", "--role", "viewer"]).code(2).says(&["platform"]);
    create("ci", &platform).code(2).says(&["ci"]);
    create("nobody", &["--role", "viewer"]).code(2).says(&["--group"]);
    let alias = ["tokens", "create", "on-call", "--group", "streams", "--role", "operator", "--expires", "30d"];
    cluster.weir(&alias).code(0).says(&["on-call: created, for the group streams"]);
    assert_eq!(names("role-bindings"), ["on-call", "platform"]);
    assert_eq!(names("tokens"), ["ci", "on-call", "platform"]);
    let shown = cluster.weir(&["role-bindings", "list"]).code(0).out;
    for cell in ["role binding", "platform team", "developer, operator@default, plugins", "in 29 d"] {
        assert!(shown.contains(cell), "{cell} is not in\n{shown}");
    }
    // A token is none, and stays.
    let delete = |name: &str| cluster.weir(&["role-bindings", "delete", name]);
    delete("ci").code(2).says(&["there is no role binding ci"]);
    delete("on-call").code(0).says(&["on-call: deleted"]);
    delete("on-call").code(2).says(&["there is no role binding on-call"]);
    cluster.weir(&["tokens", "revoke", "platform"]).code(0);
    assert!(names("role-bindings").is_empty());
    assert_eq!(names("tokens"), ["ci"]);
}
