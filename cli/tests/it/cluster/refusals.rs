//! What a cluster does not take, and says so.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::nexmark::Bids;
use super::processes::{Cluster, free_addresses};
use crate::weir::{file, path, weir};

/// An endless job that writes nothing.
const ENDLESS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen');
    CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nowhere SELECT n FROM numbers";

/// Sends bytes that nobody there expects, until the other end has enough.
fn disturb(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The other end may hang up before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    let gone = ended.as_ref().map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
    assert!(gone, "{address} keeps a connection that says nonsense: {ended:?}");
}

#[test]
fn nonsense_on_the_ports_disturbs_no_job() {
    let cluster = Cluster::start(2, 1);
    let bids = Bids { seconds: 4 };
    bids.submit(&cluster, "counts", 2);
    let job = cluster.until_checkpoint("counts");
    let workers = job["placement"]["workers"].as_array().unwrap();
    let mut addresses: Vec<String> =
        workers.iter().map(|worker| worker["address"].as_str().unwrap().to_owned()).collect();
    addresses.push(cluster.coordinator().to_owned());
    assert_eq!(addresses.len(), 3);
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for address in &addresses {
        disturb(address, &garbage);
        disturb(address, &[0xff; 64]);
        disturb(address, &[0; 64]);
        disturb(address, b"GET / HTTP/1.1\r\nHost: weir\r\n\r\n");
        disturb(address, b"");
    }
    assert_eq!(cluster.job("counts")["status"], "running", "the job ended before it was disturbed");
    let finished = cluster.until_finished("counts");
    assert_eq!((&finished["attempt"], &finished["last_failure"].is_null()), (&1.into(), &true), "{finished:#}");
    bids.assert_result(&cluster, "counts");
}

#[test]
fn a_worker_of_another_cluster_is_refused() {
    let mut here = Cluster::start(1, 1);
    assert_eq!(here.terminate("w1").code(), Some(0));
    let elsewhere = Cluster::of_coordinators(1);
    elsewhere
        .weir(&["worker", "--data-dir", &here.path("w1")])
        .code(2)
        .says(&["worker w1 belongs to the cluster weir-", "give it a data directory of its own"]);
    assert!(elsewhere.json(&["workers", "list"]).as_array().unwrap().is_empty());
    // Nor may a worker be given another's data.
    here.weir(&["worker", "--name", "w2", "--data-dir", &here.path("w1")]).code(2).says(&["is that of worker w1"]);
}

#[test]
fn what_others_could_reach_needs_consent() {
    let address = free_addresses(1)[0].replace("127.0.0.1", "0.0.0.0");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for process in ["coordinator", "worker"] {
        weir(&[process, "--listen", &address, "--data-dir", data.to_str().unwrap()])
            .code(2)
            .says(&["can be reached from other machines", "--insecure"]);
    }
    let data_dir = ["--data-dir", data.to_str().unwrap()];
    let local = weir(&[&["local", "--listen", &address], &data_dir[..]].concat()).code(2).says(&["for this machine"]);
    assert!(!local.err.contains("--insecure"), "which it does not have: {}", local.err);
    // Nor is where it listens where others reach it.
    let open = ["coordinator", "--listen", &address, "--insecure"];
    weir(&[&open, &data_dir[..]].concat()).code(2).says(&["cannot find a coordinator at 0.0.0.0", "--advertise"]);
    assert!(!data.exists());
}

#[test]
fn jobs_that_cannot_be_taken_are_refused_with_a_reason() {
    let cluster = Cluster::start(1, 2);
    let submit = |script: &str, more: &[&str]| cluster.weir(&[&["submit", "-e", script, "--detach"], more].concat());

    let select = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen'); SELECT n FROM numbers";
    submit(select, &[]).code(2).says(&["nobody would be there to read the rows", "leave --detach out", "INSERT INTO"]);
    cluster.weir(&["submit", "-e", select, "--stop-on-interrupt"]).code(2).says(&["of no use to a SELECT"]);
    cluster.weir(&["jobs", "describe", "nobody"]).code(2).says(&["there is no job default/nobody"]);
    cluster.weir(&["jobs", "cancel", "77"]).code(2).says(&["there is no job 77"]);
    submit(ENDLESS, &["--namespace", "flights"]).code(2).says(&["there is no namespace flights"]);

    let large = file(".sql", &format!("{ENDLESS};\n-- {}", "x".repeat((16 << 20) - ENDLESS.len() - 5)));
    cluster.weir(&["submit", path(&large), "--detach"]).code(2).says(&["the request takes", "and may take 16.0 MiB"]);
    assert!(cluster.json(&["jobs", "list", "--all"]).as_array().unwrap().is_empty());

    cluster.weir(&["namespaces", "create", "flights", "--slots", "1"]).code(0);
    submit(ENDLESS, &["--namespace", "flights", "-p", "2"]).code(2).says(&["namespace flights may use 1 slot", "2"]);
    submit(ENDLESS, &["--namespace", "flights", "--name", "one"]).code(0);
    submit(ENDLESS, &["--namespace", "flights", "--name", "two"]).code(2).says(&["namespace flights"]);

    submit(ENDLESS, &["--name", "wide", "-p", "9"]).code(0);
    let wide = cluster.until_job("wide", "says what it waits for", |job| job["waiting_for"].is_string());
    assert_eq!(wide["status"], "scheduling");
    assert!(cluster.weir(&["jobs", "list"]).code(0).out.contains("needs 9 slots"), "{wide:#}");
    cluster.weir(&["jobs", "cancel", "wide", "--wait"]).code(0);
    cluster.weir(&["namespaces", "delete", "flights"]).code(2).says(&["namespace flights has a job"]);
}

#[test]
fn a_changed_query_is_told_what_the_state_of_the_old_one_would_be_to_it() {
    let cluster = Cluster::start(1, 2);
    let script = |aggregate: &str| {
        let query = format!(
            "SELECT auction, {aggregate} FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' SECOND))
             GROUP BY window_start, window_end, auction"
        );
        Bids { seconds: 3600 }.nowhere(&query, "auction BIGINT, figure BIGINT")
    };
    let submit = |name: &str, aggregate: &str, slots: &str| {
        cluster.weir(&["submit", "-e", &script(aggregate), "--name", name, "-p", slots, "--detach"])
    };
    // (what becomes of it, the operator) of each line of the table.
    let told = |err: &str| -> Vec<(String, String)> {
        let lines = err.lines().skip_while(|line| !line.starts_with("STATE ")).skip(1);
        let lines = lines.take_while(|line| !line.starts_with("  help:"));
        let columns = lines.map(|line| line.split("  ").filter(|column| !column.is_empty()).map(str::trim));
        columns.map(|mut row| (row.next().unwrap().to_owned(), row.next().unwrap().to_owned())).collect()
    };

    submit("bids", "MIN(price)", "2").code(0);
    cluster.until_checkpoint("bids");
    let refused =
        submit("bids", "MAX(price)", "2").code(2).says(&["job 1 in namespace default has the name bids already"]);
    let plan = told(&refused.err);
    let of = |fate: &str| plan.iter().filter(|(word, _)| word == fate).map(|(_, of)| of.as_str()).collect::<Vec<_>>();
    assert_eq!(of("kept").len(), 2, "where it reads, and how far: {}", refused.err);
    assert_eq!(of("rebuilt"), ["nowhere/sink/window-aggregate"], "{}", refused.err);
    assert_eq!(of("rebuilt"), of("dropped"), "nobody goes on with what was there: {}", refused.err);
    assert!(refused.err.contains("a changed query cannot take over state"), "{}", refused.err);

    // A job without a checkpoint has no state.
    submit("wide", "MIN(price)", "9").code(0);
    let wide = submit("wide", "MAX(price)", "9").code(2).says(&["has the name wide already, and another definition"]);
    assert_eq!(told(&wide.err), Vec::new());
}
