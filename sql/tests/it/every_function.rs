//! Every function of the registry, over every type that it takes: what is planned can be computed, over values, over nulls and
//! over what nulls hide; what cannot is refused when it is planned. No defect, no panic, nothing that shows only row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringViewArray, StructArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use weir_core::{Batch, Collector, Error, ErrorKind, EventTime, HashRange, OpenContext, OperatorSpec};
use weir_functions::Functions;
use weir_functions::conversion::convert;
use weir_operators::CompiledExpr;

/// A column of each type, with a value that many functions take.
const COLUMNS: [(&str, &str, &str); 24] = [
    ("flag", "BOOLEAN", "true"),
    ("tiny", "TINYINT", "1"),
    ("small", "SMALLINT", "2"),
    ("number", "INT", "2"),
    ("big", "BIGINT", "2"),
    ("single", "FLOAT", "0.5"),
    ("double", "DOUBLE", "0.5"),
    ("exact", "DECIMAL(10, 2)", "1.25"),
    ("day", "DATE", "2013-01-31"),
    ("clock", "TIME", "10:00:00"),
    ("seconds", "TIMESTAMP(0)", "9999-12-31 10:00:00"),
    ("millis", "TIMESTAMP(3)", "1969-12-31 23:59:59.999"),
    ("micros", "TIMESTAMP(6)", "1969-12-31 23:59:59.999999"),
    ("nanos", "TIMESTAMP(9)", "2013-01-31 10:00:00.123456789"),
    ("instant", "TIMESTAMP_LTZ(3)", "2013-01-31 10:00:00"),
    ("word", "STRING", "abc"),
    ("bytes", "BYTES", "abc"),
    ("numbers", "ARRAY<BIGINT>", ""),
    ("words", "ARRAY<STRING>", ""),
    ("times", "ARRAY<TIMESTAMP(3)>", ""),
    ("table_", "ARRAY<ARRAY<BIGINT>>", ""),
    ("pairs", "MAP<STRING, INT>", ""),
    ("pair", "ROW<a INT, b STRING>", ""),
    ("pair_list", "ARRAY<ROW<a INT, b STRING>>", ""),
];

fn declaration() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, data_type, _)| format!("{name} {data_type}")).collect();
    let columns = columns.join(", ");
    format!("CREATE TABLE every ({columns}, WATERMARK FOR millis AS millis) WITH ('connector' = 'fake');")
}

/// A value, a null that hides one, and the value again.
fn column(data_type: &DataType, text: &str) -> ArrayRef {
    let value = value(data_type, text);
    let three = concat(&[value.as_ref(), value.as_ref(), value.as_ref()]).unwrap();
    let nulls = NullBuffer::from(vec![true, false, true]);
    make_array(three.to_data().into_builder().nulls(Some(nulls)).build().unwrap())
}

fn value(data_type: &DataType, text: &str) -> ArrayRef {
    let list = |field: &FieldRef| {
        let inner = value(field.data_type(), default_text(field.data_type()));
        let both = concat(&[inner.as_ref(), inner.as_ref()]).unwrap();
        let list =
            arrow::array::ListArray::new(field.clone(), arrow::buffer::OffsetBuffer::from_lengths([2]), both, None);
        Arc::new(list) as ArrayRef
    };
    let row = |fields: &arrow::datatypes::Fields| {
        let columns = fields.iter().map(|field| value(field.data_type(), default_text(field.data_type()))).collect();
        StructArray::new(fields.clone(), columns, None)
    };
    match data_type {
        DataType::List(field) => list(field),
        DataType::Struct(fields) => Arc::new(row(fields)),
        DataType::Map(field, sorted) => {
            let DataType::Struct(fields) = field.data_type() else { unreachable!() };
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([1]);
            Arc::new(arrow::array::MapArray::new(field.clone(), offsets, row(fields), None, *sorted))
        }
        _ => convert(&(Arc::new(StringViewArray::from(vec![text])) as ArrayRef), data_type, false).unwrap(),
    }
}

fn default_text(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(..) => "2013-01-31 10:00:00",
        DataType::Utf8View => "a",
        _ => "1",
    }
}

/// Combinations of columns, one for each different way in which the function takes them.
fn combinations(name: &str, fields: &[FieldRef]) -> Vec<Vec<usize>> {
    let function = Functions::built_in().scalar(name).unwrap();
    // Of more arguments only some types: numbers, text, times and arrays.
    let some: Vec<usize> = [3, 6, 11, 15, 16, 18, 20].to_vec();
    let few: Vec<usize> = [3, 11, 15, 17].to_vec();
    let fewer: Vec<usize> = [4, 15].to_vec();
    let all: Vec<usize> = (0..fields.len()).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for arity in 0..=4 {
        let choices = match arity {
            0..=1 => &all,
            2 => &some,
            3 => &few,
            _ => &fewer,
        };
        let count = choices.len().pow(u32::try_from(arity).unwrap());
        for code in 0..count {
            let mut rest = code;
            let combination: Vec<usize> = (0..arity)
                .map(|_| {
                    let choice = choices[rest % choices.len()];
                    rest /= choices.len();
                    choice
                })
                .collect();
            let given: Vec<FieldRef> = combination.iter().map(|index| fields[*index].clone()).collect();
            let Ok(taken) = fields_with_udf(&given, function.as_ref()) else { continue };
            let types: Vec<String> = taken.iter().map(|field| field.data_type().to_string()).collect();
            if seen.insert(types) {
                found.push(combination);
            }
        }
    }
    found
}

/// What is wrong with an expression, if it is neither refused when planned nor computed.
fn fault(compute: impl FnOnce() -> Result<(), Error>) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(compute));
    match outcome {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("panicked: {}", text.unwrap_or_default()))
        }
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let report = error.report();
            let late = ["not supported", "nsupported", "not implemented", "mplementation"];
            let is_late = error.kind() == ErrorKind::Data && late.iter().any(|word| report.contains(word));
            let is_defect = error.kind() == ErrorKind::Internal || report.contains("this statement cannot be planned");
            (is_late || is_defect).then_some(report)
        }
    }
}

fn compute(expression: &str, records: &RecordBatch) -> Result<(), Error> {
    let script = weir_sql::parse(&format!("{}SELECT {expression} AS result FROM every", declaration()))?;
    let plan = weir_sql::plan(&script, Arc::new(super::connectors::Fakes), &super::options())?;
    let graph = plan.graph.unwrap();
    let calc = graph.nodes().iter().find_map(|node| match &node.spec.operator {
        OperatorSpec::Calc(calc) => Some((node, calc)),
        _ => None,
    });
    let Some((node, calc)) = calc else { return Ok(()) };
    let input: SchemaRef = graph.node(node.spec.inputs[0].from).spec.schema.clone();
    let columns = input.fields().iter().map(|field| records.column_by_name(field.name()).unwrap().clone()).collect();
    let records = RecordBatch::try_new(input.clone(), columns).unwrap();
    for (expression, field) in calc.projection.iter().zip(node.spec.schema.fields()) {
        let compiled = CompiledExpr::with_type(expression, &input, field.data_type(), &Functions::built_in())?;
        let result = compiled.evaluate(&records)?;
        assert_eq!((result.data_type(), result.len()), (field.data_type(), records.num_rows()));
        let travels = weir_functions::layouts::travelling(result.data_type());
        assert_eq!(&travels, result.data_type(), "text and bytes travel as views");
    }
    Ok(())
}

fn records() -> RecordBatch {
    let script = weir_sql::parse(&format!("{}SELECT * FROM every", declaration())).unwrap();
    let plan = weir_sql::plan(&script, Arc::new(super::connectors::Fakes), &super::options()).unwrap();
    let schema = plan.result_schema.unwrap();
    let values: Vec<ArrayRef> =
        schema.fields().iter().zip(COLUMNS).map(|(field, (.., text))| column(field.data_type(), text)).collect();
    RecordBatch::try_new(schema, values).unwrap()
}

/// Runs an aggregation of all rows, phase by phase, to its end.
fn aggregate(call: &str, records: &RecordBatch) -> Result<(), Error> {
    let query = format!(
        "{}SELECT {call} AS result FROM TUMBLE(TABLE every, DESCRIPTOR(millis), INTERVAL '1' DAY) \
         GROUP BY window_start, window_end",
        declaration()
    );
    let plan = weir_sql::plan(&weir_sql::parse(&query)?, Arc::new(super::connectors::Fakes), &super::options())?;
    let graph = plan.graph.unwrap();
    let mut made: BTreeMap<usize, Vec<Batch>> = BTreeMap::new();
    for (id, node) in graph.iter() {
        let schema = node.spec.schema.clone();
        if let OperatorSpec::Source(_) = node.spec.operator {
            let columns = schema.fields().iter().map(|field| records.column_by_name(field.name()).unwrap().clone());
            let records = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
            // A row without a time does not come this far.
            let records = concat_batches(&schema, [&records.slice(0, 1), &records.slice(2, 1)]).unwrap();
            made.insert(id.0, vec![records.into()]);
            continue;
        }
        if matches!(node.spec.operator, OperatorSpec::Discover(_) | OperatorSpec::Sink(_)) {
            continue;
        }
        let mut operator = weir_operators::build(&node.spec, &graph.inputs_of(id)?, &Functions::built_in())
            .map_err(|error| Error::internal("it is refused when the job starts").with_source(error))?;
        operator.tables();
        operator.open(&OpenContext {
            range: HashRange::ALL,
            watermark: EventTime::MIN,
            restored: false,
            has_expired: false,
        })?;
        let mut out = Collector::new(0);
        for edge in &node.spec.inputs {
            for batch in made.get(&edge.from.0).into_iter().flatten() {
                operator.process(edge.ordinal, batch.clone(), &mut out)?;
            }
        }
        operator.release(&mut out)?;
        operator.flush(&mut out)?;
        for capture in operator.capture()? {
            (capture.rows)()?;
        }
        operator.watermark(EventTime::MAX, &mut out)?;
        made.insert(id.0, out.take().into_iter().map(|(_, batch)| batch).collect());
    }
    let rows: usize = made.values().next_back().unwrap().iter().map(Batch::num_rows).sum();
    assert_eq!(rows, 1, "the aggregation has one group");
    Ok(())
}

#[test]
fn every_aggregate_is_computed_or_refused_when_planned() {
    let records = records();
    let mut faults = Vec::new();
    let mut computed = 0;
    for name in Functions::built_in().aggregate_names() {
        if Functions::built_in().aggregate(&name).unwrap().name() != name {
            continue;
        }
        let mut calls = Vec::new();
        for (column, ..) in COLUMNS {
            calls.push(format!("{name}({column})"));
            calls.push(format!("{name}(DISTINCT {column})"));
            calls.push(format!("{name}({column} ORDER BY micros)"));
        }
        for column in ["number", "double", "exact", "word"] {
            for second in ["2", "0.5", "','", "double"] {
                calls.push(format!("{name}({column}, {second})"));
                calls.push(format!("{name}(DISTINCT {column}, {second})"));
                calls.push(format!("{name}({column}, {second} ORDER BY micros)"));
                calls.push(format!("{name}({second}) WITHIN GROUP (ORDER BY {column})"));
            }
        }
        for call in calls {
            let mut ran = false;
            let fault = fault(|| {
                aggregate(&call, &records)?;
                ran = true;
                Ok(())
            });
            computed += usize::from(ran);
            faults.extend(fault.map(|fault| format!("{call}: {fault}")));
        }
    }
    assert!(computed > 500, "{computed}");
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_scalar_function_is_computed_or_refused_when_planned() {
    let records = records();
    let schema = records.schema();
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    let literals = ["year", "2", "a"];
    let mut faults = Vec::new();
    let mut tried = 0;
    for name in Functions::built_in().scalar_names() {
        let function = Functions::built_in().scalar(&name).unwrap();
        // `proctime` is no function of rows, and another name is not another function.
        if function.name() != name || name == "proctime" {
            continue;
        }
        for combination in combinations(&name, &fields) {
            let columns: Vec<&str> = combination.iter().map(|index| COLUMNS[*index].0).collect();
            let mut calls = BTreeSet::new();
            calls.insert(columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>());
            // Constants where they stand for what is often one: first, or all behind the first.
            for literal in literals {
                for constant in [|place: usize| place == 0, |place: usize| place > 0] {
                    let is_text = |index: usize| fields[index].data_type() == &DataType::Utf8View;
                    let argument = |(place, index): (usize, &usize)| match constant(place) && is_text(*index) {
                        true => format!("'{literal}'"),
                        false => COLUMNS[*index].0.to_owned(),
                    };
                    calls.insert(combination.iter().enumerate().map(argument).collect());
                }
            }
            for call in calls {
                tried += 1;
                let expression = format!("{name}({})", call.join(", "));
                if let Some(fault) = fault(|| compute(&expression, &records)) {
                    faults.push(format!("{expression}: {fault}"));
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
}
