//! `weir coordinator recover`: rebuilds a cluster from what is in its checkpoint storage.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use weir_coordinator::cluster::{Desired, Job, JobStatus, RecoveredJob};
use weir_coordinator::copies;
use weir_coordinator::raft::LogId;
use weir_coordinator::recovery::{FirstCoordinator, Rebuilt, rebuild};
use weir_core::{CoordinatorId, Error, EventTime, JobId, Result};
use weir_object_storage::ObjectStorages;
use weir_state::Storages;

use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::figures::duration;
use crate::random::random;
use crate::terminal::Screen;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
For when the logs of a majority of the coordinators are lost. The leader copies the state of the cluster to the checkpoint storage
soon after every change; this reads the newest copy, looks for checkpoints that were completed since, and writes the log of
one coordinator. Nothing in the storage is changed.

Example:
  weir coordinator recover --storage file:///shared/checkpoints --data-dir /var/lib/weir --listen 10.0.0.1:7420
  weir coordinator --storage file:///shared/checkpoints --data-dir /var/lib/weir --listen 10.0.0.1:7420 --insecure
  weir jobs restart query
      for each job: all of them come back stopped, for what their users wanted since the copy is not known

End all coordinators of the lost cluster first. Workers may go on; they find the new coordinator under its address. More
coordinators are taken in with `weir cluster add`.";

/// `weir coordinator recover`.
#[derive(Debug, Args)]
pub struct RecoverArguments {
    /// Where the checkpoints of the lost cluster are: its --storage
    #[arg(long, value_name = "URL")]
    pub storage: String,

    /// The cluster, with the random part of its name; the only one in the storage if not given.
    #[arg(long, value_name = "NAME-xxxxxxxx")]
    pub cluster: Option<String>,

    /// Where the log of the new coordinator will be kept.
    #[arg(long, default_value = "weir-data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Number of the new coordinator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,

    /// Where the new coordinator will listen, and others reach it.
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
}

/// Writes the log, and says what is in it.
///
/// # Errors
/// If there is nothing to recover, it cannot be read, or there is a log already.
pub fn run(arguments: &RecoverArguments, screen: &Screen) -> Result<Exit> {
    if arguments.listen.ip().is_unspecified() {
        return Err(Error::user(format!("nobody reaches a coordinator at {}", arguments.listen))
            .with_help("name the address of this machine with --listen"));
    }
    let data_dir = std::path::absolute(&arguments.data_dir)
        .map_err(|error| Error::environment("the working directory is not there").with_source(error))?;
    let url = arguments.storage.trim_end_matches('/');
    // To open a storage makes its folder, and this one has to be there.
    if let Some(folder) = url.strip_prefix("file://")
        && !Path::new(folder).is_dir()
    {
        return Err(Error::user(format!("--storage: there is no folder {folder}")));
    }
    let storage = ObjectStorages::default().open(url)?;
    let cluster = match &arguments.cluster {
        Some(cluster) => cluster.clone(),
        None => only_cluster(copies::clusters(&*storage)?, url)?,
    };
    let folder = data_dir.join(format!("coordinator-{}", arguments.id));
    let coordinator = FirstCoordinator {
        id: CoordinatorId(arguments.id),
        // The rest of the name was drawn when the cluster was founded.
        cluster: cluster.rsplit_once('-').map_or(&*cluster, |(name, _)| name).to_owned(),
        address: arguments.listen.to_string(),
        log: LogId(random()?.max(1)),
        folder: &folder,
    };
    coordinator.check_folder()?;
    let now = wall_millis();
    let rebuilt = rebuild(&*storage, url, &cluster, now)?;
    coordinator.write_log(&rebuilt)?;
    let report = report(&rebuilt, now) + &next_steps(&coordinator, &data_dir, url, arguments.listen);
    match screen.write_results(report.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::environment("cannot write to standard output").with_source(error))
        }
        _ => Ok(Exit::Ok),
    }
}

fn only_cluster(clusters: Vec<String>, url: &str) -> Result<String> {
    match &clusters[..] {
        [only] => Ok(only.clone()),
        [] => Err(Error::user(format!("there is no copy of the state of any cluster in {url}"))
            .with_help("name the --storage that the lost coordinators were started with")),
        several => Err(Error::user(format!("there are several clusters in {url}: {}", several.join(", ")))
            .with_help("say which one with --cluster")),
    }
}

/// What was found.
fn report(rebuilt: &Rebuilt, now: i64) -> String {
    let state = &rebuilt.recovered.state;
    let age = Duration::from_millis(u64::try_from(now.saturating_sub(rebuilt.copied_at)).unwrap_or(0));
    let (term, index) = rebuilt.copied;
    let mut text = String::new();
    for damaged in &rebuilt.damaged {
        line(&mut text, format_args!("passed over: {}", damaged.report()));
    }
    line(
        &mut text,
        format_args!(
            "cluster {}, as it was at {} UTC, {} ago (entry {index} of term {term})",
            state.cluster,
            EventTime(rebuilt.copied_at),
            duration(age)
        ),
    );
    if state.jobs.is_empty() {
        line(&mut text, format_args!("it had no jobs"));
    }
    for found in &rebuilt.recovered.jobs {
        if let Some(job) = state.jobs.get(&found.job) {
            describe(&mut text, found, job);
        }
    }
    let folder = format!("{}/{}/jobs/", state.storage, state.cluster);
    let of_jobs = |jobs: &[JobId]| jobs.iter().map(JobId::to_string).collect::<Vec<_>>().join(", ");
    if !rebuilt.recovered.lost.is_empty() {
        line(
            &mut text,
            format_args!(
                "lost: {}; they were submitted after that, and what they compute is not known. Their files stay below {folder}",
                of_jobs(&rebuilt.recovered.lost)
            ),
        );
    }
    if !rebuilt.recovered.deleted.is_empty() {
        line(
            &mut text,
            format_args!(
                "deleted before that, but not all of their files: {}, below {folder}",
                of_jobs(&rebuilt.recovered.deleted)
            ),
        );
    }
    text
}

fn describe(text: &mut String, found: &RecoveredJob, job: &Job) {
    line(text, format_args!("job {} {}/{}", found.job, job.namespace, job.name));
    let uncommitted = job.uncommitted().map(|checkpoint| checkpoint.epoch);
    match (job.status, uncommitted) {
        (JobStatus::Scheduling, Some(epoch)) if job.desired == Desired::Stopped => {
            let end = if job.input_has_ended() { JobStatus::Finished } else { JobStatus::Stopped };
            line(text, format_args!("  was {}, will be {end} once checkpoint {epoch} is committed", found.was));
        }
        (status, Some(epoch)) => {
            line(text, format_args!("  was {}, is {status}; checkpoint {epoch} will be committed", found.was));
        }
        (status, None) => line(text, format_args!("  was {}, is {status}", found.was)),
    }
    match job.restore_point() {
        _ if job.status == JobStatus::Finished => {}
        Some(point) => line(text, format_args!("  goes on from checkpoint {}", point.epoch)),
        None => line(text, format_args!("  goes on from the beginning")),
    }
    found.news.iter().for_each(|news| line(text, format_args!("  {news}")));
    found
        .doubts
        .iter()
        .flat_map(|doubt| doubt.lines())
        .for_each(|doubt| line(text, format_args!("  in doubt: {doubt}")));
}

fn next_steps(coordinator: &FirstCoordinator<'_>, data_dir: &Path, url: &str, listen: SocketAddr) -> String {
    let FirstCoordinator { id, cluster, folder, .. } = coordinator;
    let insecure = if listen.ip().is_loopback() { "" } else { " --insecure" };
    format!(
        "the log of coordinator {id} is in {}\n\nEnd what is left of the old coordinators, then:\n  \
         weir coordinator --id {id} --cluster {cluster} --listen {listen}{insecure} --data-dir {} --storage {url}\n  \
         weir jobs restart …\n",
        folder.display(),
        data_dir.display()
    )
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{content}");
}
