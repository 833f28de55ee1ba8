//! The test files of `tests/sql`, by `weir test`; and their queries over bounded input by another engine, which has to give the same
//! answers.

mod oracle;

use std::path::{Path, PathBuf};

use crate::weir::{Ran, weir};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sql").canonicalize().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|ending| ending == "test") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn all_files_come_to_what_they_expect() {
    weir(&["test", "--quiet", folder().to_str().unwrap()]).code(0);
}

#[test]
fn datafusion_gives_the_answers_that_the_files_expect_of_bounded_input() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for path in files(&folder()) {
        let mut oracle = oracle::Oracle::new();
        compared += oracle.check(&path, &mut wrong);
    }
    println!("{compared} answers compared");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs a file with this text.
fn test(text: &str, more: &[&str]) -> (Ran, String) {
    let file = crate::weir::file(".test", text);
    let path = file.path().to_str().unwrap().to_owned();
    let ran = weir(&[&["test", path.as_str()], more].concat());
    let text = std::fs::read_to_string(&path).unwrap();
    (Ran { err: ran.err.replace(&path, "FILE"), ..ran }, text)
}

const GROUPED: &str = "\
statement ok
CREATE TABLE t (k STRING, n INT)

input t
a 1
a 2
'b c' 3

query TI
SELECT k, SUM(n) FROM t GROUP BY k
----
a  3
'b c'  4

stream
SELECT k, SUM(n) FROM t GROUP BY k

expect nothing

input t
a 5

expect
-U  a  3
+U  a  8
";

#[test]
fn what_differs_is_shown_with_its_place() {
    let (ran, _) = test(GROUPED, &["--restarts", "0", "--parallelism", "1"]);
    let ran = ran.code(2);
    assert_eq!(
        ran.err.lines().filter(|line| !line.contains("records")).collect::<Vec<_>>().join("\n"),
        "FILE:12: at parallelism 1: - is expected and did not come, + came and is not expected:
        a      3
      + 'b c'  3
      - 'b c'  4

FILE:18: at parallelism 1: - is expected and did not come, + came and is not expected:
      + +I  a      3
      + +I  'b c'  3
"
    );
}

#[test]
fn what_came_out_is_written_into_the_file_on_request() {
    let (ran, text) = test(GROUPED, &["--update"]);
    ran.code(2).says(&["UPDATED"]);
    let updated = GROUPED
        .replace("a  3\n'b c'  4", "a      3\n'b c'  3")
        .replace("expect nothing\n", "expect\n+I  a      3\n+I  'b c'  3\n");
    assert_eq!(text, updated);
    test(&updated, &[]).0.code(0);
}

#[test]
fn results_are_written_for_machines() {
    let xml = tempfile::NamedTempFile::new().unwrap();
    test(GROUPED, &["--quiet", "--junit", xml.path().to_str().unwrap()]).0.code(2);
    let text = std::fs::read_to_string(xml.path()).unwrap();
    for part in ["tests=\"4\" failures=\"2\"", "name=\"stream, line 15\"", "+ +I  a      3"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn nothing_that_came_out_is_passed_over() {
    let stream = "statement ok\nCREATE TABLE t (n INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)\n\nstream\nSELECT n FROM t\n\n\
                  input t\n1 2024-01-01 10:00:00\n";
    test(stream, &[]).0.code(2).says(&["rows came out behind the last `expect`, and nothing expects them"]);
    let late = "statement ok\nCREATE TABLE t (n INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)\n\nstream\n\
                SELECT window_start, SUM(n) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)\nGROUP BY window_start, window_end\n\n\
                input t\n1 2024-01-01 10:00:00\n\ninput t\n2 2024-01-01 09:00:00\n";
    test(late, &[]).0.code(2).says(&["1 rows were late; write `late 1` where that is right"]);
}

#[test]
fn mistakes_in_a_file_are_told_with_their_line() {
    let table = "statement ok\nCREATE TABLE t (n INT)\n\n";
    for (text, message) in [
        ("input t\n1 2\n", "FILE:5: this line has 2 values, and there are 1 column"),
        ("input t\nx\n", "FILE:5: 'x' is no INT for n"),
        ("input t\n+I 1\n-D 2\n", "FILE:6: this row is not there, so it cannot be taken back"),
        ("input u\n1\n", "FILE:4: `u` is no table that this file declares without a connector; there are t"),
        ("query I\nSELECT CAST(n AS STRING) FROM t\n----\n", "FILE:5: its columns are of the types T, and not I"),
        ("statement ok\nSELECT m FROM t\n", "FILE:4: line 5, column 8: there is no column `m`"),
        (
            "statement error no such thing\nSELECT m FROM t\n",
            "FILE:4: another error, that has no `no such thing` in it",
        ),
        ("statement error\nSELECT n FROM t\n", "FILE:4: it is right, and was to be refused"),
        (
            "statement ok\nSET 'table.exec.source.idle-timeout' = '5 s'\n",
            "FILE:4: 'table.exec.source.idle-timeout' goes by the machine's clock",
        ),
        (
            "statement ok\nCREATE TABLE u (n INT) WITH ('scan.watermark.idle-timeout' = '5 s')\n",
            "FILE:4: 'scan.watermark.idle-timeout' goes by the machine's clock",
        ),
        (
            "stream\nSELECT n FROM t\n\nexpect in u\n1\n",
            "FILE:7: at parallelism 1: the stream does not fill `u`; it fills result",
        ),
        (
            "stream\nSELECT n FROM t\n\nwatermark t 2024-01-01\n",
            "FILE:7: at parallelism 1: the query reads no table `t` with a watermark",
        ),
        (
            "stream\nSELECT COUNT(*) FROM t\n\nexpect\n0\n",
            "FILE:8: at parallelism 1: this result changes: +I, -U, +U or -D stands in front of each row",
        ),
        (
            "stream\nSELECT n FROM t\n\nend\nrestart\n",
            "FILE:8: at parallelism 1: the input has ended, and nothing can happen behind that",
        ),
        ("foo\n", "FILE:4: `foo` begins no record"),
    ] {
        test(&format!("{table}{text}"), &[]).0.code(2).says(&[message]);
    }
}

#[test]
fn the_files_in_the_documentation_are_right() {
    let text = include_str!("../../../../docs/testing.md");
    let files: Vec<&str> = text.split("```test\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(files.len() > 2);
    for file in files {
        test(file, &[]).0.code(0);
    }
}
