#![allow(clippy::unwrap_used)]

use datafusion_common::{Column, DataFusionError, Diagnostic, SchemaError, Span as DataFusionSpan};
use datafusion_sql::sqlparser::tokenizer::Location;
use weir_core::Error;

use super::{Source, did_you_mean, error_at, from_datafusion, nearest};
use crate::statement::Span;

#[test]
fn offsets_and_positions_agree() {
    let source = Source::new("ab\nçd é\r\n\nlast");
    for (line, column, offset) in [(1, 1, 0), (1, 3, 2), (2, 1, 3), (2, 2, 5), (2, 4, 7), (3, 1, 11), (4, 5, 16)] {
        let (line_u64, column_u64) = (line as u64, column as u64);
        assert_eq!(source.offset(Location { line: line_u64, column: column_u64 }), Some(offset), "{line}:{column}");
        assert_eq!(source.line_and_column(offset), (line, column), "{offset}");
    }
    assert_eq!(source.offset(Location { line: 0, column: 0 }), None);
    assert_eq!(source.offset(Location { line: 9, column: 1 }), None);
    assert_eq!(source.offset(Location { line: 1, column: 99 }), Some(16), "behind the end");
}

#[test]
fn the_place_is_underlined() {
    let text = "SELECT\n  'çç', foo\nFROM t";
    let start = text.find("foo").unwrap();
    let error = error_at(text, Span { start, end: start + 3 }, "there is no column `foo`");
    assert_eq!(error.to_string(), "line 2, column 9: there is no column `foo`\n  |\n2 |   'çç', foo\n  |         ^^^");
    let end = error_at(text, Span { start: text.len(), end: text.len() }, "more");
    assert_eq!(end.to_string(), "line 3, column 7: more\n  |\n3 | FROM t\n  |       ^");
    let several = error_at(text, Span { start: 0, end: text.len() }, "x");
    assert_eq!(several.to_string(), "line 1, column 1: x\n  |\n1 | SELECT\n  | ^^^^^^");
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let text = format!("{}here{}", "x".repeat(1000), "y".repeat(1000));
    let error = error_at(&text, Span { start: 1000, end: 1004 }, "z").to_string();
    let lines: Vec<&str> = error.lines().collect();
    let place = lines[3].find('^').unwrap();
    assert_eq!(&lines[2][place..place + 4], "here");
    assert!(lines.iter().all(|line| line.len() < 160));
}

#[test]
fn near_names() {
    let names = ["price", "auction", "scan.watermark.idle-timeout", "dateTime"];
    for (name, expected) in [
        ("prize", Some("price")),
        ("pirce", Some("price")),
        ("DATETIME", Some("dateTime")),
        ("date_time", Some("dateTime")),
        ("scan.watermark.idle_timeout", Some("scan.watermark.idle-timeout")),
        ("bidder", None),
        ("x", None),
    ] {
        assert_eq!(nearest(name, names), expected, "{name}");
    }
    assert_eq!(did_you_mean("zzz", &["a", "b"], "they are"), "they are `a`, `b`");
    assert_eq!(did_you_mean("zzz", &[], "they are"), "they are none");
}

const TEXT: &str = "SELECT prize\nFROM bid";

#[test]
fn an_unknown_column_of_the_planner_gets_its_place() {
    let missing = SchemaError::FieldNotFound {
        field: Box::new(Column::new_unqualified("prize")),
        valid_fields: vec![Column::new(Some("bid"), "price"), Column::new(Some("bid"), "auction")],
    };
    let inner = DataFusionError::SchemaError(Box::new(missing), Box::new(None));
    let location = |column| datafusion_common::Location { line: 1, column };
    let span = DataFusionSpan::new(location(8), location(13));
    let error = inner.with_diagnostic(Diagnostic::new_error("column 'prize' not found", Some(span)));
    let reported = from_datafusion(TEXT, Span { start: 0, end: TEXT.len() }, error);
    assert_eq!(
        reported.report(),
        "line 1, column 8: there is no column `prize`\n  |\n1 | SELECT prize\n  |        ^^^^^\n  help: did you mean `price`?"
    );
}

#[test]
fn an_error_of_ours_comes_out_as_it_was() {
    let ours = Error::user("line 7: no").with_help("yes");
    let wrapped = DataFusionError::External(Box::new(ours)).context("while planning");
    let reported = from_datafusion(TEXT, Span { start: 0, end: 5 }, wrapped);
    assert_eq!(reported.report(), "line 7: no\n  help: yes");
}

#[test]
fn other_errors_lose_their_prefixes() {
    let error = DataFusionError::Plan("Error during planning: this is wrong".to_owned()).context("outer");
    let reported = from_datafusion(TEXT, Span { start: 0, end: TEXT.len() }, error);
    assert!(reported.report().starts_with("line 1, column 1: this is wrong\n"), "{}", reported.report());
}
