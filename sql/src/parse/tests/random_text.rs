//! Whatever the text, the parser comes to an end and does not panic.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::parse::parse;

const WORDS: [&str; 92] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "CREATE",
    "TABLE",
    "VIEW",
    "AS",
    "WITH",
    "INSERT INTO",
    "t",
    "a",
    "`b`",
    "\"c\"",
    "1",
    "2.5",
    "'x'",
    "''",
    "(",
    ")",
    ",",
    ";",
    "=",
    "=>",
    "<",
    ">",
    ">>",
    "*",
    "+",
    "-",
    "/",
    ".",
    "::",
    "->",
    "->>",
    "[",
    "]",
    "{",
    "}",
    ":",
    "!",
    "|",
    "TUMBLE(",
    "SESSION(",
    "TABLE t",
    "PARTITION BY",
    "DESCRIPTOR(",
    "INTERVAL '1' DAY",
    "JOIN",
    "LEFT",
    "ON",
    "UNION ALL",
    "VALUES",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "NOT",
    "NULL",
    "IN",
    "BETWEEN",
    "AND",
    "OR",
    "LIKE",
    "CAST(",
    "EXECUTE STATEMENT SET BEGIN",
    "SET",
    "RESET",
    "EXPLAIN",
    "DROP",
    "WATERMARK FOR",
    "PRIMARY KEY",
    "METADATA",
    "VIRTUAL",
    "ARRAY<",
    "MAP<",
    "ROW<",
    "BIGINT",
    "STRING",
    "TIMESTAMP(3)",
    "COMMENT",
    "-- x\n",
    "/* x */",
    "/*+ x */",
    "OVER (",
    "FILTER (WHERE",
    "UNNEST(",
    "LATERAL",
    "FOR SYSTEM_TIME AS OF",
    "é",
    "\n",
];

fn check<S>(strategy: S, test: fn(S::Value))
where
    S: Strategy + Send + 'static,
{
    super::on_a_main_threads_stack(move || {
        let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
        let outcome = runner.run(&strategy, |value| {
            test(value);
            Ok(())
        });
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    });
}

#[test]
fn of_words() {
    check(prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40), |words| {
        if let Err(error) = parse(&words.join(" ")) {
            assert!(error.report().starts_with("line "), "{}", error.report());
        }
    });
}

#[test]
fn of_characters() {
    check("\\PC{0,60}", |text| drop(parse(&text)));
}

/// A valid script with a few characters cut out or doubled.
#[test]
fn of_damaged_scripts() {
    const SCRIPT: &str = "CREATE TABLE t (id BIGINT, tags ARRAY<ROW<a INT, b MAP<STRING, INT>>>, ts TIMESTAMP(3), \
        x AS id + 1, m STRING METADATA FROM 'k' VIRTUAL, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (id) \
        NOT ENFORCED) PARTITIONED BY (id) WITH ('connector' = 'x', a.b = 3); EXECUTE STATEMENT SET BEGIN INSERT INTO u \
        SELECT COUNT(*) FILTER (WHERE a > 1), LISTAGG(x) FROM TABLE(SESSION(TABLE t PARTITION BY (id), DESCRIPTOR(ts), \
        INTERVAL '1' DAY)) AS w GROUP BY window_start, window_end; END; SELECT CASE WHEN a IS NULL THEN b END FROM t";
    check((0..SCRIPT.len(), 0_usize..6, any::<bool>()), |(start, length, doubled)| {
        let end = (start + length).min(SCRIPT.len());
        let middle = if doubled { SCRIPT[start..end].repeat(2) } else { String::new() };
        drop(parse(&format!("{}{middle}{}", &SCRIPT[..start], &SCRIPT[end..])));
    });
}
