//! Between the plain types and the bytes on the wire. One file per family of messages; each direction is total, so that bytes from
//! outside become a plain value or an error that names the field.

mod audit;
mod client_info;
mod client_request;
mod client_response;
mod from_worker;
mod job;
mod scaling;
mod to_worker;

pub(crate) use client_request::AnyRequest;
use prost::Message;
use weir_core::{Attempt, Error, JobId, Result};

#[cfg(test)]
pub(crate) mod tests;

use crate::control::{FromWorker, ToWorker};
use crate::generated::worker::v1 as worker;

/// The field that has to be there.
pub(crate) fn required<T>(field: Option<T>, name: &str) -> Result<T> {
    field.ok_or_else(|| Error::data(format!("the message lacks {name}")))
}

/// Text that says nothing if it is empty.
pub(crate) fn named(text: String, name: &str) -> Result<String> {
    if text.is_empty() { Err(Error::data(format!("the message lacks {name}"))) } else { Ok(text) }
}

/// Jobs count from 1.
pub(crate) fn job_id(number: u64, name: &str) -> Result<JobId> {
    if number == 0 { Err(Error::data(format!("the message lacks {name}"))) } else { Ok(JobId(number)) }
}

/// Attempts that workers hear of count from 1.
pub(crate) fn attempt(number: u64, name: &str) -> Result<Attempt> {
    if number == 0 { Err(Error::data(format!("the message lacks {name}"))) } else { Ok(Attempt(number)) }
}

/// A number that no name of this version belongs to.
pub(crate) fn unknown(number: i32, name: &str) -> Error {
    Error::data(format!("{name} is {number}, which this version does not know"))
}

/// What `convert` makes of each.
pub(crate) fn all<P, T>(items: Vec<P>, convert: impl Fn(P) -> Result<T>) -> Result<Vec<T>> {
    items.into_iter().map(convert).collect()
}

/// The bytes of a worker's message, as they travel.
pub fn encode_from_worker(message: &FromWorker) -> Vec<u8> {
    worker::FromWorker::from(message).encode_to_vec()
}

/// A worker's message from bytes.
///
/// # Errors
/// If they are not one.
pub fn decode_from_worker(bytes: &[u8]) -> Result<FromWorker> {
    worker::FromWorker::decode(bytes).map_err(|error| unreadable("FromWorker", error))?.try_into()
}

/// The bytes of a message to a worker, as they travel.
pub fn encode_to_worker(message: &ToWorker) -> Vec<u8> {
    worker::ToWorker::from(message).encode_to_vec()
}

/// A message to a worker from bytes.
///
/// # Errors
/// If they are not one.
pub fn decode_to_worker(bytes: &[u8]) -> Result<ToWorker> {
    worker::ToWorker::decode(bytes).map_err(|error| unreadable("ToWorker", error))?.try_into()
}

fn unreadable(message: &str, error: prost::DecodeError) -> Error {
    Error::data(format!("these bytes are no {message}")).with_source(error)
}
