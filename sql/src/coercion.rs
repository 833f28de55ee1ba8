//! Types that expressions get here before DataFusion looks at them: DECIMAL stays exact, whole numbers are signed, and strings travel as
//! views.

mod decimals;
mod signed;
mod strings;

pub(crate) use decimals::{ExactDecimals, exact_decimals};
pub(crate) use signed::{SignedNumbers, signed_numbers};
pub(crate) use strings::{StringsAsViews, travelling_type};
