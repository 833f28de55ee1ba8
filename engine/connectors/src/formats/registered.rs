//! Schemas as a registry has them.

/// What language a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// JSON of Avro's.
    Avro,
    /// A `.proto` file.
    Protobuf,
}

impl SchemaKind {
    /// What registries call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// The format whose messages are written by such schemas, which is what its options begin with.
    pub fn format(self) -> &'static str {
        match self {
            Self::Avro => "avro-confluent",
            Self::Protobuf => "protobuf-confluent",
        }
    }
}

/// A schema, and what it refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// Its text.
    pub text: String,
    /// The names and texts of other schemas, each behind those that it refers to itself: files that are imported by these names, or
    /// definitions of types.
    pub references: Vec<(String, String)>,
}
