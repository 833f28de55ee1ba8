//! Audits, of connectors that answer, do not answer, are not here, and have secrets in their options; and what jobs leave.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use weir_core::audit::{AuditedEpoch, Found};
use weir_core::connector::{Boundedness, OptionInfo, Role};
use weir_core::plugin::Isolation;
use weir_core::{Connector, JobIdentity, Location};
use weir_state::{ManifestHeader, MemoryStorage};

use super::*;
use crate::blocking::BlockingInline;
use crate::commit::tests as commits;
use crate::secrets::{Resolving, Secrets};

/// A storage by whatever URL.
struct Same(Arc<dyn Storage>);

impl Storages for Same {
    fn open(&self, _url: &str) -> Result<Arc<dyn Storage>> {
        Ok(self.0.clone())
    }
}

/// Has an account of what it was asked about: that it is in its option `bootstrap.servers`; after a second. One whose name is `silent` never answers.
#[derive(Clone)]
struct Accountant(&'static str);

impl ConnectorRegistry for Accountant {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        let name = ["accountant", "silent"].into_iter().find(|known| *known == name)?;
        Some(Arc::new(Self(name)))
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["accountant", "silent"]
    }
}

#[async_trait]
impl Connector for Accountant {
    fn name(&self) -> &'static str {
        self.0
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        match self.0 {
            "silent" => std::future::pending::<()>().await,
            _ => tokio::time::sleep_until(Instant::now() + Duration::from_secs(1)).await,
        }
        let servers = &table.options["bootstrap.servers"];
        // What was written elsewhere is not here.
        let found = |epoch: &PreparedEpoch| match epoch.committables[0] == servers.as_bytes() {
            true => Found::Written,
            false => Found::Missing,
        };
        let audited =
            |epoch: &PreparedEpoch| AuditedEpoch { epoch: epoch.epoch, found: found(epoch), rows: None, files: None };
        Ok(Some(AuditedSink {
            target: format!("topic 't' at {servers}"),
            marker: format!("topic 'weir-commits' at {servers}"),
            last: None,
            absent: false,
            epochs: audit.epochs.iter().map(audited).collect(),
        }))
    }
}

fn uid(number: usize) -> OperatorUid {
    OperatorUid(format!("sink-{number}"))
}

fn table(connector: &str, servers: &str) -> TableSpec {
    let options = BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]);
    TableSpec::new("t", connector, options, Arc::new(Schema::empty()))
}

/// An audit of sinks, each with these tables; behind checkpoints that hold something of the first one, of these tables.
async fn audit(sinks: &[TableSpec], checkpoints: &[TableSpec]) -> AuditFindings {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let mut order = AuditOrder {
        identity: JobIdentity(1),
        storage: StoragePlace { url: "memory".into() },
        checkpoints: Vec::new(),
        sinks: sinks.iter().enumerate().map(|(number, table)| (uid(number), table.clone())).collect(),
        isolation: Isolation::None,
    };
    for (epoch, table) in (1..).map(Epoch).zip(checkpoints) {
        let header = ManifestHeader {
            job: "job".into(),
            identity: order.identity,
            epoch,
            attempt: Attempt(1),
            savepoint: false,
            finished: false,
            parallelism: 1,
            places: BTreeMap::new(),
        };
        let committables = vec![table.options["bootstrap.servers"].clone().into_bytes()];
        let sink = SinkCommittables { committables, ..SinkCommittables::nothing(uid(0), table.clone()) };
        let manifest = format!("manifest-{epoch}");
        storage.put(&manifest, &Manifest::following(None, header, Vec::new(), vec![sink]).to_bytes().unwrap()).unwrap();
        order.checkpoints.push(CheckpointRef { epoch, manifest });
    }
    let environment = |name: &str| (name == "WEIR_SECRET_HOST").then(|| "canary:9092".to_owned());
    let secrets = Secrets { environment: Arc::new(environment), folder: None };
    let errands = Errands {
        storages: Arc::new(Same(storage)),
        connectors: Arc::new(Resolving::new(Arc::new(Accountant("")), secrets)),
        plugins: Arc::default(),
        functions: Functions::built_in(),
        blocking: Arc::new(BlockingInline),
    };
    errands.audit(Arc::new(order)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_system_that_does_not_answer_keeps_the_account_of_no_other_from_whoever_asks() {
    let silent = table("silent", "a");
    let begun = Instant::now();
    let sinks = [vec![silent; 3], vec![table("accountant", "a"); 12]].concat();
    let sinks = audit(&sinks, &[]).await.sinks;
    assert_eq!(begun.elapsed(), PATIENCE);
    assert!(sinks[..3].iter().all(|sink| sink.as_ref().unwrap_err().report.contains("within 20 s")), "{sinks:?}");
    assert!(sinks[3..].iter().all(|sink| sink.as_ref().unwrap().is_some()), "{sinks:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_few_are_asked_at_once_and_all_in_the_same_time() {
    let begun = Instant::now();
    let sinks = audit(&vec![table("silent", "a"); 3 * AT_ONCE], &[]).await.sinks;
    assert_eq!((begun.elapsed(), sinks.len()), (PATIENCE, 3 * AT_ONCE));
    assert!(sinks.iter().all(Result::is_err));
    let begun = Instant::now();
    let sinks = audit(&vec![table("accountant", "a"); 3 * AT_ONCE], &[]).await.sinks;
    assert_eq!((begun.elapsed(), sinks.len()), (Duration::from_secs(3), 3 * AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_is_not_here_is_no_sink_without_an_account() {
    let sinks = audit(&[table("other", "a")], &[]).await.sinks;
    assert!(sinks[0].as_ref().unwrap_err().report.contains("'other', which is not here"), "{sinks:?}");
}

#[tokio::test(start_paused = true)]
async fn where_a_secret_names_the_place_it_is_not_told() {
    let sink = audit(&[table("accountant", "${env:WEIR_SECRET_HOST}")], &[]).await.sinks.remove(0).unwrap().unwrap();
    assert_eq!((sink.target.as_str(), sink.marker.as_str()), ("topic 't' at ***", "topic 'weir-commits' at ***"));
}

#[tokio::test(start_paused = true)]
async fn what_was_prepared_for_an_earlier_table_is_looked_for_there() {
    let (now, before) = (table("accountant", "new"), table("accountant", "old"));
    let checkpoints = [before.clone(), now.clone(), before, now.clone()];
    let sink = audit(std::slice::from_ref(&now), &checkpoints).await.sinks.remove(0).unwrap().unwrap();
    assert_eq!(sink.target, "topic 't' at new");
    let found: Vec<_> = sink.epochs.iter().map(|epoch| (epoch.epoch.0, epoch.found)).collect();
    assert_eq!(found, (1..=4).map(|epoch| (epoch, Found::Written)).collect::<Vec<_>>());
    // Of one that is not here any more nothing is said rather than something wrong.
    let failed = audit(&[now], &[table("other", "old")]).await.sinks.remove(0).unwrap_err();
    assert!(failed.report.contains("which is not here"), "{failed:?}");
}

/// Each ends what another one has to wait for.
#[tokio::test(start_paused = true)]
async fn what_all_sinks_have_left_is_removed_at_once() {
    let Committer { connectors, blocking } = commits::committer(2);
    let storages = Arc::new(Same(Arc::new(MemoryStorage::default())));
    let functions = Functions::built_in();
    let errands = Errands { storages, connectors, plugins: Arc::default(), functions, blocking };
    let sinks = vec![commits::table("one"), commits::table("two")];
    let leftovers = Leftovers { identity: JobIdentity::default(), behind: Some((Attempt(1), Epoch(1))), sinks };
    let removed = tokio::time::timeout(PATIENCE, errands.discard(Arc::new(leftovers))).await;
    removed.expect("they wait for each other").unwrap();
}
