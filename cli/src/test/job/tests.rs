//! Stops at random places, and what steps leave in the folder of a job's state.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use arrow::array::Int32Array;
use weir_cli::test_file::Sql;

use super::super::script::{Planned, Statements};
use super::*;

/// A job over the tables `a` and `b`, and rows for one of them.
fn job(mode: Mode, is_bounded: bool) -> (Arc<World>, Job, RecordBatch) {
    let sql = |line, text: &str| Sql { line, text: text.to_owned() };
    let mut statements = Statements::new(BTreeSet::new());
    statements.add(&sql(1, "CREATE TABLE a (n INT)")).unwrap();
    statements.add(&sql(2, "CREATE TABLE b (n INT)")).unwrap();
    let world = World::new(is_bounded);
    let query = sql(3, "SELECT n, COUNT(*) FROM (SELECT n FROM a UNION ALL SELECT n FROM b) GROUP BY n");
    let Planned { graph, settings, .. } = statements.plan(&query, &world).unwrap();
    let job = Job::new(Arc::new(graph.unwrap()), world.clone(), settings, mode, false).unwrap();
    let (_, schema) = statements.stored("a").unwrap();
    let rows = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from_iter_values(0..20))]).unwrap();
    (world, job, rows)
}

#[tokio::test]
async fn a_query_is_stopped_among_the_rows_of_each_of_its_tables() {
    let mut most = 0;
    for seed in 0..8 {
        let (world, mut job, rows) = job(Mode::Stopped(seed), true);
        job.answer(vec![("a".into(), rows.clone()), ("b".into(), rows)]).await.unwrap();
        assert!(world.attempts() > 2, "seed {seed}: {} executions for two tables", world.attempts());
        most = most.max(world.attempts());
    }
    assert!(most > 3, "some are stopped several times among the rows of one table");
}

#[tokio::test]
async fn only_the_checkpoint_of_the_last_step_is_kept() {
    let (_, mut job, rows) = job(Mode::Steady(2), false);
    for _ in 0..5 {
        job.input("a", rows.clone()).await.unwrap();
    }
    job.leave().await.unwrap();
    let folder = job.folder.as_ref().unwrap().0.join("checkpoints");
    let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let manifests = kept.iter().filter(|name| name.to_string_lossy().ends_with(".json")).count();
    assert_eq!(manifests, 1, "{kept:?}");
}
