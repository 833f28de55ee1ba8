//! Bookings from a server that keeps a log.
//!
//! The log has shards, in each of which entries are numbered from 0. It speaks a line at a time:
//!
//! ```text
//!   client: shards            server: 4
//!   client: read 2 17         server: alice 500        entry 17 of shard 2, then 18, and each further one when it is there
//!                                     bob -20
//! ```
//!
//! An entry that was read once can be read again, so its number is the position.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use weir_jobs::prelude::*;

use crate::Booking;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a reader waits for an entry before it says that there is none.
const WAIT: Duration = Duration::from_millis(100);

/// The log of a server.
#[derive(Debug, Clone)]
pub struct LogSource {
    server: String,
}

impl LogSource {
    /// The log that the server at this address keeps: `host:port`.
    pub fn new(server: &str) -> Self {
        Self { server: server.to_owned() }
    }

    fn connect(&self, request: &str) -> Result<BufReader<TcpStream>> {
        let failed =
            |error| Error::environment(format!("the log at {} cannot be read", self.server)).with_source(error);
        let address = self.server.to_socket_addrs().map_err(failed)?.next();
        let address = address.ok_or_else(|| Error::user(format!("{} is no address", self.server)))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.write_all(format!("{request}\n").as_bytes()).map_err(failed)?;
        Ok(BufReader::new(stream))
    }
}

impl Source for LogSource {
    type Row = Booking;
    /// The number of the next entry.
    type Position = u64;
    type Reader = ShardReader;

    fn splits(&self) -> Result<Vec<Split<u64>>> {
        let mut answer = String::new();
        let read = self.connect("shards")?.read_line(&mut answer);
        read.map_err(|error| Error::environment("the log does not say what shards it has").with_source(error))?;
        let shards: u32 =
            answer.trim().parse().map_err(|_| Error::data(format!("{answer:?} is no number of shards")))?;
        Ok((0..shards).map(|shard| Split::new(shard.to_string())).collect())
    }

    /// Shards are added now and then.
    fn look_again_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn open(&self, shard: &str, position: Option<u64>) -> Result<ShardReader> {
        let next = position.unwrap_or(0);
        let stream = self.connect(&format!("read {shard} {next}"))?;
        let waits = stream.get_ref().set_read_timeout(Some(WAIT));
        waits.map_err(|error| Error::environment("a connection cannot be used").with_source(error))?;
        Ok(ShardReader { stream, shard: shard.to_owned(), next, line: Vec::new() })
    }
}

/// Reads a shard.
pub struct ShardReader {
    stream: BufReader<TcpStream>,
    shard: String,
    next: u64,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
}

impl SplitReader for ShardReader {
    type Row = Booking;
    type Position = u64;

    fn read(&mut self, rows: &mut Rows<Booking>) -> Result<Reading> {
        while !rows.is_full() {
            match self.stream.read_until(b'\n', &mut self.line) {
                Ok(_) if self.line.ends_with(b"\n") => {
                    rows.push(&self.booking()?);
                    self.line.clear();
                    self.next += 1;
                    // What has come is not held back for what may come.
                    if self.stream.buffer().is_empty() {
                        break;
                    }
                }
                // It comes back as itself: the job goes back to its checkpoint, and connects again.
                Ok(_) => return Err(Error::environment("the log has closed the connection")),
                // What is there is enough; and so is nothing, for now.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => return Err(Error::environment("the log cannot be read").with_source(error)),
            }
        }
        Ok(Reading::More)
    }

    fn position(&self) -> u64 {
        self.next
    }
}

impl ShardReader {
    fn booking(&self) -> Result<Booking> {
        let text = String::from_utf8_lossy(&self.line);
        let wrong = || Error::data(format!("entry {} of shard {} is no booking: {text:?}", self.next, self.shard));
        let (account, cents) = text.trim().split_once(' ').ok_or_else(wrong)?;
        Ok(Booking { account: account.to_owned(), cents: cents.parse().map_err(|_| wrong())? })
    }
}
