//! Joins without a window or time bounds, of files: what comes out is what SQL says of the rows as they are, with several subtasks
//! too.

use std::collections::BTreeMap;
use std::fs;

use crate::weir::{file, path, weir};

const ORDERS: &str = "1,7,30\n2,8,5\n3,7,12\n3,7,12\n4,,9\n5,9,40\n";
const CUSTOMERS: &str = "7,Ann,20\n8,Bob,1\n8,Bea,10\n,Nil,0\n6,Eve,3\n";
const CITIES: &str = "Ann,Oslo\nBob,Rome\nEve,Bonn\n";

/// The tables `orders (id, customer, price)`, `customers (id, name, credit)` and `cities (name, city)`, and `query` over them.
fn run(query: &str, parallelism: &str) -> String {
    let files = [file(".csv", ORDERS), file(".csv", CUSTOMERS), file(".csv", CITIES)];
    let columns = ["id INT, customer INT, price INT", "id INT, name STRING, credit INT", "name STRING, city STRING"];
    let mut script = String::new();
    for ((name, columns), data) in ["orders", "customers", "cities"].iter().zip(columns).zip(&files) {
        script.push_str(&format!(
            "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n",
            path(data)
        ));
    }
    script.push_str(query);
    weir(&["run", "-e", &script, "--parallelism", parallelism, "--output", "csv", "--quiet"]).code(0).out
}

/// What `query` writes to a table that only takes rows that stay.
fn appended(columns: &str, query: &str, parallelism: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let sink = format!(
        "CREATE TABLE out ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         INSERT INTO out {query};",
        out.display()
    );
    run(&sink, parallelism);
    let files = fs::read_dir(out).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut lines: Vec<String> = files.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort_unstable();
    lines
}

/// What the changes that `query` prints come to. No row is taken back that is not there.
fn updated(columns: &str, query: &str, parallelism: &str) -> Vec<String> {
    let sink = format!("CREATE TABLE out ({columns}) WITH ('connector' = 'print'); INSERT INTO out {query};");
    left_of(&run(&sink, parallelism))
}

/// The same of a script that needs no more tables.
fn changes(script: &str, parallelism: &str) -> Vec<String> {
    left_of(&weir(&["run", "-e", script, "--parallelism", parallelism, "--quiet"]).code(0).out)
}

fn left_of(printed: &str) -> Vec<String> {
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for line in printed.lines() {
        let (sign, row) = line.split_once('[').unwrap();
        let count = rows.entry(row.strip_suffix(']').unwrap().to_owned()).or_default();
        *count = if sign == "+I" { *count + 1 } else { count.checked_sub(1).unwrap() };
    }
    rows.iter().flat_map(|(row, count)| std::iter::repeat_n(row.clone(), *count)).collect()
}

const MANY: [&str; 3] = ["1", "2", "4"];

#[test]
fn an_inner_join_is_written_to_files() {
    for parallelism in MANY {
        let query = "SELECT o.id, o.price, c.name FROM orders o JOIN customers c ON o.customer = c.id";
        assert_eq!(
            appended("id INT, price INT, name STRING", query, parallelism),
            ["1,30,Ann", "2,5,Bea", "2,5,Bob", "3,12,Ann", "3,12,Ann"]
        );
        let query = "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id AND o.price > c.credit";
        assert_eq!(appended("id INT, name STRING", query, parallelism), ["1,Ann", "2,Bob"]);
    }
}

#[test]
fn rows_with_a_partner_are_written_to_files() {
    for parallelism in MANY {
        let query = "SELECT id FROM orders WHERE customer IN (SELECT id FROM customers)";
        assert_eq!(appended("id INT", query, parallelism), ["1", "2", "3", "3"]);
        let query = "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer AND c.credit < o.price)";
        assert_eq!(appended("id INT", query, parallelism), ["1", "2"]);
    }
}

#[test]
fn several_joins_are_one_query() {
    for parallelism in MANY {
        let query = "SELECT o.id, c.name, t.city FROM orders o JOIN customers c ON o.customer = c.id JOIN cities t ON t.name = c.name";
        let columns = "id INT, name STRING, city STRING";
        assert_eq!(appended(columns, query, parallelism), ["1,Ann,Oslo", "2,Bob,Rome", "3,Ann,Oslo", "3,Ann,Oslo"]);
        let query = "SELECT o.id, c.name, t.city FROM orders o FULL JOIN customers c ON o.customer = c.id LEFT JOIN cities t ON t.name = c.name";
        assert_eq!(
            updated(columns, query, parallelism),
            [
                "1, Ann, Oslo",
                "2, Bea, null",
                "2, Bob, Rome",
                "3, Ann, Oslo",
                "3, Ann, Oslo",
                "4, null, null",
                "5, null, null",
                "null, Eve, Bonn",
                "null, Nil, null"
            ]
        );
    }
}

#[test]
fn outer_joins_come_to_the_rows_of_the_whole() {
    for parallelism in MANY {
        let columns = "id INT, price INT, name STRING";
        let join = |kind: &str| {
            format!(
                "SELECT o.id, o.price, c.name FROM orders o {kind} JOIN customers c ON o.customer = c.id AND o.price > c.credit"
            )
        };
        let matched = ["1, 30, Ann", "2, 5, Bob"].map(str::to_owned);
        let left = ["3, 12, null", "3, 12, null", "4, 9, null", "5, 40, null"].map(str::to_owned);
        let right = ["null, null, Bea", "null, null, Eve", "null, null, Nil"].map(str::to_owned);
        assert_eq!(updated(columns, &join("LEFT"), parallelism), [&matched[..], &left].concat());
        assert_eq!(updated(columns, &join("RIGHT"), parallelism), [&matched[..], &right].concat());
        assert_eq!(updated(columns, &join("FULL"), parallelism), [&matched[..], &left, &right].concat());
    }
}

#[test]
fn rows_without_a_partner_come_to_those_of_the_whole() {
    for parallelism in MANY {
        let query = "SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer)";
        assert_eq!(updated("id INT", query, parallelism), ["4", "5"]);
        let query = "SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE c.id = o.customer AND o.price > 29)";
        assert_eq!(updated("name STRING", query, parallelism), ["Bea", "Bob", "Eve", "Nil"]);
    }
}

#[test]
fn results_of_windows_are_joined_by_what_is_no_window() {
    let flights = "a,2024-01-01 00:00:01\nb,2024-01-01 00:00:02\na,2024-01-01 00:00:03\nb,2024-01-01 00:00:11\n";
    let data = file(".csv", flights);
    for parallelism in MANY {
        let query = format!(
            "CREATE TABLE f (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = '{}', \
             'format' = 'csv');
             CREATE VIEW w AS SELECT k, window_start, COUNT(*) AS n FROM TUMBLE(TABLE f, DESCRIPTOR(ts), INTERVAL '10' SECOND) \
             GROUP BY k, window_start, window_end;
             SELECT x.k, x.n, y.k FROM w AS x JOIN w AS y ON x.n = y.n AND x.window_start < y.window_start;",
            path(&data)
        );
        let out = run(&query, parallelism);
        assert_eq!(out.lines().skip(1).collect::<Vec<_>>(), ["b,1,b"]);
    }
}

#[test]
fn what_a_side_computes_is_null_where_nothing_was_found() {
    for parallelism in MANY {
        let query = "SELECT o.id, c.present, c.credit FROM orders o LEFT JOIN \
                     (SELECT id, TRUE AS present, COALESCE(credit, 7) AS credit FROM customers WHERE name <> 'Bea') c \
                     ON o.customer = c.id";
        assert_eq!(
            updated("id INT, present BOOLEAN, credit INT", query, parallelism),
            ["1, true, 20", "2, true, 1", "3, true, 20", "3, true, 20", "4, null, null", "5, null, null"]
        );
    }
}

/// The rows that `query` comes to, as a bounded `SELECT` shows them.
fn selected(query: &str, parallelism: &str) -> Vec<String> {
    let mut rows: Vec<String> = run(query, parallelism).lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn joins_and_aggregations_feed_each_other() {
    for parallelism in MANY {
        let totals = "SELECT customer, COUNT(*) AS n, SUM(price) AS total FROM orders GROUP BY customer";
        let query = format!("SELECT c.name, t.n, t.total FROM customers c LEFT JOIN ({totals}) t ON t.customer = c.id");
        assert_eq!(selected(&query, parallelism), ["Ann,3,54", "Bea,1,5", "Bob,1,5", "Eve,,", "Nil,,"]);
        let query = "SELECT c.name, COUNT(o.id) AS n, SUM(o.price) AS total FROM customers c \
                     LEFT JOIN orders o ON o.customer = c.id GROUP BY c.name";
        assert_eq!(selected(query, parallelism), ["Ann,3,54", "Bea,1,5", "Bob,1,5", "Eve,0,", "Nil,0,"]);
        let query = format!(
            "SELECT x.customer, y.customer AS other FROM ({totals}) x FULL JOIN ({totals}) y \
             ON x.n = y.n AND x.customer < y.customer"
        );
        let expected = [",7", ",8", ",", "7,", "8,9", "9,", ","].map(str::to_owned);
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(selected(&query, parallelism), expected);
        let query = "SELECT COUNT(*) AS n, SUM(credit) AS s FROM customers c \
                     WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)";
        assert_eq!(selected(query, parallelism), ["2,3"]);
    }
}

/// The second join is given rows that are taken back, whose maps, rows and arrays say which ones they are.
#[test]
fn rows_with_nested_values_are_padded_and_taken_back() {
    let left = file(
        ".json",
        "{\"k\":1,\"m\":{\"a\":1},\"r\":{\"x\":1,\"y\":\"s\"},\"a\":[1,2]}\n{\"k\":2,\"m\":{\"b\":2},\"r\":{\"x\":9,\"y\":\"t\"},\"a\":[]}\n\
         {\"k\":2,\"m\":null,\"r\":null,\"a\":null}\n{\"k\":2,\"m\":{\"b\":3},\"r\":{\"x\":9,\"y\":\"t\"},\"a\":[]}\n",
    );
    let right = file(".json", "{\"k\":2,\"m\":{\"c\":3},\"r\":{\"x\":5,\"y\":\"u\"},\"a\":[7]}\n");
    let columns = "(k BIGINT, m MAP<STRING, BIGINT>, r ROW<x BIGINT NOT NULL, y STRING>, a ARRAY<BIGINT>)";
    let table = |name: &str, path: &str| {
        format!(
            "CREATE TABLE {name} {columns} WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json');\n"
        )
    };
    let tables = table("l", path(&left)) + &table("r", path(&right));
    let query = "SELECT x.k, x.m, x.r, x.a, x.m2, x.r2, z.a FROM \
                 (SELECT l.k, l.m, l.r, l.a, r.k AS k2, r.m AS m2, r.r AS r2 FROM l FULL JOIN r ON l.k = r.k) x \
                 LEFT JOIN r z ON x.k2 = z.k AND x.k > 0";
    for parallelism in MANY {
        let found = changes(
            &format!(
                "{tables} CREATE TABLE out (k BIGINT, m MAP<STRING, BIGINT>, r ROW<x BIGINT, y STRING>, a ARRAY<BIGINT>, m2 MAP<STRING, BIGINT>, r2 ROW<x BIGINT, y STRING>, a2 ARRAY<BIGINT>) WITH ('connector' = 'print'); INSERT INTO out {query};"
            ),
            parallelism,
        );
        assert_eq!(
            found,
            [
                "1, {a=1}, +I[1, s], [1, 2], null, null, null",
                "2, null, null, null, {c=3}, +I[5, u], [7]",
                "2, {b=2}, +I[9, t], [], {c=3}, +I[5, u], [7]",
                "2, {b=3}, +I[9, t], [], {c=3}, +I[5, u], [7]",
            ]
        );
    }
}
