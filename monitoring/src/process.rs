//! What the system says of this process. The names are those that every exporter uses.

use std::fs;
use std::path::Path;

use crate::{Kind, Metric, Samples, Unit};

static CPU: Metric = Metric {
    name: "process_cpu_seconds_total",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    help: "Time that the process has had on processors, in user and system mode",
    labels: &[],
};
static RESIDENT: Metric = Metric {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    help: "Memory of the process that is in RAM",
    labels: &[],
};
static THREADS: Metric = Metric {
    name: "process_threads",
    kind: Kind::Gauge,
    unit: Unit::None,
    help: "Threads of the process",
    labels: &[],
};
static OPEN_FILES: Metric = Metric {
    name: "process_open_fds",
    kind: Kind::Gauge,
    unit: Unit::None,
    help: "Open file descriptors: files, sockets, pipes",
    labels: &[],
};
static MOST_FILES: Metric = Metric {
    name: "process_max_fds",
    kind: Kind::Gauge,
    unit: Unit::None,
    help: "How many file descriptors the process may have open",
    labels: &[],
};
static BEGAN: Metric = Metric {
    name: "process_start_time_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    help: "When the process began, since 1970",
    labels: &[],
};
static BUILD: Metric = Metric {
    name: "weir_build_info",
    kind: Kind::Gauge,
    unit: Unit::None,
    help: "Always 1; the version of Weir is its label",
    labels: &["version"],
};

/// All of them.
pub static METRICS: &[&Metric] = &[&CPU, &RESIDENT, &THREADS, &OPEN_FILES, &MOST_FILES, &BEGAN, &BUILD];

/// Reads what Linux says of this process; elsewhere there is less to read, and less is told.
#[derive(Debug, Clone, Copy)]
pub struct ProcessFigures;

/// Fields of `/proc/self/stat` behind the name of the program, which are numbered from 3 in proc(5).
const FIRST_FIELD: usize = 3;
const USER_TICKS: usize = 14 - FIRST_FIELD;
const SYSTEM_TICKS: usize = 15 - FIRST_FIELD;
const THREAD_COUNT: usize = 20 - FIRST_FIELD;
const BEGAN_TICKS: usize = 22 - FIRST_FIELD;
/// Ticks in a second as Linux tells them to programs, on every architecture that Weir runs on, whatever it counts itself.
const TICKS: f64 = 100.0;

impl ProcessFigures {
    /// Reads them.
    pub fn collect(&self, samples: &mut Samples) {
        samples.count(&BUILD, &[env!("CARGO_PKG_VERSION")], 1);
        let folder = Path::new("/proc/self");
        if let Ok(stat) = fs::read_to_string(folder.join("stat")) {
            // The name may have spaces and parentheses in it.
            let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let fields = behind_name.split_whitespace().map(|field| field.parse().unwrap_or_default());
            let fields: Vec<f64> = fields.collect();
            let field = |index: usize| fields.get(index).copied().unwrap_or_default();
            samples.add(&CPU, &[], (field(USER_TICKS) + field(SYSTEM_TICKS)) / TICKS);
            samples.add(&THREADS, &[], field(THREAD_COUNT));
            if let Some(boot) = boot_time() {
                samples.add(&BEGAN, &[], boot + field(BEGAN_TICKS) / TICKS);
            }
        }
        if let Some(kilobytes) = resident() {
            samples.add(&RESIDENT, &[], kilobytes * 1024.0);
        }
        if let Ok(open) = fs::read_dir(folder.join("fd")) {
            // The folder itself is open while it is read.
            samples.count(&OPEN_FILES, &[], (open.count() as u64).saturating_sub(1));
        }
        if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            samples.count(&MOST_FILES, &[], most);
        }
    }
}

/// Memory that is in RAM, in KiB.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// When the machine began, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_declared_is_told() {
        let mut samples = Samples::default();
        ProcessFigures.collect(&mut samples);
        let told: Vec<&str> = samples.metrics().map(|metric| metric.name).collect();
        for metric in METRICS {
            metric.check().unwrap();
            assert!(told.contains(&metric.name), "{}", metric.name);
        }
    }
}
