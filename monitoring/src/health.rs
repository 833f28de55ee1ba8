//! What a process is asked: its figures, and whether it can do its work.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::timeout;

use crate::{ProcessFigures, Samples};

/// How long one part of a process may take to answer. A scraper waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// A part of a process: a coordinator, a worker, a job of `weir run`.
#[async_trait]
pub trait Observed: Send + Sync {
    /// Reads all figures. Called for every scrape, and at any time; one that hangs is left out.
    async fn collect(&self, samples: &mut Samples);

    /// What stands in the way of its work; empty if nothing does.
    async fn obstacles(&self) -> Vec<Obstacle>;
}

/// Why a process is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// For programs: `no-leader`.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// What `/health/ready` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether the process can do its work.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<Obstacle>,
}

/// All parts of a process.
#[derive(Clone)]
pub struct Monitor {
    parts: Arc<Vec<Arc<dyn Observed>>>,
    process: ProcessFigures,
}

impl Monitor {
    /// Of a process with these parts.
    pub fn new(parts: Vec<Arc<dyn Observed>>) -> Self {
        Self { parts: Arc::new(parts), process: ProcessFigures }
    }

    /// The figures of all parts, and of the process itself.
    pub async fn samples(&self) -> Samples {
        let mut samples = Samples::default();
        self.process.collect(&mut samples);
        for part in &*self.parts {
            if timeout(PATIENCE, part.collect(&mut samples)).await.is_err() {
                tracing::warn!("a part of this process does not say how it does");
            }
        }
        samples
    }

    /// Whether the process can do its work.
    pub async fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        for part in &*self.parts {
            let silent = || Obstacle { code: "no-answer", message: "it does not answer in time".into() };
            reasons.extend(timeout(PATIENCE, part.obstacles()).await.unwrap_or_else(|_| vec![silent()]));
        }
        Readiness { ready: reasons.is_empty(), reasons }
    }
}
