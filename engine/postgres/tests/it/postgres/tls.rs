//! Encrypted connections.
#![allow(clippy::disallowed_methods, reason = "the folder of the server is in the environment")]

use arrow::datatypes::DataType;
use weir_core::ErrorKind;

use super::database::{Database, url};
use super::sink::Job;

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn the_certificate_and_its_name_are_checked() {
    let folder = std::env::var("WEIR_TEST_POSTGRES_DIR").expect("see tests/services/postgres");
    let database = Database::with("CREATE TABLE t (k bigint)").await;
    let roots = format!("{folder}/root.pem");
    let named = url().replace("127.0.0.1", "localhost");
    let open = async |url: &str, with: &[(&str, &str)]| {
        let with: Vec<(&str, &str)> =
            with.iter().copied().chain([("url", url), ("username", "sealed"), ("ssl.mode", "verify-full")]).collect();
        Job::new(database.table(&[("k", DataType::Int64)], &with)).try_open(0).await.map(drop)
    };
    open(&named, &[("ssl.root-certificate", &roots)]).await.unwrap();
    let plain = Job::new(database.table(&[("k", DataType::Int64)], &[("username", "sealed")])).try_open(0).await;
    let report = plain.err().unwrap().report();
    assert!(report.contains("pg_hba.conf rejects connection") && report.contains("no encryption"), "{report}");
    let of_another = open(&url(), &[("ssl.root-certificate", &roots)]).await.unwrap_err();
    assert_eq!(of_another.kind(), ErrorKind::Environment);
    assert!(of_another.report().contains("certificate not valid for name"), "{}", of_another.report());
    let unknown = open(&named, &[]).await.unwrap_err();
    assert!(unknown.report().contains("UnknownIssuer"), "{}", unknown.report());
    let nothing = open(&named, &[("ssl.root-certificate", "/dev/null")]).await.unwrap_err();
    assert!(nothing.report().contains("/dev/null has no certificates"), "{}", nothing.report());
}
