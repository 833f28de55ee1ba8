//! A [`ClientError`] as gRPC carries it: a code that generic tools understand, a message for people, and all of it in the details.

use prost::Message;
use tonic::{Code, Status};

use super::{about_tls, innermost, unreachable};
use crate::client::{ClientError, ClientErrorKind};
use crate::generated::client::v1 as wire;

/// Longest message of a status; the details have it in full.
const SHORT: usize = 512;
/// Longest message in the details: both travel in headers, which have a limit.
const LONG: usize = 16 << 10;

/// The status that says it.
pub fn to_status(error: &ClientError) -> Status {
    let code = match error.kind {
        ClientErrorKind::NotFound => Code::NotFound,
        ClientErrorKind::Conflict => Code::FailedPrecondition,
        ClientErrorKind::Quota => Code::ResourceExhausted,
        ClientErrorKind::Invalid => Code::InvalidArgument,
        ClientErrorKind::Unknown => Code::Unknown,
        ClientErrorKind::Unavailable => Code::Unavailable,
        ClientErrorKind::Internal => Code::Internal,
        ClientErrorKind::Unauthenticated => Code::Unauthenticated,
        ClientErrorKind::Denied => Code::PermissionDenied,
    };
    let details = wire::Error::from(&ClientError {
        kind: error.kind,
        message: cut(&error.message, LONG),
        help: error.help.as_deref().map(|help| cut(help, LONG / 4)),
    });
    Status::with_details(code, cut(&error.message, SHORT), details.encode_to_vec().into())
}

/// What a status says, whether a coordinator sent it or the connection broke. `address` is where it was asked.
pub fn from_status(status: &Status, address: &str) -> ClientError {
    let details = Some(status.details()).filter(|details| !details.is_empty());
    if let Some(error) = details.and_then(|details| wire::Error::decode(details).ok()?.try_into().ok()) {
        return error;
    }
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return unreachable(address, error);
        }
        source = error.source();
    }
    if let Some(error) = about_tls(address, status) {
        return error;
    }
    match status.code() {
        Code::Unimplemented => ClientError::new(
            ClientErrorKind::Invalid,
            format!("the coordinator at {address} does not know this request"),
        )
        .with_help("upgrade the coordinators, or use an older client"),
        Code::OutOfRange | Code::ResourceExhausted => {
            ClientError::new(ClientErrorKind::Invalid, format!("too much for {address}: {}", status.message()))
        }
        Code::DeadlineExceeded | Code::Cancelled => {
            ClientError::new(ClientErrorKind::Unknown, format!("{address} did not answer in time"))
        }
        Code::FailedPrecondition => ClientError::new(ClientErrorKind::Conflict, status.message()),
        Code::Unauthenticated => ClientError::new(ClientErrorKind::Unauthenticated, status.message()),
        Code::PermissionDenied => ClientError::new(ClientErrorKind::Denied, status.message()),
        Code::InvalidArgument => ClientError::new(ClientErrorKind::Invalid, status.message()),
        _ => {
            let why = std::error::Error::source(status).map_or_else(|| status.message().to_owned(), innermost);
            ClientError::new(
                ClientErrorKind::Unknown,
                format!("the connection to {address} broke before the answer was there: {why}"),
            )
            .with_help("is it the address of a coordinator?")
        }
    }
}

/// At most `limit` bytes of the text.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_error_is_lost() {
        use ClientErrorKind as K;
        let all = [
            K::NotFound,
            K::Conflict,
            K::Quota,
            K::Invalid,
            K::Unknown,
            K::Unavailable,
            K::Internal,
            K::Unauthenticated,
            K::Denied,
        ];
        for kind in all {
            for help in [None, Some("näher\nhinsehen".to_owned())] {
                let error = ClientError { kind, message: "no job 'größte' in 'default'\n  because: x".into(), help };
                assert_eq!(from_status(&to_status(&error), "here:1"), error);
            }
        }
    }

    #[test]
    fn what_is_too_long_for_a_header_is_cut_between_characters() {
        let error = ClientError::new(ClientErrorKind::Internal, "ä".repeat(LONG));
        let status = to_status(&error);
        assert!(status.message().len() <= SHORT + "…".len() && status.message().ends_with("ä…"));
        assert!(status.details().len() < LONG + 100);
    }

    #[test]
    fn a_status_of_others_is_sorted_by_what_can_be_done() {
        let kind = |code| from_status(&Status::new(code, "m"), "here:1").kind;
        assert_eq!(kind(Code::Unimplemented), ClientErrorKind::Invalid);
        assert_eq!(kind(Code::OutOfRange), ClientErrorKind::Invalid);
        assert_eq!(kind(Code::DeadlineExceeded), ClientErrorKind::Unknown);
        // The connection may have broken after the request was read: only what could not connect is surely undone.
        assert_eq!(kind(Code::Unavailable), ClientErrorKind::Unknown);
        let garbage = Status::with_details(Code::NotFound, "m", vec![0xff; 9].into());
        assert_eq!(from_status(&garbage, "here:1").kind, ClientErrorKind::Unknown);
    }
}
