//! A result that changes, on a terminal: the rows that there are, drawn anew in the same place.
//!
//! A row that takes the place of another one has its line. Of more rows than the terminal has lines the first are shown while they change, and all
//! of them at the end. So all are kept, up to a limit; of those behind it only the number is known.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use unicode_width::UnicodeWidthStr;
use weir_core::Result;

use super::Printer;
use super::cells::Cells;
use super::table::{Table, one_line};
use crate::terminal::Screen;

/// Lines that are no rows: the header, three rules, how many more there are, and the status line.
const AROUND: usize = 6;

/// Rows that are kept: more than anyone reads on a terminal.
const MOST: usize = 10_000;

/// Values of a row as text.
type Row = Vec<String>;

/// Draws the rows that are left of changes, whose first column says what happens to each.
pub struct Live {
    schema: SchemaRef,
    /// Columns and rows of the terminal.
    terminal: (usize, usize),
    screen: Arc<Screen>,
    /// In the order of their lines; `None` where one has been taken back.
    rows: Vec<Option<Row>>,
    places: HashMap<Row, Vec<usize>>,
    /// The line of a row that the next one takes the place of.
    freed: Option<usize>,
    /// Rows that are kept, at most so many.
    kept: usize,
    most: usize,
    /// Rows that there are beside them.
    more: usize,
    has_changed: bool,
    /// Lines on the terminal, and how many messages there were when they were drawn.
    drawn: (usize, u64),
}

impl Live {
    /// For changes of that schema.
    pub fn new(changes: &SchemaRef, terminal: (usize, usize), screen: Arc<Screen>) -> Self {
        let columns: Vec<_> = changes.fields().iter().skip(1).cloned().collect();
        Self {
            schema: Arc::new(Schema::new(columns)),
            terminal,
            screen,
            rows: Vec::new(),
            places: HashMap::new(),
            freed: None,
            kept: 0,
            most: MOST,
            more: 0,
            has_changed: false,
            drawn: (0, 0),
        }
    }

    fn change(&mut self, operation: &str, row: Row) {
        self.has_changed = true;
        let freed = self.freed.take();
        if operation.starts_with('-') {
            let Some(place) = self.places.get_mut(&row).and_then(Vec::pop) else {
                self.more = self.more.saturating_sub(1);
                return;
            };
            self.kept -= 1;
            if self.places.get(&row).is_some_and(Vec::is_empty) {
                self.places.remove(&row);
            }
            self.rows[place] = None;
            self.freed = Some(place).filter(|_| operation == "-U");
            return;
        }
        if self.kept >= self.most {
            self.more += 1;
            return;
        }
        self.kept += 1;
        let place = freed.filter(|_| operation == "+U").unwrap_or_else(|| {
            self.rows.push(None);
            self.rows.len() - 1
        });
        self.places.entry(row.clone()).or_default().push(place);
        self.rows[place] = Some(row);
    }

    /// Lines of rows that are gone are given up.
    fn close_ranks(&mut self) {
        if self.rows.len() < 2 * self.kept + AROUND {
            return;
        }
        self.rows.retain(Option::is_some);
        self.places.clear();
        for (place, row) in self.rows.iter().enumerate() {
            self.places.entry(row.clone().unwrap_or_default()).or_default().push(place);
        }
        self.freed = None;
    }

    /// What takes the lines away that were drawn last, unless a message stands among them.
    fn erase(&self, out: &mut String) {
        let (lines, messages) = self.drawn;
        if lines > 0 && messages == self.screen.messages() {
            out.push_str(&format!("\x1b[{lines}A\r\x1b[J"));
        }
    }

    fn draw(&self, most: usize, out: &mut String) -> Result<()> {
        let mut table = Table::new(&self.schema, Some(self.terminal)).snug();
        let (there, shown) = (self.kept + self.more, self.kept.min(most));
        for row in self.rows.iter().flatten().take(most) {
            table.hold(row.clone());
        }
        table.close(out);
        match there {
            0 => out.push_str("no rows\n"),
            _ if there > shown => out.push_str(&format!("and {} more\n", there - shown)),
            _ => {}
        }
        Ok(())
    }
}

impl Printer for Live {
    fn rows(&mut self, records: &RecordBatch, _out: &mut String) -> Result<()> {
        let mut cells = Cells::new(records)?;
        for row in 0..records.num_rows() {
            let mut value = |column| {
                let mut text = String::new();
                if cells.write(row, column, &mut text) { one_line(text) } else { "NULL".to_owned() }
            };
            let operation = value(0);
            let row = (1..records.num_columns()).map(value).collect();
            self.change(&operation, row);
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut String) {
        if !std::mem::take(&mut self.has_changed) {
            return;
        }
        self.close_ranks();
        self.erase(out);
        let (columns, height) = self.terminal;
        let mut text = String::new();
        // What cannot be drawn has been refused with its first row.
        let _ = self.draw(height.saturating_sub(AROUND).max(1), &mut text);
        let lines = text.lines().map(|line| line.width().div_ceil(columns.max(1)).max(1)).sum();
        self.drawn = (lines, self.screen.messages());
        out.push_str(&text);
    }

    fn close(&mut self, out: &mut String) {
        self.erase(out);
        let _ = self.draw(usize::MAX, out);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::terminal::Layout;

    fn changes(lines: &[(&str, &str, i64)]) -> RecordBatch {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Schema::new(vec![text("op"), text("k"), Field::new("n", DataType::Int64, true)]);
        let operations: StringArray = lines.iter().map(|(operation, _, _)| Some(*operation)).collect();
        let keys: StringArray = lines.iter().map(|(_, key, _)| Some(*key)).collect();
        let numbers: Int64Array = lines.iter().map(|(_, _, number)| Some(*number)).collect();
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(operations), Arc::new(keys), Arc::new(numbers)]).unwrap()
    }

    fn screen() -> Arc<Screen> {
        let layout = Layout { out_is_terminal: true, err_is_terminal: true, colour: false };
        Arc::new(Screen::new(Box::new(std::io::sink()), Box::new(std::io::sink()), layout))
    }

    /// What is drawn of changes, without the boxes.
    fn drawn(live: &mut Live, lines: &[(&str, &str, i64)]) -> Vec<String> {
        let mut out = String::new();
        live.rows(&changes(lines), &mut out).unwrap();
        live.flush(&mut out);
        out.lines().filter(|line| !line.contains('─')).map(|line| line.replace('│', "").trim().to_owned()).collect()
    }

    #[test]
    fn a_row_takes_the_line_of_the_one_before_it() {
        let screen = screen();
        let first = changes(&[]);
        let mut live = Live::new(&first.schema(), (40, 10), screen.clone());
        assert_eq!(
            drawn(&mut live, &[("+I", "a", 1), ("+I", "b", 1), ("+I", "a", 1)]),
            ["k  n", "a  1", "b  1", "a  1"]
        );
        let second = drawn(&mut live, &[("-U", "b", 1), ("+U", "b", 2), ("-D", "a", 1)]);
        assert_eq!(
            second,
            ["\u{1b}[7A\r\u{1b}[J┌───┬───┐".replace("┌───┬───┐", "").as_str(), "k  n", "a  1", "b  2"][1..]
        );
        assert!(drawn(&mut live, &[]).is_empty(), "nothing has changed");
        let mut out = String::new();
        live.rows(&changes(&[("-D", "a", 1), ("-D", "b", 2)]), &mut out).unwrap();
        live.flush(&mut out);
        assert_eq!(out, "\u{1b}[6A\r\u{1b}[Jno rows\n");
        // A message has come between: what was drawn stays.
        screen.message("warning\n");
        live.rows(&changes(&[("+I", "c", 3)]), &mut out).unwrap();
        out.clear();
        live.flush(&mut out);
        assert!(out.starts_with('┌'), "{out}");
    }

    #[test]
    fn of_more_rows_than_are_kept_the_number_is_known() {
        let first = changes(&[]);
        let mut live = Live { most: 3, ..Live::new(&first.schema(), (40, 12), screen()) };
        let many: Vec<(&str, &str, i64)> = (0..5).map(|number| ("+I", "k", number)).collect();
        assert_eq!(drawn(&mut live, &many), ["k  n", "k  0", "k  1", "k  2", "and 2 more"]);
        // One that is not kept goes, and another one that is: there is room for the next.
        let second = drawn(&mut live, &[("-D", "k", 4), ("-U", "k", 1), ("+U", "k", 9), ("-D", "k", 0)]);
        assert_eq!(second, ["k  n", "k  9", "k  2", "and 1 more"]);
        let mut out = String::new();
        live.rows(&changes(&[("+I", "k", 7)]), &mut out).unwrap();
        live.close(&mut out);
        assert_eq!(out.lines().filter(|line| line.contains("│ k │ ") && !line.contains('n')).count(), 3, "{out}");
        assert!(out.ends_with("and 1 more\n"), "{out}");
    }

    #[test]
    fn more_rows_than_lines_are_all_shown_at_the_end() {
        let first = changes(&[]);
        let mut live = Live::new(&first.schema(), (40, 8), screen());
        let many: Vec<(&str, &str, i64)> = (0..5).map(|number| ("+I", "k", number)).collect();
        assert_eq!(drawn(&mut live, &many), ["k  n", "k  0", "k  1", "and 3 more"]);
        let mut out = String::new();
        live.close(&mut out);
        assert!(out.starts_with("\u{1b}[7A\r\u{1b}[J┌"), "{out}");
        assert_eq!(out.lines().filter(|line| line.contains("│ k │ ") && !line.contains('n')).count(), 5, "{out}");
    }
}
