//! Options of formats, by where they are used: their names begin with `key.` or `value.` where the format's does.

use weir_core::connector::OptionInfo;

use super::option;

/// Options of a registry.
macro_rules! registry {
    ($prefix:literal, $format:literal) => {
        const {
            &[
                OptionInfo {
                    name: concat!($prefix, $format, ".url"),
                    required: true,
                    doc: "Address of the schema registry, e.g. 'https://registry:8081'; several with ',' between them.",
                },
                option(
                    concat!($prefix, $format, ".subject"),
                    "What the schema of written messages is registered under. Default '<topic>-value', or '<topic>-key'.",
                ),
                option(
                    concat!($prefix, $format, ".basic-auth.user-info"),
                    "Who we are to the registry: a user and a password with ':' between them.",
                ),
                option(concat!($prefix, $format, ".bearer-auth.token"), "The token that the registry wants to see."),
            ]
        }
    };
}

/// Options of a format where it is used in one way.
macro_rules! options {
    ($name:ident, $prefix:literal) => {
        pub(super) fn $name(format: &str) -> &'static [OptionInfo] {
            match format.to_ascii_lowercase().as_str() {
                "json" => const {
                    &[
                        option(
                            concat!($prefix, "json.ignore-parse-errors"),
                            "'true': a value that is not of its column's type is null, and a record that is no JSON is left out.",
                        ),
                        option(
                            concat!($prefix, "json.fail-on-missing-field"),
                            "Whether a record without one of the columns is undecodable; otherwise it is null. Default 'false'.",
                        ),
                    ]
                },
                "csv" => const {
                    &[
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
                    ]
                },
                "protobuf" => const {
                    &[
                        option(
                            concat!($prefix, "protobuf.message-class-name"),
                            "The message, with its package: 'shop.Order'. May be left out if the schema has only one.",
                        ),
                        option(
                            concat!($prefix, "protobuf.descriptor"),
                            "The file with the schema: a set of descriptors with all imports, or a '.proto' file. On every machine that may run the job.",
                        ),
                        option(concat!($prefix, "protobuf.schema"), "Instead of a file: the text of a '.proto' file."),
                        option(
                            concat!($prefix, "protobuf.read-default-values"),
                            "'true': a field that is not there has its default value, also if the message could say that it is not. Default 'false': null.",
                        ),
                        option(
                            concat!($prefix, "protobuf.ignore-parse-errors"),
                            "'true': a record that is no such message is left out.",
                        ),
                    ]
                },
                "avro-confluent" => registry!($prefix, "avro-confluent"),
                "protobuf-confluent" => registry!($prefix, "protobuf-confluent"),
                "debezium-json" => const {
                    &[
                        option(
                            concat!($prefix, "debezium-json.schema-include"),
                            "Whether messages have their schema beside them; unless set, each is read as it is.",
                        ),
                        option(
                            concat!($prefix, "debezium-json.ignore-parse-errors"),
                            "'true': a value that is not of its column's type is null, and a record that is none of Debezium's is left out.",
                        ),
                    ]
                },
                _ => &[],
            }
        }
    };
}
options!(of_format, "");
options!(of_value_format, "value.");
options!(of_key_format, "key.");

/// Options that leave out what cannot be decoded.
pub(super) const LENIENT: &[&str] = &[
    "json.ignore-parse-errors",
    "csv.ignore-parse-errors",
    "protobuf.ignore-parse-errors",
    "debezium-json.ignore-parse-errors",
    "value.debezium-json.ignore-parse-errors",
    "value.json.ignore-parse-errors",
    "value.csv.ignore-parse-errors",
    "value.protobuf.ignore-parse-errors",
    "key.json.ignore-parse-errors",
    "key.csv.ignore-parse-errors",
    "key.protobuf.ignore-parse-errors",
];
