//! State that was written, in real files, before its table was changed.

use arrow::array::{Array, AsArray, Decimal128Array, Float32Array, Int32Array, UInt64Array};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use weir_core::hash::hash_rows;
use weir_core::state_column::{with_default, with_id};
use weir_core::{Capture, HashRange, StateRows};

use super::*;
use crate::testing::{MemoryStorage, captured, checkpoint};
use crate::{Manifest, TableState, compaction, read_table};

fn table(columns: Vec<Field>, key_columns: usize) -> TableSchema {
    TableSchema {
        name: "sums".into(),
        version: 1,
        schema: Arc::new(Schema::new(columns)),
        key_columns,
        time_column: None,
        distribution: Distribution::Keyed,
    }
}

/// `id INT, price FLOAT, amount DECIMAL(5, 2), note STRING`: key `id`.
fn before() -> TableSchema {
    let columns = vec![
        with_id(Field::new("id", DataType::Int32, false), 1),
        with_id(Field::new("price", DataType::Float32, false), 2),
        with_id(Field::new("amount", DataType::Decimal128(5, 2), true), 3),
        with_id(Field::new("note", DataType::Utf8, true), 4),
    ];
    table(columns, 1)
}

/// `note` is gone, all else is wider, two columns are new, and nothing is where it was.
fn after() -> TableSchema {
    let columns = vec![
        with_id(Field::new("number", DataType::Int64, false), 1),
        with_default(Field::new("count", DataType::Int64, false), 6, "7"),
        with_id(Field::new("amount", DataType::Decimal128(9, 3), true), 3),
        with_id(Field::new("price", DataType::Float64, true), 2),
        with_id(Field::new("comment", DataType::Utf8View, true), 5),
    ];
    table(columns, 1)
}

fn hashed(rows: RecordBatch, deleted: Option<Vec<bool>>) -> StateRows {
    let mut hashes = Vec::new();
    hash_rows(&rows.columns()[..1], rows.num_rows(), &mut hashes).unwrap();
    StateRows { rows, hashes: UInt64Array::from(hashes), deleted: deleted.map(Into::into) }
}

fn rows_before(ids: &[i32], deleted: Option<Vec<bool>>) -> StateRows {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(ids.to_vec())),
        Arc::new(Float32Array::from_iter_values(ids.iter().map(|id| *id as f32 / 2.0))),
        Arc::new(
            Decimal128Array::from_iter_values(ids.iter().map(|id| i128::from(*id) * 25))
                .with_precision_and_scale(5, 2)
                .unwrap(),
        ),
        Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("note {id}")))),
    ];
    hashed(RecordBatch::try_new(state_column::plain(&before().schema), columns).unwrap(), deleted)
}

fn rows_after(ids: &[i64]) -> StateRows {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(arrow::array::Int64Array::from(ids.to_vec())),
        Arc::new(arrow::array::Int64Array::from(vec![1; ids.len()])),
        Arc::new(Decimal128Array::from(vec![Some(1005); ids.len()]).with_precision_and_scale(9, 3).unwrap()),
        Arc::new(arrow::array::Float64Array::from(vec![None; ids.len()])),
        Arc::new(arrow::array::StringViewArray::from(vec![Some("x"); ids.len()])),
    ];
    hashed(RecordBatch::try_new(state_column::plain(&after().schema), columns).unwrap(), None)
}

fn capture(rows: StateRows) -> Capture {
    Capture { rows: Box::new(move || Ok(vec![rows])), expired: None }
}

fn written(
    storage: &MemoryStorage,
    previous: Option<&Manifest>,
    epoch: u64,
    table: &TableSchema,
    rows: StateRows,
) -> Manifest {
    checkpoint(storage, previous, epoch, vec![captured(table, vec![capture(rows)])])
}

/// `id | count | amount | price | comment`, sorted.
fn read(storage: &MemoryStorage, state: &TableState, parallelism: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for subtask in 0..parallelism {
        for (batch, _) in read_table(storage, state, HashRange::of_subtask(subtask, parallelism)).unwrap() {
            assert_eq!(
                batch.schema(),
                state_column::plain(&after().schema),
                "as the operator declares it, without ids"
            );
            let text = pretty_format_batches(&[batch]).unwrap().to_string();
            lines.extend(text.lines().skip(3).filter(|line| !line.starts_with('+')).map(|line| {
                line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ")
            }));
        }
    }
    lines.sort();
    lines
}

#[test]
fn state_from_before_its_table_was_changed_is_read_as_the_table_is_now() {
    let storage = MemoryStorage::default();
    let first = written(&storage, None, 1, &before(), rows_before(&[1, 2, 3, -4], None));
    let second = written(&storage, Some(&first), 2, &before(), rows_before(&[2], Some(vec![true])));
    let stored = &second.operators[0].tables[0];
    let declared = TableState { schema: after(), ..stored.clone() };
    let expected = ["-4 7 -1.000 -2.0", "1 7 0.250 0.5", "3 7 0.750 1.5"];
    for parallelism in [1, 3] {
        assert_eq!(read(&storage, &declared, parallelism), expected, "{parallelism}");
    }
    // Rows of both layouts in one table, a key of the old ones replaced; then all of them in one run.
    let third = written(&storage, Some(&second), 3, &after(), rows_after(&[3, 9]));
    let mixed = third.operators[0].tables[0].clone();
    assert_eq!(mixed.schema, after(), "a manifest has the table as it was declared last");
    let expected = ["-4 7 -1.000 -2.0", "1 7 0.250 0.5", "3 1 1.005 x", "9 1 1.005 x"];
    assert_eq!(read(&storage, &mixed, 2), expected);
    let run = compaction::merge(&storage, &mixed, 0..3, "runs/0000000000000004-1-merge-0").unwrap();
    assert_eq!(read(&storage, &TableState { runs: vec![run], ..mixed }, 2), expected);
}

#[test]
fn what_has_changed_is_told() {
    let told: Vec<String> = changes(&before(), &after()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "number: Int32 becomes Int64",
            "count is new, and 7 in what is there",
            "amount: Decimal128(5, 2) becomes Decimal128(9, 3)",
            "price: Float32 becomes Float64",
            "price may be null",
            "comment is new, and null in what is there",
            "note is gone",
        ]
    );
    assert_eq!(changes(&before(), &before()), Ok(Vec::new()));
}

#[test]
fn what_cannot_be_read_is_refused_and_says_why() {
    let with = |index: usize, field: Field| {
        let mut fields: Vec<Field> = before().schema.fields().iter().map(|field| (**field).clone()).collect();
        fields[index] = field;
        table(fields, 1)
    };
    let field = |name: &str, data_type, nullable, id| with_id(Field::new(name, data_type, nullable), id);
    let cases = [
        (TableSchema { version: 2, ..before() }, "its layout has version 1, this program's has version 2"),
        (TableSchema { key_columns: 2, ..before() }, "its key is (id), now it is (id, price)"),
        (with(0, field("other", DataType::Int32, false, 9)), "its key is (id), now it is (other)"),
        (TableSchema { distribution: Distribution::Broadcast, ..before() }, "by another rule"),
        (with(0, field("id", DataType::Int16, false, 1)), "column 'id' was Int32 and is Int16"),
        (with(0, field("id", DataType::UInt64, false, 1)), "column 'id' was Int32 and is UInt64"),
        (with(1, field("price", DataType::Int64, false, 2)), "column 'price' was Float32 and is Int64"),
        (with(2, field("amount", DataType::Decimal128(5, 3), true, 3)), "column 'amount' was Decimal128(5, 2)"),
        (with(2, field("amount", DataType::Decimal128(9, 2), false, 3)), "column 'amount' could be null"),
        (with(3, field("note", DataType::Int64, false, 8)), "it has no column 'note'"),
    ];
    for (declared, says) in cases {
        let why = changes(&before(), &declared).unwrap_err();
        assert!(why.contains(says), "{why}");
    }
}

/// Rows without a time stay for good, so a table may begin to have times; it never goes by others.
#[test]
fn rows_may_begin_to_expire() {
    let touched = with_id(Field::new("touched", DataType::Timestamp(TimeUnit::Millisecond, None), true), 9);
    let fields = before().schema.fields().iter().map(|field| (**field).clone()).chain([touched]).collect();
    let without = table(fields, 1);
    let with = TableSchema { time_column: Some(4), ..without.clone() };
    let added = ColumnChange::Added { name: "touched".to_owned(), default: None };
    assert_eq!(changes(&before(), &with), Ok(vec![added]));
    assert_eq!(changes(&with, &with), Ok(Vec::new()));
    let refused = [
        (without.clone(), with.clone()),
        (with.clone(), without.clone()),
        (with, TableSchema { time_column: Some(3), ..without }),
        (before(), TableSchema { time_column: Some(0), ..before() }),
    ];
    for (stored, declared) in &refused {
        let why = changes(stored, declared).unwrap_err();
        assert!(why.contains("its rows expire, or are spread over subtasks, by another rule"), "{why}");
    }
}

/// Where a row belongs follows from the hash of its key, which was computed over the narrower type.
#[test]
fn hashed_columns_widen_only_where_no_hash_changes() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(-7), None]));
    let prices: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.5), Some(-0.0), None]));
    let amounts: ArrayRef =
        Arc::new(Decimal128Array::from(vec![Some(125), Some(-1), None]).with_precision_and_scale(5, 2).unwrap());
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("longer than twelve bytes"), None]));
    let types = [
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(9, 2),
        DataType::Decimal128(9, 3),
        DataType::Utf8View,
        DataType::LargeUtf8,
    ];
    let hashes = |column: &ArrayRef| {
        let mut hashes = Vec::new();
        hash_rows(std::slice::from_ref(column), column.len(), &mut hashes).unwrap();
        hashes
    };
    let mut widened = 0;
    for column in [numbers, prices, amounts, texts] {
        for to in &types {
            if widens(column.data_type(), to, true) {
                let field = Field::new("c", to.clone(), true);
                assert_eq!(
                    hashes(&converted(&column, &field).unwrap()),
                    hashes(&column),
                    "{} to {to}",
                    column.data_type()
                );
                widened += 1;
            }
        }
    }
    assert_eq!(widened, 2 + 2 + 1 + 2, "themselves among the types, and what is wider");
    assert!(widens(&DataType::Decimal128(5, 2), &DataType::Decimal128(9, 3), false));
    assert!(!widens(&DataType::Decimal128(5, 2), &DataType::Decimal128(9, 3), true), "its digits are other ones");
}

#[test]
fn a_value_that_does_not_fit_is_an_error() {
    let column: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![i64::MAX]));
    assert!(converted(&column, &Field::new("c", DataType::Int32, true)).is_err());
    let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![12345]).with_precision_and_scale(5, 2).unwrap());
    let wide = converted(&decimals, &Field::new("c", DataType::Decimal128(9, 3), true)).unwrap();
    assert_eq!(wide.as_primitive::<Decimal128Type>().value(0), 123_450);
    let sevens = repeated("7", &Field::new("c", DataType::Int64, false), 3).unwrap();
    assert_eq!(sevens.as_primitive::<Int64Type>().values(), &[7, 7, 7]);
    let halves = repeated("0.5", &Field::new("c", DataType::Float64, false), 1).unwrap();
    assert_eq!(halves.as_primitive::<Float64Type>().values(), &[0.5]);
    assert!(repeated("x", &Field::new("c", DataType::Int64, false), 1).is_err());
}
