//! Files of plugins that come by HTTP: as a whole, in parts, broken off, and such that are not taken; and scripts that call what is in them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use weir_proto::client::artifacts::PIECE;
use weir_worker::plugins::artifact_hash;

use super::access::audit;
use super::api::call;
use super::leaders::leader;
use super::plugins::artifacts;
use super::processes::{Cluster, until};
use super::tokens::{By, curl, make};
use crate::plugins::Words;
use crate::rust_jobs::example;

/// So many bytes, of which no two pieces are alike.
fn content(bytes: usize) -> Vec<u8> {
    let mut random = 7_u64;
    let next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn path_of(file: &[u8]) -> String {
    format!("/artifacts/{}", artifact_hash(file))
}

/// A request whose body is sent bit by bit.
struct Upload(BufReader<TcpStream>);

impl Upload {
    fn begin(address: &str, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("PUT /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The same for a body of so many bytes, behind the word that it may come: until then nothing of it is wanted.
    fn begun(address: &str, path: &str, length: usize) -> Self {
        let mut upload = Self::begin(address, path, &format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"));
        assert_eq!(upload.status(), 100);
        upload
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn status(&mut self) -> u16 {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
        }
        status
    }

    fn answer(mut self) -> (u16, Value) {
        let status = self.status();
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
    }
}

fn put(address: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Value) {
    let mut upload = Upload::begin(address, path, &format!("Content-Length: {}\r\n{headers}", body.len()));
    upload.send(body);
    upload.answer()
}

/// Where the cluster keeps a file, if all of it is there.
fn kept(cluster: &Cluster, file: &[u8]) -> bool {
    let name = artifact_hash(file).to_string();
    let found = artifacts(cluster).into_iter().find(|path| path.ends_with(&name));
    found.is_some_and(|path| std::fs::read(path).unwrap() == file)
}

#[test]
fn a_file_is_brought_to_any_coordinator_and_once() {
    let cluster = Cluster::of_coordinators(3);
    let leader = leader(&cluster, None);
    let addresses = cluster.coordinators();
    for (address, id) in addresses.iter().zip(1..) {
        let file = content(3 * PIECE + 1000 * id);
        let path = path_of(&file);
        assert_eq!(call(&cluster, "GET", &path, None).0, 404);
        let (status, brought) = put(address, &path, "", &file);
        assert_eq!((status, &brought["complete"]), (201, &json!(true)), "by {id}, while {leader} leads: {brought}");
        assert_eq!(brought["sha256"], artifact_hash(&file).to_string());
        assert!(brought["folder"].as_str().unwrap().ends_with("/artifacts"), "{brought}");
        assert!(kept(&cluster, &file));
        assert_eq!(call(&cluster, "GET", &path, None), (200, brought.clone()));
        assert_eq!(
            put(addresses[0], &path, "", &file),
            (200, brought.clone()),
            "for those who send before they listen"
        );
        let headers = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", file.len());
        assert_eq!(Upload::begin(address, &path, &headers).answer(), (200, brought), "nothing has to be sent");
    }
    assert_eq!(artifacts(&cluster).len(), 3);
}

#[test]
fn what_was_broken_off_goes_on_and_what_does_not_fit_is_refused() {
    let cluster = Cluster::of_coordinators(1);
    let address = cluster.coordinator();
    let file = content(4 * PIECE + 77);
    let (path, size) = (path_of(&file), file.len());
    leader(&cluster, None);
    let here = || call(&cluster, "GET", &path, None).1["bytes"].as_u64();

    // The connection is gone in the third piece.
    let mut broken = Upload::begin(address, &path, &format!("Content-Length: {size}\r\n"));
    broken.send(&file[..2 * PIECE + 100]);
    until("two pieces are here", || (here() == Some(2 * PIECE as u64)).then_some(()));
    drop(broken);
    let part = |from: usize, to: usize| {
        let range = format!("Content-Range: bytes {from}-{}/{size}\r\n", to - 1);
        (format!("{range}Content-Length: {}\r\nExpect: 100-continue\r\n", to - from), range)
    };
    let (gap, _) = part(3 * PIECE, size);
    let (status, problem) = Upload::begin(address, &path, &gap).answer();
    assert_eq!((status, &problem["kind"]), (409, &json!("conflict")), "{problem}");
    // A part, of which some is here, and the rest as curl sends it.
    let (_, range) = part(PIECE + 5, 3 * PIECE);
    let (status, brought) = put(address, &path, &range, &file[PIECE + 5..3 * PIECE]);
    assert_eq!((status, &brought["complete"], here()), (202, &json!(false), Some(3 * PIECE as u64)), "{brought}");
    let from = cluster.path("file.so");
    std::fs::write(&from, &file).unwrap();
    let (offset, url) = ((3 * PIECE).to_string(), format!("http://{address}/api/v1{path}"));
    let ran =
        Command::new("curl").args(["-s", "-w", "%{http_code}", "-C", &offset, "-T", &from, &url]).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.ends_with("201") && kept(&cluster, &file), "{said}");

    // Another file under this name is not kept, and neither is what was sent of it.
    let other = content(PIECE + 5);
    let wrong = format!("/artifacts/{}", "ab".repeat(32));
    let (status, problem) = put(address, &wrong, "", &other);
    assert_eq!((status, &problem["kind"]), (400, &json!("invalid")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("is another file"), "{problem}");
    assert_eq!(artifacts(&cluster).len(), 1, "{:?}", artifacts(&cluster));

    // What is refused by its head.
    let too_large = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", (1_u64 << 30) + 1);
    let chunked = "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n".to_owned();
    let one = "Content-Length: 1\r\nExpect: 100-continue\r\n".to_owned();
    let ranged = format!("Content-Range: bytes 0-9/10\r\n{one}");
    for (path, headers, status, kind) in [
        (path.as_str(), &too_large, 413, "too-large"),
        (&path, &chunked, 411, "invalid"),
        (&path, &"Content-Length: 0\r\n".to_owned(), 400, "invalid"),
        (&path, &ranged, 400, "invalid"),
        ("/artifacts/..%2F..%2F..%2Fetc%2Fpasswd", &one, 400, "invalid"),
        (&path.to_uppercase().replace("/ARTIFACTS", "/artifacts"), &one, 400, "invalid"),
        (&path[..path.len() - 1], &one, 400, "invalid"),
        (&format!("{path}.0-80000"), &one, 400, "invalid"),
        ("/artifacts/../../../etc/passwd", &one, 404, "not-found"),
        ("/artifacts/", &one, 404, "not-found"),
    ] {
        let (is, problem) = Upload::begin(address, path, headers).answer();
        assert_eq!((is, problem["kind"].as_str()), (status, Some(kind)), "{path} {headers}: {problem}");
        assert_eq!(problem["status"], status, "{problem}");
    }
    assert_eq!(artifacts(&cluster).len(), 1, "{:?}", artifacts(&cluster));
}

#[test]
fn an_upload_goes_on_when_the_leader_is_lost() {
    let mut cluster = Cluster::of_coordinators(3);
    let first = leader(&cluster, None);
    let file = content(5 * PIECE + 1);
    let path = path_of(&file);
    let other = cluster.coordinators()[first as usize % 3].to_owned();
    let mut upload = Upload::begun(&other, &path, file.len());
    upload.send(&file[..2 * PIECE]);
    until("two pieces are here", || (artifacts(&cluster).len() == 2).then_some(()));
    cluster.kill(&format!("c{first}"));
    upload.send(&file[2 * PIECE..]);
    let (status, brought) = upload.answer();
    assert_eq!(status, 201, "{brought}");
    assert!(kept(&cluster, &file));
}

#[test]
fn a_file_takes_little_memory_and_so_many_come_at_a_time() {
    let cluster = Cluster::of_coordinators(1);
    let address = cluster.coordinator().to_owned();
    leader(&cluster, None);
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.pid("c1"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    let (before, large) = (peak(), content(192 << 20));
    assert_eq!(put(&address, &path_of(&large), "", &large).0, 201);
    let grown = peak().saturating_sub(before);
    assert!(grown < 96 << 20, "{} MiB of memory for a file of 192", grown >> 20);

    // What has begun is let in: until it says that the body may come.
    let mut uploads: Vec<(Upload, Vec<u8>)> = Vec::new();
    for number in 0..8 {
        let file = content(PIECE + number);
        uploads.push((Upload::begun(&address, &path_of(&file), file.len()), file));
    }
    let more = content(PIECE + 8);
    let headers = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", more.len());
    let (status, problem) = Upload::begin(&address, &path_of(&more), &headers).answer();
    assert_eq!((status, &problem["kind"]), (503, &json!("unavailable")), "{problem}");
    // One ends, and one goes away.
    let (mut ends, file) = uploads.pop().unwrap();
    ends.send(&file);
    assert_eq!(ends.answer().0, 201);
    drop(uploads.pop());
    let mut last = Upload::begun(&address, &path_of(&more), more.len());
    let another = content(PIECE + 9);
    let headers = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", another.len());
    until("there is a place", || {
        let mut upload = Upload::begin(&address, &path_of(&another), &headers);
        (upload.status() == 100).then_some(())
    });
    last.send(&more);
    assert_eq!(last.answer().0, 201);
}

#[test]
fn who_may_bring_native_code_brings_files() {
    let mut cluster = Cluster::planned_with_tls(1);
    cluster.start_coordinator(1);
    cluster.weir(&["namespaces", "create", "flights"]).code(0);
    let address = cluster.coordinator();
    let file = content(PIECE + 3);
    let (path, from) = (path_of(&file), cluster.path("file.so"));
    std::fs::write(&from, &file).unwrap();
    let asked = |by: By<'_>| {
        // Whoever is not let in at all is answered before its body is read.
        let body: &[&str] = if matches!(by, By::Nobody) { &[] } else { &["-T", &from] };
        let put = curl(&cluster, address, by, ["PUT", &path], body).0;
        (put, curl(&cluster, address, by, ["GET", &path], &[]).0)
    };
    for role in ["viewer", "developer", "operator", "admin"] {
        let token = make(&cluster, &json!({ "name": role, "grants": [{ "role": role }] }));
        assert_eq!(asked(By::Token(&token)), (403, 403), "{role}");
    }
    assert_eq!(asked(By::Nobody), (401, 401));
    assert_eq!(asked(By::Token("weir_nothing")), (401, 401));
    assert!(artifacts(&cluster).is_empty());
    let viewer = json!([{ "role": "viewer", "namespace": "flights" }]);
    let brings = make(&cluster, &json!({ "name": "brings", "grants": viewer, "plugins": true }));
    assert_eq!(asked(By::Token(&brings)), (201, 200));
    assert_eq!(asked(By::Admin), (200, 200));
    assert!(kept(&cluster, &file));
    let lines = audit(&cluster, 1);
    let told = |who: &str, result: &str| {
        let is_it = |line: &&Value| line["who"] == who && line["what"] == "put-artifact" && line["result"] == result;
        lines.iter().filter(is_it).count()
    };
    // The beginning and the end of the file.
    assert_eq!((told("brings", "ok"), told("admin", "ok")), (2, 0), "{lines:#?}");
    assert!(told("developer", "denied") >= 1, "{lines:#?}");
}

/// A statement that says all that a planner has to know of a function of the plugin for tests.
fn declared(plugin: &Path, folder: Option<&str>) -> String {
    let hash = artifact_hash(&std::fs::read(plugin).unwrap());
    let place = folder.map(|folder| format!(" IN '{folder}'")).unwrap_or_default();
    format!(
        "CREATE FUNCTION shout(a STRING NOT NULL) RETURNS STRING NOT NULL AS 'shout'
           USING ARTIFACT 'weir-test-plugin {} {hash}'{place};\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[test]
fn a_script_calls_functions_of_a_file_that_came_by_http() {
    let cluster = Cluster::start(2, 2);
    let words = Words::new();
    let plugin = example("weir_test_plugin");
    let content = std::fs::read(&plugin).unwrap();
    let path = path_of(&content);
    let script = format!(
        "CREATE TABLE words (word STRING, ts TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
           'source.monitor-interval' = '100 ms');
         CREATE TABLE shouted (word STRING, n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         INSERT INTO shouted SELECT shout(word), CHAR_LENGTH(shout(word)) FROM words",
        words.path("in").display(),
        words.path("out").display()
    );
    let submit = |declared: &str| {
        let settings = json!({ "execution.checkpointing.interval": "100ms" });
        let job =
            json!({ "name": "shouting", "sql": format!("{declared}{script}"), "parallelism": 2, "settings": settings });
        call(&cluster, "POST", "/namespaces/default/jobs", Some(&job))
    };
    let refused = |declared: &str, status: u16, says: &[&str]| {
        let (is, problem) = submit(declared);
        assert_eq!(is, status, "{problem}");
        assert!(says.iter().all(|says| problem.to_string().contains(says)), "{problem}");
    };
    let called = call(&cluster, "GET", "/cluster", None).1["cluster"].as_str().unwrap().to_owned();
    let folder = format!("{}/{called}/artifacts", cluster.storage());
    let long = declared(&plugin, Some(&folder));
    // A coordinator looks into no file.
    refused(&crate::functions::declared("shout", &plugin), 400, &["nobody has looked into the plugin"]);
    refused(&declared(&plugin, None), 400, &["it is not said where the file of the plugin weir-test-plugin"]);
    refused(&long, 409, &["the file of the plugin weir-test-plugin is not here", &path]);

    let (status, brought) = put(cluster.coordinator(), &path, "", &content);
    assert_eq!((status, &brought["folder"]), (201, &json!(folder)), "{brought}");
    words.say("first", &["a", "b"]);
    let (status, submitted) = submit(&long);
    assert_eq!((status, &submitted["warnings"]), (201, &json!([])), "{submitted}");
    words.wait_for(2);
    // A SELECT calls it too, and one that comes from the catalog.
    let query = format!("{long}SELECT shout('c') AS s");
    let (status, _) =
        super::api::open(cluster.coordinator(), "POST", "/namespaces/default/queries", Some(&json!({ "sql": query })));
    assert_eq!(status, 200);
    let (status, catalog) = call(&cluster, "POST", "/namespaces/default/catalog", Some(&json!({ "sql": long })));
    assert_eq!(status, 200, "{catalog}");
    words.say("second", &["a", "c"]);
    let (status, again) = submit("");
    assert_eq!((status, &again["already_there"]), (200, &json!(true)), "{again}");
    words.wait_for(4);
    let shouted: Vec<String> = words.counted().into_iter().map(|(word, _)| word).collect();
    assert_eq!(shouted, ["a!", "a!", "b!", "c!"]);

    // It stays for as long as something needs it.
    let ok = |method: &str, path: &str| assert_eq!(call(&cluster, method, path, None).0, 202, "{path}");
    ok("POST", "/namespaces/default/jobs/shouting/cancel");
    until("it has ended", || (cluster.job("shouting")["status"] == "cancelled").then_some(()));
    ok("DELETE", "/namespaces/default/jobs/shouting?discard_results=true");
    assert_eq!(call(&cluster, "GET", &path, None).0, 200, "the catalog needs it");
    let dropped = json!({ "sql": "DROP FUNCTION shout" });
    assert_eq!(call(&cluster, "POST", "/namespaces/default/catalog", Some(&dropped)).0, 200);
    until("nothing needs it", || (call(&cluster, "GET", &path, None).0 == 404).then_some(()));
}
