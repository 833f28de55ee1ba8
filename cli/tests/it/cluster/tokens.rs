//! Tokens by HTTP: who may make them, who learns them, and where they are never seen.

use std::process::Command;

use serde_json::{Value, json};

use super::access::audit;
use super::api::{answered, call, open_with};
use super::leaders::leader;
use super::processes::{Cluster, until};

/// Who asks.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// The administrator, with a certificate.
    Admin,
    /// Whoever has this token.
    Token(&'a str),
    Nobody,
}

/// A request to a cluster with certificates; the answer's status, headers and body. `data` is how curl is told the body.
pub fn curl(cluster: &Cluster, address: &str, by: By<'_>, request: [&str; 2], data: &[&str]) -> (u16, String, Value) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-i", "--cacert", &cluster.path("security/ca.pem"), "-X", request[0]]);
    match by {
        By::Admin => {
            curl.args(["--cert", &cluster.path("security/admin.pem"), "--key", &cluster.path("security/admin.key")])
        }
        By::Token(token) => curl.args(["-H", &format!("Authorization: Bearer {token}")]),
        By::Nobody => &mut curl,
    };
    let ran = curl.args(data).arg(format!("https://{address}/api/v1{}", request[1])).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    // Behind a 100 come the headers that count.
    let text = text
        .split_once("\r\n\r\n")
        .filter(|(head, _)| head.starts_with("HTTP/1.1 100"))
        .map_or(&*text, |(_, rest)| rest);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{request:?}: {text}{}", String::from_utf8_lossy(&ran.stderr)));
    let status = head.split(' ').nth(1).unwrap().trim().parse().unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    (status, head.to_lowercase(), body)
}

fn post(cluster: &Cluster, address: &str, by: By<'_>, path: &str, body: &Value) -> (u16, String, Value) {
    let text = body.to_string();
    curl(cluster, address, by, ["POST", path], &["-H", "Content-Type: application/json", "-d", &text])
}

/// Makes a token; the token.
pub fn make(cluster: &Cluster, body: &Value) -> String {
    let (status, _, made) = post(cluster, cluster.coordinator(), By::Admin, "/tokens", body);
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect()
}

#[test]
fn who_may_makes_tokens_by_http_and_nobody_else_learns_them() {
    let mut cluster = Cluster::planned_with_tls(3);
    (1..=3).for_each(|id| cluster.start_coordinator(id));
    let addresses: Vec<String> = cluster.coordinators().into_iter().map(str::to_owned).collect();
    cluster.weir(&["namespaces", "create", "flights"]).code(0);
    let get = |by: By<'_>, path: &str| curl(&cluster, &addresses[0], by, ["GET", path], &[]);
    let delete =
        |by: By<'_>, name: &str| curl(&cluster, &addresses[2], by, ["DELETE", &format!("/tokens/{name}")], &[]).0;

    // Any coordinator draws one, and it is good at all of them.
    let of = |role: &str| json!([{ "role": role, "namespace": "flights" }]);
    let mut drawn = Vec::new();
    for (address, role) in addresses.iter().zip(["viewer", "developer", "operator"]) {
        let wanted = json!({ "name": role, "grants": of(role) });
        let (status, head, made) = post(&cluster, address, By::Admin, "/tokens", &wanted);
        assert_eq!((status, &made["name"]), (201, &json!(role)), "{made}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let token = made["token"].as_str().unwrap().to_owned();
        assert!(token.starts_with("weir_") && token.len() == 69, "{} characters", token.len());
        for address in &addresses {
            assert_eq!(curl(&cluster, address, By::Token(&token), ["GET", "/namespaces/flights/jobs"], &[]).0, 200);
        }
        // Once more it would be another one.
        let (status, _, problem) = post(&cluster, address, By::Admin, "/tokens", &wanted);
        assert_eq!((status, &problem["kind"]), (409, &json!("conflict")), "{problem}");
        drawn.push(token);
    }
    let expires_at = i64::MAX / 2;
    let lead = json!({ "name": "lead", "grants": of("admin"), "expires_at": expires_at });
    let lead = make(&cluster, &lead);

    // Who may not.
    let mine = json!({ "name": "mine", "grants": of("viewer") });
    for token in &drawn {
        let (status, _, problem) = post(&cluster, &addresses[1], By::Token(token), "/tokens", &mine);
        assert_eq!((status, &problem["kind"]), (403, &json!("denied")), "{problem}");
        assert_eq!(delete(By::Token(token), "lead"), 403);
    }
    assert_eq!(curl(&cluster, &addresses[1], By::Nobody, ["POST", "/tokens"], &[]).0, 401);
    assert_eq!((get(By::Nobody, "/tokens").0, delete(By::Nobody, "lead")), (401, 401));
    // Nobody gives what it has not got, and everybody sees what is its own.
    let by_lead = |body: Value| post(&cluster, &addresses[1], By::Token(&lead), "/tokens", &body).0;
    assert_eq!(by_lead(json!({ "name": "all", "grants": [{ "role": "viewer" }] })), 403);
    assert_eq!(by_lead(json!({ "name": "native", "grants": of("viewer"), "plugins": true })), 403);
    let sha256 = "ab".repeat(32);
    let own = json!({ "name": "own", "grants": of("viewer"), "sha256": sha256 });
    assert_eq!((by_lead(own.clone()), by_lead(own.clone())), (201, 201), "the same once more changes nothing");
    assert_eq!(names(&get(By::Token(&drawn[0]), "/tokens").2), ["viewer"]);
    make(&cluster, &json!({ "name": "everywhere", "grants": [{ "role": "admin" }], "plugins": true }));

    let (status, _, of_group) = post(
        &cluster,
        &addresses[0],
        By::Admin,
        "/tokens",
        &json!({ "name": "team", "grants": of("viewer"), "group": "t" }),
    );
    assert_eq!((status, of_group), (201, json!({ "name": "team" })), "a group has no token");
    let (_, _, all) = get(By::Admin, "/tokens");
    assert_eq!(names(&all), ["developer", "everywhere", "lead", "operator", "own", "team", "viewer"]);
    assert_eq!(all["items"][5]["group"], "t");
    assert_eq!((&all["items"][2]["expires_at"], &all["items"][4]["created_by"]), (&json!(expires_at), &json!("lead")));
    let (_, _, page) = get(By::Admin, "/tokens?limit=2&after=everywhere");
    assert_eq!((names(&page), &page["next"]), (vec!["lead", "operator"], &json!("operator")));
    assert!(!all.to_string().contains(&sha256), "{all}");

    // What is wrong with it.
    for (wrong, says) in [
        (json!({ "name": "x", "grants": of("viewer"), "group": "t", "sha256": sha256 }), "exclude each other"),
        (json!({ "name": "x", "grants": of("viewer"), "sha256": "weir_x" }), "64 digits"),
        (json!({ "name": "x", "grants": [] }), "1 to 100 roles"),
        (json!({ "name": "x", "grants": of("viewer"), "expires_at": 1 }), "expired"),
        (json!({ "name": "x/../y", "grants": of("viewer") }), "x/../y"),
        (json!({ "name": "x", "grants": [{ "role": "admin", "namspace": "flights" }] }), "namspace"),
    ] {
        let (status, _, problem) = post(&cluster, &addresses[0], By::Admin, "/tokens", &wrong);
        assert_eq!((status, &problem["kind"]), (400, &json!("invalid")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }

    // From the moment it is revoked a token is good for nothing, at every coordinator.
    assert_eq!(delete(By::Token(&lead), "viewer"), 202);
    for address in &addresses {
        assert_eq!(curl(&cluster, address, By::Token(&drawn[0]), ["GET", "/tokens"], &[]).0, 401);
    }
    assert_eq!(delete(By::Admin, "viewer"), 404);

    // It is written down who did that, and the tokens are nowhere.
    let lines = until("all of it is in the audit logs", || {
        let lines = audit(&cluster, 3);
        lines.iter().any(|line| line["what"] == "revoke-token" && line["result"] == "not-found").then_some(lines)
    });
    for (who, what, on, result) in [
        ("lead", "create-token", "own", "ok"),
        ("lead", "create-token", "native", "denied"),
        ("developer", "create-token", "mine", "denied"),
        ("operator", "revoke-token", "lead", "denied"),
        ("lead", "revoke-token", "viewer", "ok"),
    ] {
        let is_it =
            |line: &&Value| line["who"] == who && line["what"] == what && line["on"] == on && line["result"] == result;
        assert!(lines.iter().any(|line| is_it(&line)), "{who} {what} {on} {result} is not in {lines:#?}");
    }
    for secret in drawn.iter().chain([&lead]) {
        let found = Command::new("grep").args(["-rlF", secret.as_str(), cluster.path("").as_str()]).output().unwrap();
        assert!(found.stdout.is_empty(), "a token stands in {}", String::from_utf8_lossy(&found.stdout));
    }
}

#[test]
fn without_tls_a_token_is_drawn_for_this_machine_alone() {
    let cluster = Cluster::of_coordinators(1);
    leader(&cluster, None);
    let wanted = |name: &str| json!({ "name": name, "grants": [{ "role": "viewer" }] });
    let (status, made) = call(&cluster, "POST", "/tokens", Some(&wanted("here")));
    assert_eq!(status, 201, "{made}");
    let bearer = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    let by = |header: &str, method: &str, path: &str, body: Option<&Value>| {
        answered(open_with(header, cluster.coordinator(), method, path, body))
    };
    assert_eq!(by(&bearer, "GET", "/tokens", None).0, 200);
    assert_eq!(by(&bearer, "DELETE", "/tokens/here", None).0, 403, "a token that is shown counts");

    // Whoever asks from elsewhere, as another coordinator would say it.
    let elsewhere = "weir-caller: {\"identity\":\"trusted\",\"from\":\"192.0.2.7:40000\"}\r\n";
    let (status, problem) = by(elsewhere, "POST", "/tokens", Some(&wanted("there")));
    assert_eq!((status, &problem["kind"]), (400, &json!("invalid")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("not sent to another machine without TLS"), "{problem}");
    let own = json!({ "name": "there", "grants": [{ "role": "viewer" }], "sha256": "cd".repeat(32) });
    assert_eq!(by(elsewhere, "POST", "/tokens", Some(&own)), (201, json!({ "name": "there" })));
    assert_eq!(names(&call(&cluster, "GET", "/tokens", None).1), ["here", "there"]);
}
