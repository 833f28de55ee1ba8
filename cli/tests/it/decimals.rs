//! DECIMAL among other numbers, with values that lose digits or overflow in any type but the right one.

use crate::weir::{file, path, weir};

/// The least and the greatest that a DOUBLE says, decimals that it cannot say, and an integer that it cannot either.
const NUMBERS: &str = "\
1,12345678901234567890.5,0.1,3
2,-12345678901234567890.5,,-9007199254740993
3,0.5,1e300,0
4,,1e-20,3
5,,-1e300,
6,9007199254740993,0.5,9007199254740992
7,7,7,7
";

fn run(query: &str) -> String {
    let data = file(".csv", NUMBERS);
    let script = format!(
        "CREATE TABLE t (k INT, m DECIMAL(30, 5), d DOUBLE, b BIGINT) WITH \
         ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');\n{query}",
        path(&data)
    );
    weir(&["run", "-e", &script, "--parallelism", "1", "--output", "csv", "--quiet"]).code(0).out
}

#[test]
fn decimals_and_integers_keep_every_digit() {
    let out = run("SELECT COALESCE(m, b) AS x, IFNULL(m, 0.25) AS y, LEAST(m, b) AS z,
         CASE WHEN k < 4 THEN m ELSE -1.25 END AS u, NULLIF(m, d) AS v, NULLIF(b, m) AS w FROM t");
    assert_eq!(
        out,
        "\
x,y,z,u,v,w
12345678901234567890.50000,12345678901234567890.50000,3.00000,12345678901234567890.50000,12345678901234567890.50000,3
-12345678901234567890.50000,-12345678901234567890.50000,-12345678901234567890.50000,-12345678901234567890.50000,-12345678901234567890.50000,-9007199254740993
0.50000,0.50000,0.00000,0.50000,0.50000,0
3.00000,0.25000,,-1.25000,,3
,0.25000,,-1.25000,,
9007199254740993.00000,9007199254740993.00000,9007199254740992.00000,-1.25000,9007199254740993.00000,9007199254740992
7.00000,7.00000,7.00000,-1.25000,,
"
    );
}

#[test]
fn decimals_beside_doubles_are_doubles() {
    let out = run("SELECT COALESCE(m, d) AS x, GREATEST(m, d) AS y, CASE WHEN k = 3 THEN m ELSE d END AS z,
         IF(k = 4, d, m) AS u, NVL2(b, d, m) AS v FROM t WHERE k BETWEEN 3 AND 5");
    assert_eq!(out, "x,y,z,u,v\n0.5,1e300,0.5,0.5,1e300\n1e-20,,1e-20,1e-20,1e-20\n-1e300,,-1e300,,\n");
    let union = run("SELECT x FROM (SELECT k, m AS x FROM t UNION ALL SELECT k, d FROM t) WHERE k IN (3, 4, 5)");
    let mut union: Vec<&str> = union.lines().skip(1).collect();
    union.sort_unstable();
    assert_eq!(union, ["", "", "-1e300", "0.5", "1e-20", "1e300"]);
}

#[test]
fn comparisons_are_exact() {
    let out = run("SELECT k, m = b AS a, m = d AS b, m IN (0.5, 7, 1e-20) AS c, m BETWEEN -1e-20 AND b AS d,
         CAST(m AS DECIMAL(38, 5)) < 1e30 AS e, m > -1e300 AS f,
         CASE m WHEN 0.5 THEN 'half' WHEN b THEN 'integer' ELSE 'other' END AS g FROM t");
    assert_eq!(
        out,
        "\
k,a,b,c,d,e,f,g
1,false,false,false,false,true,true,other
2,false,,false,false,true,true,other
3,false,false,true,false,true,true,half
4,,,,,,,other
5,,,,,,,other
6,false,false,false,false,true,true,other
7,true,true,true,true,true,true,integer
"
    );
}

#[test]
fn constant_decimals_of_a_rounding_are_known_from_the_start() {
    let out = run("SELECT ROUND(m, 3 - 1) AS a, COALESCE(TRUNCATE(m, -(-1)), ROUND(m, 1)) AS b FROM t
         WHERE ROUND(m, 1 + 1) = 0.5 OR TO_TIMESTAMP_LTZ(b, 3 + 3) = TO_TIMESTAMP_LTZ(7, 6)");
    assert_eq!(out, "a,b\n0.50,0.5\n7.00,7.0\n");
}

#[test]
fn a_rounding_keeps_its_type_though_its_decimals_turn_out_to_be_constant() {
    let out = run("SELECT ROUND(m, n) AS a, COALESCE(TRUNCATE(m, n), m) AS b, TO_TIMESTAMP_LTZ(b, 3 * n) AS c
         FROM (SELECT *, 1 AS n FROM t) WHERE ROUND(m, n) = 0.5");
    assert_eq!(out, "a,b,c\n0.50000,0.50000,1970-01-01 00:00:00.000Z\n");
}

#[test]
fn elements_of_arrays_are_compared_exactly() {
    let out = run("SELECT k, ARRAY_CONTAINS(ARRAY[m], b) AS x, ARRAY_CONTAINS(ARRAY[b], m) AS y,
         ARRAY_CONTAINS(ARRAY[m], d) AS z FROM t WHERE k IN (3, 6, 7)");
    assert_eq!(out, "k,x,y,z\n3,false,false,false\n6,false,false,false\n7,true,true,true\n");
}
