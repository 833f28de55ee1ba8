//! Uids of nodes of every kind, with every kind of expression, literal and type in them: `golden.txt`, a node a line. Its
//! hashes were computed by the reference implementation of XXH3 over the texts.

use std::collections::BTreeSet;

use arrow_schema::DataType;

use super::super::super::{NodeSpec, OperatorSpec};
use super::samples::{calc, cast_to, expressions, operators, types, words};
use super::{text, uid};
use crate::{Expr, LiteralValue};

const GOLDEN: &str = include_str!("golden.txt");

fn nodes() -> Vec<NodeSpec> {
    let expressions = expressions().into_iter().map(calc);
    let types = types().into_iter().map(|data_type| calc(cast_to(data_type)));
    operators().into_iter().map(|(_, node)| node).chain(words()).chain(expressions).chain(types).collect()
}

#[test]
fn uids_are_what_they_have_always_been() {
    let nodes = nodes();
    let lines = || GOLDEN.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines().count(), nodes.len(), "a line each");
    for (line, node) in lines().zip(nodes) {
        let (expected, identity) = line.split_once(' ').expect("a uid and a text");
        assert_eq!(text(&node), format!("weir-identity 1\n{}", identity.replace("\\n", "\n")), "the text of {node:?}");
        assert_eq!(uid(node), expected, "the hash of {identity}");
    }
}

#[test]
fn nodes_that_differ_have_uids_that_differ() {
    let uids: Vec<String> = nodes().into_iter().map(uid).collect();
    assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len());
}

/// Each of these counts the variants of an enum, and does not compile when one is added.
#[test]
fn every_variant_is_there() {
    let operator = |node: &NodeSpec| match node.operator {
        OperatorSpec::Source(_) => 0,
        OperatorSpec::Calc(_) => 1,
        OperatorSpec::Expand(_) => 2,
        OperatorSpec::Unnest(_) => 3,
        OperatorSpec::ProcessingTime => 4,
        OperatorSpec::WindowAssign(_) => 5,
        OperatorSpec::PartialAggregate(_) => 6,
        OperatorSpec::WindowAggregate(_) => 7,
        OperatorSpec::WindowTopN(_) => 8,
        OperatorSpec::WindowJoin(_) => 9,
        OperatorSpec::IntervalJoin(_) => 10,
        OperatorSpec::Sink(_) => 11,
        OperatorSpec::Discover(_) => 12,
        OperatorSpec::Join(_) => 13,
        OperatorSpec::GroupAggregate(_) => 14,
        OperatorSpec::FinalRows => 15,
        OperatorSpec::ChangelogRows(_) => 16,
        OperatorSpec::TopN(_) => 17,
        OperatorSpec::Over(_) => 18,
        OperatorSpec::SortedRows(_) => 19,
        OperatorSpec::TemporalJoin(_) => 20,
        OperatorSpec::LookupJoin(_) => 21,
        OperatorSpec::UpdatingOver(_) => 22,
        OperatorSpec::Clock => 23,
        OperatorSpec::Plugin(_) => 24,
        OperatorSpec::UpsertRows(_) => 25,
        OperatorSpec::PacedRows(_) => 26,
        OperatorSpec::UpdatingSessions(_) => 27,
    };
    assert_eq!(missing(operators().iter().map(|(_, node)| operator(node)), 28), [] as [usize; 0]);
    let expression = |expression: &Expr| match expression {
        Expr::Column(_) => 0,
        Expr::Literal(_) => 1,
        Expr::Binary { .. } => 2,
        Expr::Not(_) => 3,
        Expr::Negative(_) => 4,
        Expr::IsNull(_) => 5,
        Expr::IsNotNull(_) => 6,
        Expr::Like { .. } => 7,
        Expr::InList { .. } => 8,
        Expr::Case { .. } => 9,
        Expr::Cast { .. } => 10,
        Expr::Function { .. } => 11,
    };
    assert_eq!(missing(expressions().iter().map(expression), 12), [] as [usize; 0]);
    let literal = |expression: &Expr| match expression {
        Expr::Literal(literal) => Some(match literal.value {
            LiteralValue::Null => 0,
            LiteralValue::Boolean(_) => 1,
            LiteralValue::Int(_) => 2,
            LiteralValue::UInt(_) => 3,
            LiteralValue::Decimal(_) => 4,
            LiteralValue::Float(_) => 5,
            LiteralValue::Utf8(_) => 6,
            LiteralValue::Binary(_) => 7,
            LiteralValue::Interval { .. } => 8,
            LiteralValue::List(_) => 9,
        }),
        _ => None,
    };
    assert_eq!(missing(expressions().iter().filter_map(literal), 10), [] as [usize; 0]);
    assert_eq!(missing(types().iter().map(number_of_type), 41), [] as [usize; 0]);
}

fn missing(there: impl Iterator<Item = usize>, count: usize) -> Vec<usize> {
    let there: BTreeSet<usize> = there.collect();
    (0..count).filter(|variant| !there.contains(variant)).collect()
}

fn number_of_type(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null => 0,
        DataType::Boolean => 1,
        DataType::Int8 => 2,
        DataType::Int16 => 3,
        DataType::Int32 => 4,
        DataType::Int64 => 5,
        DataType::UInt8 => 6,
        DataType::UInt16 => 7,
        DataType::UInt32 => 8,
        DataType::UInt64 => 9,
        DataType::Float16 => 10,
        DataType::Float32 => 11,
        DataType::Float64 => 12,
        DataType::Timestamp(..) => 13,
        DataType::Date32 => 14,
        DataType::Date64 => 15,
        DataType::Time32(_) => 16,
        DataType::Time64(_) => 17,
        DataType::Duration(_) => 18,
        DataType::Interval(_) => 19,
        DataType::Binary => 20,
        DataType::FixedSizeBinary(_) => 21,
        DataType::LargeBinary => 22,
        DataType::BinaryView => 23,
        DataType::Utf8 => 24,
        DataType::LargeUtf8 => 25,
        DataType::Utf8View => 26,
        DataType::List(_) => 27,
        DataType::ListView(_) => 28,
        DataType::FixedSizeList(..) => 29,
        DataType::LargeList(_) => 30,
        DataType::LargeListView(_) => 31,
        DataType::Struct(_) => 32,
        DataType::Union(..) => 33,
        DataType::Dictionary(..) => 34,
        DataType::Decimal32(..) => 35,
        DataType::Decimal64(..) => 36,
        DataType::Decimal128(..) => 37,
        DataType::Decimal256(..) => 38,
        DataType::Map(..) => 39,
        DataType::RunEndEncoded(..) => 40,
    }
}
