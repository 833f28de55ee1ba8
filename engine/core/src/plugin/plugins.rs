//! Where plugins are found.

use std::fmt;
use std::sync::Arc;

use super::{Artifact, Plugin};
use crate::{Error, Result};

/// The plugins that a process has. Does no I/O: those that are files are there before a job is built.
pub trait Plugins: Send + Sync + fmt::Debug {
    /// The plugin that is this artifact, or, without one, the one that is linked into the process.
    ///
    /// # Errors
    /// An environment error if it is not here, a user error if it cannot be used.
    fn find(&self, artifact: Option<&Artifact>) -> Result<Arc<dyn Plugin>>;

    /// The same plugins, as one subtask calls their functions; `None`: all subtasks may call the same ones. Where calls run outside of this process
    /// they are one after the other, and subtasks would wait for each other.
    fn of_subtask(&self) -> Option<Arc<dyn Plugins>> {
        None
    }

    /// Nobody waits for the job any more. Calls that are under way outside of this process end with an error, and none begins.
    fn give_up(&self) {}
}

/// A process without plugins.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPlugins;

impl Plugins for NoPlugins {
    fn find(&self, artifact: Option<&Artifact>) -> Result<Arc<dyn Plugin>> {
        Err(missing(artifact))
    }
}

/// A process that has a plugin linked into it, and no other.
#[derive(Clone)]
pub struct Linked(pub Arc<dyn Plugin>);

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Linked").field(&self.0.info()).finish()
    }
}

impl Plugins for Linked {
    fn find(&self, artifact: Option<&Artifact>) -> Result<Arc<dyn Plugin>> {
        match artifact {
            None => Ok(self.0.clone()),
            Some(_) => Err(missing(artifact)),
        }
    }
}

fn missing(artifact: Option<&Artifact>) -> Error {
    match artifact {
        Some(artifact) => Error::environment(format!("the plugin {artifact} is not in this process")),
        None => Error::user(
            "the job has operators of a plugin that is linked into the process it was made in, and not into this one",
        )
        .with_help("run it in that process, or build the plugin as a `cdylib` and submit the file"),
    }
}
