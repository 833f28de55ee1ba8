#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::Distribution;
use weir_core::plugin::{JobDescription, Linked, OperatorRequest, Plugin, PluginInfo, PluginInput, Spread};

use super::*;

type Emits = fn(Batch, &mut Collector);

/// What the operator of the plugin does with each batch, and to its watermarks.
#[derive(Clone, Copy)]
struct Does {
    emits: Emits,
    sends: fn(EventTime) -> Option<EventTime>,
    tables: fn() -> Vec<TableSchema>,
}

const PASSES_ON: Does = Does { emits: |batch, out| out.emit(batch), sends: |time| Some(time), tables: Vec::new };

impl Operator for Does {
    fn tables(&self) -> Vec<TableSchema> {
        (self.tables)()
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        (self.emits)(batch, out);
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        Ok((self.sends)(time))
    }
}

impl Plugin for Does {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "test".into(), version: "1.0.0".into() }
    }

    fn job(&self, _arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
        Ok(JobDescription::default())
    }

    fn operator(&self, _request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        Ok(Box::new(*self))
    }
}

fn columns(name: &str, nullable: bool) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, nullable)]))
}

fn operator(does: Does) -> Result<PluginOperator> {
    let input = PluginInput { columns: columns("wanted", true), spread: Spread::Stay, takes_retractions: false };
    let spec = PluginSpec {
        artifact: None,
        operator: "pass".into(),
        config: Vec::new(),
        uid: None,
        inputs: vec![input],
        output: columns("made", false),
        changelog: ChangelogKind::Append,
        side_outputs: vec![columns("left_out", true)],
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    };
    PluginOperator::new(&spec, "Plugin(passed)", &Functions::built_in().with_plugins(Arc::new(Linked(Arc::new(does)))))
}

fn batch(values: Vec<Option<i64>>) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from(values));
    Batch::append(RecordBatch::try_from_iter([("given", column)]).unwrap())
}

fn emitted(does: Does) -> Result<Vec<(OutputPort, Batch)>> {
    let mut out = Collector::new(0);
    operator(does)?.process(0, batch(vec![Some(1), Some(2)]), &mut out)?;
    Ok(out.take())
}

fn refused<T>(outcome: Result<T>) -> String {
    let Err(error) = outcome else { panic!("it was not refused") };
    assert_eq!(error.kind(), weir_core::ErrorKind::User, "it is the plugin's mistake");
    error.to_string()
}

#[test]
fn rows_have_the_names_that_the_plugin_reads_and_then_those_that_it_makes() {
    let does = Does {
        emits: |batch, out| {
            assert_eq!(batch.schema().field(0).name(), "wanted");
            out.emit_to(OutputPort::Side(0), batch.clone());
            out.emit(batch);
        },
        ..PASSES_ON
    };
    let emitted = emitted(does).unwrap();
    let names: Vec<_> = emitted.iter().map(|(port, batch)| (*port, batch.schema().field(0).name().clone())).collect();
    assert_eq!(names, [(OutputPort::Side(0), "left_out".to_owned()), (OutputPort::Main, "made".to_owned())]);
}

#[test]
fn what_it_must_not_emit_is_its_mistake() {
    let text = |batch: Batch, out: &mut Collector| {
        let column: ArrayRef = Arc::new(StringViewArray::from(vec!["a"; batch.num_rows()]));
        out.emit(Batch::append(RecordBatch::try_from_iter([("made", column)]).unwrap()));
    };
    let cases: [(Emits, &str); 5] = [
        (text, "it emits rows of (Utf8View), and has declared (Int64)"),
        (|_, out| out.emit(batch(vec![None])), "it emits a null in `made`, which is declared not to be"),
        (|batch, out| out.emit_to(OutputPort::Side(1), batch), "it has no side output 1"),
        (|batch, out| out.emit_to(OutputPort::Rejected, batch), "it rejects records"),
        (
            |batch, out| {
                let (records, _) = batch.into_parts();
                out.emit(Batch::weighted(records, vec![-1, 1].into()).unwrap());
            },
            "it emits rows with weights where it has said that rows are only added",
        ),
    ];
    for (emits, expected) in cases {
        let message = refused(emitted(Does { emits, ..PASSES_ON }));
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("`pass` (Plugin(passed))"), "{message}");
    }
}

#[test]
fn its_watermarks_follow_those_that_it_is_given() {
    let sent = |sends: fn(EventTime) -> Option<EventTime>, times: &[i64]| {
        let mut operator = operator(Does { sends, ..PASSES_ON }).unwrap();
        let mut out = Collector::new(0);
        times.iter().map(|time| operator.watermark(EventTime(*time), &mut out)).collect::<Result<Vec<_>>>()
    };
    assert_eq!(sent(|_| None, &[1, 2]).unwrap(), [None, None]);
    let ahead = refused(sent(|time| Some(EventTime(time.0 + 1)), &[1]));
    assert!(ahead.contains("a watermark that it was not given"), "{ahead}");
    let back = refused(sent(|time| Some(EventTime(10 - time.0)), &[7, 8]));
    assert!(back.contains("its watermark goes back"), "{back}");
}

#[test]
fn state_that_could_not_be_found_again_is_refused() {
    fn table(id: bool) -> TableSchema {
        let field = Field::new("key", DataType::Int64, false);
        let field = if id { state_column::with_id(field, 1) } else { field };
        TableSchema {
            name: "counts".into(),
            version: 1,
            schema: Arc::new(Schema::new(vec![field])),
            key_columns: 1,
            time_column: None,
            distribution: Distribution::Keyed,
        }
    }
    assert!(operator(Does { tables: || vec![table(true)], ..PASSES_ON }).is_ok());
    let message = refused(operator(Does { tables: || vec![table(true), table(true)], ..PASSES_ON }).map(drop));
    assert!(message.contains("two tables `counts`"), "{message}");
    let message = refused(operator(Does { tables: || vec![table(false)], ..PASSES_ON }).map(drop));
    assert!(message.contains("column `key` of its table `counts` has no id"), "{message}");
}
