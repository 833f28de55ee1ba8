//! Joins and aggregations without regard to windows and times, of tables, of results of windows, and of each other.

use super::Generator;
use crate::expression::{Expression, Operator, sql};
use crate::relation::{Column, Emission, Function, Item, Node, Relation};

/// Sides with more pairs than this are not joined: the evaluator looks at every pair.
const MOST_PAIRS: usize = 10_000;

impl Generator {
    /// Pairs of rows, or rows with or without a partner. No column of the result is a time attribute or bounds a window.
    pub(super) fn regular_join(&mut self, depth: usize) -> Relation {
        let (left, right) = (self.regular_side(depth), self.regular_side(depth));
        let (left, right) = (self.side(left), self.side(right));
        let joined = self.joined(left, right);
        Relation { times: Vec::new(), window: None, unique: None, ..joined }
    }

    pub(super) fn joined(&mut self, left: Relation, right: Relation) -> Relation {
        if self.rows_of(&left).len() * self.rows_of(&right).len() > MOST_PAIRS {
            return left;
        }
        let Some(mut conditions) = self.with_equal_columns(&left, &right, &[]) else { return left };
        if self.random.chance(30) {
            conditions.push(self.extra_condition(&left, &right));
        }
        if self.random.chance(65) {
            self.join(left, right, Expression::truth(Operator::And, conditions))
        } else {
            self.matching(left, right, conditions)
        }
    }

    /// Groups of all rows.
    pub(super) fn regular_groups(&mut self, depth: usize) -> Relation {
        let input = self.regular_side(depth);
        let mut keys: Vec<Item> = Vec::new();
        for _ in 0..self.random.between(1, 2) {
            if let Some(key) = self.column_where(&input.columns, |column| column.data_type.is_scalar()).cloned() {
                let expression = Expression::column(&key.name, key.data_type);
                let is_new = !keys.iter().any(|known| sql(&known.expression) == sql(&expression));
                keys.extend(is_new.then(|| Item { name: self.name(), expression }));
            }
        }
        if keys.is_empty() {
            return Relation { times: Vec::new(), window: None, unique: None, ..input };
        }
        let mut calls = vec![self.call_of(Function::Count)];
        for _ in 0..self.random.between(0, 3) {
            calls.extend(self.call(&input));
        }
        let mut columns: Vec<Column> = keys.iter().map(|key| self.column_of(key, &input.columns)).collect();
        columns.extend(calls.iter().map(|call| Column {
            name: call.name.clone(),
            data_type: call.data_type.clone(),
            nullable: true,
            bound: self.call_bound(call, &input.columns),
        }));
        let filter = if self.random.chance(20) { self.filter(&input) } else { None };
        let node = Node::Aggregate {
            input: Box::new(input),
            filter,
            keys,
            sets: None,
            calls,
            having: None,
            shown: Emission::Plain,
        };
        Relation { node, columns, times: Vec::new(), window: None, unique: None }
    }

    fn regular_side(&mut self, depth: usize) -> Relation {
        match self.random.below(12) {
            10 | 11 if depth > 0 => self.regular_groups(depth - 1),
            0..=3 if depth > 0 => self.regular_join(depth - 1),
            4..=6 => {
                let window = self.window();
                self.windowed(&window, depth.min(1))
            }
            _ => self.stream(depth.min(1)),
        }
    }
}
