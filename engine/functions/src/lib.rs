//! The functions that a job may call, scalar and aggregate, by name: [`Functions`] is a value that the planner and the operators are
//! given. The planner resolves names with it and the operators find the code with it, so that a graph holds names alone.

mod adapted;
pub mod arithmetic;
mod bytes;
mod calendar;
mod collections;
pub mod conversion;
mod date_format;
mod definition;
mod digits;
mod extract;
mod extremes;
pub mod failure;
mod field;
pub mod floats;
mod interval;
mod json;
pub mod layouts;
mod like;
mod math;
pub mod nulls;
mod output;
mod pattern;
mod per_thread;
mod plugin;
mod polymorphic;
mod read_time;
mod refused;
mod regex;
mod registry;
mod rounding;
mod sign;
mod text;
mod time;
mod times;
mod to_time;
mod truncate;
mod type_names;
mod type_of;
mod wrapped;
mod zones;

pub use adapted::in_own_terms;
pub use like::like_pattern;
pub use plugin::{group_of_plugin, in_sql};
pub use refused::refused;
pub use registry::Functions;
pub use type_names::types_in_sql;
pub use type_of::sql_type_name;

/// Type of `PROCTIME()`. The function of that name in the registry cannot be computed: the planner makes an operator of
/// it.
pub const PROCESSING_TIME: arrow::datatypes::DataType =
    arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None);

#[cfg(test)]
mod tests;
