//! Queries over input that ends give what DataFusion computes of the same rows, said there in other words wherever its own planner
//! makes the same joins. The rows have nulls, duplicates and ties, and stand in two files, so that they come in any order.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};

use crate::batch::oracle::{Oracle, difference, rows_of_csv};
use crate::weir::weir;

const A: [&str; 2] = ["1,2,p\n,3,q\n2,2,q\n3,,\n", "1,2,p\n4,0,q\n2,5,\n,,p\n1,1,q\n"];
const B: [&str; 2] = ["1,3,p\n2,,q\n", "5,2,q\n1,1,\n2,3,q\n"];
/// Without nulls in `k`.
const C: [&str; 2] = ["1,7,p\n2,7,q\n", "9,8,q\n"];

/// A query, and the same in other words; without any it is the same text.
type Case = (&'static str, Option<&'static str>);

const CASES: &[Case] = &[
    // Limits: rows that are equal in the order are told apart by their other columns.
    (
        "SELECT k, x, s FROM a ORDER BY x DESC LIMIT 3",
        Some("SELECT k, x, s FROM a ORDER BY x DESC NULLS LAST, k NULLS FIRST, s NULLS FIRST LIMIT 3"),
    ),
    (
        "SELECT k, x FROM a ORDER BY s, k DESC LIMIT 4 OFFSET 2",
        Some("SELECT k, x FROM a ORDER BY s NULLS FIRST, k DESC NULLS LAST, x NULLS FIRST LIMIT 4 OFFSET 2"),
    ),
    (
        "SELECT k, x, s FROM a LIMIT 4",
        Some("SELECT k, x, s FROM a ORDER BY k NULLS FIRST, x NULLS FIRST, s NULLS FIRST LIMIT 4"),
    ),
    (
        "SELECT k, x, s FROM a OFFSET 5",
        Some("SELECT k, x, s FROM a ORDER BY k NULLS FIRST, x NULLS FIRST, s NULLS FIRST OFFSET 5"),
    ),
    (
        "SELECT s, COUNT(*) AS n FROM a GROUP BY s ORDER BY n DESC, s FETCH FIRST 2 ROWS ONLY",
        Some("SELECT s, COUNT(*) AS n FROM a GROUP BY s ORDER BY n DESC, s NULLS FIRST LIMIT 2"),
    ),
    (
        "SELECT k FROM a WHERE k IN (SELECT k FROM b ORDER BY y DESC, k LIMIT 2)",
        Some("SELECT k FROM a WHERE k = 1 OR k = 2"),
    ),
    ("SELECT k FROM a LIMIT 0", None),
    // Ranks.
    (
        "SELECT k, x, s FROM a QUALIFY RANK() OVER (PARTITION BY s ORDER BY x) <= 2",
        Some(
            "SELECT k, x, s FROM (SELECT *, RANK() OVER (PARTITION BY s ORDER BY x NULLS FIRST) AS r FROM a) WHERE r <= 2",
        ),
    ),
    (
        "SELECT k, x, s, r FROM (SELECT *, DENSE_RANK() OVER (ORDER BY x DESC) AS r FROM a) WHERE r < 4",
        Some(
            "SELECT k, x, s, r FROM (SELECT *, DENSE_RANK() OVER (ORDER BY x DESC NULLS LAST) AS r FROM a) WHERE r < 4",
        ),
    ),
    (
        "SELECT n, s, r FROM (SELECT *, RANK() OVER (ORDER BY n DESC) AS r FROM (SELECT s, COUNT(*) AS n FROM a GROUP BY s)) WHERE r = 1 OR r = 2",
        Some(
            "SELECT n, s, r FROM (SELECT *, RANK() OVER (ORDER BY n DESC) AS r FROM (SELECT s, COUNT(*) AS n FROM a GROUP BY s)) WHERE r <= 2",
        ),
    ),
    (
        "SELECT k, x, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY s ORDER BY x, k) AS rn FROM a) WHERE rn IN (1, 3)",
        Some(
            "SELECT k, x, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY s ORDER BY x NULLS FIRST, k NULLS FIRST) AS rn FROM a) WHERE rn IN (1, 3)",
        ),
    ),
    (
        "SELECT k, x FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY s ORDER BY x, k) AS rn FROM a) WHERE rn BETWEEN 2 AND 3",
        Some(
            "SELECT k, x FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY s ORDER BY x NULLS FIRST, k NULLS FIRST) AS rn FROM a) WHERE rn BETWEEN 2 AND 3",
        ),
    ),
    // Joins without an equality.
    ("SELECT a.k, a.x, b.y FROM a CROSS JOIN b", None),
    ("SELECT a.k, a.x, b.y FROM a LEFT JOIN b ON a.x < b.y", None),
    ("SELECT a.k, a.x, b.k AS k2, b.y FROM a FULL JOIN b ON a.x > b.y OR a.k = b.k", None),
    ("SELECT a.s, COUNT(*) AS n, SUM(b.y) AS t FROM a RIGHT JOIN b ON a.k <> b.k GROUP BY a.s", None),
    ("SELECT k FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.y > a.x)", Some("SELECT k FROM a WHERE x < 3")),
    // Subqueries.
    ("SELECT k, x FROM a WHERE x > (SELECT AVG(y) FROM b)", Some("SELECT k, x FROM a WHERE x > 2.25")),
    (
        "SELECT k, x - (SELECT MIN(y) FROM b) AS d, (SELECT COUNT(*) FROM b WHERE b.k = a.k) AS n FROM a",
        Some(
            "SELECT a.k, a.x - 1, COUNT(b.k) FROM (SELECT *, ROW_NUMBER() OVER () AS i FROM a) a LEFT JOIN b ON a.k = b.k GROUP BY a.i, a.k, a.x",
        ),
    ),
    (
        "SELECT s, COUNT(*) AS n FROM a GROUP BY s HAVING COUNT(*) > (SELECT MIN(k) FROM b)",
        Some("SELECT s, COUNT(*) AS n FROM a GROUP BY s HAVING COUNT(*) > 1"),
    ),
    ("SELECT k, x FROM a WHERE x NOT IN (SELECT y FROM b)", Some("SELECT k, x FROM a WHERE 1 = 2")),
    ("SELECT k, x FROM a WHERE k NOT IN (SELECT k FROM c)", Some("SELECT k, x FROM a WHERE k = 3 OR k = 4")),
    ("SELECT k, x FROM a WHERE k NOT IN (SELECT k FROM c WHERE z > 10)", Some("SELECT k, x FROM a")),
    (
        "SELECT k, x FROM a WHERE k NOT IN (SELECT k FROM c WHERE c.s = a.s)",
        Some("SELECT k, x FROM a WHERE s IS NULL OR (s = 'p' AND k <> 1) OR (s = 'q' AND k <> 2 AND k <> 9)"),
    ),
    (
        "SELECT k, x FROM a WHERE x = 0 OR k IN (SELECT k FROM b)",
        Some("SELECT k, x FROM a WHERE x = 0 OR k = 1 OR k = 2 OR k = 5"),
    ),
    (
        "SELECT k, x FROM a WHERE x = 0 OR NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.y > a.x)",
        Some(
            "SELECT k, x FROM a WHERE x = 0 OR k IS NULL OR x IS NULL OR k > 2 OR (k = 1 AND x >= 3) OR (k = 2 AND x >= 3)",
        ),
    ),
    (
        "SELECT k, k IN (SELECT k FROM c) AS found, x IN (SELECT y FROM b) AS other FROM a",
        Some("SELECT k, k = 1 OR k = 2 OR k = 9, CASE WHEN x IN (1, 2, 3) THEN TRUE END FROM a"),
    ),
    (
        "SELECT k, EXISTS (SELECT 1 FROM b WHERE b.k = a.k) AS found FROM a",
        Some("SELECT k, COALESCE(k = 1 OR k = 2 OR k = 5, FALSE) FROM a"),
    ),
    (
        "SELECT SUM(m) AS s, AVG(m) AS a FROM (SELECT k, SUM(CAST(x AS DECIMAL(10, 2))) AS m FROM a GROUP BY k)",
        Some("SELECT 15, 3.75"),
    ),
    // Rows of two sides.
    ("SELECT k, s FROM a INTERSECT SELECT k, s FROM b", None),
    ("SELECT s FROM a EXCEPT SELECT s FROM b WHERE s = 'q'", None),
    ("SELECT s FROM a INTERSECT ALL SELECT s FROM b", Some("VALUES ('q'), ('q'), ('q'), ('p'), (NULL)")),
    ("SELECT s FROM a EXCEPT ALL SELECT s FROM b", Some("VALUES ('p'), ('p'), ('q'), (NULL)")),
    // Rows that are written.
    (
        "SELECT column1 + 1 AS v, a.x FROM (VALUES (1), (2), (NULL)) w JOIN a ON a.k = column1",
        Some("SELECT k + 1, x FROM a WHERE k IN (1, 2)"),
    ),
    ("SELECT 1 AS v, 'x' AS s UNION ALL SELECT k, s FROM a", None),
    ("SELECT 2 * 3 AS v, (SELECT COUNT(*) FROM a) AS n", Some("SELECT 6, 9")),
];

const TABLES: [(&str, &str, [&str; 2]); 3] = [("a", "x", A), ("b", "y", B), ("c", "z", C)];

/// The declarations of the tables, whose rows are put into a folder.
fn tables(folder: &Path) -> String {
    let table = |(name, column, files): (&str, &str, [&str; 2])| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).unwrap();
        for (number, rows) in files.iter().enumerate() {
            std::fs::write(path.join(format!("{number}.csv")), rows).unwrap();
        }
        format!(
            "CREATE TABLE {name} (k BIGINT, {column} BIGINT, s STRING) WITH ('connector' = 'filesystem', 'path' = '{}', \
             'format' = 'csv', 'csv.null-literal' = '');\n",
            path.display()
        )
    };
    TABLES.map(table).concat()
}

fn oracle() -> Oracle {
    let mut oracle = Oracle::empty();
    let nothing = regex::Regex::new("^$").unwrap();
    for (name, column, files) in TABLES {
        let columns = [("k", DataType::Int64), (column, DataType::Int64), ("s", DataType::Utf8)];
        let fields = columns.map(|(name, data_type)| Field::new(name, data_type, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let reader =
            ReaderBuilder::new(schema.clone()).with_null_regex(nothing.clone()).build(Cursor::new(files.concat()));
        oracle.add(name, schema, reader.unwrap().map(Result::unwrap).collect());
    }
    oracle
}

fn run(script: &str, parallelism: &str) -> String {
    weir(&["run", "-e", script, "--parallelism", parallelism, "--output", "csv", "--quiet"]).code(0).out
}

#[test]
fn queries_give_the_batch_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (tables, oracle) = (tables(folder.path()), oracle());
    for (query, words) in CASES {
        let expected = oracle.answer(words.unwrap_or(query));
        for parallelism in ["1", "2", "4"] {
            let found = rows_of_csv(&run(&format!("{tables}{query}"), parallelism));
            assert_eq!(found, expected, "{query} at parallelism {parallelism}: {}", difference(&expected, &found));
        }
    }
}

#[test]
fn rows_are_printed_and_written_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let tables = tables(folder.path());
    let x = "0,1,2,2,2,3,5".split(',').rev();
    for parallelism in ["1", "2", "4"] {
        let lines = |query: &str| -> Vec<String> {
            run(&format!("{tables}{query}"), parallelism).lines().skip(1).map(str::to_owned).collect()
        };
        let expected: Vec<&str> = x.clone().chain(["", ""]).collect();
        assert_eq!(lines("SELECT x FROM a ORDER BY x DESC"), expected);
        assert_eq!(lines("SELECT x FROM a ORDER BY x DESC LIMIT 3 OFFSET 1"), ["3", "2", "2"]);
        assert_eq!(lines("SELECT k FROM a WHERE x IS NOT NULL ORDER BY x, k"), ["4", "1", "1", "1", "2", "", "2"]);
        assert_eq!(lines("SELECT s, COUNT(*) AS n FROM a GROUP BY s ORDER BY n DESC, s"), ["q,4", "p,3", ",2"]);
        let out = folder.path().join(format!("out-{parallelism}"));
        let sink = format!(
            "CREATE TABLE o (x BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n",
            out.display()
        );
        run(&format!("{tables}{sink}INSERT INTO o SELECT x FROM a WHERE x > 1 ORDER BY x DESC"), parallelism);
        let written = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        let written = written.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("part-"));
        let texts: Vec<String> = written.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts.concat(), "5\n3\n2\n2\n2\n");
    }
}

#[test]
fn rows_that_are_written_are_inserted() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "CREATE TABLE o (k BIGINT, s STRING) WITH ('connector' = 'print');\n";
    let out = run(&format!("{}{sink}INSERT INTO o VALUES (1, 'x'), (2, NULL)", tables(folder.path())), "2");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].contains("1, x") && lines[1].contains('2'), "{out}");
}
