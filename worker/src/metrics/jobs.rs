//! The attempts that run in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use weir_core::{Attempt, JobId};
use weir_monitoring::{Observed, Obstacle, Samples};

use super::JobMetrics;
use crate::clock::{Clock, SystemClock};

/// Where each attempt is found as long as it is there: it is not kept from ending, and is gone from here with its end.
#[derive(Debug, Default)]
pub struct RunningJobs {
    jobs: Mutex<BTreeMap<JobId, Running>>,
}

#[derive(Debug)]
struct Running {
    name: String,
    attempt: Attempt,
    metrics: Weak<JobMetrics>,
}

impl RunningJobs {
    /// An attempt is about to run; it takes the place of an older one.
    pub fn add(&self, job: JobId, name: &str, attempt: Attempt, metrics: &Arc<JobMetrics>) {
        let running = Running { name: name.to_owned(), attempt, metrics: Arc::downgrade(metrics) };
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, running| running.metrics.strong_count() > 0);
        jobs.insert(job, running);
    }
}

#[async_trait]
impl Observed for RunningJobs {
    async fn collect(&self, samples: &mut Samples) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, running| {
            let Some(metrics) = running.metrics.upgrade() else { return false };
            metrics.collect(&running.name, running.attempt, SystemClock.now(), samples);
            true
        });
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        Vec::new()
    }
}
