//! The examples, all in one cluster of three workers, of which two are killed. (`enrich` has its own test, with a service that goes away.)

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::processes::{Cluster, until};
use crate::functions::declared;
use crate::rust_jobs::{example, rows};

/// Tables of the catalog, over files in a folder that are watched.
fn tables(folder: &TempDir) -> String {
    let table = |name: &str, columns: &str| {
        let path = folder.path().join(name).display().to_string();
        let files = format!("'connector' = 'filesystem', 'path' = '{path}', 'format' = 'json'");
        let watched = if INPUTS.contains(&name) { ", 'source.monitor-interval' = '50 ms'" } else { "" };
        format!("CREATE TABLE {name} ({columns}) WITH ({files}{watched});\n")
    };
    let time = "`at` TIMESTAMP(3) NOT NULL, WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND";
    let action = format!("`user` STRING NOT NULL, page STRING NOT NULL, kind STRING NOT NULL, {time}");
    [
        table("payments", &format!("card STRING NOT NULL, cents BIGINT NOT NULL, {time}")),
        table("rules", "name STRING NOT NULL, payments BIGINT NOT NULL, cents BIGINT NOT NULL, seconds BIGINT NOT NULL"),
        table("alerts", "card STRING, `rule` STRING, payments BIGINT, cents BIGINT, `at` TIMESTAMP(3)"),
        table("actions", &action),
        table("late_actions", &action),
        table(
            "visits",
            "`user` STRING, began TIMESTAMP(3), ended TIMESTAMP(3), views BIGINT, clicks BIGINT, path ARRAY<STRING>, `at` TIMESTAMP(3)",
        ),
        table("rides", &format!("id BIGINT, lat DOUBLE, lon DOUBLE, {time}")),
        table("cells", "id BIGINT, cell STRING"),
        table("centres", "cell STRING, rides BIGINT, lat DOUBLE"),
        table("orders", "id BIGINT NOT NULL, article STRING NOT NULL, cents BIGINT NOT NULL"),
        table("replies", "`order` BIGINT NOT NULL, step STRING NOT NULL, undo BOOLEAN NOT NULL, done BOOLEAN NOT NULL"),
        table("requests", "`order` BIGINT, step STRING, undo BOOLEAN, attempt INT, article STRING, cents BIGINT"),
        table("outcomes", "`order` BIGINT, `result` STRING"),
    ]
    .concat()
}

const INPUTS: [&str; 6] = ["payments", "rules", "actions", "rides", "orders", "replies"];

/// A file with these lines; it is there at once.
fn put(folder: &TempDir, table: &str, name: &str, lines: &[String]) {
    let written = folder.path().join("written");
    std::fs::write(&written, lines.join("\n")).unwrap();
    std::fs::rename(written, folder.path().join(table).join(format!("{name}.json"))).unwrap();
}

/// A line for each number.
fn lines<const COUNT: usize>(line: impl Fn(usize) -> String) -> Vec<String> {
    (0..COUNT).map(line).collect()
}

/// What services have been asked: order, step, whether to undo it, attempt, article.
fn requests(folder: &TempDir) -> Vec<String> {
    rows(folder, "requests", &["order", "step", "undo", "attempt", "article"])
}

/// The services of sagas: each answers what it has not answered yet. A parcel with an anvil is not sent.
fn answer(folder: &TempDir, answered: &mut BTreeSet<String>) {
    let new: Vec<String> = requests(folder).into_iter().filter(|request| !answered.contains(request)).collect();
    let replies = new.iter().map(|request| {
        let words: Vec<&str> = request.split(' ').collect();
        let [order, step, undo, _, article] = words[..] else { panic!("{request}") };
        let done = (step, undo, article) != ("\"send\"", "false", "\"anvil\"");
        format!("{{\"order\":{order},\"step\":{step},\"undo\":{undo},\"done\":{done}}}")
    });
    let replies: Vec<String> = replies.collect();
    if !replies.is_empty() {
        put(folder, "replies", &format!("after-{}", answered.len()), &replies);
        answered.extend(new);
    }
}

const ARTICLES: [&str; 6] = ["boat", "anvil", "lamp", "anvil", "chair", "table"];

/// What comes in before workers are killed, and behind that.
fn feed(folder: &TempDir, again: bool) {
    let name = if again { "second" } else { "first" };
    let order = |id: usize| format!("{{\"id\":{id},\"article\":\"{}\",\"cents\":99}}", ARTICLES[id]);
    let ride = |id: usize| {
        let at = format!("2026-01-01 0{}:00:{id:02}", usize::from(again && id == 8));
        format!("{{\"id\":{id},\"lat\":48.66{id},\"lon\":-4.329,\"at\":\"{at}\"}}")
    };
    let pay = |card: usize, at: &str| format!("{{\"card\":\"c{card}\",\"cents\":100,\"at\":\"2026-01-01 {at}\"}}");
    let act = |user: usize, page: &str, kind: &str, at: &str| {
        format!("{{\"user\":\"u{user}\",\"page\":\"{page}\",\"kind\":\"{kind}\",\"at\":\"2026-01-01 {at}\"}}")
    };
    if !again {
        put(folder, "rules", name, &["{\"name\":\"fast\",\"payments\":3,\"cents\":300,\"seconds\":60}".to_owned()]);
        let twice = [lines::<6>(|card| pay(card, "00:00:00")), lines::<6>(|card| pay(card, "00:00:10"))];
        put(folder, "payments", name, &twice.concat());
        let both = [
            lines::<4>(|user| act(user, "home", "view", "00:00:00")),
            lines::<4>(|user| act(user, "shop", "click", "00:01:00")),
        ];
        put(folder, "actions", name, &both.concat());
        put(folder, "rides", name, &lines::<5>(ride));
        put(folder, "orders", name, &lines::<4>(order));
        return;
    }
    // Every second card within the minute.
    let third = |card: usize| pay(card, if card.is_multiple_of(2) { "00:00:20" } else { "00:05:00" });
    put(folder, "payments", name, &lines::<6>(third));
    // Somebody comes much later, and so the visits before are over.
    let more = [lines::<4>(|user| act(user, "shop", "view", "00:20:00")), vec![act(9, "home", "view", "03:00:00")]];
    put(folder, "actions", name, &more.concat());
    put(folder, "rides", name, &lines::<9>(ride)[5..]);
    // One that is sent again is not begun again.
    put(folder, "orders", name, &[&lines::<6>(order)[4..], &lines::<1>(order)].concat());
}

/// The rows that each job is to have made in the end, no more and none twice.
fn expected() -> [(&'static str, &'static [&'static str], Vec<String>); 6] {
    let ended = |article: &str| if article == "anvil" { "cancelled" } else { "completed" };
    let steps = |article: &str| match article {
        "anvil" => &[("reserve", false), ("charge", false), ("send", false), ("charge", true), ("reserve", true)][..],
        _ => &[("reserve", false), ("charge", false), ("send", false)][..],
    };
    let asked = |(id, article): (usize, &&'static str)| {
        let article = *article;
        steps(article).iter().map(move |(step, undo)| format!("{id} \"{step}\" {undo} 1 \"{article}\""))
    };
    let mut asked: Vec<String> = ARTICLES.iter().enumerate().flat_map(asked).collect();
    asked.sort();
    [
        (
            "alerts",
            &["card", "rule", "payments", "cents"],
            [0, 2, 4].map(|card| format!("\"c{card}\" \"fast\" 3 300")).to_vec(),
        ),
        (
            "visits",
            &["user", "ended", "views", "clicks", "path"],
            lines::<4>(|user| format!("\"u{user}\" \"2026-01-01 00:50:00.000\" 2 1 [\"home\",\"shop\"]")),
        ),
        ("cells", &["id", "cell"], lines::<9>(|id| format!("{id} \"gbsuv\""))),
        ("centres", &["cell", "rides", "lat"], vec!["\"gbsuv\" 8 48.6635".to_owned()]),
        ("outcomes", &["order", "result"], lines::<6>(|id| format!("{id} \"{}\"", ended(ARTICLES[id])))),
        ("requests", &["order", "step", "undo", "attempt", "article"], asked),
    ]
}

#[test]
fn what_the_examples_make_is_whole_though_workers_are_killed() {
    run(&[]);
}

#[test]
fn it_is_also_where_plugins_run_in_processes_of_their_own() {
    run(&["--isolation", "process"]);
}

/// Runs the examples, those that are plugins with these settings.
fn run(settings: &[&str]) {
    let mut cluster = Cluster::start(3, 3);
    cluster.start_worker("spare", 6);
    let folder = tempfile::tempdir().unwrap();
    INPUTS.iter().for_each(|name| std::fs::create_dir(folder.path().join(name)).unwrap());
    let geo = example("geo");
    let functions = declared("geohash", &geo) + &declared("centre", &geo);
    cluster.weir(&["catalog", "apply", "-e", &format!("{}{functions}", tables(&folder))]).code(0);
    let files = ["fraud", "sessions", "order_saga"].map(|name| (name, example(name).display().to_string()));
    let mut jobs: Vec<(&str, Vec<&str>)> =
        files.iter().map(|(name, file)| (*name, [&[file.as_str()], settings].concat())).collect();
    jobs[2].1.extend(["--arg", "timeout-seconds=3600"]);
    let sql = "INSERT INTO cells SELECT id, geohash(lat, lon, 5) FROM rides;
        INSERT INTO centres SELECT geohash(lat, lon, 5), COUNT(*), ROUND(centre(lat, lon).lat, 6)
        FROM TUMBLE(TABLE rides, DESCRIPTOR(`at`), INTERVAL '10' MINUTE) GROUP BY window_start, window_end, geohash(lat, lon, 5);";
    jobs.push(("geo", vec!["-e", sql]));
    for (name, job) in &jobs {
        let submit = ["submit", "--name", name, "--parallelism", "2", "--detach"];
        let often = ["-D", "execution.checkpointing.interval=100ms"];
        cluster.weir(&[&submit[..], job, &often].concat()).code(0);
    }
    feed(&folder, false);
    let mut answered = BTreeSet::new();
    until("rides have cells", || (rows(&folder, "cells", &["id"]).len() == 5).then_some(()));
    for (worker, asked) in [("w1", 4), ("w2", 8)] {
        until("services have been asked", || {
            let there = requests(&folder).len() >= asked;
            there.then(|| answer(&folder, &mut answered))
        });
        jobs.iter().for_each(|(name, _)| drop(cluster.until_checkpoint(name)));
        cluster.kill(worker);
    }
    feed(&folder, true);
    for (table, columns, expected) in &expected() {
        until(&format!("{table} is whole"), || {
            answer(&folder, &mut answered);
            (rows(&folder, table, columns).len() >= expected.len()).then_some(())
        });
    }
    jobs.iter().for_each(|(name, _)| drop(cluster.weir(&["jobs", "stop", name]).code(0)));
    for (table, columns, expected) in expected() {
        assert_eq!(rows(&folder, table, columns), expected, "{table}");
    }
    assert!(rows(&folder, "late_actions", &["user"]).is_empty());
}
