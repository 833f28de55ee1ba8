//! `weir sql`: statements one by one, over what those before them have declared.

use std::process::{Command, Stdio};

use crate::flights::BINARY;
use crate::weir::{file, path, weir, weir_reading};

const TABLE: &str = "CREATE TABLE t (
  id BIGINT NOT NULL, name STRING, late AS id * 2, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'datagen', 'number-of-rows' = '3', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '3');
";

#[test]
fn statements_see_what_those_before_them_have_declared() {
    let declared = file(".sql", TABLE);
    let ran =
        weir(&["sql", "-q", "-i", path(&declared), "-e", "CREATE VIEW v AS SELECT id, late FROM t; SELECT * FROM v;"]);
    let mut rows: Vec<String> = ran.code(0).out.lines().map(str::to_owned).collect();
    rows.sort();
    assert_eq!(rows, [r#"{"id":1,"late":2}"#, r#"{"id":2,"late":4}"#, r#"{"id":3,"late":6}"#]);
    // A SELECT is a job of its own, and so is each further one; what is dropped is gone.
    let ran = weir_reading(
        &["sql", "-q"],
        &format!("{TABLE} SELECT COUNT(*) AS n FROM t; SELECT MAX(id) AS m FROM t; DROP TABLE t; SELECT 1 FROM t;"),
    );
    let ran = ran.code(2).says(&["there is no table `t`"]);
    assert_eq!(ran.out, "{\"n\":3}\n{\"m\":3}\n");
}

#[test]
fn a_table_that_is_created_as_a_query_is_filled_once_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let text = format!(
        "{TABLE} CREATE TABLE kept WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv') AS SELECT id, name FROM t;
         SELECT COUNT(*) AS n, MAX(id) AS m FROM kept; SELECT COUNT(*) AS n FROM kept; DESCRIBE kept;",
        out.display()
    );
    let ran = weir(&["sql", "-q", "-o", "csv", "-e", &text]).code(0).out;
    let described = "name,type,null,key,extras,watermark\nid,BIGINT,FALSE,,,\nname,STRING,TRUE,,,\n";
    assert_eq!(ran, format!("n,m\n3,3\nn\n3\n{described}"));
}

#[test]
fn a_hint_at_the_end_of_a_statement_is_obeyed() {
    let text = format!("{TABLE} SELECT COUNT(*) AS n FROM t /*+ OPTIONS('number-of-rows' = '2') */;");
    assert_eq!(weir(&["sql", "-q", "-o", "csv", "-e", &text]).code(0).out, "n\n2\n");
    let wrong = format!("{TABLE} SELECT COUNT(*) AS n FROM t /*+ OPTOINS('number-of-rows' = '2') */");
    weir(&["sql", "-q", "-e", &wrong]).code(2).says(&["OPTOINS"]);
}

#[test]
fn what_there_is_can_be_asked_for() {
    let declared = file(".sql", &format!("{TABLE}CREATE VIEW seen AS SELECT id FROM t;"));
    let ask = |question: &str| weir(&["sql", "-i", path(&declared), "-e", question]).code(0).out;
    assert_eq!(ask("SHOW TABLES"), "{\"table name\":\"seen\"}\n{\"table name\":\"t\"}\n");
    assert_eq!(ask("SHOW TABLES LIKE 'T%'"), "{\"table name\":\"t\"}\n");
    assert_eq!(ask("SHOW VIEWS"), "{\"view name\":\"seen\"}\n");
    assert_eq!(ask("SHOW FUNCTIONS LIKE 'json_val%'"), "{\"function name\":\"json_value\"}\n");
    assert_eq!(ask("SHOW CREATE VIEW seen"), "CREATE VIEW seen AS SELECT id FROM t;\n");
    assert_eq!(ask("SET 'parallelism.default' = '2'; SET"), "{\"key\":\"parallelism.default\",\"value\":\"2\"}\n");
    let columns = ask("DESCRIBE t");
    let expected = [
        r#"{"name":"id","type":"BIGINT","null":"FALSE","key":"PRI(id)","extras":null,"watermark":null}"#,
        r#"{"name":"name","type":"STRING","null":"TRUE","key":null,"extras":null,"watermark":null}"#,
    ];
    assert!(columns.starts_with(&expected.join("\n")), "{columns}");
    assert!(columns.lines().nth(2).is_some_and(|line| line.contains("\"extras\":\"AS id * 2\"")), "{columns}");
    assert!(
        columns.lines().nth(3).is_some_and(|line| line.contains("\"watermark\":\"ts - INTERVAL '5' SECOND\"")),
        "{columns}"
    );
    assert_eq!(ask("DESC seen").lines().count(), 1);
}

#[test]
fn secrets_are_not_shown() {
    let secret = "CREATE TABLE s (id INT) WITH ('connector' = 'filesystem', 'path' = '/tmp/x', 'format' = 'csv', 'password' = 'hush')";
    // Whether the connector knows the option or not.
    let ran = weir(&["sql", "-e", &format!("{secret}; SHOW CREATE TABLE s;")]);
    assert!(!ran.out.contains("hush") && !ran.err.contains("hush"), "{}{}", ran.out, ran.err);
}

#[test]
fn errors_point_into_what_was_written() {
    let script = format!("{TABLE}\n\nSELECT id,\n       nam FROM t;");
    let line = TABLE.lines().count() + 4;
    weir_reading(&["sql"], &script).code(2).says(&[&format!("line {line}, column 8"), "did you mean `name`?"]);
    // Behind what has been accepted lines count from the beginning of what follows.
    let declared = file(".sql", TABLE);
    let wrong = ["sql", "-i", path(&declared), "-e", "SELECT nam FROM t"];
    weir(&wrong).code(2).says(&["line 1, column 8", "1 | SELECT nam FROM t"]);
}

#[test]
fn inserts_of_a_statement_set_are_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let sink = |name: &str| {
        let place = folder.path().join(name);
        format!(
            "CREATE TABLE {name} (id BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');",
            place.display()
        )
    };
    let set = "BEGIN STATEMENT SET; INSERT INTO a SELECT id FROM t; INSERT INTO b SELECT id FROM t WHERE id > 1; END;";
    let ran = weir_reading(&["sql"], &format!("{TABLE}{}{}{set}", sink("a"), sink("b"))).code(0);
    assert_eq!(ran.err.matches("finished").count(), 1, "{}", ran.err);
    assert!(ran.err.contains("5 out"), "{}", ran.err);
}

/// Through a terminal, which `script` of util-linux makes.
#[test]
fn what_is_typed_runs_and_a_mistake_ends_nothing() {
    let typed = format!("{TABLE}SELECT nam FROM t;\nSELECT COUNT(*) AS n\nFROM t;\n\\d\n\\q\n");
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new("timeout")
        .args([
            "60",
            "script",
            "--quiet",
            "--return",
            "--command",
            &format!("{BINARY} sql --quiet --output json"),
            "/dev/null",
        ])
        .env("XDG_STATE_HOME", home.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Open until the shell has ended: a terminal has no end.
    let mut keys = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut keys, typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keys);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    for part in ["did you mean `name`?", "{\"n\":3}", "{\"table name\":\"t\"}"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    let history = std::fs::read_to_string(home.path().join("weir/sql_history")).unwrap();
    assert!(history.contains("SELECT nam FROM t;"), "{history}");
}

/// Over input that goes on, the job ends with the last row that there can be; what changes has no last row.
#[test]
fn a_limit_ends_a_query_over_input_that_goes_on() {
    let endless = "CREATE TABLE e (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100',
        'fields.id.min' = '7', 'fields.id.max' = '7');";
    for (query, expected) in [
        ("SELECT id FROM e LIMIT 3", "id\n7\n7\n7\n"),
        ("SELECT id * 2 AS twice FROM e WHERE id > 5 LIMIT 2 OFFSET 1", "twice\n14\n14\n"),
        ("SELECT id FROM (SELECT * FROM e LIMIT 2)", "id\n7\n7\n"),
        ("SELECT id FROM e LIMIT 0", ""),
    ] {
        for command in ["run", "sql"] {
            let ran = weir(&[command, "-q", "-o", "csv", "--parallelism", "1", "-e", &format!("{endless} {query};")]);
            assert_eq!(ran.code(0).out, expected, "{command}: {query}");
        }
    }
}

#[test]
fn a_table_is_altered_and_a_job_has_its_own_settings() {
    let text = format!(
        "{TABLE} ALTER TABLE t SET ('number-of-rows' = '2'); ALTER TABLE t ADD more AS id + 1;
         CREATE TABLE p (n BIGINT) WITH ('connector' = 'print');
         CREATE JOB copies WITH ('parallelism' = '1') AS INSERT INTO p SELECT more FROM t;
         SET; SELECT COUNT(*) AS n, MAX(more - id) AS d FROM t;"
    );
    let ran = weir(&["sql", "-q", "-o", "csv", "-e", &text]).code(0).out;
    assert!(ran.ends_with("n,d\n2,1\n"), "{ran}");
    assert!(!ran.contains("copies"), "the settings are the job's alone: {ran}");
}
