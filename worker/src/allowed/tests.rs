#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use arrow::datatypes::Schema;

use super::*;

fn allowed(rules: &[&str]) -> Allowed {
    Allowed::new(rules.iter().map(|rule| rule.parse().unwrap()).collect())
}

fn reaches(allowed: &Allowed, reach: Reach) -> bool {
    let table = TableSpec::new("t", "filesystem", BTreeMap::new(), Arc::new(Schema::empty()));
    allowed.check(&table, || Ok(vec![reach])).is_ok()
}

fn path(allowed: &Allowed, path: impl Into<PathBuf>) -> bool {
    reaches(allowed, Reach::Path(path.into()))
}

fn url(allowed: &Allowed, url: &str) -> bool {
    reaches(allowed, Reach::Url(url.to_owned()))
}

fn host(allowed: &Allowed, list: &str) -> bool {
    let [reach] = Reach::hosts(list).unwrap().try_into().unwrap();
    reaches(allowed, reach)
}

#[test]
fn without_rules_everything_is_allowed_and_with_one_nothing_else() {
    assert!(path(&Allowed::default(), "/etc/passwd") && host(&Allowed::default(), "anywhere"));
    let one = allowed(&["/nowhere"]);
    assert!(!path(&one, "/etc/passwd") && !host(&one, "anywhere") && !url(&one, "s3://bucket/a"));
}

#[test]
fn a_folder_is_allowed_with_what_is_in_it_and_no_way_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("data"), folder.path().join("secret"));
    std::fs::create_dir_all(inside.join("deep")).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("file"), "").unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    symlink(&inside, outside.join("back")).unwrap();
    let allowed = allowed(&[inside.to_str().unwrap()]);
    for within in ["", "deep", "deep/*.csv", "[a-c]/*", "not/there/yet", "data*"] {
        assert!(path(&allowed, inside.join(within)), "{within}");
    }
    assert!(path(&allowed, outside.join("back/deep")), "a link may lead in");
    for out in ["../secret/file", "deep/../../secret", "*/../../secret/file", "link", "link/file", "link/new", "link/*"]
    {
        assert!(!path(&allowed, inside.join(out)), "{out}");
    }
    for out in
        [folder.path().join("data2"), folder.path().join("*/deep"), folder.path().to_owned(), "data".into(), "/".into()]
    {
        assert!(!path(&allowed, &out), "{}", out.display());
    }
}

#[test]
fn a_url_is_allowed_with_what_is_below_it() {
    let allowed = allowed(&["s3://bucket/in/", "gs://all"]);
    for below in ["s3://bucket/in", "s3://bucket/in/a.csv", "s3://bucket/in/*/a?.csv", "gs://all/x", "gs://all"] {
        assert!(url(&allowed, below), "{below}");
    }
    for out in [
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
    ] {
        assert!(!url(&allowed, out), "{out}");
    }
}

#[test]
fn hosts_are_compared_as_they_are_written() {
    let allowed = allowed(&["kafka.example:9092", "*.internal", "10.0.0.1", "[::1]:5432"]);
    for one in
        ["Kafka.Example.:9092", "a.b.internal", "a.internal:1", "10.0.0.1:80", "http://x:y@10.0.0.1/z", "[0:0::1]:5432"]
    {
        assert!(host(&allowed, one), "{one}");
    }
    for other in ["kafka.example", "kafka.example:9093", "internal", "evilinternal", "10.0.0.11", "[::1]:5433", "[::1]"]
    {
        assert!(!host(&allowed, other), "{other}");
    }
    assert!(host(&super::Allowed::new(vec!["*:443".parse().unwrap()]), "anything:443"));
}

#[test]
fn what_is_no_place_is_no_rule() {
    for text in [
        "",
        "*x.example",
        "a,b",
        "a/b",
        "x@y",
        "http://host",
        "s3://",
        "s3://b/../c",
        "/a/../b",
        "host:port",
        "relative path",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text}");
    }
}
