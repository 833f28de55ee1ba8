//! The connectors of this crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use weir_core::{Connector, TableSpec};

use super::sinks::sink_schema;
use super::{SinkUnderTest, SourceUnderTest, sink, source};
use crate::datagen::Datagen;
use crate::filesystem::Filesystem;
use crate::nexmark::Nexmark;

fn table(name: &str, connector: &str, options: &[(&str, &str)], schema: SchemaRef) -> TableSpec {
    let options: BTreeMap<String, String> =
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    TableSpec::new(name, connector, options, schema)
}

struct Folder {
    folder: PathBuf,
    format: &'static str,
}

#[async_trait]
impl SinkUnderTest for Folder {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(Filesystem::default())
    }

    fn table(&self) -> TableSpec {
        let path = self.folder.to_str().unwrap();
        table("t", "filesystem", &[("path", path), ("format", self.format)], sink_schema())
    }

    async fn visible(&self) -> Vec<i64> {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let is_visible = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("part-");
        let texts = files.filter(is_visible).map(|path| std::fs::read_to_string(path).unwrap());
        let number = |line: &str| line.trim_start_matches("{\"n\":").split(',').next().unwrap().parse().unwrap();
        let mut rows: Vec<i64> = texts.flat_map(|text| text.lines().map(number).collect::<Vec<_>>()).collect();
        rows.sort_unstable();
        rows
    }
}

#[tokio::test]
async fn files_keep_what_sinks_promise() {
    for format in ["csv", "json"] {
        let work = tempfile::tempdir().unwrap();
        sink(async |promise| Folder { folder: work.path().join(promise), format }).await;
    }
}

struct Known {
    connector: Arc<dyn Connector>,
    table: TableSpec,
    rows: Vec<String>,
}

impl SourceUnderTest for Known {
    fn process(&self) -> Arc<dyn Connector> {
        self.connector.clone()
    }

    fn table(&self) -> TableSpec {
        self.table.clone()
    }

    fn rows(&self) -> Vec<String> {
        self.rows.clone()
    }
}

fn lines(folder: &Path, name: &str, numbers: std::ops::Range<i64>) {
    let line = |n: i64| if n % 5 == 0 { format!("{n},\n") } else { format!("{n},text {n}\n") };
    std::fs::write(folder.join(name), numbers.map(line).collect::<String>()).unwrap();
}

#[tokio::test]
async fn files_keep_what_sources_promise() {
    let folder = tempfile::tempdir().unwrap();
    lines(folder.path(), "a.csv", 0..40);
    lines(folder.path(), "b.csv", 40..41);
    lines(folder.path(), "c.csv", 41..90);
    std::fs::write(folder.path().join("d.csv"), "").unwrap();
    let options = [("path", folder.path().to_str().unwrap()), ("format", "csv")];
    let fields = vec![Field::new("n", DataType::Int64, true), Field::new("v", DataType::Utf8View, true)];
    let row = |n: i64| if n % 5 == 0 { format!("{n}, ") } else { format!("{n}, text {n}") };
    source(&Known {
        connector: Arc::new(Filesystem::default()),
        table: table("t", "filesystem", &options, Arc::new(Schema::new(fields))),
        rows: (0..90).map(row).collect(),
    })
    .await;
}

#[tokio::test]
async fn what_is_made_up_keeps_what_sources_promise() {
    let fields = vec![Field::new("n", DataType::Int64, false)];
    let options = [
        ("number-of-rows", "100"),
        ("realtime", "false"),
        ("fields.n.kind", "sequence"),
        ("fields.n.start", "1"),
        ("fields.n.end", "100"),
    ];
    let table_of = |connector: &str, options: &[(&str, &str)], fields: Vec<Field>| {
        table("t", connector, options, Arc::new(Schema::new(fields)))
    };
    let rows = (1..=100).map(|n: i64| n.to_string()).collect();
    source(&Known { connector: Arc::new(Datagen), table: table_of("datagen", &options, fields), rows }).await;
    let options = [("nexmark.table", "auction"), ("events.num", "1000")];
    let fields = vec![Field::new("id", DataType::Int64, false)];
    // Six of a hundred events are auctions, numbered from 1000.
    let rows = (1000..1060).map(|n: i64| n.to_string()).collect();
    source(&Known { connector: Arc::new(Nexmark), table: table_of("nexmark", &options, fields), rows }).await;
}
