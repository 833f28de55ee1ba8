//! Jobs that are made with `weir-jobs`, as files, in one process.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::weir::{Ran, command};

/// The file of an example, as cargo has built it for these tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().unwrap();
    let names = [directory.join(format!("lib{name}.so")), directory.join(format!("../lib{name}.so"))];
    names.into_iter().find(|path| path.exists()).expect("cargo builds what the tests depend on")
}

/// The rows of a table in files.
pub fn rows(folder: &TempDir, table: &str, columns: &[&str]) -> Vec<String> {
    let files = std::fs::read_dir(folder.path().join(table)).into_iter().flatten().map(|entry| entry.unwrap().path());
    let visible = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("part-");
    let mut rows: Vec<String> = files
        .filter(visible)
        .flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(&line).unwrap();
            columns.iter().map(|column| row[column].to_string()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn visits_are_those_that_sql_finds() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("actions")).unwrap();
    // Ten users, who do something every few minutes and pause now and then for longer than a visit lasts.
    let (mut random, mut second) = (7_u64, 0);
    let actions: String = (0..3000)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = random >> 33;
            second += number % 240;
            let kind = if number.is_multiple_of(3) { "click" } else { "view" };
            let (day, hour, minute) = (1 + second / 86_400, second / 3600 % 24, second / 60 % 60);
            let at = format!("2026-01-{day:02} {hour:02}:{minute:02}:{:02}", second % 60);
            format!(
                "{{\"user\":\"u{}\",\"page\":\"p{}\",\"kind\":\"{kind}\",\"at\":\"{at}\"}}\n",
                number / 7 % 10,
                number % 5
            )
        })
        .collect();
    std::fs::write(folder.path().join("actions/first.json"), actions).unwrap();
    let mut run = command(&["run", "--parallelism", "2", "--arg", "sql=true", "--arg"]);
    run.arg(format!("folder={}", folder.path().display())).arg(example("sessions"));
    Ran::from(run.output().unwrap()).code(0);
    let columns = ["user", "began", "ended", "views", "clicks"];
    let visits = rows(&folder, "visits", &columns);
    assert!(visits.len() > 100, "{} visits", visits.len());
    assert_eq!(visits, rows(&folder, "visits_by_sql", &columns));
    assert!(rows(&folder, "late_actions", &["user"]).is_empty());
    let paths = rows(&folder, "visits", &["path"]);
    assert!(paths.iter().all(|path| path.starts_with('[')), "{}", paths[0]);
}
