//! A job that is killed with SIGKILL at random moments, again and again, writes every row exactly once.

#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::batch::oracle::{Oracle, Row, difference, rows_of_csv};
use crate::flights;

/// A query, the columns of its result, and the question for the oracle.
struct Case {
    name: &'static str,
    columns: &'static str,
    streaming: &'static str,
    batch: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "pass through",
        columns: "carrier STRING, flight INT, time_hour TIMESTAMP(3)",
        streaming: "SELECT carrier, flight, time_hour FROM flights",
        batch: "SELECT carrier, flight, time_hour FROM flights",
    },
    Case {
        name: "hopping windows",
        columns: "starts TIMESTAMP(3), origin STRING, departures BIGINT, mean DOUBLE",
        streaming: "SELECT window_start, origin, COUNT(*), AVG(dep_delay)
                    FROM TABLE(HOP(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR, INTERVAL '3' HOUR))
                    GROUP BY window_start, window_end, origin",
        batch: "SELECT date_bin(INTERVAL '1 hour', time_hour) - i, origin, COUNT(*), AVG(dep_delay)
                FROM flights CROSS JOIN (VALUES (INTERVAL '0 hours'), (INTERVAL '1 hours'), (INTERVAL '2 hours')) AS back(i) GROUP BY 1, 2",
    },
    Case {
        name: "sessions",
        columns: "tailnum STRING, starts TIMESTAMP(3), flights BIGINT",
        streaming: "SELECT tailnum, window_start, COUNT(*)
                    FROM TABLE(SESSION(TABLE flights PARTITION BY tailnum, DESCRIPTOR(time_hour), INTERVAL '6' HOUR))
                    GROUP BY tailnum, window_start, window_end",
        batch: "SELECT tailnum, MIN(time_hour), COUNT(*)
                FROM (SELECT *, SUM(begins) OVER (PARTITION BY tailnum ORDER BY time_hour) AS session
                      FROM (SELECT *, CASE WHEN time_hour - LAG(time_hour) OVER (PARTITION BY tailnum ORDER BY time_hour)
                                                <= INTERVAL '6 hours' THEN 0 ELSE 1 END AS begins FROM flights))
                GROUP BY tailnum, session",
    },
    Case {
        name: "interval join",
        columns: "tailnum STRING, first INT, second INT, at TIMESTAMP(3)",
        streaming: "SELECT a.tailnum, a.flight, b.flight, b.time_hour FROM flights a JOIN flights b
                    ON a.tailnum = b.tailnum
                       AND b.time_hour BETWEEN a.time_hour + INTERVAL '1' HOUR AND a.time_hour + INTERVAL '5' HOUR",
        batch: "SELECT a.tailnum, a.flight, b.flight, b.time_hour FROM flights a JOIN flights b ON a.tailnum = b.tailnum
                AND b.time_hour >= a.time_hour + INTERVAL '1 hour' AND b.time_hour <= a.time_hour + INTERVAL '5 hours'",
    },
];

/// Kills before the job is left to end by itself; the moments are spread over its usual length.
const KILLS: u64 = 8;

#[test]
fn killed_jobs_write_every_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("flights.csv");
    flights::unpack(&data);
    let oracle = Oracle::new(&data);
    let mut random = Random(0x5eed);
    let mut total_kills = 0;
    for case in CASES {
        let expected = oracle.answer(case.batch);
        let length = length_without_kills(&data, case);
        // Without room for state every key is read from a checkpoint when a row comes for it; with a little, some are.
        for (first_parallelism, budget) in [(1, None), (2, Some("0")), (4, Some("200 kb"))] {
            let work = tempfile::tempdir().unwrap();
            let job = Job { budget, ..Job::new(work.path(), &data, case) };
            let kills = run_with_kills(&job, first_parallelism, length, &mut random);
            let found = visible_rows(&work.path().join("out"));
            assert!(
                found == expected,
                "{} from parallelism {first_parallelism}, memory {budget:?}, {kills} kills: {}",
                case.name,
                difference(&expected, &found)
            );
            total_kills += kills;
        }
    }
    assert!(total_kills >= CASES.len() as u64, "only {total_kills} kills hit a running job: that proves little");
}

/// A job that keeps its state in a folder and writes into it.
struct Job<'a> {
    work: &'a Path,
    script: PathBuf,
    /// How much memory its state may take.
    budget: Option<&'a str>,
}

impl<'a> Job<'a> {
    fn new(work: &'a Path, data: &Path, case: &Case) -> Self {
        let text = format!(
            "{}CREATE TABLE result ({}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
               'csv.header' = 'false');\nINSERT INTO result {};\n",
            flights::table(data, "64kb"),
            case.columns,
            work.join("out").display(),
            case.streaming
        );
        let script = work.join("query.sql");
        std::fs::write(&script, text).unwrap();
        Self { work, script, budget: None }
    }

    fn start(&self, parallelism: u64) -> Child {
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg("run")
            .arg(&self.script)
            .arg("--state-dir")
            .arg(self.work.join("state"))
            .args(["--quiet", "--parallelism", &parallelism.to_string()])
            .args(["-D", "execution.checkpointing.interval=10ms", "-D", "execution.batch-rows=256"])
            .args(self.budget.map(|budget| format!("-Dstate.memory-budget={budget}")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// How long the job takes on this machine if nobody kills it: kills later than that would hit nothing.
fn length_without_kills(data: &Path, case: &Case) -> Duration {
    let work = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let output = Job::new(work.path(), data, case).start(2).wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
    start.elapsed()
}

/// Runs the job until it ends by itself. Returns how many kills hit it.
fn run_with_kills(job: &Job<'_>, first_parallelism: u64, length: Duration, random: &mut Random) -> u64 {
    let mut hits = 0;
    for kill in 0.. {
        // Every execution has another parallelism than the one before.
        let parallelism = (first_parallelism + kill) % 4 + 1;
        let mut child = job.start(parallelism);
        if kill < KILLS {
            let moment = Duration::from_micros(random.below(length.as_micros() as u64));
            #[allow(
                clippy::disallowed_methods,
                reason = "the moment of the kill is what is random, nothing waits for it"
            )]
            std::thread::sleep(moment);
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_none(), "{errors}");
        hits += 1;
    }
    hits
}

/// All rows in committed files.
fn visible_rows(folder: &Path) -> Vec<Row> {
    let mut text = String::from("header\n");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("part-") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    rows_of_csv(&text)
}

/// Rows that leave through a pipe wait in their checkpoint. They are printed by its commit, which a kill may hit before it is noted:
/// then the next run prints what it has printed once more, and goes on behind it.
#[test]
fn a_killed_select_prints_on_where_it_was() {
    const ROWS: u64 = 30_000;
    let work = tempfile::tempdir().unwrap();
    let script = work.path().join("numbers.sql");
    let text = format!(
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20000',
           'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{ROWS}');
         SELECT n FROM numbers;"
    );
    std::fs::write(&script, text).unwrap();
    let mut random = Random(0xca11);
    let (mut printed, mut hits) = (0, 0);
    while printed < ROWS {
        let mut job = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg("run")
            .arg(&script)
            .args(["--quiet", "--parallelism", "1", "--output", "csv", "--state-dir"])
            .arg(work.path().join("state"))
            .args(["-D", "execution.checkpointing.interval=10ms", "-D", "execution.batch-rows=64"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(job.stdout.take().unwrap());
        let mut numbers: Vec<u64> = Vec::new();
        let enough = 500 + random.below(ROWS / 4) as usize;
        // The last line may have been cut off.
        let mut line = String::new();
        while out.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            numbers.extend(line.trim_end().parse::<u64>());
            if numbers.len() == enough && hits < 6 {
                job.kill().unwrap();
            }
            line.clear();
        }
        let output = job.wait_with_output().unwrap();
        hits += u64::from(output.status.code().is_none());
        assert!(matches!(output.status.code(), None | Some(0)), "{}", String::from_utf8_lossy(&output.stderr));
        let Some(first) = numbers.first().copied() else { continue };
        assert!(first <= printed + 1, "rows between {printed} and {first} are lost");
        // What one checkpoint held, or this many milliseconds of rows on a machine that was busy.
        assert!(first + 10_000 > printed, "{first} is printed again behind {printed}");
        assert!(numbers.iter().copied().eq(first..first + numbers.len() as u64), "rows come in their order");
        printed = printed.max(first + numbers.len() as u64 - 1);
    }
    assert_eq!(printed, ROWS);
    assert!(hits >= 2, "only {hits} kills hit a running job: that proves little");
}

/// SplitMix64: the moments differ from kill to kill, and a failing test names its kills.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// Files that are there at the start are read, their windows close though no other file comes, and a savepoint taken
/// by ^C is where the next run goes on: with the files that came in between.
#[test]
fn a_watched_folder_goes_on_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (input, script) = (folder.path().join("in"), folder.path().join("watch.sql"));
    std::fs::create_dir(&input).unwrap();
    let put = |minute: u32| {
        let rows = (0..60).step_by(10).map(|second| format!("{{\"ts\": \"2026-01-01 00:{minute:02}:{second:02}\"}}\n"));
        let written = folder.path().join("written.json");
        std::fs::write(&written, rows.collect::<String>()).unwrap();
        std::fs::rename(written, input.join(format!("{minute:02}.json"))).unwrap();
    };
    std::fs::write(
        &script,
        format!(
            "CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = '{}',
               'format' = 'json', 'source.monitor-interval' = '50ms');
             SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end;",
            input.display()
        ),
    )
    .unwrap();
    let mut minutes = 0;
    for parallelism in ["1", "2"] {
        put(minutes);
        put(minutes + 1);
        let mut job = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg("run")
            .arg(&script)
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .args(["--quiet", "--output", "csv", "--parallelism", parallelism])
            .args(["-D", "execution.checkpointing.interval=50ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(job.stdout.take().unwrap()).lines();
        // The last minute's window stays open. The first run has a header and one window, the second one two windows.
        for window in minutes.saturating_sub(1)..=minutes {
            let mut line = lines.next().unwrap().unwrap();
            if line.starts_with("window_start") {
                line = lines.next().unwrap().unwrap();
            }
            assert_eq!(line, format!("2026-01-01 00:{window:02}:00.000,6"));
        }
        let process = rustix::process::Pid::from_child(&job);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        assert!(job.wait().unwrap().success());
        minutes += 2;
    }
}
