//! The answers, as those who ask get them.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use weir_monitoring::{Kind, Metric, Monitor, Observed, Obstacle, Samples, Unit, listen, serve};

static ROWS: Metric =
    Metric { name: "weir_rows_total", kind: Kind::Counter, unit: Unit::None, help: "Rows", labels: &["job"] };

/// A part of a process that is not ready for these reasons.
struct Part(Vec<Obstacle>);

#[async_trait]
impl Observed for Part {
    async fn collect(&self, samples: &mut Samples) {
        samples.count(&ROWS, &["default/a"], 3);
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        self.0.clone()
    }
}

/// A part of a process that hangs.
struct Stuck;

#[async_trait]
impl Observed for Stuck {
    async fn collect(&self, _: &mut Samples) {
        std::future::pending().await
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        std::future::pending().await
    }
}

async fn process(parts: Vec<Arc<dyn Observed>>) -> (JoinSet<()>, String) {
    let usual = SocketAddr::from(([127, 0, 0, 1], 0));
    let (listener, address) = listen(None, usual).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { serve(listener, Monitor::new(parts)).await.unwrap() });
    (tasks, address.to_string())
}

/// Status, kind and text of the answer.
async fn get(address: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    (status, kind.to_owned(), text.to_owned())
}

#[tokio::test]
async fn a_process_says_how_it_does_and_why_it_is_not_ready() {
    let obstacle = Obstacle { code: "no-leader", message: "nobody leads".into() };
    let (_running, address) = process(vec![Arc::new(Part(vec![obstacle]))]).await;
    let (status, kind, text) = get(&address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.contains("weir_rows_total{job=\"default/a\"} 3.0\n"), "{text}");
    assert!(text.contains("\nprocess_resident_memory_bytes ") && text.ends_with("# EOF\n"), "{text}");
    let (status, kind, text) = get(&address, "/health/ready").await;
    assert_eq!((status, &*kind), (503, "application/json"));
    assert_eq!(text, r#"{"ready":false,"reasons":[{"code":"no-leader","message":"nobody leads"}]}"#);
    assert_eq!(get(&address, "/health/live").await.0, 200);
    assert_eq!(get(&address, "/").await.0, 404);
}

#[tokio::test]
async fn a_part_that_hangs_is_not_ready_and_hides_no_other() {
    let (_running, address) = process(vec![Arc::new(Stuck), Arc::new(Part(Vec::new()))]).await;
    let (status, _, text) = get(&address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("weir_rows_total"), "{text}");
    let (status, _, text) = get(&address, "/health/ready").await;
    assert!(status == 503 && text.contains("no-answer"), "{status} {text}");
    assert_eq!(get(&address, "/health/live").await.0, 200, "a hung part is no reason to say that the process is dead");
}
