//! The folder through which the rows of a `SELECT` come. Workers write there and coordinators read it; this side only names it, and is sent
//! its files. What is in it is told in [`weir_proto::client::results`].

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use weir_core::connector::RESULT_FOLDER;
use weir_core::{Error, Result};
use weir_proto::client::{ClientRequest, ClusterInfo, results};

use crate::random::random;

/// Letters of the folder's name that stand in the name of a job.
const LETTERS: usize = 6;

/// Where rows wait.
#[derive(Debug, Clone)]
pub struct ResultFolder {
    token: u64,
    url: String,
}

impl ResultFolder {
    /// A folder that no other submission has.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(cluster: &ClusterInfo) -> Result<Self> {
        let token = random()?;
        Ok(Self { token, url: results::folder(&cluster.storage, &cluster.cluster, token) })
    }

    /// What tells the folder from all others.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Letters that tell this submission from most others.
    pub fn letters(&self) -> &str {
        self.url.get(self.url.len().saturating_sub(LETTERS)..).unwrap_or_default()
    }

    /// Options of the table that the job writes rows into.
    pub fn options(&self) -> BTreeMap<String, String> {
        Self::options_of(&self.url)
    }

    /// Options of a table whose rows go to that folder.
    pub fn options_of(url: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(RESULT_FOLDER.to_owned(), url.to_owned())])
    }

    /// Says to the cluster that somebody reads, or nobody any more.
    pub fn expect(&self, namespace: &str, reading: bool) -> ClientRequest {
        ClientRequest::ExpectResults { namespace: namespace.to_owned(), token: self.token, reading }
    }
}

/// The rows of a file.
///
/// # Errors
/// If it is damaged.
pub fn rows_of(file: Vec<u8>) -> Result<Vec<RecordBatch>> {
    let damaged = |error: arrow::error::ArrowError| {
        Error::data("a file with rows of the query has come damaged").with_source(error)
    };
    let reader = FileReader::try_new(Cursor::new(file), None).map_err(damaged)?;
    reader.map(|records| records.map_err(damaged)).collect()
}
