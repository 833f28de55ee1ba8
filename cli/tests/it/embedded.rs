//! The engine in another program's process: this one's.
#![allow(clippy::disallowed_methods, reason = "rows that come out later are waited for")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use inventory::inventory;
use tempfile::TempDir;
use weir_embedded::{Embedded, JobEnd, RunningJob};
use weir_jobs::ErrorKind;
use weir_jobs::prelude::*;

use crate::rust_jobs::{example, rows};
use crate::weir::{Ran, command};

/// Names the folder of the application that this process is to be.
const APPLICATION: &str = "WEIR_TEST_APPLICATION";
const SUBTASKS: &str = "WEIR_TEST_SUBTASKS";
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of a table with these lines; it is there at once.
fn put(folder: &Path, table: &str, name: &str, lines: &[String]) {
    std::fs::create_dir_all(folder.join(table)).unwrap();
    let written = folder.join(format!("{table}-{name}"));
    std::fs::write(&written, lines.join("\n")).unwrap();
    std::fs::rename(written, folder.join(table).join(format!("{name}.json"))).unwrap();
}

const PRODUCTS: [&str; 3] = ["boat", "desk", "lamp"];

/// Orders of a round, with their numbers, and deliveries of as many pieces.
pub fn feed(folder: &Path, round: i64) {
    let orders: Vec<String> = (0..ORDERS)
        .map(|order| {
            let product = PRODUCTS[order as usize % PRODUCTS.len()];
            format!("{{\"id\":{},\"product\":\"{product}\",\"pieces\":{}}}", round * ORDERS + order, 1 + order % 4)
        })
        .collect();
    put(folder, "orders", &format!("{round}"), &orders);
    let deliveries = PRODUCTS.map(|product| format!("{{\"product\":\"{product}\",\"pieces\":{DELIVERED}}}"));
    put(folder, "deliveries", &format!("{round}"), &deliveries);
}

/// Orders of a round: of each product twenty, for fifty pieces.
pub const ORDERS: i64 = 60;
const DELIVERED: i64 = 50;

/// Returns when so many orders are shipped.
pub fn until_shipped(folder: &TempDir, orders: usize) {
    let start = Instant::now();
    while rows(folder, "shipments", &["order"]).len() < orders {
        assert!(start.elapsed() < PATIENCE, "{} of {orders} are shipped", rows(folder, "shipments", &["order"]).len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every order of so many rounds is shipped once, and every change of a level was told once.
pub fn check(folder: &TempDir, rounds: i64) {
    let mut shipped: Vec<i64> = rows(folder, "shipments", &["order"]).iter().map(|id| id.parse().unwrap()).collect();
    shipped.sort_unstable();
    assert_eq!(shipped, (0..rounds * ORDERS).collect::<Vec<_>>());
    let mut levels: BTreeMap<String, Vec<(i64, i64, i64)>> = BTreeMap::new();
    for row in rows(folder, "levels", &["revision", "pieces", "wanted", "product"]) {
        let words: Vec<&str> = row.split(' ').collect();
        let number = |position: usize| words[position].parse().unwrap();
        levels.entry(words[3].to_owned()).or_default().push((number(0), number(1), number(2)));
    }
    assert_eq!(levels.len(), PRODUCTS.len());
    for (product, mut levels) in levels {
        levels.sort_unstable();
        let revisions = levels.iter().map(|(revision, ..)| *revision);
        assert!(revisions.eq(1..=rounds * (ORDERS / 3 + 1)), "{product}: {levels:?}");
        assert_eq!(levels.last().map(|(_, pieces, wanted)| (*pieces, *wanted)), Some((0, 0)), "{product}");
    }
}

pub fn application(folder: &Path, parallelism: usize) -> RunningJob {
    Embedded::new()
        .state_dir(folder.join("state"))
        .parallelism(parallelism)
        .checkpoint_interval(Duration::from_millis(20))
        .argument("folder", folder.display())
        .argument("watch", "20 ms")
        .run(inventory)
        .unwrap()
}

/// What the child process of [`an_application_that_is_killed_goes_on_and_ships_each_order_once`] is: it ends with its input.
#[test]
#[ignore = "it is another test's child process"]
fn an_application() {
    let Some(folder) = std::env::var_os(APPLICATION) else { return };
    let subtasks = std::env::var_os(SUBTASKS).and_then(|subtasks| subtasks.to_str()?.parse().ok()).unwrap();
    let job = application(Path::new(&folder), subtasks);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    job.stop_with_savepoint();
    assert!(matches!(job.wait().unwrap(), JobEnd::Stopped { .. }));
}

fn start(folder: &TempDir, subtasks: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["embedded::an_application", "--exact", "--ignored"])
        .env(APPLICATION, folder.path())
        .env(SUBTASKS, subtasks.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_application_that_is_killed_goes_on_and_ships_each_order_once() {
    const ROUNDS: i64 = 6;
    let folder = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let mut child = start(&folder, 1 + round % 3);
        // At first for a whole round, so that it runs; then it is killed wherever it is.
        until_shipped(&folder, (round * ORDERS) as usize);
        feed(folder.path(), round);
        if round % 2 == 0 {
            until_shipped(&folder, (round * ORDERS) as usize + 1);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = start(&folder, 2);
    until_shipped(&folder, (ROUNDS * ORDERS) as usize);
    drop(child.stdin.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    check(&folder, ROUNDS);
}

/// The plugin goes on with what the application has kept, and the application with what the plugin has.
#[test]
fn what_an_application_keeps_a_plugin_goes_on_with_and_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        feed(folder.path(), round);
        let orders = ((round + 1) * ORDERS) as usize;
        if round % 2 == 0 {
            let job = application(folder.path(), 2);
            until_shipped(&folder, orders);
            job.stop_with_savepoint();
            assert!(matches!(job.wait().unwrap(), JobEnd::Stopped { .. }));
            continue;
        }
        let folder_argument = format!("folder={}", folder.path().display());
        let state = folder.path().join("state");
        let mut run = command(&["run", "--parallelism", "3", "--arg", &folder_argument, "--arg", "watch=20 ms"]);
        run.args(["-D", "execution.checkpointing.interval=20ms", "--state-dir"]).arg(&state).arg(example("inventory"));
        let started = run.stderr(Stdio::piped()).spawn().unwrap();
        until_shipped(&folder, orders);
        assert!(Command::new("kill").args(["-INT", &started.id().to_string()]).status().unwrap().success());
        Ran::from(started.wait_with_output().unwrap()).code(0).says(&["savepoint"]);
    }
    check(&folder, 3);
}

#[test]
fn what_goes_wrong_is_told_and_the_application_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| Embedded::new().argument(name, folder.path().display()).run(inventory);
    let error = run("place").unwrap_err().report();
    assert!(error.contains("the job has no argument 'place'"), "{error}");
    let error = Embedded::new().set("parallelism.default", "many").run(inventory).unwrap_err().report();
    assert!(error.contains("the program: parallelism.default cannot be 'many'"), "{error}");
    put(folder.path(), "deliveries", "none", &[]);
    put(folder.path(), "orders", "wrong", &["{\"id\":7,\"product\":\"lamp\",\"pieces\":0}".to_owned()]);
    let error = run("folder").unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.report().contains("order 7 is for 0 pieces"), "{}", error.report());

    fn panics(job: &mut Job) -> Result<()> {
        job.sql("CREATE TABLE numbers (n BIGINT NOT NULL) WITH ('connector' = 'datagen', 'number-of-rows' = '3');");
        job.sql("CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');");
        job.table::<Number>("numbers")
            .map(|_: Number| -> Number { panic!("a number too many") })
            .insert_into("nowhere");
        Ok(())
    }
    let error = Embedded::new().run(panics).unwrap().wait().unwrap_err().report();
    assert!(error.contains("a number too many"), "{error}");
}

#[derive(Record)]
struct Number {
    n: i64,
}

#[test]
fn a_script_calls_functions_of_the_application() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "CREATE TABLE places (name STRING) WITH ('connector' = 'filesystem', 'path' = '{0}/places', 'format' = 'json');
         CREATE TABLE loud (name STRING) WITH ('connector' = 'filesystem', 'path' = '{0}/loud', 'format' = 'json');
         INSERT INTO loud SELECT shout(name) FROM places;",
        folder.path().display()
    );
    put(folder.path(), "places", "first", &["{\"name\":\"attic\"}".to_owned()]);
    let embedded = || {
        Embedded::new().functions(|functions| {
            functions.scalar("shout", |name: String| format!("{}!", name.to_uppercase()));
        })
    };
    let job = embedded().run_sql(&script).unwrap();
    assert_eq!(job.wait().unwrap(), JobEnd::Finished);
    assert_eq!(rows(&folder, "loud", &["name"]), ["\"ATTIC!\""]);
    let error = embedded().run_sql("SELECT 1;").unwrap_err().report();
    assert!(error.contains("nobody reads the rows of this SELECT"), "{error}");
    let error = Embedded::new().run_sql(&script).unwrap_err().report();
    assert!(error.contains("shout"), "{error}");
}

/// An application that uses tokio waits without a thread, and a job that it drops goes on from its last checkpoint.
#[tokio::test]
async fn a_checkpoint_brings_results_out_and_a_job_that_is_dropped_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    feed(folder.path(), 0);
    let embedded = || {
        Embedded::new()
            .state_dir(folder.path().join("state"))
            .checkpoint_interval(Duration::ZERO)
            .argument("folder", folder.path().display())
            .argument("watch", "20 ms")
            .run(inventory)
            .unwrap()
    };
    let job = embedded();
    while job.progress().rows_in < ORDERS as u64 + 3 {
        assert!(job.is_running());
        tokio::time::timeout(PATIENCE, job.checkpoint()).await.unwrap().unwrap();
    }
    job.checkpoint().await.unwrap();
    check(&folder, 1);
    drop(job);
    feed(folder.path(), 1);
    let mut job = embedded();
    let before_end = tokio::time::timeout(Duration::from_millis(1), job.finished()).await;
    assert!(before_end.is_err(), "it runs on");
    while job.progress().rows_in < ORDERS as u64 + 3 {
        job.checkpoint().await.unwrap();
    }
    job.stop_with_savepoint();
    assert!(matches!(job.finished().await.unwrap(), JobEnd::Stopped { .. }));
    assert!(!job.is_running());
    check(&folder, 2);
}
