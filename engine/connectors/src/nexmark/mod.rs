//! The Nexmark benchmark's auction site: persons, auctions and bids from one common sequence of events, of which a
//! table reads its own kind.
//!
//! Written after the published generators of Apache Beam and Flink: of every 50 events the first is a person, the next
//! three are auctions, and 46 are bids; ids, prices, what is hot, and sizes are distributed as there. Unlike there, an
//! event follows from the seed and its number alone, so the sequence is the same under every parallelism,
//! can be entered anywhere, and a table costs nothing for events and columns that it does not read.

mod auction;
mod bid;
mod connector;
mod model;
mod person;
#[cfg(test)]
mod tests;
mod text;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_core::{Error, Result, TableSpec};

pub use connector::Nexmark;
use connector::Settings;

use crate::numbered;
use model::{AUCTIONS, Model, PERSONS, ROUND};

/// Types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Text,
    Time,
}
const INTEGER: Kind = Kind::Integer;
const TEXT: Kind = Kind::Text;
const TIME: Kind = Kind::Time;

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Integer => DataType::Int64,
            Kind::Text => DataType::Utf8View,
            Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        }
    }
}

/// What a table is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entity {
    Person,
    Auction,
    Bid,
}

impl Entity {
    fn columns(self) -> &'static [(&'static str, Kind)] {
        match self {
            Entity::Person => person::COLUMNS,
            Entity::Auction => auction::COLUMNS,
            Entity::Bid => bid::COLUMNS,
        }
    }

    fn schema(self) -> SchemaRef {
        let fields = self.columns().iter().map(|(name, kind)| Field::new(*name, kind.data_type(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Which events of each round it is.
    fn share(self) -> Range<u64> {
        match self {
            Entity::Person => 0..PERSONS,
            Entity::Auction => PERSONS..PERSONS + AUCTIONS,
            Entity::Bid => PERSONS + AUCTIONS..ROUND,
        }
    }
}

/// Texts that an entity's columns are made of.
#[derive(Debug)]
enum Stock {
    Person(person::Persons),
    Auction,
    Bid(bid::Bids),
}

/// Makes the rows of one table: what its source does, without the source around it.
#[derive(Debug)]
pub struct Generator {
    entity: Entity,
    schema: SchemaRef,
    /// For each column of `schema` its index among those of the entity.
    columns: Vec<usize>,
    model: Model,
    stock: Stock,
    pool: text::Pool,
}

impl Generator {
    /// A generator for the columns of `table` that are read.
    ///
    /// # Errors
    /// A user error about the table's options or columns.
    pub fn new(table: &TableSpec) -> Result<Self> {
        let settings = Settings::of(table)?;
        let schema = table.output_schema();
        let columns =
            schema.fields().iter().map(|field| settings.entity_column(field, table)).collect::<Result<_>>()?;
        let model = Model::new(settings.seed, settings.start, settings.rate);
        let stock = match settings.entity {
            Entity::Person => Stock::Person(person::Persons::new()),
            Entity::Auction => Stock::Auction,
            Entity::Bid => Stock::Bid(bid::Bids::new(&model)),
        };
        let pool = text::Pool::new(model.random);
        Ok(Self { entity: settings.entity, schema, columns, model, stock, pool })
    }

    /// The table's rows among the events of these numbers, in order.
    ///
    /// # Errors
    /// None that a caller can bring about.
    pub fn rows(&self, numbers: &[Range<u64>]) -> Result<RecordBatch> {
        let events = self.events(numbers);
        let columns = self.columns.iter().map(|column| self.column(*column, &events)).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(events.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    fn column(&self, column: usize, events: &[u64]) -> Result<ArrayRef> {
        match &self.stock {
            Stock::Person(persons) => persons.column(column, &self.model, &self.pool, events),
            Stock::Auction => auction::column(column, &self.model, &self.pool, events),
            Stock::Bid(bids) => bids.column(column, &self.model, &self.pool, events),
        }
    }

    fn events(&self, numbers: &[Range<u64>]) -> Vec<u64> {
        let share = self.entity.share();
        let mut events = Vec::new();
        for range in numbers {
            let mut round = range.start - range.start % ROUND;
            while round < range.end {
                let first = range.start.max(round + share.start);
                let end = range.end.min(round + share.end);
                events.extend(first..end);
                round += ROUND;
            }
        }
        events
    }
}

impl numbered::Generator for Generator {
    fn numbers_for(&self, rows: usize) -> u64 {
        let share = self.entity.share();
        (rows as u64).saturating_mul(ROUND).div_ceil(share.end - share.start)
    }

    fn generate(&self, numbers: &[Range<u64>]) -> Result<RecordBatch> {
        self.rows(numbers)
    }
}

fn integers(events: &[u64], value: impl Fn(u64) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(events.iter().map(|event| value(*event))))
}

fn times(model: &Model, events: &[u64]) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(events.iter().map(|event| model.time(*event))))
}

impl Settings {
    /// Index of the entity's column that `field` declares.
    fn entity_column(&self, field: &Field, table: &TableSpec) -> Result<usize> {
        let columns = self.entity.columns();
        let position = columns
            .iter()
            .position(|(name, _)| name == field.name())
            .or_else(|| columns.iter().position(|(name, _)| name.eq_ignore_ascii_case(field.name())));
        let Some(index) = position else {
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            return Err(Error::user(format!("nexmark table '{}' cannot have a column '{}'", table.name, field.name()))
                .with_help(format!("its columns are {}", names.join(", "))));
        };
        let (name, kind) = columns[index];
        if *field.data_type() == kind.data_type() {
            return Ok(index);
        }
        let declared = match kind {
            Kind::Integer => "BIGINT",
            Kind::Text => "STRING",
            Kind::Time => "TIMESTAMP(3)",
        };
        Err(Error::user(format!("column '{name}' of nexmark table '{}' is declared with another type", table.name))
            .with_help(format!("declare it {declared}, or declare no columns at all")))
    }
}
