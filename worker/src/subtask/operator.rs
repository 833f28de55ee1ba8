//! The loop of a subtask that receives from others.

use std::sync::Arc;
use std::task::{Wake, Waker};

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use weir_core::bugs::{self, Bug};
use weir_core::{Element, Error, InputWatermarks, Marker, Outstanding, Watermark};

use super::{Interrupt, Outputs, TICK, TURNS, hand_over};
use crate::chain::{Emission, OperatorChain};
use crate::clock::Clock;
use crate::exchange::Gate;
use crate::metrics::{CheckpointMetrics, Passage};
use crate::snapshot::SubtaskSnapshot;

/// A subtask with a gate.
pub struct OperatorSubtask {
    /// Its inputs.
    pub gate: Gate,
    /// For each channel of the gate, which input of the chain's head it feeds.
    pub ordinals: Vec<usize>,
    /// What its channels have said about time.
    pub watermarks: InputWatermarks,
    /// Its operators.
    pub chain: OperatorChain,
    /// Where its rows go.
    pub outputs: Outputs,
    /// Figures of the job's checkpoints.
    pub checkpoints: Arc<CheckpointMetrics>,
    /// Where its snapshots go.
    pub snapshots: mpsc::Sender<SubtaskSnapshot>,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
}

/// A marker that has arrived on some channels.
struct Alignment {
    marker: Marker,
    arrived: usize,
    passage: Passage,
}

/// Notified when there are answers.
#[derive(Default)]
struct Answered(Notify);

impl Wake for Answered {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// What a subtask has waited for.
enum Heard {
    Timer,
    Answer,
    Element(usize, Element),
}

impl OperatorSubtask {
    /// Runs until every channel has ended.
    pub async fn run(mut self) -> Result<(), Interrupt> {
        let mut emissions = Vec::new();
        let mut alignment: Option<Alignment> = None;
        let mut open_channels = self.ordinals.len();
        let mut next_tick = self.chain.wants_ticks().then(|| Instant::now() + TICK);
        let mut turns = 0_u32;
        let metrics = self.outputs.metrics.clone();
        let answered = Arc::new(Answered::default());
        let mut takes_answers = self.chain.wake_by(&Waker::from(answered.clone()))?;
        while open_channels > 0 {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS) {
                tokio::task::yield_now().await;
            }
            let wake = [self.outputs.deadline(), next_tick].into_iter().flatten().min();
            let is_full = takes_answers && self.chain.outstanding() == Outstanding::Full;
            let heard = async {
                tokio::select! {
                    biased;
                    () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Heard::Timer,
                    () = answered.0.notified(), if takes_answers => Heard::Answer,
                    (channel, element) = self.gate.next(), if !is_full => Heard::Element(channel, element),
                }
            };
            // For room as for room behind it.
            let heard = if is_full { metrics.backpressured(heard).await } else { metrics.idle(heard).await };
            let (channel, element) = match heard {
                Heard::Timer => {
                    next_tick = self.wake(next_tick, &mut emissions).await?;
                    continue;
                }
                Heard::Answer => {
                    self.answers(&mut emissions).await?;
                    continue;
                }
                Heard::Element(channel, element) => (channel, element),
            };
            match element {
                Element::Batch(batch) => {
                    self.chain.set_now(self.clock.now());
                    self.chain.process(self.ordinals[channel], batch, &mut emissions).await?;
                    self.outputs.deliver(&mut emissions).await?;
                }
                Element::Watermark(watermark) => {
                    let news = self.watermarks.update(channel, watermark);
                    self.advance(news, &mut emissions).await?;
                }
                Element::Marker(marker) => {
                    if !bugs::is_on(Bug::NoAlignment) {
                        self.gate.block(channel);
                    }
                    let mut aligning =
                        alignment.take().unwrap_or_else(|| Alignment { marker, arrived: 0, passage: Passage::begin() });
                    if aligning.marker != marker {
                        return Err(misaligned(aligning.marker, marker).into());
                    }
                    aligning.arrived += 1;
                    if aligning.arrived == self.ordinals.len() {
                        if marker.kind.captures() && !marker.kind.keeps_state() {
                            self.settle(&answered, &mut emissions).await?;
                        }
                        self.marker(marker, aligning.passage, &mut emissions).await?;
                        // Whoever goes on from here makes the calls again: what came of them now would be there twice.
                        takes_answers &= !marker.kind.ends();
                        self.gate.unblock_all();
                    } else {
                        alignment = Some(aligning);
                    }
                }
                Element::End => open_channels -= 1,
            }
        }
        self.outputs.end().await
    }

    async fn advance(&mut self, news: Vec<Watermark>, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        for watermark in news {
            self.chain.watermark(watermark, emissions).await?;
            self.outputs.deliver(emissions).await?;
        }
        Ok(())
    }

    /// Takes what has been answered.
    async fn answers(&mut self, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        self.chain.set_now(self.clock.now());
        self.chain.answers(emissions).await?;
        self.outputs.deliver(emissions).await
    }

    /// Nobody goes on from here: waits until all rows have been answered.
    async fn settle(&mut self, answered: &Answered, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        let metrics = self.outputs.metrics.clone();
        while self.chain.outstanding() != Outstanding::None {
            metrics.backpressured(answered.0.notified()).await;
            self.answers(emissions).await?;
        }
        Ok(())
    }

    /// A row has lingered, or processing time has gone on.
    async fn wake(
        &mut self,
        next_tick: Option<Instant>,
        emissions: &mut Vec<Emission>,
    ) -> Result<Option<Instant>, Interrupt> {
        let now = Instant::now();
        if self.outputs.deadline().is_some_and(|deadline| deadline <= now) {
            self.outputs.flush().await?;
        }
        if next_tick.is_none_or(|tick| tick > now) {
            return Ok(next_tick);
        }
        self.chain.set_now(self.clock.now());
        self.chain.tick(emissions).await?;
        self.outputs.deliver(emissions).await?;
        Ok(Some(now + TICK))
    }

    /// The marker has arrived on all channels. Which of them are idle changes in front of it, here and in all stages behind.
    async fn marker(
        &mut self,
        marker: Marker,
        passage: Passage,
        emissions: &mut Vec<Emission>,
    ) -> Result<(), Interrupt> {
        let flushing = marker.kind.captures().then(|| passage.aligned(&self.checkpoints));
        self.chain.set_now(self.clock.now());
        let news = self.watermarks.marker();
        self.advance(news, emissions).await?;
        // What a checkpoint holds does not depend on when the last tick was.
        self.chain.tick(emissions).await?;
        self.chain.flush(emissions).await?;
        self.outputs.deliver(emissions).await?;
        if let Some(flushing) = flushing {
            let capturing = flushing.flushed(&self.checkpoints);
            let nodes = if marker.kind.keeps_state() { self.chain.capture(marker.epoch)? } else { Vec::new() };
            let prepared = self.outputs.prepare(marker.epoch).await?;
            let snapshot = SubtaskSnapshot { marker, nodes, prepared };
            hand_over(&self.snapshots, snapshot, &self.outputs.metrics).await?;
            capturing.captured(&self.checkpoints, marker.epoch, &self.outputs.metrics);
        }
        self.outputs.passed(marker, &self.checkpoints).await?;
        let news = self.watermarks.marker_sent();
        self.advance(news, emissions).await
    }
}

fn misaligned(expected: Marker, found: Marker) -> Error {
    Error::internal(format!("a channel delivered {found:?} while the others align on {expected:?}"))
}

#[cfg(test)]
mod tests;
