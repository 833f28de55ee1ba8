//! What is sent, as OTLP has it: <https://opentelemetry.io/docs/specs/otlp/>.

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan, Status};
use weir_monitoring::{Attribute, Kind, Sample, Samples, Span, Unit, Value};

/// Longest text of an error: it quotes what users have written.
const LONGEST: usize = 1024;

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    value_of(key, AnyKind::StringValue(value.into()))
}

fn value_of(key: &str, value: AnyKind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// What a process is.
pub(crate) fn resource(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes.iter().map(|(key, value)| text(key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

fn scope() -> Option<InstrumentationScope> {
    let (name, version) = ("weir".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Some(InstrumentationScope { name, version, ..InstrumentationScope::default() })
}

/// Parts of traces, of this process.
pub(crate) fn spans(resource: &Resource, spans: Vec<Span>) -> ResourceSpans {
    let spans = spans.into_iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() }
}

fn span(span: Span) -> WireSpan {
    let attribute = |(key, value)| match value {
        Attribute::Text(value) => text(key, value),
        Attribute::Number(number) => value_of(key, AnyKind::IntValue(i64::try_from(number).unwrap_or(i64::MAX))),
    };
    let status = span.error.map(|mut message| {
        message.truncate(message.floor_char_boundary(LONGEST));
        Status { message, code: StatusCode::Error.into() }
    });
    WireSpan {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: span.began,
        end_time_unix_nano: span.ended,
        attributes: span.attributes.into_iter().map(attribute).collect(),
        status,
        ..WireSpan::default()
    }
}

/// Metrics as they are `now`. Counters count since the process `began`; both are in milliseconds since 1970.
pub(crate) fn metrics(resource: &Resource, samples: &Samples, began: i64, now: i64) -> ResourceMetrics {
    let nanoseconds = |at: i64| u64::try_from(at).unwrap_or(0).saturating_mul(1_000_000);
    let (began, now) = (nanoseconds(began), nanoseconds(now));
    let metrics = samples.read().map(|(metric, samples)| {
        let numbers = || samples.iter().filter_map(|sample| number(sample, metric.kind, began, now)).collect();
        let cumulative = AggregationTemporality::Cumulative.into();
        let data = match metric.kind {
            Kind::Counter => {
                Data::Sum(Sum { data_points: numbers(), aggregation_temporality: cumulative, is_monotonic: true })
            }
            Kind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
            Kind::Histogram => {
                let data_points = samples.iter().filter_map(|sample| histogram(sample, began, now)).collect();
                Data::Histogram(Histogram { data_points, aggregation_temporality: cumulative })
            }
        };
        let unit = match metric.unit {
            Unit::None => "1",
            Unit::Seconds => "s",
            Unit::Bytes => "By",
        };
        Metric {
            name: metric.name.to_owned(),
            description: format!("{}.", metric.help),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    });
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics: metrics.collect(), ..ScopeMetrics::default() }];
    ResourceMetrics { resource: Some(resource.clone()), scope_metrics, ..ResourceMetrics::default() }
}

fn labels(sample: &Sample) -> Vec<KeyValue> {
    sample.labels.iter().map(|(name, value)| text(name, value)).collect()
}

fn number(sample: &Sample, kind: Kind, began: u64, now: u64) -> Option<NumberDataPoint> {
    let Value::Number(value) = &sample.value else { return None };
    Some(NumberDataPoint {
        attributes: labels(sample),
        start_time_unix_nano: if kind == Kind::Counter { began } else { 0 },
        time_unix_nano: now,
        value: Some(Number::AsDouble(*value)),
        ..NumberDataPoint::default()
    })
}

fn histogram(sample: &Sample, began: u64, now: u64) -> Option<HistogramDataPoint> {
    let Value::Histogram { sum, buckets } = &sample.value else { return None };
    Some(HistogramDataPoint {
        attributes: labels(sample),
        start_time_unix_nano: began,
        time_unix_nano: now,
        count: buckets.iter().map(|(_, count)| count).sum(),
        sum: Some(*sum),
        bucket_counts: buckets.iter().map(|(_, count)| *count).collect(),
        // The last bucket has no bound.
        explicit_bounds: buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect(),
        ..HistogramDataPoint::default()
    })
}
