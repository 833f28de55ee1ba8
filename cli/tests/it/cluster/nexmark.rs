//! A windowed job over the Nexmark bids, and what it has to come to.

use std::path::Path;

use super::processes::Cluster;

/// Events for each second of event time, and with `realtime` also of the clock.
const RATE: u64 = 500;

/// Bids of each auction, second by second: rows go to the subtask that owns their auction.
const QUERY: &str = "SELECT window_start, auction, COUNT(*) AS bids, MAX(price) AS highest
     FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' SECOND))
     GROUP BY window_start, window_end, auction";

/// A job over so many seconds of bids.
#[derive(Debug, Clone, Copy)]
pub struct Bids {
    pub seconds: u64,
}

impl Bids {
    /// What it reads, and how often it takes checkpoints.
    fn source(self, realtime: bool) -> String {
        format!(
            "CREATE TABLE bid (
               auction BIGINT, price BIGINT, dateTime TIMESTAMP(3),
               WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND
             ) WITH ('connector' = 'nexmark', 'nexmark.table' = 'bid', 'events.num' = '{}', 'rate' = '{RATE}',
                     'realtime' = '{realtime}');
             SET 'execution.checkpointing.interval' = '300ms';",
            self.seconds * RATE
        )
    }

    /// The job in real time, with its results there.
    pub fn into(self, out: &Path) -> String {
        self.script(out, true)
    }

    fn script(self, out: &Path, realtime: bool) -> String {
        format!(
            "{}
             CREATE TABLE result (starts TIMESTAMP(3), auction BIGINT, bids BIGINT, highest BIGINT)
               WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.header' = 'false');
             INSERT INTO result {QUERY};",
            self.source(realtime),
            out.display()
        )
    }

    /// A script for real time that computes `query` and writes nothing.
    pub fn nowhere(self, query: &str, columns: &str) -> String {
        format!(
            "{} CREATE TABLE nowhere ({columns}) WITH ('connector' = 'blackhole'); INSERT INTO nowhere {query};",
            self.source(true)
        )
    }

    /// The same rows, to be printed.
    pub fn select(self, realtime: bool) -> String {
        format!("{}\n{QUERY};", self.source(realtime))
    }

    /// Submits it under a name, in real time.
    pub fn submit(self, cluster: &Cluster, name: &str, parallelism: u32) {
        self.submit_into(cluster, name, &cluster.folder().join(name), parallelism);
    }

    /// The same, with results elsewhere.
    pub fn submit_into(self, cluster: &Cluster, name: &str, out: &Path, parallelism: u32) {
        let script = self.into(out);
        let parallelism = parallelism.to_string();
        cluster.weir(&["submit", "-e", &script, "--name", name, "-p", &parallelism, "--detach"]).code(0);
    }

    /// The files of the job that was submitted under this name hold what `weir run` computes, each row once.
    #[track_caller]
    pub fn assert_result(self, cluster: &Cluster, name: &str) {
        self.assert_rows(cluster, name, &rows(&cluster.folder().join(name)));
    }

    /// These rows, sorted, are those that `weir run` computes.
    #[track_caller]
    pub fn assert_rows(self, cluster: &Cluster, name: &str, found: &[String]) {
        let out = cluster.folder().join(format!("{name}-by-run"));
        crate::weir::weir(&["run", "--quiet", "-e", &self.script(&out, false)]).code(0);
        let expected = rows(&out);
        assert!(expected.len() as u64 > self.seconds, "{} rows prove little", expected.len());
        let lacks: Vec<_> = expected.iter().filter(|row| !found.contains(row)).take(5).collect();
        assert!(
            found == expected,
            "{} rows instead of {}; among those that are missing: {lacks:?}",
            found.len(),
            expected.len()
        );
    }
}

/// The rows in the visible files of a folder, sorted.
fn rows(folder: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("part-") {
            rows.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned));
        }
    }
    rows.sort();
    rows
}
