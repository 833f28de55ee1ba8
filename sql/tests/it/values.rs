//! Comparisons that have to mean what is written.

use super::{dataflow, plan, refusal};

const MONEY: &str = "CREATE TABLE m (k INT, m DECIMAL(10, 2), d DOUBLE, w DECIMAL(20, 2), a INT, b INT,
     c BOOLEAN) WITH ('connector'='fake');";

#[track_caller]
fn condition(written: &str, planned: &str) {
    let text = dataflow(&format!("{MONEY} SELECT k FROM m WHERE {written}"));
    assert!(text.contains(planned), "{planned:?} is not in\n{text}");
}

#[test]
fn decimals_compare_exactly_with_numbers() {
    for written in
        ["m = 99428.65", "m IN (99428.65, 1.5)", "m BETWEEN 1.25 AND 99428.65", "m IS DISTINCT FROM 99428.65"]
    {
        let text = dataflow(&format!("{MONEY} SELECT k FROM m WHERE {written}"));
        assert!(text.contains("99428.65"), "{text}");
        assert!(!text.contains("(30, 15)") && !text.contains("DOUBLE"), "{text}");
    }
    let text = dataflow(&format!("{MONEY} SELECT k FROM m WHERE m = d"));
    assert!(text.contains("CAST(m AS DOUBLE) = d"), "{text}");
    let text = dataflow(&format!("{MONEY} SELECT k FROM m WHERE w = 123456789012345678.25"));
    assert!(text.contains("w = 123456789012345678.25"), "{text}");
}

#[test]
fn a_remainder_has_the_type_of_its_divisor() {
    let numbers = "CREATE TABLE n (b BIGINT, i INT, s SMALLINT) WITH ('connector'='fake');";
    for (remainder, data_type) in [
        ("b % 7", "INT"),
        ("MOD(b, s)", "SMALLINT"),
        ("i % b", "BIGINT"),
        ("b % 10000000000", "BIGINT"),
        ("s % 7", "INT"),
    ] {
        let planned = plan(&format!("{numbers} SELECT {remainder} AS r FROM n")).unwrap().result_schema.unwrap();
        assert_eq!(weir_sql::parse::sql_type_name(planned.field(0).data_type()), data_type, "{remainder}");
    }
    // Nothing is converted just to be compared.
    for condition in ["b % 7 = 3", "b % 7 IN (3, 5)", "b % i > 3"] {
        let text = dataflow(&format!("{numbers} SELECT i FROM n WHERE {condition}"));
        assert!(!text.contains("CAST(b %"), "{text}");
    }
    // One that is written may fail.
    let text = dataflow(&format!("{numbers} SELECT i FROM n WHERE CAST(b % 100000 AS SMALLINT) = 3"));
    assert!(text.contains("AS SMALLINT"), "{text}");
}

#[test]
fn is_distinct_from_ends_at_and_and_or() {
    // The planner puts the two sides of a symmetric comparison into an order of its own.
    condition("a IS DISTINCT FROM b AND c", "where b IS DISTINCT FROM a AND c]");
    condition("k = 1 AND a IS NOT DISTINCT FROM b OR c", "where (k = 1 AND b IS NOT DISTINCT FROM a) OR c]");
    condition("NOT a IS DISTINCT FROM b AND c", "where b IS NOT DISTINCT FROM a AND c]");
    condition("a IS DISTINCT FROM b + 1 OR c", "(a IS DISTINCT FROM (b + 1)) OR c]");
    condition("c IS DISTINCT FROM (k = 1 AND c)", "k = 1 AND c)");
}

#[test]
fn a_broken_view_says_why() {
    let text = refusal("CREATE VIEW v AS SELECT nosuch FROM bid; SELECT * FROM v");
    assert!(text.contains("nosuch") && !text.contains("`v`"), "{text}");
}

#[test]
fn sessions_have_several_keys() {
    let of = |keys: &str| {
        dataflow(&format!(
            "SELECT auction, bidder, window_end, COUNT(*) AS n FROM TABLE(SESSION(TABLE bid PARTITION BY {keys}, \
             DESCRIPTOR(dateTime), INTERVAL '5' SECOND)) GROUP BY auction, bidder, window_start, window_end"
        ))
    };
    assert_eq!(of("auction, bidder"), of("(auction, bidder)"));
}

#[test]
fn join_keys_have_one_type() {
    let join = |left: &str, right: &str| {
        let side = |key: &str| {
            format!(
                "(SELECT window_start, window_end, {key} AS g \
                 FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)))"
            )
        };
        dataflow(&format!(
            "CREATE VIEW v AS SELECT CAST(auction AS INT) AS g, dateTime FROM bid \
             UNION ALL SELECT auction AS g, dateTime FROM bid; \
             SELECT a.window_end FROM {} a WHERE EXISTS (SELECT 1 FROM {} b WHERE a.window_start = b.window_start \
             AND a.window_end = b.window_end AND a.g = b.g)",
            side(left),
            side(right)
        ))
    };
    assert!(join("g", "CAST(g AS INT)").contains("AS BIGINT)"), "{}", join("g", "CAST(g AS INT)"));
}

#[test]
fn casts_that_lose_digits_stay_where_they_are_written() {
    for written in [
        "CAST(m AS BIGINT) = 15",
        "CAST(m AS INT) < 15",
        "CAST(m AS BIGINT) IN (15, 16)",
        "CAST(m AS DECIMAL(10, 1)) = CAST('15.1' AS DECIMAL(10, 1))",
        "TRY_CAST(w AS DECIMAL(10, 2)) <> CAST('1.25' AS DECIMAL(10, 2))",
        "TRY_CAST(b AS TINYINT) <> CAST(5 AS TINYINT)",
    ] {
        condition(written, "CAST(");
    }
    // Nothing is lost here, so that a column is compared with a constant.
    condition("CAST(a AS BIGINT) = 5", "where a = 5]");
    condition("CAST(m AS DECIMAL(12, 3)) = CAST('1.250' AS DECIMAL(12, 3))", "where m = 1.25]");
}
