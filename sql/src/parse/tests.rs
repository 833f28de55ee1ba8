#![allow(clippy::unwrap_used, clippy::print_stdout)]

use super::parse;

#[test]
fn smoke() {
    let script = parse(
        "CREATE TABLE t (id BIGINT, tags ARRAY<ARRAY<INT>>, attrs MAP<STRING, STRING>, geo ROW<lat DOUBLE, lon DOUBLE>,
         ts TIMESTAMP(3), `offset` BIGINT METADATA VIRTUAL, kts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
         cost AS price * quantity, proc AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
         PRIMARY KEY (id) NOT ENFORCED) COMMENT 'x' PARTITIONED BY (dt) WITH ('connector' = 'kafka', scan.startup.mode = 'x');
         EXECUTE STATEMENT SET BEGIN
         INSERT INTO a SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) AS w;
         INSERT INTO b (x, y) SELECT IF(a, b, c), LISTAGG(x), COUNT(*) FILTER (WHERE a > 1) FROM SESSION(TABLE t PARTITION BY (a, b), DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end;
         END;
         SELECT * FROM HOP(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' MINUTE, SIZE => INTERVAL '2' MINUTE) CROSS JOIN UNNEST(tags) AS u (x);
         SET 'a' = 'b'; RESET; EXPLAIN SELECT 1;
        ",
    )
    .unwrap_or_else(|error| panic!("{}", error.report()));
    println!("{script:#?}");
    for bad in [
        "SELEC 1",
        "SELECT a FORM t",
        "SELECT a, FROM t",
        "SELECT 'x",
        "SELECT * FROM t EMIT CHANGES",
        "SELECT * FROM",
        "ALTER TABLE x",
        "SELECT now()",
        "CREATE TABLE t (a STRNG)",
        "SELECT * FROM a JOIN b",
        "SELECT * FROM t FOR UPDATE",
        "SELECT TOP 3 a FROM t",
        "SELECT a FROM t WITH (nolock)",
    ] {
        println!("{}\n", parse(bad).unwrap_err().report());
    }
}
