//! Which names a path stands for where there are only names, as in an object store: what looks like a folder is what names begin with.

use glob::{MatchOptions, Pattern};
use weir_core::{Error, Result};

use super::listing::{is_hidden_name, is_pattern};

/// A path to a file, a folder or a pattern.
#[derive(Debug)]
pub struct Wanted<'a> {
    path: &'a str,
    pattern: Option<Pattern>,
}

impl<'a> Wanted<'a> {
    /// # Errors
    /// A user error if it is a pattern that makes no sense.
    pub fn new(path: &'a str) -> Result<Self> {
        let pattern = is_pattern(path).then(|| Pattern::new(path.trim_end_matches('/'))).transpose();
        let pattern =
            pattern.map_err(|error| Error::user(format!("'{path}' is not a valid pattern")).with_source(error))?;
        Ok(Self { path, pattern })
    }

    /// Whether it may be the name of one file.
    pub fn may_be_file(&self) -> bool {
        self.pattern.is_none() && !self.path.is_empty() && !self.path.ends_with('/')
    }

    /// The folder that all names are in, without a slash at its end; empty: all there are.
    pub fn folder(&self) -> &'a str {
        let folder = match &self.pattern {
            None => Some(self.path),
            Some(_) => {
                let literal = self.path.split(['*', '?', '[']).next();
                literal.and_then(|literal| literal.rsplit_once('/')).map(|(folder, _)| folder)
            }
        };
        folder.unwrap_or_default().trim_end_matches('/')
    }

    /// Whether a name is meant. Those that begin with a dot or a low line are not, nor are folders that do.
    pub fn takes(&self, name: &str) -> bool {
        let is_shown = |path: &str| path.split('/').all(|part| !is_hidden_name(part.as_bytes()));
        match &self.pattern {
            None if self.folder().is_empty() => is_shown(name),
            None => {
                let within = name.strip_prefix(self.folder()).and_then(|rest| rest.strip_prefix('/'));
                within.is_some_and(is_shown)
            }
            // All that is in a folder that matches, too.
            Some(pattern) => {
                let itself = (!self.path.ends_with('/')).then_some(name.len());
                let ends = name.match_indices('/').map(|(end, _)| end).chain(itself);
                let mut matching = ends.filter(|end| pattern.matches_with(&name[..*end], OPTIONS));
                matching.any(|end| is_shown(&name[name[..end].rfind('/').map_or(0, |slash| slash + 1)..]))
            }
        }
    }
}

/// As in folders: a star does not go beyond a part of a path.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(path: &str, folder: &str, taken: &[&str], left: &[&str]) {
        let wanted = Wanted::new(path).unwrap();
        assert_eq!(wanted.folder(), folder);
        taken.iter().for_each(|name| assert!(wanted.takes(name), "{path} stands for {name}"));
        left.iter().for_each(|name| assert!(!wanted.takes(name), "{path} does not stand for {name}"));
    }

    #[test]
    fn a_folder_stands_for_what_is_in_it_and_below() {
        for path in ["logs", "logs/"] {
            check(path, "logs", &["logs/a", "logs/day=1/b"], &["log", "logsa/b", "logs/.a", "logs/_b/c", "logs/d/_e"]);
        }
        check("", "", &["a", "b/c"], &["_a", ".b/c"]);
        check("_own/x", "_own/x", &["_own/x/a"], &["_own/xa"]);
    }

    #[test]
    fn a_pattern_stands_for_what_matches_and_for_what_is_in_folders_that_do() {
        let left = ["logs/a/b.csv", "logs/.a.csv", "logs/a.json", "log/a.csv", "logs/_x.csv/c"];
        check("logs/*.csv", "logs", &["logs/a.csv", "logs/a.csv/part"], &left);
        check("logs/day=*/", "logs", &["logs/day=1/x", "logs/day=1/x/y"], &["logs/day=1", "logs/x/day=1/y"]);
        check("logs/day=?", "logs", &["logs/day=1/x/y"], &["logs/day=11/x", "logs/x/day=1/y", "logs/day=1/_x"]);
        check("*", "", &["a", "b/c"], &[".a", "_b/c"]);
        check("l[ab]/**/x", "", &["la/x", "lb/1/2/x"], &["lc/x"]);
        assert!(Wanted::new("a[").is_err());
    }

    #[test]
    fn one_file_is_named_in_full() {
        for (path, may_be) in [("a/b.csv", true), ("a/", false), ("", false), ("a/*.csv", false)] {
            assert_eq!(Wanted::new(path).unwrap().may_be_file(), may_be, "{path}");
        }
    }
}
