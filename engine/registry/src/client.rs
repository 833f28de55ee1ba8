//! Requests to a registry.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use weir_connectors::formats::registered::{RegisteredSchema, SchemaKind};
use weir_core::{Error, Result};

use crate::options::{Auth, RegistryOptions};

/// How often a request is made at most.
const TRIES: u32 = 5;
/// Before the second try; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How many other schemas one may refer to, directly or by others.
const REFERENCES: usize = 1000;
const CONTENT: &str = "application/vnd.schemaregistry.v1+json";

/// A registry.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    client: Client,
    /// Those that were found. One that is not there may come, so that is not kept.
    schemas: Mutex<HashMap<u32, Arc<RegisteredSchema>>>,
}

/// A schema that another one refers to.
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

enum Step {
    Ask(Reference),
    Add(String, String),
}

/// What a registry has answered.
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    /// Whether it is the registry that has no such subject, version or schema, and not something in front of it that knows no such path.
    fn is_unknown(&self) -> bool {
        let code = self.body.get("error_code").and_then(Value::as_u64);
        self.status == StatusCode::NOT_FOUND && code.is_some_and(|code| (40401..=40403).contains(&code))
    }

    /// What it says about a request that it refuses.
    fn message(&self) -> String {
        let said = self.body.get("message").and_then(Value::as_str).unwrap_or_default();
        format!("{} {said}", self.status)
    }
}

impl Registry {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(options: RegistryOptions) -> Result<Self> {
        // Another part of the process may have done so before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(ANSWER).redirect(Policy::none()).build();
        let client = client.map_err(|error| Error::internal("an HTTP client cannot be made").with_source(error))?;
        Ok(Self { options, client, schemas: Mutex::default() })
    }

    /// The schema of a number, with all that it refers to; or why nothing that names this number can be read: there is no such schema,
    /// none of this kind, or what it refers to is gone.
    ///
    /// # Errors
    /// An environment error if the registry does not answer, a user error if it does not let us in.
    pub async fn schema(&self, id: u32) -> Result<Result<Arc<RegisteredSchema>, String>> {
        if let Some(schema) = self.schemas.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Ok(schema.clone()));
        }
        let answer = self.ask(Method::GET, &["schemas", "ids", &id.to_string()], None).await?;
        match answer.status {
            StatusCode::OK => {}
            _ if answer.is_unknown() => return Ok(Err(format!("its schema {id} is not in the registry"))),
            _ => return Err(self.refused(&format!("schema {id} cannot be read"), &answer)),
        }
        let what = format!("schema {id}");
        let wrong = |why| format!("its {what} is of no use: {why}");
        let (text, references) = match self.parts(&answer.body, &what)? {
            Ok(parts) => parts,
            Err(why) => return Ok(Err(wrong(why))),
        };
        let references = match self.referred(references).await.map_err(|error| error.context(what.clone()))? {
            Ok(references) => references,
            Err(why) => return Ok(Err(wrong(why))),
        };
        let schema = Arc::new(RegisteredSchema { text, references });
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner).insert(id, schema.clone());
        Ok(Ok(schema))
    }

    /// The names and texts of schemas that are referred to, each behind those that it refers to itself; or what is wrong with them.
    ///
    /// # Errors
    /// As of [`schema`](Self::schema).
    async fn referred(&self, references: Vec<Reference>) -> Result<Result<Vec<(String, String)>, String>> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        // What is still to be done, the next at the end: a schema to be asked for, or one whose own references stand before it by now.
        let mut open: Vec<Step> = references.into_iter().rev().map(Step::Ask).collect();
        while let Some(step) = open.pop() {
            let reference = match step {
                Step::Add(name, text) => {
                    found.push((name, text));
                    continue;
                }
                Step::Ask(reference) if seen.contains(&reference.name) => continue,
                Step::Ask(reference) => reference,
            };
            seen.insert(reference.name.clone());
            let Reference { name, subject, version } = reference;
            let what = format!("version {version} of '{subject}', which is referred to as '{name}'");
            if seen.len() > REFERENCES {
                return Ok(Err(format!("more than {REFERENCES} schemas are referred to")));
            }
            let answer = self.ask(Method::GET, &["subjects", &subject, "versions", &version.to_string()], None).await?;
            match answer.status {
                StatusCode::OK => {}
                _ if answer.is_unknown() => return Ok(Err(format!("{what}, is not in the registry"))),
                _ => return Err(self.refused(&format!("{what}, cannot be read"), &answer)),
            }
            let (text, references) = match self.parts(&answer.body, &what)? {
                Ok(parts) => parts,
                Err(why) => return Ok(Err(format!("{what}: {why}"))),
            };
            open.push(Step::Add(name, text));
            open.extend(references.into_iter().rev().map(Step::Ask));
        }
        Ok(Ok(found))
    }

    /// The text of a schema, and what it refers to; or that it is of another kind.
    ///
    /// # Errors
    /// An environment error if this is no answer of a registry, but of something that stands in front of it.
    fn parts(&self, body: &Value, what: &str) -> Result<Result<(String, Vec<Reference>), String>> {
        let odd = |why: &str| Error::environment(format!("{} answers oddly about {what}: {why}", self.place()));
        let text = body.get("schema").and_then(Value::as_str).ok_or_else(|| odd("there is no text of it"))?;
        let kind = body.get("schemaType").and_then(Value::as_str).unwrap_or("AVRO");
        if kind != self.options.kind.name() {
            return Ok(Err(format!("it is of the kind {kind}, and not {}", self.options.kind.name())));
        }
        let references = body.get("references").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let reference = |reference: &Value| {
            let text = |key: &str| reference.get(key).and_then(Value::as_str).map(str::to_owned);
            let version = reference.get("version").and_then(Value::as_i64)?;
            Some(Reference { name: text("name")?, subject: text("subject")?, version })
        };
        let references: Option<Vec<Reference>> = references.iter().map(reference).collect();
        Ok(Ok((text.to_owned(), references.ok_or_else(|| odd("a reference that says not to what"))?)))
    }

    /// The number of a schema that is registered under a subject, if it goes with those before.
    ///
    /// # Errors
    /// A user error if it does not, or may not be registered; an environment error if the registry does not answer.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        let what = format!("the schema of '{subject}' cannot be registered");
        let body = match self.options.kind {
            SchemaKind::Avro => json!({"schema": schema}),
            kind => json!({"schema": schema, "schemaType": kind.name()}),
        };
        let answer = self.ask(Method::POST, &["subjects", subject, "versions"], Some(&body)).await?;
        match answer.status {
            StatusCode::OK => {
                let id = answer.body.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| Error::environment(format!("{what}: {} gives it no number", self.place())))
            }
            StatusCode::CONFLICT => Err(self.incompatible(&what, subject, &body, &answer).await),
            _ => Err(self.refused(&what, &answer)),
        }
    }

    /// What does not go with what, as far as the registry says so.
    async fn incompatible(&self, what: &str, subject: &str, body: &Value, answer: &Answer) -> Error {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let checked = self.ask(Method::POST, &path, Some(body)).await;
        let reasons = checked.ok().and_then(|checked| {
            let reasons = checked.body.get("messages")?.as_array()?.iter();
            Some(reasons.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>().join("; "))
        });
        let reasons = reasons.filter(|reasons| !reasons.is_empty()).unwrap_or_else(|| answer.message());
        Error::user(format!("{what}: it does not go with the one that {} has: {reasons}", self.place())).with_help(
            "declare columns as they were before: new ones may be null, and types do not change; or write under another subject",
        )
    }

    fn refused(&self, what: &str, answer: &Answer) -> Error {
        let text = format!("{what}: {} answers {}", self.place(), answer.message());
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::user(text).with_help(format!(
                "look at '{0}.basic-auth.user-info' or '{0}.bearer-auth.token'",
                self.options.kind.format()
            )),
            // No word of a registry's: of what stands in front of it, or there is none at this path.
            StatusCode::NOT_FOUND => Error::environment(text).with_help(format!(
                "'{}.url' has the whole path in front of /schemas, as in http://host:8080/apis/ccompat/v7",
                self.options.kind.format()
            )),
            status if status.is_client_error() => Error::user(text),
            _ => Error::environment(text),
        }
    }

    /// Its addresses, for messages.
    fn place(&self) -> String {
        format!("the registry at {}", self.options.urls.join(", "))
    }

    /// Asks until there is an answer that is final, or it was tried often enough.
    async fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Answer> {
        let mut pause = PAUSE;
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep_until(Instant::now() + pause).await;
                pause *= 2;
            }
            for url in &self.options.urls {
                match self.try_asking(method.clone(), url, path, body).await {
                    Ok(answer) if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS => {
                        last = Some(Error::environment(answer.message()));
                    }
                    Ok(answer) => return Ok(answer),
                    Err(error) => last = Some(error),
                }
                if let Some(error) = &last {
                    tracing::debug!(url, attempt, error = error.report(), "a schema registry did not answer");
                }
            }
        }
        let failed = Error::environment(format!("{} does not answer", self.place()));
        Err(match last {
            Some(error) => failed.with_source(error),
            None => failed,
        })
    }

    async fn try_asking(&self, method: Method, url: &str, path: &[&str], body: Option<&Value>) -> Result<Answer> {
        let wrong = || Error::user(format!("'{url}' is no address of a registry"));
        let mut url: Url = url.parse().map_err(|_| wrong())?;
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path);
        let mut request = self.client.request(method, url).header("Accept", CONTENT);
        request = match &self.options.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
            Auth::Bearer(token) => request.bearer_auth(token),
        };
        if let Some(body) = body {
            request = request.header("Content-Type", CONTENT).body(body.to_string());
        }
        let failed = |error: reqwest::Error| Error::environment("the request failed").with_source(error.without_url());
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}
