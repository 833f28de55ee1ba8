//! What SQL.md lists, and what comes of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion_sql::sqlparser::ast::{Query, SetExpr};

use crate::parse::{WindowFunction, parse};
use crate::statement::{ColumnKind, CreateTable, Script, Statement};

fn script(text: &str) -> Script {
    parse(text).unwrap_or_else(|error| panic!("{}", error.report()))
}

fn only(text: &str) -> Statement {
    let mut statements = script(text).statements;
    assert_eq!(statements.len(), 1, "{text}");
    statements.remove(0).value
}

fn table(text: &str) -> CreateTable {
    match only(text) {
        Statement::CreateTable(table) => table,
        other => panic!("{other:?}"),
    }
}

fn query(text: &str) -> Box<Query> {
    match only(text) {
        Statement::Query(query) => query,
        other => panic!("{other:?}"),
    }
}

const ORDERS: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS t (
  id BIGINT,
  product STRING NOT NULL COMMENT 'what',
  tags ARRAY<STRING>, attrs MAP<STRING, STRING>, geo ROW<lat DOUBLE, lon DOUBLE>,
  ts TIMESTAMP(3),
  `offset` BIGINT METADATA VIRTUAL,                    -- METADATA [FROM 'key'] [VIRTUAL]
  kts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  cost AS price * quantity,                            -- computed column
  proc AS PROCTIME(), /* a comment */
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED
) COMMENT 'it''s ours'
PARTITIONED BY (dt)
WITH ('connector' = 'kafka', 'topic' = '…', 'properties.bootstrap.servers' = '…',
      'scan.startup.mode' = 'earliest-offset', 'format' = 'json', 'scan.watermark.idle-timeout' = '30s');";

#[test]
fn a_table_with_everything() {
    let table = table(ORDERS);
    assert!(table.if_not_exists);
    assert_eq!(table.name.value, "t");
    assert_eq!(&ORDERS[table.name.span.start..table.name.span.end], "t");
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.value.as_str()).collect();
    assert_eq!(names, ["id", "product", "tags", "attrs", "geo", "ts", "offset", "kts", "cost", "proc"]);
    let nullable: Vec<bool> = table.columns.iter().map(|column| column.nullable).collect();
    assert_eq!(nullable, [true, false, true, true, true, true, true, true, true, true]);
    let ColumnKind::Metadata { data_type, from, virtual_column } = &table.columns[6].kind else { panic!() };
    assert_eq!((data_type, from.as_deref(), *virtual_column), (&DataType::Int64, None, true));
    let ColumnKind::Metadata { data_type, from, virtual_column } = &table.columns[7].kind else { panic!() };
    let ltz = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    assert_eq!((data_type, from.as_deref(), *virtual_column), (&ltz, Some("timestamp"), false));
    let ColumnKind::Computed(cost) = &table.columns[8].kind else { panic!() };
    assert_eq!(cost.to_string(), "price * quantity");
    let ColumnKind::Computed(proc) = &table.columns[9].kind else { panic!() };
    assert_eq!(proc.to_string(), "proctime()");
    let watermark = table.watermark.unwrap();
    assert_eq!(watermark.column.value, "ts");
    assert_eq!(watermark.expression.to_string(), "ts - INTERVAL '5' SECOND");
    assert_eq!(table.primary_key, ["id"]);
    assert_eq!(table.comment.as_deref(), Some("it's ours"));
    assert_eq!(table.partitioned_by[0].value, "dt");
    let options: Vec<(&str, &str)> =
        table.options.iter().map(|option| (option.key.value.as_str(), option.value.value.as_str())).collect();
    assert_eq!(options[0], ("connector", "kafka"));
    assert_eq!(options[5], ("scan.watermark.idle-timeout", "30s"));
}

#[test]
fn types() {
    let list = |data_type| DataType::List(Arc::new(Field::new_list_field(data_type, true)));
    let fields = |fields: Vec<Field>| DataType::Struct(Fields::from(fields));
    let map = |key, value| {
        let entries = fields(vec![Field::new("key", key, false), Field::new("value", value, true)]);
        DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
    };
    let timestamp = |unit| DataType::Timestamp(unit, None);
    let utc = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let nested =
        fields(vec![Field::new("a", list(DataType::Int32), true), Field::new("select", DataType::Utf8View, false)]);
    for (text, expected) in [
        ("STRING", DataType::Utf8View),
        ("VARCHAR(10)", DataType::Utf8View),
        ("VARCHAR", DataType::Utf8View),
        ("CHAR(3)", DataType::Utf8View),
        ("CHARACTER VARYING(3)", DataType::Utf8View),
        ("BYTES", DataType::BinaryView),
        ("VARBINARY(8)", DataType::BinaryView),
        ("BOOLEAN", DataType::Boolean),
        ("TINYINT", DataType::Int8),
        ("SMALLINT", DataType::Int16),
        ("INT", DataType::Int32),
        ("integer", DataType::Int32),
        ("BIGINT", DataType::Int64),
        ("FLOAT", DataType::Float32),
        ("DOUBLE", DataType::Float64),
        ("DOUBLE PRECISION", DataType::Float64),
        ("DECIMAL", DataType::Decimal128(10, 0)),
        ("DECIMAL(5)", DataType::Decimal128(5, 0)),
        ("NUMERIC(38, 18)", DataType::Decimal128(38, 18)),
        ("DATE", DataType::Date32),
        ("TIME", DataType::Time64(TimeUnit::Nanosecond)),
        ("TIME(3)", DataType::Time64(TimeUnit::Nanosecond)),
        ("TIMESTAMP(0)", timestamp(TimeUnit::Second)),
        ("TIMESTAMP(3)", timestamp(TimeUnit::Millisecond)),
        ("TIMESTAMP", timestamp(TimeUnit::Microsecond)),
        ("TIMESTAMP(9) WITHOUT TIME ZONE", timestamp(TimeUnit::Nanosecond)),
        ("TIMESTAMP_LTZ(3)", utc(TimeUnit::Millisecond)),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", utc(TimeUnit::Millisecond)),
        ("ARRAY<ARRAY<INT>>", list(list(DataType::Int32))),
        ("ARRAY<ARRAY<ARRAY<INT>>>", list(list(list(DataType::Int32)))),
        ("MAP<STRING, ARRAY<BIGINT>>", map(DataType::Utf8View, list(DataType::Int64))),
        ("MAP<STRING, MAP<STRING, INT>>", map(DataType::Utf8View, map(DataType::Utf8View, DataType::Int32))),
        ("ROW<a ARRAY<INT>, `select` STRING NOT NULL>", nested.clone()),
        ("ROW(a ARRAY<INT>, \"select\" STRING NOT NULL COMMENT 'x')", nested.clone()),
        ("ARRAY<ROW<a ARRAY<INT>, `select` STRING NOT NULL> >", list(nested)),
    ] {
        let table = table(&format!("CREATE TABLE t (x {text}, y INT) WITH ('connector' = 'c')"));
        let ColumnKind::Physical(found) = &table.columns[0].kind else { panic!("{text}") };
        assert_eq!(found, &expected, "{text}");
    }
}

#[test]
fn names_that_are_keywords_and_options_without_quotes() {
    let table = table(
        "create table source (timestamp TIMESTAMP(3), `date` DATE, value INT, watermark INT, offset INT, \"MixedCase\" INT,
           user STRING, primary STRING) with (connector = 'x', scan.startup.mode = 'y', sink.rolling-policy.file-size = '1MB',
           'preload' = true, number-of-rows = 10)",
    );
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.value.as_str()).collect();
    assert_eq!(names, ["timestamp", "date", "value", "watermark", "offset", "MixedCase", "user", "primary"]);
    let options: Vec<String> =
        table.options.iter().map(|option| format!("{}={}", option.key.value, option.value.value)).collect();
    assert_eq!(
        options,
        [
            "connector=x",
            "scan.startup.mode=y",
            "sink.rolling-policy.file-size=1MB",
            "preload=true",
            "number-of-rows=10"
        ]
    );
}

#[test]
fn a_table_like_another_and_one_without_columns() {
    assert_eq!(table("CREATE TABLE b (x INT) WITH ('a' = 'b') LIKE a").like.unwrap().base.value, "a");
    let bare = table("CREATE TABLE nexmark WITH ('connector' = 'nexmark')");
    assert!(bare.columns.is_empty());
    let with_time = table("CREATE TABLE n (WATERMARK FOR ts AS ts) WITH ('connector' = 'nexmark')");
    assert!(with_time.columns.is_empty() && with_time.watermark.is_some());
}

#[test]
fn views_inserts_drops_and_settings() {
    let script = script(
        "CREATE OR REPLACE TEMPORARY VIEW IF NOT EXISTS v (a, `B`) COMMENT 'x' AS SELECT 1, 2;;
         INSERT INTO `Sink` (x, y) (SELECT 1, 2);
         insert into sink select 'a;b' -- not the end ; of it
         ;
         INSERT INTO s VALUES (1, 'x'), (2, 'y');
         INSERT INTO s WITH q AS (SELECT 1) SELECT * FROM q;
         DROP TABLE IF EXISTS s; DROP VIEW v;
         SET 'pipeline.name' = 'flights'; SET parallelism.default = 4; RESET; RESET 'pipeline.name';
         EXPLAIN SELECT 1; EXPLAIN PLAN FOR INSERT INTO s SELECT 1",
    );
    let kinds: Vec<String> = script
        .statements
        .iter()
        .map(|statement| match &statement.value {
            Statement::CreateView { name, columns, or_replace, if_not_exists, .. } => {
                format!("view {} {columns:?} {or_replace} {if_not_exists}", name.value)
            }
            Statement::Insert { target, columns, .. } => {
                format!("insert {} {}", target.value, columns.len())
            }
            Statement::Drop { name, view, if_exists } => format!("drop {} {view} {if_exists}", name.value),
            Statement::Set { key, value } => format!("set {} {}", key.value, value.value),
            Statement::Reset { key } => format!("reset {:?}", key.as_ref().map(|key| key.value.as_str())),
            Statement::Explain { statement, .. } => {
                format!("explain {}", matches!(**statement, Statement::Insert { .. }))
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "view v [\"a\", \"B\"] true true",
            "insert Sink 2",
            "insert sink 0",
            "insert s 0",
            "insert s 0",
            "drop s false true",
            "drop v true false",
            "set pipeline.name flights",
            "set parallelism.default 4",
            "reset None",
            "reset Some(\"pipeline.name\")",
            "explain false",
            "explain true",
        ]
    );
    let second = &script.statements[1];
    assert_eq!(&script.text[second.span.start..second.span.end], "INSERT INTO `Sink` (x, y) (SELECT 1, 2)");
}

#[test]
fn statement_sets_are_opened() {
    for text in [
        "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END;",
        "execute statement set\nbegin\nINSERT INTO a SELECT 1; INSERT INTO b SELECT 2;\nend",
        "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END;",
        "STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END",
    ] {
        let script = script(text);
        assert_eq!(script.statements.len(), 2, "{text}");
        let first = script.statements[0].span;
        assert_eq!(&text[first.start..first.end], "INSERT INTO a SELECT 1");
    }
}

fn window_function(text: &str) -> WindowFunction {
    let query = query(text);
    let SetExpr::Select(select) = *query.body else { panic!("{text}") };
    WindowFunction::of(&select.from[0].relation).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn window_functions_reach_the_planner_in_one_form() {
    for (text, expected) in [
        (
            "SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' MINUTES)",
            "TUMBLE bid; descriptor(ts); INTERVAL '10' MINUTES | ",
        ),
        (
            "SELECT * FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`ts`), INTERVAL '10' MINUTES, INTERVAL '1' MINUTE)) AS w",
            "TUMBLE bid; descriptor(`ts`); INTERVAL '10' MINUTES; INTERVAL '1' MINUTE | ",
        ),
        (
            "SELECT * FROM hop(DATA => TABLE `Bid`, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' HOUR, SIZE => INTERVAL '1' DAY)",
            "HOP DATA=`Bid`; TIMECOL=descriptor(ts); SLIDE=INTERVAL '1' HOUR; SIZE=INTERVAL '1' DAY | ",
        ),
        (
            "SELECT * FROM SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
            "SESSION bid; descriptor(ts); INTERVAL '10' SECOND | bidder",
        ),
        (
            "SELECT * FROM TABLE(SESSION(TABLE bid PARTITION BY (bidder, auction), DESCRIPTOR(ts), INTERVAL '10' SECOND))",
            "SESSION bid; descriptor(ts); INTERVAL '10' SECOND | bidder, auction",
        ),
        (
            "SELECT * FROM SESSION(DATA => TABLE bid PARTITION BY (bidder), TIMECOL => DESCRIPTOR(ts), GAP => INTERVAL '1' SECOND)",
            "SESSION DATA=bid; TIMECOL=descriptor(ts); GAP=INTERVAL '1' SECOND | bidder",
        ),
    ] {
        let function = window_function(text);
        let arguments: Vec<String> = function
            .arguments
            .iter()
            .map(|argument| match &argument.name {
                Some(name) => format!("{name}={}", argument.value),
                None => argument.value.to_string(),
            })
            .collect();
        let keys: Vec<String> = function.partition_by.iter().map(ToString::to_string).collect();
        assert_eq!(format!("{} {} | {}", function.name, arguments.join("; "), keys.join(", ")), expected, "{text}");
        assert!(function.arguments[0].table().is_some());
        assert_eq!(function.arguments[1].descriptor().unwrap()[0].value, "ts");
    }
    let function =
        window_function("SELECT * FROM TABLE(TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '1' DAY)) AS w (a, b)");
    assert_eq!(function.alias.unwrap().name.value, "w");
}

#[test]
fn queries_of_every_kind() {
    for text in [
        "WITH a AS (SELECT 1 AS x), b (y) AS (SELECT 2) SELECT * FROM a, b WHERE a.x = b.y",
        "SELECT DISTINCT x FROM t UNION ALL SELECT y FROM u EXCEPT SELECT 1 INTERSECT SELECT 2",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT CASE x WHEN 1 THEN 'a' ELSE 'b' END, CAST(x AS STRING), TRY_CAST(y AS INT), x::BIGINT FROM t",
        "SELECT window_start, COUNT(*) FILTER (WHERE x > 1), COUNT(DISTINCT y), LISTAGG(z, '|') FROM \
         TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)) \
         GROUP BY window_start, window_end, GROUPING SETS ((a, b), (a), ()) HAVING COUNT(*) > 3",
        "SELECT * FROM t GROUP BY ROLLUP (a, b), CUBE (c, d)",
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY price DESC NULLS LAST) \
         AS rn FROM t) WHERE rn <= 3",
        "SELECT * FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) = 1",
        "SELECT a.*, b.x FROM a LEFT JOIN b ON a.id = b.id AND a.window_start = b.window_start FULL OUTER JOIN c USING (id)",
        "SELECT * FROM a LEFT SEMI JOIN b ON a.id = b.id LEFT ANTI JOIN c ON a.id = c.id CROSS JOIN d",
        "SELECT * FROM a JOIN b ON a.id = b.id AND a.ts BETWEEN b.ts - INTERVAL '4' HOUR AND b.ts",
        "SELECT * FROM a WHERE x IN (SELECT y FROM b) AND EXISTS (SELECT 1 FROM c WHERE c.z = a.z) AND w > (SELECT 1)",
        "SELECT id, tag FROM t CROSS JOIN UNNEST(tags) AS u (tag)",
        "SELECT id, tag FROM t, UNNEST(tags) AS u (tag) ORDER BY id LIMIT 10 OFFSET 5",
        "SELECT * EXCEPT (a), * REPLACE (b + 1 AS b) FROM t",
        "SELECT * FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts AS c ON a.id = c.id",
        "SELECT * FROM a ASOF JOIN b MATCH_CONDITION (a.ts >= b.ts) ON a.k = b.k",
        "SELECT MAX(x) OVER w FROM t WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
        "SELECT LAST_VALUE(x) IGNORE NULLS OVER (ORDER BY ts), ARRAY_AGG(x ORDER BY y), \
         PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x) FROM t",
        "SELECT geo.lat, t.geo.lat, tags[1], attrs['k'], ROW(1, 2), DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00' FROM t",
        "SELECT 'it''s', `select`, \"From\", 1e3, X'ff', -1, NOT TRUE, x IS DISTINCT FROM y, a LIKE 'x!%' ESCAPE '!' FROM t",
        "SELECT TIMESTAMPDIFF(DAY, a, b), EXTRACT(HOUR FROM ts), FLOOR(ts TO HOUR), CEIL(1.5), FLOOR(1.5) FROM t",
        "SELECT json -> 'a' ->> 'b' FROM t -- done",
        "SELECT emit, allowed, changes FROM t",
    ] {
        query(text);
    }
}
