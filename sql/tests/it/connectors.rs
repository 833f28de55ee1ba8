//! Connectors that are never opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use async_trait::async_trait;
use weir_core::connector::{Boundedness, OptionInfo, Role, Succession};
use weir_core::{ChangelogKind, Connector, ConnectorRegistry, Location, Result, TableSpec};

/// Connectors `fake` (unbounded), `ends` and `datagen` (bounded), `keyed`, whose rows replace each other where it is written, `replaced`, whose
/// records do where it is read, and `result`.
#[derive(Debug)]
pub struct Fakes;

struct Fake(&'static str);

const NAMES: [&str; 7] = ["$plugin", "datagen", "ends", "fake", "keyed", "replaced", "result"];

impl ConnectorRegistry for Fakes {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        let name = NAMES.iter().find(|known| **known == name)?;
        Some(Arc::new(Fake(name)))
    }

    fn names(&self) -> Vec<&'static str> {
        NAMES[1..].to_vec()
    }
}

#[async_trait]
impl Connector for Fake {
    fn name(&self) -> &'static str {
        self.0
    }

    fn supports(&self, role: Role) -> bool {
        match role {
            Role::Sink => true,
            Role::Source => self.0 != "result",
            Role::Lookup => self.0 == "ends",
        }
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        ["error-policy", "dead-letter.table"].map(|name| OptionInfo { name, required: false, doc: "" }).to_vec()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        match self.0 {
            "fake" => true,
            "replaced" => stream.is_append() || !table.primary_key.is_empty() && *stream == ChangelogKind::Retract,
            "keyed" => stream.is_append() || *stream == ChangelogKind::Upsert(table.primary_key.clone()),
            _ => stream.is_append(),
        }
    }

    fn succession(&self, _table: &TableSpec) -> Option<Succession> {
        (self.0 == "replaced").then(|| Succession {
            order: vec![Field::new("$sequence", DataType::Int64, false), Field::new("$part", DataType::Int32, false)],
            deletion: Field::new("$deletion", DataType::Boolean, false),
            keeps_deletions_ms: Some(86_400_000),
        })
    }

    fn changes_by_key(&self, _table: &TableSpec) -> bool {
        self.0 == "replaced"
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        if matches!(self.0, "ends" | "datagen") { Boundedness::Bounded } else { Boundedness::Unbounded }
    }
}
