//! Joins. Two kinds have an end: rows of the same window, and rows whose times lie within bounds of each other. Every
//! other join keeps its inputs for ever.

mod input;
mod null_keys;
mod regular;

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, NullEquality};
use datafusion_expr::{Expr as LogicalExpr, Join, JoinType as LogicalJoinType};
use weir_core::{
    Error, Exchange, Expr, IntervalJoinSpec, JoinSpread, JoinType, Literal, LiteralValue, NodeId, OperatorSpec,
    Parallelism, Result, WindowJoinSpec,
};

pub(super) use self::input::{Input, residual};
use super::Lowering;
use super::bounds::{self, Bounds};
use super::expr::expr;
use super::shape::{add, edges, role_after_window, settle};
use super::stream::{
    Role, Stream, StreamColumn, Typed, WindowPart, conjuncts, inline, is_never_true, never_true, typed,
};
use super::windowed::{CarriedWindow, determines, end_of, fixed_size};
use crate::coercion::compared_type;
use crate::logical::{VersionsOf, versions_of};
use crate::parse::sql_type_name;

/// One side of a join.
pub(super) struct Side {
    pub stream: Stream,
    /// The keys that have to be equal, over the stream's base.
    pub keys: Vec<Typed>,
}

impl Lowering<'_> {
    /// A join.
    ///
    /// # Errors
    /// A user error for joins that no operator does.
    pub(super) fn join(&mut self, join: &Join) -> Result<Stream> {
        match versions_of(&join.right).map(|versions| &versions.of) {
            None => {}
            Some(VersionsOf::Now) => return self.lookup_join(join),
            Some(VersionsOf::Key(key) | VersionsOf::Newest { key, .. }) => return self.temporal_join(join, Some(key)),
            Some(VersionsOf::EqualRows) => return self.temporal_join(join, None),
        }
        let join_type = join_type(join)?;
        let left = self.relation(&join.left)?;
        let left = settle(&mut self.graph, left)?;
        let right = self.relation(&join.right)?;
        let right = settle(&mut self.graph, right)?;
        let pairs = null_keys::pairs(join)?;
        let keys = |pick: fn(&(LogicalExpr, LogicalExpr)) -> &LogicalExpr, schema: &DFSchema, stream: &Stream| {
            pairs.iter().map(|pair| typed(pick(pair), schema, stream)).collect::<Result<Vec<_>>>()
        };
        let left_keys = keys(|pair| &pair.0, join.left.schema(), &left)?;
        let right_keys = keys(|pair| &pair.1, join.right.schema(), &right)?;
        let (left_keys, right_keys) = left_keys
            .into_iter()
            .zip(right_keys)
            .map(|(left, right)| comparable(left, right))
            .collect::<Result<(Vec<_>, Vec<_>)>>()?;
        let sides = (Side { stream: left, keys: left_keys }, Side { stream: right, keys: right_keys });
        let condition = self.condition(join, &sides)?;
        if let Some((left, right)) = common_window(&sides) {
            return self.window_join(join, join_type, sides, (left, right), condition);
        }
        let width = sides.0.stream.columns.len();
        let shows_pairs = matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
        match bounds::of(&sides, &condition, width) {
            Some(bounds) if shows_pairs => self.interval_join(join, join_type, sides, bounds),
            _ if condition.iter().any(is_never_true) => Err(never_true("the condition of this join")),
            _ => self.regular_join(join, join_type, sides, condition),
        }
    }

    /// The condition's parts over the left base columns followed by the right ones.
    pub(super) fn condition(&self, join: &Join, (left, right): &(Side, Side)) -> Result<Vec<Expr>> {
        let Some(filter) = &join.filter else { return Ok(Vec::new()) };
        let schema = join.left.schema().join(join.right.schema()).map_err(super::error::from_planner)?;
        let width = left.stream.columns.len();
        let mut projection = left.stream.projection.clone();
        projection.extend(
            right
                .stream
                .projection
                .iter()
                .map(|expression| expression.replace_columns(&|column| Expr::Column(width + column))),
        );
        let mut parts = Vec::new();
        conjuncts(inline(&expr(filter, &schema)?, &projection), &mut parts);
        parts.retain(|part| !is_always_true(part));
        Ok(parts)
    }

    fn window_join(
        &mut self,
        join: &Join,
        join_type: JoinType,
        sides: (Side, Side),
        windows: (CarriedWindow, CarriedWindow),
        condition: Vec<Expr>,
    ) -> Result<Stream> {
        refuse_other_sizes(&sides)?;
        let width = sides.0.stream.columns.len();
        let ends = (end_of(&windows.0, &sides.0.stream.columns)?, end_of(&windows.1, &sides.1.stream.columns)?);
        let padded = padded_sides(join_type);
        let left = Input::of(&mut self.graph, sides.0, padded.0, Some(&ends.0), &condition, 0)?;
        let right = Input::of(&mut self.graph, sides.1, padded.1, Some(&ends.1), &condition, width)?;
        let mut on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        // Equal starts mean equal ends here; saying so spreads rows by both.
        let ends = times(&left, &right)?;
        if !on.contains(&ends) {
            on.push(ends);
        }
        let residual = residual(condition, &left, &right);
        let operator = OperatorSpec::WindowJoin(WindowJoinSpec {
            join_type,
            on: on.clone(),
            window_end: ends,
            residual,
            spread: JoinSpread::Keys,
        });
        let closes = [windows.0.lineage, windows.1.lineage];
        let role = |role, (side, _): (usize, usize)| role_after_window(role, closes[side]);
        self.joined(join, join_type, operator, "WindowJoin", &on, (left, right), &role)
    }

    fn interval_join(
        &mut self,
        join: &Join,
        join_type: JoinType,
        sides: (Side, Side),
        bounds: Bounds,
    ) -> Result<Stream> {
        if bounds.lower > bounds.upper {
            return Err(Error::user("the time bounds of this join let no rows meet")
                .with_help("check the signs of the intervals"));
        }
        let width = sides.0.stream.columns.len();
        let condition = bounds.residual;
        let padded = padded_sides(join_type);
        let left = Input::of(&mut self.graph, sides.0, padded.0, Some(&bounds.time.0), &condition, 0)?;
        let right = Input::of(&mut self.graph, sides.1, padded.1, Some(&bounds.time.1), &condition, width)?;
        let on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        let residual = residual(condition, &left, &right);
        let times = times(&left, &right)?;
        let operator = OperatorSpec::IntervalJoin(IntervalJoinSpec {
            join_type,
            on: on.clone(),
            time: times,
            lower: bounds.lower,
            upper: bounds.upper,
            residual,
            spread: JoinSpread::Keys,
        });
        // The operator holds its watermark back so far that the two times it joins by stay time attributes; other times
        // of the rows may be older.
        let role = move |role: Role, (side, column): (usize, usize)| {
            let joined_by = if side == 0 { times.0 } else { times.1 };
            match role {
                Role::Time { processing } | Role::Window { part: WindowPart::End, processing, .. }
                    if column == joined_by =>
                {
                    Role::Time { processing }
                }
                _ => Role::Plain,
            }
        };
        self.joined(join, join_type, operator, "IntervalJoin", &on, (left, right), &role)
    }

    #[allow(clippy::too_many_arguments, reason = "all that a join knows about itself")]
    pub(super) fn joined(
        &mut self,
        join: &Join,
        join_type: JoinType,
        operator: OperatorSpec,
        name: &str,
        on: &[(usize, usize)],
        (left, right): (Input, Input),
        role: &dyn Fn(Role, (usize, usize)) -> Role,
    ) -> Result<Stream> {
        let (has_left, has_right) = match join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => (true, false),
            JoinType::RightSemi | JoinType::RightAnti => (false, true),
            _ => (true, true),
        };
        // A side that may be filled with nulls has no time any more.
        let (left_null, right_null) = padded_sides(join_type);
        let mut columns = Vec::new();
        let mut projection = Vec::new();
        for (side, input, present, null) in [(0, &left, has_left, left_null), (1, &right, has_right, right_null)] {
            if !present {
                continue;
            }
            let first = columns.len();
            projection.extend(
                input
                    .projection
                    .iter()
                    .map(|expression| expression.replace_columns(&|column| Expr::Column(first + column))),
            );
            for (index, column) in input.shaped.columns.iter().enumerate() {
                let role = match role(column.role, (side, index)) {
                    Role::Joined => Role::Joined,
                    role if !null => role,
                    _ => Role::Plain,
                };
                columns.push(StreamColumn { role, ..column.clone() });
            }
        }
        let (left_on, right_on): (Vec<usize>, Vec<usize>) = on.iter().copied().unzip();
        let exchange = |side: usize, on: Vec<usize>, nodes: &[NodeId]| match operator.broadcast_input() {
            None => Exchange::Hash(on),
            Some(small) if small == side => Exchange::Broadcast,
            Some(_) if nodes.iter().all(|node| self.graph.node(*node).spec.parallelism == Parallelism::Job) => {
                Exchange::Forward
            }
            Some(_) => Exchange::Rebalance,
        };
        let mut inputs = edges(&left.shaped.nodes, 0, exchange(0, left_on, &left.shaped.nodes));
        inputs.extend(edges(&right.shaped.nodes, 1, exchange(1, right_on, &right.shaped.nodes)));
        let refuses_late_rows = !matches!(operator, OperatorSpec::Join(_));
        let node = add(&mut self.graph, name, operator, inputs, &columns)?;
        if refuses_late_rows {
            self.windowed.push(node);
        }
        let fields = join.schema.fields();
        if fields.len() != projection.len() {
            return Err(Error::internal("a join has another number of columns than its plan"));
        }
        Ok(Stream {
            projection,
            names: fields.iter().map(|field| field.name().clone()).collect(),
            types: fields.iter().map(|field| field.data_type().clone()).collect(),
            ..Stream::of_nodes(vec![node], columns)
        })
    }
}

/// Whether a condition lets every row through, as that of a cross join does.
fn is_always_true(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(Literal { value: LiteralValue::Boolean(true), .. }))
}

/// Where the times are that a join goes by.
fn times(left: &Input, right: &Input) -> Result<(usize, usize)> {
    left.time.zip(right.time).ok_or_else(|| Error::internal("a join by time has an input without one"))
}

/// Whether the left and the right side of a join may be filled with nulls.
fn padded_sides(join_type: JoinType) -> (bool, bool) {
    match join_type {
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        JoinType::Full => (true, true),
        _ => (false, false),
    }
}

/// Keys of one type. A union makes one type of its inputs' only after the planner
/// has looked at the joins over it.
pub(super) fn comparable(left: Typed, right: Typed) -> Result<(Typed, Typed)> {
    let common = if left.data_type == right.data_type {
        left.data_type.clone()
    } else {
        compared_type(&left.data_type, &right.data_type).ok_or_else(|| {
            let (left, right) = (sql_type_name(&left.data_type), sql_type_name(&right.data_type));
            Error::user(format!("a join compares {left} with {right}")).with_help("CAST one of them to the other")
        })?
    };
    Ok((key(left, &common), key(right, &common)))
}

fn key(Typed { mut expression, data_type }: Typed, common: &DataType) -> Typed {
    if data_type != *common {
        expression = Expr::Cast { operand: Box::new(expression), data_type: common.clone(), safe: false };
    }
    Typed { expression, data_type: common.clone() }
}

/// # Errors
/// A user error for a join that looks for its keys in another table or in versions of it, where null is like nothing.
pub(super) fn refuse_equal_nulls(join: &Join) -> Result<()> {
    if join.null_equality == NullEquality::NullEqualsNull {
        return Err(Error::user("a lookup or temporal join has no IS NOT DISTINCT FROM")
            .with_help("compare with `=`, and replace nulls by a value with COALESCE first"));
    }
    Ok(())
}

pub(super) fn join_type(join: &Join) -> Result<JoinType> {
    if join.null_aware {
        let nullable = |expression: &LogicalExpr, schema: &DFSchema| {
            datafusion_expr::ExprSchemable::nullable(expression, schema).map_err(super::error::from_planner)
        };
        for (left, right) in &join.on {
            if nullable(left, join.left.schema())? || nullable(right, join.right.schema())? {
                return Err(Error::user("NOT IN (SELECT …) over columns that may be null is not supported")
                    .with_help("write NOT EXISTS, whose result does not change with a null"));
            }
        }
    }
    Ok(match join.join_type {
        LogicalJoinType::Inner => JoinType::Inner,
        LogicalJoinType::Left => JoinType::Left,
        LogicalJoinType::Right => JoinType::Right,
        LogicalJoinType::Full => JoinType::Full,
        LogicalJoinType::LeftSemi => JoinType::LeftSemi,
        LogicalJoinType::LeftAnti => JoinType::LeftAnti,
        LogicalJoinType::RightSemi => JoinType::RightSemi,
        LogicalJoinType::RightAnti => JoinType::RightAnti,
        LogicalJoinType::LeftMark | LogicalJoinType::RightMark => {
            return Err(Error::user("IN or EXISTS inside OR or another expression is not supported")
                .with_help("let it stand alone in WHERE, next to other conditions with AND"));
        }
    })
}

/// Starts and ends that are all equal leave nothing of windows whose sizes differ.
fn refuse_other_sizes((left, right): &(Side, Side)) -> Result<()> {
    let window = |side: &Side, key: &Typed| match &key.expression {
        Expr::Column(column) => match side.stream.columns[*column].role {
            Role::Window { part, kind, .. } => Some((part == WindowPart::Start, fixed_size(kind)?)),
            _ => None,
        },
        _ => None,
    };
    let pairs = left.keys.iter().zip(&right.keys);
    let pairs: Vec<_> = pairs.filter_map(|(one, other)| window(left, one).zip(window(right, other))).collect();
    let equal = |start: bool| {
        pairs.iter().find(|((is_start, size), (other, other_size))| {
            is_start == other && *is_start == start && size != other_size
        })
    };
    match (equal(true), equal(false)) {
        (Some(_), Some(_)) => {
            Err(Error::user("no rows meet in this join: windows of different sizes do not both begin and end together")
                .with_help("give both sides windows of one size"))
        }
        _ => Ok(()),
    }
}

/// The window that equal rows of the two sides share.
fn common_window((left, right): &(Side, Side)) -> Option<(CarriedWindow, CarriedWindow)> {
    let role = |side: &Side, key: &Typed| match &key.expression {
        Expr::Column(column) => match side.stream.columns[*column].role {
            Role::Window { part, kind, lineage, processing } => {
                Some((part, CarriedWindow { kind, lineage, processing }))
            }
            _ => None,
        },
        _ => None,
    };
    left.keys.iter().zip(&right.keys).find_map(|(left_key, right_key)| {
        let (left_part, left_window) = role(left, left_key)?;
        let (right_part, right_window) = role(right, right_key)?;
        let same_end = match (left_part, right_part) {
            (WindowPart::End, WindowPart::End) | (WindowPart::Time, WindowPart::Time) => true,
            (WindowPart::Start, WindowPart::Start) => {
                determines(WindowPart::Start, left_window.kind)
                    && fixed_size(left_window.kind) == fixed_size(right_window.kind)
            }
            _ => false,
        };
        same_end.then_some((left_window, right_window))
    })
}
