//! A schema of its own in the test database.
#![allow(clippy::disallowed_methods, reason = "the address of the server is in the environment")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::{DataType, Field, Schema};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use weir_core::TableSpec;

/// URL of the database.
pub fn url() -> String {
    std::env::var("WEIR_TEST_POSTGRES")
        .expect("WEIR_TEST_POSTGRES says where PostgreSQL is: see tests/services/postgres")
}

/// A name that no other test has.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A schema, which goes with the test's process only: its names are never used again.
pub struct Database {
    pub schema: String,
    client: Client,
    _moving: tokio::task::JoinSet<()>,
}

impl Database {
    /// A new schema, in which `sql` is run.
    pub async fn with(sql: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
        let mut moving = tokio::task::JoinSet::new();
        moving.spawn(async move { drop(connection.await) });
        let schema = unique("test");
        client.batch_execute(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}")).await.unwrap();
        let database = Self { schema, client, _moving: moving };
        database.run(sql).await;
        database
    }

    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// Rows as text, with ` | ` between columns.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let messages = self.client.simple_query(sql).await.unwrap();
        let text = |message| match message {
            SimpleQueryMessage::Row(row) => {
                let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
                Some(columns.collect::<Vec<_>>().join(" | "))
            }
            _ => None,
        };
        messages.into_iter().filter_map(text).collect()
    }

    /// The table `t` of this schema as Weir's; a column whose name ends in `!` is NOT NULL.
    pub fn table(&self, columns: &[(&str, DataType)], with: &[(&str, &str)]) -> TableSpec {
        let mut options: BTreeMap<String, String> = BTreeMap::new();
        let (target, commits) = (format!("{}.t", self.schema), format!("{}.commits", self.schema));
        for (name, value) in [("url", &*url()), ("table-name", &*target), ("sink.commits-table", &*commits)] {
            options.insert(name.into(), value.into());
        }
        options.extend(with.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let fields = columns
            .iter()
            .map(|(name, data_type)| Field::new(name.trim_end_matches('!'), data_type.clone(), !name.ends_with('!')));
        TableSpec::new("t", "postgres", options, Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }
}
