//! Functions that plugins export, called by SQL in one process.

use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::plugins::Words;
use crate::rust_jobs::example;
use crate::weir::{Ran, command, weir, weir_reading};

/// The statement that declares a function of the plugin for tests.
pub fn declared(name: &str, plugin: &Path) -> String {
    format!("CREATE FUNCTION {name} AS '{name}' USING ARTIFACT '{}';\n", plugin.display())
}

/// Runs a query over numbers and texts, some of which are null, behind declarations of functions of the plugin for tests.
fn run(functions: &[&str], query: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.json");
    let rows = [
        r#"{"n":1,"s":"a"}"#,
        r#"{"n":null,"s":"b"}"#,
        r#"{"n":3,"s":null}"#,
        r#"{"n":4,"s":"a text that is longer than others"}"#,
    ];
    std::fs::write(&file, rows.join("\n")).unwrap();
    let plugin = weir_test_plugin::file();
    let declared: String = functions.iter().map(|name| declared(name, &plugin)).collect();
    let table = format!(
        "CREATE TABLE t (n BIGINT, s STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');",
        file.display()
    );
    weir(&["run", "-q", "-o", "csv", "-e", &format!("{declared}{table}\n{query}")])
}

#[test]
fn nulls_are_for_functions_that_take_them() {
    let out =
        run(&["shout", "or_zero"], "SELECT n, shout(s) AS s, or_zero(n) AS z, shout('x') AS x FROM t").code(0).out;
    assert_eq!(out, "n,s,z,x\n1,a!,1,x!\n,b!,0,x!\n3,,3,x!\n4,a text that is longer than others!,4,x!\n");
    // Where a condition, and an expression of another function, calls it.
    let out = run(&["shout", "or_zero"], "SELECT UPPER(shout(s)) AS s FROM t WHERE or_zero(n) < 2").code(0).out;
    assert_eq!(out, "s\nA!\nB!\n");
    let out = run(&["shout"], "SELECT shout(CAST(NULL AS STRING)) AS s FROM t WHERE n = 1").code(0).out;
    assert_eq!(out, "s\n\n");
}

#[test]
fn what_a_function_does_wrong_ends_the_job_with_its_words() {
    let says = [
        "cannot compute fault(s)",
        "the plugin panicked in the function 'fault': a word too many at ",
        "src/functions.rs:",
    ];
    run(&["fault"], "SELECT fault(s) AS f FROM (SELECT 'panic' AS s, n FROM t)").code(2).says(&[says[1], says[2]]);
    let says = ["a word of which there is no count", "use another word"];
    run(&["fault"], "SELECT fault(CONCAT('err', 'or')) AS f, n FROM t").code(3).says(&says);
    run(&["too_few"], "SELECT too_few(n) AS f FROM t").code(2).says(&["made 3 values of Int64 for 4 rows"]);
    run(&["wrong_type"], "SELECT wrong_type(n) AS f FROM t").code(2).says(&["has declared Utf8View"]);
    run(&["null"], "SELECT `null`(n) AS f FROM t").code(2).says(&["has declared that it makes none"]);
}

#[test]
fn what_cannot_be_called_is_told_before_anything_runs() {
    run(&["shout"], "SELECT shout(n) AS s FROM t").code(2).says(&[
        "expected `shout(a STRING NOT NULL) RETURNS STRING NOT NULL`, found `shout(BIGINT)`",
        "line 3, column 8",
    ]);
    run(&["batch"], "SELECT batch() AS b, n FROM t").code(2).says(&["`batch` gives another result each time"]);
    run(&["shuot"], "SELECT 1").code(2).says(&["exports no function `shuot`", "did you mean `shout`?"]);
    let elsewhere = "CREATE FUNCTION f AS 'f' USING ARTIFACT '/nowhere/libf.so'; SELECT 1";
    weir(&["run", "-e", elsewhere]).code(2).says(&["line 1, column 41", "cannot read the plugin /nowhere/libf.so"]);
    let script = crate::weir::file(".so", "SELECT 1");
    let script = declared("f", script.path());
    weir(&["run", "-e", &script]).code(2).says(&["is no plugin: it is no shared library"]);
    // It crashes in the child that looks into it, or says what it is.
    let job = declared("f", &example("sessions"));
    weir(&["run", "-e", &job]).code(2).says(&["exports no function `f`", "it exports none"]);
}

#[test]
fn the_shell_shows_and_drops_them() {
    let plugin = weir_test_plugin::file();
    let script = format!(
        "{}SHOW FUNCTIONS LIKE 'shou%';\nSELECT shout('a') AS s;\nSHOW CREATE FUNCTION shout;\nDROP FUNCTION shout;\n\
         SHOW FUNCTIONS LIKE 'shou%';\n",
        declared("shout", &plugin)
    );
    let out = weir_reading(&["sql", "-q", "-o", "csv"], &script).code(0).out;
    assert!(
        out.starts_with(
            "function name\nshout\ns\na!\nCREATE FUNCTION shout(`a` STRING NOT NULL) RETURNS STRING NOT NULL AS 'shout'"
        ),
        "{out}"
    );
    assert!(out.ends_with("';\nfunction name\n"), "{out}");
    let explained =
        weir(&["explain", "-e", &format!("{}SELECT shout('a') AS s", declared("shout", &plugin))]).code(0).out;
    assert!(
        explained.contains(&format!("shout is `shout` of weir-test-plugin {} (", env!("CARGO_PKG_VERSION"))),
        "{explained}"
    );
}

/// Another content that does the same: another version of a plugin.
pub fn next_version(of: &Path, folder: &Path) -> PathBuf {
    let next = folder.join("next.so");
    std::fs::copy(of, &next).unwrap();
    std::fs::File::options().append(true).open(&next).unwrap().write_all(b"another version").unwrap();
    next
}

/// The shell waits for a row where the plugin is built anew.
#[test]
fn a_plugin_that_is_built_anew_is_another_one_and_what_was_declared_before_calls_the_first() {
    let words = Words::new();
    let plugin = words.path("built.so");
    std::fs::copy(weir_test_plugin::file(), &plugin).unwrap();
    let script = format!(
        "{}CREATE TABLE words (word STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '50 ms');
         SELECT shout('ready') AS r;
         SELECT shout(word) AS w FROM words LIMIT 1;
         {}SELECT shout('a') AS s, or_zero(1) AS z;
         SHOW CREATE FUNCTION shout;
         SHOW CREATE FUNCTION or_zero;",
        declared("shout", &plugin),
        words.path("in").display(),
        declared("or_zero", &plugin),
    );
    let mut shell = command(&["sql", "-q", "-o", "csv"]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let mut out = std::io::BufReader::new(shell.stdout.take().unwrap());
    let mut read = String::new();
    while !read.contains("ready!") {
        assert!(out.read_line(&mut read).unwrap() > 0, "{read}");
    }
    std::fs::rename(next_version(&plugin, &words.path(".")), &plugin).unwrap();
    std::fs::write(words.path("in").join("words.csv"), "b\n").unwrap();
    out.read_to_string(&mut read).unwrap();
    let ended = Ran::from(shell.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{read}{}", ended.err);
    assert!(read.contains("w\nb!\ns,z\na!,1\n"), "{read}");
    let hashes: Vec<&str> = read.split("weir-test-plugin ").skip(1).map(|rest| &rest[..70]).collect();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1], "{read}");
}

#[test]
fn a_job_goes_on_with_another_version_of_the_plugin() {
    let words = Words::new();
    let path = |name: &str| words.path(name).display().to_string();
    let job = |plugin: &Path, parallelism: &str| {
        let script = format!(
            "{}CREATE TABLE words (word STRING, ts TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
               'source.monitor-interval' = '50 ms');
             CREATE TABLE counted WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json') AS
               SELECT word, ROW_NUMBER() OVER (PARTITION BY word ORDER BY proc) AS n FROM (SELECT shout(word) AS word, proc FROM heard);",
            declared("shout", plugin),
            path("in"),
            path("out"),
        );
        let script =
            script.replace("ts TIMESTAMP(3))", "ts TIMESTAMP(3), proc AS PROCTIME())").replace("heard", "words");
        let mut command = command(&["run", "-e", &script, "--parallelism", parallelism, "--state-dir", &path("state")]);
        command.args(["-D", "execution.checkpointing.interval=100ms"]).stderr(Stdio::piped());
        command
    };
    let first = weir_test_plugin::file();
    let next = next_version(&first, &words.path("."));
    let mut said = Vec::new();
    for (round, (plugin, parallelism)) in [(&first, "2"), (&next, "3"), (&next, "1")].into_iter().enumerate() {
        let started = job(plugin, parallelism).spawn().unwrap();
        words.say(&format!("round-{round}"), &["a", "b", "a"]);
        said.extend(["a!", "b!", "a!"]);
        words.wait_for(said.len());
        assert!(Command::new("kill").args(["-INT", &started.id().to_string()]).status().unwrap().success());
        Ran::from(started.wait_with_output().unwrap()).code(0).says(&["savepoint"]);
    }
    let expected: Vec<(String, i64)> =
        (1..=6).map(|n| ("a!".to_owned(), n)).chain((1..=3).map(|n| ("b!".to_owned(), n))).collect();
    assert_eq!(words.counted(), expected);
}

#[test]
fn rides_are_grouped_by_the_cells_of_the_globe_in_which_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let rides = folder.path().join("rides.csv");
    let lines = [
        "2026-01-01 00:10:00,52.5200,13.4050,52.5300,13.4050",
        "2026-01-01 00:20:00,52.5201,13.4051,52.5401,13.4051",
        "2026-01-01 00:30:00,38.7223,-9.1393,38.7223,-9.1393",
    ];
    std::fs::write(&rides, lines.join("\n")).unwrap();
    let geo = example("geo");
    let query = format!(
        "CREATE TABLE rides (ts TIMESTAMP(3), lat DOUBLE, lon DOUBLE, to_lat DOUBLE, to_lon DOUBLE, WATERMARK FOR ts AS ts) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         {}{}
         SELECT geohash(lat, lon, 5) AS cell, COUNT(*) AS rides, ROUND(AVG(distance_km(lat, lon, to_lat, to_lon)), 2) AS km
         FROM TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' HOUR) GROUP BY window_start, window_end, geohash(lat, lon, 5)",
        rides.display(),
        declared("distance_km", &geo),
        declared("geohash", &geo)
    );
    let out = weir(&["run", "-q", "-o", "csv", "-e", &query]).code(0).out;
    let mut rows: Vec<&str> = out.lines().collect();
    rows[1..].sort_unstable();
    assert_eq!(rows, ["cell,rides,km", "eycs2,1,0.0", "u33dc,2,1.67"]);
}
