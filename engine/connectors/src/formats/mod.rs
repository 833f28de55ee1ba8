//! Formats: between rows and bytes.

pub mod avro;
pub(crate) mod decode;
pub mod encode;
pub(crate) mod protobuf;
pub mod registered;

pub use decode::options::{BadRecordPolicy, policy};
pub use decode::{RAW_LIMIT, message, sql_name};
pub use protobuf::DESCRIPTOR as PROTOBUF_DESCRIPTOR;
