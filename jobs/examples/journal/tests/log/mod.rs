//! A server that keeps a log, as `src/log.rs` describes it.

#![allow(dead_code, reason = "each test uses a part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Shards {
    entries: Mutex<Vec<Vec<String>>>,
    more: Condvar,
}

/// A log that is served for as long as the process lives.
pub struct LogServer {
    address: String,
    shards: Arc<Shards>,
}

impl LogServer {
    /// A log with so many shards, without entries.
    pub fn start(shards: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Shards { entries: Mutex::new(vec![Vec::new(); shards]), more: Condvar::new() });
        let served = log.clone();
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let log = served.clone();
                    // A client that has gone is no trouble.
                    let _ = std::thread::Builder::new().spawn(move || answer(&log, stream));
                }
            })
            .unwrap();
        Self { address, shards: log }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Adds entries to a shard, which is made if it is not there.
    pub fn add(&self, shard: usize, entries: impl IntoIterator<Item = String>) {
        let mut all = self.shards.entries.lock().unwrap();
        let shards = all.len().max(shard + 1);
        all.resize(shards, Vec::new());
        all[shard].extend(entries);
        self.shards.more.notify_all();
    }
}

fn answer(log: &Shards, stream: TcpStream) -> std::io::Result<()> {
    let (mut request, mut out) = (String::new(), stream.try_clone()?);
    BufReader::new(stream).read_line(&mut request)?;
    let words: Vec<&str> = request.split_whitespace().collect();
    if words == ["shards"] {
        return writeln!(out, "{}", log.entries.lock().unwrap().len());
    }
    let ["read", shard, next] = words[..] else { return writeln!(out, "what is {request:?}?") };
    let (shard, mut next): (usize, usize) = (shard.parse().unwrap(), next.parse().unwrap());
    loop {
        let entries = log.entries.lock().unwrap();
        let waited = log.more.wait_timeout_while(entries, Duration::from_secs(1), |all| all[shard].len() <= next);
        let lines: Vec<String> = waited.unwrap().0[shard].iter().skip(next).take(10).cloned().collect();
        for line in &lines {
            // In two pieces, of which the second comes later.
            let (first, second) = line.split_at(line.len() / 2);
            out.write_all(first.as_bytes())?;
            out.flush()?;
            writeln!(out, "{second}")?;
        }
        next += lines.len();
    }
}
