//! Texts in parts: `SPLIT_INDEX`, `SPLIT`, `STR_TO_MAP`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;
use memchr::memchr_iter;

use crate::collections::{FEW, list_of, map_of_texts, text_map};
use crate::definition::{Definition, Integers, Parameter, Text, unchecked};
use crate::output::parts;
use crate::per_thread::Last;
use crate::regex::{Pattern, check_pattern, pattern};

pub(crate) const SPLIT_INDEX: Definition = Definition {
    name: "split_index",
    usage: "SPLIT_INDEX(text, delimiter, index)",
    parameters: &[Parameter::Text, Parameter::IntegerOrText, Parameter::Integer],
    required: 3,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: split_index,
};

pub(crate) const SPLIT: Definition = Definition {
    name: "split",
    usage: "SPLIT(text, delimiter)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| list_of(DataType::Utf8View),
    check: unchecked,
    compute: split,
};

pub(crate) const STR_TO_MAP: Definition = Definition {
    name: "str_to_map",
    usage: "STR_TO_MAP(text[, between_entries, between_key_and_value])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Text],
    required: 1,
    returns: |_, _| text_map(),
    check: |_, arguments| check_pattern(arguments, 1).and_then(|()| check_pattern(arguments, 2)),
    compute: str_to_map,
};

/// Flink's: from 0; no text has no parts; an empty delimiter divides at white space. A delimiter may be the code of a character.
fn split_index(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let text = Text::of(&arguments[0])?;
    let indexes = Integers::of(&arguments[2])?;
    let part_of = |row: usize, delimiter: &str| match (text.at(row), indexes.at(row)) {
        (Some(text), Some(index)) if !text.is_empty() => part(text, delimiter, usize::try_from(index).ok()?),
        _ => None,
    };
    if arguments[1].data_type() == DataType::Int64 {
        let codes = Integers::of(&arguments[1])?;
        let character = |row| char::from_u32(u32::try_from(codes.at(row)?).ok()?);
        return parts(rows, |row| part_of(row, character(row)?.encode_utf8(&mut [0; 4])));
    }
    let delimiters = Text::of(&arguments[1])?;
    parts(rows, |row| part_of(row, delimiters.at(row)?))
}

fn part<'a>(text: &'a str, delimiter: &str, index: usize) -> Option<&'a str> {
    match delimiter.as_bytes() {
        [] => text.split(char::is_whitespace).nth(index),
        [byte] if byte.is_ascii() => {
            // As `str::split`, with the search that is the fastest for a byte.
            let mut ends = memchr_iter(*byte, text.as_bytes());
            let begin = if index == 0 { 0 } else { ends.nth(index - 1)? + 1 };
            Some(&text[begin..ends.next().unwrap_or(text.len())])
        }
        _ => text.split(delimiter).nth(index),
    }
}

/// An empty delimiter divides between any two characters; no text has no parts.
fn split(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, delimiters) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let mut builder = ListBuilder::new(StringViewBuilder::new());
    for row in 0..rows {
        let (Some(text), Some(delimiter)) = (text.at(row), delimiters.at(row)) else {
            builder.append_null();
            continue;
        };
        let values = builder.values();
        match delimiter {
            _ if text.is_empty() => {}
            "" => {
                let mut character = [0; 4];
                text.chars().for_each(|one| values.append_value(one.encode_utf8(&mut character)));
            }
            _ => text.split(delimiter).for_each(|part| values.append_value(part)),
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

/// Delimiters are regular expressions. A key without a value has null; of a key that is there twice the last value counts.
fn str_to_map(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let text = Text::of(&arguments[0])?;
    let delimiter =
        |index: usize, default: &'static str| arguments.get(index).map_or(Ok(Text::Constant(Some(default))), Text::of);
    let (between_entries, between) = (delimiter(1, ",")?, delimiter(2, "=")?);
    let (mut of_entries, mut of_pairs) = (Last::new(), Last::new());
    map_of_texts(rows, |row, entries| {
        let (Some(text), Some(entry), Some(pair)) = (text.at(row), between_entries.at(row), between.at(row)) else {
            return Ok(false);
        };
        let (entry, pair) = (of_entries.of(entry, pattern), of_pairs.of(pair, pattern));
        let (Pattern::Sound(entry), Pattern::Sound(pair)) = (entry.usable()?, pair.usable()?) else {
            return Ok(false);
        };
        // Of an entry's key, where there are many.
        let mut places = HashMap::new();
        for part in entry.regex.split(text).filter(|part| !part.is_empty()) {
            let mut sides = pair.regex.splitn(part, 2);
            let (key, value) = (sides.next().unwrap_or_default(), sides.next());
            let place = match entries.len() {
                ..=FEW => entries.iter().position(|(known, _)| *known == key),
                count => {
                    if places.is_empty() {
                        places.extend(entries.iter().enumerate().map(|(place, (known, _))| (*known, place)));
                    }
                    let place = *places.entry(key).or_insert(count);
                    (place < count).then_some(place)
                }
            };
            match place {
                Some(place) => entries[place].1 = value,
                None => entries.push((key, value)),
            }
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use datafusion_common::ScalarValue;

    use crate::tests::invoke;

    use super::*;

    #[test]
    fn maps_of_many_entries() {
        for keys in [1, FEW, FEW + 1, 30_000] {
            let text: Vec<String> = (0..2 * keys).map(|entry| format!("{}={entry}", entry % keys)).collect();
            let text = ColumnarValue::Scalar(ScalarValue::Utf8View(Some(text.join(","))));
            let map = invoke("str_to_map", vec![text], 1);
            let map = map.as_map();
            let column = |array: &ArrayRef| -> Vec<usize> {
                array.as_string_view().iter().flatten().flat_map(str::parse).collect()
            };
            assert_eq!(column(map.keys()), (0..keys).collect::<Vec<_>>());
            assert_eq!(column(map.values()), (keys..2 * keys).collect::<Vec<_>>());
        }
    }
}
