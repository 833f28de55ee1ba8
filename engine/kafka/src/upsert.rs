//! The connector `upsert-kafka`: a table with a primary key, whose rows are records that replace each other, as in a compacted topic. A
//! record without a value says that there is no row of its key any more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Field;
use async_trait::async_trait;
use weir_core::connector::{Boundedness, Commit, Connector, Discard, OptionInfo, Role, SinkContext};
use weir_core::{ChangelogKind, Error, Result, Sink, TableSpec};

use crate::connector::{UPSERT, anchor};
use crate::sink::{SinkOptions, Writers};
use crate::{metadata, options, sink};

/// The connector `upsert-kafka`.
#[derive(Debug, Clone, Default)]
pub struct UpsertKafka {
    writers: Arc<Writers>,
}

#[async_trait]
impl Connector for UpsertKafka {
    fn name(&self) -> &'static str {
        UPSERT
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        options::known_of_upserts(given)
    }

    fn settings(&self) -> &'static [&'static str] {
        &["properties.*", "sink.*"]
    }

    /// Each row of a stream that only adds rows takes the place of the one before.
    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => false,
            ChangelogKind::Upsert(key) => {
                let is_in = |columns: &[usize], others: &[usize]| columns.iter().all(|column| others.contains(column));
                is_in(key, &table.primary_key) && is_in(&table.primary_key, key)
            }
        }
    }

    fn check_stream(&self, table: &TableSpec, stream: &ChangelogKind) -> Result<()> {
        if stream.is_append() { Ok(()) } else { SinkOptions::check_changes(table) }
    }

    fn metadata_columns(&self) -> Vec<Field> {
        metadata::columns()
    }

    fn anchor(&self, options: &mut BTreeMap<String, String>, directory: &Path) {
        anchor(options, directory);
    }

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        SinkOptions::read(table).map(drop)
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let within = |error: Error| error.context(format!("while writing table '{}'", table.name));
        sink::open(table, context, &self.writers).await.map_err(within)
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        sink::commit(table, commit, &self.writers).await
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        sink::discard(table, discard, &self.writers).await
    }
}
