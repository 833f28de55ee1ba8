//! Joins with the version of a row at a time: `FOR SYSTEM_TIME AS OF` and `ASOF JOIN`.

use datafusion_common::DFSchema;
use datafusion_expr::{Expr as LogicalExpr, Join};
use weir_core::{BinaryOperator, Error, Expr, JoinType, OperatorSpec, Result, TemporalJoinSpec};

use super::Lowering;
use super::join::{Input, Side, comparable, join_type, refuse_equal_nulls, residual};
use super::shape::settle;
use super::stream::{Role, Stream, typed};

impl Lowering<'_> {
    /// A join whose right side is made of versions, told apart by the columns of `key`; without one, by all that are equal.
    pub(super) fn temporal_join(&mut self, join: &Join, key: Option<&Vec<String>>) -> Result<Stream> {
        refuse_equal_nulls(join)?;
        let join_type = join_type(join)?;
        if !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return Err(Error::user("a join with versions of a table is a JOIN or a LEFT JOIN")
                .with_help("put the table with the versions on the right side"));
        }
        let left = self.relation(&join.left)?;
        let left = settle(&mut self.graph, left)?;
        self.versions_expected = true;
        let right = self.relation(&join.right)?;
        let mut right = settle(&mut self.graph, right)?;
        // What is asked of the right side is asked of the version that was chosen.
        let asked = std::mem::take(&mut right.predicates);
        let keys = |pick: fn(&(LogicalExpr, LogicalExpr)) -> &LogicalExpr, schema: &DFSchema, stream: &Stream| {
            join.on.iter().map(|pair| typed(pick(pair), schema, stream)).collect::<Result<Vec<_>>>()
        };
        let left_keys = keys(|pair| &pair.0, join.left.schema(), &left)?;
        let right_keys = keys(|pair| &pair.1, join.right.schema(), &right)?;
        let width = left.columns.len();
        let behind = |expression: &Expr| expression.replace_columns(&|column| Expr::Column(width + column));
        let (mut on, mut condition) = ((Vec::new(), Vec::new()), Vec::new());
        let mut found: Vec<&str> = Vec::new();
        for (left_key, right_key) in left_keys.into_iter().zip(right_keys) {
            let name = match &right_key.expression {
                Expr::Column(column) => Some(right.columns[*column].name.clone()),
                _ => None,
            };
            let of_key = |key: &'_ Vec<String>| key.iter().position(|of_key| Some(of_key) == name.as_ref());
            let place = key.map(of_key);
            let right_type = right_key.data_type.clone();
            let (left_key, right_key) = comparable(left_key, right_key)?;
            if place == Some(None) {
                condition.push(Expr::Binary {
                    operator: BinaryOperator::Eq,
                    left: Box::new(left_key.expression),
                    right: Box::new(behind(&right_key.expression)),
                });
                continue;
            }
            if right_key.data_type != right_type && right_key.data_type.is_floating() {
                return Err(Error::user(
                    "a key of versions cannot be compared with a DOUBLE or FLOAT: different keys would be equal",
                )
                .with_help("CAST the other side to the type of the key"));
            }
            if let (Some(key), Some(Some(place))) = (key, place) {
                found.push(&key[place]);
            }
            on.0.push(left_key);
            on.1.push(right_key);
        }
        if let Some(missing) = key.into_iter().flatten().find(|key| !found.contains(&key.as_str())) {
            return Err(Error::user(format!(
                "the join with versions says nothing of `{missing}`, which is in the PRIMARY KEY"
            ))
            .with_help(format!("add `AND a.{missing} = b.{missing}` to the condition")));
        }
        if on.0.is_empty() {
            return Err(Error::user("a join with versions needs a column that is equal on both sides")
                .with_help("add `ON a.key = b.key`"));
        }
        let sides = (Side { stream: left, keys: on.0 }, Side { stream: right, keys: on.1 });
        let mut parts = self.condition(join, &sides)?;
        let time = parts.iter().position(|part| times(part, &sides, width).is_some());
        let Some(time) = time.and_then(|place| times(&parts.remove(place), &sides, width)) else {
            return Err(Error::user("a join with versions goes by time attributes: that of the left side, and not before that of the right one")
                .with_help(
                    "write `FOR SYSTEM_TIME AS OF a.ts`, or `MATCH_CONDITION (a.ts >= b.ts)`, with the columns of the WATERMARKs as they \
                     are; behind a join without time bounds or an aggregation a time is no time attribute any more",
                ));
        };
        condition.append(&mut parts);
        condition.extend(asked.iter().map(behind));
        let column = |column: usize| Expr::Column(column);
        let padded = join_type == JoinType::Left;
        let left = Input::of(&mut self.graph, sides.0, false, Some(&column(time.0)), &condition, 0)?;
        let right = Input::of(&mut self.graph, sides.1, padded, Some(&column(time.1)), &condition, width)?;
        let on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        let times =
            left.time.zip(right.time).ok_or_else(|| Error::internal("a join by time has an input without one"))?;
        let residual = residual(condition, &left, &right);
        let operator =
            OperatorSpec::TemporalJoin(TemporalJoinSpec { join_type, on: on.clone(), time: times, residual });
        // A row comes out when the watermark passes its time; other times of it may be older.
        let role = move |role: Role, (side, column): (usize, usize)| match role {
            Role::Time { .. } if (side, column) == (0, times.0) => role,
            _ => Role::Plain,
        };
        self.joined(join, join_type, operator, "TemporalJoin", &on, (left, right), &role)
    }
}

/// The times that `part` compares, if it says that the right one is not later.
fn times(part: &Expr, (left, right): &(Side, Side), width: usize) -> Option<(usize, usize)> {
    let Expr::Binary { operator, left: one, right: other } = part else { return None };
    let (Expr::Column(one), Expr::Column(other)) = (&**one, &**other) else { return None };
    let (later, earlier) = match operator {
        BinaryOperator::GtEq => (*one, *other),
        BinaryOperator::LtEq => (*other, *one),
        _ => return None,
    };
    let is_time = |side: &Side, column: usize| {
        side.stream.columns.get(column).is_some_and(|column| matches!(column.role, Role::Time { processing: false }))
    };
    let earlier = earlier.checked_sub(width)?;
    (later < width && is_time(left, later) && is_time(right, earlier)).then_some((later, earlier))
}
