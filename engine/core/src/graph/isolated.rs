//! Which plugins of a job can run in processes of their own.

use super::{JobGraph, OperatorSpec};
use crate::plugin::{Isolation, PluginFunction};
use crate::{Error, Result};

impl JobGraph {
    /// What keeps the code of its plugins apart from the process that runs it.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Has the code of its plugins run in this way. It is no part of what the job is: one goes on with another isolation, and with its state.
    ///
    /// # Errors
    /// A user error if some of that code cannot run apart.
    pub fn isolate(&mut self, isolation: Isolation) -> Result<()> {
        if !isolation.is_none() {
            if let Some(what) = self.stays_in_process() {
                return Err(Error::user(format!("'plugin.isolation' = 'process': {what}"))
                    .with_help("operators of a plugin's file can be isolated; leave the setting out for this job"));
            }
            if self.artifacts().is_empty() {
                return Ok(());
            }
        }
        self.isolation = isolation;
        Ok(())
    }

    /// What there is of plugins that is called in this process only.
    fn stays_in_process(&self) -> Option<String> {
        if let Some(function) = self.functions.first() {
            let name = PluginFunction::name_in_sql(&function.name);
            return Some(format!(
                "the job calls `{name}`, a function of a plugin, which runs in the process of the job"
            ));
        }
        self.nodes.iter().find_map(|node| match &node.spec.operator {
            OperatorSpec::Plugin(plugin) if plugin.artifact.is_none() => {
                Some(format!("the plugin of `{}` is linked into the process of the job", plugin.operator))
            }
            operator => operator.plugin_table().map(|table| {
                format!(
                    "the table `{}` has a source or sink of a plugin, which runs in the process of the job",
                    table.table
                )
            }),
        })
    }
}
