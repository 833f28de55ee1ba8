//! Joins without regard to windows and times, of tables, of results of windows, and of each other.

use super::Generator;
use crate::expression::{Expression, Operator};
use crate::relation::Relation;

/// Sides with more pairs than this are not joined: the evaluator looks at every pair.
const MOST_PAIRS: usize = 40_000;

impl Generator {
    /// Pairs of rows, or rows with or without a partner. No column of the result is a time attribute or bounds a window.
    pub(super) fn regular_join(&mut self, depth: usize) -> Relation {
        let (left, right) = (self.regular_side(depth), self.regular_side(depth));
        let (left, right) = (self.side(left), self.side(right));
        let joined = self.joined(left, right);
        Relation { times: Vec::new(), window: None, unique: None, ..joined }
    }

    fn joined(&mut self, left: Relation, right: Relation) -> Relation {
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

    fn regular_side(&mut self, depth: usize) -> Relation {
        match self.random.below(10) {
            0..=3 if depth > 0 => self.regular_join(depth - 1),
            4..=6 => {
                let window = self.window();
                self.windowed(&window, depth.min(1))
            }
            _ => self.stream(depth.min(1)),
        }
    }
}
