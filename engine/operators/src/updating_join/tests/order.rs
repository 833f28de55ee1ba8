//! In which order changes come out of one batch, and what is refused.

use arrow::array::Int8Array;
use weir_core::{Batch, ChangelogKind, Collector, HashRange, JoinType, OpenContext, Operator, OutputPort};

use weir_functions::Functions;

use super::{inputs, join};
use crate::build::bare;
use crate::testing::{changes, rows};

struct Driven(Box<dyn Operator>);

impl Driven {
    fn new(join_type: JoinType) -> Self {
        let mut operator =
            bare(&join(join_type, None, ChangelogKind::Retract), &inputs(), &Functions::built_in()).unwrap();
        operator
            .open(&OpenContext {
                range: HashRange::ALL,
                watermark: weir_core::EventTime::MIN,
                restored: false,
                has_expired: false,
            })
            .unwrap();
        Self(operator)
    }

    /// What `lines`, each with its sign, make in one call.
    fn rows(&mut self, side: usize, lines: &[&str]) -> weir_core::Result<Vec<String>> {
        let cells: Vec<&str> = lines.iter().map(|line| &line[2..]).collect();
        let weights = Int8Array::from_iter_values(lines.iter().map(|line| if line.starts_with('-') { -1 } else { 1 }));
        let batch = Batch::weighted(rows(&inputs()[side], &cells), weights)?;
        let mut out = Collector::new(0);
        self.0.process(side, batch, &mut out)?;
        Ok(out
            .take()
            .iter()
            .inspect(|(port, _)| assert_eq!(*port, OutputPort::Main))
            .flat_map(|(_, batch)| changes(batch))
            .collect())
    }
}

#[test]
fn the_padded_row_goes_before_the_first_match_and_comes_behind_the_last() {
    let mut join = Driven::new(JoinType::Left);
    assert_eq!(join.rows(0, &["+ 1 | 10"]).unwrap(), ["1 | 10 | NULL | NULL"]);
    let changes = join.rows(1, &["+ 1 | 5", "+ 1 | 6", "- 1 | 5", "- 1 | 6", "+ 1 | 7"]).unwrap();
    assert_eq!(
        changes,
        [
            "- 1 | 10 | NULL | NULL",
            "1 | 10 | 1 | 5",
            "1 | 10 | 1 | 6",
            "- 1 | 10 | 1 | 5",
            "- 1 | 10 | 1 | 6",
            "1 | 10 | NULL | NULL",
            "- 1 | 10 | NULL | NULL",
            "1 | 10 | 1 | 7",
        ]
    );
    assert_eq!(join.rows(0, &["- 1 | 10", "+ 2 | 9"]).unwrap(), ["- 1 | 10 | 1 | 7", "2 | 9 | NULL | NULL"]);
}

#[test]
fn more_matches_than_are_gathered_at_once_come_in_order() {
    let mut join = Driven::new(JoinType::Full);
    let many: Vec<String> = (0..9000).map(|number| format!("+ 1 | {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(join.rows(0, &many).unwrap().len(), 9000);
    let changes = join.rows(1, &["+ 1 | 5", "+ 1 | 6"]).unwrap();
    assert_eq!(changes.len(), 3 * 9000, "each padded row goes, and has two matches");
    assert_eq!(changes.iter().filter(|change| change.starts_with("- ")).count(), 9000);
    let changes = join.rows(1, &["- 1 | 5", "- 1 | 6"]).unwrap();
    assert_eq!(changes.len(), 3 * 9000);
    assert!(changes[9000..].ends_with(&["1 | 0 | NULL | NULL".to_owned()]), "{:?}", changes.last());
}

#[test]
fn a_row_that_is_not_there_cannot_be_taken_back() {
    for join_type in [JoinType::Inner, JoinType::Left, JoinType::Right, JoinType::LeftSemi, JoinType::RightAnti] {
        let mut join = Driven::new(join_type);
        join.rows(0, &["+ 1 | 10"]).unwrap();
        let error = join.rows(0, &["- 1 | 11"]).unwrap_err();
        assert!(error.to_string().contains("taken back that had not been added"), "{error}");
    }
}
