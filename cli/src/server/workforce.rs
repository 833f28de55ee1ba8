//! Who starts and ends workers: whatever is behind a webhook, or Kubernetes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url};
use serde_json::json;
use weir_coordinator::server::WorkerScaler;
use weir_coordinator::workforce::{Workforce, WorkforceConfig};
use weir_core::{Error, Result};

use crate::cluster::args::patience;

/// How long somebody may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// So much is read of what is answered to a request that was not taken.
const MOST_READ: usize = 1024;
/// What a pod has of its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Who is told how many workers there should be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Scaling")]
pub struct ScaleArguments {
    /// Tell this URL how many workers the jobs want, by POST, when that changes and again every minute; for machines. The token in
    /// WEIR_SCALE_TOKEN goes along, if there is one.
    #[arg(
        long,
        value_name = "URL",
        env = "WEIR_SCALE_WEBHOOK",
        hide_env_values = true,
        conflicts_with = "scale_kubernetes"
    )]
    pub scale_webhook: Option<Url>,

    /// Set the replicas of the workers' StatefulSet or Deployment in this pod's namespace, through its scale subresource.
    #[arg(long, value_name = "statefulset/NAME", env = "WEIR_SCALE_KUBERNETES", value_parser = resource)]
    pub scale_kubernetes: Option<Resource>,

    /// The fewest workers to ask for.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub scale_min_workers: u32,

    /// The most workers to ask for.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub scale_max_workers: u32,

    /// Slots that are to be free when all jobs have theirs: room for what a lost worker ran.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub scale_spare_slots: u32,

    /// Ask for fewer workers when they have been enough for so long.
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = patience)]
    pub scale_release_after: Duration,
}

/// What has replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// As it stands in paths: `statefulsets`.
    kind: &'static str,
    name: String,
}

fn resource(text: &str) -> Result<Resource, String> {
    let wrong = || "write statefulset/NAME or deployment/NAME".to_owned();
    let (kind, name) = text.split_once('/').ok_or_else(wrong)?;
    let kind = match kind {
        "statefulset" => "statefulsets",
        "deployment" => "deployments",
        _ => return Err(wrong()),
    };
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(wrong());
    }
    Ok(Resource { kind, name: name.to_owned() })
}

impl ScaleArguments {
    /// Bounds, and who is told; `None` if nobody is.
    ///
    /// # Errors
    /// If that makes no sense here.
    pub fn open(&self) -> Result<Option<(WorkforceConfig, Arc<dyn WorkerScaler>)>> {
        let scaler: Arc<dyn WorkerScaler> = match (&self.scale_webhook, &self.scale_kubernetes) {
            (Some(url), _) => Arc::new(Webhook::new(url.clone())?),
            (None, Some(resource)) => Arc::new(Kubernetes::new(resource.clone())?),
            (None, None) => return Ok(None),
        };
        if self.scale_min_workers > self.scale_max_workers {
            return Err(Error::user("--scale-min-workers is more than --scale-max-workers"));
        }
        let config = WorkforceConfig {
            min_workers: self.scale_min_workers,
            max_workers: self.scale_max_workers,
            spare_slots: self.scale_spare_slots,
            release_after: self.scale_release_after,
            ..WorkforceConfig::default()
        };
        Ok(Some((config, scaler)))
    }
}

/// What the process was told by its environment, if it says anything.
#[expect(clippy::disallowed_methods, reason = "a secret, and what every pod is told of its cluster: no settings")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// With `only`, nobody is believed but who has a certificate of theirs, and no proxy is asked.
fn client(only: Option<Vec<Certificate>>) -> Result<Client> {
    // Whoever else has chosen one has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A token goes nowhere but where it was meant to go.
    let builder = Client::builder().timeout(ANSWER).redirect(Policy::none());
    let builder = match only {
        Some(roots) => {
            let builder = builder.no_proxy().tls_built_in_root_certs(false);
            roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate)
        }
        None => builder,
    };
    builder.build().map_err(|error| Error::internal("an HTTP client cannot be made").with_source(error))
}

/// Sends, and takes any answer of success.
async fn send(request: RequestBuilder, to: &str) -> Result<()> {
    let failed =
        |error: reqwest::Error| Error::environment(format!("{to} does not answer")).with_source(error.without_url());
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let said = beginning(response).await;
    let said: String = String::from_utf8_lossy(&said).chars().take(300).collect();
    Err(Error::environment(format!("{to} answers {status}: {said}")))
}

/// What an answer begins with, as far as it comes.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut read = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        read.extend_from_slice(chunk.get(..MOST_READ).unwrap_or(&chunk));
        if read.len() >= MOST_READ {
            break;
        }
    }
    read
}

/// The URL without what may be secret.
fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    // Those that can have none have none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown
}

/// A webhook.
struct Webhook {
    url: Url,
    token: Option<String>,
    client: Client,
}

impl Webhook {
    fn new(url: Url) -> Result<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            let url = shown(&url);
            return Err(Error::user(format!("--scale-webhook {url}: write http://… or https://…")));
        }
        let token = variable("WEIR_SCALE_TOKEN");
        Ok(Self { url, token, client: client(None)? })
    }
}

#[async_trait::async_trait]
impl WorkerScaler for Webhook {
    async fn scale(&self, wanted: &Workforce) -> Result<()> {
        let body = serde_json::to_vec(wanted)
            .map_err(|error| Error::internal("a number of workers is no JSON").with_source(error))?;
        let request = self.client.post(self.url.clone()).header("content-type", "application/json").body(body);
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        send(request, "the webhook").await
    }
}

/// The API server of the cluster that this pod is in.
struct Kubernetes {
    resource: Resource,
    server: String,
    account: PathBuf,
    client: Client,
}

impl Kubernetes {
    fn new(resource: Resource) -> Result<Self> {
        let host = variable("KUBERNETES_SERVICE_HOST").ok_or_else(|| {
            Error::user("--scale-kubernetes: this process is in no pod: KUBERNETES_SERVICE_HOST is not set")
                .with_help("tell a webhook instead, with --scale-webhook")
        })?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".into());
        let account = PathBuf::from(variable("WEIR_SERVICE_ACCOUNT_DIR").unwrap_or_else(|| ACCOUNT.into()));
        let ca = read(&account, "ca.crt")?;
        let roots = Certificate::from_pem_bundle(ca.as_bytes())
            .map_err(|error| Error::user("ca.crt of the service account is no certificate").with_source(error))?;
        Ok(Self { resource, server: format!("https://{host}:{port}"), account, client: client(Some(roots))? })
    }
}

fn read(account: &std::path::Path, name: &str) -> Result<String> {
    std::fs::read_to_string(account.join(name)).map_err(|error| {
        Error::user(format!("the service account has no {name}"))
            .with_source(error)
            .with_help("give the pod its token: automountServiceAccountToken")
    })
}

#[async_trait::async_trait]
impl WorkerScaler for Kubernetes {
    async fn scale(&self, wanted: &Workforce) -> Result<()> {
        // Both are renewed while the process runs.
        let (token, namespace) = (read(&self.account, "token")?, read(&self.account, "namespace")?);
        let Resource { kind, name } = &self.resource;
        let url = format!("{}/apis/apps/v1/namespaces/{}/{kind}/{name}/scale", self.server, namespace.trim());
        let patch = json!({ "spec": { "replicas": wanted.wanted_workers } });
        let request =
            self.client.patch(url).bearer_auth(token.trim()).header("content-type", "application/merge-patch+json");
        send(request.body(patch.to_string()), "Kubernetes").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_tell_no_secret_of_the_url() {
        let url = Url::parse("ftp://me:secret@host:1/path?token=secret").unwrap();
        let error = Webhook::new(url).err().unwrap().to_string();
        assert!(error.contains("ftp://host:1/path:"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    /// Answers like this, once.
    async fn answer(listener: tokio::net::TcpListener, answer: String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 1024];
        assert!(stream.read(&mut asked).await.unwrap() > 0);
        // Nobody reads all of what is long.
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    #[tokio::test]
    async fn what_is_no_success_is_an_error_with_the_beginning_of_what_was_said() {
        let long = "a".repeat(50_000_000);
        for (answer, said) in [
            ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), None),
            (
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned(),
                Some("302 Found"),
            ),
            (
                format!("HTTP/1.1 500 Oh\r\ncontent-length: 50000000\r\n\r\n{long}"),
                Some("500 Internal Server Error: aaa"),
            ),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let request = client(None).unwrap().post(format!("http://{}/", listener.local_addr().unwrap()));
            let (sent, ()) = tokio::join!(send(request, "it"), self::answer(listener, answer));
            match said {
                None => sent.unwrap(),
                Some(said) => {
                    let error = sent.unwrap_err().to_string();
                    assert!(error.contains(said) && error.len() < 400, "{error}");
                }
            }
        }
    }

    #[test]
    fn what_has_replicas_is_named_as_kubectl_does() {
        let of = |kind, name: &str| Ok(Resource { kind, name: name.into() });
        assert_eq!(resource("statefulset/weir-worker"), of("statefulsets", "weir-worker"));
        assert_eq!(resource("deployment/w"), of("deployments", "w"));
        for wrong in ["weir-worker", "pod/w", "statefulset/", "statefulset/../secrets", "statefulset/a?b"] {
            assert!(resource(wrong).unwrap_err().contains("statefulset/NAME"), "{wrong}");
        }
    }
}
