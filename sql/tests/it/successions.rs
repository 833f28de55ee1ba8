//! Tables whose records replace each other by key: how they are read.

use super::{check, dataflow, plan, refusal};

const TABLE: &str = "CREATE TABLE t (name STRING, id BIGINT, city STRING NOT NULL, twice AS id * 2, at TIMESTAMP(3), proc AS PROCTIME(),
  PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'replaced');";

#[test]
fn the_newest_record_of_each_key_is_its_row_whatever_the_query_wants_of_it() {
    check(
        &format!("{TABLE} SELECT city, COUNT(*) AS n FROM t WHERE name <> 'x' GROUP BY city"),
        "
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [city, count(*) AS n]
      └─ GroupAggregate (retract)  [by city: count(*)]
         └─ hash(city) ─ Calc (retract)  [city where NOT $deletion AND name <> 'x']
            └─ TopN (retract)  [the newest record of each id by $sequence DESC, $part DESC]
               └─ hash(id) ─ Clock  [what is kept goes by processing time from here on]
                  └─ Source(t)  [connector replaced, name, id, city, $sequence, $part, $deletion]",
    );
}

#[test]
fn its_key_is_known_behind_it_and_it_is_read_once() {
    let copied = dataflow(&format!(
        "{TABLE} CREATE TABLE copy (id BIGINT, city STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'keyed');
         INSERT INTO copy SELECT id, city FROM t;"
    ));
    assert_eq!(copied.matches("TopN").count(), 1, "the rows are told apart by the key as they come: {copied}");
    assert!(copied.contains("UpsertRows (upsert by id)"), "{copied}");
    let joined = plan(&format!("{TABLE} SELECT l.name, r.city FROM t AS l JOIN t AS r ON l.id = r.twice")).unwrap();
    let graph = joined.graph.unwrap();
    let count = |wanted: &str| graph.nodes().iter().filter(|node| node.spec.name == wanted).count();
    assert_eq!((count("Source(t)"), count("TopN"), count("Join")), (1, 1, 1), "{}", weir_sql::explain(&graph));
    assert_eq!(joined.warnings.iter().filter(|warning| warning.contains("TopN")).count(), 0, "{:?}", joined.warnings);
}

#[test]
fn columns_of_the_table_may_have_the_names_of_ours() {
    let text = dataflow(
        "CREATE TABLE t (`$sequence` STRING, id BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'replaced');
         SELECT `$sequence` FROM t",
    );
    assert!(text.contains("Source(t)  [connector replaced, $sequence, id, $sequence"), "{text}");
    assert!(!text.contains("by $sequence DESC"), "{text}");
}

#[test]
fn what_only_makes_sense_of_rows_that_are_added_is_refused() {
    let refused = |watermark: &str, query: &str| {
        refusal(&format!(
            "CREATE TABLE t (id BIGINT, at TIMESTAMP(3), proc AS PROCTIME(), PRIMARY KEY (id) NOT ENFORCED{watermark}) WITH ('connector' = 'replaced'); {query}"
        ))
    };
    let error = refused(", WATERMARK FOR at AS at", "SELECT id FROM t");
    assert!(error.contains("table `t` has a WATERMARK, and its rows replace each other by key"), "{error}");
    assert!(error.contains("help: leave WATERMARK out"), "{error}");
    let error = refused("", "SELECT id, proc FROM t");
    assert!(error.contains("a PROCTIME() column of table `t` is read"), "{error}");
    let error = refused(
        "",
        "SELECT COUNT(*) FROM TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '1' SECOND) GROUP BY window_start, window_end",
    );
    assert!(error.contains("at"), "{error}");
}
