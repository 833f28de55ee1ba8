//! Rebuilds a cluster whose coordinators' logs are lost, from what is in the checkpoint storage: a copy of the replicated state,
//! and what the jobs have written.
//!
//! ```text
//!   <cluster>/coordinators/snapshots/   the newest good copy ─┐
//!                                                             ├─▶ recovered(copy, findings) ─▶ a log for one coordinator
//!   <cluster>/jobs/<n>/                 what jobs left ───────┘      pure: cluster/recovered.rs
//! ```
//!
//! Nothing in the storage is changed.
//!
//! # Why a job goes on from where it does
//!
//! The copy is older than the cluster's last moment. What was decided since must not be forgotten, for it may be visible: going
//! on from an earlier checkpoint would bring it out twice. Whether a manifest was decided stands only in the log, and that is
//! lost. But:
//!
//! 1. A manifest is written when every worker of the attempt has reported the epoch. It is all of the checkpoint: nothing but
//!    the decision can have been missing.
//! 2. An attempt begins its next checkpoint when the last one is committed, under whatever leader; or when its manifest could not
//!    be written, and then the next one holds what it should have. So what is visible of an attempt is in its newest manifest,
//!    or in those before it.
//! 3. An attempt starts when everything that was decided before is committed. Before it opens anything it notes from which
//!    checkpoint it goes on (`attempts/`). So that checkpoint was decided and is committed; and whatever earlier attempts have
//!    written behind it was not decided, nor will be.
//! 4. Names carry the attempt, so none is taken for another's.
//!
//! Therefore, of the last attempt that has begun, the newest manifest counts, if there is one. If it was decided, that is what
//! the cluster knew. If it was not, nothing later was either, by 2, nor has a later attempt done anything, by 3; to decide it now
//! is what the cluster would have done in its next moment. It is taken over as completed and not as committed, because that
//! is not known; to commit again what is committed does no harm. If the last attempt has no manifest, the job goes on from
//! where that attempt began.
//!
//! The note of 3 is needed because an attempt removes what sinks have prepared in earlier ones and that was not decided. Without
//! it, a manifest of an earlier attempt could be taken for the last word though its results are gone.
//!
//! What is in doubt is left to a person: a job whose newest checkpoint is damaged, or not there, is taken for failed, and says
//! why.
//!
//! # What fences the lost cluster off
//!
//! Workers may still run what it gave them. They leave a leader of a lower term than they have seen, so the new log begins far
//! above all terms that show in the storage ([`TERM_GAP`]); and what they run is no attempt that the new cluster will ever have,
//! as attempts and jobs go on above everything in the storage and some more. A coordinator of the lost cluster that comes back has
//! a log that ends in a lower term, so it gets no vote from the new one.

mod findings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use weir_core::{CoordinatorId, Error, Result};
use weir_state::Storage;

use crate::cluster::{Recovered, recovered};
use crate::copies;
use crate::raft::{Identity, LogId, Member, Raft, RebuildFrom, RedbStore};

/// By how much the term of the new log exceeds all that are known. A term shows in the storage when its leader writes a copy or a
/// manifest; of others, above all of elections that nobody won, nothing is left. At one election a second, which is as fast
/// as they come, this is half a year of them. Terms have to stay below 2^32 (operations of a leader are numbered from
/// `term << 32`), so a cluster can be rebuilt more than two hundred times.
pub const TERM_GAP: u64 = 1 << 24;

/// A cluster as it can go on.
#[derive(Debug)]
pub struct Rebuilt {
    /// When the copy was taken, in milliseconds since 1970.
    pub copied_at: i64,
    /// Place of the copy in the lost log: term and index.
    pub copied: (u64, u64),
    /// Newer copies that are damaged.
    pub damaged: Vec<Error>,
    /// The state, and what was done to it.
    pub recovered: Recovered,
    /// The term of the new log.
    pub term: u64,
}

/// Finds out what of a cluster is in a storage, of which `url` is the name. Reads only, and takes as long as it takes to list all
/// files of the cluster.
///
/// # Errors
/// If there is no good copy, the storage cannot be read, or a later version of Weir has written to it.
pub fn rebuild(storage: &dyn Storage, url: &str, cluster: &str, at: i64) -> Result<Rebuilt> {
    let copies::Found { copy, damaged, last_term } = copies::newest(storage, cluster)?;
    let copied = (copy.term, copy.index);
    let (findings, term) = findings::look(storage, url, &copy.state, at)?;
    let term = term.max(last_term).saturating_add(TERM_GAP);
    let recovered = recovered(copy.state, &findings);
    recovered.state.check().map_err(|what| Error::internal(format!("the state cannot be recovered: {what}")))?;
    Ok(Rebuilt { copied_at: copy.at, copied, damaged, recovered, term })
}

/// Who shall go on.
#[derive(Debug, Clone)]
pub struct FirstCoordinator<'a> {
    /// Its number.
    pub id: CoordinatorId,
    /// Name of the cluster, without the random part.
    pub cluster: String,
    /// Where other coordinators will reach it.
    pub address: String,
    /// Drawn for its log.
    pub log: LogId,
    /// The folder of its log. Must not be there, or be empty.
    pub folder: &'a Path,
}

impl FirstCoordinator<'_> {
    /// Makes sure that there is no log yet.
    ///
    /// # Errors
    /// A user error if there is something.
    pub fn check_folder(&self) -> Result<()> {
        let folder = self.folder.display();
        match fs::read_dir(self.folder).map(|mut entries| entries.next()) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Error::user(format!("{folder} is not empty: a coordinator has its log there"))
                .with_help(
                    "recover into another --data-dir; or, if that log is of no use any more, move the folder away",
                )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::environment(format!("cannot look into {folder}")).with_source(error)),
        }
    }

    /// Writes its log. It is there as a whole or not at all.
    ///
    /// # Errors
    /// If there is one already, or it could not be written.
    pub fn write_log(&self, rebuilt: &Rebuilt) -> Result<()> {
        self.check_folder()?;
        let failed = |error: io::Error| {
            Error::environment(format!("cannot create {}", self.folder.display())).with_source(error)
        };
        let unfinished = self.folder.with_extension("new");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let identity = Identity { cluster: self.cluster.clone(), coordinator: self.id, fresh: self.log };
        let mut store = RedbStore::open(&unfinished.join("log.redb"), &identity)?;
        let member = Member { address: self.address.clone(), log: store.log() };
        let members = BTreeMap::from([(self.id, member)]);
        let (_, index) = rebuilt.copied;
        let state = rebuilt.recovered.state.to_bytes();
        Raft::rebuild(&mut store, &members, RebuildFrom { term: rebuilt.term, index, state })?;
        drop(store);
        fs::rename(&unfinished, self.folder).map_err(failed)?;
        let parent = self.folder.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)
    }
}
