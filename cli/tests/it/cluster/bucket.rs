//! A cluster that keeps its checkpoints in a bucket: `tests/services/s3 run cargo test --workspace --test it bucket -- --ignored`.
#![allow(clippy::disallowed_methods, reason = "whoever runs the tests says where the bucket is")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use weir_object_storage::ObjectStorages;
use weir_state::{Storage, Storages};

use super::nexmark::Bids;
use super::processes::{Cluster, until};
use super::recover::recover;
use crate::weir::weir;

/// A place in the bucket that no other run of the tests has.
fn place(name: &str) -> (String, Arc<dyn Storage>) {
    let bucket = std::env::var("WEIR_TEST_BUCKET").expect("tests/services/s3 run sets WEIR_TEST_BUCKET");
    let url = format!("{bucket}/{name}-{}", std::process::id());
    let storage = ObjectStorages::default().open(&url).unwrap();
    (url, storage)
}

/// Objects of jobs, without what the cluster knows of itself.
fn of_jobs(storage: &dyn Storage) -> Vec<String> {
    let all = storage.list("").unwrap();
    all.into_iter().filter(|path| path.contains("/jobs/") || path.contains("/results/")).collect()
}

/// Whether the newest copy of the cluster's state names a job.
fn is_copied(storage: &dyn Storage, job: &str) -> bool {
    let copies = storage.list("").unwrap().into_iter().filter(|path| path.contains("/coordinators/snapshots/"));
    let newest = copies.max().map(|path| String::from_utf8(storage.get(&path).unwrap()).unwrap());
    newest.is_some_and(|text| text.contains(&format!("\"name\":\"{job}\"")))
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn workers_and_coordinators_die_and_all_that_they_share_is_a_bucket() {
    let (url, storage) = place("killed");
    let mut cluster = Cluster::start_with_storage(&url, 2, 2);
    let bids = Bids { seconds: 15 };
    bids.submit(&cluster, "counts", 2);
    let job = cluster.until_checkpoint("counts");
    let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();
    cluster.kill(&victim);
    cluster.until_job("counts", "runs elsewhere", |job| job["attempt"].as_u64() > Some(1));
    cluster.until_checkpoint("counts");
    assert!(!of_jobs(&*storage).is_empty());

    // All is lost but the bucket.
    until("the job is in a copy of the cluster's state", || is_copied(&*storage, "counts").then_some(()));
    for process in ["c1", if victim == "w1" { "w2" } else { "w1" }] {
        cluster.kill(process);
    }
    for folder in ["data", "w1", "w2"] {
        fs::remove_dir_all(cluster.path(folder)).unwrap();
    }
    let recovered = recover(&cluster, "data").code(0);
    assert!(recovered.out.contains("counts"), "{}", recovered.out);
    cluster.start_coordinator(1);
    cluster.add_workers(2, 2);
    cluster.weir(&["jobs", "restart", "counts"]).code(0);
    cluster.until_finished("counts");
    bids.assert_result(&cluster, "counts");
    assert!(!fs::exists(cluster.path("checkpoints")).unwrap());

    cluster.weir(&["jobs", "delete", "counts"]).code(0);
    until("what the job had is gone", || of_jobs(&*storage).is_empty().then_some(()));
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn rows_of_a_select_come_through_the_bucket_to_who_has_no_key_to_it() {
    let (url, storage) = place("rows");
    let cluster = Cluster::start_with_storage(&url, 1, 2);
    let script = Bids { seconds: 20 }.select(false);
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = weir(&["run", "--quiet", "-e", &script, "--output", "json"]).code(0).out;
    assert!(expected.lines().count() > 100, "{expected}");
    let ran = cluster.weir_without("AWS_", &["submit", "-e", &script, "-p", "2"]).code(0);
    assert_eq!(sorted(&ran.out), sorted(&expected));
    until("neither rows nor a job are left", || of_jobs(&*storage).is_empty().then_some(()));
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn results_in_a_bucket_are_there_once_whichever_process_dies() {
    let (url, _) = place("checkpoints");
    let (out, results) = place("results");
    let mut cluster = Cluster::start_with_storage(&url, 3, 2);
    let bids = Bids { seconds: 15 };
    bids.submit_into(&cluster, "counts", Path::new(&out), 3);
    for round in 1..=3 {
        let job = cluster.until_checkpoint("counts");
        let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();
        cluster.kill(&victim);
        if round == 2 {
            cluster.kill("c1");
            cluster.start_coordinator(1);
        }
        cluster.until_job("counts", "runs elsewhere", |again| again["attempt"].as_u64() > job["attempt"].as_u64());
        cluster.start_worker(&victim, 2);
    }
    cluster.until_finished("counts");
    let paths = results.list("").unwrap().into_iter().filter(|path| path.starts_with("part-"));
    let texts = paths.map(|path| String::from_utf8(results.get(&path).unwrap()).unwrap());
    let mut rows: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    rows.sort();
    bids.assert_rows(&cluster, "counts", &rows);

    // A second job of the same query is told of what is there.
    let script = bids.into(Path::new(&out));
    let again = cluster.weir(&["submit", "-e", &script, "--name", "again", "--detach"]).code(0);
    again.says(&["holds results of an earlier job", &format!("{out}/part-")]);
}

/// Rows that `weir run` prints, sorted.
fn rows_of(script: &str) -> Vec<String> {
    let ran = weir(&["run", "--quiet", "-p", "2", "-e", script, "--output", "csv"]).code(0);
    let mut rows: Vec<String> = ran.out.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn objects_in_a_bucket_are_read_as_files_are() {
    let (url, storage) = place("read");
    for (path, text) in [
        ("days/day=2026-01-01/a.csv", "1,x\n2,y\n"),
        ("days/day=2026-01-02/b.csv", "3,x\n"),
        ("days/day=2026-01-02/.hidden.csv", "nothing\n"),
        ("days/_day/c.csv", "nothing\n"),
        ("daysafter/d.csv", "nothing\n"),
        ("names.json", "{\"k\":\"x\",\"name\":\"ex\"}\n{\"k\":\"y\",\"name\":\"why\"}\n"),
    ] {
        storage.put(path, text.as_bytes()).unwrap();
    }
    let days = |path: &str| {
        format!(
            "CREATE TABLE days (n INT, k STRING, day DATE, file STRING METADATA FROM 'file.path' VIRTUAL, proc AS PROCTIME())
             PARTITIONED BY (day) WITH ('connector' = 'filesystem', 'path' = '{url}/{path}', 'format' = 'csv');"
        )
    };
    let all = ["1,x,2026-01-01,a", "2,y,2026-01-01,a", "3,x,2026-01-02,b"];
    for (path, expected) in
        [("days", &all[..]), ("days/", &all), ("days/day=*-02/*.csv", &all[2..]), ("*/*=*/a.csv", &all[..2])]
    {
        let query = "SELECT n, k, day, REGEXP_EXTRACT(file, '([a-z])[.]csv$', 1) FROM days;";
        assert_eq!(rows_of(&(days(path) + query)), expected, "{path}");
    }
    let one = "days/day=2026-01-02/b.csv";
    assert_eq!(rows_of(&(days(one) + "SELECT file FROM days;")), [format!("{url}/{one}")]);

    // Looked up in.
    let names = format!(
        "CREATE TABLE names (k STRING, name STRING) WITH ('connector' = 'filesystem', 'path' = '{url}/names.json', 'format' = 'json');"
    );
    let looked_up = "SELECT n, name FROM days LEFT JOIN names FOR SYSTEM_TIME AS OF days.proc ON days.k = names.k;";
    assert_eq!(rows_of(&(days("days") + &names + looked_up)), ["1,ex", "2,why", "3,ex"]);

    let nothing = weir(&["run", "-e", &(days("day") + "SELECT n FROM days;")]).code(2);
    nothing.says(&["no file matches", &format!("{url}/day'")]);
    let wrong = weir(&["run", "-e", &(days("days/day=[") + "SELECT n FROM days;")]).code(2);
    wrong.says(&["is not a valid pattern"]);
}

/// Files of all formats, large enough that several requests are made for each of their ranges, are written into the bucket and read back.
#[test]
#[ignore = "wants an S3-compatible server"]
fn what_was_written_into_a_bucket_is_read_from_there() {
    let (url, _) = place("again");
    let generated =
        "CREATE TABLE numbers (n BIGINT, word STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '50000',
       'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '50000', 'fields.word.length' = '12');";
    for format in ["json", "csv", "parquet", "arrow"] {
        let table = format!(
            "CREATE TABLE kept (n BIGINT, word STRING, third BIGINT) PARTITIONED BY (third)
             WITH ('connector' = 'filesystem', 'path' = '{url}/{format}', 'format' = '{format}', 'source.split-size' = '100kb');"
        );
        let write = format!("{generated} {table} INSERT INTO kept SELECT n, word, n % 3 FROM numbers;");
        weir(&["run", "--quiet", "-e", &write]).code(0);
        let mut numbers: Vec<i64> = rows_of(&format!("{table} SELECT n, third, CHAR_LENGTH(word) FROM kept;"))
            .iter()
            .map(|row| {
                let (number, rest) = row.split_once(',').unwrap();
                let number: i64 = number.parse().unwrap();
                assert_eq!(rest, format!("{},12", number % 3), "{format}");
                number
            })
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1..=50_000), "{format}");
    }
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn objects_that_come_are_read_once_whichever_worker_dies_and_none_may_become_another() {
    let (url, storage) = place("watched");
    let mut cluster = Cluster::start(2, 2);
    let out = cluster.path("out");
    let put = |name: &str, numbers: std::ops::Range<u32>| {
        let lines: String = numbers.map(|number| format!("{number}\n")).collect();
        storage.put(&format!("in/{name}"), lines.as_bytes()).unwrap();
    };
    let script = format!(
        "SET 'execution.checkpointing.interval' = '200ms';
         CREATE TABLE numbers (n INT) WITH ('connector' = 'filesystem', 'path' = '{url}/in', 'format' = 'csv', 'source.monitor-interval' = '100ms');
         CREATE TABLE result (n INT) WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'csv', 'csv.header' = 'false');
         INSERT INTO result SELECT n FROM numbers;"
    );
    // There is nothing yet, which is no error where objects are waited for.
    cluster.weir(&["submit", "-e", &script, "--name", "numbers", "-p", "2", "--detach"]).code(0);
    let read = || -> Vec<u32> {
        let files = fs::read_dir(&out)
            .map(|files| files.flatten().map(|file| file.path()).collect::<Vec<_>>())
            .unwrap_or_default();
        let is_shown = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-"));
        let texts = files.iter().filter(|path| is_shown(path)).map(|path| fs::read_to_string(path).unwrap());
        let mut numbers: Vec<u32> =
            texts.flat_map(|text| text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect();
        numbers.sort_unstable();
        numbers
    };
    for round in 0..3 {
        put(&format!("{round}.csv"), round * 1000..(round + 1) * 1000);
        until("what came is written", || (read().len() >= 1000 * (round as usize + 1)).then_some(()));
        let job = cluster.job("numbers");
        let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();
        cluster.kill(&victim);
        cluster.until_job("numbers", "runs elsewhere", |again| again["attempt"].as_u64() > job["attempt"].as_u64());
        cluster.start_worker(&victim, 2);
    }
    put("last.csv", 3000..3001);
    until("the last is written", || (read().last() == Some(&3000)).then_some(()));
    assert_eq!(read(), (0..=3000).collect::<Vec<u32>>());
}
