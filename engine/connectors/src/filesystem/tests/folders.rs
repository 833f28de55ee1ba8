//! Folders, patterns, partitions, and files that come later.

use super::*;

fn numbers() -> Table {
    Table::new(&[("format", "csv")], &["n INT"])
}

#[tokio::test]
async fn folders_are_read_recursively_but_for_hidden_names() {
    let table = numbers()
        .file("b/2.csv", "2\n")
        .file("a/x/1.csv", "1\n")
        .file("3.csv", "3\n")
        .file(".hidden", "x")
        .file("_tmp/4.csv", "x")
        .file("b/.part", "x");
    std::os::unix::fs::symlink(table.folder.path(), table.path("b/circle")).unwrap();
    assert_eq!(table.read().await.unwrap(), ["3", "1", "2"]);
    for parallelism in 2..5 {
        assert_eq!(sorted(table.read_all(parallelism, &Checkpoint::default()).await.unwrap().rows), ["1", "2", "3"]);
    }
}

#[tokio::test]
async fn patterns_urls_and_single_files() {
    let mut table = numbers().file("x1/a.csv", "1\n").file("x2/b.csv", "2\n").file("y/c.csv", "3\n").file("x2/d", "x");
    let root = name_of(table.folder.path()).to_owned();
    for (path, rows) in [
        (format!("{root}/x*/*.csv"), vec!["1", "2"]),
        (format!("{root}/**/*.csv"), vec!["1", "2", "3"]),
        (format!("{root}/[y]"), vec!["3"]),
        (format!("file://{root}/y/c.csv"), vec!["3"]),
    ] {
        table.set("path", &path);
        assert_eq!(table.read().await.unwrap(), rows, "{path}");
    }
    table.set("path", &format!("{root}/z*"));
    contains(&table.fails().await, &["no file matches", "z*"]);
    table.set("path", &format!("{root}/x1/a.cvs"));
    contains(&table.fails().await, &["a.cvs", "did you mean", "a.csv"]);
    table.set("path", "s3://bucket/x");
    contains(&table.fails().await, &["s3"]);
    table.set("path", "file://host/x");
    contains(&table.fails().await, &["file:///"]);
}

#[tokio::test]
async fn partition_columns_come_from_the_names_of_folders() {
    let mut table = Table::new(&[("format", "csv")], &["day DATE", "n INT", "place STRING"])
        .file("day=2013-01-31/place=a%2Fb/f", "1\n")
        .file("day=__DEFAULT_PARTITION__/place=c/f", "2\n");
    table.spec.partitioned_by = vec!["day".into(), "place".into()];
    assert_eq!(sorted(table.read().await.unwrap()), ["2013-01-31 1 a/b", "∅ 2 c"]);
    let table = table.file("day=x/place=c/f", "3\n");
    contains(&table.fails().await, &["day=x", "'day'", "'x' is not a valid DATE"]);
    std::fs::remove_dir_all(table.path("day=x")).unwrap();
    contains(&table.file("f", "3\n").fails().await, &["/f", "'day'"]);
}

/// Names of the files that a discovery announces next.
async fn announced(discovery: &mut dyn SplitDiscovery) -> Vec<String> {
    let splits = tokio::time::timeout(PATIENCE, discovery.next()).await.unwrap().unwrap().unwrap();
    splits.iter().map(|split| split.sequence.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn new_files_are_noticed_once() {
    let table = numbers().with("source.monitor-interval", "10ms").file("1.csv", "1\n").file("2.csv", "");
    let mut discovery = Filesystem::default().open_discovery(&table.spec, DiscoveryContext::default()).await.unwrap();
    assert_eq!(announced(&mut *discovery).await, ["1.csv"]);
    table.write("3.csv", "3\n");
    assert_eq!(announced(&mut *discovery).await, ["3.csv"]);
    // Not empty any more.
    std::fs::rename(table.path("3.csv"), table.path(".gone")).unwrap();
    table.write(".2.csv", "2\n");
    std::fs::rename(table.path(".2.csv"), table.path("2.csv")).unwrap();
    assert_eq!(announced(&mut *discovery).await, ["2.csv"]);

    let split = |name: &str| Split {
        name: format!("{}#0:0-@2", table.path(name).display()).into(),
        sequence: table.path(name).to_str().unwrap().into(),
        description: "0".to_owned(),
    };
    let context = DiscoveryContext { known: ["1.csv", "2.csv", "3.csv"].map(split).into(), attempt: Attempt(2) };
    let mut restored = Filesystem::default().open_discovery(&table.spec, context.clone()).await.unwrap();
    assert_eq!(announced(&mut *restored).await, [""; 0], "what is known waits for the first look");
    table.write("4.csv", "4\n");
    assert_eq!(announced(&mut *restored).await, ["4.csv"]);
    // One that has come while nothing ran.
    let mut later = Filesystem::default().open_discovery(&table.spec, context).await.unwrap();
    assert_eq!(announced(&mut *later).await, ["4.csv"]);
}

/// Files that are moved into a folder together, in about half the time between two listings, so that many a listing sees a part.
#[tokio::test]
async fn files_that_appear_together_are_announced_together() {
    let table = numbers().with("source.monitor-interval", "200ms");
    let mut discovery = Filesystem::default().open_discovery(&table.spec, DiscoveryContext::default()).await.unwrap();
    for round in 0..10 {
        let names: Vec<String> = (0..8).map(|file| format!("{round:02}-{file}.csv")).collect();
        names.iter().for_each(|name| table.write(&format!(".{name}"), "1\n"));
        let moved = names.clone();
        let folder = table.folder.path().to_owned();
        #[expect(
            clippy::disallowed_methods,
            reason = "it takes its time to move files, and begins at any; the test waits for it"
        )]
        let moving = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(20 * round));
            for name in moved {
                std::fs::rename(folder.join(format!(".{name}")), folder.join(name)).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        assert_eq!(announced(&mut *discovery).await, names);
        moving.await.unwrap();
    }
}

#[tokio::test]
async fn splits_that_are_assigned_later_are_read_behind_the_others() {
    let table = numbers().file("1.csv", "1\n").file("2.csv", "2\n");
    let none = Checkpoint::default();
    let mut reader = table.open(0, 1, &none).await.unwrap();
    let mut answer = Answer::default();
    answer.take(reader.next().await.unwrap().unwrap());
    table.write("0.csv", "0\n");
    let more = discover(&Filesystem::default(), &table.spec, &reader.checkpoint()).await.unwrap().split_off(2);
    reader.assign(more, &none).unwrap();
    answer.drain(&mut reader).await.unwrap();
    assert_eq!(answer.rows, ["1", "2", "0"]);
    assert_eq!(answer.checkpoint.finished.len(), 3);
}

/// A `next` that is given up has to lose nothing.
#[tokio::test]
async fn an_abandoned_wait_loses_nothing() {
    let content: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let table = numbers().with("source.split-size", "100").file("f", content.join("\n"));
    let mut source = table.open(0, 1, &Checkpoint::default()).await.unwrap();
    let mut answer = Answer::default();
    loop {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            event = source.next() => match event.unwrap() {
                None => break,
                Some(event) => answer.take(event),
            },
        }
    }
    assert_eq!(answer.rows, content);
}

#[tokio::test]
async fn wrong_options_are_named() {
    for (name, value, part) in [
        ("format", "cvs", "did you mean 'csv'"),
        ("source.split-size", "many", "'source.split-size'"),
        ("source.monitor-interval", "0s", "'source.monitor-interval'"),
        ("compression", "lzo", "'compression'"),
        ("error-policy", "ignore", "'error-policy'"),
        ("csv.field-delimiter", "ab", "'csv.field-delimiter'"),
        ("csv.quote-character", ",", "'csv.quote-character'"),
        ("csv.header", "maybe", "'csv.header'"),
        ("max-record-size", "0", "'max-record-size'"),
    ] {
        contains(&numbers().with(name, value).fails().await, &[part, "'t'"]);
    }
    let both = numbers().with("error-policy", "fail").with("csv.ignore-parse-errors", "true");
    contains(&both.fails().await, &["'csv.ignore-parse-errors'"]);
    let mut nested = Table::new(&[("format", "csv")], &["a ARRAY INT"]);
    contains(&nested.fails().await, &["'a'", "ARRAY<INT>", "CSV"]);
    nested = Table::new(&[("format", "parquet"), ("compression", "gzip")], &["a INT"]);
    contains(&nested.fails().await, &["'compression'"]);
}

#[tokio::test]
async fn all_options_are_told() {
    let given = BTreeMap::from([("format".to_owned(), "csv".to_owned())]);
    let names: Vec<&str> = Filesystem::default().options(&given).iter().map(|option| option.name).collect();
    for name in ["path", "csv.header", "error-policy", "sink.rolling-policy.file-size"] {
        assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name}");
    }
    assert!(!names.contains(&"json.ignore-parse-errors"));
}
