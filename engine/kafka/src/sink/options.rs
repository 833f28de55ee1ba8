//! Options of a table that is written. Their names are Flink's, but for those that begin with `sink.commits`.

use weir_connectors::options::Options;
use weir_core::connector::OptionInfo;
use weir_core::{Error, JobIdentity, OperatorUid, Result, TableSpec};

use super::columns::Columns;
use crate::client::ClientOptions;
use crate::connector::UPSERT;
use crate::options::{KEY_FIELDS, option};
use crate::topics::{TOPIC, Topics};

pub(crate) const GUARANTEE: &str = "sink.delivery-guarantee";
pub(crate) const PREFIX: &str = "sink.transactional-id-prefix";
pub(crate) const PARTITIONER: &str = "sink.partitioner";
pub(crate) const COMMITS: &str = "sink.commits-topic";

/// Options of the sink beside those that sources have.
pub(crate) const OPTIONS: &[OptionInfo] = &[
    option(
        GUARANTEE,
        "'exactly-once' (default): rows appear when their checkpoint is complete; or 'at-least-once': at once, and some again after a failure. A query whose results change needs 'exactly-once'.",
    ),
    option(PREFIX, "What the transactional id begins with, for access rules; 'weir' by default."),
    option(
        PARTITIONER,
        "'default': by the key as Java's clients do it, or without a key to any; or 'round-robin', whatever the key, but not in 'upsert-kafka'.",
    ),
    option(COMMITS, "The compacted topic that says which checkpoint was written last; 'weir-commits' by default."),
];

/// Options of a format when it is written.
pub(crate) fn format_options(place: &str, format: &str) -> &'static [OptionInfo] {
    const SEPARATOR: &str = "How written times look: 'SQL' (2013-01-01 10:00:00.000, the default) or 'ISO-8601'.";
    const NULLS: &str = "Whether written objects leave nulls out; 'false' by default.";
    match (place, format.to_ascii_lowercase().as_str()) {
        ("", "json") => {
            const { &[option("json.timestamp-format.standard", SEPARATOR), option("json.encode.ignore-null-fields", NULLS)] }
        }
        ("", "debezium-json") => {
            const {
                &[
                    option("debezium-json.timestamp-format.standard", SEPARATOR),
                    option("debezium-json.encode.ignore-null-fields", NULLS),
                ]
            }
        }
        ("value.", "debezium-json") => {
            const {
                &[
                    option("value.debezium-json.timestamp-format.standard", SEPARATOR),
                    option("value.debezium-json.encode.ignore-null-fields", NULLS),
                ]
            }
        }
        ("value.", "json") => {
            const {
                &[
                    option("value.json.timestamp-format.standard", SEPARATOR),
                    option("value.json.encode.ignore-null-fields", NULLS),
                ]
            }
        }
        ("key.", "json") => {
            const {
                &[
                    option("key.json.timestamp-format.standard", SEPARATOR),
                    option("key.json.encode.ignore-null-fields", NULLS),
                ]
            }
        }
        _ => &[],
    }
}

/// What is promised about rows when something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    ExactlyOnce,
    AtLeastOnce,
}

/// Which partition a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinkPartitioner {
    /// By its key, if it has one.
    Key,
    /// To each in turn.
    RoundRobin,
}

/// The options of a sink, read.
#[derive(Debug, Clone)]
pub(crate) struct SinkOptions {
    pub(crate) table: String,
    pub(crate) topic: String,
    pub(crate) client: ClientOptions,
    pub(crate) guarantee: Guarantee,
    pub(crate) partitioner: SinkPartitioner,
    pub(crate) prefix: String,
    /// The topic of the markers.
    pub(crate) commits: String,
    pub(crate) columns: Columns,
}

impl SinkOptions {
    /// # Errors
    /// A user error that names the wrong option or column.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let topic = match Topics::read(&options)? {
            Topics::Named(topics) if topics.len() == 1 => topics[0].to_string(),
            Topics::Named(_) => return Err(options.error(TOPIC, "several topics, and rows are written to one")),
            Topics::Matching { .. } => {
                return Err(Error::user(format!("table '{}' has no option '{TOPIC}'", table.name))
                    .with_help(format!("rows are written to one topic: '{TOPIC}' = '…' instead of 'topic-pattern'")));
            }
        };
        // What 'none' asks for is less than what it is given.
        let guarantees = [
            ("exactly-once", Guarantee::ExactlyOnce),
            ("at-least-once", Guarantee::AtLeastOnce),
            ("none", Guarantee::AtLeastOnce),
        ];
        let partitioners = [("default", SinkPartitioner::Key), ("round-robin", SinkPartitioner::RoundRobin)];
        let partitioner = options.choice(PARTITIONER, &partitioners)?.unwrap_or(SinkPartitioner::Key);
        if table.connector == UPSERT && partitioner == SinkPartitioner::RoundRobin {
            let error = options.error(
                PARTITIONER,
                "not for records that replace each other: only within a partition is it certain which comes last",
            );
            return Err(error.with_help("leave it out: those of one key go to one partition"));
        }
        let prefix = options.text(PREFIX).unwrap_or("weir");
        if prefix.is_empty() {
            return Err(options.error(PREFIX, "empty"));
        }
        let commits = options.text(COMMITS).unwrap_or("weir-commits");
        if commits == topic || !crate::topics::is_name(commits) {
            return Err(options.error(COMMITS, "not the name of a topic of its own"));
        }
        Ok(Self {
            table: table.name.clone(),
            client: ClientOptions::read(table)?,
            guarantee: options.choice(GUARANTEE, &guarantees)?.unwrap_or(Guarantee::ExactlyOnce),
            partitioner,
            prefix: prefix.to_owned(),
            commits: commits.to_owned(),
            columns: Columns::new(table)?,
            topic,
        })
    }

    /// Refuses to write results that change at least once. Of what changes between two markers the last is sent; after a failure the
    /// markers fall elsewhere, so of what was sent before they may say nothing, and it would stay.
    ///
    /// # Errors
    /// A user error that names the option.
    pub(crate) fn check_changes(table: &TableSpec) -> Result<()> {
        if Self::read(table)?.guarantee == Guarantee::ExactlyOnce {
            return Ok(());
        }
        let error =
            Options::of(table).error(GUARANTEE, "only for queries that add rows, and the results of this one change");
        Err(error.with_help(
            "leave it out: 'exactly-once'. Else what was written before a failure could stay wrong for ever",
        ))
    }

    /// Refuses rows that are taken back where they could come before they were added: those of one value have to be in one partition.
    ///
    /// # Errors
    /// A user error that names the option.
    pub(crate) fn check_order(table: &TableSpec) -> Result<()> {
        let read = Self::read(table)?;
        if let (false, Some(other)) = (table.primary_key.is_empty(), read.columns.key_beside(&table.primary_key)) {
            let name = table.schema.field(other).name();
            return Err(Options::of(table)
                .error(
                    KEY_FIELDS,
                    format!(
                        "not of the primary key alone: when '{name}' changes, a row would go on in another partition"
                    ),
                )
                .with_help("name columns of the PRIMARY KEY"));
        }
        if read.columns.has_key() && read.partitioner == SinkPartitioner::Key {
            return Ok(());
        }
        let error = match read.columns.has_key() {
            true => Options::of(table)
                .error(PARTITIONER, "only for queries that add rows, and the results of this one change"),
            false => Error::user(format!(
                "the results of this query change, and records of table '{}' have no key that keeps a row's changes in one partition",
                table.name
            )),
        };
        Err(error.with_help("name columns that tell rows apart: 'key.format' = 'json', 'key.fields' = 'id'"))
    }

    /// The transactional id of a job's sink, which is also the key of its marker.
    pub(crate) fn transactional_id(&self, job: JobIdentity, uid: &OperatorUid) -> String {
        format!("{}-{job}-{}", self.prefix, uid.0)
    }
}
