//! Cases made smaller while they still differ: rows, columns, clauses and parts of expressions are left out, one at a time.

mod expressions;
mod relations;
mod rows;

use weir_core::Result;

use crate::engine::Setting;
use crate::generate::Case;
use crate::judge::{Verdict, judge_at};
use crate::relation;

/// Most cases that are tried.
const TRIES: usize = 1500;

/// Makes a wrong case smaller; returns it and how it is still wrong.
///
/// # Errors
/// If the machine cannot run it.
pub async fn shrink(case: Case, setting: &Setting, difference: String) -> Result<(Case, Setting, String)> {
    let mut best = (case, setting.clone(), difference);
    let mut tries = 0;
    'smaller: loop {
        for setting in simpler(&best.1) {
            tries += 1;
            if let Some(difference) = wrong(&best.0, &setting, &best.2).await? {
                best = (best.0, setting, difference);
                continue 'smaller;
            }
        }
        for case in candidates(&best.0) {
            tries += 1;
            if tries > TRIES {
                return Ok(best);
            }
            if let Some(difference) = wrong(&case, &best.1, &best.2).await? {
                best = (case, best.1, difference);
                continue 'smaller;
            }
        }
        return Ok(best);
    }
}

/// In which way a case is wrong, if it is in a way that is like what was found before.
async fn wrong(case: &Case, setting: &Setting, before: &str) -> Result<Option<String>> {
    let expected = relation::rows(&case.query, &case.tables);
    if expected.is_err() {
        return Ok(None);
    }
    let failure = |difference: &str| difference.split_once("failed").is_some();
    Ok(match judge_at(case, setting, &expected).await? {
        Verdict::Wrong { difference, .. } if failure(&difference) == failure(before) => Some(difference),
        _ => None,
    })
}

fn simpler(setting: &Setting) -> Vec<Setting> {
    let mut simpler = Vec::new();
    if setting.restart.is_some() {
        simpler.push(Setting { restart: None, ..setting.clone() });
    }
    if setting.format.is_some() {
        simpler.push(Setting { format: None, ..setting.clone() });
    }
    if setting.memory_budget.is_some() {
        simpler.push(Setting { memory_budget: None, ..setting.clone() });
    }
    if setting.parallelism > 1 {
        simpler.push(Setting { parallelism: 1, ..setting.clone() });
    }
    if setting.checkpoint_interval.is_some() {
        simpler.push(Setting { checkpoint_interval: None, ..setting.clone() });
    }
    if setting.batch_rows != 4096 {
        simpler.push(Setting { batch_rows: 4096, ..setting.clone() });
    }
    if !setting.two_phase {
        simpler.push(Setting { two_phase: true, ..setting.clone() });
    }
    simpler
}

/// Smaller cases, the smallest first.
fn candidates(case: &Case) -> impl Iterator<Item = Case> + use<> {
    let queries = relations::smaller_queries(case);
    let tables = rows::smaller_tables(case);
    tables.into_iter().chain(queries)
}
