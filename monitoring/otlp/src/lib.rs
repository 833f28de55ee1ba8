//! Traces and metrics to a collector of OpenTelemetry, by OTLP over gRPC.
//!
//! ```text
//!   Spans::record ──▶ queue ──▶ every second ───▶ Exporter ──▶ collector
//!   Monitor::samples ─────────▶ now and then ───▶
//! ```
//!
//! Nobody waits for a collector: one that is away costs a try a second, and what finds no room in the queue meanwhile. Metrics are those
//! that `/metrics` has, read at the moment.

mod messages;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use weir_core::{Error, Result};
use weir_monitoring::{Monitor, Span, Spans};

/// Time between two looks at the queue of spans.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the collector may take for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Spans in one message. One takes some 300 bytes, and collectors take 4 MiB.
const BATCH: usize = 1024;

/// What is told whom.
pub struct ExporterConfig {
    /// Where the collector is: `http://host:4317`.
    pub endpoint: String,
    /// What this process is, for those who look: `service.name` and what else there is.
    pub resource: Vec<(String, String)>,
    /// Time between two times that metrics are sent; `None`: they are not.
    pub metrics_interval: Option<Duration>,
    /// Milliseconds since 1970.
    pub wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// Sends what there is.
pub struct Exporter {
    channel: Channel,
    resource: Resource,
    metrics_interval: Option<Duration>,
    wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// When the process began, as far as counters are concerned.
    began: i64,
    spans: Spans,
    queue: mpsc::Receiver<Span>,
    /// Whether the collector took what it was last sent: it is told once that it does not.
    is_taken: Option<bool>,
}

impl Exporter {
    /// An exporter; nothing is connected yet.
    ///
    /// # Errors
    /// If the endpoint is none.
    pub fn new(config: ExporterConfig) -> Result<Self> {
        let wrong = |why: &str| {
            Error::user(format!("'{}' is no collector: {why}", config.endpoint))
                .with_help("write http://host:4317, where OTLP over gRPC is taken; have a collector nearby that speaks TLS to others")
        };
        let endpoint = Endpoint::from_shared(config.endpoint.clone()).map_err(|_| wrong("it is no URL"))?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none_or(str::is_empty) {
            return Err(wrong("only http is spoken"));
        }
        let channel = endpoint.connect_timeout(ANSWER).tcp_nodelay(true).connect_lazy();
        let (spans, queue) = Spans::queue();
        Ok(Self {
            channel,
            resource: messages::resource(&config.resource),
            metrics_interval: config.metrics_interval,
            began: (config.wall_clock)(),
            wall_clock: config.wall_clock,
            spans,
            queue,
            is_taken: None,
        })
    }

    /// Where parts of traces are put.
    pub fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// Sends until it is dropped.
    pub async fn run(mut self, monitor: Monitor) {
        let mut looks = interval(PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_metrics = self.metrics_interval.map(|pause| Instant::now() + pause);
        loop {
            let now = looks.tick().await;
            self.send_spans().await;
            if let (Some(due), Some(pause)) = (next_metrics, self.metrics_interval)
                && now >= due
            {
                next_metrics = Some(now + pause);
                self.send_metrics(&monitor).await;
            }
        }
    }

    /// Sends the spans that wait, once: for a process that ends.
    pub async fn flush(mut self) {
        self.send_spans().await;
    }

    /// What waits, or its beginning if the collector does not take it.
    async fn send_spans(&mut self) {
        loop {
            let waiting: Vec<Span> = std::iter::from_fn(|| self.queue.try_recv().ok()).take(BATCH).collect();
            let count = waiting.len() as u64;
            if count == 0 {
                return;
            }
            let request = ExportTraceServiceRequest { resource_spans: vec![messages::spans(&self.resource, waiting)] };
            let mut client = TraceServiceClient::new(self.channel.clone());
            let answer = answered(client.export(request)).await;
            let rejected = answer.as_ref().ok().and_then(|answer| answer.partial_success.as_ref());
            let rejected = rejected.map_or(0, |rejected| u64::try_from(rejected.rejected_spans).unwrap_or(0));
            let lost = if answer.is_ok() { rejected.min(count) } else { count };
            self.spans.sent(count - lost);
            self.spans.dropped(lost);
            if !self.is_well(answer.map(drop)) {
                return;
            }
        }
    }

    async fn send_metrics(&mut self, monitor: &Monitor) {
        let samples = monitor.samples().await;
        let (began, now) = (self.began, (self.wall_clock)());
        let resource_metrics = vec![messages::metrics(&self.resource, &samples, began, now)];
        let mut client = MetricsServiceClient::new(self.channel.clone());
        let answer = answered(client.export(ExportMetricsServiceRequest { resource_metrics })).await;
        self.is_well(answer.map(drop));
    }

    /// Whether the collector has taken it. What has changed about that is told.
    fn is_well(&mut self, answer: Result<(), Status>) -> bool {
        let is_taken = answer.is_ok();
        if self.is_taken.replace(is_taken) != Some(is_taken) {
            match answer {
                Ok(()) => tracing::info!("the collector of OpenTelemetry takes what it is sent"),
                Err(status) => {
                    let error = format!("{:?}: {}", status.code(), status.message());
                    tracing::warn!(
                        error,
                        "the collector of OpenTelemetry does not take what it is sent; spans are dropped"
                    );
                }
            }
        }
        is_taken
    }
}

/// What the collector answers, if it does in time.
async fn answered<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    let answer = timeout(ANSWER, call).await;
    answer.unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "no answer"))).map(tonic::Response::into_inner)
}
