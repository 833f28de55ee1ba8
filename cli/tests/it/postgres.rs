//! Tables of a real PostgreSQL, written and looked up in by whole jobs. `tests/services/postgres run cargo test --workspace --test it
//! postgres:: -- --ignored` starts one.
#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

#[path = "../../../engine/postgres/tests/it/postgres/database.rs"]
#[allow(dead_code, reason = "the tests of the connector use more of it")]
mod database;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use self::database::{Database, url};
use crate::weir::{command, file, path, weir};

/// A table of the database as one of a script.
fn table(database: &Database, name: &str, columns: &str, with: &str) -> String {
    format!(
        "CREATE TABLE {name} ({columns}) WITH ('connector' = 'postgres', 'url' = 'jdbc:{}', 'table-name' = '{1}.{name}',
           'sink.commits-table' = '{1}.commits'{with});\n",
        url(),
        database.schema
    )
}

/// Moments that look random, and are the same each time.
struct Moments(u64);

impl Moments {
    fn wait(&mut self, least: u64, range: u64) {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The moment is what varies; nothing waits for it.
        std::thread::sleep(Duration::from_millis(least + (self.0 >> 33) % range));
    }
}

/// Runs a script until it ends by itself, at changing parallelism, and kills it again and again on the way. Says how often.
fn run_and_kill(script: &str, kills: usize, mut meanwhile: impl FnMut(&mut Moments)) -> usize {
    let work = tempfile::tempdir().unwrap();
    let script = file(".sql", script);
    let (mut killed, mut failed, mut moments) = (0, 0, Moments(0x5eed));
    for parallelism in [1, 2, 4, 3].into_iter().cycle() {
        let mut job = command(&["run", path(&script), "--quiet", "--parallelism", &format!("{parallelism}")])
            .args(["--state-dir", work.path().join("state").to_str().unwrap()])
            .args(["-D", "execution.checkpointing.interval=20ms", "-D", "execution.batch-rows=256"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if killed < kills {
            moments.wait(250, 700);
            meanwhile(&mut moments);
            job.kill().unwrap();
        }
        let output = job.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => break,
            None => killed += 1,
            // It has found no database; a retry finds one.
            Some(_) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(said.contains("error in the environment"), "{said}");
                failed += 1;
                assert!(failed < 50, "{said}");
            }
        }
    }
    killed
}

const NUMBERS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '60000', 'realtime' = 'false',
    'scan.records-per-second.limit' = '10000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '59999');\n";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants PostgreSQL"]
async fn rows_are_there_once_whatever_was_killed() {
    let database = Database::with("CREATE TABLE result (n bigint NOT NULL, twice bigint NOT NULL)").await;
    let script = [
        NUMBERS,
        &table(&database, "result", "n BIGINT, twice BIGINT", ""),
        "INSERT INTO result SELECT n, n * 2 FROM numbers;",
    ];
    let kills = tokio::task::block_in_place(|| run_and_kill(&script.concat(), 10, |_| ()));
    assert!(kills >= 5, "only {kills} kills hit a running job: that proves little");
    let wrong =
        "SELECT n FROM result GROUP BY n HAVING count(*) <> 1 OR min(twice) <> 2 * n OR n NOT BETWEEN 0 AND 59999";
    assert_eq!(database.rows(wrong).await, [""; 0], "after {kills} kills");
    assert_eq!(
        database.rows("SELECT count(*), sum(n) FROM result").await,
        ["60000 | 1799970000"],
        "after {kills} kills"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants PostgreSQL"]
async fn results_that_change_are_right_whatever_was_killed() {
    let database = Database::with(
        "CREATE TABLE result (k bigint PRIMARY KEY, n bigint, total numeric(30, 0), few boolean);
         CREATE TABLE rare (k bigint PRIMARY KEY, n bigint)",
    )
    .await;
    let script = [
        NUMBERS,
        &table(
            &database,
            "result",
            "k BIGINT NOT NULL, n BIGINT, total BIGINT, few BOOLEAN, PRIMARY KEY (k) NOT ENFORCED",
            "",
        ),
        &table(&database, "rare", "k BIGINT NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED", ""),
        "CREATE VIEW groups AS SELECT COALESCE(n * n % 997, 0) AS k, COUNT(*) AS n, SUM(n) AS total FROM numbers
           GROUP BY COALESCE(n * n % 997, 0);
         EXECUTE STATEMENT SET BEGIN
           INSERT INTO result SELECT k, n, total, n < 60 FROM groups;
           -- Groups come, and go when they have grown.
           INSERT INTO rare SELECT k, n FROM groups WHERE n < 70;
         END;",
    ];
    let kills = tokio::task::block_in_place(|| run_and_kill(&script.concat(), 10, |_| ()));
    assert!(kills >= 5, "only {kills} kills hit a running job: that proves little");
    let mut expected: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for n in 0..60_000_i64 {
        let group = expected.entry(n * n % 997).or_default();
        *group = (group.0 + 1, group.1 + n);
    }
    let flag = |few| if few { "t" } else { "f" };
    let rows = expected.iter().map(|(k, (n, total))| format!("{k} | {n} | {total} | {}", flag(*n < 60)));
    assert_eq!(database.rows("SELECT * FROM result ORDER BY k").await, rows.collect::<Vec<_>>(), "after {kills} kills");
    let rows = expected.iter().filter(|(_, (n, _))| *n < 70).map(|(k, (n, _))| format!("{k} | {n}"));
    assert_eq!(database.rows("SELECT * FROM rare ORDER BY k").await, rows.collect::<Vec<_>>(), "after {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants PostgreSQL, and kills it"]
async fn a_database_that_loses_power_loses_and_doubles_nothing() {
    let folder = std::env::var("WEIR_TEST_POSTGRES_DIR").expect("see tests/services/postgres");
    let database = Database::with(
        "CREATE TABLE result (n bigint NOT NULL);
         CREATE TABLE latest (k bigint PRIMARY KEY, n bigint)",
    )
    .await;
    let script = [
        NUMBERS,
        &table(&database, "result", "n BIGINT", ""),
        &table(&database, "latest", "k BIGINT NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED", ""),
        "EXECUTE STATEMENT SET BEGIN
           INSERT INTO result SELECT n FROM numbers;
           INSERT INTO latest SELECT COALESCE(n % 100, 0), MAX(n) FROM numbers GROUP BY COALESCE(n % 100, 0);
         END;",
    ];
    let service = |verb: &str| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/services/postgres");
        assert!(Command::new(script).args([verb, &folder]).stdout(Stdio::null()).status().unwrap().success());
    };
    let mut crashes = 0;
    let kills = tokio::task::block_in_place(|| {
        run_and_kill(&script.concat(), 8, |moments| {
            service("kill");
            moments.wait(0, 300);
            service("up");
            crashes += 1;
            moments.wait(0, 600);
        })
    });
    assert!(crashes >= 5, "only {crashes} crashes: that proves little");
    let schema = database.schema;
    let database = Database::with("").await;
    database.run(&format!("SET search_path = {schema}")).await;
    assert_eq!(
        database.rows("SELECT count(*), count(DISTINCT n), sum(n) FROM result").await,
        ["60000 | 60000 | 1799970000"],
        "after {crashes} crashes and {kills} kills"
    );
    let rows: Vec<String> = (0..100).map(|k| format!("{k} | {}", 59_900 + k)).collect();
    assert_eq!(
        database.rows("SELECT * FROM latest ORDER BY k").await,
        rows,
        "after {crashes} crashes and {kills} kills"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants PostgreSQL"]
async fn rows_are_looked_up_and_what_does_not_fit_is_said() {
    let database = Database::with(
        "CREATE TABLE customers (id integer PRIMARY KEY, name text, discount numeric(4, 2));
         INSERT INTO customers VALUES (1, 'Ada', 0.5), (2, 'Grace', NULL)",
    )
    .await;
    let orders =
        "CREATE TABLE orders (n BIGINT, proc AS PROCTIME()) WITH ('connector' = 'datagen', 'number-of-rows' = '4',
        'realtime' = 'false', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '3');\n";
    let columns = "id BIGINT, name STRING, discount DECIMAL(4, 2)";
    let query = "SELECT o.n, c.name, c.discount FROM orders AS o
        LEFT JOIN customers FOR SYSTEM_TIME AS OF o.proc AS c ON o.n = c.id AND c.name <> 'Grace' ORDER BY n;";
    for with in ["", ", 'lookup.cache' = 'PARTIAL', 'lookup.partial-cache.max-rows' = '2'"] {
        let script = file(".sql", &[orders, &table(&database, "customers", columns, with), query].concat());
        let said = weir(&["run", path(&script), "--output", "csv", "--quiet"]).code(0).out;
        let mut lines: Vec<&str> =
            said.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["0,,", "1,Ada,0.50", "2,,", "3,,"], "{said}");
    }
    let wrong = table(&database, "customers", "id BIGINT, name STRING, discount DECIMAL(4, 1)", "");
    let ran = weir(&["run", path(&file(".sql", &[orders, &wrong, query].concat()))]);
    ran.code(2).says(&["column 'discount': DECIMAL(4, 1) cannot be read from numeric(4,2) of table"]);
    let streamed = [&*table(&database, "customers", columns, ""), "SELECT id FROM customers;"].concat();
    let ran = weir(&["run", path(&file(".sql", &streamed))]);
    ran.code(2).says(&["table `customers` cannot be read as a stream", "FOR SYSTEM_TIME AS OF"]);
}
