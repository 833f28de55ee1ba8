//! `weir sql --cluster`.

use super::processes::{Cluster, until};

const NUMBERS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');";

#[test]
fn what_is_typed_is_declared_and_runs_in_the_cluster() {
    let cluster = Cluster::local(2);
    let folder = cluster.path("out");
    let sql = |text: &str| cluster.weir(&["sql", "--cluster", "-q", "-o", "csv", "-e", text]);
    sql(&format!("{NUMBERS} CREATE VIEW few AS SELECT n FROM numbers WHERE n < 4;"))
        .code(0)
        .says(&["created table numbers", "created view few"]);
    // Another session, with a setting of its own.
    let ran = sql("SHOW TABLES; SET 'parallelism.default' = '2'; SELECT SUM(n) AS sum FROM few;").code(0);
    assert_eq!(ran.out, "table name\nfew\nnumbers\nsum\n6\n");
    assert_eq!(sql("DESCRIBE few").code(0).out, "name,type,null,key,extras,watermark\nn,BIGINT,TRUE,,,\n");

    // An INSERT is a job that goes on by itself, named after its table.
    sql(&format!(
        "CREATE TABLE kept WITH ('connector' = 'filesystem', 'path' = '{folder}', 'format' = 'csv') AS\n  SELECT n * 2 AS twice FROM few;"
    ))
    .code(0)
    .says(&["created table kept"]);
    cluster.until_finished("insert-into-kept");
    let rows = until("the rows are there", || {
        let files = std::fs::read_dir(&folder).ok()?;
        let parts =
            files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "csv"));
        let text: String = parts.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        (text.lines().count() == 3).then_some(text)
    });
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable();
    assert_eq!(rows, ["2", "4", "6"]);
    let shown = cluster.weir(&["catalog", "show", "kept"]).code(0).out;
    assert!(shown.starts_with("CREATE TABLE kept (`twice` BIGINT)"), "{shown}");

    // The next one into the same table is another job.
    sql("INSERT INTO kept SELECT n + 100 FROM few;").code(0);
    sql("INSERT INTO kept SELECT n + 100 FROM few;").code(0);
    cluster.until_finished("insert-into-kept-2");
    cluster.until_finished("insert-into-kept-3");

    // The jobs are seen to from here.
    sql("CREATE TABLE endless (n BIGINT) WITH ('connector' = 'datagen'); CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
         SET 'pipeline.name' = 'on'; INSERT INTO nowhere SELECT n FROM endless;")
    .code(0);
    cluster.until_checkpoint("on");
    let jobs = sql("SHOW JOBS").code(0).out;
    assert!(jobs.contains("default/on") && jobs.contains("default/insert-into-kept"), "{jobs}");
    assert!(sql("DESCRIBE JOB 'on'").code(0).out.contains("running"));
    assert!(sql("SHOW WATERMARKS FOR JOB 'on'").code(0).out.contains("behind the clock"));
    sql("STOP JOB 'on' WITH SAVEPOINT").code(0);
    assert_eq!(cluster.job("on")["status"], "stopped");

    // Mistakes point into what was written, and what -i declares stays in the session.
    sql("SELECT n\nFROM fwe").code(2).says(&["line 2, column 6: there is no table `fwe`", "did you mean `few`?"]);
    sql("DROP TABLE numbers").code(2).says(&["the view `few` of the catalog would not go on to work"]);
    let own = crate::weir::file(
        ".sql",
        "CREATE TABLE own (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '2');",
    );
    let own =
        ["sql", "--cluster", "-q", "-o", "csv", "-i", crate::weir::path(&own), "-e", "SELECT COUNT(*) AS c FROM own"];
    assert_eq!(cluster.weir(&own).code(0).out, "c\n2\n");
    // It hides what the catalog has, as a temporary table does.
    let temporary = "CREATE TEMPORARY VIEW few AS SELECT 7 AS n;
        CREATE OR REPLACE TEMPORARY TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '1');
        SELECT n, ROW_NUMBER() OVER (ORDER BY n) AS r FROM few; SELECT COUNT(*) AS c FROM numbers";
    assert_eq!(sql(temporary).code(0).out, "n,r\n7,1\nc\n1\n");
    assert_eq!(sql("SELECT COUNT(*) AS c FROM few").code(0).out, "c\n3\n");
    sql("SELECT * FROM own").code(2).says(&["there is no table `own`"]);
}

#[test]
fn databases_of_a_cluster_are_shared() {
    let cluster = Cluster::local(1);
    let sql = |text: &str| cluster.weir(&["sql", "--cluster", "-q", "-o", "csv", "-e", text]);
    let two = NUMBERS.replace("'5'", "'2'");
    sql(&format!(
        "CREATE DATABASE few; {NUMBERS} USE few;\n{two}\nCREATE VIEW sums AS SELECT SUM(n) AS sum FROM numbers;"
    ))
    .code(0)
    .says(&[
        "created database few",
        "created table numbers",
        "created table few.numbers",
        "created view few.sums",
    ]);
    let sums = "SELECT sum FROM few.sums; SELECT SUM(n) AS all_of_them FROM numbers; USE few; SELECT SUM(n) AS sum FROM numbers;";
    assert_eq!(sql(sums).code(0).out, "sum\n3\nall_of_them\n15\nsum\n3\n");
    assert_eq!(
        sql("USE few; SHOW CURRENT DATABASE; SHOW TABLES").code(0).out,
        "current database name\nfew\ntable name\nnumbers\nsums\n"
    );
    assert_eq!(
        sql("SHOW DATABASES; SHOW TABLES").code(0).out,
        "database name\ndefault_database\nfew\ntable name\nnumbers\n"
    );
    // What stands in a file is the same as what is typed.
    let all = cluster.weir(&["submit", "-q", "-o", "csv", "-e", "USE few; SELECT sum FROM sums"]).code(0);
    assert_eq!(all.out, "sum\n3\n");
    let kept = cluster.weir(&["catalog", "show", "few.sums"]).code(0).out;
    assert!(
        kept.starts_with("USE `few`;\nCREATE VIEW sums AS") && kept.ends_with(";\nUSE `default_database`;\n"),
        "{kept}"
    );
    let explained = cluster.weir(&["sql", "--cluster", "-e", "USE few; EXPLAIN SELECT * FROM numbers"]).code(0).out;
    assert!(explained.contains("few.numbers"), "{explained}");

    sql("USE few;\nSELECT m FROM numbers").code(2).says(&["line 2, column 8: there is no column `m`"]);
    sql("USE few;\nCREATE VIEW w AS SELECT m FROM numbers")
        .code(2)
        .says(&["line 2, column 25: there is no column `m`"]);
    sql("USE fwe").code(2).says(&["line 1, column 5: there is no database `fwe`", "did you mean `few`?"]);
    sql("USE few; DROP DATABASE few CASCADE").code(2).says(&["`few` is in use"]);
    sql("DROP DATABASE few").code(2).says(&["database `few` is not empty"]);
    // A database that is in use no more may go.
    let gone = sql(
        "CREATE DATABASE gone; USE gone; USE default_database; DROP DATABASE gone; SELECT COUNT(*) AS c FROM numbers",
    );
    assert!(gone.code(0).out.ends_with("c\n5\n"));
    sql("DROP DATABASE few CASCADE").code(0).says(&["dropped database few", "dropped view few.sums"]);
    assert_eq!(sql("SELECT COUNT(*) AS c FROM numbers").code(0).out, "c\n5\n");
}

/// Over input that goes on, the job ends with the last row that there can be.
#[test]
fn a_limit_ends_a_query_in_the_cluster() {
    let cluster = Cluster::local(1);
    let sql = |text: &str| cluster.weir(&["sql", "--cluster", "-q", "-o", "csv", "-e", text]);
    sql("CREATE TABLE e (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100', 'fields.id.min' = '7', 'fields.id.max' = '7')")
        .code(0);
    for (query, expected) in [
        ("SELECT id FROM e LIMIT 3", "id\n7\n7\n7\n"),
        ("SELECT id * 2 AS twice FROM e WHERE id > 5 LIMIT 2 OFFSET 1", "twice\n14\n14\n"),
        ("SELECT id FROM e LIMIT 0", ""),
    ] {
        assert_eq!(sql(query).code(0).out, expected, "{query}");
    }
    assert!(!cluster.weir(&["jobs", "list", "--all"]).code(0).out.contains("query"), "nothing is left of them");
}

#[test]
fn jobs_of_a_cluster_are_not_known_without_one() {
    crate::weir::weir(&["sql", "-e", "SHOW JOBS"]).code(2).says(&["known to its shell alone", "weir sql --cluster"]);
}
