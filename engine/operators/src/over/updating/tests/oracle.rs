//! Random changes: at each marker what has come out so far is what SQL says of the rows that are there. For each row all rows of its
//! partition are looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::testing::rows;
use proptest::prelude::*;

/// Partition, the order, and what tells some rows from others that are equal in the order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    who: u8,
    n: Option<i64>,
    id: i64,
}

impl Row {
    fn line(&self) -> String {
        format!("{} | {} | NULL | {}", self.who, text(self.n), self.id)
    }
}

fn text(n: Option<i64>) -> String {
    n.map_or_else(|| "NULL".to_owned(), |n| n.to_string())
}

/// Any frame: bounds that are the wrong way round hold nothing.
fn frames() -> impl Strategy<Value = OverRows> {
    let bound = prop_oneof![
        1 => Just(OverBound::Unbounded),
        1 => Just(OverBound::Current),
        3 => (-2..3_i64).prop_map(OverBound::Whole),
    ];
    (any::<bool>(), bound.clone(), bound).prop_map(|(by_range, start, end)| OverRows { by_range, start, end })
}

fn calls() -> impl Strategy<Value = FramedCall> {
    let aggregate = |function, distinct| {
        FramedFunction::Aggregate(AggregateCall {
            function,
            arguments: vec![N],
            constants: Vec::new(),
            distinct,
            filter: None,
            order_by: Vec::new(),
            name: "result".to_owned(),
            data_type: DataType::Int64,
        })
    };
    let known = prop_oneof![
        Just(OverFunction::Count),
        Just(OverFunction::Sum),
        Just(OverFunction::Min),
        Just(OverFunction::Max),
        any::<bool>().prop_map(|respect_nulls| OverFunction::FirstValue { respect_nulls }),
        any::<bool>().prop_map(|respect_nulls| OverFunction::LastValue { respect_nulls }),
        Just(OverFunction::RowNumber),
        Just(OverFunction::Rank),
        Just(OverFunction::DenseRank),
        (0..3_u64).prop_map(OverFunction::Lag),
        (0..3_u64).prop_map(OverFunction::Lead),
        Just(OverFunction::LastBefore),
    ];
    let function = prop_oneof![
        12 => known.prop_map(FramedFunction::Over),
        1 => Just(FramedFunction::PercentRank),
        1 => Just(FramedFunction::CumeDist),
        1 => (1..5_u64).prop_map(FramedFunction::Ntile),
        1 => (1..4_u64).prop_map(FramedFunction::NthValue),
        2 => (1..4_u64, any::<bool>())
            .prop_map(|(number, from_last)| FramedFunction::NthPresent { number, from_last }),
        1 => Just(aggregate(AggregateFunction::Count, true)),
        1 => Just(aggregate(AggregateFunction::Other("bit_xor".to_owned()), false)),
    ];
    (function, frames()).prop_map(|(function, frame)| match function {
        FramedFunction::Over(OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank)
        | FramedFunction::PercentRank
        | FramedFunction::CumeDist
        | FramedFunction::Ntile(_)
        | FramedFunction::Aggregate(_) => call(function, frame),
        _ => FramedCall { argument: Some(N), ..call(function, frame) },
    })
}

/// The rows of the frame of a row, as positions in the partition, which is in order.
fn frame(frame: OverRows, order: Order, partition: &[Row], index: usize) -> Vec<usize> {
    // Distances grow along the order.
    let place = |row: &Row| row.n.map(|n| if order.descending { -n } else { n });
    let is_peer = |other: usize| partition[other].n == partition[index].n;
    let distance = |other: usize| match frame.by_range {
        false => Some(other as i64 - index as i64),
        true if is_peer(other) => Some(0),
        true => Some(place(&partition[other])? - place(&partition[index])?),
    };
    // A distance from a null, or to one, is none: then only equals are within.
    let behind_start = |other: usize| match frame.start {
        OverBound::Unbounded => true,
        OverBound::Current => distance(other).map_or(other > index, |distance| distance >= 0),
        OverBound::Whole(by) if frame.by_range && partition[index].n.is_none() => {
            let _ = by;
            other >= index || is_peer(other)
        }
        OverBound::Whole(by) => distance(other).map_or(other > index, |distance| distance >= by),
        OverBound::Double(_) => unreachable!("none is generated"),
    };
    let before_end = |other: usize| match frame.end {
        OverBound::Unbounded => true,
        OverBound::Current => distance(other).map_or(other < index, |distance| distance <= 0),
        OverBound::Whole(_) if frame.by_range && partition[index].n.is_none() => other <= index || is_peer(other),
        OverBound::Whole(by) => distance(other).map_or(other < index, |distance| distance <= by),
        OverBound::Double(_) => unreachable!("none is generated"),
    };
    (0..partition.len()).filter(|other| behind_start(*other) && before_end(*other)).collect()
}

/// What the call is for a row.
fn expected(call: &FramedCall, order: Order, partition: &[Row], index: usize) -> String {
    let row = &partition[index];
    let total = partition.len();
    let held: Vec<&Row> =
        frame(call.frame, order, partition, index).into_iter().map(|other| &partition[other]).collect();
    let values = || held.iter().filter_map(|row| row.n);
    let in_front = partition.iter().take_while(|other| other.n != row.n).count();
    let peers = partition.iter().filter(|other| other.n == row.n).count();
    let whole = match &call.function {
        FramedFunction::PercentRank if total == 1 => return "0".to_owned(),
        FramedFunction::PercentRank => return (in_front as f64 / (total - 1) as f64).to_string(),
        FramedFunction::CumeDist => return ((in_front + peers) as f64 / total as f64).to_string(),
        FramedFunction::Ntile(parts) => {
            // One by one: each part gets its share, and the first ones one more of what is over.
            let parts = *parts as usize;
            let sizes = (0..parts).map(|part| total / parts + usize::from(part < total % parts));
            let mut numbers = sizes.enumerate().flat_map(|(part, size)| std::iter::repeat_n(part + 1, size));
            numbers.nth(index).map(|part| part as i64)
        }
        FramedFunction::NthValue(number) => held.get(*number as usize - 1).and_then(|row| row.n),
        FramedFunction::NthPresent { number, from_last: false } => values().nth(*number as usize - 1),
        FramedFunction::NthPresent { number, from_last: true } => values().rev().nth(*number as usize - 1),
        FramedFunction::Aggregate(call) if call.distinct => Some(values().collect::<BTreeSet<_>>().len() as i64),
        FramedFunction::Aggregate(_) => values().reduce(|a, b| a ^ b),
        FramedFunction::Over(function) => match function {
            OverFunction::Count => Some(values().count() as i64),
            OverFunction::Sum => values().reduce(|a, b| a + b),
            OverFunction::Min => values().min(),
            OverFunction::Max => values().max(),
            OverFunction::FirstValue { respect_nulls: true } => held.first().and_then(|row| row.n),
            OverFunction::LastValue { respect_nulls: true } => held.last().and_then(|row| row.n),
            OverFunction::FirstValue { .. } => values().next(),
            OverFunction::LastValue { .. } => values().next_back(),
            OverFunction::RowNumber => Some(index as i64 + 1),
            OverFunction::Rank => Some(in_front as i64 + 1),
            OverFunction::DenseRank => {
                let different: BTreeSet<_> = partition[..in_front].iter().map(|row| row.n).collect();
                Some(different.len() as i64 + 1)
            }
            OverFunction::Lag(rows) => index.checked_sub(*rows as usize).and_then(|other| partition[other].n),
            OverFunction::LastBefore => partition[..index].iter().rev().find_map(|row| row.n),
            OverFunction::Lead(rows) => partition.get(index + *rows as usize).and_then(|row| row.n),
            OverFunction::Avg => unreachable!("none is generated"),
        },
    };
    text(whole)
}

#[derive(Debug, Clone, Copy)]
struct Order {
    descending: bool,
    nulls_first: bool,
}

/// The rows that there are, which are in the order of their arrival, with their results.
fn shown(live: &[Row], order: Order, calls: &[FramedCall]) -> BTreeMap<String, i64> {
    let mut lines = BTreeMap::new();
    for who in 0..3 {
        let mut partition: Vec<Row> = live.iter().filter(|row| row.who == who).copied().collect();
        partition.sort_by_key(|row| match row.n {
            None => (if order.nulls_first { -1 } else { 1 }, 0),
            Some(n) => (0, if order.descending { -n } else { n }),
        });
        for (index, row) in partition.iter().enumerate() {
            let results: Vec<String> = calls.iter().map(|call| expected(call, order, &partition, index)).collect();
            *lines.entry(format!("{} | {}", row.line(), results.join(" | "))).or_insert(0) += 1;
        }
    }
    lines
}

fn batch(changes: &[(i8, Row)]) -> Batch {
    let lines: Vec<String> = changes.iter().map(|(_, row)| row.line()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let weights: Int8Array = changes.iter().map(|(weight, _)| Some(*weight)).collect();
    Batch::weighted(rows(&schema(INPUT), &lines), weights).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_are_those_of_the_rows_that_are_there(
        calls in prop::collection::vec(calls(), 1..4),
        descending in any::<bool>(),
        nulls_first in any::<bool>(),
        steps in prop::collection::vec(
            (0_u8..6, prop::collection::vec(
                (0_u8..3, prop::option::weighted(0.85, -3_i64..4), 0_i64..3, any::<prop::sample::Index>()), 1..7)),
            1..20,
        ),
    ) {
        let order = Order { descending, nulls_first };
        let (mut live, mut script, mut wanted): (Vec<Row>, _, _) = (Vec::new(), Script::default(), Vec::new());
        for (kind, rows) in &steps {
            let mut changes = Vec::new();
            match kind {
                0 | 1 => {
                    script.steps.push(Step::Marker);
                    wanted.push(shown(&live, order, &calls));
                }
                2 | 3 => {
                    for (who, n, id, _) in rows {
                        let row = Row { who: *who, n: *n, id: *id };
                        live.push(row);
                        changes.push((1, row));
                    }
                }
                _ => {
                    for (.., place) in rows {
                        if !live.is_empty() {
                            let row = live[place.index(live.len())];
                            // Of equal ones the last.
                            let last = live.iter().rposition(|other| *other == row).unwrap();
                            changes.push((-1, live.remove(last)));
                        }
                    }
                }
            }
            if !changes.is_empty() {
                script.steps.push(Step::Rows(0, batch(&changes)));
            }
        }
        // What is left comes out at the end of time.
        wanted.push(shown(&live, order, &calls));
        script.steps.push(Step::Watermark(0, Watermark::At(EventTime::MAX)));
        let node = over(vec![0], vec![key(N, descending, nulls_first)], calls.clone());
        for plan in Plan::ALL {
            let mut all: BTreeMap<String, i64> = BTreeMap::new();
            let found = run(&node, &[schema(INPUT)], &script, plan).unwrap();
            prop_assert_eq!(found.len(), wanted.len());
            for (interval, wanted) in found.iter().zip(&wanted) {
                for row in &interval.rows {
                    let (row, weight) = row.strip_prefix("- ").map_or((row.as_str(), 1), |row| (row, -1));
                    *all.entry(row.to_owned()).or_insert(0) += weight;
                }
                all.retain(|_, count| *count != 0);
                prop_assert_eq!(&all, wanted, "{:?}", plan);
            }
        }
    }
}
