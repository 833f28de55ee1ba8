//! The body of a request that brings a file, or a part of one: read in pieces, and not for ever.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Version, header};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};
use weir_proto::client::artifacts::{LARGEST, PIECE};

use crate::Problem;

/// How long a piece may take to come: whoever sends less occupies a place that others wait for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a body may take on HTTP/1, whose connections are cut when nothing was sent to the other end for two minutes: before that, and with
/// time for the last piece to be stored, it is told how far it has come.
const HTTP1: Duration = Duration::from_secs(50);

/// Which bytes of a file a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Where they begin.
    pub start: u64,
    /// Where they end: the first byte that is not among them.
    pub end: u64,
    /// How many the file has.
    pub size: u64,
}

impl Part {
    /// What the headers say.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let Some(length) = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()) else {
            let detail = "it is not said how long the body is: content-length";
            return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "invalid", detail));
        };
        let part = match text(header::CONTENT_RANGE) {
            None => Self { start: 0, end: length, size: length },
            Some(range) => Self::read(range).filter(|part| part.end - part.start == length).ok_or_else(|| {
                let detail = format!("content-range is '{range}', and the body has {length} bytes");
                Problem::invalid(detail)
                    .with_help("write it as `bytes FIRST-LAST/SIZE`, the first byte of the file being 0")
            })?,
        };
        match part.size {
            0 => Err(Problem::invalid("an empty file is no plugin")),
            size if size > LARGEST => {
                let detail = format!("the file has {size} bytes, and may have {LARGEST}");
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                    .with_help("build it with `cargo build --release`, and strip it"))
            }
            _ => Ok(part),
        }
    }

    /// `bytes FIRST-LAST/SIZE` (RFC 9110, section 14.4).
    fn read(range: &str) -> Option<Self> {
        let (bytes, size) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = bytes.split_once('-')?;
        let (start, last, size): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
        (start <= last && last < size).then(|| Self { start, end: last + 1, size })
    }
}

/// A body, as far as it has not been read.
pub(super) struct Incoming {
    body: BodyDataStream,
    part: Part,
    /// What has come and was not asked for yet.
    rest: Bytes,
    /// Where that begins in the file.
    position: u64,
    /// When it has to be over.
    deadline: Option<Instant>,
}

impl Incoming {
    /// The body of this request.
    ///
    /// # Errors
    /// If its headers do not say which bytes these are, or of too large a file.
    pub(super) fn of(request: Request) -> Result<Self, Problem> {
        let part = Part::of(request.headers())?;
        let deadline = (request.version() < Version::HTTP_2).then(|| Instant::now() + HTTP1);
        let body = request.into_body().into_data_stream();
        Ok(Self { body, part, rest: Bytes::new(), position: part.start, deadline })
    }

    /// Which bytes it has.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// Where the bytes that come next stand in the file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.position >= self.part.end
    }

    /// The bytes that stand in the file from `from` on: as many as make a piece, or as are left. Those before are left out.
    ///
    /// # Errors
    /// If they do not come, or do not come in time.
    pub(super) async fn piece(&mut self, from: u64) -> Result<Bytes, Problem> {
        let mut deadline = Instant::now() + PATIENCE;
        let (mut piece, mut skipped) = (Vec::new(), 0);
        while piece.len() < PIECE && !self.is_over() {
            if self.rest.is_empty() {
                self.rest = self.next(deadline).await?;
            }
            let left_out = usize::try_from(from.saturating_sub(self.position)).unwrap_or(usize::MAX);
            skipped += self.take(left_out).len();
            if skipped >= PIECE {
                (skipped, deadline) = (0, Instant::now() + PATIENCE);
            }
            piece.extend_from_slice(&self.take(PIECE - piece.len()));
        }
        Ok(piece.into())
    }

    /// Reads all that comes, for those who send it before they listen.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub(super) async fn skip_all(&mut self) -> Result<(), Problem> {
        let mut deadline = Instant::now() + PATIENCE;
        let mut read = 0;
        while !self.is_over() {
            self.rest = self.next(deadline).await?;
            read += self.take(usize::MAX).len();
            if read >= PIECE {
                (read, deadline) = (0, Instant::now() + PATIENCE);
            }
        }
        Ok(())
    }

    /// The first bytes of what has come, at most so many.
    fn take(&mut self, most: usize) -> Bytes {
        let taken = self.rest.split_to(most.min(self.rest.len()));
        self.position += taken.len() as u64;
        taken
    }

    async fn next(&mut self, deadline: Instant) -> Result<Bytes, Problem> {
        let deadline = self.deadline.map_or(deadline, |all| all.min(deadline));
        let why = match timeout_at(deadline, self.body.next()).await {
            Ok(Some(Ok(bytes))) => return Ok(bytes),
            Ok(Some(Err(error))) => format!("the body cannot be read to its end: {error}"),
            Ok(None) => "the body is shorter than its headers say".to_owned(),
            Err(_) => "the body comes too slowly".to_owned(),
        };
        // Nothing comes any more.
        self.part.end = self.position;
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "incomplete", why)
            .with_help("GET tells how many bytes are here: go on behind them, with `content-range`"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::body::Body;
    use futures::stream;

    use super::*;

    /// What headers with these values say, or the status of the refusal.
    fn read(length: Option<&str>, range: Option<&str>) -> Result<Part, u16> {
        let given = [(header::CONTENT_LENGTH, length), (header::CONTENT_RANGE, range)];
        let headers = given.into_iter().filter_map(|(name, value)| Some((name, value?.parse().ok()?))).collect();
        Part::of(&headers).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn headers_say_which_bytes_of_the_file_come() {
        assert_eq!(read(Some("7"), None), Ok(Part { start: 0, end: 7, size: 7 }));
        assert_eq!(read(Some("3"), Some("bytes 4-6/7")), Ok(Part { start: 4, end: 7, size: 7 }));
        assert_eq!(read(Some("3"), Some("bytes 0-2/7")), Ok(Part { start: 0, end: 3, size: 7 }));
        let largest = LARGEST.to_string();
        assert_eq!(read(Some(&largest), None), Ok(Part { start: 0, end: LARGEST, size: LARGEST }));
        assert_eq!(read(None, None), Err(411));
        assert_eq!(read(Some("-1"), None), Err(411));
        assert_eq!(read(Some("0"), None), Err(400));
        assert_eq!(read(Some(&(LARGEST + 1).to_string()), None), Err(413));
        assert_eq!(read(Some("1"), Some(&format!("bytes 0-0/{}", LARGEST + 1))), Err(413));
        assert_eq!(read(Some(&u64::MAX.to_string()), None), Err(413));
        let greatest = u64::MAX;
        for range in [
            "",
            "bytes",
            "bytes 4-6",
            "bytes 4-6/*",
            "bytes */7",
            "bytes 6-4/7",
            "bytes 4-7/7",
            "bytes 4-5/7",
            "items 4-6/7",
            "bytes -4-6/7",
            &format!("bytes {greatest}-{greatest}/{greatest}"),
        ] {
            assert_eq!(read(Some("3"), Some(range)), Err(400), "{range}");
        }
    }

    /// A body that comes in such chunks, as a part of a file.
    fn incoming(chunks: Vec<Vec<u8>>, part: Part) -> Incoming {
        let chunks =
            stream::iter(chunks.into_iter().map(|chunk| Ok::<_, std::convert::Infallible>(Bytes::from(chunk))));
        let (length, Part { start, end, size }) = (part.end - part.start, part);
        let request = Request::builder()
            .header(header::CONTENT_LENGTH, length)
            .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1));
        Incoming::of(request.body(Body::from_stream(chunks)).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn pieces_are_the_file_behind_what_is_there_however_it_comes() {
        let file: Vec<u8> = (0..PIECE * 2 + 77).map(|at| (at % 251) as u8).collect();
        let size = file.len() as u64;
        for chunk in [1000, PIECE - 1, PIECE, PIECE * 3] {
            for from in [0, 5, 1000, PIECE as u64 + 3, size - 1, size] {
                let chunks = file.chunks(chunk).map(<[u8]>::to_vec).collect();
                let mut incoming = incoming(chunks, Part { start: 0, end: size, size });
                let mut brought = file[..from as usize].to_vec();
                while !incoming.is_over() {
                    let piece = incoming.piece(brought.len() as u64).await.unwrap();
                    let is_whole = piece.len() == PIECE || incoming.is_over() && piece.len() < PIECE;
                    assert!(is_whole, "{} bytes are no piece", piece.len());
                    brought.extend_from_slice(&piece);
                }
                assert!(brought == file, "in chunks of {chunk} from {from} on");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_ends_early_or_does_not_go_on_is_incomplete() {
        let part = Part { start: 4, end: 10, size: 10 };
        let mut short = incoming(vec![vec![1, 2]], part);
        let problem = short.piece(4).await.unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.kind), (408, "incomplete"), "{}", problem.detail);

        for (version, patience) in [(Version::HTTP_11, HTTP1), (Version::HTTP_2, PATIENCE)] {
            let request = Request::builder().version(version).header(header::CONTENT_LENGTH, 6);
            let request = request.header(header::CONTENT_RANGE, "bytes 4-9/10");
            let silent = Body::from_stream(stream::pending::<Result<Bytes, std::convert::Infallible>>());
            let mut silent = Incoming::of(request.body(silent).unwrap()).unwrap();
            let began = Instant::now();
            let problem = silent.piece(4).await.unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.kind), (408, "incomplete"), "{}", problem.detail);
            assert_eq!(began.elapsed().as_secs(), patience.as_secs());
        }
    }
}
