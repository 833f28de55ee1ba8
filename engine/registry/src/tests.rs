//! A registry that is played, and one that is real.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "the address of the real one is in the environment")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use weir_connectors::formats::registered::SchemaKind;
use weir_core::ErrorKind;

use crate::{Auth, Registry, RegistryOptions};

/// Answers requests one after the other with these, the last one for ever; counts them and keeps their heads.
struct Played {
    url: String,
    asked: Arc<AtomicUsize>,
    heads: Arc<std::sync::Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

async fn played(answers: &'static [(u16, &'static str)]) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let (asked, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
    let mut serving = JoinSet::new();
    let (count, kept) = (asked.clone(), heads.clone());
    serving.spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = socket.read(&mut request).await.unwrap();
            kept.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
            let place = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let (status, body) = answers[place];
            // Without a status nothing is said at all.
            if status > 0 {
                let head =
                    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(body.as_bytes()).await.unwrap();
            }
        }
    });
    Played { url, asked, heads, _serving: serving }
}

fn registry(urls: &[&str], auth: Auth) -> Registry {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    Registry::new(RegistryOptions { kind: SchemaKind::Avro, urls, auth, subject: None }).unwrap()
}

const SCHEMA: &str = "{\"schema\":\"\\\"string\\\"\"}";

#[tokio::test]
async fn a_schema_is_asked_for_once_and_again_if_there_is_no_answer() {
    let played = played(&[(503, "{}"), (0, ""), (429, "{}"), (200, SCHEMA)]).await;
    let client = registry(&[&played.url], Auth::Basic("ada".into(), "pw".into()));
    for _ in 0..3 {
        assert_eq!(client.schema(7).await.unwrap().unwrap().text, "\"string\"");
    }
    assert_eq!(played.asked.load(Ordering::SeqCst), 4);
    let heads = played.heads.lock().unwrap();
    assert!(heads[0].starts_with("GET /base/schemas/ids/7 "), "{}", heads[0]);
    assert!(heads[0].contains("authorization: Basic YWRhOnB3") || heads[0].contains("Authorization: Basic YWRhOnB3"));
}

#[tokio::test]
async fn there_is_an_end_to_tries_and_refusals_are_final() {
    let gone = played(&[(500, "{}")]).await;
    let error = registry(&[&gone.url], Auth::None).schema(1).await.unwrap_err();
    assert_eq!((error.kind(), gone.asked.load(Ordering::SeqCst)), (ErrorKind::Environment, 5));
    assert!(error.report().contains("does not answer\n  because: 500"), "{}", error.report());
    // One of several is enough.
    let other = played(&[(200, SCHEMA)]).await;
    assert!(registry(&[&gone.url, &other.url], Auth::None).schema(1).await.unwrap().is_ok());
    let stranger = played(&[(401, "{\"message\":\"who are you\"}")]).await;
    let error = registry(&[&stranger.url], Auth::Bearer("token".into())).schema(1).await.unwrap_err();
    assert_eq!((error.kind(), stranger.asked.load(Ordering::SeqCst)), (ErrorKind::User, 1));
    assert!(error.report().contains("who are you") && error.report().contains("bearer-auth"), "{}", error.report());
    assert!(stranger.heads.lock().unwrap()[0].to_lowercase().contains("authorization: bearer token"));
}

/// What is wrong with each record that was written by a schema is no error of the registry, nor of the table.
#[tokio::test]
async fn a_schema_that_is_of_no_use_is_what_is_wrong_with_records() {
    async fn said(answers: &'static [(u16, &'static str)]) -> String {
        let played = played(answers).await;
        registry(&[&played.url], Auth::None).schema(1).await.unwrap().unwrap_err()
    }
    const UNKNOWN: &str = "{\"error_code\":40403,\"message\":\"no such schema\"}";
    const REFERS: &str = "{\"schema\":\"x\",\"references\":[{\"name\":\"a\",\"subject\":\"s\",\"version\":2}]}";
    assert_eq!(said(&[(404, UNKNOWN)]).await, "its schema 1 is not in the registry");
    let wrong = "its schema 1 is of no use: ";
    assert_eq!(
        said(&[(200, "{\"schema\":\"x\",\"schemaType\":\"PROTOBUF\"}")]).await,
        format!("{wrong}it is of the kind PROTOBUF, and not AVRO")
    );
    let reference = "version 2 of 's', which is referred to as 'a'";
    assert_eq!(said(&[(200, REFERS), (404, UNKNOWN)]).await, format!("{wrong}{reference}, is not in the registry"));
    assert_eq!(
        said(&[(200, REFERS), (200, "{\"schema\":\"x\",\"schemaType\":\"JSON\"}")]).await,
        format!("{wrong}{reference}: it is of the kind JSON, and not AVRO")
    );
    // Who may not read what is referred to reads nothing.
    let closed = played(&[(200, REFERS), (403, "{}")]).await;
    let error = registry(&[&closed.url], Auth::None).schema(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User, "{}", error.report());
    assert!(error.report().contains(&format!("{reference}, cannot be read")), "{}", error.report());
    // Records are not left out because of what stands in front of a registry.
    for (status, body, why) in [
        (200, "<html>", "answers oddly about schema 1"),
        (200, "{\"schema\":\"x\",\"references\":[{\"name\":\"a\"}]}", "answers oddly about schema 1"),
        (404, "no such path", "answers 404"),
    ] {
        for kind in [SchemaKind::Avro, SchemaKind::Protobuf] {
            let body = if kind == SchemaKind::Protobuf {
                body.replace("]}", "],\"schemaType\":\"PROTOBUF\"}")
            } else {
                body.into()
            };
            let odd = played(Box::leak(Box::new([(status, &*body.leak())]))).await;
            let options = RegistryOptions { kind, urls: vec![odd.url.clone()], auth: Auth::None, subject: None };
            let error = Registry::new(options).unwrap().schema(1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Environment, "{}", error.report());
            assert!(error.report().contains(why), "{}", error.report());
        }
    }
}

#[test]
fn secrets_are_not_printed() {
    assert_eq!(
        format!("{:?} {:?}", Auth::Basic("ada".into(), "pw".into()), Auth::Bearer("t".into())),
        "Basic(ada) Bearer"
    );
}

#[tokio::test]
#[ignore = "wants a registry"]
async fn registry_is_real() {
    let url = std::env::var("WEIR_TEST_REGISTRY").expect("see tests/services/registry");
    let client = registry(&[&url], Auth::None);
    let subject = format!("weir/test {}", std::process::id());
    let schema = |fields: &str| format!("{{\"type\":\"record\",\"name\":\"r\",\"fields\":[{fields}]}}");
    let (a, b) =
        ("{\"name\":\"a\",\"type\":\"int\"}", "{\"name\":\"b\",\"type\":[\"null\",\"long\"],\"default\":null}");
    let first = client.register(&subject, &schema(a)).await.unwrap();
    assert_eq!(client.register(&subject, &schema(a)).await.unwrap(), first);
    let both = format!("{a},{b}");
    // Apicurio checks nothing unless told so; Confluent's does.
    let config = reqwest::Client::new().put(format!("{url}/config")).header("Content-Type", "application/json");
    config.body("{\"compatibility\":\"BACKWARD\"}").send().await.unwrap().error_for_status().unwrap();
    let second = client.register(&subject, &schema(&both)).await.unwrap();
    assert_ne!(first, second);
    let found = client.schema(second).await.unwrap().unwrap();
    assert!(found.text.contains("\"b\""), "{}", found.text);
    assert_eq!(client.schema(4_000_000).await.unwrap().unwrap_err(), "its schema 4000000 is not in the registry");
    let text = schema("{\"name\":\"a\",\"type\":\"string\"}");
    let error = client.register(&subject, &text).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User, "{}", error.report());
    assert!(error.report().contains("it does not go with the one that the registry at"), "{}", error.report());
}

#[test]
fn hosts_of_registries_are_read_as_their_client_reads_them() {
    let hosts = |list| super::hosts(list).ok();
    let host = |name: &str, port| weir_core::Location::Host(name.to_owned(), port);
    let found = hosts("https://user:a@registry.example/path, http://[::1]:81");
    assert_eq!(found, Some(vec![host("registry.example", 443), host("::1", 81)]));
    assert_eq!(hosts("http://good\\@evil/"), Some(vec![host("good", 80)]));
    assert_eq!(hosts("http://good@evil/"), Some(vec![host("evil", 80)]));
    for list in ["", "registry:8081", "ftp://registry", "http://"] {
        assert_eq!(hosts(list), None, "{list}");
    }
}
