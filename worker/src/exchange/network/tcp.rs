//! Links over TCP, with TLS over it or without.
//!
//! Who has dialed and not said yet who it is takes one of the places for strangers, until it has: of these one address has only some, so
//! that whoever opens connections and says nothing shuts out nobody else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;
use weir_core::{Admission, AdmissionLimits, Error, Place, Result};
use weir_proto::tls::{CertificateRole, ClientCertificate, Stream, Tls};

use super::codec::{Decoder, Encoder, LENGTH_BYTES};
use super::frame::Frame;
use super::transport::{FrameReceiver, FrameSender, Link, Transport};

/// Bytes that are put together before they are handed to the system, and read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections on which nobody has said yet who it is; those that come on top are closed.
const STRANGERS: AdmissionLimits = AdmissionLimits { all: 1024, per_address: 64, loopback: 512 };

/// Listens on a port and dials others.
#[derive(Debug)]
pub struct TcpTransport {
    listener: TcpListener,
    frame_bytes: usize,
    tls: Option<Tls>,
    /// Those who have dialed and are about to show who they are. One that takes long holds up nobody.
    handshakes: Mutex<JoinSet<(SocketAddr, Place, io::Result<Stream>)>>,
    strangers: Arc<Admission>,
    /// Whether the last one that came found a place: a flood is told once.
    had_room: AtomicBool,
}

type Reading = Box<dyn AsyncRead + Send + Unpin>;
type Writing = Box<dyn AsyncWrite + Send + Unpin>;

struct TcpSender {
    stream: BufWriter<Writing>,
    encoder: Encoder,
    frame_bytes: usize,
}

struct TcpReceiver {
    stream: BufReader<Reading>,
    decoder: Decoder,
}

impl TcpTransport {
    /// Listens at `address`, `host:port`; frames have at most `frame_bytes`. With TLS all others have to be workers of the cluster.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub async fn listen(address: &str, frame_bytes: usize, tls: Option<Tls>) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| {
            Error::environment(format!("the data port {address} cannot be opened"))
                .with_source(error)
                .with_help("another process may use it; choose another port")
        })?;
        let (strangers, had_room) = (Admission::new(STRANGERS), AtomicBool::new(true));
        Ok(Self { listener, frame_bytes, tls, handshakes: Mutex::default(), strangers, had_room })
    }

    /// The same with other limits for those of whom it is not known who they are.
    #[cfg(test)]
    pub fn with_strangers(self, limits: AdmissionLimits) -> Self {
        Self { strangers: Admission::new(limits), ..self }
    }

    /// Where it listens, with the port that the system has chosen if it was asked for port 0.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_address(&self) -> Result<std::net::SocketAddr> {
        self.listener.local_addr().map_err(broken)
    }

    fn plain(&self, stream: TcpStream, peer: String, place: Option<Place>) -> Link {
        let (read, write) = stream.into_split();
        self.link(Box::new(read), Box::new(write), peer, place)
    }

    fn encrypted(&self, stream: Stream, peer: String, place: Option<Place>) -> Link {
        let (read, write) = tokio::io::split(stream);
        self.link(Box::new(read), Box::new(write), peer, place)
    }

    fn link(&self, read: Reading, write: Writing, peer: String, place: Option<Place>) -> Link {
        let frame_bytes = self.frame_bytes;
        let stream = BufWriter::with_capacity(BUFFER_BYTES, write);
        let sender = Box::new(TcpSender { stream, encoder: Encoder::default(), frame_bytes });
        let stream = BufReader::with_capacity(BUFFER_BYTES, read);
        let receiver = Box::new(TcpReceiver { stream, decoder: Decoder::new(frame_bytes) });
        Link { peer, sender, receiver, place }
    }

    /// The next connection for which there is a place.
    async fn admitted(&self) -> Result<(TcpStream, SocketAddr, Place)> {
        loop {
            let (stream, peer) = self.listener.accept().await.map_err(broken)?;
            match self.strangers.take(peer.ip()) {
                Ok(place) => {
                    self.had_room.store(true, Relaxed);
                    match stream.set_nodelay(true) {
                        Ok(()) => return Ok((stream, peer, place)),
                        // It is this one that is broken, and the next may be there already.
                        Err(error) => tracing::debug!(%peer, %error, "a connection broke as it came"),
                    }
                }
                Err(why) if self.had_room.swap(false, Relaxed) => tracing::warn!(%peer, "{why}"),
                Err(_) => {}
            }
        }
    }

    /// Waits for somebody who has shown that it is a worker of the cluster.
    async fn accept_worker(&self, tls: &Tls) -> Result<Link> {
        let mut handshakes = self.handshakes.lock().await;
        loop {
            tokio::select! {
                admitted = self.admitted() => {
                    let (stream, peer, place) = admitted?;
                    let tls = tls.clone();
                    handshakes.spawn(async move { (peer, place, shake_hands(&tls, stream).await) });
                }
                Some(shaken) = handshakes.join_next() => match shaken {
                    Ok((peer, place, Ok(stream))) => return Ok(self.encrypted(stream, peer.to_string(), Some(place))),
                    // Anybody can make lines of these, and a worker of the cluster says itself that it is refused.
                    Ok((peer, _, Err(error))) => tracing::debug!(%peer, %error, "a connection was refused"),
                    Err(error) => tracing::error!(%error, "a handshake panicked"),
                },
            }
        }
    }
}

/// The handshake with who has dialed.
async fn shake_hands(tls: &Tls, stream: TcpStream) -> io::Result<Stream> {
    let accepted = timeout(HANDSHAKE, tls.accept(stream, ClientCertificate::Required)).await;
    let (stream, certificate) = accepted.map_err(|_| io::Error::other("no TLS handshake came"))??;
    if certificate.is_some_and(|certificate| certificate.is(CertificateRole::Worker)) {
        Ok(stream)
    } else {
        Err(io::Error::other("its certificate is not that of a worker"))
    }
}

fn broken(error: io::Error) -> Error {
    Error::environment("the connection broke").with_source(error)
}

#[async_trait]
impl Transport for TcpTransport {
    async fn dial(&self, address: &str) -> Result<Link> {
        let stream = TcpStream::connect(address).await;
        let stream =
            stream.map_err(|error| Error::environment(format!("{address} cannot be reached")).with_source(error))?;
        // Frames are put together here already; a marker must not wait for more.
        stream.set_nodelay(true).map_err(broken)?;
        let Some(tls) = &self.tls else { return Ok(self.plain(stream, address.to_owned(), None)) };
        let stream = tls.connect(stream, CertificateRole::Worker).await.map_err(|error| {
            Error::environment(format!("there is no TLS connection to the worker at {address}")).with_source(error)
        })?;
        Ok(self.encrypted(stream, address.to_owned(), None))
    }

    async fn accept(&self) -> Result<Link> {
        if let Some(tls) = &self.tls {
            return self.accept_worker(tls).await;
        }
        let (stream, peer, place) = self.admitted().await?;
        Ok(self.plain(stream, peer.to_string(), Some(place)))
    }
}

#[async_trait]
impl FrameSender for TcpSender {
    async fn send(&mut self, frame: Frame) -> Result<()> {
        for buffer in self.encoder.encode(&frame, self.frame_bytes)? {
            self.stream.write_all(&buffer).await.map_err(broken)?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.flush().await.map_err(broken)
    }
}

#[async_trait]
impl FrameReceiver for TcpReceiver {
    async fn receive(&mut self) -> Result<Option<Frame>> {
        if self.stream.fill_buf().await.map_err(broken)?.is_empty() {
            return Ok(None);
        }
        let mut prefix = [0; LENGTH_BYTES];
        self.stream.read_exact(&mut prefix).await.map_err(broken)?;
        let length = self.decoder.length(prefix)?;
        let mut bytes = BytesMut::with_capacity(length);
        let mut rest = (&mut self.stream).take(length as u64);
        while bytes.len() < length {
            if rest.read_buf(&mut bytes).await.map_err(broken)? == 0 {
                return Err(Error::environment("the connection broke in the middle of a frame"));
            }
        }
        self.decoder.decode(bytes.freeze()).map(Some)
    }
}
