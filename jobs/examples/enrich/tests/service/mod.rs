//! A service of prices over HTTP, in threads of the test that starts it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a service for tests, with a thread for each connection"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// The service. What it answers is decided by the beginning of an article's name:
///
/// - `unknown`: 404
/// - `busy`: 503
/// - `shaky`: 503 twice, then the price
/// - `slow`: nothing, until it is let go
/// - anything else: the price, which is ten cents for each letter
pub struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How often each article was asked for.
    asked: BTreeMap<String, usize>,
    lets_go: bool,
    is_over: bool,
    connections: Vec<TcpStream>,
}

impl Service {
    /// A service on a port of its own.
    pub fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    /// One at an address that an earlier one had.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut state = served.state.lock().unwrap();
                if state.is_over {
                    return;
                }
                state.connections.push(stream.try_clone().unwrap());
                let shared = served.clone();
                // Ends with its connection, and that with the service.
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often an article was asked for.
    pub fn asked(&self, article: &str) -> usize {
        self.shared.state.lock().unwrap().asked.get(article).copied().unwrap_or_default()
    }

    /// Returns when an article has been asked for so often.
    pub fn until_asked(&self, article: &str, times: usize) {
        let state = self.shared.state.lock().unwrap();
        let enough = |state: &mut State| state.asked.get(article).copied().unwrap_or_default() < times;
        drop(self.shared.changed.wait_while(state, enough).unwrap());
    }

    /// Answers those that it has kept waiting, and keeps no others.
    pub fn let_go(&self) {
        self.shared.state.lock().unwrap().lets_go = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.state.lock().unwrap();
            state.is_over = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        connections.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        // The thread that accepts wakes up.
        drop(TcpStream::connect(self.address));
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Answers the requests of a connection, one behind the other.
fn serve(shared: &Shared, stream: TcpStream) {
    let mut requests = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut request = String::new();
        let mut header = "?".to_owned();
        if requests.read_line(&mut request).unwrap_or_default() == 0 {
            return;
        }
        while !header.trim().is_empty() {
            header.clear();
            if requests.read_line(&mut header).is_err() {
                return;
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        let article = path.strip_prefix("/articles/").unwrap_or_default();
        let Some((status, text)) = answer(shared, article) else { return };
        let length = text.len();
        let written = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{text}");
        if written.is_err() {
            return;
        }
    }
}

fn answer(shared: &Shared, article: &str) -> Option<(&'static str, String)> {
    let mut state = shared.state.lock().unwrap();
    let asked = state.asked.entry(article.to_owned()).or_default();
    *asked += 1;
    let asked = *asked;
    shared.changed.notify_all();
    let kind = article.split('-').next().unwrap_or_default();
    if kind == "slow" {
        state = shared.changed.wait_while(state, |state| !state.lets_go && !state.is_over).unwrap();
    }
    if state.is_over {
        return None;
    }
    Some(match kind {
        "unknown" => ("404 Not Found", String::new()),
        "busy" => ("503 Service Unavailable", String::new()),
        "shaky" if asked < 3 => ("503 Service Unavailable", String::new()),
        _ => ("200 OK", format!("{{\"name\":\"the {article}\",\"cents\":{}}}", 10 * article.len())),
    })
}
