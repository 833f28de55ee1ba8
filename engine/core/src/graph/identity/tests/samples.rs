//! Nodes of every kind, with every kind of expression, literal and type in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit, UnionFields, UnionMode};

use super::super::super::*;
use crate::plugin::{Artifact, ArtifactHash, PluginInput, PluginSpec, Spread};
use crate::{AggregateCall, AggregateFunction, BinaryOperator, Expr, Literal, LiteralValue, TableSpec, WindowKind};

pub fn column(index: usize) -> Expr {
    Expr::Column(index)
}

fn boxed(index: usize) -> Box<Expr> {
    Box::new(column(index))
}

pub fn cast_to(data_type: DataType) -> Expr {
    Expr::Cast { operand: boxed(0), data_type, safe: false }
}

pub fn node(operator: OperatorSpec) -> NodeSpec {
    NodeSpec::new(operator.tag(), operator, Vec::new(), Arc::new(Schema::empty()))
}

pub fn calc(expression: Expr) -> NodeSpec {
    node(OperatorSpec::Calc(CalcSpec { predicate: None, projection: vec![expression] }))
}

pub fn graph_of(spec: NodeSpec) -> JobGraph {
    let mut graph = JobGraph::new();
    graph.add(spec);
    graph
}

pub fn table(name: &str) -> TableSpec {
    let options = [("path", "/data"), ("format", "json"), ("error-policy", "fail")];
    let options: BTreeMap<_, _> = options.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), false),
    ]);
    let settings = BTreeSet::from(["error-policy".to_owned()]);
    TableSpec { settings, ..TableSpec::new(name, "filesystem", options, Arc::new(schema)) }
}

pub fn source() -> SourceSpec {
    let watermark =
        Some(WatermarkSpec { expression: column(1), time: None, idle_timeout_ms: Some(60_000), max_drift_ms: None });
    SourceSpec { table: table("bids"), projection: None, filter: None, watermark, rows_per_second: Some(1000) }
}

pub fn plugin(uid: Option<String>) -> PluginSpec {
    let columns = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    PluginSpec {
        artifact: Some(Artifact {
            hash: ArtifactHash::from_bytes([7; 32]),
            name: "p".into(),
            version: "1.0.0".into(),
            folder: None,
        }),
        operator: "count".into(),
        config: b"{}".to_vec(),
        uid,
        inputs: vec![PluginInput { columns: columns.clone(), spread: Spread::Keys(vec![0]), takes_retractions: true }],
        output: columns.clone(),
        changelog: ChangelogKind::Retract,
        side_outputs: vec![columns],
        emits_at_markers: true,
        wants_ticks: true,
        awaits_answers: true,
        drops: vec!["gone".into()],
    }
}

pub fn aggregate() -> AggregateCall {
    AggregateCall {
        function: AggregateFunction::Sum,
        arguments: vec![1],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "sum(a)".into(),
        data_type: DataType::Int64,
    }
}

fn aggregation(window: WindowSource, aggregates: Vec<AggregateCall>, partial_input: bool) -> WindowAggregateSpec {
    WindowAggregateSpec { window, keys: vec![0], aggregates, partial_input, spread: None }
}

fn grouping(keys: Vec<usize>, retracts: bool) -> GroupAggregateSpec {
    GroupAggregateSpec { keys, aggregates: vec![aggregate()], retracts, time_to_live: Some(1000), window: None }
}

fn lookup(join_type: JoinType, residual: Option<Expr>) -> LookupJoinSpec {
    let source = SourceSpec { watermark: None, ..source() };
    let schemas = vec![Arc::new(Schema::empty())];
    LookupJoinSpec { join_type, on: vec![(0, 1)], source, calcs: Vec::new(), schemas, residual, retracts: false }
}

const TUMBLE: WindowKind = WindowKind::Tumble { size: 10_000, offset: 0 };

/// Every function with OVER, and every frame.
fn over_calls() -> Vec<OverCall> {
    let call = |function, frame| OverCall {
        function,
        frame,
        argument: None,
        default: None,
        name: "x".into(),
        data_type: DataType::Int64,
    };
    let all = OverFrame::Range(None);
    let of_argument = |function, frame| OverCall { argument: Some(3), ..call(function, frame) };
    vec![
        call(OverFunction::Count, all),
        of_argument(OverFunction::Sum, OverFrame::Range(Some(5000))),
        of_argument(OverFunction::Avg, OverFrame::Rows(Some(2))),
        of_argument(OverFunction::Min, OverFrame::Rows(None)),
        of_argument(OverFunction::Max, all),
        of_argument(OverFunction::FirstValue { respect_nulls: true }, all),
        of_argument(OverFunction::LastValue { respect_nulls: false }, all),
        of_argument(OverFunction::FirstValue { respect_nulls: false }, all),
        of_argument(OverFunction::LastValue { respect_nulls: true }, all),
        call(OverFunction::RowNumber, all),
        call(OverFunction::Rank, all),
        call(OverFunction::DenseRank, all),
        OverCall { default: Some(4), ..of_argument(OverFunction::Lag(1), all) },
        of_argument(OverFunction::Lead(2), all),
    ]
}

/// Functions with OVER in any order, and every kind of bound.
fn framed_calls() -> Vec<FramedCall> {
    let call = |function, frame| FramedCall {
        function,
        frame,
        argument: None,
        default: None,
        name: "x".into(),
        data_type: DataType::Int64,
    };
    let rows = |start, end| OverRows { by_range: false, start, end };
    let lag = FramedFunction::Over(OverFunction::Lag(1));
    vec![
        call(FramedFunction::Over(OverFunction::Count), OverRows::ALL),
        call(FramedFunction::PercentRank, OverRows::ALL),
        call(FramedFunction::CumeDist, OverRows::ALL),
        call(FramedFunction::Ntile(4), OverRows::ALL),
        FramedCall {
            argument: Some(3),
            ..call(FramedFunction::NthValue(2), rows(OverBound::Whole(-1), OverBound::Current))
        },
        call(
            FramedFunction::Aggregate(aggregate()),
            OverRows { by_range: true, start: OverBound::Current, end: OverBound::Double(2.5_f64.to_bits()) },
        ),
        FramedCall { argument: Some(3), default: Some(4), ..call(lag, OverRows::ALL) },
    ]
}

/// Every kind of operator, with as many of its fields set as can be, and once with few of them.
pub fn operators() -> Vec<(&'static str, NodeSpec)> {
    let assign = WindowSource::Assign { window: TUMBLE, time: 2 };
    let attached = WindowSource::Attached { start: 3, end: 4 };
    let full_call = AggregateCall {
        function: AggregateFunction::Other("string_agg".into()),
        constants: vec![Literal { data_type: DataType::Utf8View, value: LiteralValue::Utf8(", ".into()) }],
        distinct: true,
        filter: Some(5),
        order_by: vec![(1, true, false), (2, false, true), (3, false, false)],
        ..aggregate()
    };
    let full_source = SourceSpec {
        table: TableSpec {
            projection: Some(vec![1, 0]),
            partitioned_by: vec!["a".into()],
            primary_key: vec![0],
            ..table("bids")
        },
        projection: Some(vec![column(1), column(0)]),
        filter: Some(Expr::IsNotNull(boxed(0))),
        ..source()
    };
    let order = |column, descending, nulls_first| SortKey { column, descending, nulls_first };
    let operators = vec![
        ("source", OperatorSpec::Source(source())),
        ("source with all", OperatorSpec::Source(full_source)),
        ("calc", OperatorSpec::Calc(CalcSpec { predicate: Some(column(1)), projection: vec![column(0)] })),
        ("expand", OperatorSpec::Expand(ExpandSpec { projections: vec![vec![column(0)], vec![column(1)]] })),
        ("unnest", OperatorSpec::Unnest(UnnestSpec { columns: vec![1], keep_empty: false })),
        ("unnest that keeps", OperatorSpec::Unnest(UnnestSpec { columns: vec![1, 2], keep_empty: true })),
        ("processing time", OperatorSpec::ProcessingTime),
        ("window assign", OperatorSpec::WindowAssign(WindowAssignSpec { window: TUMBLE, time: 2, lateness: 0 })),
        ("partial", OperatorSpec::PartialAggregate(aggregation(assign, vec![aggregate()], false))),
        ("aggregate of partial", OperatorSpec::WindowAggregate(aggregation(assign, vec![aggregate()], true))),
        ("aggregate", OperatorSpec::WindowAggregate(aggregation(attached, vec![full_call], false))),
        (
            "top n",
            OperatorSpec::WindowTopN(WindowTopNSpec {
                window_end: 4,
                partition: vec![0, 4],
                order: vec![order(1, false, false), order(2, true, true)],
                limit: 3,
                with_rank: true,
                ranking: Ranking::RowNumber,
            }),
        ),
        (
            "window join",
            OperatorSpec::WindowJoin(WindowJoinSpec {
                join_type: JoinType::Inner,
                on: vec![(0, 1), (4, 3)],
                window_end: (4, 3),
                residual: None,
                spread: JoinSpread::Keys,
            }),
        ),
        (
            "interval join",
            OperatorSpec::IntervalJoin(IntervalJoinSpec {
                join_type: JoinType::Left,
                on: vec![(0, 1)],
                time: (2, 3),
                lower: -1000,
                upper: 0,
                residual: Some(column(7)),
                spread: JoinSpread::Keys,
            }),
        ),
        (
            "join",
            OperatorSpec::Join(JoinSpec {
                join_type: JoinType::Full,
                on: vec![(0, 1)],
                residual: Some(column(7)),
                time_to_live: (Some(1000), None),
                spread: JoinSpread::Keys,
            }),
        ),
        ("group aggregate", OperatorSpec::GroupAggregate(grouping(vec![0], false))),
        ("group aggregate over a changelog", OperatorSpec::GroupAggregate(grouping(Vec::new(), true))),
        (
            "top n of all rows",
            OperatorSpec::TopN(TopNSpec {
                partition: vec![2],
                order: vec![order(1, true, false)],
                limit: 3,
                with_rank: true,
                retracts: true,
                time_to_live: Some(1000),
                ranking: Ranking::RowNumber,
                deletions: None,
            }),
        ),
        ("over", OperatorSpec::Over(OverSpec { partition: vec![0], time: 1, calls: over_calls() })),
        ("over all rows", OperatorSpec::Over(OverSpec { partition: Vec::new(), time: 2, calls: Vec::new() })),
        (
            "updating over",
            OperatorSpec::UpdatingOver(UpdatingOverSpec {
                partition: vec![0],
                order: vec![order(1, true, false)],
                calls: framed_calls(),
                retracts: true,
                time_to_live: Some(1000),
            }),
        ),
        (
            "updating over all rows",
            OperatorSpec::UpdatingOver(UpdatingOverSpec {
                partition: Vec::new(),
                order: Vec::new(),
                calls: Vec::new(),
                retracts: false,
                time_to_live: Some(1000),
            }),
        ),
        (
            "temporal join",
            OperatorSpec::TemporalJoin(TemporalJoinSpec {
                join_type: JoinType::Left,
                on: vec![(0, 1)],
                time: (2, 3),
                residual: Some(column(7)),
            }),
        ),
        ("lookup join", OperatorSpec::LookupJoin(lookup(JoinType::Inner, None))),
        (
            "lookup join of rows that are taken back",
            OperatorSpec::LookupJoin(LookupJoinSpec {
                calcs: vec![CalcSpec { predicate: Some(column(1)), projection: vec![column(0)] }],
                retracts: true,
                ..lookup(JoinType::Left, Some(column(7)))
            }),
        ),
        ("clock", OperatorSpec::Clock),
        ("final rows", OperatorSpec::FinalRows),
        ("upsert rows", OperatorSpec::UpsertRows(UpsertRowsSpec { key: vec![1, 0], retracts: false })),
        ("upsert rows of one", OperatorSpec::UpsertRows(UpsertRowsSpec { key: Vec::new(), retracts: false })),
        ("paced rows", OperatorSpec::PacedRows(PacedRowsSpec { key: vec![1, 0], every: 10_000 })),
        ("changelog rows", OperatorSpec::ChangelogRows(ChangelogRowsSpec { key: None })),
        ("changelog rows of one", OperatorSpec::ChangelogRows(ChangelogRowsSpec { key: Some(Vec::new()) })),
        ("changelog rows with a key", OperatorSpec::ChangelogRows(ChangelogRowsSpec { key: Some(vec![1, 0]) })),
        (
            "ranks of a window",
            OperatorSpec::WindowTopN(WindowTopNSpec {
                window_end: 4,
                partition: vec![0, 4],
                order: vec![order(1, false, false)],
                limit: 3,
                with_rank: false,
                ranking: Ranking::DenseRank,
            }),
        ),
        (
            "ranks of all rows",
            OperatorSpec::TopN(TopNSpec {
                partition: vec![2],
                order: vec![order(1, true, false)],
                limit: 3,
                with_rank: true,
                retracts: false,
                time_to_live: None,
                ranking: Ranking::Rank,
                deletions: None,
            }),
        ),
        ("sorted rows", OperatorSpec::SortedRows(SortedRowsSpec { order: vec![order(1, true, false)] })),
        (
            "join without a key",
            OperatorSpec::Join(JoinSpec {
                join_type: JoinType::Left,
                on: Vec::new(),
                residual: None,
                time_to_live: (None, None),
                spread: JoinSpread::Keys,
            }),
        ),
        ("discover", OperatorSpec::Discover(DiscoverSpec { table: table("bids") })),
        ("sink", OperatorSpec::Sink(SinkSpec { table: table("totals") })),
        ("plugin", OperatorSpec::Plugin(plugin(None))),
        ("plugin known as another", OperatorSpec::Plugin(plugin(Some("totals".into())))),
        ("updating sessions", OperatorSpec::UpdatingSessions(updating_sessions(0, true))),
    ];
    operators.into_iter().map(|(name, operator)| (name, node(operator))).collect()
}

fn updating_sessions(lateness: u64, early: bool) -> UpdatingSessionsSpec {
    UpdatingSessionsSpec { keys: vec![0], aggregates: vec![aggregate()], time: 2, gap: 7, lateness, early }
}

/// Every shape of windows, every join, every function: one word each, in an operator.
pub fn words() -> Vec<NodeSpec> {
    let assign = |window| node(OperatorSpec::WindowAssign(WindowAssignSpec { window, time: 0, lateness: 0 }));
    let mut words = vec![
        assign(WindowKind::Tumble { size: 5, offset: 2 }),
        assign(WindowKind::Hop { slide: 2, size: 5, offset: 1 }),
        assign(WindowKind::Cumulate { step: 2, size: 6, offset: 1 }),
        assign(WindowKind::Session { gap: 7 }),
    ];
    let joins = [
        JoinType::Inner,
        JoinType::Left,
        JoinType::Right,
        JoinType::Full,
        JoinType::LeftSemi,
        JoinType::LeftAnti,
        JoinType::RightSemi,
        JoinType::RightAnti,
    ];
    words.extend(joins.into_iter().map(|join_type| {
        let spec = WindowJoinSpec {
            join_type,
            on: vec![(0, 0)],
            window_end: (0, 0),
            residual: None,
            spread: JoinSpread::Keys,
        };
        node(OperatorSpec::WindowJoin(spec))
    }));
    let functions = [
        AggregateFunction::Count,
        AggregateFunction::Sum,
        AggregateFunction::Avg,
        AggregateFunction::Min,
        AggregateFunction::Max,
        AggregateFunction::FirstValue,
        AggregateFunction::LastValue,
        AggregateFunction::Other("median".into()),
    ];
    words.extend(functions.into_iter().map(|function| {
        let call = AggregateCall { function, ..aggregate() };
        let window = WindowSource::Attached { start: 1, end: 2 };
        node(OperatorSpec::WindowAggregate(aggregation(window, vec![call], false)))
    }));
    let assign = WindowSource::Assign { window: TUMBLE, time: 2 };
    words.push(node(OperatorSpec::WindowAggregate(WindowAggregateSpec {
        keys: vec![0, 1],
        spread: Some(1),
        ..aggregation(assign, vec![aggregate()], true)
    })));
    words.extend([JoinSpread::SomeKeys(vec![1, 0]), JoinSpread::Broadcast(1)].map(|spread| {
        let (join_type, on) = (JoinType::Inner, vec![(0, 0), (1, 1)]);
        node(OperatorSpec::WindowJoin(WindowJoinSpec { join_type, on, window_end: (0, 0), residual: None, spread }))
    }));
    words.push(node(OperatorSpec::IntervalJoin(IntervalJoinSpec {
        join_type: JoinType::Inner,
        on: vec![(0, 1)],
        time: (2, 3),
        lower: -1000,
        upper: 0,
        residual: None,
        spread: JoinSpread::Broadcast(0),
    })));
    words.push(node(OperatorSpec::WindowAssign(WindowAssignSpec { window: TUMBLE, time: 2, lateness: 500 })));
    let updated = [(0, true), (500, false), (500, true)];
    words.extend(updated.map(|(lateness, early)| {
        let window = Some(UpdatedWindow { end: 1, lateness, early });
        node(OperatorSpec::GroupAggregate(GroupAggregateSpec { window, ..grouping(vec![0, 1], false) }))
    }));
    words.push(node(OperatorSpec::Join(JoinSpec {
        join_type: JoinType::Left,
        on: Vec::new(),
        residual: None,
        time_to_live: (None, None),
        spread: JoinSpread::Broadcast(1),
    })));
    let last_before = OverCall {
        function: OverFunction::LastBefore,
        frame: OverFrame::Range(None),
        argument: Some(3),
        default: None,
        name: "x".into(),
        data_type: DataType::Int64,
    };
    words.push(node(OperatorSpec::Over(OverSpec { partition: vec![0], time: 1, calls: vec![last_before] })));
    let present = FramedCall {
        function: FramedFunction::NthPresent { number: 2, from_last: true },
        frame: OverRows { by_range: false, start: OverBound::Unbounded, end: OverBound::Whole(-1) },
        argument: Some(3),
        default: Some(4),
        name: "x".into(),
        data_type: DataType::Int64,
    };
    words.push(node(OperatorSpec::UpdatingOver(UpdatingOverSpec {
        partition: vec![0],
        order: Vec::new(),
        calls: vec![present],
        retracts: false,
        time_to_live: None,
    })));
    let sessions = [(500, false), (500, true)];
    words.extend(sessions.map(|(late, early)| node(OperatorSpec::UpdatingSessions(updating_sessions(late, early)))));
    words
}

/// Every kind of expression.
pub fn expressions() -> Vec<Expr> {
    let like =
        |negated, case_insensitive| Expr::Like { negated, case_insensitive, operand: boxed(0), pattern: boxed(1) };
    let mut expressions = vec![
        column(7),
        Expr::Literal(Literal { data_type: DataType::Boolean, value: LiteralValue::Null }),
        Expr::Not(boxed(0)),
        Expr::Negative(boxed(0)),
        Expr::IsNull(boxed(0)),
        Expr::IsNotNull(boxed(0)),
        like(false, false),
        like(true, true),
        Expr::InList { operand: boxed(0), list: vec![column(1), column(2)], negated: false },
        Expr::InList { operand: boxed(0), list: vec![], negated: true },
        Expr::Case { operand: None, branches: vec![(column(0), column(1))], otherwise: None },
        Expr::Case {
            operand: Some(boxed(0)),
            branches: vec![(column(1), column(2)), (column(3), column(4))],
            otherwise: Some(boxed(5)),
        },
        Expr::Cast { operand: boxed(1), data_type: DataType::Int32, safe: false },
        Expr::Cast { operand: boxed(1), data_type: DataType::Int32, safe: true },
        Expr::Function { name: "upper".into(), arguments: vec![column(0)], data_type: DataType::Utf8View },
    ];
    let operators = [
        BinaryOperator::Eq,
        BinaryOperator::NotEq,
        BinaryOperator::Lt,
        BinaryOperator::LtEq,
        BinaryOperator::Gt,
        BinaryOperator::GtEq,
        BinaryOperator::Plus,
        BinaryOperator::Minus,
        BinaryOperator::Multiply,
        BinaryOperator::Divide,
        BinaryOperator::Modulo,
        BinaryOperator::And,
        BinaryOperator::Or,
        BinaryOperator::IsDistinctFrom,
        BinaryOperator::IsNotDistinctFrom,
        BinaryOperator::RegexMatch,
        BinaryOperator::RegexIMatch,
        BinaryOperator::RegexNotMatch,
        BinaryOperator::RegexNotIMatch,
        BinaryOperator::BitwiseAnd,
        BinaryOperator::BitwiseOr,
        BinaryOperator::BitwiseXor,
        BinaryOperator::BitwiseShiftLeft,
        BinaryOperator::BitwiseShiftRight,
        BinaryOperator::StringConcat,
    ];
    expressions.extend(operators.map(|operator| Expr::Binary { operator, left: boxed(0), right: boxed(1) }));
    let literal = |data_type: DataType, value| Expr::Literal(Literal { data_type, value });
    let one = Literal { data_type: DataType::Int64, value: LiteralValue::Int(1) };
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    expressions.extend([
        literal(DataType::Boolean, LiteralValue::Boolean(true)),
        literal(DataType::Int64, LiteralValue::Int(-5)),
        literal(DataType::UInt64, LiteralValue::UInt(u64::MAX)),
        literal(DataType::Decimal128(38, 4), LiteralValue::Decimal("123456".into())),
        literal(DataType::Float64, LiteralValue::Float((-0.5f64).to_bits())),
        literal(DataType::Utf8View, LiteralValue::Utf8("größe, \"x\"\n".into())),
        literal(DataType::BinaryView, LiteralValue::Binary(vec![0, 255])),
        literal(
            DataType::Interval(IntervalUnit::MonthDayNano),
            LiteralValue::Interval { months: 1, days: -2, nanoseconds: 3 },
        ),
        literal(
            DataType::List(item),
            LiteralValue::List(vec![one.clone(), Literal { value: LiteralValue::Null, ..one }]),
        ),
    ]);
    expressions
}

/// Every type of Arrow's.
pub fn types() -> Vec<DataType> {
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let item = || Arc::new(Field::new("item", DataType::Utf8View, true));
    let sure = || Arc::new(Field::new("item", DataType::Int32, false));
    let fields = Fields::from(vec![Field::new("x", DataType::Int64, false), Field::new("y", DataType::Utf8View, true)]);
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Float64, true)]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    let union = UnionFields::from_fields(fields.iter().cloned());
    let mut types = vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Binary,
        DataType::FixedSizeBinary(16),
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::List(item()),
        DataType::List(sure()),
        DataType::ListView(item()),
        DataType::FixedSizeList(item(), 3),
        DataType::LargeList(item()),
        DataType::LargeListView(item()),
        DataType::Struct(fields),
        DataType::Union(union.clone(), UnionMode::Sparse),
        DataType::Union(union, UnionMode::Dense),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, 0),
        DataType::Decimal128(38, -3),
        DataType::Decimal256(76, 10),
        DataType::Map(entries.clone(), false),
        DataType::Map(entries, true),
        DataType::RunEndEncoded(sure(), item()),
    ];
    types.extend(units.map(|unit| DataType::Timestamp(unit, None)));
    types.extend(units.map(DataType::Duration));
    types
}
