//! What is wrong with the input or its surroundings is told with file and place, and never costs what was committed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::weir::{Ran, command, weir};

/// A query over one file in `folder` that counts rows per second of event time.
fn query(folder: &Path, file: &str, format: &str) -> String {
    format!(
        "CREATE TABLE t (id INT, name STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = '{format}');
         SELECT id, name FROM t;",
        folder.join(file).display()
    )
}

fn run_file(name: &str, format: &str, content: &[u8]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    weir(&["run", "--output", "csv", "-e", &query(folder.path(), name, format)])
}

const GOOD: &str = r#"{"id": 1, "name": "a", "ts": "2026-01-01 00:00:00"}"#;

#[test]
fn an_empty_file_has_no_rows() {
    for format in ["json", "csv"] {
        run_file("empty", format, b"").code(0);
    }
}

#[test]
fn a_wrong_type_is_told_with_its_place() {
    let text = format!("{GOOD}\n{}\n", GOOD.replace("1,", "\"one\","));
    run_file("wrong.json", "json", text.as_bytes()).code(3).says(&["wrong.json", "line 2", "id", "one"]);
}

#[test]
fn invalid_utf8_is_told_with_its_place() {
    let mut text = format!("{GOOD}\n").into_bytes();
    text.extend_from_slice(b"{\"id\": 2, \"name\": \"\xff\xfe\", \"ts\": \"2026-01-01 00:00:00\"}\n");
    run_file("broken.json", "json", &text).code(3).says(&["broken.json", "line 2", "UTF-8"]);
}

#[test]
fn a_missing_column_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("short.csv"), "id,ts\n1,2026-01-01 00:00:00\n").unwrap();
    let query = query(folder.path(), "short.csv", "csv").replace("'format'", "'csv.header' = 'true', 'format'");
    weir(&["run", "-e", &query]).code(3).says(&["short.csv", "name"]);
}

#[test]
fn a_line_of_a_hundred_megabytes_is_refused_in_little_memory() {
    let mut text = format!("{GOOD}\n").into_bytes();
    text.extend_from_slice(b"{\"id\": 2, \"name\": \"");
    text.resize(text.len() + 100_000_000, b'x');
    text.extend_from_slice(b"\"}\n");
    run_file("long.json", "json", &text).code(3).says(&["long.json", "max-record-size"]);
}

#[test]
fn a_truncated_parquet_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.json"), format!("{GOOD}\n").repeat(1000)).unwrap();
    let columns = "id INT, name STRING, ts TIMESTAMP(3)";
    let write = format!(
        "CREATE TABLE t ({columns}) WITH ('connector' = 'filesystem', 'path' = '{0}/rows.json', 'format' = 'json');
         CREATE TABLE p ({columns}) WITH ('connector' = 'filesystem', 'path' = '{0}/out', 'format' = 'parquet');
         INSERT INTO p SELECT * FROM t;",
        folder.path().display()
    );
    weir(&["run", "--parallelism", "1", "-e", &write]).code(0);
    let written = fs::read_dir(folder.path().join("out")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&written).unwrap();
    fs::write(folder.path().join("cut.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    weir(&["run", "-e", &query(folder.path(), "cut.parquet", "parquet")]).code(3).says(&["cut.parquet"]);
}

#[test]
fn a_path_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ran = weir(&["run", "-e", &query(folder.path(), "nothing.json", "json")]);
    assert!(matches!(ran.code, Some(2..=4)), "{}", ran.err);
    ran.says(&["nothing.json"]);
}

#[test]
fn a_folder_without_permission_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("rows.json"), GOOD).unwrap();
    let mode = |mode: u32| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(folder.path(), mode(0o755)).unwrap();
    fs::set_permissions(&closed, mode(0o000)).unwrap();
    // Root reads everything, so another user does the reading, from a place that everybody may enter.
    let mut command = if rustix::process::geteuid().is_root() {
        let binary = folder.path().join("weir");
        fs::copy(env!("CARGO_BIN_EXE_weir"), &binary).unwrap();
        let mut command = Command::new(binary);
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        command
    } else {
        command(&[])
    };
    let ran: Ran =
        command.args(["run", "-e", &query(&closed, "rows.json", "json")]).current_dir("/").output().unwrap().into();
    fs::set_permissions(&closed, mode(0o755)).unwrap();
    ran.code(4).says(&["closed", "ermission denied"]);
}

/// A job that is stopped half-way by a limit on its input: the first run reads one file, later ones more.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn add(&self, name: &str, rows: std::ops::Range<u32>) {
        let lines = rows.map(|id| format!("{{\"id\": {id}, \"name\": \"n\", \"ts\": \"2026-01-01 00:00:00\"}}\n"));
        fs::write(self.folder.path().join("in").join(name), lines.collect::<String>()).unwrap();
    }

    fn run(&self, state: &str) -> Ran {
        self.run_query(state, "SELECT id FROM t")
    }

    fn run_query(&self, state: &str, query: &str) -> Ran {
        let columns = "id INT, name STRING, ts TIMESTAMP(3)";
        let script = format!(
            "CREATE TABLE t ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
             CREATE TABLE o (id INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
             INSERT INTO o {query};",
            self.path("in"),
            self.path("out")
        );
        weir(&["run", "--state-dir", state, "-D", "execution.checkpointing.interval=20ms", "-e", &script])
    }

    /// All committed ids, sorted.
    fn ids(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.folder.path().join("out")).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("part-") {
                ids.extend(fs::read_to_string(path).unwrap().lines().filter_map(|line| line.parse::<u32>().ok()));
            }
        }
        ids.sort_unstable();
        ids
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_costs_nothing() {
    let job = Folder::new();
    job.add("rows.json", 0..10_000);
    job.run(&job.path("state")).code(0);
    let before = job.ids();
    assert_eq!(before, (0..10_000).collect::<Vec<_>>());
    let checkpoints = job.folder.path().join("state/checkpoints");
    let newest = fs::read_dir(checkpoints).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let name = newest.file_name().unwrap().to_string_lossy().into_owned();
    job.run(&job.path("state")).code(3).says(&[&name, "damaged"]);
    assert_eq!(job.ids(), before);
}

#[test]
fn the_state_of_another_query_is_refused() {
    let job = Folder::new();
    job.add("rows.json", 0..10);
    job.run(&job.path("state")).code(0);
    job.run_query(&job.path("state"), "SELECT id FROM t WHERE id > 3").code(2).says(&[
        "another query",
        "--state-dir",
        "STATE",
        "rebuilt",
    ]);
    assert_eq!(job.ids(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_during_a_checkpoint_is_told_and_costs_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a file system of limited size needs root");
        return;
    }
    let job = Folder::new();
    job.add("rows.json", 0..10_000);
    let small = job.path("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs", &small]).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system of limited size can be mounted here");
        return;
    }
    // Leave too little for a manifest.
    fs::write(format!("{small}/ballast"), vec![0_u8; 60 * 1024]).unwrap();
    let ran = job.run(&format!("{small}/state"));
    let committed = job.ids();
    fs::remove_file(format!("{small}/ballast")).unwrap();
    let resumed = job.run(&format!("{small}/state"));
    Command::new("umount").arg(&small).status().unwrap();
    ran.code(4).says(&["small/state", "No space left"]);
    assert_eq!(committed, [0_u32; 0], "nothing is visible without its checkpoint");
    resumed.code(0);
    assert_eq!(job.ids(), (0..10_000).collect::<Vec<_>>());
}
