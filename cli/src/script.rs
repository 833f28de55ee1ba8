//! The script: where its text comes from.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use weir_core::{Error, Result};
use weir_sql::Script;
use weir_sql::diagnostics::behind_lines;

use crate::args::ScriptArguments;
use crate::plugin::{self, FunctionPlugins, PluginFile, PluginJob};

/// Scripts are written by people; what is larger is something else given by mistake.
const LARGEST: u64 = 16 << 20;

/// What the command line names: a script, or a plugin's job.
pub enum Job {
    /// A script.
    Script(ScriptJob),
    /// A plugin's job.
    Plugin(Box<PluginJob>),
}

/// A script, and the plugins whose functions it calls.
pub struct ScriptJob {
    text: String,
    plugins: FunctionPlugins,
    /// Where their files are kept: the URL of a folder.
    folder: Option<String>,
}

impl ScriptJob {
    /// # Errors
    /// If a plugin that it names cannot be read, or is none.
    async fn new(text: String) -> Result<Self> {
        let mut plugins = FunctionPlugins::default();
        // What is wrong with a script is told where it is planned.
        if let Ok(script) = weir_sql::parse(&text) {
            plugins.look_into(&script).await?;
        }
        Ok(Self { text, plugins, folder: None })
    }

    /// The text, with the signatures of what plugins export.
    fn written(&self) -> Result<String> {
        self.plugins.written_into(&weir_sql::parse(&self.text)?, self.folder.as_deref())
    }
}

impl Job {
    /// Reads what the command line names.
    ///
    /// # Errors
    /// If it cannot be read; what goes wrong in a plugin.
    pub async fn read(arguments: &ScriptArguments) -> Result<Self> {
        if let Some(path) = arguments.file.as_deref().filter(|path| plugin::is_plugin(path)) {
            plugin::once(&arguments.arguments)?;
            return Ok(Self::Plugin(Box::new(PluginJob::described(path, &arguments.arguments).await?)));
        }
        if let Some((key, _)) = arguments.arguments.first() {
            return Err(Error::user(format!("a script takes no arguments, and `{key}` is given"))
                .with_help("arguments are for plugins; settings are given with -D"));
        }
        Ok(Self::Script(ScriptJob::new(read(arguments)?).await?))
    }

    /// Its statements, behind those of a catalog.
    ///
    /// # Errors
    /// If they cannot be read. Places are those in the text behind `before`.
    pub fn script(&self, before: &str) -> Result<Script> {
        match self {
            Self::Script(job) => {
                let text = format!("{before}{}", job.written()?);
                weir_sql::parse(&text).map_err(|error| behind_lines(error, before.matches('\n').count()))
            }
            Self::Plugin(job) => job.script(before),
        }
    }

    /// Its text, as it is kept with the job.
    ///
    /// # Errors
    /// Those of [`script`](Self::script).
    pub fn text(&self) -> Result<String> {
        match self {
            Self::Script(job) => job.written(),
            Self::Plugin(job) => Ok(job.script("")?.text.to_string()),
        }
    }

    /// The files of plugins that it needs.
    pub fn files(&self) -> Vec<Arc<PluginFile>> {
        match self {
            Self::Script(job) => job.plugins.files(),
            Self::Plugin(job) => vec![job.file().clone()],
        }
    }

    /// Where these files are kept from now on: the URL of a folder.
    pub fn keep_in(&mut self, folder: String) {
        match self {
            Self::Script(job) => job.folder = Some(folder),
            Self::Plugin(job) => job.keep_in(&folder),
        }
    }

    /// A name for it, if nobody says another one.
    pub fn name(&self, arguments: &ScriptArguments) -> String {
        match self {
            Self::Plugin(job) if !job.name().is_empty() => job.name().to_owned(),
            _ => job_name(arguments),
        }
    }
}

/// Reads the script that the command line names.
///
/// # Errors
/// If it cannot be read.
fn read(arguments: &ScriptArguments) -> Result<String> {
    match (&arguments.execute, &arguments.file) {
        (Some(text), _) => Ok(text.clone()),
        (None, Some(path)) => read_file(path),
        (None, None) => Err(Error::user("there is no script").with_help("name a file, or give SQL with -e")),
    }
}

/// Reads a script; `-` is standard input.
///
/// # Errors
/// If it cannot be read.
pub fn read_file(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return from(std::io::stdin().lock(), "standard input");
    }
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| unreadable(&name, error))?;
    from(file, &name)
}

fn from(reader: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::user(format!("{name} is larger than {} MiB; is it a script?", LARGEST >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Error::user(format!("{name}, line {}: the script is not valid UTF-8", line + 1))
    })
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    let message = format!("cannot read the script {name}");
    let callers_mistake = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory);
    if callers_mistake { Error::user(message) } else { Error::environment(message) }.with_source(error)
}

/// A name for the job, from where its script comes.
fn job_name(arguments: &ScriptArguments) -> String {
    let stem = arguments.file.as_deref().and_then(Path::file_stem).and_then(|stem| stem.to_str());
    stem.filter(|stem| *stem != "-").unwrap_or("query").to_owned()
}
