//! `CONCAT`, `CONCAT_WS` and `ELT`, which take any number of texts.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use crate::definition::{Integers, Text};
use crate::output::{parts, texts};
use crate::polymorphic::{Polymorphic, unchecked};

/// Null if any argument is. Values other than texts are written as a cast writes them.
pub(crate) const CONCAT: Polymorphic = Polymorphic {
    name: "concat",
    usage: "CONCAT(text, …)",
    coerce: |types| (!types.is_empty()).then(|| vec![DataType::Utf8View; types.len()]),
    returns: |_| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows, _| {
        let columns = arguments.iter().map(Text::of).collect::<Result<Vec<_>>>()?;
        texts(rows, |row, value| {
            for column in &columns {
                let Some(text) = column.at(row) else { return Ok(false) };
                value.text().push_str(text);
            }
            Ok(true)
        })
    },
};

/// The texts that are not null, with the first argument between them.
pub(crate) const CONCAT_WS: Polymorphic = Polymorphic {
    name: "concat_ws",
    usage: "CONCAT_WS(separator, text, …)",
    coerce: |types| (types.len() > 1).then(|| vec![DataType::Utf8View; types.len()]),
    returns: |_| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows, _| {
        let columns = arguments.iter().map(Text::of).collect::<Result<Vec<_>>>()?;
        texts(rows, |row, value| {
            let Some(separator) = columns[0].at(row) else { return Ok(false) };
            for (index, text) in columns[1..].iter().filter_map(|column| column.at(row)).enumerate() {
                if index > 0 {
                    value.text().push_str(separator);
                }
                value.text().push_str(text);
            }
            Ok(true)
        })
    },
};

/// The text of that number, from 1; null if there is none.
pub(crate) const ELT: Polymorphic = Polymorphic {
    name: "elt",
    usage: "ELT(number, text, …)",
    coerce: |types| {
        let (number, others) = types.split_first()?;
        let is_text = |given: &DataType| given.is_string() || given.is_null();
        let fits = (number.is_integer() || number.is_null()) && !others.is_empty() && others.iter().all(is_text);
        let text = std::iter::repeat_n(DataType::Utf8View, others.len());
        fits.then(|| std::iter::once(DataType::Int64).chain(text).collect())
    },
    returns: |_| DataType::Utf8View,
    check: unchecked,
    compute: elt,
};

fn elt(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let numbers = Integers::of(&arguments[0])?;
    let columns = arguments[1..].iter().map(Text::of).collect::<Result<Vec<_>>>()?;
    parts(rows, |row| {
        let place = usize::try_from(numbers.at(row)?).ok()?.checked_sub(1)?;
        columns.get(place)?.at(row)
    })
}
