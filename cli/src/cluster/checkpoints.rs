//! `weir checkpoints`.

use std::sync::Arc;

use weir_core::{Epoch, Result};
use weir_proto::client::{ClientRequest, ClientResponse};

use super::args::CheckpointsCommand;
use super::client::{Client, expect_answer};
use super::{print, print_json, said, show};
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::terminal::Screen;

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: CheckpointsCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    match command {
        CheckpointsCommand::List { job, format } => {
            let answer = client.call(ClientRequest::ListCheckpoints { job: job.reference() }).await?;
            let checkpoints = expect_answer!(answer, ClientResponse::Checkpoints(checkpoints) => checkpoints)?;
            match format.json {
                true => print_json(screen, &checkpoints),
                false if checkpoints.is_empty() => said(screen, &format!("{}: there is no checkpoint", job.job)),
                false => print(screen, &show::checkpoints(&checkpoints, wall_millis(), screen.results_size())?),
            }
        }
        CheckpointsCommand::Delete { job, epoch } => {
            client.call(ClientRequest::ForgetCheckpoint { job: job.reference(), epoch: Epoch(epoch) }).await?;
            said(screen, &format!("{}: checkpoint {epoch} is deleted", job.job))
        }
    }
}
