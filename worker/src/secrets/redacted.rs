//! Errors of a connector without the secrets that it was given: the user, the coordinators' state and the logs get them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_core::connector::Sink;
use weir_core::lookup::Found;
use weir_core::source::{AssignedSplit, SplitLag, SplitPosition};
use weir_core::{Batch, Epoch, Error, LookupTable, Result, Source, SourceEvent, Split, SplitDiscovery};

/// Secrets that are shorter stay in errors: they would be found in every text.
const SHORTEST: usize = 3;

/// What must not be told, the longest first: one secret may be part of another.
#[derive(Clone)]
pub(super) struct Untold(Arc<[String]>);

/// Something of a connector that was opened with secrets.
struct Redacted<T: ?Sized> {
    secrets: Untold,
    inner: Box<T>,
}

impl Untold {
    pub(super) fn new(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets.into())
    }

    /// The error without the secrets; the same one if it has none.
    pub(super) fn redacted(&self, error: Error) -> Error {
        let report = error.report();
        if !self.0.iter().any(|secret| report.contains(secret)) {
            return error;
        }
        Error::new(error.kind(), self.without(report))
    }

    /// The text without the secrets.
    pub(super) fn without(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret, "***"))
    }

    pub(super) fn discovery(&self, opened: Result<Box<dyn SplitDiscovery>>) -> Result<Box<dyn SplitDiscovery>> {
        self.around(opened, |redacted| Box::new(redacted))
    }

    pub(super) fn source(&self, opened: Result<Box<dyn Source>>) -> Result<Box<dyn Source>> {
        self.around(opened, |redacted| Box::new(redacted))
    }

    pub(super) fn lookup(&self, opened: Result<Box<dyn LookupTable>>) -> Result<Box<dyn LookupTable>> {
        self.around(opened, |redacted| Box::new(redacted))
    }

    pub(super) fn sink(&self, opened: Result<Box<dyn Sink>>) -> Result<Box<dyn Sink>> {
        self.around(opened, |redacted| Box::new(redacted))
    }

    /// What was opened, with errors redacted from now on. Without secrets it stays as it is.
    fn around<T: ?Sized>(&self, opened: Result<Box<T>>, wrap: fn(Redacted<T>) -> Box<T>) -> Result<Box<T>> {
        let inner = opened.map_err(|error| self.redacted(error))?;
        Ok(if self.0.is_empty() { inner } else { wrap(Redacted { secrets: self.clone(), inner }) })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SplitDiscovery for Redacted<dyn SplitDiscovery> {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        self.inner.next().await.map_err(|error| self.secrets.redacted(error))
    }

    fn finished(&mut self, sequence: &Arc<str>) {
        self.inner.finished(sequence);
    }

    fn forgotten(&mut self) -> Vec<Arc<str>> {
        self.inner.forgotten()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Source for Redacted<dyn Source> {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        self.inner.assign(splits).map_err(|error| self.secrets.redacted(error))
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.inner.next().await.map_err(|error| self.secrets.redacted(error))
    }

    fn positions(&self) -> Vec<SplitPosition> {
        self.inner.positions()
    }

    fn hold(&mut self, splits: &BTreeSet<Arc<str>>) {
        self.inner.hold(splits);
    }

    fn lag(&self) -> Vec<SplitLag> {
        self.inner.lag()
    }

    fn captured(&mut self, epoch: Epoch, positions: &[SplitPosition]) {
        self.inner.captured(epoch, positions);
    }

    async fn completed(&mut self, epoch: Epoch) -> Result<()> {
        self.inner.completed(epoch).await.map_err(|error| self.secrets.redacted(error))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl LookupTable for Redacted<dyn LookupTable> {
    fn wants_keys(&self) -> bool {
        self.inner.wants_keys()
    }

    async fn look_up(&mut self, now: i64, keys: Option<&RecordBatch>) -> Result<Found> {
        self.inner.look_up(now, keys).await.map_err(|error| self.secrets.redacted(error))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Sink for Redacted<dyn Sink> {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.inner.write(batch).await.map_err(|error| self.secrets.redacted(error))
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>> {
        self.inner.prepare(epoch).await.map_err(|error| self.secrets.redacted(error))
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        self.inner.take_staged()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_error_is_told_without_them() {
        let error = Error::environment("no login").with_source("user x, password canary-a").with_help("see canary-a");
        let told = Untold::new(vec!["canary-a".into(), "x".into()]).redacted(error).report();
        assert!(!told.contains("canary") && told.contains("password ***") && told.contains("user x"), "{told}");
        let told = Untold::new(vec!["canary".into(), "canary-long".into()]).redacted(Error::data("canary-long"));
        assert_eq!(told.report(), "***", "nothing is left of the longer one");
    }

    struct Failing;

    #[async_trait]
    impl Sink for Failing {
        async fn write(&mut self, _batch: Batch) -> Result<()> {
            Err(Error::environment("canary-a"))
        }

        async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
            Err(Error::environment("canary-a"))
        }
    }

    #[tokio::test]
    async fn what_fails_later_is_told_without_them_too() {
        let mut sink = Untold::new(vec!["canary-a".into()]).sink(Ok(Box::new(Failing))).unwrap();
        assert_eq!(sink.prepare(Epoch(1)).await.unwrap_err().report(), "***");
    }
}
