//! `PRINTF`, with the format of Java's `Formatter`: `%[index$][flags][width][.precision]conversion`. What is no format, or does not
//! fit its argument, has no result.

use std::iter::Peekable;
use std::str::Chars;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use crate::conversion::convert;
use crate::definition::Text;
use crate::output::{LONGEST_VALUE, Value, texts};
use crate::polymorphic::{Polymorphic, unchecked};

pub(crate) const PRINTF: Polymorphic = Polymorphic {
    name: "printf",
    usage: "PRINTF(format, x, …)",
    coerce: |types| {
        let (format, others) = types.split_first()?;
        let fits = format.is_string() || format.is_null();
        fits.then(|| std::iter::once(DataType::Utf8View).chain(others.iter().cloned()).collect())
    },
    returns: |_| DataType::Utf8View,
    check: unchecked,
    compute: printf,
};

/// More digits than that a floating-point number does not have.
const MOST_DIGITS: usize = 1100;

/// The values of an argument.
enum Column {
    /// Whole numbers of so many bits.
    Whole(u32, Int64Array),
    /// Exact and floating-point numbers, the first with their digits.
    Exact(StringViewArray),
    Floating(Float64Array, StringViewArray),
    Truth(BooleanArray),
    Other(StringViewArray),
}

/// The value of a row.
enum Argument<'a> {
    Null,
    Whole(u32, i64),
    Exact(&'a str),
    /// With what a cast makes of it.
    Floating(f64, &'a str),
    Truth(bool),
    Other(&'a str),
}

impl Column {
    fn of(value: &ColumnarValue, rows: usize) -> Result<Self> {
        let array = value.to_array(rows)?;
        let text =
            || Ok::<_, arrow::error::ArrowError>(convert(&array, &DataType::Utf8View, false)?.as_string_view().clone());
        let whole = |bits| Ok(Column::Whole(bits, cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()));
        match array.data_type() {
            DataType::Int8 | DataType::UInt8 => whole(8),
            DataType::Int16 | DataType::UInt16 => whole(16),
            DataType::Int32 | DataType::UInt32 => whole(32),
            DataType::Int64 => whole(64),
            DataType::Float32 | DataType::Float64 => {
                let numbers = cast(&array, &DataType::Float64)?;
                Ok(Column::Floating(numbers.as_primitive::<Float64Type>().clone(), text()?))
            }
            DataType::Boolean => Ok(Column::Truth(array.as_boolean().clone())),
            data_type if data_type.is_numeric() => Ok(Column::Exact(text()?)),
            _ => Ok(Column::Other(text()?)),
        }
    }

    fn at(&self, row: usize) -> Argument<'_> {
        match self {
            Column::Whole(bits, numbers) if numbers.is_valid(row) => Argument::Whole(*bits, numbers.value(row)),
            Column::Exact(numbers) if numbers.is_valid(row) => Argument::Exact(numbers.value(row)),
            Column::Floating(numbers, texts) if numbers.is_valid(row) => {
                Argument::Floating(numbers.value(row), texts.value(row))
            }
            Column::Truth(truths) if truths.is_valid(row) => Argument::Truth(truths.value(row)),
            Column::Other(texts) if texts.is_valid(row) => Argument::Other(texts.value(row)),
            _ => Argument::Null,
        }
    }
}

fn printf(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let formats = Text::of(&arguments[0])?;
    let columns = arguments[1..].iter().map(|argument| Column::of(argument, rows)).collect::<Result<Vec<_>>>()?;
    texts(rows, |row, value| {
        let Some(format) = formats.at(row) else { return Ok(false) };
        let argument = |index: usize| columns.get(index).map(|column| column.at(row));
        write(value, format, argument)
    })
}

/// Whether there is a result.
fn write<'a>(value: &mut Value, format: &str, argument: impl Fn(usize) -> Option<Argument<'a>>) -> Result<bool> {
    let mut rest = format.chars().peekable();
    let (mut ordinary, mut last) = (0, None);
    while let Some(character) = rest.next() {
        if character != '%' {
            value.push(character)?;
            continue;
        }
        let Some(specifier) = Specifier::read(&mut rest) else { return Ok(false) };
        let text = match specifier.conversion {
            '%' => Some("%".to_owned()),
            'n' => Some("\n".to_owned()),
            _ => {
                let index = match specifier.index {
                    Some(Index::Place(place)) => place.checked_sub(1),
                    Some(Index::Last) => last,
                    None => {
                        ordinary += 1;
                        Some(ordinary - 1)
                    }
                };
                last = index;
                index.and_then(&argument).and_then(|argument| specifier.text(&argument))
            }
        };
        let Some(text) = text else { return Ok(false) };
        let text = if specifier.conversion.is_ascii_uppercase() { text.to_uppercase() } else { text };
        let missing = specifier.width.unwrap_or(0).saturating_sub(text.chars().count());
        if !specifier.has('-') {
            (0..missing).try_for_each(|_| value.push(' '))?;
        }
        value.push_str(&text)?;
        if specifier.has('-') {
            (0..missing).try_for_each(|_| value.push(' '))?;
        }
    }
    Ok(true)
}

#[derive(Debug, Clone, Copy)]
enum Index {
    Place(usize),
    /// The argument before.
    Last,
}

struct Specifier {
    index: Option<Index>,
    flags: String,
    width: Option<usize>,
    precision: Option<usize>,
    conversion: char,
}

impl Specifier {
    fn read(rest: &mut Peekable<Chars<'_>>) -> Option<Self> {
        let mut specifier = Self { index: None, flags: String::new(), width: None, precision: None, conversion: ' ' };
        let mut leading = String::new();
        while let Some(digit) = rest.next_if(|next| next.is_ascii_digit() && (*next != '0' || !leading.is_empty())) {
            leading.push(digit);
        }
        if !leading.is_empty() && rest.next_if_eq(&'$').is_some() {
            specifier.index = Some(Index::Place(leading.parse().ok()?));
            leading.clear();
        }
        if leading.is_empty() {
            while let Some(flag) = rest.next_if(|next| "-#+ 0,(<".contains(*next)) {
                match flag {
                    '<' => specifier.index = Some(Index::Last),
                    _ if specifier.flags.contains(flag) => return None,
                    _ => specifier.flags.push(flag),
                }
            }
            leading = digits(rest);
        }
        specifier.width = if leading.is_empty() { None } else { Some(leading.parse().ok()?) };
        if rest.next_if_eq(&'.').is_some() {
            specifier.precision = Some(digits(rest).parse().ok()?);
        }
        specifier.conversion = rest.next()?;
        let pads = specifier.has('-') || specifier.has('0');
        let contradicts = specifier.has('-') && specifier.has('0') || specifier.has('+') && specifier.has(' ');
        let sound = !(contradicts || pads && specifier.width.is_none());
        let longest = specifier.width.unwrap_or(0).max(specifier.precision.unwrap_or(0));
        (sound && longest <= LONGEST_VALUE).then_some(specifier)
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn text(&self, argument: &Argument<'_>) -> Option<String> {
        let cut = |text: &str| match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        };
        match (self.conversion, argument) {
            ('b' | 'B', Argument::Truth(truth)) => Some(cut(&truth.to_string())),
            ('b' | 'B', Argument::Null) => Some(cut("false")),
            ('b' | 'B', _) => Some(cut("true")),
            ('s' | 'S' | 'd' | 'x' | 'X' | 'o' | 'f' | 'e' | 'E' | 'c' | 'C', Argument::Null) => Some(cut("null")),
            ('s' | 'S', argument) => Some(cut(&match argument {
                Argument::Whole(_, number) => number.to_string(),
                Argument::Truth(truth) => truth.to_string(),
                Argument::Floating(_, text) | Argument::Exact(text) | Argument::Other(text) => (*text).to_owned(),
                Argument::Null => String::new(),
            })),
            ('c' | 'C', Argument::Whole(_, number)) if self.precision.is_none() => {
                char::from_u32(u32::try_from(*number).ok()?).map(String::from)
            }
            ('d', Argument::Whole(_, number)) if self.precision.is_none() => {
                Some(self.number(*number < 0, &number.unsigned_abs().to_string()))
            }
            ('x' | 'X' | 'o', Argument::Whole(bits, number)) if self.precision.is_none() => {
                let unsigned = number.cast_unsigned() & (u64::MAX >> (64 - bits));
                let (prefix, digits) = match self.conversion {
                    'o' => ("0", format!("{unsigned:o}")),
                    _ => ("0x", format!("{unsigned:x}")),
                };
                Some(self.filled(if self.has('#') { prefix } else { "" }, &digits, ""))
            }
            ('f' | 'e' | 'E', Argument::Floating(number, _)) if !number.is_finite() => Some(match number {
                number if number.is_nan() => "NaN".to_owned(),
                number if *number < 0.0 => "-Infinity".to_owned(),
                _ => "Infinity".to_owned(),
            }),
            ('f', Argument::Floating(number, _)) => Some(self.fixed(&number.to_string())),
            ('f', Argument::Exact(digits)) => Some(self.fixed(digits)),
            ('e' | 'E', Argument::Floating(number, _)) => {
                let wanted = self.precision.unwrap_or(6);
                let text = format!("{:.*e}", wanted.min(MOST_DIGITS), number.abs());
                let (digits, exponent) = text.split_once('e')?;
                let exponent: i32 = exponent.parse().ok()?;
                let sign = if exponent < 0 { '-' } else { '+' };
                let zeros = "0".repeat(wanted.saturating_sub(MOST_DIGITS));
                let text = format!("{digits}{zeros}e{sign}{:02}", exponent.abs());
                Some(self.number(number.is_sign_negative(), &text))
            }
            _ => None,
        }
    }

    /// A decimal number with as many decimals as are wanted, rounded half up.
    fn fixed(&self, text: &str) -> String {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let wanted = self.precision.unwrap_or(6);
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(wanted)).collect();
        if fraction.as_bytes().get(wanted).is_some_and(|digit| *digit >= b'5') {
            let mut place = digits.len();
            loop {
                let Some(before) = place.checked_sub(1) else {
                    digits.insert(0, b'1');
                    break;
                };
                place = before;
                if digits[place] < b'9' {
                    digits[place] += 1;
                    break;
                }
                digits[place] = b'0';
            }
        }
        let mut rounded: String = digits.into_iter().map(char::from).collect();
        if wanted > 0 {
            rounded.insert(rounded.len() - wanted, '.');
        }
        self.number(negative, &rounded)
    }

    /// A number with its sign, grouped and filled as the flags say.
    fn number(&self, negative: bool, digits: &str) -> String {
        let (whole, rest) = digits.split_at(digits.find(['.', 'e']).unwrap_or(digits.len()));
        let mut grouped = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if self.has(',') && index > 0 && (whole.len() - index) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let (before, behind) = match negative {
            true if self.has('(') => ("(", ")"),
            true => ("-", ""),
            false if self.has('+') => ("+", ""),
            false if self.has(' ') => (" ", ""),
            false => ("", ""),
        };
        self.filled(before, &format!("{grouped}{rest}"), behind)
    }

    fn filled(&self, before: &str, digits: &str, behind: &str) -> String {
        let width = if self.has('0') { self.width.unwrap_or(0) } else { 0 };
        let zeros = width.saturating_sub(before.len() + digits.len() + behind.len());
        format!("{before}{}{digits}{behind}", "0".repeat(zeros))
    }
}

fn digits(rest: &mut Peekable<Chars<'_>>) -> String {
    std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn formatted(format: &str, arguments: &[fn() -> Argument<'static>]) -> Option<String> {
        let mut value = Value::default();
        let written = write(&mut value, format, |index| arguments.get(index).map(|argument| argument())).unwrap();
        written.then(|| std::mem::take(value.text()))
    }

    #[test]
    fn formats_are_those_of_java() {
        for (format, argument, expected) in [
            ("%05d", (|| Argument::Whole(32, -25)) as fn() -> Argument<'static>, Some("-0025")),
            ("%,d", || Argument::Whole(64, -1_234_567), Some("-1,234,567")),
            ("%(d|%<+d", || Argument::Whole(64, -7), Some("(7)|-7")),
            ("%x %<X %<#x", || Argument::Whole(32, -25), Some("ffffffe7 FFFFFFE7 0xffffffe7")),
            ("%.2f", || Argument::Floating(1_234_567.895, ""), Some("1234567.90")),
            ("%.0f", || Argument::Floating(2.5, ""), Some("3")),
            ("%8.3f|", || Argument::Exact("-99.9996"), Some("-100.000|")),
            ("%e", || Argument::Floating(12345.678, ""), Some("1.234568e+04")),
            ("%.70000e|%<s", || Argument::Floating(0.0, "0.0"), Some(&format!("0.{}e+00|0.0", "0".repeat(70_000)))),
            ("%05d|%<.2f|%<x", || Argument::Null, Some(" null|nu|null")),
            ("%-6s|%<6.2s|%<S", || Argument::Other("abc"), Some("abc   |    ab|ABC")),
            ("%1$s%1$s", || Argument::Whole(8, 1), Some("11")),
            ("%c%b", || Argument::Whole(32, 97), None),
            ("%d", || Argument::Other("a"), None),
            ("%s %s", || Argument::Other("a"), None),
            ("100%%", || Argument::Null, Some("100%")),
            ("100%", || Argument::Null, None),
            ("%q", || Argument::Null, None),
        ] {
            assert_eq!(formatted(format, &[argument]).as_deref(), expected, "{format}");
        }
    }
}
