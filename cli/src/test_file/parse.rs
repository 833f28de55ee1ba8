//! From text to records. A record ends with a blank line; directives of a single line may follow each other without one.

use super::{Answer, ErrorPattern, Input, Mistake, Record, RecordKind, Rows, Sql, Step, StepKind, TestFile};

/// The words that a record can begin with.
const WORDS: &str = "statement, input, query, stream, and while a stream runs input, watermark, time, expect, late, restart, \
                     rescale, end";

/// Most subtasks that a job is rescaled to: so many splits a table of a test has.
pub const MOST_SUBTASKS: usize = 12;

/// Reads a test file.
///
/// # Errors
/// The first mistake in it.
pub fn parse(text: &str) -> Result<TestFile, Mistake> {
    let lines: Vec<&str> = text.lines().collect();
    let mut parser = Parser { lines: &lines, next: 0, records: Vec::new(), skip_if: Vec::new(), only_if: Vec::new() };
    while parser.next < lines.len() {
        parser.record()?;
    }
    if !parser.skip_if.is_empty() || !parser.only_if.is_empty() {
        return Err(Mistake::new(lines.len(), "no record follows this condition"));
    }
    Ok(TestFile { records: parser.records })
}

struct Parser<'a> {
    lines: &'a [&'a str],
    /// The next line, from 0.
    next: usize,
    records: Vec<Record>,
    skip_if: Vec<String>,
    only_if: Vec<String>,
}

impl Parser<'_> {
    /// Takes the next line if it is a record's first.
    fn record(&mut self) -> Result<(), Mistake> {
        let line = self.next + 1;
        let text = self.lines[self.next].trim();
        self.next += 1;
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let (word, rest) = split_word(text);
        match word {
            "skipif" => self.skip_if.push(one_word(line, rest, "skipif weir")?),
            "onlyif" => self.only_if.push(one_word(line, rest, "onlyif weir")?),
            "statement" => {
                let kind = self.statement(line, rest)?;
                self.add(line, kind);
            }
            "query" => {
                let kind = self.query(line, rest)?;
                self.add(line, kind);
            }
            "stream" => {
                let types = self.types(line, rest)?;
                let sql = self.sql(line)?;
                self.no_answer("the rows of a stream stand in `expect` records behind it")?;
                self.add(line, RecordKind::Stream { sql, types, steps: Vec::new() });
            }
            "input" => {
                let table = one_word(line, rest, "input TABLE")?;
                let input = Input { table, rows: self.rows() };
                if input.rows.lines.is_empty() {
                    return Err(Mistake::new(line, "there are no rows below it"));
                }
                match self.steps() {
                    Some(steps) => steps.push(Step { line, kind: StepKind::Input(input) }),
                    None => self.add(line, RecordKind::Input(input)),
                }
            }
            _ => self.step(line, word, rest)?,
        }
        Ok(())
    }

    fn add(&mut self, line: usize, kind: RecordKind) {
        let (skip_if, only_if) = (std::mem::take(&mut self.skip_if), std::mem::take(&mut self.only_if));
        self.records.push(Record { line, skip_if, only_if, kind });
    }

    /// Steps of the stream that runs.
    fn steps(&mut self) -> Option<&mut Vec<Step>> {
        match self.records.last_mut() {
            Some(Record { kind: RecordKind::Stream { steps, .. }, .. }) => Some(steps),
            _ => None,
        }
    }

    fn step(&mut self, line: usize, word: &str, rest: &str) -> Result<(), Mistake> {
        let kind = match word {
            "watermark" => {
                let (table, time) = split_word(rest);
                if time.is_empty() {
                    return Err(Mistake::new(line, "write `watermark TABLE 2024-01-01 10:00:00`"));
                }
                StepKind::Watermark { table: table.to_owned(), time: time.to_owned() }
            }
            "time" if !rest.is_empty() => StepKind::Time(rest.to_owned()),
            "time" => return Err(Mistake::new(line, "write `time 2024-01-01 10:00:00`")),
            "restart" => {
                nothing(line, rest, "restart")?;
                StepKind::Restart(None)
            }
            "rescale" => match rest.parse() {
                Ok(parallelism) if (1..=MOST_SUBTASKS).contains(&parallelism) => StepKind::Restart(Some(parallelism)),
                _ => return Err(Mistake::new(line, format!("write `rescale N`, with N from 1 to {MOST_SUBTASKS}"))),
            },
            "late" => match rest.parse() {
                Ok(rows) => StepKind::Late(rows),
                Err(_) => return Err(Mistake::new(line, "write `late N`: so many rows were late so far")),
            },
            "end" => {
                nothing(line, rest, "end")?;
                StepKind::End
            }
            "expect" => self.expect(line, rest)?,
            _ => return Err(Mistake::new(line, format!("`{word}` begins no record. Records begin with {WORDS}"))),
        };
        let Some(steps) = self.steps() else {
            return Err(Mistake::new(line, format!("`{word}` stands behind a `stream`, and none runs here")));
        };
        steps.push(Step { line, kind });
        Ok(())
    }

    fn expect(&mut self, line: usize, rest: &str) -> Result<StepKind, Mistake> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (first, target) = match words.as_slice() {
            [] => ("", None),
            [word @ ("nothing" | "table")] => (*word, None),
            ["in", name] => ("", Some((*name).to_owned())),
            [word @ ("nothing" | "table"), "in", name] => (*word, Some((*name).to_owned())),
            _ => {
                return Err(Mistake::new(
                    line,
                    "write `expect`, `expect nothing` or `expect table`, and behind it `in TABLE` where an INSERT fills one",
                ));
            }
        };
        let rows = if first == "nothing" { Rows { lines: Vec::new(), place: line..line } } else { self.rows() };
        if rows.lines.is_empty() && first.is_empty() {
            return Err(Mistake::new(line, "there are no rows below it: if none are to come, write `expect nothing`"));
        }
        Ok(StepKind::Expect { whole: first == "table", table: target, rows })
    }

    fn statement(&mut self, line: usize, rest: &str) -> Result<RecordKind, Mistake> {
        let (word, pattern) = split_word(rest);
        match word {
            "ok" => {
                nothing(line, pattern, "statement ok")?;
                let sql = self.sql(line)?;
                self.no_answer("a statement that is right has no rows; write `query` for one that has")?;
                Ok(RecordKind::Statement { sql, error: None })
            }
            "error" => {
                let sql = self.sql(line)?;
                Ok(RecordKind::Statement { sql, error: Some(self.error(line, pattern)?) })
            }
            _ => Err(Mistake::new(line, "write `statement ok` or `statement error`")),
        }
    }

    fn query(&mut self, line: usize, rest: &str) -> Result<RecordKind, Mistake> {
        if let ("error", pattern) = split_word(rest) {
            let sql = self.sql(line)?;
            let expected = Answer::Error(self.error(line, pattern)?);
            return Ok(RecordKind::Query { sql, types: None, expected });
        }
        let types = self.types(line, rest)?;
        let sql = self.sql(line)?;
        if !self.at_answer() {
            return Err(Mistake::new(line, "a line `----` and the rows of the answer belong below the SQL of a query"));
        }
        self.next += 1;
        Ok(RecordKind::Query { sql, types, expected: Answer::Rows(self.rows()) })
    }

    /// Behind `query` and `stream`: a letter for each column, and how rows are sorted.
    fn types(&self, line: usize, rest: &str) -> Result<Option<String>, Mistake> {
        let mut types = None;
        for word in rest.split_whitespace() {
            match word {
                "rowsort" => {}
                "nosort" | "valuesort" => {
                    let message = format!("rows have no order here, so there is no `{word}`; leave it out");
                    return Err(Mistake::new(line, message));
                }
                letters if types.is_none() && letters.chars().all(|letter| "IRTBDP?".contains(letter)) => {
                    types = Some(letters.to_owned());
                }
                other => {
                    let message =
                        format!("`{other}` is neither `rowsort` nor types, of which I, R, T, B, D, P and ? are known");
                    return Err(Mistake::new(line, message));
                }
            }
        }
        Ok(types)
    }

    fn at_answer(&self) -> bool {
        self.lines.get(self.next).is_some_and(|text| text.trim() == "----")
    }

    fn no_answer(&self, message: &str) -> Result<(), Mistake> {
        if self.at_answer() { Err(Mistake::new(self.next + 1, message)) } else { Ok(()) }
    }

    fn error(&mut self, line: usize, pattern: &str) -> Result<ErrorPattern, Mistake> {
        if self.at_answer() {
            if !pattern.is_empty() {
                return Err(Mistake::new(line, "the message stands in this line or behind `----`, not in both places"));
            }
            self.next += 1;
            return Ok(ErrorPattern::Exactly(self.rows()));
        }
        if pattern.is_empty() {
            return Ok(ErrorPattern::Any);
        }
        let regex = regex::Regex::new(pattern);
        regex.map(ErrorPattern::Regex).map_err(|error| Mistake::new(line, format!("no regular expression: {error}")))
    }

    /// Lines up to a blank one or `----`.
    fn sql(&mut self, line: usize) -> Result<Sql, Mistake> {
        let first = self.next;
        while self.lines.get(self.next).is_some_and(|text| !text.trim().is_empty() && text.trim() != "----") {
            self.next += 1;
        }
        if first == self.next {
            return Err(Mistake::new(line, "there is no SQL below it"));
        }
        Ok(Sql { text: self.lines[first..self.next].join("\n"), line: first + 1 })
    }

    /// Lines up to a blank one.
    fn rows(&mut self) -> Rows {
        let first = self.next;
        while self.lines.get(self.next).is_some_and(|text| !text.trim().is_empty()) {
            self.next += 1;
        }
        let place = first..self.next;
        let numbered = place.clone().map(|index| (index + 1, self.lines[index].to_owned()));
        Rows { lines: numbered.filter(|(_, text)| !text.trim_start().starts_with('#')).collect(), place }
    }
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn one_word(line: usize, rest: &str, form: &str) -> Result<String, Mistake> {
    match split_word(rest) {
        (word, "") if !word.is_empty() => Ok(word.to_owned()),
        _ => Err(Mistake::new(line, format!("write `{form}`"))),
    }
}

fn nothing(line: usize, rest: &str, form: &str) -> Result<(), Mistake> {
    if rest.is_empty() { Ok(()) } else { Err(Mistake::new(line, format!("nothing stands behind `{form}`"))) }
}

#[cfg(test)]
mod tests;
