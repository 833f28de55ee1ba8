//! An operator who replaces coordinators: sets up machines with new numbers and empty disks, has them added, has others removed,
//! and throws away the machine of one that certainly is no member any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use weir_core::CoordinatorId;
use weir_proto::client::{ClientErrorKind, ClientRequest, ClientResponse};

use crate::client::Client;
use crate::coordinators::log_of;
use crate::machines::Machines;
use crate::network::Machine;

/// Coordinators that a cluster has at most.
const MOST: usize = 5;
/// How often a change is asked for while another one is under way.
const TRIES: u32 = 40;
/// Pause between two of these.
const PAUSE: Duration = Duration::from_millis(60);

/// Who replaces coordinators.
pub struct Operator {
    /// Asks for it.
    pub client: Client,
    /// Sets machines up, and throws them away.
    pub machines: Arc<Machines>,
}

impl Operator {
    /// Replaces coordinators until it is cancelled.
    pub async fn replace(mut self, pause: Duration) {
        let most = u64::try_from(pause.as_millis()).unwrap_or(1000);
        loop {
            let wait = self.client.random.milliseconds(100, most);
            sleep(wait).await;
            let Some(members) = self.members().await else { continue };
            let grow = members.len() < MOST && (members.len() == 1 || self.client.random.chance(500));
            if grow {
                self.add().await;
            } else if members.len() > 1 {
                let members: Vec<CoordinatorId> = members.into_iter().collect();
                let Some(member) = self.client.random.pick(&members).copied() else { continue };
                self.remove(member).await;
            }
        }
    }

    /// A machine is set up, and waits to be added.
    async fn add(&mut self) {
        let Some(number) = self.machines.set_up() else { return };
        let machine = Machine::Coordinator(number);
        let id = CoordinatorId(number);
        // The leader's process asks for the log; here it is known.
        let log = log_of(id).0;
        self.insist(ClientRequest::AddCoordinator { id, address: machine.to_string(), log }).await;
    }

    async fn remove(&mut self, id: CoordinatorId) {
        if self.client.cluster.oracle.leader() == Some(id) {
            self.client.ask(&ClientRequest::TransferLeadership { to: None }).await;
        }
        self.insist(ClientRequest::RemoveCoordinator { id }).await;
        // Nobody may have said what came of it; and with the disk of a member its vote would be lost.
        if self.members().await.is_some_and(|members| !members.contains(&id)) {
            self.machines.throw_away(id.0);
        }
    }

    /// Who takes part, with a vote or without.
    async fn members(&mut self) -> Option<BTreeSet<CoordinatorId>> {
        match self.client.insist(&ClientRequest::DescribeCluster).await {
            Some(Ok(ClientResponse::Cluster(info))) => {
                Some(info.coordinators.into_iter().map(|coordinator| coordinator.id).collect())
            }
            _ => None,
        }
    }

    /// Asks until no other change is under way any more.
    async fn insist(&mut self, request: ClientRequest) {
        for _ in 0..TRIES {
            match self.client.insist(&request).await {
                Some(Err(error)) if error.kind == ClientErrorKind::Conflict => sleep(PAUSE).await,
                _ => return,
            }
        }
    }
}
