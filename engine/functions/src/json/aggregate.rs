//! What `JSON_ARRAYAGG` and `JSON_OBJECTAGG` make of the values of a group, which an array lists. Both are called with a letter for the
//! values too: `v`, or `j` if they are JSON already.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;

use super::encode::{Writer, writer};
use super::write::push_text;
use crate::conversion::parts::Ranges;
use crate::definition::Text;
use crate::output::texts;
use crate::polymorphic::{Polymorphic, unchecked};

/// Called with the letter and the values.
pub(crate) const JSON_OF_ARRAY: Polymorphic = Polymorphic {
    name: "json_of_array",
    usage: "JSON_ARRAYAGG(x [NULL | ABSENT ON NULL])",
    coerce: |types| matches!(types, [_, DataType::List(_)]).then(|| vec![DataType::Utf8View, types[1].clone()]),
    returns: |_| DataType::Utf8View,
    check: unchecked,
    compute: json_of_array,
};

/// Called with what is done with nulls (`null` or `absent`), the letter, and rows of key and value.
pub(crate) const JSON_OF_MEMBERS: Polymorphic = Polymorphic {
    name: "json_of_members",
    usage: "JSON_OBJECTAGG(KEY text VALUE x [NULL | ABSENT ON NULL])",
    coerce: |types| {
        let [_, _, list @ DataType::List(member)] = types else { return None };
        let DataType::Struct(fields) = member.data_type() else { return None };
        let has_text = fields.len() == 2 && fields[0].data_type().is_string();
        has_text.then(|| vec![DataType::Utf8View, DataType::Utf8View, list.clone()])
    },
    returns: |_| DataType::Utf8View,
    check: unchecked,
    compute: json_of_members,
};

/// Writes values, or text that is JSON as it is.
fn values(kind: &ColumnarValue, values: &ArrayRef) -> Result<Writer> {
    if Text::of(kind)?.at(0) != Some("j") {
        return Ok(writer(values)?);
    }
    let documents = arrow::compute::cast(values, &DataType::Utf8View)?;
    Ok(Box::new(move |row, out| {
        let document = documents.as_string_view();
        out.push_str(if document.is_valid(row) { document.value(row) } else { "null" });
    }))
}

fn json_of_array(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let lists = arguments[1].to_array(rows)?;
    let ranges = Ranges::of(&lists)?;
    let write = values(&arguments[0], ranges.values())?;
    texts(rows, |row, value| {
        let range = if lists.is_valid(row) { ranges.of_row(row) } else { 0..0 };
        value.push('[')?;
        for (index, element) in range.enumerate() {
            if index > 0 {
                value.push(',')?;
            }
            write(element, value.text());
        }
        value.push(']')?;
        Ok(true)
    })
}

fn json_of_members(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let absent = Text::of(&arguments[0])?.at(0) == Some("absent");
    let lists = arguments[2].to_array(rows)?;
    let ranges = Ranges::of(&lists)?;
    let members = ranges.values().as_struct();
    let keys = arrow::compute::cast(members.column(0), &DataType::Utf8View)?;
    let keys = keys.as_string_view();
    let write = values(&arguments[1], members.column(1))?;
    let nulls = members.column(1).logical_nulls().filter(|_| absent);
    texts(rows, |row, value| {
        let range = if lists.is_valid(row) { ranges.of_row(row) } else { 0..0 };
        // In the order of Java's texts. Of a key that is there twice the last value counts.
        let mut last: BTreeMap<Vec<u16>, usize> = BTreeMap::new();
        for member in range {
            if keys.is_null(member) {
                return Err(DataFusionError::Execution("a key of JSON_OBJECTAGG is null".to_owned()));
            }
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(member)) {
                last.insert(keys.value(member).encode_utf16().collect(), member);
            }
        }
        let out = value.text();
        out.push('{');
        for (index, member) in last.into_values().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_text(out, keys.value(member));
            out.push(':');
            write(member, out);
        }
        out.push('}');
        Ok(true)
    })
}
