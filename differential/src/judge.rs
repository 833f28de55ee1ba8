//! What Weir makes of a case, compared with what it is.

use std::collections::BTreeMap;

use weir_core::Result;

use crate::engine::{Outcome, Setting, is_of_data, run};
use crate::expression::Undefined;
use crate::generate::Case;
use crate::random::Random;
use crate::relation;
use crate::value::{Row, Value};

/// What came of a case.
#[derive(Debug)]
pub enum Verdict {
    /// The same rows.
    Equal {
        /// How many.
        rows: usize,
    },
    /// Weir does not run the query.
    Refused(String),
    /// The query has no answer: some expression has no value. Weir may say so, or not have needed it.
    Undefined,
    /// Weir is wrong.
    Wrong {
        /// How the job ran.
        setting: Box<Setting>,
        /// In which way.
        difference: String,
    },
}

/// Runs per case, each with a setting of its own.
const RUNS: usize = 2;

/// Judges a case.
///
/// # Errors
/// If the machine cannot run it.
pub async fn judge(case: &Case, random: &mut Random) -> Result<Verdict> {
    let count = case.tables.iter().flat_map(|table| table.rows()).count();
    let expected = relation::rows(&case.query, &case.tables);
    let mut verdict = Verdict::Undefined;
    for _ in 0..RUNS {
        let setting = Setting::random(random, count);
        verdict = judge_at(case, &setting, &expected).await?;
        if !matches!(verdict, Verdict::Equal { .. }) {
            break;
        }
    }
    Ok(verdict)
}

/// Judges a case in one setting.
///
/// # Errors
/// If the machine cannot run it.
pub async fn judge_at(
    case: &Case,
    setting: &Setting,
    expected: &std::result::Result<Vec<Row>, Undefined>,
) -> Result<Verdict> {
    let wrong = |difference| Ok(Verdict::Wrong { setting: Box::new(setting.clone()), difference });
    match (run(case, setting).await?, expected) {
        (Outcome::Refused(error), _) if error.kind() == weir_core::ErrorKind::User => {
            Ok(Verdict::Refused(error.report()))
        }
        (Outcome::Refused(error), _) => wrong(format!("planning failed: {}", error.report())),
        (Outcome::Rows(_), Err(_)) => Ok(Verdict::Undefined),
        (Outcome::Failed(error), Err(_)) if is_of_data(&error) => Ok(Verdict::Undefined),
        (Outcome::Failed(error), _) => wrong(format!("the job failed: {}", error.report())),
        (Outcome::Rows(found), Ok(expected)) => match difference(expected, &found) {
            None => Ok(Verdict::Equal { rows: found.len() }),
            Some(difference) => wrong(difference),
        },
    }
}

/// What one side has and the other has not.
fn difference(expected: &[Row], found: &[Row]) -> Option<String> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let text = |row: &Row| row.iter().map(Value::result).collect::<Vec<_>>().join(" | ");
    for row in expected {
        *counts.entry(text(row)).or_default() += 1;
    }
    for row in found {
        *counts.entry(text(row)).or_default() -= 1;
    }
    let side = |wanted: fn(i64) -> bool| -> String {
        let rows: Vec<String> = counts
            .iter()
            .filter(|(_, count)| wanted(**count))
            .map(|(row, count)| format!("\n  {}x {row}", count.abs()))
            .collect();
        format!("{}{}", rows.len(), rows.into_iter().take(4).collect::<String>())
    };
    counts.values().any(|count| *count != 0).then(|| {
        format!(
            "{} rows expected, {} found\nmissing: {}\ntoo much: {}",
            expected.len(),
            found.len(),
            side(|count| count > 0),
            side(|count| count < 0)
        )
    })
}
