//! Functions with `OVER` of a file: what comes out is what SQL says of the rows, with several subtasks too.

use crate::weir::{file, path, weir};

const TRADES: &str = "1,a,00:01,10,1.5\n2,b,00:01,,2.25\n3,a,00:02,5,NULL\n4,a,00:02,7,0.25\n5,b,00:04,1,-1\n6,a,00:09,NULL,4\n7,a,00:10,-2,8\n";

/// `query` over `trades (id, k, ts, n, x)`.
fn run(query: &str, parallelism: &str) -> Vec<String> {
    let trades: String = TRADES
        .lines()
        .map(|line| line.replace(",,", ",NULL,"))
        .map(|line| {
            let (id, rest) = line.split_once(',').unwrap();
            let (k, rest) = rest.split_once(',').unwrap();
            format!("{id},{k},2020-01-01 00:{rest}\n")
        })
        .collect();
    let trades = file(".csv", &trades);
    let script = format!(
        "CREATE TABLE trades (id BIGINT, k STRING, ts TIMESTAMP(3), n INT, x DOUBLE, WATERMARK FOR ts AS ts)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.null-literal' = 'NULL');
         {query}",
        path(&trades)
    );
    let out = weir(&["run", "-e", &script, "--parallelism", parallelism, "--output", "csv", "--quiet"]).code(0).out;
    let mut lines: Vec<String> = out.lines().skip(1).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

const MANY: [&str; 3] = ["1", "2", "4"];

#[test]
fn frames_of_time_and_of_rows() {
    for parallelism in MANY {
        let query = "SELECT id, SUM(n) OVER (PARTITION BY k ORDER BY ts) AS s,
              SUM(n) OVER (PARTITION BY k ORDER BY ts ROWS UNBOUNDED PRECEDING) AS r,
              COUNT(*) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND CURRENT ROW) AS c,
              AVG(n) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS a,
              MAX(x) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m
            FROM trades;";
        assert_eq!(
            run(query, parallelism),
            [
                "1,10,10,1,10.0,1.5",
                "2,,,1,,2.25",
                "3,22,15,3,7.5,1.5",
                "4,22,22,3,6.0,0.25",
                "5,1,1,1,1.0,2.25",
                "6,22,22,1,7.0,4.0",
                "7,20,20,2,-2.0,8.0",
            ]
        );
    }
}

#[test]
fn rows_before_and_behind_and_their_numbers() {
    for parallelism in MANY {
        let query =
            "SELECT id, LAG(n) OVER w AS a, LEAD(n, 2, 0) OVER w AS b, ROW_NUMBER() OVER w AS r, RANK() OVER w AS k,
              DENSE_RANK() OVER w AS d, FIRST_VALUE(x) OVER w AS f, LAST_VALUE(x) RESPECT NULLS OVER w AS l
            FROM trades WINDOW w AS (PARTITION BY k ORDER BY ts);";
        assert_eq!(
            run(query, parallelism),
            [
                "1,,7,1,1,1,1.5,1.5",
                "2,,0,1,1,1,2.25,2.25",
                "3,10,,2,2,2,1.5,0.25",
                "4,5,-2,3,2,2,1.5,0.25",
                "5,,0,2,2,2,2.25,-1.0",
                "6,7,0,4,4,3,1.5,4.0",
                "7,,0,5,5,4,1.5,8.0",
            ]
        );
    }
}

#[test]
fn what_stands_on_functions_with_over() {
    for parallelism in MANY {
        let query = "CREATE VIEW running AS SELECT *, SUM(n) OVER (PARTITION BY k ORDER BY ts) AS s, COUNT(*) OVER (ORDER BY ts) AS c
              FROM trades;
            SELECT k, window_start, MAX(s) AS s, MAX(c) AS c FROM TUMBLE(TABLE running, DESCRIPTOR(ts), INTERVAL '4' SECOND)
            GROUP BY k, window_start, window_end;";
        assert_eq!(
            run(query, parallelism),
            [
                "a,2020-01-01 00:00:00.000,22,4",
                "a,2020-01-01 00:00:08.000,22,7",
                "b,2020-01-01 00:00:00.000,,2",
                "b,2020-01-01 00:00:04.000,1,5",
            ]
        );
        let query = "SELECT id, rn FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS rn FROM trades) WHERE rn >= 3;";
        assert_eq!(run(query, parallelism), ["4,3", "6,4", "7,5"]);
    }
}
