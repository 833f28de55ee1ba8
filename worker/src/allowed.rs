//! What the tables of jobs may reach, where whoever runs a process limits it: `weir worker --allow /data --allow kafka.example:9092`.
//!
//! ```text
//!   options of a table ─▶ secrets looked up ─▶ Limited ─▶ Connector::open…, commit, …
//!                                                 │
//!                                     Connector::locations, Allowed::check
//! ```
//!
//! Checked is what a connector is told to open or to connect to. A Kafka broker names the other brokers of its cluster, and a symbolic
//! link in an allowed folder may lead elsewhere: whoever allows a system trusts it with that. Code of plugins is not checked: to submit it is
//! a right of its own.
//!
//! - `rule`: what is allowed, as it is written
//! - `limited`: connectors whose tables reach what is allowed

mod limited;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use weir_core::{Connector, Error, Location, Result, TableSpec};

pub use limited::Limited;
pub use rule::Rule;

/// Locations that tables may reach.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Arc<[Rule]>);

impl Allowed {
    /// What the rules allow; everything if there is no rule.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into())
    }

    /// Whether every location is allowed.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks what the table reaches. Blocks on the file system.
    ///
    /// # Errors
    /// A user error that names a location that is not allowed.
    fn check(&self, table: &TableSpec, connector: &dyn Connector) -> Result<()> {
        if self.is_everything() {
            return Ok(());
        }
        self.check_locations(&table.name, &connector.locations(table)?)
    }

    fn check_locations(&self, table: &str, locations: &[Location]) -> Result<()> {
        let is_allowed = |location: &&Location| self.0.iter().any(|rule| rule.allows(location));
        let Some(other) = locations.iter().find(|location| !is_allowed(location)) else { return Ok(()) };
        let place = match other {
            Location::Path(path) => format!("'{}'", path.display()),
            Location::Url(url) => format!("'{url}'"),
            Location::Host(name, port) => format!("the host '{name}' at port {port}"),
        };
        Err(Error::user(format!("table '{table}' must not reach {place}"))
            .with_help("whoever runs the cluster says with `--allow` what tables may reach"))
    }
}
