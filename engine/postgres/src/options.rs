//! Options of a table in PostgreSQL. Their names are those of Flink's JDBC connector, where it has them.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use weir_connectors::filesystem::sink::Existing;
use weir_connectors::options::Options;
use weir_connectors::whole_table::{RELOAD, RETRIES, WholeOptions};
use weir_core::connector::OptionInfo;
use weir_core::{Error, JobIdentity, Location, OperatorUid, Result, TableSpec};

use crate::client::APPLICATION;

pub(crate) const ROOTS: &str = "ssl.root-certificate";
const URL: &str = "url";
const TABLE: &str = "table-name";
const USER: &str = "username";
const PASSWORD: &str = "password";
const SSL: &str = "ssl.mode";
const TIMEOUT: &str = "connection.timeout";
const CACHE: &str = "lookup.cache";
const CACHE_ROWS: &str = "lookup.partial-cache.max-rows";
const AFTER_WRITE: &str = "lookup.partial-cache.expire-after-write";
const AFTER_ACCESS: &str = "lookup.partial-cache.expire-after-access";
const MISSING: &str = "lookup.partial-cache.cache-missing-key";
const COMMITS: &str = "sink.commits-table";
const EXISTING: &str = "sink.existing-results";

const fn option(name: &'static str, doc: &'static str) -> OptionInfo {
    OptionInfo { name, required: false, doc }
}

pub(crate) const OPTIONS: &[OptionInfo] = &[
    OptionInfo { name: URL, required: true, doc: "The database, as in 'jdbc:postgresql://localhost:5432/shop'." },
    OptionInfo {
        name: TABLE,
        required: true,
        doc: "The table in the database; 'schema.table' if its schema is not on the search path.",
    },
    option(USER, "Who logs in."),
    option(PASSWORD, "With which password."),
    option(SSL, "'disable' (default), or 'verify-full': TLS with a certificate that is checked, and its name too."),
    option(ROOTS, "A file of certificates in PEM that the server's is checked by; those of the system by default."),
    option(TIMEOUT, "How long connecting may take. Default '10s'."),
    option(
        CACHE,
        "What is kept of looked-up rows. 'NONE' (default): the database is asked for the keys of each batch; 'PARTIAL': for those that are not in the cache; 'FULL': the whole table is in memory.",
    ),
    option(CACHE_ROWS, "How many keys the cache has at most; those that were not used for longest go. Default 10000."),
    option(AFTER_WRITE, "How old an answer may become in the cache. Default: any age."),
    option(AFTER_ACCESS, "How long an answer stays in the cache that is not asked for. Default: any time."),
    option(MISSING, "Whether it is kept that a key has no rows. Default 'true'."),
    option(RELOAD, "Of 'FULL', and required there: how often the table is read again, e.g. '10min'; '0s': never."),
    option(RETRIES, "How often a lookup is tried again when it fails. Default 3."),
    option(
        EXISTING,
        "What happens if a new job finds rows of an earlier job of the same query in a table without primary key: 'warn' (default), 'add' to them in silence, 'refuse'.",
    ),
    option(COMMITS, "The table that says which checkpoint was written last; 'weir_commits' by default."),
];

/// How rows are read or written, and not which.
pub(crate) const SETTINGS: &[&str] = &[URL, USER, PASSWORD, "ssl.*", TIMEOUT, "lookup.*", EXISTING];

/// How the database is reached.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    pub(crate) config: Config,
    /// With TLS: where the certificates are, if not where the system has them.
    pub(crate) tls: Option<Option<String>>,
    /// `host:port/database`, for messages.
    pub(crate) place: String,
    pub(crate) timeout: Duration,
}

impl ClientOptions {
    /// The servers, and a file of certificates.
    pub(crate) fn locations(&self) -> Vec<Location> {
        let ports = self.config.get_ports();
        let port = |place: usize| ports.get(place).or(ports.first()).copied().unwrap_or(5432);
        let hosts = self.config.get_hosts().iter().enumerate().map(|(place, host)| match host {
            Host::Tcp(name) => Location::Host(name.clone(), port(place)),
            Host::Unix(folder) => Location::Path(folder.clone()),
        });
        // What is connected to where a name has one beside it.
        let addresses = self.config.get_hostaddrs().iter().enumerate();
        let addresses = addresses.map(|(place, address)| Location::Host(address.to_string(), port(place)));
        let roots = self.tls.iter().flatten().map(|roots| Location::Path(roots.into()));
        hosts.chain(addresses).chain(roots).collect()
    }

    /// # Errors
    /// A user error that names the wrong option.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let url = options.required(URL)?;
        // It may have a password in it, and is never shown.
        let error = |wrong: &str| Error::user(format!("option '{URL}' of table '{}' is {wrong}", table.name));
        let wrong = |wrong: &str| error(wrong).with_help("write it like 'jdbc:postgresql://localhost:5432/shop'");
        let plain = url.strip_prefix("jdbc:").unwrap_or(url);
        if !plain.starts_with("postgresql://") && !plain.starts_with("postgres://") {
            return Err(wrong("not the address of a database of PostgreSQL"));
        }
        if plain.contains("sslmode") || plain.contains("sslrootcert") {
            return Err(error("one that says how the connection is encrypted")
                .with_help(format!("that is said by the options '{SSL}' and '{ROOTS}'")));
        }
        // Else a part of a password would be taken for the name of a host or a database, and shown.
        let at = plain.find('@').map_or("", |at| &plain[at + 1..]);
        if at.contains('@') || plain.split_once('?').is_some_and(|(_, parameters)| parameters.contains('@')) {
            return Err(error("one with an '@' that does not stand before the host")
                .with_help("in a name or a password it is written %40; or use the options 'username' and 'password'"));
        }
        // The reason may be a part of a password that was taken for an option.
        let has_password = plain.contains('@') || plain.contains("password");
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            let wrong = wrong("not the address of a database");
            if has_password { wrong } else { wrong.with_source(error) }
        })?;
        let Some(database) = config.get_dbname().map(str::to_owned) else {
            return Err(wrong("without the name of a database"));
        };
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(place, host)| {
                let host = match host {
                    Host::Tcp(name) => name.clone(),
                    Host::Unix(path) => path.display().to_string(),
                };
                let ports = config.get_ports();
                let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
                format!("{host}:{port}")
            })
            .collect();
        if hosts.is_empty() {
            return Err(wrong("without a host"));
        }
        if let Some(user) = options.text(USER) {
            config.user(user);
        }
        if config.get_user().is_none() {
            options.required(USER)?;
        }
        if let Some(password) = options.text(PASSWORD) {
            config.password(password);
        }
        let is_encrypted = options.choice(SSL, &[("disable", false), ("verify-full", true)])?.unwrap_or(false);
        if !is_encrypted && options.text(ROOTS).is_some() {
            return Err(options.error(ROOTS, format!("read only with '{SSL}' = 'verify-full'")));
        }
        let timeout = options.duration(TIMEOUT)?.unwrap_or(Duration::from_secs(10));
        config
            .ssl_mode(if is_encrypted { SslMode::Require } else { SslMode::Disable })
            .application_name(APPLICATION)
            .connect_timeout(timeout)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(Self {
            config,
            tls: is_encrypted.then(|| options.text(ROOTS).map(str::to_owned)),
            place: format!("{}/{database}", hosts.join(",")),
            timeout,
        })
    }
}

/// The name of a table, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(Vec<String>);

impl Name {
    /// Parts with points between them, which are names as the catalog has them: case counts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        ((1..=2).contains(&parts.len()) && parts.iter().all(|part| !part.is_empty())).then_some(Self(parts))
    }

    /// Without its schema.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// As SQL writes it.
    pub(crate) fn sql(&self) -> String {
        self.0.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".")
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A name in SQL, as it is.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn name(options: &Options<'_>, option: &str, text: &str) -> Result<Name> {
    Name::parse(text).ok_or_else(|| options.error(option, "not a name like 'orders' or 'sales.orders'"))
}

/// The table in the database.
///
/// # Errors
/// A user error that names the option.
pub(crate) fn target(table: &TableSpec) -> Result<Name> {
    let options = Options::of(table);
    name(&options, TABLE, options.required(TABLE)?)
}

/// The options of a sink, read.
#[derive(Debug, Clone)]
pub(crate) struct SinkOptions {
    /// Name in Weir's SQL.
    pub(crate) table: String,
    pub(crate) client: ClientOptions,
    pub(crate) target: Name,
    pub(crate) commits: Name,
    pub(crate) existing: Existing,
}

impl SinkOptions {
    /// # Errors
    /// A user error that names the wrong option.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let target = target(table)?;
        let commits = name(&options, COMMITS, options.text(COMMITS).unwrap_or("weir_commits"))?;
        if commits == target {
            return Err(options.error(COMMITS, "the table that is written itself"));
        }
        let existing = [("warn", Existing::Warn), ("add", Existing::Add), ("refuse", Existing::Refuse)];
        Ok(Self {
            table: table.name.clone(),
            client: ClientOptions::read(table)?,
            target,
            commits,
            existing: options.choice(EXISTING, &existing)?.unwrap_or(Existing::Warn),
        })
    }

    /// What the marker of a job's sink is found by.
    pub(crate) fn sink_id(job: JobIdentity, uid: &OperatorUid) -> String {
        format!("{job}-{}", uid.0)
    }
}

/// What is kept of looked-up rows.
#[derive(Debug, Clone)]
pub(crate) struct CacheOptions {
    pub(crate) keys: usize,
    /// In milliseconds.
    pub(crate) after_write: Option<i64>,
    pub(crate) after_access: Option<i64>,
    pub(crate) keeps_missing: bool,
}

/// What of a table is kept in memory.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Nothing,
    Answers(CacheOptions),
    All(WholeOptions),
}

/// The options of a table that rows are looked up in, read.
#[derive(Debug, Clone)]
pub(crate) struct LookupOptions {
    pub(crate) client: ClientOptions,
    pub(crate) target: Name,
    pub(crate) kept: Kept,
    pub(crate) retries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Partial,
    Full,
}

impl LookupOptions {
    /// # Errors
    /// A user error that names the wrong option.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let kinds = [("NONE", Kind::None), ("PARTIAL", Kind::Partial), ("FULL", Kind::Full)];
        let kind = options.choice(CACHE, &kinds)?.unwrap_or(Kind::None);
        let millis = |name| -> Result<Option<i64>> {
            Ok(options.duration(name)?.map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
        };
        let cache = CacheOptions {
            keys: options.number(CACHE_ROWS, 1, 1 << 32)?.unwrap_or(10_000),
            after_write: millis(AFTER_WRITE)?,
            after_access: millis(AFTER_ACCESS)?,
            keeps_missing: options.boolean(MISSING)?.unwrap_or(true),
        };
        if kind != Kind::Partial
            && let Some(name) =
                [CACHE_ROWS, AFTER_WRITE, AFTER_ACCESS, MISSING].into_iter().find(|name| options.text(name).is_some())
        {
            return Err(options.error(name, format!("read only with '{CACHE}' = 'PARTIAL'")));
        }
        let whole = WholeOptions::read(&options, Duration::ZERO)?;
        match (kind, options.text(RELOAD)) {
            (Kind::Full, None) => {
                let error = options.required(RELOAD).err().unwrap_or_else(|| options.error(RELOAD, "missing"));
                return Err(error.with_help(format!(
                    "the whole table is read each time: '{RELOAD}' = '10min' is a beginning, and '0s' reads it once"
                )));
            }
            (Kind::None | Kind::Partial, Some(_)) => {
                return Err(options.error(RELOAD, format!("read only with '{CACHE}' = 'FULL'")));
            }
            _ => {}
        }
        Ok(Self {
            client: ClientOptions::read(table)?,
            target: target(table)?,
            kept: match kind {
                Kind::None => Kept::Nothing,
                Kind::Partial => Kept::Answers(cache),
                Kind::Full => Kept::All(whole),
            },
            retries: whole.retries,
        })
    }
}

/// Checks a table that is used as neither.
///
/// # Errors
/// A user error.
pub(crate) fn no_source(table: &TableSpec) -> Error {
    Error::user(format!("table '{}' cannot be read as a stream: PostgreSQL is looked up in and written", table.name))
        .with_help("join it with FOR SYSTEM_TIME AS OF a processing time")
}
