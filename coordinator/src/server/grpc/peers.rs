//! Messages of other coordinators, passed on to the node if they are of the same cluster.

use tonic::{Request, Response, Status, Streaming, async_trait};
use weir_core::CoordinatorId;
use weir_proto::peer::peer_server::Peer;
use weir_proto::peer::{Delivered, Envelope, IntroduceRequest, Introduction};

use super::super::NodeHandle;
use crate::raft::{LogId, Membership};

/// Takes envelopes, and says who this is.
pub(super) struct Peers {
    pub(super) cluster: String,
    pub(super) log: LogId,
    pub(super) node: NodeHandle,
}

impl Peers {
    fn check(&self, cluster: &str) -> Result<(), Status> {
        if cluster == self.cluster {
            return Ok(());
        }
        Err(Status::failed_precondition(format!(
            "this is a coordinator of the cluster '{}', not of '{cluster}'",
            self.cluster
        )))
    }
}

#[async_trait]
impl Peer for Peers {
    async fn deliver(&self, request: Request<Streaming<Envelope>>) -> Result<Response<Delivered>, Status> {
        let mut envelopes = request.into_inner();
        while let Some(envelope) = envelopes.message().await? {
            self.check(&envelope.cluster)?;
            let message = envelope.message.ok_or_else(|| Status::invalid_argument("the envelope is empty"))?;
            let from = CoordinatorId(message.from);
            if self.node.view().borrow().membership.removed.contains(&from) {
                // It hears of that nowhere else: nobody sends it the log any more.
                return Err(Status::permission_denied(format!("coordinator {from} was removed from the cluster")));
            }
            self.node.peer(from, message, envelope.address).await;
        }
        Ok(Response::new(Delivered {}))
    }

    async fn introduce(&self, request: Request<IntroduceRequest>) -> Result<Response<Introduction>, Status> {
        self.check(&request.get_ref().cluster)?;
        let view = self.node.view();
        let view = view.borrow();
        let membership = Some(&view.membership).filter(|membership| !membership.voters.is_empty());
        Ok(Response::new(Introduction {
            id: view.id.0,
            log: self.log.0,
            membership: membership.map(Membership::to_wire),
        }))
    }
}
