//! Casts of columns: all that are planned run.

use crate::weir::{file, path, weir};

/// A column of each type, with values that every cast has room for, and the kind that the table knows it by.
const COLUMNS: [(&str, &str, &str); 16] = [
    ("o", "BOOLEAN", "truth"),
    ("i", "INT", "number"),
    ("l", "BIGINT", "number"),
    ("f", "FLOAT", "number"),
    ("d", "DOUBLE", "number"),
    ("m", "DECIMAL(10, 2)", "number"),
    ("s", "STRING", "text"),
    ("b", "BYTES", "bytes"),
    ("dt", "DATE", "date"),
    ("t", "TIME", "time"),
    ("ts", "TIMESTAMP(3)", "timestamp"),
    ("lt", "TIMESTAMP_LTZ(3)", "timestamp"),
    ("a", "ARRAY<INT>", "array"),
    ("e", "ARRAY<STRING>", "array"),
    ("p", "MAP<STRING, INT>", "map"),
    ("r", "ROW<x INT, y STRING>", "row"),
];

const ROWS: &str = r#"{"o":true,"i":1,"l":2,"f":1.5,"d":2.5,"m":3.25,"s":"1","b":"MQ==","dt":"2024-02-29","t":"12:34:56","ts":"2024-02-29 12:34:56.789","lt":"2024-02-29 12:34:56.789Z","a":[1],"e":["1"],"p":{"k":1},"r":{"x":1,"y":"1"}}
{"o":null,"i":null,"l":null,"f":null,"d":null,"m":null,"s":null,"b":null,"dt":null,"t":null,"ts":null,"lt":null,"a":null,"e":null,"p":null,"r":null}
"#;

/// As in Flink.
fn is_castable(from: &str, to: &str) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (_, "text") => true,
        ("text", to) => !["array", "map", "row"].contains(&to),
        ("truth" | "number", "truth" | "number") => true,
        ("date" | "time", "timestamp") | ("timestamp", "date" | "time") => true,
        _ => false,
    }
}

#[test]
fn every_cast_that_is_planned_runs() {
    let data = file(".json", ROWS);
    let columns: Vec<String> = COLUMNS.iter().map(|(name, data_type, _)| format!("{name} {data_type}")).collect();
    let table = format!(
        "CREATE TABLE t ({}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');",
        columns.join(", "),
        path(&data)
    );
    let run = |query: &str| {
        weir(&["run", "-e", &format!("{table}\n{query}"), "--parallelism", "1", "--output", "json", "--quiet"])
    };
    let pairs = COLUMNS.iter().flat_map(|from| COLUMNS.iter().map(move |to| (from, to)));
    // A cast cannot name maps and rows everywhere; and text that is a number is no time as well, which has no counterpart then.
    let planned = pairs.filter(|((_, _, from), (_, _, to))| is_castable(from, to) && !["map", "row"].contains(to));
    let planned: Vec<String> = planned.map(|((name, ..), (_, to, _))| format!("TRY_CAST({name} AS {to})")).collect();
    let planned: Vec<String> = planned.iter().enumerate().map(|(at, cast)| format!("{cast} AS c{at}")).collect();
    let out = run(&format!("SELECT {} FROM t", planned.join(", "))).code(0).out;
    assert_eq!(out.lines().count(), 2, "{out}");
}

#[test]
fn doubles_become_decimals_by_the_digits_that_they_are_written_with() {
    let data = file(".csv", "1.005,1.1\n8.575,0.1\n-2.675,1e10\n");
    let script = format!(
        "CREATE TABLE t (d DOUBLE, f FLOAT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         SELECT CAST(d AS DECIMAL(10, 2)) AS a, CAST(f AS DECIMAL(38, 16)) AS b, CAST(1.005e0 AS DECIMAL(10, 2)) AS c FROM t",
        path(&data)
    );
    let out = weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"]).code(0).out;
    assert_eq!(
        out,
        "a,b,c\n1.01,1.1000000238418580,1.01\n8.58,0.1000000014901161,1.01\n-2.68,10000000000.0000000000000000,1.01\n"
    );
    let data = file(".csv", "1.005\n");
    let into = format!(
        "CREATE TABLE t (d DOUBLE) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         CREATE TABLE b (d DECIMAL(10, 2)) WITH ('connector' = 'print');
         INSERT INTO b SELECT d FROM t",
        path(&data)
    );
    let out = weir(&["run", "-e", &into, "--parallelism", "1"]).code(0).out;
    assert_eq!(out, "+I[1.01]\n");
}
