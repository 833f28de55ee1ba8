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
    becomes(&[TABLE, function, view], other, &[function, other, view]);
    // What is new may use what is newer.
    becomes(
        &[function, view, TABLE],
        "CREATE FUNCTION h(x BIGINT) RETURN x; CREATE OR REPLACE FUNCTION Twice(x BIGINT) RETURN h(x) * 2",
        &[
            TABLE,
            "CREATE FUNCTION h(x BIGINT) RETURN x",
            "CREATE OR REPLACE FUNCTION Twice(x BIGINT) RETURN h(x) * 2",
            view,
        ],
    );
    becomes(&[TABLE, function, view], "DROP VIEW W; DROP FUNCTION Twice;", &[TABLE]);
    becomes(&[TABLE, view.replace("twice(k)", "k").as_str()], "DROP VIEW w; DROP TABLE IF EXISTS u", &[TABLE]);
    becomes(&[TABLE], "CREATE TABLE IF NOT EXISTS t (other STRING) WITH ('connector' = 'fake')", &[TABLE]);
    becomes(&[TABLE], "", &[TABLE]);
}

/// What no version of Weir can read is not in the way of anything but itself.
#[test]
fn a_declaration_that_cannot_be_read_can_be_dropped_and_hinders_no_other() {
    let strange = "CREATE TABLE s (k BIGINT) WITH ('connector' = 'of a later version')";
    let stranger = "CREATE OR REPLACE TABLE IF NOT EXISTS `St`(k SPATIAL) WITH ('connector' = 'fake')";
    let all = [TABLE, strange, stranger];
    becomes(&all, "DROP TABLE s", &[TABLE, stranger]);
    becomes(&all, "DROP TABLE `St`", &[TABLE, strange]);
    becomes(&all, "CREATE VIEW w AS SELECT k FROM t", &[TABLE, strange, stranger, "CREATE VIEW w AS SELECT k FROM t"]);
    becomes(
        &all,
        "CREATE OR REPLACE TABLE s (k INT) WITH ('connector' = 'fake')",
        &[TABLE, stranger, "CREATE OR REPLACE TABLE s (k INT) WITH ('connector' = 'fake')"],
    );
    let statements = all.map(str::to_owned);
    let needs = |text: &str| shared::needed(&statements, &weir_sql::parse(text).unwrap(), &Functions::built_in());
    assert_eq!(needs("SELECT k FROM t"), [TABLE]);
    assert_eq!(needs("SELECT t.k FROM T JOIN s ON t.k = s.k"), [TABLE, strange]);
}

#[test]
fn a_script_gets_what_it_needs_and_what_that_needs() {
    let function = "CREATE FUNCTION half(x BIGINT) RETURN x / 2";
    let quarter = "CREATE FUNCTION quarter(x BIGINT) RETURN half(half(x))";
    let other = "CREATE TABLE u (k BIGINT, q AS quarter(k)) WITH ('connector' = 'fake')";
    let like = "CREATE TABLE w WITH ('connector' = 'fake') LIKE u";
    let view = "CREATE VIEW v AS WITH x AS (SELECT * FROM w) SELECT q FROM x";
    let statements = [TABLE, function, quarter, other, like, view].map(str::to_owned);
    let needs = |text: &str| shared::needed(&statements, &weir_sql::parse(text).unwrap(), &Functions::built_in());
    assert_eq!(needs("SELECT q FROM v"), [function, quarter, other, like, view]);
    assert_eq!(needs("CREATE TABLE o WITH ('connector' = 'fake') LIKE u; SELECT k FROM o"), [function, quarter, other]);
    assert_eq!(needs("WITH t AS (SELECT * FROM t) SELECT k FROM t"), [TABLE]);
    assert_eq!(needs("INSERT INTO T SELECT 1, 'x'"), [TABLE]);
    assert_eq!(needs("CREATE TABLE v (q INT) WITH ('connector' = 'fake'); SELECT `half`(q) FROM v"), [function]);
    assert!(needs("SELECT UPPER('x'), COUNT(*)").is_empty());
    assert_eq!(needs("SELECT k FROM tt"), statements, "the nearest name is among them");
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
        "CREATE FUNCTION f(x INT) RETURN x; CREATE VIEW v AS SELECT F(1) AS y; SELECT y FROM v",
        "CREATE TABLE t (k INT) WITH ('connector' = 'fake'); CREATE TABLE u WITH ('connector' = 'fake') AS SELECT k FROM t; SELECT k FROM u",
    ] {
        assert!(!more(alone), "{alone}");
    }
    for more_of_it in [
        "CREATE TABLE t WITH ('connector' = 'fake') LIKE u",
        "CREATE FUNCTION f(x INT) RETURN g(x)",
        "CREATE TABLE t (k INT, v AS f(k)) WITH ('connector' = 'fake')",
        "WITH t AS (SELECT * FROM t) SELECT * FROM t",
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
    assert!(
        refused(&[TABLE, like], "DROP TABLE t")
            .report()
            .contains("the table `u` of the catalog would not go on to work")
    );
    let deep = "CREATE VIEW x AS SELECT * FROM w";
    let error =
        refused(&[TABLE, view, deep], "CREATE OR REPLACE TABLE t (k BIGINT) WITH ('connector' = 'fake')").report();
    assert!(error.contains("`w` of the catalog"), "{error}");
}

#[test]
fn errors_point_into_the_script() {
    let error = refused(&[TABLE], "CREATE VIEW w AS\nSELECT 1;\nSELECT k FROM t").report();
    assert!(
        error.starts_with(
            "line 3, column 1: a catalog has CREATE TABLE, CREATE VIEW, CREATE FUNCTION, CREATE DATABASE, ALTER TABLE, DROP and USE"
        ),
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

#[test]
fn a_table_that_is_altered_stays_where_it_is() {
    let view = "CREATE VIEW w AS SELECT k FROM t";
    let add = "ALTER TABLE t ADD n BIGINT";
    let added = format!("{TABLE};\n{add}");
    becomes(&[TABLE, view], &format!("{add};"), &[&added, view]);
    let twice = format!("{added};\nALTER TABLE T DROP n");
    becomes(&[&added, view], "ALTER TABLE T DROP n;", &[&twice, view]);
    let renamed = format!("{TABLE};\nALTER TABLE t RENAME TO u");
    becomes(&[TABLE], "ALTER TABLE t RENAME TO u;", &[&renamed]);
    becomes(
        &[&renamed],
        "CREATE VIEW w AS SELECT k FROM u; DROP TABLE IF EXISTS t;",
        &[&renamed, "CREATE VIEW w AS SELECT k FROM u"],
    );
    becomes(&[&renamed], "DROP TABLE u;", &[]);
    let broken = refused(&[TABLE, view], "ALTER TABLE t RENAME k TO id;").report();
    assert!(broken.contains("the view `w` of the catalog would not go on to work"), "{broken}");
    let broken = refused(&[TABLE, view], "ALTER TABLE t RENAME TO u;").report();
    assert!(broken.contains("the view `w` of the catalog would not go on to work"), "{broken}");
    assert!(refused(&[TABLE], "ALTER TABLE x ADD n BIGINT;").report().contains("there is no table `x` in the catalog"));
    assert!(refused(&[TABLE], "ALTER TABLE t ADD k BIGINT;").report().contains("has a column `k` already"));
    assert!(refused(&[TABLE, view], "ALTER TABLE t RENAME TO w;").report().contains("`w` already"));
}
