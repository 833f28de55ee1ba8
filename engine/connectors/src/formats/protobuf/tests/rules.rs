//! What is read from what, and written as what, one by one.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::DataType::*;
use arrow::datatypes::*;
use arrow::util::display::array_value_to_string;

use super::{batch, decoder, encoded, encoder, fields, list, map, row};

/// The value of a column, of the messages one after the other.
fn read(schema: &str, given: &[(&str, &str)], of: DataType, messages: &[&[u8]]) -> Result<Vec<String>, String> {
    let fields = fields(&[("v", of, true)]);
    let mut decoder = decoder(schema, given, &fields)?;
    messages.iter().try_for_each(|message| decoder.push(Some(message)))?;
    let rows = batch(&mut decoder, &fields);
    Ok((0..messages.len()).map(|row| array_value_to_string(rows.column(0), row).unwrap()).collect())
}

fn proto3(field: &str) -> String {
    format!(
        "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\"; \
         import \"google/protobuf/wrappers.proto\"; import \"google/type/date.proto\"; import \"google/type/timeofday.proto\"; \
         import \"confluent/type/decimal.proto\"; import \"confluent/meta.proto\"; enum E {{ A = 0; B = 1; }} \
         message M {{ {field} }} message I {{ int32 a = 1; string b = 2; optional int32 c = 3; }}"
    )
}

const M: (&str, &str) = ("protobuf.message-class-name", "M");

fn ok(field: &str, of: DataType, message: &[u8], value: &str) {
    let read = read(&proto3(field), &[M], of, &[message]);
    assert_eq!(read.map(|mut values| values.remove(0)).as_deref(), Ok(value), "{field}");
}

fn refused(field: &str, of: DataType, message: &[u8], why: &str) {
    let said = read(&proto3(field), &[M], of, &[message]).unwrap_err();
    assert!(said.contains(why), "{field}: {said}");
}

#[test]
fn types_go_together_as_documented() {
    ok("int32 v = 1;", Int8, &[8, 5], "5");
    ok("int32 v = 1;", Decimal128(12, 2), &[8, 5], "5.00");
    refused("int32 v = 1;", Int8, &[8, 0x80, 1], "field 'v': 128, which is out of range");
    refused("int32 v = 1;", Int32, &[8, 0x80, 0x80, 0x80, 0x80, 0x10], "4294967296, which is out of range");
    refused("int64 v = 1;", Int32, &[8, 5], "column 'v': INT cannot be read from int64");
    refused("int32 v = 1;", Float64, &[8, 5], "DOUBLE cannot be read from int32");
    refused("int32 v = 1;", Decimal128(10, 1), &[8, 5], "DECIMAL(10, 1) cannot be read from int32");
    ok("uint32 v = 1;", Int32, &[8, 5], "5");
    refused("uint32 v = 1;", Int32, &[8, 0xff, 0xff, 0xff, 0xff, 0x0f], "4294967295, which is out of range");
    let greatest = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    ok("uint64 v = 1;", Int64, &[8, 5], "5");
    refused("uint64 v = 1;", Int64, &greatest, "18446744073709551615, which is out of range");
    ok("uint64 v = 1;", Decimal128(20, 0), &greatest, "18446744073709551615");
    ok("uint64 v = 1;", Decimal128(38, 18), &greatest, "18446744073709551615.000000000000000000");
    refused("uint64 v = 1;", Decimal128(19, 0), &[8, 5], "DECIMAL(19, 0) cannot be read from uint64");
    ok("float v = 1;", Float64, &[13, 0, 0, 0xc0, 0x3f], "1.5");
    refused("double v = 1;", Float32, &[], "FLOAT cannot be read from double");
    ok("bool v = 1;", Boolean, &[8, 7], "true");
    ok("bytes v = 1;", Utf8View, &[10, 1, b'x'], "x");
    ok("string v = 1;", BinaryView, &[10, 1, b'x'], "78");
    refused("string v = 1;", Utf8View, &[10, 1, 0xff], "field 'v': invalid UTF-8 at byte 1 of a string");
    ok("string v = 1;", Decimal128(5, 2), &[10, 4, b'-', b'1', b'.', b'5'], "-1.50");
    refused("string v = 1;", Decimal128(5, 2), &[10, 1, b'x'], "'x' is not what the column takes");
    ok("string v = 1;", Date32, b"\x0a\x0a2026-02-03", "2026-02-03");
    refused("string v = 1;", Int32, &[], "INT cannot be read from a string");
    ok("E v = 1;", Utf8View, &[8, 1], "B");
    ok("E v = 1;", Utf8View, &[8, 9], "9");
    ok("E v = 1;", Int32, &[8, 9], "9");
    ok("repeated E v = 1;", list(Utf8View), &[10, 2, 0, 1], "[A, B]");
    refused("repeated int32 v = 1;", Int32, &[], "INT cannot be read from a repeated field");
    refused("int32 v = 1;", list(Int32), &[], "ARRAY<INT> cannot be read from int32");
    refused("map<int32, int32> v = 1;", list(Int32), &[], "ARRAY<INT> cannot be read from a map");
    refused("map<int32, int32> v = 1;", map(Utf8View, Int32), &[], "its keys: STRING cannot be read from int32");
    refused("I v = 1;", Utf8View, &[], "STRING cannot be read from a message 'I'");
    ok("I v = 1;", row(&[("b", Utf8View, true), ("c", Int32, true)]), &[10, 3, 18, 1, b'x'], "{b: x, c: }");
    refused("I v = 1;", row(&[("x", Int32, true)]), &[], "column 'v': column 'x': the message 'I' has no such field");
    refused("I v = 1;", row(&[("c", Int32, false)]), &[10, 2, 8, 1], "field 'v.c': it is NOT NULL, and has no value");
    refused("int32 w = 1;", Int32, &[], "column 'v': the message 'M' has no such field");
}

#[test]
fn well_known_messages_are_values() {
    ok(
        "google.protobuf.Timestamp v = 1;",
        Timestamp(TimeUnit::Millisecond, None),
        &[10, 6, 8, 1, 16, 0x80, 0x89, 0x7a],
        "1970-01-01T00:00:01.002",
    );
    let before = [10, 11, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    ok(
        "google.protobuf.Timestamp v = 1;",
        Timestamp(TimeUnit::Second, Some("UTC".into())),
        &before,
        "1969-12-31T23:59:59Z",
    );
    refused(
        "google.protobuf.Timestamp v = 1;",
        Timestamp(TimeUnit::Second, None),
        &[10, 6, 16, 0xff, 0xff, 0xff, 0xff, 7],
        "are no time",
    );
    ok(
        "google.protobuf.Timestamp v = 1;",
        row(&[("seconds", Int64, true), ("nanos", Int32, true)]),
        &[10, 2, 8, 1],
        "{seconds: 1, nanos: 0}",
    );
    ok("google.protobuf.Duration v = 1;", Decimal128(21, 9), &[10, 4, 8, 1, 16, 5], "1.000000005");
    ok("google.protobuf.Int64Value v = 1;", Int64, &[10, 0], "0");
    ok("google.protobuf.Int64Value v = 1;", Int64, &[], "");
    ok("google.protobuf.StringValue v = 1;", Utf8View, &[10, 3, 10, 1, b'x'], "x");
    refused("google.protobuf.StringValue v = 1;", Int64, &[], "BIGINT cannot be read from a string");
    ok("google.type.Date v = 1;", Date32, &[10, 7, 8, 0xea, 0x0f, 16, 2, 24, 3], "2026-02-03");
    refused("google.type.Date v = 1;", Date32, &[10, 2, 16, 2], "0000-02-00 is no date");
    ok("google.type.TimeOfDay v = 1;", Time64(TimeUnit::Nanosecond), &[10, 4, 8, 1, 32, 5], "01:00:00.000000005");
    ok("confluent.type.Decimal v = 1;", Decimal128(6, 3), &[10, 7, 10, 1, 0xfb, 16, 2, 24, 1], "-0.500");
    refused(
        "confluent.type.Decimal v = 1;",
        Decimal128(6, 0),
        &[10, 5, 10, 1, 5, 24, 1],
        "does not go into DECIMAL(6, 0)",
    );
}

#[test]
fn the_last_value_counts_and_parts_of_a_message_are_one() {
    ok("int32 v = 1;", Int32, &[8, 1, 8, 2], "2");
    ok(
        "I v = 1;",
        row(&[("a", Int32, true), ("b", Utf8View, true)]),
        &[10, 2, 8, 1, 10, 3, 18, 1, b'x', 10, 0],
        "{a: 1, b: x}",
    );
    ok(
        "map<int32, int32> v = 1;",
        map(Int32, Int32),
        &[10, 4, 8, 1, 16, 2, 10, 2, 8, 3, 10, 4, 16, 5, 8, 1],
        "{3: 0, 1: 5}",
    );
    // Of a oneof, also if the last one is not read.
    let oneof = "oneof o { int32 v = 1; string other = 2; I third = 3; }";
    ok(oneof, Int32, &[8, 1, 18, 0, 8, 2], "2");
    ok(oneof, Int32, &[8, 1, 18, 0], "");
    ok("oneof o { I v = 1; string other = 2; }", row(&[("a", Int32, true)]), &[10, 2, 8, 7, 18, 0, 10, 0], "{a: 0}");
}

#[test]
fn bytes_of_another_schema_are_refused() {
    refused("int32 v = 1;", Int32, &[10, 1, 1], "field 'v': it is written as Bytes and not as Varint");
    refused("I v = 1;", row(&[("a", Int32, true)]), &[10, 2, 10, 0], "field 'v.a': it is written as Bytes");
    refused("I v = 1;", row(&[("a", Int32, true)]), &[10, 2, 8], "it is cut off");
    refused("int32 v = 1;", Int32, &[0, 0], "a field with the number 0");
    refused("int32 v = 1;", Int32, &[15], "a wire type 7");
    refused("int32 v = 1;", Int32, &[19], "it is cut off");
    refused("int32 v = 1;", Int32, &[20], "the end of a group 2 that has not begun");
    refused("int32 v = 1;", Int32, &[19, 28], "the end of a group 3 in a group 2");
    refused("int32 v = 1;", Int32, &[19].repeat(200), "more than 100 groups in each other");
    refused(
        "int32 v = 1;",
        Int32,
        &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        "a number of more than 64 bits",
    );
}

#[test]
fn absence_is_what_the_message_says_it_is() {
    let proto2 = r#"syntax = "proto2"; message M { optional int32 v = 1 [default = 7]; required int32 r = 2; optional group G = 3 { optional int32 x = 1; } }"#;
    assert_eq!(read(proto2, &[], Int32, &[&[16, 1], &[8, 3, 16, 1]]).unwrap(), ["", "3"]);
    let defaults = ("protobuf.read-default-values", "true");
    assert_eq!(read(proto2, &[defaults], Int32, &[&[16, 1, 27, 8, 1, 28]]).unwrap(), ["7"]);
    for (of, value) in [("sint32", "5"), ("sint32", "-5"), ("sint64", "-5"), ("sfixed64", "-5"), ("int64", "-5")] {
        let zigzag = format!(r#"syntax = "proto2"; message M {{ optional {of} v = 1 [default = {value}]; }}"#);
        assert_eq!(read(&zigzag, &[defaults], Int64, &[&[]]).unwrap(), [value], "{of}");
    }
    // Of a oneof only what is there, or it could not be written again; one by itself says only whether it is there.
    let oneof = proto3("oneof o { int32 v = 1; int32 w = 2; }");
    assert_eq!(read(&oneof, &[M, defaults], Int32, &[&[], &[8, 3], &[16, 4]]).unwrap(), ["", "3", ""]);
    assert_eq!(read(&proto3("optional int32 v = 1;"), &[M, defaults], Int32, &[&[]]).unwrap(), ["0"]);
    let required = fields(&[("r", Int32, true)]);
    let said = decoder(proto2, &[], &required).unwrap().push(Some(&[8, 1])).unwrap_err();
    assert_eq!(said, "field 'r': it is required, and has no value");
    let group = fields(&[("g", row(&[("x", Int32, true)]), true)]);
    assert!(decoder(proto2, &[], &group).err().unwrap().contains("it is a group, which cannot be read"));
    ok("optional int32 v = 1;", Int32, &[], "");
    ok("optional int32 v = 1;", Int32, &[8, 0], "0");
    ok("int32 v = 1;", Int32, &[], "0");
    ok("repeated int32 v = 1;", list(Int32), &[], "[]");
    ok("I v = 1;", row(&[("a", Int32, true)]), &[], "");
}

#[test]
fn braces_in_each_other_end_somewhere() {
    let options = |braces: usize| {
        format!(
            "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message M {{ optional M m = 1; optional int32 v = 2; }} \
             extend google.protobuf.FileOptions {{ optional M o = 50000; }} option (o) = {{ {}v: 1{} }};",
            "m { ".repeat(braces),
            " }".repeat(braces)
        )
    };
    assert_eq!(read(&options(40), &[M], Int32, &[]).unwrap(), Vec::<String>::new());
    let said = read(&options(100_000), &[M], Int32, &[]).unwrap_err();
    assert!(said.contains("has more than 50 braces in each other"), "{said}");
}

#[test]
fn a_message_that_cannot_be_read_leaves_no_trace() {
    let wanted = fields(&[
        ("v", list(row(&[("a", Int32, false), ("b", Utf8View, false)])), true),
        ("w", map(Int32, Int32), true),
    ]);
    let schema = proto3("repeated I v = 1; map<int32, int32> w = 2;");
    let mut decoder = decoder(&schema, &[M], &wanted).unwrap();
    let good: &[u8] = &[10, 2, 8, 1, 18, 4, 8, 1, 16, 2];
    decoder.push(Some(good)).unwrap();
    decoder.push(Some(&[10, 2, 8, 9, 10, 3, 18, 1, 0xff])).unwrap_err();
    decoder.push(Some(&[10, 2, 8, 9, 18, 4, 8, 1, 18, 0])).unwrap_err();
    decoder.push(Some(good)).unwrap();
    let rows = batch(&mut decoder, &wanted);
    assert_eq!(rows.num_rows(), 4);
    for row in [0, 3] {
        assert_eq!(array_value_to_string(rows.column(0), row).unwrap(), "[{a: 1, b: }]");
        assert_eq!(array_value_to_string(rows.column(1), row).unwrap(), "{1: 2}");
    }
}

/// A row of one column as a message.
fn write(field: &str, column: ArrayRef) -> Result<Vec<u8>, String> {
    let rows = RecordBatch::try_from_iter([("v", column)]).unwrap();
    let fields: Vec<FieldRef> = rows.schema().fields().iter().cloned().collect();
    let messages = encoded(&encoder(&proto3(field), &[M], &fields)?, &rows)?;
    Ok(messages.get(0).unwrap().to_vec())
}

#[test]
fn values_are_written_as_documented() {
    fn ok(field: &str, column: impl Array + 'static, message: &[u8]) {
        assert_eq!(write(field, Arc::new(column)).as_deref(), Ok(message), "{field}");
    }
    fn refused(field: &str, column: impl Array + 'static, why: &str) {
        let said = write(field, Arc::new(column)).unwrap_err();
        assert!(said.contains(why), "{field}: {said}");
    }
    ok("int32 v = 1;", Int64Array::from(vec![5]), &[8, 5]);
    ok("int32 v = 1;", Int64Array::from(vec![0]), &[]);
    ok("optional int32 v = 1;", Int64Array::from(vec![0]), &[8, 0]);
    ok("optional int32 v = 1;", Int64Array::from(vec![None]), &[]);
    refused("int32 v = 1;", Int64Array::from(vec![1 << 31]), "field 'v': 2147483648, which its type has no room for");
    refused("uint32 v = 1;", Int32Array::from(vec![-1]), "-1, which its type has no room for");
    let decimal = |value, precision, scale| {
        Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap()
    };
    ok(
        "uint64 v = 1;",
        decimal(i128::from(u64::MAX), 20, 0),
        &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    );
    refused("uint64 v = 1;", decimal(1, 20, 1), "DECIMAL(20, 1) cannot be written as uint64");
    ok("string v = 1;", decimal(-15, 3, 1), b"\x0a\x04-1.5");
    ok("string v = 1;", Date32Array::from(vec![0]), b"\x0a\x0a1970-01-01");
    ok("E v = 1;", StringViewArray::from(vec!["B"]), &[8, 1]);
    ok("E v = 1;", StringViewArray::from(vec!["9"]), &[8, 9]);
    refused("E v = 1;", StringViewArray::from(vec!["C"]), "'C' is no value of the enum 'E'");
    refused("double v = 1;", Int32Array::from(vec![1]), "INT cannot be written as double");
    refused(
        "repeated int32 v = 1;",
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some([None])]),
        "a null among its items",
    );
    let times = TimestampMillisecondArray::from(vec![-1]);
    ok(
        "google.protobuf.Timestamp v = 1;",
        times,
        &[10, 17, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 16, 0xc0, 0x8f, 0xae, 0xdc, 3],
    );
    refused(
        "google.protobuf.Timestamp v = 1;",
        TimestampSecondArray::from(vec![i64::MAX]),
        "not in the years from 1 to 9999",
    );
    ok("google.protobuf.Int32Value v = 1;", Int32Array::from(vec![0]), &[10, 0]);
    ok("google.protobuf.Int32Value v = 1;", Int32Array::from(vec![3]), &[10, 2, 8, 3]);
    ok(
        "google.protobuf.Duration v = 1;",
        decimal(-15, 3, 1),
        &[
            10, 22, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 16, 0x80, 0xb6, 0xca, 0x91, 0xfe, 0xff,
            0xff, 0xff, 0xff, 1,
        ],
    );
    ok("google.type.Date v = 1;", Date32Array::from(vec![0]), &[10, 7, 8, 0xb2, 0x0f, 16, 1, 24, 1]);
    refused("google.type.Date v = 1;", Date32Array::from(vec![-1_000_000]), "not in the years from 1 to 9999");
    ok("google.type.TimeOfDay v = 1;", Time64NanosecondArray::from(vec![3_600_000_000_005]), &[10, 4, 8, 1, 32, 5]);
    ok("confluent.type.Decimal v = 1;", decimal(-5, 6, 1), &[10, 7, 10, 1, 0xfb, 16, 6, 24, 1]);
    refused(
        "int32 w = 1;",
        Int32Array::from(vec![1]),
        "because: column 'v'\n  because: the message 'M' has no such field",
    );
}

#[test]
fn of_a_oneof_one_is_written_and_what_is_required_has_to_be_there() {
    let schema = r#"syntax = "proto2"; message M { oneof o { int32 a = 1; int32 b = 2; } required int32 r = 3; }"#;
    let rows = |a: Option<i32>, b: Option<i32>, r: Option<i32>| {
        let column = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
        RecordBatch::try_from_iter_with_nullable([
            ("a", column(a), true),
            ("b", column(b), true),
            ("r", column(r), true),
        ])
        .unwrap()
    };
    let fields: Vec<FieldRef> = rows(None, None, None).schema().fields().iter().cloned().collect();
    let encoder = encoder(schema, &[], &fields).unwrap();
    let written = encoded(&encoder, &rows(None, Some(0), Some(1))).unwrap();
    assert_eq!(written.get(0), Some(&[16, 0, 24, 1][..]));
    let said = encoded(&encoder, &rows(Some(1), Some(2), Some(1))).unwrap_err();
    assert!(said.contains("of 'o' both 'a' and 'b' have values"), "{said}");
    let said = encoded(&encoder, &rows(None, None, None)).unwrap_err();
    assert!(said.contains("field 'r' is required, and null"), "{said}");
    let said = super::encoder(schema, &[], &fields[..2]).unwrap_err();
    assert!(said.contains("field 'r' of the message 'M' is required, and there is no such column"), "{said}");
}

#[test]
fn options_say_which_message_is_meant() {
    let wanted = fields(&[("a", Int32, true)]);
    let said = |schema: &str, given: &[(&str, &str)]| decoder(schema, given, &wanted).err().unwrap();
    let two = "syntax = \"proto3\"; package p; message A { int32 a = 1; } message B { int32 b = 1; message C { int32 a = 1; } }";
    assert!(said(two, &[]).contains("option 'protobuf.schema': it has several messages, such as 'p.A' and 'p.B'"));
    assert!(said(two, &[]).contains("add 'protobuf.message-class-name'"));
    let wrong = said(two, &[("protobuf.message-class-name", "p.B.c")]);
    assert!(wrong.contains("it has no message 'p.B.c', but 'p.B.C'"), "{wrong}");
    for name in ["p.A", ".p.B.C"] {
        decoder(two, &[("protobuf.message-class-name", name)], &wanted).unwrap();
    }
    let wrong = said("syntax = \"proto3\"; message A { int32 a = 1 }", &[]);
    assert!(wrong.contains("its text:1:44"), "{wrong}");
    let wrong = said("syntax = \"proto3\"; import \"other.proto\"; message A { int32 a = 1; }", &[]);
    assert!(wrong.contains("import 'other.proto' not found"), "{wrong}");
    let both = said(two, &[("protobuf.descriptor", "x")]);
    assert!(both.contains("given beside 'protobuf.schema'"), "{both}");
}

#[test]
fn a_schema_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.proto"),
        "syntax = \"proto3\"; import \"sub/b.proto\"; message A { B b = 1; }",
    )
    .unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/b.proto"), "syntax = \"proto3\"; message B { int32 x = 1; }").unwrap();
    let text = folder.path().join("a.proto");
    let set = folder.path().join("set.bin");
    let compiled = protox::Compiler::new([folder.path()])
        .unwrap()
        .include_imports(true)
        .open_file("a.proto")
        .unwrap()
        .encode_file_descriptor_set();
    std::fs::write(&set, compiled).unwrap();
    let alone = folder.path().join("alone.bin");
    std::fs::write(
        &alone,
        protox::Compiler::new([folder.path()]).unwrap().open_file("a.proto").unwrap().encode_file_descriptor_set(),
    )
    .unwrap();
    let wanted = fields(&[("b", row(&[("x", Int32, true)]), true)]);
    let open = |path: &std::path::Path| {
        let options = super::options(&[("protobuf.descriptor", path.to_str().unwrap())]);
        let format = super::MessageFormat::read(&super::Options::new("t", &options)).unwrap().unwrap();
        format.check(&wanted).unwrap();
        super::MessageDecoder::new(&format, &wanted, wanted.clone()).map_err(|error| error.report())
    };
    for path in [&text, &set] {
        let mut decoder = open(path).unwrap();
        decoder.push(Some(&[10, 2, 8, 5])).unwrap();
        assert_eq!(array_value_to_string(batch(&mut decoder, &wanted).column(0), 0).unwrap(), "{x: 5}");
    }
    assert!(open(&alone).err().unwrap().contains("--include_imports"));
    let missing = open(&folder.path().join("none.bin")).err().unwrap();
    assert!(missing.contains("option 'protobuf.descriptor': ") && missing.contains("No such file"), "{missing}");
}
