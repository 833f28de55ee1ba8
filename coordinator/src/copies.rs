//! Copies of the replicated state beside the checkpoints, for the case that the logs of most coordinators are lost. The leader
//! writes them ([`node`](crate::node) says when); `weir coordinator recover` reads the newest that is good
//! ([`recovery`](crate::recovery)).
//!
//! On disk: a checksummed first line ([`sealed`](weir_state::sealed)); a line of JSON that says what it is a copy of; and
//! the state as it stands in a snapshot of the log.
//!
//! ```text
//!   snapshots/<term>-<index>
//!
//!   weir-copy 1 9ae0daaf 5160
//!   {"cluster":"weir-1a2b3c4d","term":3,"index":57,"at":1700000000000}
//!   weir-cluster 1 …
//! ```
//!
//! Copies are named by a place in the log, and there is one log: whoever writes a copy of a place writes the same state, so two
//! leaders at a time cannot harm each other. Terms come first because those of a cluster that was rebuilt are higher than all
//! before, while its log may begin at an earlier index: newest is what stands last.

use serde::{Deserialize, Serialize};
use weir_core::{Error, ErrorKind, Result};
use weir_state::{Seal, Storage};

use crate::cluster::ClusterState;

const SEAL: Seal = Seal { magic: "weir-copy", format: 1 };

/// How many are kept: the newest may be damaged.
const KEPT: usize = 5;

/// Where copies are, below the folder of their cluster.
pub const FOLDER: &str = "coordinators/snapshots/";

/// The state at a place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct StateCopy {
    /// Term of the last entry that it holds.
    pub term: u64,
    /// Index of that entry.
    pub index: u64,
    /// When it was taken, in milliseconds since 1970 by the leader's clock; for people.
    pub at: i64,
    /// The state.
    pub state: ClusterState,
}

/// What a copy says of itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    cluster: String,
    term: u64,
    index: u64,
    at: i64,
}

impl StateCopy {
    /// As it stands on disk.
    ///
    /// # Errors
    /// If its header cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let Self { term, index, at, state } = self;
        let header = Header { cluster: state.cluster.clone(), term: *term, index: *index, at: *at };
        let mut body = serde_json::to_vec(&header)
            .map_err(|error| Error::internal("a copy's header cannot be written as JSON").with_source(error))?;
        body.push(b'\n');
        body.extend_from_slice(&state.to_bytes());
        Ok(SEAL.close(&body))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made. `name` is how errors call it.
    ///
    /// # Errors
    /// A data error if a byte has changed, a user error if a later version of Weir wrote it.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let damaged = |what: &str| Error::data(format!("the copy {name} is damaged: {what}"));
        let later = "recover with the version of Weir that wrote it, or a later one";
        let body = SEAL.open(bytes, &format!("the copy {name}"), later)?;
        let (header, state) = split_line(body).ok_or_else(|| damaged("it has no header"))?;
        let header: Header =
            serde_json::from_slice(header).map_err(|error| damaged("its header makes no sense").with_source(error))?;
        let state = ClusterState::from_bytes(state, &format!("in the copy {name}"))?;
        if state.cluster != header.cluster {
            return Err(damaged("its header is about another cluster"));
        }
        Ok(Self { term: header.term, index: header.index, at: header.at, state })
    }

    fn path(&self) -> String {
        format!("{FOLDER}{:016}-{:016}", self.term, self.index)
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(bytes.split_at(end + 1))
}

/// Term and index in the name of a copy; `None` for any other path.
fn place_of(path: &str) -> Option<(u64, u64)> {
    let (term, index) = path.rsplit_once(FOLDER)?.1.split_once('-')?;
    let number = |text: &str| {
        (text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
    };
    Some((number(term)?, number(index)?))
}

/// Paths of all copies of a cluster in a listing of its storage, newest first.
fn newest_first(listing: Vec<String>) -> Vec<String> {
    let mut copies: Vec<_> = listing.into_iter().filter_map(|path| Some((place_of(&path)?, path))).collect();
    copies.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
    copies.into_iter().map(|(_, path)| path).collect()
}

/// Puts a copy into the folder of its cluster, and removes those that are more than are kept.
///
/// # Errors
/// If it could not be written.
pub fn write(storage: &dyn Storage, copy: &StateCopy) -> Result<()> {
    let path = copy.path();
    if let Err(error) = storage.put(&path, &copy.to_bytes()?) {
        // Somebody has written it before, at another time of day.
        let there = storage.get(&path).ok().and_then(|bytes| StateCopy::from_bytes(&bytes, &path).ok());
        there.filter(|there| there.state == copy.state).ok_or(error)?;
    }
    let copies = newest_first(storage.list(FOLDER)?);
    copies.iter().skip(KEPT).try_for_each(|old| storage.delete(old))
}

/// What there is of copies.
#[derive(Debug)]
pub struct Found {
    /// The newest good one.
    pub copy: StateCopy,
    /// Newer ones that are damaged, newest first, with what is wrong with each.
    pub damaged: Vec<Error>,
    /// The highest term in the name of any.
    pub last_term: u64,
}

/// Reads the newest good copy of a cluster. `storage` is that of all clusters.
///
/// # Errors
/// If there is none, the storage cannot be read, or a later version of Weir has written the newest.
pub fn newest(storage: &dyn Storage, cluster: &str) -> Result<Found> {
    let mut damaged = Vec::new();
    let paths = newest_first(storage.list(&format!("{cluster}/{FOLDER}"))?);
    let last_term = paths.first().and_then(|path| place_of(path)).map_or(0, |(term, _)| term);
    for path in paths {
        let name = storage.locate(&path);
        let copy = StateCopy::from_bytes(&storage.get(&path)?, &name);
        match copy.and_then(|copy| in_its_place(copy, cluster, &path, &name)) {
            Ok(copy) => return Ok(Found { copy, damaged, last_term }),
            Err(error) if error.kind() == ErrorKind::Data => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    let below = storage.locate(&format!("{cluster}/{FOLDER}"));
    Err(match damaged.into_iter().next() {
        None => Error::user(format!("there is no copy of the state of a cluster {cluster}: nothing is below {below}")),
        Some(newest) => newest.context(format!("none of the copies below {below} is good; of the newest")),
    })
}

fn in_its_place(copy: StateCopy, cluster: &str, path: &str, name: &str) -> Result<StateCopy> {
    if place_of(path) == Some((copy.term, copy.index)) && copy.state.cluster == cluster {
        return Ok(copy);
    }
    let StateCopy { term, index, state, .. } = copy;
    Err(Error::data(format!("the copy {name} is of entry {index} of term {term} of {}: it was moved", state.cluster)))
}

/// Names of the clusters that have copies in a storage.
///
/// # Errors
/// If the storage cannot be read.
pub fn clusters(storage: &dyn Storage) -> Result<Vec<String>> {
    let listing = storage.list("")?;
    let cluster = |path: &String| {
        path.split_once('/').filter(|(_, rest)| place_of(rest).is_some()).map(|(name, _)| name.to_owned())
    };
    let mut clusters: Vec<String> = listing.iter().filter_map(cluster).collect();
    clusters.dedup();
    Ok(clusters)
}

#[cfg(test)]
mod tests;
