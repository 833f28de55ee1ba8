#![allow(clippy::unwrap_used)]
use std::io::{self, Write};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int8Array, Int64Array, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampSecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use weir_core::{Attempt, ChangelogKind, OperatorUid};

use super::*;
use crate::terminal::Layout;

#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tape {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct NobodyReads;

impl Write for NobodyReads {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn results_into(out: impl Write + Send + 'static, output: Output, wait: bool) -> Arc<Results> {
    let layout = Layout { out_is_terminal: false, err_is_terminal: false, colour: false };
    Results::new(Arc::new(Screen::new(Box::new(out), Box::new(io::sink()), layout)), output, wait)
}

fn flights() -> RecordBatch {
    let fields = vec![
        Field::new("origin", DataType::Utf8View, true),
        Field::new("rows", DataType::Int64, true),
        Field::new("window_end", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringViewArray::from(vec![Some("JFK"), None, Some("a \"b\", c")])),
        Arc::new(Int64Array::from(vec![Some(7), Some(-1200), None])),
        Arc::new(TimestampMillisecondArray::from(vec![Some(1_357_034_400_000), Some(1), None])),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn one_column(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).unwrap()
}

fn texts(name: &str, values: &[&str]) -> RecordBatch {
    one_column(name, Arc::new(StringViewArray::from(values.to_vec())))
}

async fn printed(output: Output, batches: &[RecordBatch]) -> String {
    let tape = Tape::default();
    let results = results_into(tape.clone(), output, false);
    for batch in batches {
        results.print(batch).unwrap();
    }
    results.finish().await.unwrap();
    tape.text()
}

#[tokio::test]
async fn a_table_aligns_numbers_right_and_shows_nulls() {
    assert_eq!(
        printed(Output::Table, &[flights()]).await,
        "\
┌──────────┬──────────┬─────────────────────────┐
│ origin   │     rows │ window_end              │
├──────────┼──────────┼─────────────────────────┤
│ JFK      │        7 │ 2013-01-01 10:00:00.000 │
│ NULL     │    -1200 │ 1970-01-01 00:00:00.001 │
│ a \"b\", c │     NULL │ NULL                    │
└──────────┴──────────┴─────────────────────────┘
"
    );
}

#[tokio::test]
async fn columns_are_as_wide_as_characters_are_on_screen() {
    assert_eq!(
        printed(Output::Table, &[texts("name", &["日本", "tab\there"])]).await,
        "\
┌───────────┐
│ name      │
├───────────┤
│ 日本      │
│ tab\\there │
└───────────┘
"
    );
}

#[tokio::test]
async fn a_later_wide_value_begins_a_wider_table() {
    let tape = Tape::default();
    let results = results_into(tape.clone(), Output::Table, false);
    results.print(&texts("name", &["short"])).unwrap();
    results.flush(results.lock().as_mut()).unwrap();
    results.print(&texts("name", &["as short", "rather longer"])).unwrap();
    results.finish().await.unwrap();
    assert_eq!(
        tape.text(),
        "\
┌──────────┐
│ name     │
├──────────┤
│ short    │
└──────────┘
┌───────────────┐
│ name          │
├───────────────┤
│ as short      │
│ rather longer │
└───────────────┘
"
    );
}

#[test]
fn a_table_fits_its_terminal_and_brings_its_header_back() {
    let batch = texts("name", &[&"x".repeat(100)]);
    let mut table = table::Table::new(&batch.schema(), Some((40, 20)));
    let mut text = String::new();
    for _ in 0..21 {
        table.rows(&batch, &mut text).unwrap();
    }
    table.close(&mut text);
    assert!(text.lines().all(|line| line.chars().count() == 40), "{text}");
    assert!(text.contains("x… │"), "{text}");
    assert_eq!(text.matches("│ name").count(), 2, "20 rows are a screen");
}

#[test]
fn numbers_and_times_are_never_cut() {
    let batch = flights();
    let mut table = table::Table::new(&batch.schema(), Some((20, 20)));
    let mut text = String::new();
    table.rows(&batch, &mut text).unwrap();
    table.close(&mut text);
    assert!(text.contains("│    -1200 │ 1970-01-01 00:00:00.001 │"), "{text}");
}

#[tokio::test]
async fn json_has_every_key_and_sql_times() {
    let text = printed(Output::Json, &[flights()]).await;
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            serde_json::json!({"origin": "JFK", "rows": 7, "window_end": "2013-01-01 10:00:00.000"}),
            serde_json::json!({"origin": null, "rows": -1200, "window_end": "1970-01-01 00:00:00.001"}),
            serde_json::json!({"origin": "a \"b\", c", "rows": null, "window_end": null}),
        ]
    );
}

#[tokio::test]
async fn csv_quotes_what_needs_it_and_tells_null_from_empty() {
    assert_eq!(
        printed(Output::Csv, &[flights()]).await,
        "origin,rows,window_end\nJFK,7,2013-01-01 10:00:00.000\n,-1200,1970-01-01 00:00:00.001\n\"a \"\"b\"\", c\",,\n"
    );
    assert_eq!(printed(Output::Csv, &[texts("x", &["", "y\nz"])]).await, "x\n\"\"\n\"y\nz\"\n");
}

#[tokio::test]
async fn other_types_print_as_sql_writes_them() {
    let zoned = TimestampMillisecondArray::from(vec![0]).with_timezone("UTC");
    let price = Decimal128Array::from(vec![12_345]).with_precision_and_scale(10, 2).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(zoned)),
        ("price", Arc::new(price)),
        ("ok", Arc::new(BooleanArray::from(vec![true]))),
        ("ratio", Arc::new(Float64Array::from(vec![0.5]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(printed(Output::Csv, &[batch]).await, "at,price,ok,ratio\n1970-01-01 00:00:00.000Z,123.45,true,0.5\n");
}

#[tokio::test]
async fn times_have_the_digits_of_their_type_wherever_they_are() {
    let fine: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_000_001]));
    let coarse: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1]).with_timezone("UTC"));
    let fields = vec![
        Field::new("fine", fine.data_type().clone(), true),
        Field::new("coarse", coarse.data_type().clone(), true),
    ];
    let row: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![fine.clone(), coarse], None));
    let batch = RecordBatch::try_from_iter([("fine", fine), ("row", row)]).unwrap();
    let text = printed(Output::Json, std::slice::from_ref(&batch)).await;
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = serde_json::json!({"fine": "1970-01-01 00:00:01.000001", "coarse": "1970-01-01 00:00:01Z"});
    assert_eq!(line, serde_json::json!({"fine": "1970-01-01 00:00:01.000001", "row": row}));
    let text = printed(Output::Csv, &[batch]).await;
    let row = "(1970-01-01 00:00:01.000001, 1970-01-01 00:00:01Z)";
    assert_eq!(text, format!("fine,row\n1970-01-01 00:00:01.000001,\"{row}\"\n"));
}

#[tokio::test]
async fn a_reader_who_leaves_is_noticed_and_nothing_is_printed_behind_the_hole() {
    let results = results_into(NobodyReads, Output::Json, false);
    assert!(!results.reader_is_gone());
    assert!(results.print(&texts("x", &["1"])).is_err());
    results.until_reader_is_gone().await;
    assert!(results.reader_is_gone());
    assert!(results.finish().await.is_err());
}

fn context() -> SinkContext {
    SinkContext {
        job: Default::default(),
        uid: OperatorUid("sink-1".into()),
        subtask: 0,
        attempt: Attempt(1),
        epoch: Epoch(0),
    }
}

fn table_spec(schema: SchemaRef) -> TableSpec {
    TableSpec::new("result", RESULT_CONNECTOR, BTreeMap::new(), schema)
}

fn commit(epoch: u64, staged: Vec<Batch>) -> Commit {
    let uid = OperatorUid("sink-1".into());
    Commit {
        job: Default::default(),
        uid,
        epoch: Epoch(epoch),
        committables: Vec::new(),
        staged: Box::new(staged.into_iter()),
    }
}

#[tokio::test]
async fn waiting_rows_are_printed_by_their_commit_and_once_only() {
    let tape = Tape::default();
    let connector = ResultConnector(results_into(tape.clone(), Output::Csv, true));
    let table = table_spec(texts("x", &[]).schema());
    let mut sink = connector.open_sink(&table, context()).await.unwrap();
    sink.write(Batch::append(texts("x", &["1", "2"]))).await.unwrap();
    let mut staged = sink.take_staged();
    sink.write(Batch::append(texts("x", &["3"]))).await.unwrap();
    assert_eq!(sink.prepare(Epoch(4)).await.unwrap(), None);
    staged.extend(sink.take_staged());
    assert!(sink.take_staged().is_empty());
    assert_eq!(tape.text(), "");

    // The second time because the first could not be noted.
    for _ in 0..2 {
        connector.commit(&table, commit(4, staged.clone())).await.unwrap();
        assert_eq!(tape.text(), "x\n1\n2\n3\n");
    }
    connector.commit(&table, commit(7, vec![Batch::append(texts("x", &["4"]))])).await.unwrap();
    assert_eq!(tape.text(), "x\n1\n2\n3\n4\n");
}

#[tokio::test]
async fn a_row_that_is_taken_back_is_never_printed_as_one_that_is_added() {
    let taken_back = || Batch::weighted(texts("x", &["1", "1"]), Int8Array::from(vec![1, -1])).unwrap();
    let table = table_spec(texts("x", &[]).schema());
    for wait in [false, true] {
        let tape = Tape::default();
        let connector = ResultConnector(results_into(tape.clone(), Output::Csv, wait));
        assert!(connector.takes(&table, &ChangelogKind::Append));
        for kind in [ChangelogKind::Retract, ChangelogKind::Upsert(vec![0])] {
            assert!(!connector.takes(&table, &kind), "{kind}");
        }
        let mut sink = connector.open_sink(&table, context()).await.unwrap();
        assert!(sink.write(taken_back()).await.is_err());
        assert!(sink.take_staged().is_empty());
        assert!(connector.commit(&table, commit(4, vec![taken_back()])).await.is_err());
        connector.0.finish().await.unwrap();
        assert_eq!(tape.text(), "");
    }
}

#[tokio::test]
async fn values_mean_the_same_in_every_notation() {
    use arrow::array::{BinaryArray, Int32Builder, MapBuilder, StringBuilder, Time64NanosecondArray};
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("f", Arc::new(Float64Array::from(vec![f64::NEG_INFINITY]))),
        ("n", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("b", Arc::new(BinaryArray::from(vec![&b"ab"[..]]))),
        ("t", Arc::new(Time64NanosecondArray::from(vec![45_296_000_000_000]))),
        ("m", Arc::new(map.finish())),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(
        printed(Output::Json, std::slice::from_ref(&rows)).await,
        "{\"f\":\"-Infinity\",\"n\":\"NaN\",\"b\":\"YWI=\",\"t\":\"12:34:56\",\"m\":{\"k\":null}}\n"
    );
    assert_eq!(printed(Output::Csv, &[rows]).await, "f,n,b,t,m\n-Infinity,NaN,YWI=,12:34:56,{k=NULL}\n");
}

#[tokio::test]
async fn what_arrow_cannot_write_is_json_all_the_same() {
    use arrow::array::{Date32Array, Int32Builder, MapBuilder};
    let mut map = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
    map.keys().append_value(7);
    map.values().append_value(1);
    map.append(true).unwrap();
    let columns: [(&str, ArrayRef); 2] =
        [("d", Arc::new(Date32Array::from(vec![-109_552_953]))), ("m", Arc::new(map.finish()))];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(printed(Output::Json, &[rows]).await, "{\"d\":\"-297976-03-15\",\"m\":{\"7\":1}}\n");
}
