//! What another implementation makes of the same bytes: prost's reflection.

use std::cell::RefCell;
use std::sync::LazyLock;

use arrow::array::*;
use arrow::datatypes::*;
use proptest::prelude::*;
use protox::prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

use super::super::ProtobufSchema;
use super::{batch, decoder, encoded, encoder, fields, list, map, row};
use crate::formats::encode::message::MessageEncoder;
use crate::formats::message::MessageDecoder;

const SCHEMA: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
enum Colour { RED = 0; GREEN = 1; BLUE = 5; NEGATIVE = -3; FAR = 100000; }
message Inner { int32 x = 1; string y = 2; optional int64 z = 3; repeated Kid kids = 4; Colour c = 5; }
message Kid { int32 x = 1; optional int64 z = 3; }
message All {
  double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; sint32 s32 = 7; sint64 s64 = 8;
  fixed32 fx32 = 9; fixed64 fx64 = 10; sfixed32 sf32 = 11; sfixed64 sf64 = 12; bool b = 13; string s = 14; bytes by = 15;
  optional int32 oi = 16; optional string os = 17; Colour c = 18; optional Colour oc = 19; Inner inner = 20;
  repeated int32 ri = 21; repeated sint64 rl = 22 [packed = false]; repeated string rs = 23; repeated Inner rm = 24;
  repeated Colour rc = 25; repeated double rd = 26; map<string, int32> ms = 27; map<int64, Inner> mm = 28; map<bool, string> mb = 29;
  oneof choice { int64 one = 30; string two = 31; Inner three = 32; sint32 four = 1000; }
  google.protobuf.Timestamp ts = 33; google.protobuf.Int64Value w64 = 34; google.protobuf.StringValue ws = 35;
  google.protobuf.DoubleValue wd = 36; google.protobuf.Duration du = 37; repeated fixed32 rf = 38; uint64 big = 2047;
}
"#;

fn all() -> Vec<FieldRef> {
    use DataType::*;
    let kid = row(&[("x", Int32, false), ("z", Int64, true)]);
    let inner = row(&[
        ("y", Utf8View, false),
        ("x", Int32, false),
        ("z", Int64, true),
        ("kids", list(kid), false),
        ("c", Utf8View, false),
    ]);
    fields(&[
        ("d", Float64, false),
        ("f", Float32, false),
        ("i32", Int32, false),
        ("i64", Int64, false),
        ("u32", Int64, false),
        ("u64", Decimal128(20, 0), false),
        ("s32", Int32, false),
        ("s64", Int64, false),
        ("fx32", Int64, false),
        ("fx64", Decimal128(22, 0), false),
        ("sf32", Int32, false),
        ("sf64", Int64, false),
        ("b", Boolean, false),
        ("s", Utf8View, false),
        ("by", BinaryView, false),
        ("oi", Int32, true),
        ("os", Utf8View, true),
        ("c", Utf8View, false),
        ("oc", Int32, true),
        ("inner", inner.clone(), true),
        ("ri", list(Int32), false),
        ("rl", list(Int64), false),
        ("rs", list(Utf8View), false),
        ("rm", list(inner.clone()), false),
        ("rc", list(Utf8View), false),
        ("rd", list(Float64), false),
        ("ms", map(Utf8View, Int32), false),
        ("mm", map(Int64, inner.clone()), false),
        ("mb", map(Boolean, Utf8View), false),
        ("one", Int64, true),
        ("two", Utf8View, true),
        ("three", inner, true),
        ("four", Int32, true),
        ("ts", Timestamp(TimeUnit::Nanosecond, None), true),
        ("w64", Int64, true),
        ("ws", Utf8View, true),
        ("wd", Float64, true),
        ("du", row(&[("seconds", Int64, false), ("nanos", Int32, false)]), true),
        ("rf", list(Int64), false),
        ("big", Int64, false),
    ])
}

fn message() -> MessageDescriptor {
    static MESSAGE: LazyLock<MessageDescriptor> =
        LazyLock::new(|| ProtobufSchema::of_text(SCHEMA, &[]).unwrap().message(Some("t.All")).unwrap());
    MESSAGE.clone()
}

/// With a decoder of all columns, empty. To compile the schema takes longer than all else.
fn with_decoder<T>(run: impl FnOnce(&mut MessageDecoder) -> T) -> T {
    thread_local! {
        static DECODER: RefCell<MessageDecoder> = RefCell::new(decoder(SCHEMA, ALL, &all()).unwrap());
    }
    DECODER.with_borrow_mut(|decoder| {
        decoder.finish().unwrap();
        run(decoder)
    })
}

const ALL: &[(&str, &str)] = &[("protobuf.message-class-name", "t.All")];

/// A value of a column, as text that tells all values apart.
fn shown(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Float64 => format!("{:x}", array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Float32 => format!("{:x}", array.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Utf8View => format!("{:?}", array.as_string_view().value(row)),
        DataType::BinaryView => format!("{:?}", array.as_binary_view().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items: Vec<String> = (0..items.len()).map(|item| shown(&items, item)).collect();
            format!("[{}]", items.join(","))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut entries: Vec<String> = (0..entries.len())
                .map(|entry| format!("{}:{}", shown(entries.column(0), entry), shown(entries.column(1), entry)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        DataType::Struct(_) => {
            let parts: Vec<String> = array.as_struct().columns().iter().map(|column| shown(column, row)).collect();
            format!("({})", parts.join(","))
        }
        _ => {
            let longs = arrow::compute::cast(&array.slice(row, 1), &DataType::Int64).unwrap();
            longs.as_primitive::<Int64Type>().value(0).to_string()
        }
    }
}

/// A field of the other implementation's message, alike.
fn expected(message: &DynamicMessage, wanted: &Field) -> String {
    let field = message.descriptor().get_field_by_name(wanted.name()).unwrap();
    if field.supports_presence() && !message.has_field(&field) {
        return "null".to_owned();
    }
    let value = message.get_field(&field);
    match (&*value, wanted.data_type()) {
        (Value::List(items), DataType::List(item)) => {
            let items: Vec<String> = items.iter().map(|value| one(value, &field.kind(), item)).collect();
            format!("[{}]", items.join(","))
        }
        (Value::Map(entries), DataType::Map(pair, _)) => {
            let (DataType::Struct(pair), Kind::Message(entry)) = (pair.data_type(), field.kind()) else { panic!() };
            let key = |key: &MapKey| match key {
                MapKey::String(text) => format!("{text:?}"),
                MapKey::Bool(value) => value.to_string(),
                MapKey::I64(value) => value.to_string(),
                other => panic!("{other:?}"),
            };
            let kind = entry.map_entry_value_field().kind();
            let mut entries: Vec<String> =
                entries.iter().map(|(name, value)| format!("{}:{}", key(name), one(value, &kind, &pair[1]))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        (value, _) => one(value, &field.kind(), wanted),
    }
}

fn one(value: &Value, kind: &Kind, wanted: &Field) -> String {
    match (value, wanted.data_type()) {
        (Value::Message(message), DataType::Struct(fields)) => {
            let parts: Vec<String> = fields.iter().map(|field| expected(message, field)).collect();
            format!("({})", parts.join(","))
        }
        (Value::Message(message), DataType::Timestamp(..)) => {
            let number = |name: &str| match message.get_field_by_name(name).unwrap().into_owned() {
                Value::I64(value) => i128::from(value),
                Value::I32(value) => i128::from(value),
                other => panic!("{other}"),
            };
            (number("seconds") * 1_000_000_000 + number("nanos")).to_string()
        }
        (Value::Message(message), _) => {
            let field: FieldDescriptor = message.descriptor().get_field(1).unwrap();
            one(&message.get_field(&field), &field.kind(), wanted)
        }
        (Value::EnumNumber(number), DataType::Utf8View) => {
            let Kind::Enum(of) = kind else { panic!() };
            of.get_value(*number).map_or_else(|| format!("\"{number}\""), |value| format!("{:?}", value.name()))
        }
        (Value::EnumNumber(number), _) => number.to_string(),
        (Value::F64(value), _) => format!("{:x}", value.to_bits()),
        (Value::F32(value), _) => format!("{:x}", value.to_bits()),
        (Value::String(text), _) => format!("{text:?}"),
        (Value::Bytes(bytes), _) => format!("{:?}", &bytes[..]),
        (Value::Bool(value), _) => value.to_string(),
        (Value::I32(value), _) => value.to_string(),
        (Value::I64(value), _) => value.to_string(),
        (Value::U32(value), _) => value.to_string(),
        (Value::U64(value), _) => value.to_string(),
        (other, wanted) => panic!("{other} as {wanted}"),
    }
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Of all sizes.
    fn bits(&mut self) -> u64 {
        let size = self.below(64);
        self.next() >> size
    }
}

fn varint(out: &mut Vec<u8>, mut bits: u64) {
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// The value of a field as a writer may write it, without its tag.
fn value(dice: &mut Dice, kind: &Kind, depth: usize) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    let narrow = dice.bits() as i32;
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => (1, dice.bits().to_le_bytes().to_vec()),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => (5, (dice.bits() as u32).to_le_bytes().to_vec()),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => {
            varint(&mut out, dice.bits());
            (0, out)
        }
        Kind::Int32 => {
            varint(&mut out, i64::from(narrow) as u64);
            (0, out)
        }
        Kind::Uint32 | Kind::Sint32 => {
            varint(&mut out, (narrow as u32).into());
            (0, out)
        }
        Kind::Enum(_) => {
            varint(&mut out, [0, 1, 5, -3_i64 as u64, 100_000, 7][dice.below(6) as usize]);
            (0, out)
        }
        Kind::Bool => (0, vec![dice.below(2) as u8]),
        Kind::String | Kind::Bytes => {
            let text = ["", "a", "größe", "0123456789012345678901234567890"][dice.below(4) as usize];
            varint(&mut out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
            (2, out)
        }
        Kind::Message(of) => {
            let content = written(dice, of, depth + 1);
            varint(&mut out, content.len() as u64);
            out.extend_from_slice(&content);
            (2, out)
        }
    }
}

/// Fields of a message in any order, some several times, some packed, some unknown.
fn written(dice: &mut Dice, of: &MessageDescriptor, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let known: Vec<FieldDescriptor> = of.fields().collect();
    let most = if depth == 0 { 40 } else { 5 };
    for _ in 0..dice.below(most) {
        let field = &known[dice.below(known.len() as u64) as usize];
        if depth > 3 && matches!(field.kind(), Kind::Message(_)) {
            continue;
        }
        let (wire, content) = value(dice, &field.kind(), depth);
        if field.is_list() && wire != 2 && dice.below(2) == 0 {
            let packed: Vec<u8> = (0..dice.below(4)).flat_map(|_| value(dice, &field.kind(), depth).1).collect();
            varint(&mut out, u64::from(field.number()) << 3 | 2);
            varint(&mut out, packed.len() as u64);
            out.extend_from_slice(&packed);
        } else {
            varint(&mut out, u64::from(field.number()) << 3 | u64::from(wire));
            out.extend_from_slice(&content);
        }
        if dice.below(8) == 0 {
            // Unknown: a number, and a group with one in it.
            out.extend_from_slice(&[0xc0, 0x3e, 0x05, 0xcb, 0x3e, 0xc0, 0x3e, 0x05, 0xcc, 0x3e]);
        }
    }
    out
}

/// Where each field of a message ends.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut at = crate::formats::decode::ProtobufCursor(bytes);
    let mut ends = vec![0];
    while !at.0.is_empty() {
        let (number, wire) = at.tag().unwrap();
        at.skip(number, wire).unwrap();
        ends.push(bytes.len() - at.0.len());
    }
    ends
}

/// Whether a value of the message, or of one in it, takes the place of another one.
fn replaces(of: &MessageDescriptor, bytes: &[u8]) -> bool {
    let mut at = crate::formats::decode::ProtobufCursor(bytes);
    let mut seen = std::collections::BTreeSet::new();
    while !at.0.is_empty() {
        let Ok((number, wire)) = at.tag() else { return false };
        let before = at.0;
        if at.skip(number, wire).is_err() {
            return false;
        }
        let Some(field) = of.get_field(number) else { continue };
        let name = field.containing_oneof().map_or(field.name().to_owned(), |oneof| oneof.name().to_owned());
        if !field.is_list() && !seen.insert(name) {
            return true;
        }
        if let (Kind::Message(inner), crate::formats::decode::ProtobufWire::Bytes) = (field.kind(), wire) {
            let mut content = crate::formats::decode::ProtobufCursor(before);
            if content.bytes().is_ok_and(|content| replaces(&inner, content)) {
                return true;
            }
        }
    }
    false
}

/// What both make of the bytes: the same; or nothing, which the other one may, too, where rules are stricter here.
fn agrees(bytes: &[u8]) -> Result<bool, String> {
    let wanted = all();
    let (own, rows) = with_decoder(|decoder| (decoder.push(Some(bytes)), batch(decoder, &wanted)));
    let other = DynamicMessage::decode(message(), bytes);
    match (own, other) {
        (Err(_), Err(_)) => Ok(false),
        // Of values that others take the place of, it is not looked at what they are.
        (Ok(()), Err(_)) if replaces(&message(), bytes) => Ok(true),
        (Ok(()), Err(error)) => Err(format!("accepted, and the other one says {error}")),
        (Err(error), Ok(_)) => {
            let stricter = ["out of range", "are no time", "was written by another schema", "a wire type"];
            if stricter.iter().any(|why| error.contains(why)) { Ok(false) } else { Err(format!("refused: {error}")) }
        }
        (Ok(()), Ok(message)) => {
            for (field, column) in wanted.iter().zip(rows.columns()) {
                let (found, expected) = (shown(column, 0), expected(&message, field));
                if found != expected {
                    return Err(format!("{}: {found}, and the other one says {expected}", field.name()));
                }
            }
            Ok(true)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_as_others_read_it(seed in any::<u64>()) {
        let bytes = written(&mut Dice(seed), &message(), 0);
        let agreed = agrees(&bytes);
        prop_assert!(agreed.is_ok(), "{bytes:02x?}: {agreed:?}");
    }

    /// Nothing panics, nothing is accepted that the other one refuses, and no field that is cut off is.
    #[test]
    fn damage_is_seen(seed in any::<u64>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut dice = Dice(seed);
        let mut bytes = written(&mut dice, &message(), 0);
        if !bytes.is_empty() {
            let ends = ends(&bytes);
            let cut = dice.below(bytes.len() as u64) as usize;
            if !ends.contains(&cut) {
                let read = with_decoder(|decoder| decoder.push(Some(&bytes[..cut])));
                prop_assert!(read.is_err(), "cut at {cut}: {bytes:02x?}");
            }
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let agreed = agrees(&bytes);
        prop_assert!(agreed.is_ok(), "{bytes:02x?}: {agreed:?}");
    }

    #[test]
    fn whatever_bytes_are_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let agreed = agrees(&bytes);
        prop_assert!(agreed.is_ok(), "{bytes:02x?}: {agreed:?}");
    }

    /// What is written here is read by the other one as what it was.
    #[test]
    fn what_is_written_here_others_read(seeds in prop::collection::vec(any::<u64>(), 1..4)) {
        let wanted = all();
        let messages: Vec<Vec<u8>> = seeds.iter().map(|seed| written(&mut Dice(*seed), &message(), 0)).collect();
        let good: Vec<&Vec<u8>> = messages.iter().filter(|bytes| with_decoder(|decoder| decoder.push(Some(bytes))).is_ok()).collect();
        let rows_before = with_decoder(|decoder| {
            good.iter().for_each(|bytes| decoder.push(Some(bytes)).unwrap());
            batch(decoder, &wanted)
        });
        let rows = good.len();
        static ENCODER: LazyLock<MessageEncoder> = LazyLock::new(|| encoder(SCHEMA, ALL, &all()).unwrap());
        let messages = encoded(&ENCODER, &rows_before).unwrap();
        for row in 0..rows {
            let other = DynamicMessage::decode(message(), messages.get(row).unwrap()).unwrap();
            for (field, column) in wanted.iter().zip(rows_before.columns()) {
                prop_assert_eq!(shown(column, row), expected(&other, field), "{}", field.name());
            }
        }
    }
}

#[test]
fn columns_that_are_not_wanted_are_passed_over() {
    for seed in 0..100 {
        let bytes = written(&mut Dice(seed), &message(), 0);
        let Ok(other) = DynamicMessage::decode(message(), &*bytes) else { continue };
        let mut wanted = all();
        let mut dice = Dice(seed);
        wanted.retain(|_| dice.below(4) == 0);
        let mut decoder = decoder(SCHEMA, ALL, &wanted).unwrap();
        if decoder.push(Some(&bytes)).is_err() || wanted.is_empty() {
            continue;
        }
        let rows = batch(&mut decoder, &wanted);
        for (field, column) in wanted.iter().zip(rows.columns()) {
            assert_eq!(shown(column, 0), expected(&other, field), "{} of seed {seed}", field.name());
        }
    }
}
