//! The Nexmark queries of `benches/nexmark` give what DataFusion computes from the same events in other words.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::batch::oracle::{Oracle, Row, difference, rows_of_csv};
use crate::flights;

/// A query of the benchmark, and the same in batch SQL.
struct Case {
    query: &'static str,
    text: &'static str,
    batch: &'static str,
}

macro_rules! query {
    ($name:literal) => {
        include_str!(concat!("../../../benches/nexmark/", $name, ".sql"))
    };
}

/// Ten windows of ten seconds, some hundred bidders, and several rows with the highest price of a window.
const OPTIONS: &str = "'events.num' = '50000', 'rate' = '500'";

const CASES: &[Case] = &[
    Case { query: "q0", text: query!("q0"), batch: "SELECT auction, bidder, price, \"dateTime\", extra FROM bid" },
    Case {
        query: "q1",
        text: query!("q1"),
        batch: "SELECT auction, bidder, CAST(price AS DECIMAL(20, 0)) * CAST(0.908 AS DECIMAL(4, 3)), \"dateTime\", extra FROM bid",
    },
    Case { query: "q2", text: query!("q2"), batch: "SELECT auction, price FROM bid WHERE auction % 123 = 0" },
    Case {
        query: "q5",
        text: query!("q5"),
        batch: "WITH counts AS (
                  SELECT auction, date_bin(INTERVAL '2 seconds', \"dateTime\") - i AS starts, COUNT(*) AS num
                  FROM bid CROSS JOIN (VALUES (INTERVAL '0 seconds'), (INTERVAL '2 seconds'), (INTERVAL '4 seconds'), (INTERVAL '6 seconds'), (INTERVAL '8 seconds')) AS back(i) GROUP BY 1, 2)
                SELECT auction, num FROM (SELECT *, MAX(num) OVER (PARTITION BY starts) AS most FROM counts) WHERE num = most",
    },
    Case {
        query: "q7",
        text: query!("q7"),
        // A bid at the very end of a window counts for the next one too, as the query's BETWEEN says.
        batch: "WITH highest AS (
                  SELECT date_bin(INTERVAL '10 seconds', \"dateTime\") + INTERVAL '10 seconds' AS ends, MAX(price) AS price
                  FROM bid GROUP BY 1)
                SELECT bid.auction, bid.price, bid.bidder, bid.\"dateTime\", bid.extra FROM bid JOIN highest
                ON bid.price = highest.price AND bid.\"dateTime\" >= ends - INTERVAL '10 seconds' AND bid.\"dateTime\" <= ends",
    },
    Case {
        query: "q8",
        text: query!("q8"),
        batch: "SELECT DISTINCT person.id, person.name, date_bin(INTERVAL '10 seconds', person.\"dateTime\")
                FROM person JOIN auction ON person.id = auction.seller
                AND date_bin(INTERVAL '10 seconds', person.\"dateTime\") = date_bin(INTERVAL '10 seconds', auction.\"dateTime\")",
    },
    Case {
        query: "q11",
        text: query!("q11"),
        batch: "SELECT bidder, COUNT(*), MIN(\"dateTime\"), MAX(\"dateTime\") + INTERVAL '10 seconds'
                FROM (SELECT *, SUM(begins) OVER (PARTITION BY bidder ORDER BY \"dateTime\") AS session
                      FROM (SELECT *, CASE WHEN \"dateTime\" - LAG(\"dateTime\") OVER (PARTITION BY bidder ORDER BY \"dateTime\")
                                                <= INTERVAL '10 seconds' THEN 0 ELSE 1 END AS begins FROM bid))
                GROUP BY bidder, session",
    },
    Case {
        query: "q13",
        text: query!("q13"),
        // Some keys of the side table are missing.
        batch: "SELECT auction, bidder, price, \"dateTime\", 'value ' || CAST(auction % 10000 AS VARCHAR)
                FROM bid WHERE auction % 10000 % 7 <> 3",
    },
    Case {
        query: "q14",
        text: query!("q14"),
        batch: "SELECT auction, bidder, price * 908 / 1000.0,
                       CASE WHEN date_part('hour', \"dateTime\") BETWEEN 8 AND 18 THEN 'dayTime'
                            WHEN date_part('hour', \"dateTime\") <= 6 OR date_part('hour', \"dateTime\") >= 20 THEN 'nightTime'
                            ELSE 'otherTime' END,
                       \"dateTime\", extra, CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', ''))
                FROM bid WHERE price * 908 > 1000000000 AND price * 908 < 50000000000",
    },
    Case {
        query: "q3",
        text: query!("q3"),
        batch: "SELECT name, city, state, auction.id FROM auction, person
                WHERE seller = person.id AND category = 10 AND (state = 'OR' OR state = 'ID' OR state = 'CA')",
    },
    Case {
        query: "q4",
        text: query!("q4"),
        batch: "WITH highest AS (
                  SELECT auction.id, category, MAX(price) AS price FROM auction JOIN bid ON id = auction
                  WHERE bid.\"dateTime\" >= auction.\"dateTime\" AND bid.\"dateTime\" <= expires GROUP BY 1, 2)
                SELECT category, CAST(SUM(price) AS DOUBLE) / COUNT(*) FROM highest GROUP BY category",
    },
    Case {
        query: "q6",
        text: query!("q6"),
        batch: "WITH open AS (
                  SELECT id, seller, price, bid.\"dateTime\" AS at FROM auction JOIN bid ON id = auction
                  WHERE bid.\"dateTime\" >= auction.\"dateTime\" AND bid.\"dateTime\" <= expires),
                won AS (
                  SELECT seller, price, ROW_NUMBER() OVER (PARTITION BY seller ORDER BY at) AS place
                  FROM open AS one WHERE NOT EXISTS (
                    SELECT 1 FROM open AS other WHERE other.id = one.id
                    AND (other.price > one.price OR (other.price = one.price AND other.at < one.at))))
                SELECT one.seller, CAST(SUM(other.price) AS DOUBLE) / COUNT(*) FROM won AS one JOIN won AS other
                ON other.seller = one.seller AND other.place BETWEEN one.place - 10 AND one.place
                GROUP BY one.seller, one.place",
    },
    Case {
        query: "q9",
        text: query!("q9"),
        batch: "WITH open AS (
                  SELECT auction.*, bid.auction, bidder, price, bid.\"dateTime\" AS at, bid.extra AS bid_extra
                  FROM auction JOIN bid ON id = auction
                  WHERE bid.\"dateTime\" >= auction.\"dateTime\" AND bid.\"dateTime\" <= expires)
                SELECT id, \"itemName\", description, \"initialBid\", reserve, \"dateTime\", expires, seller, category, extra,
                       auction, bidder, price, at, bid_extra
                FROM open AS one WHERE NOT EXISTS (
                  SELECT 1 FROM open AS other WHERE other.id = one.id
                  AND (other.price > one.price OR (other.price = one.price AND other.at < one.at)))",
    },
    Case {
        query: "q15",
        text: query!("q15"),
        batch: "SELECT substr(CAST(\"dateTime\" AS VARCHAR), 1, 10), COUNT(*), COUNT(CASE WHEN price < 10000 THEN 1 END), COUNT(CASE WHEN price >= 10000 AND price < 1000000 THEN 1 END), COUNT(CASE WHEN price >= 1000000 THEN 1 END), COUNT(DISTINCT bidder), COUNT(DISTINCT CASE WHEN price < 10000 THEN bidder END), COUNT(DISTINCT CASE WHEN price >= 10000 AND price < 1000000 THEN bidder END), COUNT(DISTINCT CASE WHEN price >= 1000000 THEN bidder END), COUNT(DISTINCT auction), COUNT(DISTINCT CASE WHEN price < 10000 THEN auction END), COUNT(DISTINCT CASE WHEN price >= 10000 AND price < 1000000 THEN auction END), COUNT(DISTINCT CASE WHEN price >= 1000000 THEN auction END)
                FROM bid GROUP BY 1",
    },
    Case {
        query: "q16",
        text: query!("q16"),
        batch: "SELECT channel, substr(CAST(\"dateTime\" AS VARCHAR), 1, 10), MAX(substr(CAST(\"dateTime\" AS VARCHAR), 12, 5)), COUNT(*), COUNT(CASE WHEN price < 10000 THEN 1 END), COUNT(CASE WHEN price >= 10000 AND price < 1000000 THEN 1 END), COUNT(CASE WHEN price >= 1000000 THEN 1 END),
                       COUNT(DISTINCT bidder), COUNT(DISTINCT CASE WHEN price < 10000 THEN bidder END), COUNT(DISTINCT CASE WHEN price >= 10000 AND price < 1000000 THEN bidder END), COUNT(DISTINCT CASE WHEN price >= 1000000 THEN bidder END), COUNT(DISTINCT auction), COUNT(DISTINCT CASE WHEN price < 10000 THEN auction END), COUNT(DISTINCT CASE WHEN price >= 10000 AND price < 1000000 THEN auction END), COUNT(DISTINCT CASE WHEN price >= 1000000 THEN auction END)
                FROM bid GROUP BY 1, 2",
    },
    Case {
        query: "q17",
        text: query!("q17"),
        batch: "SELECT auction, substr(CAST(\"dateTime\" AS VARCHAR), 1, 10), COUNT(*), COUNT(CASE WHEN price < 10000 THEN 1 END), COUNT(CASE WHEN price >= 10000 AND price < 1000000 THEN 1 END), COUNT(CASE WHEN price >= 1000000 THEN 1 END), MIN(price), MAX(price), CAST(SUM(price) AS DOUBLE) / COUNT(*), SUM(price)
                FROM bid GROUP BY 1, 2",
    },
    Case {
        query: "q18",
        text: query!("q18"),
        batch: "SELECT auction, bidder, price, channel, url, \"dateTime\", extra FROM bid AS one WHERE NOT EXISTS (
                  SELECT 1 FROM bid AS other WHERE other.auction = one.auction AND other.bidder = one.bidder
                  AND other.\"dateTime\" > one.\"dateTime\")",
    },
    Case {
        query: "q19",
        text: query!("q19"),
        batch: "SELECT one.auction, one.bidder, one.price, one.channel, one.url, one.\"dateTime\", one.extra, COUNT(other.price) + 1
                FROM bid AS one LEFT JOIN bid AS other ON other.auction = one.auction
                AND (other.price > one.price OR (other.price = one.price AND other.\"dateTime\" < one.\"dateTime\"))
                GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING COUNT(other.price) < 10",
    },
    Case {
        query: "q20",
        text: query!("q20"),
        batch: "SELECT auction, bidder, price, channel, url, bid.\"dateTime\", bid.extra, \"itemName\", description, \"initialBid\",
                       reserve, auction.\"dateTime\", expires, seller, category, auction.extra
                FROM auction, bid WHERE auction = id AND category = 10",
    },
    Case {
        query: "q21",
        text: query!("q21"),
        batch: "SELECT auction, bidder, price, channel,
                       CASE LOWER(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2'
                                           WHEN 'baidu' THEN '3' ELSE split_part(split_part(url, '&channel_id=', 2), '&', 1) END
                FROM bid WHERE LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu') OR url LIKE '%&channel_id=%'",
    },
    Case {
        query: "q22",
        text: query!("q22"),
        batch: "SELECT auction, bidder, price, channel, split_part(url, '/', 4), split_part(url, '/', 5), split_part(url, '/', 6)
                FROM bid",
    },
];

fn tables() -> String {
    include_str!("../../../benches/nexmark/tables.sql").replace("${options}", OPTIONS)
}

/// Runs a query of the benchmark into files and reads them.
fn answer(text: &str, parallelism: usize) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let sink = format!("'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv'", out.display());
    let side = folder.path().join("side.csv");
    let keys = (0..10_000).filter(|key| key % 7 != 3);
    std::fs::write(&side, keys.map(|key| format!("{key},value {key}\n")).collect::<String>()).unwrap();
    let text = text.replace("${sink}", &sink).replace("${side}", &side.display().to_string());
    let script = format!("{}{text}", tables());
    let parallelism = parallelism.to_string();
    flights::run(folder.path(), &script, &["--parallelism", &parallelism]).unwrap();
    rows_in(&out)
}

/// All rows in the committed files of a folder.
fn rows_in(folder: &Path) -> Vec<Row> {
    let mut text = String::from("header\n");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("part-") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    rows_of_csv(&text)
}

/// The events as the generator makes them, through a plain query; the generator has its own tests.
fn events() -> Oracle {
    let folder = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::empty();
    let time = || DataType::Timestamp(TimeUnit::Millisecond, None);
    let tables_of = [
        (
            "bid",
            vec![
                ("auction", DataType::Int64),
                ("bidder", DataType::Int64),
                ("price", DataType::Int64),
                ("channel", DataType::Utf8),
                ("url", DataType::Utf8),
                ("dateTime", time()),
                ("extra", DataType::Utf8),
            ],
        ),
        (
            "person",
            vec![
                ("id", DataType::Int64),
                ("name", DataType::Utf8),
                ("city", DataType::Utf8),
                ("state", DataType::Utf8),
                ("dateTime", time()),
            ],
        ),
        (
            "auction",
            vec![
                ("id", DataType::Int64),
                ("itemName", DataType::Utf8),
                ("description", DataType::Utf8),
                ("initialBid", DataType::Int64),
                ("reserve", DataType::Int64),
                ("dateTime", time()),
                ("expires", time()),
                ("seller", DataType::Int64),
                ("category", DataType::Int64),
                ("extra", DataType::Utf8),
            ],
        ),
    ];
    for (name, columns) in tables_of {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let script = format!("{}SELECT {} FROM {name};", tables(), names.join(", "));
        let csv = flights::run(folder.path(), &script, &["--output", "csv"]).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, csv).unwrap();
        let fields: Vec<Field> = columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let reader = ReaderBuilder::new(schema.clone()).with_header(true).build(File::open(file).unwrap()).unwrap();
        oracle.add(name, schema, reader.collect::<Result<Vec<_>, _>>().unwrap());
    }
    oracle
}

#[test]
fn nexmark_queries_equal_an_independent_computation() {
    let oracle = events();
    let mut wrong = Vec::new();
    for case in CASES {
        let expected = oracle.answer(case.batch);
        assert!(!expected.is_empty(), "{}: the oracle's answer is empty, so it proves nothing", case.query);
        // Of equal prices the bid that comes first is ahead, which is not the same with each parallelism.
        let text = case.text.replace("ORDER BY price DESC)", "ORDER BY price DESC, dateTime)");
        for parallelism in [1, 2, 3] {
            let found = answer(&text, parallelism);
            if found != expected {
                wrong.push(format!("{} at parallelism {parallelism}: {}", case.query, difference(&expected, &found)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In processing time the windows depend on the clock, and their totals do not.
#[test]
fn nexmark_q12_counts_every_bid() {
    let mut expected: std::collections::BTreeMap<String, u64> = Default::default();
    for row in events().answer("SELECT bidder, COUNT(*) FROM bid GROUP BY bidder") {
        expected.insert(row[0].clone(), row[1].parse::<f64>().unwrap() as u64);
    }
    let mut found: std::collections::BTreeMap<String, u64> = Default::default();
    for row in answer(query!("q12"), 2) {
        *found.entry(row[0].clone()).or_default() += row[1].parse::<f64>().unwrap() as u64;
    }
    assert_eq!(found, expected);
}
