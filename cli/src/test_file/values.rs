//! Rows as columns, and columns as rows that can be compared: text has the form in which the engine writes it, whoever has written it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use weir_connectors::formats::encode::{Style, Texts};
use weir_core::{Error, Result};
use weir_functions::conversion::convert;
use weir_functions::sql_type_name;

use super::row::Value;

/// Columns of these rows.
///
/// # Errors
/// The row, from 0, and what is wrong with it.
pub fn batch(rows: &[Vec<Value>], schema: &SchemaRef) -> Result<RecordBatch, (usize, String)> {
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
        if !field.is_nullable()
            && let Some(row) = values.iter().position(|value| value.is_none())
        {
            return Err((row, format!("{} is NOT NULL", field.name())));
        }
        column(&values, field).map_err(|_| misfit(&values, field))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| (0, error.to_string()))
}

/// Which of the values is not of the field's type.
fn misfit(values: &[&Value], field: &Field) -> (usize, String) {
    let row = values.iter().position(|value| column(&[value], field).is_err()).unwrap_or(0);
    let value = values.get(row).and_then(|value| value.as_deref()).unwrap_or("NULL");
    (row, format!("'{value}' is no {} for {}", sql_type_name(field.data_type()), field.name()))
}

fn column(values: &[&Value], field: &Field) -> Result<ArrayRef> {
    let data_type = field.data_type();
    if data_type.is_nested() {
        return nested(values, field);
    }
    let texts: ArrayRef = Arc::new(values.iter().map(|value| value.as_deref()).collect::<StringViewArray>());
    if let DataType::BinaryView | DataType::Utf8View = data_type {
        return Ok(arrow::compute::cast(&texts, data_type)?);
    }
    Ok(convert(&texts, data_type, false)?)
}

/// Values in JSON.
fn nested(values: &[&Value], field: &Field) -> Result<ArrayRef> {
    let schema = Arc::new(Schema::new(vec![Field::new("value", field.data_type().clone(), true)]));
    let lines: Vec<String> =
        values.iter().map(|value| format!("{{\"value\": {}}}\n", value.as_deref().unwrap_or("null"))).collect();
    let mut decoder = arrow::json::ReaderBuilder::new(schema)
        .with_batch_size(lines.len().max(1))
        .build_decoder()
        .map_err(|error| Error::user("no such values can be read").with_source(error))?;
    decoder.decode(lines.concat().as_bytes())?;
    let batch = decoder.flush()?.ok_or_else(|| Error::internal("no values came of JSON"))?;
    Ok(batch.column(0).clone())
}

/// The rows of a batch.
///
/// # Errors
/// If values of a type cannot be written.
pub fn rows(records: &RecordBatch) -> Result<Vec<Vec<Value>>> {
    let records = without_intervals(records)?;
    let texts = Texts::new(&records, Style::SQL)?;
    let fields = records.schema();
    let value = |row: usize, column: usize| {
        let mut text = Vec::new();
        let is_there = texts.write(row, column, &mut text);
        is_there.then(|| compared(String::from_utf8_lossy(&text).into_owned(), fields.field(column).data_type()))
    };
    Ok((0..records.num_rows()).map(|row| (0..texts.width()).map(|column| value(row, column)).collect()).collect())
}

/// What is expected, in the form in which rows come out.
///
/// # Errors
/// The row, from 0, and what is wrong with it.
pub fn expected(expected: &[Vec<Value>], schema: &SchemaRef) -> Result<Vec<Vec<Value>>, (usize, String)> {
    // Not to be read from text: what is written there is what the engine would write.
    let is_text = |field: &Field| field.data_type().is_nested() || matches!(field.data_type(), DataType::Interval(_));
    let fields = schema.fields().iter().map(|field| {
        let data_type = if is_text(field) { DataType::Utf8View } else { field.data_type().clone() };
        Field::new(field.name(), data_type, true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
    let records = batch(expected, &schema)?;
    rows(&records).map_err(|error| (0, error.report()))
}

/// The form of a value in which it is compared: timestamps without zeros that say nothing, doubles to twelve digits.
fn compared(text: String, data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(..) => {
            let text = text.trim_end_matches('Z');
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
            text.to_owned()
        }
        DataType::Float32 | DataType::Float64 => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let rounded: f64 = format!("{number:.11e}").parse().unwrap_or(number);
                // Minus zero is zero.
                (rounded + 0.0).to_string()
            }
            _ => text,
        },
        _ => text,
    }
}

fn without_intervals(records: &RecordBatch) -> Result<RecordBatch> {
    let columns = records.schema_ref().fields().iter().zip(records.columns()).map(|(field, column)| {
        if !matches!(field.data_type(), DataType::Interval(_)) {
            return Ok((field.clone(), column.clone()));
        }
        let text = convert(column, &DataType::Utf8View, false)?;
        Ok((Arc::new(Field::new(field.name(), DataType::Utf8View, true)), text))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(Fields::from(fields))), columns, &options)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use arrow::datatypes::TimeUnit;

    use super::super::row::split;
    use super::*;

    fn schema(types: &[DataType]) -> SchemaRef {
        let fields = types.iter().enumerate().map(|(index, of)| Field::new(format!("c{index}"), of.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// A line, read and written again.
    fn again(line: &str, types: &[DataType]) -> Vec<String> {
        let row = split(line, types).unwrap();
        let records = batch(&[row], &schema(types)).unwrap();
        rows(&records).unwrap().remove(0).into_iter().map(|value| value.unwrap_or("null".into())).collect()
    }

    #[test]
    fn values_have_the_types_of_their_columns() {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let types = [DataType::Decimal128(10, 2), DataType::Float64, DataType::Boolean, time, DataType::Date32];
        assert_eq!(
            again("1.5 0.30000000000000004 true 2024-01-01T10:00:00.5 2024-1-2", &types),
            ["1.50", "0.3", "true", "2024-01-01 10:00:00.5", "2024-01-02"]
        );
        let list = DataType::new_list(DataType::Int32, true);
        assert_eq!(again("[1,null] NULL", &[list, DataType::Int64]), ["[1, NULL]", "null"]);
    }

    #[test]
    fn a_value_that_is_not_of_its_type_is_found() {
        let types = [DataType::Int32];
        let wrong = batch(&[vec![Some("1".into())], vec![Some("x".into())]], &schema(&types)).unwrap_err();
        assert_eq!(wrong, (1, "'x' is no INT for c0".to_owned()));
        let not_null = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, false)]));
        assert_eq!(batch(&[vec![None]], &not_null).unwrap_err(), (0, "a is NOT NULL".to_owned()));
    }
}
