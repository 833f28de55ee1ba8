//! Deaths, restarts, repeated commits.
use super::*;

/// What stays of a sink when nothing waits: up to where all was made visible.
const RECORD: &str = ".weir-0000000000000001-sink-0123456789abcdef.published";

#[tokio::test]
async fn rows_appear_with_the_commit_and_nothing_is_left_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/out");
    let table = table(&path, &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    assert_eq!(sink.prepare(Epoch(1)).await.unwrap(), None, "an epoch without rows makes no file");
    sink.write(batch(0..0)).await.unwrap();
    assert_eq!(sink.prepare(Epoch(2)).await.unwrap(), None);
    let first = prepared(&mut sink, 0..2, 3).await;
    sink.write(batch(2..3)).await.unwrap();
    assert!(visible(&path).is_empty());
    commit(&table, vec![first]).await.unwrap();
    let shown: Vec<(String, Vec<u8>)> = visible(&path).into_iter().collect();
    let [(name, content)] = shown.as_slice() else { panic!("{shown:?}") };
    assert!(name.starts_with("part-89abcdef-0000000000000001-3-0-") && name.ends_with(".json"), "{name}");
    assert_eq!(content, b"{\"id\":0,\"word\":null}\n{\"id\":1,\"word\":\"word number 1\"}\n");
    drop(sink);
    assert_eq!(hidden(&path), [RECORD], "what was not prepared is gone");
}

#[tokio::test]
async fn a_commit_can_be_repeated_and_finished_by_anybody() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[("sink.rolling-policy.rows", "2")]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..7, 1).await;
    kill(sink, folder.path());
    // Somebody has renamed a part of the files and died.
    let files = files(&committable);
    assert_eq!(files.len(), 4);
    for file in &files[1..3] {
        fs::rename(folder.path().join(&file.temporary), folder.path().join(&file.visible)).unwrap();
    }
    for _ in 0..3 {
        commit(&table, vec![committable.clone()]).await.unwrap();
        assert_eq!(ids(folder.path()), (0..7).collect::<Vec<_>>());
    }
    drop(open(&table, context(2, 1)).await.unwrap());
    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), (0..7).collect::<Vec<_>>());
    assert_eq!(hidden(folder.path()), [RECORD]);
}

#[tokio::test]
async fn a_file_of_somebody_else_is_not_replaced() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..3, 1).await;
    let file = folder.path().join(&files(&committable)[0].visible);
    fs::write(&file, "mine").unwrap();
    let error = commit(&table, vec![committable.clone()]).await.unwrap_err();
    assert_eq!((error.kind(), fs::read_to_string(&file).unwrap().as_str()), (ErrorKind::Environment, "mine"));
    fs::remove_file(&file).unwrap();
    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), [0, 1, 2]);
}

#[tokio::test]
async fn the_dead_are_swept_up_and_the_living_left_alone() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut dead = open(&table, context(1, 0)).await.unwrap();
    dead.write(batch(0..3)).await.unwrap();
    kill(dead, folder.path());
    let other = SinkContext { uid: OperatorUid("sink-fedcba9876543210".to_owned()), ..context(1, 0) };
    let mut foreign = open(&table, other).await.unwrap();
    foreign.write(batch(10..11)).await.unwrap();
    kill(foreign, folder.path());
    assert_eq!(hidden(folder.path()).len(), 2, "a lock and a file; those of the other one are gone");

    let mut living = open(&table, context(2, 0)).await.unwrap();
    living.write(batch(0..3)).await.unwrap();
    let mut second = open(&table, context(2, 0)).await.unwrap();
    second.write(batch(3..4)).await.unwrap();
    let of_this_sink = hidden(folder.path()).iter().filter(|name| name.contains("0123456789abcdef")).count();
    assert_eq!(of_this_sink, 4, "the dead one's are gone, both living ones' are there");
    let committables =
        vec![living.prepare(Epoch(1)).await.unwrap().unwrap(), second.prepare(Epoch(1)).await.unwrap().unwrap()];
    drop((living, second));
    // Both have chosen their names before either was there.
    commit(&table, committables).await.unwrap();
    assert_eq!(ids(folder.path()), [0, 1, 2, 3]);
    assert_eq!(hidden(folder.path()), [RECORD], "nobody was writing what another sink had left");
}

/// A checkpoint that was prepared but not completed is written again by the next attempt; one that was completed but
/// not committed is still committed.
#[tokio::test]
async fn a_restart_keeps_what_is_decided_and_drops_what_is_not() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let first = prepared(&mut sink, 0..3, 1).await;
    let _undecided = prepared(&mut sink, 3..5, 2).await;
    sink.write(batch(5..6)).await.unwrap();
    kill(sink, folder.path());

    let mut sink = open(&table, context(2, 1)).await.unwrap();
    assert_eq!(hidden(folder.path()).iter().filter(|name| name.ends_with(".prepared")).count(), 1);
    commit(&table, vec![first]).await.unwrap();
    let second = prepared(&mut sink, 3..6, 2).await;
    commit(&table, vec![second]).await.unwrap();
    drop(sink);
    assert_eq!(ids(folder.path()), (0..6).collect::<Vec<_>>());
    assert_eq!(hidden(folder.path()), [RECORD]);
}

#[tokio::test]
async fn a_query_that_is_run_again_adds_its_rows() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    for _ in 0..3 {
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        let committable = prepared(&mut sink, 0..2, 1).await;
        commit(&table, vec![committable]).await.unwrap();
    }
    assert_eq!(ids(folder.path()), [0, 0, 0, 1, 1, 1]);
}
