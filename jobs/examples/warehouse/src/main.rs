//! A warehouse: a program that takes orders and deliveries at its console, and embeds the job that keeps the inventory.
//!
//! ```text
//!   cargo run -p weir-example-warehouse -- /tmp/warehouse
//!   deliver lamp 20
//!   order 1 lamp 15
//!   low                    which products are low, as far as results are out
//!   quit
//! ```
//!
//! Started again with the same folder it goes on, also after `kill -9`: no order is shipped twice. The same job, and its state, can go on in `weir run` or in a
//! cluster as a plugin: `docs/rust-jobs.md` has the commands.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use inventory::inventory;
use serde_json::{Value, json};
use weir_embedded::{Embedded, JobEnd};
use weir_jobs::prelude::*;

/// With less than this a product is low.
const LEAST: i64 = 10;

fn main() -> std::process::ExitCode {
    match run(std::env::args_os().nth(1).map_or_else(|| "warehouse-data".into(), PathBuf::from)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere to report that it could not be told.
            let _ = writeln!(std::io::stderr(), "{}", error.report());
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(folder: PathBuf) -> Result<()> {
    for table in ["orders", "deliveries"] {
        std::fs::create_dir_all(folder.join(table)).map_err(unusable)?;
    }
    let job = Embedded::new()
        .state_dir(folder.join("state"))
        .parallelism(2)
        .checkpoint_interval(Duration::from_millis(500))
        .argument("folder", folder.display())
        .argument("watch", "100 ms")
        .argument("least", LEAST)
        .run(inventory)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(unusable)?;
        let answer = match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["order", id, product, pieces] => match (id.parse::<i64>(), pieces.parse::<i64>()) {
                (Ok(id), Ok(pieces)) if pieces > 0 => {
                    put(&folder, "orders", &json!({"id": id, "product": product, "pieces": pieces}))?
                }
                _ => "order NUMBER PRODUCT PIECES".to_owned(),
            },
            ["deliver", product, pieces] => match pieces.parse::<i64>() {
                Ok(pieces) if pieces > 0 => put(&folder, "deliveries", &json!({"product": product, "pieces": pieces}))?,
                _ => "deliver PRODUCT PIECES".to_owned(),
            },
            ["low"] => low(&folder)?,
            ["quit"] => break,
            [] => continue,
            _ => "order, deliver, low or quit".to_owned(),
        };
        if !job.is_running() {
            break;
        }
        writeln!(std::io::stdout(), "{answer}").map_err(unusable)?;
    }
    job.stop_with_savepoint();
    match job.wait()? {
        JobEnd::Stopped { epoch } => {
            writeln!(std::io::stdout(), "all is kept with savepoint {epoch}").map_err(unusable)
        }
        end => Err(Error::internal(format!("the job ended as {end:?}"))),
    }
}

fn unusable(error: std::io::Error) -> Error {
    Error::environment("the console or the folder cannot be used").with_source(error)
}

/// A row of a table, as a file of its own that is there at once. With many of them a queue, such as Kafka, takes the place of the folder.
fn put(folder: &Path, table: &str, row: &Value) -> Result<String> {
    let number = std::fs::read_dir(folder.join(table)).map_err(unusable)?.count();
    let written = folder.join("written.json");
    std::fs::write(&written, format!("{row}\n")).map_err(unusable)?;
    std::fs::rename(&written, folder.join(table).join(format!("{number:06}.json"))).map_err(unusable)?;
    Ok("noted".to_owned())
}

/// What there is too little of.
fn low(folder: &Path) -> Result<String> {
    let mut newest: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let files = match std::fs::read_dir(folder.join("levels")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok("nothing".to_owned()),
        files => files.map_err(unusable)?,
    };
    for file in files {
        let path = file.map_err(unusable)?.path();
        // Others belong to a checkpoint that is not complete.
        if path.file_name().and_then(|name| name.to_str()).is_none_or(|name| !name.starts_with("part-")) {
            continue;
        }
        for line in std::fs::read_to_string(&path).map_err(unusable)?.lines() {
            let level: Value = serde_json::from_str(line)
                .map_err(|error| Error::data(format!("{} is damaged", path.display())).with_source(error))?;
            let (Some(product), Some(pieces), Some(revision)) =
                (level["product"].as_str(), level["pieces"].as_i64(), level["revision"].as_i64())
            else {
                continue;
            };
            let known = newest.entry(product.to_owned()).or_default();
            *known = (*known).max((revision, pieces));
        }
    }
    let low: Vec<String> = newest
        .into_iter()
        .filter(|(_, (_, pieces))| *pieces < LEAST)
        .map(|(product, (_, pieces))| format!("{product}: {pieces}"))
        .collect();
    Ok(if low.is_empty() { "nothing".to_owned() } else { low.join(", ") })
}
