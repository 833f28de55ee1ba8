//! `ALTER TABLE`, and what `SHOW CREATE` and `DESCRIBE` say behind it.

use weir_sql::Answer;

use super::{dataflow, plan, refusal};

const TABLE: &str =
    "CREATE TABLE t (a BIGINT, b STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (a) NOT ENFORCED)
  WITH ('connector' = 'fake', 'error-policy' = 'skip');";

/// Names of the columns of `t`, or of another table.
fn columns(script: &str, table: &str) -> Vec<String> {
    let plan = plan(&format!("{TABLE}{script} DESCRIBE {table};")).unwrap_or_else(|error| panic!("{}", error.report()));
    let Some(Answer::Rows(rows)) = plan.answers.last() else { panic!("rows") };
    let names = rows.column(0).as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
    names.iter().map(|name| name.unwrap().to_owned()).collect()
}

#[test]
fn columns_come_go_and_get_other_names() {
    assert_eq!(columns("ALTER TABLE t ADD c INT;", "t"), ["a", "b", "ts", "c"]);
    assert_eq!(columns("ALTER TABLE t ADD COLUMN c INT FIRST;", "t"), ["c", "a", "b", "ts"]);
    assert_eq!(columns("ALTER TABLE t ADD c INT AFTER a; ALTER TABLE T DROP B;", "t"), ["a", "c", "ts"]);
    assert_eq!(columns("ALTER TABLE t ADD (c AS a + 1, d INT); ALTER TABLE t DROP (b, d);", "t"), ["a", "ts", "c"]);
    assert_eq!(columns("ALTER TABLE t RENAME b TO name;", "t"), ["a", "name", "ts"]);
    assert_eq!(columns("ALTER TABLE t RENAME a TO id;", "t"), ["id", "b", "ts"], "the key goes along");
    assert_eq!(columns("ALTER TABLE t MODIFY b BIGINT AFTER ts;", "t"), ["a", "ts", "b"]);
    assert_eq!(columns("ALTER TABLE t RENAME TO u;", "u"), ["a", "b", "ts"]);
    assert_eq!(columns("ALTER TABLE IF EXISTS nothing RENAME TO u;", "t"), ["a", "b", "ts"]);
}

#[test]
fn a_query_reads_the_table_as_it_is_where_it_stands() {
    let watermark = |script: &str| dataflow(&format!("{TABLE}{script} SELECT * FROM t"));
    assert!(watermark("").contains("watermark ts, "), "{}", watermark(""));
    assert!(!watermark("ALTER TABLE t DROP WATERMARK;").contains("watermark"));
    let later = watermark("ALTER TABLE t MODIFY WATERMARK FOR ts AS ts - INTERVAL '1' HOUR;");
    assert!(later.contains("watermark ts - INTERVAL '3600' SECOND"), "{later}");
    let function = "CREATE FUNCTION twice(x BIGINT) RETURN x * 2; ALTER TABLE t ADD d AS twice(a);";
    assert!(watermark(function).contains("AS d"), "{}", watermark(function));
    let set = watermark(
        "ALTER TABLE t SET ('error-policy' = 'fail', 'dead-letter.table' = 'u'); ALTER TABLE t RESET ('dead-letter.table');",
    );
    assert_eq!(set, watermark(""), "these options are no part of a dataflow's text");
}

#[test]
fn show_create_says_what_has_become_of_it() {
    let script = format!(
        "{TABLE}ALTER TABLE t RENAME TO u; CREATE FUNCTION twice(x BIGINT) RETURN x * 2;
         SHOW CREATE TABLE u; SHOW CREATE FUNCTION TWICE;"
    );
    let plan = plan(&script).unwrap_or_else(|error| panic!("{}", error.report()));
    let texts: Vec<&str> = plan
        .answers
        .iter()
        .map(|answer| match answer {
            Answer::Text(text) => text.as_str(),
            Answer::Rows(_) => panic!("a text"),
        })
        .collect();
    assert!(
        texts[0].starts_with("CREATE TABLE t (a BIGINT") && texts[0].ends_with(";\nALTER TABLE t RENAME TO u;\n"),
        "{}",
        texts[0]
    );
    assert_eq!(texts[1], "CREATE FUNCTION twice(x BIGINT) RETURN x * 2;\n");
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let cases = [
        ("ALTER TABLE t ADD a INT", "has a column `a` already"),
        ("ALTER TABLE t DROP c", "`t` has no column `c`"),
        ("ALTER TABLE t DROP a", "`a` is in the PRIMARY KEY"),
        ("ALTER TABLE t DROP ts", "ts"),
        ("ALTER TABLE t RENAME ts TO b", "there is a column `b` already"),
        ("ALTER TABLE t RENAME ts TO at", "ts"),
        ("ALTER TABLE t ADD WATERMARK FOR ts AS ts", "has a watermark already"),
        ("ALTER TABLE t SET ('nonsense' = '1')", "nonsense"),
        ("ALTER TABLE t RESET ('format')", "has no option `format`"),
        ("ALTER TABLE t RENAME TO bid", "there is a table or view `bid` already"),
        ("ALTER TABLE nothing RENAME TO u", "there is no table `nothing`"),
        ("ALTER TABLE t COMMENT 'x'", "expected SET, RESET, ADD, MODIFY, DROP or RENAME"),
        ("CREATE VIEW v AS SELECT 1 AS x; ALTER TABLE v RENAME TO u", "`v` is a view"),
        ("ALTER VIEW v AS SELECT 1", "CREATE OR REPLACE VIEW"),
        ("SHOW CREATE FUNCTION upper", "there is no function `upper` of your own"),
    ];
    for (statement, expected) in cases {
        let report = refusal(&format!("{TABLE}{statement};"));
        assert!(report.contains(expected), "{statement}\n{report}");
    }
}

#[test]
fn a_job_is_created_with_its_settings() {
    let job = "CREATE TABLE u (a BIGINT) WITH ('connector' = 'fake');
        CREATE JOB copies WITH ('parallelism' = '4', 'table.exec.state.ttl' = '1 d') AS INSERT INTO u SELECT a FROM t;";
    let planned = plan(&format!("{TABLE}{job}")).unwrap_or_else(|error| panic!("{}", error.report()));
    let settings: Vec<(&str, &str)> =
        planned.settings.iter().map(|(key, value)| (key.value.as_str(), value.value.as_str())).collect();
    let expected = [("pipeline.name", "copies"), ("parallelism.default", "4"), ("table.exec.state.ttl", "1 d")];
    assert_eq!(settings, expected);
    assert!(planned.graph.is_some());
    let set =
        "CREATE TABLE u (a BIGINT) WITH ('connector' = 'fake'); CREATE TABLE w WITH ('connector' = 'fake') LIKE u;
        CREATE JOB both WITH ('parallelism' = '2') AS
        EXECUTE STATEMENT SET BEGIN INSERT INTO u SELECT a FROM t; INSERT INTO w SELECT a + 1 FROM t; END;";
    let text = format!("{TABLE}{set}");
    let planned = plan(&text).unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(planned.settings[0].1.value, "both");
    let sinks = planned
        .graph
        .unwrap()
        .nodes()
        .iter()
        .filter(|node| matches!(node.spec.operator, weir_core::OperatorSpec::Sink(_)))
        .count();
    assert_eq!(sinks, 2);
    let unit = *weir_sql::units(&text).unwrap().last().unwrap();
    assert!(text[unit.span.start..unit.span.end].starts_with("CREATE JOB both") && unit.is_complete);
    let cases = [
        ("CREATE JOB j AS SELECT 1", "expected INSERT"),
        ("CREATE JOB j AS EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT * FROM t", "this statement set has no END"),
        (
            "CREATE JOB j AS STATEMENT SET BEGIN INSERT INTO t SELECT * FROM t; END; STATEMENT SET BEGIN INSERT INTO t SELECT * FROM t; END",
            "a script is one job",
        ),
        (
            "CREATE JOB j AS INSERT INTO t SELECT * FROM t; CREATE JOB k AS INSERT INTO t SELECT * FROM t",
            "a script is one job",
        ),
        ("CREATE JOB j AS INSERT INTO t SELECT * FROM t; INSERT INTO t SELECT * FROM t", "a script is one job"),
        ("CREATE JOB IF NOT EXISTS j AS INSERT INTO t SELECT * FROM t", "leave IF NOT EXISTS out"),
    ];
    for (statement, expected) in cases {
        let report = refusal(&format!("{TABLE}{statement};"));
        assert!(report.contains(expected), "{statement}\n{report}");
    }
}
