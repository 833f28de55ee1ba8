//! Whether a version of a job could go on with the state that is there: asked before the job is told to go on with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use weir_core::{Error, JobGraph, Result};
use weir_functions::Functions;
use weir_proto::control::{CheckpointRef, Misfits, StateComparison};
use weir_state::{KeptState, Manifest, RestorePlan, Storages, plan_restore};

use super::Errands;
use crate::blocking;
use crate::deploy::kept_states;
use crate::plugins::{HeldPlugins, JobPlugins, PluginFiles};

/// How long the code of a plugin may take to make its operators. The leader waits a little longer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Errands {
    /// What of a job's state a version of it cannot go on with. Its operators are made to see what they keep, as they are where it runs.
    ///
    /// # Errors
    /// If the checkpoint or a plugin cannot be read, or an operator cannot be made.
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
            Ok((manifest, version(&look.graph)?, look.running.as_ref().map(version).transpose()?))
        })
        .await?;
        let _held: Vec<HeldPlugins> =
            [Some(&version), running.as_ref()].into_iter().flatten().map(Version::held).collect();
        let compared = blocking::run(&blocking, move || {
            let wanted = version.keeps(&functions)?;
            let stored = manifest.map(|manifest| plan_restore(&manifest, &wanted).misfits());
            let running = running.map(|running| running.keeps(&functions)).transpose()?;
            let running = running.map(|running| RestorePlan::between(&running, &wanted).misfits());
            Ok(Misfits { stored: stored.unwrap_or_default(), running: running.unwrap_or_default() })
        });
        let late = |_| Error::user(format!("its operators could not be made within {} s", PATIENCE.as_secs()));
        timeout(PATIENCE, compared).await.map_err(late)?
    }
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

    /// For whoever waits: calls that do not return end when nobody does any more.
    fn held(&self) -> HeldPlugins {
        HeldPlugins::new(self.plugins.clone())
    }

    fn keeps(&self, functions: &Functions) -> Result<Vec<KeptState>> {
        kept_states(&self.graph, &functions.of_job(&self.graph, self.plugins.clone())?)
    }
}
