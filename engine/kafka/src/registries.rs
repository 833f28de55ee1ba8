//! The registries that have the schemas of keys and values, asked beside what else a source does.

use std::sync::Arc;

use tokio::task::JoinSet;
use weir_connectors::formats::registered::RegisteredSchema;
use weir_core::{Error, Result};
use weir_registry::Registry;

use crate::options::SourceOptions;
use crate::rows::WantedSchema;

/// A schema that was asked for; or why no record can be read by it.
type Answer = (WantedSchema, Result<Arc<RegisteredSchema>, String>);

/// Where the schemas are, and what was asked. All state is here, so that whoever waits may give it up.
pub(crate) struct Registries {
    key: Option<Arc<Registry>>,
    value: Option<Arc<Registry>>,
    /// One question at most: the records behind it have to wait.
    asked: JoinSet<Result<Answer>>,
}

impl Registries {
    /// # Errors
    /// If TLS cannot be set up.
    pub(crate) fn new(options: &SourceOptions) -> Result<Self> {
        let open = |options: Option<&weir_registry::RegistryOptions>| {
            options.map(|options| Registry::new(options.clone()).map(Arc::new)).transpose()
        };
        let formats = &options.formats;
        Ok(Self {
            key: open(formats.key.as_ref().and_then(|key| key.registry.as_ref()))?,
            value: open(formats.registry.as_ref())?,
            asked: JoinSet::new(),
        })
    }

    /// Asks for a schema, if nothing is being asked.
    ///
    /// # Errors
    /// If there is no registry, which has been checked before.
    pub(crate) fn ask(&mut self, wanted: WantedSchema) -> Result<()> {
        if self.is_asked() {
            return Ok(());
        }
        let registry = if wanted.of_key { &self.key } else { &self.value };
        let registry =
            registry.clone().ok_or_else(|| Error::internal("a schema is wanted, and there is no registry"))?;
        self.asked.spawn(async move { Ok((wanted, registry.schema(wanted.id).await?)) });
        Ok(())
    }

    /// Whether an answer is to come.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Waits for what was asked, if anything was.
    ///
    /// # Errors
    /// That of the registry.
    pub(crate) async fn answer(&mut self) -> Result<Option<Answer>> {
        let Some(answer) = self.asked.join_next().await else { return Ok(None) };
        answer.map_err(|panic| Error::internal("asking a registry broke off").with_source(panic))?.map(Some)
    }
}
