//! Tables whose rows are replaced by key: what stands in front of them.

use super::{dataflow, refusal};

/// The job that writes a query into a table with the primary key `k`.
fn planned(query: &str) -> String {
    dataflow(&format!(
        "CREATE TABLE t (k BIGINT, v BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'keyed'); INSERT INTO t {query};"
    ))
}

/// What is in front of a table with the primary key `k`, from the table on, as far as the first operator that computes something.
fn in_front(query: &str) -> Vec<String> {
    let text = planned(query);
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '└', '─', '│', '├']).to_owned());
    lines.filter(|line| ["TopN", "UpsertRows", "Sink"].iter().any(|name| line.contains(name))).collect()
}

const K: &str = "COALESCE(auction, 0)";

#[test]
fn rows_that_are_only_added_replace_each_other_in_the_order_of_one_subtask() {
    let (tumble, window) =
        ("FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' SECOND)", "GROUP BY window_start, window_end");
    let by_key = format!("SELECT COALESCE(MAX(auction), 0), bidder {tumble} {window}, bidder");
    let cases = [
        (format!("SELECT {K}, price FROM bid"), true),
        (format!("SELECT {K}, price FROM bid UNION ALL SELECT {K}, bidder FROM bid"), true),
        (by_key, true),
        // Rows that the aggregation has spread by the key stay.
        (format!("SELECT k, COUNT(*) FROM (SELECT {K} AS k, window_start, window_end {tumble}) {window}, k"), false),
    ];
    for (query, exchange) in cases {
        assert_eq!(in_front(&query).len(), 1, "{:?}", in_front(&query));
        let plan = planned(&query);
        let below: Vec<&str> = plan.lines().skip_while(|line| !line.contains("Sink(t)")).skip(1).take(1).collect();
        assert_eq!(below[0].contains("hash(k)"), exchange, "{query}: {plan}");
    }
}

#[test]
fn rows_are_spread_by_a_key_of_several_columns_and_only_where_they_replace_each_other() {
    let plan = |table: &str, query: &str| dataflow(&format!("CREATE TABLE t ({table}); INSERT INTO t {query};"));
    let columns = "a BIGINT, v BIGINT, b BIGINT";
    let query = "SELECT COALESCE(auction, 0), price, COALESCE(bidder, 0) FROM bid";
    let keyed = format!("{columns}, PRIMARY KEY (a, b) NOT ENFORCED) WITH ('connector' = 'keyed'");
    let keyed = plan(&keyed, query);
    assert!(keyed.contains("hash(a, b)"), "{keyed}");
    let added = plan(&format!("{columns}, PRIMARY KEY (a, b) NOT ENFORCED) WITH ('connector' = 'datagen'"), query);
    assert!(!added.contains("hash"), "{added}");
}

#[test]
fn a_result_with_the_key_of_the_table_is_put_together_at_each_marker() {
    let grouped = format!("SELECT k, COUNT(*) FROM (SELECT {K} AS k FROM bid) GROUP BY k");
    // A key of more columns than the query needs is one as well; so is that of a join of at most one row each.
    let joined = format!(
        "SELECT l.k, r.n FROM (SELECT k, COUNT(*) AS n FROM (SELECT {K} AS k FROM bid) GROUP BY k) AS l
         LEFT JOIN (SELECT auction, MAX(price) AS n FROM bid GROUP BY auction) AS r ON l.k = r.auction"
    );
    let first = "SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS n FROM bid) WHERE n = 1"
        .to_owned();
    for (query, tops) in [(&grouped, 0), (&joined, 0), (&first, 1)] {
        let lines = in_front(query);
        assert_eq!(lines.iter().filter(|line| line.contains("TopN")).count(), tops, "{query}: {lines:?}");
        assert!(
            lines.iter().any(|line| line.starts_with("UpsertRows (upsert by k)  [the last row of each ")),
            "{lines:?}"
        );
    }
}

#[test]
fn where_several_rows_have_one_key_the_last_one_in_the_order_of_the_query_shows() {
    let other_key = "SELECT COALESCE(MAX(price), 0), auction FROM bid GROUP BY auction".to_owned();
    let many = format!(
        "SELECT l.k, r.bidder FROM (SELECT k, COUNT(*) AS n FROM (SELECT {K} AS k FROM bid) GROUP BY k) AS l
         LEFT JOIN bid AS r ON l.k = r.auction"
    );
    for query in [&other_key, &many] {
        let lines = in_front(query);
        assert!(lines.iter().any(|line| line.contains("first 1 of each k by v DESC")), "{query}: {lines:?}");
    }
    let lines = in_front(&format!("SELECT {K}, price FROM bid ORDER BY dateTime"));
    assert!(lines.iter().any(|line| line.contains("by $order0 DESC") && line.contains("v DESC")), "{lines:?}");
}

#[test]
fn what_cannot_be_compared_is_refused_and_tables_that_only_add_name_those_that_replace() {
    let report = refusal(
        "CREATE TABLE t (k BIGINT NOT NULL, v MAP<STRING, BIGINT>, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'keyed');
         INSERT INTO t SELECT COALESCE(MAX(price), 0), MAP['a', auction] FROM bid GROUP BY auction;",
    );
    assert!(report.contains("rows are told apart by their columns, but `v` is MAP<STRING, BIGINT>"), "{report}");
    let report = refusal(
        "CREATE TABLE t (k BIGINT, v BIGINT) WITH ('connector' = 'datagen');
         INSERT INTO t SELECT auction, COUNT(*) FROM bid GROUP BY auction;",
    );
    assert!(
        report.contains("such rows are written by `fake`, and by `keyed` into a table with a PRIMARY KEY"),
        "{report}"
    );
}

#[test]
fn a_table_that_hears_what_is_gone_gets_it_in_front_of_what_has_come() {
    let written = |connector: &str, query: &str| {
        dataflow(&format!(
            "CREATE TABLE t (k BIGINT, v BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = '{connector}'); INSERT INTO t {query};"
        ))
    };
    let grouped = format!("SELECT k, COUNT(*) FROM (SELECT {K} AS k FROM bid) GROUP BY k");
    let text = written("replaced", &grouped);
    assert!(text.contains("UpsertRows (retract)  [what is gone and then what is there of each "), "{text}");
    assert!(!text.contains("TopN"), "{text}");
    assert!(!written("fake", &grouped).contains("UpsertRows"), "it takes changes in any order");
    let many = written("replaced", &format!("SELECT {K}, COUNT(*) FROM bid GROUP BY auction, bidder"));
    assert!(many.contains("TopN") && many.contains("UpsertRows"), "several rows have one key: {many}");
}
