//! Topics of a real broker, read by whole jobs. `tests/services/kafka run cargo test --workspace --test it kafka -- --ignored` starts one.
#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

#[path = "../../../engine/kafka/tests/it/kafka/cluster.rs"]
#[allow(dead_code, reason = "the tests of the connector use more of it")]
mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rdkafka::message::Message;
use serde_json::json;

use self::cluster::{Record, Topic, address, unique};
use crate::cluster::processes::{Cluster, until};
use crate::weir::{command, file, path, weir};

/// A table over a topic with these columns.
fn table(topic: &Topic, columns: &str, with: &str) -> String {
    format!(
        "CREATE TABLE t ({columns}) WITH ('connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{}',
           'scan.startup.mode' = 'earliest-offset', 'format' = 'json'{with});\n",
        topic.name,
        address()
    )
}

/// Lines of all visible files in a folder.
fn lines(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let visible = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("part-"));
    visible
        .flat_map(|path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
#[ignore = "wants a broker"]
fn a_job_that_is_killed_again_and_again_counts_each_record_once() {
    const PARTITIONS: i32 = 3;
    const RECORDS: usize = 30_000;
    let topic = Topic::new("exactly-once", PARTITIONS);
    for partition in 0..PARTITIONS {
        let values: Vec<String> = (0..RECORDS).map(|n| format!("{{\"n\": {}}}", n * 3 + partition as usize)).collect();
        topic.write(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
        // What is not read must not shift what is.
        topic.transaction(partition, &["{\"n\": -1}"], false);
    }
    let work = tempfile::tempdir().unwrap();
    let out = work.path().join("out");
    let script = file(
        ".sql",
        &format!(
            "{}CREATE TABLE result (n BIGINT, twice BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
             INSERT INTO result SELECT n, n * 2 FROM t;",
            table(&topic, "n BIGINT", ", 'scan.bounded.mode' = 'latest-offset', 'scan.records-per-second.limit' = '30000'"),
            out.display()
        ),
    );
    let state = work.path().join("state");
    let (mut kills, mut moment) = (0, 0x5eed_u64);
    for parallelism in [1, 2, 4, 3, 1, 2, 4, 1].into_iter().cycle() {
        let mut job = command(&["run", path(&script), "--quiet", "--parallelism", &format!("{parallelism}")])
            .args(["--state-dir", state.to_str().unwrap(), "-D", "execution.checkpointing.interval=20ms"])
            .args(["-D", "execution.batch-rows=256"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if kills < 8 {
            moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The moment is what varies; nothing waits for it.
            std::thread::sleep(Duration::from_millis(300 + (moment >> 33) % 900));
            job.kill().unwrap();
        }
        let output = job.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills hit a running job: that proves little");
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for line in lines(&out) {
        let (n, twice) = line.split_once(',').unwrap();
        let n: i64 = n.parse().unwrap();
        assert_eq!(twice, (n * 2).to_string());
        *counts.entry(n).or_default() += 1;
    }
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?} after {kills} kills");
    assert_eq!(counts.len(), RECORDS * PARTITIONS as usize, "after {kills} kills");
    assert_eq!((counts.first_key_value().unwrap().0, counts.last_key_value().unwrap().0), (&0, &89_999));
}

/// Event time of partition 0 goes ten times as fast as that of partition 1, row by row.
#[test]
#[ignore = "wants a broker"]
fn a_partition_that_is_ahead_of_another_waits_where_they_are_aligned() {
    const RECORDS: i64 = 20_000;
    const BATCH: i64 = 256;
    const DRIFT: i64 = 300;
    let topic = Topic::new("aligned", 2);
    for (partition, pace) in [(0, 10), (1, 1)] {
        let values: Vec<String> =
            (0..RECORDS).map(|n| format!("{{\"p\": {partition}, \"s\": {}}}", n * pace)).collect();
        topic.write(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let furthest_ahead = |aligned: &str| {
        let work = tempfile::tempdir().unwrap();
        let columns = "p BIGINT, s BIGINT, ts AS TO_TIMESTAMP_LTZ(s, 0), WATERMARK FOR ts AS ts";
        let script = file(
            ".sql",
            &format!(
                "{}CREATE TABLE seen (p BIGINT, s BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
                 INSERT INTO seen SELECT p, s FROM t;",
                table(&topic, columns, &format!(", 'scan.bounded.mode' = 'latest-offset'{aligned}")),
                work.path().display()
            ),
        );
        let batch = format!("execution.batch-rows={BATCH}");
        // One file, in the order in which it was read.
        let one_file = "execution.checkpointing.interval=1h";
        weir(&["run", path(&script), "--quiet", "--parallelism", "1", "-D", &batch, "-D", one_file]);
        let rows: Vec<(i64, i64)> = lines(work.path())
            .iter()
            .map(|line| line.split_once(',').map(|(p, s)| (p.parse().unwrap(), s.parse().unwrap())).unwrap())
            .collect();
        let seen: BTreeSet<_> = rows.iter().collect();
        assert_eq!((rows.len(), seen.len()), (RECORDS as usize * 2, RECORDS as usize * 2));
        let (mut slow, mut ahead) = (0, 0);
        // When the slow one is at its end nobody waits.
        for (partition, second) in rows.into_iter().take_while(|row| *row != (1, RECORDS - 1)) {
            match partition {
                0 => ahead = ahead.max(second - slow),
                _ => slow = second,
            }
        }
        ahead
    };
    let aligned = furthest_ahead(&format!(", 'scan.watermark.alignment.max-drift' = '{DRIFT} s'"));
    assert!(aligned <= DRIFT + BATCH * 10, "{aligned} s ahead");
    let free = furthest_ahead("");
    assert!(free > 10 * (DRIFT + BATCH * 10), "only {free} s ahead: that proves little");
}

#[test]
fn how_partitions_are_aligned_is_explained_and_what_cannot_be_is_refused() {
    let explain = |connector: &str, watermark: &str, drift: &str| {
        let script = format!(
            "CREATE TABLE t (ts TIMESTAMP(3){watermark}) WITH ({connector}, 'format' = 'json',
               'scan.watermark.alignment.max-drift' = '{drift}');\nSELECT ts FROM t;"
        );
        weir(&["explain", path(&file(".sql", &script))])
    };
    let kafka = "'connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'h:9092',
                 'scan.startup.mode' = 'earliest-offset'";
    let watermark = ", WATERMARK FOR ts AS ts";
    let explained = explain(kafka, watermark, "5 min");
    assert!(explained.out.contains("splits aligned within 5 min"), "{}", explained.out);
    for (connector, watermark, drift, error) in [
        (
            "'connector' = 'filesystem', 'path' = '/t'",
            watermark,
            "5 min",
            "connector `filesystem` does not read its splits side by side",
        ),
        (kafka, "", "5 min", "table `t` has no watermark that could be aligned"),
        (kafka, watermark, "0 s", "expected a duration greater than zero"),
        (kafka, watermark, "much", "expected a duration greater than zero"),
    ] {
        let refused = explain(connector, watermark, drift);
        assert!(refused.err.contains(error), "{}", refused.err);
    }
}

#[test]
#[ignore = "wants a broker"]
fn from_kafka_to_kafka_each_record_is_there_once_whatever_was_killed() {
    const PARTITIONS: i32 = 3;
    const RECORDS: usize = 20_000;
    let (from, to) = (Topic::new("from", PARTITIONS), Topic::new("to", 2));
    for partition in 0..PARTITIONS {
        let values: Vec<String> = (0..RECORDS).map(|n| format!("{{\"n\": {}}}", n * 3 + partition as usize)).collect();
        from.write(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let work = tempfile::tempdir().unwrap();
    let script = file(
        ".sql",
        &format!(
            "{}CREATE TABLE result (n BIGINT, twice BIGINT) WITH ('connector' = 'kafka', 'topic' = '{}',
               'properties.bootstrap.servers' = '{}', 'format' = 'csv');
             INSERT INTO result SELECT n, n * 2 FROM t;",
            table(
                &from,
                "n BIGINT",
                ", 'scan.bounded.mode' = 'latest-offset', 'scan.records-per-second.limit' = '20000'"
            ),
            to.name,
            address()
        ),
    );
    let state = work.path().join("state");
    let (mut kills, mut moment) = (0, 0x5eed_u64);
    for parallelism in [1, 2, 4, 3, 1, 2, 4, 1].into_iter().cycle() {
        let mut job = command(&["run", path(&script), "--quiet", "--parallelism", &format!("{parallelism}")])
            .args(["--state-dir", state.to_str().unwrap(), "-D", "execution.checkpointing.interval=20ms"])
            .args(["-D", "execution.batch-rows=256"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if kills < 8 {
            moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The moment is what varies; nothing waits for it.
            std::thread::sleep(Duration::from_millis(600 + (moment >> 33) % 1500));
            job.kill().unwrap();
        }
        let output = job.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills hit a running job: that proves little");
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for value in to.committed_values() {
        let (n, twice) = value.split_once(',').unwrap();
        let n: i64 = n.parse().unwrap();
        assert_eq!(twice, (n * 2).to_string());
        *counts.entry(n).or_default() += 1;
    }
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?} after {kills} kills");
    assert_eq!(counts.len(), RECORDS * PARTITIONS as usize, "after {kills} kills");
}

/// What a topic holds whose records replace each other: the last value of each key, unless there is none.
fn last_values(topic: &Topic) -> BTreeMap<String, String> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let mut last = BTreeMap::new();
    for (key, value) in topic.committed_records(|_, message| (text(message.key()).unwrap(), text(message.payload()))) {
        match value {
            Some(value) => last.insert(key, value),
            None => last.remove(&key),
        };
    }
    last
}

#[test]
#[ignore = "wants a broker"]
fn results_that_change_are_records_that_replace_each_other() {
    const RECORDS: i64 = 3000;
    let (group, place, value) = (|n: i64| n * 7919 % 41, |n: i64| n * 7919 % 41 % 5, |n: i64| n * 104_729 % 1009);
    let from = Topic::new("changing", 3);
    for partition in 0..3 {
        let record = |n: i64| format!("{{\"k\": {}, \"place\": {}, \"v\": {}}}", group(n), place(n), value(n));
        let values: Vec<String> = (0..RECORDS).filter(|n| n % 3 == i64::from(partition)).map(record).collect();
        from.write(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let (totals, odd, greatest) = (Topic::new("totals", 2), Topic::new("odd", 2), Topic::new("greatest", 2));
    let to = |name: &str, topic: &Topic, columns: &str, with: &str| {
        format!(
            "CREATE TABLE {name} ({columns}, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',
               'topic' = '{}', 'properties.bootstrap.servers' = '{}', 'key.format' = 'csv', 'value.format' = 'csv'{with});",
            topic.name,
            address()
        )
    };
    let columns = "k BIGINT NOT NULL, n BIGINT, total BIGINT";
    let grouped = "SELECT COALESCE(k, 0) AS k, COUNT(*) AS n, SUM(v) AS total FROM t GROUP BY COALESCE(k, 0)";
    let bounded = ", 'scan.bounded.mode' = 'latest-offset', 'scan.records-per-second.limit' = '6000'";
    let script = file(
        ".sql",
        &[
            table(&from, "k BIGINT, place BIGINT, v BIGINT", bounded),
            to("totals", &totals, columns, ""),
            to("odd", &odd, columns, ""),
            to("greatest", &greatest, columns, ", 'value.fields-include' = 'EXCEPT_KEY'"),
            format!("INSERT INTO totals {grouped};\nINSERT INTO odd SELECT * FROM ({grouped}) WHERE n % 2 = 1;\n"),
            // Several rows of the query have one key of the table.
            "INSERT INTO greatest SELECT COALESCE(place, 0), k, SUM(v) FROM t WHERE v > 500 GROUP BY place, k;"
                .to_owned(),
        ]
        .concat(),
    );
    weir(&["run", path(&script), "--quiet", "--parallelism", "2", "-D", "execution.checkpointing.interval=50ms"])
        .code(0);

    let mut expected: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let mut of_places: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for n in 0..RECORDS {
        let total = expected.entry(group(n)).or_default();
        *total = (total.0 + 1, total.1 + value(n));
        if value(n) > 500 {
            *of_places.entry(place(n)).or_default().entry(group(n)).or_default() += value(n);
        }
    }
    let lines = |keep: fn(i64) -> bool| -> BTreeMap<String, String> {
        let kept = expected.iter().filter(|(_, (n, _))| keep(*n));
        kept.map(|(k, (n, total))| (k.to_string(), format!("{k},{n},{total}"))).collect()
    };
    assert_eq!(last_values(&totals), lines(|_| true));
    assert_eq!(last_values(&odd), lines(|n| n % 2 == 1));
    let last = |(place, groups): (&i64, &BTreeMap<i64, i64>)| {
        let (k, total) = groups.last_key_value().unwrap();
        (place.to_string(), format!("{k},{total}"))
    };
    assert_eq!(last_values(&greatest), of_places.iter().map(last).collect());
    let changes = totals.committed_records(|_, _| ()).len();
    assert!(changes > 2 * expected.len(), "{changes} records: that proves little");
}

#[test]
#[ignore = "wants a broker"]
fn results_that_change_are_told_as_debezium_does() {
    const RECORDS: i64 = 3000;
    let from = Topic::new("told", 3);
    for partition in 0..3 {
        let record = |n: i64| format!("{{\"k\": {}, \"v\": {n}}}", n * 7919 % 41);
        let values: Vec<String> = (0..RECORDS).filter(|n| n % 3 == i64::from(partition)).map(record).collect();
        from.write(partition, &values.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let to = Topic::new("debezium", 3);
    let script = |with: &str| {
        let target = format!(
            "CREATE TABLE told (k BIGINT, n BIGINT, total BIGINT) WITH ('connector' = 'kafka', 'topic' = '{}',
               'properties.bootstrap.servers' = '{}', 'value.format' = 'debezium-json'{with});
             INSERT INTO told SELECT k, COUNT(*), SUM(v) FROM t GROUP BY k;",
            to.name,
            address()
        );
        let bounded = ", 'scan.bounded.mode' = 'latest-offset', 'scan.records-per-second.limit' = '6000'";
        file(".sql", &(table(&from, "k BIGINT, v BIGINT", bounded) + &target))
    };
    let keyed = ", 'key.format' = 'json', 'key.fields' = 'k'";
    let arguments = ["--quiet", "--parallelism", "2", "-D", "execution.checkpointing.interval=50ms"];
    weir(&[["run", path(&script(keyed))].as_slice(), &arguments].concat()).code(0);
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    let messages = to.committed_records(|_, message| String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
    let count = messages.len();
    for message in messages {
        let (row, change) = match message.strip_prefix("{\"before\":null,\"after\":") {
            Some(rest) => (rest.strip_suffix(",\"op\":\"c\"}"), 1),
            None => {
                let rest = message.strip_prefix("{\"before\":").unwrap();
                (rest.strip_suffix(",\"after\":null,\"op\":\"d\"}"), -1)
            }
        };
        let there = rows.entry(row.unwrap().to_owned()).or_default();
        *there += change;
        assert!((0..=1).contains(there), "{message} came where there were {}", *there - change);
    }
    rows.retain(|_, there| *there > 0);
    let mut expected: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for n in 0..RECORDS {
        let group = expected.entry(n * 7919 % 41).or_default();
        *group = (group.0 + 1, group.1 + n);
    }
    let row = |(k, (n, total)): (&i64, &(i64, i64))| format!("{{\"k\":{k},\"n\":{n},\"total\":{total}}}");
    assert_eq!(rows.into_keys().collect::<BTreeSet<_>>(), expected.iter().map(row).collect());
    assert!(count > 3 * 41, "{count} messages: that proves little");

    weir(&["run", path(&script(""))])
        .code(2)
        .says(&["have no key that keeps a row's changes in one partition", "'key.fields' = 'id'"]);
    let lax = format!("{keyed}, 'sink.delivery-guarantee' = 'at-least-once'");
    weir(&["run", path(&script(&lax))]).code(2).says(&["'sink.delivery-guarantee'", "the results of this one change"]);
}

/// A job that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "wants a broker"]
fn an_audit_compares_what_the_cluster_has_committed_with_what_the_broker_has() {
    let (from, to, commits) = (
        Topic::new("audited", 1),
        Topic::new("audit", 1),
        Topic::with(&unique("audit-commits"), 1, &[("cleanup.policy", "compact")]),
    );
    let cluster = Cluster::start(1, 2);
    let script = format!(
        "{}CREATE TABLE o (n BIGINT) WITH ('connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{}',
           'format' = 'json', 'sink.commits-topic' = '{}');
         INSERT INTO o SELECT n FROM t;",
        table(&from, "n BIGINT", ""),
        to.name,
        address(),
        commits.name
    );
    let seldom = "execution.checkpointing.interval=1h";
    cluster.weir(&["submit", "-e", &script, "--name", "copy", "--detach", "-D", seldom]).code(0);
    let audit = || cluster.json(&["sinks", "audit", "copy"])["sinks"][0].clone();
    for n in 1..=2 {
        from.write(0, &[&format!("{{\"n\": {n}}}")]);
        cluster.until_job("copy", "has read the record", |job| job["figures"]["rows_out"] == n);
        cluster.weir(&["jobs", "savepoint", "copy"]).code(0);
        until("it is copied", || (to.committed_values().len() == n).then_some(()));
        let audit = until("its epoch is acknowledged", || {
            let audit = audit();
            assert_eq!(audit["verdict"], "agrees", "{audit:#}");
            let last = audit["epochs"].as_array().unwrap().last().unwrap();
            (last["committed"] == true).then_some(audit)
        });
        let last = audit["epochs"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["found"], &last["rows"]), (&json!("written"), &json!(1)), "{audit:#}");
        assert_eq!(audit["written"], last["epoch"], "{audit:#}");
    }
    cluster.weir(&["jobs", "stop", "copy"]).code(0);
    let last = audit();
    let empty = last["epochs"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["verdict"], &empty["found"]), (&json!("agrees"), &json!("empty")), "{last:#}");
    // One record for each sink: what its transactional id has written last.
    let (id, marker) = last_values(&commits).pop_first().unwrap();
    assert_eq!(marker, format!("{{\"committed\":{}}}", last["written"]));
    assert!(last["marker"].as_str().unwrap().ends_with(&id), "{last:#}");
    assert!(last["target"].as_str().unwrap().contains(&to.name), "{last:#}");

    // The broker has lost an epoch that it had acknowledged; then it has one that was never decided; then it has lost its account.
    let says = |value: Option<&str>, code: i32, expected: &str| {
        commits.write_records(
            0,
            &[Record { key: Some(id.as_bytes()), value: value.map(str::as_bytes), ..Record::default() }],
        );
        let printed = cluster.weir(&["sinks", "audit", "copy"]).code(code).out;
        assert!(printed.contains(expected), "it lacks {expected:?}:\n{printed}");
    };
    says(Some("{\"committed\":0}"), 5, "was committed, and is not there");
    says(None, 5, "it cannot be told whether epoch");
    says(Some("{\"committed\":99999}"), 5, "epoch 99999 is there, and the last completed one is");
    says(Some("{"), 5, "makes no sense");
    says(Some(&marker), 0, "agrees");
}

#[test]
#[ignore = "wants a broker"]
fn a_partition_without_records_holds_up_nobody() {
    let topic = Topic::new("idle", 3);
    let script = file(
        ".sql",
        &format!(
            "{}SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))
             GROUP BY window_start, window_end;",
            table(&topic, "ts TIMESTAMP(3), WATERMARK FOR ts AS ts", ", 'scan.watermark.idle-timeout' = '500ms'")
        ),
    );
    for parallelism in ["1", "3"] {
        let mut job = command(&["run", path(&script), "--quiet", "--output", "csv", "--parallelism", parallelism])
            .args(["-D", "execution.checkpointing.interval=100ms"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = job.stdout.take().unwrap();
        let _job = Running(job);
        let reader = std::thread::spawn(move || BufReader::new(out).lines().take(3).map(Result::unwrap).collect());
        // Partition 0 goes on and on; 1 and 2 never have any.
        let mut minute = 0;
        while !reader.is_finished() {
            assert!(minute < 50, "the others hold it up");
            topic.write(0, &[&format!("{{\"ts\": \"2026-01-01 0{parallelism}:{minute:02}:01\"}}")]);
            minute += 1;
            std::thread::sleep(Duration::from_millis(200));
        }
        let found: BTreeSet<String> = reader.join().unwrap();
        // Windows come from several subtasks, in no order.
        let is_window = |line: &&String| line.starts_with("2026-01-01 0") && line.ends_with(":00.000,1");
        assert_eq!(found.iter().filter(is_window).count(), 2, "parallelism {parallelism}: {found:?}");
    }
}

#[test]
#[ignore = "wants a broker"]
fn a_record_that_cannot_be_decoded_is_named_or_kept() {
    let topic = Topic::new("poison", 2);
    topic.write(1, &["{\"n\": 1}", "{\"n\": \"one\"}", "{\"n\": 2}"]);
    let bounded = ", 'scan.bounded.mode' = 'latest-offset'";
    let failing = file(".sql", &format!("{}SELECT n FROM t;", table(&topic, "n BIGINT", bounded)));
    weir(&["run", path(&failing)]).code(3).says(&[&format!(
        "topic '{}', partition 1, offset 1: column 'n': '\"one\"' is not a valid BIGINT",
        topic.name
    )]);
    let work = tempfile::tempdir().unwrap();
    let kept = file(
        ".sql",
        &format!(
            "CREATE TABLE dead (table_name STRING, origin STRING, record_offset BIGINT, raw BYTES, reason STRING)
               WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
             {}SELECT n FROM t;",
            work.path().display(),
            table(
                &topic,
                "n BIGINT",
                &format!("{bounded}, 'error-policy' = 'dead-letter', 'dead-letter.table' = 'dead'")
            )
        ),
    );
    let ran = weir(&["run", path(&kept), "--output", "csv", "--parallelism", "2"]).code(0);
    assert_eq!(ran.out, "n\n1\n2\n");
    let dead = format!("t,{}-1,1,eyJuIjogIm9uZSJ9,\"column 'n': '\"\"one\"\"' is not a valid BIGINT\"", topic.name);
    assert_eq!(lines(work.path()), [dead]);
}

#[test]
fn a_misspelt_option_or_metadata_column_is_named() {
    let topic = |with: &str, column: &str| {
        let text = format!(
            "CREATE TABLE t (v STRING{column}) WITH ('connector' = 'kafka', 'properties.bootstrap.servers' = 'a:1', 'format' = 'raw', {with});
             SELECT v FROM t;"
        );
        file(".sql", &text)
    };
    let cases = [
        (
            "'topic' = 'a', 'scan.startup.mod' = 'x'",
            "",
            "connector `kafka` has no option 'scan.startup.mod'",
            "scan.startup.mode",
        ),
        (
            "'topic' = 'a', 'scan.startup.mode' = 'x'",
            "",
            "option 'scan.startup.mode' of table 't' is 'x'",
            "'earliest-offset'",
        ),
        ("'scan.startup.mode' = 'earliest-offset'", "", "table 't' has no option 'topic'", "or 'topic-pattern'"),
        (
            "'topic' = 'a'",
            ", at INT METADATA FROM 'ofset'",
            "connector `kafka` has no metadata column 'ofset'",
            "did you mean `offset`?",
        ),
        (
            "'topic' = 'a'",
            ", `partition` BIGINT METADATA",
            "metadata column 'partition' of connector `kafka` is INT, not BIGINT",
            "declare it INT",
        ),
    ];
    for (with, column, message, help) in cases {
        let script = topic(with, column);
        weir(&["explain", path(&script)]).code(2).says(&[message, help]);
    }
}
