//! Options of the format. Their names are Flink's, but for those that say where the schema is: there it is in Java's classes.

use std::path::Path;

use protox::prost_reflect::MessageDescriptor;
use weir_core::{Error, Result};

use super::ProtobufSchema;
use crate::options::Options;

const MESSAGE: &str = "protobuf.message-class-name";
const SCHEMA: &str = "protobuf.schema";
/// The option that names a file.
pub const DESCRIPTOR: &str = "protobuf.descriptor";
const LENIENT: &str = "protobuf.ignore-parse-errors";
const DEFAULTS: &str = "protobuf.read-default-values";

/// Where the schema of messages is, and how they are read.
#[derive(Debug, Clone)]
pub(crate) struct ProtobufOptions {
    place: Place,
    /// `None`: the only message that there is.
    message: Option<String>,
    /// Whether fields that are not there, and whose message would say if they were, have their default values.
    pub(crate) reads_defaults: bool,
    /// For messages: which table it is.
    of: String,
}

#[derive(Debug, Clone)]
enum Place {
    Text(String),
    File(String),
}

impl ProtobufOptions {
    /// # Errors
    /// A user error that names the wrong option.
    pub(crate) fn read(options: &Options<'_>) -> Result<Self> {
        let place = match (options.text(SCHEMA), options.text(DESCRIPTOR)) {
            (Some(text), None) => Place::Text(text.to_owned()),
            (None, Some(path)) => Place::File(path.to_owned()),
            (Some(_), Some(_)) => {
                return Err(
                    options.error(DESCRIPTOR, format!("given beside '{}', which says the same", options.name(SCHEMA)))
                );
            }
            (None, None) => {
                let error = options.required(DESCRIPTOR).err().unwrap_or_else(|| options.error(DESCRIPTOR, "missing"));
                return Err(error.with_help(format!(
                    "add '{}' = '…', a set of descriptors or a .proto file, or '{}' = '…', the text of one",
                    options.name(DESCRIPTOR),
                    options.name(SCHEMA)
                )));
            }
        };
        // What it says is told by the policy of the table.
        options.boolean(LENIENT)?;
        let read = Self {
            place,
            message: options.text(MESSAGE).map(str::to_owned),
            reads_defaults: options.boolean(DEFAULTS)?.unwrap_or(false),
            of: options.name("protobuf"),
        };
        read.known()?;
        Ok(read)
    }

    /// The message, if that can be said without looking into a file.
    ///
    /// # Errors
    /// A user error if there is none.
    pub(crate) fn known(&self) -> Result<Option<MessageDescriptor>> {
        match &self.place {
            Place::Text(_) => self.message().map(Some),
            Place::File(_) => Ok(None),
        }
    }

    /// The message. Reads the file, if it is in one.
    ///
    /// # Errors
    /// A user error if there is none.
    pub(crate) fn message(&self) -> Result<MessageDescriptor> {
        let (option, schema) = match &self.place {
            Place::Text(text) => (SCHEMA, ProtobufSchema::of_text(text, &[])),
            Place::File(path) => (DESCRIPTOR, ProtobufSchema::of_file(Path::new(path))),
        };
        let wrong = |what: String| Error::user(format!("option '{}': {what}", self.of.replace("protobuf", option)));
        let message = schema.map_err(wrong)?.message(self.message.as_deref());
        message.map_err(|what| {
            let wrong = wrong(what);
            if self.message.is_some() {
                wrong
            } else {
                wrong.with_help(format!("add '{}' = '…'", self.of.replace("protobuf", MESSAGE)))
            }
        })
    }
}
