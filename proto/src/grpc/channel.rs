//! The calling side of `weir.client.v1.Cluster`: one request to one coordinator, once.

use std::time::Duration;

use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

use super::cluster::{Call, too_large};
use super::status::from_status;
use super::{Credentials, TokenSource, connect, endpoint, unreachable};
use crate::client::{ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use crate::generated::client::v1::cluster_client::ClusterClient;
use crate::limits;
use crate::version::{CALLER_HEADER, FORWARDED_HEADER, PROTOCOL, PROTOCOL_HEADER};
use crate::wire::AnyRequest;

/// How often a connection with requests under way is asked whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A connection to a coordinator; clones share it. Once it was there, it comes back by itself when it breaks.
#[derive(Debug, Clone)]
pub struct ClusterChannel {
    address: String,
    client: ClusterClient<Channel>,
    token: Option<TokenSource>,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptions {
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// Whether it is passed on for a client: it is not passed on again.
    pub forwarded: bool,
}

impl ClusterChannel {
    /// Connects to the coordinator at `host:port`.
    ///
    /// # Errors
    /// If nobody answers there: nothing has been asked yet.
    pub async fn connect(address: &str, timeout: Duration, credentials: &Credentials) -> Result<Self, ClientError> {
        credentials.check(address)?;
        let endpoint = endpoint(address, timeout)?.http2_keep_alive_interval(KEEP_ALIVE);
        let channel =
            connect(&endpoint, credentials.tls.as_ref()).await.map_err(|error| unreachable(address, &error))?;
        // An answer may hold a job's text, which was submitted under the larger limit.
        let client =
            ClusterClient::new(channel).max_decoding_message_size(limits::SUBMITTED_JOB + limits::CLIENT_MESSAGE);
        Ok(Self { address: address.to_owned(), client, token: credentials.token.clone() })
    }

    /// Where it leads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// What the coordinator says; or [`ClientErrorKind::Unknown`] if the answer did not come, and whether the request was carried
    /// out is not known; or [`ClientErrorKind::Unavailable`] if it could not be sent.
    pub async fn call(&self, request: &ClientRequest, options: CallOptions) -> Result<ClientResponse, ClientError> {
        self.ask(request, options, None).await
    }

    /// Passes on what somebody has asked another coordinator, which is this one. The protocol is theirs: a leader of an earlier version understands
    /// them, and need not understand all that this coordinator could say.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn pass_on(
        &self,
        request: &ClientRequest,
        timeout: Duration,
        call: &Call,
    ) -> Result<ClientResponse, ClientError> {
        self.ask(request, CallOptions { timeout, forwarded: true }, Some(call)).await
    }

    async fn ask(
        &self,
        request: &ClientRequest,
        options: CallOptions,
        passed_on: Option<&Call>,
    ) -> Result<ClientResponse, ClientError> {
        let message = AnyRequest::from(request);
        let limit = match message {
            AnyRequest::SubmitJob(_) => limits::SUBMITTED_JOB,
            _ => limits::CLIENT_MESSAGE,
        };
        let size = message.encoded_len();
        if size > limit {
            return Err(too_large(size, limit));
        }
        let answer = tokio::time::timeout(options.timeout, Box::pin(self.send(message, options, passed_on)));
        answer.await.unwrap_or_else(|_| {
            Err(ClientError::new(ClientErrorKind::Unknown, format!("{} did not answer in time", self.address)))
        })
    }
}

macro_rules! send {
    ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
        impl ClusterChannel {
            async fn send(
                &self,
                message: AnyRequest,
                options: CallOptions,
                passed_on: Option<&Call>,
            ) -> Result<ClientResponse, ClientError> {
                // The channel is shared; a client is a handle to it that wants to be borrowed mutably.
                let mut client = self.client.clone();
                let answer = match message {
                    $(AnyRequest::$variant(message) => client
                        .$rpc(self.request(message, options, passed_on)?)
                        .await
                        .map(|response| ClientResponse::try_from(response.into_inner())),)*
                };
                let answer = answer.map_err(|status| from_status(&status, &self.address))?;
                // What was asked has been done; only what came of it cannot be read.
                answer.map_err(|error| ClientError::new(ClientErrorKind::Unknown, error.report()))
            }
        }
    };
}
each_rpc!(send);

impl ClusterChannel {
    fn request<T>(
        &self,
        message: T,
        options: CallOptions,
        passed_on: Option<&Call>,
    ) -> Result<Request<T>, ClientError> {
        let mut request = Request::new(message);
        request.set_timeout(options.timeout);
        let metadata = request.metadata_mut();
        if let Some(protocol) = passed_on.map_or(Some(PROTOCOL), |call| call.protocol) {
            metadata.insert(PROTOCOL_HEADER, MetadataValue::from(protocol));
        }
        if options.forwarded {
            metadata.insert(FORWARDED_HEADER, MetadataValue::from(1_u32));
        }
        if let Some(call) = passed_on {
            // Without it, the request would be the coordinator's own.
            let named = serde_json::to_string(&call.caller).ok().filter(|text| text.is_ascii());
            let named = named.and_then(|text| text.parse().ok());
            let named = named.ok_or_else(|| {
                ClientError::new(ClientErrorKind::Internal, "it cannot be passed on who asks: no header takes its name")
            })?;
            metadata.insert(CALLER_HEADER, named);
        }
        let bearer = self.token.as_ref().and_then(|token| format!("Bearer {}", token.token().reveal()).parse().ok());
        if let Some(mut bearer) = bearer {
            MetadataValue::set_sensitive(&mut bearer, true);
            metadata.insert("authorization", bearer);
        }
        Ok(request)
    }
}
