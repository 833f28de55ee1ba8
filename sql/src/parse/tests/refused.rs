//! What is refused, where, and with which words.

use crate::parse::parse;

/// The error of a script: its place, its message, its help.
fn error(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => {
            let report = error.report();
            let mut lines = report.lines();
            let first = lines.next().unwrap().to_owned();
            match lines.find_map(|line| line.strip_prefix("  help: ")) {
                Some(help) => format!("{first} / {help}"),
                None => first,
            }
        }
    }
}

fn all(cases: &[(&str, &str)]) {
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| {
            let found = error(text);
            (!found.contains(expected)).then(|| format!("{text}\n    found:    {found}\n    expected: {expected}"))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn slips() {
    all(&[
        ("SELEC 1", "line 1, column 1: expected a statement"),
        ("SELEC 1", "found `SELEC` / is `SELEC` a slip of `SELECT`?"),
        (
            "SELECT a FORM t",
            "line 1, column 15: expected the end of the statement, found `t` / is `FORM` a slip of `FROM`?",
        ),
        ("SELECT a\nFROM t\nWHER a > 1", "line 3, column 6: "),
        ("SELECT a\nFROM t\nWHER a > 1", "is `WHER` a slip of `WHERE`?"),
        ("SELECT a, FROM t", "line 1, column 11: expected an expression, found `FROM`"),
        ("SELECT (1 + 2 FROM t", "line 1, column 15: expected `)`, found `FROM`"),
        ("SELECT 'abc", "line 1, column 8: unterminated string literal"),
        ("SELECT * FROM", "line 1, column 14: expected identifier, found the end of the statement"),
        ("SELECT 1; SELECT", "line 1, column 17: expected an expression, found the end of the statement"),
        (
            "CREATE TABLE t (a STRNG) WITH ('connector' = 'x')",
            "line 1, column 19: there is no type `STRNG` / did you mean `STRING`?",
        ),
        ("CREATE TABLE t (a BIGINT b INT)", "line 1, column 26: expected `,` or `)`, found `b`"),
        (
            "CREATE TABEL t (a INT)",
            "line 1, column 8: expected TABLE, VIEW, FUNCTION or DATABASE, found `TABEL` / is `TABEL` a slip of `TABLE`?",
        ),
        ("CREATE TABLE t (a INT) WIHT ('a' = 'b')", "is `WIHT` a slip of `WITH`?"),
        ("CREATE TABLE t (a INT) WITH ('a' 'b')", "line 1, column 34: expected `=`, found `'b'`"),
        ("CREATE TABLE t (a INT) WITH ('a' = b)", "expected a value in single quotes, found `b`"),
        ("CREATE TABLE t (a INT) WITH ('a' = '1', 'a' = '2')", "line 1, column 41: option `a` is given twice"),
        ("CREATE TABLE t (WATERMARK ts AS ts)", "line 1, column 27: "),
        ("INSERT t SELECT 1", "line 1, column 8: expected INTO, found `t`"),
        ("INSERT INTO t (a, a) SELECT 1, 2", "line 1, column 19: column `a` is named twice"),
        ("INSERT INTO t (a)", "expected a query (SELECT, WITH or VALUES), found the end of the statement"),
        ("SET a", "expected `=`, found the end of the statement"),
        ("EXPLAIN", "expected a query or INSERT INTO, found the end of the statement"),
        ("SELECT 1 SELECT 2", "line 1, column 10: "),
    ]);
}

#[test]
fn an_excerpt_marks_the_place() {
    let report = parse("SELECT\n\tprize,\n\tx FROM t WHERE TABLESAMPLE (3)").unwrap_err().report();
    assert_eq!(
        report,
        "line 3, column 17: TABLESAMPLE is not supported: it is random, and a row that is computed again after a restart \
         would differ\n  |\n3 |  x FROM t WHERE TABLESAMPLE (3)\n  |                 ^^^^^^^^^^^\n  \
         help: take a share of the keys, as in `WHERE id % 100 = 0`"
    );
}

#[test]
fn statements() {
    all(&[
        ("CREATE CATALOG d", "there is one catalog, `default_catalog`"),
        ("CREATE SCHEMA d", "a schema is called a database"),
        ("ALTER DATABASE d SET ('a' = 'b')", "a database has nothing to alter"),
        ("CREATE DATABASE `a.b`", "line 1, column 17: the name of a database has no point in it"),
        ("USE MODULES core", "modules are not supported"),
        ("CREATE FUNCTION f AS 'x'", "a function is an expression over its parameters, or one that a plugin exports"),
        ("CREATE TEMPORARY SYSTEM FUNCTION f AS 'x'", "system functions cannot be replaced"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "materialized views and tables are not supported yet"),
        ("CREATE SOURCE s (a INT)", "there is only one kind of table"),
        ("SHOW CURRENT JOB", "expected TABLES, VIEWS, FUNCTIONS, DATABASES, CURRENT DATABASE, JOBS,"),
        ("SHOW JOB", "expected TABLES, VIEWS, FUNCTIONS, DATABASES, CURRENT DATABASE, JOBS,"),
        (
            "SHOW ME",
            "expected TABLES, VIEWS, FUNCTIONS, DATABASES, CURRENT DATABASE, JOBS, WATERMARKS FOR JOB, CREATE TABLE, CREATE VIEW or CREATE FUNCTION",
        ),
        ("STOP JOB", "expected the name of a job in single quotes"),
        ("UPDATE t SET a = 1", "rows of a stream cannot be changed"),
        ("DELETE FROM t", "rows of a stream cannot be changed"),
        ("TABLE t", "TABLE is not a query here / write `SELECT * FROM t`"),
        ("FROM t SELECT a", "a query begins with SELECT"),
        ("BEGIN; INSERT INTO a SELECT 1; COMMIT", "transactions are not supported"),
        ("INSERT OVERWRITE t SELECT 1", "INSERT OVERWRITE is not supported"),
        ("INSERT INTO t PARTITION (dt = '1') SELECT 1", "PARTITION in INSERT is not supported"),
        ("INSERT INTO a.b.c.d SELECT 1", "line 1, column 13: this name has too many parts"),
        ("SELECT * FROM a.b.c.d", "line 1, column 15: this name has too many parts"),
        ("EXPLAIN ANALYZE SELECT 1", "line 1, column 9: EXPLAIN shows CHANGELOG_MODE, STATE and JSON"),
        ("EXPLAIN STATE, VERBOSE SELECT 1", "line 1, column 16: EXPLAIN shows CHANGELOG_MODE, STATE and JSON"),
        ("EXPLAIN STATE, SELECT 1", "line 1, column 16: EXPLAIN shows CHANGELOG_MODE, STATE and JSON"),
        ("EXPLAIN STATE", "expected a query or INSERT INTO, found the end of the statement"),
        ("EXPLAIN STATEMENT SET BEGIN INSERT INTO a SELECT 1; END", "EXPLAIN of a statement set is not supported yet"),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;", "line 1, column 1: this statement set has no END"),
        ("EXECUTE STATEMENT SET BEGIN SELECT 1; END", "line 1, column 29: expected INSERT INTO or END"),
        ("END", "this END belongs to no statement set"),
        (
            "BEGIN STATEMENT SET; EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END",
            "a statement set cannot hold another one",
        ),
        ("DROP JOB f", "only tables, views and functions can be dropped"),
        ("DROP TEMPORARY SYSTEM FUNCTION f", "system functions stay"),
    ]);
}

#[test]
fn tables() {
    all(&[
        ("CREATE TABLE a.b.c.d (a INT)", "line 1, column 14: this name has too many parts"),
        ("CREATE TABLE t (a INT PRIMARY KEY)", "expected NOT ENFORCED, since Weir does not check that keys are unique"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (a) ENFORCED)", "expected NOT ENFORCED"),
        (
            "CREATE TABLE t (a INT, PRIMARY KEY (a) NOT ENFORCED, PRIMARY KEY (a) NOT ENFORCED)",
            "a table has one primary key",
        ),
        ("CREATE TABLE t (a INT, UNIQUE (a))", "only PRIMARY KEY constraints are supported"),
        ("CREATE TABLE t (a INT DEFAULT 3)", "line 1, column 23: this column option is not supported / write COALESCE"),
        ("CREATE TABLE t (a INT GENERATED ALWAYS AS (1))", "a computed column is written `name AS expression`"),
        (
            "CREATE TABLE t (a TIMESTAMP(3) WITH TIME ZONE)",
            "type TIMESTAMP_TZ is not supported / write TIMESTAMP_LTZ(3)",
        ),
        ("CREATE TABLE t (a MULTISET<INT>)", "type MULTISET is not supported / write ARRAY<…>"),
        ("CREATE TABLE t (a JSON)", "type JSON is not supported / write STRING, and read it with JSON_VALUE"),
        ("CREATE TABLE t (a DECIMAL(39, 2))", "line 1, column 19: DECIMAL(p, s) has 1 to 38 digits"),
        ("CREATE TABLE t (a DECIMAL(3, 4))", "DECIMAL(p, s) has 1 to 38 digits"),
        ("CREATE TABLE t (a TIMESTAMP(12))", "TIMESTAMP(p) has 0 to 9 digits"),
        ("CREATE TABLE t (a INT(3))", "INT has no length"),
        ("CREATE TABLE t (a ARRAY<INT>>)", "there is one `>` too many"),
        ("CREATE TABLE t (a ROW<x INT, x INT>)", "field `x` is named twice"),
        ("CREATE TABLE t (WATERMARK FOR a AS a, WATERMARK FOR b AS b)", "line 1, column 39: a table has one watermark"),
        ("CREATE TABLE t (WATERMARK FOR a.b AS a.b)", "the time attribute cannot be a field of a row"),
        ("CREATE TABLE t (a INT) LIKE b (INCLUDING COLUMNS)", "expected ALL, CONSTRAINTS, GENERATED"),
        ("CREATE TABLE t (a INT) LIKE b (OVERWRITING ALL)", "OVERWRITING ALL has no meaning"),
        ("CREATE TABLE t (a INT) LIKE b (WITHOUT OPTIONS)", "expected INCLUDING, EXCLUDING, OVERWRITING or `)`"),
        ("CREATE TABLE t (LIKE b)", "LIKE stands behind the columns and WITH"),
        (
            "CREATE TABLE t (a INT) WITH ('connector' = 'x') AS SELECT 1",
            "a table that is created AS a query has the query's columns",
        ),
        ("CREATE TABLE t (a INT) DISTRIBUTED BY (a) INTO 4 BUCKETS", "DISTRIBUTED is not supported yet"),
        ("CREATE TABLE t (a AS NOW())", "`NOW` cannot be used in a job: it reads the clock"),
    ]);
}

#[test]
fn queries() {
    all(&[
        (
            "SELECT * FROM t GROUP BY x EMIT AFTER INTERVAL '1' SECOND",
            "line 1, column 28: EMIT ON UPDATE, EMIT CHANGES, EMIT EVERY",
        ),
        (
            "SELECT * FROM t GROUP BY x EMIT EVERY INTERVAL '1' MONTH",
            "line 1, column 28: EMIT EVERY has a length of time, in days or shorter units / write it as in `EMIT EVERY INTERVAL '1' HOUR`",
        ),
        ("SELECT * FROM t GROUP BY x EMIT EVERY INTERVAL '0' SECOND", "EMIT EVERY has a length of time"),
        ("SELECT * FROM t GROUP BY x EMIT EVERY INTERVAL '0.0005' SECOND", "EMIT EVERY has a length of time"),
        ("SELECT * FROM t GROUP BY x EMIT EVERY INTERVAL '1' SECOND EMIT FINAL", "this is said twice"),
        ("(SELECT * FROM t) EMIT CHANGES", "EMIT and ALLOWED LATENESS stand behind the SELECT that they are about"),
        ("SELECT 1 UNION ALL SELECT 2 EMIT CHANGES", "EMIT and ALLOWED LATENESS are about one SELECT"),
        ("SELECT * FROM t GROUP BY x EMIT FINAL EMIT CHANGES", "line 1, column 39: this is said twice"),
        (
            "SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY) ALLOWED LATENESS INTERVAL '1' MONTH",
            "ALLOWED LATENESS has a length of time, in days or shorter units",
        ),
        ("SELECT /*+ EMISSION('lateness' = '1') */ x FROM t", "there is no hint EMISSION"),
        (
            "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE)",
            "line 1, column 17: MATCH_RECOGNIZE is not supported yet",
        ),
        (
            "SELECT /*+ STATE_TLL('a' = '1d') */ * FROM t",
            "line 1, column 8: there is no hint STATE_TLL / did you mean `STATE_TTL`?",
        ),
        ("SELECT /*+ STATE_TTL */ * FROM t", "STATE_TTL has pairs of texts, each with a sign of equality between"),
        ("SELECT /*+ (1) */ * FROM t", "line 1, column 8: this is no hint"),
        ("SELECT /*+ SHUFFLE_HASH(a) */ * FROM t", "line 1, column 8: the hint SHUFFLE_HASH is not supported"),
        ("SELECT * FROM t /*+ STATE_TTL('a' = '1d') */", "line 1, column 17: STATE_TTL cannot stand here"),
        ("SELECT /*+ OPTIONS('k' = 'v') */ * FROM t", "line 1, column 8: OPTIONS cannot stand here"),
        ("SELECT a /*+ OPTIONS('k' = 'v') */ FROM t", "line 1, column 10: OPTIONS cannot stand here"),
        ("INSERT INTO t /*+ OPTIONS('k' = 'v') */ SELECT 1", "line 1, column 15: OPTIONS cannot stand here"),
        ("SELECT * FROM a, LATERAL TABLE(f(a.x))", "line 1, column 18: table functions are not supported yet"),
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "line 1, column 17: TABLESAMPLE is not supported"),
        ("SELECT * FROM t FETCH FIRST 3 ROWS WITH TIES", "WITH TIES stands behind a SELECT with ORDER BY"),
        (
            "SELECT DISTINCT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES",
            "WITH TIES stands behind a SELECT with ORDER BY, without",
        ),
        ("SELECT a FROM t ORDER BY a OFFSET 2 ROWS FETCH FIRST 3 ROWS WITH TIES", "WITH TIES stands behind"),
        (
            "SELECT -v AS v FROM t ORDER BY v + 0 FETCH FIRST 1 ROW WITH TIES",
            "and without expressions of names that the SELECT",
        ),
        (
            "SELECT ROW_NUMBER() OVER (ORDER BY v) AS r FROM t ORDER BY r FETCH FIRST 1 ROW WITH TIES",
            "WITH TIES stands behind a SELECT with ORDER BY, without",
        ),
        ("SELECT * FROM t FETCH FIRST 3 PERCENT ROWS ONLY", "FETCH of a percentage is not supported / write `LIMIT n`"),
        ("SELECT TOP 3 a FROM t", "line 1, column 8: TOP is not supported / write `LIMIT n`"),
        ("SELECT a INTO b FROM t", "line 1, column 10: SELECT INTO is not supported"),
        ("SELECT * FROM t FOR UPDATE", "FOR UPDATE and FOR SHARE are not supported"),
        ("SELECT * FROM t WITH (nolock)", "hints are not supported yet"),
        ("SELECT * FROM t PARTITION (p)", "this modifier of a table is not supported"),
        ("SELECT * FROM t LATERAL VIEW explode(x) y AS z", "LATERAL VIEW is not supported"),
        ("SELECT * FROM t CLUSTER BY a", "CLUSTER BY is not supported"),
        ("SELECT * FROM t SORT BY a", "SORT BY is not supported"),
        ("SELECT * FROM t GROUP BY ALL", "GROUP BY ALL is not supported"),
        (
            "SELECT a FROM t GROUP BY a WITH ROLLUP",
            "line 1, column 28: WITH ROLLUP, WITH CUBE and WITH TOTALS are not supported",
        ),
        ("SELECT DISTINCT ON (a) a FROM t", "line 1, column 8: DISTINCT ON is not supported"),
        ("WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r", "line 1, column 1: recursive queries are not supported"),
        ("WITH r AS MATERIALIZED (SELECT 1) SELECT * FROM r", "line 1, column 11: expected `(`, found `MATERIALIZED`"),
        ("SELECT * FROM a JOIN b", "line 1, column 22: this join has no condition"),
        (
            "SELECT * FROM a CROSS JOIN b ON a.x = b.x",
            "line 1, column 30: expected the end of the statement, found `ON`",
        ),
        ("SELECT * FROM a SEMI JOIN b ON a.x = b.x", "SEMI JOIN has to say of which side"),
        ("SELECT * FROM a CROSS APPLY f(x)", "APPLY is not supported"),
        ("SELECT * FROM UNNEST(x, y) WITH ORDINALITY", "WITH ORDINALITY numbers the elements of one array"),
        ("SELECT * FROM f(1)", "line 1, column 15: this table function is not supported"),
        ("SELECT * FROM TABLE(f(1))", "this table function is not supported"),
        ("SELECT * FROM JSON_TABLE(x, '$' COLUMNS (a INT PATH '$.a'))", "JSON_TABLE is not supported"),
        ("SELECT * FROM t PIVOT (SUM(a) FOR b IN (1))", "PIVOT is not supported"),
        ("SELECT * FROM t LIMIT 1, 2", "LIMIT with two numbers is not supported"),
        ("SELECT * RENAME (a AS b) FROM t", "line 1, column 10: expected the end of the statement, found `RENAME`"),
        (
            "SELECT TUMBLE_START(ts, INTERVAL '1' DAY), TUMBLE(ts, INTERVAL '1' DAY) FROM t",
            "line 1, column 8: this function asks for a window that GROUP BY has",
        ),
        (
            "SELECT * FROM t GROUP BY SESSION(ts, INTERVAL '1' DAY), TUMBLE(ts, INTERVAL '1' DAY)",
            "line 1, column 57: GROUP BY has two windows",
        ),
        ("SELECT * FROM t, u GROUP BY SESSION(ts, INTERVAL '1' DAY)", "SESSION in GROUP BY reads one table"),
        ("SELECT * FROM t GROUP BY CUMULATE(ts, INTERVAL '1' DAY)", "window functions stand in the FROM clause here"),
        ("SELECT * FROM ML_PREDICT(TABLE t, MODEL m)", "line 1, column 26: `ML_PREDICT` does not take a table"),
        ("SELECT count(x) FILTER FROM t", "line 1, column 17: expected a condition after FILTER"),
        ("SELECT f(1)(2) FROM t", "this form of a function call is not supported"),
        ("SELECT ARRAY(SELECT 1)", "a query as an argument is not supported"),
        ("SELECT LISTAGG(x, ',' ON OVERFLOW ERROR) FROM t", "ON OVERFLOW is not supported"),
        ("SELECT F(x RETURNING INT) FROM t", "RETURNING is not supported / cast the result"),
        ("SELECT x COLLATE \"de\" FROM t", "COLLATE is not supported"),
        ("SELECT now() FROM t", "line 1, column 8: `now` cannot be used in a job: it reads the clock"),
        ("SELECT CURRENT_DATE FROM t", "`CURRENT_DATE` cannot be used in a job"),
        ("SELECT uuid() FROM t", "`uuid` cannot be used in a job: it is random"),
        ("SELECT array_filter(x, y -> y > 1) FROM t", "functions with a lambda are not supported yet"),
        ("SELECT ? FROM t", "`?` stands for a parameter"),
        ("SELECT * FROM (INSERT INTO t SELECT 1)", "line 1, column 16: a change of a table is no query"),
        ("SELECT * FROM t |> WHERE x > 1", "expected the end of the statement, found `|`"),
    ]);
}

#[test]
fn what_is_too_deep_or_too_long() {
    super::on_a_main_threads_stack(too_deep_or_too_long);
}

fn too_deep_or_too_long() {
    let deep = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
    assert!(error(&deep).contains("this statement is nested too deeply"), "{}", error(&deep));
    let long = format!("SELECT 1{}", " + 1".repeat(100_000));
    assert!(error(&long).contains("this expression is too long"));
    let unions = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(50_000));
    assert!(error(&unions).contains("this expression is too long"));
    let types = format!("CREATE TABLE t (a {}INT{})", "ARRAY<".repeat(500), ">".repeat(500));
    assert!(error(&types).contains("this type is nested too deeply"));
    // Errors deep inside are found without trying every way to read what is around them.
    for opening in ["CASE WHEN ", "CAST(", "NOT ", "f(CASE a ", "EXISTS(", "EXTRACT(", "INTERVAL ", "ARRAY[", "("] {
        let text = format!("SELECT {} )", opening.repeat(40));
        assert!(error(&text).starts_with("line 1, column "), "{opening}");
    }
    for opening in ["(", "(SELECT * FROM ", "((SELECT * FROM ", "a JOIN ("] {
        let text = format!("SELECT * FROM {} )", opening.repeat(40));
        assert!(error(&text).starts_with("line 1, column "), "{opening}");
    }
    // What is just short enough is parsed, taken apart and dropped without running out of stack.
    let fits = format!("SELECT 1{}", " + 1".repeat(745));
    assert!(parse(&fits).is_ok());
    let fits = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(370));
    assert!(parse(&fits).is_ok());
}
