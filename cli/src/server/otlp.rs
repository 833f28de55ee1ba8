//! Where a process of a cluster sends traces and metrics. The variables are OpenTelemetry's own.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use weir_core::{Error, Result};
use weir_monitoring::{Monitor, Observed, Spans};
use weir_otlp::{Exporter, ExporterConfig};

use crate::clock::wall_millis;
use crate::cluster::args::duration;

/// Who is told, and who tells.
#[derive(Debug, Clone, Default, Args)]
pub struct CollectorArguments {
    /// The collector that traces of checkpoints and of jobs' starts, and metrics of processes, are sent to, by OTLP over gRPC: http://host:4317.
    #[arg(long, help_heading = "OpenTelemetry", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// What this process is called there; weir-coordinator, weir-worker, weir-local or weir-submit if not given.
    #[arg(long, help_heading = "OpenTelemetry", env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otlp_service_name: Option<String>,

    /// What else is told about it.
    #[arg(
        long,
        help_heading = "OpenTelemetry",
        env = "OTEL_RESOURCE_ATTRIBUTES",
        value_name = "KEY=VALUE,…",
        value_delimiter = ','
    )]
    pub otlp_attributes: Vec<String>,
}

/// Where traces and metrics go.
#[derive(Debug, Clone, Default, Args)]
pub struct OtlpArguments {
    /// Who is told.
    #[command(flatten)]
    pub collector: CollectorArguments,

    /// Send metrics so often; 0s: not at all.
    #[arg(long, help_heading = "OpenTelemetry", env = "WEIR_OTLP_METRICS_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub otlp_metrics_interval: Duration,
}

/// A key and a value, in which `%2C` stands for a comma (W3C Baggage).
fn attribute(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        Error::user(format!("'{text}' is no attribute of OpenTelemetry"))
            .with_help("write each as KEY=VALUE, for example deployment.environment=test")
    })?;
    Ok((key.trim().to_owned(), unescaped(value.trim())))
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        (rest, bytes) = match escaped.filter(|_| *first == b'%') {
            Some(byte) => (&behind[2..], [&bytes[..], &[byte]].concat()),
            None => (behind, [&bytes[..], &[*first]].concat()),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A way to a collector, if there is one.
#[derive(Default)]
pub struct OtlpExport(Option<Exporter>);

impl OtlpArguments {
    /// The way to the collector; `service` is what the process is called if nobody says otherwise.
    ///
    /// # Errors
    /// If the endpoint is none, or an attribute.
    pub fn open(&self, service: &str) -> Result<OtlpExport> {
        let interval = self.otlp_metrics_interval;
        self.collector.open(service, (!interval.is_zero()).then_some(interval))
    }
}

impl CollectorArguments {
    /// The same; `metrics_interval` is how often metrics are sent, if they are.
    ///
    /// # Errors
    /// If the endpoint is none, or an attribute.
    pub fn open(&self, service: &str, metrics_interval: Option<Duration>) -> Result<OtlpExport> {
        let Some(endpoint) = self.otlp_endpoint.as_ref().filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(OtlpExport(None));
        };
        let name = self.otlp_service_name.as_ref().filter(|name| !name.is_empty());
        let mut resource = vec![
            ("service.name".to_owned(), name.map_or_else(|| service.to_owned(), String::clone)),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("process.pid".to_owned(), std::process::id().to_string()),
        ];
        for text in self.otlp_attributes.iter().filter(|text| !text.trim().is_empty()) {
            let (key, value) = attribute(text)?;
            // A name that was given for itself counts more.
            if key != "service.name" || name.is_none() {
                resource.retain(|(known, _)| *known != key);
                resource.push((key, value));
            }
        }
        let config = ExporterConfig {
            endpoint: endpoint.clone(),
            resource,
            metrics_interval,
            wall_clock: Arc::new(wall_millis),
        };
        Exporter::new(config).map(Some).map(OtlpExport)
    }
}

impl OtlpExport {
    /// Where parts of traces are put.
    pub fn spans(&self) -> Spans {
        self.0.as_ref().map_or_else(Spans::nowhere, Exporter::spans)
    }

    /// Sends what was put there, once.
    pub async fn flush(self) {
        if let Some(exporter) = self.0 {
            exporter.flush().await;
        }
    }

    /// Sends what these parts of the process tell, for as long as it is waited for.
    pub async fn run(self, parts: Vec<Arc<dyn Observed>>) {
        match self.0 {
            Some(exporter) => exporter.run(Monitor::new(parts)).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn attributes_are_read_as_the_variable_has_them() {
        let read =
            |text: &str| attribute(text).map(|(key, value)| format!("{key}:{value}")).map_err(|error| error.report());
        assert_eq!(read("a=b"), Ok("a:b".into()));
        assert_eq!(read(" team = x%2Cy%20z=% "), Ok("team:x,y z=%".into()));
        assert_eq!(read("a=%C3%A4%zz"), Ok("a:ä%zz".into()));
        assert!(read("a").unwrap_err().contains("KEY=VALUE"));
    }
}
