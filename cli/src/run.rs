//! `weir run`: from a script to the end of its job.
//!
//! ```text
//!   read ─ parse ─ settings ─ plan ─▶ job ◀─ stop ── ^C
//!                                      │ progress ─▶ status line (stderr)
//!                                      └ rows ─────▶ results (stdout)
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use weir_core::connector::Boundedness;
use weir_core::{ConnectorRegistry, Error, Result};
use weir_sql::{Answer, Script};
use weir_worker::RunningJobs;
use weir_worker::secrets::Resolving;

use crate::args::RunArguments;
use crate::blocking::blocking;
use crate::clock::{Stopwatch, wall_millis};
use crate::exit::Exit;
use crate::job::{self, JobEnd, Order, Progress, RunRequest};
use crate::plugin::{PluginFile, functions_of};
use crate::result::{ResultConnector, Results, output_on};
use crate::script::Job;
use crate::server::check_reachability;
use crate::server::http::HttpArguments;
use crate::settings::{Layers, Settings, apply_settings};
use crate::signals::{Interrupt, Signals};
use crate::status::{self, Rates};
use crate::terminal::Screen;
use crate::{planning, stats};

/// Time between two looks at the job's progress.
const TICK: Duration = Duration::from_millis(250);
/// Time between two lines about progress where there is no terminal for a live one.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Runs the script.
///
/// # Errors
/// Whatever is wrong with the script, the data or the surroundings.
pub async fn run(arguments: &RunArguments, screen: &Arc<Screen>) -> Result<Exit> {
    let job = Job::read(&arguments.script).await?;
    let name = job.name(&arguments.script);
    let files = job.files();
    let http = match arguments.http_listen {
        None => None,
        Some(address) => {
            check_reachability(address, false, "`weir run` is for this machine: listen on 127.0.0.1")?;
            let http = HttpArguments { http_listen: Some(address), http_insecure: false };
            Some(http.open(address, false).await?)
        }
    };
    let running = Arc::new(RunningJobs::default());
    let watched = http.is_some().then(|| running.clone());
    let run = Run { name: &name, files: &files, stats: arguments.stats.as_deref(), watched, is_live: false };
    let script = job.script("")?;
    let executed = execute(&script, arguments.layers()?, run, screen);
    let Some(http) = http else { return executed.await };
    tokio::select! {
        executed = executed => executed,
        served = http.serve(vec![running]) => served.map(|()| Exit::Ok),
    }
}

/// What is known of a run beside its script and settings.
pub struct Run<'a> {
    /// Name of the job if nobody has set another one.
    pub name: &'a str,
    /// The plugins that it may need.
    pub files: &'a [Arc<PluginFile>],
    /// Where figures about it go.
    pub stats: Option<&'a Path>,
    /// Where the job is found by who watches it.
    pub watched: Option<Arc<RunningJobs>>,
    /// Whether results that change are shown, on a terminal, as the rows that there are.
    pub is_live: bool,
}

/// Answers what a script asks, and runs its job.
///
/// # Errors
/// Whatever is wrong with the script, the data or the surroundings.
pub async fn execute(parsed: &Script, mut layers: Layers, run: Run<'_>, screen: &Arc<Screen>) -> Result<Exit> {
    let stopwatch = Stopwatch::start();
    apply_settings(parsed, &mut layers)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = Settings::resolve(&layers, cores);

    settings.check()?;
    let results = results(screen, &settings);
    let connectors: Arc<dyn ConnectorRegistry> =
        Arc::new(crate::connectors::builtin().with(ResultConnector(results.clone())));
    let planned = planning::plan(parsed, &settings, connectors.clone())?;
    for warning in &planned.warnings {
        screen.message(&format!("warning: {warning}\n"));
    }
    for answer in &planned.answers {
        screen.begin_paging();
        match answer {
            Answer::Text(text) => {
                results.print_text(text)?;
                let screen = screen.clone();
                blocking(move || Ok(screen.finish_paging())).await?.map_err(unwritten)?;
            }
            Answer::Rows(rows) => {
                let rows_of_answer = Results::new(screen.clone(), output_on(&settings, screen), false);
                rows_of_answer.show(vec![rows.clone()]).await?;
                rows_of_answer.finish().await?;
            }
        }
    }
    let graph = match planned.graph {
        Some(graph) => graph,
        None if planned.answers.is_empty() => {
            return Err(Error::user("the script has nothing to run: no INSERT, no SELECT"));
        }
        None => return Ok(Exit::Ok),
    };

    let functions = functions_of(&graph, run.files)?;
    // A job that keeps state may go on later, and would not know which rows it has printed.
    if let Some(rows) = planned.last_row.filter(|_| settings.state_dir.is_none()) {
        results.end_behind(rows);
    }
    if planned.has_changes && run.is_live {
        results.show_what_is_left();
    }
    let name = settings.name.clone().unwrap_or_else(|| run.name.to_owned());
    let connectors = Arc::new(Resolving::new(connectors, crate::secrets::of_process()));
    let mut request = RunRequest::new(&settings, Arc::new(graph), connectors, functions);
    request.watched = run.watched.map(|running| (running, name.clone()));
    let display = Display { screen: screen.clone(), name, quiet: settings.quiet, stopwatch };
    // Rows of input that goes on are looked at while they come.
    if planned.boundedness == Boundedness::Bounded {
        screen.begin_paging();
    }
    let end = supervise(request, results, display, run.stats).await;
    let screen = screen.clone();
    blocking(move || Ok(screen.finish_paging())).await?.map_err(unwritten)?;
    end
}

fn unwritten(error: std::io::Error) -> Error {
    Error::environment("cannot write results to standard output").with_source(error)
}

/// Where bare `SELECT`s go, in the format that fits.
fn results(screen: &Arc<Screen>, settings: &Settings) -> Arc<Results> {
    let on_terminal = screen.layout().out_is_terminal;
    let output = output_on(settings, screen);
    Results::new(screen.clone(), output, settings.state_dir.is_some() && !on_terminal)
}

/// How the supervision of a job came to its end.
enum Ended {
    /// The job itself ended.
    Job(Result<JobEnd>),
    /// The user did not want to wait.
    Aborted(Interrupt),
    /// Nobody reads the results.
    ReaderGone,
}

/// Runs the job, shows how it goes, and passes interrupts on.
async fn supervise(request: RunRequest, results: Arc<Results>, display: Display, stats: Option<&Path>) -> Result<Exit> {
    let keeps_state = request.state_dir.is_some();
    let (progress_sender, progress) = watch::channel(Progress::default());
    let (stop, stop_receiver) = mpsc::channel(1);
    let mut signals = Signals::listen()?;
    let mut interrupted: Option<Interrupt> = None;
    let mut is_complete = false;
    let mut rates = Rates::default();
    let mut last_log = Duration::ZERO;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut job = std::pin::pin!(job::run(request, progress_sender, stop_receiver));

    let ended = loop {
        tokio::select! {
            outcome = &mut job => break Ended::Job(outcome),
            signal = signals.next() => {
                if interrupted.replace(signal).is_some() {
                    break Ended::Aborted(signal);
                }
                display.say(if keeps_state {
                    "stopping with a savepoint; ^C once more stops at once"
                } else {
                    "stopping; ^C once more stops at once"
                });
                // A full or closed channel means that the job has been told, or has ended.
                let _ = stop.try_send(if keeps_state { Order::Savepoint } else { Order::Cancel });
            }
            () = results.until_reader_is_gone() => break Ended::ReaderGone,
            () = results.until_complete(), if !is_complete => {
                is_complete = true;
                // As above.
                let _ = stop.try_send(Order::Cancel);
            }
            _ = ticks.tick() => {
                results.tick();
                display.update(&progress.borrow(), &mut rates, &mut last_log);
            }
        }
    };

    display.screen.set_status("");
    let progress = progress.borrow().clone();
    if let Some(path) = stats {
        stats::write(path, &progress)?;
    }
    match ended {
        _ if results.reader_is_gone() => Ok(Exit::Ok),
        Ended::ReaderGone => Ok(Exit::Ok),
        Ended::Aborted(signal) => {
            display.say(&aborted(keeps_state, &progress));
            Ok(signal.exit())
        }
        Ended::Job(outcome) => {
            // Rows that did come out are shown even if the job failed afterwards.
            let printed = results.finish().await;
            if results.reader_is_gone() {
                return Ok(Exit::Ok);
            }
            let outcome = outcome.inspect_err(|_| {
                if let Some(note) = resumable(keeps_state, &progress) {
                    display.say(&note);
                }
            })?;
            printed?;
            display.farewell(&outcome, is_complete, &progress);
            Ok(match outcome {
                JobEnd::Cancelled => interrupted.map_or(Exit::Ok, Interrupt::exit),
                JobEnd::Finished | JobEnd::AlreadyFinished | JobEnd::Stopped { .. } => Exit::Ok,
            })
        }
    }
}

fn aborted(keeps_state: bool, progress: &Progress) -> String {
    resumable(keeps_state, progress).map_or_else(|| "stopped at once".into(), |note| format!("stopped at once; {note}"))
}

/// What a failed or killed job leaves behind, if it is worth a word.
fn resumable(keeps_state: bool, progress: &Progress) -> Option<String> {
    let checkpoint = progress.last_checkpoint.as_ref().filter(|_| keeps_state)?;
    Some(format!("checkpoint {} is complete; the same command goes on from there", checkpoint.epoch))
}

/// What is told to the user while the job runs and when it has ended.
struct Display {
    screen: Arc<Screen>,
    name: String,
    quiet: bool,
    stopwatch: Stopwatch,
}

impl Display {
    fn say(&self, message: &str) {
        if !self.quiet {
            self.screen.message(&format!("{}: {message}\n", self.name));
        }
    }

    fn update(&self, progress: &Progress, rates: &mut Rates, last_log: &mut Duration) {
        let elapsed = self.stopwatch.elapsed();
        let rate = rates.observe(elapsed, progress);
        if self.quiet {
            return;
        }
        let line = || status::line(progress, rate, elapsed, wall_millis());
        if self.screen.layout().err_is_terminal {
            self.screen.set_status(&line());
        } else if elapsed.saturating_sub(*last_log) >= LOG_EVERY {
            *last_log = elapsed;
            self.say(&line());
        }
    }

    /// `is_complete`: the job was ended because there are no more rows to come.
    fn farewell(&self, outcome: &JobEnd, is_complete: bool, progress: &Progress) {
        self.say(&status::summary(outcome, progress, self.stopwatch.elapsed()));
        match outcome {
            JobEnd::Stopped { epoch } => {
                let command = command_line(std::env::args());
                self.say(&format!("savepoint {epoch} is complete; go on with\n  {command}"));
            }
            JobEnd::Cancelled if is_complete => {}
            JobEnd::Cancelled => {
                self.say("nothing was kept; with --state-dir DIR a later run goes on where this one stopped");
            }
            JobEnd::Finished | JobEnd::AlreadyFinished => {}
        }
    }
}

/// The command that started this process, to be pasted into a shell.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let quoted = arguments.skip(1).map(|argument| {
        let plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    std::iter::once("weir".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_resume_can_be_pasted_into_a_shell() {
        let arguments = ["/usr/bin/weir", "run", "my query.sql", "--state-dir", "/tmp/s", "-e", "SELECT 'a'"];
        assert_eq!(
            command_line(arguments.into_iter().map(str::to_owned)),
            r"weir run 'my query.sql' --state-dir /tmp/s -e 'SELECT '\''a'\'''"
        );
    }
}
