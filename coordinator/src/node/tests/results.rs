//! Rows of a `SELECT`, asked of the leader.

use weir_proto::client::results::reader;
use weir_proto::client::{FilePosition, ResultPiece};

use super::*;

const TOKEN: u64 = 0xff;

/// A coordinator whose job puts rows into a folder, and the storage of that.
fn selecting() -> (Cluster, Arc<dyn Storage>) {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    let url = format!("{}/{}/results/00000000000000ff", cluster.node.state().storage, cluster.node.state().cluster);
    cluster.submit_graph(select(&url), 1).unwrap();
    for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
        cluster.phase(a, 1, phase);
    }
    let storage = cluster.storage.open(&url).unwrap();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.say(a, committed(1));
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 2);
    (cluster, storage)
}

fn expect(cluster: &mut Cluster, namespace: &str, reading: bool) -> Result<ClientResponse, ClientError> {
    cluster.ask(ClientRequest::ExpectResults { namespace: namespace.into(), token: TOKEN, reading })
}

fn read(cluster: &mut Cluster, after: Option<FilePosition>, offset: u64) -> Option<ResultPiece> {
    match cluster.ask(ClientRequest::ReadResults { job: JobRef::Id(JobId(1)), after, offset }) {
        Ok(ClientResponse::Results(piece)) => piece,
        other => panic!("{other:?}"),
    }
}

fn names(storage: &dyn Storage) -> Vec<String> {
    storage.list("").unwrap()
}

#[test]
fn rows_of_committed_epochs_come_in_order_and_go_when_the_next_ones_are_asked_for() {
    let (mut cluster, storage) = selecting();
    for name in ["part-1-0.arrow", "part-1-1.arrow", "part-2-0.arrow"] {
        storage.put(name, name.as_bytes()).unwrap();
    }
    let first = read(&mut cluster, None, 0).unwrap();
    assert_eq!((first.bytes.as_ref(), first.is_last), (b"part-1-0.arrow".as_slice(), true));
    assert_eq!(read(&mut cluster, None, 5).unwrap().bytes.as_ref(), b"1-0.arrow");
    assert_eq!(read(&mut cluster, None, 0), Some(first.clone()), "an answer may be lost");

    let second = read(&mut cluster, Some(first.position), 0).unwrap();
    assert_eq!(second.bytes.as_ref(), b"part-1-1.arrow");
    assert_eq!(names(&*storage), ["part-1-1.arrow", "part-2-0.arrow"]);
    // A worker that had been taken for dead commits once more.
    storage.put("part-1-0.arrow", b"part-1-0.arrow").unwrap();
    assert_eq!(read(&mut cluster, Some(second.position), 0), None, "epoch 2 is not committed");
    assert_eq!(names(&*storage), ["part-2-0.arrow"]);
    cluster.say(SessionId(1), super::committed(2));
    assert_eq!(read(&mut cluster, Some(second.position), 0).unwrap().bytes.as_ref(), b"part-2-0.arrow");
}

#[test]
fn a_file_that_is_too_large_for_an_answer_comes_in_pieces() {
    let (mut cluster, storage) = selecting();
    let file: Vec<u8> = (0..(5 << 19)).map(|n: u32| n.to_le_bytes()[n as usize % 2]).collect();
    storage.put("part-1-0.arrow", &file).unwrap();
    let (mut got, mut pieces) = (Vec::new(), 0);
    loop {
        let piece = read(&mut cluster, None, got.len() as u64).unwrap();
        got.extend_from_slice(&piece.bytes);
        pieces += 1;
        if piece.is_last {
            break;
        }
    }
    assert!(got == file && pieces == 5, "{} bytes in {pieces} pieces", got.len());
}

#[test]
fn who_reads_is_heard_of_again_and_again_and_takes_the_folder_along() {
    let (mut cluster, storage) = selecting();
    expect(&mut cluster, "default", true).unwrap();
    assert_eq!(names(&*storage), [reader(0)]);
    expect(&mut cluster, "default", true).unwrap();
    assert_eq!(names(&*storage), [reader(1)], "another one each time, or nobody could tell");
    storage.put("part-1-0.arrow", b"rows").unwrap();
    expect(&mut cluster, "default", false).unwrap();
    assert_eq!(names(&*storage), [""; 0]);
}

#[test]
fn results_are_those_of_their_namespace_and_of_jobs_that_have_some() {
    let (mut cluster, storage) = selecting();
    storage.put("part-1-0.arrow", b"rows").unwrap();
    let denied = expect(&mut cluster, "others", false).unwrap_err();
    assert_eq!(denied.kind, ClientErrorKind::Denied);
    assert_eq!(names(&*storage), ["part-1-0.arrow"]);

    let (mut without, _, _) = Cluster::running();
    let none = without.ask(ClientRequest::ReadResults { job: JobRef::Id(JobId(1)), after: None, offset: 0 });
    assert_eq!(none.unwrap_err().kind, ClientErrorKind::NotFound);
}

#[test]
fn a_folder_is_one_job_s_and_others_cannot_name_it() {
    let (mut cluster, storage) = selecting();
    storage.put("part-1-0.arrow", b"rows").unwrap();
    let url = format!("{}/{}/results/00000000000000ff", cluster.node.state().storage, cluster.node.state().cluster);
    // Whoever sees a job knows its folder.
    let thief = super::plugins::named(&mut cluster, "thief", select(&url));
    let refused = cluster.ask(thief).unwrap_err();
    assert!(refused.message.contains("a folder that another job has"), "{refused:?}");
    let other = super::plugins::named(&mut cluster, "other", select(&url.replace("ff", "fe")));
    cluster.ask(other).unwrap();
    cluster.submit_graph(select(&url), 1).unwrap();
}

#[test]
fn storage_works_on_so_many_requests_of_clients_and_others_ask_again() {
    let (mut cluster, storage) = selecting();
    storage.put("part-1-0.arrow", b"rows").unwrap();
    cluster.storage_hangs = true;
    let request = |cluster: &mut Cluster, n: u64| {
        let request = ClientRequest::ReadResults { job: JobRef::Id(JobId(1)), after: None, offset: 0 };
        cluster.step(Event::Client(RequestId(10_000 + n), Caller::trusted(), request));
    };
    (0..64).for_each(|n| request(&mut cluster, n));
    assert!(cluster.answers.is_empty(), "all of them wait");
    request(&mut cluster, 64);
    assert_eq!(cluster.answers.pop().unwrap().unwrap_err().kind, ClientErrorKind::Unavailable);
    cluster.storage_goes_on();
    assert_eq!(cluster.answers.len(), 64);
    assert!(read(&mut cluster, None, 0).is_some(), "there is room again");
}

#[test]
fn a_storage_that_is_away_may_be_back_in_a_moment() {
    let (mut cluster, storage) = selecting();
    storage.put("part-1-0.arrow", b"rows").unwrap();
    let (root, away) = (cluster.storage.0.path().join("store"), cluster.storage.0.path().join("away"));
    std::fs::rename(&root, &away).unwrap();
    std::fs::write(&root, b"no folder").unwrap();
    let unread = cluster.ask(ClientRequest::ReadResults { job: JobRef::Id(JobId(1)), after: None, offset: 0 });
    assert_eq!(unread.unwrap_err().kind, ClientErrorKind::Unavailable);
    std::fs::remove_file(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    assert_eq!(read(&mut cluster, None, 0).unwrap().bytes.as_ref(), b"rows");
}
