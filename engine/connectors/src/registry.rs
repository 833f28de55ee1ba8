//! The connectors that there are, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_core::{Connector, ConnectorRegistry};

use crate::blackhole::Blackhole;
use crate::datagen::Datagen;
use crate::filesystem::Filesystem;
use crate::nexmark::Nexmark;
use crate::plugin::PluginTables;
use crate::print::Print;

/// Connectors by name. [`registry`] has the built-in ones; a program adds its own with [`Registry::with`].
#[derive(Default, Clone)]
pub struct Registry {
    connectors: BTreeMap<&'static str, Arc<dyn Connector>>,
}

impl Registry {
    /// The connectors that come with Weir.
    pub fn builtin() -> Self {
        let connectors = Self::default().with(Blackhole).with(Datagen).with(Filesystem::default()).with(Nexmark);
        connectors.with(Print).with(PluginTables::unopened())
    }

    /// Adds a connector, in the place of another one of the same name.
    #[must_use]
    pub fn with(mut self, connector: impl Connector + 'static) -> Self {
        self.connectors.insert(connector.name(), Arc::new(connector));
        self
    }
}

impl ConnectorRegistry for Registry {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        self.connectors.get(name).cloned()
    }

    fn names(&self) -> Vec<&'static str> {
        // Others are for tables that nobody declares.
        self.connectors.keys().copied().filter(|name| !name.starts_with('$')).collect()
    }
}

/// The connectors that come with Weir.
pub fn registry() -> Arc<dyn ConnectorRegistry> {
    Arc::new(Registry::builtin())
}
