//! Types that expressions get here before DataFusion looks at them: DECIMAL stays exact, and strings travel as views.

mod decimals;
mod strings;

pub(crate) use decimals::{ExactDecimals, exact_decimals};
pub(crate) use strings::{StringsAsViews, travelling_type};
