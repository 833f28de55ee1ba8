//! What files say, and what is wrong with those that say nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn mistake(text: &str) -> String {
    let Mistake { line, message } = parse(text).unwrap_err();
    format!("{line}: {message}")
}

#[test]
fn steps_belong_to_the_stream_before_them() {
    let text = "# A comment.\n\nstatement ok\nCREATE TABLE t (a INT)\n\ninput t\n1\n\nstream I\nSELECT a\nFROM t\n\n\
                expect\n1\n# of the first input\n\nrestart\nexpect nothing\nlate 0\nexpect table in t\n";
    let file = parse(text).unwrap();
    assert_eq!(file.records.iter().map(|record| record.line).collect::<Vec<_>>(), [3, 6, 9]);
    let RecordKind::Stream { sql, types, steps } = &file.records[2].kind else { panic!() };
    assert_eq!((sql.text.as_str(), sql.line, types.as_deref()), ("SELECT a\nFROM t", 10, Some("I")));
    assert_eq!(steps.iter().map(|step| step.line).collect::<Vec<_>>(), [13, 17, 18, 19, 20]);
    let StepKind::Expect { rows, .. } = &steps[0].kind else { panic!() };
    assert_eq!((rows.lines.as_slice(), rows.place.clone()), ([(14, "1".to_owned())].as_slice(), 13..15));
    assert!(matches!(&steps[4].kind, StepKind::Expect { whole: true, table: Some(name), .. } if name == "t"));
}

#[test]
fn conditions_are_those_of_the_next_record() {
    let file = parse("onlyif datafusion\nquery\nSELECT 1\n----\n1\n\nquery\nSELECT 2\n----\n2\n").unwrap();
    assert!(!file.records[0].is_for("weir") && file.records[0].is_for("DataFusion"));
    assert!(file.records[1].is_for("weir"));
}

#[test]
fn errors_have_a_pattern_or_a_text() {
    let text = "statement error no \\w+ here\nSELECT 1\n\nquery error\nSELECT 2\n----\nline 1: no\nhelp: yes\n";
    let file = parse(text).unwrap();
    let RecordKind::Statement { error: Some(ErrorPattern::Regex(regex)), .. } = &file.records[0].kind else { panic!() };
    assert!(regex.is_match("there is no table here"));
    let RecordKind::Query { expected: Answer::Error(ErrorPattern::Exactly(lines)), .. } = &file.records[1].kind else {
        panic!()
    };
    assert_eq!(lines.lines.len(), 2);
}

#[test]
fn mistakes_say_what_would_be_right() {
    assert_eq!(
        mistake("\nstatment ok\nSELECT 1"),
        format!("2: `statment` begins no record. Records begin with {WORDS}")
    );
    assert_eq!(mistake("expect\n1\n"), "1: `expect` stands behind a `stream`, and none runs here");
    assert_eq!(
        mistake("stream\nSELECT 1\n\nexpect\n\n"),
        "4: there are no rows below it: if none are to come, write `expect nothing`"
    );
    assert_eq!(
        mistake("query nosort\nSELECT 1\n----\n1"),
        "1: rows have no order here, so there is no `nosort`; leave it out"
    );
    assert_eq!(
        mistake("query\nSELECT 1\n"),
        "1: a line `----` and the rows of the answer belong below the SQL of a query"
    );
    assert_eq!(mistake("stream\nSELECT 1\n\nrescale 13"), "4: write `rescale N`, with N from 1 to 12");
    assert_eq!(mistake("statement ok\n\n"), "1: there is no SQL below it");
    assert_eq!(mistake("onlyif weir"), "1: no record follows this condition");
}
