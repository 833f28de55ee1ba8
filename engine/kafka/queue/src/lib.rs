//! The queue of a partition's records, out of which they are taken many at a time.
//!
//! The safe interface of the client takes each record alone, as an event of its own: that costs three readings of the clock, two locks and two
//! allocations for each, which is a third of what it takes to read a record. `rd_kafka_consume_batch_queue` takes a slice of them. This is all
//! of Weir's code that calls librdkafka itself.
//!
//! Records that were taken out stay where they are when a client seeks, and librdkafka counts an end of a partition as read: who seeks, resumes, or
//! asks for the position, has to leave them behind first. Weir does none of these.

use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_header_get_all, rd_kafka_message_destroy, rd_kafka_message_headers,
    rd_kafka_message_timestamp, rd_kafka_queue_cb_event_enable, rd_kafka_queue_destroy, rd_kafka_queue_forward,
    rd_kafka_queue_get_partition, rd_kafka_resp_err_t, rd_kafka_timestamp_type_t,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Timestamp;
use rdkafka::types::{RDKafka, RDKafkaHeaders, RDKafkaMessage, RDKafkaQueue};

/// Most records that are taken out of librdkafka's queue at once.
const BATCH: usize = 512;

/// So many bytes of values are taken out at once, if they are as long as those before: they do not count for what librdkafka may fetch ahead.
const BYTES: usize = 1 << 20;

/// What librdkafka calls when a queue has something in it again.
type Nonempty = Box<dyn Fn() + Send + Sync>;

/// The queue of one partition of a consumer.
pub struct Queue<C: ConsumerContext + 'static> {
    queue: NonNull<RDKafkaQueue>,
    /// What was taken out, the next one last.
    taken: Vec<NonNull<RDKafkaMessage>>,
    /// How many are taken next.
    batch: usize,
    /// librdkafka has the address of what is in the outer box.
    _nonempty: Box<Nonempty>,
    /// There is no queue without its client.
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues and messages belong to no thread; all that is done with them here is done by who has the queue to himself.
unsafe impl<C: ConsumerContext> Send for Queue<C> {}

impl<C: ConsumerContext> Queue<C> {
    /// Has the records of a partition, which has not been assigned yet, come into a queue of their own. `nonempty` is called by threads of
    /// librdkafka, while they hold the queue. `None` if there is no such queue.
    pub fn split(
        consumer: Arc<BaseConsumer<C>>,
        topic: &str,
        partition: i32,
        nonempty: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        unsafe extern "C" fn call(_: *mut RDKafka, opaque: *mut c_void) {
            // SAFETY: it is what `split` has given, and stands until the call has been taken back in `drop`.
            let nonempty = unsafe { &*opaque.cast::<Nonempty>() };
            nonempty();
        }

        let topic = CString::new(topic).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client stands while there is a consumer, and the topic's name is a text that ends.
        let queue = NonNull::new(unsafe { rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) })?;
        let nonempty: Box<Nonempty> = Box::new(Box::new(nonempty));
        let opaque = ptr::from_ref::<Nonempty>(&nonempty).cast_mut().cast();
        // SAFETY: the queue is ours until `drop`. It is forwarded to none, so that records stay in it.
        unsafe {
            rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(call), opaque);
        }
        Some(Self { queue, taken: Vec::new(), batch: 1, _nonempty: nonempty, consumer })
    }

    /// The record that is the next one, or what came in place of it; `None` if there is none at the moment. It stays the next one
    /// until it is [left behind](Self::advance).
    pub fn peek(&mut self) -> Option<Result<Record<'_>, KafkaError>> {
        if self.taken.is_empty() {
            self.take();
        }
        let message = *self.taken.last()?;
        let record = Record { message, of: PhantomData };
        let error = record.message().err;
        Some(match error {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(record),
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                Err(KafkaError::PartitionEOF(record.message().partition))
            }
            error => {
                let error = KafkaError::MessageConsumption(error.into());
                // Where a value would be there is what happened.
                let reason = String::from_utf8_lossy(record.payload().unwrap_or_default());
                self.consumer.context().error(error.clone(), &reason);
                Err(error)
            }
        })
    }

    /// Leaves the next record behind.
    pub fn advance(&mut self) {
        if let Some(message) = self.taken.pop() {
            // SAFETY: it was given to us and to nobody else, and what was lent of it has ended, as it was lent by `self`.
            unsafe { rd_kafka_message_destroy(message.as_ptr()) }
        }
    }

    /// Takes what there is out of librdkafka's queue, without waiting.
    fn take(&mut self) {
        let mut messages = [ptr::null_mut(); BATCH];
        let batch = self.batch.min(BATCH);
        // SAFETY: there is room for as many as are asked for.
        let taken = unsafe { rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, messages.as_mut_ptr(), batch) };
        // Less than none is an error that the call may have by its type, and never has.
        let taken = messages.get(..usize::try_from(taken).unwrap_or_default()).unwrap_or_default();
        self.taken.extend(taken.iter().rev().filter_map(|message| NonNull::new(*message)));
        let length = |message: &NonNull<RDKafkaMessage>| Record { message: *message, of: PhantomData }.message().len;
        let bytes: usize = self.taken.iter().map(length).sum();
        if let Some(batch) = (BYTES * self.taken.len()).checked_div(bytes) {
            self.batch = batch.clamp(1, BATCH);
        }
    }
}

impl<C: ConsumerContext> Drop for Queue<C> {
    fn drop(&mut self) {
        while !self.taken.is_empty() {
            self.advance();
        }
        // SAFETY: the queue is ours, and not used any more. The call is taken back under the lock under which it is made.
        unsafe {
            rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// A record that is still in the memory of librdkafka.
pub struct Record<'a> {
    message: NonNull<RDKafkaMessage>,
    of: PhantomData<&'a RDKafkaMessage>,
}

impl<'a> Record<'a> {
    fn message(&self) -> &'a RDKafkaMessage {
        // SAFETY: it stands until the queue, which has lent it, leaves it behind, and nobody writes to it.
        unsafe { self.message.as_ref() }
    }

    /// Its key, if it has one.
    pub fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: so many bytes are there, as long as the message is.
        unsafe { bytes(message.key, message.key_len) }
    }

    /// Its value, if it has one.
    pub fn payload(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: so many bytes are there, as long as the message is.
        unsafe { bytes(message.payload, message.len) }
    }

    /// Its number in the partition.
    pub fn offset(&self) -> i64 {
        self.message().offset
    }

    /// When it was written.
    pub fn timestamp(&self) -> Timestamp {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both stand for the time of the call.
        let time = unsafe { rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        match kind {
            _ if time == -1 => Timestamp::NotAvailable,
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => Timestamp::NotAvailable,
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => Timestamp::CreateTime(time),
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Timestamp::LogAppendTime(time),
        }
    }

    /// Its headers in their order, each with its name and its value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut headers: *mut RDKafkaHeaders = ptr::null_mut();
        // SAFETY: both stand for the time of the call. What comes of it belongs to the message, and stays null if there are none.
        unsafe { rd_kafka_message_headers(self.message.as_ptr(), &raw mut headers) };
        let headers = NonNull::new(headers);
        let header = move |index| {
            let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0);
            // SAFETY: the headers stand as long as the message does. Nothing is written if there is none of this number.
            let answer = unsafe {
                rd_kafka_header_get_all(headers?.as_ptr(), index, &raw mut name, &raw mut value, &raw mut size)
            };
            if answer != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return None;
            }
            // SAFETY: the name is a text that ends, and of the value so many bytes are there, as long as the message is.
            Some(unsafe { (CStr::from_ptr(name).to_bytes(), bytes(value, size)) })
        };
        (0..).map_while(header)
    }
}

/// Bytes of librdkafka's.
///
/// # Safety
/// If `begin` is not null, so many bytes have to be there for as long as `'a`.
unsafe fn bytes<'a>(begin: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller says.
    (!begin.is_null()).then(|| unsafe { slice::from_raw_parts(begin.cast(), length) })
}
