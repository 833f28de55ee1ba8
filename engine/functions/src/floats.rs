//! Floating-point numbers as they are compared: -0.0 and 0.0 are one value, and all NaNs are one. The kernels go by the bits.

use datafusion_common::ScalarValue;
use weir_core::hash::{canonical_keys, is_ambiguous};

/// Functions of arrays that tell whether elements are equal.
const COMPARE_ELEMENTS: [&str; 18] = [
    "array_contains",
    "array_distinct",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_union",
];

/// Whether the function of that name compares its arguments, or elements of them, with each other.
pub fn compares_arguments(name: &str) -> bool {
    matches!(name, "greatest" | "least") || COMPARE_ELEMENTS.contains(&name)
}

/// The one of all representations of the value that stands for it when it is compared by its bits.
pub fn canonical_scalar(value: ScalarValue) -> ScalarValue {
    if !is_ambiguous(&value.data_type()) {
        return value;
    }
    let canonical = value.to_array().and_then(|array| ScalarValue::try_from_array(&canonical_keys(&array), 0));
    canonical.unwrap_or(value)
}
