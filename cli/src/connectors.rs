//! The connectors that the binary brings.

use weir_connectors::Registry;
<<<<<<< HEAD
use weir_kafka::{Kafka, UpsertKafka};

/// Those that have to reach nothing but files, and those with clients of their own.
pub fn builtin() -> Registry {
    Registry::builtin().with(Kafka::default()).with(UpsertKafka::default())
=======
use weir_kafka::Kafka;
use weir_object_files::Files;

/// Those that have to reach nothing but files, and those with clients of their own.
pub fn builtin() -> Registry {
    Registry::builtin().with(Files::default()).with(Kafka::default())
>>>>>>> 44ff2da (Files in a bucket: sinks stage the bytes of whole files with the checkpoint, and its commit uploads them)
}
