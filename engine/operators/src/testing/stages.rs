//! A job of several stages without a worker: sources that say what they say in order, channels that are read in any order, and
//! markers that are aligned. Only so it shows whether later stages wait for inputs as they should.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use weir_core::hash::{hash_rows, mix, owner};
use weir_core::{
    Collector, Element, EventTime, HashRange, InputWatermarks, NodeSpec, OpenContext, Operator, OutputPort, Result,
    Watermark,
};
use weir_functions::Functions;

use super::text::text;
use crate::build::bare;

/// A stage.
pub struct StageSpec {
    /// What it does.
    pub node: NodeSpec,
    /// What the rows of each input are like.
    pub inputs: Vec<SchemaRef>,
    /// How many sources it has. They feed the inputs in turn.
    pub sources: usize,
    /// Stages in front of it that it reads, all on its first input.
    pub upstream: Vec<usize>,
}

/// A job that runs.
pub struct Job {
    stages: Vec<Stage>,
    random: u64,
    /// What came out of the last stage.
    pub rows: Vec<String>,
    /// Rows that were late, by stage.
    pub late: Vec<usize>,
}

struct Stage {
    subtasks: Vec<Subtask>,
    /// Stages behind it, and which channel of their subtasks is that of this stage's first one.
    downstream: Vec<(usize, usize)>,
}

struct Subtask {
    operator: Box<dyn Operator>,
    watermarks: InputWatermarks,
    channels: Vec<Channel>,
    /// The last watermark that the operator was given.
    time: EventTime,
    /// What stands behind it has been told this, and whether it is idle.
    told: (EventTime, bool),
}

#[derive(Default)]
struct Channel {
    /// The input that it feeds.
    ordinal: usize,
    elements: VecDeque<Element>,
    /// A marker has come that has not come on all others.
    blocked: bool,
}

impl Job {
    /// So many subtasks of each stage, which read their channels in an order that follows from `seed`.
    ///
    /// # Errors
    /// The operators'.
    pub fn new(specs: &[StageSpec], parallelism: usize, seed: u64) -> Result<Self> {
        let mut stages = Vec::new();
        for (number, spec) in specs.iter().enumerate() {
            let channels = spec.sources + spec.upstream.len() * parallelism;
            let ordinal = |channel| if channel < spec.sources { channel % spec.inputs.len() } else { 0 };
            let channel = |channel| Channel { ordinal: ordinal(channel), ..Channel::default() };
            let subtask = |index| {
                let mut operator = bare(&spec.node, &spec.inputs, &Functions::built_in())?;
                let range = HashRange::of_subtask(index, parallelism);
                operator.open(&OpenContext {
                    range,
                    watermark: EventTime::MIN,
                    restored: false,
                    has_expired: false,
                })?;
                Ok(Subtask {
                    operator,
                    watermarks: InputWatermarks::new(channels, EventTime::MIN),
                    channels: (0..channels).map(channel).collect(),
                    time: EventTime::MIN,
                    told: (EventTime::MIN, false),
                })
            };
            let subtasks = (0..parallelism).map(subtask).collect::<Result<_>>()?;
            let reads = |(stage, behind): (usize, &StageSpec)| {
                let place = behind.upstream.iter().position(|upstream| *upstream == number)?;
                Some((stage, behind.sources + place * parallelism))
            };
            let downstream = specs.iter().enumerate().filter_map(reads).collect();
            stages.push(Stage { subtasks, downstream });
        }
        Ok(Self { late: vec![0; stages.len()], stages, random: seed, rows: Vec::new() })
    }

    /// A source of a stage says something, behind all that it has said before.
    ///
    /// # Errors
    /// If rows cannot be hashed.
    pub fn say(&mut self, stage: usize, source: usize, element: Element) -> Result<()> {
        self.send(stage, source, element)
    }

    /// Takes what waits in channels, until nothing does.
    ///
    /// # Errors
    /// The operators'.
    pub fn run(&mut self) -> Result<()> {
        loop {
            let mut ready = Vec::new();
            for (stage, here) in self.stages.iter().enumerate() {
                for (subtask, here) in here.subtasks.iter().enumerate() {
                    let open = |channel: &Channel| !channel.blocked && !channel.elements.is_empty();
                    let open = here.channels.iter().enumerate().filter(|(_, channel)| open(channel));
                    ready.extend(open.map(|(channel, _)| (stage, subtask, channel)));
                }
            }
            if ready.is_empty() {
                return Ok(());
            }
            self.random = mix(self.random.wrapping_add(0x9e37_79b9_7f4a_7c15));
            let (stage, subtask, channel) = ready[(self.random % ready.len() as u64) as usize];
            self.take(stage, subtask, channel)?;
        }
    }

    fn take(&mut self, stage: usize, subtask: usize, channel: usize) -> Result<()> {
        let here = &mut self.stages[stage].subtasks[subtask];
        let Some(element) = here.channels[channel].elements.pop_front() else { return Ok(()) };
        match element {
            Element::Batch(batch) => {
                let ordinal = here.channels[channel].ordinal;
                self.call(stage, subtask, |operator, out| operator.process(ordinal, batch, out))
            }
            Element::Watermark(watermark) => {
                let news = here.watermarks.update(channel, watermark);
                self.tell(stage, subtask, news)
            }
            Element::Marker(_) => {
                here.channels[channel].blocked = true;
                if here.channels.iter().any(|channel| !channel.blocked) {
                    return Ok(());
                }
                here.channels.iter_mut().for_each(|channel| channel.blocked = false);
                let news = here.watermarks.marker();
                self.tell(stage, subtask, news)?;
                self.call(stage, subtask, |operator, out| operator.release(out))?;
                self.call(stage, subtask, |operator, out| operator.flush(out))?;
                self.forward(stage, subtask, &element)?;
                let news = self.stages[stage].subtasks[subtask].watermarks.marker_sent();
                self.tell(stage, subtask, news)
            }
            Element::End => Ok(()),
        }
    }

    fn tell(&mut self, stage: usize, subtask: usize, news: Vec<Watermark>) -> Result<()> {
        for watermark in news {
            let here = &mut self.stages[stage].subtasks[subtask];
            let onward = match watermark {
                Watermark::Idle => {
                    here.told.1 = true;
                    self.call(stage, subtask, |operator, out| operator.release(out))?;
                    Some(Watermark::Idle)
                }
                Watermark::At(time) => {
                    let was_idle = std::mem::replace(&mut here.told.1, false);
                    if time > here.time {
                        here.time = time;
                        let onward = self.call(stage, subtask, |operator, out| operator.watermark(time, out))?;
                        let here = &mut self.stages[stage].subtasks[subtask];
                        here.told.0 = onward.unwrap_or(here.told.0);
                        (onward.is_some() || was_idle).then_some(Watermark::At(here.told.0))
                    } else {
                        was_idle.then_some(Watermark::At(here.told.0))
                    }
                }
            };
            if let Some(onward) = onward {
                self.forward(stage, subtask, &Element::Watermark(onward))?;
            }
        }
        Ok(())
    }

    /// Calls a subtask's operator and sends on what it emits.
    fn call<R>(
        &mut self,
        stage: usize,
        subtask: usize,
        action: impl FnOnce(&mut dyn Operator, &mut Collector) -> Result<R>,
    ) -> Result<R> {
        let mut out = Collector::new(0);
        let result = action(&mut *self.stages[stage].subtasks[subtask].operator, &mut out)?;
        for (port, batch) in out.take() {
            match port {
                OutputPort::Main => self.forward(stage, subtask, &Element::Batch(batch))?,
                _ => self.late[stage] += batch.num_rows(),
            }
        }
        Ok(result)
    }

    fn forward(&mut self, stage: usize, subtask: usize, element: &Element) -> Result<()> {
        let downstream = self.stages[stage].downstream.clone();
        if let (Element::Batch(batch), true) = (element, downstream.is_empty()) {
            self.rows.extend(text(batch.records()));
        }
        downstream.into_iter().try_for_each(|(stage, first)| self.send(stage, first + subtask, element.clone()))
    }

    /// To a channel of a stage: rows to the subtasks that own their keys, all else to every subtask.
    fn send(&mut self, stage: usize, channel: usize, element: Element) -> Result<()> {
        let subtasks = &mut self.stages[stage].subtasks;
        let Element::Batch(batch) = element else {
            subtasks.iter_mut().for_each(|subtask| subtask.channels[channel].elements.push_back(element.clone()));
            return Ok(());
        };
        let records: &RecordBatch = batch.records();
        let ordinal = subtasks[0].channels[channel].ordinal;
        let keys = subtasks[0].operator.key_columns(ordinal).unwrap_or_default();
        let columns: Vec<ArrayRef> = keys.iter().map(|key| records.column(*key).clone()).collect();
        let mut hashes = Vec::new();
        hash_rows(&columns, records.num_rows(), &mut hashes)?;
        let parallelism = subtasks.len();
        for (index, subtask) in subtasks.iter_mut().enumerate() {
            let own = (0_u32..).zip(&hashes).filter(|(_, hash)| owner(**hash, parallelism) == index);
            let own = UInt32Array::from_iter_values(own.map(|(row, _)| row));
            if !own.is_empty() {
                let part = take_record_batch(records, &own)?;
                subtask.channels[channel].elements.push_back(Element::Batch(part.into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
