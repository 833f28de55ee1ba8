//! Errors of DataFusion that lowering meets. By then names and types are resolved, so what still fails is a shape that
//! DataFusion lets pass and Weir does not know.

use datafusion_common::DataFusionError;
use weir_core::Error;

/// What DataFusion says about an expression that was planned.
pub(super) fn from_planner(error: DataFusionError) -> Error {
    Error::user(error.strip_backtrace())
}
