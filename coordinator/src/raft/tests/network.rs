//! A network that loses, doubles, delays and reorders messages and is cut at times. Messages cross it encoded.

use std::collections::BTreeSet;

use prost::Message as _;
use weir_core::CoordinatorId;
use weir_proto::peer::PeerMessage;

use super::random::Random;

#[derive(Debug, Default, Clone)]
pub(super) struct Faults {
    pub(super) loss_percent: u64,
    pub(super) double_percent: u64,
    /// Ticks.
    pub(super) longest_delay: u64,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) faults: Faults,
    /// One way, so that partitions can be partial.
    pub(super) cut: BTreeSet<(CoordinatorId, CoordinatorId)>,
    under_way: Vec<(u64, CoordinatorId, CoordinatorId, Vec<u8>)>,
}

impl Network {
    pub(super) fn send(
        &mut self,
        (from, to): (CoordinatorId, CoordinatorId),
        message: &PeerMessage,
        now: u64,
        random: &mut Random,
    ) {
        let copies = 1 + u64::from(random.chance(self.faults.double_percent));
        for _ in 0..copies {
            let arrives = now + 1 + random.below(self.faults.longest_delay + 1);
            if !self.cut.contains(&(from, to)) && !random.chance(self.faults.loss_percent) {
                self.under_way.push((arrives, from, to, message.encode_to_vec()));
            }
        }
    }

    /// What arrives now, in an order of its own when there are delays.
    pub(super) fn arrivals(
        &mut self,
        now: u64,
        random: &mut Random,
    ) -> Vec<(CoordinatorId, CoordinatorId, PeerMessage)> {
        let (mut due, later): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(|(at, ..)| *at <= now);
        self.under_way = later;
        if self.faults.longest_delay > 0 {
            for last in (1..due.len()).rev() {
                due.swap(last, random.below(last as u64 + 1) as usize);
            }
        }
        due.retain(|(_, from, to, _)| !self.cut.contains(&(*from, *to)));
        let decoded = |(_, from, to, bytes): (u64, _, _, Vec<u8>)| {
            (from, to, PeerMessage::decode(&*bytes).expect("was just encoded"))
        };
        due.into_iter().map(decoded).collect()
    }

    pub(super) fn cut_off(&mut self, id: CoordinatorId, others: impl Iterator<Item = CoordinatorId>) {
        for other in others {
            self.cut.insert((id, other));
            self.cut.insert((other, id));
        }
    }
}
