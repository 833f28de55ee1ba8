//! `'connector' = 'nexmark'`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use weir_core::connector::{Boundedness, DiscoveryContext, OptionInfo, Role, SourceContext, SplitDiscovery};
use weir_core::{Connector, Error, Location, Result, Source, TableSpec};

use super::{Entity, Generator};
use crate::numbered::{Delivery, FixedSplits, NumberedSource};
use crate::options::{DEFAULT_START, Options};

const ENTITIES: &[(&str, Entity)] = &[("person", Entity::Person), ("auction", Entity::Auction), ("bid", Entity::Bid)];
const TABLE: &str = "nexmark.table";
const EVENTS: &str = "events.num";
/// More would leave the range of event time.
const MOST_EVENTS: u64 = 1_000_000_000_000_000;

const OPTIONS: &[OptionInfo] = &[
    OptionInfo { name: TABLE, required: true, doc: "Which entity the table has: 'person', 'auction' or 'bid'." },
    OptionInfo {
        name: EVENTS,
        required: false,
        doc: "Events of the whole sequence, of which 2 % are persons, 6 % auctions and 92 % bids; endless by default.",
    },
    OptionInfo { name: "rate", required: false, doc: "Events per second of event time; 10000 by default." },
    OptionInfo {
        name: "realtime",
        required: false,
        doc: "Whether a second of event time also takes a second; by default events come as fast as possible.",
    },
    OptionInfo { name: "seed", required: false, doc: "Number that all randomness follows from; 0 by default." },
    OptionInfo {
        name: "start-time",
        required: false,
        doc: "Event time of the first event, in UTC; '2026-01-01 00:00:00' by default.",
    },
    OptionInfo {
        name: "preload",
        required: false,
        doc: "Whether all rows are made in memory before the first is handed out, for benchmarks; 'false' by default.",
    },
    OptionInfo { name: "batch.rows", required: false, doc: "Rows of a batch, instead of the engine's default." },
];

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Nexmark;

/// A table's options.
pub(super) struct Settings {
    pub entity: Entity,
    pub seed: u64,
    pub start: i64,
    pub rate: u64,
    delivery: Delivery,
}

impl Settings {
    pub(super) fn of(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let rate = options.number("rate", 1, 1_000_000_000)?.unwrap_or(10_000);
        let delivery = Delivery {
            total: options.number(EVENTS, 0, MOST_EVENTS)?,
            pace: options.boolean("realtime")?.unwrap_or(false).then_some(rate),
            batch_rows: options.number("batch.rows", 1, 1 << 20)?,
            preload: options.boolean("preload")?.unwrap_or(false),
        };
        if delivery.preload && delivery.total.is_none() {
            let error = options.error("preload", "not possible for an endless table");
            return Err(error.with_help(format!("add '{EVENTS}' = '…'")));
        }
        Ok(Self {
            entity: entity(options)?,
            seed: options.number("seed", 0, u64::MAX)?.unwrap_or(0),
            start: options.timestamp("start-time")?.unwrap_or(DEFAULT_START),
            rate,
            delivery,
        })
    }
}

fn entity(options: Options<'_>) -> Result<Entity> {
    options.required(TABLE)?;
    options.choice(TABLE, ENTITIES)?.ok_or_else(|| Error::internal("a required option is missing"))
}

#[async_trait]
impl Connector for Nexmark {
    fn name(&self) -> &'static str {
        "nexmark"
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Source
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        OPTIONS.to_vec()
    }

    fn settings(&self) -> &'static [&'static str] {
        &["realtime", "preload", "batch.rows"]
    }

    fn default_schema(&self, options: &BTreeMap<String, String>) -> Result<Option<SchemaRef>> {
        Ok(Some(entity(Options::new("nexmark", options))?.schema()))
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        let settings = Settings::of(table)?;
        table.schema.fields().iter().try_for_each(|field| settings.entity_column(field, table).map(|_| ()))
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        if table.options.contains_key(EVENTS) { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    async fn open_discovery(&self, _table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        Ok(Box::new(FixedSplits::new(&context)))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let generator = Generator::new(table)?;
        let delivery = Settings::of(table)?.delivery;
        Ok(Box::new(NumberedSource::open(Arc::new(generator), delivery, &context).await?))
    }
}
