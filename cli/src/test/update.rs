//! Files as they would have to be.

use std::ops::Range;

use weir_cli::test_file::Rows;

/// Lines that are to stand in a file instead of others.
#[derive(Debug)]
pub struct Update {
    place: Range<usize>,
    lines: Vec<String>,
}

impl Update {
    /// Other lines in the place of these.
    pub fn lines(rows: &Rows, lines: Vec<String>) -> Self {
        Self { place: rows.place.clone(), lines }
    }

    /// Another `expect`, the first word of which stands in `line`.
    pub fn expectation(line: usize, rows: &Rows, lines: Vec<String>, whole: bool) -> Self {
        if whole || (lines.is_empty() == rows.lines.is_empty()) {
            return Self::lines(rows, lines);
        }
        let head = if lines.is_empty() { "expect nothing" } else { "expect" };
        let is_new = !lines.is_empty();
        let mut all = vec![head.to_owned()];
        all.extend(lines);
        if is_new {
            all.push(String::new());
        }
        Self { place: line - 1..rows.place.end, lines: all }
    }
}

/// The text with all updates.
pub fn updated(text: &str, updates: &[Update]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut updates: Vec<&Update> = updates.iter().collect();
    updates.sort_by_key(|update| std::cmp::Reverse(update.place.start));
    for update in updates {
        let mut place = update.place.clone();
        // A blank line that an update ends with is there already.
        if update.lines.last().is_some_and(String::is_empty) && lines.get(place.end).is_some_and(String::is_empty) {
            place.end += 1;
        }
        if let (Some(head), Some(old)) = (update.lines.first(), lines.get(place.start))
            && head.starts_with("expect")
            && let Some((_, table)) = old.split_once(" in ")
        {
            let head = format!("{head} in {table}");
            lines.splice(place, std::iter::once(head).chain(update.lines.iter().skip(1).cloned()));
            continue;
        }
        lines.splice(place, update.lines.iter().cloned());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(place: Range<usize>) -> Rows {
        Rows { lines: place.clone().map(|line| (line + 1, String::new())).collect(), place }
    }

    #[test]
    fn rows_take_the_place_of_rows_and_of_nothing() {
        let text = "expect\n1\n2\n\nexpect nothing in t\nlate 1\n\nexpect\n3\n";
        let updates = [
            Update::expectation(1, &rows(1..3), vec!["5".into()], false),
            Update::expectation(5, &rows(5..5), vec!["6".into()], false),
            Update::expectation(8, &rows(8..9), Vec::new(), false),
        ];
        assert_eq!(updated(text, &updates), "expect\n5\n\nexpect in t\n6\n\nlate 1\n\nexpect nothing\n");
    }
}
