//! The connectors that the binary brings.

use weir_connectors::Registry;
use weir_kafka::{Kafka, UpsertKafka};
use weir_object_files::Files;
use weir_postgres::Postgres;

/// Those that have to reach nothing but files, and those with clients of their own.
pub fn builtin() -> Registry {
    Registry::builtin().with(Files::default()).with(Kafka::default()).with(UpsertKafka::default()).with(Postgres)
}
