//! Files that a discovery knows, so that it announces none twice, and when it may forget them.
//!
//! A file that has been read is remembered as long as it is in its folder, and for a while after it has left. An empty listing says
//! nothing about that: the folder may be a mount point of which the file system is away. With a limit on the age of files, those that
//! are older are forgotten though they are there, since no listing finds them any more; the newest, from which ages count, is always
//! remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The files, with the time of their last modification in milliseconds since 1970.
pub(super) type Modified = BTreeMap<Arc<str>, i64>;

/// What is known of files.
#[derive(Debug)]
pub(super) struct KnownFiles {
    /// Those that were announced; shared with the listing that is under way.
    modified: Arc<Modified>,
    /// Those of them that have been read.
    finished: BTreeSet<Arc<str>>,
    /// Since when those are gone that were not in the last listing.
    gone_since: BTreeMap<Arc<str>, Instant>,
    /// What has been forgotten and not been told.
    forgotten: Vec<Arc<str>>,
    forget_after: Duration,
    max_age: Option<Duration>,
}

impl KnownFiles {
    pub(super) fn new(modified: Modified, forget_after: Duration, max_age: Option<Duration>) -> Self {
        Self {
            modified: Arc::new(modified),
            finished: BTreeSet::new(),
            gone_since: BTreeMap::new(),
            forgotten: Vec::new(),
            forget_after,
            max_age,
        }
    }

    pub(super) fn modified(&self) -> Arc<Modified> {
        self.modified.clone()
    }

    /// A file is announced.
    pub(super) fn add(&mut self, path: Arc<str>, modified: i64) {
        Arc::make_mut(&mut self.modified).insert(path, modified);
    }

    /// A file has been read.
    pub(super) fn finish(&mut self, path: &Arc<str>) {
        if self.modified.contains_key(path) {
            self.finished.insert(path.clone());
        }
    }

    /// The folder was listed, and has files; of those that are known `missing` are not among them.
    pub(super) fn listed(&mut self, missing: &BTreeSet<Arc<str>>) {
        let now = Instant::now();
        self.gone_since.retain(|path, _| missing.contains(path));
        for path in missing {
            self.gone_since.entry(path.clone()).or_insert(now);
        }
        let newest = self.modified.values().max().copied();
        let oldest = oldest(&self.modified, self.max_age);
        let is_due = |path: &Arc<str>| {
            let modified = self.modified.get(path).copied();
            let has_left =
                self.gone_since.get(path).is_some_and(|since| now.duration_since(*since) >= self.forget_after);
            modified < newest && (has_left || modified < oldest)
        };
        // Without an age only what is gone can be due, and that is little.
        let due: Vec<Arc<str>> = match self.max_age {
            Some(_) => self.finished.iter().filter(|path| is_due(path)).cloned().collect(),
            None => {
                let gone = self.gone_since.keys();
                gone.filter(|path| self.finished.contains(*path) && is_due(path)).cloned().collect()
            }
        };
        if due.is_empty() {
            return;
        }
        let modified = Arc::make_mut(&mut self.modified);
        for path in due {
            modified.remove(&path);
            self.finished.remove(&path);
            self.gone_since.remove(&path);
            self.forgotten.push(path);
        }
    }

    /// What has been forgotten since this was last asked.
    pub(super) fn take_forgotten(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.forgotten)
    }
}

/// Files that were last modified before this moment are too old; `None`: none are.
pub(super) fn oldest(known: &Modified, max_age: Option<Duration>) -> Option<i64> {
    let max_age = i64::try_from(max_age?.as_millis()).unwrap_or(i64::MAX);
    Some(known.values().max()?.saturating_sub(max_age))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn known(files: &[(&str, i64)], max_age: Option<Duration>) -> KnownFiles {
        let files = files.iter().map(|(path, modified)| ((*path).into(), *modified)).collect();
        let mut known = KnownFiles::new(files, HOUR, max_age);
        known.modified().keys().for_each(|path| known.finish(path));
        known
    }

    fn forgotten(known: &mut KnownFiles, missing: &[&str]) -> Vec<Arc<str>> {
        known.listed(&missing.iter().map(|path| (*path).into()).collect());
        known.take_forgotten()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_was_read_is_forgotten_when_it_has_been_gone_for_long_enough() {
        let mut known = known(&[("a", 1), ("b", 2), ("c", 3)], None);
        known.add("unread".into(), 0);
        let none: [Arc<str>; 0] = [];
        assert_eq!(forgotten(&mut known, &["a", "b", "unread"]), none);
        advance(HOUR / 2).await;
        assert_eq!(forgotten(&mut known, &["a", "unread"]), none, "b is back");
        advance(HOUR / 2).await;
        assert_eq!(forgotten(&mut known, &["a", "b", "unread"]), ["a".into()]);
        advance(HOUR).await;
        assert_eq!(forgotten(&mut known, &["b", "c", "unread"]), ["b".into()]);
        advance(HOUR).await;
        assert_eq!(forgotten(&mut known, &["c", "unread"]), none, "the newest stays");
        assert_eq!(known.modified().len(), 2);
        known.add("d".into(), 4);
        assert_eq!(forgotten(&mut known, &["c", "unread"]), ["c".into()]);
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_are_too_old_are_forgotten_though_they_are_there() {
        let mut known = known(&[("a", 1000), ("b", 2000), ("c", 3000)], Some(Duration::from_millis(1000)));
        assert_eq!(oldest(&known.modified(), known.max_age), Some(2000));
        assert_eq!(forgotten(&mut known, &[]), ["a".into()]);
        known.add("d".into(), 9000);
        assert_eq!(forgotten(&mut known, &[]), ["b".into(), "c".into()]);
        assert_eq!(oldest(&known.modified(), None), None);
    }
}
