//! The table of casts, over all pairs of types: as in Flink, and what is not in it is refused with a place.

use super::{plan, refusal};

/// A column of each type, and the kind that the table knows it by.
const COLUMNS: [(&str, &str, &str); 14] = [
    ("o", "BOOLEAN", "truth"),
    ("i", "INT", "number"),
    ("l", "BIGINT", "number"),
    ("d", "DOUBLE", "number"),
    ("m", "DECIMAL(10, 2)", "number"),
    ("s", "STRING", "text"),
    ("b", "BYTES", "bytes"),
    ("dt", "DATE", "date"),
    ("t", "TIME", "time"),
    ("ts", "TIMESTAMP(3)", "timestamp"),
    ("lt", "TIMESTAMP_LTZ(3)", "timestamp"),
    ("a", "ARRAY<INT>", "array"),
    ("p", "MAP<STRING, INT>", "map"),
    ("r", "ROW<x INT, y STRING>", "row"),
];

fn is_castable(from: &str, to: &str) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (_, "text") => true,
        ("text", to) => !["array", "map", "row"].contains(&to),
        ("truth" | "number", "truth" | "number") => true,
        ("date" | "time", "timestamp") | ("timestamp", "date" | "time") => true,
        _ => false,
    }
}

#[test]
fn all_pairs_of_types() {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, data_type, _)| format!("{name} {data_type}")).collect();
    let table = format!("CREATE TABLE c ({}) WITH ('connector'='fake');", columns.join(", "));
    for (name, from, kind) in COLUMNS {
        for (_, to, to_kind) in COLUMNS {
            if ["map", "row"].contains(&to_kind) {
                continue;
            }
            for cast in ["CAST", "TRY_CAST"] {
                let statement = format!("{table}\nSELECT {cast}({name} AS {to}) AS v FROM c");
                if is_castable(kind, to_kind) {
                    assert!(plan(&statement).is_ok(), "{statement}");
                    continue;
                }
                let refused = refusal(&statement);
                let said = format!("{from} cannot be cast to {to}");
                let place = format!(", column {}:", 9 + cast.len());
                assert!(refused.contains(&said) && refused.contains(&place), "{statement}: {refused}");
            }
        }
    }
}

#[test]
fn a_cast_between_numbers_and_times_says_what_to_write() {
    let table = "CREATE TABLE c (n BIGINT, ts TIMESTAMP(3), a ARRAY<INT>, dt DATE, t TIME) WITH ('connector'='fake');";
    for (cast, help) in [
        ("CAST(n AS TIMESTAMP_LTZ(3))", "`TO_TIMESTAMP_LTZ(n, 3)`"),
        ("CAST(n AS TIMESTAMP(3))", "`CAST(TO_TIMESTAMP_LTZ(n, 3) AS TIMESTAMP(3))`"),
        ("CAST(ts AS BIGINT)", "UNIX_TIMESTAMP"),
        ("CAST(5 AS TIMESTAMP(3))", "TO_TIMESTAMP_LTZ"),
        ("CAST(n AS ARRAY<BIGINT>)", "`ARRAY[x]`"),
        ("CAST(dt AS INT)", "TIMESTAMPDIFF(DAY"),
        ("CAST(n AS DATE)", "TIMESTAMPADD(DAY"),
        ("CAST(t AS INT)", "EXTRACT(HOUR"),
        ("CAST(a AS ARRAY<DATE>)", "ARRAY<DATE>"),
    ] {
        let refused = refusal(&format!("{table} SELECT {cast} AS v FROM c"));
        assert!(refused.contains(" cannot be cast to ") && refused.contains(help), "{cast}: {refused}");
    }
}
