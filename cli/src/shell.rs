//! `weir sql`: statements as they are typed, each over what those before it have declared.
//!
//! ```text
//!   lines ──▶ units (a statement, or a statement set) ──▶ Session ──▶ a job, as `weir run` runs it
//!   (input)                                                  └─ text of all declarations so far
//! ```
//!
//! A session is a script that grows: what is typed is planned behind the declarations and settings that have been accepted. So it
//! means what it would mean there, and errors that point into the text point into what was typed.

mod completion;
mod input;
mod remote;
mod session;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use weir_core::{Error, Result};

use crate::args::SqlArguments;
use crate::blocking::blocking;
use crate::clock::Stopwatch;
use crate::exit::{self, Exit};
use crate::pager;
use crate::script;
use crate::terminal::Screen;

use input::{Input, Line};
use session::Session;

const HELP: &str = "\
Statements end with a semicolon and may take several lines. What is declared stays until the shell ends.

  CREATE TABLE … WITH (…);    CREATE VIEW … AS …;    DROP TABLE t;
  SELECT …;                   runs until its input ends, or until ^C
  INSERT INTO t SELECT …;     likewise, in a cluster as a job of its own; several in BEGIN STATEMENT SET; … END; are one job
  CREATE FUNCTION f(x INT) RETURN x + 1;
  EXPLAIN SELECT …;           the dataflow
  CREATE DATABASE d;  USE d;  SHOW DATABASES;  SELECT … FROM d.t;   tables of one database beside those of others
  SHOW TABLES;  SHOW VIEWS;  SHOW FUNCTIONS LIKE 'json%';  SHOW CREATE TABLE t;  DESCRIBE t;
  SET 'key' = 'value';        SET;  shows what is set, `weir options` what there is
  SHOW JOBS;  DESCRIBE JOB 'name';  STOP JOB 'name' [WITH DRAIN];   in a cluster
  SHOW WATERMARKS FOR JOB 'name';                                   how far in event time it is

  \\d [t]       tables and views; columns of t
  \\changes     shows each change of a result that changes, or the rows that there are again
  \\pset pager [on|off]   results longer than the screen go to the pager: `less`, or what PAGER says
  \\timing      says how long each statement took, or no longer
  \\?           this help
  \\q           quits; so do quit, exit and ^D
";

/// Carries out statements from the command line, a file or standard input, or those that are typed.
///
/// # Errors
/// What is wrong with the first statement that fails; of those that are typed all are reported, and none ends the shell.
pub async fn run(arguments: &SqlArguments, screen: &Arc<Screen>) -> Result<Exit> {
    let mut session = Session::new(arguments.clone(), screen.clone());
    if let Some(path) = &arguments.init {
        session.begin(&script::read_file(path)?).await?;
    }
    if let Some(text) = &arguments.execute {
        return session.script(text).await;
    }
    if let Some(path) = &arguments.file {
        return session.script(&script::read_file(path)?).await;
    }
    if !std::io::stdin().is_terminal() {
        return session.script(&script::read_file(Path::new("-"))?).await;
    }
    typed(session, screen).await
}

async fn typed(mut session: Session, screen: &Arc<Screen>) -> Result<Exit> {
    screen.message("Weir SQL. Statements end with `;`, \\? helps, \\q quits.\n");
    session.is_live = true;
    let mut input = Input::new()?;
    let (mut timing, mut pages) = (false, true);
    screen.use_pager(pager::wanted());
    loop {
        input.offer(session.words());
        let (same, line) = blocking(move || Ok(input.read())).await?;
        input = same;
        let line = match line? {
            Line::Text(line) => line,
            Line::Given => continue,
            Line::End => return Ok(Exit::Ok),
        };
        let stopwatch = Stopwatch::start();
        let outcome = match line.trim().trim_end_matches(';').trim_end() {
            "" => continue,
            "quit" | "exit" | "\\q" => return Ok(Exit::Ok),
            "help" | "\\?" => {
                screen.message(HELP);
                continue;
            }
            "\\timing" => {
                timing = !timing;
                screen.message(if timing { "Timing is on.\n" } else { "Timing is off.\n" });
                continue;
            }
            "\\pset pager" | "\\pset pager on" | "\\pset pager off" => {
                pages = match line.trim().trim_end_matches(';').trim_end() {
                    "\\pset pager on" => true,
                    "\\pset pager off" => false,
                    _ => !pages,
                };
                screen.use_pager(pager::wanted().filter(|_| pages));
                screen.message(if pages {
                    "Results that are longer than the screen go to the pager.\n"
                } else {
                    "Results are printed, however long they are.\n"
                });
                continue;
            }
            "\\changes" => {
                session.is_live = !session.is_live;
                screen.message(if session.is_live {
                    "Results that change are shown as the rows that there are.\n"
                } else {
                    "Results that change are shown change by change.\n"
                });
                continue;
            }
            "\\d" => session.script("SHOW TABLES;").await,
            command => match command.strip_prefix("\\d ") {
                Some(name) => session.script(&format!("DESCRIBE {name};")).await,
                None if command.starts_with('\\') => {
                    Err(Error::user(format!("there is no command `{command}`")).with_help("\\? lists them"))
                }
                None => session.script(&line).await,
            },
        };
        if let Err(error) = outcome {
            screen.message(&exit::render(&error, screen.layout().colour));
        }
        if timing {
            screen.message(&format!("Time: {:.3} s\n", stopwatch.elapsed().as_secs_f64()));
        }
    }
}
