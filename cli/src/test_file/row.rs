//! A line as the values of a row, and back.

use arrow::datatypes::DataType;

/// A value as text; `None`: null.
pub type Value = Option<String>;

/// What happens to a row, in front of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `+I`
    Insert,
    /// `-U`
    UpdateBefore,
    /// `+U`
    UpdateAfter,
    /// `-D`
    Delete,
}

impl Operation {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Operation::Insert => "+I",
            Operation::UpdateBefore => "-U",
            Operation::UpdateAfter => "+U",
            Operation::Delete => "-D",
        }
    }

    /// What that text stands for.
    pub fn of(text: &str) -> Option<Self> {
        [Operation::Insert, Operation::UpdateBefore, Operation::UpdateAfter, Operation::Delete]
            .into_iter()
            .find(|operation| operation.text() == text)
    }

    /// 1 if a row is there behind it that was not before, or else -1.
    pub fn weight(self) -> i64 {
        match self {
            Operation::Insert | Operation::UpdateAfter => 1,
            Operation::UpdateBefore | Operation::Delete => -1,
        }
    }
}

/// Takes the operation off the front of a line.
pub fn operation(line: &str) -> (Option<Operation>, &str) {
    let line = line.trim_start();
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    match Operation::of(&line[..end]) {
        Some(operation) => (Some(operation), &line[end..]),
        None => (None, line),
    }
}

/// The values of a line, for columns of these types.
///
/// # Errors
/// If it has fewer or more of them, in words.
pub fn split(line: &str, types: &[DataType]) -> Result<Vec<Value>, String> {
    let mut rest = line.trim();
    let mut values = Vec::with_capacity(types.len());
    while !rest.is_empty() {
        let data_type = types.get(values.len());
        let (value, behind) = next(rest, data_type)?;
        values.push(value);
        rest = behind.trim_start();
    }
    let count = |count: usize| if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
    if values.len() != types.len() {
        let columns = if types.len() == 1 { "1 column".to_owned() } else { format!("{} columns", types.len()) };
        return Err(format!("this line has {}, and there are {columns}", count(values.len())));
    }
    Ok(values)
}

fn next<'a>(text: &'a str, data_type: Option<&DataType>) -> Result<(Value, &'a str), String> {
    if text.starts_with('\'') {
        return quoted(text);
    }
    if data_type.is_some_and(DataType::is_nested) && text.starts_with(['[', '{', '(']) {
        let end = matching(text).ok_or_else(|| format!("no bracket closes {text}"))?;
        return Ok((Some(text[..end].to_owned()), &text[end..]));
    }
    let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    if word == "NULL" {
        return Ok((None, rest));
    }
    if matches!(data_type, Some(DataType::Timestamp(..))) {
        let behind = rest.trim_start();
        let (time, after) = behind.split_at(behind.find(char::is_whitespace).unwrap_or(behind.len()));
        if !word.contains(':') && time.contains(':') {
            return Ok((Some(format!("{word} {time}")), after));
        }
        return Ok((Some(word.replacen('T', " ", 1)), rest));
    }
    Ok((Some(word.to_owned()), rest))
}

/// Text in single quotes, in which two of them stand for one.
fn quoted(text: &str) -> Result<(Value, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match (character, characters.peek()) {
            ('\'', Some((_, '\''))) => {
                characters.next();
                value.push('\'');
            }
            ('\'', _) => return Ok((Some(value), &text[at + 1..])),
            _ => value.push(character),
        }
    }
    Err(format!("no quote closes {text}"))
}

/// Where the bracket is closed that the text begins with.
fn matching(text: &str) -> Option<usize> {
    let (mut depth, mut in_quotes) = (0_usize, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => in_quotes = !in_quotes,
            '[' | '{' | '(' if !in_quotes => depth += 1,
            ']' | '}' | ')' if !in_quotes => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// A value as it stands in a file.
pub fn written(value: &Value, data_type: &DataType) -> String {
    let Some(value) = value else { return "NULL".to_owned() };
    let is_text = matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    if data_type.is_nested() || matches!(data_type, DataType::Timestamp(..)) {
        return value.clone();
    }
    let plain = !value.is_empty()
        && !value.contains(|character: char| character.is_whitespace() || character == '\'')
        && !(is_text && (value == "NULL" || value.starts_with('#') || Operation::of(value).is_some()));
    if plain { value.clone() } else { format!("'{}'", value.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn values(line: &str, types: &[DataType]) -> Vec<String> {
        split(line, types).map_or_else(
            |error| vec![error],
            |values| values.into_iter().map(|value| value.unwrap_or("null".into())).collect(),
        )
    }

    #[test]
    fn blanks_separate_values_but_in_quotes_brackets_and_timestamps() {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let list = DataType::new_list(DataType::Int32, true);
        let types = [DataType::Int32, time.clone(), DataType::Utf8View, time, list, DataType::Utf8View];
        assert_eq!(
            values(" 1 2024-01-01  10:00:00 'it''s a'  2024-01-01T10:00 [1, 2] NULL", &types),
            ["1", "2024-01-01 10:00:00", "it's a", "2024-01-01 10:00", "[1, 2]", "null"]
        );
        assert_eq!(values("NULL 'NULL' ''", &[DataType::Utf8, DataType::Utf8, DataType::Utf8]), ["null", "NULL", ""]);
    }

    #[test]
    fn what_is_too_much_or_too_little_is_told() {
        assert_eq!(
            values("1", &[DataType::Int32, DataType::Int32]),
            ["this line has 1 value, and there are 2 columns"]
        );
        assert_eq!(values("1 2", &[DataType::Int32]), ["this line has 2 values, and there are 1 column"]);
        assert_eq!(values("'a", &[DataType::Utf8]), ["no quote closes 'a"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "a b", "it's", "NULL", "#1", "+I", "plain", " "] {
            let line = written(&Some(text.to_owned()), &DataType::Utf8);
            assert_eq!(split(&line, &[DataType::Utf8]), Ok(vec![Some(text.to_owned())]), "{line}");
        }
        assert_eq!(written(&None, &DataType::Utf8), "NULL");
    }

    #[test]
    fn an_operation_stands_in_front() {
        assert_eq!(operation("+I 1 2"), (Some(Operation::Insert), " 1 2"));
        assert_eq!(operation("-1 2"), (None, "-1 2"));
    }
}
