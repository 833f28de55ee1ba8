//! Comparisons with what cannot be made.

use weir_core::plugin::{Artifact, ArtifactHash, PluginSpec};
use weir_core::{ChangelogKind, ErrorKind, NodeSpec, OperatorSpec};
use weir_proto::control::StoragePlace;
use weir_state::{MemoryStorage, Storage};

use super::*;
use crate::blocking::BlockingInline;
use crate::commit::Committer;
use crate::commit::tests::committer;

/// Storages with nothing in them.
struct Empty;

impl Storages for Empty {
    fn open(&self, _url: &str) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(MemoryStorage::default()))
    }
}

/// A job of an operator whose plugin's file is nowhere.
fn cannot_be_made() -> Arc<JobGraph> {
    let columns = || Arc::new(arrow::datatypes::Schema::empty());
    let artifact = Artifact {
        hash: ArtifactHash::from_bytes([1; 32]),
        name: "p".into(),
        version: "1".into(),
        folder: Some("file:///plugins".into()),
    };
    let plugin = PluginSpec {
        artifact: Some(artifact),
        operator: "count".into(),
        config: Vec::new(),
        uid: None,
        inputs: Vec::new(),
        output: columns(),
        changelog: ChangelogKind::Append,
        side_outputs: Vec::new(),
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    };
    let mut graph = JobGraph::new();
    graph.add(NodeSpec::new("Plugin", OperatorSpec::Plugin(plugin), Vec::new(), columns()));
    Arc::new(graph)
}

async fn compare(version: Arc<JobGraph>, running: Arc<JobGraph>) -> Result<Misfits> {
    let Committer { connectors, .. } = committer(1);
    let errands = Errands {
        storages: Arc::new(Empty),
        connectors,
        plugins: Arc::default(),
        functions: Functions::built_in(),
        blocking: Arc::new(BlockingInline),
    };
    let storage = StoragePlace { url: "memory".into() };
    let order = StateComparison { graph: version, storage, checkpoint: None, running: Some(running) };
    errands.compare_state(Arc::new(order)).await
}

#[tokio::test]
async fn what_runs_and_cannot_be_made_is_in_the_way_as_what_does_not_fit_is() {
    let misfits = compare(Arc::default(), cannot_be_made()).await.unwrap();
    assert_eq!(misfits.stored, [""; 0]);
    let [told] = &misfits.running[..] else { panic!("{misfits:?}") };
    assert!(told.starts_with("it cannot be told what it keeps: the plugin p 1 "), "{told}");
    assert_eq!(compare(Arc::default(), Arc::default()).await.unwrap(), Misfits::default());
}

#[tokio::test]
async fn nothing_is_known_of_a_version_that_cannot_be_made() {
    let error = compare(cannot_be_made(), Arc::default()).await.unwrap_err();
    // Whoever submits it again may bring the file.
    assert_eq!(error.kind(), ErrorKind::Environment, "{error:?}");
    assert!(error.report().contains("is not here"), "{error:?}");
}
