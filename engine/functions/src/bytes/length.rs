//! Bytes of a given length, which casts to `BINARY(n)` and `VARBINARY(n)` have.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use crate::definition::{Bytes, Definition, Integers, Parameter, unchecked};
use crate::output::check_lengths;

/// Cuts off what is too long.
pub(crate) const LEFT_BYTES: Definition = Definition {
    name: "left_bytes",
    usage: "CAST(x AS VARBINARY(n))",
    parameters: &[Parameter::Bytes, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::BinaryView,
    check: unchecked,
    compute: |arguments, rows| of_length(arguments, rows, |_, _, _| Ok(())),
};

/// Cuts off what is too long, and fills up with zeros what is too short.
pub(crate) const RPAD_BYTES: Definition = Definition {
    name: "rpad_bytes",
    usage: "CAST(x AS BINARY(n))",
    parameters: &[Parameter::Bytes, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::BinaryView,
    check: unchecked,
    compute: |arguments, rows| {
        of_length(arguments, rows, |bytes, length, written| {
            check_lengths(length, written + length)?;
            bytes.resize(length, 0);
            Ok(())
        })
    },
};

/// Fills a value up to its length, behind as many bytes of other values.
type Fill = fn(&mut Vec<u8>, usize, usize) -> Result<()>;

fn of_length(arguments: &[ColumnarValue], rows: usize, fill: Fill) -> Result<ArrayRef> {
    let (bytes, lengths) = (Bytes::of(&arguments[0])?, Integers::of(&arguments[1])?);
    let mut builder = BinaryViewBuilder::with_capacity(rows);
    let (mut value, mut written) = (Vec::new(), 0);
    for row in 0..rows {
        let (Some(bytes), Some(length)) = (bytes.at(row), lengths.at(row)) else {
            builder.append_null();
            continue;
        };
        let length = usize::try_from(length).unwrap_or(0);
        value.clear();
        value.extend_from_slice(&bytes[..length.min(bytes.len())]);
        fill(&mut value, length, written)?;
        written += value.len();
        builder.append_value(&value);
    }
    Ok(Arc::new(builder.finish()))
}
