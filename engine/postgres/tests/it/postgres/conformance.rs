//! What every sink promises, of rows that stay and of rows that replace each other.

use std::sync::Arc;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use weir_connectors::conformance::{SinkUnderTest, sink};
use weir_core::{Connector, TableSpec};
use weir_postgres::Postgres;

use super::database::Database;

struct Written(Database, Vec<usize>);

#[async_trait]
impl SinkUnderTest for Written {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(Postgres)
    }

    fn table(&self) -> TableSpec {
        let mut table = self.0.table(&[("n!", DataType::Int64), ("v", DataType::Utf8View)], &[]);
        table.primary_key.clone_from(&self.1);
        table
    }

    async fn visible(&self) -> Vec<i64> {
        self.0.rows("SELECT n FROM t ORDER BY n").await.iter().map(|n| n.parse().unwrap()).collect()
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn the_sink_keeps_what_sinks_promise() {
    let new = async |key: &str| Database::with(&format!("CREATE TABLE t (n bigint NOT NULL {key}, v text)")).await;
    sink(async |_| Written(new("").await, Vec::new())).await;
    sink(async |_| Written(new("PRIMARY KEY").await, vec![0])).await;
}
