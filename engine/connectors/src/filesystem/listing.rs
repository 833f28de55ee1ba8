//! Which files a path stands for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_core::{Error, Result};

use super::options::file_error;
use crate::options::nearest;
use crate::stored_file::Identity;

/// A file as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its path, as far as it was given relative.
    pub(super) path: String,
    /// In bytes.
    pub(super) size: u64,
    /// Last modification, in milliseconds since 1970.
    pub(super) modified: i64,
    /// What else tells it from another file.
    pub(super) identity: Identity,
}

impl FileInfo {
    /// The file at a path, which may be a URL.
    pub fn new(path: String, identity: Identity) -> Self {
        Self { path, size: identity.size, modified: identity.modified_ms(), identity }
    }

    fn of(path: String, metadata: &std::fs::Metadata) -> Self {
        Self::new(path, Identity::of(metadata))
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The path of a `'path'` option, which may be written as a URL.
pub(crate) fn local_path(path: &str) -> Result<&str> {
    if let Some(path) = path.strip_prefix("file://") {
        return if path.starts_with('/') {
            Ok(path)
        } else {
            Err(Error::user(format!("the URL 'file://{path}' names a host"))
                .with_help("a local path has three slashes: file:///folder/file"))
        };
    }
    match path.split_once("://") {
        Some((scheme, _)) => Err(Error::user(format!("'{path}' is not a local path: '{scheme}' is not supported"))),
        None if path.is_empty() => Err(Error::user("the path is empty")),
        None => Ok(path.strip_prefix("file:").unwrap_or(path)),
    }
}

/// The same place, whatever the working directory is. A path that is no local one stays for [`local_path`] to refuse.
pub(super) fn anchored(path: &str, directory: &Path) -> String {
    let Some(relative) = local_path(path).ok().filter(|path| !path.starts_with('/')) else { return path.to_owned() };
    let relative = relative.trim_start_matches("./");
    let directory = directory.to_string_lossy();
    let directory = directory.trim_end_matches('/');
    match relative {
        "" | "." => format!("{directory}/"),
        // Only the pattern is one, wherever it stands.
        _ if is_pattern(relative) => format!("{}/{relative}", glob::Pattern::escape(directory)),
        _ => format!("{directory}/{relative}"),
    }
}

/// Whether it stands for what matches it.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing<Files> {
    /// These files; a folder may have none.
    Files(Files),
    /// It is a pattern that nothing matches.
    NoMatch,
    /// There is nothing of that name.
    Missing,
}

impl<Files: Default> Listing<Files> {
    /// Its files, if it has some or need not have any.
    ///
    /// # Errors
    /// If there is nothing at `path`: a user error, or, if there `was` something before, one of the environment.
    pub(super) fn files(self, path: &str, may_be_empty: bool, was: bool) -> Result<Files> {
        match self {
            Listing::Files(files) => Ok(files),
            Listing::NoMatch if may_be_empty => Ok(Files::default()),
            Listing::NoMatch | Listing::Missing if was => Err(gone(path)),
            Listing::NoMatch => {
                let help = match path.contains("://") {
                    true => "to wait for objects, set 'source.monitor-interval'",
                    false => {
                        "a relative path begins at the working directory; to wait for files, set 'source.monitor-interval'"
                    }
                };
                Err(Error::user(format!("no file matches '{path}'")).with_help(help))
            }
            Listing::Missing => Err(missing(path)),
        }
    }
}

/// The error for a path that is not there any more.
pub(super) fn gone(path: &str) -> Error {
    Error::environment(format!("'{path}' is not there any more"))
        .with_help("bring the folder back, or mount it; the job goes on where it was")
}

/// The files that `path` stands for, in order of their paths.
///
/// # Errors
/// A user error if it cannot be a path; one of the environment if a folder cannot be read.
pub(super) fn list(path: &str) -> Result<Listing<Vec<FileInfo>>> {
    let path = local_path(path)?;
    let mut walk = Walk::default();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk.folder(Path::new(path))?,
        Ok(metadata) => walk.files.push(FileInfo::of(path.to_owned(), &metadata)),
        Err(_) if is_pattern(path) => {
            let entries = glob::glob(path)
                .map_err(|error| Error::user(format!("'{path}' is not a valid pattern")).with_source(error))?;
            let mut any = false;
            for entry in entries {
                let entry = entry.map_err(|error| {
                    let folder = error.path().display().to_string();
                    file_error(&folder, "cannot read this folder", error.into())
                })?;
                if !is_hidden(&entry) {
                    any = true;
                    walk.entry(entry)?;
                }
            }
            if !any {
                return Ok(Listing::NoMatch);
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Listing::Missing),
        Err(error) => return Err(file_error(path, "cannot look at this path", error)),
    }
    walk.files.sort_by(|left, right| left.path.cmp(&right.path));
    walk.files.dedup_by(|left, right| left.path == right.path);
    Ok(Listing::Files(walk.files))
}

fn missing(path: &str) -> Error {
    let error = Error::user(format!("there is no file or folder '{path}'"));
    let whole = Path::new(path);
    let folder = whole.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let wanted = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(name) => error.with_help(format!("did you mean '{}'?", whole.with_file_name(name).display())),
        None if !folder.is_dir() => error.with_help(format!("the folder '{}' does not exist either", folder.display())),
        None => error.with_help("a relative path begins at the working directory"),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| is_hidden_name(name.as_encoded_bytes()))
}

/// Whether a file or folder of that name is passed over.
pub(super) fn is_hidden_name(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'.' | b'_'))
}

#[derive(Default)]
struct Walk {
    files: Vec<FileInfo>,
    /// Folders that have been entered, so that links in a circle end.
    entered: BTreeSet<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path) -> Result<()> {
        let fail = |error| file_error(&folder.display().to_string(), "cannot read this folder", error);
        if !self.entered.insert(folder.canonicalize().map_err(fail)?) {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if !is_hidden(&path) {
                self.entry(path)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf) -> Result<()> {
        let text = path
            .to_str()
            .ok_or_else(|| Error::data(format!("the name of '{}' is not valid UTF-8", path.display())))?
            .to_owned();
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => self.folder(&path),
            Ok(metadata) => {
                self.files.push(FileInfo::of(text, &metadata));
                Ok(())
            }
            // Renamed or deleted since its folder was read.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file_error(&text, "cannot look at this file", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_meant_from_where_it_was_written() {
        let from = |path: &str| anchored(path, Path::new("/home/me [1]"));
        assert_eq!(from("in.csv"), "/home/me [1]/in.csv");
        assert_eq!(from("./data/"), "/home/me [1]/data/");
        assert_eq!(from("../in.csv"), "/home/me [1]/../in.csv");
        assert_eq!(from("file:in.csv"), "/home/me [1]/in.csv");
        assert_eq!(from("."), "/home/me [1]/");
        assert_eq!(from("*.csv"), "/home/me [[]1[]]/*.csv", "only the pattern is a pattern");
        assert_eq!(anchored("in.csv", Path::new("/")), "/in.csv");
        for fixed in ["/in.csv", "file:///in.csv", "s3://bucket/in.csv", "", "file://host/in.csv"] {
            assert_eq!(from(fixed), fixed);
        }
        assert_eq!(from(&from("in.csv")), from("in.csv"));
    }
}
