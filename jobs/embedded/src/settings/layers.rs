//! What was given where. Values are checked when they are added, so that the error can name the place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use weir_connectors::options::nearest;
use weir_core::{Error, Result};

use super::registry::{self, Default, Setting};
use super::value::Value;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a TOML file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// By `-D`.
    Define,
    /// By a flag of its own.
    Flag(&'static str),
    /// By the program that the engine is embedded in.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Origin::Define => f.write_str("-D"),
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Program => f.write_str("the program"),
        }
    }
}

/// Why a setting was refused. Whoever reads the setting knows where it stands and says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it is the value that is wrong, and not the key.
    pub in_value: bool,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl Problem {
    fn at(self, origin: &Origin) -> Error {
        Error::user(format!("{origin}: {}", self.message)).with_help(self.help)
    }
}

/// The settings that were given, by layer.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    file: BTreeMap<&'static str, Value>,
    script: BTreeMap<&'static str, Value>,
    command_line: BTreeMap<&'static str, (Value, Origin)>,
}

impl Layers {
    /// Takes in a TOML file.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or sets what does not exist or cannot be.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read the settings in {}", path.display());
            let error_with = |kind: fn(String) -> Error| kind(message.clone()).with_source(error.to_string());
            if error.kind() == std::io::ErrorKind::NotFound {
                error_with(Error::user)
            } else {
                error_with(Error::environment)
            }
        })?;
        for entry in super::file::entries(path, &text)? {
            let origin = Origin::File { path: path.to_owned(), line: entry.line };
            let (setting, value) = check(&entry.key, &entry.value).map_err(|problem| problem.at(&origin))?;
            if self.file.insert(setting.key, value).is_some() {
                return Err(Error::user(format!("{origin}: {} is set twice in this file", setting.key)));
            }
        }
        Ok(())
    }

    /// Takes in a `SET`.
    ///
    /// # Errors
    /// If there is no such setting or it cannot have that value.
    pub fn set_in_script(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        let (setting, value) = check(key, value)?;
        self.script.insert(setting.key, value);
        Ok(())
    }

    /// Takes in a `RESET`, of one key or all: what an earlier `SET` said does not hold any more.
    ///
    /// # Errors
    /// If there is no such setting.
    pub fn reset_in_script(&mut self, key: Option<&str>) -> Result<(), Problem> {
        match key {
            None => self.script.clear(),
            Some(key) => {
                self.script.remove(known(key)?.key);
            }
        }
        Ok(())
    }

    /// Takes in what the command line says, by `-D` or a flag.
    ///
    /// # Errors
    /// If there is no such setting, it cannot have that value, or the command line says something else elsewhere.
    pub fn set_on_command_line(&mut self, key: &str, value: &str, origin: Origin) -> Result<()> {
        let (setting, value) = check(key, value).map_err(|problem| problem.at(&origin))?;
        match self.command_line.get(setting.key) {
            Some((earlier, by)) if *earlier != value => Err(Error::user(format!(
                "the command line gives {} two different values, by {by} and by {origin}",
                setting.key
            ))
            .with_help("leave one of them out")),
            _ => {
                self.command_line.insert(setting.key, (value, origin));
                Ok(())
            }
        }
    }

    /// Whether anybody has said anything about it.
    pub fn is_given(&self, key: &str) -> bool {
        self.command_line.contains_key(key) || self.script.contains_key(key) || self.file.contains_key(key)
    }

    /// The value that holds; `None` if none was given and the default is not a fixed one.
    pub fn get(&self, key: &str) -> Option<Value> {
        let given = self.command_line.get(key).map(|(value, _)| value);
        if let Some(value) = given.or_else(|| self.script.get(key)).or_else(|| self.file.get(key)) {
            return Some(value.clone());
        }
        let setting = registry::find(key)?;
        match setting.default {
            Default::Value(text) => setting.kind.parse(text),
            Default::Computed(_) => None,
        }
    }
}

fn known(key: &str) -> Result<&'static Setting, Problem> {
    registry::find(key.trim()).ok_or_else(|| Problem {
        in_value: false,
        message: format!("there is no setting '{key}'"),
        help: match nearest(key, registry::keys()) {
            Some(near) => format!("did you mean '{near}'? `weir options` lists them all"),
            None => "`weir options` lists all settings".into(),
        },
    })
}

fn check(key: &str, value: &str) -> Result<(&'static Setting, Value), Problem> {
    let setting = known(key)?;
    match setting.kind.parse(value) {
        Some(parsed) => Ok((setting, parsed)),
        None => Err(Problem {
            in_value: true,
            message: format!("{} cannot be '{value}': expected {}", setting.key, setting.kind.expected()),
            help: format!("the default is {}", setting.default.describe()),
        }),
    }
}
