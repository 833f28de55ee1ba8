//! Bytes from someone who does not mean well, or is newer than this version.

use proptest::prelude::*;
use prost::Message;

use super::{decode_error, decode_request, decode_response, encode_request, methods, samples};
use crate::generated::client::v1 as client;
use crate::generated::worker::v1 as worker;
use crate::{decode_from_worker, decode_to_worker, encode_from_worker, encode_to_worker};

/// A field that no message has: number 2000, with text.
fn unknown_field() -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::string::encode(2000, &"from the future".to_owned(), &mut bytes);
    bytes
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    for (name, rpc, request) in samples::requests() {
        let bytes = [encode_request(&request), unknown_field()].concat();
        assert_eq!(format!("{:?}", decode_request(rpc, &bytes).unwrap()), format!("{request:?}"), "{name}");
    }
    for (name, message) in samples::from_worker() {
        let bytes = [encode_from_worker(&message), unknown_field()].concat();
        assert_eq!(format!("{:?}", decode_from_worker(&bytes).unwrap()), format!("{message:?}"), "{name}");
    }
    for (name, message) in samples::to_worker() {
        let bytes = [encode_to_worker(&message), unknown_field()].concat();
        assert_eq!(format!("{:?}", decode_to_worker(&bytes).unwrap()), format!("{message:?}"), "{name}");
    }
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let says = |error: weir_core::Error, expected: &str| {
        let report = error.report();
        assert!(report.contains(expected), "{report}");
    };
    says(decode_request("stop_job", &[]).unwrap_err(), "lacks StopJobRequest.job");
    says(decode_request("submit_job", &[]).unwrap_err(), "lacks SubmitJobRequest.namespace");
    says(decode_response("describe_job", &[]).unwrap_err(), "lacks DescribeJobResponse.job");
    says(decode_from_worker(&[]).unwrap_err(), "lacks FromWorker.message");
    says(decode_to_worker(&[]).unwrap_err(), "lacks ToWorker.message");
    says(decode_error(&[]).unwrap_err(), "Error.kind is 0");
    let unknown = client::Error { kind: 99, ..client::Error::default() };
    says(decode_error(&unknown.encode_to_vec()).unwrap_err(), "Error.kind is 99, which this version does not know");

    let token = |sha256: &str, group: Option<&str>| {
        let (name, sha256, group) = ("ci".to_owned(), sha256.to_owned(), group.map(str::to_owned));
        let create = client::CreateTokenRequest { name, sha256, group, ..client::CreateTokenRequest::default() };
        decode_request("create_token", &create.encode_to_vec())
    };
    says(token("0f", Some("platform")).unwrap_err(), "has both CreateTokenRequest.sha256 and CreateTokenRequest.group");
    says(token("0f", Some("")).unwrap_err(), "has both CreateTokenRequest.sha256 and CreateTokenRequest.group");
    says(token("", Some("")).unwrap_err(), "lacks CreateTokenRequest.group");
    says(token("", None).unwrap_err(), "lacks CreateTokenRequest.sha256");

    let marker = worker::Marker { job: 1, attempt: 1, epoch: 1, kind: 77 };
    let message = worker::ToWorker { message: Some(worker::to_worker::Message::Marker(marker)) };
    says(decode_to_worker(&message.encode_to_vec()).unwrap_err(), "Marker.kind is 77");
    let status = worker::AttemptStatus { job: 1, attempt: 1, phase: 5, ..worker::AttemptStatus::default() };
    let message = worker::FromWorker { message: Some(worker::from_worker::Message::Status(status)) };
    says(decode_from_worker(&message.encode_to_vec()).unwrap_err(), "lacks AttemptStatus.failure");
    let report =
        worker::Report { job: 1, attempt: 1, epoch: 1, outcome: Some(worker::report::Outcome::Content("{}".into())) };
    let message = worker::FromWorker { message: Some(worker::from_worker::Message::Report(report)) };
    says(decode_from_worker(&message.encode_to_vec()).unwrap_err(), "Report.content cannot be read");
    let placement = crate::generated::job::v1::Placement { workers: vec![], slots: vec![0] };
    let refused = weir_core::Placement::try_from(placement).unwrap_err();
    says(refused, "slot 0 is on a worker that is not listed");
}

proptest! {
    #[test]
    fn garbage_is_an_error_or_a_message_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode_from_worker(&bytes), decode_to_worker(&bytes), decode_error(&bytes));
        for rpc in methods() {
            let _ = (decode_request(rpc, &bytes), decode_response(rpc, &bytes));
        }
    }

    #[test]
    fn a_damaged_message_is_an_error_or_a_message_and_never_a_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut messages: Vec<Vec<u8>> = samples::from_worker().iter().map(|(_, m)| encode_from_worker(m)).collect();
        messages.extend(samples::to_worker().iter().map(|(_, m)| encode_to_worker(m)));
        messages.extend(samples::requests().iter().map(|(_, _, r)| encode_request(r)));
        let bytes = which.get(&messages);
        let mut bytes = bytes.clone();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
        }
        let _ = (decode_from_worker(&bytes), decode_to_worker(&bytes));
        for rpc in methods() {
            let _ = decode_request(rpc, &bytes);
        }
    }
}
