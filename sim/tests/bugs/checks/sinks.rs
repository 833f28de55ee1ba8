//! How results become visible.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use futures::FutureExt;
use weir_connectors::marker::Marker;
use weir_connectors::transactions;
use weir_core::connector::{Boundedness, Commit, Connector, OptionInfo, Role};
use weir_core::{Attempt, Batch, ConnectorRegistry, Epoch, Error, Location, OperatorUid, Result, TableSpec};
use weir_state::{Manifest, ManifestHeader, MemoryStorage, SinkCommittables, Storage};
use weir_worker::{BlockingInline, Committer};

/// Tables of which one is away.
struct Tables {
    away: &'static str,
}

#[async_trait]
impl Connector for Tables {
    fn name(&self) -> &'static str {
        "tables"
    }

    fn supports(&self, _: Role) -> bool {
        true
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
        if table.name == self.away { Err(Error::environment("it is away")) } else { Ok(()) }
    }
}

impl ConnectorRegistry for Tables {
    fn get(&self, _: &str) -> Option<Arc<dyn Connector>> {
        Some(Arc::new(Tables { away: self.away }))
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["tables"]
    }
}

fn prepared(table: &str) -> SinkCommittables {
    let spec = TableSpec::new(table, "tables", BTreeMap::new(), Arc::new(Schema::empty()));
    SinkCommittables {
        uid: OperatorUid(table.to_owned()),
        table: spec,
        committables: vec![vec![1]],
        staged: Vec::new(),
    }
}

/// Whichever of them failed.
pub fn a_checkpoint_is_committed_when_all_sinks_have() {
    let header = ManifestHeader {
        job: "job".to_owned(),
        identity: Default::default(),
        epoch: Epoch(1),
        attempt: Attempt(1),
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: Default::default(),
    };
    let checkpoint = Manifest::following(None, header, Vec::new(), vec![prepared("first"), prepared("second")]);
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    for (away, is_committed) in [("first", false), ("second", false), ("neither", true)] {
        let committer = Committer { connectors: Arc::new(Tables { away }), blocking: Arc::new(BlockingInline) };
        let committed = committer.commit(&storage, &checkpoint).now_or_never().unwrap();
        assert_eq!(committed.is_ok(), is_committed, "{away} is away");
    }
}

/// A system whose marker is gone, or that never answers the end of a transaction, and has undone it.
#[derive(Debug, Clone, Copy)]
struct Forgetful {
    marker: Option<Marker>,
}

#[async_trait]
impl transactions::Target for Forgetful {
    type Producer = ();

    fn id(&self) -> &str {
        "sink"
    }

    fn shares_producers(&self, _other: &Self) -> bool {
        true
    }

    async fn open(&self) -> Result<((), Option<Marker>)> {
        Ok(((), self.marker))
    }

    async fn begin(&self, (): ()) -> Result<()> {
        Ok(())
    }

    async fn send(&self, (): (), _rows: Batch) -> Result<()> {
        Ok(())
    }

    async fn end(&self, (): (), _marker: Option<Marker>) -> Result<()> {
        match self.marker {
            None => Ok(()),
            Some(_) => Err(Error::environment("no answer")),
        }
    }

    async fn abandon(&self, (): ()) {}

    fn lost(&self, epoch: Epoch) -> Error {
        Error::data(format!("nobody knows of epoch {epoch}"))
    }

    fn ahead(&self, written: Epoch, _behind: Epoch) -> Error {
        Error::user(format!("epoch {written} is there already"))
    }
}

/// The epoch that is committed there, or why it is not.
fn committed(marker: Option<Marker>) -> Result<()> {
    let nothing: Vec<Batch> = Vec::new();
    let writers = transactions::Writers::default();
    transactions::commit(Forgetful { marker }, Epoch(7), &mut nothing.into_iter(), &writers).now_or_never().unwrap()
}

/// It may have been written.
pub fn an_epoch_whose_marker_is_lost_is_not_written() {
    assert!(committed(None).is_err());
}

/// The marker says that it has not been.
pub fn an_end_that_was_not_heard_of_is_found_out() {
    assert!(committed(Some(Marker::Committed(6))).is_err());
    assert!(committed(Some(Marker::Committed(7))).is_ok());
}
