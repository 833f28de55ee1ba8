//! Tables of a case: columns, rows and the parts that they come in.

use std::fmt::Write as _;

use crate::relation::Column;
use crate::value::Row;

/// A table with its rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name in SQL.
    pub name: String,
    /// Columns.
    pub columns: Vec<Column>,
    /// The time attribute.
    pub time: String,
    /// Milliseconds by which rows may come out of order.
    pub delay: i64,
    /// Rows of each split, in order.
    pub splits: Vec<Vec<Row>>,
}

impl Table {
    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.splits.iter().flatten()
    }

    /// How it is declared, over a connector with these options.
    pub fn declaration(&self, options: &str) -> String {
        let mut text = format!("CREATE TABLE {} (\n", self.name);
        for column in &self.columns {
            let null = if column.nullable { "" } else { " NOT NULL" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {} {}{null},", column.name, column.data_type);
        }
        let time = &self.time;
        let delay = match self.delay {
            0 => String::new(),
            delay => format!(" - INTERVAL '{}.{:03}' SECOND", delay / 1000, delay % 1000),
        };
        let _ = write!(text, "  WATERMARK FOR {time} AS {time}{delay}\n) WITH ({options});\n");
        text
    }
}
