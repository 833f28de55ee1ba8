//! Sinks whose commits wait for each other.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::datatypes::Schema;
use tokio::sync::Barrier;
use tokio::time::timeout;
use weir_core::connector::{Boundedness, Connector, Discard, OptionInfo, Role};
use weir_core::{Attempt, Epoch, JobIdentity, Location, OperatorUid, TableSpec};
use weir_state::{ManifestHeader, MemoryStorage};

use super::*;
use crate::BlockingInline;

/// A system in which no sink gets on before all of them have begun: each ends what another one has to wait for.
struct Meeting(Barrier);

#[async_trait]
impl Connector for Meeting {
    fn name(&self) -> &'static str {
        "meeting"
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _: &TableSpec, _: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _: &TableSpec) -> Boundedness {
        Boundedness::Bounded
    }

    async fn commit(&self, table: &TableSpec, _: Commit) -> Result<()> {
        self.0.wait().await;
        if table.name == "broken" { Err(Error::environment("it is away")) } else { Ok(()) }
    }

    async fn discard(&self, _: &TableSpec, _: Discard) -> Result<()> {
        self.0.wait().await;
        Ok(())
    }
}

struct Meetings(Arc<Meeting>);

impl ConnectorRegistry for Meetings {
    fn get(&self, _: &str) -> Option<Arc<dyn Connector>> {
        Some(self.0.clone())
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["meeting"]
    }
}

pub(crate) fn table(name: &str) -> (OperatorUid, TableSpec) {
    (OperatorUid(name.to_owned()), TableSpec::new(name, "meeting", BTreeMap::new(), Arc::new(Schema::empty())))
}

/// What commits to so many sinks.
pub(crate) fn committer(sinks: usize) -> Committer {
    let connectors = Arc::new(Meetings(Arc::new(Meeting(Barrier::new(sinks)))));
    Committer { connectors, blocking: Arc::new(BlockingInline) }
}

#[tokio::test(start_paused = true)]
async fn all_sinks_are_committed_at_once() {
    let header = ManifestHeader {
        job: "job".to_owned(),
        identity: JobIdentity::default(),
        epoch: Epoch(1),
        attempt: Attempt(1),
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: BTreeMap::new(),
    };
    let commit = async |names: [&str; 3]| {
        let sinks = names.map(table).map(|(uid, table)| SinkCommittables::nothing(uid, table));
        let checkpoint = Manifest::following(None, header.clone(), Vec::new(), sinks.into());
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
        let committed = timeout(Duration::from_secs(1), committer(3).commit(&storage, &checkpoint)).await;
        committed.expect("they wait for each other")
    };
    commit(["one", "two", "three"]).await.unwrap();
    let error = commit(["one", "broken", "three"]).await.unwrap_err().report();
    assert!(error.contains("epoch 1 of broken could not be committed") && error.contains("it is away"), "{error}");
}
