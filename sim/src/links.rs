//! Links between workers: frames in order, until the link breaks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use weir_core::{Error, Result};
use weir_worker::network::{Frame, FrameReceiver, FrameSender, Link, Transport};

use crate::cluster::Cluster;
use crate::lock::lock;
use crate::mailbox::Mailbox;
use crate::network::Machine;

/// How long a dial waits for one who does not answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Dials and accepts for one process of a worker.
pub struct SimTransport {
    /// All wires.
    pub cluster: Arc<Cluster>,
    /// The machine.
    pub machine: Machine,
    /// Links that others have dialed.
    pub inbox: Mailbox<Link>,
}

enum Piece {
    Frame(Frame),
    End,
    Broken,
}

struct Wire {
    cluster: Arc<Cluster>,
    /// The ends: of who dialed, and of who accepted.
    ends: [Mailbox<Piece>; 2],
    broken: Mutex<bool>,
}

struct SimSender {
    wire: Arc<Wire>,
    from: Machine,
    to: Machine,
    /// Which of the ends the other one reads.
    other: usize,
    last: Instant,
}

struct SimReceiver {
    inbox: Mailbox<Piece>,
    over: bool,
}

fn broken() -> Error {
    Error::environment("the connection broke")
}

impl Wire {
    fn cut(&self) {
        let mut broken = lock(&self.broken);
        if std::mem::replace(&mut *broken, true) {
            return;
        }
        let mut random = self.cluster.chaos.fork();
        for end in &self.ends {
            end.deliver(Instant::now() + random.milliseconds(1, 400), Piece::Broken);
        }
    }
}

impl SimTransport {
    fn end(wire: &Arc<Wire>, me: Machine, peer: Machine, mine: usize) -> Link {
        let sender = SimSender { wire: wire.clone(), from: me, to: peer, other: 1 - mine, last: Instant::now() };
        let receiver = SimReceiver { inbox: wire.ends[mine].clone(), over: false };
        Link { peer: peer.to_string(), sender: Box::new(sender), receiver: Box::new(receiver), place: None }
    }
}

#[async_trait]
impl Transport for SimTransport {
    async fn dial(&self, address: &str) -> Result<Link> {
        let nobody = || Error::environment(format!("{address} cannot be reached"));
        let peer = Machine::at(address).ok_or_else(nobody)?;
        let Some(there) = self.cluster.network.arrival(self.machine, peer) else {
            sleep(PATIENCE).await;
            return Err(nobody());
        };
        sleep_until(there).await;
        let inbox = self.cluster.network.listener(peer).ok_or_else(nobody)?;
        let back = self.cluster.network.arrival(peer, self.machine);
        let wire = Arc::new(Wire {
            cluster: self.cluster.clone(),
            ends: Default::default(),
            broken: Mutex::new(back.is_none()),
        });
        inbox.post(Self::end(&wire, peer, self.machine, 1));
        let Some(back) = back else {
            sleep(PATIENCE).await;
            return Err(nobody());
        };
        sleep_until(back).await;
        Ok(Self::end(&wire, self.machine, peer, 0))
    }

    async fn accept(&self) -> Result<Link> {
        Ok(self.inbox.receive().await)
    }
}

impl SimSender {
    fn put(&mut self, piece: Piece) -> Result<()> {
        if *lock(&self.wire.broken) {
            return Err(broken());
        }
        match self.wire.cluster.network.arrival(self.from, self.to) {
            Some(at) => {
                self.last = self.last.max(at);
                self.wire.ends[self.other].deliver(self.last, piece);
                Ok(())
            }
            // As with TCP, the sender does not know yet.
            None => {
                self.wire.cut();
                Ok(())
            }
        }
    }
}

#[async_trait]
impl FrameSender for SimSender {
    async fn send(&mut self, frame: Frame) -> Result<()> {
        self.put(Piece::Frame(frame))
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for SimSender {
    fn drop(&mut self) {
        // If it is broken the other one hears of that.
        let _ = self.put(Piece::End);
    }
}

#[async_trait]
impl FrameReceiver for SimReceiver {
    async fn receive(&mut self) -> Result<Option<Frame>> {
        if self.over {
            return Err(broken());
        }
        match self.inbox.receive().await {
            Piece::Frame(frame) => Ok(Some(frame)),
            Piece::End => {
                self.over = true;
                Ok(None)
            }
            Piece::Broken => {
                self.over = true;
                Err(broken())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{Kind, Shape};
    use weir_core::random::Random;

    /// The link is dropped with the inbox, and says so over the network that the worker is just being taken off.
    #[tokio::test(start_paused = true)]
    async fn a_worker_goes_down_before_it_has_accepted_a_link() {
        let mut random = Random::new(1);
        let shape = Shape::draw(&mut random, Kind { calm: true, ..Kind::default() });
        let cluster = Arc::new(Cluster::new(shape, &mut random, false));
        let (here, there) = (Machine::Worker(1), Machine::Worker(2));
        let inbox = Mailbox::default();
        cluster.network.worker_up(there, inbox);
        let transport = SimTransport { cluster: cluster.clone(), machine: here, inbox: Mailbox::default() };
        let mut link = transport.dial(&there.to_string()).await.unwrap();
        cluster.network.worker_down(there);
        assert!(link.receiver.receive().await.unwrap().is_none());
    }
}
