//! What a job prints, in which format, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::weir::{command, file, path, weir, weir_reading};

const FLIGHTS: &str = "\
JFK,2013-01-01 10:05:00.000,7
LGA,2013-01-01 10:20:00.000,
JFK,2013-01-01 11:00:00.000,-3
\"a \"\"b\"\", c\",2013-01-01 11:30:00.000,12
";

fn flights(data: &tempfile::NamedTempFile, query: &str) -> String {
    format!(
        "CREATE TABLE flights (origin STRING, ts TIMESTAMP(3), delay BIGINT, WATERMARK FOR ts AS ts)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n{query}",
        path(data)
    )
}

fn run(script: &str, more: &[&str]) -> crate::weir::Ran {
    weir(&[&["run", "-e", script, "--parallelism", "1"], more].concat())
}

#[test]
fn a_table_is_aligned_and_stands_alone_on_stdout() {
    let data = file(".csv", FLIGHTS);
    let ran = run(&flights(&data, "SELECT origin, delay, ts FROM flights"), &["--output", "table"]).code(0);
    assert_eq!(
        ran.out,
        "\
┌──────────┬──────────┬─────────────────────────┐
│ origin   │    delay │ ts                      │
├──────────┼──────────┼─────────────────────────┤
│ JFK      │        7 │ 2013-01-01 10:05:00.000 │
│ LGA      │     NULL │ 2013-01-01 10:20:00.000 │
│ JFK      │       -3 │ 2013-01-01 11:00:00.000 │
│ a \"b\", c │       12 │ 2013-01-01 11:30:00.000 │
└──────────┴──────────┴─────────────────────────┘
"
    );
    assert!(ran.err.contains("4 rows in, 4 out"), "{}", ran.err);
}

#[test]
fn away_from_a_terminal_rows_are_json_lines() {
    let data = file(".csv", FLIGHTS);
    let ran = run(&flights(&data, "SELECT origin, delay FROM flights WHERE delay IS NULL OR delay > 10"), &[]).code(0);
    assert_eq!(ran.out, "{\"origin\":\"LGA\",\"delay\":null}\n{\"origin\":\"a \\\"b\\\", c\",\"delay\":12}\n");
}

#[test]
fn csv_has_a_header_and_quotes() {
    let data = file(".csv", FLIGHTS);
    let script = flights(&data, "SELECT origin, delay, ts FROM flights WHERE ts >= TIMESTAMP '2013-01-01 10:10:00'");
    let ran = run(&script, &["--output", "csv", "--quiet"]).code(0);
    assert_eq!(
        ran.out,
        "origin,delay,ts\nLGA,,2013-01-01 10:20:00.000\nJFK,-3,2013-01-01 11:00:00.000\n\
         \"a \"\"b\"\", c\",12,2013-01-01 11:30:00.000\n"
    );
    assert_eq!(ran.err, "", "--quiet leaves stderr to warnings and errors");
}

#[test]
fn the_output_format_can_come_from_the_script() {
    let data = file(".csv", FLIGHTS);
    let script = flights(&data, "SET 'client.output' = 'csv';\nSELECT count(*) AS n FROM flights GROUP BY ()");
    let window = flights(
        &data,
        "SET 'client.output' = 'csv';
         SELECT window_start, count(*) AS n FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(ts), INTERVAL '1' HOUR))
         GROUP BY window_start, window_end",
    );
    let ran = weir_reading(&["run", "-", "-p", "1"], &window).code(0);
    assert_eq!(ran.out, "window_start,n\n2013-01-01 10:00:00.000,2\n2013-01-01 11:00:00.000,2\n");
    weir_reading(&["run", "-"], &script).code(2);
}

#[test]
fn late_rows_are_counted_in_the_summary() {
    let late = file(".csv", &format!("{FLIGHTS}JFK,2013-01-01 09:00:00.000,1\n"));
    let query =
        "SELECT window_start, count(*) AS n FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(ts), INTERVAL '1' HOUR))
         GROUP BY window_start, window_end";
    let ran = run(&flights(&late, query), &["-D", "execution.batch-rows=1"]).code(0);
    assert!(ran.err.contains("5 rows in, 2 out, 1 late"), "{}", ran.err);
}

#[test]
fn a_record_that_cannot_be_read_is_a_data_error_with_its_place() {
    let data = file(".csv", "JFK,2013-01-01 10:05:00.000,7\nJFK,2013-01-01 10:06:00.000,seven\n");
    run(&flights(&data, "SELECT delay FROM flights"), &[]).code(3).says(&["error in the data", path(&data), "seven"]);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_the_environments_fault() {
    let data = file(".csv", FLIGHTS);
    run(&flights(&data, "SELECT delay FROM flights"), &["--state-dir", "/dev/null/state"])
        .code(4)
        .says(&["error in the environment", "/dev/null"]);
}

#[test]
fn an_unknown_column_is_reported_with_its_position_and_the_nearest_name() {
    let data = file(".csv", FLIGHTS);
    run(&flights(&data, "SELECT dely FROM flights"), &[]).code(2).says(&["line 3, column 8", "did you mean `delay`?"]);
}

#[test]
fn explain_shows_the_dataflow_and_runs_nothing() {
    let data = file(".csv", FLIGHTS);
    let script = flights(&data, "SELECT origin FROM flights WHERE delay > 10");
    let explained = weir(&["explain", "-e", &script]).code(0).out;
    assert!(explained.contains("flights"), "{explained}");
    assert!(!explained.contains("JFK"), "{explained}");
    let statement = flights(&data, "EXPLAIN SELECT origin FROM flights WHERE delay > 10");
    assert!(run(&statement, &[]).code(0).out.contains("flights"));
}

#[test]
fn a_script_without_a_job_says_so() {
    let data = file(".csv", FLIGHTS);
    run(&flights(&data, ""), &[]).code(2).says(&["INSERT", "SELECT"]);
}

#[test]
fn a_reader_who_has_enough_ends_the_job_quietly() {
    let script = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'fields.n.kind' = 'sequence',
         'fields.n.start' = '1', 'fields.n.end' = '1000000000');
         SELECT n FROM numbers";
    let mut child =
        command(&["run", "-e", script, "-p", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
    drop(lines);
    let ran = crate::weir::Ran::from(child.wait_with_output().unwrap()).code(0);
    assert_eq!(first, ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
    assert!(!ran.err.contains("error"), "{}", ran.err);
}
