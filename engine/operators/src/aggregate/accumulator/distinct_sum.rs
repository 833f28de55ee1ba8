//! `SUM(DISTINCT …)` of whole numbers and decimals. The distinct values are DataFusion's to find; its sum of them wraps.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, types::*};
use arrow::datatypes::{DataType, i256};
use weir_core::{AggregateCall, AggregateFunction, Error, Result};

/// Whether the sums of this call are found here.
pub(super) fn is_exact(call: &AggregateCall) -> bool {
    let exact = matches!(call.data_type, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..));
    call.distinct && call.function == AggregateFunction::Sum && exact
}

/// The sum of each list of values, of type `data_type`. It is found with room to spare: values come in any order, and what is
/// too much in between may be made up for.
///
/// # Errors
/// A data error if one does not fit.
pub(super) fn sums(name: &str, lists: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    match data_type {
        DataType::Int64 => of_type::<Int64Type>(
            name,
            lists,
            data_type,
            |value| i256::from_i128(value.into()),
            |sum| sum.to_i128()?.try_into().ok(),
        ),
        DataType::UInt64 => of_type::<UInt64Type>(
            name,
            lists,
            data_type,
            |value| i256::from_i128(value.into()),
            |sum| sum.to_i128()?.try_into().ok(),
        ),
        DataType::Decimal128(precision, _) => {
            let greatest = 10_i128.pow(u32::from(*precision)) - 1;
            let fits = |sum: i256| sum.to_i128().filter(|sum| (-greatest..=greatest).contains(sum));
            of_type::<Decimal128Type>(name, lists, data_type, i256::from_i128, fits)
        }
        other => Err(Error::internal(format!("a sum of distinct values has type {other}"))),
    }
}

fn of_type<T: ArrowPrimitiveType>(
    name: &str,
    lists: &ArrayRef,
    data_type: &DataType,
    wide: impl Fn(T::Native) -> i256,
    narrow: impl Fn(i256) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let lists =
        lists.as_list_opt::<i32>().ok_or_else(|| Error::internal("distinct values are kept in another form"))?;
    let sum = |values: Option<ArrayRef>| -> Result<Option<T::Native>> {
        let Some(sum) =
            values.and_then(|values| values.as_primitive::<T>().iter().flatten().map(&wide).reduce(i256::wrapping_add))
        else {
            return Ok(None);
        };
        narrow(sum).map(Some).ok_or_else(|| super::sum::overflow(name, data_type))
    };
    let sums = lists.iter().map(sum).collect::<Result<PrimitiveArray<T>>>()?;
    Ok(Arc::new(sums.with_data_type(data_type.clone())))
}
