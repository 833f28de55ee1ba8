//! Messages of other coordinators, passed on to the node if they are of the same cluster.

use tonic::{Request, Response, Status, Streaming, async_trait};
use weir_core::CoordinatorId;
use weir_proto::peer::peer_server::Peer;
use weir_proto::peer::{Delivered, Envelope};

use super::super::NodeHandle;

/// Takes envelopes.
pub(super) struct Peers {
    pub(super) cluster: String,
    pub(super) node: NodeHandle,
}

#[async_trait]
impl Peer for Peers {
    async fn deliver(&self, request: Request<Streaming<Envelope>>) -> Result<Response<Delivered>, Status> {
        let mut envelopes = request.into_inner();
        while let Some(envelope) = envelopes.message().await? {
            if envelope.cluster != self.cluster {
                return Err(Status::failed_precondition(format!(
                    "this is a coordinator of the cluster '{}', not of '{}'",
                    self.cluster, envelope.cluster
                )));
            }
            let message = envelope.message.ok_or_else(|| Status::invalid_argument("the envelope is empty"))?;
            self.node.peer(CoordinatorId(message.from), message, envelope.address).await;
        }
        Ok(Response::new(Delivered {}))
    }
}
