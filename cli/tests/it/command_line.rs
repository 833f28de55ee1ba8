//! Help, listings, settings and what happens when the call is wrong.

use crate::weir::{file, path, weir, weir_reading};

const ONE: &str = "SELECT * FROM (VALUES (1)) AS t (x)";

#[test]
fn help_teaches() {
    let general = weir(&["--help"]).code(0);
    assert!(general.out.contains("weir run query.sql --state-dir state"), "{}", general.out);
    let run = weir(&["run", "--help"]).code(0).out;
    for topic in ["Examples:", "Settings:", "Results:", "Stopping:", "Exit codes:", "130", "SET in the script"] {
        assert!(run.contains(topic), "{topic}:\n{run}");
    }
}

#[test]
fn a_wrong_command_line_is_a_user_error() {
    weir(&[]).code(2);
    weir(&["fly"]).code(2);
    weir(&["query.sql"]).code(2).says(&["write: weir run query.sql"]);
    weir(&["run"]).code(2).says(&["FILE"]);
    weir(&["run", "a.sql", "-e", ONE]).code(2);
    weir(&["run", "-e", ONE, "-D", "parallelism.default"]).code(2).says(&["KEY=VALUE"]);
    weir(&["run", "-e", ONE, "--output", "xml"]).code(2).says(&["table, json, csv"]);
    weir(&["run", "-e", ONE, "--log-level", "loud"]).code(2).says(&["'loud' is no log level"]);
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_one_wherever_it_stands() {
    let near = "did you mean 'parallelism.default'?";
    weir(&["run", "-e", ONE, "-D", "paralelism.default=2"]).code(2).says(&["-D: there is no setting", near]);
    let toml = file(".toml", "\nparalelism.default = 2\n");
    weir(&["run", "-e", ONE, "--config", path(&toml)])
        .code(2)
        .says(&[&format!("{}, line 2: there is no setting 'paralelism.default'", path(&toml)), near]);
    weir(&["run", "-e", &format!("SET 'paralelism.default' = '2';\n{ONE}")]).code(2).says(&[
        "line 1, column 5",
        "there is no setting",
        near,
    ]);
}

#[test]
fn a_wrong_value_says_what_was_expected() {
    weir(&["run", "-e", ONE, "--parallelism", "many"])
        .code(2)
        .says(&["--parallelism: parallelism.default cannot be 'many': expected a number from 1 to 1024"]);
    weir(&["run", "-e", &format!("SET 'execution.checkpointing.interval' = 'soon';\n{ONE}")])
        .code(2)
        .says(&["line 1, column 42", "cannot be 'soon': expected a duration such as '500 ms'"]);
    weir(&["run", "-e", ONE, "-D", "parallelism.default=3", "--parallelism", "2"])
        .code(2)
        .says(&["two different values"]);
}

#[test]
fn a_script_that_is_not_there_or_no_text_is_a_user_error() {
    weir(&["run", "/nonexistent/query.sql"]).code(2).says(&["cannot read the script /nonexistent/query.sql"]);
    weir(&["run", "/"]).code(2).says(&["cannot read the script /"]);
    let mut bytes = file(".sql", "SELECT 1;\n");
    std::io::Write::write_all(&mut bytes, &[0xff, 0xfe]).unwrap();
    weir(&["run", path(&bytes)]).code(2).says(&["line 2: the script is not valid UTF-8"]);
}

#[test]
fn bad_sql_is_reported_with_its_position() {
    weir(&["run", "-e", "SELECT 1;\nSELEC 2"]).code(2).says(&["line 2, column 1"]);
    weir_reading(&["run", "-"], "\n\nSELECT FROM WHERE").code(2).says(&["line 3, column"]);
}

#[test]
fn options_are_listed_for_people_and_programs() {
    let people = weir(&["options"]).code(0).out;
    assert!(people.contains("execution.checkpointing.interval\n"), "{people}");
    assert!(people.contains("default: 10 s"), "{people}");
    let programs: serde_json::Value = serde_json::from_str(&weir(&["options", "--json"]).code(0).out).unwrap();
    let find = |key: &str| programs.as_array().unwrap().iter().find(|entry| entry["key"] == key).cloned().unwrap();
    assert_eq!(find("parallelism.default")["flag"], "--parallelism");
    assert_eq!(find("table.exec.source.idle-timeout")["default"], "60 s");
}

#[test]
fn an_unknown_connector_is_refused() {
    weir(&["connectors", "kafkaesque"]).code(2).says(&["there is no connector 'kafkaesque'"]);
    let list = weir(&["connectors"]).code(0).out;
    assert!(!list.contains("$result"), "what users cannot write is not listed:\n{list}");
}

#[test]
fn completions_are_for_the_shell_that_was_asked_for() {
    assert!(weir(&["completions", "bash"]).code(0).out.contains("complete -F _weir"));
    weir(&["completions", "tcsh"]).code(2);
}
