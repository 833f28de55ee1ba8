//! A cluster of real processes, all of which are gone when the value is.

#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

use crate::weir::{Ran, command};

/// How long anything may take that is waited for, on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A process of the cluster, and where its stderr goes.
struct Process {
    child: Child,
    log: PathBuf,
}

/// The processes by name: `c1` for coordinator 1, workers as they are called.
pub struct Cluster {
    folder: tempfile::TempDir,
    coordinators: String,
    /// URL of the checkpoint storage; a folder of the cluster's own if there is none.
    storage: Option<String>,
    /// Where certificates are, if it has any.
    security: Option<PathBuf>,
    /// What processes have in their environment besides.
    pub environment: Vec<(&'static str, String)>,
    processes: BTreeMap<String, Process>,
}

/// Addresses on which nothing listens, all different.
pub fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

impl Cluster {
    /// A coordinator, and workers of so many slots each: `w1`, `w2`, and so on.
    pub fn start(workers: usize, slots: u32) -> Self {
        let mut cluster = Self::of_coordinators(1);
        cluster.add_workers(workers, slots);
        cluster
    }

    /// Coordinators only.
    pub fn of_coordinators(count: usize) -> Self {
        let mut cluster = Self::planned(count);
        for id in 1..=count {
            cluster.start_coordinator(id);
        }
        cluster
    }

    /// Addresses for coordinators, none of which is started.
    pub fn planned(count: usize) -> Self {
        let coordinators = free_addresses(count).join(",");
        Self {
            folder: tempfile::tempdir().unwrap(),
            coordinators,
            storage: None,
            security: None,
            environment: Vec::new(),
            processes: BTreeMap::new(),
        }
    }

    /// The same, with its checkpoints at a URL.
    pub fn start_with_storage(url: &str, workers: usize, slots: u32) -> Self {
        let mut cluster = Self::planned(1);
        cluster.storage = Some(url.to_owned());
        cluster.start_coordinator(1);
        cluster.add_workers(workers, slots);
        cluster
    }

    /// The same as [`planned`](Self::planned), with certificates for all its processes.
    pub fn planned_with_tls(count: usize) -> Self {
        let mut cluster = Self::planned(count);
        let folder = cluster.path("security");
        crate::weir::weir(&["cluster", "init-security", "--dir", &folder]).code(0);
        cluster.security = Some(folder.into());
        cluster
    }

    /// The environment by which a process shows the certificate of a role, or by which a client without one trusts the cluster's CA.
    pub fn certificate(&self, role: Option<&str>) -> Vec<(&'static str, PathBuf)> {
        let Some(folder) = &self.security else { return Vec::new() };
        let mut environment = vec![("WEIR_TLS_CA", folder.join("ca.pem"))];
        if let Some(role) = role {
            environment.push(("WEIR_TLS_CERT", folder.join(format!("{role}.pem"))));
            environment.push(("WEIR_TLS_KEY", folder.join(format!("{role}.key"))));
        }
        environment
    }

    /// A command to the cluster with the certificate of a role, or without one.
    pub fn weir_as(&self, role: Option<&str>, arguments: &[&str]) -> Ran {
        let mut command = command(arguments);
        command.env("WEIR_COORDINATORS", &self.coordinators).envs(self.certificate(role));
        command.output().unwrap().into()
    }

    /// A command to the cluster without what the test's environment has that begins so.
    pub fn weir_without(&self, beginning: &str, arguments: &[&str]) -> Ran {
        let mut command = command(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with(beginning)) {
            command.env_remove(name);
        }
        command.env("WEIR_COORDINATORS", &self.coordinators).envs(self.certificate(Some("admin")));
        command.output().unwrap().into()
    }

    /// `weir local`, at the address that it says.
    pub fn local(slots: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            folder,
            coordinators: String::new(),
            storage: None,
            security: None,
            environment: Vec::new(),
            processes: BTreeMap::new(),
        };
        cluster.start_local(slots);
        cluster
    }

    /// The same, once more after its end.
    pub fn start_local(&mut self, slots: u32) {
        let data = self.path("local");
        let slots = slots.to_string();
        let arguments = ["local", "--listen", "127.0.0.1:0", "--data-dir", &data, "--slots", &slots];
        let begins = "a local cluster on ";
        let earlier = if self.coordinators.is_empty() { 0 } else { self.said("local").matches(begins).count() };
        self.spawn("local", &arguments);
        self.coordinators = until("the local cluster says where it is", || {
            let said = self.said("local");
            let rest = said.split(begins).nth(earlier + 1)?;
            rest.split_once(';').map(|(address, _)| address.to_owned())
        });
    }

    pub fn add_workers(&mut self, count: usize, slots: u32) {
        for worker in 1..=count {
            self.start_worker(&format!("w{worker}"), slots);
        }
        until("the workers have joined", || {
            let workers = self.json(&["workers", "list"]);
            let connected = workers.as_array().unwrap().iter().filter(|worker| worker["connected"] == true);
            (connected.count() == count).then_some(())
        });
    }

    /// Starts a coordinator, for the first time or again.
    pub fn start_coordinator(&mut self, id: usize) {
        let addresses: Vec<&str> = self.coordinators.split(',').collect();
        let members: Vec<String> = (1..).zip(&addresses).map(|(id, address)| format!("{id}={address}")).collect();
        let (members, address, number) = (members.join(","), addresses[id - 1].to_owned(), id.to_string());
        let (data, storage) = (self.path("data"), self.storage());
        let arguments =
            ["coordinator", "--id", &number, "--listen", &address, "--members", &members, "--data-dir", &data];
        let more = ["--storage", &storage, "--worker-timeout", "2s"];
        self.spawn(&format!("c{id}"), &[&arguments[..], &more].concat());
    }

    /// Starts a coordinator that waits to be added.
    pub fn start_joining(&mut self, id: usize, address: &str) {
        let (number, data) = (id.to_string(), self.path("joining"));
        let arguments = ["coordinator", "--id", &number, "--listen", address, "--join", "--data-dir", &data];
        self.spawn(&format!("c{id}"), &arguments);
    }

    /// Waits until a process has ended by itself.
    pub fn until_ended(&mut self, name: &str) -> ExitStatus {
        let child = &mut self.processes.get_mut(name).unwrap().child;
        until(&format!("{name} ends"), || child.try_wait().unwrap())
    }

    /// Starts a worker, for the first time or again.
    pub fn start_worker(&mut self, name: &str, slots: u32) {
        let (data, slots, coordinators) = (self.path(name), slots.to_string(), self.coordinators.clone());
        let arguments = ["worker", "--name", name, "--slots", &slots, "--data-dir", &data];
        self.spawn(name, &[&arguments[..], &["--coordinators", &coordinators]].concat());
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) {
        let log = self.folder.path().join(format!("{name}.log"));
        let stderr = File::options().append(true).create(true).open(&log).unwrap();
        let mut command = command(arguments);
        command.envs(self.certificate(arguments.first().copied())).envs(self.environment.clone());
        command.stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().unwrap();
        self.processes.insert(name.to_owned(), Process { child, log });
    }

    /// A path in the cluster's folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// URL of the checkpoint storage.
    pub fn storage(&self) -> String {
        self.storage.clone().unwrap_or_else(|| format!("file://{}", self.path("checkpoints")))
    }

    /// The addresses of all coordinators.
    pub fn addresses(&self) -> &str {
        &self.coordinators
    }

    /// The address of the first coordinator.
    pub fn coordinator(&self) -> &str {
        self.coordinators.split(',').next().unwrap()
    }

    /// The addresses of all coordinators.
    pub fn coordinators(&self) -> Vec<&str> {
        self.coordinators.split(',').collect()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a process has written to stderr.
    pub fn said(&self, name: &str) -> String {
        std::fs::read_to_string(&self.processes[name].log).unwrap()
    }

    /// Where a process is asked how it does, of all processes of its name the last.
    #[track_caller]
    pub fn http(&self, name: &str) -> String {
        until(&format!("{name} says where its metrics are"), || {
            let said = self.said(name);
            let line = said.lines().rfind(|line| line.contains("metrics and health are served over HTTP"))?;
            line.split("address=").nth(1)?.split_whitespace().next().map(str::to_owned)
        })
    }

    /// The number of a process.
    pub fn pid(&self, name: &str) -> u32 {
        self.processes[name].child.id()
    }

    /// Whether a process has not ended. Its number says nothing of that until it is waited for.
    pub fn is_running(&self, name: &str) -> bool {
        let end = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        waitid(WaitId::Pid(Pid::from_child(&self.processes[name].child)), end).unwrap().is_none()
    }

    /// SIGKILL.
    pub fn kill(&mut self, name: &str) {
        let child = &mut self.processes.get_mut(name).unwrap().child;
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, until it has ended.
    pub fn terminate(&mut self, name: &str) -> ExitStatus {
        let child = &mut self.processes.get_mut(name).unwrap().child;
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        until(&format!("{name} ends after SIGTERM"), || child.try_wait().unwrap())
    }

    /// A command to the cluster.
    pub fn weir(&self, arguments: &[&str]) -> Ran {
        self.weir_as(Some("admin"), arguments)
    }

    /// A command to the cluster that goes on beside the test, with a name as the processes of the cluster have one.
    pub fn begin(&mut self, name: &str, arguments: &[&str]) {
        let out = File::create(self.path(&format!("{name}.out"))).unwrap();
        self.begin_into(name, arguments, out.into());
    }

    /// The same, into a pipe of which the test has the other end.
    pub fn begin_piped(&mut self, name: &str, arguments: &[&str]) -> ChildStdout {
        self.begin_into(name, arguments, Stdio::piped());
        self.processes.get_mut(name).unwrap().child.stdout.take().unwrap()
    }

    fn begin_into(&mut self, name: &str, arguments: &[&str], out: Stdio) {
        let log = self.folder.path().join(format!("{name}.log"));
        let mut command = command(arguments);
        command
            .env("WEIR_COORDINATORS", &self.coordinators)
            .envs(self.certificate(Some("admin")))
            .stdout(out)
            .stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        self.processes.insert(name.to_owned(), Process { child, log });
    }

    /// What a command that goes on has printed so far.
    pub fn printed(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.out"))).unwrap_or_default()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str, signal: Signal) {
        kill_process(Pid::from_child(&self.processes[name].child), signal).unwrap();
    }

    /// Waits until a command has ended by itself.
    #[track_caller]
    pub fn ended(&mut self, name: &str) -> Ran {
        let child = &mut self.processes.get_mut(name).unwrap().child;
        let status = until(&format!("{name} ends"), || child.try_wait().unwrap());
        Ran { code: status.code(), out: self.printed(name), err: self.said(name) }
    }

    /// What a command prints with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.weir(&[arguments, &["--json"]].concat());
        // 5: what was asked about is not as it should be, which is what most of these tests are about.
        assert!([Some(0), Some(5)].contains(&ran.code), "{arguments:?}: {}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }

    /// All about a job.
    pub fn job(&self, name: &str) -> Value {
        self.json(&["jobs", "describe", name])
    }

    /// Looks at a job until it is as it should be.
    #[track_caller]
    pub fn until_job(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(&format!("job {name} {what}"), || {
            let job = self.job(name);
            assert_ne!(job["status"], "failed", "{job:#}");
            is_so(&job).then_some(job)
        })
    }

    /// Waits until results of the job's current attempt are durable.
    #[track_caller]
    pub fn until_checkpoint(&self, name: &str) -> Value {
        self.until_job(name, "has a checkpoint of this attempt", |job| {
            job["status"] == "running" && job["last_checkpoint"]["attempt"] == job["attempt"]
        })
    }

    /// Waits until it has finished by itself.
    #[track_caller]
    pub fn until_finished(&self, name: &str) -> Value {
        self.until_job(name, "finishes", |job| job["status"] == "finished")
    }
}

/// Looks until there is something to see.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        #[allow(clippy::disallowed_methods, reason = "only so as not to keep a core busy with looking")]
        std::thread::sleep(LOOK_AGAIN);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            // One that has ended already is what is wanted.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        for (name, process) in &self.processes {
            let log = std::fs::read_to_string(&process.log).unwrap_or_default();
            if std::thread::panicking() {
                eprintln!("--- {name} said:\n{log}");
            } else {
                let is_panic = |line: &str| line.starts_with("thread '") && line.contains("panicked");
                let wrong = log.lines().find(|line| line.contains(" ERROR ") || is_panic(line));
                assert!(wrong.is_none(), "{name} said: {}", wrong.unwrap_or_default());
            }
        }
    }
}
