//! Aggregates without windows: over input that ends the answer is that of a database, and what shows before is that of a prefix.

use std::collections::BTreeSet;

use crate::weir::{file, path, weir};

const SALES: &str = "1,Ann,30,a\n2,Bob,5,b\n3,Ann,12,a\n4,Ann,12,\n5,,40,b\n6,Eve,,c\n";

const MANY: [&str; 3] = ["1", "2", "4"];

/// What `query` over the table `sales (id, who, price, kind)` prints, in order.
fn select(query: &str, parallelism: &str) -> Vec<String> {
    let data = file(".csv", SALES);
    let script = format!(
        "CREATE TABLE sales (id INT, who STRING, price INT, kind STRING) WITH ('connector' = 'filesystem', \
         'path' = '{}', 'format' = 'csv', 'csv.null-literal' = '');
         {query};",
        path(&data)
    );
    let out = weir(&["run", "-e", &script, "--parallelism", parallelism, "--output", "csv", "--quiet"]).code(0).out;
    let mut lines: Vec<String> = out.lines().skip(1).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[track_caller]
fn check(query: &str, expected: &[&str]) {
    for parallelism in MANY {
        assert_eq!(select(query, parallelism), expected, "{query} at parallelism {parallelism}");
    }
}

#[test]
fn groups_are_those_of_all_rows() {
    check(
        "SELECT who, COUNT(*), COUNT(price), SUM(price), MIN(price), MAX(price) FROM sales GROUP BY who",
        &[",1,1,40,40,40", "Ann,3,3,54,12,30", "Bob,1,1,5,5,5", "Eve,1,0,,,"],
    );
    check("SELECT who, SUM(price) FROM sales GROUP BY who HAVING COUNT(*) > 1", &["Ann,54"]);
    check("SELECT COUNT(DISTINCT who), COUNT(DISTINCT kind) FILTER (WHERE price > 10) FROM sales", &["3,2"]);
    check("SELECT DISTINCT kind FROM sales", &["", "a", "b", "c"]);
    check("SELECT who FROM sales WHERE id < 4 UNION SELECT kind FROM sales", &["", "Ann", "Bob", "a", "b", "c"]);
}

#[test]
fn without_keys_there_is_a_row_of_no_rows() {
    check("SELECT COUNT(*), SUM(price), MAX(who) FROM sales WHERE id > 100", &["0,,"]);
    check("SELECT who, COUNT(*) FROM sales WHERE id > 100 GROUP BY who", &[]);
}

#[test]
fn grouping_sets_are_groups_of_their_own() {
    check(
        "SELECT who, kind, SUM(price), GROUPING(who, kind) FROM sales WHERE who <> 'Eve' GROUP BY ROLLUP (who, kind)",
        &[",,59,3", "Ann,,12,0", "Ann,,54,1", "Ann,a,42,0", "Bob,,5,1", "Bob,b,5,0"],
    );
}

#[test]
fn results_that_change_are_aggregated_again() {
    // How many people have so many sales; the dearest of the totals, and all of them.
    check("SELECT n, COUNT(*) FROM (SELECT who, COUNT(*) AS n FROM sales GROUP BY who) GROUP BY n", &["1,3", "3,1"]);
    check(
        "SELECT MAX(total), MIN(total), SUM(total), COUNT(*), COUNT(DISTINCT total % 10) \
         FROM (SELECT who, SUM(price) AS total FROM sales GROUP BY who)",
        &["54,5,99,4,3"],
    );
    check(
        "SELECT t.who, t.total FROM (SELECT who, SUM(price) AS total FROM sales GROUP BY who) t \
         JOIN (SELECT MAX(total) AS most FROM (SELECT who, SUM(price) AS total FROM sales GROUP BY who)) m \
         ON t.total = m.most",
        &["Ann,54"],
    );
}

#[test]
fn the_first_rows_are_those_of_all_rows() {
    check(
        "SELECT who, price, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY who ORDER BY price DESC, id) AS rn FROM sales) \
         WHERE rn <= 2",
        &[",40,1", "Ann,12,2", "Ann,30,1", "Bob,5,1", "Eve,,1"],
    );
    check("SELECT id FROM sales QUALIFY ROW_NUMBER() OVER (ORDER BY price DESC) <= 2", &["1", "5"]);
    // One row of each; the dearest of the totals, whose input changes.
    check(
        "SELECT kind, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY kind ORDER BY id DESC) AS rn FROM sales) WHERE rn = 1",
        &[",4", "a,3", "b,5", "c,6"],
    );
    check(
        "SELECT who, total FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY total DESC) AS rn \
         FROM (SELECT who, SUM(price) AS total FROM sales GROUP BY who)) WHERE rn <= 2",
        &[",40", "Ann,54"],
    );
    check(
        "SELECT COUNT(*), SUM(price) FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY who ORDER BY price DESC) AS rn FROM sales) \
         WHERE rn = 1",
        &["4,75"],
    );
}

#[test]
fn a_running_sum_of_transfers_is_zero_in_every_state_that_shows() {
    for parallelism in ["1", "4"] {
        let script = "
            SET 'execution.checkpointing.interval' = '300ms';
            CREATE TABLE transfers (source INT, target INT, amount INT) WITH ('connector' = 'datagen',
              'rows-per-second' = '20000', 'number-of-rows' = '40000', 'fields.source.max' = '50',
              'fields.target.max' = '50', 'fields.amount.min' = '1', 'fields.amount.max' = '1000');
            CREATE VIEW entries AS
              SELECT source AS account, -amount AS amount FROM transfers
              UNION ALL SELECT target, amount FROM transfers;
            CREATE VIEW balances AS SELECT account, SUM(amount) AS balance, COUNT(*) AS entries FROM entries GROUP BY account;
            CREATE TABLE shown (entries BIGINT, total BIGINT, of_balances BIGINT) WITH ('connector' = 'print');
            INSERT INTO shown SELECT a.n, a.total, b.total
              FROM (SELECT 1 AS one, COUNT(*) AS n, SUM(amount) AS total FROM entries) a
              JOIN (SELECT 1 AS one, SUM(entries) AS n, SUM(balance) AS total FROM balances) b
              ON a.one = b.one AND a.n = b.n;";
        let run = weir(&["run", "-e", script, "--parallelism", parallelism, "--quiet"]).code(0);
        let mut states = BTreeSet::new();
        for line in run.out.lines() {
            let (_, row) = line.trim_end_matches(']').split_once('[').unwrap();
            let cells: Vec<&str> = row.split(", ").collect();
            assert_eq!(&cells[1..], ["0", "0"], "{line}");
            states.insert(cells[0].to_owned());
        }
        assert!(states.contains("80000"), "all entries are counted in the end: {states:?}");
        assert!(states.len() > 3, "it shows what it comes to on the way: {states:?}");
    }
}
