//! Links over TCP.

use async_trait::async_trait;
use bytes::BytesMut;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use weir_core::{Error, Result};

use super::codec::{Decoder, Encoder, LENGTH_BYTES};
use super::frame::Frame;
use super::transport::{FrameReceiver, FrameSender, Link, Transport};

/// Bytes that are put together before they are handed to the system, and read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Listens on a port and dials others.
#[derive(Debug)]
pub struct TcpTransport {
    listener: TcpListener,
    frame_bytes: usize,
}

struct TcpSender {
    stream: BufWriter<OwnedWriteHalf>,
    encoder: Encoder,
    frame_bytes: usize,
}

struct TcpReceiver {
    stream: BufReader<OwnedReadHalf>,
    decoder: Decoder,
}

impl TcpTransport {
    /// Listens at `address`, `host:port`; frames have at most `frame_bytes`.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub async fn listen(address: &str, frame_bytes: usize) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| {
            Error::environment(format!("the data port {address} cannot be opened"))
                .with_source(error)
                .with_help("another process may use it; choose another port")
        })?;
        Ok(Self { listener, frame_bytes })
    }

    /// Where it listens, with the port that the system has chosen if it was asked for port 0.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_address(&self) -> Result<std::net::SocketAddr> {
        self.listener.local_addr().map_err(broken)
    }

    fn link(&self, stream: TcpStream, peer: String) -> Result<Link> {
        // Frames are put together here already; a marker must not wait for more.
        stream.set_nodelay(true).map_err(broken)?;
        let (read, write) = stream.into_split();
        let frame_bytes = self.frame_bytes;
        let stream = BufWriter::with_capacity(BUFFER_BYTES, write);
        let sender = Box::new(TcpSender { stream, encoder: Encoder::default(), frame_bytes });
        let stream = BufReader::with_capacity(BUFFER_BYTES, read);
        let receiver = Box::new(TcpReceiver { stream, decoder: Decoder::new(frame_bytes) });
        Ok(Link { peer, sender, receiver })
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::environment("the connection broke").with_source(error)
}

#[async_trait]
impl Transport for TcpTransport {
    async fn dial(&self, address: &str) -> Result<Link> {
        let stream = TcpStream::connect(address).await;
        let stream =
            stream.map_err(|error| Error::environment(format!("{address} cannot be reached")).with_source(error))?;
        self.link(stream, address.to_owned())
    }

    async fn accept(&self) -> Result<Link> {
        let (stream, peer) = self.listener.accept().await.map_err(broken)?;
        self.link(stream, peer.to_string())
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
