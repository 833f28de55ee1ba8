#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use weir_core::Location;

use super::*;

fn allowed(rules: &[&str]) -> Allowed {
    Allowed::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
}

fn path(allowed: &Allowed, path: impl Into<PathBuf>) -> bool {
    allowed.check_locations("t", &[Location::Path(path.into())]).is_ok()
}

fn url(allowed: &Allowed, url: &str) -> bool {
    allowed.check_locations("t", &[Location::Url(url.to_owned())]).is_ok()
}

fn host(allowed: &Allowed, name: &str, port: u16) -> bool {
    allowed.check_locations("t", &[Location::Host(name.to_owned(), port)]).is_ok()
}

#[test]
fn with_a_rule_nothing_else_is_allowed() {
    let one = allowed(&["/nowhere"]);
    assert!(!path(&one, "/etc/passwd") && !host(&one, "anywhere", 1) && !url(&one, "s3://bucket/a"));
}

#[test]
fn a_folder_is_allowed_with_what_is_in_it_and_no_way_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("data"), folder.path().join("secret"));
    std::fs::create_dir_all(inside.join("deep")).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("file"), "").unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    symlink(folder.path().join("later"), inside.join("dangling")).unwrap();
    symlink(&inside, outside.join("back")).unwrap();
    for rule in [inside.display().to_string(), format!("file://{}/", inside.display())] {
        let allowed = allowed(&[&rule]);
        for within in ["", "deep", "deep/*.csv", "[a-c]/*", "not/there/yet", "data*"] {
            assert!(path(&allowed, inside.join(within)), "{within}");
        }
        assert!(path(&allowed, outside.join("back/deep")), "a link may lead in");
        let ways_out = [
            "../secret/file",
            "deep/../../secret",
            "*/../../secret/file",
            "link",
            "link/file",
            "link/new",
            "link/*",
            "dangling",
            "dangling/file",
        ];
        for out in ways_out {
            assert!(!path(&allowed, inside.join(out)), "{out}");
        }
        let others = [
            folder.path().join("data2"),
            folder.path().join("*/deep"),
            folder.path().into(),
            "data".into(),
            "/".into(),
        ];
        for out in others {
            assert!(!path(&allowed, &out), "{}", out.display());
        }
    }
}

#[test]
fn a_url_is_allowed_with_what_is_below_it() {
    let allowed = allowed(&["s3://bucket/in/", "gs://all"]);
    for below in ["s3://bucket/in", "s3://bucket/in/a.csv", "s3://bucket/in/*/a?.csv", "gs://all/x", "gs://all"] {
        assert!(url(&allowed, below), "{below}");
    }
    let others = [
        "s3://bucket/inner",
        "s3://bucket",
        "s3://bucket/*/a",
        "s3://bucket/in*",
        "s3://bucket/in/../out",
        "s3://bucket/in/%2e%2e/out",
        "s3://bucket/in\\..\\out",
        "gs://all2/x",
        "gs://all@other/x",
        "s3a://bucket/in/a",
    ];
    for out in others {
        assert!(!url(&allowed, out), "{out}");
    }
}

#[test]
fn hosts_are_compared_as_they_are_written() {
    let allowed = allowed(&["kafka.example:9092", "*.internal", "10.0.0.1", "[::1]:5432", "*:443"]);
    let ones = [
        ("Kafka.Example.", 9092),
        ("a.b.internal", 9092),
        ("a.internal", 1),
        ("10.0.0.1", 80),
        ("0:0::1", 5432),
        ("anything", 443),
    ];
    for (name, port) in ones {
        assert!(host(&allowed, name, port), "{name}:{port}");
    }
    let others = [("kafka.example", 9093), ("internal", 1), ("evilinternal", 1), ("10.0.0.11", 80), ("::1", 5433)];
    for (name, port) in others {
        assert!(!host(&allowed, name, port), "{name}:{port}");
    }
}

#[test]
fn what_is_no_location_is_no_rule() {
    let texts = [
        "",
        "*x.example",
        "a,b",
        "a/b",
        "x@y",
        "http://host",
        "kafka://host:9092",
        "jdbc:postgresql://host",
        "s3://b/../c",
        "s3://b/*",
        "/a/../b",
        "/data/*.csv",
        "host:port",
        "relative path",
        "[good]:1",
        "[::1",
        ":1",
    ];
    for text in texts {
        assert!(text.parse::<Rule>().is_err(), "{text}");
    }
}
