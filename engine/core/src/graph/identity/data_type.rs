//! Arrow's types. What a type's own name does not say is left out: lists call their items, and maps their entries, one way
//! or another.

use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit, UnionMode};

use super::text::{Encode, Text};
use crate::connector::METADATA_KEY;

impl Encode for DataType {
    fn encode(&self, out: &mut Text) {
        match self {
            DataType::Null => out.tag("null"),
            DataType::Boolean => out.tag("boolean"),
            DataType::Int8 => out.tag("int8"),
            DataType::Int16 => out.tag("int16"),
            DataType::Int32 => out.tag("int32"),
            DataType::Int64 => out.tag("int64"),
            DataType::UInt8 => out.tag("uint8"),
            DataType::UInt16 => out.tag("uint16"),
            DataType::UInt32 => out.tag("uint32"),
            DataType::UInt64 => out.tag("uint64"),
            DataType::Float16 => out.tag("float16"),
            DataType::Float32 => out.tag("float32"),
            DataType::Float64 => out.tag("float64"),
            DataType::Timestamp(unit, zone) => {
                out.record("timestamp").field("unit", unit).option("zone", &zone.as_deref().map(str::to_owned)).end();
            }
            DataType::Date32 => out.tag("date32"),
            DataType::Date64 => out.tag("date64"),
            DataType::Time32(unit) => out.record("time32").field("unit", unit).end(),
            DataType::Time64(unit) => out.record("time64").field("unit", unit).end(),
            DataType::Duration(unit) => out.record("duration").field("unit", unit).end(),
            DataType::Interval(unit) => out.record("interval").field("unit", unit).end(),
            DataType::Binary => out.tag("binary"),
            DataType::FixedSizeBinary(width) => out.record("fixed-size-binary").field("width", width).end(),
            DataType::LargeBinary => out.tag("large-binary"),
            DataType::BinaryView => out.tag("binary-view"),
            DataType::Utf8 => out.tag("utf8"),
            DataType::LargeUtf8 => out.tag("large-utf8"),
            DataType::Utf8View => out.tag("utf8-view"),
            DataType::List(item) => out.record("list").field("item", &Item(item)).end(),
            DataType::ListView(item) => out.record("list-view").field("item", &Item(item)).end(),
            DataType::FixedSizeList(item, length) => {
                out.record("fixed-size-list").field("item", &Item(item)).field("length", length).end();
            }
            DataType::LargeList(item) => out.record("large-list").field("item", &Item(item)).end(),
            DataType::LargeListView(item) => out.record("large-list-view").field("item", &Item(item)).end(),
            DataType::Struct(fields) => {
                let fields: Vec<Column<'_>> = fields.iter().map(|field| Column(field)).collect();
                out.record("struct").list("fields", &fields).end();
            }
            DataType::Union(fields, mode) => {
                let variants: Vec<(i8, Column<'_>)> = fields.iter().map(|(id, field)| (id, Column(field))).collect();
                out.record("union").list("variants", &variants).flag("dense", *mode == UnionMode::Dense).end();
            }
            DataType::Dictionary(key, value) => {
                out.record("dictionary").field("key", key).field("value", value).end();
            }
            DataType::Decimal32(precision, scale) => decimal(out, "decimal32", *precision, *scale),
            DataType::Decimal64(precision, scale) => decimal(out, "decimal64", *precision, *scale),
            DataType::Decimal128(precision, scale) => decimal(out, "decimal128", *precision, *scale),
            DataType::Decimal256(precision, scale) => decimal(out, "decimal256", *precision, *scale),
            DataType::Map(entries, sorted) => {
                let (key, value) = match entries.data_type() {
                    DataType::Struct(fields) => (fields.first(), fields.get(1)),
                    _ => (None, None),
                };
                out.record("map")
                    .option("key", &key.map(|field| Item(field)))
                    .option("value", &value.map(|field| Item(field)))
                    .flag("sorted", *sorted)
                    .end();
            }
            DataType::RunEndEncoded(ends, values) => {
                out.record("run-end-encoded").field("ends", &Item(ends)).field("values", &Item(values)).end();
            }
        }
    }
}

fn decimal(out: &mut Text, tag: &str, precision: u8, scale: i8) {
    out.record(tag).field("precision", &precision).unless("scale", &scale, &0).end();
}

/// A field of which only type and nullability count.
struct Item<'a>(&'a Field);

impl Encode for Item<'_> {
    fn encode(&self, out: &mut Text) {
        out.record("item").field("type", self.0.data_type()).flag("not-null", !self.0.is_nullable()).end();
    }
}

/// A field that is known by its name. Of its metadata the connector's name for it counts, for what it reads.
struct Column<'a>(&'a Field);

impl Encode for Column<'_> {
    fn encode(&self, out: &mut Text) {
        out.record("column")
            .field("name", self.0.name())
            .field("type", self.0.data_type())
            .flag("not-null", !self.0.is_nullable())
            .option("metadata", &self.0.metadata().get(METADATA_KEY).cloned())
            .end();
    }
}

impl Encode for Schema {
    fn encode(&self, out: &mut Text) {
        let columns: Vec<Column<'_>> = self.fields().iter().map(|field| Column(field)).collect();
        columns.encode(out);
    }
}

impl Encode for TimeUnit {
    fn encode(&self, out: &mut Text) {
        out.tag(match self {
            TimeUnit::Second => "s",
            TimeUnit::Millisecond => "ms",
            TimeUnit::Microsecond => "us",
            TimeUnit::Nanosecond => "ns",
        });
    }
}

impl Encode for IntervalUnit {
    fn encode(&self, out: &mut Text) {
        out.tag(match self {
            IntervalUnit::YearMonth => "year-month",
            IntervalUnit::DayTime => "day-time",
            IntervalUnit::MonthDayNano => "month-day-nano",
        });
    }
}
