//! A plugin in memory, with all that its code may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use tokio::time::timeout;
use weir_core::connector::{AssignedSplit, Commit, DiscoveryContext, Role, SourceContext, SourceEvent};
use weir_core::plugin::{
    JobDescription, LastEpoch, Linked, OperatorRequest, PLUGIN_CONNECTOR, Plugin, PluginCommit, PluginInfo, PluginRead,
    PluginReader, PluginSink, PluginSource, PluginSplit, PluginSplits, PluginTable, PluginTableKind, TableRequest,
};
use weir_core::{
    Batch, Connector, Epoch, Error, EventTime, JobIdentity, Operator, OperatorUid, Result, Source, Split, TableSpec,
};

use super::PluginTables;
use crate::conformance::{SinkUnderTest, SourceUnderTest, sink, source};

const PATIENCE: Duration = Duration::from_secs(60);

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("v", DataType::Utf8View, true)]))
}

fn table(name: &str, kind: PluginTableKind) -> TableSpec {
    let plugin = PluginTable { artifact: None, table: name.into(), config: Vec::new(), kind };
    TableSpec { plugin: Some(Box::new(plugin)), ..TableSpec::new(name, PLUGIN_CONNECTOR, BTreeMap::new(), columns()) }
}

/// What others see of a sink.
#[derive(Default)]
struct Ledger {
    rows: Vec<i64>,
    last: BTreeMap<String, u64>,
}

/// A plugin whose tables are called by what they do.
#[derive(Default)]
struct Code {
    ledger: Mutex<Ledger>,
    looks: AtomicUsize,
    /// Whether the readers that wait are let go.
    gate: (Mutex<bool>, Condvar),
    reading: AtomicUsize,
    has_ended: AtomicBool,
}

#[derive(Clone)]
struct Shared(Arc<Code>);

impl Plugin for Shared {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "code".into(), version: "0".into() }
    }

    fn job(&self, _arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
        Ok(JobDescription::default())
    }

    fn operator(&self, _request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        Err(Error::user("it has none"))
    }

    fn source(&self, request: &TableRequest) -> Result<Box<dyn PluginSource>> {
        Ok(Box::new(Numbers { of: request.table.clone(), code: self.0.clone() }))
    }

    fn sink(&self, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
        match request.table.as_str() {
            "no-sink" => Err(Error::user("there is no such sink")),
            name => Ok(Box::new(Writer { panics: name == "panics", code: self.0.clone() })),
        }
    }
}

struct Numbers {
    of: String,
    code: Arc<Code>,
}

impl PluginSource for Numbers {
    fn splits(&mut self) -> Result<PluginSplits> {
        let look = self.code.looks.fetch_add(1, Ordering::SeqCst);
        let split = |number: usize| PluginSplit { name: format!("s{number}"), begin: None };
        Ok(match self.of.as_str() {
            "grows" => PluginSplits {
                splits: (0..=look / 3).map(split).collect(),
                again_after: (look < 9).then_some(Duration::from_millis(1)),
            },
            "twice" => PluginSplits { splits: vec![split(1), split(1)], again_after: None },
            // "From now on" is another number each time that it is asked.
            "now" => PluginSplits {
                splits: vec![PluginSplit { name: "s0".into(), begin: Some(format!("{}", look + 1)) }],
                again_after: None,
            },
            "one" | "panics" | "fails" | "tells" => PluginSplits { splits: vec![split(0)], again_after: None },
            _ => PluginSplits { splits: (0..20).map(split).collect(), again_after: None },
        })
    }

    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>> {
        let number: i64 = split.trim_start_matches('s').parse().expect("it is one of its own");
        let next = position.map_or(0, |position| position.parse().expect("it is one of its own"));
        self.code.reading.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Counter { of: self.of.clone(), code: self.code.clone(), number, next, told: 0 }))
    }
}

/// Gives ten numbers of a split, three times as many of every third.
struct Counter {
    of: String,
    code: Arc<Code>,
    number: i64,
    next: i64,
    told: i64,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.code.reading.fetch_sub(1, Ordering::SeqCst);
        self.code.has_ended.store(true, Ordering::SeqCst);
    }
}

impl PluginReader for Counter {
    fn read(&mut self, most: usize) -> Result<PluginRead> {
        match self.of.as_str() {
            "panics" => panic!("a number too many"),
            "fails" => return Err(Error::data("no number").with_help("write another one")),
            "waits" => {
                let is_open = self.code.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.code.gate.1.wait_while(is_open, |is_open| !*is_open));
            }
            "tells" if self.told < 3 => {
                self.told += 1;
                let (position, time) = (self.next.to_string(), Some(EventTime(self.told * 1000)));
                return Ok(PluginRead { records: None, position, time, is_end: false });
            }
            _ => {}
        }
        let last = if self.number % 3 == 0 { 30 } else { 10 };
        let until = last.min(self.next + most as i64);
        let numbers: Vec<i64> = (self.next..until).map(|n| self.number * 100 + n).collect();
        self.next = until;
        let texts = numbers.iter().map(|n| (n % 5 != 0).then(|| format!("text {n}")));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
        let records = RecordBatch::try_new(columns(), vec![numbers, texts])?;
        let (records, is_end) = (Some(records).filter(|rows| rows.num_rows() > 0), self.next == last);
        Ok(PluginRead { records, position: self.next.to_string(), time: None, is_end })
    }
}

struct Writer {
    panics: bool,
    code: Arc<Code>,
}

impl PluginSink for Writer {
    fn commit(&mut self, commit: &PluginCommit, rows: &mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Result<()> {
        assert!(!self.panics, "an epoch too many");
        let mut read: Vec<i64> = Vec::new();
        while let Some(batch) = rows()? {
            read.extend(batch.column(0).as_primitive::<Int64Type>().values());
        }
        let mut ledger = self.code.ledger.lock().unwrap();
        if ledger.last.get(&commit.writer).is_none_or(|last| *last < commit.epoch) {
            ledger.rows.extend(read);
            ledger.last.insert(commit.writer.clone(), commit.epoch);
        }
        Ok(())
    }

    fn last_epoch(&mut self, writer: &str) -> Result<LastEpoch> {
        let ledger = self.code.ledger.lock().unwrap();
        Ok(ledger.last.get(writer).map_or(LastEpoch::None, |epoch| LastEpoch::Is(*epoch)))
    }
}

fn connector(code: &Arc<Code>) -> PluginTables {
    PluginTables::new(Arc::new(Linked(Arc::new(Shared(code.clone())))))
}

struct Known(Arc<Code>);

impl SourceUnderTest for Known {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(connector(&self.0))
    }

    fn table(&self) -> TableSpec {
        table("numbers", PluginTableKind::Source { bounded: true })
    }

    fn rows(&self) -> Vec<String> {
        let row = |n: i64| if n % 5 == 0 { format!("{n}, NULL") } else { format!("{n}, text {n}") };
        (0..20).flat_map(|s| (0..if s % 3 == 0 { 30 } else { 10 }).map(move |n| row(s * 100 + n))).collect()
    }
}

#[async_trait]
impl SinkUnderTest for Known {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(connector(&self.0))
    }

    fn table(&self) -> TableSpec {
        table("ledger", PluginTableKind::Sink)
    }

    async fn visible(&self) -> Vec<i64> {
        let mut rows = self.0.ledger.lock().unwrap().rows.clone();
        rows.sort_unstable();
        rows
    }
}

#[tokio::test]
async fn a_plugins_source_keeps_what_sources_promise() {
    source(&Known(Arc::default())).await;
}

#[tokio::test]
async fn a_plugins_sink_keeps_what_sinks_promise() {
    sink(async |_| Known(Arc::default())).await;
}

async fn reading(code: &Arc<Code>, name: &str, splits: Vec<AssignedSplit>) -> Box<dyn Source> {
    let context = SourceContext { subtask: 0, parallelism: 1, batch_rows: 4 };
    let table = table(name, PluginTableKind::Source { bounded: true });
    let mut source = connector(code).open_source(&table, context).await.unwrap();
    source.assign(splits).unwrap();
    source
}

fn split(name: &str, begin: &str, position: Option<String>) -> AssignedSplit {
    let name: Arc<str> = name.into();
    AssignedSplit { split: Split { sequence: name.clone(), name, description: begin.into() }, position }
}

async fn next(source: &mut Box<dyn Source>) -> Result<SourceEvent> {
    timeout(PATIENCE, source.next()).await.expect("nothing comes")
}

#[tokio::test]
async fn what_goes_wrong_in_a_reader_is_told_with_its_place() {
    for (name, says) in [("panics", "the plugin panicked in `read`: a number too many"), ("fails", "no number")] {
        let error = next(&mut reading(&Arc::default(), name, vec![split("s0", "", None)]).await).await.unwrap_err();
        let report = error.report();
        assert!(report.contains(says) && report.contains(&format!("the plugin's code of table {name}")), "{report}");
        assert_eq!(report.contains("write another one"), name == "fails", "{report}");
    }
}

#[tokio::test]
async fn readers_that_wait_hold_up_nobody_and_end_when_they_return() {
    let code: Arc<Code> = Arc::default();
    let splits = (0..20).map(|number| split(&format!("s{number}"), "", None)).collect();
    let mut source = reading(&code, "waits", splits).await;
    // A wait that is given up while every thread waits too.
    assert!(timeout(Duration::from_millis(20), source.next()).await.is_err());
    drop(source);
    *code.gate.0.lock().unwrap() = true;
    code.gate.1.notify_all();
    let ended = async {
        while code.reading.load(Ordering::SeqCst) > 0 || !code.has_ended.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ended).await.expect("readers are left");
}

#[tokio::test]
async fn time_that_no_row_tells_is_told_again_behind_a_restart() {
    let code: Arc<Code> = Arc::default();
    let mut source = reading(&code, "tells", vec![split("s0", "", None)]).await;
    let mut times = Vec::new();
    while times.len() < 2 {
        match next(&mut source).await.unwrap() {
            SourceEvent::Time { time, .. } => times.push(time.0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, [1000, 2000]);
    let position = source.positions().pop().unwrap().position;
    let mut source = reading(&code, "one", vec![split("s0", "", Some(position))]).await;
    let SourceEvent::Time { time, .. } = next(&mut source).await.unwrap() else { panic!("it has been told nothing") };
    assert_eq!(time, EventTime(2000));
}

#[tokio::test]
async fn from_now_on_is_the_same_now_in_all_executions() {
    let code: Arc<Code> = Arc::default();
    let table = table("now", PluginTableKind::Source { bounded: true });
    let mut known = Vec::new();
    for _ in 0..3 {
        let context = DiscoveryContext { known: known.clone(), ..DiscoveryContext::default() };
        let mut discovery = connector(&code).open_discovery(&table, context).await.unwrap();
        known.extend(discovery.next().await.unwrap().unwrap());
        assert!(discovery.next().await.unwrap().is_none());
    }
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].description, "1");
    let mut source = reading(&code, "one", vec![split("s0", "1", None)]).await;
    let SourceEvent::Rows { records, .. } = next(&mut source).await.unwrap() else { panic!("rows come first") };
    assert_eq!(records.column(0).as_primitive::<Int64Type>().value(0), 1);
}

#[tokio::test]
async fn splits_that_come_later_are_found_once() {
    let code: Arc<Code> = Arc::default();
    let table = table("grows", PluginTableKind::Source { bounded: false });
    let mut discovery = connector(&code).open_discovery(&table, DiscoveryContext::default()).await.unwrap();
    let mut found = Vec::new();
    while let Some(splits) = timeout(PATIENCE, discovery.next()).await.expect("it looks no further").unwrap() {
        found.extend(splits.into_iter().map(|split| split.name));
    }
    assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), ["s0", "s1", "s2", "s3"]);
    let table = super::tests::table("twice", PluginTableKind::Source { bounded: false });
    let refused = connector(&code).open_discovery(&table, DiscoveryContext::default()).await;
    let Err(error) = refused else { panic!("two splits have one name") };
    assert!(error.report().contains("two splits of the source are called 's1'"), "{}", error.report());
}

fn commit_of(rows: Vec<Batch>) -> Commit {
    let (uid, committables) = (OperatorUid("sink-1".into()), vec![b"{\"rows\":1}".to_vec()]);
    let staged = Box::new(rows.into_iter());
    Commit { job: JobIdentity::of("job"), uid, epoch: Epoch(1), committables, staged }
}

#[tokio::test]
async fn what_goes_wrong_in_a_sink_is_told() {
    let code: Arc<Code> = Arc::default();
    let connector = connector(&code);
    let panics = connector.commit(&table("panics", PluginTableKind::Sink), commit_of(Vec::new())).await;
    let report = panics.unwrap_err().report();
    assert!(report.contains("the plugin panicked in `commit`: an epoch too many"), "{report}");
    let context = weir_core::connector::SinkContext {
        job: JobIdentity::of("job"),
        uid: OperatorUid("sink-1".into()),
        subtask: 0,
        attempt: weir_core::Attempt(1),
        epoch: Epoch(0),
    };
    let none = connector.open_sink(&table("no-sink", PluginTableKind::Sink), context).await;
    let Err(error) = none else { panic!("a sink that is not there was opened") };
    assert!(error.report().contains("there is no such sink"), "{}", error.report());
}

#[tokio::test]
async fn a_commit_whose_rows_cannot_be_read_is_not_made() {
    struct Torn(bool);
    #[async_trait]
    impl weir_core::connector::StagedRows for Torn {
        async fn next(&mut self) -> Result<Option<Batch>> {
            if std::mem::replace(&mut self.0, true) {
                return Err(Error::data("torn"));
            }
            let columns: Vec<ArrayRef> =
                vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringViewArray::from(vec![None::<&str>]))];
            Ok(Some(Batch::append(RecordBatch::try_new(columns_of_table(), columns)?)))
        }
    }
    fn columns_of_table() -> SchemaRef {
        columns()
    }
    let code: Arc<Code> = Arc::default();
    let commit = Commit { staged: Box::new(Torn(false)), ..commit_of(Vec::new()) };
    let error = connector(&code).commit(&table("ledger", PluginTableKind::Sink), commit).await.unwrap_err();
    assert!(error.report().contains("torn"), "{}", error.report());
    assert!(code.ledger.lock().unwrap().rows.is_empty());
}

#[test]
fn a_table_is_read_or_written_and_not_both() {
    let tables = PluginTables::unopened();
    let (source, sink) = (table("a", PluginTableKind::Source { bounded: true }), table("b", PluginTableKind::Sink));
    assert!(tables.validate(&source, Role::Source).is_ok() && tables.validate(&sink, Role::Sink).is_ok());
    assert!(tables.validate(&source, Role::Sink).unwrap_err().to_string().contains("'a' cannot be written"));
    assert!(tables.validate(&sink, Role::Source).unwrap_err().to_string().contains("'b' cannot be read"));
    let names: BTreeSet<_> = weir_core::ConnectorRegistry::names(&crate::Registry::builtin()).into_iter().collect();
    assert!(!names.contains(PLUGIN_CONNECTOR), "nobody can name it");
}
