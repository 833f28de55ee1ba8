//! The text formats against other implementations of them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use proptest::prelude::*;

use super::csv::{CsvDialect, CsvRecords, QuotedLines};
use super::json::JsonRecords;
use super::*;

fn text_fields(count: usize) -> Vec<FieldRef> {
    (0..count).map(|index| Arc::new(Field::new(format!("c{index}"), DataType::Utf8View, true))).collect()
}

fn decode(format: RecordFormat, fields: Vec<FieldRef>, bytes: &[u8]) -> Decoded {
    let mut decoder = RecordDecoder::new(format, fields, usize::MAX, false).unwrap();
    assert_eq!(decoder.push(bytes, 0, usize::MAX, false), bytes.len());
    decoder.finish().unwrap()
}

fn texts(column: &ArrayRef) -> Vec<Option<String>> {
    column.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
}

fn dialect() -> CsvDialect {
    CsvDialect {
        delimiter: b',',
        quote: Some(b'"'),
        null_literal: None,
        comments: false,
        header: false,
        multiline: true,
        lenient: false,
    }
}

fn csv(columns: usize) -> RecordFormat {
    let fields = text_fields(columns);
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    RecordFormat::Csv(CsvRecords::new(dialect(), &names, &fields).unwrap())
}

/// Text in which what means something to CSV is frequent.
fn cell() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["[a-c]", "[,\"\r\n]", "[é€😀 ]"], 0..6).prop_map(|parts| parts.concat())
}

fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    (2..5usize).prop_flat_map(|columns| proptest::collection::vec(proptest::collection::vec(cell(), columns), 1..6))
}

proptest! {
    /// What is quoted by the rules comes back, and Arrow's reader agrees on it.
    #[test]
    fn csv_quoting_is_taken_back(rows in rows(), line_end in prop_oneof!["\n", "\r\n"]) {
        let quote = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",");
        let file = rows.iter().map(line).collect::<Vec<_>>().join(&line_end);
        let columns = rows[0].len();
        let decoded = decode(csv(columns), text_fields(columns), file.as_bytes());
        prop_assert!(decoded.bad.is_empty(), "{:?}", decoded.bad);

        let schema = Schema::new(
            text_fields(columns).iter().map(|field| Field::clone(field).with_data_type(DataType::Utf8)).collect::<Vec<_>>(),
        );
        let arrow = arrow::csv::ReaderBuilder::new(Arc::new(schema)).build(file.as_bytes()).unwrap().next().unwrap().unwrap();
        for column in 0..columns {
            let expected: Vec<String> = rows.iter().map(|row| row[column].clone()).collect();
            let here: Vec<String> = texts(&decoded.columns[column]).into_iter().map(Option::unwrap).collect();
            // Arrow takes an empty field for null, quoted or not.
            let there: Vec<String> =
                arrow.column(column).as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect();
            prop_assert_eq!(&here, &expected);
            prop_assert_eq!(&there, &expected);
        }
    }

    /// The ends of records are found wherever the file is cut into blocks.
    #[test]
    fn csv_records_end_where_they_end(rows in rows(), cut in 0..200usize) {
        let quote = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let lines: Vec<String> =
            rows.iter().map(|row| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n").collect();
        let file = lines.concat();
        let mut expected = 0;
        let mut expected_ends = Vec::new();
        for line in &lines {
            expected += line.len();
            expected_ends.push(expected);
        }
        let cut = cut.min(file.len());
        let (mut ends, mut found, mut base) = (QuotedLines::new(&dialect()), Vec::new(), 0);
        for block in [&file.as_bytes()[..cut], &file.as_bytes()[cut..]] {
            let mut at = 0;
            while let Some(end) = ends.first_end(&block[at..]) {
                at += end;
                found.push(base + at);
            }
            base += block.len();
        }
        prop_assert_eq!(found, expected_ends);
    }

    /// No input makes the decoders panic, and each record is a row or is bad.
    #[test]
    fn any_bytes_are_rows_or_bad(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\n'), Just(b'{'), Just(b'}'), Just(b':'), Just(b'\\')], 0..200)) {
        decode(csv(2), text_fields(2), &bytes);
        let fields = text_fields(2);
        decode(RecordFormat::Json(JsonRecords::new(&fields, false, false)), fields, &bytes);
    }

    /// What a record says does not depend on those before it, by whose members its own are looked for.
    #[test]
    fn json_records_are_read_each_by_itself(
        records in proptest::collection::vec((0..6usize, 0..4usize, cell(), any::<i64>(), 0..90usize, prop_oneof![32..127u8, Just(b'"'), Just(b'}')]), 2..5),
        is_damaged in any::<bool>(),
    ) {
        let fields: Vec<FieldRef> = vec![
            Arc::new(Field::new("c0", DataType::Utf8View, true)),
            Arc::new(Field::new("n", DataType::Int64, true)),
        ];
        let written = records.iter().map(|(members, blanks, text, number, place, byte)| {
            let text = serde_json::json!(if *number < 0 { text } else { "plain" });
            let all = [format!("\"c0\":{text}"), format!("\"n\": {number}"), "\"x\":[1,{\"n\":2}]".into(), "\"c0\":null".into(), "\"y\":true".into()];
            let blank = " ".repeat(blanks % 2);
            let members = all[..(*members).min(5)].join(&format!("{blank},{blank}"));
            let mut record = format!("{blank}{{{blank}{members}{blank}}}").into_bytes();
            if is_damaged && *place < record.len() && record[*place].is_ascii() {
                record[*place] = *byte;
            }
            record
        });
        let written: Vec<Vec<u8>> = written.collect();
        let read = |bytes: &[u8]| {
            decode(RecordFormat::Json(JsonRecords::new(&fields, false, false)), fields.clone(), bytes)
        };
        let rows = |decoded: &Decoded| -> Vec<(Option<String>, Option<i64>)> {
            let numbers = decoded.columns[1].as_primitive::<Int64Type>();
            texts(&decoded.columns[0]).into_iter().zip(numbers).collect()
        };
        let together = read(&written.join(&b'\n'));
        let alone: Vec<Decoded> = written.iter().map(|record| read(record)).collect();
        prop_assert_eq!(rows(&together), alone.iter().flat_map(rows).collect::<Vec<_>>());
        let reasons = |decoded: &Decoded| decoded.bad.iter().map(|bad| bad.reason.clone()).collect::<Vec<_>>();
        prop_assert_eq!(reasons(&together), alone.iter().flat_map(reasons).collect::<Vec<_>>());
    }

    /// One damaged byte in a JSON object: what serde takes for valid is, and has the same value.
    #[test]
    fn json_is_what_serde_says(
        number in any::<i64>(),
        text in cell(),
        place in 0..60usize,
        byte in prop_oneof![32..127u8, Just(b'"'), Just(b'}'), Just(b'0')],
    ) {
        let nested = serde_json::json!({"x": [1.5e3, -0.0, true, null, {"y": text}], "c0": text, "n": number});
        let mut record = nested.to_string().into_bytes();
        if place < record.len() && record[place].is_ascii() {
            record[place] = byte;
        }
        let fields: Vec<FieldRef> = vec![
            Arc::new(Field::new("c0", DataType::Utf8View, true)),
            Arc::new(Field::new("n", DataType::Int64, true)),
        ];
        let decoded = decode(RecordFormat::Json(JsonRecords::new(&fields, false, false)), fields.clone(), &record);
        match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&record) {
            Ok(value) => {
                let number = value.get("n").and_then(serde_json::Value::as_i64);
                let text = value.get("c0").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                let is_integer = value.get("n").is_none_or(|number| number.is_i64());
                if decoded.rows == 1 {
                    let numbers = decoded.columns[1].as_primitive::<Int64Type>();
                    if is_integer {
                        prop_assert_eq!((!numbers.is_null(0)).then(|| numbers.value(0)), number);
                    }
                    if value.get("c0").is_none_or(serde_json::Value::is_string) {
                        prop_assert_eq!(&texts(&decoded.columns[0])[0], &text);
                    }
                } else {
                    prop_assert!(!is_integer, "{:?} {}", decoded.bad, String::from_utf8_lossy(&record));
                }
            }
            // Escapes in strings that nobody reads are not checked.
            Err(error) if !error.to_string().contains("escape") => {
                prop_assert_eq!(decoded.rows, 0, "{} {}", error, String::from_utf8_lossy(&record));
            }
            Err(_) => {}
        }
    }
}

#[test]
fn a_lenient_reader_takes_null_for_what_is_not_of_the_type() {
    let fields: Vec<FieldRef> =
        vec![Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(Field::new("s", DataType::Utf8View, true))];
    let numbers = |format: RecordFormat, text: &str| {
        let decoded = decode(format, fields.clone(), text.as_bytes());
        decoded.columns[0].as_primitive::<Int64Type>().iter().collect::<Vec<_>>()
    };
    let json = "{\"n\": 1, \"s\": \"a\"}\n{\"n\": \"x\", \"s\": 2}\n{\"n\": [1]}\n";
    assert_eq!(numbers(RecordFormat::Json(JsonRecords::new(&fields, false, true)), json), [Some(1), None, None]);
    let names = ["n".to_owned(), "s".to_owned()];
    let csv = CsvRecords::new(CsvDialect { lenient: true, ..dialect() }, &names, &fields).unwrap();
    assert_eq!(numbers(RecordFormat::Csv(csv), "1,a\nx,\n,b\n"), [Some(1), None, None]);
}

#[test]
fn a_record_that_breaks_off_in_a_nested_value_leaves_nothing_to_the_next() {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    let row = |name: &str, part: DataType| DataType::Struct(vec![Field::new(name, part, true)].into());
    let map = |value: DataType| {
        let entries = DataType::Struct(
            vec![Field::new("key", DataType::Utf8View, false), Field::new("value", value, true)].into(),
        );
        DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
    };
    let cases = [
        (list(list(DataType::Int64)), "[[1,\"x\"]]", "[[2]]", "[[2]]"),
        (list(list(list(DataType::Int64))), "[[[0],[1,\"x\"]]]", "[[[2]]]", "[[[2]]]"),
        (list(row("x", list(DataType::Int64))), "[{\"x\":[1,\"x\"]}]", "[{\"x\":[2]}]", "[{x: [2]}]"),
        (row("x", list(DataType::Int64)), "{\"x\":[1,\"x\"]}", "{\"x\":[2]}", "{x: [2]}"),
        (list(map(DataType::Int64)), "[{\"a\":1,\"b\":\"x\"}]", "[{\"c\":2}]", "[{c: 2}]"),
        (map(list(DataType::Int64)), "{\"a\":[1],\"b\":[1,\"x\"]}", "{\"c\":[2]}", "{c: [2]}"),
        (map(row("x", list(DataType::Int64))), "{\"b\":{\"x\":[1,\"x\"]}}", "{\"c\":{\"x\":[2]}}", "{c: {x: [2]}}"),
    ];
    for (data_type, bad, good, expected) in cases {
        let fields: Vec<FieldRef> = vec![Arc::new(Field::new("v", data_type.clone(), true))];
        let text = format!("{{\"v\":{good}}}\n{{\"v\":{bad}}}\n{{\"v\":{bad}}}\n{{\"v\":{good}}}\n");
        let decoded = decode(RecordFormat::Json(JsonRecords::new(&fields, false, false)), fields, text.as_bytes());
        assert_eq!(decoded.bad.len(), 2, "{data_type}");
        let values = &decoded.columns[0];
        let shown: Vec<String> =
            (0..values.len()).map(|row| arrow::util::display::array_value_to_string(values, row).unwrap()).collect();
        assert_eq!(
            (shown.first().unwrap().as_str(), shown.last().unwrap().as_str()),
            (expected, expected),
            "{data_type}"
        );
    }
}
