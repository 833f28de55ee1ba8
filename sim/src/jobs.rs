//! The jobs of histories: SQL, planned once per process by the planner that users have.

use std::sync::{Arc, OnceLock};

use weir_core::{Error, JobGraph, Result};
use weir_sql::PlanOptions;

use crate::connector::{Connectors, NAME};
use crate::query::Query;

/// A query's job.
pub fn planned(query: Query) -> &'static Planned {
    static PLANS: OnceLock<Vec<Planned>> = OnceLock::new();
    let plans = PLANS.get_or_init(|| {
        let plan = |query: &Query| plan(*query).unwrap_or_else(|error| panic!("{}: {}", query.name(), error.report()));
        Query::ALL.iter().map(plan).collect()
    });
    let position = Query::ALL.iter().position(|known| *known == query);
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

fn plan(query: Query) -> Result<Planned> {
    let sql = sql(query);
    let options = PlanOptions {
        // Rows of a split that fell idle and woke up would be late, and which do depends on time.
        source_idle_timeout: None,
        late_table: None,
        two_phase: true,
        result_connector: NAME.to_owned(),
        result_options: Default::default(),
        directory: None,
    };
    let plan = weir_sql::plan(&weir_sql::parse(&sql)?, Arc::new(Connectors(None)), &options)?;
    let graph = plan.graph.ok_or_else(|| Error::internal("a script without a query"))?;
    Ok(Planned { sql, fingerprint: graph.fingerprint(), graph: Arc::new(graph) })
}

fn sql(query: Query) -> String {
    let source = |name: &str, number: u64| {
        format!(
            "CREATE TABLE {name} (k BIGINT, v BIGINT, serial BIGINT, ts TIMESTAMP(3), \
             WATERMARK FOR ts AS ts - INTERVAL '0.2' SECOND) WITH ('connector' = '{NAME}', 'table' = '{number}');\n"
        )
    };
    let sink = |columns: &str| format!("CREATE TABLE {} ({columns}) WITH ('connector' = '{NAME}');\n", query.name());
    let windowed = "k BIGINT, began TIMESTAMP(3), n BIGINT, total BIGINT, least BIGINT";
    let aggregates = "COUNT(*), SUM(v), MIN(serial)";
    let select = match query {
        Query::Project => "SELECT serial, k, v * 2 FROM a WHERE v > 300".to_owned(),
        Query::Tumble => format!(
            "SELECT k, window_start, {aggregates} FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND)) \
             GROUP BY k, window_start, window_end"
        ),
        Query::Hop => format!(
            "SELECT k, window_start, {aggregates} FROM TABLE(HOP(TABLE a, DESCRIPTOR(ts), INTERVAL '0.5' SECOND, \
             INTERVAL '2' SECOND)) GROUP BY k, window_start, window_end"
        ),
        Query::Session => format!(
            "SELECT k, window_start, {aggregates} FROM TABLE(SESSION(TABLE a PARTITION BY k, DESCRIPTOR(ts), \
             INTERVAL '0.4' SECOND)) GROUP BY k, window_start, window_end"
        ),
        Query::Join => "SELECT l.serial, r.serial, l.v + r.v FROM \
             (SELECT * FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND))) l JOIN \
             (SELECT * FROM TABLE(TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '1' SECOND))) r \
             ON l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end"
            .to_owned(),
    };
    let sink = match query {
        Query::Project => sink("serial BIGINT, k BIGINT, doubled BIGINT"),
        Query::Join => sink("l BIGINT, r BIGINT, total BIGINT"),
        Query::Tumble | Query::Hop | Query::Session => sink(windowed),
    };
    let sources = source("a", 0) + &if query == Query::Join { source("b", 1) } else { String::new() };
    format!("{sources}{sink}INSERT INTO {} {select};\n", query.name())
}
