//! What is said in one process is what is heard in the other; also if the other is older or newer, or someone else.
#![allow(clippy::unwrap_used)]

mod golden;
mod hostile;
mod roundtrip;
pub(crate) mod samples;

use prost::Message;
use weir_core::Result;

use super::AnyRequest;
use crate::client::{ClientError, ClientRequest, ClientResponse};
use crate::generated::client::v1 as wire;

/// Bytes of a request.
fn encode_request(request: &ClientRequest) -> Vec<u8> {
    macro_rules! encode {
        ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
            match AnyRequest::from(request) { $(AnyRequest::$variant(message) => message.encode_to_vec(),)* }
        };
    }
    each_rpc!(encode)
}

/// The request of the method `rpc`.
fn decode_request(rpc: &str, bytes: &[u8]) -> Result<ClientRequest> {
    macro_rules! decode {
        ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
            match rpc {
                $(stringify!($rpc) => AnyRequest::$variant(read::<wire::$message>(bytes)?).try_into(),)*
                _ => panic!("no method {rpc}"),
            }
        };
    }
    each_rpc!(decode)
}

/// Bytes of the answer of the method `rpc`.
fn encode_response(rpc: &str, response: ClientResponse) -> Vec<u8> {
    macro_rules! encode {
        ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
            match rpc {
                $(stringify!($rpc) => wire::$response::try_from(response).unwrap().encode_to_vec(),)*
                _ => panic!("no method {rpc}"),
            }
        };
    }
    each_rpc!(encode)
}

/// The answer of the method `rpc`.
fn decode_response(rpc: &str, bytes: &[u8]) -> Result<ClientResponse> {
    macro_rules! decode {
        ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
            match rpc {
                $(stringify!($rpc) => read::<wire::$response>(bytes)?.try_into(),)*
                _ => panic!("no method {rpc}"),
            }
        };
    }
    each_rpc!(decode)
}

fn encode_error(error: &ClientError) -> Vec<u8> {
    wire::Error::from(error).encode_to_vec()
}

fn decode_error(bytes: &[u8]) -> Result<ClientError> {
    read::<wire::Error>(bytes)?.try_into()
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|error| super::unreadable("message", error))
}

/// The methods that there are.
fn methods() -> Vec<&'static str> {
    macro_rules! names {
        ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => { vec![$(stringify!($rpc),)*] };
    }
    each_rpc!(names)
}
