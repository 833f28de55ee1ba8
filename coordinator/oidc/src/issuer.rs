//! The issuer: what it publishes is fetched, and kept while it is away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use weir_core::{Error, Result};
use weir_proto::client::{Authenticator, ClientError, ClientErrorKind, Subject, Token};

use crate::claims::{Expected, refused};
use crate::jws::Jws;
use crate::keys::Keys;
use crate::known::Known;

/// How long an answer may take. Somebody may wait for two.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes that are read of one.
const MOST_READ: usize = 1 << 20;
/// Time between two looks at the keys while the issuer answers: a key that it withdraws is good for nothing after that.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// After the first look that failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a coordinator is told of an issuer.
pub struct IssuerConfig {
    /// Where it is, and how it calls itself: `https://…`.
    pub url: String,
    /// What tokens have to claim.
    pub expected: Expected,
    /// Certificates of the CAs that its own may come from; those of the system if there are none.
    pub roots: Vec<Certificate>,
    /// Milliseconds since 1970.
    pub wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// An issuer whose tokens are taken.
pub struct Issuer {
    discovery: Url,
    expected: Expected,
    client: Client,
    wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    known: Mutex<Known>,
    /// Held while keys are fetched: calls that need the same keys wait for them.
    fetching: tokio::sync::Mutex<()>,
}

/// What is read of the discovery document (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// An issuer; nothing is asked yet.
    ///
    /// # Errors
    /// If the address is none, or TLS cannot be set up.
    pub fn new(config: IssuerConfig) -> Result<Self> {
        let is_bare = |url: &Url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let discovery = secure(&config.url)
            .filter(is_bare)
            .and_then(|_| secure(&format!("{}/.well-known/openid-configuration", config.url.trim_end_matches('/'))))
            .ok_or_else(|| {
                Error::user(format!("'{}' is no issuer: write https://host/path, without a query", config.url))
            })?;
        // Whoever else has chosen one has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // What was told to be asked is asked, and nobody else.
        let builder = Client::builder().timeout(ANSWER).redirect(Policy::none()).https_only(true);
        let builder = if config.roots.is_empty() { builder } else { builder.tls_built_in_root_certs(false) };
        let builder = config.roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        let client =
            builder.build().map_err(|error| Error::internal("an HTTP client cannot be made").with_source(error))?;
        Ok(Self {
            discovery,
            expected: config.expected,
            client,
            wall_clock: config.wall_clock,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Looks at the keys again and again. Ends when it is dropped.
    pub async fn run(&self) {
        let (mut pause, mut answers) = (FIRST_PAUSE, None);
        loop {
            let next = match self.refresh().await {
                Ok(keys) => {
                    if answers.replace(true) != Some(true) {
                        tracing::info!(
                            issuer = self.expected.issuer,
                            keys,
                            "the keys of the OpenID Connect issuer are known"
                        );
                    }
                    pause = FIRST_PAUSE;
                    REFRESH
                }
                Err(error) => {
                    if answers.replace(false) != Some(false) {
                        let error = error.report();
                        tracing::warn!(
                            issuer = self.expected.issuer,
                            error,
                            "the OpenID Connect issuer cannot be asked; the keys that are known stay in use for a day"
                        );
                    }
                    let this = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    this
                }
            };
            sleep_until(Instant::now() + next).await;
        }
    }

    /// Fetches the keys; how many there are.
    async fn refresh(&self) -> Result<usize> {
        let _alone = self.fetching.lock().await;
        self.fetch_and_store().await
    }

    async fn fetch_and_store(&self) -> Result<usize> {
        self.known().record_attempt(Instant::now());
        let keys = self.fetch().await?;
        let count = keys.count();
        self.known().store(keys, Instant::now());
        Ok(count)
    }

    async fn fetch(&self) -> Result<Keys> {
        let odd = |why: String| Error::environment(format!("what the issuer answers is of no use: {why}"));
        let document: Discovery = serde_json::from_slice(&self.get(self.discovery.clone()).await?)
            .map_err(|error| odd(format!("it is no discovery document: {error}")))?;
        if document.issuer != self.expected.issuer {
            return Err(odd(format!("it calls itself '{}'", document.issuer.escape_debug()))
                .with_help("give --oidc-issuer-url letter by letter as the issuer calls itself"));
        }
        let keys = secure(&document.jwks_uri).ok_or_else(|| odd("its keys are at no https address".into()))?;
        Keys::read(&self.get(keys).await?).map_err(odd)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>> {
        let failed = |error: reqwest::Error| Error::environment(format!("{url} does not answer")).with_source(error);
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(Error::environment(format!("{url} answers {}", response.status())));
        }
        let mut read = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if read.len() + chunk.len() > MOST_READ {
                return Err(Error::environment(format!("{url} answers with more than {MOST_READ} bytes")));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read)
    }

    /// Keys among which one is that may have signed this, if there is one.
    async fn keys_of(&self, jws: &Jws<'_>) -> Result<Arc<Keys>, ClientError> {
        let found = |now| self.known().keys(now).filter(|keys| keys.contains_candidate(jws));
        if let Some(keys) = found(Instant::now()) {
            return Ok(keys);
        }
        let _alone = self.fetching.lock().await;
        // Another one may have asked meanwhile.
        let (now, may_refetch) = (Instant::now(), self.known().may_refetch(Instant::now()));
        if let Some(keys) = found(now) {
            return Ok(keys);
        }
        if may_refetch && let Err(error) = self.fetch_and_store().await {
            tracing::debug!(error = error.report(), "a key is not known, and the issuer cannot be asked");
        }
        let now = Instant::now();
        match found(now) {
            Some(keys) => Ok(keys),
            None if self.known().keys(now).is_none() => Err(ClientError::new(
                ClientErrorKind::Unavailable,
                "the keys of the OpenID Connect issuer are not known: it could not be reached",
            )
            .with_help("an administrator sees why in the coordinators' logs")),
            None => Err(refused("the token is signed by a key that its issuer does not publish")
                .with_help("get a new token of the issuer: it may have changed its keys")),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Authenticator for Issuer {
    async fn authenticate(&self, token: &Token) -> Result<Subject, ClientError> {
        let jws = Jws::read(token.reveal())?;
        self.expected.is_issuer(&jws.claims)?;
        let keys = self.keys_of(&jws).await?;
        if !keys.verify(&jws) {
            return Err(refused("the token's signature is wrong"));
        }
        self.expected.subject(&jws.claims, (self.wall_clock)().div_euclid(1000))
    }
}

/// An address that is asked over TLS.
fn secure(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host())
}
