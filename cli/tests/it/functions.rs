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
    let plugin = example("weir_test_plugin");
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

/// Texts of two groups over a quarter of an hour, behind the declaration of `longest`.
fn longest(query: &str, parallelism: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    let rows = [
        "a,2026-01-01 00:00:10,bb",
        "b,2026-01-01 00:00:20,c",
        "a,2026-01-01 00:04:00,a text that is longer than others",
        "a,2026-01-01 00:05:00,ccc",
        "b,2026-01-01 00:09:00,",
        "a,2026-01-01 00:14:00,dd",
    ];
    std::fs::write(&file, rows.join("\n")).unwrap();
    let table = format!(
        "CREATE TABLE t (k STRING, ts TIMESTAMP(3), s STRING, WATERMARK FOR ts AS ts) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.null-literal' = '');",
        file.display()
    );
    let script = format!("{}{table}\n{query}", declared("longest", &example("weir_test_plugin")));
    weir(&["run", "-q", "-o", "csv", "--parallelism", parallelism, "-e", &script])
}

fn sorted(out: &str) -> Vec<&str> {
    let mut rows: Vec<&str> = out.lines().skip(1).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn aggregates_of_plugins_are_those_of_windows_and_groups() {
    const LONG: &str = "a text that is longer than others";
    for parallelism in ["1", "3"] {
        let rows = |query: &str| -> Vec<String> {
            let out = longest(query, parallelism).code(0).out;
            sorted(&out).into_iter().map(|row| row.replace(LONG, "LONG")).collect()
        };
        let window = |window: &str| {
            rows(&format!(
                "SELECT k, DATE_FORMAT(window_start, 'HH:mm') AS w, longest(s) AS s, COUNT(*) AS n FROM {window} GROUP BY k, window_start, window_end"
            ))
        };
        assert_eq!(
            window("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE)"),
            ["a,00:00,LONG,2", "a,00:05,ccc,1", "a,00:10,dd,1", "b,00:00,c,1", "b,00:05,,1"]
        );
        // Panes are merged into windows, and sessions into longer ones.
        assert_eq!(
            window("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE, INTERVAL '10' MINUTE)"),
            [
                "a,00:00,LONG,3",
                "a,00:05,ccc,2",
                "a,00:10,dd,1",
                "a,23:55,LONG,2",
                "b,00:00,c,2",
                "b,00:05,,1",
                "b,23:55,c,1"
            ]
        );
        assert_eq!(
            window("SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' MINUTE)"),
            ["a,00:00,LONG,3", "a,00:14,dd,1", "b,00:00,c,1", "b,00:09,,1"]
        );
        // Over all that has come, and of what is taken back again; with a filter, and all in one group.
        assert_eq!(rows("SELECT k, longest(s) AS s FROM t GROUP BY k"), ["a,LONG", "b,c"]);
        assert_eq!(
            rows("SELECT longest(s) AS s FROM (SELECT k, CAST(COUNT(*) AS STRING) || ' rows' AS s FROM t GROUP BY k)"),
            ["4 rows"]
        );
        assert_eq!(
            rows(
                "SELECT DISTINCT t.k, u.s FROM t JOIN (SELECT k, longest(s) AS s FROM t GROUP BY k) AS u ON u.k = t.k"
            ),
            ["a,LONG", "b,c"]
        );
        assert_eq!(rows("SELECT longest(s) FILTER (WHERE CHAR_LENGTH(s) < 4) AS s FROM t"), ["ccc"]);
    }
}

#[test]
fn aggregates_of_plugins_are_refused_where_they_cannot_be() {
    for (query, says) in [
        ("SELECT longest(DISTINCT s) AS s FROM t", "LONGEST(DISTINCT …) is not supported"),
        ("SELECT longest(s ORDER BY ts) AS s FROM t", "ORDER BY in a call of `longest` is not supported"),
        (
            "SELECT longest(1) AS s FROM t",
            "expected `longest(text STRING NOT NULL) RETURNS STRING AGGREGATE STATE STRING`",
        ),
        (
            "SELECT longest(s) OVER (PARTITION BY k ORDER BY ts) AS s FROM t",
            "`longest(…) OVER (…)` is not supported: the function is of a plugin",
        ),
        (
            "SELECT k, (SELECT longest(s) FROM t AS u WHERE u.k = t.k AND u.s <> t.s) AS s FROM t",
            "of a subquery that refers to the query around it is not supported: the function is of a plugin",
        ),
        (
            "CREATE FUNCTION f(x STRING) RETURN longest(x); SELECT f(s) AS s FROM t",
            "a function of its own cannot aggregate",
        ),
        (
            "CREATE FUNCTION f(x STRING) RETURNS STRING AGGREGATE STATE STRING RETURN x; SELECT 1",
            "what aggregates is a function of a plugin",
        ),
    ] {
        longest(query, "1").code(2).says(&[says]);
    }
    let of = |text: &str| longest(&format!("SELECT longest('{text}') AS s FROM t"), "1");
    of("error").code(3).says(&["a word of which there is no count", "use another word"]);
    of("panic").code(2).says(&["the plugin panicked in the function 'longest': a word too many at ", "src/fault.rs:"]);
    of("a number, which is no text").code(2).says(&["has declared one of Utf8View"]);
}

#[test]
fn what_an_aggregate_has_added_up_goes_on_at_another_parallelism() {
    let words = Words::new();
    let path = |name: &str| words.path(name).display().to_string();
    let job = |parallelism: &str| {
        let script = format!(
            "{}CREATE TABLE words (word STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem',
               'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '50 ms');
             CREATE TABLE counted WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json') AS
               SELECT longest(word) AS word, COUNT(*) AS n FROM TUMBLE(TABLE words, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
               GROUP BY window_start, window_end, SUBSTRING(word FROM 1 FOR 1);",
            declared("longest", &example("weir_test_plugin")),
            path("in"),
            path("out"),
        );
        let mut command = command(&["run", "-e", &script, "--parallelism", parallelism, "--state-dir", &path("state")]);
        command.args(["-D", "execution.checkpointing.interval=100ms"]).stderr(Stdio::piped());
        command
    };
    let put = |name: &str, lines: &str| {
        std::fs::write(words.path("written"), lines).unwrap();
        std::fs::rename(words.path("written"), words.path("in").join(format!("{name}.csv"))).unwrap();
    };
    let at = |second: usize, words: &[&str]| -> String {
        words.iter().map(|word| format!("{word},2026-01-01 00:{:02}:{:02}\n", second / 60, second % 60)).collect()
    };
    // Each round ends a minute, and begins the next, which goes on behind the restart.
    let rounds = [("2", ["a", "bbb"]), ("3", ["aaaa", "b"]), ("1", ["aa", "bb"])];
    for (round, (parallelism, said)) in rounds.into_iter().enumerate() {
        let started = job(parallelism).spawn().unwrap();
        put(&format!("round-{round}-a"), &at(60 * round + 10, &said));
        put(&format!("round-{round}-b"), &at(60 * round + 70, &["ax", "by"]));
        words.wait_for(2 * (round + 1));
        assert!(Command::new("kill").args(["-INT", &started.id().to_string()]).status().unwrap().success());
        Ran::from(started.wait_with_output().unwrap()).code(0).says(&["savepoint"]);
    }
    let row = |word: &str, n| (word.to_owned(), n);
    let expected = [row("a", 1), row("aaaa", 2), row("ax", 2), row("bbb", 1), row("by", 2), row("by", 2)];
    assert_eq!(words.counted(), expected);
}

#[test]
fn the_shell_shows_and_drops_them() {
    let plugin = example("weir_test_plugin");
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
    std::fs::copy(example("weir_test_plugin"), &plugin).unwrap();
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
    let first = example("weir_test_plugin");
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
    check_rides(&[]);
}

#[test]
fn they_are_grouped_alike_where_the_plugin_is_isolated() {
    check_rides(&["--isolation", "process", "--parallelism", "2"]);
}

/// Functions of rows, aggregates over records, and functions that make several rows of one.
fn check_rides(more: &[&str]) {
    let run = |query: &str| weir(&[&["run", "-q", "-o", "csv", "-e", query], more].concat()).code(0).out;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rides.csv");
    let lines = [
        "2026-01-01 00:10:00,52.5200,13.4050,52.5300,13.4050",
        "2026-01-01 00:20:00,52.5201,13.4051,52.5401,13.4051",
        "2026-01-01 00:30:00,38.7223,-9.1393,38.7223,-9.1393",
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let geo = example("geo");
    let query = format!(
        "CREATE TABLE rides (ts TIMESTAMP(3), lat DOUBLE, lon DOUBLE, to_lat DOUBLE, to_lon DOUBLE, WATERMARK FOR ts AS ts) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         {}{}{}
         SELECT geohash(lat, lon, 5) AS cell, COUNT(*) AS rides, ROUND(AVG(distance_km(lat, lon, to_lat, to_lon)), 2) AS km,
           ROUND(centre(to_lat, to_lon).lat, 3) AS lat
         FROM TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' HOUR) GROUP BY window_start, window_end, geohash(lat, lon, 5)",
        file.display(),
        declared("distance_km", &geo),
        declared("geohash", &geo),
        declared("centre", &geo)
    );
    let out = run(&query);
    let mut rows: Vec<&str> = out.lines().collect();
    rows[1..].sort_unstable();
    assert_eq!(rows, ["cell,rides,km,lat", "eycs2,1,0.0,38.722", "u33dc,2,1.67,52.535"]);
    // Several rows of one, by an array.
    let query = format!(
        "CREATE TABLE rides (ts TIMESTAMP(3), lat DOUBLE, lon DOUBLE, to_lat DOUBLE, to_lon DOUBLE) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         {}SELECT cell, COUNT(*) AS rides FROM rides CROSS JOIN UNNEST(cells(lat, lon, 2)) AS c(cell) GROUP BY cell",
        file.display(),
        declared("cells", &geo)
    );
    let out = run(&query);
    assert_eq!(sorted(&out), ["e,1", "ey,1", "u,2", "u3,2"]);
}
