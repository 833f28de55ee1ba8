//! The crate as its users see it: text in, dataflow or error out.

#![allow(clippy::unwrap_used)]

mod alter;
mod casts;
mod connectors;
mod created_as;
mod databases;
mod decimals;
mod every_function;
mod exchanges;
mod explain;
mod exported;
mod functions;
mod joins;
mod limits;
mod lives;
mod lookups;
mod messages;
mod names;
mod nexmark;
mod over;
mod phases;
mod plugins;
mod queries;
mod refusals;
mod shared;
mod signed;
mod sizes;
mod subqueries;
mod successions;
mod texts;
mod updated_windows;
mod updating;
mod upserts;
mod values;
mod versions;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use weir_core::Result;
use weir_functions::Functions;
use weir_sql::{Plan, PlanOptions};

use connectors::Fakes;

/// Tables that most tests read.
const TABLES: &str = "
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP(3),
  extra STRING, proc AS PROCTIME(), WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND) WITH ('connector' = 'fake');
CREATE TABLE auction (id BIGINT, itemName STRING, seller BIGINT, category BIGINT, dateTime TIMESTAMP(3),
  expires TIMESTAMP(3), tags ARRAY<STRING>,
  WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND) WITH ('connector' = 'fake');
CREATE TABLE person (id BIGINT, name STRING, city STRING, dateTime TIMESTAMP(3),
  WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND) WITH ('connector' = 'fake');
CREATE TABLE plain (k BIGINT, v DOUBLE, s STRING, ts TIMESTAMP(3)) WITH ('connector' = 'fake');
";

fn options() -> PlanOptions {
    PlanOptions {
        source_idle_timeout: Some(Duration::from_secs(60)),
        late_table: None,
        two_phase: true,
        state_ttl: None,
        state_ttl_in_event_time: false,
        result_connector: "result".to_owned(),
        result_options: Default::default(),
        directory: None,
        functions: Functions::built_in(),
    }
}

fn plan_with(sql: &str, options: &PlanOptions) -> Result<Plan> {
    let script = weir_sql::parse(&format!("{TABLES}{sql}"))?;
    weir_sql::plan(&script, Arc::new(Fakes), options)
}

fn plan(sql: &str) -> Result<Plan> {
    plan_with(sql, &options())
}

/// The dataflow of a script in short: without what is kept, where the rows of every test go, what finds the splits of each table,
/// and what all sources have in common.
fn dataflow(sql: &str) -> String {
    let plan = plan(sql).unwrap_or_else(|error| panic!("{}", error.report()));
    let text = weir_sql::explain(&plan.graph.unwrap());
    let lines = text.lines().filter(|line| {
        !line.contains("keeps: ") && !line.contains("broadcast ─ Discover(") && !line.starts_with("Sink(result)")
    });
    lines
        .map(|line| {
            let line = line.replace(", watermark dateTime - INTERVAL '4' SECOND, idle after 1 min", "");
            format!("{}\n", without_hashes(&line.replace("connector fake, ", "")))
        })
        .collect()
}

/// The line with `window-aggregate` for `window-aggregate-637aaceffa6dd185`.
fn without_hashes(line: &str) -> String {
    let mut rest = line;
    let mut text = String::new();
    while let Some(at) = rest.find('-') {
        let (before, behind) = rest.split_at(at);
        text.push_str(before);
        let hash = behind[1..].chars().take_while(char::is_ascii_hexdigit).count() == 16;
        if !hash {
            text.push('-');
        }
        rest = &behind[if hash { 17 } else { 1 }..];
    }
    text + rest
}

/// Whether a script comes to that dataflow.
#[track_caller]
fn check(sql: &str, expected: &str) {
    let actual = dataflow(sql);
    assert_eq!(actual.trim_end(), expected.trim(), "\n{actual}");
}

/// What the planner says to a script that it refuses.
fn refusal(sql: &str) -> String {
    match plan(sql) {
        Ok(plan) => panic!("planned:\n{}", plan.graph.map(|graph| weir_sql::explain(&graph)).unwrap_or_default()),
        Err(error) => {
            assert_eq!(error.kind(), weir_core::ErrorKind::User, "{}", error.report());
            error.report()
        }
    }
}
