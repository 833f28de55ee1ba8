//! The rows of a `SELECT` that runs in a cluster, on their way to stdout.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use arrow::array::RecordBatch;
use weir_core::{JobId, Result};
use weir_proto::client::{Brought, ClientResponse, ClusterInfo, JobDetail, JobRef, ResultReader, SignsOfLife};

use super::client::{Client, expect_answer};
use super::result_folder::{ResultFolder, rows_of};
use crate::blocking::blocking;
use crate::result::Results;

/// Rows on their way to stdout.
pub struct Rows {
    namespace: String,
    folder: ResultFolder,
    /// Once there is a job.
    reader: Option<ResultReader>,
    signs: SignsOfLife,
    results: Arc<Results>,
    printed: u64,
}

impl Rows {
    /// Rows that a job of that namespace will have.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(namespace: &str, cluster: &ClusterInfo, results: Arc<Results>) -> Result<Self> {
        let folder = ResultFolder::new(cluster)?;
        Ok(Self {
            namespace: namespace.to_owned(),
            folder,
            reader: None,
            signs: SignsOfLife::default(),
            results,
            printed: 0,
        })
    }

    /// Letters that tell this submission from most others.
    pub fn letters(&self) -> &str {
        self.folder.letters()
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

    /// Says to the cluster that somebody reads, before there is a job that asks for it.
    ///
    /// # Errors
    /// If the cluster does not take it.
    pub async fn expect(&self, client: &mut Client) -> Result<()> {
        client.call(self.folder.expect(&self.namespace, true)).await.map(drop)
    }

    /// Says so again and again, though stdout may block for long.
    pub fn keep_expecting(&self, mut client: Client) -> impl Future<Output = Infallible> + use<> {
        let (request, signs) = (self.folder.expect(&self.namespace, true), self.signs.clone());
        async move {
            loop {
                let _due = signs.due().await;
                if let Err(error) = client.call(request.clone()).await {
                    tracing::debug!(error = error.report(), "could not say that somebody reads");
                }
            }
        }
    }

    /// These are the rows of that job.
    pub fn are_of(&mut self, job: JobId) {
        self.reader = Some(ResultReader::new(JobRef::Id(job)));
    }

    /// Prints those whose checkpoints are committed, in order, each once. Dropping the future in between may lose the rows of one file:
    /// whoever does that prints no more.
    ///
    /// # Errors
    /// If they cannot be read, or stdout cannot be written.
    pub async fn print(&mut self, client: &mut Client, job: &JobDetail) -> Result<()> {
        while let Some(batches) = self.next(client, job).await? {
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            self.results.show(batches).await?;
            self.printed += rows as u64;
        }
        Ok(())
    }

    async fn next(&mut self, client: &mut Client, job: &JobDetail) -> Result<Option<Vec<RecordBatch>>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        while let Some(request) = reader.request(job) {
            let piece = expect_answer!(client.call(request).await?, ClientResponse::Results(piece) => piece)?;
            if let Brought::File(file) = reader.take(job, piece) {
                return blocking(move || rows_of(file)).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Has the folder removed, and what is left in it: nobody reads here any more.
    ///
    /// # Errors
    /// If the cluster does not take it.
    pub async fn remove(&mut self, client: &mut Client) -> Result<()> {
        self.signs.end().await;
        client.call(self.folder.expect(&self.namespace, false)).await.map(drop)
    }
}
