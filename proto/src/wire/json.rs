//! Deep structures that have a format of their own travel as its JSON.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_core::{Error, Result};

/// The JSON of a value.
pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("these types have neither maps with odd keys nor writers that fail").into()
}

/// The value; `name` is the field's.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T> {
    if bytes.is_empty() {
        return Err(Error::data(format!("the message lacks {name}")));
    }
    serde_json::from_slice(bytes).map_err(|error| Error::data(format!("{name} cannot be read")).with_source(error))
}
