//! Whether a version of a job could go on with the state that is there: asked before the job is told to go on with it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use weir_core::{Error, JobGraph, Result};
use weir_functions::Functions;
use weir_proto::control::{CheckpointRef, Misfits, StateComparison};
use weir_state::{KeptState, Manifest, RestorePlan, Storages, plan_restore};

use super::Errands;
use crate::blocking::{self, Blocking};
use crate::deploy::kept_states;
use crate::plugins::{HeldPlugins, JobPlugins, PluginFiles};

/// How long the code of a plugin may take to make its operators. The leader waits a little longer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Errands {
    /// What of a job's state a version of it cannot go on with. Its operators are made to see what they keep, as they are where it runs.
    ///
    /// That those of what runs cannot be made is a misfit too, and not taken for keeping nothing: it may be so on this worker alone.
    ///
    /// # Errors
    /// If the checkpoint or a plugin of the version cannot be read, or an operator of it cannot be made.
    pub async fn compare_state(self, order: Arc<StateComparison>) -> Result<Misfits> {
        let Self { storages, plugins, functions, blocking, .. } = self;
        let look = order.clone();
        let (manifest, version, running) = blocking::run(&blocking, move || {
            let storage = storages.open(&look.storage.url)?;
            // First of all: a job that runs gives it up for a newer one.
            let manifest = look
                .checkpoint
                .as_ref()
                .map(|CheckpointRef { epoch, manifest }| Manifest::load(&*storage, manifest, *epoch));
            let manifest = manifest.transpose()?;
            let version = |graph: &Arc<JobGraph>| Version::load(graph, &plugins, &*storages);
            Ok((manifest, version(&look.graph)?, look.running.as_ref().map(version)))
        })
        .await?;
        let until = Instant::now() + PATIENCE;
        let wanted = version.made(&blocking, &functions, until).await?;
        let running = match running {
            None => Vec::new(),
            Some(loaded) => {
                let kept = async { loaded?.made(&blocking, &functions, until).await }.await;
                kept.map_or_else(|error| vec![untold(&error)], |kept| RestorePlan::between(&kept, &wanted).misfits())
            }
        };
        let stored = manifest.map(|manifest| plan_restore(&manifest, &wanted).misfits());
        Ok(Misfits { stored: stored.unwrap_or_default(), running })
    }
}

/// Said of what runs.
fn untold(error: &Error) -> String {
    format!("it cannot be told what it keeps: {}", error.report())
}

/// A version of a job, with its plugins.
struct Version {
    graph: Arc<JobGraph>,
    plugins: Arc<JobPlugins>,
}

impl Version {
    fn load(graph: &Arc<JobGraph>, files: &PluginFiles, storages: &dyn Storages) -> Result<Self> {
        Ok(Self { graph: graph.clone(), plugins: Arc::new(files.of(graph, storages)?) })
    }

    /// What its operators keep, which are made here by then. Calls that do not return end when nobody waits any more.
    async fn made(self, blocking: &Arc<dyn Blocking>, functions: &Functions, until: Instant) -> Result<Vec<KeptState>> {
        let _held = HeldPlugins::new(self.plugins.clone());
        let functions = functions.clone();
        let made = blocking::run(blocking, move || {
            kept_states(&self.graph, &functions.of_job(&self.graph, self.plugins.clone())?)
        });
        let late = |_| Error::user(format!("its operators could not be made within {} s", PATIENCE.as_secs()));
        timeout_at(until, made).await.map_err(late)?
    }
}
