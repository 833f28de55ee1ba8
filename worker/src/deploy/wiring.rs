//! Makes the channels of a part: every gate that is here, and for each subtask that is here the routers out of it.
//!
//! All workers number the channels of a gate in the same way, from the graph and the parallelism alone: by the edges into
//! the chain's head, then by the sending subtask. A discovery's head has a channel from each of its readers instead.

use std::collections::BTreeMap;

use weir_core::{Attempt, Chain, Edge, Exchange, JobGraph, JobId, NodeId, OutputPort, PlacedWorker};

use super::{Part, count_of};
use crate::exchange::network::{ChannelId, Membership, Process, RemoteSender};
use crate::exchange::{ChannelSender, ExchangeLimits, Gate, Inlet, Router, Target};

/// Bytes that may wait in a channel in front of rows that wait for answers. A marker has to wait until calls have been begun for all of them,
/// and a thousand small rows may be a minute of a service's time.
const CREDIT_BEFORE_ANSWERS: usize = 32 * 1024;

/// A gate, and for each of its channels what [`Ends::senders`] says.
type GateAndSenders = (Gate, Vec<(usize, usize)>);

/// Gates and routers that have been made and not yet been given to their subtask.
#[derive(Default)]
pub struct Wiring {
    gates: BTreeMap<(NodeId, usize), GateAndSenders>,
    routers: BTreeMap<(NodeId, usize), Vec<(OutputPort, Router)>>,
    reports: BTreeMap<(NodeId, usize), ChannelSender>,
    /// Workers that subtasks of this part send to.
    peers: BTreeMap<Process, PlacedWorker>,
}

/// The ends of channels that one subtask holds.
pub struct Ends {
    /// Its inputs.
    pub gate: Gate,
    /// For each channel of the gate, which input of the chain's head it feeds, and which subtask it comes from. The inputs of a
    /// discovery are the sources behind it, in order.
    pub senders: Vec<(usize, usize)>,
    /// From a source to the discovery in front of it.
    pub report: Option<ChannelSender>,
    /// Edges from the main output of the chain's last node.
    pub main: Vec<Router>,
    /// Edges from side outputs, with the node's position in the chain.
    pub side: Vec<(usize, OutputPort, Router)>,
}

/// What is to be wired.
pub struct Plan<'a> {
    /// The job.
    pub job: JobId,
    /// Its execution.
    pub attempt: Attempt,
    /// What it computes.
    pub graph: &'a JobGraph,
    /// Its slots that are here.
    pub part: &'a Part,
    /// This part among the others, if there are others.
    pub membership: Option<&'a Membership>,
    /// How much may wait in its channels.
    pub limits: ExchangeLimits,
}

/// An edge into the head of a chain, or from a source back to its discovery.
struct Input<'a> {
    from: NodeId,
    ordinal: usize,
    /// How rows leave; `None`: these are reports of a source.
    edge: Option<&'a Edge>,
    /// Subtasks that send.
    senders: usize,
    /// Subtask *i* sends to subtask *i* only.
    pairwise: bool,
}

impl Input<'_> {
    /// The subtasks that send to subtask `receiver`.
    fn senders_to(&self, receiver: usize) -> std::ops::Range<usize> {
        if self.pairwise { receiver..receiver + 1 } else { 0..self.senders }
    }
}

/// Bytes that may wait in a channel into this head.
fn credit(plan: &Plan<'_>, head: NodeId) -> usize {
    let credit = plan.limits.credit_bytes;
    if plan.graph.node(head).spec.operator.awaits_answers() { credit.min(CREDIT_BEFORE_ANSWERS) } else { credit }
}

/// Subtasks of a chain in a job of `parallelism`.
pub fn subtasks(graph: &JobGraph, chain: &Chain, parallelism: usize) -> usize {
    count_of(graph.node(chain.head()).spec.parallelism, parallelism)
}

impl Wiring {
    /// Wires every edge into the head of a chain; the edges inside chains need no channel.
    pub fn new(plan: &Plan<'_>, chains: &[Chain]) -> Self {
        let mut wiring = Self::default();
        for chain in chains {
            wiring.chain(plan, chain.head());
        }
        wiring
    }

    fn chain(&mut self, plan: &Plan<'_>, head: NodeId) {
        let parallelism = plan.part.parallelism();
        let spec = &plan.graph.node(head).spec;
        let receivers = count_of(spec.parallelism, parallelism);
        let senders = |from: NodeId| count_of(plan.graph.node(from).spec.parallelism, parallelism);
        let inputs = spec.inputs.iter().map(|edge| Input {
            from: edge.from,
            ordinal: edge.ordinal,
            edge: Some(edge),
            senders: senders(edge.from),
            pairwise: edge.exchange == Exchange::Forward && senders(edge.from) == receivers,
        });
        let reports = plan.graph.sources_of(head).enumerate().map(|(ordinal, from)| Input {
            from,
            ordinal,
            edge: None,
            senders: senders(from),
            pairwise: false,
        });
        let inputs: Vec<Input<'_>> = inputs.chain(reports).collect();
        // From each edge, the channels by sending subtask, then by receiving one.
        let mut outlets: Vec<Vec<Vec<ChannelSender>>> =
            inputs.iter().map(|input| (0..input.senders).map(|_| Vec::new()).collect()).collect();
        for receiver in 0..receivers {
            let channels: Vec<(usize, usize)> = inputs
                .iter()
                .enumerate()
                .flat_map(|(input, edge)| edge.senders_to(receiver).map(move |sender| (input, sender)))
                .collect();
            let mut inlets = Vec::new();
            if plan.part.has(receiver) {
                let senders = channels.iter().map(|(input, sender)| (inputs[*input].ordinal, *sender)).collect();
                let (gate, ways) = Gate::new(channels.len(), credit(plan, head));
                inlets = ways;
                self.gates.insert((head, receiver), (gate, senders));
            }
            let mut inlets = inlets.into_iter();
            for (channel, (input, sender)) in channels.into_iter().enumerate() {
                let id = ChannelId { job: plan.job, attempt: plan.attempt, head, subtask: receiver, channel };
                outlets[input][sender].extend(self.channel(plan, id, sender, inlets.next()));
            }
        }
        for (input, outlets) in inputs.iter().zip(outlets) {
            let outlets = outlets.into_iter().enumerate().filter(|(_, channels)| !channels.is_empty());
            let Some(edge) = input.edge else {
                self.reports.extend(outlets.flat_map(|(sender, channels)| {
                    channels.into_iter().map(move |channel| ((input.from, sender), channel))
                }));
                continue;
            };
            // A forward edge between different parallelisms has no partner to go to, and spreads its batches.
            let exchange = match (&edge.exchange, input.pairwise) {
                (Exchange::Forward, false) => &Exchange::Rebalance,
                (exchange, _) => exchange,
            };
            for (sender, channels) in outlets {
                let router = Router::new(Target::new(exchange, channels.len()), channels, sender, plan.limits);
                self.routers.entry((edge.from, sender)).or_default().push((edge.port, router));
            }
        }
    }

    /// Makes a channel, as far as one of its ends is here. Returns the sending end.
    fn channel(
        &mut self,
        plan: &Plan<'_>,
        id: ChannelId,
        sender: usize,
        inlet: Option<Inlet>,
    ) -> Option<ChannelSender> {
        match (inlet, plan.part.peer(sender), plan.membership) {
            (Some(inlet), None, _) => Some(ChannelSender::Local(inlet.into())),
            (Some(inlet), Some(from), Some(membership)) => {
                membership.expect(id, from.into(), inlet);
                None
            }
            (None, None, Some(membership)) => {
                let to = plan.part.peer(id.subtask)?.clone();
                self.peers.insert(Process::from(&to), to.clone());
                let hub = membership.hub().clone();
                let sender = RemoteSender::new(hub, to, id, membership.lost_sender()).within(credit(plan, id.head));
                Some(ChannelSender::Remote(sender))
            }
            // Between others, or nobody can tell where: without a network all subtasks are here.
            _ => None,
        }
    }

    /// Workers that subtasks of this part send to.
    pub fn peers(&self) -> Vec<PlacedWorker> {
        self.peers.values().cloned().collect()
    }

    /// The ends that belong to a chain's subtask.
    ///
    /// # Panics
    /// If they were taken before.
    pub fn take(&mut self, chain: &Chain, index: usize) -> Ends {
        let gate = self.gates.remove(&(chain.head(), index));
        let (gate, senders) = gate.expect("every head has a gate, and takes it once");
        let report = self.reports.remove(&(chain.head(), index));
        let (mut main, mut side) = (Vec::new(), Vec::new());
        for (position, node) in chain.nodes.iter().enumerate() {
            for (port, router) in self.routers.remove(&(*node, index)).unwrap_or_default() {
                match port {
                    OutputPort::Main => main.push(router),
                    port => side.push((position, port, router)),
                }
            }
        }
        Ends { gate, senders, report, main, side }
    }
}
