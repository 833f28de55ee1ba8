//! A sink, its commits, and what they do to each other: several connectors are several processes here.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BinaryViewArray, MapArray, RecordBatch, StringViewArray, StructArray, TimestampMillisecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use async_trait::async_trait;
use futures::future::join;
use rdkafka::Timestamp;
use rdkafka::message::{Headers, Message};
use tokio::sync::oneshot;
use tokio::time::timeout;
use weir_core::connector::{Commit, Discard, Role, SinkContext, StagedRows};
use weir_core::{Attempt, Batch, Connector, Epoch, JobIdentity, OperatorUid, Result, Sink, TableSpec};
use weir_kafka::Kafka;

use super::cluster::{OpenTransaction, PATIENCE, Record, Topic, unique};
use super::job::{columns, table};

/// A job with a sink, whatever processes there are.
pub(super) struct Job {
    pub(super) table: TableSpec,
    identity: JobIdentity,
    uid: OperatorUid,
    pub(super) commits: Topic,
}

impl Job {
    pub(super) fn new(topic: &Topic, with: &[(&str, &str)]) -> Self {
        Self::apart(topic, format!("commits-{}", std::process::id()), with)
    }

    /// One whose markers are in a topic of its own.
    pub(super) fn alone(topic: &Topic) -> Self {
        Self::apart(topic, unique("commits"), &[])
    }

    fn apart(topic: &Topic, commits: String, with: &[(&str, &str)]) -> Self {
        let with: Vec<(&str, &str)> = with.iter().copied().chain([("sink.commits-topic", &*commits)]).collect();
        Self {
            table: table(topic, &with),
            identity: JobIdentity::of(&unique("job")),
            uid: OperatorUid("sink-1".into()),
            commits: Topic { name: commits.clone() },
        }
    }

    /// Another sink of the same job.
    fn beside(&self, uid: &str) -> Self {
        let commits = Topic { name: self.commits.name.clone() };
        Self { table: self.table.clone(), identity: self.identity, uid: OperatorUid(uid.into()), commits }
    }

    pub(super) async fn try_open(&self, process: &Kafka, epoch: u64) -> Result<Box<dyn Sink>> {
        self.open_in(process, epoch, Attempt(1)).await
    }

    /// As in an attempt behind the first.
    pub(super) async fn try_open_again(&self, process: &Kafka, epoch: u64) -> Result<Box<dyn Sink>> {
        self.open_in(process, epoch, Attempt(2)).await
    }

    async fn open_in(&self, process: &Kafka, epoch: u64, attempt: Attempt) -> Result<Box<dyn Sink>> {
        process.validate(&self.table, Role::Sink)?;
        let (job, uid, epoch) = (self.identity, self.uid.clone(), Epoch(epoch));
        process.open_sink(&self.table, SinkContext { job, uid, subtask: 0, attempt, epoch }).await
    }

    /// A process in which the job has begun behind an epoch.
    pub(super) async fn open(&self, epoch: u64) -> Kafka {
        let process = Kafka::default();
        self.try_open(&process, epoch).await.unwrap();
        process
    }

    pub(super) async fn commit_staged(&self, process: &Kafka, epoch: u64, staged: Box<dyn StagedRows>) -> Result<()> {
        let commit = Commit {
            job: self.identity,
            uid: self.uid.clone(),
            epoch: Epoch(epoch),
            committables: vec![b"{\"rows\":1}".to_vec()],
            staged,
        };
        process.commit(&self.table, commit).await
    }

    pub(super) async fn try_commit(&self, process: &Kafka, epoch: u64, values: &[&str]) -> Result<()> {
        self.commit_staged(process, epoch, Box::new(vec![rows(values)].into_iter())).await
    }

    pub(super) async fn commit(&self, process: &Kafka, epoch: u64, values: &[&str]) {
        self.try_commit(process, epoch, values).await.unwrap();
    }
}

pub(super) fn rows(values: &[&str]) -> Batch {
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(values));
    Batch::append(RecordBatch::try_from_iter_with_nullable([("v", column, true)]).unwrap())
}

/// Rows behind which the reader waits.
struct Halting {
    rows: std::vec::IntoIter<Batch>,
    has_come: Option<oneshot::Sender<()>>,
    goes_on: oneshot::Receiver<()>,
}

#[async_trait]
impl StagedRows for Halting {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let next = Iterator::next(&mut self.rows);
        if next.is_none()
            && let Some(has_come) = self.has_come.take()
        {
            has_come.send(()).unwrap();
            (&mut self.goes_on).await.unwrap();
        }
        Ok(next)
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn an_epoch_is_there_once_however_often_and_by_whomever_it_is_committed() {
    let topic = Topic::new("commits", 3);
    let job = Job::new(&topic, &[]);
    let one = job.open(0).await;
    let other = Kafka::default();
    job.commit(&one, 1, &["a", "b"]).await;
    assert_eq!(topic.committed_values(), ["a", "b"]);
    for process in [&one, &other, &one] {
        job.commit(process, 1, &["a", "b"]).await;
    }
    job.commit(&other, 3, &["c"]).await;
    // It was taken for dead, and does not know what has happened meanwhile.
    for (process, epoch, value) in [(&one, 1, "a"), (&one, 3, "c"), (&one, 4, "d"), (&other, 3, "c"), (&other, 4, "d")]
    {
        job.commit(process, epoch, &[value]).await;
    }
    assert_eq!(topic.committed_values(), ["a", "b", "c", "d"]);
    // A job that goes on finds its marker.
    let third = job.open(4).await;
    job.commit(&third, 4, &["d"]).await;
    job.commit(&third, 5, &["e"]).await;
    assert_eq!(topic.committed_values(), ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn what_a_process_has_begun_that_died_is_not_there_and_does_not_hold_up_readers() {
    let topic = Topic::new("dies", 1);
    let job = Job::new(&topic, &[]);
    let dies = job.open(0).await;
    let (has_come, halts) = oneshot::channel();
    let (_stays, goes_on) = oneshot::channel();
    let staged = Halting { rows: vec![rows(&["a", "b"])].into_iter(), has_come: Some(has_come), goes_on };
    tokio::select! {
        result = job.commit_staged(&dies, 1, Box::new(staged)) => panic!("it has finished: {result:?}"),
        halted = halts => halted.unwrap(),
    }
    drop(dies);
    topic.write(0, &["of others"]);
    let next = Kafka::default();
    job.commit(&next, 1, &["a", "b"]).await;
    assert_eq!(topic.committed_values(), ["a", "b", "of others"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_commit_that_was_overtaken_finds_out_that_it_is_done() {
    let topic = Topic::new("overtaken", 1);
    let job = Arc::new(Job::new(&topic, &[]));
    let slow = job.open(0).await;
    let (has_come, halts) = oneshot::channel();
    let (go_on, goes_on) = oneshot::channel();
    let staged = Halting { rows: vec![rows(&["a"])].into_iter(), has_come: Some(has_come), goes_on };
    let finish = async {
        halts.await.unwrap();
        let quick = Kafka::default();
        job.commit(&quick, 1, &["a"]).await;
        job.commit(&quick, 2, &["b"]).await;
        go_on.send(()).unwrap();
    };
    let (overtaken, ()) = tokio::join!(job.commit_staged(&slow, 1, Box::new(staged)), finish);
    overtaken.unwrap();
    assert_eq!(topic.committed_values(), ["a", "b"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_marker_that_is_lost_is_an_error_until_somebody_decides() {
    let topic = Topic::new("lost", 1);
    let job = Job::alone(&topic);
    let process = job.open(0).await;
    job.commit(&process, 1, &["a"]).await;
    job.commit(&process, 2, &["b"]).await;
    job.commits.delete();
    let refused = |result: Result<()>| result.unwrap_err().report();
    let says = "it cannot be told whether epoch 2 of table 't' was written";
    let next = job.open(2).await;
    // The job has begun anew behind epoch 2. That nothing is said of it does not mean that it is not there.
    let report = refused(job.try_commit(&next, 2, &["b"]).await);
    assert!(report.contains(says), "{report}");
    let id = format!("weir-{}-sink-1", job.identity);
    assert!(report.contains(&format!("write a record with the key {id} into '{}'", job.commits.name)), "{report}");
    // What comes later was not there in any case.
    job.commit(&next, 3, &["c"]).await;

    // As the help says.
    let job = Job::alone(&topic);
    let id = format!("weir-{}-sink-1", job.identity);
    let process = job.open(0).await;
    job.commit(&process, 1, &["d"]).await;
    job.commits.delete();
    drop(process);
    let begun = job.open(1).await;
    assert!(refused(job.try_commit(&begun, 1, &["d"]).await).contains("epoch 1"));
    let partition = i32::try_from(job.identity.0 % 16).unwrap();
    let decide = |value: &str| {
        let record = Record { key: Some(id.as_bytes()), value: Some(value.as_bytes()), ..Record::default() };
        job.commits.write_records(partition, &[record]);
    };
    decide("{\"committed\":1}");
    job.commit(&Kafka::default(), 1, &["d"]).await;
    assert_eq!(topic.committed_values(), ["a", "b", "c", "d"]);
    decide("{\"committed\":0}");
    job.commit(&Kafka::default(), 1, &["d"]).await;
    assert_eq!(topic.committed_values(), ["a", "b", "c", "d", "d"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_marker_behind_the_open_transaction_of_another_job_is_waited_for() {
    let topic = Topic::new("behind", 1);
    let job = Job::alone(&topic);
    let process = job.open(0).await;
    let partition = i32::try_from(job.identity.0 % 16).unwrap();
    let open = OpenTransaction::begin(&job.commits, partition, &["of another job"]);
    job.commit(&process, 1, &["a"]).await;
    let next = Kafka::default();
    let mut again = Box::pin(job.try_commit(&next, 1, &["a"]));
    let early = timeout(Duration::from_secs(2), &mut again).await;
    assert!(early.is_err(), "it has not waited: {early:?}");
    open.abort();
    timeout(PATIENCE, again).await.unwrap().unwrap();
    assert_eq!(topic.committed_values(), ["a"]);
}

/// A process died in the transaction of the second sink.
#[tokio::test]
#[ignore = "wants a broker"]
async fn sinks_of_one_job_that_are_committed_at_once_end_what_the_others_wait_for() {
    let topic = Topic::new("at-once", 1);
    let first = Job::alone(&topic);
    let second = first.beside("sink-2");
    let process = first.open(0).await;
    second.try_open(&process, 0).await.unwrap();
    let partition = i32::try_from(first.identity.0 % 16).unwrap();
    let id = format!("weir-{}-{}", first.identity, second.uid.0);
    let _open = OpenTransaction::begin_as(&id, &first.commits, partition, &["{\"committed\":1}"]);
    let next = Kafka::default();
    let alone = timeout(Duration::from_secs(2), first.try_commit(&next, 1, &["a"])).await;
    assert!(alone.is_err(), "it has not waited: {alone:?}");
    let at_once = join(first.try_commit(&next, 1, &["a"]), second.try_commit(&next, 1, &["b"]));
    let (one, other) = timeout(PATIENCE, at_once).await.expect("they wait for each other");
    one.and(other).unwrap();
    let mut values = topic.committed_values();
    values.sort();
    assert_eq!(values, ["a", "b"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_marker_of_a_job_that_was_deleted_goes() {
    let topic = Topic::new("deleted", 1);
    let job = Job::alone(&topic);
    let process = job.open(0).await;
    job.commit(&process, 1, &["a"]).await;
    let discard = |behind| Discard { job: job.identity, uid: job.uid.clone(), behind };
    process.discard(&job.table, discard(Some((Attempt(1), Epoch(1))))).await.unwrap();
    assert_eq!(job.commits.committed_values(), ["{\"began-behind\":0}", "{\"committed\":1}"]);
    process.discard(&job.table, discard(None)).await.unwrap();
    process.discard(&job.table, discard(None)).await.unwrap();
    assert_eq!(job.commits.committed_values(), ["-", "{\"began-behind\":0}", "{\"committed\":1}"]);
    // A process that knows nothing of that writes nothing.
    assert!(job.try_commit(&process, 1, &["a"]).await.is_err());
    assert_eq!(topic.committed_values(), ["a"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn at_least_once_rows_are_there_when_the_marker_passes() {
    let topic = Topic::new("directly", 3);
    let job = Job::new(&topic, &[("sink.delivery-guarantee", "at-least-once"), ("sink.partitioner", "round-robin")]);
    let mut sink = job.try_open(&Kafka::default(), 0).await.unwrap();
    sink.write(rows(&["a", "b", "c"])).await.unwrap();
    assert_eq!(sink.prepare(Epoch(1)).await.unwrap(), None);
    assert!(sink.take_staged().is_empty());
    let mut found = topic.committed_records(|partition, _| partition);
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2]);

    let job = Job::new(&topic, &[("sink.delivery-guarantee", "at-least-once")]);
    let mut sink = job.try_open(&Kafka::default(), 0).await.unwrap();
    let large = "x".repeat(2_000_000);
    let report = sink.write(rows(&[&large])).await.unwrap_err().report();
    assert!(report.starts_with(&format!("topic '{}': a record of 2000000 bytes is larger", topic.name)), "{report}");
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn keys_headers_and_times_are_written_and_keys_say_the_partition() {
    let topic = Topic::new("whole", 7);
    let pair = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", DataType::BinaryView, true),
    ]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(pair.clone()), false));
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let fields = [
        ("k_id", DataType::Utf8View),
        ("v", DataType::Utf8View),
        ("$timestamp", time),
        ("$headers", DataType::Map(entries.clone(), false)),
    ];
    let with = [
        ("format", "json"),
        ("key.format", "raw"),
        ("key.fields", "k_id"),
        ("key.fields-prefix", "k_"),
        ("value.fields-include", "EXCEPT_KEY"),
    ];
    let mut job = Job::new(&topic, &[]);
    let commits = job.table.options["sink.commits-topic"].clone();
    job.table = columns(&topic, &fields, &with);
    job.table.options.insert("sink.commits-topic".into(), commits);
    // The partitions are those of Java's clients.
    let keys: ArrayRef = Arc::new(StringViewArray::from(vec![Some("21"), Some("foobar"), None]));
    let values: ArrayRef = Arc::new(StringViewArray::from(vec![Some("x"), None, Some("z")]));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_600_000_000_000, 1, 2]).with_timezone("UTC"));
    let names: ArrayRef = Arc::new(StringViewArray::from(vec!["trace", "empty"]));
    let contents: ArrayRef = Arc::new(BinaryViewArray::from(vec![Some(b"abc".as_ref()), None]));
    let pairs = StructArray::new(pair, vec![names, contents], None);
    let headers: ArrayRef = Arc::new(MapArray::new(entries, OffsetBuffer::from_lengths([2, 0, 0]), pairs, None, false));
    let batch = RecordBatch::try_new(job.table.schema.clone(), vec![keys, values, times, headers]).unwrap();
    let process = job.open(0).await;
    job.commit_staged(&process, 1, Box::new(vec![Batch::append(batch)].into_iter())).await.unwrap();
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let mut found = topic.committed_records(|partition, message| {
        let headers: Vec<String> = message.headers().map_or(Vec::new(), |headers| {
            headers.iter().map(|header| format!("{}={:?}", header.key, text(header.value))).collect()
        });
        let Timestamp::CreateTime(time) = message.timestamp() else { panic!("no time") };
        let partition = message.key().map(|_| partition);
        (text(message.key()), partition, text(message.payload()).unwrap(), time, headers.join(" "))
    });
    found.sort();
    let some = |text: &str| Some(text.to_owned());
    let headers = "trace=Some(\"abc\") empty=None".to_owned();
    assert_eq!(
        found,
        [
            (None, None, "{\"v\":\"z\"}".to_owned(), 2, String::new()),
            (some("21"), Some(3), "{\"v\":\"x\"}".to_owned(), 1_600_000_000_000, headers),
            (some("foobar"), Some(0), "{\"v\":null}".to_owned(), 1, String::new()),
        ]
    );
}
