//! Who comes to a TLS port without TLS is told so in the language that it speaks.

use std::io;

use tokio::net::TcpStream;

use super::TlsProblem;

/// The first byte of every TLS connection: a record of the handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a client of ours knows the refusal by: HTTP/2 passes it on as it is.
pub const NEEDS_TLS: &str = "this port needs TLS...";

/// To HTTP/2, with the same words in it: an empty SETTINGS frame, and GOAWAY with INADEQUATE_SECURITY (RFC 9113, sections 3.4, 6.8 and 7).
const TO_HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x1e\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0cthis port needs TLS...";

/// To HTTP/1.
const TO_HTTP1: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 33\r\nConnection: close\r\n\r\nthis port needs TLS: use https://";

/// Waits for the first byte, and says to those who do not speak TLS that this port does.
pub(super) async fn refuse_plain(tcp: &TcpStream) -> io::Result<()> {
    let mut first = [0; 3];
    let peeked = tcp.peek(&mut first).await?;
    if peeked == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed before a word was said"));
    }
    if first[0] == TLS_HANDSHAKE {
        return Ok(());
    }
    let answer: &[u8] = match &first[..peeked] {
        [b'P', b'R', ..] => TO_HTTP2,
        [byte, ..] if byte.is_ascii_uppercase() => TO_HTTP1,
        _ => b"",
    };
    // A few bytes fit into the buffer of any new connection; who does not take them need not be told.
    let _ = tcp.try_write(answer);
    hear_out(tcp).await;
    Err(io::Error::new(io::ErrorKind::InvalidData, TlsProblem::new("the other side does not speak TLS")))
}

/// Takes what still comes, up to a limit: a connection that is closed with bytes unread is reset, and the answer lost on the way.
async fn hear_out(tcp: &TcpStream) {
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if tcp.readable().await.is_err() {
            return;
        }
        match tcp.try_read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
