//! A job that is linked into the application, where the planner and the engine look for plugins.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use weir_core::plugin::{Artifact, ArtifactHash, JobStep, Plugin, Plugins};
use weir_core::{Error, Result};
use weir_jobs::JobPlugin;
use weir_sql::{KnownArtifact, Script, declarations_of, parse, script_of, shared};

/// The job, and the functions that its SQL may call.
#[derive(Clone)]
pub struct LinkedJob {
    plugin: Arc<JobPlugin>,
    /// Stands for a file in declarations of functions, which name one. Operators need none.
    artifact: Artifact,
}

impl LinkedJob {
    pub fn new(plugin: JobPlugin) -> Self {
        let hash = ArtifactHash::from_bytes([0; 32]);
        let artifact = Artifact { hash, name: "application".into(), version: "0".into(), folder: None };
        Self { plugin: Arc::new(plugin), artifact }
    }

    /// The job with these arguments as a script.
    ///
    /// # Errors
    /// What is wrong with the job.
    pub fn script(&self, arguments: &BTreeMap<String, String>) -> Result<Script> {
        let mut description = self.plugin.job(arguments)?;
        let declarations = self.declarations(&script_of(&description, None)?)?;
        if !declarations.is_empty() {
            description.steps.insert(0, JobStep::Sql(declarations));
        }
        script_of(&description, None)
    }

    /// A script, which may call the functions, behind the tables of the application if there are some.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn declared(&self, text: &str, has_tables: bool) -> Result<Script> {
        let text = format!("{}{text}", self.declarations(&parse(text)?)?);
        if !has_tables {
            return parse(&text);
        }
        let mut description = self.plugin.job(&BTreeMap::new())?;
        description.steps.push(JobStep::Sql(text));
        script_of(&description, None)
    }

    /// Statements that declare the functions that a script calls.
    fn declarations(&self, script: &Script) -> Result<String> {
        let known = KnownArtifact { artifact: self.artifact.clone(), functions: self.plugin.functions()? };
        declarations_of(&known, &shared::called(script))
    }
}

impl fmt::Debug for LinkedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkedJob").field(&self.plugin.info()).finish()
    }
}

impl Plugins for LinkedJob {
    fn find(&self, artifact: Option<&Artifact>) -> Result<Arc<dyn Plugin>> {
        match artifact {
            Some(other) if *other != self.artifact => Err(Error::user(format!(
                "the plugin {other} is a file, and an application runs what is linked into it"
            ))
            .with_help(
                "run the script with `weir run` or in a cluster; or export the functions with `Embedded::functions`",
            )),
            _ => Ok(self.plugin.clone()),
        }
    }
}
