//! `CREATE TABLE … AS`.

use super::{dataflow, plan, refusal};

const QUERY: &str =
    "SELECT auction, CAST(price AS DOUBLE) / 2 AS half, UPPER(channel) AS channel FROM bid WHERE price > 10";

#[test]
fn a_table_that_is_created_as_a_query_is_filled_with_its_rows() {
    let created = dataflow(&format!("CREATE TABLE t WITH ('connector' = 'fake') AS {QUERY};"));
    let inserted = dataflow(&format!(
        "CREATE TABLE t (auction BIGINT, half DOUBLE, channel STRING) WITH ('connector' = 'fake'); INSERT INTO t {QUERY};"
    ));
    assert_eq!(created, inserted);
    assert!(created.contains("Sink(t)"), "{created}");
}

#[test]
fn it_can_be_read_behind_it() {
    let sql = format!(
        "CREATE TABLE t WITH ('connector' = 'fake') AS {QUERY};
         CREATE TABLE u WITH ('connector' = 'fake') AS SELECT half FROM t;"
    );
    let both = dataflow(&sql);
    assert!(both.contains("Sink(t)") && both.contains("Sink(u)") && both.contains("Source(t)  [half"), "{both}");
}

#[test]
fn one_that_is_there_already_is_left_alone() {
    let again = plan("CREATE TABLE IF NOT EXISTS plain WITH ('connector' = 'fake') AS SELECT k FROM plain;").unwrap();
    assert!(again.graph.is_none(), "nothing is inserted");
    let twice = refusal("CREATE TABLE plain WITH ('connector' = 'fake') AS SELECT k FROM plain;");
    assert!(twice.contains("there is a table `plain` already"), "{twice}");
    let anew = dataflow("CREATE OR REPLACE TABLE plain WITH ('connector' = 'fake') AS SELECT price FROM bid;");
    assert!(anew.contains("Sink(plain)"), "{anew}");
}

#[test]
fn its_columns_are_those_of_the_query() {
    let both = refusal("CREATE TABLE t (k BIGINT) WITH ('connector' = 'fake') AS SELECT k FROM plain;");
    assert!(both.contains("a table that is created AS a query has the query's columns"), "{both}");
}
