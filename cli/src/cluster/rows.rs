//! The rows of a `SELECT` that runs in a cluster, on their way to stdout.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use weir_core::Result;
use weir_proto::client::{ClusterInfo, JobDetail};

use super::result_folder::ResultFolder;
use crate::result::Results;

const NOT_REACHED: &str = "run `weir submit` where this storage is reached, such as on the machine of a coordinator or a worker; or write \
                           the rows into a table with INSERT INTO";

/// Rows on their way to stdout.
pub struct Rows {
    folder: ResultFolder,
    results: Arc<Results>,
    printed: u64,
}

impl Rows {
    /// Makes a folder for them in the cluster's storage, in which somebody reads from now on.
    ///
    /// # Errors
    /// If the storage is not reached from here.
    pub async fn expect(cluster: &ClusterInfo, results: Arc<Results>) -> Result<Self> {
        Ok(Self { folder: ResultFolder::create(cluster, NOT_REACHED).await?, results, printed: 0 })
    }

    /// Letters that tell this submission from most others.
    pub fn token(&self) -> &str {
        self.folder.token()
    }

    /// Options of the table that the job writes them into.
    pub fn options(&self) -> BTreeMap<String, String> {
        self.folder.options()
    }

    /// Where they are printed.
    pub fn results(&self) -> &Arc<Results> {
        &self.results
    }

    /// How many were printed.
    pub fn printed(&self) -> u64 {
        self.printed
    }

    /// Prints those whose checkpoints are committed, in order, each once. Dropping the future in between may lose the rows of one file:
    /// whoever does that prints no more.
    ///
    /// # Errors
    /// If they cannot be read, or stdout cannot be written.
    pub async fn print(&mut self, job: &JobDetail) -> Result<()> {
        while let Some(batches) = self.folder.next(job).await? {
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            self.results.show(batches).await?;
            self.printed += rows as u64;
        }
        Ok(())
    }

    /// Removes the folder and what is left in it: nobody reads here any more.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn remove(&mut self) -> Result<()> {
        self.folder.remove().await
    }
}
