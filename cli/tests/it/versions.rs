//! Joins with the version of a row at a time, of files: what comes out is what a search through all versions finds, with several
//! subtasks too.

use crate::weir::{file, path, weir};

const ORDERS: &str = "1,a,00:03,10\n2,b,00:03,20\n3,a,00:01,30\n4,NULL,00:05,40\n5,a,00:09,50\n6,c,00:09,60\n";
const RATES: &str = "a,00:02,2\na,00:04,4\nb,00:05,5\na,00:04,6\na,00:09,9\nc,00:01,NULL\n";

/// `query` over `orders (id, k, ts, n)` and `rates (k, ts, rate)`, whose rows are in any order.
fn run(query: &str, parallelism: &str) -> Vec<String> {
    let at = |rows: &str| rows.replace(",00:", ",2020-01-01 00:00:");
    let files = [file(".csv", &at(ORDERS)), file(".csv", &at(RATES))];
    let columns = [
        "id BIGINT, k STRING, ts TIMESTAMP(3), n INT",
        "k STRING NOT NULL, ts TIMESTAMP(3), rate INT, PRIMARY KEY (k) NOT ENFORCED",
    ];
    let mut script = String::new();
    for ((name, columns), data) in ["orders", "rates"].iter().zip(columns).zip(&files) {
        script.push_str(&format!(
            "CREATE TABLE {name} ({columns}, WATERMARK FOR ts AS ts - INTERVAL '1' HOUR)
             WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.null-literal' = 'NULL');\n",
            path(data)
        ));
    }
    script.push_str(query);
    let out = weir(&["run", "-e", &script, "--parallelism", parallelism, "--output", "csv", "--quiet"]).code(0).out;
    let mut lines: Vec<String> = out.lines().skip(1).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

const MANY: [&str; 3] = ["1", "2", "4"];

#[test]
fn a_row_meets_the_version_that_was_there_at_its_time() {
    for parallelism in MANY {
        let query =
            "SELECT o.id, o.n * r.rate AS price FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.k = r.k;";
        assert_eq!(run(query, parallelism), ["1,20", "5,450", "6,"]);
        let query = "SELECT o.id, r.rate FROM orders o LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.k = r.k;";
        assert_eq!(run(query, parallelism), ["1,2", "2,", "3,", "4,", "5,9", "6,"]);
    }
}

#[test]
fn conditions_are_about_the_version_that_was_chosen() {
    for parallelism in MANY {
        let query = "SELECT o.id, r.rate FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.k = r.k WHERE r.rate < 5;";
        assert_eq!(run(query, parallelism), ["1,2"], "the version before is not there any more");
        let query = "SELECT o.id, r.rate FROM orders o LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r
                     ON o.k = r.k AND r.rate < 5 AND o.n > 10 WHERE o.id <> 6;";
        assert_eq!(run(query, parallelism), ["1,", "2,", "3,", "4,", "5,"]);
    }
}

#[test]
fn asof_joins_keep_every_row_and_windows_stand_on_them() {
    for parallelism in MANY {
        let query =
            "SELECT o.id, r.rate, r.ts FROM orders o ASOF JOIN rates r MATCH_CONDITION (o.ts >= r.ts) ON o.k = r.k;";
        assert_eq!(
            run(query, parallelism),
            [
                "1,2,2020-01-01 00:00:02.000",
                "2,,",
                "3,,",
                "4,,",
                "5,9,2020-01-01 00:00:09.000",
                "6,,2020-01-01 00:00:01.000",
            ]
        );
        let query = "CREATE VIEW high AS SELECT * FROM rates WHERE rate > 4 AND rate < 9;
            CREATE VIEW priced AS SELECT o.ts, o.n, r.rate FROM orders o ASOF JOIN high r MATCH_CONDITION (r.ts <= o.ts) ON r.k = o.k;
            SELECT window_start, SUM(n) AS n, MAX(rate) AS rate FROM TUMBLE(TABLE priced, DESCRIPTOR(ts), INTERVAL '8' SECOND)
            GROUP BY window_start, window_end;";
        assert_eq!(run(query, parallelism), ["2020-01-01 00:00:00.000,100,", "2020-01-01 00:00:08.000,110,6"]);
    }
}
