//! What `weir submit` did before the cluster had the job, told to a collector of OpenTelemetry as a part of the trace of its start.

use std::time::Duration;

use tokio::time::timeout;
use weir_core::{Error, JobId, Result};
use weir_monitoring::{Preparation, Span};
use weir_proto::client::{ClientRequest, ClientResponse, JobRef};

use super::client::{Client, expect_answer};
use crate::clock::wall_millis;
use crate::server::otlp::{CollectorArguments, OtlpExport};
use crate::terminal::Screen;

/// How long the command waits until it is told: nobody has submitted a job for its sake.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was done, as far as it was.
pub struct Told {
    /// `None`: nobody wants to know.
    export: Option<OtlpExport>,
    parts: Preparation,
    began: i64,
}

impl Told {
    /// Something begins. The variable that names a collector may be meant for others: one that cannot be told is no reason to submit nothing.
    pub fn begin(collector: &CollectorArguments, screen: &Screen) -> Self {
        let export = collector.open("weir-submit", None).unwrap_or_else(|error| {
            screen.message(&format!("warning: {error}\n"));
            OtlpExport::default()
        });
        let export = Some(export).filter(|export| export.spans().are_wanted());
        Self { export, parts: Preparation::default(), began: wall_millis() }
    }

    /// Something else begins.
    pub fn begin_next(&mut self) {
        self.began = wall_millis();
    }

    /// What has begun is done.
    pub fn done(&mut self, name: &'static str) {
        self.parts.add(name, self.began, wall_millis());
    }

    /// Tells it of a job that is new.
    pub async fn tell(self, client: &mut Client, job: JobId) {
        let Some(export) = self.export else { return };
        let told = async {
            let into = export.spans();
            spans_of(client, job, &self.parts).await?.into_iter().for_each(|span| into.record(span));
            export.flush().await;
            Ok::<_, Error>(())
        };
        match timeout(PATIENCE, told).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = error.report(), "it cannot be told how long planning took"),
            Err(_) => tracing::warn!("the collector of OpenTelemetry, or the cluster, does not answer"),
        }
    }
}

async fn spans_of(client: &mut Client, job: JobId, parts: &Preparation) -> Result<Vec<Span>> {
    let answer = client.call(ClientRequest::DescribeCluster).await?;
    let cluster = expect_answer!(answer, ClientResponse::Cluster(cluster) => cluster)?;
    let answer = client.call(ClientRequest::DescribeJob { job: JobRef::Id(job), graph: false }).await?;
    let there = expect_answer!(answer, ClientResponse::Job(there) => *there)?;
    Ok(parts.spans(there.summary.identity(&cluster.cluster), job, &there.summary.full_name()))
}
