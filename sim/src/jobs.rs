//! The jobs of histories: SQL, planned once per process by the planner that users have.

use std::sync::{Arc, OnceLock};

use weir_core::{Error, JobGraph, Result};
use weir_functions::Functions;
use weir_sql::PlanOptions;

use crate::connector::{Connectors, NAME};
use crate::query::{JOINED_ABOVE, LEADERS, Query};
use crate::rows::{IDLE_AFTER, MAX_DRIFT, Rows, SERIALS};

/// A query's job over such rows. Its tables are growing ones if they take naps: those of one that is at an end are never idle.
pub fn planned(query: Query, rows: &Rows) -> &'static Planned {
    static PLANS: [OnceLock<Vec<Planned>>; 4] = [const { OnceLock::new() }; 4];
    let &Rows { naps, aligned, .. } = rows;
    let plans = PLANS[usize::from(naps) + 2 * usize::from(aligned)].get_or_init(|| {
        let plan = |query: Query| {
            plan(query, naps, aligned).unwrap_or_else(|error| panic!("{}: {}", query.name(), error.report()))
        };
        Query::all().map(plan).collect()
    });
    let position = Query::all().position(|known| known == query);
    &plans[position.expect("all are in the list of all")]
}

/// A planned job.
#[derive(Debug)]
pub struct Planned {
    /// Its text.
    pub sql: String,
    /// Its dataflow.
    pub graph: Arc<JobGraph>,
    /// Identity of the dataflow.
    pub fingerprint: String,
}

fn plan(query: Query, naps: bool, aligned: bool) -> Result<Planned> {
    let sql = sql(query, naps, aligned);
    let options = PlanOptions {
        source_idle_timeout: naps.then_some(IDLE_AFTER),
        late_table: None,
        two_phase: true,
        state_ttl: None,
        state_ttl_in_event_time: false,
        result_connector: NAME.to_owned(),
        result_options: Default::default(),
        directory: None,
        functions: Functions::built_in(),
    };
    let plan = weir_sql::plan(&weir_sql::parse(&sql)?, Arc::new(Connectors::default()), &options)?;
    let graph = plan.graph.ok_or_else(|| Error::internal("a script without a query"))?;
    Ok(Planned { sql, fingerprint: graph.fingerprint(), graph: Arc::new(graph) })
}

fn sql(query: Query, naps: bool, aligned: bool) -> String {
    let grows = if naps { ", 'grows' = 'true'" } else { "" };
    let drift = MAX_DRIFT.as_millis();
    let waits = if aligned { format!(", 'scan.watermark.alignment.max-drift' = '{drift} ms'") } else { String::new() };
    let source = |number: u64| {
        let name = if number == 0 { "a" } else { "b" };
        format!(
            "CREATE TABLE {name} (k BIGINT, v BIGINT, serial BIGINT, ts TIMESTAMP(3), \
             WATERMARK FOR ts AS ts - INTERVAL '0.2' SECOND) WITH ('connector' = '{NAME}', 'table' = '{number}'{grows}{waits});\n"
        )
    };
    let sink = |name: &str| {
        let columns = columns(query);
        format!("CREATE TABLE {name} ({columns}) WITH ('connector' = '{NAME}');\n")
    };
    let tables: String = (0..query.tables()).map(source).chain(query.sinks().iter().copied().map(sink)).collect();
    let inserts = query.sinks().iter().zip(selects(query));
    let inserts: String = inserts.map(|(sink, select)| format!("INSERT INTO {sink} {select};\n")).collect();
    format!("{tables}{}{inserts}", views(query))
}

/// Columns of the sinks.
fn columns(query: Query) -> &'static str {
    match query {
        Query::Project => "serial BIGINT, k BIGINT, doubled BIGINT",
        Query::Pair => "serial BIGINT, k BIGINT",
        Query::Tumble | Query::Hop | Query::Session => {
            "k BIGINT, began TIMESTAMP(3), n BIGINT, total BIGINT, least BIGINT"
        }
        Query::Cumulate => "k BIGINT, began TIMESTAMP(3), ended TIMESTAMP(3), n BIGINT, total BIGINT, least BIGINT",
        Query::TopN => "began TIMESTAMP(3), k BIGINT, serial BIGINT, v BIGINT",
        Query::Join | Query::Interval => "l BIGINT, r BIGINT, total BIGINT",
        Query::Stages => "began TIMESTAMP(3), n BIGINT, least BIGINT",
        Query::Deep => "began TIMESTAMP(3), n BIGINT, keys BIGINT, m BIGINT",
        Query::Progress => "split BIGINT, n BIGINT, total BIGINT, newest BIGINT",
        Query::Transfers => "accounts BIGINT, total BIGINT, greatest BIGINT",
        Query::Matches => "l BIGINT, r BIGINT",
        Query::Leaders => "place BIGINT, account BIGINT, balance BIGINT",
    }
}

/// Views that the queries read.
fn views(query: Query) -> String {
    let counts = |name: &str, window: &str, rows: &str| {
        format!(
            "CREATE VIEW {name} AS SELECT {window}, k, COUNT(*) AS n, MIN(serial) AS least \
             FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND)) WHERE {rows} \
             GROUP BY window_start, window_end, window_time, k;\n"
        )
    };
    let whole = "window_start, window_end";
    match query {
        Query::Stages => counts("counts", "window_time AS wt", "TRUE"),
        Query::Deep => {
            counts("left_counts", whole, "v > 300")
                + &counts("right_counts", whole, "v <= 300")
                + "CREATE VIEW joined AS SELECT l.window_start, l.window_end, l.n, r.n AS m FROM left_counts l \
                   LEFT JOIN right_counts r ON l.k = r.k AND l.window_start = r.window_start \
                   AND l.window_end = r.window_end;\n"
        }
        Query::Transfers | Query::Leaders => "CREATE VIEW balances AS SELECT account, SUM(amount) AS balance FROM \
             (SELECT k AS account, v AS amount FROM a UNION ALL SELECT k + 1, -v FROM a) GROUP BY account;\n"
            .to_owned(),
        _ => String::new(),
    }
}

/// What each sink gets.
fn selects(query: Query) -> Vec<String> {
    let aggregates = "COUNT(*), SUM(v), MIN(serial)";
    let grouped = |columns: &str, window: &str| {
        format!("SELECT {columns}, {aggregates} FROM TABLE({window}) GROUP BY k, window_start, window_end")
    };
    let select = match query {
        Query::Project => "SELECT serial, k, v * 2 FROM a WHERE v > 300".to_owned(),
        Query::Pair => {
            return vec![
                "SELECT serial, k FROM a WHERE v > 300".to_owned(),
                "SELECT serial, k FROM a WHERE v <= 300".to_owned(),
            ];
        }
        Query::Tumble => grouped("k, window_start", "TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND)"),
        Query::Hop => {
            grouped("k, window_start", "HOP(TABLE a, DESCRIPTOR(ts), INTERVAL '0.5' SECOND, INTERVAL '2' SECOND)")
        }
        Query::Cumulate => grouped(
            "k, window_start, window_end",
            "CUMULATE(TABLE a, DESCRIPTOR(ts), INTERVAL '0.5' SECOND, INTERVAL '1.5' SECOND)",
        ),
        Query::Session => {
            grouped("k, window_start", "SESSION(TABLE a PARTITION BY k, DESCRIPTOR(ts), INTERVAL '0.4' SECOND)")
        }
        Query::TopN => {
            "SELECT window_start, k, serial, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, \
             window_end, k ORDER BY v DESC, serial) AS place FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), \
             INTERVAL '1' SECOND))) WHERE place <= 2"
                .to_owned()
        }
        Query::Join => "SELECT l.serial, r.serial, l.v + r.v FROM \
             (SELECT * FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND))) l JOIN \
             (SELECT * FROM TABLE(TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '1' SECOND))) r \
             ON l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end"
            .to_owned(),
        Query::Interval => "SELECT l.serial, r.serial, l.v + r.v FROM a l LEFT JOIN b r ON l.k = r.k \
             AND r.ts BETWEEN l.ts - INTERVAL '0.3' SECOND AND l.ts + INTERVAL '0.2' SECOND"
            .to_owned(),
        Query::Stages => "SELECT window_start, SUM(n), MIN(least) FROM TABLE(TUMBLE(TABLE counts, DESCRIPTOR(wt), \
             INTERVAL '2' SECOND)) GROUP BY window_start, window_end"
            .to_owned(),
        Query::Deep => {
            "SELECT window_start, SUM(n), COUNT(*), SUM(m) FROM joined GROUP BY window_start, window_end".to_owned()
        }
        Query::Progress => {
            format!("SELECT serial / {SERIALS}, COUNT(*), SUM(v), MAX(serial) FROM a GROUP BY serial / {SERIALS}")
        }
        Query::Transfers => "SELECT COUNT(*), SUM(balance), MAX(balance) FROM balances".to_owned(),
        Query::Matches => format!(
            "SELECT l.serial, r.serial FROM (SELECT * FROM a WHERE v > {JOINED_ABOVE}) l \
             LEFT JOIN (SELECT * FROM b WHERE v > {JOINED_ABOVE}) r ON l.k = r.k"
        ),
        Query::Leaders => format!(
            "SELECT place, account, balance FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY balance DESC, account) AS place \
             FROM balances) WHERE place <= {LEADERS}"
        ),
    };
    vec![select]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_queries_can_be_planned() {
        for query in Query::all() {
            for (naps, aligned) in [(false, false), (true, false), (false, true), (true, true)] {
                assert!(!planned(query, &Rows { naps, aligned, ..Rows::default() }).fingerprint.is_empty());
            }
        }
    }
}
