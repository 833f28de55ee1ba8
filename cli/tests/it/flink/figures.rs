//! How many expressions agree, by category, as `figures.txt` has them.

use std::fmt;
use std::fs;

use super::expressions::folder;

/// Percent of those that can agree which do, at least.
const LEAST: f64 = 97.0;

#[derive(Default)]
pub struct Figures(Vec<Line>);

struct Line {
    category: String,
    compared: usize,
    differ: usize,
    meant: usize,
}

impl Figures {
    pub fn add(&mut self, category: &str, compared: usize, differ: usize, meant: usize) {
        self.0.push(Line { category: category.to_owned(), compared, differ, meant });
    }

    pub fn write(&self) {
        fs::write(folder().join("figures.txt"), format!("{self}\n")).unwrap();
    }

    /// Where the figures are others than those that are written down, or too low.
    pub fn not_as_written(&self) -> Vec<String> {
        let written = fs::read_to_string(folder().join("figures.txt")).unwrap();
        let mut wrong = Vec::new();
        if written.trim_end() != self.to_string() {
            wrong.push(format!("the figures are now:\n{self}"));
        }
        let percent = self.total().percent();
        if percent < LEAST {
            wrong.push(format!("{percent:.1} % agree, and {LEAST} % have to"));
        }
        wrong
    }

    fn total(&self) -> Line {
        let sum = |of: fn(&Line) -> usize| self.0.iter().map(of).sum();
        Line {
            category: "all".to_owned(),
            compared: sum(|line| line.compared),
            differ: sum(|line| line.differ),
            meant: sum(|line| line.meant),
        }
    }
}

impl Line {
    /// Of those whose difference is not meant, how many agree.
    fn percent(&self) -> f64 {
        100.0 * (self.compared - self.differ) as f64 / (self.compared - self.meant) as f64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "category     compared  agree  meant  not yet  agree of the rest")?;
        for line in self.0.iter().chain([&self.total()]) {
            let Line { category, compared, differ, meant } = line;
            let (agree, open, percent) = (compared - differ, differ - meant, line.percent());
            write!(f, "\n{category:<12} {compared:>8} {agree:>6} {meant:>6} {open:>8} {percent:>16.1} %")?;
        }
        Ok(())
    }
}
