//! The rows of a `SELECT`: where they wait, and how whoever reads them has them sent.
//!
//! ```text
//!   <folder>/reader-<n>                      made before the job is submitted, and now and then anew: somebody reads
//!   <folder>/part-<epoch>-<n>.arrow          rows of a completed checkpoint; deleted when the next ones are asked for
//! ```
//!
//! Each submission has a folder beside the checkpoints, which workers write and coordinators read: a client need not reach the storage.

use std::time::Duration;

use bytes::Bytes;
use weir_core::Epoch;

use super::{ClientRequest, JobDetail, JobRef};

/// A reader of which nothing was heard for so long is gone.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often a reader says that it is there.
pub const SAY_AGAIN: Duration = Duration::from_secs(30);
/// Beginning of the names of the objects that say so.
pub const READERS: &str = "reader-";
/// Beginning of the names of files with rows.
pub const FILES: &str = "part-";
/// Bytes of a file that are sent at once, at most: so few that a slow connection has them before an answer is waited for elsewhere.
pub const PIECE: usize = 1 << 19;

/// The folder of a submission, as a URL; `token` tells it from all others.
pub fn folder(storage: &str, cluster: &str, token: u64) -> String {
    format!("{}{token:016x}", beginning(storage, cluster))
}

/// Whether a URL is that of such a folder. Clients name it and coordinators delete it, so it must be nothing else.
pub fn is_folder(url: &str, storage: &str, cluster: &str) -> bool {
    url.strip_prefix(&beginning(storage, cluster))
        .is_some_and(|name| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn beginning(storage: &str, cluster: &str) -> String {
    format!("{storage}/{cluster}/results/")
}

/// Name of the object that says that somebody reads, number `n`.
pub fn reader(n: u64) -> String {
    format!("{READERS}{n:016}")
}

/// The number of such an object; `None` for what is none.
pub fn number_of_reader(name: &str) -> Option<u64> {
    name.strip_prefix(READERS)?.parse().ok()
}

/// Where a file stands among the others: rows of earlier epochs come first, and within an epoch those of earlier files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The epoch that its rows belong to.
    pub epoch: Epoch,
    /// Its number among those of this epoch.
    pub number: u64,
}

impl FilePosition {
    /// Where the file of that name stands; `None` for what is no visible file of rows.
    pub fn of(name: &str) -> Option<Self> {
        let (epoch, number) = name.strip_prefix(FILES)?.strip_suffix(".arrow")?.split_once('-')?;
        Some(Self { epoch: Epoch(epoch.parse().ok()?), number: number.parse().ok()? })
    }

    /// The file's name.
    pub fn name(self) -> String {
        format!("{FILES}{}-{}.arrow", self.epoch, self.number)
    }
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultPiece {
    /// Which file.
    pub position: FilePosition,
    /// The bytes from the offset on that was asked for.
    pub bytes: Bytes,
    /// Whether the file ends with them.
    pub is_last: bool,
}

/// What a reader has asked for so far, and had. It says what to ask, and is told the answers; a question that was not answered is asked again.
#[derive(Debug)]
pub struct ResultReader {
    job: JobRef,
    /// The last file that is here.
    after: Option<FilePosition>,
    /// What is here of the next one.
    begun: Option<(FilePosition, Vec<u8>)>,
    /// Up to which epoch all is here.
    seen: Option<Epoch>,
}

/// What an answer has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// For now there are no more rows.
    Nothing,
    /// A piece, and others follow.
    Piece,
    /// An Arrow IPC file is here.
    File(Vec<u8>),
}

impl ResultReader {
    /// A reader of which nothing is known yet.
    pub fn new(job: JobRef) -> Self {
        Self { job, after: None, begun: None, seen: None }
    }

    /// What to ask next, with the job as it is now; `None`: there is nothing that was not seen.
    pub fn request(&self, job: &JobDetail) -> Option<ClientRequest> {
        let committed = committed(job)?;
        (self.seen < Some(committed)).then(|| ClientRequest::ReadResults {
            job: self.job.clone(),
            after: self.after,
            offset: self.begun.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64),
        })
    }

    /// Takes in the answer to a request that was made with the job as it was.
    pub fn take(&mut self, job: &JobDetail, answer: Option<ResultPiece>) -> Brought {
        let Some(piece) = answer else {
            self.seen = committed(job);
            return Brought::Nothing;
        };
        let (position, mut bytes) = self.begun.take().unwrap_or_else(|| (piece.position, Vec::new()));
        // The rest of another file than the one that was begun is of no use.
        if position != piece.position {
            return Brought::Piece;
        }
        bytes.extend_from_slice(&piece.bytes);
        if !piece.is_last {
            self.begun = Some((position, bytes));
            return Brought::Piece;
        }
        self.after = Some(position);
        Brought::File(bytes)
    }
}

/// The last epoch whose rows may be read: of later ones there may be a part.
fn committed(job: &JobDetail) -> Option<Epoch> {
    job.checkpoints.iter().filter(|checkpoint| checkpoint.committed).map(|checkpoint| checkpoint.epoch).max()
}
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::client::CheckpointInfo;

    #[test]
    fn only_folders_of_this_cluster_s_results_are_taken_for_such() {
        let url = folder("file:///shared", "weir-1", 0xabc);
        assert_eq!(url, "file:///shared/weir-1/results/0000000000000abc");
        assert!(is_folder(&url, "file:///shared", "weir-1"));
        for other in [
            "file:///shared/weir-1/jobs/1",
            "file:///shared/weir-1/results/",
            "file:///shared/weir-1/results/../jobs/00001",
            "file:///shared/weir-1/results/0000000000000abc/..",
            "file:///shared/weir-2/results/0000000000000abc",
            "file:///home/flights",
        ] {
            assert!(!is_folder(other, "file:///shared", "weir-1"), "{other}");
        }
    }

    fn position(epoch: u64, number: u64) -> FilePosition {
        FilePosition { epoch: Epoch(epoch), number }
    }

    #[test]
    fn names_of_files_say_where_they_stand() {
        let names = ["part-9-0.arrow", "part-10-0.arrow", "part-10-2.arrow", "part-10-11.arrow"];
        let positions: Vec<_> = names.iter().filter_map(|name| FilePosition::of(name)).collect();
        assert_eq!(positions, [position(9, 0), position(10, 0), position(10, 2), position(10, 11)]);
        assert!(positions.is_sorted());
        assert_eq!(positions.iter().map(|position| position.name()).collect::<Vec<_>>(), names);
        for other in ["part-9.arrow", "part-9-0", "part-x-0.arrow", "reader-0", ".part-9-0.arrow"] {
            assert_eq!(FilePosition::of(other), None, "{other}");
        }
        assert_eq!(number_of_reader(&reader(17)), Some(17));
    }

    /// What is asked, as far as it changes.
    fn asked(reader: &ResultReader, job: &JobDetail) -> Option<(Option<FilePosition>, u64)> {
        reader.request(job).map(|request| match request {
            ClientRequest::ReadResults { after, offset, .. } => (after, offset),
            other => panic!("{other:?}"),
        })
    }

    fn piece(position: FilePosition, bytes: &'static [u8], is_last: bool) -> Option<ResultPiece> {
        Some(ResultPiece { position, bytes: Bytes::from_static(bytes), is_last })
    }

    #[test]
    fn pieces_become_files_and_nothing_is_asked_without_need() {
        let mut reader = ResultReader::new(JobRef::Id(weir_core::JobId(1)));
        let mut job = crate::wire::tests::samples::detail();
        let committed = job.checkpoints.iter().filter(|checkpoint| checkpoint.committed);
        let last = committed.map(|checkpoint| checkpoint.epoch.0).max().unwrap();
        assert_eq!(asked(&reader, &job), Some((None, 0)));
        assert_eq!(reader.take(&job, piece(position(3, 0), b"ab", false)), Brought::Piece);
        assert_eq!(asked(&reader, &job), Some((None, 2)), "where the piece ended");
        assert_eq!(reader.take(&job, piece(position(3, 0), b"c", true)), Brought::File(b"abc".to_vec()));
        assert_eq!(asked(&reader, &job), Some((Some(position(3, 0)), 0)));
        assert_eq!(reader.take(&job, piece(position(3, 1), b"d", true)), Brought::File(b"d".to_vec()));
        assert_eq!(reader.take(&job, None), Brought::Nothing);
        assert_eq!(asked(&reader, &job), None, "all that is committed was seen");
        let newer = CheckpointInfo { epoch: Epoch(last + 1), ..job.checkpoints[0].clone() };
        job.checkpoints.push(CheckpointInfo { committed: false, ..newer.clone() });
        assert_eq!(asked(&reader, &job), None, "it is not committed");
        job.checkpoints.push(CheckpointInfo { committed: true, ..newer });
        assert_eq!(asked(&reader, &job), Some((Some(position(3, 1)), 0)));
    }

    #[test]
    fn the_rest_of_another_file_is_not_taken_for_that_of_the_one_begun() {
        let mut reader = ResultReader::new(JobRef::Id(weir_core::JobId(1)));
        let job = crate::wire::tests::samples::detail();
        reader.take(&job, piece(position(3, 0), b"ab", false));
        assert_eq!(reader.take(&job, piece(position(3, 1), b"c", true)), Brought::Piece);
        assert_eq!(asked(&reader, &job), Some((None, 0)), "from the beginning");
    }
}
