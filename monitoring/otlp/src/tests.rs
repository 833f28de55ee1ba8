//! What goes out, and what becomes of it while nobody is there.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use weir_core::{Attempt, Epoch, JobIdentity};
use weir_monitoring::{Histogram, Kind, Metric, Observed as _, Samples, Trace, Unit};

use super::*;

static ROWS: Metric =
    Metric { name: "weir_rows_total", kind: Kind::Counter, unit: Unit::None, help: "Rows", labels: &["vertex"] };
static TOOK: Metric = Metric {
    name: "weir_took_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    help: "How long it took",
    labels: &[],
};

fn exporter(endpoint: &str) -> Result<Exporter> {
    let config = ExporterConfig {
        endpoint: endpoint.to_owned(),
        resource: vec![("service.name".into(), "weir-worker".into())],
        metrics_interval: Some(Duration::from_secs(60)),
        wall_clock: Arc::new(|| 5),
    };
    Exporter::new(config)
}

#[tokio::test]
async fn only_what_can_be_a_collector_is_one() {
    for right in ["http://localhost:4317", "http://10.0.0.1:4317/"] {
        assert!(exporter(right).is_ok(), "{right}");
    }
    for wrong in ["", "localhost:4317", "https://collector:4317", "ftp://a", "http://"] {
        assert!(exporter(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn spans_and_samples_keep_what_they_say() {
    let trace = Trace::checkpoint(JobIdentity(7), Attempt(1), Epoch(2));
    let span = trace.part("upload", "w1", 10, 30).text("weir.worker", "w1").number("weir.bytes", 9);
    let failed = span.clone().failed(Some("ä".repeat(1000)));
    let sent = messages::spans(&Resource::default(), vec![span, failed]);
    let spans = &sent.scope_spans[0].spans;
    assert_eq!((spans[0].trace_id.len(), spans[0].span_id.len(), spans[0].parent_span_id.len()), (16, 8, 8));
    assert_eq!((spans[0].start_time_unix_nano, spans[0].end_time_unix_nano), (10, 30));
    assert_eq!(spans[0].attributes.len(), 2);
    assert_eq!(spans[0].status, None);
    assert_eq!(spans[1].status.as_ref().map(|status| (status.code, status.message.len())), Some((2, 1024)));

    let mut samples = Samples::default();
    samples.count(&ROWS, &["a"], 3);
    let took = Histogram::new(&[0.1, 1.0]);
    [50, 100, 2000].into_iter().for_each(|millis| took.observe(Duration::from_millis(millis)));
    samples.histogram(&TOOK, &[], &took);
    let sent = messages::metrics(&Resource::default(), &samples, 1, 2);
    let [rows, took] = &sent.scope_metrics[0].metrics[..] else { panic!("{sent:?}") };
    let Some(Data::Sum(sum)) = &rows.data else { panic!("{rows:?}") };
    assert!(sum.is_monotonic && sum.data_points[0].start_time_unix_nano == 1_000_000);
    assert_eq!(sum.data_points[0].attributes[0].key, "vertex");
    let Some(Data::Histogram(histogram)) = &took.data else { panic!("{took:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[2, 0, 1][..], &[0.1, 1.0][..]));
    assert_eq!((point.count, point.sum, took.unit.as_str()), (3, Some(2.15), "s"));
}

#[tokio::test]
async fn while_nobody_is_there_spans_are_dropped_and_counted() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut exporter = exporter(&format!("http://{gone}")).unwrap();
    let spans = exporter.spans();
    let span = Trace::start(JobIdentity(7), Attempt(1)).root("submit", 1, 2);
    (0..BATCH + 3).for_each(|_| spans.record(span.clone()));
    exporter.send_spans().await;
    let counted = async || {
        let mut samples = Samples::default();
        spans.collect(&mut samples).await;
        weir_monitoring::encode(samples).unwrap()
    };
    let text = counted().await;
    assert!(text.contains(&format!("{{outcome=\"dropped\"}} {BATCH}.0")), "one try a second: {text}");
    exporter.send_spans().await;
    let text = counted().await;
    assert!(text.contains(&format!("{{outcome=\"dropped\"}} {}.0", BATCH + 3)), "{text}");
    assert!(text.contains("{outcome=\"sent\"} 0.0"), "{text}");
}
