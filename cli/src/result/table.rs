//! Results as a table drawn while its rows are still coming.
//!
//! Widths are decided from the rows that came first, which is why those are held back for a moment. When a later value
//! does not fit, the table is closed and a wider one is begun; on a terminal the header also comes back whenever it
//! has scrolled away.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use unicode_width::UnicodeWidthStr;
use weir_core::Result;

use super::Printer;
use super::cells::{Cells, is_numeric};
use crate::terminal::clip;

/// Rows that are at most held back.
const HELD_ROWS: usize = 1000;
/// A column of text does not get narrower than this to fit a terminal.
const NARROWEST: usize = 8;

/// Prints an aligned table.
pub struct Table {
    columns: Vec<Column>,
    /// Columns and rows of the terminal, if it is one.
    terminal: Option<(usize, usize)>,
    held: VecDeque<Vec<String>>,
    /// Rows since the header; `None` while no table is open.
    since_header: Option<usize>,
}

struct Column {
    name: String,
    right_aligned: bool,
    /// Half a text says something; half a number or a time is wrong.
    can_be_cut: bool,
    width: usize,
}

impl Table {
    /// A table of that schema; `terminal` has its columns and rows.
    pub fn new(schema: &SchemaRef, terminal: Option<(usize, usize)>) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let name = one_line(field.name().clone());
                let width = name.width().max(usual_width(field.data_type()));
                let right_aligned = is_numeric(field.data_type());
                let can_be_cut = !right_aligned && !field.data_type().is_temporal();
                Column { name, right_aligned, can_be_cut, width }
            })
            .collect();
        Self { columns, terminal, held: VecDeque::new(), since_header: None }
    }

    /// No wider than what is in it: for tables whose rows are all there at once.
    #[must_use]
    pub fn snug(mut self) -> Self {
        self.columns.iter_mut().for_each(|column| column.width = column.name.width());
        self
    }

    /// One more row, whose values are texts of one line.
    pub(super) fn hold(&mut self, row: Vec<String>) {
        self.held.push_back(row);
    }

    fn draw_held(&mut self, out: &mut String) {
        if self.held.is_empty() {
            return;
        }
        self.widen(out);
        while let Some(row) = self.held.pop_front() {
            let header_scrolled_away = match (self.since_header, self.terminal) {
                (Some(rows), Some((_, height))) => rows >= height.max(20),
                _ => false,
            };
            if header_scrolled_away {
                self.end(out);
            }
            if self.since_header.is_none() {
                self.begin(out);
            }
            self.line(&row, out);
            self.since_header = self.since_header.map(|rows| rows + 1);
        }
    }

    /// Makes columns as wide as the held rows need, within what the terminal has.
    fn widen(&mut self, out: &mut String) {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.width).collect();
        for row in &self.held {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if let Some((columns, _)) = self.terminal {
            self.fit(&mut widths, columns);
        }
        if widths.iter().zip(&self.columns).any(|(width, column)| *width != column.width) {
            self.end(out);
            self.columns.iter_mut().zip(widths).for_each(|(column, width)| column.width = width);
        }
    }

    /// Takes width away from the widest texts until the table fits into `terminal` columns, if it can.
    fn fit(&self, widths: &mut [usize], terminal: usize) {
        let room = terminal.saturating_sub(widths.len() * 3 + 1);
        while widths.iter().sum::<usize>() > room {
            let texts = widths.iter_mut().zip(&self.columns).filter(|(_, column)| column.can_be_cut);
            match texts.map(|(width, _)| width).max().filter(|width| **width > NARROWEST) {
                Some(widest) => *widest -= 1,
                None => return,
            }
        }
    }

    fn begin(&mut self, out: &mut String) {
        self.rule(['┌', '┬', '┐'], out);
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        self.line(&names, out);
        self.rule(['├', '┼', '┤'], out);
        self.since_header = Some(0);
    }

    fn end(&mut self, out: &mut String) {
        if self.since_header.take().is_some() {
            self.rule(['└', '┴', '┘'], out);
        }
    }

    fn rule(&self, [left, middle, right]: [char; 3], out: &mut String) {
        for (index, column) in self.columns.iter().enumerate() {
            out.push(if index == 0 { left } else { middle });
            out.extend(std::iter::repeat_n('─', column.width + 2));
        }
        out.push(right);
        out.push('\n');
    }

    fn line(&self, cells: &[String], out: &mut String) {
        for (column, cell) in self.columns.iter().zip(cells) {
            let shown = clip(cell, column.width);
            let padding = " ".repeat(column.width.saturating_sub(shown.width()));
            let (before, after) = if column.right_aligned { (padding.as_str(), "") } else { ("", padding.as_str()) };
            out.extend(["│ ", before, &shown, after, " "]);
        }
        out.push_str("│\n");
    }
}

impl Printer for Table {
    fn rows(&mut self, records: &RecordBatch, out: &mut String) -> Result<()> {
        let mut cells = Cells::new(records)?;
        let columns = 0..cells.width();
        for row in 0..records.num_rows() {
            let mut value = |column| {
                let mut text = String::new();
                if cells.write(row, column, &mut text) { one_line(text) } else { "NULL".to_owned() }
            };
            self.held.push_back(columns.clone().map(&mut value).collect());
            if self.held.len() >= HELD_ROWS {
                self.draw_held(out);
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut String) {
        self.draw_held(out);
    }

    fn close(&mut self, out: &mut String) {
        self.draw_held(out);
        self.end(out);
    }
}

/// Width that values of a type mostly have, so that the first small one does not make the table too narrow.
fn usual_width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Int64 | DataType::UInt64 | DataType::Float64 => 8,
        DataType::Utf8View | DataType::Utf8 => 8,
        DataType::Timestamp(_, _) => 23,
        _ => 4,
    }
}

/// A table has one line a row: line breaks and other control characters are shown as escapes.
pub(super) fn one_line(text: String) -> String {
    if !text.contains(|c: char| c.is_control()) {
        return text;
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
