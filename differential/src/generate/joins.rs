//! Joins of rows in equal windows, and of rows whose times are close to each other.

use super::queries::{holds_for_some, renamed};
use super::{Generator, Topic};
use crate::expression::{Comparison, Expression, Operator, Unit};
use crate::relation::{Column, JoinKind, Matching, Node, Relation, Window};
use crate::types::Type;
use crate::value::Row;

impl Generator {
    /// A side of a join: columns that are computed below it, constants among them, and new names for all.
    pub(super) fn side(&mut self, input: Relation) -> Relation {
        self.select(input, 30)
    }

    /// Conditions with two columns that are equal, if there are such columns; most often they hold for some pair of rows.
    pub(super) fn with_equal_columns(
        &mut self,
        left: &Relation,
        right: &Relation,
        others: &[Expression],
    ) -> Option<Vec<Expression>> {
        let mut conditions = None;
        for _ in 0..6 {
            let nested = self.random.chance(15);
            let is_key = |column: &Column| nested || column.data_type.is_scalar();
            let own = self.column_where(&left.columns, is_key)?.clone();
            let other = self.column_where(&right.columns, |column| column.data_type == own.data_type);
            if let Some(other) = other {
                let mut key = equal(&own.name, &other.name, &own.data_type);
                if self.random.chance(15) {
                    key.operator = Operator::DistinctFrom(true);
                }
                let all = [others, &[key]].concat();
                if self.some_pair(left, right, &all) {
                    return Some(all);
                }
                conditions = Some(all);
            }
        }
        conditions
    }

    /// Whether the conditions hold for a pair of rows.
    fn some_pair(&self, left: &Relation, right: &Relation, conditions: &[Expression]) -> bool {
        let names = [left.names(), right.names()].concat();
        let condition = Expression::truth(Operator::And, conditions.to_vec());
        let partners = self.rows_of(right);
        self.rows_of(left).iter().any(|row| {
            let pairs: Vec<Row> = partners.iter().map(|partner| [&row[..], partner].concat()).collect();
            holds_for_some(&condition, &names, &pairs)
        })
    }

    /// Something about a pair of rows that need not hold for any.
    pub(super) fn extra_condition(&mut self, left: &Relation, right: &Relation) -> Expression {
        let scope = match self.random.below(4) {
            0 => left.columns.clone(),
            1 => right.columns.clone(),
            _ => [&left.columns[..], &right.columns].concat(),
        };
        self.condition(&scope, 1)
    }

    /// Rows of two relations in the same window.
    pub(super) fn window_join(&mut self, window: &Window, depth: usize) -> Relation {
        let (left, right) = (self.windowed(window, depth), self.windowed(window, depth));
        if left.window.is_none() || right.window.is_none() {
            return if left.window.is_some() { left } else { right };
        }
        let (left, right) = (self.side(left), self.side(right));
        let Some(mut conditions) = windows_equal(&left, &right) else { return left };
        if self.random.chance(80) {
            conditions = self.with_equal_columns(&left, &right, &conditions).unwrap_or(conditions);
        }
        if self.random.chance(30) {
            conditions.push(self.extra_condition(&left, &right));
        }
        self.join(left, right, Expression::truth(Operator::And, conditions))
    }

    /// Rows with, or without, a partner in the same window.
    pub(super) fn window_match(&mut self, window: &Window, depth: usize) -> Relation {
        let (input, other) = (self.windowed(window, depth), self.windowed(window, depth));
        if input.window.is_none() || other.window.is_none() {
            return if input.window.is_some() { input } else { other };
        }
        let (input, other) = (self.side(input), self.side(other));
        let Some(mut conditions) = windows_equal(&input, &other) else { return input };
        conditions = self.with_equal_columns(&input, &other, &conditions).unwrap_or(conditions);
        if self.random.chance(25) {
            conditions.push(self.extra_condition(&input, &other));
        }
        self.matching(input, other, conditions)
    }

    /// Rows with, or without, a partner.
    pub(super) fn matching(&mut self, input: Relation, other: Relation, conditions: Vec<Expression>) -> Relation {
        let form = if self.random.chance(60) { Matching::Exists } else { Matching::Join };
        let (items, columns) = self.renamed(&input.columns);
        let new = |old: &String| renamed(old, &items);
        let window = input.window.as_ref().map(|(start, end)| (new(start), new(end)));
        let unique = input.unique.as_ref().map(|unique| unique.iter().map(new).collect());
        let node = Node::Match {
            input: Box::new(input),
            other: Box::new(other),
            negated: self.random.chance(50),
            form,
            condition: Expression::truth(Operator::And, conditions),
            items,
        };
        Relation { node, columns, times: Vec::new(), window, unique }
    }

    /// Rows of two streams that are close in time.
    pub(super) fn interval_join(&mut self, depth: usize) -> Relation {
        let (left, right) = (self.stream(depth), self.stream(depth));
        let (left, right) = (self.side(left), self.side(right));
        let (own, other) = (self.random.pick(&left.times).clone(), self.random.pick(&right.times).clone());
        let data_type = left.column(&own).data_type.clone();
        if data_type != right.column(&other).data_type {
            return left;
        }
        let (mine, theirs) =
            (Expression::column(&own, data_type.clone()), Expression::column(&other, data_type.clone()));
        let (mine, theirs) = if self.random.chance(50) { (mine, theirs) } else { (theirs, mine) };
        let low = self.random.between(-20, 10);
        let strict = self.random.chance(40);
        let high = low + self.random.between(if strict { 2 } else { 0 }, 20);
        let moved = |seconds: i64| match seconds {
            0 => theirs.clone(),
            _ => Expression::new(Operator::AddInterval(seconds, Unit::Second), vec![theirs.clone()], data_type.clone()),
        };
        let bounds = if !strict {
            vec![Expression::truth(Operator::Between(false), vec![mine.clone(), moved(low), moved(high)])]
        } else {
            let at_least = if self.random.chance(50) { Comparison::AtLeast } else { Comparison::Greater };
            let at_most = if self.random.chance(50) { Comparison::AtMost } else { Comparison::Less };
            vec![
                Expression::truth(Operator::Compare(at_least), vec![mine.clone(), moved(low)]),
                Expression::truth(Operator::Compare(at_most), vec![mine, moved(high)]),
            ]
        };
        let Some(mut conditions) = self.with_equal_columns(&left, &right, &bounds) else { return left };
        if self.random.chance(30) {
            conditions.push(self.extra_condition(&left, &right));
        }
        self.join(left, right, Expression::truth(Operator::And, conditions))
    }

    pub(super) fn join(&mut self, left: Relation, right: Relation, condition: Expression) -> Relation {
        let kind = if self.may(Topic::OuterJoins) { *self.random.pick(&JoinKind::ALL) } else { JoinKind::Inner };
        let scope = [&left.columns[..], &right.columns].concat();
        let (mut items, mut columns) = self.renamed(&scope);
        let new = |old: &String| renamed(old, &items);
        let windows = |side: &Relation| side.window.as_ref().map(|(start, end)| (new(start), new(end)));
        let window = match kind {
            JoinKind::Inner | JoinKind::Left => windows(&left),
            JoinKind::Right => windows(&right),
            JoinKind::Full => None,
        };
        if self.random.chance(40) {
            let item = self.computed_item(&scope);
            columns.push(self.column_of(&item, &scope));
            items.push(item);
        }
        columns.iter_mut().for_each(|column| column.nullable = true);
        let node = Node::Join { left: Box::new(left), right: Box::new(right), kind, condition, items };
        Relation { node, columns, times: Vec::new(), window, unique: None }
    }
}

fn equal(left: &str, right: &str, data_type: &Type) -> Expression {
    let arguments = vec![Expression::column(left, data_type.clone()), Expression::column(right, data_type.clone())];
    Expression::truth(Operator::Compare(Comparison::Equal), arguments)
}

fn windows_equal(left: &Relation, right: &Relation) -> Option<Vec<Expression>> {
    let ((start, end), (other_start, other_end)) = (left.window.as_ref()?, right.window.as_ref()?);
    let bound = Type::TIME_ATTRIBUTE;
    Some(vec![equal(start, other_start, &bound), equal(end, other_end, &bound)])
}
