//! What a loss of power would leave. `strace` says which files a run has made, written, renamed and synced, and in which order; of a
//! file that was not synced, and of a name whose folder was not, nothing may be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::processes::{free_addresses, until};
use crate::weir::command;

/// Calls by which files and their names change, or become durable.
const CALLS: &str = "trace=openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,write,pwrite64,\
                     writev,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync";

/// Files by their names, as the calls so far have left them.
#[derive(Default)]
struct Disk {
    names: BTreeMap<PathBuf, usize>,
    /// Whether each file was synced since it was last written.
    synced: Vec<bool>,
    /// Names that were given since their folder was last synced.
    loose: BTreeSet<PathBuf>,
}

impl Disk {
    fn name(&mut self, name: PathBuf, file: usize) {
        self.loose.insert(name.clone());
        self.names.insert(name, file);
    }

    fn written(&mut self, path: &Path) {
        if let Some(file) = self.names.get(path) {
            self.synced[*file] = false;
        }
    }

    /// A call that has succeeded. `paths` are those that it was given, or that its first file has.
    fn call(&mut self, call: &str, paths: &[PathBuf]) {
        match (call, paths) {
            ("create", [path]) if self.names.contains_key(path) => self.written(path),
            ("create" | "mkdir" | "mkdirat", [path]) => {
                // A folder has no content but names.
                self.synced.push(call != "create");
                self.name(path.clone(), self.synced.len() - 1);
            }
            ("rename" | "renameat" | "renameat2", [from, to]) => {
                self.loose.remove(from);
                if let Some(file) = self.names.remove(from) {
                    self.name(to.clone(), file);
                }
            }
            ("link" | "linkat", [from, to]) => {
                if let Some(file) = self.names.get(from).copied() {
                    self.name(to.clone(), file);
                }
            }
            ("unlink" | "unlinkat", [path]) => {
                self.names.remove(path);
                self.loose.remove(path);
            }
            ("fsync" | "fdatasync", [path]) => {
                if let Some(file) = self.names.get(path) {
                    self.synced[*file] = true;
                }
                self.loose.retain(|name| name.parent() != Some(path));
            }
            (_, [path]) => self.written(path),
            _ => panic!("{call} of {paths:?}"),
        }
    }

    fn has_name(&self, path: &Path) -> bool {
        path.ancestors().all(|name| !self.loose.contains(name))
    }

    /// Files that are there, with names for which this holds, and might be gone after a loss of power.
    fn volatile(&self, of: impl Fn(&str) -> bool) -> Vec<&Path> {
        let named = self.names.iter().filter(|(name, _)| of(name.to_str().unwrap()));
        named.filter(|(name, file)| !self.synced[**file] || !self.has_name(name)).map(|(name, _)| &**name).collect()
    }
}

/// A run that is traced.
struct Traced {
    folder: tempfile::TempDir,
}

impl Traced {
    /// `None` where processes may not be traced.
    fn new() -> Option<Self> {
        let traces = Command::new("strace").args(["-qq", "-y", "-e", "trace=none", "true"]).status();
        if !traces.is_ok_and(|status| status.success()) {
            println!("skipped: there is no strace, or it is not allowed to trace");
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap() })
    }

    /// A path in a folder that is there.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        let weir = command(arguments);
        let mut strace = Command::new("strace");
        strace.args(["-ff", "-ttt", "-y", "-qq", "-s", "0", "-e", CALLS, "-o"]).arg(self.path("trace"));
        strace.arg(weir.get_program()).args(weir.get_args()).env_remove("RUST_LOG").stdin(Stdio::null());
        strace.stdout(Stdio::piped()).stderr(fs::File::create(self.path("stderr")).unwrap()).spawn().unwrap()
    }

    /// Calls of all threads in order: what was called, and with which paths.
    fn calls(&self) -> Vec<(String, Vec<PathBuf>)> {
        let line = Regex::new(r"^(\d+\.\d+) (\w+)\((.*)\) += \d+").unwrap();
        // Of an open file, which comes first, or as it was given.
        let path = Regex::new(r#"^\d+<(/[^>]*)>|"(/[^"]*)""#).unwrap();
        let of_files =
            ["write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "fsync", "fdatasync"];
        let mut calls = Vec::new();
        for trace in self.traces() {
            for text in fs::read_to_string(trace).unwrap().lines() {
                let Some(parts) = line.captures(text) else { continue };
                let (call, arguments) = (&parts[2], &parts[3]);
                let group = if of_files.contains(&call) { 1 } else { 2 };
                let found = path.captures_iter(arguments).filter_map(|found| found.get(group));
                let paths: Vec<PathBuf> = found.map(|path| path.as_str().into()).collect();
                let call = match call {
                    "openat" if !arguments.contains("O_CREAT") => continue,
                    "openat" | "creat" => "create",
                    other => other,
                };
                if !paths.is_empty() {
                    calls.push((parts[1].parse::<f64>().unwrap(), call.to_owned(), paths));
                }
            }
        }
        calls.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
        calls.into_iter().map(|(_, call, paths)| (call, paths)).collect()
    }

    fn traces(&self) -> impl Iterator<Item = PathBuf> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("trace."))
    }
}

/// What is prepared is there before a checkpoint is that counts on it, and what is committed before that is noted; also where all
/// folders are new.
#[test]
fn files_are_durable_before_others_count_on_them() {
    let Some(traced) = Traced::new() else { return };
    fs::write(traced.path("in.csv"), (0..100).map(|n| format!("{n}\n")).collect::<String>()).unwrap();
    let (out, state) = (traced.path("new/out"), traced.path("fresh/state"));
    let script = format!(
        "CREATE TABLE t (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         CREATE TABLE o (n INT, p BIGINT, q BIGINT) PARTITIONED BY (p, q)
           WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'csv');
         INSERT INTO o SELECT n, n % 2, n % 3 FROM t;",
        traced.path("in.csv")
    );
    // One checkpoint, at the end: nothing of another one is under way.
    let options = ["-D", "execution.checkpointing.interval=0", "-p", "2", "--state-dir", &state, "--quiet"];
    let ran = traced.begin(&[&["run", "-e", &script], &options[..]].concat()).wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", fs::read_to_string(traced.path("stderr")).unwrap());
    let mut disk = Disk::default();
    let (mut checkpoints, mut commits) = (0, 0);
    let is_prepared = |name: &str| name.ends_with(".prepared") || name.contains("/runs/");
    let is_result = |name: &str| name.contains("/part-") || name.contains("/checkpoints/");
    for (call, paths) in traced.calls() {
        disk.call(&call, &paths);
        let named = matches!(call.as_str(), "create" | "rename" | "renameat" | "renameat2" | "link" | "linkat");
        match paths.last().and_then(|path| path.to_str()).filter(|_| named) {
            Some(name) if name.contains("/checkpoints/") && name.ends_with(".json") => {
                assert_eq!(disk.volatile(is_prepared), Vec::<&Path>::new(), "a checkpoint counts on it");
                checkpoints += 1;
            }
            Some(name) if name.contains("/commits/") => {
                assert_eq!(disk.volatile(is_result), Vec::<&Path>::new(), "it is noted as committed");
                commits += 1;
            }
            _ => {}
        }
    }
    assert!(checkpoints > 0 && commits > 0, "{checkpoints} checkpoints, {commits} commits");
    assert!(disk.names.keys().any(|name| name.to_str().unwrap().contains("/p=1/q=2/part-")), "{:?}", disk.names);
}

/// A coordinator that comes back without its log has forgotten whom it has voted for.
#[test]
fn the_log_of_a_coordinator_keeps_its_name() {
    let Some(traced) = Traced::new() else { return };
    let address = free_addresses(1).remove(0);
    let (member, storage) = (format!("1={address}"), format!("file://{}", traced.path("storage")));
    let (listen, data) = (["--id", "1", "--listen", &address, "--members", &member], traced.path("new/data"));
    let folders = ["--data-dir", &data, "--storage", &storage];
    let mut strace = traced.begin(&[&["coordinator"], &listen[..], &folders].concat());
    until("the coordinator leads", || {
        let mut jobs = command(&["jobs", "list"]);
        jobs.env("WEIR_COORDINATORS", &address).output().unwrap().status.success().then_some(())
    });
    // The first thread that is traced has the number of the process.
    let process = traced.traces().filter_map(|path| path.extension()?.to_str()?.parse::<i32>().ok()).min().unwrap();
    kill_process(Pid::from_raw(process).unwrap(), Signal::TERM).unwrap();
    strace.wait().unwrap();
    let mut disk = Disk::default();
    traced.calls().iter().for_each(|(call, paths)| disk.call(call, paths));
    let log = disk.names.keys().find(|name| name.ends_with("log.redb")).unwrap();
    assert!(disk.has_name(log), "{:?}", disk.loose);
}
