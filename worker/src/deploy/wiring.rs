//! Makes the channels of a job: every gate, and for each subtask the routers into them.

use std::collections::HashMap;

use weir_core::{Chain, Exchange, JobGraph, NodeId, OutputPort};

use super::{Part, count_of};
use crate::exchange::{ChannelSender, Gate, Router, Target};

/// Gates and routers that have been made and not yet been given to their subtask.
pub struct Wiring {
    gates: HashMap<(NodeId, usize), (Gate, Vec<usize>)>,
    routers: HashMap<(NodeId, usize), Vec<(OutputPort, Router)>>,
}

/// The ends of channels that one subtask holds.
pub struct Ends {
    /// Its inputs; a source has none.
    pub gate: Gate,
    /// For each channel of the gate, which input of the chain's head it feeds.
    pub ordinals: Vec<usize>,
    /// Edges from the main output of the chain's last node.
    pub main: Vec<Router>,
    /// Edges from side outputs, with the node's position in the chain.
    pub side: Vec<(usize, OutputPort, Router)>,
}

/// Subtasks of a chain in a job of `parallelism`.
pub fn subtasks(graph: &JobGraph, chain: &Chain, parallelism: usize) -> usize {
    count_of(graph.node(chain.head()).spec.parallelism, parallelism)
}

impl Wiring {
    /// Wires every edge into the head of a chain; the edges inside chains need no channel.
    pub fn new(graph: &JobGraph, chains: &[Chain], part: &Part) -> Self {
        let parallelism = part.parallelism();
        let mut wiring = Self { gates: HashMap::new(), routers: HashMap::new() };
        for chain in chains {
            let head = graph.node(chain.head());
            let receivers = count_of(head.spec.parallelism, parallelism);
            // From each edge, the senders by sending subtask, then by receiving one.
            let mut senders: Vec<Vec<Vec<ChannelSender>>> = Vec::new();
            let edges: Vec<_> = head
                .spec
                .inputs
                .iter()
                .map(|edge| {
                    let count = count_of(graph.node(edge.from).spec.parallelism, parallelism);
                    let pairwise = edge.exchange == Exchange::Forward && count == receivers;
                    senders.push((0..count).map(|_| Vec::new()).collect());
                    (edge, count, pairwise)
                })
                .collect();
            for receiver in 0..receivers {
                let sending = |count: usize, pairwise: bool| if pairwise { receiver..receiver + 1 } else { 0..count };
                let mut ordinals = Vec::new();
                for (edge, count, pairwise) in &edges {
                    ordinals.extend(sending(*count, *pairwise).map(|_| edge.ordinal));
                }
                let (gate, channels) = Gate::new(ordinals.len());
                let mut channels = channels.into_iter();
                for ((_, count, pairwise), senders) in edges.iter().zip(&mut senders) {
                    for sender in sending(*count, *pairwise) {
                        senders[sender].extend(channels.next());
                    }
                }
                wiring.gates.insert((chain.head(), receiver), (gate, ordinals));
            }
            for ((edge, _, pairwise), senders) in edges.iter().zip(senders) {
                for (sender, channels) in senders.into_iter().enumerate() {
                    // A forward edge between different parallelisms has no partner to go to, and spreads its batches.
                    let exchange = match (&edge.exchange, pairwise) {
                        (Exchange::Forward, false) => &Exchange::Rebalance,
                        (exchange, _) => exchange,
                    };
                    let router = Router::new(Target::new(exchange, channels.len()), channels, sender);
                    wiring.routers.entry((edge.from, sender)).or_default().push((edge.port, router));
                }
            }
        }
        wiring
    }

    /// The ends that belong to a chain's subtask.
    ///
    /// # Panics
    /// If they were taken before.
    pub fn take(&mut self, chain: &Chain, index: usize) -> Ends {
        let gate = self.gates.remove(&(chain.head(), index));
        let (gate, ordinals) = gate.expect("every head has a gate, and takes it once");
        let (mut main, mut side) = (Vec::new(), Vec::new());
        for (position, node) in chain.nodes.iter().enumerate() {
            for (port, router) in self.routers.remove(&(*node, index)).unwrap_or_default() {
                match port {
                    OutputPort::Main => main.push(router),
                    port => side.push((position, port, router)),
                }
            }
        }
        Ends { gate, ordinals, main, side }
    }
}
