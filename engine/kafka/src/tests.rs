//! Options, and what is said about wrong ones.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use weir_core::connector::{Boundedness, METADATA_KEY, Role};
use weir_core::{ChangelogKind, Connector, ErrorKind, TableSpec};

use crate::client::ClientOptions;
use crate::offsets::Place;
use crate::options::SourceOptions;
use crate::{Kafka, UpsertKafka};

/// Options that a table has beside those that all have here.
type Given<'a> = &'a [(&'a str, &'a str)];

/// A table that is right, but for these options; one that is "" is left out.
fn table(with: &[(&str, &str)]) -> TableSpec {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let right = [
        ("topic", "orders"),
        ("properties.bootstrap.servers", "127.0.0.1:9"),
        ("scan.startup.mode", "earliest-offset"),
        ("format", "json"),
    ];
    for (name, value) in right.iter().chain(with) {
        options.insert((*name).to_owned(), (*value).to_owned());
    }
    options.retain(|_, value| !value.is_empty());
    let offset =
        Field::new("at", DataType::Int64, false).with_metadata([(METADATA_KEY.into(), "offset".into())].into());
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8View, true),
        Field::new("tags", DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true))), true),
        offset,
    ]);
    TableSpec::new("t", "kafka", options, Arc::new(schema))
}

/// What is said about a table, and the advice.
fn refusal(with: &[(&str, &str)]) -> (String, String) {
    let error = Kafka::default().validate(&table(with), Role::Source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    let report = error.report();
    let message = report.lines().filter(|line| !line.starts_with("  help:")).collect::<Vec<_>>().join("\n");
    (message, error.help().unwrap_or_default().to_owned())
}

#[test]
fn each_wrong_option_is_named_with_what_would_be_right() {
    let specific = "not a list like 'partition:0,offset:42;partition:1,offset:300'";
    let of_t =
        |name: &str, value: &str, wrong: &str| format!("option '{name}' of table 't' is '{value}', which is {wrong}");
    let cases: Vec<(Given<'_>, String, &str)> = vec![
        (
            &[("topic", "")],
            "table 't' has no option 'topic'".into(),
            "add 'topic' = '…' to its WITH (…), or 'topic-pattern' = '…'",
        ),
        (
            &[("topic-pattern", "o.*")],
            of_t("topic-pattern", "o.*", "given beside 'topic'; a table has one of the two"),
            "",
        ),
        (&[("topic", ";")], of_t("topic", ";", "empty"), ""),
        (&[("topic", "a;b;a")], of_t("topic", "a;b;a", "a list that has 'a' twice"), ""),
        (
            &[("topic", "a;b c")],
            of_t("topic", "a;b c", "not a list of topics: 'b c' is not made of letters, digits, '.', '_' and '-'"),
            "",
        ),
        (
            &[("properties.bootstrap.servers", "")],
            "table 't' has no option 'properties.bootstrap.servers'".into(),
            "add 'properties.bootstrap.servers' = '…' to its WITH (…)",
        ),
        (
            &[("scan.startup.mode", "earliest")],
            of_t(
                "scan.startup.mode",
                "earliest",
                "not one of 'earliest-offset', 'latest-offset', 'group-offsets', 'timestamp', 'specific-offsets'",
            ),
            "",
        ),
        (
            &[("scan.startup.mode", "latest-ofset")],
            of_t(
                "scan.startup.mode",
                "latest-ofset",
                "not one of 'earliest-offset', 'latest-offset', 'group-offsets', 'timestamp', 'specific-offsets'",
            ),
            "did you mean 'latest-offset'?",
        ),
        (
            &[("scan.startup.mode", "")],
            "table 't' has no option 'properties.group.id'".into(),
            "'scan.startup.mode' is 'group-offsets' unless set: add 'properties.group.id' = '…', or begin elsewhere, as with \
             'scan.startup.mode' = 'earliest-offset'",
        ),
        (
            &[("scan.startup.mode", "timestamp")],
            "table 't' has no option 'scan.startup.timestamp-millis'".into(),
            "add 'scan.startup.timestamp-millis' = '…' to its WITH (…)",
        ),
        (
            &[("scan.startup.timestamp-millis", "1")],
            of_t("scan.startup.timestamp-millis", "1", "read only with 'scan.startup.mode' = 'timestamp'"),
            "",
        ),
        (
            &[("scan.startup.mode", "specific-offsets"), ("scan.startup.specific-offsets", "0:42")],
            of_t("scan.startup.specific-offsets", "0:42", specific),
            "",
        ),
        (
            &[("scan.bounded.mode", "specific-offsets"), ("scan.bounded.specific-offsets", "partition:0,offset:-1")],
            of_t("scan.bounded.specific-offsets", "partition:0,offset:-1", specific),
            "",
        ),
        (
            &[
                ("topic", "a;b"),
                ("scan.bounded.mode", "specific-offsets"),
                ("scan.bounded.specific-offsets", "partition:0,offset:1"),
            ],
            of_t(
                "scan.bounded.specific-offsets",
                "partition:0,offset:1",
                "of partitions of one topic, and the table may have several",
            ),
            "",
        ),
        (
            &[("scan.bounded.mode", "group-offsets")],
            "table 't' has no option 'properties.group.id'".into(),
            "add 'properties.group.id' = '…' to its WITH (…)",
        ),
        (&[("format", "")], "table 't' has no option 'format'".into(), "add 'format' = '…' to its WITH (…)"),
        (
            &[("format", "jsn")],
            of_t(
                "format",
                "jsn",
                "not one of 'json', 'csv', 'raw', 'avro', 'avro-confluent', 'protobuf', 'protobuf-confluent', 'debezium-json'",
            ),
            "did you mean 'json'?",
        ),
        (&[("value.format", "json")], of_t("value.format", "json", "given beside 'format', which says the same"), ""),
        (
            &[("error-policy", "fail"), ("json.ignore-parse-errors", "true")],
            of_t("json.ignore-parse-errors", "true", "in conflict with 'error-policy' = 'fail'"),
            "",
        ),
        (
            &[("properties.auto.offset.reset", "smallest")],
            of_t("properties.auto.offset.reset", "smallest", "not one of 'none', 'earliest', 'latest'"),
            "",
        ),
    ];
    for (with, message, help) in cases {
        assert_eq!(refusal(with), (message, help.to_owned()), "{with:?}");
    }
}

#[test]
fn keys_want_a_format_and_columns_that_are_there() {
    const KEY: (&str, &str) = ("key.format", "raw");
    const APART: (&str, &str) = ("value.fields-include", "EXCEPT_KEY");
    let cases: Vec<(Given<'_>, &str, &str)> = vec![
        (&[KEY], "table 't' has no option 'key.fields'", "add 'key.fields' = '…' to its WITH (…)"),
        (
            &[("key.fields", "name")],
            "option 'key.fields' of table 't' is 'name', which is read only with a 'key.format'",
            "",
        ),
        (
            &[APART],
            "option 'value.fields-include' of table 't' is 'EXCEPT_KEY', which is read only with a 'key.format'",
            "",
        ),
        (
            &[KEY, ("key.fields", "nme")],
            "option 'key.fields' of table 't' names 'nme', which is no column that is read from a record",
            "did you mean 'name'?",
        ),
        (
            &[KEY, ("key.fields", "at")],
            "option 'key.fields' of table 't' names 'at', which is no column that is read from a record",
            "",
        ),
        (
            &[KEY, ("key.fields", "name"), ("key.fields-prefix", "na")],
            "option 'key.fields-prefix' of table 't' is 'na', which is read only with 'value.fields-include' = 'EXCEPT_KEY'",
            "",
        ),
        (
            &[KEY, APART, ("key.fields", "name"), ("key.fields-prefix", "k_")],
            "option 'key.fields-prefix' of table 't' is 'k_', which is not what 'name', a column of the key, begins with",
            "",
        ),
        (
            &[KEY, APART, ("key.fields", "id")],
            "key of table 't'\n  because: column 'id': BIGINT cannot be read from a message of the format 'raw'",
            "'raw' reads STRING and BYTES; CAST makes of a STRING what it says",
        ),
        (
            &[("format", "csv")],
            "table 't'\n  because: column 'tags': ARRAY<STRING> cannot be read from a message of the format 'csv'",
            "",
        ),
        (
            &[KEY, APART, ("key.fields", "id"), ("key.format", "csv"), ("key.csv.field-delimiter", "ab")],
            "option 'key.csv.field-delimiter' of table 't' is 'ab', which is not a single ASCII character",
            "",
        ),
    ];
    for (with, message, help) in cases {
        assert_eq!(refusal(with), (message.to_owned(), help.to_owned()), "{with:?}");
    }
}

#[test]
fn a_client_has_the_properties_that_librdkafka_has_and_none_that_run_code() {
    let cases: Vec<(Given<'_>, &str, &str)> = vec![
        (
            &[("properties.sasl.jaas.config", "org.… password=\"hunter2\"")],
            "table 't': there is no property 'properties.sasl.jaas.config'",
            "set 'properties.sasl.username' and 'properties.sasl.password'",
        ),
        (
            &[("properties.max.pol", "1")],
            "table 't': there is no property 'properties.max.pol'",
            "properties are librdkafka's: they are listed in its CONFIGURATION.md",
        ),
        (
            &[("properties.plugin.library.paths", "/tmp/x.so")],
            "table 't': 'properties.plugin.library.paths' cannot be set",
            "a table must not load libraries",
        ),
        (
            &[("properties.enable.auto.commit", "true")],
            "table 't': 'properties.enable.auto.commit' cannot be set",
            "offsets are committed with checkpoints; 'properties.commit.offsets.on.checkpoint' = 'false' leaves that",
        ),
    ];
    for (with, message, help) in cases {
        assert_eq!(refusal(with), (message.to_owned(), help.to_owned()), "{with:?}");
    }
    let (message, _) = refusal(&[("properties.security.protocol", "hunter2")]);
    let begins = "table 't': 'properties.security.protocol' has a value that it cannot have: ";
    assert!(message.starts_with(begins), "{message}");
    let with = [
        ("properties.security.protocol", "SASL_SSL"),
        ("properties.sasl.mechanism", "SCRAM-SHA-512"),
        ("properties.sasl.username", "u"),
        ("properties.sasl.password", "p"),
        ("properties.ssl.ca.location", "certificates/ca.pem"),
        ("properties.isolation.level", "read_uncommitted"),
    ];
    let mut spec = table(&with);
    Kafka::default().anchor(&mut spec.options, Path::new("/job"));
    let config = ClientOptions::read(&spec).unwrap().consumer();
    let set = |name| config.get(name);
    assert_eq!(set("ssl.ca.location"), Some("/job/certificates/ca.pem"));
    assert_eq!((set("security.protocol"), set("sasl.password")), (Some("SASL_SSL"), Some("p")));
    assert_eq!(set("isolation.level"), Some("read_uncommitted"));
    let config = ClientOptions::read(&table(&[])).unwrap().consumer();
    assert_eq!(config.get("isolation.level"), Some("read_committed"));
    assert_eq!((config.get("auto.offset.reset"), config.get("enable.auto.commit")), (Some("error"), Some("false")));
}

#[test]
fn what_the_options_say_is_read() {
    let read = |with: &[(&str, &str)]| SourceOptions::read(&table(with)).unwrap();
    let group = ("properties.group.id", "g");
    assert_eq!(read(&[group, ("scan.startup.mode", "")]).startup, Place::Group);
    let offsets = [
        ("scan.startup.mode", "specific-offsets"),
        ("scan.startup.specific-offsets", " partition:0, offset:42; partition:3,offset:7;"),
    ];
    assert_eq!(read(&offsets).startup, Place::Specific([(0, 42), (3, 7)].into()));
    assert_eq!(read(&[]).discovery.unwrap().as_secs(), 300);
    assert_eq!(read(&[("scan.topic-partition-discovery.interval", "0")]).discovery, None);
    assert_eq!(read(&[("scan.bounded.mode", "latest-offset")]).discovery, None, "a table that ends does not grow");
    assert!(!read(&[]).client.commits, "there is no group");
    assert!(read(&[group]).client.commits);
    assert!(!read(&[group, ("properties.commit.offsets.on.checkpoint", "false")]).client.commits);
    let bounded = |with: &[(&str, &str)]| Kafka::default().boundedness(&table(with));
    assert_eq!(bounded(&[]), Boundedness::Unbounded);
    assert_eq!(bounded(&[("scan.bounded.mode", "unbounded")]), Boundedness::Unbounded);
    assert_eq!(bounded(&[("scan.bounded.mode", "latest-offset")]), Boundedness::Bounded);
}

#[test]
fn each_wrong_option_of_a_sink_is_named_with_what_would_be_right() {
    let sink = |connector: &str, key: &[usize], with: &[(&str, &str)]| {
        let mut spec = table(with);
        spec.connector = connector.to_owned();
        spec.primary_key = key.to_vec();
        let columns: Vec<usize> = (0..3).collect();
        spec.schema = Arc::new(spec.schema.project(&columns).unwrap());
        spec
    };
    let error = |spec: &TableSpec| match spec.connector.as_str() {
        "kafka" => Kafka::default().validate(spec, Role::Sink).unwrap_err().report(),
        _ => UpsertKafka::default().validate(spec, Role::Sink).unwrap_err().report(),
    };
    let of_t =
        |name: &str, value: &str, wrong: &str| format!("option '{name}' of table 't' is '{value}', which is {wrong}");
    let cases: Vec<(Given<'_>, String)> = vec![
        (&[("topic", "a;b")], of_t("topic", "a;b", "several topics, and rows are written to one")),
        (&[("topic", ""), ("topic-pattern", "a.*")], "table 't' has no option 'topic'".into()),
        (
            &[("sink.delivery-guarantee", "exactly-onec")],
            of_t("sink.delivery-guarantee", "exactly-onec", "not one of 'exactly-once', 'at-least-once', 'none'"),
        ),
        (
            &[("sink.commits-topic", "orders")],
            of_t("sink.commits-topic", "orders", "not the name of a topic of its own"),
        ),
        (&[("format", "csv")], "column 'tags' of table 't' cannot be written as csv: its type is ARRAY<STRING>".into()),
        (
            &[("value.fields-include", "EXCEPT_KEY")],
            of_t("value.fields-include", "EXCEPT_KEY", "read only with a 'key.format'"),
        ),
        (
            &[("key.format", "raw"), ("key.fields", "nme")],
            "option 'key.fields' of table 't' names 'nme', which is no column that is written".into(),
        ),
        (
            &[("key.format", "raw"), ("key.fields", "id")],
            "key of table 't'\n  because: column 'id' of table 't' cannot be written as raw: its type is BIGINT".into(),
        ),
        (&[("properties.transactional.id", "x")], "table 't': 'properties.transactional.id' cannot be set".into()),
    ];
    for (with, message) in cases {
        let report = error(&sink("kafka", &[], with));
        assert!(report.starts_with(&message), "{with:?}: {report}");
    }
    // A sink wants to know nothing of where reading begins.
    Kafka::default().validate(&sink("kafka", &[], &[("scan.startup.mode", "")]), Role::Sink).unwrap();
    let report = Kafka::default().validate(&table(&[]), Role::Sink).unwrap_err().report();
    assert!(report.starts_with("metadata column 'at' of table 't' cannot be written"), "{report}");

    let upserts = |key: &[usize], with| error(&sink("upsert-kafka", key, with));
    for (format, name) in
        [("format", "debezium-json.schema-include"), ("value.format", "value.debezium-json.schema-include")]
    {
        let with = |include| sink("kafka", &[], &[("format", ""), (format, "debezium-json"), (name, include)]);
        Kafka::default().validate(&with("false"), Role::Sink).unwrap();
        let expected = of_t(name, "true", "only for reading: no schema is written beside messages");
        assert_eq!(error(&with("true")), expected);
    }
    let by_turns = [("key.format", "json"), ("sink.partitioner", "round-robin")];
    Kafka::default().validate(&sink("kafka", &[], &[("sink.partitioner", "round-robin")]), Role::Sink).unwrap();
    let wrong = "not for records that replace each other: only within a partition is it certain which comes last";
    let report = upserts(&[0], &by_turns);
    assert!(report.starts_with(&of_t("sink.partitioner", "round-robin", wrong)), "{report}");
    let report = upserts(&[], &[("key.format", "json")]);
    assert!(report.starts_with("table 't' has no primary key"), "{report}");
    assert!(upserts(&[0], &[]).starts_with("table 't' has no option 'key.format'"));
    let spec = sink("upsert-kafka", &[1, 0], &[("key.format", "json")]);
    UpsertKafka::default().validate(&spec, Role::Sink).unwrap();
    let takes = |stream: ChangelogKind| UpsertKafka::default().takes(&spec, &stream);
    assert!(takes(ChangelogKind::Append) && takes(ChangelogKind::Upsert(vec![0, 1])));
    assert!(!takes(ChangelogKind::Retract) && !takes(ChangelogKind::Upsert(vec![0])));

    // After a failure nothing might say that what was sent before is wrong.
    for (guarantee, changes) in [("exactly-once", true), ("at-least-once", false), ("none", false)] {
        let spec = sink("upsert-kafka", &[0], &[("key.format", "json"), ("sink.delivery-guarantee", guarantee)]);
        let check = |stream: ChangelogKind| UpsertKafka::default().check_stream(&spec, &stream);
        check(ChangelogKind::Append).unwrap();
        let checked = check(ChangelogKind::Upsert(vec![0])).map_err(|error| error.report());
        let wrong = "only for queries that add rows, and the results of this one change";
        let expected = of_t("sink.delivery-guarantee", guarantee, wrong);
        assert!(
            checked.as_ref().err().map_or(changes, |report| !changes && report.starts_with(&expected)),
            "{checked:?}"
        );
    }
}

#[test]
fn records_that_replace_each_other_want_a_key_and_say_so_to_the_planner() {
    let source = |connector: &str, key: &[usize], with: &[(&str, &str)]| {
        let mut spec = table(with);
        spec.connector = connector.to_owned();
        spec.primary_key = key.to_vec();
        spec
    };
    let report = |spec: &TableSpec| match spec.connector.as_str() {
        "kafka" => Kafka::default().validate(spec, Role::Source).unwrap_err().report(),
        _ => UpsertKafka::default().validate(spec, Role::Source).unwrap_err().report(),
    };
    let debezium = ("format", "debezium-json");
    let said = report(&source("kafka", &[], &[debezium]));
    assert!(said.starts_with("the records of table 't' say what became of rows, and it has no primary key"), "{said}");
    let own = [("format", ""), ("scan.startup.mode", ""), ("key.format", "json"), ("value.format", "json")];
    let upserts = |with: &[(&str, &str)]| source("upsert-kafka", &[1, 0], &[&own[..], with].concat());
    let said = report(&upserts(&[("value.format", "debezium-json")]));
    assert!(said.contains("use the connector 'kafka' for it"), "{said}");
    for (missing, expected) in [("key.format", "key.format"), ("value.format", "value.format")] {
        let said = report(&upserts(&[(missing, "")]));
        assert!(said.starts_with(&format!("table 't' has no option '{expected}'")), "{said}");
    }
    let said = report(&source("kafka", &[0], &[debezium, ("key.format", "debezium-json"), ("key.fields", "id")]));
    assert!(said.contains("no format of keys"), "{said}");

    let several: [(Given<'_>, &str); 2] = [
        (&[("topic", "a;b")], "'topic' of table 't' is 'a;b'"),
        (&[("topic", ""), ("topic-pattern", "a")], "'topic-pattern' of table 't' is 'a'"),
    ];
    for (with, option) in several {
        for spec in [upserts(with), source("kafka", &[0], &[&[debezium], with].concat())] {
            let said = report(&spec);
            let expected = format!(
                "option {option}, which is more than one topic, or may be, and the records of this table replace each other"
            );
            assert!(said.starts_with(&expected) && said.contains("help: declare a table for each"), "{said}");
        }
        Kafka::default().validate(&source("kafka", &[0], with), Role::Source).unwrap();
    }

    let spec = upserts(&[("scan.deletions.retention", "2 h")]);
    UpsertKafka::default().validate(&spec, Role::Source).unwrap();
    let succession = UpsertKafka::default().succession(&spec).unwrap();
    let names: Vec<&str> =
        succession.order.iter().chain([&succession.deletion]).map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["$sequence", "partition", "$deletion"]);
    assert_eq!(succession.keeps_deletions_ms, Some(7_200_000));
    let spec = source("kafka", &[0], &[debezium, ("scan.deletions.retention", "0")]);
    assert_eq!(Kafka::default().succession(&spec).unwrap().keeps_deletions_ms, None);
    assert_eq!(Kafka::default().succession(&source("kafka", &[0], &[])), None, "each record is a row of its own");
}

#[test]
fn brokers_are_read_as_their_client_reads_them_or_not_at_all() {
    let host = |name: &str, port| weir_core::Location::Host(name.to_owned(), port);
    let found = super::client::brokers(" broker , SASL_SSL://b.example:9093,[::1]:1").unwrap();
    assert_eq!(found, [host("broker", 9092), host("b.example", 9093), host("::1", 1)]);
    let refused = [
        // For librdkafka these are evil.example and 10.0.0.5.
        "[evil.example]@kafka.example.org:9092",
        "10.0.0.5:80@kafka.example.org",
        "http://kafka.example.org:9092",
        "kafka.example.org/x",
        "a:1:2",
        "a b",
        "a:",
        "",
    ];
    for list in refused {
        assert!(super::client::brokers(list).is_err(), "{list}");
    }
}
