//! `'connector' = 'datagen'`: rows of made-up values, as in Flink, but the same ones every time.
//!
//! A value follows from the seed, the column and the row's number. Event time does too: row `n` is at
//! `start-time + n / rows-per-second`, so a time column never goes back (unless `max-past` lets it).

mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use weir_core::connector::{
    Boundedness, DiscoveryContext, METADATA_KEY, OptionInfo, Role, SourceContext, SplitDiscovery,
};
use weir_core::{Connector, Error, Location, Result, Source, TableSpec};

use crate::numbered::{self, Delivery, FixedSplits, NumberedSource};
use crate::options::{DEFAULT_START, Options, nearest};
use rule::Rule;

const ROWS: &str = "number-of-rows";
const RATE: &str = "rows-per-second";
const FIELDS: &str = "fields.";

const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: RATE,
        required: false,
        doc: "Rows per second, of wall time and of event time; 10000 by default.",
    },
    OptionInfo { name: ROWS, required: false, doc: "Rows of the table; endless by default." },
    OptionInfo {
        name: "realtime",
        required: false,
        doc: "'false' makes rows as fast as possible, though their event time stays as it is; 'true' by default.",
    },
    OptionInfo { name: "seed", required: false, doc: "Number that all randomness follows from; 0 by default." },
    OptionInfo {
        name: "start-time",
        required: false,
        doc: "Event time of the first row, in UTC; '2026-01-01 00:00:00' by default.",
    },
    OptionInfo {
        name: "fields.*",
        required: false,
        doc: "Of each column: kind ('random' or 'sequence'), min, max, max-past, length, var-len, null-rate, start, end.",
    },
];

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Datagen;

/// A table's options, and how each of its columns is made.
struct Settings {
    start: i64,
    rate: u64,
    rules: Vec<Rule>,
    delivery: Delivery,
}

impl Settings {
    fn of(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let rate = options.number(RATE, 1, 1_000_000_000)?.unwrap_or(10_000);
        let seed = options.number("seed", 0, u64::MAX)?.unwrap_or(0);
        check_field_options(table)?;
        let fields = table.schema.fields().iter().enumerate();
        let rules: Vec<Rule> =
            fields.map(|(index, field)| Rule::of(options, field, seed, index)).collect::<Result<_>>()?;
        let rows = options.number(ROWS, 0, i64::MAX as u64)?;
        let delivery = Delivery {
            // The shortest sequence ends the table.
            total: rules.iter().filter_map(Rule::rows).chain(rows).min(),
            pace: options.boolean("realtime")?.unwrap_or(true).then_some(rate),
            ..Delivery::default()
        };
        Ok(Self { start: options.timestamp("start-time")?.unwrap_or(DEFAULT_START), rate, rules, delivery })
    }
}

/// Options of columns begin with `fields.<column>.`; the registry of names cannot know the columns.
fn check_field_options(table: &TableSpec) -> Result<()> {
    let names = || table.schema.fields().iter().map(|field| field.name().as_str());
    for option in table.options.keys() {
        let Some(rest) = option.strip_prefix(FIELDS) else { continue };
        let unknown = || Error::user(format!("table '{}' has an unknown option '{option}'", table.name));
        let Some((column, property)) = rest.rsplit_once('.') else {
            return Err(unknown().with_help("options of columns are written 'fields.<column>.<property>'"));
        };
        if !names().any(|name| name == column) {
            let known = names().collect::<Vec<_>>().join(", ");
            return Err(match nearest(column, names()) {
                Some(name) => unknown().with_help(format!("did you mean 'fields.{name}.{property}'?")),
                None => unknown().with_help(format!("its columns are {known}")),
            });
        }
        if !rule::PROPERTIES.contains(&property) {
            return Err(match nearest(property, rule::PROPERTIES.iter().copied()) {
                Some(name) => unknown().with_help(format!("did you mean 'fields.{column}.{name}'?")),
                None => unknown().with_help(format!("properties of columns are {}", rule::PROPERTIES.join(", "))),
            });
        }
    }
    Ok(())
}

/// Makes the columns that are read.
struct Generator {
    schema: SchemaRef,
    columns: Vec<Rule>,
    start: i64,
    rate: u64,
}

impl numbered::Generator for Generator {
    fn numbers_for(&self, rows: usize) -> u64 {
        rows as u64
    }

    fn generate(&self, numbers: &[Range<u64>]) -> Result<RecordBatch> {
        let rows: Vec<u64> = numbers.iter().cloned().flatten().collect();
        let time = |row: u64| {
            let millis = u128::from(row) * 1000 / u128::from(self.rate);
            self.start.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX))
        };
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|rule| rule.column(&rows, &time)).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

#[async_trait]
impl Connector for Datagen {
    fn name(&self) -> &'static str {
        "datagen"
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Source
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        OPTIONS.to_vec()
    }

    fn settings(&self) -> &'static [&'static str] {
        &["realtime"]
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        match table.schema.fields().iter().find(|field| field.metadata().contains_key(METADATA_KEY)) {
            Some(field) => Err(Error::user(format!(
                "datagen has no metadata for column '{}' of table '{}'",
                field.name(),
                table.name
            ))),
            None => Settings::of(table).map(|_| ()),
        }
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        match Settings::of(table) {
            Ok(Settings { delivery: Delivery { total: Some(_), .. }, .. }) => Boundedness::Bounded,
            _ => Boundedness::Unbounded,
        }
    }

    async fn open_discovery(&self, _table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        Ok(Box::new(FixedSplits::new(&context)))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let Settings { start, rate, rules, delivery } = Settings::of(table)?;
        let columns = match &table.projection {
            None => rules,
            Some(columns) => columns.iter().filter_map(|index| rules.get(*index).cloned()).collect(),
        };
        let generator = Generator { schema: table.output_schema(), columns, start, rate };
        Ok(Box::new(NumberedSource::open(Arc::new(generator), delivery, &context).await?))
    }
}
