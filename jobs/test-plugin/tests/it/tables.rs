//! Sources and sinks behind the boundary keep what those of the engine promise. Another crate has the same done in processes of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use weir_connectors::conformance::{SinkUnderTest, SourceUnderTest, sink, source};
use weir_connectors::plugin::PluginTables;
use weir_core::plugin::{Linked, PLUGIN_CONNECTOR, Plugin, PluginCommit, PluginTable, PluginTableKind, TableRequest};
use weir_core::{Connector, ErrorKind, TableSpec};

use super::{plugin, table_columns};

pub fn table(name: &str, kind: PluginTableKind, folder: &Path) -> TableSpec {
    let config = folder.display().to_string().into_bytes();
    let plugin = PluginTable { artifact: None, table: name.into(), config, kind };
    let options = BTreeMap::new();
    TableSpec { plugin: Some(Box::new(plugin)), ..TableSpec::new(name, PLUGIN_CONNECTOR, options, table_columns()) }
}

pub fn connector(plugin: Arc<dyn Plugin>) -> Arc<dyn Connector> {
    Arc::new(PluginTables::new(Arc::new(Linked(plugin))))
}

struct Tables(PathBuf);

impl SourceUnderTest for Tables {
    fn process(&self) -> Arc<dyn Connector> {
        connector(Arc::new(plugin()))
    }

    fn table(&self) -> TableSpec {
        table("numbers", PluginTableKind::Source { bounded: true }, &self.0)
    }

    fn rows(&self) -> Vec<String> {
        (0..10).flat_map(|split| (0..12).map(move |n| split * 100 + n)).map(|n| format!("{n}, number {n}")).collect()
    }
}

#[async_trait]
impl SinkUnderTest for Tables {
    fn process(&self) -> Arc<dyn Connector> {
        connector(Arc::new(plugin()))
    }

    fn table(&self) -> TableSpec {
        table("files", PluginTableKind::Sink, &self.0)
    }

    async fn visible(&self) -> Vec<i64> {
        let files = self.0.read_dir().unwrap().map(|file| file.unwrap().path());
        let whole = files.filter(|file| !file.file_name().unwrap().to_str().unwrap().starts_with('.'));
        let texts = whole.map(|file| std::fs::read_to_string(file).unwrap());
        let mut rows: Vec<i64> =
            texts.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect();
        rows.sort_unstable();
        rows
    }
}

#[tokio::test]
async fn a_source_keeps_what_sources_promise() {
    source(&Tables(PathBuf::new())).await;
}

#[tokio::test]
async fn a_sink_keeps_what_sinks_promise() {
    let work = tempfile::tempdir().unwrap();
    let folder = async |promise| {
        let folder = work.path().join(promise);
        std::fs::create_dir(&folder).unwrap();
        Tables(folder)
    };
    sink(folder).await;
}

fn request(table: &str) -> TableRequest {
    TableRequest { table: table.into(), config: Vec::new(), columns: table_columns() }
}

#[test]
fn what_is_said_on_the_other_side_arrives_as_it_is() {
    let plugin = plugin();
    let Err(none) = plugin.source(&request("nothing")) else { panic!("it is there") };
    assert_eq!(none.report(), "there is no source `nothing`\n  help: read `numbers`");
    let mut source = plugin.source(&request("broken")).unwrap();
    assert_eq!(source.splits().unwrap().splits.len(), 10);
    let Err(wrong) = source.open("0", Some("x")) else { panic!("it is no position") };
    assert_eq!((wrong.kind(), wrong.to_string().as_str()), (ErrorKind::Data, "x is no number"));
    let mut reader = source.open("3", Some("10")).unwrap();
    let read = reader.read(1).unwrap();
    assert_eq!((read.position.as_str(), read.time.map(|time| time.0), read.is_end), ("11", Some(11), false));
    assert_eq!(read.records.unwrap().schema(), table_columns());
    assert!(reader.read(100).unwrap().is_end);
    let panic = source.open("7", None).unwrap().read(1).unwrap_err().to_string();
    assert!(panic.contains("the plugin panicked in `read`: a split that cannot be read at "), "{panic}");
    assert!(panic.contains("tables.rs"), "{panic}");
    let mut sink = plugin.sink(&request("refusing")).unwrap();
    let refused = sink.commit(&PluginCommit { writer: "a".into(), epoch: 1 }, &mut || Ok(None)).unwrap_err();
    assert_eq!((refused.kind(), refused.help()), (ErrorKind::Environment, Some("later")));
    // What the rows end with is told through both sides.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().display().to_string().into_bytes();
    let mut sink = plugin.sink(&TableRequest { config, ..request("files") }).unwrap();
    let torn = &mut || Err(weir_core::Error::data("torn"));
    let error = sink.commit(&PluginCommit { writer: "a".into(), epoch: 1 }, torn).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Data, "torn"));
}
