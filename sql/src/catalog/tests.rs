#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_core::connector::{Boundedness, METADATA_KEY, OptionInfo, Role};
use weir_core::{ChangelogKind, Connector, ConnectorRegistry, Error, Location, Result, TableSpec};
use weir_functions::Functions;

use super::{Catalog, ColumnSource, Found, Relation, Table, find};
use crate::diagnostics::Source;
use crate::parse::parse;
use crate::statement::Span;

/// A connector whose data nobody reads.
struct Fake {
    name: &'static str,
    reads: bool,
}

#[async_trait::async_trait]
impl Connector for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn supports(&self, role: Role) -> bool {
        self.reads || role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        if !self.reads {
            return Vec::new();
        }
        vec![
            OptionInfo { name: "path", required: true, doc: "where the files are" },
            OptionInfo { name: "format", required: false, doc: "how they are written" },
            OptionInfo { name: "fields.*", required: false, doc: "more" },
        ]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["format"]
    }

    fn takes(&self, _table: &TableSpec, stream: &ChangelogKind) -> bool {
        stream.is_append() || !self.reads
    }

    fn metadata_columns(&self) -> Vec<Field> {
        vec![Field::new("file.path", DataType::Utf8View, false), Field::new("offset", DataType::Int64, false)]
    }

    fn default_schema(&self, options: &BTreeMap<String, String>) -> Result<Option<SchemaRef>> {
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        let schema =
            Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("dateTime", timestamp, false)]);
        Ok(options.contains_key("fields.known").then(|| Arc::new(schema)))
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        match table.options.get("format") {
            Some(format) if format == "odd" => Err(Error::user("format is odd").with_help("make it even")),
            _ => Ok(()),
        }
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Bounded
    }
}

/// `files` are read and appended to; `print` shows whatever it is sent.
pub(crate) struct Fakes;

impl ConnectorRegistry for Fakes {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        match name {
            "files" => Some(Arc::new(Fake { name: "files", reads: true })),
            "print" => Some(Arc::new(Fake { name: "print", reads: false })),
            _ => None,
        }
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["files", "print"]
    }
}

fn catalog(text: &str) -> Result<Catalog> {
    let script = parse(text)?;
    let mut catalog = Catalog::new(Arc::new(Fakes), Functions::built_in());
    for statement in &script.statements {
        assert!(catalog.apply(&script, statement)?, "{text}");
    }
    Ok(catalog)
}

fn table(text: &str, name: &str) -> Arc<Table> {
    let catalog = catalog(text).unwrap_or_else(|error| panic!("{}", error.report()));
    match catalog.get(name, false) {
        Found::One(Relation::Table(table)) => table.clone(),
        other => panic!("{other:?}"),
    }
}

const FLIGHTS: &str = "CREATE TABLE Flights (
  `TAILNUM` STRING, dateTime TIMESTAMP(3), delay INT NOT NULL, delay_hours AS delay / 60.0,
  file STRING METADATA FROM 'file.path' VIRTUAL, `offset` BIGINT METADATA,
  code AS upper(tailnum), proc AS PROCTIME(), dt STRING,
  WATERMARK FOR datetime AS DateTime - INTERVAL '5' SECOND
) PARTITIONED BY (DT) WITH ('connector' = 'files', 'path' = '/x', 'scan.watermark.idle-timeout' = '30s', 'fields.a' = '1');";

#[test]
fn a_table_is_resolved() {
    let table = table(FLIGHTS, "flights");
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["TAILNUM", "dateTime", "delay", "delay_hours", "file", "offset", "code", "proc", "dt"]);
    assert_eq!(table.schema().field(3).data_type(), &DataType::Decimal128(17, 6));
    assert_eq!(table.schema().field(6).data_type(), &DataType::Utf8View);
    assert!(!table.schema().field(2).is_nullable());
    assert_eq!(table.columns[7].source, ColumnSource::ProcessingTime);
    let ColumnSource::Computed(code) = &table.columns[6].source else { panic!() };
    assert_eq!(code.to_string(), "upper(TAILNUM)");
    let time = table.time_attribute.as_ref().unwrap();
    assert_eq!(time.column, 1);
    assert!(time.expression.to_string().starts_with("dateTime - "), "{}", time.expression);
    assert_eq!(table.idle_timeout, Some(Duration::from_secs(30)));
    assert_eq!(table.partitioned_by, ["dt"]);

    let source = Source::new(FLIGHTS);
    let spec = table.source_spec(&source, Span::default()).unwrap();
    let columns: Vec<&str> = spec.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["TAILNUM", "dateTime", "delay", "file", "offset", "dt"]);
    assert_eq!(spec.schema.field(3).metadata()[METADATA_KEY], "file.path");
    assert_eq!(spec.options, BTreeMap::from([("path".into(), "/x".into()), ("fields.a".into(), "1".into())]));
    let sink = table.sink_spec(&source, Span::default()).unwrap();
    let columns: Vec<&str> = sink.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["TAILNUM", "dateTime", "delay", "offset", "dt"]);
    assert!(!format!("{table:?}").contains("/x"), "values of options may be secret");
}

/// Functions that exist in a plan only are replaced, and text travels in one layout whatever a function returns.
#[test]
fn computed_columns_can_be_computed() {
    let table = table(
        "CREATE TABLE t (a STRING, b STRING, n INT, c AS COALESCE(a, b, 'x'), d AS IFNULL(a, b), e AS NVL2(a, b, 'y'), \
         f AS TO_CHAR(DATE '2020-01-01', '%Y'), g AS a || n, h AS IF(n > 3, 'many', 'few'), i AS TO_BASE64(a)) \
         WITH ('connector' = 'files', 'path' = '/x')",
        "t",
    );
    for column in &table.columns[3..] {
        let ColumnSource::Computed(expression) = &column.source else { panic!() };
        let text = expression.to_string().to_lowercase();
        assert!(!text.contains("coalesce") && !text.contains("nvl"), "{text}");
        assert_eq!(column.data_type, DataType::Utf8View, "{}: {text}", column.name);
    }
}

#[test]
fn a_connector_may_know_the_columns() {
    let known = table(
        "CREATE TABLE n (twice AS id * 2, WATERMARK FOR datetime AS datetime) \
         WITH ('connector' = 'files', 'path' = '/x', 'fields.known' = '1')",
        "n",
    );
    let names: Vec<&str> = known.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "dateTime", "twice"]);
    assert_eq!(known.time_attribute.as_ref().unwrap().column, 1);
}

#[test]
fn like_takes_over_what_is_not_said() {
    let text = format!(
        "{FLIGHTS} CREATE TABLE copy (extra INT, more AS extra + delay) WITH ('path' = '/y') LIKE flights;
         CREATE TABLE quiet WITH ('connector' = 'print') LIKE tiny;"
    )
    .replacen("CREATE TABLE copy", "CREATE TABLE tiny (a INT) WITH ('connector' = 'print'); CREATE TABLE copy", 1);
    let copy = table(&text, "copy");
    assert_eq!(copy.columns.len(), 11);
    assert!(copy.time_attribute.is_some());
    assert_eq!(copy.partitioned_by, ["dt"]);
    assert_eq!(copy.source_spec(&Source::new(&text), Span::default()).unwrap().options["path"], "/y");
    assert_eq!(table(&text, "quiet").columns.len(), 1);
}

#[test]
fn event_time_of_every_kind() {
    for (columns, time) in [
        ("ts TIMESTAMP(3), WATERMARK FOR ts AS ts", 0),
        ("ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE", 0),
        ("ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE", 1),
        ("day STRING, ts AS CAST(day AS TIMESTAMP(3)), WATERMARK FOR ts AS ts - INTERVAL '1' DAY", 1),
        ("event ROW<ts TIMESTAMP(3)>, ts AS event.ts, WATERMARK FOR ts AS ts - INTERVAL '1' DAY", 1),
    ] {
        let table = table(&format!("CREATE TABLE t ({columns}) WITH ('connector' = 'files', 'path' = '/x')"), "t");
        assert_eq!(table.time_attribute.as_ref().unwrap().column, time, "{columns}");
    }
}

fn report(text: &str) -> String {
    match catalog(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.report(),
    }
}

#[test]
fn errors() {
    let with = "WITH ('connector' = 'files', 'path' = 'secret')";
    let cases = [
        ("CREATE TABLE t (a INT)".to_owned(), "line 1, column 14: table `t` has no connector", "connectors are `files`, `print`"),
        ("CREATE TABLE t (a INT) WITH ('conector' = 'files')".to_owned(), "table `t` has no connector", "is 'conector' a slip of 'connector'?"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'file')".to_owned(), "line 1, column 44: there is no connector `file`", "did you mean `files`?"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'kafka')".to_owned(), "there is no connector `kafka`", "connectors are `files`, `print`"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'files')".to_owned(), "table `t` needs the option 'path'", "'path' of connector `files`: where the files are"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'files', 'path' = 'secret', 'fromat' = 'x')".to_owned(), "line 1, column 72: connector `files` has no option 'fromat'", "did you mean `format`?"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'files', 'path' = 'secret', 'scan.watermark.idletimeout' = 'x')".to_owned(), "has no option 'scan.watermark.idletimeout'", "did you mean `scan.watermark.idle-timeout`?"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'files', 'path' = 'secret', 'scan.watermark.idle-timeout' = 'x')".to_owned(), "expected a duration", "'30 s'"),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'files', 'path' = 'secret', 'scan.records-per-second.limit' = '0')".to_owned(), "expected a number of rows", "leave the option out"),
        (format!("CREATE TABLE t (a INT, a BIGINT) {with}"), "line 1, column 24: column `a` is declared twice", ""),
        (format!("CREATE TABLE t {with}"), "table `t` has no physical column", "connector `files` does not know them"),
        (format!("CREATE TABLE t (a INT, p STRING METADATA FROM 'file.pth') {with}"), "line 1, column 24: connector `files` has no metadata column 'file.pth'", "did you mean `file.path`?"),
        (format!("CREATE TABLE t (a INT, `offset` STRING METADATA) {with}"), "metadata column 'offset' of connector `files` is BIGINT, not STRING", "declare it BIGINT"),
        (format!("CREATE TABLE t (prize INT, b AS price + 1) {with}"), "line 1, column 33: there is no column `price`", "did you mean `prize`?"),
        (format!("CREATE TABLE t (a INT, b AS a + 1, c AS b + 1) {with}"), "a computed column cannot name another one, as this one does `b`", "write the expression of `b`"),
        (format!("CREATE TABLE t (`a` INT, `A` INT, b AS a + 1, c AS `A`) {with}"), "@ok", ""),
        (format!("CREATE TABLE t (`ab` INT, `AB` INT, b AS aB + 1) {with}"), "`aB` could be any of `ab`, `AB`", "write it in backticks"),
        (format!("CREATE TABLE t (a INT, b AS uper('x')) {with}"), "line 1, column 29: ", "upper"),
        (format!("CREATE TABLE t (a INT, b AS a || TRUE > 3) {with}"), "line 1, column ", ""),
        (format!("CREATE TABLE t (a INT, b AS SUM(a)) {with}"), "line 1, column 29: ", ""),
        (format!("CREATE TABLE t (a INT, b AS (SELECT 1)) {with}"), "a query cannot be part of this expression", "in a view over the table"),
        (format!("CREATE TABLE t (a INT, WATERMARK FOR ts AS ts) {with}"), "line 1, column 38: there is no column `ts`", "the columns are `a`"),
        (format!("CREATE TABLE t (ts STRING, WATERMARK FOR ts AS ts) {with}"), "line 1, column 42: `ts` is STRING; a time attribute has to be TIMESTAMP(3) or TIMESTAMP_LTZ(3)", "declare it `ts TIMESTAMP(3)`, or add a column `event_time AS CAST(ts AS TIMESTAMP(3))`"),
        (format!("CREATE TABLE t (ts TIMESTAMP, WATERMARK FOR ts AS ts) {with}"), "`ts` is TIMESTAMP(6)", "CAST(ts AS TIMESTAMP(3))"),
        (format!("CREATE TABLE t (ts TIMESTAMP_LTZ(9), WATERMARK FOR ts AS ts) {with}"), "`ts` is TIMESTAMP_LTZ(9)", "CAST(ts AS TIMESTAMP_LTZ(3))"),
        (format!("CREATE TABLE t (ts BIGINT, WATERMARK FOR ts AS ts) {with}"), "`ts` is BIGINT", "TO_TIMESTAMP_LTZ(ts, 3)"),
        (format!("CREATE TABLE t (a INT, p AS PROCTIME(), WATERMARK FOR p AS p) {with}"), "`p` is processing time, which needs no watermark", "leave WATERMARK FOR out"),
        (format!("CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR ts AS CAST(ts AS TIMESTAMP(6))) {with}"), "this watermark is TIMESTAMP(6), but `ts` is TIMESTAMP(3)", "INTERVAL '5' SECOND"),
        (format!("CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) {with}"), "there is no column `b`", "the columns are `a`"),
        (format!("CREATE TABLE t (a INT) PARTITIONED BY (b) {with}"), "line 1, column 40: there is no column `b`", ""),
        (format!("CREATE TABLE t (a INT, b AS a) PARTITIONED BY (b) {with}"), "`b` cannot partition the table", ""),
        (format!("CREATE TABLE t (a INT) {with}; CREATE TABLE t (a INT) {with}"), "there is a table `t` already", "DROP"),
        (format!("CREATE VIEW t AS SELECT 1; CREATE TABLE t (a INT) {with}"), "there is a view `t` already", ""),
        (format!("CREATE TABLE t {with} LIKE u"), "there is no table `u`", "the tables and views before this statement are none"),
        (format!("CREATE VIEW u AS SELECT 1; CREATE TABLE t {with} LIKE u"), "`u` is a view, and LIKE takes a table", ""),
        (format!("CREATE TABLE u (a INT) {with}; CREATE TABLE t (a INT) LIKE u"), "`u` has a column `a` already", ""),
        ("DROP TABLE t".to_owned(), "line 1, column 12: there is no table `t`", ""),
        ("CREATE VIEW v AS SELECT 1; DROP TABLE v".to_owned(), "`v` is a view", "write `DROP VIEW v`"),
    ];
    let mut failures = Vec::new();
    for (text, message, help) in cases {
        if message == "@ok" {
            assert!(catalog(&text).is_ok(), "{}", report(&text));
            continue;
        }
        let found = report(&text);
        assert!(!found.lines().next().unwrap().contains("secret") && !found.contains("help: secret"));
        if !found.contains(message) || !found.contains(help) {
            failures.push(format!("{text}\n{found}\n    expected: {message} / {help}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

#[test]
fn statements_change_the_catalog_in_order() {
    let with = "WITH ('connector' = 'print')";
    let names = |text: &str| catalog(text).unwrap().names().join(" ");
    assert_eq!(
        names(&format!(
            "CREATE TABLE a (x INT) {with}; CREATE TABLE IF NOT EXISTS a (y INT) {with}; CREATE VIEW b AS SELECT 1"
        )),
        "a b"
    );
    assert_eq!(
        names(
            "CREATE VIEW b AS SELECT 1; CREATE OR REPLACE VIEW b AS SELECT 2; DROP VIEW IF EXISTS c; CREATE VIEW D AS SELECT 1; DROP VIEW d"
        ),
        "b"
    );
}

#[test]
fn roles_are_checked_where_a_table_is_used() {
    let text = "CREATE TABLE p (x INT) WITH ('connector' = 'print'); \
                CREATE TABLE o (x INT) WITH ('connector' = 'files', 'path' = '/x', 'format' = 'odd')";
    let source = Source::new(text);
    let error = table(text, "p").source_spec(&source, Span { start: 13, end: 14 }).unwrap_err();
    assert!(error.report().starts_with("line 1, column 14: table `p` cannot be read: its connector is `print`"));
    let error = table(text, "o").sink_spec(&source, Span { start: 0, end: 1 }).unwrap_err();
    assert!(error.report().starts_with("line 1, column 67: format is odd"), "{}", error.report());
    assert_eq!(error.help(), Some("make it even"));
}

#[test]
fn names_match_whatever_their_case_if_that_is_clear() {
    let names = ["tailnum", "TAILNUM", "dateTime"];
    assert_eq!(find(names, "datetime", false), Found::One("dateTime"));
    assert_eq!(find(names, "datetime", true), Found::None);
    assert_eq!(find(names, "TAILNUM", false), Found::One("TAILNUM"));
    assert_eq!(find(names, "TailNum", false), Found::Several(vec!["tailnum", "TAILNUM"]));
    assert_eq!(find(names, "x", false), Found::None);
}

#[test]
fn connectors_learn_the_primary_key_and_which_options_are_settings() {
    let text = "CREATE TABLE t (a AS id + 1, id INT, name STRING, rank INT, PRIMARY KEY (rank, id) NOT ENFORCED)
      WITH ('connector' = 'files', 'path' = 'p', 'format' = 'f')";
    let source = Source::new(text);
    let table = table(text, "t");
    for spec in [table.source_spec(&source, table.span).unwrap(), table.sink_spec(&source, table.span).unwrap()] {
        let key: Vec<&str> = spec.primary_key.iter().map(|column| spec.schema.field(*column).name().as_str()).collect();
        assert_eq!(key, ["rank", "id"]);
        assert_eq!(spec.settings.iter().collect::<Vec<_>>(), ["format"]);
    }
    for (key, says) in [("a", "`a` cannot be in the primary key"), ("id, id", "`id` is in the primary key twice")] {
        let text = format!(
            "CREATE TABLE t (a AS id + 1, id INT, PRIMARY KEY ({key}) NOT ENFORCED) WITH ('connector' = 'files', 'path' = 'p')"
        );
        let error = catalog(&text).map(drop).unwrap_err().report();
        assert!(error.contains(says), "{error}");
    }
}
