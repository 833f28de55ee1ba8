//! Secrets in table options, by reference: `'properties.sasl.password' = '${env:WEIR_SECRET_KAFKA}'`.
//!
//! ```text
//!   SQL ─▶ plan ─▶ replicated state ─▶ worker ─▶ Resolving ─▶ connector
//!   └──────────── ${env:…} as it is written ──┘     └─ the secret, in this process alone
//! ```
//!
//! A reference is `${env:NAME}` or `${file:NAME}`. Who may submit a job must not read whatever a worker can read, and write it where he can
//! see it: variables have to begin with `WEIR_SECRET_`, and files have to be in the folder that the worker was told. What a connector says of
//! an error is told without the secrets.

mod redacted;
mod resolving;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use weir_core::{Error, Result};

pub use resolving::Resolving;

/// What a variable's name has to begin with.
pub const PREFIX: &str = "WEIR_SECRET_";
/// Most bytes of a secret.
const MOST_BYTES: u64 = 64 << 10;

/// Reads a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where a worker's secrets are.
#[derive(Clone)]
pub struct Secrets {
    /// Reads the variables of `${env:…}`.
    pub environment: Environment,
    /// The folder of `${file:…}`.
    pub folder: Option<PathBuf>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Secrets {
    /// A worker that has none.
    pub fn none() -> Self {
        Self { environment: Arc::new(|_| None), folder: None }
    }

    /// The text with what is referred to in it, which is added to `found`.
    ///
    /// # Errors
    /// If a reference is wrong, or what it refers to is not there.
    fn resolve(&self, text: &str, found: &mut Vec<String>) -> Result<String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some(start) = ["${env:", "${file:"].iter().filter_map(|begins| rest.find(begins)).min() {
            let (before, reference) = rest.split_at(start);
            let end = reference.find('}').ok_or_else(|| Error::user(format!("'{text}': a reference has no end")))?;
            let secret = self.look_up(&reference[2..end])?;
            resolved.push_str(before);
            resolved.push_str(&secret);
            found.push(secret);
            rest = &reference[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn look_up(&self, reference: &str) -> Result<String> {
        match reference.split_once(':') {
            Some(("env", name)) => self.variable(name),
            Some(("file", name)) => self.file(name),
            _ => Err(Error::user(format!("'${{{reference}}}' is no reference: write ${{env:NAME}} or ${{file:NAME}}"))),
        }
    }

    fn variable(&self, name: &str) -> Result<String> {
        if !name.starts_with(PREFIX) {
            return Err(Error::user(format!("the variable {name} may not be read by a job"))
                .with_help(format!("names of variables that may be begin with {PREFIX}")));
        }
        (self.environment)(name).ok_or_else(|| Error::environment(format!("the worker has no variable {name}")))
    }

    fn file(&self, name: &str) -> Result<String> {
        let folder = self.folder.as_ref().ok_or_else(|| {
            Error::environment(format!("the worker has no folder of secrets, so no {name}"))
                .with_help("start workers with --secrets-dir")
        })?;
        let is_below =
            !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below {
            return Err(Error::user(format!("'{name}' is no name of a file in the worker's folder of secrets")));
        }
        let failed = |error: std::io::Error| {
            Error::environment(format!("the secret {name} cannot be read")).with_source(error.kind().to_string())
        };
        // Links lead no further than the folder; those of a mounted secret stay within it.
        let path = folder.join(name).canonicalize().map_err(failed)?;
        if !path.starts_with(folder.canonicalize().map_err(failed)?) {
            return Err(Error::user(format!("the secret {name} is not in the worker's folder of secrets")));
        }
        if std::fs::metadata(&path).map_err(failed)?.len() > MOST_BYTES {
            return Err(Error::user(format!("the secret {name} is too large to be one")));
        }
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        // Editors and `echo` end a file with a line feed.
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn secrets(folder: &Path) -> Secrets {
        let environment = |name: &str| match name {
            "WEIR_SECRET_A" => Some("canary-a".to_owned()),
            "HOME" => Some("/root".to_owned()),
            _ => None,
        };
        Secrets { environment: Arc::new(environment), folder: Some(folder.to_owned()) }
    }

    #[test]
    fn references_are_replaced_and_lead_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("secrets");
        std::fs::create_dir_all(folder.join("kafka")).unwrap();
        std::fs::write(folder.join("kafka/password"), "canary-b\n").unwrap();
        std::fs::write(outside.path().join("shadow"), "canary-c").unwrap();
        std::os::unix::fs::symlink(outside.path().join("shadow"), folder.join("link")).unwrap();
        let secrets = secrets(&folder);
        let resolve = |text: &str| {
            let mut found = Vec::new();
            secrets.resolve(text, &mut found).map(|text| (text, found)).map_err(|error| error.report())
        };
        let (text, found) = resolve("u=\"x\" p=\"${env:WEIR_SECRET_A}\" q=${file:kafka/password};").unwrap();
        assert_eq!(text, "u=\"x\" p=\"canary-a\" q=canary-b;");
        assert_eq!(found, ["canary-a", "canary-b"]);
        for plain in ["", "a", "${x}", "$env:A", "${ENV:A}", "}{"] {
            assert_eq!(resolve(plain).unwrap().0, plain);
        }
        for (wrong, why) in [
            ("${env:HOME}", "may not be read by a job"),
            ("${env:WEIR_SECRET_B}", "has no variable WEIR_SECRET_B"),
            ("${env:WEIR_SECRET_A", "has no end"),
            ("${file:../shadow}", "is no name of a file"),
            ("${file:/etc/passwd}", "is no name of a file"),
            ("${file:}", "is no name of a file"),
            ("${file:link}", "is not in the worker's folder"),
            ("${file:none}", "cannot be read"),
            ("${file:kafka}", "cannot be read"),
        ] {
            let error = resolve(wrong).unwrap_err();
            assert!(error.contains(why) && !error.contains("canary"), "{wrong}: {error}");
        }
        let none = Secrets::none().resolve("${file:a}", &mut Vec::new()).unwrap_err();
        assert!(none.report().contains("--secrets-dir"));
    }
}
