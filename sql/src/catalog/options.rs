//! The `WITH` clause against what the connector knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_core::connector::OptionInfo;
use weir_core::plugin::PLUGIN_CONNECTOR;
use weir_core::{Connector, ConnectorRegistry, NullTimes, Result};

use super::duration::parse_duration;
use crate::diagnostics::{Source, did_you_mean, nearest, one_of};
use crate::statement::{CreateTable, TableOption};

/// Options of every table, which the engine reads and not the connector.
const CONNECTOR: &str = "connector";
const IDLE_TIMEOUT: &str = "scan.watermark.idle-timeout";
const MAX_DRIFT: &str = "scan.watermark.alignment.max-drift";
const ROWS_PER_SECOND: &str = "scan.records-per-second.limit";
const NULL_POLICY: &str = "scan.watermark.null-policy";
/// A connector that rejects records reads it too.
const DEAD_LETTERS: &str = "dead-letter.table";
const OF_EVERY_TABLE: [&str; 6] = [CONNECTOR, IDLE_TIMEOUT, MAX_DRIFT, ROWS_PER_SECOND, NULL_POLICY, DEAD_LETTERS];

/// A table's options, read.
pub(super) struct Options {
    pub connector: Arc<dyn Connector>,
    pub idle_timeout: Option<Duration>,
    pub max_drift: Option<Duration>,
    pub rows_per_second: Option<u64>,
    pub null_times: NullTimes,
    pub dead_letters: Option<String>,
    /// What is left for the connector.
    pub rest: BTreeMap<String, String>,
}

/// Reads the options of a table, which come from `LIKE` too.
pub(super) fn read(source: &Source<'_>, connectors: &dyn ConnectorRegistry, table: &CreateTable) -> Result<Options> {
    let connector = connector(source, connectors, table)?;
    let mut rest = BTreeMap::new();
    let mut idle_timeout = None;
    let mut max_drift = None;
    let mut rows_per_second = None;
    let mut null_times = NullTimes::Fail;
    let mut dead_letters = None;
    for option in &table.options {
        match option.key.value.as_str() {
            CONNECTOR => {}
            IDLE_TIMEOUT => {
                idle_timeout = Some(parse_duration(&option.value.value).ok_or_else(|| {
                    source
                        .error(option.value.span, "expected a duration")
                        .with_help("write it like '500 ms', '30 s' or '5 min'; '0' means that a split is never idle")
                })?);
            }
            MAX_DRIFT => max_drift = Some(drift(source, connector.as_ref(), table, option)?),
            ROWS_PER_SECOND => {
                let rows = option.value.value.replace('_', "").parse().ok().filter(|rows| *rows > 0);
                rows_per_second = Some(rows.ok_or_else(|| {
                    source
                        .error(option.value.span, "expected a number of rows, 1 or more")
                        .with_help("leave the option out to read as fast as may be")
                })?);
            }
            NULL_POLICY => {
                null_times = match option.value.value.as_str() {
                    "fail" => NullTimes::Fail,
                    "skip" => NullTimes::Skip,
                    "dead-letter" => NullTimes::DeadLetter,
                    other => {
                        let help = did_you_mean(other, &["fail", "skip", "dead-letter"], "policies are");
                        return Err(source.error(option.value.span, "expected a policy").with_help(help));
                    }
                };
            }
            DEAD_LETTERS => dead_letters = Some(option.value.value.clone()),
            _ => {
                rest.insert(option.key.value.clone(), option.value.value.clone());
            }
        }
    }
    let known = connector.options(&rest);
    if let Some(table) = dead_letters.as_ref().filter(|_| known.iter().any(|info| info.name == DEAD_LETTERS)) {
        rest.insert(DEAD_LETTERS.to_owned(), table.clone());
    }
    for option in &table.options {
        check(source, connector.as_ref(), &known, option)?;
    }
    for info in known.iter().filter(|info| info.required) {
        if !rest.keys().any(|name| matches(info, name)) {
            let (name, kind) = (info.name, connector.name());
            return Err(source
                .error(table.name.span, format!("table `{}` needs the option '{name}'", table.name.value))
                .with_help(format!("'{name}' of connector `{kind}`: {}", info.doc)));
        }
    }
    Ok(Options { connector, idle_timeout, max_drift, rows_per_second, null_times, dead_letters, rest })
}

/// How far a split may be ahead of the slowest one.
fn drift(
    source: &Source<'_>,
    connector: &dyn Connector,
    table: &CreateTable,
    option: &TableOption,
) -> Result<Duration> {
    if !connector.holds_splits() {
        let name = connector.name();
        return Err(source
            .error(
                option.key.span,
                format!("connector `{name}` does not read its splits side by side, and none is ahead"),
            )
            .with_help("leave the option out; `kafka` has it"));
    }
    if table.watermark.is_none() {
        return Err(source
            .error(option.key.span, format!("table `{}` has no watermark that could be aligned", table.name.value))
            .with_help("declare WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, or leave the option out"));
    }
    parse_duration(&option.value.value).filter(|drift| !drift.is_zero()).ok_or_else(|| {
        source
            .error(option.value.span, "expected a duration greater than zero")
            .with_help("write it like '30 s' or '5 min'; leave the option out to let each split go as far as it gets")
    })
}

fn connector(
    source: &Source<'_>,
    connectors: &dyn ConnectorRegistry,
    table: &CreateTable,
) -> Result<Arc<dyn Connector>> {
    // Those that begin so are for tables that nobody declares.
    let names: Vec<&str> = connectors.names().into_iter().filter(|name| !name.starts_with('$')).collect();
    let Some(option) = table.options.iter().find(|option| option.key.value == CONNECTOR) else {
        let given = table.options.iter().map(|option| option.key.value.as_str());
        let help = match nearest(CONNECTOR, given) {
            Some(slip) => format!("is '{slip}' a slip of 'connector'?"),
            None => format!("write WITH ('connector' = '…'); connectors are {}", one_of(&names)),
        };
        return Err(source
            .error(table.name.span, format!("table `{}` has no connector", table.name.value))
            .with_help(help));
    };
    // One that begins so is nobody's to write: it would name a file of native code.
    let is_given = |name: &&str| !name.starts_with('$') || (*name == PLUGIN_CONNECTOR && table.plugin.is_some());
    let name = Some(option.value.value.as_str()).filter(is_given);
    name.and_then(|name| connectors.get(name)).ok_or_else(|| {
        source
            .error(option.value.span, format!("there is no connector `{}`", option.value.value))
            .with_help(did_you_mean(&option.value.value, &names, "connectors are"))
    })
}

fn check(source: &Source<'_>, connector: &dyn Connector, known: &[OptionInfo], option: &TableOption) -> Result<()> {
    let name = option.key.value.as_str();
    if OF_EVERY_TABLE.contains(&name) || known.iter().any(|info| matches(info, name)) {
        return Ok(());
    }
    let mut names: Vec<&str> = known.iter().map(|info| info.name).chain(OF_EVERY_TABLE).collect();
    names.sort_unstable();
    names.dedup();
    Err(source
        .error(option.key.span, format!("connector `{}` has no option '{name}'", connector.name()))
        .with_help(did_you_mean(name, &names, "its options are")))
}

fn matches(info: &OptionInfo, name: &str) -> bool {
    match info.name.strip_suffix(".*") {
        Some(beginning) => name.strip_prefix(beginning).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.')),
        None => info.name == name,
    }
}
