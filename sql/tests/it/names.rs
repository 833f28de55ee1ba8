//! Names in any capitals, and the messages about those that are not there.

use super::{dataflow, refusal};

#[test]
fn capitals_do_not_matter_without_quotes() {
    for (loose, exact) in [
        ("SELECT AUCTION, datetime FROM BID WHERE Price > 3", "SELECT auction, dateTime FROM bid WHERE price > 3"),
        (
            "SELECT B.AUCTION FROM Bid B WHERE b.DATETIME IS NOT NULL",
            "SELECT B.auction FROM bid B WHERE B.dateTime IS NOT NULL",
        ),
        (
            "SELECT Bidder, COUNT(*) AS n, Window_End FROM Tumble(TABLE BID, DESCRIPTOR(DateTime), INTERVAL '10' SECOND) \
             GROUP BY bidder, WINDOW_START, window_end HAVING count(*) > 1",
            "SELECT bidder, COUNT(*) AS n, window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) \
             GROUP BY bidder, window_start, window_end HAVING COUNT(*) > 1",
        ),
        (
            "SELECT x.ITEMNAME FROM auction x JOIN person P ON X.seller = p.ID AND p.datetime BETWEEN x.DATETIME AND \
             x.datetime + INTERVAL '1' HOUR",
            "SELECT x.itemName FROM auction x JOIN person P ON x.seller = P.id AND P.dateTime BETWEEN x.dateTime AND \
             x.dateTime + INTERVAL '1' HOUR",
        ),
        (
            "CREATE VIEW v AS SELECT ITEMNAME AS Name, id FROM auction; SELECT NAME FROM V",
            "CREATE VIEW v AS SELECT itemName AS Name, id FROM auction; SELECT Name FROM v",
        ),
        (
            "WITH q AS (SELECT PRICE FROM bid) SELECT Q.Price + 1 FROM q",
            "WITH q AS (SELECT price FROM bid) SELECT q.price + 1 FROM q",
        ),
    ] {
        assert_eq!(dataflow(loose), dataflow(exact), "{loose}");
    }
}

#[test]
fn quotes_mean_what_they_say() {
    assert!(refusal("SELECT `AUCTION` FROM bid").contains("there is no column `AUCTION`"));
    assert!(refusal("SELECT \"datetime\" FROM bid").contains("there is no column `datetime`"));
    assert!(refusal("SELECT auction FROM `Bid`").contains("there is no table `Bid`"));
    let both = "CREATE VIEW v AS SELECT auction AS ab, bidder AS AB FROM bid; ";
    assert!(refusal(&format!("{both}SELECT aB FROM v")).contains("there is no column `aB`"));
    assert!(dataflow(&format!("{both}SELECT AB FROM v")).contains("bidder"));
}

/// The message about a statement behind the tables of these tests: line and column, text, underlined place, help.
fn message(sql: &str) -> String {
    let report = refusal(&format!("\n{sql}"));
    let place = report.split_once(", column ").map(|(_, rest)| rest).unwrap_or(&report);
    place.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn says(sql: &str, parts: &[&str]) {
    let message = message(sql);
    for part in parts {
        assert!(message.contains(part), "{sql}\n{message}\nlacks: {part}");
    }
}

#[test]
fn what_is_not_there_is_named_with_its_place_and_the_nearest_name() {
    says("SELECT prise FROM bid", &["8: there is no column `prise`", "did you mean `price`?", "       ^^^^^"]);
    says("SELECT b.prise FROM bid b", &["there is no column `b.prise`", "did you mean `b.price`?"]);
    says("SELECT price FROM bidd", &["19: there is no table `bidd`", "did you mean `bid`?"]);
    says("SELECT price FROM bid WHERE bider > 3", &["29: there is no column `bider`", "did you mean `bidder`?"]);
    says("SELECT price FROM bid ORDER BY pirce", &["there is no column `pirce`", "did you mean `price`?"]);
    says("SELECT upperr(channel) FROM bid", &["8: ", "upper"]);
    says("SELECT price FROM bid, bid b2 WHERE auction = 1", &["auction", "several tables"]);
    says(
        "INSERT INTO plain SELECT auction, price, channel FROM bid",
        &["13: `plain` takes 4 columns here, but the query has 3"],
    );
    says("INSERT INTO plain (k, vv) SELECT auction, 1.0 FROM bid", &["23: `plain` has no column `vv`"]);
    says("INSERT INTO plian SELECT 1", &["13: there is no table `plian`", "did you mean `plain`?"]);
    says(
        "SELECT * FROM TUMBLE(TABLE bid, DESCRIPTOR(datetim), INTERVAL '1' DAY)",
        &["44: there is no column `datetim`", "did you mean `dateTime`?"],
    );
}

#[test]
fn functions_that_cannot_work_are_refused_when_planned() {
    says("SELECT PROCTIME() AS p FROM bid", &["PROCTIME() in a query is not supported yet", "proc AS PROCTIME()"]);
    says("SELECT REGEXP_EXTRACT(url, '(?<=a)b', 1) FROM bid", &["look-ahead and look-behind are not supported"]);
    says("SELECT auction FROM bid WHERE JSON_VALUE(extra, 'a') = 'x'", &["the JSON path `a` cannot be used"]);
    says("SELECT DATE_FORMAT(dateTime, 'YYYY') FROM bid", &["unknown field `YYYY`"]);
    says("SELECT SPLIT_INDEX(url, '/') FROM bid", &["expected `SPLIT_INDEX(text, delimiter, index)`"]);
    says("SELECT CAST(channel AS TIMESTAMP_TZ(3)) FROM bid", &["TIMESTAMP_LTZ(3)"]);
}

/// Names of the columns that a bare query prints, as its result and as the node that makes the rows call them.
fn printed(sql: &str) -> Vec<String> {
    let plan = super::plan(sql).unwrap_or_else(|error| panic!("{}", error.report()));
    let names = |schema: &arrow::datatypes::SchemaRef| -> Vec<String> {
        schema.fields().iter().map(|field| field.name().clone()).collect()
    };
    let result = names(&plan.result_schema.unwrap());
    let graph = plan.graph.unwrap();
    let sink = graph.nodes().iter().find(|node| node.spec.name == "Sink(result)").unwrap();
    for edge in &sink.spec.inputs {
        assert_eq!(names(&graph.node(edge.from).spec.schema), result, "{sql}");
    }
    result
}

#[test]
fn results_have_the_names_of_the_query() {
    let top = "SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS rn FROM (
        SELECT window_start, window_end, channel, COUNT(*) AS n
        FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, channel)";
    let names = ["window_start", "window_end", "channel", "n", "rn"];
    assert_eq!(printed(&format!("SELECT * FROM ({top}) WHERE rn = 1")), names);
    assert_eq!(printed(&format!("CREATE VIEW v AS {top}; SELECT * FROM v WHERE rn <= 3")), names);
    let renamed = ["a", "b", "c", "d", "e"];
    assert_eq!(printed(&format!("CREATE VIEW v (a, b, c, d, e) AS {top}; SELECT * FROM v WHERE e <= 3")), renamed);
    assert_eq!(printed(&format!("SELECT * FROM ({top}) AS t (a, b, c, d, e) WHERE e <= 3")), renamed);
    assert_eq!(
        printed("SELECT k, v, s FROM plain UNION ALL SELECT auction AS x, 1.5 AS y, url FROM bid"),
        ["k", "v", "s"]
    );
    assert_eq!(
        printed(
            "SELECT a.id, p.id FROM auction a JOIN person p ON a.seller = p.id AND p.dateTime BETWEEN a.dateTime AND \
             a.dateTime + INTERVAL '1' HOUR"
        ),
        ["id", "id0"]
    );
}

#[test]
fn columns_of_one_name_are_told_apart() {
    assert_eq!(printed("SELECT k, k, k FROM plain"), ["k", "k0", "k1"]);
    assert_eq!(printed("SELECT k, CAST(k AS STRING), (k) FROM plain"), ["k", "EXPR$1", "EXPR$2"]);
    assert_eq!(printed("SELECT k AS a, v AS a FROM plain"), ["a", "a0"]);
    assert_eq!(printed("SELECT *, k FROM plain"), ["k", "v", "s", "ts", "k0"]);
    assert_eq!(printed("SELECT k0 FROM (SELECT k, k FROM plain)"), ["k0"]);
    assert_eq!(printed("SELECT k, k + 1 AS k0, k FROM plain"), ["k", "k0", "k1"]);
    assert_eq!(
        printed(
            "SELECT COUNT(*), COUNT(*), window_end FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) \
             GROUP BY window_start, window_end"
        ),
        ["EXPR$0", "EXPR$1", "window_end"]
    );
    assert!(
        dataflow(
            "CREATE TABLE two (x BIGINT, y BIGINT) WITH ('connector' = 'fake'); INSERT INTO two SELECT k, k FROM plain"
        )
        .contains("[k AS x, k AS y]")
    );
}

#[test]
fn dead_letters_need_a_table() {
    says(
        "CREATE TABLE logs (line STRING) WITH ('connector' = 'ends', 'error-policy' = 'dead-letter'); SELECT line FROM logs",
        &["14: `logs` keeps records", "dead-letter.table", "'error-policy' = 'skip'"],
    );
}

#[test]
fn types_have_the_names_of_sql() {
    says("SELECT dateTime + channel AS x FROM bid", &["TIMESTAMP(3)", "STRING"]);
}

#[test]
fn a_field_of_a_row_is_called_as_it_is_there() {
    let clicks = "CREATE TABLE clicks (payload ROW<n INT, deep ROW<m INT>>, cid INT) WITH ('connector'='fake'); \
                  CREATE VIEW z AS SELECT payload.n, c.payload.deep.m, cid FROM clicks c; ";
    assert_eq!(
        dataflow(&format!("{clicks}SELECT n, m, cid FROM z")),
        dataflow(&format!("{clicks}SELECT z.N, z.M, z.cid FROM z"))
    );
    let twice = "SELECT x.payload.n, y.n FROM clicks x JOIN (SELECT payload.n, cid FROM clicks) y ON x.cid = y.cid";
    assert_eq!(printed(&format!("{clicks}{twice}")), ["n", "n0"]);
}
