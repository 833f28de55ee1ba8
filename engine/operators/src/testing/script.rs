//! What happens to an operator under test.

use std::sync::Arc;

use arrow::array::{Array, Int8Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{Batch, ChangelogKind, EventTime, Watermark};

use super::run::Interval;
use super::text::{change, rows, time, time_text};

/// Stands for the table that rows are looked up in, among the inputs of a script.
const TABLE: usize = usize::MAX;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// Rows come from an input.
    Rows(usize, Batch),
    /// An input says how far it is.
    Watermark(usize, Watermark),
    /// The table that rows are looked up in has these rows, and no others, from here on.
    Table(RecordBatch),
    /// Processing time goes on.
    Tick(i64),
    /// A checkpoint.
    Marker,
}

/// Things that happen, in order.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Script {
    /// The same, with columns that may not be null if none of their values is, and what the inputs are then.
    pub(super) fn without_nulls(&self, inputs: &[SchemaRef]) -> (Vec<SchemaRef>, Script) {
        let strict = |(input, schema): (usize, &SchemaRef)| {
            let has_nulls = |column: usize| {
                let nulls = |step: &Step| matches!(step, Step::Rows(ordinal, batch) if *ordinal == input && batch.records().column(column).null_count() > 0);
                self.steps.iter().any(nulls)
            };
            let fields = schema.fields().iter().enumerate();
            let fields = fields.map(|(column, field)| field.as_ref().clone().with_nullable(has_nulls(column)));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let inputs: Vec<SchemaRef> = inputs.iter().enumerate().map(strict).collect();
        let mut script = self.clone();
        for step in &mut script.steps {
            if let Step::Rows(input, batch) = step {
                let columns = batch.records().columns().to_vec();
                *batch = batch.with_columns(&inputs[*input], columns).expect("no column has a null");
            }
        }
        (inputs, script)
    }

    /// What comes on each input: rows are taken back there, or not.
    pub(super) fn changelogs(&self, inputs: usize) -> Vec<ChangelogKind> {
        let takes_back = |input: usize| {
            let rows_of = |step: &Step| matches!(step, Step::Rows(ordinal, batch) if *ordinal == input && batch.weights().is_some());
            self.steps.iter().any(rows_of)
        };
        let kind = |input| if takes_back(input) { ChangelogKind::Retract } else { ChangelogKind::Append };
        (0..inputs).map(kind).collect()
    }
}

/// Reads a script, and what it says is to come out between its markers.
/// `table` is what the table has that rows are looked up in.
pub(super) fn parse(script: &str, inputs: &[SchemaRef], table: Option<&SchemaRef>) -> (Script, Vec<Interval>) {
    let schema =
        |ordinal: usize| if ordinal == TABLE { table.expect("a table is looked up in") } else { &inputs[ordinal] };
    let step = |(ordinal, lines): (usize, Vec<(i8, &str)>)| {
        let rows = changes(schema(ordinal), &lines);
        if ordinal == TABLE { Step::Table(rows.into_parts().0) } else { Step::Rows(ordinal, rows) }
    };
    let mut steps = Vec::new();
    let mut expected = vec![Interval::default()];
    let mut batch: Option<(usize, Vec<(i8, &str)>)> = None;
    let everyone = 0..inputs.len();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let interval = expected.last_mut().expect("there is always an interval");
        let input = match word {
            "in>" | "left>" | "in-" | "left-" => Some(0),
            "right>" | "right-" => Some(1),
            "table>" => Some(TABLE),
            _ => None,
        };
        let weight = if word.ends_with('-') { -1 } else { 1 };
        if let Some((ordinal, lines)) = &mut batch {
            if input == Some(*ordinal) {
                lines.push((weight, rest));
                continue;
            }
            steps.extend(batch.take().map(step));
        }
        if let Some(ordinal) = input {
            batch = Some((ordinal, vec![(weight, rest)]));
            continue;
        }
        let one_or_all = |rest: &str| match rest.split_once(' ').map_or(rest, |(first, _)| first) {
            "left" => 0..1,
            "right" => 1..2,
            _ => everyone.clone(),
        };
        match word {
            "-" => {}
            "out>" | "out-" => interval.rows.push(change(weight, normal(rest))),
            "late>" => interval.late.push(normal(rest)),
            "sent>" => interval.sent = Some(rest.to_owned()),
            "idle" => steps.extend(one_or_all(rest).map(|input| Step::Watermark(input, Watermark::Idle))),
            "watermark" => {
                let at = Watermark::At(EventTime(time(rest.rsplit(' ').next().unwrap_or(rest))));
                steps.extend(one_or_all(rest).map(|input| Step::Watermark(input, at)));
            }
            "tick" => steps.push(Step::Tick(time(rest))),
            "marker" => {
                steps.push(Step::Marker);
                expected.push(Interval::default());
            }
            "end" => {
                steps.extend(everyone.clone().map(|input| Step::Watermark(input, Watermark::At(EventTime::MAX))));
            }
            other => panic!("no step {other:?} in a script: {line}"),
        }
    }
    assert!(batch.is_none(), "rows at the end of a script need something behind them");
    for interval in &mut expected {
        interval.rows.sort();
        interval.late.sort();
    }
    (Script { steps }, expected)
}

/// Rows that come at once, with weights if one of them is taken back.
fn changes(schema: &SchemaRef, lines: &[(i8, &str)]) -> Batch {
    let records = rows(schema, &lines.iter().map(|(_, line)| *line).collect::<Vec<_>>());
    if lines.iter().all(|(weight, _)| *weight > 0) {
        return records.into();
    }
    let weights = Int8Array::from_iter_values(lines.iter().map(|(weight, _)| *weight));
    Batch::weighted(records, weights).expect("each row has a weight")
}

/// The text of a row as the operator's output will have it.
fn normal(line: &str) -> String {
    let cells = line.split('|').map(str::trim);
    let cells = cells
        .map(|cell| if cell.contains(':') && !cell.contains('{') { time_text(time(cell)) } else { cell.to_owned() });
    cells.collect::<Vec<_>>().join(" | ")
}
