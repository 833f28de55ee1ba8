//! Statements of the dialect that Weir does not have yet, and those of other databases that people try.

use weir_core::Error;

use super::cursor::Cursor;

/// First words, what they begin, and what works instead.
const STATEMENTS: [(&[&str], &str, &str); 26] = [
    (
        &["CREATE|DROP|ALTER", "CATALOG"],
        "there is one catalog, `default_catalog`",
        "write `CREATE DATABASE`; each namespace of a cluster has a catalog of its own",
    ),
    (&["CREATE|DROP", "SCHEMA"], "a schema is called a database", "write `CREATE DATABASE` or `DROP DATABASE`"),
    (&["ALTER", "DATABASE|SCHEMA"], "a database has nothing to alter", "leave the statement out"),
    (
        &["CREATE", "TEMPORARY", "SYSTEM"],
        "system functions cannot be replaced",
        "write `CREATE FUNCTION name(x BIGINT) RETURN x + 1`, with a name of its own",
    ),
    (
        &["CREATE", "MATERIALIZED"],
        "materialized views and tables are not supported yet",
        "create a table and fill it with INSERT INTO, or write a plain VIEW",
    ),
    (&["CREATE", "EXTERNAL"], "EXTERNAL is not supported", "write CREATE TABLE: its connector says where the data is"),
    (&["CREATE", "MODEL"], "models are not supported", "leave the statement out"),
    (&["CREATE", "INDEX|UNIQUE"], "indexes are not supported", "leave the statement out: streams are not looked up"),
    (
        &["CREATE", "SOURCE|SINK|STREAM"],
        "there is only one kind of table",
        "write CREATE TABLE: a table is a source where it is read and a sink where it is written",
    ),
    (&["DROP", "INDEX|JOB|MODEL"], "only tables, views and functions can be dropped", "leave the statement out"),
    (&["DROP", "TEMPORARY", "SYSTEM"], "system functions stay", "write `DROP FUNCTION name`"),
    (&["ANALYZE"], "ANALYZE is not supported", "leave the statement out: the planner needs no statistics"),
    (&["LOAD|UNLOAD"], "modules are not supported", "leave the statement out: all functions are there"),
    (&["ADD|REMOVE", "JAR|ARTIFACT"], "JARs are not supported", "see whether one of the built-in functions does it"),
    (
        &["UPDATE|DELETE|MERGE|TRUNCATE|REPLACE|UPSERT"],
        "rows of a stream cannot be changed",
        "write `INSERT INTO … SELECT …`",
    ),
    (&["COPY"], "COPY is not supported", "create a table with `'connector' = 'filesystem'` and INSERT INTO it"),
    (&["CALL"], "procedures are not supported", "leave the statement out"),
    (&["EXECUTE", "PLAN"], "EXECUTE PLAN is not supported", "run the script itself"),
    (&["COMPILE"], "COMPILE PLAN is not supported", "run the script itself: it is planned anew each time"),
    (&["EXECUTE", "INSERT|SELECT"], "EXECUTE is for statement sets", "leave the word EXECUTE out"),
    (
        &["BEGIN|COMMIT|ROLLBACK|START"],
        "transactions are not supported",
        "leave the statement out: checkpoints make every result exact; several inserts in one job are written as \
         `EXECUTE STATEMENT SET BEGIN … END`",
    ),
    (&["END"], "this END belongs to no statement set", "open one with `EXECUTE STATEMENT SET BEGIN`"),
    (&["GRANT|REVOKE"], "rights are not supported", "leave the statement out"),
    (&["TABLE"], "TABLE is not a query here", "write `SELECT * FROM t`"),
    (&["FROM"], "a query begins with SELECT", "write `SELECT * FROM …`"),
    (&["PREPARE|DECLARE|CACHE|PRAGMA|VACUUM|REFRESH"], "this statement is not supported", "leave it out"),
];

/// The refusal of the statement that comes next, if it is one of these.
pub(super) fn statement(cursor: &Cursor<'_>) -> Option<Error> {
    let (_, what, instead) = STATEMENTS.iter().find(|(words, _, _)| cursor.sees(words))?;
    Some(cursor.error_here(what).with_help(*instead))
}
