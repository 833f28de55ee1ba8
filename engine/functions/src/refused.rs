//! Functions that a job must not call, and what to do instead.
//!
//! A row that is computed again after a crash has to come out as before: whatever reads the clock or draws a random
//! number would make a second, different row of it.

const CLOCK: &str = "it reads the clock, and a row that is computed again after a restart would differ; \
     take the time from a column of the data, or declare a column `proc AS PROCTIME()` for windows in processing time";
const RANDOM: &str = "it is random, and a row that is computed again after a restart would differ; \
     derive the value from the row instead, for instance with `sha256(…)` or `digest(…)` of its key";
const PLACE: &str = "rows do not carry the place they were read from; \
     declare a metadata column of the table, such as `file STRING METADATA FROM 'file.path'`";
const LAMBDA: &str = "functions with a lambda are not supported yet; \
     UNNEST the array, filter or compute on its rows, and aggregate with ARRAY_AGG";
const TYPE_OF_ARGUMENT: &str = "its result has the type of another argument; write CAST(… AS type) or TRY_CAST";
const WATERMARK: &str = "watermarks cannot be read in a query yet; \
     late rows are counted and can be written to a side output";

/// Why the function of that name may not be called and what works instead, if it is one of those.
pub fn refused(name: &str) -> Option<&'static str> {
    match name.to_lowercase().as_str() {
        "now"
        | "current_timestamp"
        | "current_date"
        | "current_time"
        | "today"
        | "localtime"
        | "localtimestamp"
        | "current_row_timestamp"
        | "sysdate" => Some(CLOCK),
        "random" | "rand" | "rand_integer" | "uuid" | "gen_random_uuid" => Some(RANDOM),
        "input_file_name" | "file_row_index" => Some(PLACE),
        "array_any_match" | "any_match" | "list_any_match" | "array_filter" | "list_filter" | "array_first"
        | "list_first" | "array_transform" | "list_transform" => Some(LAMBDA),
        "cast_to_type" | "try_cast_to_type" => Some(TYPE_OF_ARGUMENT),
        "current_watermark" => Some(WATERMARK),
        _ => None,
    }
}
