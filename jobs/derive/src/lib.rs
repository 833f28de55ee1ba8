//! The derives of `weir-jobs`: see `Record` and `State` there.

mod attributes;
mod enumeration;
mod record;
mod state;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a row with a column for each field, or an enum without data a column of text.
///
/// On a field or a variant: `#[record(name = "…")]` is what its column, or its text, is called. On a field,
/// `#[record(event_time)]` says that it is the time at which what the row tells of happened; `#[record(default = "…")]` is the value, as
/// SQL writes it, that the column has in state from before it was added; `#[record(was = "…")]` is the name that the
/// column had in such state. On the struct or the enum: `#[record(rename_all = "snake_case")]`; also `"camelCase"`,
/// `"PascalCase"`, `"SCREAMING_SNAKE_CASE"`, `"kebab-case"`, `"lowercase"` and `"UPPERCASE"`.
#[proc_macro_derive(Record, attributes(record))]
pub fn record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct the state of one key: each field is a piece of state with the field's name.
///
/// `#[state(name = "…")]` on a field names it otherwise. `#[state(dropped = "…")]` on the struct names a piece that earlier versions had: what
/// it held is lost.
#[proc_macro_derive(State, attributes(state))]
pub fn state(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    state::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
