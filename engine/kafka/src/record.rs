//! What is asked of a record that is read.

use std::collections::BTreeMap;

use rdkafka::message::Timestamp;

/// The headers of a record by their names; of several with one name, the last.
pub(crate) type HeadersByName<'a> = BTreeMap<&'a str, Option<&'a [u8]>>;

/// A record of a topic.
pub(crate) trait Record {
    fn key(&self) -> Option<&[u8]>;
    fn payload(&self) -> Option<&[u8]>;
    fn offset(&self) -> i64;
    fn timestamp(&self) -> Timestamp;

    /// # Errors
    /// If a name is no text.
    fn headers(&self) -> Result<HeadersByName<'_>, String>;
}

impl Record for weir_kafka_queue::Record<'_> {
    fn key(&self) -> Option<&[u8]> {
        self.key()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload()
    }

    fn offset(&self) -> i64 {
        self.offset()
    }

    fn timestamp(&self) -> Timestamp {
        self.timestamp()
    }

    fn headers(&self) -> Result<HeadersByName<'_>, String> {
        let by_name = |(name, value)| Some((std::str::from_utf8(name).ok()?, value));
        let headers = self.headers().map(by_name).collect::<Option<_>>();
        headers.ok_or_else(|| "the name of a header is not valid UTF-8".to_owned())
    }
}

#[cfg(test)]
impl Record for rdkafka::message::OwnedMessage {
    fn key(&self) -> Option<&[u8]> {
        rdkafka::Message::key(self)
    }

    fn payload(&self) -> Option<&[u8]> {
        rdkafka::Message::payload(self)
    }

    fn offset(&self) -> i64 {
        rdkafka::Message::offset(self)
    }

    fn timestamp(&self) -> Timestamp {
        rdkafka::Message::timestamp(self)
    }

    fn headers(&self) -> Result<HeadersByName<'_>, String> {
        Ok(BTreeMap::new())
    }
}
