#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;

use super::*;

fn encoder(format: &str, options: &[(&str, &str)]) -> LineEncoder {
    let values: BTreeMap<String, String> =
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = Options::new("t", &values);
    if format == "json" { LineEncoder::json(options).unwrap() } else { LineEncoder::csv(options).unwrap() }
}

fn encoded(encoder: &LineEncoder, batch: &RecordBatch) -> String {
    let mut out = Vec::new();
    encoder.header(batch.schema_ref(), &mut out);
    encoder.encode(batch, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn one(name: &str, array: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, Arc::new(array) as ArrayRef, true)]).unwrap()
}

fn json_values(array: impl Array + 'static) -> Vec<String> {
    let text = encoded(&encoder("json", &[]), &one("v", array));
    text.lines().map(|line| line.strip_prefix("{\"v\":").unwrap().strip_suffix('}').unwrap().to_owned()).collect()
}

/// A flat batch with nulls in every column and what is hard to write.
fn scalars() -> RecordBatch {
    let nullable = |name, array: ArrayRef| (name, array, true);
    RecordBatch::try_from_iter_with_nullable([
        nullable("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        nullable("i", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(0)]))),
        nullable("l", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MIN)]))),
        nullable("d", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-1e300)]))),
        nullable(
            "m",
            Arc::new(
                Decimal128Array::from(vec![Some(-5), None, Some(123_456_789)]).with_precision_and_scale(12, 2).unwrap(),
            ),
        ),
        nullable("s", Arc::new(StringViewArray::from(vec![Some("a \"b\", c\nd\\ ä\u{1}"), None, Some("é")]))),
        nullable("day", Arc::new(Date32Array::from(vec![Some(-1), None, Some(11_016)]))),
        nullable("at", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(951_782_400_123)]))),
        nullable(
            "zoned",
            Arc::new(TimestampMillisecondArray::from(vec![Some(0), None, Some(1)]).with_timezone("+00:00")),
        ),
    ])
    .unwrap()
}

#[test]
fn json_has_every_type() {
    let lines = encoded(&encoder("json", &[]), &scalars());
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            "{\"b\":true,\"i\":-2147483648,\"l\":9223372036854775807,\"d\":0.1,\"m\":-0.05,\
             \"s\":\"a \\\"b\\\", c\\nd\\\\ ä\\u0001\",\"day\":\"1969-12-31\",\
             \"at\":\"1969-12-31 23:59:59.999\",\"zoned\":\"1970-01-01 00:00:00.000Z\"}",
            "{\"b\":null,\"i\":null,\"l\":null,\"d\":null,\"m\":null,\"s\":null,\"day\":null,\"at\":null,\"zoned\":null}",
            "{\"b\":false,\"i\":0,\"l\":-9223372036854775808,\"d\":-1e300,\"m\":1234567.89,\"s\":\"é\",\
             \"day\":\"2000-02-29\",\"at\":\"2000-02-29 00:00:00.123\",\"zoned\":\"1970-01-01 00:00:00.001Z\"}",
        ]
    );
}

/// Another JSON reader, which knows nothing of this one, finds the same values.
#[test]
fn arrow_reads_the_json_back() {
    for standard in ["SQL", "ISO-8601"] {
        let batch = scalars();
        let text = encoded(&encoder("json", &[("json.timestamp-format.standard", standard)]), &batch);
        let reader = arrow::json::ReaderBuilder::new(batch.schema()).build(text.as_bytes()).unwrap();
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(read, [batch], "{standard}");
    }
}

#[test]
fn arrow_reads_the_csv_back() {
    let batch = scalars();
    let text = encoded(&encoder("csv", &[("csv.header", "true"), ("csv.null-literal", "n/a")]), &batch);
    assert!(text.starts_with("b,i,l,d,m,s,day,at,zoned\n"));
    let nulls = arrow::csv::reader::Format::default().with_header(true);
    let reader = arrow::csv::ReaderBuilder::new(batch.schema())
        .with_format(nulls)
        .with_null_regex(regex::Regex::new("^n/a$").unwrap())
        .build(text.as_bytes())
        .unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(read, [batch]);
}

#[test]
fn nested_values_are_json() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    assert_eq!(json_values(list), ["[1,null]", "null", "[]"]);

    let fields = Fields::from(vec![Field::new("x", DataType::Float64, true), Field::new("y\"", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Float64Array::from(vec![1.0, 2.5])), Arc::new(StringArray::from(vec![None, Some("z")]))];
    let rows = StructArray::new(fields, columns, Some(NullBuffer::from(vec![true, false])));
    assert_eq!(json_values(rows), ["{\"x\":1.0,\"y\\\"\":null}", "null"]);

    let entries = StructArray::from(vec![
        (Arc::new(Field::new("keys", DataType::Int32, false)), Arc::new(Int32Array::from(vec![7, 8])) as ArrayRef),
        (Arc::new(Field::new("values", DataType::Utf8, true)), Arc::new(StringArray::from(vec![Some("a"), None])) as _),
    ]);
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let maps = MapArray::new(field, OffsetBuffer::new(vec![0, 2, 2].into()), entries, None, false);
    assert_eq!(json_values(maps), ["{\"7\":\"a\",\"8\":null}", "{}"]);
}

#[test]
fn what_json_has_no_numbers_for_is_a_string_and_bytes_are_base64() {
    let floats = Float32Array::from(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.1, -0.0]);
    assert_eq!(json_values(floats), ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "0.1", "-0.0"]);
    assert_eq!(json_values(BinaryViewArray::from(vec![b"\xff\x00".as_slice(), b""])), ["\"/wA=\"", "\"\""]);
    assert_eq!(json_values(Time64MicrosecondArray::from(vec![86_399_000_001])), ["\"23:59:59.000001\""]);
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    dictionary.extend([Some("a"), None, Some("a")]);
    assert_eq!(json_values(dictionary.finish()), ["\"a\"", "null", "\"a\""]);
}

#[test]
fn years_beyond_four_digits_have_a_sign() {
    let times = TimestampMillisecondArray::from(vec![253_402_300_800_000, -62_198_755_200_000, i64::MIN, i64::MAX]);
    assert_eq!(
        json_values(times),
        [
            "\"+10000-01-01 00:00:00.000\"",
            "\"-0001-01-01 00:00:00.000\"",
            "\"-292275055-05-16 16:47:04.192\"",
            "\"+292278994-08-17 07:12:55.807\"",
        ]
    );
}

#[test]
fn nulls_can_be_left_out() {
    let encoder = encoder("json", &[("json.encode.ignore-null-fields", "true")]);
    assert_eq!(encoded(&encoder, &one("v", Int64Array::from(vec![None, Some(1)]))), "{}\n{\"v\":1}\n");
}

#[test]
fn csv_quotes_what_could_be_misread() {
    let texts = StringViewArray::from(vec![Some("a;b"), Some("say 'x'"), Some(""), None, Some(" a"), Some("1,2")]);
    let encoder = encoder("csv", &[("csv.field-delimiter", ";"), ("csv.quote-character", "'")]);
    let two = RecordBatch::try_from_iter([
        ("t", Arc::new(texts) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6]))),
    ]);
    assert_eq!(encoded(&encoder, &two.unwrap()), "'a;b';1\n'say ''x''';2\n'';3\n;4\n' a';5\n1,2;6\n");
    assert_eq!(encoded(&encoder, &one("v", Int64Array::from(vec![None, Some(1)]))), "''\n1\n", "no empty lines");
    let minus = self::encoder("csv", &[("csv.field-delimiter", "-")]);
    assert_eq!(encoded(&minus, &one("v", Int64Array::from(vec![-1]))), "\"-1\"\n");
}

#[test]
fn wrong_options_and_types_are_user_errors() {
    for (option, value) in [("csv.field-delimiter", ";;"), ("csv.field-delimiter", "\n"), ("csv.quote-character", ",")]
    {
        let values = BTreeMap::from([(option.to_owned(), value.to_owned())]);
        let error = LineEncoder::csv(Options::new("t", &values)).unwrap_err();
        assert!(error.to_string().contains(&format!("'{option}' of table 't'")), "{error}");
    }
    assert!(encoded(&encoder("csv", &[("csv.field-delimiter", "\t")]), &scalars()).starts_with("true\t"));
    assert!(encoded(&encoder("csv", &[("csv.field-delimiter", "\\t")]), &scalars()).starts_with("true\t"));
    let list = DataType::new_list(DataType::Int32, true);
    let schema = Arc::new(Schema::new(vec![Field::new("tags", list, true)]));
    let table = TableSpec::new("t", "filesystem", BTreeMap::new(), schema.clone());
    encoder("json", &[]).check(&schema, &table).unwrap();
    assert!(encoder("csv", &[]).check(&schema, &table).unwrap_err().to_string().contains("'tags'"));
}
