//! Every query gives DataFusion's batch answer to the same question.
//!
//! The oracle shares nothing with Weir but the function library: it reads the data with Arrow's CSV reader, and asks in
//! other SQL (`date_bin`, cross joins, `LAG`) where Weir has window functions. Each query runs at parallelism 1, 2 and
//! 4, with checkpoints.

mod cases;
pub mod oracle;

use crate::flights;

/// A question asked twice.
pub struct Case {
    /// For messages.
    pub name: &'static str,
    /// As a streaming query over `flights`.
    pub streaming: &'static str,
    /// As a batch query over a table `flights` with the same columns.
    pub batch: &'static str,
}

#[test]
fn bounded_queries_equal_the_batch_answer() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("flights.csv");
    flights::unpack(&data);
    let oracle = oracle::Oracle::new(&data);
    let mut wrong = Vec::new();
    for case in cases::CASES {
        let expected = oracle.answer(case.batch);
        assert!(!expected.is_empty(), "{}: the oracle's answer is empty, so it proves nothing", case.name);
        for parallelism in [1, 2, 4] {
            let script = format!("{}{}", flights::table(&data, "128kb"), case.streaming);
            let output = flights::run(
                folder.path(),
                &script,
                &[
                    "--output",
                    "csv",
                    "--parallelism",
                    &parallelism.to_string(),
                    "-D",
                    "execution.checkpointing.interval=20ms",
                ],
            );
            match output {
                Ok(csv) => {
                    let found = oracle::rows_of_csv(&csv);
                    if found != expected {
                        wrong.push(format!(
                            "{} at parallelism {parallelism}: {}",
                            case.name,
                            oracle::difference(&expected, &found)
                        ));
                    }
                }
                Err(error) => wrong.push(format!("{} at parallelism {parallelism}: {error}", case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} queries:\n{}", wrong.len(), cases::CASES.len(), wrong.join("\n"));
}
