//! Plugins on the command line: jobs, and functions that scripts call. A file is copied, and a child process loads the copy and says what
//! is in it: what crashes there, or does not come to an end, is told, and has done no harm.
//!
//! ```text
//!   weir run libjob.so --arg k=v ──▶ weir describe-plugin COPY --arg k=v ──▶ JobDescription ─▶ Script, planned as any other
//!   CREATE FUNCTION … USING ARTIFACT 'lib.so' ──▶ weir describe-plugin COPY --functions ──▶ signatures, written into the script
//! ```
//!
//! - `child`: the child process, and what it says
//! - `functions`: plugins whose functions a script calls

mod child;
mod functions;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use weir_core::plugin::{Artifact, FunctionSignature, JobDescription, JobStep};
use weir_core::{Error, JobGraph, Result};
use weir_functions::Functions;
use weir_sql::{KnownArtifact, Script, declarations_of, script_of, shared};
use weir_worker::plugins::JobPlugins;

pub use self::child::{PluginFile, describe};
pub use self::functions::FunctionPlugins;

/// A plugin's file, and what it says of the job.
pub struct PluginJob {
    file: Arc<PluginFile>,
    /// The file, and where it is kept.
    artifact: Artifact,
    description: JobDescription,
    /// What its SQL may call.
    functions: Vec<FunctionSignature>,
}

/// Whether a file is to be taken for a plugin: a binary, or named as one.
pub fn is_plugin(path: &Path) -> bool {
    let has_name = path.extension().is_some_and(|extension| extension == "so");
    let is_binary = || {
        let mut first = [0; 4];
        let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut first));
        read.is_ok() && first == *b"\x7fELF"
    };
    has_name || (path != Path::new("-") && is_binary())
}

impl PluginJob {
    /// Has the plugin in this file describe its job.
    ///
    /// # Errors
    /// If the file cannot be read or is no plugin, and whatever goes wrong in it.
    pub async fn described(path: &Path, arguments: &[(String, String)]) -> Result<Self> {
        let (file, description, functions) = PluginFile::with_job(path, arguments).await?;
        Ok(Self { artifact: file.artifact.clone(), file: Arc::new(file), description, functions })
    }

    /// What the job is called if nobody says otherwise.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Its file.
    pub fn file(&self) -> &Arc<PluginFile> {
        &self.file
    }

    /// Where its file is kept from now on: the URL of a folder.
    pub fn keep_in(&mut self, folder: &str) {
        self.artifact.folder = Some(folder.to_owned());
    }

    /// The job as a script, behind these statements. It may call the functions that its plugin exports.
    ///
    /// # Errors
    /// A user error if it cannot be one, or calls a function of its own by the name of a built-in one.
    pub fn script(&self, before: &str) -> Result<Script> {
        let known = KnownArtifact { artifact: self.artifact.clone(), functions: self.functions.clone() };
        let mut description = self.description.clone();
        let called = shared::called(&script_of(&description, Some(&self.artifact))?);
        for text in [declarations_of(&known, &called)?, before.to_owned()].into_iter().filter(|text| !text.is_empty()) {
            description.steps.insert(0, JobStep::Sql(text));
        }
        script_of(&description, Some(&self.artifact))
    }
}

/// What a job may call, with those of these plugins that it needs loaded into this process.
///
/// # Errors
/// If one is not among them, or cannot be loaded here.
pub fn functions_of(graph: &JobGraph, files: &[Arc<PluginFile>]) -> Result<Arc<Functions>> {
    let artifacts = graph.artifacts();
    if artifacts.is_empty() {
        return Ok(Functions::built_in());
    }
    let mut plugins = JobPlugins::default();
    for artifact in artifacts {
        let file = files.iter().find(|file| file.artifact.hash == artifact.hash);
        let file = file.ok_or_else(|| Error::user(format!("the file of the plugin {artifact} is not known here")))?;
        plugins.add_file(artifact, file.copy(), graph.isolation())?;
    }
    Functions::built_in().of_job(graph, Arc::new(plugins)).map(Arc::new)
}

/// `key=value`.
///
/// # Errors
/// What is wrong with it.
pub fn argument(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "write it as key=value".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Arguments by name; each once.
///
/// # Errors
/// If one is given twice.
pub fn once(arguments: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    for (key, value) in arguments {
        if known.insert(key.clone(), value.clone()).is_some() {
            return Err(Error::user(format!("the argument `{key}` is given twice")));
        }
    }
    Ok(known)
}
