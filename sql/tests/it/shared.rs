//! Catalogs that several scripts share.

use std::sync::Arc;

use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;
use weir_sql::shared::{self, Declaration};

use super::connectors::Fakes;

const TABLE: &str = "CREATE TABLE t (k BIGINT, v STRING) WITH ('connector' = 'fake')";

fn changed(statements: &[&str], text: &str) -> Result<Vec<Declaration>> {
    let statements: Vec<String> = statements.iter().map(|statement| (*statement).to_owned()).collect();
    let connectors: Arc<dyn ConnectorRegistry> = Arc::new(Fakes);
    shared::changed(&statements, text, &connectors, &Functions::built_in())
}

#[track_caller]
fn becomes(statements: &[&str], text: &str, expected: &[&str]) {
    let declared = changed(statements, text).unwrap_or_else(|error| panic!("{}", error.report()));
    let found: Vec<&str> = declared.iter().map(|declaration| declaration.statement.as_str()).collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn refused(statements: &[&str], text: &str) -> Error {
    changed(statements, text).unwrap_err()
}

#[test]
fn statements_are_added_replaced_in_place_and_taken_out() {
    let view = "CREATE VIEW w AS SELECT twice(k) AS k FROM t";
    let function = "CREATE FUNCTION twice(x BIGINT) RETURN x + x";
    becomes(&[], &format!("-- of the team\n{TABLE};\n{function}; {view};"), &[TABLE, function, view]);
    let other = "CREATE OR REPLACE TABLE t (k BIGINT) WITH ('connector' = 'fake')";
    becomes(&[TABLE, function, view], other, &[other, function, view]);
    becomes(&[TABLE, function, view], "DROP VIEW W; DROP FUNCTION Twice;", &[TABLE]);
    becomes(&[TABLE, view.replace("twice(k)", "k").as_str()], "DROP VIEW w; DROP TABLE IF EXISTS u", &[TABLE]);
    becomes(&[TABLE], "CREATE TABLE IF NOT EXISTS t (other STRING) WITH ('connector' = 'fake')", &[TABLE]);
    becomes(&[TABLE], "", &[TABLE]);
}

#[test]
fn what_it_declares_stands_before_a_script() {
    let statements = [TABLE.to_owned(), "CREATE VIEW w AS SELECT k FROM t".to_owned()];
    let text = format!("{}SELECT k FROM w", shared::beginning(&statements));
    let script = weir_sql::parse(&text).unwrap();
    assert!(weir_sql::plan(&script, Arc::new(Fakes), &super::options()).unwrap().graph.is_some());
}

#[test]
fn a_script_that_declares_all_that_it_names_needs_no_catalog() {
    let more = |text: &str| shared::asks_for_more(&weir_sql::parse(text).unwrap(), &Functions::built_in());
    for alone in [
        "CREATE TABLE T (k INT) WITH ('connector' = 'fake'); SELECT UPPER(x), COUNT(*) FROM t GROUP BY wrong",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT x FROM b WHERE x IN (SELECT x FROM A)",
        "CREATE FUNCTION f(x INT) RETURN x; CREATE VIEW v AS SELECT F(1) AS y; SELECT y FROM v",
        "CREATE TABLE t (k INT) WITH ('connector' = 'fake'); CREATE TABLE u WITH ('connector' = 'fake') AS SELECT k FROM t; SELECT k FROM u",
    ] {
        assert!(!more(alone), "{alone}");
    }
    for more_of_it in [
        "SELECT * FROM t",
        "SELECT f(1)",
        "CREATE TABLE t (k INT) WITH ('connector' = 'fake'); INSERT INTO u SELECT k FROM t",
        "SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY)",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM t)",
    ] {
        assert!(more(more_of_it), "{more_of_it}");
    }
}

#[test]
fn all_of_it_goes_on_to_work() {
    let view = "CREATE VIEW w AS SELECT v FROM t";
    let error = refused(&[TABLE, view], "DROP TABLE t").report();
    assert!(error.contains("the view `w` of the catalog would not go on to work"), "{error}");
    assert!(error.contains("there is no table `t`"), "{error}");
    let error = refused(&[TABLE, view], "CREATE OR REPLACE TABLE t (k BIGINT) WITH ('connector' = 'fake')").report();
    assert!(error.contains("there is no column `v`"), "{error}");
    let calls = "CREATE FUNCTION g(x BIGINT) RETURN f(x)";
    let error = refused(&["CREATE FUNCTION f(x BIGINT) RETURN x", calls], "DROP FUNCTION f").report();
    assert!(error.contains("there is no function `f`"), "{error}");
    let like = "CREATE TABLE u WITH ('connector' = 'fake') LIKE t";
    assert!(refused(&[TABLE, like], "DROP TABLE t").report().contains("the catalog would not go on to work"));
}

#[test]
fn errors_point_into_the_script() {
    let error = refused(&[TABLE], "CREATE VIEW w AS\nSELECT 1;\nSELECT k FROM t").report();
    assert!(
        error.starts_with("line 3, column 1: a catalog has CREATE TABLE, CREATE VIEW and CREATE FUNCTION"),
        "{error}"
    );
    let error = refused(&[TABLE], "\nCREATE TABLE t (k BIGINT) WITH ('connector' = 'fake')").report();
    assert!(error.starts_with("line 2, column 14: there is a table `t` already"), "{error}");
    for text in [
        "SET 'a' = 'b'",
        "INSERT INTO t SELECT k, v FROM t",
        "CREATE TABLE u WITH ('connector' = 'fake') AS SELECT 1 AS x",
    ] {
        assert!(refused(&[TABLE], text).report().contains("no other statements"), "{text}");
    }
}
