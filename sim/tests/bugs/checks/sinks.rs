//! How results become visible.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use futures::FutureExt;
use weir_core::connector::{Boundedness, Commit, Connector, OptionInfo, Role};
use weir_core::{Attempt, ConnectorRegistry, Epoch, Error, OperatorUid, Result, TableSpec};
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
