//! DECIMAL among other numbers: types that keep every digit, DOUBLE where that is the rule, or a refusal.

use arrow::datatypes::DataType;

use super::{dataflow, plan, refusal};

const MONEY: &str =
    "CREATE TABLE t (k INT, b BIGINT, m DECIMAL(10, 2), w DECIMAL(38, 20), d DOUBLE, f FLOAT, c BOOLEAN,
     ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'fake');";

const DOUBLE: DataType = DataType::Float64;

fn decimal(precision: u8, scale: i8) -> DataType {
    DataType::Decimal128(precision, scale)
}

#[track_caller]
fn type_of(query: &str) -> DataType {
    let planned = plan(&format!("{MONEY}{query}")).unwrap_or_else(|error| panic!("{query}: {}", error.report()));
    planned.result_schema.unwrap().field(0).data_type().clone()
}

#[test]
fn values_in_one_column_have_the_type_that_holds_them_all() {
    for (expression, expected) in [
        ("COALESCE(m, k)", decimal(12, 2)),
        ("COALESCE(m, b)", decimal(21, 2)),
        ("COALESCE(k, m, w)", decimal(38, 20)),
        ("COALESCE(m, 0)", decimal(12, 2)),
        ("COALESCE(k, 0)", DataType::Int32),
        ("COALESCE(k, 3000000000)", DataType::Int64),
        ("COALESCE(k, 1.5)", decimal(11, 1)),
        ("COALESCE(m, 0.125)", decimal(11, 3)),
        ("COALESCE(m, -0.00000000000000000001)", decimal(28, 20)),
        ("COALESCE(m, -1e-20)", DOUBLE),
        ("COALESCE(w, 1.5, 7)", decimal(38, 20)),
        ("COALESCE(m, NULL, 1.5)", decimal(10, 2)),
        ("COALESCE(m, d)", DOUBLE),
        ("COALESCE(m, f)", DOUBLE),
        ("COALESCE(k, d, m, 1.5)", DOUBLE),
        ("COALESCE(m, 1e300)", DOUBLE),
        ("COALESCE(m, 1e-300)", DOUBLE),
        ("COALESCE(m, CAST(0.5 AS DOUBLE))", DOUBLE),
        ("IFNULL(m, d)", DOUBLE),
        ("IFNULL(m, 0.5)", decimal(10, 2)),
        ("NVL(m, m)", decimal(10, 2)),
        ("NVL2(k, m, d)", DOUBLE),
        ("NVL2(m, k, b)", DataType::Int64),
        ("GREATEST(m, d)", DOUBLE),
        ("GREATEST(m, b, 0.125)", decimal(22, 3)),
        ("LEAST(m, k)", decimal(12, 2)),
        ("CASE WHEN c THEN m ELSE d END", DOUBLE),
        ("CASE WHEN c THEN m WHEN k = 1 THEN 1.125 END", decimal(11, 3)),
        ("CASE k WHEN 1 THEN b ELSE m END", decimal(21, 2)),
        ("IF(c, m, d)", DOUBLE),
        ("IF(c, 0, m) + CASE WHEN c THEN m ELSE 0.5 END", decimal(13, 2)),
        ("m * 1.5 / k", decimal(24, 14)),
        ("d * 1.5", DOUBLE),
        ("f * 1.5", DOUBLE),
        ("k + 1", DataType::Int32),
        ("1.50", decimal(3, 2)),
        ("0.5", decimal(2, 1)),
        ("1e3", DOUBLE),
        ("9223372036854775808", decimal(19, 0)),
        ("NULLIF(m, d)", decimal(10, 2)),
        ("NULLIF(m, 0.125)", decimal(10, 2)),
        ("NULLIF(k, w)", DataType::Int32),
        ("NULLIF(d, m)", DOUBLE),
    ] {
        assert_eq!(type_of(&format!("SELECT {expression} AS x FROM t")), expected, "{expression}");
        // A column that is computed in its table goes another way.
        let computed = MONEY.replace("ts TIMESTAMP(3)", &format!("x AS {expression}, ts TIMESTAMP(3)"));
        let planned = plan(&format!("{computed} SELECT x FROM t")).unwrap();
        assert_eq!(planned.result_schema.unwrap().field(0).data_type(), &expected, "x AS {expression}");
    }
}

#[test]
fn branches_of_a_union_have_one_type() {
    for (first, second, expected) in [
        ("m", "d", DOUBLE),
        ("d", "m", DOUBLE),
        ("m", "f", DOUBLE),
        ("b", "m", decimal(21, 2)),
        ("m", "k FROM t UNION ALL SELECT d", DOUBLE),
        ("m", "w FROM t UNION ALL SELECT k", decimal(38, 20)),
    ] {
        let union = format!("SELECT {first} AS x FROM t UNION ALL SELECT {second} FROM t");
        assert_eq!(type_of(&union), expected, "{union}");
        assert_eq!(type_of(&format!("SELECT COALESCE(x, 0) AS y FROM ({union}) AS u")), expected, "{union}");
    }
}

#[test]
fn a_type_is_known_further_out() {
    let inner = "(SELECT COALESCE(m, d) AS x, COALESCE(m, 0) AS y FROM t) AS u";
    assert_eq!(type_of(&format!("SELECT COALESCE(x, 0) AS z FROM {inner}")), DOUBLE);
    assert_eq!(type_of(&format!("SELECT COALESCE(y, 0.125) AS z FROM {inner}")), decimal(13, 3));
}

#[test]
fn no_double_becomes_a_decimal() {
    for expression in [
        "NULLIF(m, d)",
        "m IN (d, 1.5)",
        "m BETWEEN d AND b",
        "CASE m WHEN d THEN 1 WHEN 2.5 THEN 2 END",
        "m < d",
        "GREATEST(LEAST(m, d), k)",
        "ARRAY[m, d]",
    ] {
        let text = dataflow(&format!("{MONEY} SELECT {expression} AS x FROM t"));
        assert!(text.contains("CAST(m AS DOUBLE)") && !text.contains("CAST(d"), "{expression}\n{text}");
    }
    let window = |column: &str| {
        format!(
            "(SELECT {column} AS g, window_start, window_end FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR))"
        )
    };
    let semi_join = |left: &str, right: &str| {
        format!(
            "SELECT 1 AS x FROM {left} a WHERE g IN (SELECT g FROM {right} b WHERE a.window_start = b.window_start \
             AND a.window_end = b.window_end)"
        )
    };
    let (m, d) = (window("m"), window("d"));
    for join in [
        format!("SELECT 1 AS x FROM {m} a JOIN {d} b USING (g, window_start, window_end)"),
        format!(
            "SELECT 1 AS x FROM {m} a JOIN {d} b ON a.g = b.g AND a.window_start = b.window_start \
             AND a.window_end = b.window_end"
        ),
        semi_join(&m, &d),
        semi_join(&d, &m),
    ] {
        let text = dataflow(&format!("{MONEY}{join}"));
        assert!(text.contains("AS DOUBLE") && !text.contains("DECIMAL(30, 15)"), "{text}");
    }
}

#[test]
fn comparisons_take_as_many_digits_as_they_need() {
    for (condition, planned) in [
        ("w < b", "CAST(w AS DECIMAL(39, 20)) < CAST(b AS DECIMAL(39, 20))"),
        (
            "m = 0.0000000000000000000000000000000000001",
            "CAST(m AS DECIMAL(45, 37)) = 0.0000000000000000000000000000000000001",
        ),
        ("m > 1.5", "m > 1.50"),
        ("k > 1.5", "CAST(k AS DECIMAL(11, 1)) > 1.5"),
        ("m < 1e300", "CAST(m AS DOUBLE) < "),
        ("m IN (0.5, 7)", "(m = 0.50) OR (m = 7.00)"),
    ] {
        let text = dataflow(&format!("{MONEY} SELECT k FROM t WHERE {condition}"));
        assert!(text.contains(planned), "{planned:?} is not in\n{text}");
    }
}

#[test]
fn what_has_no_type_is_refused() {
    for (query, expected) in [
        (
            "SELECT COALESCE(w, b) FROM t",
            "DECIMAL(38, 20) and BIGINT have no type in common: a DECIMAL has at most 38 digits, and together they need 39",
        ),
        ("SELECT CASE WHEN c THEN w ELSE 0.00000000000000000000000001 END FROM t", "have no type in common"),
        ("SELECT w FROM t UNION ALL SELECT b FROM t", "DECIMAL(38, 20) and BIGINT have no type in common"),
        ("SELECT k FROM t WHERE w = b", "DECIMAL(38, 20) and BIGINT have no type in common"),
    ] {
        let text = refusal(&format!("{MONEY}{query}"));
        assert!(text.contains(expected) && text.contains("CAST("), "{query}\n{text}");
    }
}

#[test]
fn numbers_go_into_columns_as_in_flink() {
    for (column, value) in [
        ("DECIMAL(23, 3)", "0.908 * b"),
        ("DECIMAL(5, 1)", "m"),
        ("DECIMAL(5, 1)", "k"),
        ("DECIMAL(5, 1)", "d"),
        ("DOUBLE", "1.5"),
        ("FLOAT", "1.5"),
        ("FLOAT", "b"),
        ("BIGINT", "k + 1"),
    ] {
        let sink = format!("CREATE TABLE s (x {column}) WITH ('connector' = 'fake');");
        let planned = plan(&format!("{MONEY}{sink} INSERT INTO s SELECT {value} FROM t"));
        assert!(planned.is_ok(), "{value} into {column}: {}", planned.unwrap_err().report());
    }
}

#[test]
fn a_sum_that_has_all_digits_has_a_sum_and_an_average() {
    let sums = "SELECT k, SUM(CAST(v AS DECIMAL(10, 2))) AS m FROM plain GROUP BY k";
    let text = super::dataflow(&format!("SELECT SUM(m) AS s, AVG(m) AS a FROM ({sums})"));
    assert_eq!(text.matches("GroupAggregate (retract)").count(), 2, "{text}");
}
