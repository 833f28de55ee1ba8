//! State that a job has kept in a folder, where it ran in one process: it moves into the storage of a cluster, and the job goes on there.
//!
//! ```text
//!   lock the folder ─▶ submit the job, stopped ─▶ copy runs, then the manifest ─▶ note in the folder that it has moved ─▶ start the job
//! ```
//!
//! Until the note is there nothing has happened but that a job waits, and the command can be given again. From the note on nobody goes on
//! with the folder: two jobs would each write what follows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_core::{Error, ErrorKind, JobGraph, JobId, Result};
use weir_object_storage::ObjectStorages;
use weir_proto::client::{AdoptedCheckpoint, ClientRequest, ClientResponse, JobRef, SubmitJob};
use weir_state::{Checkpoints, LocalStorage, Manifest, StateLock, Storage, Storages, layout};

use super::client::{Client, expect_answer};
use super::submission::Sent;
use crate::blocking::blocking;
use crate::job::moved_away;

/// The state in a folder, locked.
pub struct StateToMove {
    folder: PathBuf,
    storage: Arc<LocalStorage>,
    manifest: Manifest,
    _lock: StateLock,
}

impl StateToMove {
    /// Looks whether the job can go on with what is in the folder.
    ///
    /// # Errors
    /// If it cannot, or a job uses the folder.
    pub async fn open(folder: &Path, graph: &JobGraph) -> Result<Self> {
        let (folder, graph) = (folder.to_owned(), graph.clone());
        blocking(move || {
            let name = folder.display().to_string();
            let refused = |what: &str| Error::user(format!("--move-state {name}: {what}"));
            if !folder.is_dir() {
                return Err(refused("there is no such folder"));
            }
            let storage = Arc::new(LocalStorage::open(&folder)?);
            let lock = storage.lock()?;
            moved_away(&*storage, &folder)?;
            let checkpoints = Checkpoints::new(storage.clone());
            let manifest = checkpoints.latest()?.ok_or_else(|| refused("there is no checkpoint in it"))?;
            if !graph.computes(&manifest.job) {
                return Err(refused("this state belongs to another job, or to this one before it was changed").with_help(
                    "`weir run` with that --state-dir says what has changed; folders that tables name relative to the working directory are \
                     other ones in a cluster: name them from the root",
                ));
            }
            if manifest.finished {
                return Err(refused("the input of the job has ended: there is nothing to go on with"));
            }
            if let Some(left) = checkpoints.uncommitted()?.last() {
                let what = format!("results of checkpoint {} are decided and may not be visible yet", left.epoch);
                return Err(refused(&what).with_help("run the job once more where it ran, and stop it: then they are"));
            }
            Ok(Self { folder, storage, manifest, _lock: lock })
        })
        .await
    }

    /// Submits the job, with this state.
    ///
    /// # Errors
    /// What the cluster answers, or if its storage is not reached from here.
    pub async fn send(self, client: &mut Client, job: SubmitJob) -> Result<(JobId, Sent)> {
        let answer = client.call(ClientRequest::DescribeCluster).await?;
        let cluster = expect_answer!(answer, ClientResponse::Cluster(cluster) => cluster)?;
        let answer = client.call(ClientRequest::SubmitJob(SubmitJob { awaits_state: true, ..job })).await?;
        let job = expect_answer!(answer, ClientResponse::Submitted { job, .. } => job)?;
        let described = client.call(ClientRequest::DescribeJob { job: JobRef::Id(job), graph: false }).await?;
        let there = expect_answer!(described, ClientResponse::Job(there) => *there)?;
        if !there.summary.has_ended() {
            return Err(Error::user(format!(
                "job {job} was started without its state: the cluster is of an earlier version"
            ))
            .with_help("cancel and delete that job, and update the coordinators"));
        }
        let adopted = AdoptedCheckpoint {
            epoch: self.manifest.epoch,
            attempt: self.manifest.attempt,
            state_bytes: self.manifest.state_bytes(),
            parallelism: u32::try_from(self.manifest.parallelism).unwrap_or(u32::MAX),
        };
        let url = format!("{}/{}/jobs/{job}", cluster.storage, cluster.cluster);
        let note = format!("job {job} of {}, {}\n", cluster.cluster, cluster.storage);
        let moved = blocking(move || {
            self.copy(&cluster.storage, &url)?;
            self.storage.put(layout::MOVED, note.as_bytes())?;
            Ok(self)
        })
        .await?;
        let start = ClientRequest::RestartJob { job: JobRef::Id(job), from: None, adopted: Some(adopted) };
        match client.call(start).await {
            Ok(_) => Ok((job, Sent::Moved)),
            Err(refused) if refused.kind() == ErrorKind::User => {
                blocking(move || moved.storage.delete(layout::MOVED)).await?;
                Err(refused)
            }
            Err(error) => {
                let note = moved.folder.join(layout::MOVED);
                Err(error.context(format!("it is not known whether job {job} goes on with the state")).with_help(
                    format!(
                        "`weir jobs describe {job}` tells: if it has no checkpoint, remove {} and submit it again",
                        note.display()
                    ),
                ))
            }
        }
    }

    /// Copies the files of the checkpoint, and its manifest behind them.
    fn copy(&self, root: &str, url: &str) -> Result<()> {
        if !ObjectStorages::default().is_there(root)? {
            return Err(Error::environment(format!("the cluster's storage, {root}, is not on this machine"))
                .with_help(
                    "run `weir submit` on a machine that reaches it, such as that of a coordinator or a worker",
                ));
        }
        let to = ObjectStorages::default().open(url)?;
        for file in self.manifest.files().collect::<BTreeSet<_>>() {
            to.put(file, &self.storage.get(file)?)?;
        }
        let Manifest { epoch, attempt, .. } = self.manifest;
        to.put(&layout::manifest_of_term(epoch, attempt, 0), &self.manifest.to_bytes()?)
    }
}
