//! Issuers that change their keys, that are away, and that do not do as they should: what a real one cannot be brought to do.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Certificate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use weir_proto::client::{Authenticator as _, ClientErrorKind, Token};

use super::*;
use crate::known::{GOOD_FOR, REFETCH_AFTER};
use crate::{Issuer, IssuerConfig};

/// What is answered to a path: the beginning of an answer, and its body. `None`: the connection is closed.
type Answers = Arc<Mutex<Box<dyn FnMut(&str) -> Option<(String, String)> + Send>>>;

/// A server, and an issuer at its address.
struct World {
    url: String,
    answers: Answers,
    issuer: Issuer,
    _server: JoinSet<()>,
}

fn ok(body: &Value) -> Option<(String, String)> {
    Some(("HTTP/1.1 200 OK".into(), body.to_string()))
}

impl World {
    async fn new() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/realm", listener.local_addr().unwrap().port());
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_| None)));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), answers.clone()));
        let config = IssuerConfig {
            url: url.clone(),
            expected: Expected { issuer: url.clone(), ..expected() },
            roots: vec![Certificate::from_der(cert.der()).unwrap()],
            wall_clock: Arc::new(|| NOW * 1000),
        };
        Self { url, answers, issuer: Issuer::new(config).unwrap(), _server: server }
    }

    fn answer(&self, answer: impl FnMut(&str) -> Option<(String, String)> + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answer);
    }

    /// From now on it publishes these keys. How often it was asked for them is counted.
    fn publish(&self, keys: Vec<Value>) -> Arc<Mutex<u32>> {
        let asked = Arc::new(Mutex::new(0));
        let (url, counted) = (self.url.clone(), asked.clone());
        self.answer(move |path| match path {
            "/realm/.well-known/openid-configuration" => {
                ok(&json!({"issuer": url, "jwks_uri": format!("{url}/keys"), "other": [1]}))
            }
            "/realm/keys" => {
                *counted.lock().unwrap() += 1;
                ok(&json!({ "keys": keys }))
            }
            other => panic!("{other} is asked for"),
        });
        asked
    }

    async fn subject(&self, signer: &Signer) -> Result<Subject, ClientError> {
        let token = signer.sign(&claims(&json!({"iss": self.url})));
        self.issuer.authenticate(&Token::read(&token).unwrap()).await
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answers: Answers) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // One that goes away in its handshake is the next one's luck.
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            asked.extend_from_slice(&bytes[..read]);
            if read == 0 {
                break;
            }
        }
        let asked = String::from_utf8(asked).unwrap();
        let Some(path) = asked.split(' ').nth(1) else { continue };
        let answer = (answers.lock().unwrap())(path);
        if let Some((head, body)) = answer {
            let answer = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            // Nobody reads all of what is too long.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }
}

/// Time passes, and nothing happens meanwhile.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_unknown_key_has_the_issuer_asked_and_not_again_at_once() {
    let world = World::new().await;
    let (old, new, strange) = (Signer::new("old"), Signer::new("new"), Signer::new("strange"));
    let asked = world.publish(vec![old.jwk()]);
    assert_eq!(world.subject(&old).await.unwrap().name, "oidc:https://issuer.example#alice");
    assert_eq!(*asked.lock().unwrap(), 1);
    world.subject(&old).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), 1, "keys are kept");

    let asked = world.publish(vec![old.jwk(), new.jwk()]);
    for _ in 0..20 {
        let error = world.subject(&strange).await.unwrap_err();
        assert_eq!(error.kind, ClientErrorKind::Unauthenticated);
        assert!(error.message.contains("a key that its issuer does not publish"), "{}", error.message);
    }
    assert_eq!(*asked.lock().unwrap(), 0, "it has been asked a moment ago");
    pass(REFETCH_AFTER).await;
    let all = tokio::join!(world.subject(&new), world.subject(&new), world.subject(&strange), world.subject(&old));
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_err() && all.3.is_ok());
    assert_eq!(*asked.lock().unwrap(), 1, "one asks for all");

    // What a token of another issuer names has nobody asked.
    pass(REFETCH_AFTER).await;
    let foreign = strange.sign(&claims(&json!({})));
    let error = world.issuer.authenticate(&Token::read(&foreign).unwrap()).await.unwrap_err();
    assert!(error.message.contains("another issuer"));
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[tokio::test]
async fn keys_outlive_an_issuer_that_is_away_for_a_day_and_a_withdrawn_one_goes_with_the_next_look() {
    let world = World::new().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let error = world.subject(&old).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unavailable, "{}", error.message);
    pass(REFETCH_AFTER).await;
    world.publish(vec![old.jwk()]);
    world.subject(&old).await.unwrap();

    world.answer(|_| None);
    pass(GOOD_FOR - Duration::from_secs(5)).await;
    world.subject(&old).await.unwrap();
    assert_eq!(world.subject(&new).await.unwrap_err().kind, ClientErrorKind::Unauthenticated);
    pass(Duration::from_secs(6)).await;
    assert_eq!(world.subject(&old).await.unwrap_err().kind, ClientErrorKind::Unavailable);

    // It is looked again and again, whether tokens come or not.
    let mut asked = world.publish(vec![new.jwk()]);
    let looks = async {
        for _ in 0..2 {
            while *asked.lock().unwrap() == 0 {
                tokio::task::yield_now().await;
            }
            while world.subject(&new).await.is_err() {
                tokio::task::yield_now().await;
            }
            asked = world.publish(vec![new.jwk()]);
            pass(Duration::from_secs(301)).await;
        }
    };
    tokio::select! {
        () = world.issuer.run() => panic!("it does not end"),
        () = looks => {}
    }
    assert_eq!(world.subject(&old).await.unwrap_err().kind, ClientErrorKind::Unauthenticated, "it was withdrawn");
}

#[tokio::test]
async fn an_issuer_that_does_not_do_as_it_should_gives_no_keys() {
    let world = World::new().await;
    let signer = Signer::new("one");
    let (url, jwk) = (world.url.clone(), signer.jwk());
    let document = |issuer: &str, keys: &str| json!({"issuer": issuer, "jwks_uri": keys});
    let keys = format!("{url}/keys");
    let moved = |to: &str| Some((format!("HTTP/1.1 302 Found\r\nlocation: {url}/{to}"), String::new()));
    let long = format!("{{\"keys\":[{jwk}],\"x\":\"{}\"}}", "x".repeat(2 << 20));
    for (what, discovery, published) in [
        ("another name", ok(&document("https://issuer.example", &keys)), ok(&json!({"keys": [jwk]}))),
        ("plain keys", ok(&document(&url, "http://localhost/keys")), ok(&json!({"keys": [jwk]}))),
        ("a file", ok(&document(&url, "file:///etc/passwd")), ok(&json!({"keys": [jwk]}))),
        ("no document", ok(&json!([])), ok(&json!({"keys": [jwk]}))),
        ("elsewhere", moved("document"), ok(&json!({"keys": [jwk]}))),
        ("keys elsewhere", ok(&document(&url, &format!("{url}/moved"))), ok(&json!({"keys": [jwk]}))),
        ("no keys", ok(&document(&url, &keys)), ok(&json!({"keys": []}))),
        ("too much", ok(&document(&url, &keys)), Some(("HTTP/1.1 200 OK".into(), long))),
        ("an error", ok(&document(&url, &keys)), Some(("HTTP/1.1 500 Oh".into(), json!({"keys": [jwk]}).to_string()))),
    ] {
        let (document, moved) = (ok(&document(&url, &keys)), moved("keys"));
        world.answer(move |path| match path {
            "/realm/.well-known/openid-configuration" => discovery.clone(),
            "/realm/document" => document.clone(),
            "/realm/moved" => moved.clone(),
            _ => published.clone(),
        });
        let error = world.subject(&signer).await.unwrap_err();
        assert_eq!(error.kind, ClientErrorKind::Unavailable, "{what}: {}", error.message);
        pass(REFETCH_AFTER).await;
    }
    world.publish(vec![jwk]);
    world.subject(&signer).await.unwrap();
}

#[test]
fn only_what_can_be_an_issuer_is_one() {
    let issuer = |url: &str| {
        let expected = Expected { issuer: url.into(), ..expected() };
        Issuer::new(IssuerConfig { url: url.into(), expected, roots: Vec::new(), wall_clock: Arc::new(|| 0) }).is_ok()
    };
    assert!(issuer("https://issuer.example") && issuer("https://issuer.example:8443/realms/x/"));
    for wrong in
        ["", "issuer.example", "http://issuer.example", "https://", "https://a@b", "https://a?b", "https://a#b"]
    {
        assert!(!issuer(wrong), "{wrong}");
    }
}
