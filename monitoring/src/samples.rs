//! The values of one answer, by metric.

use crate::{Histogram, Metric};

/// What all parts of a process have said. Samples of a metric stand together, as the text wants them, whoever has added them when.
#[derive(Debug, Default)]
pub struct Samples {
    pub(crate) families: Vec<Family>,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub metric: &'static Metric,
    pub samples: Vec<Sample>,
}

/// One value of a metric.
#[derive(Debug)]
pub struct Sample {
    /// What tells it from others of its metric.
    pub labels: Vec<(&'static str, String)>,
    /// What is so.
    pub value: Value,
}

/// A value.
#[derive(Debug)]
pub enum Value {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// All that was measured, added up.
        sum: f64,
        /// How often it was up to each bound, and above the one before; the last is infinite.
        buckets: Vec<(f64, u64)>,
    },
}

impl Samples {
    /// A counter or gauge. `labels` are the values of the metric's labels, in its order.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.push(metric, labels, Value::Number(value));
    }

    /// A counter or gauge of things. Above 2⁵³ it is not exact any more, as everything in Prometheus.
    pub fn count(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.add(metric, labels, value as f64);
    }

    /// A histogram.
    pub fn histogram(&mut self, metric: &'static Metric, labels: &[&str], histogram: &Histogram) {
        let (sum, buckets) = histogram.read();
        self.push(metric, labels, Value::Histogram { sum, buckets });
    }

    /// Takes in what another part has said.
    pub fn extend(&mut self, other: Samples) {
        for family in other.families {
            match self.families.iter_mut().find(|known| known.metric.name == family.metric.name) {
                Some(known) => known.samples.extend(family.samples),
                None => self.families.push(family),
            }
        }
    }

    /// Each metric and its values.
    pub fn read(&self) -> impl Iterator<Item = (&'static Metric, &[Sample])> {
        self.families.iter().map(|family| (family.metric, &family.samples[..]))
    }

    /// The metrics that have a sample.
    pub fn metrics(&self) -> impl Iterator<Item = &'static Metric> {
        self.families.iter().map(|family| family.metric)
    }

    fn push(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        let labels = metric.labels.iter().copied().zip(labels.iter().map(|label| (*label).to_owned())).collect();
        let sample = Sample { labels, value };
        match self.families.iter_mut().find(|family| family.metric.name == metric.name) {
            Some(family) => family.samples.push(sample),
            None => self.families.push(Family { metric, samples: vec![sample] }),
        }
    }
}
