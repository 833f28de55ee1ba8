//! Namespaces, what their jobs may use, and what their scripts share.

use weir_core::JobId;

use super::{Applied, check_name};
use crate::cluster::{Catalog, ClusterState, DEFAULT_NAMESPACE, Job, Namespace, Quota, Refusal, Resource};

impl ClusterState {
    pub(super) fn set_namespace(&mut self, namespace: String, quota: Quota) -> Result<Applied, Refusal> {
        check_name("namespace", &namespace)?;
        match self.namespaces.get_mut(&namespace) {
            Some(known) if known.quota == quota => return Ok(Applied::Unchanged),
            Some(known) => known.quota = quota,
            None => {
                self.namespaces.insert(namespace, Namespace { quota, ..Namespace::default() });
            }
        }
        Ok(Applied::Changed)
    }

    /// The statements as they shall be change nothing where they are so already, whatever the version: it may be the second time that the
    /// same client asks.
    pub(super) fn replace_catalog(
        &mut self,
        namespace: String,
        version: u64,
        statements: Vec<String>,
    ) -> Result<Applied, Refusal> {
        let bytes = statements.iter().map(String::len).sum();
        if bytes > Catalog::MOST_BYTES {
            return Err(Refusal::CatalogTooLarge { namespace, bytes });
        }
        let Some(known) = self.namespaces.get_mut(&namespace) else {
            return Err(Refusal::NoSuchNamespace(namespace));
        };
        if known.catalog.statements == statements {
            return Ok(Applied::Unchanged);
        }
        if known.catalog.version != version {
            return Err(Refusal::CatalogHasChanged { namespace });
        }
        known.catalog = Catalog { version: version + 1, statements };
        Ok(Applied::Changed)
    }

    pub(super) fn drop_namespace(&mut self, namespace: String) -> Result<Applied, Refusal> {
        if namespace == DEFAULT_NAMESPACE {
            return Err(Refusal::DefaultNamespace);
        }
        let Some(known) = self.namespaces.get(&namespace) else {
            return Err(Refusal::NoSuchNamespace(namespace));
        };
        let jobs = self.jobs.values().filter(|job| job.namespace == namespace).count();
        if jobs > 0 {
            return Err(Refusal::NamespaceNotEmpty { namespace, jobs });
        }
        if !known.catalog.statements.is_empty() {
            return Err(Refusal::CatalogNotEmpty { namespace });
        }
        self.namespaces.remove(&namespace);
        Ok(Applied::Changed)
    }

    /// Whether there is room for a job that was not active before.
    pub(super) fn admit(&self, id: Option<JobId>, job: &Job) -> Result<(), Refusal> {
        let quota = self.quota(&job.namespace)?;
        let usage = self.usage_of_others(&job.namespace, id).with(job);
        let within = |resource, limit, asked| within(&job.namespace, resource, limit, asked);
        within(Resource::Jobs, quota.jobs.map(u64::from), usage.jobs)?;
        within(Resource::Slots, quota.slots.map(u64::from), usage.slots)?;
        within(Resource::StateBytes, quota.state_bytes, usage.state_bytes)
    }

    /// Whether there is room for more slots of an active job.
    pub(super) fn admit_slots(&self, id: JobId, job: &Job) -> Result<(), Refusal> {
        let quota = self.quota(&job.namespace)?;
        let slots = self.usage_of_others(&job.namespace, Some(id)).with(job).slots;
        within(&job.namespace, Resource::Slots, quota.slots.map(u64::from), slots)
    }

    fn quota(&self, namespace: &str) -> Result<&Quota, Refusal> {
        let found = self.namespaces.get(namespace).ok_or_else(|| Refusal::NoSuchNamespace(namespace.to_owned()))?;
        Ok(&found.quota)
    }
}

fn within(namespace: &str, resource: Resource, limit: Option<u64>, asked: u64) -> Result<(), Refusal> {
    match limit {
        Some(limit) if asked > limit => {
            Err(Refusal::QuotaExceeded { namespace: namespace.to_owned(), resource, limit, asked })
        }
        _ => Ok(()),
    }
}
