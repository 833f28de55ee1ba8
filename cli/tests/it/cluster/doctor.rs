//! `weir jobs doctor`, asked about problems that are really there.

use serde_json::Value;

use super::processes::{Cluster, until};

/// Rows of now, so many a second, into windows of a length, whose rows are printed.
fn windows(rate: &str, more: &str, length: &str, sink: &str) -> String {
    format!(
        "CREATE TABLE numbers (n BIGINT, t TIMESTAMP(3), WATERMARK FOR t AS t)
            WITH ('connector' = 'datagen', 'rows-per-second' = '{rate}', {more}
                  'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1000000000');
         CREATE TABLE out (w TIMESTAMP(3), k BIGINT, c BIGINT) WITH ({sink});
         SET 'execution.checkpointing.interval' = '1s';
         INSERT INTO out SELECT window_start, n % 1000, count(*)
            FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(t), INTERVAL {length}))
            GROUP BY window_start, window_end, n % 1000;"
    )
}

fn submit(cluster: &Cluster, name: &str, script: &str, parallelism: &str) {
    let path = cluster.path(&format!("{name}.sql"));
    std::fs::write(&path, script).unwrap();
    cluster.weir(&["submit", &path, "--name", name, "--parallelism", parallelism, "--detach"]).code(0);
}

/// What the doctor finds: codes and vertices.
fn examine(cluster: &Cluster, name: &str) -> Vec<(String, String)> {
    let findings = cluster.json(&["jobs", "doctor", name]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings.as_array().unwrap().iter().map(|finding| (text(&finding["code"]), text(&finding["vertex"]))).collect()
}

fn until_found(cluster: &Cluster, name: &str, code: &str, at: &str) {
    until(&format!("the doctor finds {code} at {at} in {name}"), || {
        let found = examine(cluster, name);
        found.iter().any(|(found, vertex)| found == code && vertex.starts_with(at)).then_some(())
    });
}

/// A time so far from now, in the words of datagen.
#[allow(clippy::disallowed_methods, reason = "rows of now")]
fn start_in(seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64 + seconds;
    let (days, rest) = (now.div_euclid(86_400), now.rem_euclid(86_400));
    // Howard Hinnant, chrono-Compatible Low-Level Date Algorithms, `civil_from_days`.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) =
        if month < 10 { (year_of_era + era * 400, month + 3) } else { (year_of_era + era * 400 + 1, month - 9) };
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[test]
fn problems_of_real_jobs_are_named() {
    let mut cluster = Cluster::start(0, 0);
    // Nobody reads what this worker prints.
    let coordinator = cluster.coordinator().to_owned();
    let printed =
        cluster.begin_piped("w1", &["worker", "--name", "w1", "--slots", "6", "--coordinators", &coordinator]);
    let now = format!("'start-time' = '{}',", start_in(0));
    let blackhole = "'connector' = 'blackhole'";

    submit(&cluster, "well", &windows("2000", &now, "'1' SECOND", blackhole), "1");
    submit(&cluster, "wide", &windows("2000", &now, "'1' DAY", blackhole), "2");
    let ahead = format!("'start-time' = '{}',", start_in(86_400));
    submit(&cluster, "ahead", &windows("2000", &ahead, "'1' SECOND", blackhole), "1");
    submit(&cluster, "stuck", &windows("20000", &now, "'1' SECOND", "'connector' = 'print'"), "1");
    submit(&cluster, "waits", &windows("2000", &now, "'1' SECOND", blackhole), "4");

    until_found(&cluster, "waits", "missing-slots", "");
    until_found(&cluster, "wide", "window-not-full", "WindowAggregate");
    until_found(&cluster, "ahead", "clock-ahead", "Source(numbers)");
    until_found(&cluster, "stuck", "slow-sink", "Sink(out)");
    until_found(&cluster, "stuck", "checkpoint-held-up", "");
    until("nothing is found where nothing is wrong", || examine(&cluster, "well").is_empty().then_some(()));

    let told = cluster.weir(&["jobs", "doctor", "stuck"]).code(5);
    assert!(told.out.contains("slow-sink at Sink(out)") && told.out.contains("what to do: "), "{}", told.out);
    cluster.weir(&["jobs", "doctor", "well"]).code(0);
    let described = cluster.weir(&["jobs", "describe", "stuck"]).code(0).out;
    assert!(described.contains("backpressured") && described.contains(" %"), "{described}");
    // A job that should run and does not is missing in the cluster.
    let status = cluster.weir(&["cluster", "status"]).code(5).out;
    assert!(status.contains("job default/waits, which is scheduling"), "{status}");
    drop(printed);
}

#[test]
fn what_is_lost_is_shown_as_that() {
    let mut cluster = Cluster::of_coordinators(3);
    cluster.add_workers(2, 1);
    cluster.weir(&["cluster", "status"]).code(0);
    cluster.kill("w2");
    let lost = until("the worker is given up", || {
        let workers = cluster.json(&["workers", "list"]);
        workers.as_array().unwrap().iter().find(|worker| !worker["lost_at"].is_null()).cloned()
    });
    assert_eq!((&lost["worker"], &lost["connected"]), (&"w2".into(), &false.into()));
    assert!(cluster.weir(&["workers", "list"]).code(0).out.contains("lost: "));
    let status = cluster.weir(&["cluster", "status"]).code(5).out;
    assert!(status.contains("worker w2: "), "{status}");
    cluster.start_worker("w2", 1);
    until("it is back", || (cluster.weir(&["cluster", "status"]).code == Some(0)).then_some(()));
    let status = cluster.json(&["cluster", "status"]);
    let follower = (1..=3).find(|id| status["leader"] != *id).unwrap();
    cluster.kill(&format!("c{follower}"));
    until("the coordinator is missing", || {
        let status = cluster.weir(&["cluster", "status"]);
        (status.code == Some(5) && status.out.contains("not there")).then_some(())
    });
}

#[test]
fn a_failed_job_is_in_the_list_with_its_cause() {
    let cluster = Cluster::start(1, 1);
    let path = cluster.path("fails.csv");
    std::fs::write(&path, "1\nnot a number\n").unwrap();
    let script = format!(
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');
         CREATE TABLE out (n BIGINT) WITH ('connector' = 'blackhole');
         SET 'restart-strategy.type' = 'none';
         INSERT INTO out SELECT n FROM numbers;"
    );
    submit(&cluster, "fails", &script, "1");
    let listed = until("it has failed", || {
        let listed = cluster.weir(&["jobs", "list"]).code(0).out;
        listed.contains("failed").then_some(listed)
    });
    assert!(listed.contains("default/fails") || listed.contains("\"fails\""), "{listed}");
    let jobs = cluster.json(&["jobs", "list"]);
    assert!(jobs[0]["last_failure"]["report"].as_str().unwrap().contains("not a number"), "{jobs:#}");
    assert_eq!(examine(&cluster, "fails")[0].0, "failed");
}
