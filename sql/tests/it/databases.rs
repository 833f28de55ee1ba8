//! Databases: names in front of the names of tables.

use std::sync::Arc;

use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;
use weir_sql::shared::{self, Declaration};
use weir_sql::{Answer, Plan};

use super::connectors::Fakes;

const WITH: &str = "WITH ('connector' = 'fake')";

fn planned(text: &str) -> Result<Plan> {
    weir_sql::plan(&weir_sql::parse(text)?, Arc::new(Fakes), &super::options())
}

#[track_caller]
fn plan(text: &str) -> Plan {
    planned(text).unwrap_or_else(|error| panic!("{}", error.report()))
}

/// Names of the tables that a script reads and writes.
#[track_caller]
fn tables(text: &str) -> Vec<String> {
    let graph = plan(text).graph.unwrap();
    let mut names: Vec<String> = graph
        .nodes()
        .iter()
        .filter_map(|node| match &node.spec.operator {
            weir_core::OperatorSpec::Source(source) => Some(source.table.name.clone()),
            weir_core::OperatorSpec::Sink(sink) => Some(sink.table.name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names
}

fn shown(text: &str) -> Vec<String> {
    let answers = plan(text).answers;
    let Some(Answer::Rows(rows)) = answers.last() else { panic!("no rows") };
    let column = rows.column(0).as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
    column.iter().map(|name| name.unwrap().to_owned()).collect()
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let report = planned(text).map(drop).unwrap_err().report();
    assert!(report.contains(message), "{report}");
}

fn two_databases() -> String {
    format!(
        "CREATE TABLE orders (id BIGINT) {WITH};
         CREATE DATABASE sales;
         CREATE TABLE sales.orders (id BIGINT, amount BIGINT) {WITH};
         CREATE TABLE sales.totals (amount BIGINT) {WITH};"
    )
}

#[test]
fn a_table_is_that_of_the_database_in_use_or_of_that_which_is_named() {
    let two = two_databases();
    assert_eq!(tables(&format!("{two} INSERT INTO sales.totals SELECT id FROM orders")), ["orders", "sales.totals"]);
    assert_eq!(
        tables(&format!("{two} USE sales; INSERT INTO totals SELECT amount FROM orders")),
        ["sales.orders", "sales.totals"]
    );
    assert_eq!(
        tables(&format!(
            "{two} USE sales; INSERT INTO Totals SELECT o.amount FROM Orders AS o JOIN default_database.orders AS d ON o.id = d.id"
        )),
        ["orders", "sales.orders", "sales.totals"]
    );
    assert_eq!(
        tables(&format!("{two} INSERT INTO default_catalog.sales.totals SELECT orders.amount FROM SALES.orders")),
        ["sales.orders", "sales.totals"]
    );
    // A name of WITH is no table's, and a table of the name that is being given is.
    assert_eq!(
        tables(&format!(
            "{two} USE sales; INSERT INTO totals WITH orders AS (SELECT amount FROM orders WHERE amount > 1) SELECT amount FROM orders"
        )),
        ["sales.orders", "sales.totals"]
    );
}

#[test]
fn names_in_a_view_are_in_the_database_in_which_it_was_created() {
    let two = two_databases();
    let view = format!(
        "{two} USE sales; CREATE VIEW large AS SELECT amount FROM orders WHERE amount > 10; USE default_database;"
    );
    assert_eq!(
        tables(&format!("{view} INSERT INTO sales.totals SELECT amount FROM sales.large")),
        ["sales.orders", "sales.totals"]
    );
    refused(&format!("{view} INSERT INTO sales.totals SELECT amount FROM large"), "there is no table `large`");
}

#[test]
fn what_there_is_is_shown_by_database() {
    let two = format!("{} CREATE VIEW sales.v AS SELECT 1 AS x;", two_databases());
    assert_eq!(shown(&format!("{two} SHOW DATABASES")), ["default_database", "sales"]);
    assert_eq!(shown(&format!("{two} SHOW DATABASES LIKE 's%'")), ["sales"]);
    assert_eq!(shown(&format!("{two} SHOW CURRENT DATABASE")), ["default_database"]);
    assert_eq!(shown(&format!("{two} USE default_catalog.sales; SHOW CURRENT DATABASE")), ["sales"]);
    assert_eq!(shown(&format!("{two} SHOW TABLES")), ["orders"]);
    assert_eq!(shown(&format!("{two} SHOW TABLES IN sales LIKE '%o%'")), ["orders", "totals"]);
    assert_eq!(shown(&format!("{two} USE sales; SHOW VIEWS")), ["v"]);
    assert_eq!(shown(&format!("{two} USE sales; USE CATALOG default_catalog; SHOW TABLES")), ["orders", "totals", "v"]);
    assert_eq!(shown("SHOW CATALOGS"), ["default_catalog"]);
    assert_eq!(shown(&format!("{two} USE sales; DESCRIBE totals")), ["amount"]);
}

#[test]
fn databases_are_altered_and_dropped_with_care() {
    let two = two_databases();
    let all = |rest: &str| shown(&format!("{two} {rest}; SHOW TABLES FROM sales"));
    assert_eq!(all("ALTER TABLE sales.totals RENAME TO sums"), ["orders", "sums"]);
    assert_eq!(all("USE sales; ALTER TABLE totals RENAME TO sales.sums"), ["orders", "sums"]);
    assert_eq!(all("USE sales; DROP TABLE totals"), ["orders"]);
    assert_eq!(all(&format!("CREATE TABLE sales.more {WITH} LIKE orders")), ["more", "orders", "totals"]);
    assert_eq!(shown(&format!("{two} DROP DATABASE sales CASCADE; SHOW DATABASES")), ["default_database"]);
    assert_eq!(shown(&format!("{two} DROP DATABASE IF EXISTS other; SHOW TABLES")), ["orders"]);
    refused(&format!("{two} DROP DATABASE sales"), "database `sales` is not empty: it has `sales.orders`");
    refused(&format!("{two} USE sales; DROP DATABASE sales CASCADE"), "`sales` is in use");
    refused(&format!("{two} DROP DATABASE default_database"), "`default_database` is always there");
    refused(&format!("{two} CREATE DATABASE Sales"), "there is a database `Sales` already");
    refused(&format!("{two} USE sale"), "there is no database `sale`\n");
    refused(&format!("{two} USE other.sales"), "there is no catalog `other`");
    refused("CREATE CATALOG c", "there is one catalog");
    refused("CREATE DATABASE d WITH ('a' = 'b')", "a database has no options");
    refused("SELECT 1 FROM a.b.c.d", "this name has too many parts");
    refused(&format!("{two} SELECT id FROM slaes.orders"), "did you mean `sales.orders`?");
    refused(
        &format!("CREATE TABLE `s.t` (a INT) {WITH}; CREATE DATABASE s"),
        "`s.t` would be taken for a table of this database",
    );
}

fn changed(statements: &[String], text: &str) -> Result<Vec<Declaration>> {
    let connectors: Arc<dyn ConnectorRegistry> = Arc::new(Fakes);
    shared::changed(statements, text, &connectors, &Functions::built_in())
}

fn kept(statements: &[String], text: &str) -> Vec<String> {
    let declared = changed(statements, text).unwrap_or_else(|error| panic!("{}", error.report()));
    declared.iter().map(Declaration::kept).collect()
}

fn wrong(statements: &[String], text: &str) -> Error {
    changed(statements, text).unwrap_err()
}

#[test]
fn a_catalog_keeps_databases_and_what_is_in_them() {
    let orders = format!("CREATE TABLE orders (id BIGINT, amount BIGINT) {WITH}");
    let view = "CREATE VIEW large AS SELECT amount FROM orders WHERE amount > 10";
    let statements =
        kept(&[], &format!("CREATE DATABASE sales; USE sales; {orders}; {view}; USE default_database; {orders}"));
    let sales = |text: &str| format!("USE `sales`;\n{text};\nUSE `default_database`");
    assert_eq!(statements, ["CREATE DATABASE sales".to_owned(), sales(&orders), sales(view), orders.clone()]);
    let names: Vec<String> = shared::declarations(&statements).into_iter().map(|declared| declared.name).collect();
    assert_eq!(names, ["sales", "sales.orders", "sales.large", "orders"]);

    let needs = |text: &str| shared::needed(&statements, &weir_sql::parse(text).unwrap(), &Functions::built_in());
    assert_eq!(needs("SELECT amount FROM orders"), std::slice::from_ref(&orders));
    assert_eq!(needs("SELECT amount FROM Sales.Orders"), [statements[0].clone(), sales(&orders)]);
    assert_eq!(needs("SELECT amount FROM sales.large"), statements[..3]);
    assert_eq!(needs("USE sales; SELECT amount FROM large"), statements[..3]);
    assert_eq!(needs("USE sales; SELECT amount FROM default_database.orders"), [statements[0].clone(), orders.clone()]);
    // A table of the script hides that of its own database.
    let own = format!(
        "CREATE TABLE orders (id BIGINT, amount BIGINT) {WITH}; SELECT * FROM orders JOIN sales.orders AS s ON s.id = 1"
    );
    assert_eq!(needs(&own), statements[..2]);

    let text = format!("{}SELECT amount FROM sales.large", shared::beginning(&needs("SELECT amount FROM sales.large")));
    assert_eq!(tables(&text), ["result", "sales.orders"]);

    let altered = kept(&statements, "USE sales; ALTER TABLE orders ADD more INT");
    assert_eq!(altered[1], sales(&format!("{orders};\nALTER TABLE orders ADD more INT")));
    // Written from another database than it was created in.
    let elsewhere = kept(&statements[..1], &format!("CREATE TABLE sales.t (a INT) {WITH}"));
    let altered = kept(&elsewhere, "USE sales; ALTER TABLE t RENAME TO u");
    assert_eq!(kept(&altered, "DROP TABLE sales.u"), statements[..1]);
    assert_eq!(kept(&statements, "DROP DATABASE sales CASCADE"), std::slice::from_ref(&orders));

    assert!(wrong(&statements, "DROP DATABASE sales").report().contains("is not empty"));
    assert!(wrong(&statements, "USE sales; DROP TABLE orders").report().contains("would not go on to work"));
    assert!(wrong(&statements, "USE sale").report().contains("there is no database `sale` in the catalog"));
    let error = wrong(&statements, "USE sales;\nCREATE VIEW w AS SELECT nothing FROM orders").report();
    assert!(error.starts_with("line 2, column 25: "), "{error}");
}

#[test]
fn what_is_always_there_is_no_part_of_a_catalog() {
    let none: &[String] = &[];
    assert_eq!(kept(none, "CREATE DATABASE IF NOT EXISTS default_database; USE CATALOG default_catalog"), none);
    let report = wrong(none, "CREATE DATABASE `DEFAULT_DATABASE`").report();
    assert!(report.contains("there is a database `DEFAULT_DATABASE` already"), "{report}");
}

#[test]
fn a_table_stands_in_a_database_that_there_is() {
    let before = two_databases();
    for statement in [
        format!("CREATE TABLE slaes.items (id BIGINT) {WITH}"),
        "CREATE VIEW slaes.items AS SELECT id FROM orders".to_owned(),
        format!("USE sales; CREATE TABLE default_catalog.slaes.items (id BIGINT) {WITH}"),
        format!("CREATE TABLE `slaes`.`items` (id BIGINT) {WITH}"),
    ] {
        refused(&format!("{before} {statement};"), "there is no database `slaes`");
        refused(&format!("{before} {statement};"), "did you mean `sales`?");
    }
    plan(&format!(
        "{before} CREATE TABLE `one.name` (id BIGINT) {WITH}; INSERT INTO `one.name` SELECT id FROM orders;"
    ));
}
