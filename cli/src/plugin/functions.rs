//! Plugins whose functions a script calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use weir_core::plugin::{Artifact, ArtifactHash, FunctionSignature};
use weir_core::{Error, ErrorKind, Result};
use weir_sql::diagnostics::error_at;
use weir_sql::{KnownArtifact, Script, Span, unknown_artifacts, with_signatures};

use super::PluginFile;

/// Plugins that were looked into.
#[derive(Default)]
pub struct FunctionPlugins {
    /// As they were found last, by the words of the script.
    found: BTreeMap<String, (Arc<PluginFile>, Vec<FunctionSignature>)>,
    /// All contents that there were: a script calls functions of a file as it was when they were declared.
    files: Vec<Arc<PluginFile>>,
}

impl FunctionPlugins {
    /// Looks into the files that a script declares functions of. One that was looked into before is read again: it may have been built anew.
    ///
    /// # Errors
    /// At its place in the script if a file cannot be read or is no plugin, and whatever goes wrong in it.
    pub async fn look_into(&mut self, script: &Script) -> Result<()> {
        for file in unknown_artifacts(script) {
            let (plugin, functions) = PluginFile::with_functions(Path::new(&file.value))
                .await
                .map_err(|error| placed(script, file.span, error))?;
            let known = self.files.iter().find(|known| known.artifact.hash == plugin.artifact.hash).cloned();
            let plugin = known.unwrap_or_else(|| {
                self.files.push(Arc::new(plugin));
                self.files[self.files.len() - 1].clone()
            });
            self.found.insert(file.value, (plugin, functions));
        }
        Ok(())
    }

    /// Forgets the contents that a text does not name.
    pub fn keep_named(&mut self, text: &str) {
        let named: BTreeSet<ArtifactHash> = ArtifactHash::all_in(text).collect();
        self.files.retain(|file| named.contains(&file.artifact.hash));
        self.found.retain(|_, (file, _)| named.contains(&file.artifact.hash));
    }

    /// The text of a script with the signatures of their functions, for a job that finds their files in this folder.
    ///
    /// # Errors
    /// At its place in the script if a plugin does not export what the script declares.
    pub fn written_into(&self, script: &Script, folder: Option<&str>) -> Result<String> {
        let known = self.found.iter().map(|(words, (file, functions))| {
            let artifact = Artifact { folder: folder.map(str::to_owned), ..file.artifact.clone() };
            (words.clone(), KnownArtifact { artifact, functions: functions.clone() })
        });
        with_signatures(script, &known.collect())
    }

    /// Their files.
    pub fn files(&self) -> Vec<Arc<PluginFile>> {
        self.files.clone()
    }
}

/// What is wrong with a file, where the script names it.
fn placed(script: &Script, span: Span, error: Error) -> Error {
    if error.kind() != ErrorKind::User {
        return error;
    }
    let at_place = error_at(&script.text, span, error.chain());
    match error.help() {
        Some(help) => at_place.with_help(help),
        None => at_place,
    }
}
