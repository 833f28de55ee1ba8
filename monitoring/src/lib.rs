//! What every process of a cluster tells those who run it: metrics, and whether it is well, over HTTP.
//!
//! ```text
//!   GET /metrics ──────▶ Monitor ──▶ Observed::collect of each part of the process ──▶ Samples ──▶ OpenMetrics text
//!   GET /health/live ──▶ the process answers
//!   GET /health/ready ─▶ Monitor ──▶ Observed::obstacles of each part ──▶ 200, or 503 and why as JSON
//! ```
//!
//! With a collector of OpenTelemetry, traces ([`Trace`]) and the same metrics go there by themselves (`monitoring/otlp`).
//!
//! A part of a process declares its metrics in one file, as [`Metric`]s, and reads the figures when it is asked: nothing is
//! registered, so what is gone (a job, an attempt) is gone from the next answer, and the number of series is that of what is there.

mod address;
mod connections;
mod health;
mod histogram;
mod http;
mod metric;
mod process;
mod reference;
mod samples;
mod text;
mod trace;

pub use address::listen;
pub use health::{Monitor, Observed, Obstacle, Readiness};
pub use histogram::{Histogram, SECONDS};
pub use http::serve;
pub use metric::{Kind, Metric, Unit};
pub use process::{METRICS as PROCESS_METRICS, ProcessFigures};
pub use reference::reference;
pub use samples::{Sample, Samples, Value};
pub use text::{CONTENT_TYPE, encode};
pub use trace::{Attribute, METRICS as TRACE_METRICS, Preparation, Span, Spans, Trace};
