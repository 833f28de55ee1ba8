//! `'connector' = 'blackhole'`: takes rows and forgets them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use weir_core::connector::{Boundedness, OptionInfo, Role, SinkContext};
use weir_core::{Batch, ChangelogKind, Connector, Epoch, Location, Result, Sink, TableSpec};

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Blackhole;

struct BlackholeSink;

#[async_trait]
impl Connector for Blackhole {
    fn name(&self) -> &'static str {
        "blackhole"
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

    fn takes(&self, _table: &TableSpec, _stream: &ChangelogKind) -> bool {
        true
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_sink(&self, _table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(BlackholeSink))
    }
}

#[async_trait]
impl Sink for BlackholeSink {
    async fn write(&mut self, _batch: Batch) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}
