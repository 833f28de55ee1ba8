//! Functions that make JSON: `JSON_OBJECT`, `JSON_ARRAY`, `JSON_STRING`, `JSON_QUOTE`, `JSON_UNQUOTE`.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::encode::{Writer, writer};
use super::write::push_text;
use crate::definition::{Definition, Parameter, Text, plan_error, unchecked};
use crate::output::texts;
use crate::polymorphic::{self, Polymorphic};

/// Called with what is done with nulls (`null` or `absent`), a letter for each value (`v`, or `j` if it is JSON already), and the
/// members, each with its key.
pub(crate) const JSON_OBJECT: Polymorphic = Polymorphic {
    name: "json_object",
    usage: "JSON_OBJECT(['key' VALUE x, …] [NULL | ABSENT ON NULL])",
    coerce: |types| {
        let members = types.get(2..)?;
        let is_text = |given: &DataType| given.is_string() || given.is_null();
        let keys_are_text = members.iter().step_by(2).all(is_text) && types[..2].iter().all(is_text);
        let coerced = |(place, given): (usize, &DataType)| match place {
            0 | 1 => DataType::Utf8View,
            _ if place % 2 == 0 => DataType::Utf8View,
            _ => given.clone(),
        };
        (keys_are_text && members.len().is_multiple_of(2)).then(|| types.iter().enumerate().map(coerced).collect())
    },
    returns: |_| DataType::Utf8View,
    check: |arguments| check_form(arguments, 2),
    compute: json_object,
};

/// Called as `json_object`, with values only.
pub(crate) const JSON_ARRAY: Polymorphic = Polymorphic {
    name: "json_array",
    usage: "JSON_ARRAY([x, …] [NULL | ABSENT ON NULL])",
    coerce: |types| {
        let is_text = |given: &DataType| given.is_string() || given.is_null();
        let coerced = |(place, given): (usize, &DataType)| if place < 2 { DataType::Utf8View } else { given.clone() };
        let fits = types.len() >= 2 && types[..2].iter().all(is_text);
        fits.then(|| types.iter().enumerate().map(coerced).collect())
    },
    returns: |_| DataType::Utf8View,
    check: |arguments| check_form(arguments, 1),
    compute: json_array,
};

/// A value as JSON; null stays null.
pub(crate) const JSON_STRING: Polymorphic = Polymorphic {
    name: "json_string",
    usage: "JSON_STRING(x)",
    coerce: |types| (types.len() == 1).then(|| types.to_vec()),
    returns: |_| DataType::Utf8View,
    check: polymorphic::unchecked,
    compute: |arguments, rows, _| {
        let array = arguments[0].to_array(rows)?;
        let (write, nulls) = (writer(&array)?, array.logical_nulls());
        texts(rows, |row, value| {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                return Ok(false);
            }
            write(row, value.text());
            Ok(true)
        })
    },
};

/// A text as JSON, in ASCII.
pub(crate) const JSON_QUOTE: Definition = Definition {
    name: "json_quote",
    usage: "JSON_QUOTE(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let text = Text::of(&arguments[0])?;
        let mut quoted = String::new();
        texts(rows, |row, value| {
            let Some(text) = text.at(row) else { return Ok(false) };
            quoted.clear();
            push_text(&mut quoted, text);
            for character in quoted.chars() {
                match character.is_ascii() {
                    true => value.text().push(character),
                    false => {
                        let mut units = [0; 2];
                        for unit in character.encode_utf16(&mut units) {
                            value.push_str(&format!("\\u{unit:04x}"))?;
                        }
                    }
                }
            }
            Ok(true)
        })
    },
};

/// The text that JSON in quotes stands for; all else stays as it is.
pub(crate) const JSON_UNQUOTE: Definition = Definition {
    name: "json_unquote",
    usage: "JSON_UNQUOTE(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let text = Text::of(&arguments[0])?;
        texts(rows, |row, value| {
            let Some(text) = text.at(row) else { return Ok(false) };
            match text.starts_with('"').then(|| serde_json::from_str::<String>(text)) {
                Some(Ok(unquoted)) => value.push_str(&unquoted)?,
                _ => value.push_str(text)?,
            }
            Ok(true)
        })
    },
};

/// Refuses a call that is not written with the words of the clauses.
fn check_form(arguments: &[Option<&ScalarValue>], every: usize) -> Result<()> {
    let text = |place: usize| arguments.get(place).copied().flatten().and_then(|text| text.try_as_str().flatten());
    let values = (arguments.len().saturating_sub(2)) / every;
    let sound = matches!(text(0), Some("null" | "absent"))
        && text(1).is_some_and(|kinds| kinds.len() == values && kinds.bytes().all(|kind| matches!(kind, b'v' | b'j')));
    match sound {
        true => Ok(()),
        false => plan_error("write JSON_OBJECT('key' VALUE x, …) or JSON_ARRAY(x, …)"),
    }
}

/// The values of a call, those at the first place after `first` and every so many behind it.
struct Values<'a> {
    absent: bool,
    /// Of each value.
    nulls: Vec<Option<NullBuffer>>,
    writers: Vec<Member<'a>>,
}

enum Member<'a> {
    Value(Writer),
    Json(Text<'a>),
}

impl<'a> Values<'a> {
    fn of(arguments: &'a [ColumnarValue], rows: usize, every: usize) -> Result<Self> {
        let (on_null, kinds) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
        let kinds = kinds.at(0).unwrap_or_default().bytes();
        let values = arguments[2..].iter().skip(every - 1).step_by(every);
        let (mut nulls, mut writers) = (Vec::new(), Vec::new());
        for (value, kind) in values.zip(kinds) {
            let array = value.to_array(rows)?;
            writers.push(match kind {
                b'j' => Member::Json(Text::of(value)?),
                _ => Member::Value(writer(&array)?),
            });
            nulls.push(array.logical_nulls());
        }
        Ok(Self { absent: on_null.at(0) == Some("absent"), nulls, writers })
    }

    /// Whether the value of a row is left out.
    fn is_absent(&self, index: usize, row: usize) -> bool {
        self.absent && self.nulls[index].as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write(&self, index: usize, row: usize, out: &mut String) {
        match &self.writers[index] {
            Member::Value(write) => write(row, out),
            Member::Json(text) => out.push_str(text.at(row).unwrap_or("null")),
        }
    }
}

fn json_object(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let values = Values::of(arguments, rows, 2)?;
    let keys = arguments[2..].iter().step_by(2).map(Text::of).collect::<Result<Vec<_>>>()?;
    texts(rows, |row, value| {
        let out = value.text();
        out.push('{');
        for (index, key) in keys.iter().enumerate() {
            let Some(key) = key.at(row) else {
                return Err(datafusion_common::DataFusionError::Execution("a key of JSON_OBJECT is null".to_owned()));
            };
            if values.is_absent(index, row) {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            push_text(out, key);
            out.push(':');
            values.write(index, row, out);
        }
        out.push('}');
        Ok(true)
    })
}

fn json_array(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let values = Values::of(arguments, rows, 1)?;
    texts(rows, |row, value| {
        let out = value.text();
        out.push('[');
        for index in (0..values.nulls.len()).filter(|index| !values.is_absent(*index, row)) {
            if out.len() > 1 {
                out.push(',');
            }
            values.write(index, row, out);
        }
        out.push(']');
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, NullArray};

    use crate::tests::invoke;

    use super::*;

    #[test]
    fn a_value_that_is_always_null_is_absent() {
        let text = |text: &str| ColumnarValue::Scalar(ScalarValue::Utf8View(Some(text.to_owned())));
        let (one, null) =
            (ColumnarValue::Scalar(ScalarValue::Int32(Some(1))), ColumnarValue::Scalar(ScalarValue::Null));
        let nulls = ColumnarValue::Array(Arc::new(NullArray::new(1)));
        for null in [null, nulls] {
            for (given, array, object) in [("absent", "[1]", r#"{"b":1}"#), ("null", "[null,1]", r#"{"a":null,"b":1}"#)]
            {
                let written = invoke("json_array", vec![text(given), text("vv"), null.clone(), one.clone()], 1);
                assert_eq!(written.as_string_view().value(0), array);
                let members = vec![text(given), text("vv"), text("a"), null.clone(), text("b"), one.clone()];
                assert_eq!(invoke("json_object", members, 1).as_string_view().value(0), object);
            }
        }
    }
}
