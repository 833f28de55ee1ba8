//! Clients of a cluster, and what users may set of them: `'properties.…'` are librdkafka's own, but for those that Weir has to set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaConfRes;
use tokio::time::Instant;
use weir_connectors::blocking::release;
use weir_connectors::options::Options;
use weir_core::{Error, Location, Result, TableSpec};

use crate::errors::drain;
use crate::events::{Away, Events};
use crate::offsets::Reset;

/// What stands before the names of a client's properties.
pub(crate) const PROPERTIES: &str = "properties.";
pub(crate) const SERVERS: &str = "bootstrap.servers";
pub(crate) const GROUP: &str = "group.id";
pub(crate) const COMMIT: &str = "commit.offsets.on.checkpoint";
pub(crate) const RESET: &str = "auto.offset.reset";

/// How long one request may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(10);

/// How often whoever waits for an answer looks whether there will be none.
const LOOKS: Duration = Duration::from_secs(1);

/// How long a cluster may be away before that is an error.
pub(crate) const AWAY: Duration = Duration::from_secs(30);

/// What is said of connections, beside what says that an answer may come later.
const CONNECTIONS: [RDKafkaErrorCode; 3] =
    [RDKafkaErrorCode::AllBrokersDown, RDKafkaErrorCode::Resolve, RDKafkaErrorCode::Authentication];

/// What Weir reads itself.
const OWN: &[&str] = &[COMMIT, RESET];

/// What is not for users to set, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "enable.auto.commit",
        "offsets are committed with checkpoints; 'properties.commit.offsets.on.checkpoint' = 'false' leaves that",
    ),
    ("auto.commit.interval.ms", "offsets are committed with checkpoints"),
    ("enable.auto.offset.store", "offsets are committed with checkpoints"),
    ("enable.partition.eof", "Weir sets it"),
    ("statistics.interval.ms", "Weir sets it"),
    ("log.queue", "Weir sets it"),
    ("key.deserializer", "'key.format' says how keys are read"),
    ("value.deserializer", "'format' says how values are read"),
    ("key.serializer", "'key.format' says how keys are written"),
    ("value.serializer", "'format' says how values are written"),
    ("partition.assignment.strategy", "Weir assigns partitions itself"),
    ("transactional.id", "it is made of 'sink.transactional-id-prefix', the job and the sink"),
    ("enable.idempotence", "Weir sets it: records that are sent again are not there twice"),
    ("delivery.report.only.error", "Weir sets it"),
    // They load or run what is on the machine of a worker.
    ("plugin.library.paths", "a table must not load libraries"),
    ("ssl.engine.location", "a table must not load libraries"),
    ("ssl.providers", "a table must not load libraries"),
    ("sasl.kerberos.kinit.cmd", "a table must not run commands"),
    ("sasl.kerberos.principal", "it would be a part of a command"),
    ("sasl.oauthbearer.metadata.authentication.type", "a table must not use the identity of the machine"),
    ("offset.store.path", "offsets are kept in checkpoints"),
];

/// What Java's clients call otherwise.
const ELSEWHERE: &[(&str, &str)] = &[
    ("sasl.jaas.config", "set 'properties.sasl.username' and 'properties.sasl.password'"),
    ("ssl.truststore.location", "'properties.ssl.ca.location' is a file of certificates in PEM"),
    ("ssl.truststore.password", "'properties.ssl.ca.location' is a file of certificates in PEM, which has no password"),
    ("ssl.truststore.type", "'properties.ssl.ca.location' is a file of certificates in PEM"),
    ("ssl.truststore.certificates", "'properties.ssl.ca.pem' holds certificates in PEM"),
    ("ssl.keystore.type", "'properties.ssl.keystore.location' is a file in PKCS#12"),
    ("ssl.keystore.certificate.chain", "'properties.ssl.certificate.pem' holds certificates in PEM"),
    ("ssl.keystore.key", "'properties.ssl.key.pem' holds a key in PEM"),
    ("sasl.login.callback.handler.class", "for OAUTHBEARER see 'properties.sasl.oauthbearer.method'"),
    ("fetch.max.wait.ms", "it is called 'properties.fetch.wait.max.ms'"),
    ("max.poll.records", "it has no meaning here"),
    ("max.request.size", "it is called 'properties.message.max.bytes'"),
    ("buffer.memory", "it is called 'properties.queue.buffering.max.kbytes'"),
    ("request.timeout.ms", "it is called 'properties.socket.timeout.ms'"),
];

/// Properties that name files.
const FILES: &[&str] = &[
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
    "https.ca.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
];

/// Properties that name brokers: the second is another name for the first.
const BROKERS: &[&str] = &["bootstrap.servers", "metadata.broker.list"];

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    table: String,
    /// As the user has given them.
    properties: BTreeMap<String, String>,
    pub(crate) servers: String,
    pub(crate) group: Option<String>,
    /// Whether the group is told of checkpoints.
    pub(crate) commits: bool,
    pub(crate) reset: Reset,
    /// Whether the job has been let in before: if it is not any more, that may pass, as when a password has expired and its file gets another.
    pub(crate) was_let_in: bool,
}

impl ClientOptions {
    /// Whether the clients of both are the same.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.properties == other.properties
    }

    /// # Errors
    /// A user error that names the wrong property.
    pub(crate) fn read(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table).under(PROPERTIES);
        let servers = options.required(SERVERS)?.to_owned();
        if servers.split(',').all(|server| server.trim().is_empty()) {
            return Err(options.error(SERVERS, "empty"));
        }
        let given = table.options.iter().filter_map(|(name, value)| Some((name.strip_prefix(PROPERTIES)?, value)));
        let mut properties = BTreeMap::new();
        for (name, value) in given.filter(|(name, _)| !OWN.contains(name)) {
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
                let error = Error::user(format!("table '{}': '{PROPERTIES}{name}' cannot be set", table.name));
                return Err(error.with_help(*why));
            }
            properties.insert(name.to_owned(), value.clone());
        }
        let group = options.text(GROUP).map(str::to_owned);
        let resets = [("none", Reset::Fail), ("earliest", Reset::Earliest), ("latest", Reset::Latest)];
        let read = Self {
            table: table.name.clone(),
            properties,
            servers,
            commits: options.boolean(COMMIT)?.unwrap_or(true) && group.is_some(),
            reset: options.choice(RESET, &resets)?.unwrap_or(Reset::Fail),
            group,
            was_let_in: false,
        };
        read.consumer().create_native_config().map_err(|error| read.refused(error))?;
        Ok(read)
    }

    /// What librdkafka says about a property. Values are not repeated: they may be secrets.
    fn refused(&self, error: KafkaError) -> Error {
        let KafkaError::ClientConfig(kind, wrong, name, _) = &error else {
            return Error::user(format!("table '{}': the properties of its client are wrong", self.table))
                .with_source(error);
        };
        let elsewhere = ELSEWHERE.iter().find(|(java, _)| java == name);
        if *kind == RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN || elsewhere.is_some() {
            let error = Error::user(format!("table '{}': there is no property '{PROPERTIES}{name}'", self.table));
            return error.with_help(match elsewhere {
                Some((_, instead)) => *instead,
                None => "properties are librdkafka's: they are listed in its CONFIGURATION.md",
            });
        }
        Error::user(format!("table '{}': '{PROPERTIES}{name}' has a value that it cannot have: {wrong}", self.table))
    }

    /// What any client of the cluster has.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "weir").set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        // Lines go to `Events::log`, which has levels of its own.
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// What a consumer has.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        let mut default = |name: &str, value: &str| {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        };
        default("isolation.level", "read_committed");
        // What is fetched ahead of a partition; librdkafka looks only every so often whether there is room again.
        default("queued.max.messages.kbytes", "32768");
        default("fetch.queue.backoff.ms", "5");
        // Partitions are assigned by Weir, and a client that is given some has to have a group. Nothing is committed to this one.
        default(GROUP, "weir");
        let reset = match self.reset {
            Reset::Fail => "error",
            Reset::Earliest => "earliest",
            Reset::Latest => "latest",
        };
        config
            .set(RESET, reset)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", "500");
        config
    }

    /// What a consumer has that only asks.
    pub(crate) fn asking(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.set("statistics.interval.ms", "0");
        config
    }

    /// What a producer has; one with a transactional id writes in transactions.
    pub(crate) fn producer(&self, transactional_id: Option<&str>) -> ClientConfig {
        let mut config = self.client();
        let mut default = |name: &str, value: &str| {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        };
        // Where Java's clients would put a record with the same key.
        default("partitioner", "murmur2_random");
        // What waits to be sent; a sink waits while it is full.
        default("queue.buffering.max.kbytes", "65536");
        if let Some(id) = transactional_id {
            // An epoch has so long to be sent. What a process that has died leaves open is ended by the next one that commits.
            default("transaction.timeout.ms", "600000");
            config.set("transactional.id", id);
        } else {
            default("message.timeout.ms", "120000");
        }
        config.set("enable.idempotence", "true").set("statistics.interval.ms", "0");
        config
    }

    /// How large a record may be, its key and its value together.
    pub(crate) fn record_bytes(&self) -> usize {
        // librdkafka's default, which counts what stands around a record too.
        let limit = self.properties.get("message.max.bytes").and_then(|limit| limit.parse().ok()).unwrap_or(1_000_000);
        usize::saturating_sub(limit, 1024)
    }

    /// What a client has that makes topics.
    pub(crate) fn admin(&self) -> ClientConfig {
        self.client()
    }

    /// A client could not be made.
    pub(crate) fn not_created(&self, error: KafkaError) -> Error {
        match error {
            KafkaError::ClientCreation(wrong) => {
                Error::user(format!("table '{}': the properties of its client do not go together: {wrong}", self.table))
            }
            error => self.refused(error),
        }
    }

    /// Starts a client. Waits for files and threads, not for the network.
    ///
    /// # Errors
    /// A user error if properties do not go together.
    pub(crate) fn connect(&self, config: &ClientConfig) -> Result<Client> {
        let events = Events::new(self.reads_committed(), self.was_let_in);
        let consumer = config.create_with_context(events).map_err(|error| self.not_created(error))?;
        Ok(Client { consumer: Some(Arc::new(consumer)), servers: self.servers.clone() })
    }

    /// Whether records of open and aborted transactions are passed over.
    fn reads_committed(&self) -> bool {
        self.properties.get("isolation.level").is_none_or(|level| !level.eq_ignore_ascii_case("read_uncommitted"))
    }
}

/// Whether an option of that name names brokers.
pub(crate) fn names_brokers(option: &str) -> bool {
    option.strip_prefix(PROPERTIES).is_some_and(|property| BROKERS.contains(&property))
}

/// The hosts of a list of brokers. librdkafka takes more than this for a broker, and some of it for another host than other programs would.
///
/// # Errors
/// A user error if one is not written `host`, `host:port`, `[address]:port`, or so behind `PROTOCOL://`.
pub(crate) fn brokers(list: &str) -> Result<Vec<Location>> {
    let wrong = || Error::user("a broker cannot be understood").with_help("write it like 'host:9092' or '[::1]:9092'");
    list.split(',').map(|broker| broker_of(broker.trim()).ok_or_else(wrong)).collect()
}

fn broker_of(broker: &str) -> Option<Location> {
    let address = match broker.split_once("://") {
        Some((protocol, address)) => {
            let protocol = protocol.to_ascii_lowercase();
            ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(&protocol.as_str()).then_some(address)?
        }
        None => broker,
    };
    let (name, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            name.parse::<std::net::Ipv6Addr>().ok()?;
            (name, port)
        }
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !(address.starts_with('[') || name.bytes().all(is_name)) {
        return None;
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None => port.is_empty().then_some(9092)?,
    };
    Some(Location::Host(name.to_owned(), port))
}

/// Names of options that name files.
pub(crate) fn files() -> impl Iterator<Item = String> {
    FILES.iter().map(|name| format!("{PROPERTIES}{name}"))
}

/// A client. To close it takes a while, which is waited for elsewhere.
pub(crate) struct Client {
    consumer: Option<Arc<BaseConsumer<Events>>>,
    pub(crate) servers: String,
}

impl Client {
    /// What it has heard.
    pub(crate) fn events(&self) -> &Events {
        self.consumer().context()
    }

    pub(crate) fn consumer(&self) -> &Arc<BaseConsumer<Events>> {
        self.consumer.as_ref().expect("it is taken when it is dropped")
    }

    /// What there is: of one topic, or all. Whoever is not let in is told so soon. Waits for the network.
    pub(crate) fn metadata(&self, topic: Option<&str>) -> KafkaResult<Metadata> {
        let (until, mut patience) = (Instant::now() + REQUEST, LOOKS);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = self.consumer().fetch_metadata(topic, left.min(patience));
            match answer.as_ref().map_err(KafkaError::rdkafka_error_code) {
                // No broker was there to be asked.
                Err(Some(RDKafkaErrorCode::BrokerTransportFailure)) if left > patience => {}
                // One was asked. It may take all the time that there is, and would answer what was asked before first.
                Err(Some(RDKafkaErrorCode::OperationTimedOut)) if left > patience => patience = REQUEST,
                _ => return answer,
            }
            drain(self);
            // A connection that breaks while it is made may look like it, and the next one is let in.
            if let Some((since, Away::Refused(_))) = self.events().away()
                && since.elapsed() > LOOKS
            {
                return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::Authentication));
            }
        }
    }

    /// Whether an error that it was told of just now is one of connections, which it opens again by itself.
    pub(crate) fn may_return(&self, error: &KafkaError) -> bool {
        let is_down = matches!(self.events().away(), Some((_, Away::Down(_))));
        let code = error.rdkafka_error_code();
        is_passing(error) || is_down && code.is_some_and(|code| CONNECTIONS.contains(&code))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        release(self.consumer.take());
    }
}

/// What a request answers; as long as brokers have no answer yet it is made again, until then. Waits for the network.
pub(crate) fn patiently<T>(until: Instant, request: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    loop {
        match request() {
            Err(error) if is_passing(&error) && Instant::now() < until => pause(),
            answer => return answer,
        }
    }
}

/// Whether an answer says that another broker is to be asked, or this one later: leaders of partitions and coordinators of groups come and
/// go, and those of what has just been made are still to come.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::WaitingForCoordinator
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}

/// Waits a moment for others.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing says when others have done what is waited for; this is a blocking thread"
)]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
