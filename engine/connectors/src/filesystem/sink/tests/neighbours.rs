//! Several jobs in one folder, of the same query or not, and what is removed of whom.
use weir_core::connector::Discard;

use super::*;

fn of_job(job: u64, attempt: u64, epoch: u64) -> SinkContext {
    SinkContext { job: JobIdentity(job), ..context(attempt, epoch) }
}

async fn commit_of(job: u64, table: &TableSpec, epoch: u64, committable: Vec<u8>) {
    let SinkContext { job, uid, .. } = of_job(job, 1, 0);
    let staged = Box::new(Vec::new().into_iter());
    let commit = Commit { job, uid, epoch: Epoch(epoch), committables: vec![committable], staged };
    super::super::commit(table, commit).await.unwrap();
}

fn prepared_files(folder: &Path) -> usize {
    hidden(folder).iter().filter(|name| name.ends_with(".prepared")).count()
}

#[tokio::test]
async fn jobs_of_one_query_leave_each_others_files_alone() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut first = open(&table, of_job(7, 1, 0)).await.unwrap();
    let waiting = prepared(&mut first, 0..3, 5).await;
    kill(first, folder.path());
    // The other one is at a later attempt and an earlier epoch.
    let mut second = open(&table, of_job(8, 4, 2)).await.unwrap();
    let others = prepared(&mut second, 10..12, 5).await;
    kill(second, folder.path());
    drop(open(&table, of_job(7, 2, 5)).await.unwrap());
    assert_eq!(prepared_files(folder.path()), 2);
    commit_of(8, &table, 5, others).await;
    commit_of(7, &table, 5, waiting).await;
    assert_eq!(ids(folder.path()), [0, 1, 2, 10, 11]);
}

/// Of a disk that was copied with its state directory nothing tells the two apart.
#[tokio::test]
async fn what_a_living_writer_has_prepared_stays_whoever_it_is() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut living = open(&table, of_job(7, 1, 0)).await.unwrap();
    let first = prepared(&mut living, 0..3, 5).await;
    let mut copy = open(&table, of_job(7, 2, 4)).await.unwrap();
    let second = prepared(&mut copy, 0..3, 5).await;
    commit_of(7, &table, 5, first).await;
    commit_of(7, &table, 5, second).await;
    assert_eq!(ids(folder.path()), [0, 0, 1, 1, 2, 2]);
    drop((living, copy));
}

#[tokio::test]
async fn what_a_job_leaves_that_has_ended_is_swept() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let discard = async |behind: Option<u64>| {
        let SinkContext { job, uid, .. } = of_job(7, 1, 0);
        let behind = behind.map(|epoch| (Attempt(1), Epoch(epoch)));
        discard(&table, Discard { job, uid, behind }).await.unwrap();
    };
    let mut sink = open(&table, of_job(7, 1, 0)).await.unwrap();
    let shown = prepared(&mut sink, 0..1, 1).await;
    commit_of(7, &table, 1, shown).await;
    let decided = prepared(&mut sink, 1..2, 2).await;
    prepared(&mut sink, 2..3, 3).await;
    sink.write(batch(3..4)).await.unwrap();
    kill(sink, folder.path());
    let mut neighbour = open(&table, of_job(8, 1, 0)).await.unwrap();
    prepared(&mut neighbour, 5..6, 9).await;
    assert_eq!(prepared_files(folder.path()), 3);
    let mut restarted = open(&table, of_job(7, 2, 3)).await.unwrap();
    prepared(&mut restarted, 3..4, 4).await;

    // It was cancelled: its last checkpoint may still be gone on from.
    discard(Some(2)).await;
    assert_eq!(prepared_files(folder.path()), 3, "what it prepares since it was restarted is none of this");
    commit_of(7, &table, 2, decided).await;
    assert_eq!(ids(folder.path()), [0, 1]);
    // It was deleted.
    discard(None).await;
    discard(None).await;
    let of_neighbour = |name: &String| name.starts_with(".weir-0000000000000008-");
    assert!(hidden(folder.path()).iter().all(of_neighbour), "{:?}", hidden(folder.path()));
    assert_eq!((prepared_files(folder.path()), ids(folder.path())), (1, vec![0, 1]));
    drop(neighbour);
}

#[tokio::test]
async fn results_of_an_earlier_job_are_noticed() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    let uid = || context(1, 0).uid;
    assert_eq!(earlier_results(&table, &uid()).await.unwrap(), None);
    table.partitioned_by = vec!["word".to_owned()];
    let mut sink = open(&table, of_job(7, 1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..1, 1).await;
    assert_eq!(earlier_results(&table, &uid()).await.unwrap(), None, "nothing is visible");
    commit_of(7, &table, 1, committable.clone()).await;
    let name = earlier_results(&table, &uid()).await.unwrap().unwrap();
    assert!(name.ends_with(&files(&committable)[0].visible), "{name}");
    let other = OperatorUid("sink-fedcba9876543210".to_owned());
    assert_eq!(earlier_results(&table, &other).await.unwrap(), None, "those of another query are none of this one");
}
