//! Jobs of plugins. A file is copied, and a child process loads the copy and has it describe its job: what crashes there, or does not come
//! to an end, is told, and has done no harm.
//!
//! ```text
//!   weir run libjob.so --arg k=v ──▶ weir describe-plugin COPY --arg k=v ──▶ JobDescription ─▶ Script, planned as any other
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use weir_core::plugin::{Artifact, JobDescription, Plugin, PluginInfo};
use weir_core::{Error, Result};
use weir_functions::Functions;
use weir_plugin_abi::ErrorText;
use weir_plugin_abi::host::load;
use weir_sql::{Script, script_of};
use weir_worker::plugins::{JobPlugins, LARGEST_PLUGIN, artifact_hash};

use crate::args::DescribePluginArguments;
use crate::blocking::blocking;

/// How long a plugin may take to describe its job.
const PATIENCE: Duration = Duration::from_secs(30);

/// A plugin's file, and what it says of the job.
pub struct PluginJob {
    /// The file.
    pub artifact: Artifact,
    /// Its content.
    pub content: Arc<Vec<u8>>,
    description: JobDescription,
    /// The copy that was described, for as long as this is there.
    copy: tempfile::NamedTempFile,
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

/// What the child answers.
#[derive(Serialize, Deserialize)]
enum Described {
    Job(PluginInfo, JobDescription),
    Failed(ErrorText),
}

/// `weir describe-plugin`: what the child does. Its answer is the last line.
pub fn describe(arguments: &DescribePluginArguments) -> String {
    let described = load(&arguments.file).and_then(|plugin| {
        let job = plugin.job(&arguments.arguments.iter().cloned().collect())?;
        Ok(Described::Job(plugin.info(), job))
    });
    let answer = described.unwrap_or_else(|error| Described::Failed(ErrorText::from(&error)));
    let text = serde_json::to_string(&answer).unwrap_or_default();
    format!("\n{text}\n")
}

impl PluginJob {
    /// Has the plugin in this file describe its job.
    ///
    /// # Errors
    /// If the file cannot be read or is no plugin, and whatever goes wrong in it.
    pub async fn described(path: &Path, arguments: &[(String, String)]) -> Result<Self> {
        let name = path.display().to_string();
        let path = path.to_owned();
        let (content, copy) = blocking(move || copied(&path)).await?;
        let child = Command::new(std::env::current_exe().map_err(|error| no_child(&name, error))?)
            .arg("describe-plugin")
            .arg(copy.path())
            .args(arguments.iter().flat_map(|(key, value)| ["--arg".to_owned(), format!("{key}={value}")]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| no_child(&name, error))?;
        let pid = Pid::from_child(&child);
        let ended = blocking(move || {
            child.wait_with_output().map_err(|error| Error::environment("a child process is lost").with_source(error))
        });
        let Ok(ended) = tokio::time::timeout(PATIENCE, ended).await else {
            // Whoever waits for it, a thread of its own, hears that it has ended.
            let _ = kill_process(pid, Signal::KILL);
            let seconds = PATIENCE.as_secs();
            return Err(Error::user(format!("the plugin {name} has not described its job within {seconds} seconds"))
                .with_help(
                    "what a job consists of is said without waiting for anything; work is done by its operators",
                ));
        };
        let (info, description) = answer(&name, &ended?)?;
        let artifact = Artifact { hash: artifact_hash(&content), name: info.name, version: info.version, folder: None };
        Ok(Self { artifact, content: Arc::new(content), description, copy })
    }

    /// What the job is called if nobody says otherwise.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Where its file is kept from now on: the URL of a folder.
    pub fn keep_in(&mut self, folder: String) {
        self.artifact.folder = Some(folder);
    }

    /// The job as a script, behind these statements.
    ///
    /// # Errors
    /// A user error if it cannot be one.
    pub fn script(&self, before: &str) -> Result<Script> {
        let mut description = self.description.clone();
        if !before.is_empty() {
            description.steps.insert(0, weir_core::plugin::JobStep::Sql(before.to_owned()));
        }
        script_of(&description, Some(&self.artifact))
    }

    /// What the operators of the job may call, with the plugin loaded into this process.
    ///
    /// # Errors
    /// If it cannot be loaded here.
    pub fn functions(&self) -> Result<Arc<Functions>> {
        let plugin = Arc::new(load(self.copy.path())?);
        let plugins = JobPlugins::one(self.artifact.hash.clone(), plugin);
        Ok(Arc::new(Functions::built_in().with_plugins(Arc::new(plugins))))
    }
}

/// The content of a file, and a copy that stays as it is while the file is built anew.
fn copied(path: &PathBuf) -> Result<(Vec<u8>, tempfile::NamedTempFile)> {
    let name = path.display();
    let length = std::fs::metadata(path)
        .map_err(|error| Error::user(format!("cannot read the plugin {name}")).with_source(error))?
        .len();
    if length > LARGEST_PLUGIN {
        return Err(Error::user(format!(
            "the plugin {name} has {} MiB, and may have {}",
            length >> 20,
            LARGEST_PLUGIN >> 20
        ))
        .with_help("build it with `--release`, and strip it: `strip = true` in the profile"));
    }
    let content = std::fs::read(path)
        .map_err(|error| Error::environment(format!("cannot read the plugin {name}")).with_source(error))?;
    let copied = tempfile::Builder::new().prefix("weir-plugin-").suffix(".so").tempfile().and_then(|mut copy| {
        copy.write_all(&content)?;
        Ok(copy)
    });
    let copy =
        copied.map_err(|error| Error::environment(format!("cannot copy the plugin {name}")).with_source(error))?;
    Ok((content, copy))
}

fn no_child(name: &str, error: std::io::Error) -> Error {
    Error::environment(format!("cannot start a process in which the plugin {name} describes its job"))
        .with_source(error)
}

/// What a child has said before it ended.
fn answer(name: &str, output: &Output) -> Result<(PluginInfo, JobDescription)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    match serde_json::from_str(line) {
        Ok(Described::Job(info, job)) if output.status.success() => Ok((info, job)),
        Ok(Described::Failed(error)) => Err(error.into()),
        _ => {
            let how = match output.status.signal() {
                Some(signal) => format!("signal {signal}{}", signal_name(signal)),
                None => output.status.to_string(),
            };
            Err(Error::user(format!("the plugin {name} crashed while it described its job: {how}"))
                .with_help("the job was not run; a crash is not caught, as a panic is"))
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT: it has ended itself, or ran out of memory)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV: it used memory that is not its own)",
        _ => "",
    }
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
