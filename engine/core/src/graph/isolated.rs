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
            if let Some(what) = self.linked() {
                return Err(Error::user(format!(
                    "'plugin.isolation' = 'process': the plugin of {what} is linked into the process of the job"
                ))
                .with_help("a plugin's file can be isolated; leave the setting out for this job"));
            }
            if self.artifacts().is_empty() {
                return Ok(());
            }
        }
        self.isolation = isolation;
        Ok(())
    }

    /// Whether functions, sources or sinks of plugins run apart, beside operators or without any.
    pub fn isolates_functions_or_tables(&self) -> bool {
        let has_tables = || self.nodes.iter().any(|node| node.spec.operator.plugin_table().is_some());
        !self.isolation.is_none() && (!self.functions.is_empty() || has_tables())
    }

    /// What there is of a plugin that is no file.
    fn linked(&self) -> Option<String> {
        if let Some(function) = self.functions.iter().find(|function| function.artifact.is_none()) {
            return Some(format!("`{}`", PluginFunction::name_in_sql(&function.name)));
        }
        self.nodes.iter().find_map(|node| match &node.spec.operator {
            OperatorSpec::Plugin(plugin) if plugin.artifact.is_none() => Some(format!("`{}`", plugin.operator)),
            operator => {
                let table = operator.plugin_table().filter(|table| table.artifact.is_none())?;
                Some(format!("the table `{}`", table.table))
            }
        })
    }
}
