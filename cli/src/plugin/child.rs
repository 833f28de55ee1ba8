//! The child process that loads a plugin, and what it says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use weir_core::plugin::{Artifact, FunctionSignature, JobDescription, Plugin, PluginInfo};
use weir_core::{Error, Result};
use weir_plugin_abi::ErrorText;
use weir_plugin_abi::host::load;
use weir_worker::isolated::how_it_ended;
use weir_worker::plugins::{LARGEST_PLUGIN, artifact_hash};

use crate::args::DescribePluginArguments;
use crate::blocking::blocking;

/// How long a plugin may take to say what is in it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A plugin's file.
pub struct PluginFile {
    /// The file. It is not said where it is kept.
    pub artifact: Artifact,
    /// Its content.
    pub content: Vec<u8>,
    /// The copy that was looked into, for as long as this is there.
    copy: tempfile::NamedTempFile,
}

/// What the child answers.
#[derive(Serialize, Deserialize)]
struct Described {
    info: PluginInfo,
    /// `None`: it was not asked for.
    job: Option<JobDescription>,
    functions: Vec<FunctionSignature>,
}

/// `weir describe-plugin`: what the child does. Its answer is the last line.
pub fn describe(arguments: &DescribePluginArguments) -> String {
    let described = load(&arguments.file).and_then(|plugin| {
        let arguments_of_job = || arguments.arguments.iter().cloned().collect();
        let job = if arguments.functions { None } else { Some(plugin.job(&arguments_of_job())?) };
        Ok(Described { info: plugin.info(), job, functions: plugin.functions()? })
    });
    let answer = described.map_err(|error| ErrorText::from(&error));
    let text = serde_json::to_string(&answer).unwrap_or_default();
    format!("\n{text}\n")
}

impl PluginFile {
    /// A file, the job that it is, and the functions that it exports.
    ///
    /// # Errors
    /// If the file cannot be read or is no plugin, and whatever goes wrong in it.
    pub async fn with_job(
        path: &Path,
        arguments: &[(String, String)],
    ) -> Result<(Self, JobDescription, Vec<FunctionSignature>)> {
        let arguments = arguments.iter().flat_map(|(key, value)| ["--arg".to_owned(), format!("{key}={value}")]);
        let (file, described) = Self::described(path, arguments.collect()).await?;
        let job = described.job.ok_or_else(|| Error::internal("a plugin was asked for its job and did not say it"))?;
        Ok((file, job, described.functions))
    }

    /// A file, and the functions that it exports.
    ///
    /// # Errors
    /// As [`with_job`](Self::with_job).
    pub async fn with_functions(path: &Path) -> Result<(Self, Vec<FunctionSignature>)> {
        let (file, described) = Self::described(path, vec!["--functions".to_owned()]).await?;
        Ok((file, described.functions))
    }

    /// The copy of the file that was looked into.
    pub fn copy(&self) -> &Path {
        self.copy.path()
    }

    async fn described(path: &Path, arguments: Vec<String>) -> Result<(Self, Described)> {
        let name = path.display().to_string();
        let path = path.to_owned();
        let (content, copy) = blocking(move || copied(&path)).await?;
        let child = Command::new(std::env::current_exe().map_err(|error| no_child(&name, error))?)
            .arg("describe-plugin")
            .arg(copy.path())
            .args(arguments)
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
            return Err(Error::user(format!("the plugin {name} has not said what is in it within {seconds} seconds"))
                .with_help(
                    "what a job consists of is said without waiting for anything; work is done by its operators",
                ));
        };
        let described = answer(&name, &ended?)?;
        let PluginInfo { name, version } = described.info.clone();
        let artifact = Artifact { hash: artifact_hash(&content), name, version, folder: None };
        Ok((Self { artifact, content, copy }, described))
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
fn answer(name: &str, output: &Output) -> Result<Described> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    match serde_json::from_str::<Result<Described, ErrorText>>(line) {
        Ok(Ok(described)) if output.status.success() => Ok(described),
        Ok(Err(error)) => Err(ErrorText::into(error)),
        _ => {
            let how = how_it_ended(output.status);
            Err(Error::user(format!("the plugin {name} crashed while it described its job: {how}"))
                .with_help("the job was not run; a crash is not caught, as a panic is"))
        }
    }
}
