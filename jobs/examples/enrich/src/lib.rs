//! Orders with the names and prices of their articles, which a service knows: each order is a request over HTTP.
//!
//! ```text
//!   orders ──▶ ┌───────────┐ ──▶ priced
//!              │  prices   │
//!              └───────────┘ ──▶ unpriced, with the reason
//!                 ▲     │  up to 64 requests at once in each subtask
//!                 │     ▼
//!          GET /articles/{article}
//! ```
//!
//! A service is slow, busy or gone at times. Requests that may help later are repeated, with pauses that grow: when there was no answer, when
//! the service says that it is busy (429), or that it cannot (5xx). Others, such as for an article that it does not know, are not. What cannot be priced in the
//! end is written to `unpriced` and holds nothing up.
//!
//! Orders that wait for an answer are part of each checkpoint. After a crash they are asked for again, so the service may be asked twice, and
//! each order comes out once.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::sync::OnceCell;
use weir_jobs::prelude::*;

/// Somebody has ordered something.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// The article.
    pub article: String,
    /// How many of it.
    pub pieces: i64,
    /// When.
    #[record(event_time)]
    pub at: Timestamp,
}

/// An order with what the service knows.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Priced {
    /// Number of the order.
    pub id: i64,
    /// What the article is called.
    pub name: String,
    /// What all pieces cost.
    pub cents: i64,
    /// When it was ordered.
    #[record(event_time)]
    pub at: Timestamp,
}

/// An order that has no price.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Unpriced {
    /// Number of the order.
    pub id: i64,
    /// The article.
    pub article: String,
    /// How many of it.
    pub pieces: i64,
    /// When.
    pub at: Timestamp,
    /// Why there is no price.
    pub reason: String,
    /// How often the service was asked.
    pub attempts: i64,
}

/// Orders without a price.
pub const UNPRICED: SideOutput<Unpriced> = SideOutput::new("unpriced");

/// The service.
struct Prices {
    url: String,
    /// Made by the first request, on the thread that makes them all.
    client: OnceCell<Client>,
}

impl Prices {
    async fn of(&self, order: Order) -> Result<Priced> {
        let client = self.client.get_or_try_init(|| async { client() }).await?;
        let unanswered = |error: reqwest::Error| Error::environment("the service does not answer").with_source(error);
        let answer = client.get(format!("{}/articles/{}", self.url, order.article)).send().await.map_err(unanswered)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Error::data("there is no such article")),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(Error::environment(format!("the service answers {status}")));
            }
            status => return Err(Error::data(format!("the service answers {status}"))),
        }
        let text = answer.text().await.map_err(unanswered)?;
        let article: Value = serde_json::from_str(&text)
            .map_err(|error| Error::data("the service answers something else than JSON").with_source(error))?;
        let (Some(name), Some(cents)) = (article["name"].as_str(), article["cents"].as_i64()) else {
            return Err(Error::data(format!("the service answers {article}, without name or price")));
        };
        let cents = cents.checked_mul(order.pieces).ok_or_else(|| Error::data("nobody can pay for so many"))?;
        Ok(Priced { id: order.id, name: name.to_owned(), cents, at: order.at })
    }
}

fn client() -> Result<Client> {
    // Another client in this process may have done so before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().build().map_err(|error| Error::internal("an HTTP client cannot be made").with_source(error))
}

/// Tables in files, for a first try.
fn declare(job: &mut Job, folder: &str, watch: &str) {
    fn files<R: Record>(folder: &str, name: &str) -> Table<R> {
        Table::new(name)
            .with("connector", "filesystem")
            .with("path", &format!("{folder}/{name}"))
            .with("format", "json")
    }
    let orders = files::<Order>(folder, "orders").out_of_order(Duration::from_secs(5));
    job.create_table(if watch.is_empty() { orders } else { orders.with("source.monitor-interval", watch) });
    job.create_table(files::<Priced>(folder, "priced"));
    job.create_table(files::<Unpriced>(folder, "unpriced"));
}

/// The job. It reads `orders`, and writes `priced` and `unpriced`. `--arg service=http://…`: where the service is. `--arg timeout-ms=…`,
/// `--arg retries=…`: how long it may take to answer, and how often it is asked again. `--arg at-once=…`: how many requests a subtask makes at a time.
/// `--arg folder=…`: the tables are made here, over files in that folder, which is looked through again each `--arg watch=…`; without it they are the
/// catalog's.
///
/// # Errors
/// If an argument is missing, or is no number.
pub fn enrich(job: &mut Job) -> Result<()> {
    let folder = job.argument_or("folder", String::new())?;
    let watch = job.argument_or("watch", String::new())?;
    if !folder.is_empty() {
        declare(job, &folder, &watch);
    }
    let service = Prices { url: job.argument("service")?, client: OnceCell::new() };
    let calls = Calls::unordered(job.argument_or("at-once", 64)?)
        .timeout(Duration::from_millis(job.argument_or("timeout-ms", 2000)?))
        .retry(job.argument_or("retries", 5)?, Duration::from_millis(100), Duration::from_secs(5))
        .failures_to(&UNPRICED, |order: Order, failure| Unpriced {
            id: order.id,
            article: order.article,
            pieces: order.pieces,
            at: order.at,
            reason: failure.to_string(),
            attempts: i64::from(failure.attempts()),
        });
    let service = std::sync::Arc::new(service);
    let priced = job.table::<Order>("orders").async_map("prices", calls, move |order| {
        let service = service.clone();
        async move { service.of(order).await }
    });
    priced.side(&UNPRICED).insert_into("unpriced");
    priced.insert_into("priced");
    Ok(())
}

weir_jobs::export!(enrich);
