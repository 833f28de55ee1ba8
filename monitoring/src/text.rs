//! Samples as OpenMetrics text, by the `prometheus-client` crate. Specification: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as WireUnit};
use weir_core::{Error, Result};

use crate::samples::{Family, Value};
use crate::{Kind, Samples, Unit};

/// What the text is, as HTTP says it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of an answer.
///
/// # Errors
/// A defect.
pub fn encode(samples: Samples) -> Result<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Answer(Arc::new(Mutex::new(samples)))));
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry)
        .map_err(|error| Error::internal("the metrics cannot be written as text").with_source(error))?;
    Ok(encoded)
}

/// What a registry of one answer has.
#[derive(Debug)]
struct Answer(Arc<Mutex<Samples>>);

impl Collector for Answer {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.families.iter().try_for_each(|family| encode_family(&mut encoder, family))
    }
}

fn encode_family(encoder: &mut DescriptorEncoder<'_>, family: &Family) -> fmt::Result {
    let metric = family.metric;
    let unit = match metric.unit {
        Unit::None => None,
        Unit::Seconds => Some(WireUnit::Seconds),
        Unit::Bytes => Some(WireUnit::Bytes),
    };
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    // A name that does not fit its declaration is written as it stands; tests of the declarations find it.
    let (name, unit) = metric.stem().map_or((metric.name, None), |stem| (stem, unit.as_ref()));
    let help = format!("{}.", metric.help);
    let mut written = encoder.encode_descriptor(name, &help, unit, kind)?;
    for sample in &family.samples {
        let labels: Vec<(&str, &str)> = sample.labels.iter().map(|(name, value)| (*name, &**value)).collect();
        if labels.is_empty() {
            encode_value(&mut written, metric.kind, &sample.value)?;
        } else {
            encode_value(&mut written.encode_family(&labels)?, metric.kind, &sample.value)?;
        }
    }
    Ok(())
}

fn encode_value(encoder: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match value {
        Value::Number(value) if kind == Kind::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(value, None),
        Value::Number(value) => encoder.encode_gauge(value),
        Value::Histogram { sum, buckets } => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Histogram, Metric};

    static ROWS: Metric = Metric {
        name: "weir_rows_total",
        kind: Kind::Counter,
        unit: Unit::None,
        help: "Rows",
        labels: &["job", "subtask"],
    };
    static STATE: Metric =
        Metric { name: "weir_state_bytes", kind: Kind::Gauge, unit: Unit::Bytes, help: "State", labels: &[] };
    static TOOK: Metric = Metric {
        name: "weir_took_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time",
        labels: &["job"],
    };

    #[test]
    fn samples_of_a_metric_stand_together_and_labels_cannot_break_out() {
        let mut samples = Samples::default();
        samples.count(&ROWS, &["default/a", "0"], 7);
        samples.add(&STATE, &[], 1.5);
        samples.count(&ROWS, &["evil\"} 1\n\\", "1"], 1 << 60);
        let took = Histogram::new(&[0.5]);
        took.observe(Duration::from_secs(2));
        samples.histogram(&TOOK, &["j"], &took);
        assert_eq!(
            encode(samples).unwrap(),
            "# HELP weir_rows Rows.\n\
             # TYPE weir_rows counter\n\
             weir_rows_total{job=\"default/a\",subtask=\"0\"} 7.0\n\
             weir_rows_total{job=\"evil\\\"} 1\\n\\\\\",subtask=\"1\"} 1152921504606847000.0\n\
             # HELP weir_state_bytes State.\n\
             # TYPE weir_state_bytes gauge\n\
             # UNIT weir_state_bytes bytes\n\
             weir_state_bytes 1.5\n\
             # HELP weir_took_seconds Time.\n\
             # TYPE weir_took_seconds histogram\n\
             # UNIT weir_took_seconds seconds\n\
             weir_took_seconds_sum{job=\"j\"} 2.0\n\
             weir_took_seconds_count{job=\"j\"} 1\n\
             weir_took_seconds_bucket{le=\"0.5\",job=\"j\"} 0\n\
             weir_took_seconds_bucket{le=\"+Inf\",job=\"j\"} 1\n\
             # EOF\n"
        );
    }
}
