//! Conditions.

use super::{Generator, Topic};
use crate::expression::{Comparison, Expression, Operator};
use crate::relation::Column;
use crate::types::Type;
use crate::value::Value;

impl Generator {
    /// A condition of so many levels at most.
    pub(super) fn condition(&mut self, scope: &[Column], depth: usize) -> Expression {
        if depth == 0 {
            return self.simple_condition(scope, 0);
        }
        let below = depth - 1;
        match self.random.below(13) {
            12 => self.about_one_value(scope),
            0 | 1 => {
                let operator = if self.random.chance(50) { Operator::And } else { Operator::Or };
                let count = self.random.between(2, 3);
                Expression::truth(operator, (0..count).map(|_| self.condition(scope, below)).collect())
            }
            2 => Expression::truth(Operator::Not, vec![self.condition(scope, below)]),
            3 => {
                let operator = Operator::IsTruth { truth: self.random.chance(50), negated: self.random.chance(50) };
                Expression::truth(operator, vec![self.condition(scope, below)])
            }
            _ => self.simple_condition(scope, below),
        }
    }

    fn simple_condition(&mut self, scope: &[Column], depth: usize) -> Expression {
        let negated = self.random.chance(40);
        match self.random.below(12) {
            0..=3 => self.comparison(scope, depth),
            4 | 5 => {
                let column = self.random.pick(scope).clone();
                let value = if column.data_type.is_scalar() {
                    self.expression(scope, &column.data_type, depth)
                } else {
                    Expression::column(&column.name, column.data_type)
                };
                Expression::truth(Operator::IsNull(negated), vec![value])
            }
            6 => {
                let data_type = self.scalar_of(scope);
                let value = self.leaf(scope, &data_type);
                let other = self.expression(scope, &data_type, depth);
                Expression::truth(Operator::DistinctFrom(negated), vec![value, other])
            }
            7 | 8 => {
                let data_type = self.scalar_of(scope);
                let mut arguments = vec![self.expression(scope, &data_type, depth)];
                let count = *self.random.pick(&[1, 2, 3, 12]);
                arguments.extend((0..count).map(|_| self.literal(&data_type)));
                Expression::truth(Operator::In(negated), arguments)
            }
            9 => {
                let data_type = self.scalar_of(scope);
                let value = self.expression(scope, &data_type, depth);
                let (low, high) = (self.leaf(scope, &data_type), self.leaf(scope, &data_type));
                Expression::truth(Operator::Between(negated), vec![value, low, high])
            }
            10 if self.may(Topic::Patterns) => self.like(scope, negated),
            _ => self.leaf(scope, &Type::Boolean),
        }
    }

    /// Several tests of one value: rules that make one of them are easily wrong about nulls.
    fn about_one_value(&mut self, scope: &[Column]) -> Expression {
        let data_type = self.scalar_of(scope);
        let value = self.leaf(scope, &data_type);
        let operator = if self.random.chance(50) { Operator::And } else { Operator::Or };
        let tests = (0..self.random.between(2, 3)).map(|_| {
            let negated = self.random.chance(40);
            let mut arguments = vec![value.clone()];
            let test = match self.random.below(4) {
                0 | 1 => {
                    let count = *self.random.pick(&[1, 2, 5]);
                    arguments.extend((0..count).map(|_| match self.random.below(8) {
                        0 => self.leaf(scope, &data_type),
                        1 => Expression::literal(Value::Null, data_type.clone()),
                        _ => self.literal(&data_type),
                    }));
                    Operator::In(negated)
                }
                2 => {
                    arguments.extend([self.literal(&data_type), self.literal(&data_type)]);
                    Operator::Between(negated)
                }
                _ => {
                    arguments.push(self.literal(&data_type));
                    Operator::Compare(*self.random.pick(&Comparison::ALL))
                }
            };
            let test = Expression::truth(test, arguments);
            if self.random.chance(20) { Expression::truth(Operator::Not, vec![test]) } else { test }
        });
        Expression::truth(operator, tests.collect())
    }

    /// Of two values of one type, or of two numbers that are made one.
    fn comparison(&mut self, scope: &[Column], depth: usize) -> Expression {
        let data_type = self.scalar_of(scope);
        let other = match &data_type {
            Type::Integer(_) if self.random.chance(30) => Type::Integer(*self.random.pick(&[8, 16, 32, 64])),
            Type::Integer(_) | Type::Decimal(10, 2) if self.random.chance(20) => Type::Decimal(10, 2),
            _ => data_type.clone(),
        };
        let left = self.expression(scope, &data_type, depth);
        let right = self.expression(scope, &other, depth);
        let comparison = *self.random.pick(&Comparison::ALL);
        Expression::truth(Operator::Compare(comparison), vec![left, right])
    }

    fn like(&mut self, scope: &[Column], negated: bool) -> Expression {
        let text = self.leaf(scope, &Type::String);
        let (pattern, escape) = *self.random.pick(&[
            ("%", None),
            ("a%", None),
            ("%b", None),
            ("_", None),
            ("%a_b%", None),
            ("C:\\logs\\%", None),
            ("a\\b", None),
            ("%\\%", None),
            ("%!%%", Some('!')),
            ("%!_%", Some('!')),
            ("50\\%", Some('\\')),
            ("é", None),
            ("", None),
        ]);
        let pattern = Expression::literal(Value::String(pattern.to_owned()), Type::String);
        Expression::truth(Operator::Like { negated, escape }, vec![text, pattern])
    }
}
