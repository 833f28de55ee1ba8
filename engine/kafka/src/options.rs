//! Options of a table over topics, and what they say when it is read. Their names are Flink's.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_connectors::formats::message::MessageFormat;
use weir_connectors::formats::{BadRecordPolicy, policy};
use weir_connectors::options::Options;
use weir_core::connector::OptionInfo;
use weir_core::{Result, TableSpec};
use weir_registry::RegistryOptions;

use crate::client::{ClientOptions, GROUP, PROPERTIES};
use crate::offsets::{self, Place};
use crate::sink;
use crate::topics::Topics;

pub(crate) const KEY_FIELDS: &str = "key.fields";
pub(crate) const KEY_PREFIX: &str = "key.fields-prefix";
pub(crate) const VALUE_INCLUDES: &str = "value.fields-include";
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
        "How values are written: 'json', 'csv', 'raw', 'avro', 'avro-confluent', or, where rows are written, 'debezium-json'.",
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
    option("dead-letter.table", "The table that gets undecodable records under 'error-policy' = 'dead-letter'."),
];

/// Options of a format, by where it is used.
macro_rules! format_options {
    ($name:ident, $json:ident, $csv:ident, $registry:ident, $prefix:literal) => {
        const $json: &[OptionInfo] = &[
            option(
                concat!($prefix, "json.ignore-parse-errors"),
                "'true': a value that is not of its column's type is null, and a record that is no JSON is left out.",
            ),
            option(
                concat!($prefix, "json.fail-on-missing-field"),
                "Whether a record without one of the columns is undecodable; otherwise it is null. Default 'false'.",
            ),
        ];
        const $csv: &[OptionInfo] = &[
            option(
                concat!($prefix, "csv.field-delimiter"),
                "The character between fields. Default ','; '\\t' is a tab.",
            ),
            option(
                concat!($prefix, "csv.quote-character"),
                "The character around fields. Default '\"'; '' makes quotes ordinary characters.",
            ),
            option(
                concat!($prefix, "csv.null-literal"),
                "Unquoted text that stands for null. An empty field is null in any case, but for text.",
            ),
            option(
                concat!($prefix, "csv.multiline"),
                "Whether quoted fields may contain line breaks. Default 'false'.",
            ),
            option(
                concat!($prefix, "csv.ignore-parse-errors"),
                "'true': a field that is not of its column's type is null, and a record that is no CSV is left out.",
            ),
        ];
        const $registry: &[OptionInfo] = &[
            OptionInfo {
                name: concat!($prefix, "avro-confluent.url"),
                required: true,
                doc: "Address of the schema registry, e.g. 'https://registry:8081'; several with ',' between them.",
            },
            option(
                concat!($prefix, "avro-confluent.subject"),
                "What the schema of written messages is registered under. Default '<topic>-value', or '<topic>-key'.",
            ),
            option(
                concat!($prefix, "avro-confluent.basic-auth.user-info"),
                "Who we are to the registry: a user and a password with ':' between them.",
            ),
            option(concat!($prefix, "avro-confluent.bearer-auth.token"), "The token that the registry wants to see."),
        ];
        fn $name(format: &str) -> &'static [OptionInfo] {
            match format.to_ascii_lowercase().as_str() {
                "json" => $json,
                "csv" => $csv,
                "avro-confluent" => $registry,
                _ => &[],
            }
        }
    };
}
format_options!(of_format, JSON, CSV, REGISTRY, "");
format_options!(of_value_format, VALUE_JSON, VALUE_CSV, VALUE_REGISTRY, "value.");
format_options!(of_key_format, KEY_JSON, KEY_CSV, KEY_REGISTRY, "key.");

const LENIENT: &[&str] = &[
    "json.ignore-parse-errors",
    "csv.ignore-parse-errors",
    "value.json.ignore-parse-errors",
    "value.csv.ignore-parse-errors",
    "key.json.ignore-parse-errors",
    "key.csv.ignore-parse-errors",
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
    const NOT_THERE: &[&str] =
        &["topic-pattern", "key.fields", "format", "error-policy", "dead-letter.table", "properties.group.id"];
    let is_there = |option: &OptionInfo| !option.name.starts_with("scan.") && !NOT_THERE.contains(&option.name);
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
}

impl SourceOptions {
    /// # Errors
    /// A user error that names the wrong option.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let topics = Topics::read(&options)?;
        let client = ClientOptions::read(table)?;
        let (startup, bounded) = (offsets::startup(&options)?, offsets::bounded(&options)?);
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
        let discovery = options.duration(DISCOVERY)?.unwrap_or(Duration::from_secs(300));
        Ok(Self {
            topics,
            client,
            discovery: (!discovery.is_zero() && bounded.is_none()).then_some(discovery),
            startup,
            bounded,
            formats: formats(&options)?,
            policy: policy(&options, LENIENT)?,
        })
    }
}

fn formats(options: &Options<'_>) -> Result<Formats> {
    let of_value = value_options(options)?;
    let Some(value) = MessageFormat::read(&of_value)? else {
        return Err(options.required("format").err().unwrap_or_else(|| options.error("format", "missing")));
    };
    Ok(Formats { registry: registry(&value, &of_value)?, value, key: key(options)? })
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
    format.wants_schemas().then(|| RegistryOptions::read(options)).transpose()
}

fn key(options: &Options<'_>) -> Result<Option<Key>> {
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
    let list = options.required(KEY_FIELDS)?;
    let fields: Vec<String> =
        list.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if fields.is_empty() {
        return Err(options.error(KEY_FIELDS, "empty"));
    }
    let prefix = options.text(KEY_PREFIX).unwrap_or_default().to_owned();
    let is_in_value = options.choice(VALUE_INCLUDES, &[("ALL", true), ("EXCEPT_KEY", false)])?.unwrap_or(true);
    if is_in_value && !prefix.is_empty() {
        return Err(options.error(KEY_PREFIX, format!("read only with '{VALUE_INCLUDES}' = 'EXCEPT_KEY'")));
    }
    if let Some(other) = fields.iter().find(|name| !name.starts_with(&prefix)) {
        return Err(options.error(KEY_PREFIX, format!("not what '{other}' of '{KEY_FIELDS}' begins with")));
    }
    let registry = registry(&format, &options.under("key."))?;
    Ok(Some(Key { format, registry, fields, prefix, is_in_value }))
}
