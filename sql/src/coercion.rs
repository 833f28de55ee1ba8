//! Types that expressions get here before DataFusion looks at them: DECIMAL stays exact, whole numbers are signed, times keep their
//! range, ROWs are matched by place, and text travels in one layout; and constants as they are compared.

mod arithmetic;
mod conversions;
mod decimals;
mod float_constants;
mod own_terms;
mod refused_casts;
mod rows;
mod running_sums;
mod signed;
mod strings;
mod sums;
mod texts;
mod times;
mod written;

use arrow::datatypes::DataType;
use datafusion_expr::type_coercion::binary::comparison_coercion;

pub(crate) use arithmetic::is_arithmetic;
pub(crate) use conversions::{Conversions, own_conversions};
pub(crate) use decimals::{ExactDecimals, exact_decimals};
pub(crate) use float_constants::{ComparableConstants, comparable_constants};
pub(crate) use own_terms::{OwnTerms, literal_of, own_terms};
pub(crate) use signed::{SignedNumbers, signed_numbers};
pub(crate) use strings::{StringsAsViews, travelling_type};
pub(crate) use texts::{is_value_of, written_text};

/// The type in which values of these two are compared, if there is one.
pub(crate) fn compared_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let times = [left, right].map(|data_type| times::Part::values(data_type.clone()));
    times::common_type(&times, true)
        .or_else(|| rows::common_type(&[left.clone(), right.clone()], true))
        .or_else(|| comparison_coercion(left, right))
}
