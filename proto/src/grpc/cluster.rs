//! `weir.client.v1.Cluster`, served: each call becomes a [`ClientRequest`], each [`ClientError`] a status.

use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, async_trait};

use super::status::to_status;
use crate::client::{Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use crate::generated::client::v1 as wire;
use crate::generated::client::v1::cluster_server::{Cluster, ClusterServer};
use crate::limits::{self, mebibytes};
use crate::version::{self, FORWARDED_HEADER, OLDEST_PROTOCOL, PROTOCOL_HEADER};
use crate::wire::AnyRequest;

/// How a request came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// Who asks, as far as the connection tells: whoever lets calls in puts it among their extensions.
    pub caller: Caller,
    /// Which protocol the caller speaks; `None`: the first version, or a program that knows of none.
    pub protocol: Option<u32>,
    /// Another coordinator has passed it on.
    pub forwarded: bool,
    /// How long the caller waits; `None`: for ever.
    pub timeout: Option<Duration>,
}

/// Answers requests.
#[async_trait]
pub trait ClientHandler: Send + Sync + 'static {
    /// Called once per request that could be read. Dropped when the caller does not wait any more.
    async fn handle(&self, request: ClientRequest, call: Call) -> Result<ClientResponse, ClientError>;
}

/// The service; its limits are set.
pub fn cluster_service(handler: Arc<dyn ClientHandler>) -> ClusterServer<ClusterService> {
    ClusterServer::new(ClusterService(handler)).max_decoding_message_size(limits::SUBMITTED_JOB)
}

/// Calls turned into requests.
pub struct ClusterService(Arc<dyn ClientHandler>);

impl ClusterService {
    async fn answer(
        &self,
        request: AnyRequest,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<ClientResponse, Status> {
        let protocol = metadata.get(PROTOCOL_HEADER).map(|value| {
            let number = value.to_str().ok().and_then(|text| text.parse().ok());
            number.ok_or_else(|| Status::invalid_argument(format!("the metadata {PROTOCOL_HEADER} is not a number")))
        });
        let protocol: Option<u32> = protocol.transpose()?;
        version::check("client", protocol.unwrap_or(OLDEST_PROTOCOL)).map_err(Status::failed_precondition)?;
        let size = request.encoded_len();
        if size > limits::CLIENT_MESSAGE && !matches!(request, AnyRequest::SubmitJob(_)) {
            return Err(to_status(&too_large(size, limits::CLIENT_MESSAGE)));
        }
        let invalid = |error: weir_core::Error| ClientError::new(ClientErrorKind::Invalid, error.report());
        let request = request.try_into().map_err(|error| to_status(&invalid(error)))?;
        let call = Call {
            caller: extensions.get::<Caller>().cloned().unwrap_or_default(),
            protocol,
            forwarded: metadata.contains_key(FORWARDED_HEADER),
            timeout: timeout(metadata),
        };
        self.0.handle(request, call).await.map_err(|error| to_status(&error))
    }
}

/// A request that no coordinator would take.
pub(super) fn too_large(size: usize, limit: usize) -> ClientError {
    let message = format!("the request takes {}, and may take {}", mebibytes(size), mebibytes(limit));
    ClientError::new(ClientErrorKind::Invalid, message)
}

/// What the metadata `grpc-timeout` says: up to 8 digits and a unit.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

macro_rules! serve {
    ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
        #[async_trait]
        impl Cluster for ClusterService {
            $(
                async fn $rpc(&self, request: Request<wire::$message>) -> Result<Response<wire::$response>, Status> {
                    let (metadata, extensions, message) = request.into_parts();
                    let response = self.answer(AnyRequest::$variant(message), &metadata, &extensions).await?;
                    let response = wire::$response::try_from(response);
                    response.map(Response::new).map_err(|error| Status::internal(error.report()))
                }
            )*
        }
    };
}
each_rpc!(serve);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_specification_writes_them() {
        let read = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().ok()?);
            timeout(&metadata)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for nonsense in ["", "5", "m", "123456789S", "-1S", "5ä"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
