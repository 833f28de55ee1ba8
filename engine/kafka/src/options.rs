//! Options of a table over topics, and what they say when it is read. Their names are Flink's.

mod formats;

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::datatypes::Field;
use formats::{LENIENT, of_format, of_key_format, of_value_format};

use weir_connectors::formats::message::MessageFormat;
use weir_connectors::formats::{BadRecordPolicy, policy};
use weir_connectors::options::Options;
use weir_core::connector::{OptionInfo, Succession};
use weir_core::{Error, Result, TableSpec};
use weir_registry::RegistryOptions;

use crate::client::{ClientOptions, GROUP, PROPERTIES};
use crate::connector::UPSERT;
use crate::layout::Replacing;
use crate::metadata::{DELETION, Metadata, SEQUENCE};
use crate::offsets::{self, Place};
use crate::sink;
use crate::topics::{PATTERN, TOPIC, Topics};

pub(crate) const KEY_FIELDS: &str = "key.fields";
pub(crate) const KEY_PREFIX: &str = "key.fields-prefix";
pub(crate) const VALUE_INCLUDES: &str = "value.fields-include";
const DELETIONS: &str = "scan.deletions.retention";
const DISCOVERY: &str = "scan.topic-partition-discovery.interval";

pub(crate) const fn option(name: &'static str, doc: &'static str) -> OptionInfo {
    OptionInfo { name, required: false, doc }
}

const TABLE: &[OptionInfo] = &[
    option("topic", "The topic; several with ';' between them."),
    option("topic-pattern", "Instead of 'topic': a regular expression that the whole name of a topic matches."),
    OptionInfo {
        name: "properties.bootstrap.servers",
        required: true,
        doc: "Brokers to begin with, e.g. 'a:9092,b:9092'.",
    },
    option("properties.group.id", "The consumer group that is told of checkpoints, and that 'group-offsets' asks."),
    option(
        "properties.commit.offsets.on.checkpoint",
        "Whether the group is told how far each complete checkpoint is. Default 'true', if there is a group.",
    ),
    option(
        "properties.auto.offset.reset",
        "What to do about an offset that was never committed or is gone: 'none' (default; the job fails), 'earliest' or 'latest'.",
    ),
    option("properties.*", "Any other property of librdkafka, e.g. 'properties.security.protocol' = 'sasl_ssl'."),
    option(
        "scan.startup.mode",
        "Where a new job begins: 'group-offsets' (default), 'earliest-offset', 'latest-offset', 'timestamp' or 'specific-offsets'.",
    ),
    option("scan.startup.timestamp-millis", "Of 'timestamp': milliseconds since 1970."),
    option(
        "scan.startup.specific-offsets",
        "Of 'specific-offsets': e.g. 'partition:0,offset:42;partition:1,offset:300'.",
    ),
    option(
        "scan.bounded.mode",
        "Where reading ends: 'unbounded' (default), 'latest-offset', 'group-offsets', 'timestamp' or 'specific-offsets'.",
    ),
    option("scan.bounded.timestamp-millis", "Of 'timestamp': milliseconds since 1970."),
    option("scan.bounded.specific-offsets", "Of 'specific-offsets': offsets that are not read any more."),
    option(
        "scan.topic-partition-discovery.interval",
        "Look for new partitions and topics every so often. Default '5min'; '0' does so only when the job begins.",
    ),
    option(
        "format",
        "How values are written: 'json', 'csv', 'raw', 'avro', 'avro-confluent', 'protobuf', 'protobuf-confluent' or 'debezium-json'.",
    ),
    option("value.format", "The same as 'format'; its own options then begin with 'value.' too."),
    option("key.format", "How keys are written, if columns are read from them."),
    option("key.fields", "Columns that are in the key, with ';' between them."),
    option("key.fields-prefix", "What the names of these columns begin with here, and not in the key."),
    option("value.fields-include", "'ALL' (default): the value has the columns of the key too; or 'EXCEPT_KEY'."),
    option(
        "error-policy",
        "What to do with a record that cannot be decoded: 'fail' (default), 'skip' and count it, or 'dead-letter'.",
    ),
    option(
        DELETIONS,
        "Where records replace each other by key: how long it is kept in mind that a key was deleted, so that older records of other partitions do \
         not bring it back. Default '1 d'; '0': for ever.",
    ),
    option("dead-letter.table", "The table that gets undecodable records under 'error-policy' = 'dead-letter'."),
];

/// All options of a table that has those that are given.
pub(crate) fn known(given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
    let format = |name: &str| given.get(name).map_or("", String::as_str);
    let formats =
        [of_format(format("format")), of_value_format(format("value.format")), of_key_format(format("key.format"))];
    let written = ["", "value.", "key."].map(|place| sink::format_options(place, format(&format!("{place}format"))));
    let tables = TABLE.iter().chain(sink::OPTIONS);
    tables.chain(formats.into_iter().flatten()).chain(written.into_iter().flatten()).copied().collect()
}

/// Options of a table whose rows are replaced by key. Its key is its primary key.
pub(crate) fn known_of_upserts(given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
    const NOT_THERE: &[&str] = &["key.fields", "format"];
    let is_there = |option: &OptionInfo| !option.name.starts_with("scan.startup.") && !NOT_THERE.contains(&option.name);
    known(given).into_iter().filter(is_there).collect()
}

/// How the two parts of a record are read.
#[derive(Debug, Clone)]
pub(crate) struct Formats {
    pub(crate) value: MessageFormat,
    /// Where the schemas of values are, if they have such.
    pub(crate) registry: Option<RegistryOptions>,
    pub(crate) key: Option<Key>,
}

impl Formats {
    /// How records replace each other by the primary key of the table, if they do.
    pub(crate) fn replacing(&self, table: &TableSpec) -> Option<Replacing> {
        match self.value.tells_changes() {
            true => Some(Replacing::Told),
            false => (table.connector == UPSERT).then_some(Replacing::ByAbsence),
        }
    }
}

/// Which columns are in the key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) format: MessageFormat,
    pub(crate) registry: Option<RegistryOptions>,
    /// Names of columns of the table.
    pub(crate) fields: Vec<String>,
    /// What these names begin with, and those in the key do not.
    pub(crate) prefix: String,
    /// Whether they are in the value too, and read from there.
    pub(crate) is_in_value: bool,
}

/// The options of a source, read.
#[derive(Debug, Clone)]
pub(crate) struct SourceOptions {
    pub(crate) topics: Topics,
    pub(crate) client: ClientOptions,
    pub(crate) startup: Place,
    /// `None`: it goes on for ever.
    pub(crate) bounded: Option<Place>,
    /// `None`: what partitions there are is asked once.
    pub(crate) discovery: Option<Duration>,
    pub(crate) formats: Formats,
    pub(crate) policy: BadRecordPolicy,
    /// How long deletions are kept in mind, where records replace each other; `None`: for ever.
    pub(crate) deletions: Option<Duration>,
}

impl SourceOptions {
    /// # Errors
    /// A user error that names the wrong option.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let topics = Topics::read(&options)?;
        let client = ClientOptions::read(table)?;
        // What a key has now may have been said at any time.
        let startup = if table.connector == UPSERT { Place::Earliest } else { offsets::startup(&options)? };
        let bounded = offsets::bounded(&options)?;
        if client.group.is_none() {
            let group = format!("{PROPERTIES}{GROUP}");
            if startup == Place::Group {
                let error = options.required(&group).err().unwrap_or_else(|| options.error(&group, "missing"));
                return Err(error.with_help(format!(
                    "'scan.startup.mode' is 'group-offsets' unless set: add '{group}' = '…', or begin elsewhere, as with \
                     'scan.startup.mode' = 'earliest-offset'"
                )));
            }
            if bounded == Some(Place::Group) {
                options.required(&group)?;
            }
        }
        let is_one = matches!(&topics, Topics::Named(names) if names.len() == 1);
        for (name, place) in [(offsets::STARTUP_OFFSETS, Some(&startup)), (offsets::BOUNDED_OFFSETS, bounded.as_ref())]
        {
            if matches!(place, Some(Place::Specific(_))) && !is_one {
                return Err(options.error(name, "of partitions of one topic, and the table may have several"));
            }
        }
        let formats = formats(table, &options)?;
        if formats.replacing(table).is_some() && !is_one {
            return Err(several_topics(&options));
        }
        let discovery = options.duration(DISCOVERY)?.unwrap_or(Duration::from_secs(300));
        Ok(Self {
            topics,
            client,
            discovery: (!discovery.is_zero() && bounded.is_none()).then_some(discovery),
            startup,
            bounded,
            formats,
            deletions: Some(options.duration(DELETIONS)?.unwrap_or(Duration::from_secs(86_400)))
                .filter(|time| !time.is_zero()),
            policy: policy(&options, LENIENT)?,
        })
    }
}

impl SourceOptions {
    /// How records replace each other, as the planner is told, if they do.
    pub(crate) fn succession(&self, table: &TableSpec) -> Option<Succession> {
        self.formats.replacing(table)?;
        let field = |name: &str| Metadata::named(name).map(|metadata| Field::new(name, metadata.data_type(), false));
        Some(Succession {
            order: vec![field(SEQUENCE)?, field("partition")?],
            deletion: field(DELETION)?,
            keeps_deletions_ms: self.deletions.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}

fn formats(table: &TableSpec, options: &Options<'_>) -> Result<Formats> {
    let is_upsert = table.connector == UPSERT;
    let of_value = value_options(options)?;
    let Some(value) = MessageFormat::read(&of_value)? else {
        let name = if is_upsert { "value.format" } else { "format" };
        return Err(options.required(name).err().unwrap_or_else(|| options.error(name, "missing")));
    };
    if is_upsert {
        if value.tells_changes() {
            return Err(says_changes(&of_value));
        }
        options.required("key.format")?;
    }
    let formats = Formats { registry: registry(&value, &of_value)?, value, key: key(table, options)? };
    if formats.replacing(table).is_some() && table.primary_key.is_empty() {
        let error = Error::user(format!(
            "the records of table '{}' say what became of rows, and it has no primary key that tells these apart",
            table.name
        ));
        return Err(error.with_help("declare it, as in `PRIMARY KEY (id) NOT ENFORCED`: records may come again, and only by a key is it seen that they have"));
    }
    Ok(formats)
}

/// The error about topics whose records would replace each other, though nothing says which is the newer one.
fn several_topics(options: &Options<'_>) -> Error {
    let name = if options.text(TOPIC).is_some() { TOPIC } else { PATTERN };
    options
        .error(name, "more than one topic, or may be, and the records of this table replace each other by key: those of two topics have no order")
        .with_help(format!("declare a table for each, with one '{TOPIC}', and put their rows together by UNION ALL"))
}

/// The error about a format of values that has no place in a topic where whether there is a value says it all.
pub(crate) fn says_changes(of_value: &Options<'_>) -> Error {
    of_value
        .error("format", "one that says what becomes of a row, which is said by whether a record has a value here")
        .with_help("use the connector 'kafka' for it")
}

/// The options of the format of values, which begin with `value.` if the format's does.
///
/// # Errors
/// A user error if there are two.
pub(crate) fn value_options<'a>(options: &Options<'a>) -> Result<Options<'a>> {
    match (options.text("format"), options.text("value.format")) {
        (Some(_), Some(_)) => Err(options.error("value.format", "given beside 'format', which says the same")),
        (None, Some(_)) => Ok(options.under("value.")),
        _ => Ok(*options),
    }
}

fn registry(format: &MessageFormat, options: &Options<'_>) -> Result<Option<RegistryOptions>> {
    format.wants_schemas().map(|kind| RegistryOptions::read(options, kind)).transpose()
}

/// The error about a format of keys that tells changes.
pub(crate) fn no_format_of_keys(of_key: &Options<'_>) -> Error {
    of_key.error("format", "no format of keys: it says what becomes of a row")
}

fn key(table: &TableSpec, options: &Options<'_>) -> Result<Option<Key>> {
    let Some(format) = MessageFormat::read(&options.under("key."))? else {
        for name in [KEY_FIELDS, KEY_PREFIX] {
            if options.text(name).is_some() {
                return Err(options.error(name, "read only with a 'key.format'"));
            }
        }
        return match options.choice(VALUE_INCLUDES, &[("ALL", true), ("EXCEPT_KEY", false)])? {
            Some(false) => Err(options.error(VALUE_INCLUDES, "read only with a 'key.format'")),
            _ => Ok(None),
        };
    };
    if format.tells_changes() {
        return Err(no_format_of_keys(&options.under("key.")));
    }
    let fields: Vec<String> = match table.connector == UPSERT {
        true => table.primary_key.iter().map(|column| table.schema.field(*column).name().clone()).collect(),
        false => {
            let list = options.required(KEY_FIELDS)?.split(';').map(str::trim).filter(|name| !name.is_empty());
            let fields: Vec<String> = list.map(str::to_owned).collect();
            if fields.is_empty() {
                return Err(options.error(KEY_FIELDS, "empty"));
            }
            fields
        }
    };
    let prefix = options.text(KEY_PREFIX).unwrap_or_default().to_owned();
    let is_in_value = options.choice(VALUE_INCLUDES, &[("ALL", true), ("EXCEPT_KEY", false)])?.unwrap_or(true);
    if is_in_value && !prefix.is_empty() {
        return Err(options.error(KEY_PREFIX, format!("read only with '{VALUE_INCLUDES}' = 'EXCEPT_KEY'")));
    }
    if let Some(other) = fields.iter().find(|name| !name.starts_with(&prefix)) {
        return Err(options.error(KEY_PREFIX, format!("not what '{other}', a column of the key, begins with")));
    }
    let registry = registry(&format, &options.under("key."))?;
    Ok(Some(Key { format, registry, fields, prefix, is_in_value }))
}
